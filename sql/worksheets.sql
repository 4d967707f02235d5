-- nbformat 2 and 3: cells stand in worksheets, and positions run on across them.
SET search_path = notebook_migrate, public;
CREATE FUNCTION pg_temp.sheets(VARIADIC sheets text[]) RETURNS jsonb LANGUAGE sql AS $$
  SELECT jsonb_build_object('nbformat', 3, 'worksheets', jsonb_agg(jsonb_build_object('cells',
    (SELECT coalesce(jsonb_agg(jsonb_build_object('cell_type', 'code', 'input', c, 'prompt_number', p, 'outputs', jsonb_build_array(
        jsonb_build_object('output_type', 'pyout', 'prompt_number', p, 'text', c))) ORDER BY p), '[]')
       FROM unnest(string_to_array(s, ' ')) WITH ORDINALITY AS u (c, p))) ORDER BY n))
    FROM unnest(sheets) WITH ORDINALITY AS u (s, n) $$;
CREATE FUNCTION pg_temp.shown(v int = NULL) RETURNS text LANGUAGE sql AS $$
  SELECT string_agg((SELECT string_agg(c ->> 'input', ' ') FROM jsonb_array_elements(s -> 'cells') AS c), ' | ')
    FROM jsonb_array_elements(notebook_at(6201, v) -> 'worksheets') AS s $$;

INSERT INTO notebook (notebook_id, name, content) VALUES (6201, 'sheets', pg_temp.sheets('a b', 'c'));
SELECT position, cell_key, source, execution_count FROM notebook_cells(6201) ORDER BY position;
SELECT notebook_at(6201) = pg_temp.sheets('a b', 'c') AS equal;

-- A cell that crosses a border is a change of the notebook, not of the cell.
SELECT notebook_commit(6201, pg_temp.sheets('a', 'b c')) AS version;
SELECT change, cell_key, detail FROM notebook_diff(6201, 1, 2);
SELECT inserted, deleted, modified, moved, metadata FROM notebook_version WHERE notebook_id = 6201 AND version = 2;

-- Edits go to the worksheet of the cell that they name, or to the end.
SELECT notebook_edit(6201, '[{"op": "insert", "after": 1, "value": {"cell_type": "code", "input": "d"}},
  {"op": "insert", "value": {"cell_type": "code", "input": "e"}}, {"op": "move", "cell": 1, "after": 3}]') AS version;
SELECT pg_temp.shown(1), pg_temp.shown(2), pg_temp.shown(3);

-- A worksheet comes or goes; one may be empty, or have no cells at all.
SELECT notebook_commit(6201, pg_temp.sheets('d', '', 'b c a e')) AS version;
SELECT change, cell_key, detail FROM notebook_diff(6201, 3, 4);
SELECT notebook_commit(6201, '{"worksheets": [{"metadata": {}}, {"cells": []}]}') AS version;
SELECT count(*) FROM notebook_cells(6201);
SELECT notebook_at(6201);
SELECT notebook_commit(6201, '{"worksheets": []}') AS version;
SELECT notebook_edit(6201, '[{"op": "insert", "value": {"cell_type": "code", "input": "a"}}]');
-- Back again: the same cells.
SELECT notebook_commit(6201, pg_temp.sheets('a b', 'c')) AS version;
SELECT cell_key, source FROM notebook_cells(6201) ORDER BY position;
SELECT count(*) FROM store_verify('notebook', 6201);
DELETE FROM notebook WHERE notebook_id = 6201;
