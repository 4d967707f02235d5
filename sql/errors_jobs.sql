-- What the job functions refuse.
SET search_path = notebook_migrate, sample, public;
INSERT INTO notebook (notebook_id, name, content) VALUES (821, 'jobs', sources('a'));
\set SHOW_CONTEXT never
\set VERBOSITY sqlstate

-- NULL where something is needed: 22004.
SELECT job_submit(NULL);
SELECT job_submit(821, kind => NULL);
SELECT job_submit(821, priority => NULL);
SELECT job_submit(821, run_after => NULL);
SELECT job_submit(821, max_attempts => NULL);
SELECT job_submit(821, payload => NULL);
SELECT job_submit(821, dedupe => NULL);
SELECT job_claim(NULL);
SELECT job_claim('w', NULL);
SELECT job_claim('w', n => NULL);
SELECT job_claim('w', kinds => '{a,NULL}');
SELECT job_heartbeat(NULL, gen_random_uuid());
SELECT job_heartbeat(1, NULL);
SELECT job_heartbeat(1, gen_random_uuid(), NULL);
SELECT job_complete(NULL, gen_random_uuid(), 'a', 'b');
SELECT job_complete(1, NULL, 'a', 'b');
SELECT job_fail(NULL, gen_random_uuid(), 'a');
SELECT job_fail(1, NULL, 'a');
SELECT job_fail(1, gen_random_uuid(), NULL);
SELECT job_fail(1, gen_random_uuid(), 'a', NULL);
SELECT job_cancel(NULL);
SELECT job_status(NULL);
SELECT job_prune(NULL);

-- Unknown jobs, notebooks, versions, workflows: 02000.
SELECT job_submit(-1);
SELECT job_submit(821, 2);
SELECT job_submit(821, payload => '{"workflow_id": -1}');
SELECT job_heartbeat(-1, gen_random_uuid());
SELECT job_complete(-1, gen_random_uuid(), NULL, NULL);
SELECT job_fail(-1, gen_random_uuid(), 'a');
SELECT job_cancel(-1);
SELECT job_status(-1);

\set VERBOSITY default
-- Numbers, intervals, kinds and payloads that make no sense.
SELECT job_submit(821, max_attempts => 0);
SELECT job_submit(821, kind => '');
SELECT job_submit(821, kind => repeat('x', 201));
SELECT job_submit(821, payload => '[]');
SELECT job_submit(821, payload => '{"scope": "some"}');
SELECT job_submit(821, payload => '{"workflow_id": "1"}');
SELECT job_submit(821, payload => '{"workflow_id": 1.5}');
SELECT job_submit(821, payload => '{"name": 1}');
SELECT job_submit(821, payload => '{"strict": "yes"}');
SELECT job_claim('w', n => 0);
SELECT job_claim('w', '-1 s');
SELECT job_heartbeat(1, gen_random_uuid(), '-1 s');
SELECT job_prune('-1 s');
SELECT job_complete(1, gen_random_uuid(), NULL, NULL, '5');
SELECT count(*) FROM migration_job WHERE notebook_id = 821;

-- More than there is may be asked for.
SELECT count(*) FROM job_claim('w', n => 2147483647);

-- Whose job it is.
SELECT job_submit(821, kind => 'note') AS job \gset
CREATE FUNCTION pg_temp.refusal(job bigint, token uuid) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
  what text; detail text;
BEGIN
  PERFORM job_heartbeat(job, token);
  RETURN 'taken';
EXCEPTION WHEN SQLSTATE '55000' THEN
  GET STACKED DIAGNOSTICS what = MESSAGE_TEXT, detail = PG_EXCEPTION_DETAIL;
  RETURN regexp_replace(what, '\d+', 'N') || ': ' || regexp_replace(detail, ' at \d.*', ' at ...');
END $$;
SELECT pg_temp.refusal(:job, gen_random_uuid());
SELECT token FROM job_claim('w') \gset
SELECT pg_temp.refusal(:job, :'token'), pg_temp.refusal(:job, gen_random_uuid());
SELECT job_heartbeat(:job, :'token', '0') IS NOT NULL;
SELECT pg_temp.refusal(:job, :'token');
SELECT job_cancel(:job), pg_temp.refusal(:job, :'token');
DELETE FROM notebook WHERE notebook_id = 821;
