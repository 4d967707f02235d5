-- Texera attached: labels, problems, mappings, detaching.  Its schema is in test/texera_schema.sql.
\i test/texera_schema.sql
\set SHOW_CONTEXT never
SET search_path = texera_db, notebook_migrate, public;
CREATE FUNCTION texera_db.content(VARIADIC ids text[]) RETURNS text LANGUAGE sql AS $$
  SELECT '{"operators":[' || string_agg(format('{"operatorID":"F-operator-%s","operatorType":"F","operatorProperties":{"code":"code of %s"}}', i, upper(i)), ',') || '],"links":[]}' FROM unnest(ids) AS i $$;
CREATE VIEW public.label AS SELECT workflow_id, version, vid, exact FROM texera_version WHERE workflow_id > 190000;
CREATE VIEW public.problem AS SELECT "table", key, sqlstate, message FROM texera_problem;

-- What is there when Texera is attached is a first version.
INSERT INTO workflow (name, content) VALUES ('there before', content('a'));
INSERT INTO workflow_version (wid, content) SELECT 190001, '[{"op":"remove","path":"/operators"},{"op":"remove","path":"/links"}]';
SELECT texera_attach();
SELECT workflow_id, name, version FROM notebook_migrate.workflow WHERE workflow_id > 190000;
SELECT * FROM public.label;

-- Create: the workflow, then its row. Save: the row, then the workflow.
INSERT INTO workflow (name, content) VALUES ('new', content('a', 'b'));
INSERT INTO workflow_version (wid, content) VALUES (190002, '[]');
INSERT INTO workflow_version (wid, content) VALUES (190002, '[]');
UPDATE workflow SET content = content('a', 'b', 'c'), last_modified_time = now() WHERE wid = 190002;
-- A rename writes the whole row again: no version, a new name. So does a description.
UPDATE workflow SET name = 'renamed', content = content || '' WHERE wid = 190002;
UPDATE workflow SET description = 'x', content = content || '' WHERE wid = 190002;
-- A script that rewrites content in place: a version, but not of a save.
UPDATE workflow SET content = replace(content, '"operatorType":"F"', '"operatorType":"G"') WHERE wid = 190002;
INSERT INTO workflow_version (wid, content) VALUES (190002, '[]');
UPDATE workflow SET content = content('a', 'b', 'c') WHERE wid = 190002;
SELECT workflow_id, name, version FROM notebook_migrate.workflow WHERE workflow_id = 190002;
SELECT * FROM public.label ORDER BY 1, 2;

-- Whatever comes, the save goes through, and there is a row about it.
UPDATE workflow SET content = 'no JSON' WHERE wid = 190002;
UPDATE workflow SET content = '{"operators": [{"operatorID": "a\u0000"}]}' WHERE wid = 190002;
UPDATE workflow SET content = '[]' WHERE wid = 190002;
SET notebook_migrate.max_attached_size = '10kB';
UPDATE workflow SET content = content(repeat('a', 10000)) WHERE wid = 190002;
SELECT length(content) FROM workflow WHERE wid = 190002;
RESET notebook_migrate.max_attached_size;
INSERT INTO workflow (name, content) VALUES ('bad', '{');
SELECT * FROM public.problem;
-- The next save brings all of it.
INSERT INTO workflow_version (wid, content) VALUES (190002, '[]');
UPDATE workflow SET content = content('a', 'c') WHERE wid = 190002;
INSERT INTO workflow_version (wid, content) VALUES (190003, '[]');
UPDATE workflow SET content = content('a') WHERE wid = 190003;
SELECT * FROM public.label WHERE version > 4 OR workflow_id = 190003 ORDER BY 1, 2;
DELETE FROM texera_problem;
-- A rolled back save leaves nothing, a failing one neither.
BEGIN;
UPDATE workflow SET content = content('z') WHERE wid = 190002;
SAVEPOINT s;
UPDATE workflow SET content = '' WHERE wid = 190002;
ROLLBACK TO s;
SELECT version FROM notebook_migrate.workflow WHERE workflow_id = 190002;
ROLLBACK;
SELECT version FROM notebook_migrate.workflow WHERE workflow_id = 190002;
SELECT count(*) FROM texera_problem;

