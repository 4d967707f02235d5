-- Splits and merges: which cell has the text of which other one.
SET search_path = notebook_migrate, public;
CREATE FUNCTION pg_temp.diff(from_version int, to_version int, id bigint = 1403)
RETURNS TABLE (change text, key int, old_p int, new_p int, detail text[]) LANGUAGE sql AS $$
  SELECT d.change, cell_key, old_position, new_position, d.detail FROM notebook_migrate.notebook_diff(id, from_version, to_version) AS d
$$;
CREATE FUNCTION pg_temp.cells(v int, id bigint = 1403) RETURNS TABLE (key int, source text) LANGUAGE sql AS $$
  SELECT cell_key, replace(source, E'\n', '; ') FROM notebook_migrate.notebook_cells(id, v) ORDER BY position
$$;
\set load 'rows = read_table("rides.csv")'
\set drop 'rows = rows.dropna(subset=["start"])'
\set count 'print(len(rows), "rides")'
\set month 'months = rows.groupby("month")'
\set plot 'months["length"].sum().plot.bar()'

INSERT INTO notebook (notebook_id, name, content) VALUES (1403, 'cut and joined', sample.sources('import pandas as pd',
  :'load' || E'\n' || :'drop' || E'\n' || :'count' || E'\n' || :'month', :'plot'));

-- A cell is cut in two: the part with more of it keeps the key, the other one descends from it.
SELECT notebook_commit(1403, sample.sources('import pandas as pd',
  :'load' || E'\n' || :'drop' || E'\n' || :'count', :'month', :'plot')) AS version;
SELECT * FROM pg_temp.cells(2);
SELECT cell_key, from_key, version, change FROM cell_descent WHERE notebook_id = 1403;
SELECT * FROM pg_temp.diff(1, 2);
-- Read backwards it is a merge.
SELECT * FROM pg_temp.diff(2, 1);
-- A version's counts have it as one cell modified and one inserted.
SELECT inserted, deleted, modified FROM notebook_version WHERE notebook_id = 1403 AND version = 2;

-- The short part may come first, and the cells may be edited on the way.
SELECT notebook_commit(1403, sample.sources('import pandas as pd', :'load',
  :'drop' || E'\n' || :'count' || E'\nrows.head()', :'month', :'plot')) AS version;
SELECT * FROM pg_temp.cells(3);
SELECT * FROM pg_temp.diff(2, 3);
-- Over several versions the text is followed from cell to cell.
SELECT * FROM pg_temp.diff(1, 3);

-- Cells are joined: the one that gave more keeps its key.
SELECT notebook_commit(1403, sample.sources('import pandas as pd', :'load',
  :'drop' || E'\n' || :'count' || E'\nrows.head()', :'month' || E'\n' || :'plot')) AS version;
SELECT * FROM pg_temp.diff(3, 4);
SELECT * FROM pg_temp.diff(1, 4);

-- A restore that undoes it all says so, too, and gives the old keys.
SELECT notebook_restore(1403, 1) AS version;
SELECT * FROM pg_temp.cells(5);
SELECT * FROM pg_temp.diff(4, 5);
SELECT * FROM pg_temp.diff(1, 5);
SELECT cell_key, from_key, version, change FROM cell_descent WHERE notebook_id = 1403 ORDER BY version, cell_key;
SELECT * FROM cell_history(1403, 4);
SELECT version, position, change FROM cell_history(1403, 2);
SELECT version, position, change FROM cell_history(1403, 3);

-- A copy is no split; what is deleted, and new elsewhere, is no merge.
SELECT notebook_commit(1403, sample.sources('import pandas as pd', :'load' || E'\n' || :'drop' || E'\n' || :'count' || E'\n' || :'month' || ' # by month',
  :'load', :'plot')) AS version;
SELECT change, key FROM pg_temp.diff(5, 6);
SELECT notebook_commit(1403, sample.sources('import pandas as pd', :'load' || E'\n' || :'drop' || E'\n' || :'count', :'plot')) AS version;
SELECT change, key FROM pg_temp.diff(6, 7);

-- Edit lists: the same.
INSERT INTO notebook (notebook_id, name, content) VALUES (1404, 'edited', sample.notebook(
  sample.cell(:'load' || E'\n' || :'drop' || E'\n' || :'count', 'a'), sample.cell(:'plot', 'b')));
SELECT notebook_edit(1404, jsonb_build_array(
  jsonb_build_object('op', 'replace', 'cell', 'a', 'value', sample.cell(:'load' || E'\n' || :'drop', 'a')),
  jsonb_build_object('op', 'insert', 'after', 'a', 'value', sample.cell(:'count', 'c')))) AS version;
SELECT * FROM pg_temp.diff(1, 2, 1404);

-- Operators are cut and joined as cells are.
INSERT INTO workflow (workflow_id, name, content) VALUES (2401, 'cut', sample.workflow(
  ARRAY[sample.operator('A', :'load' || E'\n' || :'drop' || E'\n' || :'count'), sample.operator('B', :'plot')], ARRAY[sample.link('L', 'A', 'B')]));
SELECT workflow_commit(2401, sample.workflow(
  ARRAY[sample.operator('A', :'load' || E'\n' || :'drop'), sample.operator('C', :'count'), sample.operator('B', :'plot')],
  ARRAY[sample.link('L', 'A', 'C'), sample.link('M', 'C', 'B')])) AS version;
SELECT change, operator_key, detail FROM workflow_diff(2401, 1, 2) ORDER BY operator_key;
SELECT operator_key, from_key, version, change FROM operator_descent WHERE workflow_id = 2401;
SELECT version, position, change FROM operator_history(2401, 3);

-- It is part of the history: append-only, and under the version's seal.
UPDATE cell_descent SET from_key = 1;
\echo :SQLSTATE
SELECT count(*) AS problems FROM store_verify('notebook', 1403);
BEGIN;
ALTER TABLE notebook_version DISABLE TRIGGER append_only;
UPDATE notebook_version SET descents = replace(descents::text, 'merged', 'split')::jsonb WHERE notebook_id = 1403 AND version = 4;
UPDATE notebook_version SET descents = NULL WHERE notebook_id = 1403 AND version = 2;
UPDATE notebook_version SET descents = '[{"key": 3}]' WHERE notebook_id = 1403 AND version = 3;
SELECT version, problem FROM store_verify('notebook', 1403) ORDER BY version;
SELECT * FROM notebook_diff(1403, 2, 3);
\echo :SQLSTATE
ROLLBACK;

DELETE FROM notebook WHERE notebook_id IN (1403, 1404);
DELETE FROM workflow WHERE workflow_id = 2401;
