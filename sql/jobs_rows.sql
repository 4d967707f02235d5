--
-- Claims and completions write a job's row without a statement of SQL. What
-- holds for statements holds for them: row security, rights, triggers,
-- constraints and snapshots.
--
SET search_path = notebook_migrate, sample, public;
\set VERBOSITY terse
INSERT INTO notebook (notebook_id, name, content)
SELECT 820 + i, 'rows', sources('a = ' || i) FROM generate_series(1, 3) AS i;
CREATE TEMP VIEW job AS
SELECT *, payload ->> 'job' AS name FROM migration_job WHERE notebook_id > 820;
CREATE FUNCTION pg_temp.submit(name text, notebook bigint, priority int = 0) RETURNS boolean LANGUAGE sql AS $$
  SELECT job_submit(notebook, kind => 'row', priority => priority, payload => jsonb_build_object('job', name)) > 0 $$;
CREATE FUNCTION pg_temp.claim(n int = 1) RETURNS text LANGUAGE sql AS $$
  SELECT coalesce(string_agg(payload ->> 'job' || ' ' || attempt, ', '), 'none') FROM job_claim('w', '5 min', '{row}', n) $$;
CREATE FUNCTION pg_temp.done(text) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
  PERFORM job_complete(job_id, token, NULL, NULL, '{"n": 1}') FROM job WHERE name = $1;
  RETURN (SELECT state FROM job WHERE name = $1);
END $$;

-- What a claim and a completion leave in the row.
SELECT pg_temp.submit('plain', 821), pg_temp.claim();
SELECT state, worker, attempt, started_at IS NOT NULL AS started, lease_until - started_at AS lease,
       token::text ~ '^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$' AS token, finished_at, usage FROM job;
SELECT pg_temp.done('plain');
SELECT state, worker, attempt, started_at IS NOT NULL AS started, lease_until, token, finished_at >= started_at AS finished, usage FROM job;
-- Tokens are all different, and so are those of a later call.
SELECT count(pg_temp.submit('t' || i, 821 + i % 3)) FROM generate_series(1, 150) AS i;
CREATE TEMP TABLE token (token uuid);
DO $$
BEGIN
  FOR i IN 1..50 LOOP
    INSERT INTO token SELECT token FROM notebook_migrate.job_claim('w', '5 min', '{row}', 3);
    PERFORM notebook_migrate.job_complete(job_id, token, NULL, NULL) FROM job WHERE token IS NOT NULL;
  END LOOP;
END $$;
SELECT count(*), count(DISTINCT token) FROM token;
SELECT state, count(*) FROM job GROUP BY state;

-- Triggers see the rows.
CREATE FUNCTION public.see_job() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  RAISE NOTICE '%: % -> %', NEW.payload ->> 'job', OLD.state, NEW.state;
  RETURN NEW;
END $$;
CREATE TRIGGER see BEFORE UPDATE ON migration_job FOR EACH ROW EXECUTE FUNCTION public.see_job();
SELECT pg_temp.submit('seen', 821), pg_temp.claim(), pg_temp.done('seen');
DROP TRIGGER see ON migration_job;
DROP FUNCTION public.see_job;

-- Constraints hold.
ALTER TABLE migration_job ADD CONSTRAINT usual CHECK (worker <> 'odd');
SELECT pg_temp.submit('checked', 821);
SELECT job_id FROM job_claim('odd', kinds => '{row}');
SELECT pg_temp.claim(), pg_temp.done('checked');
ALTER TABLE migration_job DROP CONSTRAINT usual;

-- So do rights, those to single columns, too.
CREATE ROLE regress_nbm_worker;
GRANT USAGE ON SCHEMA notebook_migrate TO regress_nbm_worker;
GRANT EXECUTE ON FUNCTION job_claim, job_complete TO regress_nbm_worker;
GRANT SELECT, UPDATE, DELETE ON migration_line, migration_turn TO regress_nbm_worker;
GRANT SELECT ON migration_job TO regress_nbm_worker;
SELECT pg_temp.submit('a right', 821);
SET ROLE regress_nbm_worker;
SELECT job_id FROM job_claim('w', kinds => '{row}');
RESET ROLE;
GRANT UPDATE (state, worker, started_at, lease_until, attempt, token) ON migration_job TO regress_nbm_worker;
SET ROLE regress_nbm_worker;
SELECT job_id AS job, token FROM job_claim('w', kinds => '{row}') \gset
SELECT * FROM job_complete(:job, :'token', NULL, NULL);
RESET ROLE;
GRANT UPDATE ON migration_job TO regress_nbm_worker;
SET ROLE regress_nbm_worker;
SELECT * FROM job_complete(:job, :'token', NULL, NULL);
RESET ROLE;
SELECT state FROM job WHERE name = 'a right';

