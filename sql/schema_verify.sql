-- What is not as the schema migrations have it. See docs/schema.md.
CREATE DATABASE regress_schema_verify;
\c regress_schema_verify
CREATE EXTENSION notebook_migrate;
SET search_path = notebook_migrate;
CREATE SCHEMA shop;
SELECT schema_register('01', 'CREATE TABLE shop.item (id int PRIMARY KEY, name text)', 'DROP TABLE shop.item'),
       schema_register('02', 'ALTER TABLE shop.item ADD price int', 'ALTER TABLE shop.item DROP price', depends_on => '{01}'),
       schema_register('03', 'CREATE VIEW shop.items AS SELECT id FROM shop.item', 'DROP VIEW shop.items', depends_on => '{01}');
CALL schema_up();
SELECT schema_register('04', 'CREATE TABLE shop.later ()', 'DROP TABLE shop.later');
SELECT * FROM schema_verify();
SELECT * FROM schema_verify(true);

-- Another text than was applied; no definition; a dependency that is not applied, or not there.
BEGIN;
UPDATE schema_migration SET up = up || ' ' WHERE name = '01';
DELETE FROM schema_migration WHERE name = '03';
UPDATE schema_migration SET depends_on = '{01,04,nothing}' WHERE name = '02';
SELECT * FROM schema_verify();
-- What a squash stands for needs no definition.
SELECT schema_register('03s', 'SELECT 1', replaces => '{03}');
SELECT name, problem FROM schema_verify();
ROLLBACK;

-- An index that was not built to its end.
INSERT INTO shop.item VALUES (1, 'a'), (2, 'a');
CREATE UNIQUE INDEX CONCURRENTLY "Odd ""index" ON shop.item (name);
CREATE TABLE shop.parts (id int) PARTITION BY RANGE (id);
CREATE TABLE shop.part PARTITION OF shop.parts FOR VALUES FROM (0) TO (9);
CREATE INDEX parts_id ON ONLY shop.parts (id);
SELECT * FROM schema_verify();
DROP INDEX shop."Odd ""index", shop.parts_id;

-- check_down: all is undone and applied again, and that is undone. A down that leaves something, or takes too much, or fails:
-- (Owners and rights are left out here, being those of whoever runs this.)
CREATE FUNCTION public.verify() RETURNS TABLE (name text, problem text, detail text) LANGUAGE sql AS $$
  SELECT name, problem, regexp_replace(regexp_replace(detail, ' (owner|rights) [^\n]*', '', 'g'), '[0-9a-f]{32}', 'DIGEST', 'g')
    FROM notebook_migrate.schema_verify(true) $$;
SELECT schema_register('05', 'CREATE TABLE shop.left1 (id int); CREATE TABLE shop.left2 (id int DEFAULT 3)', 'DROP TABLE shop.left1'),
       schema_register('06', 'ALTER TABLE shop.item ADD note text', 'ALTER TABLE shop.item DROP note, DROP name', depends_on => '{02}'),
       schema_register('07', 'CREATE TABLE shop.fails ()', 'DROP TABLE shop.fail'),
       schema_register('08', 'SELECT 1/0', 'SELECT 1'),
       schema_register('09', 'SELECT 1', 'SELECT 1', depends_on => '{08}');
SELECT * FROM public.verify();
SELECT count(*) FROM schema_history;
SELECT to_regclass('shop.left1'), to_regclass('shop.item'), count(*) FROM shop.item;
DELETE FROM schema_migration WHERE name IN ('07', '08', '09');

-- The same of what is applied. As far down as it goes: the first that cannot be undone keeps what was before it.
CALL schema_up();
SELECT * FROM public.verify();
SELECT schema_register('10', 'CREATE TABLE shop.stays ()'), schema_register('11', 'CREATE TABLE shop.last ()', 'SELECT 1', depends_on => '{10}');
CALL schema_up();
SELECT * FROM schema_verify(true);

