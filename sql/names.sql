-- What an item may be called, and what it is called: id, or key.
SET search_path = notebook_migrate, public;

-- metadata.uuid before id, id before key.
INSERT INTO notebook (notebook_id, name, content) VALUES (6101, 'names', jsonb_build_object('cells', jsonb_build_array(
  sample.cell('both', 'weak-1', metadata => '{"uuid": "strong-1"}'), sample.cell('weak', 'weak-2'), sample.cell('none'))));
SELECT position, cell_key, cell_id FROM notebook_cells(6101) ORDER BY position;
-- Any of its names names a cell; a string of digits is a key if it is no id.
SELECT name, notebook_edit(6101, jsonb_build_array(jsonb_build_object('op', 'move', 'cell', name, 'after', place))) AS version
  FROM (VALUES ('"strong-1"'::jsonb, '3'::jsonb), ('"weak-1"', '"weak-2"'), ('1', '"3"'), ('"1"', '"weak-2"')) AS n (name, place);
SELECT position, cell_key FROM notebook_cells(6101) ORDER BY position;

-- A name that could mean two cells is shown for neither, and refused.
INSERT INTO notebook (notebook_id, name, content) VALUES (6102, 'ambiguous', jsonb_build_object('cells', jsonb_build_array(
  sample.cell('strong', metadata => '{"uuid": "x"}'), sample.cell('weak', 'x', metadata => '{"uuid": "y"}'),
  sample.cell('looks like a key', '4'), sample.cell('has that key'), sample.cell('its own key', '5'), sample.cell('not a key', '06'))));
SELECT position, cell_key, cell_id FROM notebook_cells(6102) ORDER BY position;
SELECT notebook_edit(6102, '[{"op": "delete", "cell": "x"}]');
SELECT notebook_edit(6102, '[{"op": "delete", "cell": "4"}]');
SELECT notebook_edit(6102, '[{"op": "delete", "cell": 4}, {"op": "delete", "cell": "06"}, {"op": "delete", "cell": "5"}]') AS version;
SELECT cell_key, cell_id FROM notebook_cells(6102) ORDER BY position;
-- A cell that was inserted by the same list has no key yet.
SELECT notebook_edit(6102, jsonb_build_array(jsonb_build_object('op', 'insert', 'value', sample.cell('new')), jsonb_build_object('op', 'delete', 'cell', 0)));

-- What mapping_at shows, mapping_put takes; but for a key that is another cell's id.
INSERT INTO workflow (workflow_id, name, content) VALUES (6101, 'names', sample.workflow(ARRAY[sample.operator('A', 'x'), sample.operator('A', 'y'), sample.operator('B', 'z')]));
SELECT operator_key, operator_id FROM workflow_operators(6101) ORDER BY position;
SELECT mapping_put(6102, 1, 6101, 1, '{"operator_to_cell": {"1": [1, "y"], "2": ["4", 4]}}');
SELECT mapping_put(6102, 1, 6101, 1, '{"operator_to_cell": {"1": [1, "y"], "2": [3, 4], "B": ["5"]}}') AS first \gset
SELECT mapping_at(6102, 1, 6101, 1) AS shown \gset
SELECT :'shown'::jsonb;
SELECT mapping_put(6102, 1, 6101, 1, :'shown') > :first AS taken;
SELECT mapping_put(6102, 1, 6101, 1, replace(:'shown', '"4"', '"06"')::jsonb) > :first AS taken;
SELECT mapping_at(6102, 1, 6101, 1)::text = replace(:'shown'::jsonb::text, '"4"', '"06"') AS same;
SELECT mapping_put(6102, 1, 6101, 1, '{"operator_to_cell": {"A": ["y"]}}');

DELETE FROM notebook WHERE notebook_id IN (6101, 6102);
DELETE FROM workflow WHERE workflow_id = 6101;
