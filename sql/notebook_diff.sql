-- What changed between two versions, a row for each cell.
SET search_path = notebook_migrate, public;

CREATE FUNCTION pg_temp.diff(from_version int, to_version int, id bigint = 1301)
RETURNS TABLE (change text, key int, old_p int, new_p int, old_source text, new_source text, detail text[])
LANGUAGE sql AS $$
  SELECT d.change, cell_key, old_position, new_position, old_source, new_source, sample.sorted(d.detail)
    FROM notebook_migrate.notebook_diff(id, from_version, to_version) AS d
$$;

INSERT INTO notebook (notebook_id, name, content) VALUES (1301, 'compared', sample.notebook(
  sample.cell('import numpy as np', 'a'), sample.cell('x = np.arange(10)', 'b'), sample.cell('y = x * 2', 'c'),
  sample.cell('print(y)', 'd', outputs => sample.printed('0'), execution_count => 1)));

-- Nothing.
SELECT * FROM pg_temp.diff(1, 1);

-- One source changed; read backwards, old and new change places.
SELECT notebook_commit(1301, jsonb_set(notebook_at(1301), '{cells,1,source}', '"x = np.arange(100)"')) AS version;
SELECT * FROM pg_temp.diff(1, 2);
SELECT * FROM pg_temp.diff(2, 1);

-- Run again: outputs and counts.
SELECT notebook_commit(1301, jsonb_set(jsonb_set(notebook_at(1301), '{cells,3,outputs}', sample.printed('1')),
                                       '{cells,3,execution_count}', '2')) AS version;
SELECT * FROM pg_temp.diff(2, 3);
SELECT notebook_commit(1301, jsonb_set(notebook_at(1301), '{cells,2,execution_count}', '1')) AS version;
SELECT * FROM pg_temp.diff(3, 4);

-- Metadata of a cell, and of the notebook (a row without a key).
SELECT notebook_commit(1301, jsonb_set(notebook_at(1301), '{cells,0,metadata}', '{"tags": ["setup"], "collapsed": true}')) AS version;
SELECT * FROM pg_temp.diff(4, 5);
SELECT notebook_commit(1301, notebook_at(1301) || '{"metadata": {"kernelspec": {"name": "python3"}}}') AS version;
SELECT * FROM pg_temp.diff(5, 6);

-- A cell moved: one row, not one for each cell that it passed.
SELECT notebook_edit(1301, '[{"op": "move", "cell": "a", "after": "d"}]') AS version;
SELECT * FROM pg_temp.diff(6, 7);

-- Moved and modified at once.
SELECT notebook_edit(1301, jsonb_build_array(
  jsonb_build_object('op', 'move', 'cell', 'a', 'before', 'b'),
  jsonb_build_object('op', 'replace', 'cell', 'a', 'value', sample.cell('import numpy', 'a')))) AS version;
SELECT * FROM pg_temp.diff(7, 8);

-- Inserted and deleted: a deleted cell is listed at its old place.
SELECT notebook_edit(1301, jsonb_build_array(
  '{"op": "delete", "cell": "c"}'::jsonb,
  jsonb_build_object('op', 'insert', 'after', 'd', 'value', sample.cell('*done*', 'e', 'markdown')))) AS version;
SELECT * FROM pg_temp.diff(8, 9);

-- A changed type is a modification; an attachment and an id are none of the source.
SELECT notebook_edit(1301, jsonb_build_array(
  jsonb_build_object('op', 'replace', 'cell', 'e', 'value', sample.cell('*done*', 'e', 'raw')))) AS version;
SELECT * FROM pg_temp.diff(9, 10);
SELECT notebook_edit(1301, jsonb_build_array(
  jsonb_build_object('op', 'replace', 'cell', 'e', 'value',
     sample.cell('*done*', 'e', 'raw') || '{"attachments": {"a.png": {"image/png": "AAAA"}}}'))) AS version;
SELECT * FROM pg_temp.diff(10, 11);
SELECT notebook_commit(1301, jsonb_set(notebook_at(1301), '{cells,0,id}', '"a-renamed"')) AS version;
SELECT * FROM pg_temp.diff(11, 12);

-- Everything at once on one cell: the first in rank names the change, detail lists all.
SELECT notebook_edit(1301, jsonb_build_array(jsonb_build_object('op', 'replace', 'cell', 'd', 'value',
  sample.cell('print(y, y)', 'd2', outputs => sample.printed('2'), execution_count => 9, metadata => '{"k": 1}')))) AS version;
SELECT change, old_p, new_p, old_source, new_source, detail FROM pg_temp.diff(12, 13);

-- Over many versions only the outcome counts: what came and went is not listed.
SELECT notebook_edit(1301, jsonb_build_array(
  jsonb_build_object('op', 'insert', 'value', sample.cell('short-lived', 's')))) AS version;
SELECT notebook_edit(1301, '[{"op": "delete", "cell": "s"}]') AS version;
SELECT * FROM pg_temp.diff(13, 15);
SELECT change, old_p, new_p, old_source, new_source, detail FROM pg_temp.diff(1, NULL);

-- The counts of each version say the same in short.
SELECT version, cells, inserted, deleted, modified, moved, outputs, metadata
  FROM notebook_version WHERE notebook_id = 1301 ORDER BY version;

-- Order: new places first to last, with the deleted ones at their old places.
INSERT INTO notebook (notebook_id, name, content) VALUES (1302, 'order',
  sample.notebook(sample.cell('zero', 'c0'), sample.cell('one', 'c1'), sample.cell('two', 'c2'), sample.cell('three', 'c3')));
SELECT notebook_edit(1302, jsonb_build_array('{"op": "delete", "cell": "c0"}'::jsonb, '{"op": "delete", "cell": "c2"}'::jsonb,
  jsonb_build_object('op', 'insert', 'after', 'c1', 'value', sample.cell('one and a half', 'new')),
  jsonb_build_object('op', 'insert', 'value', sample.cell('four', 'c4')))) AS version;
SELECT change, old_p, new_p, old_source, new_source FROM pg_temp.diff(1, 2, 1302);

-- Sources that are lists of lines are compared and shown as text.
INSERT INTO notebook (notebook_id, name, content) VALUES (1303, 'lines',
  '{"cells": [{"cell_type": "markdown", "metadata": {}, "source": ["one\n", "two"]}], "metadata": {}}');
SELECT notebook_commit(1303, '{"cells": [{"cell_type": "markdown", "metadata": {}, "source": ["one\n", "2"]}], "metadata": {}}') AS version;
SELECT change, old_source, new_source, detail FROM pg_temp.diff(1, 2, 1303);

DELETE FROM notebook WHERE notebook_id BETWEEN 1301 AND 1399;
