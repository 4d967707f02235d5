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
