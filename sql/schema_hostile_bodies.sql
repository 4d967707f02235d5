-- Scripts of schema migrations that do what no script should: the server stays up, and says what is wrong.
\getenv abs_srcdir PG_ABS_SRCDIR
\set prologue :abs_srcdir '/sql/include/schema_hostile.sql'
\i :prologue

-- Utilities that end, name or use a transaction of their own.
SELECT attempt('DO $$ BEGIN COMMIT; END $$');
CALL schema_up();
\echo :SQLSTATE
SELECT attempt('DO $$ BEGIN ROLLBACK; END $$');
CALL schema_up();
\echo :SQLSTATE
SELECT attempt('CREATE PROCEDURE commits() LANGUAGE plpgsql AS $$ BEGIN COMMIT; END $$; CALL commits()');
CALL schema_up();
\echo :SQLSTATE
SELECT attempt('DO $$ BEGIN EXECUTE ''COMMIT''; END $$');
CALL schema_up();
\echo :SQLSTATE
SELECT attempt('VACUUM');
CALL schema_up();
\echo :SQLSTATE
SELECT attempt('CREATE TABLE t (i int); CREATE INDEX CONCURRENTLY ON t (i)');
CALL schema_up();
\echo :SQLSTATE
SELECT attempt('CREATE DATABASE regress_nbm_never');
CALL schema_up();
\echo :SQLSTATE
SELECT attempt('DISCARD ALL');
CALL schema_up();
\echo :SQLSTATE
SELECT attempt('ALTER SYSTEM SET work_mem = ''64kB''');
CALL schema_up();
\echo :SQLSTATE
SELECT attempt('SET TRANSACTION ISOLATION LEVEL SERIALIZABLE');
CALL schema_up();
\echo :SQLSTATE
SELECT attempt('SET TRANSACTION READ ONLY; CREATE TABLE never ()');
CALL schema_up();
\echo :SQLSTATE
SELECT attempt('SET TRANSACTION READ ONLY');
CALL schema_up();
\echo :SQLSTATE
SELECT attempt('SET transaction_read_only = on; SET default_transaction_read_only = on');
CALL schema_up();
\echo :SQLSTATE
SHOW transaction_read_only;
SHOW default_transaction_read_only;

-- Its own runner's functions.
SELECT recorded();
SELECT attempt('SELECT notebook_migrate.schema_up_atomic()');
CALL schema_up();
\echo :SQLSTATE
SELECT recorded();
SELECT attempt('CALL notebook_migrate.schema_up()');
CALL schema_up();
\echo :SQLSTATE
SELECT attempt('CALL notebook_migrate.schema_down()');
CALL schema_up();
\echo :SQLSTATE
SELECT attempt('DO $$ BEGIN CALL notebook_migrate.schema_up(); END $$');
CALL schema_up();
\echo :SQLSTATE
-- At its commit, by a trigger that puts itself off once more when it is called at the script's end.
SELECT attempt($$ CREATE TABLE fuse (i int);
  CREATE FUNCTION burn() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN
    IF new.i = 2 THEN PERFORM notebook_migrate.schema_up_atomic(); ELSE SET CONSTRAINTS ALL DEFERRED; INSERT INTO fuse VALUES (new.i + 1); END IF;
    RETURN NULL; END';
  CREATE CONSTRAINT TRIGGER burn AFTER INSERT ON fuse DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION burn();
  INSERT INTO fuse VALUES (1) $$);
CALL schema_up();
\echo :SQLSTATE
SELECT recorded();
SELECT attempt('SELECT notebook_migrate.schema_register(''a_later'', ''CREATE TABLE a_later ()'', ''DROP TABLE a_later'')');
CALL schema_up();
\echo :SQLSTATE
CALL schema_up();
SELECT recorded(), to_regclass('a_later');
-- What is being applied cannot be given another text: it would be taken for changed ever after.
BEGIN;
\set VERBOSITY sqlstate
SELECT attempt('SELECT notebook_migrate.schema_register(name, ''SELECT 7'') FROM notebook_migrate.schema_status() WHERE state NOT IN (''applied'', ''baseline'')');
SELECT schema_up_atomic();
\echo :SQLSTATE
\set VERBOSITY terse
ROLLBACK;
SELECT attempt('SELECT count(*) FROM notebook_migrate.schema_plan(); SELECT count(*) FROM notebook_migrate.schema_status()');
CALL schema_up();
\echo :SQLSTATE
SELECT recorded();

-- The tables of the extension.
SELECT attempt('DROP TABLE notebook_migrate.schema_history');
CALL schema_up();
\echo :SQLSTATE
SELECT attempt('TRUNCATE notebook_migrate.schema_history');
CALL schema_up();
\echo :SQLSTATE
SELECT attempt('DELETE FROM notebook_migrate.schema_migration WHERE name NOT IN (SELECT name FROM notebook_migrate.schema_history WHERE state = ''applied'')');
CALL schema_up();
\echo :SQLSTATE
SELECT recorded();
SELECT name, state, note FROM schema_status() WHERE state = 'missing';
SELECT attempt('LOCK TABLE notebook_migrate.schema_history, notebook_migrate.schema_migration');
CALL schema_up();
\echo :SQLSTATE
SELECT recorded();
BEGIN;
SELECT attempt('ALTER TABLE notebook_migrate.schema_history RENAME TO elsewhere');
SELECT schema_up_atomic();
\echo :SQLSTATE
ROLLBACK;
SELECT attempt('ALTER TABLE notebook_migrate.schema_history RENAME COLUMN name TO other');
CALL schema_up();
\echo :SQLSTATE
SELECT recorded();
SELECT attempt('ALTER EXTENSION notebook_migrate DROP TABLE notebook_migrate.schema_history; DROP TABLE notebook_migrate.schema_history');
CALL schema_up();
\echo :SQLSTATE
SELECT recorded();
SELECT attempt('DROP SCHEMA notebook_migrate CASCADE');
CALL schema_up();
\echo :SQLSTATE
SELECT attempt('DROP EXTENSION notebook_migrate');
CALL schema_up();
\echo :SQLSTATE
SELECT recorded();
BEGIN;
SELECT attempt('DROP EXTENSION notebook_migrate; CREATE EXTENSION notebook_migrate');
SELECT schema_up_atomic();
\echo :SQLSTATE
SELECT recorded();
ROLLBACK;
SELECT attempt('CREATE TRIGGER mine BEFORE INSERT ON notebook_migrate.schema_history FOR EACH ROW EXECUTE FUNCTION suppress_redundant_updates_trigger()');
CALL schema_up();
\echo :SQLSTATE

-- None of this was an internal error, and the store is whole.
SELECT count(*) FROM schema_history WHERE sqlstate LIKE 'XX%' AND message NOT LIKE 'the user says so';
SELECT count(*) FROM pg_locks WHERE locktype = 'advisory';
SELECT * FROM store_verify(NULL, NULL);
\c :here
DROP DATABASE regress_nbm_hostile;
