-- A schema as a document: what is in it, and what is not.
CREATE SCHEMA app;
CREATE SCHEMA other;
SET search_path = app;
\pset format unaligned
\pset tuples_only on

CREATE TYPE mood AS ENUM ('glad', 'sad');
CREATE FUNCTION is_fine(int) RETURNS boolean LANGUAGE sql IMMUTABLE AS 'SELECT $1 > 0';
CREATE TABLE other.country (code char(2) PRIMARY KEY);
CREATE TABLE person (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  name text COLLATE "C" NOT NULL DEFAULT 'it''s',
  age int CHECK (age BETWEEN 0 AND 150),
  mood mood DEFAULT 'glad',
  country char(2) REFERENCES other.country ON UPDATE CASCADE DEFERRABLE INITIALLY DEFERRED,
  shouted text GENERATED ALWAYS AS (upper(name)) STORED
);
ALTER TABLE person ADD CONSTRAINT fine CHECK (is_fine(age)) NO INHERIT NOT VALID;
CREATE TABLE "odd ""table""; DROP" (
  "select" serial, "é.é" numeric(10,2)[], tenth varchar(10) UNIQUE NULLS NOT DISTINCT,
  parent bigint, a int, b int, UNIQUE (a, b) INCLUDE (parent),
  PRIMARY KEY (b, a), FOREIGN KEY (parent) REFERENCES person ON DELETE SET NULL (parent),
  FOREIGN KEY (a, b) REFERENCES "odd ""table""; DROP" (a, b) MATCH FULL
);
CREATE UNIQUE INDEX ON person (lower(name) text_pattern_ops DESC, age) INCLUDE (mood) WHERE age > 17;
COMMENT ON TABLE person IS 'People; it''s "they"';
COMMENT ON COLUMN person.age IS 'in years';
COMMENT ON CONSTRAINT fine ON person IS 'as far as one can tell';
COMMENT ON INDEX person_lower_age_mood_idx IS 'finds adults';
SELECT jsonb_pretty(notebook_migrate.schema_describe('app'));

-- It does not depend on settings.
SELECT notebook_migrate.schema_describe('app') AS plain \gset
SET search_path = other, pg_catalog;
SET quote_all_identifiers = on;
SET standard_conforming_strings = off;
SET datestyle = 'German';
SELECT notebook_migrate.schema_describe('app') = :'plain';
RESET quote_all_identifiers;
RESET standard_conforming_strings;
RESET datestyle;
SET search_path = app;

-- A default that only looks like a serial's is an ordinary one.
CREATE SEQUENCE counter;
CREATE TABLE counted (id int NOT NULL DEFAULT nextval('counter'));
SELECT t #> '{columns,0}' FROM jsonb_path_query(notebook_migrate.schema_describe('app'), '$.tables[*] ? (@.name == "counted")') AS t;

-- Not shown: partitions and what is partitioned, heirs, typed tables, views, members of extensions.
CREATE TABLE parts (id int) PARTITION BY LIST (id);
CREATE TABLE part PARTITION OF parts DEFAULT;
CREATE TABLE heir () INHERITS (person);
CREATE TYPE row_type AS (a int);
CREATE TABLE typed OF row_type;
CREATE VIEW seen AS SELECT 1;
CREATE TABLE member (id int);
ALTER EXTENSION notebook_migrate ADD TABLE member;
SELECT t ->> 'name' FROM jsonb_path_query(notebook_migrate.schema_describe('app'), '$.tables[*]') AS t;
ALTER EXTENSION notebook_migrate DROP TABLE member;

-- A schema that is empty, one that is not there, and none.
CREATE SCHEMA nothing;
SELECT notebook_migrate.schema_describe('nothing');
SELECT notebook_migrate.schema_describe('nowhere');
\echo :SQLSTATE
SELECT notebook_migrate.schema_describe(NULL) IS NULL;

-- The session's temporary tables, whose schema the server calls by another name.
CREATE TEMP TABLE passing (a int, b int);
CREATE INDEX ON passing (a) WHERE b > 0;
SELECT t ->> 'name', t -> 'indexes' FROM jsonb_path_query(notebook_migrate.schema_describe(pg_my_temp_schema()::regnamespace::name), '$.tables[*]') AS t;
DROP TABLE passing;

-- The catalogs are open to all, and so is this.
CREATE ROLE reader;
GRANT USAGE ON SCHEMA notebook_migrate TO reader;
GRANT EXECUTE ON FUNCTION notebook_migrate.schema_describe TO reader;
SET ROLE reader;
SELECT notebook_migrate.schema_describe('app') -> 'schema';
RESET ROLE;
REVOKE ALL ON FUNCTION notebook_migrate.schema_describe FROM reader;
REVOKE ALL ON SCHEMA notebook_migrate FROM reader;
DROP ROLE reader;

SET client_min_messages = warning;
DROP SCHEMA app, other, nothing CASCADE;
