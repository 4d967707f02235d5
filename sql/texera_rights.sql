-- Whose rights hold: savers need none on the store, readers see no more than in Texera.
\i test/texera_schema.sql
\set SHOW_CONTEXT never
SET client_min_messages = warning;
CREATE ROLE regress_tx_app;
CREATE ROLE regress_tx_reader;
CREATE ROLE regress_tx_outsider;
GRANT USAGE ON SCHEMA texera_db TO regress_tx_app, regress_tx_reader, regress_tx_outsider;
GRANT ALL ON ALL TABLES IN SCHEMA texera_db TO regress_tx_app;
GRANT ALL ON ALL SEQUENCES IN SCHEMA texera_db TO regress_tx_app;
GRANT SELECT ON ALL TABLES IN SCHEMA texera_db TO regress_tx_reader;
SELECT notebook_migrate.texera_attach(maintain_mapping => true);

-- Texera's role: no right on anything of ours, and every save is a version, by its name.
SET ROLE regress_tx_app;
SET notebook_migrate.author = 'mira';
INSERT INTO texera_db.workflow (name, content) VALUES ('w', '{"operators": [{"operatorID": "operator-of-A"}]}'), ('v', '{"operators": []}');
INSERT INTO texera_db.workflow_version (wid, content) VALUES (190001, '[]'), (190002, '[]');
INSERT INTO texera_db.workflow_version (wid, content) VALUES (190001, '[]');
UPDATE texera_db.workflow SET content = '{"operators": [{"operatorID": "operator-of-A"}, {"operatorID": "operator-of-B"}]}' WHERE wid = 190001;
UPDATE texera_db.workflow SET content = 'x' WHERE wid = 190002;
INSERT INTO texera_db.notebook (wid, notebook) VALUES (190001, '{"cells": [{"cell_type": "code", "source": "a", "metadata": {"uuid": "c1"}}]}');
INSERT INTO texera_db.workflow_notebook_mapping VALUES (190001, 190003, 190001, '{"operator_to_cell": {"operator-of-A": ["c1"]}}');
SELECT mapping FROM texera_db.workflow_notebook_mapping;
INSERT INTO texera_db.workflow_user_access VALUES (7, 190001, 'READ'), (8, 190001, 'WRITE'), (7, 190002, 'NONE');
SELECT notebook_migrate.workflow_at(190001);
\echo :SQLSTATE
RESET notebook_migrate.author;
RESET ROLE;
SELECT workflow_id, version, author FROM notebook_migrate.workflow_version WHERE workflow_id > 190000 ORDER BY 1, 2;
SELECT key, sqlstate FROM notebook_migrate.texera_problem;

-- USAGE and EXECUTE are enough for Texera's functions; what they ask of Texera's tables is asked with the caller's rights.
GRANT USAGE ON SCHEMA notebook_migrate TO regress_tx_app, regress_tx_reader, regress_tx_outsider;
GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA notebook_migrate TO regress_tx_app, regress_tx_reader, regress_tx_outsider;
SET ROLE regress_tx_reader;
SELECT notebook_migrate.texera_mapping(190001);
SELECT * FROM notebook_migrate.texera_import_mapping(190001, '{}');
\echo :SQLSTATE
SET ROLE regress_tx_app;
SELECT * FROM notebook_migrate.texera_import_mapping(190001, '{"operator-of-B": ["c1"]}');
SET ROLE regress_tx_outsider;
SELECT notebook_migrate.texera_mapping(190001);
\echo :SQLSTATE
-- None of them attaches, or says that a table is attached, and so writes with others' rights.
SELECT notebook_migrate.texera_attach();
\echo :SQLSTATE
SELECT notebook_migrate.texera_detach();
\echo :SQLSTATE
SELECT notebook_migrate.texera_rights(true);
\echo :SQLSTATE
SELECT notebook_migrate.attach('workflow', 'texera_db.workflow', 'wid', 'content');
\echo :SQLSTATE
SELECT notebook_migrate.detach('texera_db.workflow');
\echo :SQLSTATE
RESET ROLE;
GRANT EXECUTE ON PROCEDURE notebook_migrate.texera_backfill TO regress_tx_outsider;
GRANT ALL ON ALL TABLES IN SCHEMA notebook_migrate TO regress_tx_outsider;
GRANT CREATE ON SCHEMA texera_db TO regress_tx_outsider;
SET ROLE regress_tx_outsider;
CALL notebook_migrate.texera_backfill();
\echo :SQLSTATE
CREATE TABLE texera_db.mine (wid int, content text);
INSERT INTO notebook_migrate.attachment VALUES ('texera_db.mine', 'document', 'workflow', 'wid', 'content', NULL, false);
\echo :SQLSTATE
DELETE FROM notebook_migrate.attachment;
\echo :SQLSTATE
CREATE TRIGGER notebook_migrate AFTER INSERT ON texera_db.mine FOR EACH ROW EXECUTE FUNCTION notebook_migrate.attached_write();
INSERT INTO texera_db.mine VALUES (190001, '{"operators": []}');
RESET ROLE;
SELECT version FROM notebook_migrate.workflow WHERE workflow_id = 190001;
DROP TABLE texera_db.mine;
REVOKE CREATE ON SCHEMA texera_db FROM regress_tx_outsider;

