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
\c contrib_regression
DROP DATABASE regress_schema_tour;
