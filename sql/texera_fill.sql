-- What was passed over, or saved while it was not attached, is in the application's chain: the backfill puts it in its place.
\i test/texera_schema.sql
\set SHOW_CONTEXT never
SET search_path = texera_db, notebook_migrate, public;
SET client_min_messages = warning;
CREATE FUNCTION texera_db.content(VARIADIC ids text[]) RETURNS text LANGUAGE sql AS $$
  SELECT jsonb_build_object('links', '[]'::jsonb, 'operators', jsonb_agg(jsonb_build_object('operatorID', i, 'operatorType', 'type of ' || i, 'operatorProperties', jsonb_build_object('code', repeat(md5(i), 40)))))::text FROM unnest(ids) AS i $$;
-- As the application saves: the patch that leads back, and the content.
CREATE PROCEDURE texera_db.save(saved int, new text) LANGUAGE plpgsql AS $$ BEGIN
  INSERT INTO texera_db.workflow_version (wid, content) SELECT saved, json_patch_diff(new::jsonb, w.content::jsonb)::text FROM texera_db.workflow w WHERE wid = saved;
  UPDATE texera_db.workflow SET content = new WHERE wid = saved; END $$;
CREATE PROCEDURE texera_db.make(new text) LANGUAGE plpgsql AS $$ BEGIN
  INSERT INTO texera_db.workflow (name, content) VALUES ('w', new);
  INSERT INTO texera_db.workflow_version (wid, content) VALUES (currval('texera_db.workflow_wid_seq'), json_patch_diff(new::jsonb, '{}')::text); END $$;
-- Each version: its row, and its operators by id and by key.
CREATE VIEW public.history AS SELECT l.workflow_id - 190000 AS w, l.version AS v, l.vid - 190000 AS row, l.exact,
    (SELECT string_agg(operator_id, ' ' ORDER BY position) FROM workflow_operators(l.workflow_id, l.version)) AS operators,
    (SELECT string_agg(operator_key::text, ' ' ORDER BY position) FROM workflow_operators(l.workflow_id, l.version)) AS keys
  FROM texera_version l ORDER BY 1, 2;
CREATE VIEW public.gap AS SELECT workflow_id - 190000 AS w, from_vid - 190000 AS from, upto_vid - 190000 AS upto FROM texera_gap ORDER BY 1, 2;
SELECT texera_attach();
CALL make(content('a', 'b'));
INSERT INTO notebook (wid, notebook) VALUES (190001, '{"cells": [{"cell_type": "code", "source": "a", "metadata": {"uuid": "c1"}}, {"cell_type": "code", "source": "b", "metadata": {"uuid": "c2"}}]}');
INSERT INTO workflow_notebook_mapping VALUES (190001, 190001, 190001, '{"operator_to_cell": {"a": ["c1"], "b": ["c2"]}}');
CALL save(190001, content('a', 'b', 'c'));
-- Three saves that nobody saw, and one that was; and a mapping for the last.
SELECT texera_detach();
CALL save(190001, content('b', 'c'));
CALL save(190001, content('b', 'c', 'd'));
CALL save(190001, content('a', 'd'));
SELECT texera_attach();
SELECT texera_import_mapping(190001, '{"operator_to_cell": {"d": ["c2"]}}') IS NOT NULL AS imported;
CALL save(190001, content('a', 'd', 'e'));
SELECT * FROM public.history;
SELECT * FROM public.gap;
CALL texera_backfill();
SELECT * FROM public.history;
SELECT * FROM public.gap;
SELECT n, texera_mapping(190001, 190000 + n) -> 'operator_to_cell' AS mapping FROM generate_series(1, 6) AS n;
SELECT version, parent_version, inserted, deleted, modified FROM notebook_migrate.workflow_version WHERE workflow_id = 190001 ORDER BY 1;

