-- Mappings of a wrong shape.
SET search_path = notebook_migrate, public;
\set SHOW_CONTEXT never
INSERT INTO notebook (notebook_id, name, content) VALUES (4201, 'sound', sample.notebook(
  sample.cell('x = 1', 'x'), sample.cell('y = 1', 'y')));
INSERT INTO workflow (workflow_id, name, content) VALUES (4201, 'sound', sample.workflow(ARRAY[sample.operator('A', 'a')]));
CREATE FUNCTION pg_temp.put(m jsonb) RETURNS bigint LANGUAGE sql AS $$
  SELECT notebook_migrate.mapping_put(4201, 1, 4201, 1, m)
$$;

-- Not an object, nothing of what makes a mapping, more than that.
SELECT pg_temp.put('[]');
\echo :SQLSTATE
SELECT pg_temp.put('{}');
\echo :SQLSTATE
SELECT pg_temp.put('{"operators": {}}');
\echo :SQLSTATE
SELECT pg_temp.put('{"operator_to_cell": {}, "version": 1}');
\echo :SQLSTATE

-- Halves.
SELECT pg_temp.put('{"operator_to_cell": []}');
\echo :SQLSTATE
SELECT pg_temp.put('{"operator_to_cell": {"A": "x"}}');
\echo :SQLSTATE
SELECT pg_temp.put('{"operator_to_cell": {"A": ["x", 5.5]}}');
\echo :SQLSTATE
SELECT pg_temp.put('{"cell_to_operator": {"x": {"A": 1}}}');
\echo :SQLSTATE
SELECT pg_temp.put('{"operator_to_cell": {"A": ["x"]}, "cell_to_operator": {"x": ["A"], "y": ["A"]}}');
\echo :SQLSTATE

-- Links.
SELECT pg_temp.put('{"links": {}}');
\echo :SQLSTATE
SELECT pg_temp.put('{"links": ["x"]}');
\echo :SQLSTATE
SELECT pg_temp.put('{"links": [{"cell": "x"}]}');
\echo :SQLSTATE
SELECT pg_temp.put('{"links": [{"operator": "A"}]}');
\echo :SQLSTATE
SELECT pg_temp.put('{"links": [{"cell": "x", "operator": "A"}, {"cell": ["x"], "operator": "A"}]}');
\echo :SQLSTATE
SELECT pg_temp.put('{"links": [{"cell": "x", "operator": "A", "lines": 3}]}');
\echo :SQLSTATE
SELECT pg_temp.put('{"links": [{"cell": "x", "operator": "A", "lines": [1, 4]}]}');
\echo :SQLSTATE
SELECT pg_temp.put('{"links": [{"cell": "x", "operator": "A", "lines": [[1]]}]}');
\echo :SQLSTATE
SELECT pg_temp.put('{"links": [{"cell": "x", "operator": "A", "lines": [[0, 1]]}]}');
\echo :SQLSTATE
SELECT pg_temp.put('{"links": [{"cell": "x", "operator": "A", "lines": [[4, 1]]}]}');
\echo :SQLSTATE
SELECT pg_temp.put('{"links": [{"cell": "x", "operator": "A", "lines": [["1", 1]]}]}');
\echo :SQLSTATE
SELECT pg_temp.put('{"links": [{"cell": "x", "operator": "A", "lines": [[1, 99999999999]]}]}');
\echo :SQLSTATE

-- More links than there can be.
SELECT pg_temp.put(format('{"operator_to_cell": {"A": [%s"x"]}}', repeat('"x",', 10000000))::jsonb);
\echo :SQLSTATE

-- NULLs, unknown documents and versions.
SELECT pg_temp.put(NULL);
\echo :SQLSTATE
SELECT mapping_put(NULL, 1, 4201, 1, '{"links": []}');
\echo :SQLSTATE
SELECT mapping_put(4201, 1, NULL, 1, '{"links": []}');
\echo :SQLSTATE
SELECT mapping_put(999999999, 1, 4201, 1, '{"links": []}');
\echo :SQLSTATE
SELECT mapping_put(4201, 1, 999999999, 1, '{"links": []}');
\echo :SQLSTATE
SELECT mapping_put(4201, 2, 4201, 1, '{"links": []}');
\echo :SQLSTATE
SELECT mapping_put(4201, 1, 4201, -1, '{"links": []}');
\echo :SQLSTATE

-- Reading: unknown documents and versions, NULLs.
SELECT pg_temp.put('{"links": [{"cell": "x", "operator": "A"}]}') IS NOT NULL AS stored;
SELECT mapping_at(NULL, 1, 4201, 1);
\echo :SQLSTATE
SELECT * FROM mapping_links(4201, 1, NULL, 1);
\echo :SQLSTATE
SELECT mapping_at(4201, 2, 4201, 1);
\echo :SQLSTATE
SELECT * FROM mapping_links(4201, 1, 4201, 0);
\echo :SQLSTATE
SELECT * FROM mapping_unmapped(999999999, 1, 4201, 1);
\echo :SQLSTATE
SELECT mapping_at(4201, 1, 4201, 1);

-- Of all these one was stored.
SELECT count(*) FROM mapping WHERE notebook_id = 4201;
DELETE FROM notebook WHERE notebook_id = 4201;
DELETE FROM workflow WHERE workflow_id = 4201;
