-- What was changed behind the extension's back is an error XX001, never a crash
-- or a wrong answer. (Here a superuser does it, past the triggers.)
SET search_path = notebook_migrate, public;
\set SHOW_CONTEXT never
INSERT INTO notebook (notebook_id, name, content) VALUES (6401, 'damaged', sample.sources('a', 'b'));
SELECT notebook_commit(6401, sample.sources('a', 'b', 'c')) AS version;
SELECT notebook_commit(6401, sample.sources('a', 'c')) AS version;
INSERT INTO workflow (workflow_id, name, content) VALUES (6401, 'damaged', sample.workflow(ARRAY[sample.operator('A', 'x')]));
SELECT mapping_put(6401, 1, 6401, 1, '{"links": [{"cell": 1, "operator": "A"}]}') IS NOT NULL AS put;

-- A session of its own reads nothing from memory.
\c -
SET search_path = notebook_migrate, public;
-- What every reader and writer says of the damage at hand.
CREATE FUNCTION pg_temp.tried() RETURNS TABLE (call text, outcome text) LANGUAGE plpgsql AS $$
BEGIN
  FOREACH call IN ARRAY ARRAY['notebook_at(6401, 3)', 'notebook_cells(6401, 3)', 'notebook_diff(6401, 1, 3)', 'cell_history(6401, 1)',
    'mapping_at(6401, 3, 6401, 1)', 'notebook_edit(6401, ''[{"op": "delete", "cell": 1}]'')',
    'notebook_commit(6401, sample.sources(''a'', ''c'', ''d''))', 'notebook_restore(6401, 1)', 'store_verify(''notebook'', 6401)']
  LOOP
    BEGIN
      EXECUTE 'SELECT count(*) FROM ' || call;
      RAISE EXCEPTION 'ran' USING ERRCODE = 'ZZ000';
    EXCEPTION WHEN OTHERS THEN
      outcome := CASE SQLSTATE WHEN 'ZZ000' THEN 'ran' ELSE SQLSTATE || ': ' || regexp_replace(SQLERRM, 'part -?\d+', 'part …') END;
    END;
    RETURN NEXT;
  END LOOP;
END $$;
CREATE FUNCTION pg_temp.found() RETURNS TABLE (version int, of_part boolean, problem text) LANGUAGE sql AS $$
  SELECT version, part_id IS NOT NULL, problem FROM notebook_migrate.store_verify('notebook', 6401) ORDER BY problem COLLATE "C", version $$;
SET session_replication_role = replica;

-- The keyframe is gone.
BEGIN;
DELETE FROM notebook_version WHERE notebook_id = 6401 AND version = 1;
SELECT * FROM pg_temp.tried();
SELECT * FROM pg_temp.found();
ROLLBACK;
-- A layout has lost its end.
BEGIN;
UPDATE notebook_version SET layout_bytes = substr(layout_bytes, 1, length(layout_bytes) - 5) WHERE notebook_id = 6401 AND version = 3;
SELECT * FROM pg_temp.tried();
SELECT * FROM pg_temp.found();
ROLLBACK;
-- A part is gone.
BEGIN;
DELETE FROM notebook_part WHERE notebook_id = 6401 AND body ->> 'source' = 'a';
SELECT * FROM pg_temp.tried();
SELECT * FROM pg_temp.found();
ROLLBACK;
-- A part is no object, or has bytes that belong nowhere.
BEGIN;
UPDATE notebook_part SET body = '[1]' WHERE notebook_id = 6401 AND body ->> 'source' = 'a';
SELECT * FROM pg_temp.tried();
SELECT * FROM pg_temp.found();
ROLLBACK;
BEGIN;
UPDATE notebook_part SET bytes = 'x' WHERE notebook_id = 6401 AND body ->> 'source' = 'a';
SELECT * FROM pg_temp.found();
ROLLBACK;
SELECT part_body('{"a": "b"}', 'x');
-- The envelope has no place for the cells.
BEGIN;
UPDATE notebook_part SET body = body - 'cells' WHERE notebook_id = 6401 AND body ? 'cells';
SELECT * FROM pg_temp.found();
SELECT notebook_at(6401, 3);
ROLLBACK;
-- The head has forgotten which keys were given.
BEGIN;
UPDATE notebook_head SET next_key = 2 WHERE notebook_id = 6401;
SELECT * FROM pg_temp.tried();
SELECT DISTINCT problem FROM pg_temp.found();
ROLLBACK;
BEGIN;
UPDATE notebook_head SET next_key = -1 WHERE notebook_id = 6401;
SELECT notebook_cells(6401);
ROLLBACK;
BEGIN;
UPDATE notebook_head SET next_key = 100000001 WHERE notebook_id = 6401;
SELECT notebook_commit(6401, sample.sources('a', 'something else', 'c'));
ROLLBACK;
-- A removed item, and a mapping.
BEGIN;
UPDATE notebook_removed SET item = '\x00' WHERE notebook_id = 6401;
SELECT * FROM pg_temp.found();
SELECT notebook_commit(6401, sample.sources('a', 'c', 'd'));
ROLLBACK;
BEGIN;
DELETE FROM notebook_removed WHERE notebook_id = 6401;
SELECT * FROM pg_temp.found();
ROLLBACK;
BEGIN;
UPDATE notebook_removed SET version = 1 WHERE notebook_id = 6401;
SELECT * FROM pg_temp.found();
ROLLBACK;
BEGIN;
UPDATE mapping SET content = '{"links": [{"cell": 0, "operator": 1}]}' WHERE notebook_id = 6401;
SELECT * FROM pg_temp.found();
SELECT mapping_at(6401, 1, 6401, 1);
ROLLBACK;

