-- A schema is described as it is to be; what makes it so becomes a migration.
CREATE DATABASE regress_schema_make;
\c regress_schema_make
CREATE EXTENSION notebook_migrate;
SET search_path = notebook_migrate, public;
\pset format unaligned
\pset tuples_only on
CREATE SCHEMA shop;
CREATE TYPE shop.mood AS ENUM ('glad', 'sad');
SELECT schema_register('0 roots', 'SELECT 1', 'SELECT 1');
SELECT schema_register('0 more roots', 'SELECT 1', 'SELECT 1');

-- By hand: types, defaults, checks and indexes as people write them, and names left out.
\set v1 '{"schema": "shop", "tables": [{"name": "person", "columns": [{"name": "id", "type": "serial"}, {"name": "age", "type": "int", "default": "0"}, {"name": "mood", "type": "mood", "default": "''glad''"}, {"name": "code", "type": "varchar(3)", "default": "''x''"}, {"name": "at", "type": "timestamptz", "default": "now()"}], "primary_key": {"columns": ["id"]}, "checks": [{"expression": "age >= 0 and code in (''a'', ''b'', ''x'')"}, {"expression": "age between 0 and 150"}], "indexes": [{"definition": "(lower(code))"}]}, {"name": "book", "columns": [{"name": "owner", "type": "int"}], "foreign_keys": [{"columns": ["owner"], "references": {"table": "person"}, "on_delete": "cascade"}]}]}'
SELECT schema_make('1 people', :'v1');
SELECT up, down, depends_on FROM schema_migration WHERE name = '1 people';
CALL schema_up();

-- Nothing has changed: by hand, or as it is described.
SELECT schema_make('2 nothing', :'v1') IS NULL;
SELECT schema_make('2 nothing', schema_describe('shop')) IS NULL;
SELECT count(*) FROM schema_migration WHERE name = '2 nothing';
SELECT count(*) FROM pg_namespace WHERE nspname ~ 'wanted';

-- A change, with a rename and its likely one; asked again once it is applied, hints and all, it is no change.
SELECT replace(replace(:'v1', '"age"', '"years"'), 'age ', 'years ') AS v2 \gset
SELECT schema_make('2 years', :'v2') IS NOT NULL;
SELECT schema_make('2 years', :'v2', '{"person.age": "years"}');
SELECT up, down, depends_on FROM schema_migration WHERE name = '2 years';
CALL schema_up();
SELECT schema_make('3 years', :'v2', '{"person.age": "years"}') IS NULL;

-- There and back.
SELECT schema_describe('shop') AS years \gset
CALL schema_down(steps => 2);
SELECT schema_describe('shop');
CALL schema_up();
SELECT schema_describe('shop') = :'years';

-- Tables made before, in whatever way, are found to be the same.
CREATE TABLE shop.old (c varchar(3) CHECK (c IN ('a', 'b')), d text DEFAULT 'x' || 'y');
SELECT schema_make('4', jsonb_set(:'years', '{tables,2}', '{"name": "old", "columns": [{"name": "d", "type": "text", "default": "''x'' || ''y''"}, {"name": "c", "type": "varchar(3)"}], "checks": [{"expression": "c IN (''a'', ''b'')"}]}')) IS NULL;
DROP TABLE shop.old;

-- A sequence of the column's own becomes an identity, and again a sequence; numbers go on where they were.
INSERT INTO shop.person (years) VALUES (1), (2);
SELECT schema_make('5 identity', replace(:'years', '"serial"', '"always"')::jsonb);
CALL schema_up();
INSERT INTO shop.person (years) VALUES (3) RETURNING id;
CALL schema_down();
INSERT INTO shop.person (years) VALUES (4) RETURNING id;
SELECT schema_describe('shop') = :'years';

\set VERBOSITY terse
-- What cannot be made is told at once, and nothing is left.
SELECT schema_make('6', '{"schema": "shop", "tables": [{"name": "t", "columns": [{"name": "a", "type": "int"}], "checks": [{"expression": "b > 0"}]}]}');
\echo :SQLSTATE
SELECT schema_make('6', '{"schema": "shop", "tables": [{"name": "t", "columns": [{"name": "a", "type": "nowhere"}]}]}');
SELECT schema_make('6', '{"schema": "nowhere"}');
\echo :SQLSTATE
SELECT schema_make('6', '{"schema": "shop", "tables": 1}');
SELECT schema_make(NULL, '{"schema": "shop"}');
SELECT schema_make('6', NULL);
SELECT schema_make('6', '{"schema": "shop"}', NULL);
SELECT count(*) FROM pg_namespace WHERE nspname ~ 'wanted';

-- Who may not create schemas has his document compared as it stands: it must be written as the server writes.
CREATE ROLE maker;
GRANT USAGE ON SCHEMA notebook_migrate TO maker;
GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA notebook_migrate TO maker;
GRANT USAGE ON SCHEMA shop TO maker;
SET ROLE maker;
SELECT schema_make('7', :'years') IS NULL;
SELECT schema_make('7', jsonb_set(:'years', '{tables,0,comment}', '"it''s"'));
SELECT schema_make('8', jsonb_set(:'years', '{tables,1,checks,0,expression}', '"years >= 0"'));
RESET ROLE;
SELECT name, up, depends_on FROM schema_migration WHERE name >= '7' ORDER BY name;
REVOKE ALL ON ALL FUNCTIONS IN SCHEMA notebook_migrate FROM maker;
REVOKE ALL ON SCHEMA notebook_migrate, shop FROM maker;
DROP ROLE maker;

-- An event trigger may make tables beside those that are wanted, to compare them, too.
\set VERBOSITY default
CREATE SCHEMA audited;
CREATE FUNCTION public.audit() RETURNS event_trigger LANGUAGE plpgsql AS $$
BEGIN
  EXECUTE (SELECT format('CREATE TABLE %I.audit ()', schema_name) FROM pg_event_trigger_ddl_commands() WHERE object_identity ~ '\.t$');
EXCEPTION WHEN null_value_not_allowed THEN NULL;
END $$;
CREATE EVENT TRIGGER audit ON ddl_command_end WHEN TAG IN ('CREATE TABLE') EXECUTE FUNCTION public.audit();
SELECT schema_make('9', '{"schema": "audited", "tables": [{"name": "t", "columns": [{"name": "a", "type": "int", "default": "1+1"}]}]}');
DROP EVENT TRIGGER audit;
SELECT up FROM schema_migration WHERE name = '9';

\c contrib_regression
DROP DATABASE regress_schema_make;
