-- Saves that the store has not, and rows that nobody wrote: what is known of them, and what is said.
\i test/texera_schema.sql
\set SHOW_CONTEXT never
SET search_path = texera_db, notebook_migrate, public;
SET client_min_messages = warning;
CREATE FUNCTION texera_db.content(VARIADIC ids text[]) RETURNS text LANGUAGE sql AS $$
  SELECT '{"operators":[' || string_agg(format('{"operatorID":"F-%s","operatorType":"%s","operatorProperties":{"code":"%s"}}', i, upper(i), md5(i)), ',') || '],"links":[]}' FROM unnest(ids) AS i $$;
-- The application's two statements.
CREATE PROCEDURE texera_db.save(saved int, new text) LANGUAGE sql AS $$
  INSERT INTO texera_db.workflow_version (wid, content) VALUES (saved, '[]');
  UPDATE texera_db.workflow SET content = new WHERE wid = saved $$;
-- Vids are shown from 1 on, as the sequence began.
CREATE FUNCTION public.mapping_of(saved int, n int) RETURNS jsonb LANGUAGE sql AS $$
  SELECT texera_mapping(saved, 190000 + n) -> 'operator_to_cell' $$;
CREATE VIEW public.label AS SELECT workflow_id - 190000 AS w, version, vid - 190000 AS row, exact FROM texera_version WHERE workflow_id > 190000;
CREATE VIEW public.gap AS SELECT workflow_id - 190000 AS w, from_vid - 190000 AS from, upto_vid - 190000 AS upto FROM texera_gap ORDER BY 1, 2;
CREATE VIEW public.problem AS SELECT "table", key, sqlstate, message FROM texera_problem;
SELECT texera_attach();
INSERT INTO workflow (name, content) VALUES ('w', content('a', 'b'));
INSERT INTO workflow_version (wid, content) VALUES (190001, '[]');
INSERT INTO notebook (wid, notebook) VALUES (190001, '{"cells": [{"cell_type": "code", "source": "a", "metadata": {"uuid": "c1"}}, {"cell_type": "code", "source": "b", "metadata": {"uuid": "c2"}}]}');
INSERT INTO workflow_notebook_mapping VALUES (190001, 190001, 190001, '{"operator_to_cell": {"F-a": ["c1"], "F-b": ["c2"]}, "cell_to_operator": {"c1": ["F-a"], "c2": ["F-b"]}}');

-- Row 2 is passed over: there is no mapping for it, and none for now, since the operators may be gone.
CALL save(190001, 'no JSON');
SELECT mapping_of(190001, 1);
SELECT mapping_of(190001, 2);
\echo :SQLSTATE
SELECT texera_mapping(190001);
\echo :SQLSTATE
-- A save that changes nothing does not make it better; nor does a rename.
CALL save(190001, 'no JSON');
UPDATE workflow SET name = 'named', content = content || '' WHERE wid = 190001;
SELECT * FROM public.gap;
-- A script mends it in place: row 3 did not write that, and what it wrote is not known.
UPDATE workflow SET content = content('a', 'c') WHERE wid = 190001;
SELECT * FROM public.label ORDER BY 1, 2;
SELECT * FROM public.gap;
SELECT mapping_of(190001, 3);
\echo :SQLSTATE
SELECT texera_mapping(190001) -> 'operator_to_cell' AS now;
-- Row 4 is a save, row 5 another one that is passed over, row 6 is back at what row 4 was, row 7 changes nothing.
CALL save(190001, content('a', 'b', 'c'));
CALL save(190001, '{"operators": [{"operatorID": "\u0000"}]}');
CALL save(190001, content('a', 'b', 'c'));
CALL save(190001, content('a', 'b', 'c'));
SELECT * FROM public.label ORDER BY 1, 2;
SELECT * FROM public.gap ORDER BY 1, 2;
SELECT mapping_of(190001, 4) = mapping_of(190001, 6) AND mapping_of(190001, 6) = mapping_of(190001, 7) AS same;
SELECT mapping_of(190001, 5);
\echo :SQLSTATE
-- After row 7, which changed nothing, a rewrite in place is not its save.
UPDATE workflow SET content = content('a') WHERE wid = 190001;
SELECT * FROM public.label ORDER BY 1, 2;
-- Row 8 changes nothing: it is of what was rewritten; row 7 is as it was saved.
CALL save(190001, content('a'));
SELECT mapping_of(190001, 7), mapping_of(190001, 8);
-- A rename between the two statements of a save is not the save.
INSERT INTO workflow_version (wid, content) VALUES (190001, '[]');
UPDATE workflow SET name = 'w', content = content || '' WHERE wid = 190001;
UPDATE workflow SET content = content('a', 'b') WHERE wid = 190001;
SELECT * FROM public.label ORDER BY 1, 2 DESC LIMIT 1;
-- Two save at the same time: each wrote a row, and one row is the newest for both. What is written then, no save wrote.
INSERT INTO workflow (name, content) VALUES ('two', content('p'));
INSERT INTO workflow_version (wid, content) VALUES (190002, '[]');
INSERT INTO workflow_version (wid, content) VALUES (190002, '[]');
INSERT INTO workflow_version (wid, content) VALUES (190002, '[]');
UPDATE workflow SET content = content('p', 'q') WHERE wid = 190002;
UPDATE workflow SET content = content('p', 'r') WHERE wid = 190002;
UPDATE workflow SET content = content('p', 's') WHERE wid = 190002;
SELECT version, row - first_value(row) OVER (ORDER BY version) AS row, exact FROM public.label WHERE w = 2 ORDER BY 1;
DELETE FROM workflow WHERE wid = 190002;
SELECT setval('workflow_wid_seq', 190001);
-- Created with what cannot be read, its row, and mended in place: not by that row.
INSERT INTO workflow (name, content) VALUES ('bad', '{');
INSERT INTO workflow_version (wid, content) VALUES (190002, '[]');
UPDATE workflow SET content = content('x') WHERE wid = 190002;
SELECT * FROM public.label WHERE w = 2;
SELECT from_vid, upto_vid - 190000 AS upto FROM texera_gap WHERE workflow_id = 190002;
DELETE FROM texera_problem;

