-- What schema_lint says of scripts. Each has its statements' numbers, and nothing is run.
\pset format unaligned
\pset tuples_only on
CREATE SCHEMA lint;
SET search_path = lint, public;
CREATE TABLE big (id int PRIMARY KEY, short varchar(10), price numeric(10,2), seen timestamptz, day date, checked int CHECK (checked > 0 AND checked IS NOT NULL),
  guessed int CHECK (guessed > 0), code text NOT NULL, doubted int);
ALTER TABLE big ADD CONSTRAINT unsure CHECK (doubted IS NOT NULL) NOT VALID;
CREATE INDEX big_day ON big (day);
CREATE TABLE small (id int PRIMARY KEY, big_id int);
CREATE TABLE parted (id int, at date) PARTITION BY RANGE (at);
CREATE TABLE parted_1 PARTITION OF parted FOR VALUES FROM ('2026-01-01') TO ('2026-02-01');
CREATE TABLE parted_2 PARTITION OF parted FOR VALUES FROM ('2026-02-01') TO ('2026-03-01');
CREATE MATERIALIZED VIEW summary AS SELECT 1 AS a;
CREATE VIEW looked AS SELECT id FROM big;
CREATE DOMAIN positive AS int CHECK (VALUE > 0);
CREATE DOMAIN plain AS int;
CREATE TYPE pair AS (a int, b int);
CREATE FUNCTION mine() RETURNS int LANGUAGE sql IMMUTABLE AS 'SELECT 1';
CREATE FUNCTION yours() RETURNS int LANGUAGE sql VOLATILE AS 'SELECT 1';
-- The rows that the server would know of after ANALYZE.
UPDATE pg_class SET reltuples = 5e6 WHERE oid = 'big'::regclass;
UPDATE pg_class SET reltuples = 600000 WHERE oid IN ('parted_1'::regclass, 'parted_2'::regclass);
UPDATE pg_class SET reltuples = 999999 WHERE oid = 'small'::regclass;
CREATE FUNCTION pg_temp.lint(VARIADIC scripts text[]) RETURNS TABLE(script text, rules text) LANGUAGE sql AS $$
  SELECT s, coalesce((SELECT string_agg(statement || ' ' || rule, ', ') FROM notebook_migrate.schema_lint(s)), '-')
    FROM unnest(scripts) WITH ORDINALITY AS u (s, n) ORDER BY n $$;

-- A script, and what is to be known of it.
SELECT * FROM notebook_migrate.schema_lint($$
  CREATE TABLE note (id int PRIMARY KEY, body text);
  ALTER TABLE big ADD COLUMN added_at timestamptz NOT NULL DEFAULT clock_timestamp();
  CREATE INDEX ON big (code);
  ALTER TABLE small DROP COLUMN big_id, ADD COLUMN owner text NOT NULL;
$$);

-- What waits for nobody is not mentioned, nor is a table that the script makes.
SELECT * FROM pg_temp.lint('', ' ;; ', 'SELECT 1', 'INSERT INTO big VALUES (1)', 'CREATE VIEW v AS SELECT 1', 'COMMENT ON TABLE big IS ''x''',
  'ANALYZE big', 'GRANT SELECT ON big TO PUBLIC', 'CREATE TRIGGER t AFTER INSERT ON big EXECUTE FUNCTION f()', 'ALTER TABLE big DISABLE TRIGGER ALL',
  'ALTER TABLE big SET (fillfactor = 50)', 'LOCK TABLE big IN SHARE MODE', 'ALTER INDEX big_day SET (fillfactor = 50)', 'DO $x$ BEGIN DROP TABLE big; END $x$',
  'CREATE TABLE n (id int); CREATE INDEX n_id ON n (id); ALTER TABLE n ADD PRIMARY KEY (id), ADD c int NOT NULL, ALTER id TYPE bigint; ALTER TABLE n RENAME TO m;
   ALTER TABLE m DROP COLUMN c, ADD FOREIGN KEY (id) REFERENCES small; TRUNCATE m; DROP INDEX n_id; DROP TABLE m',
  'CREATE TEMP TABLE big (id int); DROP TABLE big', 'SELECT 1 AS a INTO made; ALTER TABLE made DROP COLUMN a', 'CREATE TABLE made AS SELECT 1 AS a; TRUNCATE made',
  'CREATE SCHEMA s CREATE TABLE t (id int); ALTER TABLE s.t ALTER id SET NOT NULL; DROP TABLE s.t', 'CREATE MATERIALIZED VIEW mv AS SELECT 1; REFRESH MATERIALIZED VIEW mv');

