-- One migration in place of several. See docs/schema.md, and schema_replaces for how it is run.
CREATE DATABASE regress_schema_squash;
\c regress_schema_squash
CREATE EXTENSION notebook_migrate;
SET search_path = notebook_migrate;
\pset null ~
CREATE SCHEMA shop;
SELECT schema_register('01', 'CREATE TABLE shop.base (id int PRIMARY KEY)', 'DROP TABLE shop.base'),
       schema_register('02', 'CREATE TABLE shop.item (id int REFERENCES shop.base DEFERRABLE INITIALLY DEFERRED); CREATE TABLE shop.gone ()',
                       'DROP TABLE shop.item, shop.gone', '{01}'),
       schema_register('03', E'DROP TABLE shop.gone;\r\nINSERT INTO shop.item VALUES (7); INSERT INTO shop.base VALUES (7)  -- the end', 'CREATE TABLE shop.gone (); TRUNCATE shop.item; DELETE FROM shop.base;', '{02}'),
       schema_register('04', 'ALTER TABLE shop.item ADD name text', 'ALTER TABLE shop.item DROP name', '{03}'),
       schema_register('05', 'CREATE VIEW shop.v AS SELECT name FROM shop.item', 'DROP VIEW shop.v', '{04,01}');

-- All between two, in the order in which they would be applied; every statement as it was, a drop and its create too.
SELECT schema_squash('02', '04', 'sq');
SELECT name, up, down, depends_on, replaces, transactional FROM schema_migration WHERE name = 'sq' \gx
SELECT * FROM schema_plan();

-- The same again is known. Checked: applied part by part and at once, all comes to the same, and so do the downs.
SELECT schema_squash('02', '04', 'sq');
SELECT schema_squash('02', '04', 'sq', "check" => true);
SELECT count(*) FROM schema_history;
SELECT to_regclass('shop.base');

-- Checked where it is applied, too: then it is undone before, and what depends on it.
CALL schema_up();
SELECT schema_squash('02', '04', 'sq', true);
SELECT name, state FROM schema_status();
SELECT name, ok FROM schema_dry_run();
CALL schema_down('01');
SELECT name, state FROM schema_status();
DELETE FROM schema_migration WHERE name = 'sq';

-- Settings are given back between parts. Where the two ways differ, nothing is registered.
SELECT schema_register('06', 'SET search_path = shop; SET default_tablespace = pg_default; CREATE TABLE here (id int)', 'DROP TABLE shop.here'),
       schema_register('07', 'DO $$ BEGIN IF current_setting(''search_path'') ~ ''shop'' THEN CREATE TABLE shop.left (); END IF; END $$', 'DROP TABLE IF EXISTS shop.left');
SET client_min_messages = warning;
SELECT schema_squash('06', '07', 'settings', true);
CREATE SEQUENCE public.runs;
SELECT schema_register('08', 'SELECT 1', 'SELECT 1'),
       schema_register('09', 'DO $$ BEGIN EXECUTE format(''COMMENT ON SCHEMA shop IS %L'', nextval(''public.runs'')); END $$', 'COMMENT ON SCHEMA shop IS NULL');
RESET client_min_messages;
SELECT schema_squash('08', '09', 'luck', true);
\echo :LAST_ERROR_SQLSTATE
SELECT name FROM schema_migration WHERE name IN ('luck');
DELETE FROM schema_migration WHERE name > '05';

-- Nor does a part that begins with a semicolon get the settings of the one before.
SELECT schema_register('06', 'SET search_path = shop', 'SELECT 1'),
       schema_register('07', ';; DO $$ BEGIN EXECUTE format(''CREATE TABLE shop.%I ()'', current_setting(''search_path'')); END $$', 'SELECT 1');
SELECT schema_squash('06', '07', 'semicolon', true);
DELETE FROM schema_migration WHERE name > '05';

