-- A mapping is answered for every pair of versions, each link with what happened to it.
SET search_path = notebook_migrate, public;

INSERT INTO notebook (notebook_id, name, content) VALUES (3101, 'carried', sample.notebook(
  sample.cell('import os', 'i'), sample.cell('a = read()', 'a'), sample.cell('b = clean(a)', 'b'),
  sample.cell('c = plot(b)', 'c'), sample.cell('*note*', 'm', 'markdown')));
INSERT INTO workflow (workflow_id, name, content) VALUES (3101, 'carried', sample.workflow(
  ARRAY[sample.operator('A', 'read()'), sample.operator('B', 'clean()'), sample.operator('C', 'plot()'), sample.operator('S', 'source()')],
  ARRAY[sample.link('L1', 'A', 'B'), sample.link('L2', 'B', 'C')]));
SELECT mapping_put(3101, 1, 3101, 1, '{"links": [{"cell": "a", "operator": "A", "lines": [[1, 1]]},
  {"cell": "b", "operator": "B"}, {"cell": "c", "operator": "C"}]}') AS m1 \gset
CREATE FUNCTION pg_temp.links(nv int, wv int) RETURNS TABLE (cell text, operator text, lines int4range[], state text) LANGUAGE sql AS $$
  SELECT cell_id, operator_id, lines, state FROM notebook_migrate.mapping_links(3101, nv, 3101, wv)
   ORDER BY cell_key, operator_key
$$;

-- exact: the pair for which it was stated.
SELECT * FROM pg_temp.links(1, 1);

-- Outputs, counts, metadata, positions, new ids and comments are no change: carried.
SELECT notebook_commit(3101, sample.notebook(
  sample.cell('*note*', 'm2', 'markdown'), sample.cell('import os', 'i2'), sample.cell('a = read()', 'a2', outputs => sample.printed('ok'), execution_count => 3),
  sample.cell('b = clean(a)', 'b2', metadata => '{"tags": ["t"]}'), sample.cell('c = plot(b)', 'c2'))) AS version;
SELECT * FROM pg_temp.links(2, 1);
SELECT workflow_commit(3101, sample.workflow(
  ARRAY[sample.operator('C', 'plot()', 'a new name'), sample.operator('B', 'clean()'), sample.operator('A', 'read()'), sample.operator('S', 'source()')],
  ARRAY[sample.link('L1', 'A', 'B')], '{"A": {"x": 9, "y": 9}}', '[{"commentBoxID": "c"}]')) AS version;
SELECT * FROM pg_temp.links(2, 2);
-- The answer names the items as that version does.
SELECT mapping_at(3101, 2, 3101, 2);

-- cell_changed, operator_changed, both_changed.
SELECT notebook_commit(3101, jsonb_set(jsonb_set(notebook_at(3101), '{cells,2,source}', '"a = read(all)"'), '{cells,3,source}', '"b = clean(a, 1)"')) AS version;
SELECT workflow_commit(3101, jsonb_set(jsonb_set(workflow_at(3101), '{operators,1,operatorProperties,code}', '"clean(1)"'), '{operators,0,isDisabled}', 'true')) AS version;
SELECT * FROM pg_temp.links(3, 2);
SELECT * FROM pg_temp.links(2, 3);
SELECT * FROM pg_temp.links(3, 3);

-- cell_removed, operator_removed, both_removed: said in mapping_links, left out of mapping_at.
SELECT notebook_edit(3101, '[{"op": "delete", "cell": "a2"}, {"op": "delete", "cell": "b2"}]') AS version;
SELECT workflow_edit(3101, '[{"op": "delete", "operator": "B"}, {"op": "delete", "operator": "C"}]') AS version;
SELECT * FROM pg_temp.links(4, 3);
SELECT * FROM pg_temp.links(3, 4);
SELECT * FROM pg_temp.links(4, 4);
SELECT mapping_at(3101, 4, 3101, 3) AS "4, 3", mapping_at(3101, 4, 3101, 4) AS "4, 4";

-- What a restore brings back is linked again.
SELECT notebook_restore(3101, 2) AS version;
SELECT workflow_restore(3101, 1) AS version;
SELECT * FROM pg_temp.links(5, 5);

-- Old pairs are answered as before, NULL means the heads.
SELECT * FROM pg_temp.links(1, 1);
SELECT count(*) AS live FROM mapping_links(3101, NULL, 3101, NULL) WHERE state NOT LIKE '%removed';

-- Code cells and operators without a live link, and the version since which they stand in the document.
CREATE FUNCTION pg_temp.unmapped(nv int, wv int) RETURNS TABLE (side text, item text, since int) LANGUAGE sql AS $$
  SELECT side, item_id, since_version FROM notebook_migrate.mapping_unmapped(3101, nv, 3101, wv)
   ORDER BY side COLLATE "C", item_id COLLATE "C"
$$;
SELECT * FROM pg_temp.unmapped(1, 1);
SELECT * FROM pg_temp.unmapped(4, 4);
SELECT * FROM pg_temp.unmapped(5, 4);
SELECT * FROM pg_temp.unmapped(5, 5);

