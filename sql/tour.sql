-- The tour of README.md, and the examples of docs/surface.md; what they show
-- stands here, word for word (test/t/080_readme.pl sees to that).

-- Store a notebook

SET search_path = notebook_migrate, public;
INSERT INTO notebook (notebook_id, name, content) VALUES (4175, 'riders', '{
  "cells": [
    {"id": "a1", "cell_type": "markdown", "metadata": {}, "source": "# Riders"},
    {"id": "b2", "cell_type": "code", "metadata": {}, "source": "raw = load()",
     "execution_count": 1, "outputs": []},
    {"id": "c3", "cell_type": "code", "metadata": {}, "source": "raw.dropna().plot()",
     "execution_count": 2, "outputs": []}],
  "metadata": {}, "nbformat": 4, "nbformat_minor": 5}')
RETURNING notebook_id, version;

SELECT * FROM notebook_cells(4175);

-- Every edit is a version

UPDATE notebook SET content = jsonb_set(content, '{cells,0,source}', '"# Riders in 2024"')
 WHERE notebook_id = 4175
RETURNING version;

SELECT notebook_edit(4175, '[
  {"op": "replace", "cell": "c3", "value":
    {"id": "c3", "cell_type": "code", "metadata": {}, "source": "data = raw.dropna()",
     "execution_count": null, "outputs": []}},
  {"op": "insert", "after": "c3", "value":
    {"id": "d4", "cell_type": "code", "metadata": {}, "source": "data.plot()",
     "execution_count": null, "outputs": []}}]', 'Split the last cell');

SELECT version, message, cells, inserted, deleted, modified, moved
  FROM notebook_version WHERE notebook_id = 4175 ORDER BY version;

SELECT change, cell_key, new_position, old_source, new_source
  FROM notebook_diff(4175, 1, 3);

SELECT line FROM string_to_table(notebook_diff_text(4175, 1, 3), E'\n') WITH ORDINALITY AS d (line, n)
 WHERE n > 2;  -- the first two lines name the versions, with author and time

SELECT * FROM cell_history(4175, 3);

SELECT notebook_at(4175, 1) -> 'cells' -> 2 ->> 'source' AS source;

-- Operators and the mapping

INSERT INTO workflow (workflow_id, name, content) VALUES (4175, 'riders', '{
  "operators": [
    {"operatorID": "UDF1", "operatorType": "PythonUDFV2", "customDisplayName": "load",
     "operatorProperties": {"code": "yield load()"}},
    {"operatorID": "UDF2", "operatorType": "PythonUDFV2", "customDisplayName": "plot",
     "operatorProperties": {"code": "yield table.dropna().plot()"}}],
  "operatorPositions": {"UDF1": {"x": 0, "y": 0}, "UDF2": {"x": 140, "y": 0}},
  "links": [{"linkID": "L1", "source": {"operatorID": "UDF1", "portID": "output-0"},
                             "target": {"operatorID": "UDF2", "portID": "input-0"}}],
  "commentBoxes": [], "settings": {}}');

SELECT mapping_put(4175, 1, 4175, 1, '{
  "operator_to_cell": {"UDF1": ["b2"], "UDF2": ["c3"]},
  "cell_to_operator": {"b2": ["UDF1"], "c3": ["UDF2"]}}', 'llm') AS mapping_id;

SELECT workflow_edit(4175, '[
  {"layout": {"operatorPositions": {"UDF1": {"x": 0, "y": 90}}}}]', 'Move a box');

SELECT cell_id, operator_id, state FROM mapping_links(4175, 1, 4175, 1);
SELECT cell_id, operator_id, state FROM mapping_links(4175, 3, 4175, 2);

-- Nothing is lost

SELECT workflow_edit(4175, '[{"op": "delete", "operator": "UDF2"}]', 'No plot');
SELECT cell_id, operator_id, state FROM mapping_links(4175, NULL, 4175, NULL);
SELECT mapping_at(4175, NULL, 4175, NULL);
SELECT * FROM mapping_unmapped(4175, NULL, 4175, NULL);

SELECT workflow_restore(4175, 2, 'The plot after all');
SELECT mapping_at(4175, NULL, 4175, NULL);

-- Mistakes are told, and write nothing

SELECT notebook_commit(4175, notebook_at(4175, 1), 'Back to the start', expected_version => 2);
SELECT mapping_put(4175, 3, 4175, 4, '{"operator_to_cell": {"UDF1": ["b2", "z9"], "UDF3": ["c3"]}}');
DELETE FROM notebook_version WHERE notebook_id = 4175;

-- More for docs/surface.md: moves and deletes, lines, the other functions

SELECT notebook_edit(4175, '[
  {"op": "move", "cell": 4, "before": 3},
  {"op": "delete", "cell": "a1"}]');
SELECT position, cell_key, cell_id, source FROM notebook_cells(4175);
SELECT notebook_restore(4175, 3);

