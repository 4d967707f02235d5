-- Tables as other releases of Texera have them, and tables that cannot be attached.
\set SHOW_CONTEXT never
SET client_min_messages = warning;
SET search_path = notebook_migrate, public;
CREATE FUNCTION public.texera_base(schema name) RETURNS void LANGUAGE plpgsql AS $$ BEGIN
  EXECUTE format('CREATE SCHEMA %I; SET LOCAL search_path = %1$I;', schema);
  CREATE TABLE workflow (wid int PRIMARY KEY, name text, content text NOT NULL);
  CREATE TABLE workflow_version (vid int PRIMARY KEY, wid int NOT NULL REFERENCES workflow ON DELETE CASCADE, content text NOT NULL);
END $$;
CREATE FUNCTION public.flow(VARIADIC ids text[]) RETURNS text LANGUAGE sql AS $$
  SELECT jsonb_build_object('operators', jsonb_agg(jsonb_build_object('operatorID', i, 'operatorType', 'type of ' || i)))::text FROM unnest(ids) AS i $$;
CREATE FUNCTION public.cells(VARIADIC ids text[]) RETURNS jsonb LANGUAGE sql AS $$
  SELECT jsonb_build_object('cells', jsonb_agg(jsonb_build_object('cell_type', 'code', 'source', 'cell ' || i, 'metadata', jsonb_build_object('uuid', i)))) FROM unnest(ids) AS i $$;
\set mapping '{"operator_to_cell": {"A": ["c1"], "B": ["c2"]}, "cell_to_operator": {"c1": ["A"], "c2": ["B"]}}'

-- The first release: keyed by workflow, mappings by a version, as json. Its name asks to be quoted.
SELECT public.texera_base('Texera "1"');
CREATE TABLE "Texera ""1""".notebook_migration_notebook_data (wid int PRIMARY KEY REFERENCES "Texera ""1""".workflow ON DELETE CASCADE, notebook json NOT NULL);
CREATE TABLE "Texera ""1""".notebook_migration_mapping_data (wid int, version int, mapping json NOT NULL, PRIMARY KEY (wid, version));
INSERT INTO "Texera ""1""".workflow VALUES (191001, 'there before', public.flow('A', 'B'));
INSERT INTO "Texera ""1""".workflow_version VALUES (191001, 191001, '[{"op": "remove", "path": "/operators"}]');
INSERT INTO "Texera ""1""".notebook_migration_notebook_data VALUES (191001, public.cells('c1', 'c2'));
INSERT INTO "Texera ""1""".notebook_migration_mapping_data VALUES (191001, 191001, :'mapping');
SELECT texera_attach('Texera "1"', true);
SELECT target, role, key_column, content_column FROM attachment WHERE schema IS NOT NULL ORDER BY role;
SELECT texera_mapping(191001);
INSERT INTO "Texera ""1""".workflow_version VALUES (191002, 191001, '[]');
UPDATE "Texera ""1""".workflow SET content = public.flow('B', 'C') WHERE wid = 191001;
SELECT mapping FROM "Texera ""1""".notebook_migration_mapping_data;
UPDATE "Texera ""1""".notebook_migration_notebook_data SET notebook = public.cells('c1', 'c2', 'c3');
-- Another notebook that is mapped to it here has no row there.
INSERT INTO notebook_migrate.notebook (content) VALUES (public.cells('z1')) RETURNING notebook_id AS mine \gset
SELECT mapping_put(:mine, NULL, 191001, NULL, '{"operator_to_cell": {"B": ["z1"]}, "cell_to_operator": {"z1": ["B"]}}') > 0 AS mapped;
UPDATE "Texera ""1""".workflow SET content = public.flow('C', 'B') WHERE wid = 191001;
SELECT mapping FROM "Texera ""1""".notebook_migration_mapping_data;
DELETE FROM notebook_migrate.notebook WHERE notebook_id = :mine;
SELECT texera_mapping(191001) -> 'operator_to_cell' AS now, texera_mapping(191001, 191001) -> 'operator_to_cell' AS before;
SELECT links, problems FROM texera_import_mapping(191001, '{"C": ["c3"]}', 191002, 191001);
SELECT mapping FROM "Texera ""1""".notebook_migration_mapping_data;
INSERT INTO "Texera ""1""".workflow VALUES (191002, 'copy', public.flow('new B', 'new C'));
UPDATE "Texera ""1""".workflow SET content = replace(content, 'type of new ', 'type of ') WHERE wid = 191002;
INSERT INTO "Texera ""1""".workflow_version VALUES (191003, 191002, '[]');
SELECT texera_clone(191001, 191002);
SELECT version, mapping FROM "Texera ""1""".notebook_migration_mapping_data WHERE wid = 191002;
CALL texera_backfill();
-- Attached again: nothing is new.
SELECT texera_attach('Texera "1"');
SELECT count(*) FROM mapping WHERE workflow_id > 191000;
SELECT key, message FROM texera_problem;
DELETE FROM "Texera ""1""".workflow WHERE wid = 191001;
SELECT notebook_id FROM notebook_head WHERE notebook_id > 191000;
SELECT texera_detach(true);
SELECT tgname FROM pg_trigger JOIN pg_class c ON c.oid = tgrelid WHERE c.relnamespace = '"Texera ""1"""'::regnamespace AND NOT tgisinternal;
DROP SCHEMA "Texera ""1""" CASCADE;

