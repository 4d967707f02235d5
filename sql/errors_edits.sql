-- Edit lists of a wrong shape: the path says which element.
SET search_path = notebook_migrate, public;
\set SHOW_CONTEXT never
INSERT INTO notebook (notebook_id, name, content) VALUES (4101, 'sound', sample.notebook(
  sample.cell('x = 1', 'x'), sample.cell('y = 1', 'y'), sample.cell('1', 'twice'), sample.cell('2', 'twice')));
INSERT INTO workflow (workflow_id, name, content) VALUES (4101, 'sound', sample.workflow(
  ARRAY[sample.operator('A', 'a'), sample.operator('B', 'b'), sample.operator('T', 't'), sample.operator('T', 'u')]));

-- Not a list of objects.
SELECT notebook_edit(4101, '{"op": "delete", "cell": "x"}');
\echo :SQLSTATE
SELECT notebook_edit(4101, '"delete"');
\echo :SQLSTATE
SELECT notebook_edit(4101, '[{"op": "delete", "cell": "x"}, 5]');
\echo :SQLSTATE

-- No operation, an unknown one, one of a wrong type.
SELECT notebook_edit(4101, '[{"cell": "x"}]');
\echo :SQLSTATE
SELECT notebook_edit(4101, '[{"op": "destroy", "cell": "x"}]');
\echo :SQLSTATE
SELECT notebook_edit(4101, '[{"op": 1, "cell": "x"}]');
\echo :SQLSTATE

-- No cell, an unknown one, one named by an id that stands twice.
SELECT notebook_edit(4101, '[{"op": "delete"}]');
\echo :SQLSTATE
SELECT notebook_edit(4101, '[{"op": "delete", "cell": "nobody"}]');
\echo :SQLSTATE
SELECT notebook_edit(4101, '[{"op": "delete", "cell": 99999}]');
\echo :SQLSTATE
SELECT notebook_edit(4101, '[{"op": "delete", "cell": 1.5}]');
\echo :SQLSTATE
SELECT notebook_edit(4101, '[{"op": "delete", "cell": -1}]');
\echo :SQLSTATE
SELECT notebook_edit(4101, '[{"op": "delete", "cell": 1e30}]');
\echo :SQLSTATE
SELECT notebook_edit(4101, '[{"op": "delete", "cell": ["x"]}]');
\echo :SQLSTATE
SELECT notebook_edit(4101, '[{"op": "delete", "cell": "twice"}]');
\echo :SQLSTATE
SELECT notebook_edit(4101, '[{"op": "delete", "cell": "x"}, {"op": "move", "cell": "y", "after": "x"}]');
\echo :SQLSTATE

-- No value, or one that is no cell.
SELECT notebook_edit(4101, '[{"op": "replace", "cell": "x"}]');
\echo :SQLSTATE
SELECT notebook_edit(4101, '[{"op": "insert", "after": "x"}]');
\echo :SQLSTATE
SELECT notebook_edit(4101, '[{"op": "insert", "value": "print(1)"}]');
\echo :SQLSTATE
SELECT notebook_edit(4101, '[{"op": "replace", "cell": "x", "value": {"cell_type": "code", "source": 5}}]');
\echo :SQLSTATE

-- Places: both, none where one must be, unknown, itself.
SELECT notebook_edit(4101, '[{"op": "move", "cell": "x", "before": "y", "after": "y"}]');
\echo :SQLSTATE
SELECT notebook_edit(4101, '[{"op": "move", "cell": "x"}]');
\echo :SQLSTATE
SELECT notebook_edit(4101, '[{"op": "move", "cell": "x", "after": "nobody"}]');
\echo :SQLSTATE
SELECT notebook_edit(4101, '[{"op": "insert", "before": "twice", "value": {"cell_type": "code", "source": ""}}]');
\echo :SQLSTATE

-- NULLs, unknown documents, a head that moved on.
SELECT notebook_edit(NULL, '[]');
\echo :SQLSTATE
SELECT notebook_edit(4101, NULL);
\echo :SQLSTATE
SELECT notebook_edit(999999999, '[]');
\echo :SQLSTATE
SELECT notebook_edit(4101, '[]', expected_version => 9);
\echo :SQLSTATE

-- Workflows: operators, links, layout.
SELECT workflow_edit(4101, '{}');
\echo :SQLSTATE
SELECT workflow_edit(4101, '[{}]');
\echo :SQLSTATE
SELECT workflow_edit(4101, '[{"op": "delete", "operator": "nobody"}]');
\echo :SQLSTATE
SELECT workflow_edit(4101, '[{"op": "delete", "operator": "T"}]');
\echo :SQLSTATE
SELECT workflow_edit(4101, '[{"op": "insert", "value": []}]');
\echo :SQLSTATE
SELECT workflow_edit(4101, '[{"links": "none"}]');
\echo :SQLSTATE
SELECT workflow_edit(4101, '[{"links": [5]}]');
\echo :SQLSTATE
SELECT workflow_edit(4101, '[{"links": {"add": {}}}]');
\echo :SQLSTATE
SELECT workflow_edit(4101, '[{"links": {"remove": [1]}}]');
\echo :SQLSTATE
SELECT workflow_edit(4101, '[{"layout": []}]');
\echo :SQLSTATE
SELECT workflow_edit(4101, '[{"layout": {"operatorPositions": []}}]');
\echo :SQLSTATE

-- Nothing was written by any of these.
SELECT n.version, w.version AS workflow_version, jsonb_array_length(n.content -> 'cells') AS cells
  FROM notebook AS n, workflow AS w WHERE notebook_id = 4101 AND workflow_id = 4101;
DELETE FROM notebook WHERE notebook_id = 4101;
DELETE FROM workflow WHERE workflow_id = 4101;
