-- Who may do what: nothing is granted to PUBLIC, a database's owner installs and grants.
CREATE ROLE regress_nbm_owner;
CREATE ROLE regress_nbm_writer;
CREATE ROLE regress_nbm_reader;
CREATE ROLE regress_nbm_stranger;
SELECT current_database() AS here \gset
CREATE DATABASE regress_nbm_owned OWNER regress_nbm_owner TEMPLATE template0;
\c regress_nbm_owned
\set SHOW_CONTEXT never
SET SESSION AUTHORIZATION regress_nbm_owner;

-- The extension is trusted: the owner of the database can install it, use it and grant it.
CREATE EXTENSION notebook_migrate;
SET search_path = notebook_migrate, public;
INSERT INTO notebook (notebook_id, name, content) VALUES (1, 'owned', '{"cells": [{"cell_type": "code", "source": "x = 1"}]}') RETURNING version;
INSERT INTO notebook (name, content) VALUES ('numbered', '{"cells": []}') RETURNING notebook_id > 0 AS numbered, version;
INSERT INTO workflow (workflow_id, name, content) VALUES (1, 'owned', '{"operators": [{"operatorID": "A"}], "links": []}') RETURNING version;
SELECT mapping_put(1, 1, 1, 1, '{"links": [{"cell": "1", "operator": "A"}]}') IS NOT NULL AS stored;
GRANT USAGE ON SCHEMA notebook_migrate TO regress_nbm_reader, regress_nbm_writer;
GRANT SELECT ON ALL TABLES IN SCHEMA notebook_migrate TO regress_nbm_reader, regress_nbm_writer;
GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA notebook_migrate TO regress_nbm_reader, regress_nbm_writer;
GRANT INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA notebook_migrate TO regress_nbm_writer;
GRANT USAGE ON ALL SEQUENCES IN SCHEMA notebook_migrate TO regress_nbm_writer;

-- A stranger: not even the schema.
SET SESSION AUTHORIZATION regress_nbm_stranger;
SELECT * FROM notebook_migrate.notebook;
\echo :SQLSTATE
SELECT notebook_migrate.notebook_at(1);
\echo :SQLSTATE
SELECT * FROM notebook_migrate.notebook_part;
\echo :SQLSTATE

-- With the schema alone: no table, no function.
SET SESSION AUTHORIZATION regress_nbm_owner;
GRANT USAGE ON SCHEMA notebook_migrate TO regress_nbm_stranger;
SET SESSION AUTHORIZATION regress_nbm_stranger;
SELECT * FROM notebook_migrate.notebook;
\echo :SQLSTATE
SELECT notebook_migrate.notebook_at(1);
\echo :SQLSTATE
INSERT INTO notebook_migrate.notebook (name, content) VALUES ('x', '{"cells": []}');
\echo :SQLSTATE
SELECT count(*) AS functions_for_public FROM pg_proc
 WHERE pronamespace = 'notebook_migrate'::regnamespace AND has_function_privilege('regress_nbm_stranger', oid, 'EXECUTE');

-- A reader reads everything.
SET SESSION AUTHORIZATION regress_nbm_reader;
SELECT notebook_id, name, version, content FROM notebook WHERE notebook_id = 1;
SELECT notebook_at(1, 1), workflow_at(1) -> 'operators' AS operators;
SELECT source FROM notebook_cells(1);
SELECT operator_id FROM workflow_operators(1);
SELECT count(*) FROM notebook_diff(1, 1, 1);
SELECT version, change FROM cell_history(1, 1);
SELECT mapping_at(1, 1, 1, 1);
SELECT state FROM mapping_links(1, 1, 1, 1);
SELECT links, exact FROM mapping_health();
SELECT jsonb_array_length(migration_prompt(1) -> 'cells') AS cells, workflow_parse_reply('{"code": {"A": "a"}}') -> 'udfs' AS udfs;
SELECT * FROM store_verify(NULL, NULL);
-- And writes nothing, though it may call every function.
INSERT INTO notebook (name, content) VALUES ('x', '{"cells": []}');
\echo :SQLSTATE
UPDATE notebook SET content = '{"cells": []}' WHERE notebook_id = 1;
\echo :SQLSTATE
DELETE FROM notebook WHERE notebook_id = 1;
\echo :SQLSTATE
SELECT notebook_commit(1, '{"cells": []}');
\echo :SQLSTATE
SELECT notebook_edit(1, '[{"op": "delete", "cell": "1"}]');
\echo :SQLSTATE
SELECT workflow_commit(1, '{"operators": []}');
\echo :SQLSTATE
SELECT mapping_put(1, 1, 1, 1, '{"links": []}');
\echo :SQLSTATE
SELECT * FROM migration_accept(1, 1, '{"code": {"A": "a"}}', '{"A": ["1"]}');
\echo :SQLSTATE
SELECT * FROM migration_accept(1, 1, '{"code": {"A": "a"}}', '{"A": ["1"]}', 1);
\echo :SQLSTATE

-- A writer writes, by every way.
SET SESSION AUTHORIZATION regress_nbm_writer;
INSERT INTO notebook (name, content) VALUES ('written', '{"cells": []}') RETURNING version;
UPDATE notebook SET content = '{"cells": [{"cell_type": "code", "source": "x = 2"}]}' WHERE notebook_id = 1 RETURNING version;
UPDATE notebook SET name = 'renamed' WHERE notebook_id = 1 RETURNING version;
SELECT notebook_commit(1, '{"cells": [{"cell_type": "code", "source": "x = 3"}]}') AS version;
SELECT notebook_edit(1, '[{"op": "insert", "value": {"cell_type": "code", "source": "y"}}]') AS version;
SELECT notebook_restore(1, 1) AS version;
SELECT workflow_edit(1, '[{"op": "delete", "operator": "A"}]') AS version;
SELECT mapping_put(1, 1, 1, 1, '{"links": []}') IS NOT NULL AS stored;
SELECT workflow_version, warnings FROM migration_accept(1, 1, '{"code": {"A": "a"}}', '{"A": ["1"]}');
SELECT workflow_version, warnings FROM migration_accept(1, 1, '{"code": {"B": "b"}}', '{"B": ["1"]}', 1);
SELECT version, author FROM notebook_version WHERE notebook_id = 1 ORDER BY version;
-- But no writer rewrites history, whatever was granted.
UPDATE notebook_version SET author = 'somebody else' WHERE notebook_id = 1;
\echo :SQLSTATE
DELETE FROM notebook_part WHERE notebook_id = 1;
\echo :SQLSTATE
SET session_replication_role = replica;
\echo :SQLSTATE
DELETE FROM notebook WHERE name = 'written' RETURNING name;
SELECT * FROM store_verify(NULL, NULL);

-- Neither does the owner of the database.
SET SESSION AUTHORIZATION regress_nbm_owner;
UPDATE notebook_version SET author = 'somebody else' WHERE notebook_id = 1;
\echo :SQLSTATE
DELETE FROM notebook_version WHERE notebook_id = 1;
\echo :SQLSTATE
-- It removes the extension as it made it.
DROP EXTENSION notebook_migrate;
SELECT count(*) AS schemas FROM pg_namespace WHERE nspname = 'notebook_migrate';

-- A schema that somebody else made first is not adopted.
CREATE SCHEMA notebook_migrate;
CREATE EXTENSION notebook_migrate;
\echo :SQLSTATE

\c :here
DROP DATABASE regress_nbm_owned;
DROP ROLE regress_nbm_owner, regress_nbm_writer, regress_nbm_reader, regress_nbm_stranger;