-- access-exclusive: only where the table is big.
SELECT * FROM pg_temp.lint('ALTER TABLE small ALTER id SET DEFAULT 1', 'ALTER TABLE big ALTER id SET DEFAULT 1', 'ALTER TABLE lint.big RENAME CONSTRAINT big_pkey TO pk',
  'ALTER TABLE parted ALTER id SET DEFAULT 1', 'ALTER TABLE ONLY parted_1 ALTER id SET DEFAULT 1', 'LOCK big', 'LOCK small, big IN ACCESS EXCLUSIVE MODE', 'DROP TRIGGER t ON lint.big',
  'CREATE POLICY p ON big', 'ALTER POLICY p ON big TO PUBLIC', 'DROP POLICY p ON big', 'CREATE RULE r AS ON INSERT TO big DO NOTHING', 'DROP RULE r ON big', 'ALTER TABLE big ENABLE ROW LEVEL SECURITY',
  'CREATE TABLE parted_3 PARTITION OF parted DEFAULT', 'ALTER TABLE parted ATTACH PARTITION big DEFAULT', 'ALTER TABLE small RENAME TO s; ALTER TABLE s ALTER id SET DEFAULT 1',
  'ALTER TABLE big RENAME TO b; ALTER TABLE b ALTER id SET DEFAULT 1', 'DROP TABLE big; CREATE TABLE big (id int); ALTER TABLE big ALTER id SET DEFAULT 1', 'ALTER VIEW big SET SCHEMA public; LOCK public.big');
SET notebook_migrate.schema_big_table = 999999;
SELECT * FROM pg_temp.lint('LOCK small');
RESET notebook_migrate.schema_big_table;
SET notebook_migrate.schema_big_table = -1;
\echo :SQLSTATE

-- table-rewrite: as the server decides it.
SELECT * FROM pg_temp.lint('ALTER TABLE small ADD a int DEFAULT 1', 'ALTER TABLE small ADD a timestamptz DEFAULT now()', 'ALTER TABLE small ADD a float DEFAULT random()',
  'ALTER TABLE small ADD a int DEFAULT 1 + abs(mine())', 'ALTER TABLE small ADD a int DEFAULT 1 + abs(yours())', 'ALTER TABLE small ADD a int DEFAULT lint.unheard_of()', 'ALTER TABLE small ADD a int DEFAULT CASE WHEN true THEN 1 ELSE yours() END',
  'ALTER TABLE small ADD a serial', 'ALTER TABLE small ADD a bigint GENERATED ALWAYS AS IDENTITY', 'ALTER TABLE small ADD a int GENERATED ALWAYS AS (id + 1) STORED', 'ALTER TABLE small ADD a uuid DEFAULT gen_random_uuid() NOT NULL',
  'ALTER TABLE small ADD a positive', 'ALTER TABLE small ADD a plain DEFAULT 1', 'ALTER TABLE small ADD a nowhere', 'ALTER TABLE small ADD a int DEFAULT (SELECT 1)');
SELECT * FROM pg_temp.lint('ALTER TABLE small ALTER id TYPE bigint', 'ALTER TABLE small ALTER id TYPE int', 'ALTER TABLE small ALTER id TYPE plain', 'ALTER TABLE small ALTER id TYPE positive', 'ALTER TABLE small ALTER id TYPE text', 'ALTER TABLE small ALTER id TYPE nowhere',
  'ALTER TABLE small ALTER id TYPE oid', 'ALTER TABLE small ALTER none TYPE text', 'ALTER TABLE nowhere ALTER id TYPE text');
SELECT * FROM pg_temp.lint(VARIADIC ARRAY(SELECT format('ALTER TABLE big ALTER %s', what)
  FROM unnest(ARRAY['short TYPE varchar(20)', 'short TYPE varchar', 'short TYPE text', 'short TYPE text USING short', 'short TYPE text USING short::text', 'short TYPE text USING lower(short)', 'short TYPE varchar(20) USING short::varchar(5)', 'short TYPE varchar(9)', 'short TYPE char(10)', 'short TYPE jsonb USING short::jsonb',
    'price TYPE numeric(12,2)', 'price TYPE numeric', 'price TYPE numeric(12,3)', 'price TYPE numeric(9,2)', 'seen TYPE timestamptz(3)', 'seen TYPE timestamp', 'day TYPE timestamp']) WITH ORDINALITY AS u (what, n) ORDER BY n));
