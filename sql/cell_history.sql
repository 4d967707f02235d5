-- The life of one cell.
SET search_path = notebook_migrate, public;

INSERT INTO notebook (notebook_id, name, content) VALUES (1401, 'history',
  sample.notebook(sample.cell('a', 'a'), sample.cell('x = 1', 'x'), sample.cell('y', 'y'), sample.cell('z', 'z')));
SELECT cell_key AS x FROM notebook_cells(1401) WHERE cell_id = 'x' \gset
SELECT cell_key AS a FROM notebook_cells(1401) WHERE cell_id = 'a' \gset

SELECT notebook_commit(1401, jsonb_set(notebook_at(1401), '{cells,1,source}', '"x = 2"')) AS version;
-- A change elsewhere is none of this cell's.
SELECT notebook_commit(1401, jsonb_set(notebook_at(1401), '{cells,0,source}', '"aa"')) AS version;
-- Neither is a shift of its position.
SELECT notebook_edit(1401, jsonb_build_array(
  jsonb_build_object('op', 'insert', 'before', 'a', 'value', sample.cell('first', 'f')))) AS version;
SELECT notebook_edit(1401, '[{"op": "move", "cell": "x", "after": "z"}]') AS version;
SELECT notebook_commit(1401, jsonb_set(notebook_at(1401), '{cells,4,outputs}', sample.printed('2'))) AS version;
SELECT notebook_commit(1401, jsonb_set(notebook_at(1401), '{cells,4,metadata}', '{"tags": ["t"]}')) AS version;
SELECT notebook_edit(1401, '[{"op": "delete", "cell": "x"}]') AS version;
SELECT notebook_restore(1401, 5) AS version;
SELECT notebook_edit(1401, jsonb_build_array(
  '{"op": "move", "cell": "x", "before": "f"}'::jsonb,
  jsonb_build_object('op', 'replace', 'cell', 'x', 'value', sample.cell('x = 3', 'x')))) AS version;

SELECT version, position, change, source FROM cell_history(1401, :x);
SELECT version, position, change, source FROM cell_history(1401, :a);

-- A cell that was born later.
SELECT h.version, h.position, h.change, h.source
  FROM notebook_cells(1401) AS c, cell_history(1401, c.cell_key) AS h WHERE c.cell_id = 'f';

-- A key that no cell ever had is an error.
SELECT * FROM cell_history(1401, 99999);
\echo :SQLSTATE

-- Operators have a history as well.
INSERT INTO workflow (workflow_id, name, content) VALUES (1401, 'history',
  sample.workflow(ARRAY[sample.operator('A', 'x = 1'), sample.operator('B', 'y = 1')]));
SELECT operator_key AS a FROM workflow_operators(1401) WHERE operator_id = 'A' \gset
SELECT workflow_commit(1401, sample.workflow(ARRAY[sample.operator('A', 'x = 2'), sample.operator('B', 'y = 1')])) AS version;
SELECT workflow_commit(1401, sample.workflow(ARRAY[sample.operator('B', 'y = 1'), sample.operator('A', 'x = 2')])) AS version;
SELECT workflow_commit(1401, sample.workflow(ARRAY[sample.operator('B', 'y = 1')])) AS version;
SELECT workflow_restore(1401, 3) AS version;
SELECT version, change, source FROM operator_history(1401, :a);
SELECT version, position IS NULL AS gone FROM operator_history(1401, :a) WHERE change = 'deleted';

DELETE FROM notebook WHERE notebook_id BETWEEN 1401 AND 1499;
DELETE FROM workflow WHERE workflow_id BETWEEN 1401 AND 1499;
