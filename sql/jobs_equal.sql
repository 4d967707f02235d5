-- Equal work is done once, whichever notebook it is asked for: a copy is given
-- what its original was converted to, and a mapping of its own.
SET search_path = notebook_migrate, sample, public;
\set VERBOSITY sqlstate
\set SHOW_CONTEXT never

-- What is asked for, what it came to, and the jobs that were handed out; completed by names that the job's payload has.
CREATE FUNCTION pg_temp.convert(job bigint, token uuid) RETURNS bigint LANGUAGE sql AS $$
  SELECT workflow_id FROM job_complete(job, token, '{"code": {"load": "x", "plot": "y"}, "edges": [["load", "plot"], ["load", "no"]]}',
    '{"load": ["a", "b"], "plot": ["b"]}') $$;
CREATE FUNCTION pg_temp.done(notebook bigint, payload jsonb = '{}') RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE job bigint := job_submit(notebook, payload => payload, dedupe => false);
BEGIN
  RETURN (SELECT c.job_id FROM job_claim('w') AS c WHERE c.job_id = job AND pg_temp.convert(c.job_id, c.token) > 0);
END $$;
CREATE FUNCTION pg_temp.asked(notebook bigint, payload jsonb = '{}', kind text = 'convert', dedupe boolean = true) RETURNS text LANGUAGE plpgsql AS $$
DECLARE job bigint := job_submit(notebook, kind => kind, payload => payload, dedupe => dedupe);
BEGIN
  RETURN job_status(job) ->> 'state';
END $$;
CREATE FUNCTION pg_temp.cancel_all() RETURNS bigint LANGUAGE sql AS $$
  SELECT count(*) FILTER (WHERE job_cancel(job_id)) FROM migration_job WHERE finished_at IS NULL $$;
CREATE TEMP VIEW result AS
  SELECT j.notebook_id, j.state, j.attempt, j.workflow_id, j.workflow_version, j.mapping_id, j.warnings, j.equal_to, m.origin, m.notebook_version
    FROM migration_job AS j LEFT JOIN mapping AS m ON m.notebook_id = j.notebook_id AND m.mapping_id = j.mapping_id;

-- A copy that became one: its cells have other keys.
INSERT INTO notebook (notebook_id, name, content) VALUES (831, 'original', notebook(cell('x = load()', 'a'), cell('plot(x)', 'b')));
INSERT INTO notebook (notebook_id, name, content) VALUES (832, 'copy', notebook(cell('plot(x)', 'b'), cell('x = load()', 'a')));
SELECT notebook_edit(832, '[{"op": "move", "cell": "b", "after": "a"}]');
SELECT notebook_id, cell_key, cell_id FROM notebook_cells(831) AS c, LATERAL (VALUES (831)) AS n (notebook_id)
 UNION ALL SELECT notebook_id, cell_key, cell_id FROM notebook_cells(832) AS c, LATERAL (VALUES (832)) AS n (notebook_id) ORDER BY 1, 3;
SELECT job_submit(831, payload => '{"name": "once"}') AS original \gset
SELECT pg_temp.convert(:original, token) AS wf FROM job_claim('w') \gset

-- It is done at once, with the same workflow; nobody is given it.
SET notebook_migrate.author = 'mira';
SELECT job_submit(832, payload => '{"name": "once"}') AS copy \gset
RESET notebook_migrate.author;
SELECT notebook_id, state, attempt, workflow_id = :wf AS same_workflow, workflow_version, mapping_id, warnings,
       equal_to = :original AS equal_to_original, origin, notebook_version FROM result WHERE notebook_id = 832;
