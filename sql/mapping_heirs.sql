-- Where a cell or an operator was cut in two or joined with another, its links go on.
SET search_path = notebook_migrate, public;
\set load 'rows = read_table("rides.csv")'
\set drop 'rows = rows.dropna(subset=["start"])'
\set count 'print(len(rows), "rides")'
\set month 'months = rows.groupby("month")'
\set plot 'months["length"].sum().plot.bar()'
CREATE FUNCTION pg_temp.links(nv int, wv int) RETURNS TABLE (cell text, operator text, lines int4range[], state text, m bigint) LANGUAGE sql AS $$
  SELECT cell_id, operator_id, lines, state, mapping_id FROM notebook_migrate.mapping_links(3201, nv, 3201, wv)
   ORDER BY cell_key, operator_key
$$;

INSERT INTO notebook (notebook_id, name, content) VALUES (3201, 'heirs', sample.notebook(
  sample.cell(:'load' || E'\n' || :'drop' || E'\n' || :'count', 'a'), sample.cell(:'month', 'b'), sample.cell(:'plot', 'c')));
INSERT INTO workflow (workflow_id, name, content) VALUES (3201, 'heirs', sample.workflow(
  ARRAY[sample.operator('A', :'load' || E'\n' || :'drop' || E'\n' || :'count'), sample.operator('B', :'month' || E'\n' || :'plot')],
  ARRAY[sample.link('L', 'A', 'B')]));
SELECT mapping_put(3201, 1, 3201, 1, '{"links": [{"cell": "a", "operator": "A", "lines": [[1, 2]]},
  {"cell": "b", "operator": "B"}, {"cell": "c", "operator": "B", "lines": [[1, 1]]}]}') AS mapping_id;

-- Each part of a cell that was cut is linked; the new ones without lines, as those counted in the whole.
SELECT notebook_commit(3201, sample.notebook(
  sample.cell(:'load' || E'\n' || :'drop', 'a'), sample.cell(:'count', 'a2'), sample.cell(:'month', 'b'), sample.cell(:'plot', 'c'))) AS version;
SELECT * FROM pg_temp.links(2, 1);
SELECT mapping_at(3201, 2, 3201, 1);
SELECT * FROM mapping_unmapped(3201, 2, 3201, 1);
-- The pair that was stated is as it was.
SELECT * FROM pg_temp.links(1, 1);

-- A part of a part is linked, too.
SELECT notebook_commit(3201, sample.notebook(
  sample.cell(:'drop', 'a'), sample.cell(:'load', 'a3'), sample.cell(:'count', 'a2'), sample.cell(:'month', 'b'), sample.cell(:'plot', 'c'))) AS version;
SELECT * FROM pg_temp.links(3, 1);

-- Two cells are joined: what is gone hands its link on; a link that its heir has already stays one.
SELECT notebook_commit(3201, sample.notebook(
  sample.cell(:'drop', 'a'), sample.cell(:'load', 'a3'), sample.cell(:'count', 'a2'), sample.cell(:'month' || E'\n' || :'plot', 'c'))) AS version;
SELECT * FROM pg_temp.links(4, 1);

-- Both sides at once.
SELECT workflow_commit(3201, sample.workflow(
  ARRAY[sample.operator('A', :'load'), sample.operator('A2', :'drop' || E'\n' || :'count'), sample.operator('B', :'month' || E'\n' || :'plot')],
  ARRAY[sample.link('L', 'A', 'A2'), sample.link('M', 'A2', 'B')])) AS version;
SELECT * FROM pg_temp.links(2, 2);
SELECT links, exact, carried, changed, removed, unmapped_cells, unmapped_operators FROM mapping_health(3201);

-- What an author says of the parts goes before.
SELECT mapping_put(3201, 2, 3201, 1, '{"links": [{"cell": "a", "operator": "A"}]}') AS mapping_id;
SELECT * FROM pg_temp.links(2, 1);
SELECT * FROM pg_temp.links(3, 1);
SELECT item_id FROM mapping_unmapped(3201, 3, 3201, 1) WHERE side = 'cell' ORDER BY item_id;

-- What is asked about earlier than it was stated has no heirs.
SELECT mapping_put(3201, 4, 3201, 2, '{"links": [{"cell": "a3", "operator": "A"}, {"cell": "c", "operator": "B"}]}') AS mapping_id;
SELECT * FROM pg_temp.links(4, 2);
-- A restore makes whole what was cut, and the links are as they were stated.
SELECT notebook_restore(3201, 1) AS version;
SELECT workflow_restore(3201, 1) AS version;
SELECT * FROM pg_temp.links(5, 3);

