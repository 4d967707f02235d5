-- Operations on a graph's schema that are not as they must be, and names that nobody would choose.
SET search_path = notebook_migrate, public;
SET client_min_messages = warning;
\pset format unaligned
\pset tuples_only on
CREATE FUNCTION pg_temp.refused(operations jsonb) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
  detail text;
  hint text;
  context text;
BEGIN
  RETURN (SELECT string_agg(concat_ws(' / ', up, down), E'\n') FROM notebook_migrate.schema_operations(operations));
EXCEPTION WHEN OTHERS THEN
  GET STACKED DIAGNOSTICS detail = PG_EXCEPTION_DETAIL, hint = PG_EXCEPTION_HINT, context = PG_EXCEPTION_CONTEXT;
  RETURN SQLSTATE || ' ' || concat_ws(' | ', SQLERRM, nullif(detail, ''), nullif(hint, ''), substring(context FROM 'type at \S+'));
END $$;
CREATE FUNCTION pg_temp.refused(name text, arguments text) RETURNS text LANGUAGE sql AS $$
  SELECT pg_temp.refused(jsonb_build_array(jsonb_build_object('operation', name, 'arguments', arguments::jsonb)))
$$;

-- No document, and half of one.
SELECT left(pg_temp.refused(doc::jsonb), 250)
  FROM unnest(ARRAY[NULL, 'null', '1', '"x"', '{}', '[1]', '[[]]', '[null]', '{"operation": 5, "arguments": {}}', '{"operation": "DropNodeType"}',
                    '{"operation": "DropNodeType", "arguments": []}', '{"operation": "DropNodeType", "arguments": null}',
                    '{"operation": "DropNodeType", "arguments": {"name": "x"}, "comment": "y"}',
                    '[{"operation": "DropNodeType", "arguments": {"name": "x"}}, {"operation": "DropNodeTypes", "arguments": {"name": "x"}}]']) AS doc;
SELECT left(pg_temp.refused(doc), 130)
  FROM (SELECT jsonb_build_object('operation', name, 'arguments', '{}'::jsonb) FROM unnest(ARRAY['', 'dropnodetype', 'Drop%sType', repeat('x', 1000)]) AS name) AS t (doc);

-- Arguments that are missing, unknown, or of another operation.
SELECT pg_temp.refused(name, arguments)
  FROM (VALUES ('CreateNodeType', '{"name": "x", "keys": []}'), ('CreateNodeType', '{"name": "x", "keys": [], "properties": [], "from_node_type": "x"}'),
               ('CreateRelationshipType', '{"name": "x", "keys": [], "properties": [], "from_node_type": "x"}'),
               ('CreateRelationshipType', '{"keys": [], "properties": [], "from_node_type": "x", "to_node_type": "x"}'),
               ('RenameNodeType', '{"old_name": "x", "new_name": "y"}'), ('AddNodeProperty', '{"relationship_type": "x", "property_name": "y"}'),
               ('RelationshipKeyExtended', '{"relationship_type": "x", "added_key_property": "y", "defualt": 1}'),
               ('NodeKeyPartRenamed', '{"node_type": "x", "old_key_part_name": "y"}')) AS t (name, arguments);

-- Values of a wrong kind.
SELECT pg_temp.refused(name, arguments)
  FROM (VALUES ('DropNodeType', '{"name": 1}'), ('DropNodeType', '{"name": null}'), ('DropNodeType', '{"name": ""}'), ('DropNodeType', '{"name": ["x"]}'),
               ('CreateNodeType', '{"name": "x", "keys": "id", "properties": []}'), ('CreateNodeType', '{"name": "x", "keys": [5], "properties": []}'),
               ('CreateNodeType', '{"name": "x", "keys": [{"type": "text"}], "properties": []}'), ('CreateNodeType', '{"name": "x", "keys": [{"name": "id", "typ": "text"}], "properties": []}'),
               ('CreateNodeType', '{"name": "x", "keys": [{"name": "id", "type": null}], "properties": []}'), ('CreateNodeType', '{"name": "x", "keys": [[]], "properties": []}'),
               ('CreateNodeType', '{"name": "x", "keys": ["id"], "properties": {"a b": 7}}'), ('CreateNodeType', '{"name": "x", "keys": ["id"], "properties": {"": null}}'),
               ('CreateNodeType', '{"name": "x", "keys": ["id"], "properties": null}'),
               ('CreateNodeType', '{"name": "x", "keys": ["id"], "properties": ["a", "b", "a"]}'), ('CreateNodeType', '{"name": "x", "keys": ["id"], "properties": ["id"]}'),
               ('CreateRelationshipType', '{"name": "x", "keys": ["from_id"], "properties": []}'), ('CreateRelationshipType', '{"name": "x", "keys": [], "properties": ["to_id"]}'),
               ('DropNodeProperty', '{"node_type": "x", "property_name": {"name": "y"}}'),
               ('AddNodeProperty', '{"node_type": "x", "property_name": "y", "type": "integer[]", "default": [1, 2]}'),
               ('AddNodeProperty', '{"node_type": "x", "property_name": "y", "default": {}}')) AS t (name, arguments);