-- What the owner of a table does in his triggers he does as himself, whoever saves.
CREATE FUNCTION texera_db.who() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE WARNING 'the mapping is written by %', current_user; RETURN NEW; END $$;
CREATE TRIGGER who BEFORE UPDATE ON texera_db.workflow_notebook_mapping FOR EACH ROW EXECUTE FUNCTION texera_db.who();
ALTER TABLE texera_db.workflow_notebook_mapping OWNER TO regress_tx_app;
INSERT INTO texera_db.workflow_version (wid, content) VALUES (190001, '[]');
UPDATE texera_db.workflow SET content = '{"operators": [{"operatorID": "operator-of-A"}]}' WHERE wid = 190001;
-- And where he makes it fail, the version is kept.
CREATE OR REPLACE FUNCTION texera_db.who() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE 'not today' USING ERRCODE = 'ZZ001'; END $$;
UPDATE texera_db.workflow SET content = '{"operators": [{"operatorID": "operator-of-A"}, {"operatorID": "operator-of-B"}]}' WHERE wid = 190001;
SELECT key, sqlstate, message FROM notebook_migrate.texera_problem WHERE sqlstate = 'ZZ001';
SELECT version FROM notebook_migrate.workflow WHERE workflow_id = 190001;
DROP TRIGGER who ON texera_db.workflow_notebook_mapping;

-- What he puts off to the end of the transaction would run as whoever saves: it is not put off, and not done.
CREATE FUNCTION texera_db.late() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE WARNING 'late, by %', current_user; RETURN NEW; END $$;
CREATE CONSTRAINT TRIGGER late AFTER UPDATE ON texera_db.workflow_notebook_mapping DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION texera_db.late();
INSERT INTO texera_db.workflow_version (wid, content) VALUES (190001, '[]');
UPDATE texera_db.workflow SET content = '{"operators": [{"operatorID": "operator-of-B"}]}' WHERE wid = 190001;
INSERT INTO texera_db.workflow_version (wid, content) VALUES (190001, '[]');
UPDATE texera_db.workflow SET content = '{"operators": [{"operatorID": "operator-of-A"}]}' WHERE wid = 190001;
SELECT DISTINCT key, sqlstate, message FROM notebook_migrate.texera_problem WHERE message LIKE '%deferred%';
DROP TRIGGER late ON texera_db.workflow_notebook_mapping;

-- A column given another type is a problem, and nothing is read that is no text.
CREATE TABLE texera_db.retyped (id int PRIMARY KEY, content text);
SELECT notebook_migrate.attach('notebook', 'texera_db.retyped', 'id', 'content');
ALTER TABLE texera_db.retyped ALTER content TYPE bigint USING 1;
INSERT INTO texera_db.retyped VALUES (190900, 4096);
ALTER TABLE texera_db.retyped ALTER content TYPE name;
INSERT INTO texera_db.retyped VALUES (190901, '{"cells": []}');
SELECT key, sqlstate, message FROM notebook_migrate.texera_problem WHERE "table" = 'texera_db.retyped' ORDER BY key;
SELECT notebook_migrate.detach('texera_db.retyped');
DROP TABLE texera_db.retyped;

-- Code of the application's owner is not run by who attaches or asks: no views, no casts.
CREATE SCHEMA regress_tx_view;
CREATE FUNCTION regress_tx_view.trap() RETURNS int LANGUAGE plpgsql AS $$ BEGIN RAISE WARNING 'run by %', current_user; RETURN 1; END $$;
CREATE TABLE regress_tx_view.workflow (wid int PRIMARY KEY, name text, content text);
CREATE VIEW regress_tx_view.workflow_version AS SELECT wid, regress_tx_view.trap() AS vid, content FROM regress_tx_view.workflow;
INSERT INTO regress_tx_view.workflow VALUES (190910, 'w', '{"operators": []}');
SELECT notebook_migrate.texera_attach('regress_tx_view');
\echo :SQLSTATE
DROP SCHEMA regress_tx_view CASCADE;

-- Nor is a cast of his that says what a privilege is.
CREATE TYPE texera_db.odd AS ENUM ('NONE', 'READ', 'WRITE');
CREATE FUNCTION texera_db.odd(texera_db.odd) RETURNS text LANGUAGE plpgsql AS $$ BEGIN RAISE WARNING 'run by %', current_user; RETURN 'WRITE'; END $$;
CREATE CAST (texera_db.odd AS text) WITH FUNCTION texera_db.odd(texera_db.odd);
BEGIN;
ALTER TABLE texera_db.workflow_user_access ALTER privilege DROP DEFAULT, ALTER privilege TYPE texera_db.odd USING 'READ'::texera_db.odd;
SELECT notebook_migrate.texera_may('workflow', 190001, 'READ') AS read, notebook_migrate.texera_may('workflow', 190001, 'WRITE') AS write;
ROLLBACK;

