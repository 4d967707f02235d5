-- The past of Texera's workflows: every design of its rows, and every damage.
\i test/texera_schema.sql
\set SHOW_CONTEXT never
SET client_min_messages = warning;
SET search_path = texera_db, notebook_migrate, public;
-- A workflow with one operator A, whose code says which state it is; and others beside it.
CREATE FUNCTION texera_db.state(n int, VARIADIC others text[] DEFAULT '{}') RETURNS jsonb LANGUAGE sql AS $$
  SELECT jsonb_build_object('links', '[]'::jsonb, 'operators', jsonb_build_array(jsonb_build_object('operatorID', 'A', 'operatorType', 'F', 'operatorProperties', jsonb_build_object('code', 'state ' || n)))
    || coalesce((SELECT jsonb_agg(jsonb_build_object('operatorID', o, 'operatorType', 'G')) FROM unnest(others) AS o), '[]')) $$;
CREATE FUNCTION texera_db.chain(title text, present jsonb, VARIADIC patches text[]) RETURNS void LANGUAGE sql AS $$
  INSERT INTO texera_db.workflow (name, content) VALUES (title, present::text);
  INSERT INTO texera_db.workflow_version (wid, content, creation_time)
    SELECT currval('texera_db.workflow_wid_seq'), p, '2025-01-01'::timestamp + n * '1 day'::interval FROM unnest(patches) WITH ORDINALITY AS u (p, n) ORDER BY n $$;
\set first '[{"op":"remove","path":"/operators"},{"op":"remove","path":"/links"}]'
\set to1 '[{"op":"replace","path":"/operators/0/operatorProperties/code","value":"state 1"}]'
\set to2 '[{"op":"replace","path":"/operators/0/operatorProperties/code","value":"state 2"}]'
\set to3 '[{"op":"replace","path":"/operators/0/operatorProperties/code","value":"state 3"}]'
SELECT chain('sound', state(4), :'first', :'to1', :'to2', :'to3');
SELECT chain('no rows', state(1), VARIADIC '{}');
SELECT chain('2022-24', state(3), :'to1', :'to2', '[]');
SELECT chain('both designs', state(4), :'to1', '[]', :'to2', :'to3');
SELECT chain('an empty save', state(2), :'first', '[]', :'to1');
SELECT chain('rows pruned', state(3), :'to1', :'to2');
SELECT chain('parallel saves', state(1, 'C', 'D'), :'first', '[{"op":"add","path":"/operators/1","value":{"operatorID":"C"}}]', '[{"op":"remove","path":"/operators/2"}]');
SELECT chain('does not apply', state(3), :'first', '[{"op":"remove","path":"/operators/7"}]', :'to2');
SELECT chain('no JSON', state(3), :'first', 'no JSON', :'to2');
SELECT chain('no patch', state(3), :'first', '{"op": "remove"}', :'to2');
SELECT chain('no workflow', state(3), :'first', '[{"op":"replace","path":"","value":[1]}]', :'to2');
SELECT chain('bad content', '1', :'first');
CALL texera_backfill();
\echo :SQLSTATE
SELECT texera_attach();
CREATE VIEW public.history AS SELECT w.name, l.version, l.vid - 190000 AS row, l.exact, v.created_at::date AS at,
    workflow_at(l.workflow_id, l.version) #>> '{operators,0,operatorProperties,code}' AS code,
    (SELECT array_agg(operator_key ORDER BY position) FROM workflow_operators(l.workflow_id, l.version)) AS keys
  FROM texera_version l JOIN texera_db.workflow w ON w.wid = l.workflow_id JOIN notebook_migrate.workflow_version v ON v.workflow_id = l.workflow_id AND v.version = l.version;
-- A save and a rewrite after attaching are not the past.
INSERT INTO texera_db.workflow_version (wid, content) VALUES (190001, '[]');
UPDATE texera_db.workflow SET content = state(5, 'B') WHERE wid = 190001;
UPDATE texera_db.workflow SET content = state(6, 'B') WHERE wid = 190001;
SELECT name, version, row, exact, code, keys FROM public.history WHERE name = 'sound' ORDER BY version;

