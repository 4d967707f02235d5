-- Schema migrations: registered, planned, applied, undone. See docs/schema.md.
CREATE DATABASE regress_schema_up;
\c regress_schema_up
CREATE EXTENSION notebook_migrate;
SET search_path = notebook_migrate;
CREATE SCHEMA shop;

-- Registered in any order; a script may stand before what it depends on.
SELECT schema_register('20-order', up => 'CREATE TABLE shop.orders (id int PRIMARY KEY, item int REFERENCES shop.item DEFERRABLE INITIALLY DEFERRED)',
  down => 'DROP TABLE shop.orders', depends_on => '{10-item}');
SELECT * FROM schema_plan();
SELECT schema_register('10-item', 'CREATE TABLE shop.item (id int PRIMARY KEY)', 'DROP TABLE shop.item');

-- The same again is known; another text replaces it, as long as it is not applied.
SELECT schema_register('10-item', 'CREATE TABLE shop.item (id int PRIMARY KEY)', 'DROP TABLE shop.item');
SELECT schema_register('10-item', 'CREATE TABLE shop.item (id int PRIMARY KEY, name text)', 'DROP TABLE shop.item');
SELECT name, up, down, depends_on, replaces, transactional, sha256 = sha256(convert_to(up, 'UTF8')) AS digest FROM schema_migration;
SELECT * FROM schema_plan();

-- Each is applied in a transaction of its own.
CALL schema_up();
SELECT name, state, applied_at <= clock_timestamp() AS applied_at, applied_by = current_user AS applied_by, duration > '0' AS duration, depends_on, note FROM schema_status();
SELECT * FROM schema_plan();
CALL schema_up();

-- A failure keeps what was done before, undoes itself as a whole, and says where it is.
SELECT schema_register('30-price', E'CREATE TABLE shop.price (id int);\n-- ü\nINSERT INTO shop.prise VALUES (1);', depends_on => '{20-order}');
SELECT schema_register('25-name', 'ALTER TABLE shop.item ADD barcode text');
CALL schema_up();
SELECT name, direction, state, sqlstate, message, statement, position FROM schema_history ORDER BY entry;
SELECT name, state, note FROM schema_status();
SELECT to_regclass('shop.price');
SELECT * FROM schema_plan();

-- There is nothing to clear: the script is mended, and it goes on.
SELECT schema_register('30-price', E'CREATE TABLE shop.price (id int);\n-- ü\nINSERT INTO shop.price VALUES (1);', 'DROP TABLE shop.price', depends_on => '{20-order}');
CALL schema_up();
SELECT name, state FROM schema_status();

-- What fails only at the end of the transaction is a failure of its migration as well.
SELECT schema_register('40-first', 'INSERT INTO shop.orders VALUES (1, 4711)');
CALL schema_up();
SELECT schema_register('40-first', 'INSERT INTO shop.orders VALUES (1, 4711); INSERT INTO shop.item VALUES (4711)', 'DELETE FROM shop.orders; DELETE FROM shop.item');
CALL schema_up();