SELECT count(*) FROM job_claim('w');
SELECT count(*) FROM workflow WHERE name = 'once';
-- The mapping is the copy's: it is exact, and names the copy's cells.
SELECT cell_key, cell_id, operator_key, lines, state FROM mapping_links(831, NULL, :wf, NULL);
SELECT cell_key, cell_id, operator_key, lines, state FROM mapping_links(832, NULL, :wf, NULL);
SELECT mapping_at(832, NULL, :wf, NULL) = mapping_at(831, NULL, :wf, NULL) AS same_shape;
SELECT author FROM mapping WHERE notebook_id = 832;
-- Asked again, the copy's own is found, and nothing is stated twice.
SELECT pg_temp.asked(832, '{"name": "once"}');
SELECT count(*), count(DISTINCT mapping_id), bool_and(equal_to = :original) AS all_equal_to_original FROM result WHERE notebook_id = 832;
SELECT count(*) FROM mapping WHERE notebook_id = 832;
-- The original is pruned: a copy of the copy is given the copy's.
DELETE FROM migration_job WHERE job_id = :original;
INSERT INTO notebook (notebook_id, name, content) SELECT 833, 'another', content FROM notebook WHERE notebook_id = 832;
SELECT pg_temp.asked(833, '{"name": "once"}');
SELECT workflow_id = :wf AS same_workflow, mapping_id, warnings FROM result WHERE notebook_id = 833;
SELECT cell_key, cell_id, operator_key, state FROM mapping_links(833, NULL, :wf, NULL);
-- With a notebook go its mapping and its jobs, and no more.
DELETE FROM notebook WHERE notebook_id = 831;
SELECT notebook_id, count(*) FROM mapping WHERE workflow_id = :wf GROUP BY 1 ORDER BY 1;

-- Another payload, another kind, another notebook, or not wanted: that is work to do.
SELECT pg_temp.asked(833, '{"name": "twice"}') AS payload, pg_temp.asked(833, '{"name": "once"}', 'other') AS kind,
       pg_temp.asked(833, '{"name": "once"}', dedupe => false) AS not_wanted;
SELECT notebook_edit(833, '[{"op": "replace", "cell": "a", "value": {"cell_type": "code", "id": "a", "metadata": {}, "source": "x = load(2)", "outputs": [], "execution_count": null}}]');
SELECT pg_temp.asked(833, '{"name": "once"}') AS edited;
-- A restored version is the same again.
SELECT notebook_restore(833, 1);
SELECT pg_temp.asked(833, '{"name": "once"}') AS restored;
SELECT pg_temp.cancel_all();

-- Cells with the same text and no id are told apart by their places.
INSERT INTO notebook (notebook_id, name, content) VALUES (834, 'twins', sources('same()', 'same()')), (835, 'copy', sources('gone()', 'same()', 'same()'));
SELECT notebook_edit(835, '[{"op": "delete", "cell": 1}]');
SELECT job_submit(834) > 0 AS submitted;
SELECT c.workflow_id AS wf FROM job_claim('w') AS j, LATERAL job_complete(j.job_id, j.token, '{"code": {"load": "x", "plot": "y"}}', '{"load": ["2"], "plot": ["1"]}') AS c \gset
SELECT pg_temp.asked(835);
SELECT cell_key, position, operator_key, state FROM mapping_links(834, NULL, :wf, NULL);
SELECT cell_key, position, operator_key, state FROM mapping_links(835, NULL, :wf, NULL);

-- A conversion that was done although it need not have been is good enough for others.
INSERT INTO notebook (notebook_id, name, content)
SELECT 840 + i, 'n', notebook(cell('x = load(1)', 'a'), cell('plot(x)', 'b')) FROM generate_series(0, 9) AS i;
SELECT pg_temp.done(840) AS original \gset
SELECT pg_temp.asked(841);
-- It is what the notebook is converted to also when the workflow moved on since; the mapping is of the version that was made.
SELECT workflow_id AS wf, equal_to = :original AS equal_to_original FROM result WHERE notebook_id = 841 \gset
\echo :equal_to_original
SELECT workflow_edit(:wf, '[{"layout": {"commentBoxes": [{"commentBoxID": "c"}]}}]');
SELECT pg_temp.asked(842);
SELECT workflow_version FROM result WHERE notebook_id = 842;
SELECT cell_id, operator_key, state FROM mapping_links(842, NULL, :wf, 1);
-- A workflow that is gone is made again; of two, the newest is given.
DELETE FROM workflow WHERE workflow_id = :wf;
SELECT pg_temp.asked(843);
SELECT pg_temp.cancel_all(), pg_temp.done(840) > 0 AS done, pg_temp.done(841) AS newest \gset
SELECT pg_temp.asked(843);
SELECT equal_to = :newest AS equal_to_newest FROM result WHERE notebook_id = 843 AND state = 'done';

