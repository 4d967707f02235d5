-- An old version comes back as the newest one: nothing of the history is lost.
SET search_path = notebook_migrate, public;

INSERT INTO notebook (notebook_id, name, content) VALUES (1501, 'restored',
  sample.sources('import os', 'x = 1', 'y = 2', 'print(x + y)'));
SELECT notebook_commit(1501, sample.sources('import os', 'x = 1')) AS version;
SELECT notebook_commit(1501, sample.sources('something', 'else', 'altogether')) AS version;

SELECT notebook_restore(1501, 1) AS version;
SELECT notebook_at(1501) = notebook_at(1501, 1) AS equal, notebook_at(1501)::text = notebook_at(1501, 1)::text AS equal_as_text;

-- The cells are the ones that they were.
SELECT o.source, o.cell_key = n.cell_key AS same_key
  FROM notebook_cells(1501, 1) AS o JOIN notebook_cells(1501, 4) AS n USING (position) ORDER BY position;

-- Versions between stay as they were, and the restore is a version like all.
SELECT version, jsonb_array_length(notebook_at(1501, version) -> 'cells') AS cells
  FROM notebook_version WHERE notebook_id = 1501 ORDER BY version;

-- Back again (redo), with a message and an author.
SET notebook_migrate.author = 'ada';
SELECT notebook_restore(1501, 3, 'it was right after all') AS version;
RESET notebook_migrate.author;
SELECT author, message FROM notebook_version WHERE notebook_id = 1501 AND version = 5;
SELECT o.source, o.cell_key = n.cell_key AS same_key
  FROM notebook_cells(1501, 3) AS o JOIN notebook_cells(1501, 5) AS n USING (position) ORDER BY position;

-- What equals the head makes no version.
SELECT notebook_restore(1501, 5) AS version;
SELECT notebook_restore(1501, 3) AS version;

-- No such version, no such notebook.
SELECT notebook_restore(1501, 6);
\echo :SQLSTATE
SELECT notebook_restore(1501, 0);
\echo :SQLSTATE
SELECT notebook_restore(1502, 1);
\echo :SQLSTATE
SELECT notebook_restore(1501, NULL) AS version;

-- A cell that was replaced by another text under one key gets that key back.
SELECT cell_key AS k FROM notebook_cells(1501, 5) WHERE position = 0 \gset
SELECT notebook_edit(1501, jsonb_build_array(jsonb_build_object(
  'op', 'replace', 'cell', :k, 'value', sample.cell('nothing of the kind')))) AS version;
SELECT notebook_restore(1501, 5) AS version;
SELECT cell_key = :k AS same_key, source FROM notebook_cells(1501) WHERE position = 0;

-- Workflows.
INSERT INTO workflow (workflow_id, name, content) VALUES (1501, 'restored', sample.workflow(
  ARRAY[sample.operator('A', 'a'), sample.operator('B', 'b')], ARRAY[sample.link('L', 'A', 'B')]));
SELECT workflow_commit(1501, sample.workflow(ARRAY[sample.operator('B', 'b')])) AS version;
SELECT workflow_restore(1501, 1) AS version;
SELECT workflow_at(1501) = workflow_at(1501, 1) AS equal;
SELECT o.operator_id, o.operator_key = n.operator_key AS same_key
  FROM workflow_operators(1501, 1) AS o JOIN workflow_operators(1501, 3) AS n USING (operator_id)
 ORDER BY o.operator_id COLLATE "C";
SELECT workflow_restore(1501, 3) AS version;

SELECT * FROM store_verify('notebook', 1501);
SELECT * FROM store_verify('workflow', 1501);
DELETE FROM notebook WHERE notebook_id = 1501;
DELETE FROM workflow WHERE workflow_id = 1501;
