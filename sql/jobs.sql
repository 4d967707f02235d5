-- The queue between the store and workers outside: who gets which job, in what
-- order, and what becomes of it.
SET search_path = notebook_migrate, sample, public;
\set VERBOSITY sqlstate
INSERT INTO notebook (notebook_id, name, content)
SELECT 800 + i, 'jobs', sources('a = ' || i, 'print(a)') FROM generate_series(1, 4) AS i;

-- Jobs by the name that their payload has; ids and times differ from run to run.
CREATE TEMP VIEW job AS SELECT *, payload ->> 'job' AS name FROM migration_job;
CREATE FUNCTION pg_temp.submit(name text, notebook bigint = 801, priority int = 0, kind text = 'note', dedupe boolean = true)
RETURNS bigint LANGUAGE sql AS $$
  SELECT job_submit(notebook, kind => kind, priority => priority, payload => jsonb_build_object('job', name), dedupe => dedupe) $$;
CREATE FUNCTION pg_temp.claim(n int = 1, kinds text[] = '{note}', lease interval = '5 min') RETURNS text LANGUAGE sql AS $$
  SELECT coalesce(string_agg(payload ->> 'job' || ' ' || attempt, ', ' ORDER BY o), 'none')
    FROM job_claim('w', lease, kinds, n) WITH ORDINALITY AS c (job_id, token, notebook_id, version, kind, attempt, payload, prompt, lease_until, o) $$;
CREATE FUNCTION pg_temp.done(text) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
  PERFORM job_complete(job_id, token, NULL, NULL) FROM job WHERE name = $1;
  RETURN (SELECT string_agg(state, ', ' ORDER BY job_id) FROM job WHERE name = $1);
END $$;

-- What waits for a retry is let go on at once.
CREATE FUNCTION pg_temp.make_due(bigint) RETURNS void LANGUAGE sql AS $$
  UPDATE migration_job SET run_after = now() WHERE job_id = $1;
  UPDATE migration_turn SET at = now() WHERE job_id = $1 $$;

-- Nothing to do is no error.
SELECT * FROM job_claim('w');

-- Within a notebook in order, across notebooks by priority, run_after and id.
SELECT count(pg_temp.submit(name, notebook, priority))
  FROM (VALUES ('a1', 801, 0), ('a2', 801, 9), ('b1', 802, 0), ('c1', 803, 5), ('c2', 803, 0)) AS v (name, notebook, priority);
SELECT pg_temp.claim(), pg_temp.claim(), pg_temp.claim(), pg_temp.claim();
SELECT name, state, attempt, worker, lease_until - started_at AS lease FROM job ORDER BY job_id;
SELECT pg_temp.done('c1'), pg_temp.claim();
SELECT pg_temp.done('a1'), pg_temp.claim(5);
SELECT pg_temp.done('b1'), pg_temp.done('a2'), pg_temp.done('c2'), pg_temp.claim();
-- Several at once; other kinds are lines of their own; a worker may take some kinds only.
SELECT count(pg_temp.submit('d' || i, 800 + i, i)) FROM generate_series(1, 3) AS i;
SELECT pg_temp.submit('e', 801, 7, 'other') > 0 AS submitted;
SELECT pg_temp.claim(10, '{nothing}'), pg_temp.claim(10, '{}'), pg_temp.claim(1, '{other,other}'), pg_temp.claim(10, '{other,note}'), pg_temp.claim(10, NULL);
SELECT pg_temp.done(name) FROM unnest('{d1,d2,d3,e}'::text[]) AS name;

-- Equal work is not done twice: not while it is to be done, nor when it was.
SELECT pg_temp.submit('same') AS same \gset
SELECT pg_temp.submit('same') = :same AS one_job;
SELECT pg_temp.submit('same', 802) = :same AS of_another_notebook, pg_temp.submit('same', 801, 0, 'other') = :same AS of_another_kind,
       pg_temp.submit('same', dedupe => false) = :same AS not_wanted;
SELECT pg_temp.claim(), job_cancel(job_id), job_cancel(job_id) FROM job WHERE job_id = :same + 1;
SELECT * FROM job_complete(:same, (SELECT token FROM job WHERE job_id = :same), NULL, NULL, '{"tokens": 7, "model": "m"}');
SELECT pg_temp.submit('same') AS again \gset
SELECT state, attempt, equal_to = :same AS equal_to_first, finished_at = created_at AS at_once FROM job WHERE job_id = :again;
-- A restored version is equal; another one is not. What failed is no hit.
SELECT notebook_commit(801, sources('a = 1', 'print(a + 1)')), notebook_restore(801, 1);
SELECT pg_temp.submit('same') AS restored, job_submit(801, 2, 'note', payload => '{"job": "same"}') AS edited \gset
SELECT job_status(:restored) ->> 'state' AS restored, job_status(:edited) ->> 'state' AS edited;
SELECT job_cancel(job_id) FROM job WHERE finished_at IS NULL ORDER BY job_id;

