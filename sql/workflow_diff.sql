-- What changed between two versions of a workflow, operator by operator.
SET search_path = notebook_migrate, public;

CREATE FUNCTION pg_temp.diff(from_version int, to_version int)
RETURNS TABLE (change text, operator text, old_p int, new_p int, old_source text, new_source text, detail text[])
LANGUAGE sql AS $$
  SELECT d.change, coalesce(n.operator_id, o.operator_id), old_position, new_position, old_source, new_source, sample.sorted(d.detail)
    FROM notebook_migrate.workflow_diff(2101, from_version, to_version) AS d
    LEFT JOIN notebook_migrate.workflow_operators(2101, from_version) AS o USING (operator_key)
    LEFT JOIN notebook_migrate.workflow_operators(2101, to_version) AS n USING (operator_key)
   ORDER BY d.change COLLATE "C", coalesce(n.operator_id, o.operator_id) COLLATE "C"
$$;

INSERT INTO workflow (workflow_id, name, content) VALUES (2101, 'compared', sample.workflow(
  ARRAY[sample.operator('A', 'read()', 'Read'), sample.operator('B', 'clean()', 'Clean'), sample.operator('C', 'plot()', 'Plot')],
  ARRAY[sample.link('L1', 'A', 'B'), sample.link('L2', 'B', 'C')]));
SELECT * FROM pg_temp.diff(1, 1);

-- Code changed.
SELECT workflow_commit(2101, jsonb_set(workflow_at(2101), '{operators,1,operatorProperties,code}', '"clean(all)"')) AS version;
SELECT * FROM pg_temp.diff(1, 2);

-- Without code in it the properties are the source.
SELECT workflow_commit(2101, jsonb_set(workflow_at(2101), '{operators,0,operatorProperties}', '{"fileName": "in.csv"}')) AS version;
SELECT * FROM pg_temp.diff(2, 3);

-- Type, ports, the enabled flag.
SELECT workflow_commit(2101, jsonb_set(workflow_at(2101), '{operators,0,operatorType}', '"CSVFileScan"')) AS version;
SELECT change, operator FROM pg_temp.diff(3, 4);
SELECT workflow_commit(2101, jsonb_set(workflow_at(2101), '{operators,0,inputPorts}', '[]')) AS version;
SELECT change, operator FROM pg_temp.diff(4, 5);
SELECT workflow_commit(2101, jsonb_set(workflow_at(2101), '{operators,2,isDisabled}', 'true')) AS version;
SELECT change, operator FROM pg_temp.diff(5, 6);

-- A box moved: layout of that operator. Comments and settings: a row without operator.
SELECT workflow_commit(2101, jsonb_set(workflow_at(2101), '{operatorPositions,B}', '{"x": 140, "y": 0}')) AS version;
SELECT * FROM pg_temp.diff(6, 7);
SELECT workflow_commit(2101, jsonb_set(workflow_at(2101), '{commentBoxes}', '[{"commentBoxID": "c"}]')) AS version;
SELECT * FROM pg_temp.diff(7, 8);
SELECT workflow_commit(2101, jsonb_set(workflow_at(2101), '{settings,dataTransferBatchSize}', '1')) AS version;
SELECT change, operator FROM pg_temp.diff(8, 9);

-- A display name.
SELECT workflow_commit(2101, jsonb_set(workflow_at(2101), '{operators,2,customDisplayName}', '"Plot it"')) AS version;
SELECT change, operator, detail FROM pg_temp.diff(9, 10);

-- A link turned to another operator: each operator whose set of links changed.
SELECT workflow_commit(2101, jsonb_set(workflow_at(2101), '{links}',
  to_jsonb(ARRAY[sample.link('L1', 'A', 'B'), sample.link('L2', 'A', 'C')]))) AS version;
SELECT change, operator FROM pg_temp.diff(10, 11);
-- A link under a new id joins the same ports: nothing is relinked.
SELECT workflow_commit(2101, jsonb_set(workflow_at(2101), '{links}',
  to_jsonb(ARRAY[sample.link('L1', 'A', 'B'), sample.link('L9', 'A', 'C')]))) AS version;
SELECT change, operator FROM pg_temp.diff(11, 12) WHERE change = 'relinked';

-- Arrays permuted: a version, and no change of any operator.
SELECT workflow_commit(2101, jsonb_set(jsonb_set(workflow_at(2101), '{operators}',
    (SELECT jsonb_agg(o ORDER BY n DESC) FROM jsonb_array_elements(workflow_at(2101) -> 'operators') WITH ORDINALITY AS e (o, n))),
  '{links}', to_jsonb(ARRAY[sample.link('L9', 'A', 'C'), sample.link('L1', 'A', 'B')]))) AS version;
SELECT * FROM pg_temp.diff(12, 13);

-- An operator deleted with its links, one inserted.
SELECT workflow_commit(2101, sample.workflow(
  ARRAY[workflow_at(2101) #> '{operators,0}', workflow_at(2101) #> '{operators,2}', sample.operator('D', 'save()', 'Save')],
  ARRAY[sample.link('L9', 'A', 'C'), sample.link('L4', 'C', 'D')]) || (workflow_at(2101) - '{operators,links,operatorPositions}'::text[])) AS version;
SELECT change, operator, old_source, new_source FROM pg_temp.diff(13, 14) WHERE change IN ('inserted', 'deleted');
SELECT change, operator FROM pg_temp.diff(13, 14) WHERE change = 'relinked';

-- The same operators under new ids, as in a clone of the workflow: renamed, and nothing else.
SELECT workflow_commit(2101, replace(replace(replace(workflow_at(2101)::text,
  '"A"', '"A-clone"'), '"C"', '"C-clone"'), '"D"', '"D-clone"')::jsonb) AS version;
SELECT change, operator, detail FROM pg_temp.diff(14, 15);

-- The counts of each version say the same in short.
SELECT version, operators, inserted, deleted, modified, relinked, layout, renamed
  FROM workflow_version WHERE workflow_id = 2101 ORDER BY version;

-- Backwards.
SELECT change, operator, old_source, new_source FROM pg_temp.diff(2, 1);
SELECT change, operator FROM pg_temp.diff(15, 14);
DELETE FROM workflow WHERE workflow_id = 2101;

-- A new id without new links and a new position: those belong to nobody now, and are told of.
INSERT INTO workflow (workflow_id, name, content) VALUES (2102, 'dangling', '{"operators": [{"operatorID": "A"}, {"operatorID": "B"}],
  "links": [{"linkID": "l", "source": {"operatorID": "A", "portID": "o"}, "target": {"operatorID": "B", "portID": "i"}}],
  "operatorPositions": {"A": {"x": 1, "y": 1}, "B": {"x": 2, "y": 1}}}');
SELECT workflow_edit(2102, '[{"op": "replace", "operator": "A", "value": {"operatorID": "A2"}}]') AS version;
SELECT change, operator_key, detail FROM workflow_diff(2102, 1, 2) ORDER BY operator_key;
SELECT version, change FROM operator_history(2102, 2) ORDER BY version;
DELETE FROM workflow WHERE workflow_id = 2102;