SET timezone = 'UTC';
SELECT * FROM pg_temp.lint('ALTER TABLE ONLY lint.big ALTER seen TYPE timestamp');
RESET timezone;
SELECT * FROM pg_temp.lint('ALTER TABLE small SET LOGGED', 'ALTER TABLE small SET UNLOGGED', 'ALTER TABLE small SET TABLESPACE elsewhere', 'ALTER TABLE small SET ACCESS METHOD other', 'ALTER TABLE ALL IN TABLESPACE a SET TABLESPACE b',
  'VACUUM FULL small', 'VACUUM (FULL) small, big', 'VACUUM (FULL false, ANALYZE) small', 'VACUUM FULL', 'CLUSTER small USING small_pkey', 'CLUSTER');

-- missing-concurrently
SELECT * FROM pg_temp.lint('CREATE INDEX ON small (id)', 'CREATE UNIQUE INDEX CONCURRENTLY ON small (id)', 'CREATE INDEX ON nowhere (id)', 'CREATE INDEX ON parted (id)', 'CREATE INDEX ON ONLY parted (id)', 'DROP INDEX big_day', 'DROP INDEX CONCURRENTLY big_day',
  'DROP INDEX nowhere', 'DROP INDEX IF EXISTS nowhere', 'REINDEX TABLE small', 'REINDEX INDEX big_day', 'REINDEX (CONCURRENTLY) TABLE small', 'REINDEX SCHEMA lint', 'ALTER TABLE small ADD UNIQUE (big_id)', 'ALTER TABLE small ADD PRIMARY KEY (big_id)',
  'ALTER TABLE small ADD UNIQUE USING INDEX made_before', 'ALTER TABLE small ADD a int UNIQUE', 'ALTER TABLE small ADD a int PRIMARY KEY', 'REFRESH MATERIALIZED VIEW summary', 'REFRESH MATERIALIZED VIEW CONCURRENTLY summary',
  'ALTER TABLE parted DETACH PARTITION parted_1', 'ALTER TABLE parted DETACH PARTITION parted_1 CONCURRENTLY');

-- not-in-transaction: where other statements stand beside it.
SELECT * FROM pg_temp.lint('SELECT 1; CREATE INDEX CONCURRENTLY ON small (id)', 'DROP INDEX CONCURRENTLY big_day; SELECT 1', 'VACUUM; SELECT 1', 'ANALYZE; SELECT 1', 'ALTER SYSTEM SET work_mem = 1; SELECT 1', 'CREATE DATABASE d; DROP DATABASE d',
  'REINDEX DATABASE d; SELECT 1', 'REINDEX (CONCURRENTLY) TABLE small; SELECT 1', 'CLUSTER; SELECT 1', 'ALTER TABLE parted DETACH PARTITION parted_1 CONCURRENTLY; SELECT 1', 'CREATE DATABASE d');

-- not-null-without-default, not-null-scan
SELECT * FROM pg_temp.lint('ALTER TABLE small ADD a int NOT NULL', 'ALTER TABLE small ADD a int', 'ALTER TABLE small ADD a int NOT NULL DEFAULT 1', 'ALTER TABLE small ADD a int GENERATED BY DEFAULT AS IDENTITY NOT NULL', 'ALTER TABLE small ADD a serial NOT NULL', 'ALTER TABLE small ADD a positive NOT NULL', 'ALTER TABLE nowhere ADD a int NOT NULL',
  'ALTER TABLE small ADD a int; UPDATE small SET a = 1; ALTER TABLE small ALTER a SET NOT NULL', 'ALTER TABLE small ALTER big_id SET NOT NULL', 'ALTER TABLE small ALTER id SET NOT NULL', 'ALTER TABLE nowhere ALTER id SET NOT NULL', 'ALTER TABLE IF EXISTS nowhere ALTER id SET NOT NULL',
  'ALTER TABLE ONLY parted_1 ALTER id SET NOT NULL');
SET notebook_migrate.schema_big_table = 10000000;
SELECT * FROM pg_temp.lint('ALTER TABLE big ALTER code SET NOT NULL', 'ALTER TABLE big ALTER checked SET NOT NULL', 'ALTER TABLE big ALTER guessed SET NOT NULL', 'ALTER TABLE big ALTER doubted SET NOT NULL', 'ALTER TABLE big ALTER "no such" SET NOT NULL');