-- Bodies of any kind are joined: without semicolon, with a comment at the end, empty, with what looks like a mark.
CREATE TABLE public.ran (n int GENERATED ALWAYS AS IDENTITY, what text);
CREATE FUNCTION public.note(text) RETURNS text LANGUAGE sql AS $$ SELECT format('INSERT INTO public.ran (what) VALUES (%L)', $1) $$;
SELECT schema_register(name, up) FROM (VALUES
  ('p1', public.note('no semicolon')), ('p2', public.note('a comment') || ' -- end'), ('p3', ''), ('p4', '-- only this'),
  ('p5', public.note(E'-- notebook_migrate: part\n; SELECT 1/0; --') || ';'), ('p6', public.note('block') || ' /* -- ; */'),
  (E'p7\nDROP TABLE public.ran; --', 'DO $$ BEGIN ' || public.note('dollar') || '; END $$'), ('p8', E'\n\n' || public.note('ümläut') || E'\n;;\n'),
  ('p9', 'CREATE FUNCTION public.atomic() RETURNS int BEGIN ATOMIC SELECT 1; SELECT 2; END')) AS v (name, up);
SELECT schema_squash('p1', 'p9', 'ps');
SELECT up, down FROM schema_migration WHERE name = 'ps' \gx
CALL schema_up('ps');
SELECT array_agg(what ORDER BY n) FROM public.ran;
SELECT bool_and(position(m.up IN s.up) > 0) AS byte_for_byte FROM schema_migration AS m, schema_migration AS s WHERE s.name = 'ps' AND m.name ~ '^p\d';

-- A squash of a squash replaces what that one does; parts of a squash are spoken for.
SELECT schema_register('q1', 'SELECT 1'), schema_register('q2', 'SELECT 2', depends_on => '{q1}'), schema_register('q3', 'SELECT 3', depends_on => '{q2}'),
       schema_register('q4', 'SELECT 4', depends_on => '{q3,p1,elsewhere}');
SELECT schema_squash('q1', 'q2', 'qs');
SELECT schema_squash('q2', 'q3', 'qt');
SELECT schema_squash('qs', 'q4', 'qt', true);
SELECT depends_on, replaces FROM schema_migration WHERE name = 'qt';
SELECT schema_register('q5', 'SELECT 5'), schema_squash('q5', 'q5', 'q5s');

-- What cannot be.
SELECT schema_squash('05', '01', 's');
SELECT schema_squash('01', 'nothing', 's');
\echo :LAST_ERROR_SQLSTATE
SELECT schema_squash('01', '02', '05');
\echo :LAST_ERROR_SQLSTATE
SELECT schema_squash('01', '02', '');
SELECT schema_squash('01', NULL, 's');
\echo :LAST_ERROR_SQLSTATE
SELECT schema_squash('01', '02', 's', NULL);
SELECT schema_squash('qt', 'qt', 'qt');
SELECT schema_register('r1', 'SELECT 1'), schema_register('r2', 'VACUUM', transactional => false), schema_register('r3', 'SELECT 1');
SELECT schema_squash('r1', 'r3', 's');
SELECT schema_register('r2', 'SELECT 1/0');
SELECT schema_squash('r1', 'r3', 's', true);
SELECT schema_register('r2', 'CREATE TABLE shop.r2 ()');
CALL schema_up('r2');
SELECT schema_squash('r1', 'r3', 's', true);
SELECT name FROM schema_migration WHERE name = 's';
SELECT schema_squash('r1', 'r3', 's');

-- A value of an enum is of no use to the parts behind it.
SELECT schema_register('t1', 'CREATE TYPE shop.size AS ENUM (''s'')'), schema_register('t2', 'ALTER TYPE shop.size ADD VALUE ''m''', depends_on => '{t1}'),
       schema_register('t3', 'SELECT ''m''::shop.size', depends_on => '{t2}');
SELECT schema_squash('t1', 't3', 'ts', true);
SELECT schema_squash('t1', 't2', 'ts', true);
SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND pid = pg_backend_pid();

-- Rights are the caller's.
CREATE ROLE regress_schema_squash;
GRANT USAGE ON SCHEMA notebook_migrate TO regress_schema_squash;
GRANT EXECUTE ON FUNCTION schema_squash(text, text, text, boolean) TO regress_schema_squash;
SET ROLE regress_schema_squash;
SELECT schema_squash('02', '04', 'sq', true);
SELECT schema_squash('02', '04', 'sq');
RESET ROLE;
\c contrib_regression
DROP DATABASE regress_schema_squash;
DROP ROLE regress_schema_squash;