-- A notebook and its mapping, with a cell and an operator that are not there.
INSERT INTO notebook (wid, notebook) VALUES (190002, '{"cells": [{"cell_type": "code", "source": "a = 1", "metadata": {"uuid": "cell-1"}}, {"cell_type": "code", "source": "c = a", "metadata": {"uuid": "cell-2"}}]}');
INSERT INTO workflow_notebook_mapping VALUES (190002, 190005, 190001,
  '{"operator_to_cell": {"F-operator-a": ["cell-1"], "F-operator-c": ["cell-2", "cell-9"], "gone": ["cell-1"]}, "cell_to_operator": {"cell-1": ["F-operator-a"]}}');
SELECT * FROM public.problem;
SELECT texera_mapping(190002);
-- The notebook is edited, the workflow saved: the mapping goes along, for each row of versions.
UPDATE notebook SET notebook = jsonb_set(notebook, '{cells,0,source}', '"a = 2"') WHERE nid = 190001;
INSERT INTO workflow_version (wid, content) VALUES (190002, '[]');
UPDATE workflow SET content = content('d', 'c') WHERE wid = 190002;
SELECT texera_mapping(190002);
SELECT texera_mapping(190002, 190005) = texera_mapping(190002, 190006) AS same, texera_mapping(190002, 190007);
SELECT texera_mapping(190002, 1);
\echo :SQLSTATE
SELECT texera_mapping(190001);
\echo :SQLSTATE
SELECT texera_mapping(1);
\echo :SQLSTATE
-- A row that is moved to another vid is known by that one.
BEGIN;
UPDATE workflow_notebook_mapping SET vid = 190006;
SELECT vid FROM texera_mapping_row WHERE workflow_id = 190002;
DELETE FROM workflow_notebook_mapping;
SELECT vid FROM texera_mapping_row WHERE workflow_id = 190002;
ROLLBACK;
-- The application's row is as it was, until it is asked for.
SELECT mapping -> 'operator_to_cell' FROM workflow_notebook_mapping;
SELECT texera_attach(maintain_mapping => true);
SELECT mapping FROM workflow_notebook_mapping;
UPDATE workflow SET content = content('c') WHERE wid = 190002;
SELECT mapping FROM workflow_notebook_mapping;
UPDATE notebook SET notebook = notebook #- '{cells,1}' WHERE nid = 190001;
SELECT mapping FROM workflow_notebook_mapping;
-- What was rewritten was stated by nobody.
SELECT mapping_id, notebook_version, workflow_version, origin, content FROM mapping WHERE workflow_id = 190002;

-- Shapes that Texera has stored.
UPDATE notebook SET notebook = jsonb_set(notebook, '{cells,0,source}', '"a = 3"') WHERE nid = 190001;
SELECT * FROM texera_import_mapping(190002, '{"F-operator-c": ["cell-1"]}');
SELECT * FROM texera_import_mapping(190002, '"{\"cell_to_operator\": {\"cell-1\": [\"F-operator-c\"]}}"');
SELECT * FROM texera_import_mapping(190002, '{"operator_to_cell": [], "cell_to_operator": {"cell-1": "x", "nothing": [1, null]}}');
SELECT * FROM texera_import_mapping(190002, '{"mapping": {"links": [{"cell": "cell-1", "operator": "F-operator-c"}, {}]}}', 190006, 190001);
SELECT * FROM texera_import_mapping(190002, '{}', NULL, 190009);
\echo :SQLSTATE
SELECT * FROM texera_import_mapping(190001, '{}');
\echo :SQLSTATE