SELECT workflow_edit(4175, '[
  {"op": "insert", "after": "UDF1", "value":
    {"operatorID": "UDF3", "operatorType": "PythonUDFV2", "customDisplayName": "clean",
     "operatorProperties": {"code": "yield table.dropna()"}},
   "links": {"remove": ["L1"], "add": [
     {"linkID": "L2", "source": {"operatorID": "UDF1", "portID": "output-0"},
                      "target": {"operatorID": "UDF3", "portID": "input-0"}},
     {"linkID": "L3", "source": {"operatorID": "UDF3", "portID": "output-0"},
                      "target": {"operatorID": "UDF2", "portID": "input-0"}}]},
   "layout": {"operatorPositions": {"UDF3": {"x": 70, "y": 90}}}}]', 'Clean apart');
SELECT * FROM workflow_operators(4175);
SELECT * FROM workflow_links(4175);
SELECT change, operator_key, old_position, new_position, detail FROM workflow_diff(4175, 4, 5);

-- Two people's changes put together.
SELECT string_to_table(content #>> '{cells,0,source}', E'\n') AS source
  FROM notebook_merge('{"cells": [{"source": "a = 1\n\nb = 2\n\nc = 3"}]}',
                      '{"cells": [{"source": "a = 10\n\nb = 20\n\nc = 3"}]}',
                      '{"cells": [{"source": "a = 1\n\nb = 22\n\nc = 33"}, {"source": "plot(a)"}]}', 'mark');
SELECT c.*
  FROM notebook_merge('{"cells": [{"source": "a = 1\n\nb = 2\n\nc = 3"}]}',
                      '{"cells": [{"source": "a = 10\n\nb = 20\n\nc = 3"}]}',
                      '{"cells": [{"source": "a = 1\n\nb = 22\n\nc = 33"}, {"source": "plot(a)"}]}'),
       jsonb_to_recordset(conflicts) AS c (kind text, path text, taken text, lines jsonb);

SELECT mapping_put(4175, NULL, 4175, NULL, '{"links": [
  {"cell": "b2", "operator": "UDF1"},
  {"cell": "c3", "operator": "UDF3", "lines": [[1, 1]]},
  {"cell": "d4", "operator": "UDF2"}]}') AS mapping_id;
SELECT cell_key, operator_key, lines, state, mapping_id FROM mapping_links(4175, NULL, 4175, NULL);
SELECT notebook_version, workflow_version, links, exact, carried, changed, removed,
       unmapped_cells, unmapped_operators
  FROM mapping_health(4175);

SELECT notebook_edit(4175, '[
  {"op": "replace", "cell": "c3", "value": {"cell_type": "code", "id": "c3", "metadata": {},
    "source": "data = raw.dropna()\ndata.plot()", "outputs": [], "execution_count": null}},
  {"op": "delete", "cell": "d4"}]', 'In one cell');
SELECT change, cell_key, old_position, new_position, detail FROM notebook_diff(4175, 5, 6);
SELECT cell_key, operator_key, lines, state FROM mapping_links(4175, NULL, 4175, NULL);

SELECT c ->> 'id' AS cell, c ->> 'change' AS change, c -> 'operators' AS operators, c -> 'lines' AS lines
  FROM jsonb_array_elements(migration_prompt(4175, scope => 'changed') -> 'cells') AS c;
SELECT workflow_version, mapping_id, warnings FROM migration_accept(4175, NULL,
  'One operator was enough: {"code": {"clean": "data = table.dropna()\ndata.plot()\nyield data"},
     "edges": [["load", "clean"], ["clean", "export"]]}',
  '{"clean": ["c3"]}', 4175);
SELECT change, operator_key, detail FROM workflow_diff(4175, 5, 6);
SELECT cell_key, operator_key, lines, state FROM mapping_links(4175, NULL, 4175, NULL);
SELECT jsonb_pretty(workflow_parse_reply('So: {"code": {"UDF1": "a = 1", "UDF2": 2}, "edges": []}')) AS found;
SELECT workflow_parse_reply('{"code": {"UDF1": "a = 1", "UDF2": 2}, "edges": [["UDF1", "UDF2"]') AS found;

SELECT json_patch('{"name": "Clean", "operators": [{"operatorID": "A"}]}', '[
  {"op": "test", "path": "/name", "value": "Clean"},
  {"op": "add", "path": "/operators/-", "value": {"operatorID": "B"}},
  {"op": "move", "from": "/operators/0", "path": "/operators/1"}]');
SELECT o ->> 'op' AS op, o ->> 'path' AS path
  FROM jsonb_array_elements(json_patch_diff(workflow_at(4175, 3), workflow_at(4175, 4))) AS o;

SELECT * FROM store_verify('notebook', 4175);

DELETE FROM notebook WHERE notebook_id = 4175;
DELETE FROM workflow WHERE workflow_id = 4175;
