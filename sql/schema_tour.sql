-- What docs/schema.md shows.
CREATE DATABASE regress_schema_tour;
\c regress_schema_tour
CREATE EXTENSION notebook_migrate;
CREATE SCHEMA app;
SET search_path = app, notebook_migrate;
SELECT schema_register('001_person', 'CREATE TABLE person (id int PRIMARY KEY)', 'DROP TABLE person'),
       schema_register('002_name', 'ALTER TABLE person ADD name text', 'ALTER TABLE person DROP name',
                       depends_on => '{001_person}');
SELECT * FROM schema_plan();
CALL schema_up();
SELECT name, state FROM schema_status();
CALL schema_down();
SELECT name, direction, state FROM schema_history;
-- A big table, as ANALYZE would have counted it.
CREATE TABLE reading (taken_at timestamptz, value int);
UPDATE pg_class SET reltuples = 5000000 WHERE oid = 'reading'::regclass;
SELECT * FROM schema_lint($$
  ALTER TABLE reading ALTER value TYPE bigint;
  CREATE INDEX ON reading (taken_at);
$$);
SELECT schema_register('003_wide', 'ALTER TABLE reading ALTER value TYPE bigint');
SELECT p.name, l.statement, l.rule
  FROM schema_plan() AS p JOIN schema_migration AS m USING (name), schema_lint(m.up) AS l
 WHERE p.action = 'apply' ORDER BY p.ordinal, l.statement;
\c contrib_regression
DROP DATABASE regress_schema_tour;
