-- Operations on a graph's schema, as Nodestream's migrations have them: what does each, and what undoes it.
SET search_path = notebook_migrate, public;
SET client_min_messages = warning;
\pset format unaligned
\pset tuples_only on
\set VERBOSITY terse

CREATE TEMP TABLE operation (n int PRIMARY KEY, doc jsonb NOT NULL);
INSERT INTO operation VALUES
  ( 1, '{"operation": "CreateNodeType", "arguments": {"name": "Person", "keys": ["id"], "properties": ["name", {"name": "age", "type": "integer"}, "zone"]}}'),
  ( 2, '{"operation": "CreateNodeType", "arguments": {"name": "City", "keys": ["country", {"name": "code", "type": "char(3)"}], "properties": {"name": null, "people": "bigint"}}}'),
  ( 3, '{"operation": "CreateRelationshipType", "arguments": {"name": "KNOWS", "keys": ["since"], "properties": ["note"]}}'),
  ( 4, '{"operation": "CreateRelationshipType", "arguments": {"name": "LIVES_IN", "keys": [{"name": "since", "type": "date"}], "properties": ["note"],
        "from_node_type": "Person", "to_node_type": "City"}}'),
  ( 5, '{"operation": "CreateRelationshipType", "arguments": {"name": "LIKES", "keys": [], "properties": [], "from_node_type": "Person", "to_node_type": "Person"}}'),
  ( 6, '{"operation": "AddNodeProperty", "arguments": {"node_type": "Person", "property_name": {"name": "height", "type": "numeric(5,2)"}, "default": 1.70}}'),
  ( 7, '{"operation": "AddRelationshipProperty", "arguments": {"relationship_type": "KNOWS", "property_name": "mood"}}'),
  ( 8, '{"operation": "AddAdditionalNodePropertyIndex", "arguments": {"node_type": "Person", "field_name": "age"}}'),
  ( 9, '{"operation": "AddAdditionalRelationshipPropertyIndex", "arguments": {"relationship_type": "KNOWS", "field_name": "note"}}'),
  (10, '{"operation": "NodeKeyExtended", "arguments": {"node_type": "Person", "added_key_property": "region", "default": "north"}}'),
  (11, '{"operation": "RelationshipKeyExtended", "arguments": {"relationship_type": "KNOWS", "added_key_property": "kind", "type": "integer", "default": 7}}'),
  (12, '{"operation": "RenameNodeType", "arguments": {"old_type": "Person", "new_type": "Human"}}'),
  (13, '{"operation": "RenameRelationshipType", "arguments": {"old_type": "KNOWS", "new_type": "HAS_MET"}}'),
  (14, '{"operation": "NodeKeyExtended", "arguments": {"node_type": "Human", "added_key_property": "zone", "default": "?"}}'),
  (15, '{"operation": "RenameNodeProperty", "arguments": {"node_type": "Human", "old_property_name": "age", "new_property_name": "years"}}'),
  (16, '{"operation": "RenameRelationshipProperty", "arguments": {"relationship_type": "HAS_MET", "old_property_name": "note", "new_property_name": "remark"}}'),
  (17, '{"operation": "NodeKeyPartRenamed", "arguments": {"node_type": "Human", "old_key_part_name": "region", "new_key_part_name": "area"}}'),
  (18, '{"operation": "RelationshipKeyPartRenamed", "arguments": {"relationship_type": "HAS_MET", "old_key_part_name": "since", "new_key_part_name": "from_when"}}'),
  (19, '{"operation": "DropAdditionalNodePropertyIndex", "arguments": {"node_type": "Human", "field_name": "years"}}'),
  (20, '{"operation": "DropAdditionalRelationshipPropertyIndex", "arguments": {"relationship_type": "HAS_MET", "field_name": "remark"}}'),
  (21, '{"operation": "DropNodeProperty", "arguments": {"node_type": "Human", "property_name": "years"}}'),
  (22, '{"operation": "DropRelationshipProperty", "arguments": {"relationship_type": "HAS_MET", "property_name": "remark"}}'),
  (23, '{"operation": "DropNodeType", "arguments": {"name": "Human"}}'),
  (24, '{"operation": "DropRelationshipType", "arguments": {"name": "HAS_MET"}}');

-- All twenty are there, and only the four drops cannot be undone.
SELECT count(DISTINCT doc ->> 'operation') FROM operation;
SELECT doc ->> 'operation' FROM operation, LATERAL schema_operations(doc) WHERE down IS NULL ORDER BY n;

-- Their scripts.
SELECT '---- ' || n || ' ' || (doc ->> 'operation') || E'\n' || up || E'\n-- down\n' || coalesce(down, 'NULL')
  FROM operation, LATERAL schema_operations(doc) ORDER BY n;

-- A list gives the same as its documents one by one, in order; one document needs no list, and an empty list is nothing.
SELECT array_agg(s::text ORDER BY s.n) = (SELECT array_agg(u::text ORDER BY o.n) FROM operation AS o, LATERAL (SELECT o.n::bigint, up, down FROM schema_operations(doc)) AS u)
  FROM (SELECT l.n, l.up, l.down FROM schema_operations((SELECT jsonb_agg(doc ORDER BY n) FROM operation)) WITH ORDINALITY AS l (up, down, n)) AS s;
SELECT count(*) FROM schema_operations('[]');