-- A duplicate has all new ids.
INSERT INTO workflow (name, content) SELECT 'copy', replace(content, 'F-operator-', 'F-operator-copy-') FROM workflow WHERE wid = 190002;
INSERT INTO workflow_version (wid, content) VALUES (190004, '[]');
SELECT texera_clone(190002, 190004);
SELECT wid, notebook = (SELECT notebook FROM notebook WHERE nid = 190001) AS equal FROM notebook WHERE nid = 190002;
SELECT mapping FROM workflow_notebook_mapping WHERE wid = 190004;
SELECT texera_mapping(190004) = (SELECT mapping FROM workflow_notebook_mapping WHERE wid = 190004) AS served;
SELECT texera_clone(190001, 190004);
\echo :SQLSTATE
SELECT * FROM public.problem WHERE sqlstate <> '22023';
SELECT * FROM store_verify(NULL, NULL);

-- A workflow that is deleted is deleted here, and so is its notebook.
DELETE FROM workflow WHERE wid = 190004;
SELECT workflow_at(190004);
\echo :SQLSTATE
SELECT notebook_at(190002);
\echo :SQLSTATE

-- Detached: no trace there, all data here; attaching goes on.
SELECT texera_detach();
SELECT tgname FROM pg_trigger WHERE tgrelid::regclass::text ~ 'texera_db' AND NOT tgisinternal;
UPDATE workflow SET content = content('e', 'c') WHERE wid = 190002;
SELECT texera_attach();
SELECT max(version) FROM public.label WHERE workflow_id = 190002;
SELECT texera_detach(drop_data => true);
SELECT (SELECT count(*) FROM notebook_migrate.workflow WHERE workflow_id > 190000) + (SELECT count(*) FROM notebook_migrate.notebook WHERE notebook_id > 190000) + (SELECT count(*) FROM public.label) AS left_over;
-- A cancel, which stops no save, stops the one who attaches.
INSERT INTO workflow (name, content) SELECT 'large', content(VARIADIC array_agg(i::text)) FROM generate_series(1, 30000) AS i;
SET statement_timeout = 20;
SELECT texera_attach();
\echo :SQLSTATE
RESET statement_timeout;
SELECT * FROM public.problem WHERE sqlstate = '57014';
SELECT count(*) FROM attachment;
DROP SCHEMA texera_db CASCADE;
SELECT texera_attach();
\echo :SQLSTATE

-- Any other table.
CREATE TABLE public.note (id smallint PRIMARY KEY, name text, doc json);
INSERT INTO public.note VALUES (32001, 'one', '{"cells": []}'), (32002, 'two', '{}');
SELECT attach('notebook', 'public.note', 'id', 'doc');
UPDATE public.note SET doc = '{"cells": [{"cell_type": "code", "source": "x"}]}', name = 'uno' WHERE id = 32001;
UPDATE public.note SET id = 32003 WHERE id = 32001;
SELECT notebook_id, name, version FROM notebook_migrate.notebook WHERE notebook_id > 32000 AND notebook_id < 33000;
SELECT * FROM public.problem WHERE "table" ~ 'note$';
SELECT detach('public.note');
SELECT detach('public.note');
\echo :SQLSTATE
SELECT attach('thing', 'public.note', 'id', 'doc');
\echo :SQLSTATE
SELECT attach('notebook', 'public.note', 'name', 'doc');
\echo :SQLSTATE
SELECT attach('notebook', 'public.note', 'id', 'nothing');
\echo :SQLSTATE
SELECT attach('notebook', 'public.problem', 'key', 'message');
\echo :SQLSTATE
SELECT attach('notebook', 'public.note', 'id', NULL);
\echo :SQLSTATE
CREATE TRIGGER mine AFTER INSERT ON public.note FOR EACH ROW EXECUTE FUNCTION attached_write();
INSERT INTO public.note VALUES (32005, '', '{}');
\echo :SQLSTATE
DELETE FROM notebook_migrate.notebook WHERE notebook_id = 32003;
DELETE FROM texera_problem;
DROP VIEW public.label, public.problem;
DROP TABLE public.note;
