-- Dry runs: what is pending is run and undone. See docs/schema.md.
CREATE DATABASE regress_schema_dry_run;
\c regress_schema_dry_run
CREATE EXTENSION notebook_migrate;
SET search_path = notebook_migrate;
\pset null ~
CREATE SCHEMA shop;
CREATE TABLE shop.item (id int PRIMARY KEY, name text);
INSERT INTO shop.item VALUES (1, 'pen');
CREATE VIEW public.objects AS SELECT d.name, o ->> 'kind' AS kind, o ->> 'name' AS object, o ->> 'action' AS action
  FROM schema_dry_run() AS d, jsonb_array_elements(d.objects) WITH ORDINALITY AS e (o, n) ORDER BY d.ordinal, n;
CREATE VIEW public.lines AS SELECT format('%s %s', c.oid::regclass, c.relfilenode) FROM pg_class AS c
  UNION ALL SELECT format('%s %s', p.oid::regprocedure, p.xmin) FROM pg_proc AS p;
CREATE TABLE public.before AS TABLE public.lines;

-- Each migration finds what those before it did, and fails alone; what depends on it is not run, all else is.
SELECT schema_register('01', 'CREATE TABLE shop.orders (id serial PRIMARY KEY, item int REFERENCES shop.item)'),
       schema_register('02', 'ALTER TABLE shop.orders ADD amount int; SELECT 1/0', depends_on => '{01}'),
       schema_register('03', 'SELECT 1', depends_on => '{02}'),
       schema_register('04', 'CREATE INDEX CONCURRENTLY ON shop.item (name)', transactional => false),
       schema_register('05', 'DROP INDEX shop.item_name_idx', depends_on => '{04}'),
       schema_register('06', 'INSERT INTO shop.orders (item) VALUES (1)', depends_on => '{01}'),
       schema_register('07', 'SELECT 1', depends_on => '{lost}'),
       schema_register('08', 'ALTER TABLE shop.orders ADD customer int', depends_on => '{06}');
SELECT ordinal, name, ok, sqlstate, message, statement FROM schema_dry_run();
SELECT name, objects, locks FROM schema_dry_run() WHERE ok;
SELECT name, duration > '0', objects, locks FROM schema_dry_run() WHERE ok IS NOT true;

-- A target, and what it needs.
SELECT name, ok FROM schema_dry_run('06');
SELECT * FROM schema_dry_run('nothing');
\echo :LAST_ERROR_SQLSTATE

-- Nothing is left: no object, no history, no lock, no setting.
SELECT count(*) FROM (TABLE public.lines EXCEPT TABLE public.before) AS d WHERE format NOT LIKE 'public.%' AND format NOT LIKE 'pg_toast.%';
SELECT count(*) FROM schema_history;
SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND pid = pg_backend_pid();
DELETE FROM schema_migration;

-- What is told of objects: those that have a CREATE of their own, by what became of them.
SELECT schema_register('a', $$
  CREATE TABLE shop.customer (id int PRIMARY KEY, no int GENERATED ALWAYS AS IDENTITY, name text UNIQUE);
  CREATE INDEX customer_lower ON shop.customer (lower(name));
  CREATE VIEW shop.customers AS SELECT name FROM shop.customer;
  CREATE FUNCTION shop.one() RETURNS int LANGUAGE sql AS 'SELECT 1';
  CREATE TYPE shop.size AS ENUM ('s', 'm');
  CREATE DOMAIN shop.amount AS int CHECK (VALUE > 0);
  CREATE TABLE shop.gone (id int);
  DROP TABLE shop.gone;
  CREATE TABLE shop."Odd ""name; DROP" (id int)$$),
       schema_register('b', $$
  ALTER TABLE shop.customer ADD born date, DROP no;
  CREATE OR REPLACE FUNCTION shop.one() RETURNS int LANGUAGE sql AS 'SELECT 2';
  CREATE OR REPLACE VIEW shop.customers AS SELECT name, born FROM shop.customer;
  ALTER TYPE shop.size ADD VALUE 'l';
  ALTER DOMAIN shop.amount SET DEFAULT 1;
  CREATE TRIGGER keep BEFORE UPDATE ON shop.item FOR EACH ROW EXECUTE FUNCTION suppress_redundant_updates_trigger();
  CREATE POLICY mine ON shop.item USING (true)$$, depends_on => '{a}'),
       schema_register('c', 'GRANT SELECT (name) ON shop.item TO PUBLIC; COMMENT ON FUNCTION shop.one() IS ''x''', depends_on => '{b}'),
       schema_register('d', 'ALTER TABLE shop.item ALTER id TYPE bigint', depends_on => '{b}'),
       schema_register('e', 'TRUNCATE shop.item', depends_on => '{d}'),
       schema_register('f', 'DROP VIEW shop.customers; CREATE VIEW shop.customers AS SELECT 1 AS one', depends_on => '{e}'),
       schema_register('g', 'DROP TABLE shop.customer CASCADE; DROP FUNCTION shop.one(); ALTER TABLE shop.item RENAME TO thing', depends_on => '{f}'),
       schema_register('h', 'DROP SCHEMA shop CASCADE', depends_on => '{g}'),
       schema_register('i', 'SELECT 1', depends_on => '{h}');