-- The proposal: a source beside each workflow, mappings by its rows, as text.
SELECT public.texera_base('texera_2');
CREATE TABLE texera_2.workflow_notebook_source (wid bigint PRIMARY KEY, notebook text NOT NULL);
CREATE TABLE texera_2.workflow_notebook_mapping (wid bigint, vid bigint, mapping text NOT NULL, PRIMARY KEY (wid, vid));
SELECT texera_attach('texera_2', true);
INSERT INTO texera_2.workflow VALUES (191001, 'w', public.flow('A', 'B'));
INSERT INTO texera_2.workflow_version VALUES (191001, 191001, '[]');
INSERT INTO texera_2.workflow_notebook_source VALUES (191001, public.cells('c1', 'c2'));
INSERT INTO texera_2.workflow_notebook_mapping VALUES (191001, 191001, :'mapping'), (191001, 190999, 'no JSON');
SELECT vid, mapping FROM texera_2.workflow_notebook_mapping ORDER BY vid;
DELETE FROM texera_2.workflow_notebook_mapping WHERE vid = 190999;
INSERT INTO texera_2.workflow_version VALUES (191002, 191001, '[]');
UPDATE texera_2.workflow SET content = public.flow('B') WHERE wid = 191001;
SELECT mapping FROM texera_2.workflow_notebook_mapping;
UPDATE texera_2.workflow_notebook_source SET notebook = 'no JSON';
UPDATE texera_2.workflow_notebook_source SET notebook = public.cells('c2', 'c3');
UPDATE texera_2.workflow_notebook_mapping SET mapping = '{"operator_to_cell": {"B": ["c3"]}}';
SELECT texera_mapping(191001) -> 'operator_to_cell' AS now;
SELECT "table", key, sqlstate, message FROM texera_problem;
DELETE FROM texera_problem;
-- A mapping of somebody else's notebook is no mapping of this workflow; nor is one of what is not there.
SELECT texera_detach(true);
ALTER TABLE texera_2.workflow_notebook_source RENAME TO notebook;
ALTER TABLE texera_2.notebook ADD nid int;
UPDATE texera_2.notebook SET nid = 191050;
ALTER TABLE texera_2.workflow_notebook_mapping ADD nid int, DROP CONSTRAINT workflow_notebook_mapping_pkey, ALTER wid DROP NOT NULL, ALTER vid DROP NOT NULL;
INSERT INTO texera_2.workflow VALUES (191002, 'other', public.flow('B'));
INSERT INTO texera_2.workflow_version VALUES (191010, 191002, '[]');
INSERT INTO texera_2.notebook VALUES (191002, public.cells('c8', 'c9'), 191051);
UPDATE texera_2.workflow_notebook_mapping SET nid = 191050, mapping = '{"B": ["c2"]}';
INSERT INTO texera_2.workflow_notebook_mapping VALUES (191002, 191010, '{"B": ["c2"]}', 191050), (191002, 191010, '{"B": ["c2"]}', 7), (NULL, 1, '{}', 1), (191002, NULL, '{"B": ["c8"]}', NULL);
SELECT texera_attach('texera_2');
SELECT key, sqlstate, message FROM texera_problem ORDER BY key, message;
SELECT texera_mapping(191001) -> 'operator_to_cell' AS its;
SELECT texera_mapping(191002);
\echo :SQLSTATE
SELECT texera_detach(true);
DELETE FROM texera_problem;
DROP SCHEMA texera_2 CASCADE;