-- A state with an operator twice, as parallel saves leave it, is reported and left out: saved, or there when attaching.
CALL save(190002, content('x', 'y', 'x'));
INSERT INTO workflow (name, content) VALUES ('twice', content('z', 'z'));
SELECT * FROM public.problem;
SELECT workflow_id, version FROM workflow_head WHERE workflow_id > 190001;
SELECT texera_mapping(190002);
\echo :SQLSTATE
SELECT texera_attach();
SELECT key, message FROM public.problem;
CALL texera_backfill();
SELECT key, message FROM public.problem;
CALL save(190002, content('x', 'y'));
UPDATE workflow SET content = content('z') WHERE wid = 190003;
SELECT workflow_id, version FROM workflow_head WHERE workflow_id > 190001 ORDER BY 1;
DELETE FROM texera_problem;

-- What was put right by no save is put right by the backfill: too large, until the limit was raised.
SET notebook_migrate.max_attached_size = '1kB';
CALL save(190002, content('x', repeat('y', 1000)));
RESET notebook_migrate.max_attached_size;
SELECT sqlstate FROM public.problem;
SELECT w, upto FROM public.gap WHERE w = 2 AND upto IS NULL;
CALL texera_backfill();
SELECT workflow_at(190002)::text = content::jsonb::text AS same FROM workflow WHERE wid = 190002;
SELECT w, upto FROM public.gap WHERE w = 2 AND upto IS NULL;
DELETE FROM texera_problem;

-- Attaching again takes in what changed, and does not take what it knows for something that somebody stated.
CALL save(190001, content('b'));
CALL save(190001, content('b', 'd'));
CALL save(190001, content('a', 'b'));
SELECT count(*) FROM mapping WHERE workflow_id = 190001;
SELECT texera_attach();
SELECT texera_attach(maintain_mapping => true);
SELECT texera_detach();
SELECT texera_attach();
SELECT count(*) FROM mapping WHERE workflow_id = 190001;
SELECT * FROM public.problem;
SELECT texera_mapping(190001) -> 'operator_to_cell' AS still;
-- What maintain_mapping wrote is nobody's either, also when the workflow has moved on.
SELECT texera_attach(maintain_mapping => true);
UPDATE workflow SET content = content('b') WHERE wid = 190001;
SELECT texera_detach();
UPDATE workflow SET content = content('a', 'b', 'c') WHERE wid = 190001;
SELECT texera_attach(maintain_mapping => true);
SELECT count(*), (SELECT mapping -> 'operator_to_cell' FROM workflow_notebook_mapping) AS mapping FROM mapping WHERE workflow_id = 190001;
-- What somebody wrote meanwhile is.
SELECT texera_detach();
UPDATE workflow_notebook_mapping SET mapping = '{"operator_to_cell": {"F-a": ["c2"]}}';
SELECT texera_attach();
SELECT count(*) FROM mapping WHERE workflow_id = 190001;
SELECT texera_mapping(190001) -> 'operator_to_cell' AS now;
-- A row that is deleted and written again is stated again.
DELETE FROM workflow_notebook_mapping;
INSERT INTO workflow_notebook_mapping VALUES (190001, 190001, 190001, '{"operator_to_cell": {"F-a": ["c1"], "F-b": ["c2"]}}');
SELECT texera_mapping(190001) -> 'operator_to_cell' AS now;
-- Both halves name what is not there: that is one problem.
INSERT INTO workflow_version (wid, content) VALUES (190001, '[]') RETURNING vid AS newest \gset
INSERT INTO workflow_notebook_mapping VALUES (190001, :newest, 190001, '{"operator_to_cell": {"F-a": ["c1"], "gone": ["c9"]}, "cell_to_operator": {"c1": ["F-a"], "c9": ["gone"]}}');
SELECT key, message FROM public.problem ORDER BY message;
DELETE FROM texera_problem;