SET client_min_messages = warning;
SELECT * FROM public.objects;
SELECT name, objects, locks FROM schema_dry_run() WHERE name IN ('d', 'e', 'g', 'i');
DELETE FROM schema_migration;

-- A value of an enum that is new can be used by nobody before a commit: nothing is known of what does.
SELECT schema_register('a', 'CREATE TYPE shop.size AS ENUM (''s'')'), schema_register('b', 'ALTER TYPE shop.size ADD VALUE ''m''', depends_on => '{a}'),
       schema_register('c', 'SELECT ''m''::shop.size', depends_on => '{b}');
SELECT name, ok, sqlstate, message FROM schema_dry_run();
DELETE FROM schema_migration;

-- Deferred constraints are checked at the end of each migration, and are deferred in the next one again.
SELECT schema_register('a', 'CREATE TABLE shop.part (id int PRIMARY KEY, whole int REFERENCES shop.part DEFERRABLE INITIALLY DEFERRED); INSERT INTO shop.part VALUES (1, 2), (2, NULL)'),
       schema_register('b', 'INSERT INTO shop.part VALUES (3, 4); INSERT INTO shop.part VALUES (4, 4); ALTER TABLE shop.item ADD part int REFERENCES shop.part DEFERRABLE INITIALLY DEFERRED', depends_on => '{a}'),
       schema_register('c', 'INSERT INTO shop.part VALUES (5, 6)', depends_on => '{a}'),
       schema_register('d', 'ALTER TABLE shop.part ADD name text; INSERT INTO shop.item VALUES (2, ''x'', 9); INSERT INTO shop.part VALUES (9, 9)', depends_on => '{b}');
SELECT name, ok, sqlstate, message, statement FROM schema_dry_run();
DELETE FROM schema_migration;

-- Settings end with each migration, and the role.
CREATE ROLE regress_schema_dry;
SELECT schema_register('a', 'SET search_path = shop; SET work_mem = ''77kB''; SET ROLE regress_schema_dry'),
       schema_register('b', 'DO $$ BEGIN IF current_setting(''work_mem'') = ''77kB'' OR current_user = ''regress_schema_dry'' THEN RAISE ''left''; END IF; END $$; CREATE TABLE public.here ()');
SELECT name, ok, message FROM schema_dry_run();
SHOW search_path;
SELECT current_setting('work_mem') <> '77kB' AS work_mem, current_user = session_user AS current_user;