-- Everything that a catalog has is compared. (What is granted and revoked, a02, is as if it never was.)
CREATE ROLE regress_schema_verify;
DELETE FROM schema_migration WHERE name = '11';
CREATE FUNCTION public.pair(name text, up text, down text) RETURNS void LANGUAGE sql AS
$$ SELECT notebook_migrate.schema_register(name, up, down, transactional => true) $$;
SELECT public.pair('a' || lpad(n::text, 2, '0'), up, down) FROM (VALUES
  (1, 'GRANT SELECT ON shop.item TO PUBLIC', 'SELECT 1'),
  (2, 'GRANT INSERT ON shop.last TO PUBLIC', 'REVOKE INSERT ON shop.last FROM PUBLIC'),
  (3, 'COMMENT ON COLUMN shop.item.id IS ''the key''', 'SELECT 1'),
  (4, 'ALTER TABLE shop.item ENABLE ROW LEVEL SECURITY', 'SELECT 1'),
  (5, 'CREATE SEQUENCE shop.s', 'ALTER SEQUENCE shop.s INCREMENT 2; ALTER SEQUENCE shop.s RENAME TO t'),
  (6, 'CREATE TYPE shop.mood AS ENUM (''a'', ''b'')', 'DROP TYPE shop.mood; CREATE TYPE shop.mood AS ENUM (''b'')'),
  (7, 'CREATE FUNCTION shop.f(int DEFAULT 1) RETURNS int LANGUAGE sql AS ''SELECT 1''', 'CREATE OR REPLACE FUNCTION shop.f(int DEFAULT 1) RETURNS int LANGUAGE sql AS ''SELECT 2'''),
  (8, 'ALTER TABLE shop.item DROP price', 'ALTER TABLE shop.item ADD price int'),
  (9, 'CREATE INDEX item_name ON shop.item (name)', 'DROP INDEX shop.item_name; CREATE INDEX item_name ON shop.item (lower(name))'),
  (10, 'ALTER TABLE shop.item ADD CHECK (id > 0)', 'ALTER TABLE shop.item DROP CONSTRAINT item_id_check, ADD CONSTRAINT item_id_check CHECK (id >= 0)'),
  (11, 'ALTER TABLE shop.item OWNER TO regress_schema_verify', 'SELECT 1'),
  (12, 'ALTER DEFAULT PRIVILEGES IN SCHEMA shop GRANT SELECT ON TABLES TO PUBLIC', 'SELECT 1'),
  (13, 'CREATE TRIGGER keep BEFORE UPDATE ON shop.item FOR EACH ROW EXECUTE FUNCTION suppress_redundant_updates_trigger()', 'ALTER TABLE shop.item DISABLE TRIGGER keep'),
  (14, 'CREATE OPERATOR shop.=== (LEFTARG = int, RIGHTARG = int, FUNCTION = int4pl)', 'SELECT 1'),
  (15, 'CREATE STATISTICS shop.st ON id, name FROM shop.item', 'ALTER STATISTICS shop.st RENAME TO su'),
  (16, 'CREATE AGGREGATE shop.sum2 (int) (SFUNC = int4pl, STYPE = int)', 'SELECT 1'),
  (17, 'CREATE DOMAIN shop.d AS int CHECK (VALUE > 0)', 'ALTER DOMAIN shop.d SET DEFAULT 1'),
  (18, 'CREATE TABLE shop.child () INHERITS (shop.item)', 'ALTER TABLE shop.child NO INHERIT shop.item'),
  (19, 'CREATE TYPE shop.pair AS (a int, b text); CREATE TYPE shop.span AS RANGE (SUBTYPE = float8)', 'ALTER TYPE shop.pair DROP ATTRIBUTE a; DROP TYPE shop.span'),
  (20, 'CREATE RULE r AS ON DELETE TO shop.items DO INSTEAD NOTHING', 'CREATE POLICY p ON shop.item USING (id > 1)'),
  (21, 'CREATE TEXT SEARCH PARSER shop.pa (START = prsd_start, GETTOKEN = prsd_nexttoken, END = prsd_end, LEXTYPES = prsd_lextype); CREATE TEXT SEARCH TEMPLATE shop.te (LEXIZE = dsimple_lexize)', 'SELECT 1'),
  (22, 'CREATE ACCESS METHOD verified TYPE TABLE HANDLER heap_tableam_handler', 'SELECT 1'),
  (23, 'SET client_min_messages = error; CREATE SUBSCRIPTION regress_verified CONNECTION ''dbname=nowhere'' PUBLICATION p WITH (streaming = off, connect = false, slot_name = NONE)', 'SELECT 1')) AS v (n, up, down) ORDER BY n;
\t on
\pset format unaligned
SELECT name || E'\n' || detail FROM public.verify() WHERE name ~ '^a' AND problem = 'down differs' ORDER BY name COLLATE "C";
SELECT regexp_replace(replace(detail, current_user, 'ME'), '=a[a-zA-Z]*/', '=all/', 'g') FROM schema_verify(true) WHERE name ~ '^a(01|11)$';
SELECT name, problem, detail FROM schema_verify(true) WHERE problem <> 'down differs';
\t off
\pset format aligned
SELECT count(*) FROM pg_class WHERE relnamespace = 'shop'::regnamespace AND relname IN ('s', 't', 'child');
DELETE FROM schema_migration WHERE name ~ '^a';

-- No detail is longer than is to be read.
SELECT schema_register('wide', (SELECT string_agg(format('CREATE TABLE shop.wide%s (a int, b int)', n), ';') FROM generate_series(1, 30) AS n), 'SELECT 1');
SELECT problem, array_length(string_to_array(detail, E'\n'), 1) AS lines, regexp_replace(detail, E'.*\n', '') AS last FROM schema_verify(true) WHERE name = 'wide';
DELETE FROM schema_migration WHERE name = 'wide';

-- NULL is no answer; rights are the caller's; the rehearsal's marks are gone.
SELECT * FROM schema_verify(NULL);
\echo :LAST_ERROR_SQLSTATE
GRANT USAGE ON SCHEMA notebook_migrate TO regress_schema_verify;
GRANT EXECUTE ON FUNCTION schema_verify(boolean) TO regress_schema_verify;
SELECT schema_register('secret', 'DROP TABLE shop.item', 'SELECT 1');
SET ROLE regress_schema_verify;
SELECT * FROM schema_verify();
SELECT * FROM schema_verify(true);
RESET ROLE;
SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND pid = pg_backend_pid();
BEGIN READ ONLY;
SELECT * FROM schema_verify();
SELECT * FROM schema_verify(true);
\echo :LAST_ERROR_SQLSTATE
ROLLBACK;
\c contrib_regression
DROP DATABASE regress_schema_verify;
DROP ROLE regress_schema_verify;
