-- Cell-wise writes: only the change travels. Each list is one version, all or nothing.
SET search_path = notebook_migrate, public;

INSERT INTO notebook (notebook_id, name, content) VALUES (1201, 'edited',
  sample.notebook(sample.cell('import os', 'a'), sample.cell('x = 1', 'b'), sample.cell('print(x)', 'c')));
CREATE FUNCTION pg_temp.cells() RETURNS TABLE (p int, key int, id text, source text) LANGUAGE sql AS $$
  SELECT position, cell_key, cell_id, source FROM notebook_migrate.notebook_cells(1201) ORDER BY position
$$;
SELECT * FROM pg_temp.cells();

-- replace: the whole cell is new, the key stays whatever the text.
SELECT notebook_edit(1201, jsonb_build_array(jsonb_build_object(
  'op', 'replace', 'cell', 'b', 'value', sample.cell('def quite_another_thing(): pass', 'b')))) AS version;
SELECT * FROM pg_temp.cells();

-- insert: before or after a cell, else at the end.
SELECT notebook_edit(1201, jsonb_build_array(
  jsonb_build_object('op', 'insert', 'before', 'a', 'value', sample.cell('# Title', 'title', 'markdown')),
  jsonb_build_object('op', 'insert', 'after', 'b', 'value', sample.cell('y = 2', 'y')),
  jsonb_build_object('op', 'insert', 'value', sample.cell('the end', 'end'))), 'three more') AS version;
SELECT * FROM pg_temp.cells();

-- move and delete.
SELECT notebook_edit(1201, '[{"op": "move", "cell": "end", "before": "title"}, {"op": "delete", "cell": "c"}]') AS version;
SELECT * FROM pg_temp.cells();
SELECT notebook_edit(1201, '[{"op": "move", "cell": "end", "after": "y"}]') AS version;
SELECT * FROM pg_temp.cells();

-- A cell is named by its key too.
SELECT cell_key AS key FROM notebook_cells(1201) WHERE cell_id = 'title' \gset
SELECT notebook_edit(1201, jsonb_build_array(jsonb_build_object('op', 'move', 'cell', :key, 'after', 'end'))) AS version;
SELECT * FROM pg_temp.cells();

-- Edits apply in order: each sees those before it.
SELECT notebook_edit(1201, jsonb_build_array(
  jsonb_build_object('op', 'insert', 'after', 'a', 'value', sample.cell('first', 'n1')),
  jsonb_build_object('op', 'insert', 'after', 'n1', 'value', sample.cell('second', 'n2')),
  jsonb_build_object('op', 'replace', 'cell', 'n1', 'value', sample.cell('first, again', 'n1b')),
  jsonb_build_object('op', 'move', 'cell', 'n2', 'before', 'n1b'),
  jsonb_build_object('op', 'delete', 'cell', 'y'))) AS version;
SELECT * FROM pg_temp.cells();

-- The result is the same document that a commit of the whole would store.
SELECT notebook_at(1201) = jsonb_set(notebook_at(1201, 1), '{cells}', to_jsonb(ARRAY[
    sample.cell('import os', 'a'), sample.cell('second', 'n2'), sample.cell('first, again', 'n1b'),
    sample.cell('def quite_another_thing(): pass', 'b'), sample.cell('the end', 'end'),
    sample.cell('# Title', 'title', 'markdown')])) AS same;

-- Nothing changed, no version.
SELECT notebook_edit(1201, '[]') AS version;
SELECT notebook_edit(1201, jsonb_build_array(jsonb_build_object(
  'op', 'replace', 'cell', 'end', 'value', sample.cell('the end', 'end')))) AS version;
SELECT notebook_edit(1201, '[{"op": "move", "cell": "end", "before": "title"}]') AS version;

-- All or nothing: the second edit is wrong, the first is not done.
SELECT notebook_edit(1201, '[{"op": "delete", "cell": "a"}, {"op": "delete", "cell": "a"}]');
\echo :SQLSTATE
SELECT count(*) AS cells FROM pg_temp.cells();

-- expected_version, author and message as in notebook_commit.
SELECT max(version) AS head FROM notebook_version WHERE notebook_id = 1201 \gset
SELECT notebook_edit(1201, '[{"op": "delete", "cell": "n2"}]', expected_version => :head - 1);
\echo :SQLSTATE
SET notebook_migrate.author = 'grace';
SELECT notebook_edit(1201, '[{"op": "delete", "cell": "n2"}]', 'not needed', :head) = :head + 1 AS next;
RESET notebook_migrate.author;
SELECT author, message, deleted, inserted, modified, moved FROM notebook_version
 WHERE notebook_id = 1201 ORDER BY version DESC LIMIT 1;

-- What became of each version.
SELECT version, parent_version, cells, inserted, deleted, modified, moved
  FROM notebook_version WHERE notebook_id = 1201 ORDER BY version;
SELECT bool_and(notebook_at(1201, version) IS NOT NULL) AS all_read FROM notebook_version WHERE notebook_id = 1201;

-- Cells of nbformat 3 worksheets.
INSERT INTO notebook (notebook_id, name, content) VALUES (1202, 'v3',
 '{"nbformat": 3, "worksheets": [{"cells": [{"cell_type": "code", "input": "one"}]},
                                 {"cells": [{"cell_type": "code", "input": "two"}, {"cell_type": "code", "input": "three"}]}]}');
SELECT cell_key AS two FROM notebook_cells(1202) WHERE source = 'two' \gset
SELECT notebook_edit(1202, jsonb_build_array(
  jsonb_build_object('op', 'replace', 'cell', :two, 'value', '{"cell_type": "code", "input": "2"}'::jsonb),
  jsonb_build_object('op', 'insert', 'after', :two, 'value', '{"cell_type": "code", "input": "2.5"}'::jsonb),
  jsonb_build_object('op', 'insert', 'value', '{"cell_type": "code", "input": "4"}'::jsonb))) AS version;
SELECT notebook_at(1202);

-- An edit of an empty notebook.
INSERT INTO notebook (notebook_id, name, content) VALUES (1203, 'empty', sample.notebook());
SELECT notebook_edit(1203, jsonb_build_array(jsonb_build_object('op', 'insert', 'value', sample.cell('born', 'x')))) AS version;
SELECT position, cell_id, source FROM notebook_cells(1203) ORDER BY position;
SELECT notebook_edit(1203, '[{"op": "delete", "cell": "x"}]') AS version;
SELECT notebook_at(1203) = sample.notebook() AS empty_again;

-- After an edit a commit finds the same cells.
SELECT array_agg(cell_key ORDER BY position) AS keys FROM notebook_cells(1201) \gset
SELECT notebook_commit(1201, notebook_at(1201) || '{"metadata": {"touched": true}}') IS NOT NULL AS saved;
SELECT array_agg(cell_key ORDER BY position) = :'keys'::int[] AS same_keys FROM notebook_cells(1201);

SELECT v.* FROM (VALUES (1201), (1202), (1203)) AS n (id), store_verify('notebook', n.id) AS v;
DELETE FROM notebook WHERE notebook_id BETWEEN 1201 AND 1299;
