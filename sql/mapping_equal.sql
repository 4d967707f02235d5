-- Equal documents have equal mappings, whatever keys their cells have.
SET search_path = notebook_migrate, public;
INSERT INTO notebook (notebook_id, name, content) VALUES (6301, 'blank', sample.sources(''));
INSERT INTO workflow (workflow_id, name, content) VALUES (6301, 'one', sample.workflow(ARRAY[sample.operator('A', 'x')]));
SELECT mapping_put(6301, 1, 6301, 1, '{"links": [{"cell": 1, "operator": "A", "lines": [[1, 1]]}]}') AS stated \gset

-- The blank cell goes; another one comes, which nothing says to be the same.
SELECT notebook_commit(6301, sample.sources(VARIADIC '{}')) AS version;
SELECT notebook_commit(6301, sample.sources('')) AS version;
SELECT (SELECT digest FROM notebook_version WHERE notebook_id = 6301 AND version = 1)
     = (SELECT digest FROM notebook_version WHERE notebook_id = 6301 AND version = 3) AS equal_digests;
SELECT cell_key FROM notebook_cells(6301);
SELECT cell_key, position, operator_id, lines, state, mapping_id = :stated AS stated FROM mapping_links(6301, 3, 6301, 1);
SELECT count(*) FROM mapping_unmapped(6301, 3, 6301, 1);
-- One more cell, and the answer is carried from the nearest version again.
SELECT notebook_commit(6301, sample.sources('', 'x = 1')) AS version;
SELECT cell_key, state FROM mapping_links(6301, 4, 6301, 1);

-- A link stated twice is one link: about the whole cell, if one of the two is.
SELECT mapping_put(6301, 4, 6301, 1, '{"links": [{"cell": 3, "operator": "A", "lines": [[1, 2]]}, {"cell": 3, "operator": "A", "lines": [[4, 4]]}]}') IS NOT NULL AS put;
SELECT cell_key, lines FROM mapping_links(6301, 4, 6301, 1);
SELECT mapping_put(6301, 4, 6301, 1, '{"links": [{"cell": 3, "operator": "A", "lines": [[1, 2]]}, {"cell": 3, "operator": "A"}]}') IS NOT NULL AS put;
SELECT cell_key, lines FROM mapping_links(6301, 4, 6301, 1);
DELETE FROM notebook WHERE notebook_id = 6301;
DELETE FROM workflow WHERE workflow_id = 6301;