-- A merge that was undone hands on no links, even where the cell is deleted later.
INSERT INTO notebook (notebook_id, name, content) VALUES (3202, 'undone', sample.notebook(
  sample.cell(:'load' || E'\n' || :'drop', 'a'), sample.cell(:'count', 'b')));
SELECT mapping_put(3202, 1, 3201, 1, '{"links": [{"cell": "b", "operator": "B"}]}') AS mapping_id;
SELECT notebook_commit(3202, sample.notebook(sample.cell(:'load' || E'\n' || :'drop' || E'\n' || :'count', 'a'))) AS version;
SELECT cell_id, operator_id, state FROM mapping_links(3202, 2, 3201, 1);
SELECT notebook_restore(3202, 1) AS version;
SELECT cell_id, operator_id, state FROM mapping_links(3202, 3, 3201, 1);
SELECT notebook_edit(3202, '[{"op": "delete", "cell": "b"}]') AS version;
SELECT cell_id, operator_id, state FROM mapping_links(3202, 4, 3201, 1);
SELECT change, cell_key, detail FROM notebook_diff(3202, 1, 4);

-- What was cut off an item before the text of another one came to it goes on with its own links only.
INSERT INTO notebook (notebook_id, name, content) VALUES (3203, 'in turn', sample.notebook(
  sample.cell(:'load' || E'\n' || :'drop', 'a'), sample.cell(:'count' || E'\n' || :'month' || E'\n' || :'plot', 'b')));
SELECT mapping_put(3203, 1, 3201, 1, '{"links": [{"cell": "a", "operator": "A"}, {"cell": "b", "operator": "B"}]}') AS mapping_id;
SELECT notebook_commit(3203, sample.notebook(sample.cell(:'load' || E'\n' || :'drop', 'a'),
  sample.cell(:'count' || E'\n' || :'month', 'b'), sample.cell(:'plot', 'c'))) AS version;
SELECT notebook_commit(3203, sample.notebook(
  sample.cell(:'load' || E'\n' || :'drop' || E'\n' || :'count' || E'\n' || :'month', 'b'), sample.cell(:'plot', 'c'))) AS version;
SELECT cell_key, from_key, version, change FROM cell_descent WHERE notebook_id = 3203 ORDER BY version;
SELECT cell_id, operator_id, state FROM mapping_links(3203, 3, 3201, 1);
-- Where all that it was merged into is gone, a cell is removed, whatever else was cut off it.
SELECT notebook_commit(3203, sample.notebook(sample.cell(:'plot', 'c'))) AS version;
SELECT cell_id, operator_id, state FROM mapping_links(3203, 4, 3201, 1);
INSERT INTO notebook (notebook_id, name, content) VALUES (3204, 'cut, then merged', sample.notebook(
  sample.cell(:'load' || E'\n' || :'drop' || E'\n' || :'count', 'a'), sample.cell(:'month' || E'\n' || :'plot', 'b')));
SELECT mapping_put(3204, 1, 3201, 1, '{"links": [{"cell": "a", "operator": "A"}]}') AS mapping_id;
SELECT notebook_commit(3204, sample.notebook(sample.cell(:'count', 'c'), sample.cell(:'load' || E'\n' || :'drop', 'a'),
  sample.cell(:'month' || E'\n' || :'plot', 'b'))) AS version;
SELECT notebook_commit(3204, sample.notebook(sample.cell(:'count', 'c'),
  sample.cell(:'load' || E'\n' || :'drop' || E'\n' || :'month' || E'\n' || :'plot', 'b'))) AS version;
SELECT cell_key, from_key, version, change FROM cell_descent WHERE notebook_id = 3204 ORDER BY version;
SELECT cell_id, operator_id, state FROM mapping_links(3204, 3, 3201, 1);
SELECT notebook_commit(3204, sample.notebook(sample.cell(:'count', 'c'))) AS version;
SELECT cell_id, operator_id, state FROM mapping_links(3204, 4, 3201, 1);

DELETE FROM notebook WHERE notebook_id BETWEEN 3201 AND 3204;
DELETE FROM workflow WHERE workflow_id = 3201;
