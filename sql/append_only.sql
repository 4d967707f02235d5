-- History is append-only, for everyone, a superuser included.
SET search_path = notebook_migrate, public;
\set SHOW_CONTEXT never

INSERT INTO notebook (notebook_id, name, content) VALUES (5001, 'kept', sample.sources('x = 1'));
SELECT notebook_commit(5001, sample.sources('x = 2')) AS version;
INSERT INTO workflow (workflow_id, name, content) VALUES (5001, 'kept', sample.workflow(ARRAY[sample.operator('A', 'a')]));

UPDATE notebook_version SET message = 'nicer' WHERE notebook_id = 5001;
\echo :SQLSTATE
UPDATE notebook_part SET body = '{}' WHERE notebook_id = 5001;
\echo :SQLSTATE
DELETE FROM notebook_version WHERE notebook_id = 5001 AND version = 1;
\echo :SQLSTATE
DELETE FROM notebook_part WHERE notebook_id = 5001;
\echo :SQLSTATE
UPDATE workflow_version SET created_at = now() WHERE workflow_id = 5001;
\echo :SQLSTATE
UPDATE workflow_part SET digest = '' WHERE workflow_id = 5001;
\echo :SQLSTATE
DELETE FROM workflow_version WHERE workflow_id = 5001;
\echo :SQLSTATE
DELETE FROM workflow_part WHERE workflow_id = 5001;
\echo :SQLSTATE
TRUNCATE notebook_version, notebook_part CASCADE;
\echo :SQLSTATE
TRUNCATE workflow_version, workflow_part CASCADE;
\echo :SQLSTATE

-- Nothing has changed.
SELECT version, message FROM notebook_version WHERE notebook_id = 5001 ORDER BY version;
SELECT * FROM store_verify('notebook', 5001);
SELECT * FROM store_verify('workflow', 5001);

-- DELETE of the whole document is the way, and takes everything with it.
DELETE FROM notebook WHERE notebook_id = 5001;
DELETE FROM workflow WHERE workflow_id = 5001;
SELECT (SELECT count(*) FROM notebook_version WHERE notebook_id = 5001) + (SELECT count(*) FROM notebook_part WHERE notebook_id = 5001)
     + (SELECT count(*) FROM workflow_version WHERE workflow_id = 5001) + (SELECT count(*) FROM workflow_part WHERE workflow_id = 5001) AS rows_left;