-- missing-not-valid
SELECT * FROM pg_temp.lint('ALTER TABLE small ADD FOREIGN KEY (big_id) REFERENCES big', 'ALTER TABLE small ADD FOREIGN KEY (big_id) REFERENCES big NOT VALID', 'ALTER TABLE small ADD CHECK (id > 0)', 'ALTER TABLE small ADD CONSTRAINT c CHECK (id > 0) NOT VALID',
  'ALTER TABLE small VALIDATE CONSTRAINT c', 'ALTER TABLE small ADD CONSTRAINT c CHECK (id > 0) NOT VALID; ALTER TABLE small VALIDATE CONSTRAINT c', 'ALTER TABLE small ADD a int REFERENCES big', 'ALTER TABLE small ADD a int DEFAULT 1 REFERENCES big', 'ALTER TABLE small ADD a int CHECK (a > 0)');
RESET notebook_migrate.schema_big_table;

-- drop-column, drop-table, truncate
SELECT * FROM pg_temp.lint('ALTER TABLE small DROP big_id', 'ALTER TABLE small DROP IF EXISTS big_id', 'ALTER TABLE small DROP IF EXISTS none', 'ALTER TABLE nowhere DROP a', 'ALTER TABLE IF EXISTS nowhere DROP a', 'ALTER TABLE small ADD a int; ALTER TABLE small DROP a', 'ALTER TYPE pair DROP ATTRIBUTE b CASCADE',
  'DROP TABLE small', 'DROP TABLE small, nowhere CASCADE', 'DROP TABLE IF EXISTS nowhere, small', 'DROP VIEW looked', 'DROP MATERIALIZED VIEW summary', 'DROP SCHEMA lint', 'DROP SCHEMA lint CASCADE', 'DROP TYPE pair CASCADE', 'DROP TYPE pair', 'DROP DOMAIN positive CASCADE', 'DROP EXTENSION x CASCADE', 'DROP FUNCTION mine CASCADE',
  'DROP OWNED BY CURRENT_USER', 'TRUNCATE small, nowhere', 'DROP TABLE small; CREATE TABLE small (id int); DROP TABLE small');

-- rename
SELECT * FROM pg_temp.lint('ALTER TABLE small RENAME TO tiny', 'ALTER TABLE small RENAME big_id TO b', 'ALTER TABLE small RENAME CONSTRAINT small_pkey TO pk', 'ALTER INDEX big_day RENAME TO d', 'ALTER TABLE big_day RENAME TO d', 'ALTER VIEW looked RENAME TO l', 'ALTER SCHEMA lint RENAME TO l', 'ALTER TYPE pair RENAME TO p',
  'ALTER TYPE pair RENAME ATTRIBUTE a TO b', 'ALTER FUNCTION mine() RENAME TO ours', 'ALTER ROLE a RENAME TO b', 'ALTER TABLE small SET SCHEMA public', 'ALTER FUNCTION mine SET SCHEMA public', 'ALTER TABLE IF EXISTS nowhere RENAME TO b', 'ALTER TABLE nowhere RENAME TO b', 'ALTER MATERIALIZED VIEW summary RENAME a TO b', 'ALTER TRIGGER t ON small RENAME TO u');

-- What registration refuses.
SELECT * FROM pg_temp.lint('BEGIN; SELECT 1; COMMIT', 'SAVEPOINT a; ROLLBACK TO a', 'COPY small FROM STDIN', 'COPY small TO STDOUT', 'COPY small FROM ''/f''', 'CREATE PROCEDURE p() LANGUAGE plpgsql AS $x$ BEGIN COMMIT; END $x$');
SELECT * FROM notebook_migrate.schema_lint(E'SELECT 1;\nSELECT ''é'';\nSELEC 2');
\echo :SQLSTATE
SELECT * FROM notebook_migrate.schema_lint(E'SELECT 1;\n\\d small');
\echo :SQLSTATE
SELECT * FROM notebook_migrate.schema_lint('SELECT 1; ALTER TABLE small ALTER id TYPE varchar(0)');
\echo :SQLSTATE
SELECT * FROM notebook_migrate.schema_lint('DROP TABLE a.b.c.d');
\echo :SQLSTATE
SELECT * FROM notebook_migrate.schema_lint(NULL);
\echo :SQLSTATE

-- Names are found along the caller's search path, or along the one that the script sets.
SET search_path = public;
SELECT * FROM pg_temp.lint('LOCK big', 'LOCK lint.big', 'SET search_path = lint; LOCK big', 'SET LOCAL search_path TO nowhere, "lint"; LOCK big; RESET search_path; LOCK big', 'SET search_path = lint; SET search_path = DEFAULT; LOCK big', 'SET SEARCH_PATH = ''a b"'', lint; LOCK big',
  'SET search_path = lint; CREATE SCHEMA other; SET search_path = other, lint; CREATE TABLE big (id int); LOCK big; LOCK lint.big; LOCK other.big', 'SET search_path = lint; ALTER TABLE small ADD a int DEFAULT mine()', 'ALTER TABLE lint.small ADD a int DEFAULT mine()');