-- Names that the server would cut short, and lists that no table can hold.
SELECT left(pg_temp.refused(name, format('{"name": "%s"}', value)), 250)
  FROM (VALUES ('DropNodeType', repeat('x', 63)), ('DropNodeType', repeat('x', 64)), ('DropNodeType', repeat('ü', 31) || 'xx'), ('DropNodeType', repeat('x', 100000))) AS t (name, value);
SELECT pg_temp.refused('CreateNodeType', format('{"name": "x", "keys": ["%s"], "properties": []}', repeat('k', 64)));
SELECT pg_temp.refused('CreateNodeType', format('{"name": "x", "keys": {"%s": null}, "properties": []}', repeat('k', 64)));
SELECT pg_temp.refused('CreateNodeType', jsonb_build_object('name', 'x', 'keys', '[]'::jsonb, 'properties', (SELECT jsonb_agg('p' || n) FROM generate_series(1, 1601) AS n))::text);

-- Types are looked up, and written as the server writes them; what is none is refused. Those of other schemas are named with their schema.
CREATE SCHEMA "odd types";
CREATE TYPE "odd types"."mo""od" AS ENUM ('happy', 'it''s ok');
CREATE DOMAIN "odd types".document AS jsonb;
SELECT pg_temp.refused('AddNodeProperty', jsonb_build_object('node_type', 'x', 'property_name', 'y', 'type', type)::text)
  FROM unnest(ARRAY['int', 'INTEGER', 'varchar( 20 )', 'numeric(10,2)', 'timestamp with time zone', 'text[]', 'interval day to second (3)', '"odd types"."mo""od"[]',
                    'pg_catalog.int4', 'pg_class.relname%TYPE', '', ' ', 'integer); DROP TABLE x; --', 'integer; DROP TABLE x', 'integer DEFAULT 5', 'integer NOT NULL',
                    'integer COLLATE "C"', 'integer -- ', 'integer /* */', 'int, z int', 'text''', '"text', 'nothing', 'mo"od', 'nowhere.nothing', 'setof int', 'record', 'anyelement', 'void',
                    'trigger', 'serial', 'varchar(0)', 'numeric(1,2,3)', 'int(5)', repeat('(', 100), repeat('x', 100)]) AS type;
SELECT pg_temp.refused('CreateNodeType', '{"name": "x", "keys": [{"name": "id", "type": "nothing"}], "properties": []}');
SELECT pg_temp.refused('CreateNodeType', '{"name": "x", "keys": [], "properties": {"a b": "nothing"}}');
SELECT pg_temp.refused('CreateNodeType', '{"name": "x", "keys": [], "properties": []}');

-- Defaults are literals, read by the server as the column's type.
SELECT pg_temp.refused('AddNodeProperty', jsonb_build_object('node_type', 'x', 'property_name', 'y', 'type', type, 'default', value::jsonb)::text)
  FROM (VALUES ('text', 'null'), ('text', '"it''s"'), ('text', '"a\\b"'), ('text', '"now(); DROP TABLE x"'), ('text', '5'), ('integer', '5'), ('numeric', '1.50'), ('numeric', '1e3'),
               ('boolean', 'true'), ('boolean', 'false'), ('integer[]', '"{1,2}"'), ('jsonb', '"x"'), ('jsonb', '[1, {"a": "it''s"}]'), ('json', 'true'), ('"odd types".document', '{}')) AS t (type, value);

-- Odd names, in a life of their own: nothing but what is named comes of them, and nothing is left.
CREATE SCHEMA life;
SET search_path = life;
CREATE TABLE target (id int);
INSERT INTO target VALUES (1);
CREATE PROCEDURE pg_temp.live(odd text, other text) LANGUAGE plpgsql AS $$
DECLARE
  down text[] := '{}';
  script record;
BEGIN
  FOR script IN
    SELECT up, s.down FROM notebook_migrate.schema_operations(jsonb_build_array(
      jsonb_build_object('operation', 'CreateNodeType', 'arguments', jsonb_build_object('name', odd, 'keys', ARRAY['id'], 'properties', ARRAY[odd])),
      jsonb_build_object('operation', 'CreateRelationshipType', 'arguments', jsonb_build_object('name', 'r' || odd, 'keys', ARRAY[odd], 'properties', ARRAY[other],
                                                                                              'from_node_type', odd, 'to_node_type', odd)),
      jsonb_build_object('operation', 'AddAdditionalNodePropertyIndex', 'arguments', jsonb_build_object('node_type', odd, 'field_name', odd)),
      jsonb_build_object('operation', 'NodeKeyExtended', 'arguments', jsonb_build_object('node_type', odd, 'added_key_property', other, 'default', odd)),
      jsonb_build_object('operation', 'NodeKeyExtended', 'arguments', jsonb_build_object('node_type', odd, 'added_key_property', odd, 'default', odd)),
      jsonb_build_object('operation', 'NodeKeyPartRenamed', 'arguments', jsonb_build_object('node_type', odd, 'old_key_part_name', odd, 'new_key_part_name', other || '2')),
      jsonb_build_object('operation', 'RenameNodeType', 'arguments', jsonb_build_object('old_type', odd, 'new_type', other)),
      jsonb_build_object('operation', 'DropAdditionalNodePropertyIndex', 'arguments', jsonb_build_object('node_type', other, 'field_name', other || '2')),
      jsonb_build_object('operation', 'RenameRelationshipType', 'arguments', jsonb_build_object('old_type', 'r' || odd, 'new_type', odd)))) AS s
  LOOP
    EXECUTE script.up;
    down := script.down || down;
    IF cardinality(down) = 2 THEN
      EXECUTE format('INSERT INTO %I VALUES (%L, %L)', odd, 'one', NULL);
      EXECUTE format('INSERT INTO %I VALUES (%L, %L, %L)', 'r' || odd, 'one', 'one', 'k');
    END IF;
  END LOOP;
  FOR script IN SELECT d FROM unnest(down) AS d LOOP
    EXECUTE script.d;
  END LOOP;