-- Jobs that row security hides are passed over, and are not over for that.
ALTER TABLE migration_job ENABLE ROW LEVEL SECURITY;
GRANT EXECUTE ON FUNCTION texera_may TO regress_nbm_worker;
CREATE POLICY not_821 ON migration_job TO regress_nbm_worker USING (notebook_id <> 821);
SELECT pg_temp.submit('hidden', 821, 9), pg_temp.submit('hidden, too', 821, 9), pg_temp.submit('shown', 822);
SET ROLE regress_nbm_worker;
SELECT payload ->> 'job' AS name, job_id AS job, token FROM job_claim('w', kinds => '{row}', n => 5) \gset claim_
SELECT * FROM job_claim('w', kinds => '{row}', n => 5);
SELECT * FROM job_complete(:claim_job, :'claim_token', NULL, NULL);
RESET ROLE;
SELECT name, state FROM job WHERE state <> 'done' OR name = 'shown' ORDER BY job_id;
SELECT job_id AS hidden, token FROM job_claim('w', '5 min', '{row}') \gset
SET ROLE regress_nbm_worker;
\set VERBOSITY sqlstate
SELECT * FROM job_complete(:hidden, :'token', NULL, NULL);
\set VERBOSITY terse
RESET ROLE;
SELECT pg_temp.done('hidden'), pg_temp.claim(), pg_temp.done('hidden, too');
DROP POLICY not_821 ON migration_job;
ALTER TABLE migration_job DISABLE ROW LEVEL SECURITY;
DROP OWNED BY regress_nbm_worker;
DROP ROLE regress_nbm_worker;

-- A transaction with a snapshot of its own has the same queue.
BEGIN ISOLATION LEVEL SERIALIZABLE;
SELECT pg_temp.submit('snapshot', 823), pg_temp.claim(), pg_temp.done('snapshot');
COMMIT;

-- Whoever meets a turn whose job was finished or deleted by hand passes it on: the line goes on, and ends.
SELECT pg_temp.submit('gone', 821), pg_temp.submit('finished', 821), pg_temp.submit('next', 821);
DELETE FROM migration_job WHERE payload ->> 'job' = 'gone';
UPDATE migration_job SET state = 'cancelled', finished_at = now() WHERE payload ->> 'job' = 'finished';
SELECT pg_temp.claim(), pg_temp.done('next'), pg_temp.claim();
SELECT pg_temp.submit('last', 821);
DELETE FROM migration_job WHERE payload ->> 'job' = 'last';
SELECT pg_temp.claim();
SELECT count(*) FROM migration_line JOIN migration_turn USING (notebook_id) WHERE notebook_id = 821;
SELECT pg_temp.submit('anew', 821), pg_temp.claim(), pg_temp.done('anew');
-- A job that is leased or waits for its time is noticed when that is over.
SELECT pg_temp.submit('leased', 821), pg_temp.submit('after it', 821);
SELECT count(*) FROM job_claim('w', '0 s', '{row}');
DELETE FROM migration_job WHERE payload ->> 'job' = 'leased';
SELECT pg_temp.claim(), pg_temp.done('after it');
SELECT job_submit(822, kind => 'row', run_after => now() + interval '1 hour', payload => '{"job": "late"}') > 0, pg_temp.submit('behind', 822);
DELETE FROM migration_job WHERE payload ->> 'job' = 'late';
SELECT pg_temp.claim();
UPDATE migration_turn SET at = now() WHERE notebook_id = 822;
SELECT pg_temp.claim(), pg_temp.done('behind'), pg_temp.claim();

DELETE FROM notebook WHERE notebook_id > 820;
SELECT count(*) FROM job;
