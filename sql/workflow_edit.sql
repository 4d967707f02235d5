-- Operator-wise writes: only the change travels.
SET search_path = notebook_migrate, public;

INSERT INTO workflow (workflow_id, name, content) VALUES (2201, 'edited', sample.workflow(
  ARRAY[sample.operator('A', 'read()'), sample.operator('B', 'clean()'), sample.operator('C', 'plot()')],
  ARRAY[sample.link('L1', 'A', 'B'), sample.link('L2', 'B', 'C')]));
CREATE FUNCTION pg_temp.show() RETURNS TABLE (operators text[], links text[], positions jsonb) LANGUAGE sql AS $$
  SELECT (SELECT array_agg(operator_id || '=' || (properties ->> 'code') ORDER BY position)
            FROM notebook_migrate.workflow_operators(2201)),
         (SELECT array_agg(link_id || ':' || source_id || '-' || target_id ORDER BY link_id COLLATE "C")
            FROM notebook_migrate.workflow_links(2201)),
         notebook_migrate.workflow_at(2201) -> 'operatorPositions'
$$;

-- replace keeps the key.
SELECT operator_key AS b FROM workflow_operators(2201) WHERE operator_id = 'B' \gset
SELECT workflow_edit(2201, jsonb_build_array(jsonb_build_object(
  'op', 'replace', 'operator', 'B', 'value', sample.operator('B', 'nothing like it before')))) AS version;
SELECT operator_key = :b AS same_key FROM workflow_operators(2201) WHERE operator_id = 'B';

-- insert with the links and the position that belong to it.
SELECT workflow_edit(2201, jsonb_build_array(jsonb_build_object(
  'op', 'insert', 'value', sample.operator('D', 'save()'),
  'links', jsonb_build_object('add', jsonb_build_array(sample.link('L3', 'C', 'D'))),
  'layout', '{"operatorPositions": {"D": {"x": 420, "y": 0}}}'::jsonb))) AS version;
SELECT * FROM pg_temp.show();

-- Links and layout alone.
SELECT workflow_edit(2201, jsonb_build_array(
  jsonb_build_object('links', jsonb_build_object('remove', jsonb_build_array('L2'), 'add', jsonb_build_array(sample.link('L4', 'A', 'C')))),
  '{"layout": {"operatorPositions": {"A": {"x": 10, "y": 10}, "B": null}}}'::jsonb)) AS version;
SELECT * FROM pg_temp.show();
SELECT workflow_edit(2201, jsonb_build_array(jsonb_build_object('links', jsonb_build_array(sample.link('L1', 'A', 'B'), sample.link('L5', 'B', 'D'))))) AS version;
SELECT * FROM pg_temp.show();

-- Other members of the layout replace what was there.
SELECT workflow_edit(2201, '[{"layout": {"commentBoxes": [{"commentBoxID": "c"}], "settings": {"dataTransferBatchSize": 1}}}]') AS version;
SELECT workflow_at(2201) -> 'commentBoxes' AS comments, workflow_at(2201) -> 'settings' AS settings,
       workflow_at(2201) #> '{operatorPositions,A}' AS a_stays;

-- delete removes the links at the operator and its position.
SELECT workflow_edit(2201, '[{"op": "delete", "operator": "D"}]') AS version;
SELECT * FROM pg_temp.show();

-- Several in a row, each with its links and position; what a later edit brings back stays.
INSERT INTO workflow (workflow_id, content) SELECT 2202, sample.workflow(
    (SELECT array_agg(sample.operator(i, i)) FROM unnest('{A,B,C,D,E}'::text[]) AS i),
    ARRAY[sample.link('AB', 'A', 'B'), sample.link('BC', 'B', 'C'), sample.link('CD', 'C', 'D'), sample.link('DE', 'D', 'E')]);
SELECT workflow_edit(2202, jsonb_build_array('{"op": "delete", "operator": "A"}'::jsonb, '{"op": "delete", "operator": "C"}'::jsonb,
  jsonb_build_object('op', 'insert', 'value', sample.operator('A', 'again')),
  jsonb_build_object('links', jsonb_build_object('add', jsonb_build_array(sample.link('EA', 'E', 'A'))), 'layout', '{"operatorPositions": {"A": {"x": 7}}}'::jsonb),
  '{"op": "delete", "operator": "D"}'::jsonb)) AS version;
SELECT (SELECT array_agg(operator_id ORDER BY position) FROM workflow_operators(2202)) AS operators,
       (SELECT array_agg(link_id ORDER BY link_id) FROM workflow_links(2202)) AS links,
       workflow_at(2202) -> 'operatorPositions' AS positions;
-- A link that was taken with its operator is not there to be removed.
SELECT workflow_edit(2202, '[{"op": "delete", "operator": "E", "links": {"remove": ["EA"]}}]');
\echo :SQLSTATE

-- Very many members of the layout are set at once.
SET statement_timeout = '20s';
SELECT workflow_edit(2202, jsonb_build_array(jsonb_build_object('layout', (SELECT jsonb_object_agg('member ' || i, i) FROM generate_series(1, 20000) AS i)))) AS version;
RESET statement_timeout;
SELECT count(*) AS members, workflow_at(2202) -> 'member 20000' AS last, workflow_at(2202) #> '{operatorPositions,B}' AS b_stays FROM jsonb_object_keys(workflow_at(2202));

-- move and before or after: the order of the array.
SELECT workflow_edit(2201, '[{"op": "move", "operator": "C", "before": "A"}]') AS version;
SELECT * FROM pg_temp.show();

-- By key.
SELECT workflow_edit(2201, jsonb_build_array(jsonb_build_object('op', 'delete', 'operator', :b))) AS version;
SELECT * FROM pg_temp.show();

-- Nothing changed, no version.
SELECT workflow_edit(2201, '[]') AS version;
SELECT workflow_edit(2201, '[{"layout": {}}, {"links": {}}, {"links": {"add": [], "remove": []}}]') AS version;

-- All or nothing.
SELECT workflow_edit(2201, '[{"op": "delete", "operator": "A"}, {"op": "delete", "operator": "nobody"}]');
\echo :SQLSTATE
SELECT workflow_edit(2201, '[{"links": {"remove": ["nobody"]}}]');
\echo :SQLSTATE
SELECT * FROM pg_temp.show();

-- expected_version and message.
SELECT max(version) AS head FROM workflow_version WHERE workflow_id = 2201 \gset
SELECT workflow_edit(2201, '[{"op": "delete", "operator": "A"}]', expected_version => :head + 1);
\echo :SQLSTATE
SELECT workflow_edit(2201, '[{"op": "delete", "operator": "A"}]', 'no input any more', :head) = :head + 1 AS next;
SELECT message, operators, deleted FROM workflow_version WHERE workflow_id = 2201 ORDER BY version DESC LIMIT 1;

-- What each version was about.
SELECT version, operators, inserted, deleted, modified, relinked, layout FROM workflow_version WHERE workflow_id = 2201 ORDER BY version;
SELECT * FROM store_verify('workflow', 2201);
DELETE FROM workflow WHERE workflow_id IN (2201, 2202);
