-- What a language model is shown of a notebook.
SET search_path = notebook_migrate, public;
\set SHOW_CONTEXT never
\pset format unaligned
\pset tuples_only on
INSERT INTO notebook (notebook_id, name, content) VALUES (4301, 'prompted', sample.notebook(
  sample.cell('# Title', 'title', 'markdown'),
  sample.cell(E'import os\n', metadata => '{"uuid": "uuid-1"}', outputs => sample.printed('never shown')),
  sample.cell(E'x = 1\ny = 2', 'id-2'),
  sample.cell('', 'empty'),
  sample.cell('z = x + y'),
  sample.cell('dup a', 'twice'), sample.cell('dup b', 'twice')));

-- All cells in order. Lines count in the code alone; marks are not counted.
SELECT jsonb_pretty(migration_prompt(4301));
SELECT migration_prompt(4301) ->> 'text';
SELECT migration_prompt(4301, 1, 'all') = migration_prompt(4301), migration_prompt(4301, NULL, NULL) = migration_prompt(4301);
-- Without any mapping all cells have changed, and no workflow is named.
SELECT migration_prompt(4301, scope => 'changed') = migration_prompt(4301) || '{"scope": "changed"}';

-- A workflow, and the mapping onto it.
INSERT INTO workflow (workflow_id, name, content) VALUES (4301, 'prompted', sample.workflow(
  ARRAY[sample.operator('A', 'import os', 'UDF1'), sample.operator('B', 'x = 1', 'same'), sample.operator('C', 'z = x + y', 'same'),
        sample.operator('D', 'source', 'D', 'CSVFileScan')],
  ARRAY[sample.link('L1', 'A', 'B'), sample.link('L2', 'B', 'C'), sample.link('L3', 'D', 'A')]));
SELECT mapping_put(4301, 1, 4301, 1, '{"links": [{"cell": "uuid-1", "operator": "A"}, {"cell": "id-2", "operator": "A"},
  {"cell": "id-2", "operator": "B", "lines": [[1, 1]]}, {"cell": 5, "operator": "C"}]}');
-- Nothing has changed yet.
SELECT migration_prompt(4301, scope => 'changed');

-- One cell is edited, one is inserted, one is moved, one is run.
SELECT notebook_edit(4301, jsonb_build_array(
  jsonb_build_object('op', 'replace', 'cell', 'id-2', 'value', sample.cell(E'x = 1\ny = 3', 'id-2')),
  jsonb_build_object('op', 'insert', 'after', 'id-2', 'value', sample.cell('new = 1', 'id-new')),
  jsonb_build_object('op', 'move', 'cell', 5, 'before', 'uuid-1'),
  jsonb_build_object('op', 'replace', 'cell', 'uuid-1', 'value', sample.cell(E'import os\n', metadata => '{"uuid": "uuid-1"}', execution_count => 5))));
-- Exactly these are asked for: with the operators they map to, named so that no two are called the same.
SELECT jsonb_pretty(migration_prompt(4301, scope => 'changed'));
SELECT migration_prompt(4301, scope => 'changed') ->> 'text';
-- A prompt for an older version is about that version.
SELECT migration_prompt(4301, 1, 'changed') -> 'cells', migration_prompt(4301, 1) ->> 'text' LIKE '%y = 2%';
-- All cells, whatever the mapping.
SELECT jsonb_array_length(migration_prompt(4301) -> 'cells'), migration_prompt(4301) ? 'operators';
-- A changed cell that is not code is listed, but is no code.
SELECT notebook_edit(4301, jsonb_build_array(jsonb_build_object('op', 'replace', 'cell', 'title', 'value', sample.cell('# Other', 'title', 'markdown'))));
SELECT c ->> 'id', c ->> 'type', c ->> 'change', c -> 'operators' FROM jsonb_array_elements(migration_prompt(4301, scope => 'changed') -> 'cells') AS c;
SELECT migration_prompt(4301, scope => 'changed') ->> 'text' LIKE '%Other%';
-- Once a newer mapping is stated, only what changed since.
SELECT mapping_put(4301, NULL, 4301, NULL, '{"links": [{"cell": "id-new", "operator": "B"}]}');
SELECT migration_prompt(4301, scope => 'changed') -> 'cells';
SELECT notebook_restore(4301, 1);
SELECT c ->> 'id', c ->> 'change' FROM jsonb_array_elements(migration_prompt(4301, scope => 'changed') -> 'cells') AS c;

-- Of several workflows it is the one whose mapping was stated for the nearest version.
INSERT INTO workflow (workflow_id, name, content) VALUES (4302, 'other', sample.workflow(ARRAY[sample.operator('Z', 'z')]));
SELECT mapping_put(4301, NULL, 4302, 1, '{"links": []}');
SELECT notebook_commit(4301, sample.sources('z = 9'));
SELECT migration_prompt(4301, scope => 'changed') - 'cells' - 'text';
SELECT migration_prompt(4301, 3, 'changed') ->> 'workflow_id';

-- A notebook without cells; nbformat 3, with worksheets.
INSERT INTO notebook (notebook_id, content) VALUES (4302, '{"cells": []}'), (4303,
  '{"worksheets": [{"cells": [{"cell_type": "code", "input": ["a = 1\n", "b = 2"]}]}, {"cells": [{"cell_type": "code", "input": "c = 3"}]}]}');
SELECT migration_prompt(4302);
SELECT migration_prompt(4303) -> 'cells';

-- What cannot be.
SELECT migration_prompt(4301, scope => 'some');
\echo :SQLSTATE
SELECT migration_prompt(NULL);
\echo :SQLSTATE
SELECT migration_prompt(999999999);
\echo :SQLSTATE
SELECT migration_prompt(4301, 99);
\echo :SQLSTATE
DELETE FROM notebook WHERE notebook_id BETWEEN 4301 AND 4303;
DELETE FROM workflow WHERE workflow_id IN (4301, 4302);