-- The extension's owner attaches no table that he has no rights to, nor by a row of his.
CREATE ROLE regress_tx_admin;
CREATE DATABASE regress_tx_base OWNER regress_tx_admin;
\set before :DBNAME
\c regress_tx_base
SET client_min_messages = warning;
\set SHOW_CONTEXT never
CREATE TABLE public.secret (id int PRIMARY KEY, content text);
SET ROLE regress_tx_admin;
CREATE EXTENSION notebook_migrate;
SELECT notebook_migrate.attach('workflow', 'public.secret', 'id', 'content');
\echo :SQLSTATE
INSERT INTO notebook_migrate.attachment VALUES ('public.secret', 'texera mapping', 'workflow', 'id', 'content', 'public', true);
\echo :SQLSTATE
INSERT INTO notebook_migrate.attachment VALUES ('pg_catalog.pg_authid', 'texera mapping', 'workflow', 'oid', 'rolpassword', 'pg_catalog', true);
\echo :SQLSTATE
RESET ROLE;
GRANT TRIGGER ON public.secret TO regress_tx_admin;
SET ROLE regress_tx_admin;
INSERT INTO notebook_migrate.attachment VALUES ('public.secret', 'texera mapping', 'workflow', 'id', 'content', 'public', true);
\echo :SQLSTATE
RESET ROLE;
\c :before
SET client_min_messages = warning;
\set SHOW_CONTEXT never
DROP DATABASE regress_tx_base;
DROP ROLE regress_tx_admin;

-- Row-level security by workflow_user_access.
GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA notebook_migrate TO regress_tx_reader;
SELECT notebook_migrate.texera_rights(true);
SET notebook_migrate.texera_uid = 7;
SET ROLE regress_tx_reader;
SELECT workflow_id, version FROM notebook_migrate.workflow WHERE workflow_id > 190000;
SELECT count(*) FROM notebook_migrate.notebook WHERE notebook_id > 190000;
SELECT notebook_migrate.workflow_at(190002);
\echo :SQLSTATE
SELECT notebook_migrate.texera_mapping(190001) IS NOT NULL AS read;
SELECT notebook_migrate.texera_mapping(190002);
\echo :SQLSTATE
SELECT count(*) FROM notebook_migrate.texera_problem;
-- READ is not WRITE.
SELECT notebook_migrate.workflow_commit(190001, '{"operators": []}');
\echo :SQLSTATE
SET notebook_migrate.texera_uid = 8;
\echo :SQLSTATE
RESET ROLE;
SET notebook_migrate.texera_uid = 8;
SET ROLE regress_tx_reader;
SELECT notebook_migrate.workflow_commit(190001, '{"operators": []}') > 0 AS written;
RESET ROLE;
SET notebook_migrate.texera_uid = 9;
SET ROLE regress_tx_reader;
SELECT count(*) FROM notebook_migrate.workflow WHERE workflow_id > 190000;
RESET ROLE;
RESET notebook_migrate.texera_uid;
-- Who cannot read Texera's tables reads nothing here, whatever was granted; policies of theirs hold here.
SET ROLE regress_tx_outsider;
SELECT count(*) FROM notebook_migrate.workflow_head;
SET ROLE regress_tx_reader;
SELECT workflow_id FROM notebook_migrate.workflow_head WHERE workflow_id > 190000;
RESET ROLE;
ALTER TABLE texera_db.workflow ENABLE ROW LEVEL SECURITY;
SET ROLE regress_tx_reader;
SELECT workflow_id FROM notebook_migrate.workflow_head WHERE workflow_id > 190000;
SELECT notebook_migrate.texera_mapping(190001);
\echo :SQLSTATE
-- Savers go on.
RESET ROLE;
ALTER TABLE texera_db.workflow DISABLE ROW LEVEL SECURITY;
SET ROLE regress_tx_app;
UPDATE texera_db.workflow SET content = '{"operators": [{"operatorID": "Z"}]}' WHERE wid = 190001;
RESET ROLE;
SELECT content FROM notebook_migrate.workflow WHERE workflow_id = 190001;
SELECT notebook_migrate.texera_rights(false);
SET ROLE regress_tx_reader;
SELECT count(*) > 1 AS all FROM notebook_migrate.workflow_head WHERE workflow_id > 190000 OR true;
RESET ROLE;

DELETE FROM notebook_migrate.texera_problem;
SELECT notebook_migrate.texera_detach(drop_data => true);
DROP SCHEMA texera_db CASCADE;
DROP OWNED BY regress_tx_app, regress_tx_reader, regress_tx_outsider;
DROP ROLE regress_tx_app, regress_tx_reader, regress_tx_outsider;
