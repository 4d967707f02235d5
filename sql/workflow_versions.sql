-- Workflows are versioned as notebooks are, independently of them.
SET search_path = notebook_migrate, public;

INSERT INTO workflow (name, content) VALUES ('unnumbered', sample.workflow(ARRAY[sample.operator('A', 'a')]))
  RETURNING workflow_id AS made, workflow_id > 0 AS numbered, version \gset
\echo :numbered :version
DELETE FROM workflow WHERE workflow_id = :made;

INSERT INTO workflow (workflow_id, name, content) VALUES (2001, 'flow', sample.workflow(
  ARRAY[sample.operator('A', 'read()', 'Read'), sample.operator('B', 'clean()', 'Clean')],
  ARRAY[sample.link('L1', 'A', 'B')])) RETURNING workflow_id, name, version;

SELECT position, operator_id, operator_type, display_name, properties
  FROM workflow_operators(2001) ORDER BY position;
SELECT l.link_id, l.source_id, l.source_port, l.target_id, l.target_port,
       l.source_key = s.operator_key AS source_key_right, l.target_key = t.operator_key AS target_key_right
  FROM workflow_links(2001) AS l
  LEFT JOIN workflow_operators(2001) AS s ON s.operator_id = l.source_id
  LEFT JOIN workflow_operators(2001) AS t ON t.operator_id = l.target_id
 ORDER BY link_id COLLATE "C";

-- An operator changed, one added, one deleted.
UPDATE workflow SET content = jsonb_set(content, '{operators,1,operatorProperties,code}', '"clean(all)"')
 WHERE workflow_id = 2001 RETURNING version;
SELECT workflow_commit(2001, sample.workflow(
  ARRAY[sample.operator('A', 'read()', 'Read'), sample.operator('B', 'clean(all)', 'Clean'), sample.operator('C', 'plot()', 'Plot')],
  ARRAY[sample.link('L1', 'A', 'B'), sample.link('L2', 'B', 'C')]), 'a plot') AS version;
UPDATE workflow SET content = sample.workflow(
  ARRAY[sample.operator('A', 'read()', 'Read'), sample.operator('C', 'plot()', 'Plot')], ARRAY[sample.link('L3', 'A', 'C')])
 WHERE workflow_id = 2001 RETURNING version;

-- Moving a box, a comment, a setting: versions in which no operator changed.
SELECT workflow_commit(2001, jsonb_set(workflow_at(2001), '{operatorPositions,A}', '{"x": 140, "y": 20}')) AS version;
SELECT workflow_commit(2001, jsonb_set(workflow_at(2001), '{commentBoxes}', '[{"commentBoxID": "c1", "comments": []}]')) AS version;
SELECT workflow_commit(2001, jsonb_set(workflow_at(2001), '{settings,dataTransferBatchSize}', '500')) AS version;
-- A permuted array is a new version too, as every byte must come back.
SELECT workflow_commit(2001, jsonb_set(workflow_at(2001), '{operators}',
  jsonb_build_array(workflow_at(2001) #> '{operators,1}', workflow_at(2001) #> '{operators,0}'))) AS version;
SELECT array_agg(operator_id ORDER BY position) AS operators FROM workflow_operators(2001);
-- An equal document makes none, nor does a new name.
UPDATE workflow SET content = content, name = 'renamed' WHERE workflow_id = 2001 RETURNING name, version;

SELECT version, parent_version, operators, inserted, deleted, modified, relinked, layout, renamed, message
  FROM workflow_version WHERE workflow_id = 2001 ORDER BY version;

-- Each version reads back, by number and by time.
SELECT version, array_agg(o.operator_id ORDER BY o.position) AS operators
  FROM workflow_version AS v, workflow_operators(2001, v.version) AS o
 WHERE v.workflow_id = 2001 GROUP BY version ORDER BY version;
SELECT created_at AS t2 FROM workflow_version WHERE workflow_id = 2001 AND version = 2 \gset
SELECT workflow_at(2001, :'t2'::timestamptz) = workflow_at(2001, 2) AS by_time,
       workflow_at(2001) = (SELECT content FROM workflow WHERE workflow_id = 2001) AS head;

-- Older and stranger shapes come back as they went in.
CREATE TEMP TABLE odd (n int, content jsonb);
INSERT INTO odd VALUES
  (1, '{"operators": []}'),
  (2, '{"operators": [], "links": [], "operatorPositions": {}, "groups": [], "breakpoints": {}, "commentBoxes": []}'),
  (3, '{"operators": [{"operatorID": "A", "operatorType": "Scan", "operatorProperties": {}}], "links": [], "unknown": {"a": 1.0}}'),
  (4, '{"operators": [{"operatorID": "A"}, {"operatorID": "A"}, {"operatorID": "B", "operatorProperties": null}], "links": [
        {"linkID": "l", "source": {"operatorID": "A", "portID": "output-0"}, "target": {"operatorID": "nobody", "portID": "input-0"}}]}'),
  (5, '{"operators": [{"operatorID": "A", "operatorType": "T", "operatorProperties": {"code": ["no", "text"], "n": 1e400},
        "customDisplayName": "Ä \" \\", "isDisabled": true, "viewResult": true, "markedForReuse": false}],
        "operatorPositions": {"A": {"x": 1.50, "y": -0.0}, "gone": {"x": 0, "y": 0}}, "links": []}'),
  (6, '{"operators": [{}, {"operatorType": "T"}, {"operatorID": null}, {"operatorID": 7}], "links": [{}, {"linkID": 1}]}');
INSERT INTO workflow (workflow_id, name, content) SELECT 2010 + n, 'odd', content FROM odd ORDER BY n;
SELECT n, workflow_at(2010 + n) = content AS equal, workflow_at(2010 + n)::text = content::text AS equal_as_text,
       (SELECT count(*) FROM workflow_operators(2010 + n)) AS operators, (SELECT count(*) FROM workflow_links(2010 + n)) AS links
  FROM odd ORDER BY n;
SELECT position, operator_id = operator_key::text AS id_is_key FROM workflow_operators(2014) ORDER BY position;
SELECT link_id, source_id, target_id, source_key IS NULL AS no_source_key, target_key IS NULL AS no_target_key FROM workflow_links(2014);

-- A notebook and a workflow may have the same number: nothing is shared.
INSERT INTO notebook (notebook_id, name, content) VALUES (2001, 'same number', sample.sources('a'));
DELETE FROM notebook WHERE notebook_id = 2001;
SELECT count(*) > 0 AS still_there FROM workflow_version WHERE workflow_id = 2001;

SELECT bool_and(digest = sha256(convert_to(part_body(body, bytes)::text, 'UTF8'))) AS digests_right
  FROM workflow_part WHERE workflow_id BETWEEN 2001 AND 2099;
SELECT v.* FROM workflow AS w, store_verify('workflow', w.workflow_id) AS v WHERE w.workflow_id BETWEEN 2001 AND 2099;
DELETE FROM workflow WHERE workflow_id BETWEEN 2001 AND 2099;
SELECT count(*) AS rows_left FROM workflow_part WHERE workflow_id BETWEEN 2001 AND 2099;
