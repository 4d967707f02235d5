-- Saving what was made on an older version: on_conflict says what happens.
SET search_path = notebook_migrate, public;
\set SHOW_CONTEXT always
\set base 'sample.notebook(sample.cell(''import os'', ''a''), sample.cell(E''x = 1\\ny = 2\\nz = 3'', ''b''), sample.cell(''print(x)'', ''c''))'
CREATE FUNCTION pg_temp.with(nb jsonb, path text, value jsonb) RETURNS jsonb LANGUAGE sql AS
  $$ SELECT jsonb_set($1, $2::text[], $3) $$;
CREATE FUNCTION pg_temp.head(id bigint) RETURNS TABLE (key int, cell text, source text) LANGUAGE sql AS
  $$ SELECT cell_key, cell_id, replace(source, E'\n', ' | ') FROM notebook_migrate.notebook_cells($1) ORDER BY position $$;

-- Two people read version 1. The first one saves.
INSERT INTO notebook (notebook_id, name, content) VALUES (1301, 'shared', :base);
SELECT notebook_commit(1301, pg_temp.with(:base, '{cells,0,source}', '"import os, sys"'), 'first', 1);
-- The second one is told, or the changes of both are put together.
SELECT notebook_commit(1301, pg_temp.with(:base, '{cells,2,source}', '"print(x, y)"'), 'second', 1);
\echo :SQLSTATE
SELECT notebook_commit(1301, pg_temp.with(:base, '{cells,2,source}', '"print(x, y)"'), 'second', 1, 'error');
\echo :SQLSTATE
SELECT notebook_commit(1301, pg_temp.with(:base, '{cells,2,source}', '"print(x, y)"'), 'second', 1, on_conflict => 'merge');
SELECT * FROM pg_temp.head(1301);
SELECT version, parent_version, message, modified FROM notebook_version WHERE notebook_id = 1301 ORDER BY version;

-- Where the head is the expected version there is nothing to merge.
SELECT notebook_commit(1301, notebook_at(1301) || '{"metadata": {"title": "t"}}', expected_version => 3, on_conflict => 'merge');
-- What the head has already makes no version.
SELECT notebook_commit(1301, pg_temp.with(:base, '{cells,0,source}', '"import os, sys"'), expected_version => 1, on_conflict => 'merge');
SELECT notebook_commit(1301, :base, expected_version => 1, on_conflict => 'merge');

-- Both changed the same line: nothing is stored; mark stores it with markers.
SELECT notebook_commit(1301, pg_temp.with(:base, '{cells,1,source}', '"x = 1\ny = 20\nz = 3"'), expected_version => 1, on_conflict => 'merge');
SELECT notebook_commit(1301, pg_temp.with(:base, '{cells,1,source}', '"x = 1\ny = 22\nz = 3"'), expected_version => 1, on_conflict => 'merge');
\echo :SQLSTATE
SELECT notebook_commit(1301, pg_temp.with(:base, '{cells,1,source}', '"x = 1\ny = 22\nz = 3"'), expected_version => 1, on_conflict => 'mark');
SELECT * FROM pg_temp.head(1301);
-- Only sources can be marked.
SELECT notebook_commit(1301, pg_temp.with(:base, '{cells,1,source}', '"x = 1\ny = 23\nz = 3"') || '{"metadata": {"title": "u", "a b": 1}}',
  expected_version => 1, on_conflict => 'mark');
\echo :SQLSTATE
-- Deleted and edited.
SELECT notebook_commit(1301, :base #- '{cells,0}', expected_version => 1, on_conflict => 'merge');
\echo :SQLSTATE

-- Keys: a merged version's cells are the same cells, an inserted one is new.
SELECT notebook_commit(1301, jsonb_insert(:base, '{cells,1}', sample.cell('inserted', 'i')), expected_version => 1, on_conflict => 'merge');
SELECT key, cell FROM pg_temp.head(1301);

-- Workflows.
INSERT INTO workflow (workflow_id, name, content) VALUES (1301, 'shared',
  sample.workflow(ARRAY[sample.operator('A', 'a = 1'), sample.operator('B', 'b = 1')], ARRAY[sample.link('L', 'A', 'B')]));
SELECT workflow_commit(1301, jsonb_set(workflow_at(1301), '{operators,0,operatorProperties,code}', '"a = 2"'));
SELECT workflow_commit(1301, jsonb_set(workflow_at(1301, 1), '{operators,1,operatorProperties,code}', '"b = 2"'), expected_version => 1, on_conflict => 'merge');
SELECT operator_key, operator_id, properties ->> 'code' AS code FROM workflow_operators(1301);
SELECT workflow_commit(1301, jsonb_set(workflow_at(1301, 1), '{operators,0,operatorProperties,code}', '"a = 3"'), expected_version => 1, on_conflict => 'merge');
\echo :SQLSTATE

-- More conflicts than a message has room for.
INSERT INTO notebook (notebook_id, name, content)
SELECT 1302, 'many', sample.sources(VARIADIC ARRAY(SELECT 'cell number ' || i FROM generate_series(1, 30) AS i));
SELECT notebook_commit(1302, replace(notebook_at(1302)::text, 'number', 'no.')::jsonb);
SELECT notebook_commit(1302, replace(notebook_at(1302, 1)::text, 'number', 'numero')::jsonb, expected_version => 1, on_conflict => 'merge');
\echo :SQLSTATE

-- What cannot be asked for.
SELECT notebook_commit(1301, :base, on_conflict => 'merge');
\echo :SQLSTATE
SELECT notebook_commit(1301, :base, on_conflict => 'mark');
\echo :SQLSTATE
SELECT notebook_commit(1301, :base, expected_version => 1, on_conflict => 'ours');
\echo :SQLSTATE
SELECT notebook_commit(1301, :base, expected_version => 1, on_conflict => NULL);
\echo :SQLSTATE
SELECT notebook_commit(1301, NULL, expected_version => 1, on_conflict => 'merge');
\echo :SQLSTATE
SELECT notebook_commit(1301, :base, expected_version => 99, on_conflict => 'merge');
\echo :SQLSTATE
SELECT notebook_commit(1301, :base, expected_version => 0, on_conflict => 'merge');
\echo :SQLSTATE
SELECT notebook_commit(-1, :base, expected_version => 1, on_conflict => 'merge');
\echo :SQLSTATE
SELECT notebook_commit(1301, '{"cells": [5]}', expected_version => 1, on_conflict => 'merge');
\echo :SQLSTATE
SELECT notebook_commit(1301, pg_temp.with(:base, '{nbformat}', '3'), expected_version => 1, on_conflict => 'merge');
\echo :SQLSTATE

SELECT v.* FROM (VALUES ('notebook', 1301), ('notebook', 1302), ('workflow', 1301)) AS n (kind, id), store_verify(n.kind, n.id) AS v;
DELETE FROM notebook WHERE notebook_id BETWEEN 1301 AND 1399;
DELETE FROM workflow WHERE workflow_id BETWEEN 1301 AND 1399;
