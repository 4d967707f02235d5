-- A mapping is stated once, for one version of a notebook and one of a workflow.
SET search_path = notebook_migrate, public;

INSERT INTO notebook (notebook_id, name, content) VALUES (3001, 'mapped', sample.notebook(
  sample.cell('# Title', 'title', 'markdown'),
  sample.cell('import os', metadata => '{"uuid": "uuid-1"}'),
  sample.cell('x = 1', 'id-2'), sample.cell(E'y = 2\nz = 3\nw = 4\nv = 5'), sample.cell('dup a', 'twice'), sample.cell('dup b', 'twice')));
INSERT INTO workflow (workflow_id, name, content) VALUES (3001, 'mapped', sample.workflow(
  ARRAY[sample.operator('A', 'x'), sample.operator('B', 'y'), sample.operator('C', 'z'), sample.operator('E', 'e1'), sample.operator('E', 'e2')]));
SELECT cell_key AS key4 FROM notebook_cells(3001) WHERE position = 3 \gset
CREATE FUNCTION pg_temp.links() RETURNS TABLE (p int, cell text, operator text, lines int4range[], state text) LANGUAGE sql AS $$
  SELECT position, cell_id, operator_id, lines, state FROM notebook_migrate.mapping_links(3001, 1, 3001, 1)
   ORDER BY position, operator_id COLLATE "C"
$$;

-- Texera's shape, both halves; a cell is named by its metadata.uuid, its id or its key.
SELECT mapping_put(3001, 1, 3001, 1, jsonb_build_object(
  'operator_to_cell', jsonb_build_object('A', jsonb_build_array('uuid-1', 'id-2'), 'B', jsonb_build_array(:'key4')),
  'cell_to_operator', jsonb_build_object('uuid-1', jsonb_build_array('A'), 'id-2', jsonb_build_array('A'), :'key4', jsonb_build_array('B'))))
  AS m1 \gset
SELECT * FROM pg_temp.links();
SELECT bool_and(mapping_id = :m1) AS answered_by_it FROM mapping_links(3001, 1, 3001, 1);

-- Both halves of the answer come from the same links.
SELECT jsonb_object_agg(o.key, o.value) = jsonb_build_object('A', '["uuid-1", "id-2"]'::jsonb, 'B', jsonb_build_array(:'key4')) AS operators_right
  FROM jsonb_each(mapping_at(3001, 1, 3001, 1) -> 'operator_to_cell') AS o;
SELECT mapping_at(3001, 1, 3001, 1) -> 'cell_to_operator' = jsonb_build_object('uuid-1', '["A"]'::jsonb, 'id-2', '["A"]'::jsonb, :'key4', '["B"]'::jsonb) AS cells_right;

-- Either half alone says the same; NULL versions are the heads.
SELECT mapping_put(3001, NULL, 3001, NULL, '{"operator_to_cell": {"A": ["id-2"], "C": ["id-2"]}}') > :m1 AS newer;
SELECT * FROM pg_temp.links();
SELECT mapping_put(3001, 1, 3001, 1, '{"cell_to_operator": {"uuid-1": ["B", "C"], "id-2": []}}', 'llm') > :m1 AS newer;
SELECT * FROM pg_temp.links();
SELECT mapping_at(3001, 1, 3001, 1);

-- Links with lines, counted from 1, both ends included.
SELECT mapping_put(3001, 1, 3001, 1, jsonb_build_object('links', jsonb_build_array(
  jsonb_build_object('cell', 'id-2', 'operator', 'A'),
  jsonb_build_object('cell', :key4, 'operator', 'B', 'lines', '[[1, 2], [4, 4]]'::jsonb),
  jsonb_build_object('cell', :'key4', 'operator', 'C', 'lines', '[[3, 3]]'::jsonb)))) > :m1 AS newer;
SELECT p, operator, lines, state FROM pg_temp.links();

-- A markdown cell may be mapped; an empty mapping may be stated.
SELECT mapping_put(3001, 1, 3001, 1, '{"links": [{"cell": "title", "operator": "A"}]}') IS NOT NULL AS stored;
SELECT * FROM pg_temp.links();
SELECT mapping_put(3001, 1, 3001, 1, '{"links": []}') IS NOT NULL AS stored;
SELECT * FROM pg_temp.links();
SELECT mapping_at(3001, 1, 3001, 1);

-- Every statement stays on record: who, when, from where.
SET notebook_migrate.author = 'ada';
SELECT mapping_put(3001, 1, 3001, 1, '{"links": [{"cell": "id-2", "operator": "B"}]}', 'review') IS NOT NULL AS stored;
RESET notebook_migrate.author;
SELECT notebook_version, workflow_version, origin, CASE author WHEN session_user THEN 'session_user' ELSE author END AS author
  FROM mapping WHERE notebook_id = 3001 ORDER BY mapping_id;

-- Halves that disagree: everything that stands in one only is named.
SELECT mapping_put(3001, 1, 3001, 1, '{"operator_to_cell": {"A": ["uuid-1"], "B": ["id-2"]}, "cell_to_operator": {"uuid-1": ["B"], "id-2": ["B"]}}');
\echo :SQLSTATE
-- Unknown cells and operators: all of them are named.
SELECT mapping_put(3001, 1, 3001, 1, '{"operator_to_cell": {"A": ["uuid-1", "no-cell-1", "no-cell-2"], "no-operator-1": ["id-2"], "no-operator-2": []}}');
\echo :SQLSTATE
SELECT mapping_put(3001, 1, 3001, 1, '{"links": [{"cell": "no-cell-3", "operator": "A"}, {"cell": "id-2", "operator": "no-operator-3"}]}');
\echo :SQLSTATE
-- An id that stands twice in the version names nothing.
SELECT mapping_put(3001, 1, 3001, 1, '{"operator_to_cell": {"A": ["twice"]}}');
\echo :SQLSTATE
SELECT mapping_put(3001, 1, 3001, 1, '{"operator_to_cell": {"E": ["id-2"]}}');
\echo :SQLSTATE
-- A cell that another version has is unknown in this one.
SELECT notebook_commit(3001, sample.notebook(sample.cell('x = 1', 'id-2'), sample.cell('later', 'later'))) AS version;
SELECT mapping_put(3001, 1, 3001, 1, '{"operator_to_cell": {"A": ["later"]}}');
\echo :SQLSTATE
SELECT mapping_put(3001, 2, 3001, 1, '{"operator_to_cell": {"A": ["later"]}}') IS NOT NULL AS stored;

-- Nothing of what failed was stored.
SELECT count(*) FROM mapping WHERE notebook_id = 3001;

-- Before anything is stated the answer is empty.
INSERT INTO notebook (notebook_id, name, content) VALUES (3002, 'unmapped', sample.sources('x'));
SELECT mapping_at(3002, 1, 3001, 1);
SELECT * FROM mapping_health(3002, 3001);

-- A mapping goes with either of its documents.
DELETE FROM workflow WHERE workflow_id = 3001;
SELECT count(*) FROM mapping WHERE notebook_id = 3001;
DELETE FROM notebook WHERE notebook_id BETWEEN 3001 AND 3099;