-- A partition is a table; a partitioned table, a view and a foreign table are not attached, and not read if they were put in its place.
SELECT public.texera_base('texera_3');
ALTER TABLE texera_3.workflow_version DROP CONSTRAINT workflow_version_wid_fkey;
ALTER TABLE texera_3.workflow RENAME TO workflow_1;
CREATE TABLE texera_3.workflow (wid int PRIMARY KEY, name text, content text NOT NULL) PARTITION BY RANGE (wid);
ALTER TABLE texera_3.workflow ATTACH PARTITION texera_3.workflow_1 FOR VALUES FROM (1) TO (200000);
SELECT texera_attach('texera_3');
\echo :SQLSTATE
SELECT attach('workflow', 'texera_3.workflow', 'wid', 'content');
\echo :SQLSTATE
SELECT attach('workflow', 'texera_3.workflow_1', 'wid', 'content');
INSERT INTO texera_3.workflow VALUES (191007, 'in a partition', public.flow('A'));
SELECT name, version FROM notebook_migrate.workflow WHERE workflow_id = 191007;
DELETE FROM texera_3.workflow;
SELECT detach('texera_3.workflow_1');
CREATE FOREIGN DATA WRAPPER regress_nowhere;
CREATE SERVER regress_nowhere FOREIGN DATA WRAPPER regress_nowhere;
DROP TABLE texera_3.workflow;
CREATE FOREIGN TABLE texera_3.workflow (wid int, content text) SERVER regress_nowhere;
SELECT texera_attach('texera_3');
\echo :SQLSTATE
SELECT attach('workflow', 'texera_3.workflow', 'wid', 'content');
\echo :SQLSTATE
DROP FOREIGN TABLE texera_3.workflow;
CREATE TABLE texera_3.workflow (wid int PRIMARY KEY, content text);
INSERT INTO texera_3.workflow VALUES (191008, public.flow('A'));
SELECT texera_attach('texera_3');
ALTER TABLE texera_3.workflow_version RENAME TO was;
CREATE FOREIGN TABLE texera_3.workflow_version (vid int, wid int, content text) SERVER regress_nowhere;
CALL texera_backfill();
UPDATE texera_3.workflow SET content = public.flow('B');
SELECT version FROM workflow_head WHERE workflow_id = 191008;
SELECT texera_attach('texera_3');
\echo :SQLSTATE
DROP FOREIGN TABLE texera_3.workflow_version;
DROP TABLE texera_3.was;
-- A table that is gone is told so, and detaching cleans up.
\set VERBOSITY sqlstate
CALL texera_backfill();
\set VERBOSITY default
\echo :SQLSTATE
SELECT texera_mapping(191008);
\echo :SQLSTATE
SELECT texera_detach(true);
SELECT count(*) FROM attachment WHERE schema IS NOT NULL;
DROP SERVER regress_nowhere;
DROP FOREIGN DATA WRAPPER regress_nowhere;
DELETE FROM texera_problem;
DROP SCHEMA texera_3 CASCADE;

