-- What makes one description of a schema another: operations, their SQL, and the way back.
SET search_path = notebook_migrate, public;
\pset format unaligned
\pset tuples_only on

CREATE FUNCTION pg_temp.tables(VARIADIC tables text[] DEFAULT '{}') RETURNS jsonb LANGUAGE sql AS
  $$ SELECT ('{"schema": "app", "tables": [' || array_to_string(tables, ',') || ']}')::jsonb $$;

-- From nothing: tables first, then the foreign keys among them, which may lead in circles. Names that are left out are the server's.
SELECT ordinal, operation, E'\n' || up, E'\n' || down, destructive FROM schema_diff(pg_temp.tables(), pg_temp.tables(
  '{"name": "person", "comment": "it''s", "columns": [{"name": "id", "type": "bigserial"}, {"name": "age", "type": "int", "default": "1 + 1"},
      {"name": "home", "type": "int8"}], "primary_key": {"columns": ["id"]}, "checks": [{"expression": "age > 0"}, {"expression": "age > 0 OR home > 0"}],
    "foreign_keys": [{"columns": ["home"], "references": {"table": "House \"1\""}}], "indexes": [{"definition": "(lower(age::text), home)"}]}',
  '{"name": "House \"1\"", "columns": [{"name": "id", "type": "int8", "identity": "always"}, {"name": "owner", "type": "int8", "nullable": false}],
    "primary_key": {"columns": ["id"]}, "unique": [{"columns": ["owner", "id"]}],
    "foreign_keys": [{"columns": ["owner"], "references": {"table": "person"}, "on_delete": "cascade"}]}'));

-- Equal ones differ in nothing: neither in the order of columns and keys nor in how a type is spelt.
SELECT count(*) FROM schema_diff(
  pg_temp.tables('{"name": "t", "columns": [{"name": "a", "type": "int"}, {"name": "b", "type": "varchar(3)"}, {"name": "c", "type": "timestamptz"}, {"name": "d", "type": "int[3]"}]}'),
  pg_temp.tables('{"name": "t", "columns": [{"name": "d", "type": "integer[]"}, {"name": "c", "type": "timestamp with time zone"},
    {"name": "b", "type": "CHARACTER VARYING ( 3 )", "nullable": true, "comment": ""}, {"name": "a", "type": "pg_catalog.int4", "default": null}]}'));

-- Renames by hint are followed into keys, checks, indexes and generated columns; constraints and indexes of other names are renamed without one.
\set before '{"schema": "app", "tables": [{"name": "person", "columns": [{"name": "id", "type": "int"}, {"name": "age", "type": "int"}, {"name": "next", "type": "int", "generated": "(age + 1)"}], "primary_key": {"name": "person_pkey", "columns": ["id"]}, "checks": [{"name": "old", "expression": "(age > 0)"}], "indexes": [{"name": "i", "definition": "USING btree (age DESC, abs(age)) WHERE (age > 5)"}], "foreign_keys": [{"name": "f", "columns": ["age"], "references": {"table": "person", "columns": ["id"]}}]}]}'
\set after '{"schema": "app", "tables": [{"name": "human", "columns": [{"name": "key", "type": "int"}, {"name": "the years", "type": "int"}, {"name": "next", "type": "int", "generated": "(\\"the years\\" + 1)"}], "primary_key": {"name": "human_pkey", "columns": ["key"]}, "checks": [{"name": "old", "expression": "(\\"the years\\" > 0)"}], "indexes": [{"name": "i2", "definition": "USING btree (\\"the years\\" DESC, abs(\\"the years\\")) WHERE (\\"the years\\" > 5)"}], "foreign_keys": [{"name": "f", "columns": ["the years"], "references": {"table": "human", "columns": ["key"]}}]}]}'
SELECT up, down FROM schema_diff(:'before', :'after', '{"person": "human", "person.age": "the years", "person.id": "key"}');
-- One that was followed is not followed again.
SELECT count(*) FROM schema_diff(:'after', :'after', '{"person": "human", "person.age": "the years", "person.id": "key"}');
-- Without hints it is all dropped, and said.
SELECT operation FROM schema_diff(:'before', replace(:'after', 'the years', 'years')::jsonb) WHERE destructive;
SELECT operation, destructive FROM schema_diff(pg_temp.tables('{"name": "a.b", "columns": [{"name": "x\"y", "type": "int"}]}'), pg_temp.tables('{"name": "a.b", "columns": [{"name": "z", "type": "int"}]}'));
SELECT operation, destructive FROM schema_diff(pg_temp.tables('{"name": "gone", "columns": [{"name": "x", "type": "int"}]}'), pg_temp.tables('{"name": "come", "columns": [{"name": "x", "type": "int"}]}'));
SELECT up FROM schema_diff(pg_temp.tables('{"name": "a.b", "columns": [{"name": "x\"y", "type": "int"}]}'), pg_temp.tables('{"name": "a.b", "columns": [{"name": "z", "type": "int"}]}'), '{"\"a.b\".\"x\"\"y\"": "z"}');
-- Names that go round.
SELECT up FROM schema_diff(pg_temp.tables('{"name": "a", "columns": [{"name": "x", "type": "int"}]}', '{"name": "b", "columns": []}'),
  pg_temp.tables('{"name": "b", "columns": [{"name": "x", "type": "int"}]}', '{"name": "a", "columns": []}'), '{"a": "b", "b": "a"}');