-- Nor does the session keep what is no part of a transaction; what it had it has.
PREPARE mine AS SELECT 1;
SELECT pg_advisory_lock(-7), pg_advisory_lock_shared(1, -2);
SELECT schema_register('c', 'PREPARE "Odd; name" AS SELECT 1; LISTEN here; DECLARE c CURSOR WITH HOLD FOR SELECT 1; SELECT pg_advisory_lock(-8), pg_advisory_lock(-8), pg_advisory_lock(-3, 4), pg_advisory_lock_shared(5)');
SELECT name, ok FROM schema_dry_run('c');
SELECT schema_register('c', 'SELECT pg_advisory_lock(9); SELECT set_config(''statement_timeout'', ''1'', true); DO $$ BEGIN LOOP END LOOP; END $$');
SET statement_timeout = '500ms';
\set VERBOSITY terse
SELECT name, ok FROM schema_dry_run('c');
\set VERBOSITY default
RESET statement_timeout;
SELECT name FROM pg_prepared_statements;
SELECT classid, objid, objsubid, mode FROM pg_locks WHERE locktype = 'advisory' AND pid = pg_backend_pid() ORDER BY objsubid;
SELECT (SELECT count(*) FROM pg_listening_channels()) AS channels, (SELECT count(*) FROM pg_cursors) AS cursors;
SELECT pg_advisory_unlock_all();
DEALLOCATE mine;
DELETE FROM schema_migration WHERE name = 'c';

-- In a transaction as well, whose own work stays; one that only reads cannot.
BEGIN ISOLATION LEVEL REPEATABLE READ;
CREATE TABLE public.mine (id int);
SELECT name, ok FROM schema_dry_run();
SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND pid = pg_backend_pid();
SELECT count(*) FROM public.mine;
COMMIT;
BEGIN READ ONLY;
SELECT * FROM schema_dry_run();
\echo :LAST_ERROR_SQLSTATE
ROLLBACK;
DELETE FROM schema_migration;

-- Whoever calls it runs the scripts with his own rights.
GRANT USAGE ON SCHEMA notebook_migrate TO regress_schema_dry;
GRANT EXECUTE ON FUNCTION schema_dry_run(text) TO regress_schema_dry;
SELECT schema_register('a', 'CREATE TABLE shop.secret ()'), schema_register('b', 'DELETE FROM notebook_migrate.schema_history'), schema_register('c', 'CREATE TEMP TABLE t ()');
SET ROLE regress_schema_dry;
SELECT name, ok, sqlstate, objects FROM schema_dry_run();
RESET ROLE;
DELETE FROM schema_migration;

-- A script that is cancelled ends the dry run; one that runs migrations itself fails. Neither leaves anything.
SELECT schema_register('a', 'CREATE TABLE shop.slow (); SELECT notebook_migrate.schema_dry_run()');
SELECT name, ok, sqlstate, message FROM schema_dry_run();
SELECT schema_register('a', 'CREATE TABLE shop.slow (); DO $$ BEGIN LOOP END LOOP; END $$');
SET statement_timeout = '500ms';
\set VERBOSITY terse
SELECT * FROM schema_dry_run();
\echo :LAST_ERROR_SQLSTATE
DO $$ BEGIN
  PERFORM * FROM notebook_migrate.schema_dry_run();
EXCEPTION WHEN query_canceled THEN
  CREATE TABLE public.later ();
END $$;
RESET statement_timeout;
\set VERBOSITY default
SELECT to_regclass('shop.slow'), to_regclass('public.later');
SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND pid = pg_backend_pid();
SELECT schema_register('a', 'CREATE TABLE shop.fast ()');
SELECT name, ok, objects FROM schema_dry_run();

-- None can drop the extension; one that deletes what is behind it ends the rehearsal.
SELECT schema_register('b', 'DROP EXTENSION notebook_migrate'), schema_register('c', 'DELETE FROM notebook_migrate.schema_migration'), schema_register('d', 'SELECT 1');
SELECT name, ok, sqlstate, message FROM schema_dry_run('b');
SELECT * FROM schema_dry_run();
\echo :LAST_ERROR_SQLSTATE
SELECT * FROM schema_verify(true);
\echo :LAST_ERROR_SQLSTATE
DELETE FROM schema_migration WHERE name <> 'a';

-- A squash is run in the place of its parts, and what depends on one of these depends on it.
SELECT schema_register('b', 'SELECT 1', depends_on => '{a}'), schema_register('s', 'SELECT 1/0', replaces => '{a,b}'), schema_register('t', 'SELECT 1', depends_on => '{b}');
SELECT ordinal, name, ok, sqlstate, message FROM schema_dry_run();
SELECT * FROM schema_dry_run(NULL) WHERE false;
\c contrib_regression
DROP DATABASE regress_schema_dry_run;
DROP ROLE regress_schema_dry;