END $$;
CALL pg_temp.live('Weird "Type" ü', 'select');
CALL pg_temp.live('select', 'x''; DROP TABLE target; --');
CALL pg_temp.live('$do$', '$do1$ $do2$ $$');
CALL pg_temp.live('a\b', 'a\''b');
CALL pg_temp.live('100%s %I', '{type} {part}');
CALL pg_temp.live('part', 'link');
CALL pg_temp.live('refs', 'kind');
CALL pg_temp.live('from_x', 'to_x');
CALL pg_temp.live(' ', E'\n');
CALL pg_temp.live(repeat('x', 62), repeat('y', 62));
CALL pg_temp.live(repeat('ü', 31), repeat('€', 20));
SET standard_conforming_strings = off;
CALL pg_temp.live(E'a\\b', E'a\\\\''b; DROP TABLE target');
RESET standard_conforming_strings;
SELECT relname FROM pg_class WHERE relnamespace = 'life'::regnamespace ORDER BY relname COLLATE "C";
SELECT * FROM target;

-- What only the database can know, it says when the script runs.
CREATE FUNCTION pg_temp.run(name text, arguments text, way text = 'up') RETURNS text LANGUAGE plpgsql AS $$
BEGIN
  EXECUTE (SELECT CASE way WHEN 'up' THEN up ELSE down END FROM notebook_migrate.schema_operations(jsonb_build_object('operation', name, 'arguments', arguments::jsonb)));
  RETURN 'done';
EXCEPTION WHEN OTHERS THEN RETURN SQLSTATE || ' ' || SQLERRM;
END $$;
SELECT pg_temp.run('CreateRelationshipType', '{"name": "r", "keys": [], "properties": [], "from_node_type": "target", "to_node_type": "target"}');
SELECT pg_temp.run('CreateRelationshipType', '{"name": "r", "keys": [], "properties": [], "from_node_type": "none", "to_node_type": "target"}');
SELECT pg_temp.run('DropAdditionalNodePropertyIndex', '{"node_type": "target", "field_name": "id"}');
SELECT pg_temp.run('NodeKeyExtended', '{"node_type": "target", "added_key_property": "other"}');
SELECT pg_temp.run('NodeKeyExtended', '{"node_type": "none", "added_key_property": "other"}');
-- A type without a key gets one; a key of NULLs is none unless there is a default for them.
SELECT pg_temp.run('NodeKeyExtended', '{"node_type": "target", "added_key_property": "id"}');
ALTER TABLE target ADD COLUMN other text;
SELECT pg_temp.run('NodeKeyExtended', '{"node_type": "target", "added_key_property": "other"}');
SELECT pg_temp.run('NodeKeyExtended', '{"node_type": "target", "added_key_property": "other", "default": "x"}');
SELECT * FROM target;
-- Rows that differ in what was added only cannot go back. Those that do not, can, and a column with another comment stays.
SELECT pg_temp.run('CreateNodeType', '{"name": "n", "keys": ["a"], "properties": []}');
INSERT INTO n VALUES ('1');
SELECT pg_temp.run('NodeKeyExtended', '{"node_type": "n", "added_key_property": "b", "default": "x"}');
INSERT INTO n VALUES ('1', 'y');
SELECT pg_temp.run('NodeKeyExtended', '{"node_type": "n", "added_key_property": "b", "default": "x"}', 'down');
DELETE FROM n WHERE b = 'x';
COMMENT ON COLUMN n.b IS 'Ours by now';
SELECT pg_temp.run('NodeKeyExtended', '{"node_type": "n", "added_key_property": "b", "default": "x"}', 'down');
SELECT n.*, pg_get_constraintdef(c.oid) FROM n, pg_constraint AS c WHERE conrelid = 'n'::regclass AND contype = 'p';
-- Tables that are no relationships are left alone: what refers to a key must go before the key is changed.
CREATE TABLE referring (id int, other text, FOREIGN KEY (id, other) REFERENCES target);
SELECT pg_temp.run('NodeKeyExtended', '{"node_type": "target", "added_key_property": "third", "default": 1}');
SELECT pg_temp.run('DropNodeType', '{"name": "target"}');
DROP SCHEMA life, "odd types" CASCADE;