-- Changes of a column, and which of them are destructive.
CREATE FUNCTION pg_temp.columns(was text, becomes text) RETURNS TABLE(up text, down text, destructive boolean) LANGUAGE sql AS $$
  SELECT up, down, destructive FROM schema_diff(pg_temp.tables('{"name": "t", "columns": [{"name": "c", ' || was || '}]}'),
                                                pg_temp.tables('{"name": "t", "columns": [{"name": "c", ' || becomes || '}]}')) ORDER BY ordinal $$;
SELECT was, becomes, up, destructive FROM (VALUES
    ('int', 'bigint'), ('bigint', 'int'), ('int', 'text'), ('text', 'int'), ('text', 'varchar(9)'), ('varchar(9)', 'varchar(8)'), ('varchar(9)', 'varchar(10)'),
    ('varchar(9)', 'varchar'), ('numeric(5,2)', 'numeric(6,2)'), ('numeric(5,2)', 'numeric(6,4)'), ('numeric(5,2)', 'numeric(7,4)'), ('numeric', 'numeric(9)'),
    ('int', 'double precision'), ('bigint', 'double precision'), ('boolean', 'date'), ('no_such_type', 'text')) AS t (was, becomes),
  pg_temp.columns('"type": "' || was || '"', '"type": "' || becomes || '"');
SELECT * FROM pg_temp.columns('"type": "int", "default": "0"', '"type": "text", "default": "''0''", "nullable": false');
SELECT * FROM pg_temp.columns('"type": "serial"', '"type": "int", "identity": "by default"');
SELECT * FROM pg_temp.columns('"type": "int", "identity": "by default"', '"type": "int", "identity": "always"');
SELECT * FROM pg_temp.columns('"type": "int", "generated": "1"', '"type": "int", "generated": "2"');
SELECT * FROM pg_temp.columns('"type": "int", "generated": "1"', '"type": "int"');
SELECT * FROM pg_temp.columns('"type": "text", "comment": "it''s"', '"type": "text", "collation": "C", "comment": "\\"');

-- A foreign key steps aside where the key that it leads to does, or where types change at its ends.
SELECT up FROM schema_diff(
  pg_temp.tables('{"name": "a", "columns": [{"name": "id", "type": "int"}], "primary_key": {"columns": ["id"]}}',
                 '{"name": "b", "columns": [{"name": "a", "type": "int"}], "foreign_keys": [{"columns": ["a"], "references": {"table": "a"}}]}'),
  pg_temp.tables('{"name": "a", "columns": [{"name": "id", "type": "text"}, {"name": "n", "type": "int"}], "primary_key": {"columns": ["id"], "include": ["n"]}}',
                 '{"name": "b", "columns": [{"name": "a", "type": "text"}], "foreign_keys": [{"columns": ["a"], "references": {"table": "a"}}]}'));