SHOW search_path;

-- Odd names.
CREATE TABLE lint."a ""b""; DROP TABLE small" ("é 'x'" int);
UPDATE pg_class SET reltuples = 1e9 WHERE relname = 'a "b"; DROP TABLE small';
SELECT message FROM notebook_migrate.schema_lint('ALTER TABLE lint."a ""b""; DROP TABLE small" ALTER "é ''x''" TYPE bigint, DROP "é ''x''"');

-- It reads nothing of the tables and locks none, and needs no rights on them or their schema; types and functions it must be able to find.
CREATE ROLE regress_lint;
GRANT USAGE ON SCHEMA notebook_migrate TO regress_lint;
SET ROLE regress_lint;
SELECT * FROM notebook_migrate.schema_lint('SELECT 1');
\echo :SQLSTATE
RESET ROLE;
GRANT EXECUTE ON FUNCTION notebook_migrate.schema_lint TO regress_lint;
SET ROLE regress_lint;
SELECT statement, rule FROM notebook_migrate.schema_lint('ALTER TABLE lint.big ALTER id TYPE bigint; ALTER TABLE lint.big ALTER id TYPE lint.plain');
BEGIN;
SELECT statement, rule FROM notebook_migrate.schema_lint('LOCK lint.big; DROP TABLE lint.big; VACUUM FULL lint.big');
SELECT relation::regclass, mode FROM pg_locks WHERE pid = pg_backend_pid() AND relation::regclass::text LIKE 'lint.%';
COMMIT;
BEGIN READ ONLY;
SELECT count(*) FROM notebook_migrate.schema_lint('LOCK lint.big');
COMMIT;
RESET ROLE;

-- No function of a table's owner is called with the rights of whoever lints, though planning an expression would call one that is immutable.
CREATE FUNCTION lint.spy(int) RETURNS boolean IMMUTABLE LANGUAGE plpgsql AS $$ BEGIN RAISE NOTICE 'called as %', current_user; RETURN true; END $$;
CREATE TYPE lint.wrapped AS (i int);
CREATE FUNCTION lint.unwrap(lint.wrapped) RETURNS int IMMUTABLE LANGUAGE sql AS 'SELECT CASE WHEN lint.spy(2) THEN 1 END';
CREATE CAST (lint.wrapped AS int) WITH FUNCTION lint.unwrap AS ASSIGNMENT;
CREATE TABLE lint.spied (i int CHECK (lint.spy(1)), j int CHECK (lint.spy(1) AND j IS NOT NULL), w lint.wrapped);
SELECT statement, rule FROM notebook_migrate.schema_lint('ALTER TABLE lint.spied ALTER i SET NOT NULL; ALTER TABLE lint.spied ALTER j SET NOT NULL; ALTER TABLE lint.spied ALTER w TYPE int; ALTER TABLE lint.spied ALTER w TYPE int USING w::int');

-- What is said is text: all messages of what drops with CASCADE, and of partitions.
SELECT statement, message FROM notebook_migrate.schema_lint('DROP SCHEMA lint CASCADE; DROP EXTENSION plpgsql CASCADE; DROP TYPE lint.pair CASCADE; ALTER TABLE lint.parted DETACH PARTITION lint.parted_1') WHERE rule <> 'access-exclusive';

-- A backslash in a string means itself, as it does when the script runs, whatever the session thinks.
SET standard_conforming_strings = off;
SELECT * FROM notebook_migrate.schema_lint($$SELECT 'a\'; DROP TABLE lint.small; SELECT 'b\'$$);
SHOW standard_conforming_strings;
RESET standard_conforming_strings;

-- Deep and long scripts.
SELECT count(*) FROM notebook_migrate.schema_lint(repeat('TRUNCATE lint.small;', 10000));
DO $$
BEGIN
  PERFORM notebook_migrate.schema_lint('ALTER TABLE lint.small ADD a int DEFAULT ' || repeat('(1 + ', 100000) || '1' || repeat(')', 100000));
EXCEPTION WHEN syntax_error OR statement_too_complex OR program_limit_exceeded THEN RAISE NOTICE 'too deep';
END $$;

REVOKE ALL ON SCHEMA notebook_migrate FROM regress_lint;
REVOKE ALL ON FUNCTION notebook_migrate.schema_lint FROM regress_lint;
DROP ROLE regress_lint;
SET client_min_messages = warning;
DROP SCHEMA lint CASCADE;
