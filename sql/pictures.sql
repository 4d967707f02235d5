-- A long base64 string is held as the bytes it stands for, where decoding and encoding give the
-- same text back: at any depth, beside anything, and nothing else is touched by it.
SET search_path = notebook_migrate, public;

-- base64 of n kB, in one line as nbformat has it.
CREATE FUNCTION pg_temp.base64(kb int) RETURNS text LANGUAGE sql AS $$
  SELECT replace(encode(convert_to(repeat('0123456789abcdef', kb * 64), 'UTF8'), 'base64'), E'\n', '')
$$;
-- A value inside of n objects, or of n arrays.
CREATE FUNCTION pg_temp.wrapped(v jsonb, n int, kind text) RETURNS jsonb LANGUAGE plpgsql AS $$
BEGIN
  FOR i IN 1 .. n LOOP
    v := CASE WHEN kind = 'objects' THEN jsonb_build_object('in', v) ELSE jsonb_build_array(v) END;
  END LOOP;
  RETURN v;
END $$;

CREATE TEMP TABLE picture (what text, output jsonb);
INSERT INTO picture VALUES
  ('alone', jsonb_build_object('image/png', pg_temp.base64(12))),
  ('with its line breaks', jsonb_build_object('image/png', encode(convert_to(repeat('x', 9001), 'UTF8'), 'base64'))),
  ('with one at the end', jsonb_build_object('image/png', pg_temp.base64(12) || E'\n')),
  ('without its padding', jsonb_build_object('image/png', repeat('QUJD', 4000) || 'QQ')),
  ('with its padding', jsonb_build_object('image/png', repeat('QUJD', 4000) || 'QQ==')),
  ('with bits that decoding drops', jsonb_build_object('image/png', repeat('QUJD', 4000) || 'QR==')),
  ('of another alphabet', jsonb_build_object('image/png', repeat('QU-_', 4000))),
  ('of 8 kB less 4', jsonb_build_object('image/png', repeat('QUJD', 2047))),
  ('of 8 kB', jsonb_build_object('image/png', repeat('QUJD', 2048))),
  ('of 8 kB and 4', jsonb_build_object('image/png', repeat('QUJD', 2049))),
  ('no base64 at all', jsonb_build_object('text', repeat('a = 1; ', 4000))),
  ('two', jsonb_build_object('image/png', pg_temp.base64(12), 'image/jpeg', pg_temp.base64(9))),
  ('two that are equal', jsonb_build_object('image/png', pg_temp.base64(12), 'image/jpeg', pg_temp.base64(12))),
  ('in an array', jsonb_build_object('image/png', jsonb_build_array(pg_temp.base64(12), 'x', pg_temp.base64(9)))),
  ('an empty string before it', jsonb_build_object('a', '', 'image/png', pg_temp.base64(12))),
  ('an empty string after it', jsonb_build_object('image/png', pg_temp.base64(12), 'text/plain+', '')),
  ('empty strings around it', jsonb_build_object('in', jsonb_build_array('', pg_temp.base64(12), ''))),
  ('an empty key', jsonb_build_object('', pg_temp.base64(12))),
  ('the word for it beside it', jsonb_build_object('a', 'base64', 'image/png', pg_temp.base64(12), 'b', 'bytes', 'text/plain+', '$base64')),
  ('everything beside it', jsonb_build_object('image/png', pg_temp.base64(12),
     'more', '{"n": null, "t": true, "f": false, "i": 1, "d": 1.0, "e": "", "a": [], "o": {}, "s": "base64", "l": ["", {"": ""}]}'::jsonb));
INSERT INTO picture SELECT format('inside of %s %s', n, kind), pg_temp.wrapped(to_jsonb(pg_temp.base64(12)), n, kind)
  FROM generate_series(1, 12) AS n, unnest(ARRAY['objects', 'arrays']) AS kind;
INSERT INTO picture SELECT format('beside %s objects', n), jsonb_build_object('image/png', pg_temp.base64(12),
    'in', pg_temp.wrapped('""', n, 'objects'), 'a', pg_temp.wrapped('""', n, 'objects')) FROM generate_series(1, 12) AS n;

-- In the output of a cell, in an attachment, in metadata, in an operator: all come back.
-- (A document that comes back is not listed.)
CREATE FUNCTION pg_temp.failure(content jsonb, kind text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE back text; problems int;
BEGIN
  IF kind = 'workflow' THEN
    INSERT INTO workflow (workflow_id, name, content) VALUES (6001, 'picture', content);
    back := workflow_at(6001)::text;
  ELSE
    INSERT INTO notebook (notebook_id, name, content) VALUES (6001, 'picture', content);
    back := notebook_at(6001)::text;
  END IF;
  problems := (SELECT count(*) FROM store_verify(kind, 6001));
  DELETE FROM notebook WHERE notebook_id = 6001;
  DELETE FROM workflow WHERE workflow_id = 6001;
  RETURN CASE WHEN back <> content::text THEN 'is another when it comes back' WHEN problems > 0 THEN 'is damaged' END;
EXCEPTION WHEN OTHERS THEN RETURN SQLSTATE || ' ' || SQLERRM;
END $$;
SELECT p.what, d.place, pg_temp.failure(d.content, d.kind) AS failure
  FROM picture AS p, LATERAL (VALUES
    ('output', 'notebook', sample.notebook(sample.cell('plot()', outputs => jsonb_build_array(
        jsonb_build_object('output_type', 'display_data', 'data', p.output))))),
    ('attachment', 'notebook', sample.notebook(sample.cell('![]', cell_type => 'markdown') || jsonb_build_object('attachments', p.output))),
    ('cell metadata', 'notebook', sample.notebook(sample.cell('x', metadata => jsonb_build_object('m', p.output)))),
    ('metadata', 'notebook', sample.notebook() || jsonb_build_object('metadata', p.output)),
    ('operator', 'workflow', sample.workflow(ARRAY[sample.operator('A', 'a') || jsonb_build_object('operatorProperties', p.output)])),
    ('comments', 'workflow', sample.workflow('{}') || jsonb_build_object('commentBoxes', jsonb_build_array(p.output)))) AS d (place, kind, content)
 WHERE pg_temp.failure(d.content, d.kind) IS NOT NULL
 ORDER BY p.what COLLATE "C", d.place COLLATE "C";

-- It is held as bytes, and not a second time as text.
INSERT INTO notebook (notebook_id, name, content) SELECT 6002, 'picture', sample.notebook(sample.cell('plot()', outputs =>
    jsonb_build_array(jsonb_build_object('output_type', 'display_data', 'data', output)))) FROM picture WHERE what = 'alone';
SELECT octet_length(bytes) AS bytes, octet_length(body::text) < 200 AS body_is_short,
       digest = sha256(convert_to(part_body(body, bytes)::text, 'UTF8')) AS digest_right
  FROM notebook_part WHERE notebook_id = 6002 AND bytes IS NOT NULL;
SELECT octet_length(notebook_at(6002) #>> '{cells,0,outputs,0,data,image/png}') AS base64;
DELETE FROM notebook WHERE notebook_id BETWEEN 6001 AND 6099;