-- What is malformed is told with its place.
CREATE FUNCTION pg_temp.refused(before text, renames text DEFAULT '{}') RETURNS text LANGUAGE plpgsql AS $$
DECLARE detail text; context text;
BEGIN
  RETURN (SELECT count(*) FROM notebook_migrate.schema_diff(before::jsonb, '{"schema": "app"}', renames::jsonb));
EXCEPTION WHEN OTHERS THEN
  GET STACKED DIAGNOSTICS detail = PG_EXCEPTION_DETAIL, context = PG_EXCEPTION_CONTEXT;
  RETURN concat_ws(' | ', SQLSTATE, SQLERRM, nullif(detail, ''), substring(context FROM 'reading the SQL at[^\n]*'));
END $$;
SELECT pg_temp.refused(d) FROM unnest(ARRAY['[]', '1', '{}', '{"schema": 1}', '{"schema": ""}', '{"schema": "app", "tables": {}}', '{"schema": "app", "tabels": []}',
  format('{"schema": "%s"}', repeat('x', 64))]) AS d;
SELECT pg_temp.refused('{"schema": "app", "tables": [' || t || ']}') FROM unnest(ARRAY['1', '{}', '{"name": "t", "name ": 1}', '{"name": "t"}, {"name": "t"}',
  '{"name": "t", "comment": 1}', '{"name": "t", "primary_key": []}', '{"name": "t", "primary_key": {}}', '{"name": "t", "primary_key": {"columns": ["x"]}}',
  '{"name": "t", "unique": [{"columns": ["x", "x"]}]}', '{"name": "t", "checks": [{}]}', '{"name": "t", "indexes": [{}]}', '{"name": "t", "foreign_keys": [{"columns": ["x"]}]}',
  '{"name": "t", "columns": [{"name": "x", "type": "int"}], "foreign_keys": [{"columns": ["x"], "references": {"table": "u", "columns": ["a", "b"]}}]}',
  '{"name": "t", "columns": [{"name": "x", "type": "int"}], "foreign_keys": [{"columns": ["x"], "references": {"table": "t", "columns": ["y"]}}]}',
  '{"name": "t", "columns": [{"name": "x", "type": "int"}], "foreign_keys": [{"columns": ["x"], "references": {"table": "u", "columns": ["a"]}, "on_delete": "explode"}]}',
  '{"name": "t", "columns": [{"name": "x", "type": "int"}], "foreign_keys": [{"columns": ["x"], "references": {"table": "u", "columns": ["a"]}, "on_delete_columns": ["x"]}]}',
  '{"name": "t", "columns": [{"name": "x", "type": "int"}, {"name": "x", "type": "int"}]}',
  '{"name": "t", "checks": [{"name": "c", "expression": "true"}, {"name": "c", "expression": "false"}]}', '{"name": "t", "primary_key": {"columns": ["x"], "nulls_not_distinct": true}}']) AS t;
SELECT pg_temp.refused('{"schema": "app", "tables": [{"name": "t", "columns": [' || c || ']}]}') FROM unnest(ARRAY['{"name": "x"}', '{"type": "int"}', '{"name": "x", "type": 1}',
  '{"name": "x", "type": "int", "nullable": 1}', '{"name": "x", "type": "int", "identity": "sometimes"}', '{"name": "x", "type": "text", "identity": "always"}',
  '{"name": "x", "type": "int", "default": "1", "generated": "2"}', '{"name": "x", "type": "serial", "default": "1"}', '{"name": "x", "type": "int", "virtual": true}',
  '{"name": "x", "type": "int", "collation": ["a"]}', '{"name": "x", "type": "int", "default": 0}']) AS c;