-- Tables that were dropped, made anew, or detached alone; a workflow with several notebooks.
SELECT public.texera_base('texera_4');
CREATE TABLE texera_4.notebook (nid int PRIMARY KEY GENERATED BY DEFAULT AS IDENTITY (START 191061), wid int NOT NULL, notebook jsonb NOT NULL);
CREATE TABLE texera_4.notebook_migration_mapping_data (wid int, version int, nid int, mapping jsonb NOT NULL);
INSERT INTO texera_4.workflow VALUES (191001, 'w', public.flow('A', 'B')), (191002, 'copy', public.flow('A', 'B'));
INSERT INTO texera_4.workflow_version VALUES (191001, 191001, '[]'), (191002, 191002, '[]');
INSERT INTO texera_4.notebook (wid, notebook) VALUES (191001, public.cells('c1')), (191001, public.cells('c1', 'c2'));
INSERT INTO texera_4.notebook_migration_mapping_data VALUES (191001, 191001, 191062, :'mapping');
SELECT texera_attach('texera_4', true);
-- The newest notebook is copied, and it alone; without a row of versions to name, or without a copy, nothing is.
SELECT texera_clone(191001, 191002);
SELECT nid, jsonb_array_length(notebook -> 'cells') AS cells FROM texera_4.notebook WHERE wid = 191002;
SELECT detach('texera_4.workflow_version');
SELECT texera_clone(191001, 191002);
\echo :SQLSTATE
CALL texera_backfill();
\echo :SQLSTATE
SELECT texera_attach('texera_4', true);
CREATE FUNCTION texera_4.no_row() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END';
CREATE TRIGGER no_row BEFORE INSERT ON texera_4.notebook FOR EACH ROW EXECUTE FUNCTION texera_4.no_row();
SELECT texera_clone(191001, 191002);
\echo :SQLSTATE
DROP TRIGGER no_row ON texera_4.notebook;
-- A newer release has another table for mappings: attached again, it is that one, also if the older one is there still.
CREATE TABLE texera_4.workflow_notebook_mapping AS SELECT wid, version AS vid, nid, mapping FROM texera_4.notebook_migration_mapping_data;
SELECT texera_attach('texera_4', true);
SELECT target FROM attachment WHERE role = 'texera mapping';
SELECT tgrelid::regclass AS "table" FROM pg_trigger WHERE tgname = 'notebook_migrate' ORDER BY 1;
CREATE TABLE texera_4.new AS TABLE texera_4.workflow_notebook_mapping;
DROP TABLE texera_4.workflow_notebook_mapping;
DO $$ BEGIN PERFORM notebook_migrate.texera_mapping(191001);
EXCEPTION WHEN undefined_table THEN RAISE WARNING '%', regexp_replace(SQLERRM, '\d+', 'N'); END $$;
ALTER TABLE texera_4.new RENAME TO workflow_notebook_mapping;
SELECT texera_attach('texera_4', true);
SELECT texera_mapping(191001) -> 'operator_to_cell' AS "mapping";
-- What a trigger of the application does when a mapping is brought up to date is followed like all it does.
CREATE FUNCTION texera_4.follow() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
  UPDATE texera_4.workflow SET content = public.flow('D') WHERE wid = 191002; RETURN NULL; END $$;
CREATE TRIGGER follow AFTER UPDATE ON texera_4.workflow_notebook_mapping FOR EACH ROW EXECUTE FUNCTION texera_4.follow();
UPDATE texera_4.workflow SET content = public.flow('B') WHERE wid = 191001;
SELECT wid, mapping -> 'operator_to_cell' AS maintained FROM texera_4.workflow_notebook_mapping ORDER BY wid;
SELECT workflow_id, version FROM workflow_head WHERE workflow_id > 191000 ORDER BY 1;
SELECT count(*) FROM mapping WHERE workflow_id > 191000;
SELECT key, message FROM texera_problem;
SELECT texera_detach(true);
DROP SCHEMA texera_4 CASCADE;
DROP FUNCTION public.texera_base, public.flow, public.cells;
