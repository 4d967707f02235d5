-- What Texera's functions give, and to whom: no more than its own tables do.
\i test/texera_schema.sql
\set SHOW_CONTEXT never
SET client_min_messages = warning;
CREATE ROLE regress_tx_some;
GRANT USAGE ON SCHEMA texera_db, notebook_migrate TO regress_tx_some;
GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA notebook_migrate TO regress_tx_some;
SELECT notebook_migrate.texera_attach(maintain_mapping => true);
INSERT INTO texera_db.workflow (name, content) VALUES ('w', '{"operators": [{"operatorID": "A", "operatorType": "X"}, {"operatorID": "B", "operatorType": "Y"}]}');
INSERT INTO texera_db.workflow_version (wid, content) VALUES (190001, '[]');
INSERT INTO texera_db.notebook (wid, notebook) VALUES (190001, '{"cells": [{"cell_type": "code", "source": "a", "metadata": {"uuid": "c1"}}, {"cell_type": "code", "source": "b", "metadata": {"uuid": "c2"}}]}');
INSERT INTO texera_db.workflow_notebook_mapping VALUES (190001, 190001, 190001, '{"operator_to_cell": {"A": ["c1"]}}');
INSERT INTO texera_db.workflow (name, content) VALUES ('copy', '{"operators": [{"operatorID": "A2", "operatorType": "X"}, {"operatorID": "B2", "operatorType": "Y"}]}');

-- A mapping is made of a workflow, a notebook, and a row of mappings: all three are to be read.
GRANT SELECT ON texera_db.workflow TO regress_tx_some;
SET ROLE regress_tx_some;
SELECT notebook_migrate.texera_mapping(190001);
\echo :SQLSTATE
RESET ROLE;
GRANT SELECT ON texera_db.notebook TO regress_tx_some;
SET ROLE regress_tx_some;
SELECT notebook_migrate.texera_mapping(190001);
\echo :SQLSTATE
RESET ROLE;
GRANT SELECT (wid, vid, nid) ON texera_db.workflow_notebook_mapping TO regress_tx_some;
SET ROLE regress_tx_some;
SELECT notebook_migrate.texera_mapping(190001);
\echo :SQLSTATE
RESET ROLE;
GRANT SELECT ON texera_db.workflow_notebook_mapping TO regress_tx_some;
REVOKE SELECT ON texera_db.workflow FROM regress_tx_some;
GRANT SELECT (wid, name) ON texera_db.workflow TO regress_tx_some;
SET ROLE regress_tx_some;
SELECT notebook_migrate.texera_mapping(190001);
\echo :SQLSTATE
RESET ROLE;
GRANT SELECT ON texera_db.workflow TO regress_tx_some;
SET ROLE regress_tx_some;
SELECT notebook_migrate.texera_mapping(190001) -> 'operator_to_cell' AS read;
RESET ROLE;
-- Policies on them hold as well.
ALTER TABLE texera_db.notebook ENABLE ROW LEVEL SECURITY;
SET ROLE regress_tx_some;
SELECT notebook_migrate.texera_mapping(190001);
\echo :SQLSTATE
RESET ROLE;
ALTER TABLE texera_db.notebook DISABLE ROW LEVEL SECURITY;
ALTER TABLE texera_db.workflow_notebook_mapping ENABLE ROW LEVEL SECURITY;
SET ROLE regress_tx_some;
SELECT notebook_migrate.texera_mapping(190001);
\echo :SQLSTATE
RESET ROLE;

-- Who may not write a mapping does not have one written: not with the rights of its table's owner either.
GRANT UPDATE ON texera_db.workflow TO regress_tx_some;
SET ROLE regress_tx_some;
SELECT * FROM notebook_migrate.texera_import_mapping(190001, '{"B": ["c2"]}');
\echo :SQLSTATE
RESET ROLE;
GRANT UPDATE ON texera_db.workflow_notebook_mapping TO regress_tx_some;
SET ROLE regress_tx_some;
SELECT * FROM notebook_migrate.texera_import_mapping(190001, '{"B": ["c2"]}');
\echo :SQLSTATE
RESET ROLE;
ALTER TABLE texera_db.workflow_notebook_mapping DISABLE ROW LEVEL SECURITY;
SET ROLE regress_tx_some;
SELECT mapping_id IS NOT NULL AS taken, links, problems FROM notebook_migrate.texera_import_mapping(190001, '{"B": ["c2"], "C": ["c1"]}');
-- With maintain_mapping the application reads it from then on.
SELECT mapping FROM texera_db.workflow_notebook_mapping;
-- What is no mapping at all is reported.
SELECT * FROM notebook_migrate.texera_import_mapping(190001, '"junk"');
SELECT * FROM notebook_migrate.texera_import_mapping(190001, '"{\"B\": [\"\\u0000\"]}"');
SELECT * FROM notebook_migrate.texera_import_mapping(190001, '[1]');
SELECT * FROM notebook_migrate.texera_import_mapping(190001, 'null');
SELECT * FROM notebook_migrate.texera_import_mapping(190001, '"\"junk\""');

-- A duplicate is copied by who may read the one and write the other, and all of it or nothing.
SELECT notebook_migrate.texera_clone(190001, 190002);
\echo :SQLSTATE
RESET ROLE;
SELECT notebook_migrate.texera_clone(190001, 190002);
\echo :SQLSTATE
SELECT count(*) FROM texera_db.notebook;
INSERT INTO texera_db.workflow_version (wid, content) VALUES (190002, '[]');
SELECT notebook_migrate.texera_clone(190001, 190002) > 0 AS cloned;
SELECT mapping -> 'operator_to_cell' AS cloned FROM texera_db.workflow_notebook_mapping WHERE wid = 190002;
SELECT notebook_migrate.texera_clone(190002, 190001);
\echo :SQLSTATE
SELECT notebook_migrate.texera_clone(190002, 7);
\echo :SQLSTATE
SELECT notebook_migrate.texera_clone(NULL, 7);
\echo :SQLSTATE

-- Under texera_rights READ is enough to read, and not to write: it is said so. Jobs are under it, too.
INSERT INTO texera_db.workflow_user_access VALUES (7, 190001, 'READ');
GRANT SELECT ON texera_db.workflow_user_access TO regress_tx_some;
GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA notebook_migrate TO regress_tx_some;
SELECT nid AS other FROM texera_db.notebook WHERE wid = 190002 \gset
SELECT count(*) FROM unnest(ARRAY[190001, :other]) AS n, notebook_migrate.job_submit(n);
SELECT notebook_migrate.texera_rights(true);
SET ROLE regress_tx_some;
SELECT notebook_migrate.texera_mapping(190001) IS NOT NULL AS read;
SELECT notebook_migrate.texera_import_mapping(190001, '{}');
\echo :SQLSTATE
SELECT notebook_migrate.texera_mapping(190002);
\echo :SQLSTATE
SELECT notebook_migrate.workflow_commit(190001, '{"operators": []}');
\echo :SQLSTATE
SELECT notebook_migrate.workflow_commit(190002, '{"operators": []}');
\echo :SQLSTATE
SELECT notebook_id FROM notebook_migrate.migration_job WHERE notebook_id > 190000;
RESET ROLE;
SELECT count(*) FROM notebook_migrate.migration_job WHERE notebook_id > 190000;
SELECT notebook_migrate.texera_rights(false);

DELETE FROM notebook_migrate.texera_problem;
SELECT notebook_migrate.texera_detach(drop_data => true);
DROP SCHEMA texera_db CASCADE;
DROP OWNED BY regress_tx_some;
DROP ROLE regress_tx_some;