-- SQL that is more than it may be.
SELECT pg_temp.refused(format('{"schema": "app", "tables": [{"name": "t", "columns": [{"name": "x", "type": %s}]}]}', to_json(t)))
  FROM unnest(ARRAY['int; DROP TABLE x', 'int DEFAULT 1', '', 'int --', 'int /*', 'setof int', 'nowhere --', 'nowhere, y int', 'x.y%TYPE', 'int(3)']) AS t;
SELECT pg_temp.refused(format('{"schema": "app", "tables": [{"name": "t", "columns": [{"name": "x", "type": "int", "default": %s}]}]}', to_json(e)))
  FROM unnest(ARRAY['1; DROP TABLE x', '1, 2', '1 --', '1 /*', '1) CHECK (true', '1 AS x', '1 FROM pg_class', '', '1) + (2', 'x LIMIT 1', '''', repeat('(', 100000)]) AS e;
SELECT pg_temp.refused(format('{"schema": "app", "tables": [{"name": "t", "columns": [], "indexes": [{"definition": %s}]}]}', to_json(i)))
  FROM unnest(ARRAY['(a); DROP TABLE x', '(a) --', '', 'a', '(a) WHERE', '.other (a)', 'USING btree (a) WHERE a > 0; SELECT 1']) AS i;
-- Renames that lead nowhere.
SELECT pg_temp.refused(format('{"schema": "app", "tables": [{"name": "t", "columns": [], "foreign_keys": [{"columns": ["x"], "references": {"table": "t"}, "match": "%s"}]}]}', repeat('é', 600)));
SELECT * FROM schema_diff(pg_temp.tables('{"name": "t", "columns": [{"name": "x", "type": "int"}, {"name": "y", "type": "int"}]}'),
  pg_temp.tables('{"name": "t", "columns": [{"name": "z", "type": "int"}]}'), '{"t.x": "z", "t.y": "z"}');
SELECT * FROM schema_diff(pg_temp.tables('{"name": "t", "columns": []}'), pg_temp.tables('{"name": "t", "columns": []}'), '{"t.x": "z"}');
SELECT * FROM schema_diff(pg_temp.tables('{"name": "t", "columns": [{"name": "x", "type": "int"}]}'), pg_temp.tables('{"name": "t", "columns": []}'), '{"t.x": "z"}');
SELECT r, pg_temp.refused('{"schema": "app", "tables": [{"name": "t", "columns": [{"name": "x", "type": "int"}]}]}', r)
  FROM unnest(ARRAY['[]', '{"t": 1}', '{"t": ""}', '{"": "t"}', '{"t.": "t"}', '{"a.b.c": "t"}', '{"\"a": "t"}', '{"a\"": "t"}', '{"u": "v"}', '{"t": "u"}', '{"t.y": "z"}', format('{"%s": "t"}', repeat('x', 64))]) AS r;

-- What is left without a name gets the one that the server would choose, where two columns of an index are alike, too.
CREATE SCHEMA app;
CREATE TABLE app.t (a text, b text);
CREATE INDEX ON app.t (lower(a), lower(b));
CREATE INDEX ON app.t (a, a COLLATE "C") INCLUDE (b);
CREATE INDEX ON app.t ((a || b), (b || a), (a || a));
SELECT indexname FROM pg_indexes WHERE tablename = 't' ORDER BY indexname COLLATE "C";
SELECT operation ->> 'index' FROM schema_diff(pg_temp.tables('{"name": "t", "columns": [{"name": "a", "type": "text"}, {"name": "b", "type": "text"}]}'),
  pg_temp.tables('{"name": "t", "columns": [{"name": "a", "type": "text"}, {"name": "b", "type": "text"}],
    "indexes": [{"definition": "(lower(a), lower(b))"}, {"definition": "(a, a COLLATE \"C\") INCLUDE (b)"}, {"definition": "((a || b), (b || a), (a || a))"}]}'));

-- A change of type is destructive where some values may not fit: into domains with limits, into arrays of what they do not fit in, into names.
CREATE DOMAIN app.positive AS int CHECK (VALUE > 0);
CREATE DOMAIN app.code AS varchar(3);
CREATE DOMAIN app.ratio AS float8;
SELECT f, t, destructive FROM (VALUES ('integer', 'app.positive'), ('text', 'app.code'), ('bigint', 'app.ratio'), ('numeric[]', 'float8[]'), ('text', 'name'), ('text[]', 'name[]'),
    ('bigint', 'oid'), ('app.positive', 'integer'), ('app.positive', 'bigint'), ('integer', 'app.ratio'), ('integer[]', 'bigint[]'), ('integer[]', 'float8[]'), ('app.code', 'text')) AS v (f, t),
  schema_diff(pg_temp.tables(format('{"name": "t", "columns": [{"name": "c", "type": "%s"}]}', f)), pg_temp.tables(format('{"name": "t", "columns": [{"name": "c", "type": "%s"}]}', t)));
SET client_min_messages = warning;
DROP SCHEMA app CASCADE;
RESET client_min_messages;

-- No table has more columns than the server's; however many constraints are left without a name, each gets one, and soon.
SELECT * FROM schema_diff('{"schema": "app"}', pg_temp.tables(jsonb_build_object('name', 't', 'columns', (SELECT jsonb_agg(jsonb_build_object('name', 'c' || i, 'type', 'int')) FROM generate_series(1, 1601) AS i))::text));
\echo :SQLSTATE
SET statement_timeout = '10s';
SELECT count(*), length(up) FROM schema_diff('{"schema": "app"}', pg_temp.tables(jsonb_build_object('name', 't', 'columns', '[]'::jsonb,
  'checks', (SELECT jsonb_agg('{"expression": "true"}'::jsonb) FROM generate_series(1, 10000)))::text)) GROUP BY up;
-- Nor does a hint for each of many tables take long.
SELECT count(*) FROM (SELECT string_agg(format('{"name": "t%s", "columns": [{"name": "a", "type": "int"}]}', i), ',') AS b, string_agg(format('{"name": "t%s", "columns": [{"name": "b", "type": "int"}]}', i), ',') AS a,
  jsonb_object_agg(format('t%s.a', i), 'b') AS r FROM generate_series(1, 3000) AS i) AS x, schema_diff(pg_temp.tables(b), pg_temp.tables(a), r);
RESET statement_timeout;

-- Nothing can be compared with nothing known.
SELECT * FROM schema_diff(NULL, '{}');
\echo :SQLSTATE
SELECT * FROM schema_diff('{"schema": "app"}', NULL);
SELECT * FROM schema_diff('{"schema": "app"}', '{"schema": "app"}', NULL);

-- With rows in it: types and identities that change keep what is there.
CREATE SCHEMA app;
CREATE TABLE app.t (id serial PRIMARY KEY, n text, "a b" int);
INSERT INTO app.t (n) SELECT i FROM generate_series(1, 5) AS i;
DO $$
DECLARE step text;
BEGIN
  FOR step IN SELECT up FROM notebook_migrate.schema_diff(notebook_migrate.schema_describe('app'), '{"schema": "app", "tables": [{"name": "t",
    "columns": [{"name": "id", "type": "bigint", "identity": "always"}, {"name": "n", "type": "int", "nullable": false}, {"name": "c", "type": "serial"}], "primary_key": {"columns": ["id"]}}]}',
    '{"t.a b": "c"}') ORDER BY ordinal LOOP
    EXECUTE step;
    IF step ~ 'RENAME' THEN UPDATE app.t SET c = 0; END IF;
  END LOOP;
END $$;
INSERT INTO app.t (n) VALUES (6) RETURNING *;
SELECT sum(n), count(*), pg_typeof(min(id)) FROM app.t;
DROP TABLE app.t;
DROP SCHEMA app;