-- A backslash means itself in a script, whatever the session thinks of it.
SELECT schema_register('45-slash', $$CREATE TABLE shop.slash AS SELECT '\' AS c, '; DROP TABLE shop.item; --' AS d$$, 'DROP TABLE shop.slash');
SET standard_conforming_strings = off;
CALL schema_up();
RESET standard_conforming_strings;
SELECT * FROM shop.slash;
CALL schema_down();
DELETE FROM schema_migration WHERE name = '45-slash';

-- What is applied cannot be changed.
SELECT schema_register('40-first', 'SELECT 1');

-- Undone in the reverse order: the last one, the last two, or back to a target.
SELECT * FROM schema_plan(direction => 'down');
CALL schema_down();
SELECT * FROM schema_plan('20-order', 'down');
CALL schema_down('20-order');
SELECT schema_register('25-name', 'ALTER TABLE shop.item ADD barcode text', 'ALTER TABLE shop.item DROP barcode');
UPDATE schema_migration SET down = 'ALTER TABLE shop.item DROP barcode' WHERE name = '25-name';
CALL schema_down(target => '20-order');
SELECT name, state FROM schema_status();
SELECT name, direction, state FROM schema_history ORDER BY entry DESC LIMIT 4;

-- A target and what it needs; some; in one transaction.
SELECT * FROM schema_plan('30-price');
CALL schema_up('30-price', max_count => 1);
SELECT name, state FROM schema_status();
BEGIN;
CALL schema_up();
ROLLBACK;
BEGIN;
SELECT schema_up_atomic();
SELECT to_regclass('shop.price');
ROLLBACK;
SELECT to_regclass('shop.price');
SELECT schema_up_atomic('30-price');
SELECT schema_up_atomic();
SELECT schema_up_atomic();
SELECT name, state FROM schema_status();

-- What does not exist, and what cannot be.
CALL schema_up('99');
CALL schema_down('99');
SELECT * FROM schema_plan('99');
SELECT * FROM schema_plan(direction => 'sideways');
CALL schema_up(max_count => -1);
CALL schema_up(lock_timeout => '-1 s');
SELECT schema_register('x', NULL);
SELECT schema_register('', 'SELECT 1');
SELECT schema_register('x', 'SELECT 1; SELEC 2');
SELECT schema_register('x', E'CREATE TABLE shop.x ();\nCOMMIT;');
SELECT schema_register('x', 'SAVEPOINT a');
SELECT schema_register('x', 'COPY shop.item FROM STDIN');
SELECT schema_register('x', E'COPY shop.item FROM stdin;\n1\tone\n\\.\n');
SELECT schema_register('x', E'SELECT 1;\n\\d shop.item');
SELECT schema_register('x', 'SELECT 1; SELECT 2', transactional => false);
SELECT schema_register('x', 'SELECT 1', depends_on => '{x}');
SELECT schema_register('x', 'SELECT 1', depends_on => ARRAY[NULL]);
SELECT schema_register('x', 'SELECT 1', depends_on => '{a}', replaces => '{b,a}');

-- A statement that no transaction can have tells how it is done.
SELECT schema_register('50-vacuum', 'VACUUM shop.item');
CALL schema_up();
DELETE FROM schema_migration WHERE name = '50-vacuum';

-- A cycle is named where it would be closed, or in the plan.
SELECT schema_register('c1', '', depends_on => '{c3}');
SELECT schema_register('c2', '', depends_on => '{c1}');
SELECT schema_register('c3', '', depends_on => '{40-first,c2}');
INSERT INTO schema_migration (name, up, depends_on) VALUES ('c3', '', '{c2}');
SELECT * FROM schema_plan();
CALL schema_up();
DELETE FROM schema_migration WHERE name = 'c3';

-- What is missing is named before anything is done.
SELECT * FROM schema_plan();
SELECT schema_register('05-early', 'CREATE TABLE shop.early ()', 'DROP TABLE shop.early');
CALL schema_up();
SELECT to_regclass('shop.early');
CALL schema_up('05-early');
DELETE FROM schema_migration WHERE name ~ '^c';

-- Somebody else's database: taken as applied, with all it needs.
SELECT schema_register('b1', 'SELECT 1/0', 'SELECT 1');
SELECT schema_register('b2', 'SELECT 1/0', 'SELECT 1', '{b1}');
SELECT schema_baseline('b2');
SELECT schema_baseline('b2');
SELECT name, state FROM schema_status() WHERE name ~ '^b';
SELECT schema_baseline('nothing');

-- Changed after it was applied: refused, unless it is ignored, which is noted.
UPDATE schema_migration SET up = up || ' ' WHERE name = '05-early';
SELECT schema_register('60-next', 'SELECT 1', 'SELECT 1');
CALL schema_up();
SELECT name, state, note FROM schema_status() WHERE note IS NOT NULL;
SET notebook_migrate.schema_ignore_drift = on;
CALL schema_up();
RESET notebook_migrate.schema_ignore_drift;
SELECT name, state, note FROM schema_history WHERE note IS NOT NULL;

-- Applied, and no longer defined.
DELETE FROM schema_migration WHERE name IN ('60-next', '05-early');
SELECT name, state FROM schema_status() WHERE state = 'missing';
CALL schema_down();

-- The history is append-only, for everybody.
UPDATE schema_history SET name = 'a';
DELETE FROM schema_history;
TRUNCATE schema_history;

-- Who was granted everything on the tables still writes through the functions only: others run what he writes.
CREATE ROLE regress_nbm_scribe;
GRANT USAGE ON SCHEMA notebook_migrate TO regress_nbm_scribe;
GRANT ALL ON ALL TABLES IN SCHEMA notebook_migrate TO regress_nbm_scribe;
SET ROLE regress_nbm_scribe;
\set VERBOSITY sqlstate
INSERT INTO schema_migration (name, up) VALUES ('x', 'ALTER ROLE regress_nbm_scribe SUPERUSER');
UPDATE schema_migration SET up = 'ALTER ROLE regress_nbm_scribe SUPERUSER';
DELETE FROM schema_migration;
INSERT INTO schema_history (name, direction, state, started_at, duration, applied_by) VALUES ('x', 'up', 'applied', now(), '0', 'x');
SELECT schema_register('x', 'SELECT 1');
\set VERBOSITY default
RESET ROLE;
DROP OWNED BY regress_nbm_scribe;
DROP ROLE regress_nbm_scribe;

-- Nothing is left of the lock.
SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND pid = pg_backend_pid();
\c contrib_regression
DROP DATABASE regress_schema_up;
