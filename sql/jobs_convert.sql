-- Conversions as jobs: a claim has the prompt, and completing stores what the
-- model answered.
SET search_path = notebook_migrate, sample, public;
\set VERBOSITY sqlstate
INSERT INTO notebook (notebook_id, name, content) VALUES (811, 'jobs', notebook(cell('x = load()', 'a'), cell('plot(x)', 'b')));
SELECT job_submit(811, payload => '{"name": "from a job"}') AS job \gset
SELECT notebook_edit(811, '[{"op": "delete", "cell": "b"}]');

-- The version is the one that was the head when it was submitted.
SELECT token, version, kind, attempt, prompt ->> 'scope' AS scope, prompt ->> 'text' AS text FROM job_claim('w') \gset
\echo :version :kind :attempt :scope
\echo :text

-- A bad reply is an error that leaves the job as it was; the worker may try again or fail it.
SELECT * FROM job_complete(:job, :'token', '{"code": {"load": ', '{}');
SELECT * FROM job_complete(:job, :'token', NULL, NULL);
SELECT job_status(:job) ->> 'state' AS state;
SELECT workflow_id AS wf, workflow_version, mapping_id, warnings
  FROM job_complete(:job, :'token', 'Here: {"code": {"load": "x", "plot": "y"}, "edges": [["load", "plot"], ["load", "nothing"]]}',
                    '{"load": ["a"], "plot": ["b"]}', '{"prompt_tokens": 100, "completion_tokens": 20}') \gset
\echo :workflow_version :mapping_id :warnings
SELECT s ->> 'state' AS state, (s ->> 'workflow_id')::bigint = :wf AS workflow, s ->> 'workflow_version' AS version,
       s ->> 'mapping_id' AS mapping, s -> 'warnings' AS warnings, s -> 'usage' AS usage, s -> 'payload' AS payload
  FROM job_status(:job) AS s;
SELECT name FROM workflow WHERE workflow_id = :wf;
SELECT origin, notebook_version FROM mapping WHERE notebook_id = 811;

-- The same again is done at once, with the same result, until the workflow is gone.
SELECT job_submit(811, 1, payload => '{"name": "from a job"}') AS again \gset
SELECT s ->> 'state' AS state, (s ->> 'workflow_id')::bigint = :wf AS same, s ->> 'mapping_id' AS mapping, s -> 'usage' AS usage,
       (s ->> 'equal_to')::bigint = :job AS equal_to FROM job_status(:again) AS s;

-- What changed, for a workflow that is there.
SELECT job_submit(811, payload => jsonb_build_object('scope', 'changed', 'workflow_id', :wf)) AS change \gset
SELECT prompt -> 'scope' AS scope, prompt -> 'cells' AS cells FROM job_claim('w');
SELECT workflow_id = :wf AS same, workflow_version FROM job_complete(:change, (SELECT token FROM migration_job WHERE job_id = :change),
  '{"code": {"load": "x + 1"}}', '{"load": ["a"]}');
-- Where none is named, it is the one that the prompt is about.
SELECT notebook_edit(811, '[{"op": "replace", "cell": "a", "value": {"cell_type": "code", "id": "a", "metadata": {}, "source": "x = load(2)", "outputs": [], "execution_count": null}}]');
SELECT job_submit(811, payload => '{"scope": "changed"}') AS change \gset
SELECT prompt #> '{cells,0,change}' AS change, (prompt ->> 'workflow_id')::bigint = :wf AS same FROM job_claim('w');
SELECT workflow_id = :wf AS same, workflow_version FROM job_complete(:change, (SELECT token FROM migration_job WHERE job_id = :change),
  '{"code": {"load": "x + 2"}}', '{"load": ["a"]}');
-- The same again is done at once, unless the workflow has moved on since: then it is another change.
SELECT job_submit(811, payload => '{"scope": "changed"}') AS again \gset
SELECT job_status(:again) ->> 'state' AS state;
SELECT workflow_edit(:wf, '[{"layout": {"commentBoxes": [{"commentBoxID": "c"}]}}]') > 0 AS moved_on;
SELECT job_submit(811, payload => '{"scope": "changed"}') AS anew \gset
SELECT job_status(:anew) ->> 'state' AS state, job_cancel(:anew);
DELETE FROM workflow WHERE workflow_id = :wf;
SELECT job_submit(811, 1, payload => '{"name": "from a job"}') AS anew \gset
SELECT job_status(:anew) ->> 'state' AS state;

-- A job of which no prompt can be made fails, and stops no other one.
SELECT count(job_cancel(job_id)) > 0 AS cancelled FROM migration_job;
SELECT job_prune('0') > 0 AS pruned;
SELECT job_submit(811, 1) AS broken \gset
UPDATE migration_job SET version = 77 WHERE job_id = :broken;
SELECT job_submit(811, 2, payload => '{"good": true}') AS good \gset
SELECT job_id = :good AS good, prompt ->> 'version' AS version FROM job_claim('w');
SELECT s ->> 'state' AS state, s ->> 'error' AS error FROM job_status(:broken) AS s;
-- Another kind has a prompt where it names a scope.
SELECT job_submit(811, kind => 'mine') > 0, job_submit(811, kind => 'mine', payload => '{"scope": "all"}') > 0;
SELECT prompt IS NULL AS no_prompt, job_cancel(job_id) FROM job_claim('w', kinds => '{mine}');
SELECT prompt ->> 'scope' AS scope FROM job_claim('w', kinds => '{mine}');
DELETE FROM notebook WHERE notebook_id = 811;