-- Which authored mapping answers. Equal digests: version 5 of the notebook equals version 2.
SELECT mapping_put(3101, 2, 3101, 1, '{"links": [{"cell": "i2", "operator": "A"}]}') AS m2 \gset
SELECT DISTINCT mapping_id = :m2 AS by_equal_digests, state FROM mapping_links(3101, 5, 3101, 1);
SELECT DISTINCT mapping_id = :m2 AS by_equal_digests, state FROM mapping_links(3101, 5, 3101, 5);
-- The nearest ancestors: (3, 2) is one step from (2, 1) on each side, and further from (1, 1).
SELECT DISTINCT mapping_id = :m2 AS nearest FROM mapping_links(3101, 3, 3101, 2);
-- On a tie the newest.
SELECT mapping_put(3101, 1, 3101, 2, '{"links": [{"cell": "c", "operator": "S"}]}') AS m3 \gset
SELECT DISTINCT mapping_id = :m3 AS newest FROM mapping_links(3101, 2, 3101, 2);
SELECT mapping_put(3101, 2, 3101, 1, '{"links": [{"cell": "i2", "operator": "A"}]}') AS m4 \gset
SELECT DISTINCT mapping_id = :m4 AS newest FROM mapping_links(3101, 2, 3101, 2);
-- Where none is of ancestors, the nearest of all.
INSERT INTO notebook (notebook_id, name, content) VALUES (3102, 'stated late', sample.sources('x = 1'));
SELECT notebook_commit(3102, sample.sources('x = 1', 'y = 2')) AS version;
SELECT notebook_commit(3102, sample.sources('x = 1', 'y = 2', 'z = 3')) AS version;
SELECT mapping_put(3102, 2, 3101, 1, jsonb_build_object('links', jsonb_build_array(jsonb_build_object(
  'cell', (SELECT cell_key FROM notebook_cells(3102, 2) WHERE position = 1), 'operator', 'A')))) IS NOT NULL AS stored;
-- Removed means "not in that version", also where the cell was born later.
SELECT state, position IS NULL AS no_position FROM mapping_links(3102, 1, 3101, 1);
SELECT state, position FROM mapping_links(3102, 3, 3101, 1);

-- Ancestors come before descendants, even where those are nearer and newer.
INSERT INTO notebook (notebook_id, name, content) VALUES (3103, 'before and after', sample.sources('x = 1'));
SELECT notebook_commit(3103, sample.sources('x = 1', 'line ' || i)) AS version FROM generate_series(2, 5) AS i;
SELECT cell_key AS x FROM notebook_cells(3103) WHERE position = 0 \gset
SELECT mapping_put(3103, 1, 3101, 1, jsonb_build_object('links', jsonb_build_array(jsonb_build_object('cell', :x, 'operator', 'A')))) AS early \gset
SELECT mapping_put(3103, 5, 3101, 1, jsonb_build_object('links', jsonb_build_array(jsonb_build_object('cell', :x, 'operator', 'B')))) AS late \gset
SELECT v, mapping_id = :early AS early, mapping_id = :late AS late, l.operator_id, l.state
  FROM generate_series(1, 5) AS v, mapping_links(3103, v, 3101, 1) AS l ORDER BY v;

-- The health of the heads.
SELECT notebook_version, workflow_version, links, exact, carried, changed, removed, unmapped_cells, unmapped_operators FROM mapping_health(3102, 3101);
SELECT count(*) AS pairs FROM mapping_health(NULL, 3101);
SELECT count(*) AS pairs FROM mapping_health(3101);

-- Never an item that is not there; both halves from the same links.
SELECT bool_and(c.cell_id IS NOT NULL AND o.operator_id IS NOT NULL) AS all_there,
       bool_and(m -> 'cell_to_operator' -> l.cell ? l.operator) AS both_halves
  FROM generate_series(1, 5) AS nv, generate_series(1, 5) AS wv, mapping_at(3101, nv, 3101, wv) AS m,
       LATERAL (SELECT key AS operator, jsonb_array_elements_text(value) AS cell FROM jsonb_each(m -> 'operator_to_cell')) AS l
  LEFT JOIN LATERAL (SELECT cell_id FROM notebook_cells(3101, nv) AS c WHERE c.cell_id = l.cell) AS c ON true
  LEFT JOIN LATERAL (SELECT operator_id FROM workflow_operators(3101, wv) AS o WHERE o.operator_id = l.operator) AS o ON true;
-- A large cell that became 10,000 operators is compared once, not for each of its links.
INSERT INTO notebook (notebook_id, content) VALUES (3190, sample.notebook(sample.cell(repeat('x', 4000000) || '1', 'large')));
INSERT INTO workflow (workflow_id, content) SELECT 3190, jsonb_build_object('operators', jsonb_agg(jsonb_build_object('operatorID', 'o' || i, 'operatorType', 'X'))) FROM generate_series(1, 10000) AS i;
SELECT mapping_put(3190, 1, 3190, 1, jsonb_build_object('cell_to_operator', jsonb_build_object('large', (SELECT jsonb_agg('o' || i) FROM generate_series(1, 10000) AS i))));
UPDATE notebook SET content = sample.notebook(sample.cell(repeat('x', 4000000) || '2', 'large')) WHERE notebook_id = 3190;
SET statement_timeout = '1s';
SELECT state, count(*) FROM mapping_links(3190, NULL, 3190, NULL) GROUP BY state;
RESET statement_timeout;
DELETE FROM notebook WHERE notebook_id BETWEEN 3101 AND 3199;
DELETE FROM workflow WHERE workflow_id IN (3101, 3190);