-- Passed over in between; there and back again; saves that change nothing at either end.
CALL make(content('a'));
SET notebook_migrate.max_attached_size = '1kB';
CALL save(190002, content('a', 'x'));
CALL save(190002, content('a', 'y'));
CALL save(190002, content('a', 'y'));
RESET notebook_migrate.max_attached_size;
CALL save(190002, content('a'));
CALL save(190002, content('a', 'z'));
SET notebook_migrate.max_attached_size = '1kB';
CALL save(190002, content('z'));
CALL save(190002, content('z', 'w'));
RESET notebook_migrate.max_attached_size;
CALL save(190002, content('z', 'w'));
SELECT w, v, row, exact, operators FROM public.history WHERE w = 2;
SELECT * FROM public.gap;
CALL texera_backfill();
SELECT * FROM public.history WHERE w = 2;
SELECT * FROM public.gap;

-- Passed over, and back at what was rewritten in place before: also where nothing follows.
CALL make(content('m'));
UPDATE workflow SET content = content('n') WHERE wid = 190003;
SET notebook_migrate.max_attached_size = '1kB';
CALL save(190003, content('n', 'o'));
RESET notebook_migrate.max_attached_size;
CALL save(190003, content('n'));
SELECT * FROM public.gap;
CALL texera_backfill();
SELECT * FROM public.history WHERE w = 3;
SELECT workflow_at(190003) = content::jsonb AS same FROM workflow WHERE wid = 190003;
SELECT * FROM store_verify('workflow', 190003);
DELETE FROM workflow WHERE wid = 190003;
SELECT setval('workflow_wid_seq', 190002) > 0 AS reset;

-- What cannot be known stays a gap: a patch that does not apply, a rewrite in place. What is behind it is known.
CALL make(content('a'));
SELECT texera_detach();
CALL save(190003, content('a', 'b'));
CALL save(190003, content('a', 'c'));
UPDATE workflow_version SET content = '[{"op": "remove", "path": "/nothing"}]' WHERE vid = (SELECT max(vid) FROM workflow_version);
CALL save(190003, content('a', 'd'));
CALL save(190003, content('a', 'e'));
SELECT texera_attach();
CALL make(content('f'));
SET notebook_migrate.max_attached_size = '1kB';
CALL save(190004, content('f', 'g'));
RESET notebook_migrate.max_attached_size;
UPDATE workflow SET content = content('f', 'h') WHERE wid = 190004;
CALL save(190004, content('f', 'i'));
DELETE FROM texera_problem;
CALL texera_backfill();
CALL texera_backfill();
SELECT * FROM public.history WHERE w > 2;
SELECT * FROM public.gap;
SELECT key, sqlstate, message FROM texera_problem;
-- Where nothing was there before, it is the past.
SET notebook_migrate.max_attached_size = '1kB';
CALL make(content('j'));
CALL save(190005, content('j', 'k'));
RESET notebook_migrate.max_attached_size;
CALL texera_backfill();
CALL save(190005, content('j', 'k', 'l'));
CALL texera_backfill();
SELECT * FROM public.history WHERE w > 4;
SELECT * FROM public.gap WHERE w > 4;
-- The store is as if all had been seen, and a save goes on.
CALL save(190001, content('e'));
SELECT * FROM public.history WHERE w = 1 AND v > 6;
SELECT * FROM store_verify(NULL, NULL);
SELECT wid FROM workflow WHERE workflow_at(wid) <> content::jsonb;
-- Where a version has gone from the store behind its back, nothing is put before the others.
SELECT content(VARIADIC array_agg('p' || i)) AS large FROM generate_series(1, 20) AS i \gset
CALL make(:'large');
CALL save(190006, jsonb_set(:'large', '{n}', '2')::text);
CALL save(190006, jsonb_set(:'large', '{n}', '3')::text);
CALL save(190006, jsonb_set(:'large', '{n}', '4')::text);
SET notebook_migrate.max_attached_size = '1kB';
CALL save(190006, jsonb_set(:'large', '{n}', '5')::text);
RESET notebook_migrate.max_attached_size;
CALL save(190006, jsonb_set(:'large', '{n}', '6')::text);
SET session_replication_role = replica;
DELETE FROM notebook_migrate.workflow_version WHERE workflow_id = 190006 AND version IN (2, 3);
RESET session_replication_role;
DELETE FROM texera_problem;
CALL texera_backfill(190006);
SELECT sqlstate, message FROM texera_problem;
DELETE FROM texera_problem;
SELECT texera_detach(drop_data => true);
DROP VIEW public.history, public.gap;
DROP SCHEMA texera_db CASCADE;