-- Saves while it was detached are not known; the one that is there is.
SELECT max(vid) - 190000 AS before FROM workflow_version \gset
SELECT texera_detach();
CALL save(190001, content('a'));
CALL save(190001, content('a', 'e'));
CALL save(190001, content('a', 'f'));
SELECT texera_attach();
SELECT * FROM public.gap WHERE w = 1 AND upto > :before;
SELECT mapping_of(190001, :before + 1);
\echo :SQLSTATE
SELECT mapping_of(190001, :before + 3) = texera_mapping(190001) -> 'operator_to_cell' AS newest;

-- Workflows that are deleted while it is detached are deleted when it is attached again; so are notebooks.
INSERT INTO notebook (wid, notebook) VALUES (190002, '{"cells": []}');
SELECT texera_detach();
DELETE FROM workflow WHERE wid = 190003;
DELETE FROM notebook WHERE wid = 190002;
SELECT texera_attach();
SELECT workflow_id FROM workflow_head WHERE workflow_id > 190000 ORDER BY 1;
SELECT notebook_id FROM notebook_head WHERE notebook_id > 190000 ORDER BY 1;
-- Not so documents that are not from there.
INSERT INTO notebook_migrate.workflow (content) VALUES ('{"operators": []}') RETURNING workflow_id AS mine \gset
SELECT texera_attach();
SELECT count(*) FROM workflow_head WHERE workflow_id = :mine;
-- With drop_data none is left, also of those that were deleted while it was detached.
SELECT texera_detach();
DELETE FROM workflow WHERE wid = 190002;
SELECT texera_attach();
INSERT INTO workflow (name, content) VALUES ('v', content('v'));
SELECT texera_detach();
SELECT texera_detach(drop_data => true);
SELECT (SELECT count(*) FROM workflow_head WHERE workflow_id > 190000) AS workflows, (SELECT count(*) FROM notebook_head WHERE notebook_id > 190000) AS notebooks,
  (SELECT count(*) FROM attached_document WHERE "table" LIKE 'texera_db.%') AS known, (SELECT count(*) FROM texera_gap) + (SELECT count(*) FROM texera_mapping_row) AS rows;

-- TRUNCATE is followed.
SELECT texera_attach();
SELECT workflow_id FROM workflow_head WHERE workflow_id > 190000 ORDER BY 1;
TRUNCATE workflow CASCADE;
SELECT workflow_id FROM workflow_head WHERE workflow_id > 190000;
SELECT notebook_id FROM notebook_head WHERE notebook_id > 190000;
SELECT (SELECT count(*) FROM texera_vid) + (SELECT count(*) FROM texera_version WHERE workflow_id > 190000) + (SELECT count(*) FROM texera_mapping_row) AS left_over;
SELECT * FROM public.problem;
BEGIN;
INSERT INTO workflow (name, content) VALUES ('v', content('v'));
SAVEPOINT s;
TRUNCATE workflow CASCADE;
ROLLBACK TO s;
SELECT count(*) FROM workflow_head WHERE workflow_id > 190000;
COMMIT;
-- So it is of any attached table.
CREATE TABLE public.sheet (id int PRIMARY KEY, doc jsonb);
INSERT INTO public.sheet VALUES (32001, '{"cells": []}');
SELECT attach('notebook', 'public.sheet', 'id', 'doc');
TRUNCATE public.sheet;
SELECT count(*) FROM notebook_head WHERE notebook_id = 32001;
SELECT detach('public.sheet');
DROP TABLE public.sheet;

SELECT texera_detach(drop_data => true);
SELECT * FROM store_verify(NULL, NULL);
DELETE FROM notebook_migrate.workflow WHERE workflow_id = :mine;
DROP VIEW public.label, public.gap, public.problem;
DROP FUNCTION public.mapping_of;
DROP SCHEMA texera_db CASCADE;