-- A life: what is there, all of it, before and after each.
CREATE SCHEMA life;
SET search_path = life;
CREATE FUNCTION pg_temp.tables() RETURNS text LANGUAGE sql AS $$
  SELECT coalesce(string_agg(line, E'\n' ORDER BY line COLLATE "C"), 'nothing') FROM (
    SELECT concat_ws(' ', table_name || '.' || column_name, format_type(a.atttypid, a.atttypmod), ordinal_position, is_nullable, column_default,
                     col_description(a.attrelid, a.attnum)) AS line
      FROM information_schema.columns
      JOIN pg_attribute AS a ON a.attrelid = format('%I.%I', table_schema, table_name)::regclass AND a.attname = column_name
     WHERE table_schema = 'life'
     UNION ALL
    SELECT concat_ws(' ', c.conrelid::regclass, c.conname, pg_get_constraintdef(c.oid), obj_description(c.oid, 'pg_constraint'))
      FROM pg_constraint AS c WHERE c.connamespace = 'life'::regnamespace AND c.contype <> 'n'
     UNION ALL
    -- The name of an index is the server's choice, and so depends on what its table is called when it is made.
    SELECT regexp_replace(indexdef, 'INDEX \S+ ON', 'INDEX ON') FROM pg_indexes WHERE schemaname = 'life') AS catalog
$$;
CREATE FUNCTION pg_temp.rows() RETURNS text LANGUAGE plpgsql AS $$
DECLARE
  t regclass;
  one text;
  everything text := '';
BEGIN
  FOR t IN SELECT oid FROM pg_class WHERE relnamespace = 'life'::regnamespace AND relkind = 'r' ORDER BY relname COLLATE "C" LOOP
    EXECUTE format('SELECT string_agg(to_jsonb(r)::text, E''\n'' ORDER BY to_jsonb(r)::text COLLATE "C") FROM %s AS r', t) INTO one;
    everything := everything || t || E'\n' || coalesce(one, 'empty') || E'\n';
  END LOOP;
  RETURN everything;
END $$;
CREATE TEMP TABLE before (n int PRIMARY KEY, tables text, rows text);
CREATE PROCEDURE pg_temp.up(first int, last int) LANGUAGE plpgsql AS $$
DECLARE
  o record;
BEGIN
  FOR o IN SELECT n, up FROM operation, LATERAL notebook_migrate.schema_operations(doc) WHERE n BETWEEN first AND last ORDER BY n LOOP
    INSERT INTO before VALUES (o.n, pg_temp.tables(), pg_temp.rows());
    EXECUTE o.up;
  END LOOP;
END $$;
CALL pg_temp.up(1, 5);
INSERT INTO "Person" VALUES ('ann', 'Ann', 31, 'a'), ('bob', 'Bob', 32, 'b'), ('eve', 'Eve', NULL, 'c');
INSERT INTO "City" VALUES ('at', 'VIE', 'Wien', 1900000), ('at', 'GRZ', 'Graz', 290000);
INSERT INTO "KNOWS" VALUES ('ann', 'bob', '2001', 'school'), ('ann', 'bob', '2005', 'work'), ('bob', 'eve', '2010', NULL);
INSERT INTO "LIVES_IN" VALUES ('ann', 'at', 'VIE', '2001-01-01', 'x'), ('bob', 'at', 'GRZ', '2002-02-02', 'y');
INSERT INTO "LIKES" VALUES ('ann', 'bob'), ('bob', 'ann'), ('eve', 'eve');
SELECT pg_temp.tables();
CALL pg_temp.up(6, 20);
SELECT pg_temp.tables();
SELECT pg_temp.rows();

-- Keys are what they say: more rows than before fit in, but not twice; and an end must be there, with all of its key.
INSERT INTO "Human" VALUES ('ann', 'Another Ann', NULL, 'a', 1.6, 'south');
INSERT INTO "Human" VALUES ('ann', 'Yet another', NULL, 'a', 1.6, 'south');
\echo :SQLSTATE
INSERT INTO "LIKES" (from_id, from_region, from_zone, to_id, to_region, to_zone) VALUES ('ann', 'south', 'a', 'ann', 'north', 'a');
INSERT INTO "LIKES" (from_id, from_region, from_zone, to_id, to_region, to_zone) VALUES ('ann', 'west', 'a', 'ann', 'north', 'a');
\echo :SQLSTATE
DELETE FROM "LIKES" WHERE from_region = 'south';
DELETE FROM "Human" WHERE area = 'south';

-- And back. (Rows were put in after the first five.)
DO $$
DECLARE
  o record;
BEGIN
  FOR o IN SELECT n, down, doc ->> 'operation' AS name, tables, rows
             FROM operation JOIN before USING (n), LATERAL notebook_migrate.schema_operations(doc) ORDER BY n DESC LOOP
    EXECUTE o.down;
    IF pg_temp.tables() <> o.tables OR (o.n > 5 AND pg_temp.rows() <> o.rows) THEN
      RAISE EXCEPTION E'% %: not as before, but\n%\n%', o.n, o.name, pg_temp.tables(), pg_temp.rows();
    END IF;
  END LOOP;
END $$;
SELECT pg_temp.tables();

-- The drops, in Nodestream's order: node types go before their relationships. A view that needs one must go first.
TRUNCATE before;
CALL pg_temp.up(1, 20);
CREATE VIEW adult AS SELECT * FROM "Human";
CALL pg_temp.up(21, 24);
\echo :SQLSTATE
DROP VIEW adult;
CALL pg_temp.up(21, 24);
SELECT pg_temp.tables();
DROP SCHEMA life CASCADE;