-- One workflow, then all others.
CALL texera_backfill(190001);
SELECT name, version, row, exact, code, keys, CASE WHEN at < '2026-01-01' THEN at END AS at FROM public.history WHERE name = 'sound' ORDER BY version;
SELECT version, parent_version, inserted, modified FROM notebook_migrate.workflow_version WHERE workflow_id = 190001 ORDER BY version;
SELECT "table", key, sqlstate, message FROM texera_problem;
DELETE FROM texera_problem;
CALL texera_backfill();
SELECT name, version, row, exact, code, keys FROM public.history WHERE name <> 'sound' ORDER BY row, version;
SELECT "table", key, sqlstate, message FROM texera_problem ORDER BY "at";
SELECT workflow_id, rows, versions, note FROM texera_backfill_progress ORDER BY 1;
SELECT w.name, h.version FROM texera_db.workflow w JOIN workflow_head h ON h.workflow_id = w.wid ORDER BY w.wid;
SELECT * FROM store_verify('workflow', NULL);

-- Once more: nothing is left to do, and nothing changes.
SELECT count(*) AS versions FROM notebook_migrate.workflow_version WHERE workflow_id > 190000 \gset
CALL texera_backfill();
SELECT count(*) = :versions AS as_before FROM notebook_migrate.workflow_version WHERE workflow_id > 190000;
-- It cannot be part of a transaction.
BEGIN;
CALL texera_backfill();
\echo :SQLSTATE
ROLLBACK;
-- A save goes on where the versions are now.
INSERT INTO texera_db.workflow_version (wid, content) VALUES (190003, '[]');
UPDATE texera_db.workflow SET content = state(9) WHERE wid = 190003;
SELECT version, vid = (SELECT max(vid) FROM texera_db.workflow_version) AS newest, exact FROM texera_version WHERE workflow_id = 190003 ORDER BY version DESC LIMIT 1;

-- There and back: an oldest state that is equal to the present one is a state, too.
DELETE FROM texera_problem;
SELECT texera_detach(drop_data => true);
SELECT chain('there and back', state(1), :'first', :'to1', :'to2');
SELECT texera_attach();
CALL texera_backfill();
SELECT name, version, exact, code, keys FROM public.history WHERE name = 'there and back' ORDER BY version;

-- Saves at the end that changed nothing have no versions: the one before them made what there is.
DELETE FROM texera_problem;
SELECT texera_detach(drop_data => true);
SELECT chain('nothing changed', state(1), :'first', '[]');
SELECT chain('twice nothing', state(2), :'first', '[]', :'to1', '[]', '[]');
SELECT chain('nothing, 2022-24', state(2), :'to1', '[]', '[]');
SELECT texera_attach();
INSERT INTO texera_db.workflow_version (wid, content) SELECT wid, '[]' FROM workflow WHERE name = 'twice nothing';
UPDATE texera_db.workflow SET content = state(3) WHERE name = 'twice nothing';
CALL texera_backfill();
SELECT h.name, h.version, (SELECT count(*) FROM workflow_version v WHERE v.wid = w.wid AND v.vid <= 190000 + h.row) AS row, h.exact, h.code
  FROM public.history h JOIN workflow w USING (name) WHERE name ~ 'nothing' ORDER BY h.name, h.version;
SELECT key, message FROM texera_problem;

-- Where a state is beyond the limits of the store, the chain is kept from there on.
DELETE FROM texera_problem;
SELECT texera_detach(drop_data => true);
SELECT chain('too large', state(3), :'first', :'to1', '[{"op": "remove", "path": "/x"}]',
  jsonb_build_array(jsonb_build_object('op', 'add', 'path', '/x', 'value', repeat('x', 1100000)))::text, :'to2');
SELECT texera_attach();
DELETE FROM texera_problem;
SET notebook_migrate.max_document_size = '1MB';
SELECT max(wid) AS large FROM workflow \gset
CALL texera_backfill(:large);
RESET notebook_migrate.max_document_size;
SELECT key ~ (SELECT 'vid ' || vid FROM texera_db.workflow_version WHERE length(content) > 1000000) AS there, sqlstate, message FROM texera_problem;
SELECT version, exact, code FROM public.history WHERE name = 'too large' ORDER BY version;
DELETE FROM texera_problem;
SELECT texera_detach(drop_data => true);
SELECT count(*) FROM texera_backfill_progress;
DROP VIEW public.history;
DROP SCHEMA texera_db CASCADE;