-- A new version of a workflow is given only while it is the last one.
SELECT workflow_id AS wf FROM migration_job WHERE job_id = :newest \gset
SELECT jsonb_build_object('workflow_id', :wf) AS into \gset
SELECT pg_temp.done(840, :'into') > 0 AS done;
SELECT pg_temp.asked(844, :'into');
SELECT workflow_id = :wf AS same_workflow, workflow_version, mapping_id FROM result WHERE notebook_id = 844;
SELECT workflow_edit(:wf, '[{"layout": {"commentBoxes": [{"commentBoxID": "c"}]}}]');
SELECT pg_temp.asked(844, :'into') AS own, pg_temp.asked(845, :'into') AS other;
SELECT pg_temp.cancel_all();
-- What changed since the notebook was mapped is no other notebook's business.
SELECT notebook_edit(n, '[{"op": "replace", "cell": "b", "value": {"cell_type": "code", "id": "b", "metadata": {}, "source": "plot(x, 2)", "outputs": [], "execution_count": null}}]')
  FROM unnest('{841,843}'::bigint[]) AS n;
SELECT pg_temp.done(841, '{"scope": "changed"}') > 0 AS done;
SELECT pg_temp.asked(841, '{"scope": "changed"}') AS own, pg_temp.asked(843, '{"scope": "changed"}') AS other;
SELECT pg_temp.cancel_all();

-- Copies that wait at the same time: the first is handed out; when it is done, so are the others, at the next claim.
SELECT job_submit(n, payload => '{"name": "waits"}') > 0 AS submitted FROM unnest('{845,846,847}'::bigint[]) AS n;
SELECT job_submit(848, payload => '{"name": "waits"}', dedupe => false) > 0 AS not_wanted;
SELECT job_id AS first, notebook_id, token FROM job_claim('w') \gset
SELECT pg_temp.convert(:first, :'token') AS wf \gset
SELECT notebook_id, prompt IS NOT NULL AS has_prompt FROM job_claim('w', n => 9);
SELECT notebook_id, attempt, workflow_version, mapping_id IS NOT NULL AS has_mapping, warnings, equal_to = :first AS equal_to_first
  FROM result WHERE workflow_id = :wf ORDER BY notebook_id;
SELECT cell_id, operator_key, state FROM mapping_links(847, NULL, :wf, NULL);
SELECT pg_temp.cancel_all();
-- What is leased meanwhile is done twice.
SELECT job_submit(n, payload => '{"name": "both"}') > 0 AS submitted FROM unnest('{845,846}'::bigint[]) AS n;
SELECT count(pg_temp.convert(job_id, token)) FROM job_claim('w', n => 2);

-- Work that makes no workflow counts as done, too, when it is submitted: a kind of the application's that has no prompt.
SELECT job_submit(845, kind => 'note') AS note \gset
SELECT pg_temp.asked(846, kind => 'note') AS both_wait;
SELECT job_complete(:note, (SELECT token FROM job_claim('w') WHERE job_id = :note), NULL, NULL);
SELECT pg_temp.asked(847, kind => 'note');
SELECT state, equal_to = :note AS equal_to_first, workflow_id, mapping_id, warnings FROM migration_job WHERE notebook_id = 847 AND kind = 'note';
SELECT notebook_id FROM job_claim('w', kinds => '{note}');
SELECT pg_temp.cancel_all();

-- Only what one may see counts, and only where one may state a mapping: else the work is done anew.
CREATE ROLE regress_nbm_equal;
GRANT USAGE ON SCHEMA notebook_migrate TO regress_nbm_equal;
GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA notebook_migrate TO regress_nbm_equal;
GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA notebook_migrate TO regress_nbm_equal;
GRANT USAGE ON ALL SEQUENCES IN SCHEMA notebook_migrate TO regress_nbm_equal;
CREATE FUNCTION pg_temp.asked_as_other(OUT state text, OUT mappings bigint, OUT handed_out bigint) LANGUAGE plpgsql AS $$
DECLARE job bigint;
BEGIN
  SET LOCAL ROLE regress_nbm_equal;
  job := job_submit(849, payload => '{"name": "both"}');
  state := job_status(job) ->> 'state';
  SELECT count(*) INTO handed_out FROM job_claim('w') AS c WHERE c.job_id = job;
  RESET ROLE;
  SELECT count(*) INTO mappings FROM mapping WHERE notebook_id = 849;
  PERFORM job_cancel(job);
