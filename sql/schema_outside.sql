-- Schema migrations: a statement that no transaction can have is run by a background worker.
CREATE DATABASE regress_schema_outside;
\c regress_schema_outside
CREATE EXTENSION notebook_migrate;
CREATE SCHEMA app;
SET search_path = app, notebook_migrate;
SELECT schema_register('1-table', 'CREATE TABLE t (a int); INSERT INTO t VALUES (1), (1)', 'DROP TABLE t'),
       schema_register('2-index', E'-- without a lock\nCREATE UNIQUE INDEX CONCURRENTLY t_a ON t (a);', 'DROP INDEX CONCURRENTLY t_a',
                       '{1-table}', transactional => false);

-- What it leaves behind when it fails is told; once more is no success either.
CALL schema_up();
CALL schema_up();
SELECT schema_register('2-index', 'CREATE UNIQUE INDEX CONCURRENTLY IF NOT EXISTS t_a ON t (a)', 'DROP INDEX CONCURRENTLY t_a',
                       '{1-table}', transactional => false);
CALL schema_up();
DROP INDEX t_a;
DELETE FROM t;
CALL schema_up();
SELECT indisvalid FROM pg_index WHERE indexrelid = 't_a'::regclass;
CALL schema_down();
CALL schema_up();
SELECT name, direction, state, sqlstate, message, statement, position, applied_by = current_user AS applied_by, duration > '0' AS duration,
       sha256 = sha256('CREATE UNIQUE INDEX CONCURRENTLY IF NOT EXISTS t_a ON t (a)') AS digest
  FROM schema_history ORDER BY entry;

-- The same with a backslash in a string that the session would read in another way.
SELECT schema_register('2-part', $$CREATE UNIQUE INDEX CONCURRENTLY IF NOT EXISTS t_b ON t (b) WHERE b <> 'x\'$$, transactional => false);
ALTER TABLE t ADD b text;
INSERT INTO t VALUES (2, 'y'), (3, 'y');
SET standard_conforming_strings = off;
CALL schema_up();
CALL schema_up();
RESET standard_conforming_strings;
SELECT name, state FROM schema_status() WHERE name = '2-part';
DELETE FROM schema_migration WHERE name = '2-part';
DROP INDEX t_b;

-- A success that the history does not take in is told as such.
CREATE FUNCTION swallow() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END';
CREATE TRIGGER swallow BEFORE INSERT ON schema_history FOR EACH ROW WHEN (NEW.state = 'applied') EXECUTE FUNCTION swallow();
SELECT schema_register('2-vacuum', 'VACUUM t', transactional => false);
CALL schema_up();
DROP TRIGGER swallow ON schema_history;
DELETE FROM schema_migration WHERE name = '2-vacuum';

-- A syntax error has been told before; others have their position.
SELECT schema_register('3-vacuum', 'VACUUM t u', transactional => false);
SELECT schema_register('3-vacuum', E'  /* ü */ SELECT\n  u FROM t', transactional => false);
CALL schema_up();
SELECT name, sqlstate, statement, position FROM schema_history ORDER BY entry DESC LIMIT 1;

-- One transaction for all cannot have it.
SELECT schema_up_atomic();
SELECT schema_register('3-vacuum', 'VACUUM t', transactional => false);
CALL schema_up();
CALL schema_down();
SELECT name, state FROM schema_status();
SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND database = (SELECT oid FROM pg_database WHERE datname = current_database());
\c contrib_regression
DROP DATABASE regress_schema_outside;
