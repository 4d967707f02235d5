-- What a subtransaction wrote goes with it; the store stays right.
SET search_path = notebook_migrate, public;

INSERT INTO notebook (notebook_id, name, content) VALUES (5601, 'savepoints', sample.sources('one'));
BEGIN;
SELECT notebook_commit(5601, sample.sources('one', 'kept')) AS version;
SAVEPOINT a;
SELECT notebook_commit(5601, sample.sources('one', 'kept', 'rolled back')) AS version;
SAVEPOINT b;
SELECT notebook_edit(5601, jsonb_build_array(jsonb_build_object('op', 'insert', 'value', sample.cell('deeper')))) AS version;
RELEASE b;
ROLLBACK TO a;
SELECT version, jsonb_array_length(content -> 'cells') AS cells FROM notebook WHERE notebook_id = 5601;
-- The same parts, and the same number, again.
SELECT notebook_commit(5601, sample.sources('one', 'kept', 'rolled back')) AS version;
SAVEPOINT c;
SELECT notebook_restore(5601, 1) AS version;
RELEASE c;
COMMIT;
SELECT version, array_agg(c.source ORDER BY c.position) AS sources
  FROM notebook_version AS v, notebook_cells(5601, v.version) AS c
 WHERE v.notebook_id = 5601 GROUP BY version ORDER BY version;

-- An error inside, caught by the caller.
DO $$
BEGIN
  PERFORM notebook_commit(5601, sample.sources('before the error'));
  BEGIN
    PERFORM notebook_commit(5601, sample.sources('in the block'));
    PERFORM notebook_commit(5601, '{"cells": [5]}');
  EXCEPTION WHEN invalid_parameter_value THEN
    RAISE NOTICE 'caught';
  END;
  PERFORM notebook_commit(5601, sample.sources('after the error'));
END $$;
SELECT version, content #>> '{cells,0,source}' AS source FROM notebook WHERE notebook_id = 5601;

-- A whole document made and dropped.
BEGIN;
SAVEPOINT a;
INSERT INTO notebook (notebook_id, name, content) VALUES (5602, 'not for long', sample.sources('x')) RETURNING version;
ROLLBACK TO a;
SELECT notebook_at(5602);
\echo :SQLSTATE
ROLLBACK;
BEGIN;
SAVEPOINT a;
DELETE FROM notebook WHERE notebook_id = 5601;
ROLLBACK TO a;
SELECT notebook_commit(5601, sample.sources('still here')) AS version;
COMMIT;

-- Mappings.
INSERT INTO workflow (workflow_id, name, content) VALUES (5601, 'savepoints', sample.workflow(ARRAY[sample.operator('A', 'a')]));
BEGIN;
SAVEPOINT a;
SELECT mapping_put(5601, 1, 5601, 1, jsonb_build_object('links', jsonb_build_array(jsonb_build_object(
  'cell', (SELECT cell_key FROM notebook_cells(5601, 1)), 'operator', 'A')))) IS NOT NULL AS stored;
ROLLBACK TO a;
SELECT mapping_at(5601, 1, 5601, 1);
ROLLBACK;

-- Cursors over old versions stay open while new ones are made.
BEGIN;
DECLARE c CURSOR FOR SELECT source FROM notebook_cells(5601, 3) ORDER BY position;
FETCH 1 FROM c;
SELECT notebook_commit(5601, sample.sources('meanwhile')) AS version;
FETCH ALL FROM c;
COMMIT;

-- Without a gap, and sound.
SELECT count(*) = max(version) AS no_gap, min(version) FROM notebook_version WHERE notebook_id = 5601;
SELECT * FROM store_verify('notebook', 5601);
DELETE FROM notebook WHERE notebook_id = 5601;
DELETE FROM workflow WHERE workflow_id = 5601;