END $$;
-- The others' jobs are hidden.
ALTER TABLE migration_job ENABLE ROW LEVEL SECURITY;
CREATE POLICY mine ON migration_job USING (notebook_id = 849);
SELECT * FROM pg_temp.asked_as_other();
ALTER POLICY mine ON migration_job USING (true);
-- The workflow is, or may be read only.
ALTER TABLE workflow_head ENABLE ROW LEVEL SECURITY;
CREATE POLICY mine ON workflow_head USING (false);
SELECT * FROM pg_temp.asked_as_other();
CREATE POLICY others ON workflow_head FOR SELECT USING (true);
SELECT * FROM pg_temp.asked_as_other();
ALTER TABLE workflow_head DISABLE ROW LEVEL SECURITY;
-- The original's versions are, or its mapping, or none may be stated.
ALTER TABLE notebook_version ENABLE ROW LEVEL SECURITY;
CREATE POLICY mine ON notebook_version USING (notebook_id = 849);
SELECT * FROM pg_temp.asked_as_other();
ALTER TABLE notebook_version DISABLE ROW LEVEL SECURITY;
ALTER TABLE mapping ENABLE ROW LEVEL SECURITY;
CREATE POLICY mine ON mapping USING (notebook_id = 849);
SELECT * FROM pg_temp.asked_as_other();
ALTER POLICY mine ON mapping USING (true) WITH CHECK (false);
SELECT * FROM pg_temp.asked_as_other();
ALTER TABLE mapping DISABLE ROW LEVEL SECURITY;
REVOKE INSERT ON mapping FROM regress_nbm_equal;
SELECT * FROM pg_temp.asked_as_other();
REVOKE SELECT ON mapping FROM regress_nbm_equal;
SELECT * FROM pg_temp.asked_as_other();
GRANT SELECT, INSERT ON mapping TO regress_nbm_equal;
-- Nor does a mapping that is damaged stop anything.
SET session_replication_role = replica;
CREATE TEMP TABLE sound AS SELECT notebook_id, mapping_id, content FROM mapping;
UPDATE mapping SET content = '{"links": 5}';
SELECT * FROM pg_temp.asked_as_other();
UPDATE mapping AS m SET content = s.content FROM sound AS s WHERE s.notebook_id = m.notebook_id AND s.mapping_id = m.mapping_id;
RESET session_replication_role;
-- None of this: it is done.
SELECT * FROM pg_temp.asked_as_other();
-- A mapping that the notebook has for the two versions by then is left as it is.
DELETE FROM migration_job WHERE notebook_id = 849;
SELECT mapping_put(849, 1, workflow_id, 1, '{"links": []}') AS stated FROM mapping WHERE notebook_id = 849 \gset
SELECT * FROM pg_temp.asked_as_other();
SELECT mapping_id = :stated AS the_one_stated FROM result WHERE notebook_id = 849;

SELECT n.notebook_id, v.* FROM notebook AS n, LATERAL store_verify('notebook', n.notebook_id) AS v WHERE n.notebook_id BETWEEN 831 AND 849;
DROP POLICY mine ON migration_job;
ALTER TABLE migration_job DISABLE ROW LEVEL SECURITY;
DROP POLICY mine ON workflow_head;
DROP POLICY others ON workflow_head;
DROP POLICY mine ON notebook_version;
DROP POLICY mine ON mapping;
DROP OWNED BY regress_nbm_equal;
DROP ROLE regress_nbm_equal;
DELETE FROM workflow WHERE workflow_id IN (SELECT workflow_id FROM mapping WHERE notebook_id BETWEEN 831 AND 849);
DELETE FROM notebook WHERE notebook_id BETWEEN 831 AND 849;
