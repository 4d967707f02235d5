-- What is changed behind the extension's back is found. (Only a superuser who switches all triggers off can do it.)
SET search_path = notebook_migrate, public;

INSERT INTO notebook (notebook_id, name, content) VALUES (5301, 'tampered', sample.notebook(
  sample.cell('x = 1', 'x', outputs => sample.printed('one'), execution_count => 1), sample.cell('y = 2', 'y')));
SELECT notebook_commit(5301, jsonb_set(notebook_at(5301), '{cells,0,source}', '"x = 11"')) AS version;
SELECT notebook_commit(5301, jsonb_set(notebook_at(5301), '{cells,1,outputs}', sample.printed('two'))) AS version;
INSERT INTO workflow (workflow_id, name, content) VALUES (5301, 'tampered', sample.workflow(ARRAY[sample.operator('A', 'a')]));
-- A picture: base64 of 12 kB is held as bytes.
INSERT INTO notebook (notebook_id, name, content) VALUES (5302, 'picture', sample.notebook(sample.cell('plot()', 'p', outputs =>
  jsonb_build_array(jsonb_build_object('output_type', 'display_data', 'metadata', '{}'::jsonb, 'data', jsonb_build_object('image/png',
    translate(encode(convert_to(repeat('0123456789abcdef', 800), 'UTF8'), 'base64'), E'\n', '')))))));

-- Sound.
SELECT * FROM store_verify('notebook', 5301);
SELECT * FROM store_verify('notebook', 5302);
SELECT * FROM store_verify('workflow', 5301);

-- Each is put right again before the next.
CREATE FUNCTION pg_temp.tampered(statement text, what text = 'notebook', which bigint = 5301)
RETURNS TABLE (kind text, id bigint, noticed boolean) LANGUAGE plpgsql AS $$
BEGIN
  BEGIN
    SET LOCAL session_replication_role = replica;
    EXECUTE statement;
    SET LOCAL session_replication_role = origin;
    kind := what; id := which;
    noticed := EXISTS (SELECT FROM store_verify(what, which) AS v WHERE v.kind = what AND v.id = which AND v.problem <> '');
    RAISE EXCEPTION USING ERRCODE = 'ZZ000';
  EXCEPTION WHEN SQLSTATE 'ZZ000' THEN RETURN NEXT;
  END;
END $$;

-- A body, a digest, a part gone; bytes that stand for base64.
SELECT * FROM pg_temp.tampered($$UPDATE notebook_part SET body = replace(body::text, 'x = 1', 'x = 7')::jsonb
                                  WHERE notebook_id = 5301 AND body::text LIKE '%x = 1%'$$);
SELECT * FROM pg_temp.tampered($$UPDATE notebook_part SET body = replace(body::text, 'one', 'eno')::jsonb
                                  WHERE notebook_id = 5301 AND body::text LIKE '%one%'$$);
SELECT * FROM pg_temp.tampered($$UPDATE notebook_part SET digest = sha256('no')
                                  WHERE notebook_id = 5301 AND body::text LIKE '%y = 2%'$$);
SELECT * FROM pg_temp.tampered($$DELETE FROM notebook_part WHERE notebook_id = 5301 AND body::text LIKE '%y = 2%'$$);
SELECT * FROM pg_temp.tampered($$DELETE FROM notebook_part WHERE notebook_id = 5301 AND body::text LIKE '%one%'$$);
SELECT * FROM pg_temp.tampered($$UPDATE notebook_part SET bytes = set_byte(bytes, 100, 0)
                                  WHERE notebook_id = 5302 AND bytes IS NOT NULL$$, 'notebook', 5302);
SELECT * FROM pg_temp.tampered($$UPDATE notebook_part SET bytes = NULL
                                  WHERE notebook_id = 5302 AND bytes IS NOT NULL$$, 'notebook', 5302);
SELECT * FROM pg_temp.tampered($$UPDATE workflow_part SET body = jsonb_set(body, '{operatorProperties,workers}', '9')
                                  WHERE workflow_id = 5301 AND body ? 'operatorProperties'$$, 'workflow');
-- A number that is equal but for its text.
SELECT * FROM pg_temp.tampered($$UPDATE workflow_part SET body = jsonb_set(body, '{operatorProperties,workers}', '1.0')
                                  WHERE workflow_id = 5301 AND body ? 'operatorProperties'$$, 'workflow');
-- A part that nothing names any more, or that belongs to somebody else.
SELECT * FROM pg_temp.tampered($$UPDATE notebook_part SET part_id = part_id + 1 WHERE notebook_id = 5301 AND body::text LIKE '%y = 2%'$$);
-- A version gone from the middle, and the newest gone.
SELECT * FROM pg_temp.tampered($$DELETE FROM notebook_version WHERE notebook_id = 5301 AND version = 2$$);
SELECT * FROM pg_temp.tampered($$DELETE FROM notebook_version WHERE notebook_id = 5301 AND version = 3$$);
SELECT * FROM pg_temp.tampered($$UPDATE notebook_version SET digest = sha256('no') WHERE notebook_id = 5301 AND version = 2$$);
SELECT * FROM pg_temp.tampered($$UPDATE notebook_head SET version = 2 WHERE notebook_id = 5301$$);
-- Two versions that exchanged their digests.
SELECT * FROM pg_temp.tampered($$UPDATE notebook_version AS v SET digest = o.digest FROM notebook_version AS o
   WHERE v.notebook_id = 5301 AND o.notebook_id = 5301 AND v.version IN (1, 2) AND o.version = 3 - v.version$$);

-- The layout of a version, whatever its columns are: every byte of every one that says what the document was.
DO $$
DECLARE c record; i int; n int; missed int; v int;
BEGIN
  FOR c IN SELECT attname AS name FROM pg_attribute
            WHERE attrelid = 'notebook_version'::regclass AND attnum > 0 AND NOT attisdropped AND atttypid = 'bytea'::regtype
  LOOP
    FOR v IN 1..3 LOOP
      missed := 0;
      EXECUTE format('SELECT coalesce(octet_length(%I), 0) FROM notebook_version WHERE notebook_id = 5301 AND version = $1', c.name) INTO n USING v;
      FOR i IN 0 .. n - 1 LOOP
        IF NOT (SELECT noticed FROM pg_temp.tampered(format(
          'UPDATE notebook_version SET %1$I = set_byte(%1$I, %2$s, get_byte(%1$I, %2$s) # 1) WHERE notebook_id = 5301 AND version = %3$s', c.name, i, v)))
        THEN missed := missed + 1; END IF;
      END LOOP;
      IF missed > 0 THEN RAISE NOTICE '%: % bytes of version % changed without notice', c.name, missed, v; END IF;
    END LOOP;
  END LOOP;
END $$;

-- All of it is as it was.
SELECT * FROM store_verify('notebook', 5301);
-- Of one kind, of one document, of all.
SELECT count(*) FROM store_verify('notebook', NULL);
SELECT count(*) FROM store_verify(NULL, 5301);
SELECT count(*) FROM store_verify(NULL, NULL);
SELECT * FROM store_verify('spreadsheet', NULL);
\echo :SQLSTATE
SELECT * FROM store_verify('notebook', 999999999);
\echo :SQLSTATE
DELETE FROM notebook WHERE notebook_id BETWEEN 5301 AND 5399;
DELETE FROM workflow WHERE workflow_id = 5301;