-- What was split or merged is no list of keys.
BEGIN;
UPDATE notebook_version SET descents = '{"key": 1}' WHERE notebook_id = 6401 AND version = 2;
SELECT * FROM pg_temp.tried() WHERE call ~ 'diff';
SELECT * FROM pg_temp.found();
DO $$
DECLARE odd jsonb;
BEGIN
  FOREACH odd IN ARRAY ARRAY['5', '[5]', '[{"key": 1, "from": "x", "change": "split"}]', '[{"key": [1], "from": 1, "change": "split"}]',
    '[{"key": 99999999999, "from": 1, "change": "split"}]', '[{"key": 1.5, "from": 1, "change": "split"}]', '[{"key": 1, "from": 1}]',
    '[{"key": 1, "from": 2, "change": "split"}, null]', '[{"key": 1, "from": 2, "change": "split"}]']::jsonb[]
  LOOP
    UPDATE notebook_migrate.notebook_version SET descents = odd WHERE notebook_id = 6401 AND version = 2;
    BEGIN
      PERFORM * FROM notebook_migrate.notebook_diff(6401, 1, 3);
      RAISE NOTICE '%: ran', odd;
    EXCEPTION WHEN OTHERS THEN
      RAISE NOTICE '%: % %', odd, SQLSTATE, SQLERRM;
    END;
  END LOOP;
END $$;
ROLLBACK;
-- A layout with a checksum of its own says of an output that it has the count of a cell which has none.
CREATE FUNCTION pg_temp.crc32c(bytes bytea) RETURNS bytea LANGUAGE plpgsql AS $$
DECLARE crc bigint := 4294967295;
BEGIN
  FOR i IN 0 .. length(bytes) - 1 LOOP
    crc := crc # get_byte(bytes, i);
    FOR bit IN 1 .. 8 LOOP
      crc := (crc >> 1) # (2197175160 * (crc & 1));
    END LOOP;
  END LOOP;
  RETURN decode(lpad(to_hex(crc # 4294967295), 8, '0'), 'hex');
END $$;
SET session_replication_role = origin;
INSERT INTO notebook (notebook_id, content) VALUES (6402, sample.notebook('{"execution_count": 3, "outputs": [{"execution_count": 3}]}'));
SET session_replication_role = replica;
UPDATE notebook_version SET layout_bytes = b || pg_temp.crc32c(b)
  FROM (SELECT set_byte(substr(layout_bytes, 1, length(layout_bytes) - 4), 13, get_byte(layout_bytes, 13) & ~3) AS b
          FROM notebook_version WHERE notebook_id = 6402) AS l WHERE notebook_id = 6402;
SET session_replication_role = origin;
SELECT notebook_at(6402);
SELECT version, problem FROM store_verify('notebook', 6402) WHERE problem ~ 'layout';
-- Or two cells have one key: nothing is saved on that.
INSERT INTO notebook (notebook_id, content) VALUES (6404, sample.notebook('{}', '{"source": "b"}'));
SET session_replication_role = replica;
UPDATE notebook_version SET layout_bytes = b || pg_temp.crc32c(b)
  FROM (SELECT set_byte(substr(layout_bytes, 1, length(layout_bytes) - 4), 11, 2) AS b
          FROM notebook_version WHERE notebook_id = 6404) AS l WHERE notebook_id = 6404;
SET session_replication_role = origin;
SELECT notebook_commit(6404, sample.notebook('{"source": "c"}', '{"source": "b"}'));
\echo :SQLSTATE
SELECT version, problem FROM store_verify('notebook', 6404);
-- A version has the digest of another one, which this session has saved.
INSERT INTO notebook (notebook_id, content) VALUES (6403, sample.sources('a'));
SELECT notebook_commit(6403, sample.sources('a', 'b')) AS version;
SELECT notebook_restore(6403, 1) AS version;
SET session_replication_role = replica;
UPDATE notebook_version SET digest = (SELECT digest FROM notebook_version WHERE notebook_id = 6403 AND version = 2) WHERE notebook_id = 6403 AND version = 3;
SET session_replication_role = origin;
SELECT notebook_commit(6403, sample.sources('a', 'b', 'c'));
\echo :SQLSTATE
SELECT version, problem FROM store_verify('notebook', 6403);
DELETE FROM notebook_head WHERE notebook_id IN (6402, 6403, 6404);
SET session_replication_role = replica;

-- A part whose id another digest has already gets the next one, and is found there again.
INSERT INTO notebook_part (notebook_id, part_id, digest, body)
  SELECT 6401, ('x' || encode(substr(d, 1, 8), 'hex'))::bit(64)::bigint, '\x00', '{}'
    FROM sha256(convert_to((sample.cell('collides') - 'outputs' - 'execution_count')::text, 'UTF8')) AS d;
SET session_replication_role = origin;
SELECT notebook_commit(6401, sample.sources('a', 'c', 'collides')) AS version;
SELECT notebook_at(6401) = sample.sources('a', 'c', 'collides') AS equal;
SELECT notebook_commit(6401, sample.sources('a', 'c')) AS version;
SELECT notebook_commit(6401, sample.sources('collides', 'a', 'c')) AS version;
SELECT notebook_at(6401) = sample.sources('collides', 'a', 'c') AS equal;
SELECT count(*) FROM notebook_part WHERE notebook_id = 6401 AND body ->> 'source' = 'collides';

SELECT * FROM store_verify(NULL, 640100);
DELETE FROM notebook WHERE notebook_id = 6401;
DELETE FROM workflow WHERE workflow_id = 6401;