-- A lease that ran out: the job can be claimed at once, the late worker's token is refused.
SELECT pg_temp.submit('late') AS late \gset
SELECT token FROM job_claim('slow', '0 s', '{note}') \gset
SELECT job_heartbeat(:late, :'token');
SELECT pg_temp.claim();
SELECT job_complete(:late, :'token', NULL, NULL);
SELECT job_fail(:late, :'token', 'too late');
SELECT state, attempt, worker, errors #>> '{0,error}' AS error, errors #>> '{0,worker}' AS whose FROM job WHERE job_id = :late;
-- A heartbeat moves the lease's end and tells the progress.
SELECT token FROM job WHERE job_id = :late \gset
SELECT job_heartbeat(:late, :'token', '1 hour', '{"cells": 3}') > now() + interval '50 min' AS extended;
SELECT job_heartbeat(:late, :'token', '2 hours') > now() + interval '1 hour' AS extended;
SELECT s ->> 'state' AS state, s -> 'progress' AS progress, (s ->> 'lease_until')::timestamptz > now() + interval '1 hour' AS extended FROM job_status(:late) AS s;

-- Cancelled: the worker's next heartbeat and its answer are refused.
SELECT job_cancel(:late), job_cancel(:late);
SELECT job_status(:late) ->> 'state' AS state;
SELECT job_heartbeat(:late, :'token');
SELECT job_complete(:late, :'token', NULL, NULL);

-- A lease of no time is over at once, but not within the call that gave it: no job comes twice.
SELECT count(pg_temp.submit('brief ' || i, 800 + i)) FROM generate_series(1, 3) AS i;
SELECT pg_temp.claim(9, lease => '0 s') AS first, pg_temp.claim(9, lease => '0 s') AS then;
SELECT job_cancel(job_id) FROM job WHERE name LIKE 'brief%' ORDER BY job_id;

-- Who asks again for work that waits can have it sooner, never later, and workers are notified again.
SELECT pg_temp.submit('urgent', 802, 1) AS urgent, pg_temp.submit('usual', 801, 3) > 0 AS usual \gset
SELECT pg_temp.submit('urgent', 802, 5) = :urgent AS sooner, pg_temp.submit('urgent', 802, 2) = :urgent AS no_later;
SELECT priority FROM job WHERE job_id = :urgent;
SELECT pg_temp.claim(2);
SELECT pg_temp.submit('urgent', 802, 9) = :urgent AS while_leased;
SELECT pg_temp.done('urgent'), pg_temp.done('usual');
SELECT job_submit(802, kind => 'note', payload => '{"job": "in an hour"}', run_after => now() + interval '1 hour') AS hour \gset
SELECT pg_temp.submit('in an hour', 802) = :hour AS now_then;
SELECT pg_temp.claim(), pg_temp.done('in an hour');

-- Failures: back-off with jitter, then the dead-letter state; the line goes on only then.
SELECT job_submit(801, kind => 'note', payload => '{"job": "bad"}', max_attempts => 3) AS bad, pg_temp.submit('after') AS after \gset
SELECT pg_temp.claim();
SELECT job_fail(:bad, token, 'no answer') FROM job WHERE job_id = :bad;
SELECT state, run_after - now() BETWEEN '4 s' AND '16 s' AS in_a_while, pg_temp.claim() FROM job WHERE job_id = :bad;
SELECT pg_temp.make_due(:bad);
SELECT pg_temp.claim();
SELECT job_fail(:bad, token, 'no answer again') FROM job WHERE job_id = :bad;
SELECT state, run_after - now() BETWEEN '9 s' AND '31 s' AS in_a_while FROM job WHERE job_id = :bad;
SELECT pg_temp.make_due(:bad);
SELECT pg_temp.claim(lease => '0 s'), pg_temp.claim(5);
SELECT s ->> 'state' AS state, s ->> 'attempts' AS attempts, s ->> 'error' AS error, jsonb_array_length(s -> 'errors') AS errors FROM job_status(:bad) AS s;
SELECT job_fail(:after, token, 'hopeless', false) FROM job WHERE job_id = :after;
SELECT s ->> 'state' AS state, s ->> 'attempts' AS attempts, s ->> 'error' AS error FROM job_status(:after) AS s;
-- A late start waits, and keeps its line waiting.
SELECT job_submit(801, kind => 'note', payload => '{"job": "later"}', run_after => now() + interval '1 hour') > 0, pg_temp.submit('behind it') > 0;
SELECT pg_temp.claim(5);
SELECT job_cancel(job_id), pg_temp.claim() FROM job WHERE name = 'later';

-- What there is, and what it used.
SELECT kind, state, jobs, oldest IS NOT NULL AS since, attempts, usage FROM job_stats() WHERE kind IN ('note', 'other');

-- Finished jobs are pruned; unfinished ones stay.
SELECT job_prune('1 hour'), job_prune('0') > 0 AS pruned;
SELECT name, state FROM job ORDER BY job_id;
SELECT job_status(:bad);

-- Few rows or many: a job is looked up by an index, also by a plan that is made again.
SELECT pg_temp.submit('looked up', 803) > 0 AS submitted;
BEGIN;
SELECT pg_temp.claim(), pg_temp.done('looked up');
ANALYZE migration_job, migration_turn, migration_line;
SELECT seq_scan AS scans FROM pg_stat_xact_user_tables WHERE relname = 'migration_job' \gset
SELECT job_submit(803, kind => 'note', payload => '{"job": "and again"}') AS again \gset
SELECT job_fail(job_id, token, 'no', false) FROM job_claim('w', kinds => '{note}');
SELECT seq_scan - :scans AS scans FROM pg_stat_xact_user_tables WHERE relname = 'migration_job';
COMMIT;

-- With a notebook go its jobs.
DELETE FROM notebook WHERE notebook_id = 801;
SELECT count(*) FROM job WHERE notebook_id = 801;
SELECT job_submit(801);
SELECT job_submit(802, 2);
DELETE FROM notebook WHERE notebook_id BETWEEN 801 AND 804;
