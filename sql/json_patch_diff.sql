-- json_patch_diff: which patch it makes, and that the patch leads to the very text.
SET search_path = notebook_migrate, public;
\pset format unaligned
\pset tuples_only on
\set VERBOSITY terse

-- The operations, one a line; "!" before them if they do not lead there.
CREATE FUNCTION pg_temp.shown(a jsonb, b jsonb) RETURNS text LANGUAGE sql AS $$
  SELECT CASE WHEN json_patch(a, d)::text = b::text THEN '' ELSE '! ' END ||
         coalesce((SELECT string_agg(concat_ws(' ', o ->> 'op', o ->> 'from', o ->> 'path', o -> 'value'), '; ' ORDER BY n)
                     FROM jsonb_array_elements(d) WITH ORDINALITY AS e (o, n)), 'nothing')
    FROM json_patch_diff(a, b) AS d
$$;

-- Objects, values, the whole document.
SELECT json_patch_diff('{"a": 1, "b": [2]}', '{"a": 1, "b": [2]}'), json_patch_diff('1', '1'), json_patch_diff('[]', '[]');
SELECT pg_temp.shown(a::jsonb, b::jsonb) FROM (VALUES
  (1, '{"a": 1, "b": 2, "c": {"d": 3, "e": 4}}', '{"a": 1, "b": 3, "c": {"d": 3, "f": 5}}'),
  (2, '{"a": 1}', '{"b": 2}'), (3, '{"a": {}}', '{"a": []}'), (4, '1', '{"a": 1}'), (5, '"x"', '"y"'), (6, '{}', 'null'),
  (7, '{"": 1, "a/b": 1, "m~n": 1, "~1": {"é": 1}}', '{"": 2, "a/b": 2, "m~n": 2, "~1": {"é": 2}}'),
  (8, '{"n": 1}', '{"n": 1.0}'), (9, '{"n": 1.0}', '{"n": 1.0}'), (10, '[1, 1.0, 9223372036854775809]', '[1.0, 1.0, 9223372036854775808]'),
  (11, '{"a": null}', '{}'), (12, '{}', '{"a": null}'), (13, '{"a": true}', '{"a": "true"}')) AS t (n, a, b) ORDER BY n;

-- Arrays of scalars, and of objects without a name: what is equal stays, in order.
SELECT pg_temp.shown(a::jsonb, b::jsonb) FROM (VALUES
  (1, '[1, 2, 3]', '[1, 2, 3, 4]'), (2, '[1, 2, 3]', '[0, 1, 2, 3]'), (3, '[1, 2, 3]', '[1, 3]'), (4, '[1, 2, 3]', '[1, 5, 3]'), (5, '[1, 2, 3]', '[]'), (6, '[]', '[1, 2]'),
  (7, '[1, 2, 3, 4, 5, 6]', '[2, 3, 9, 5, 6, 7]'), (8, '["a", "b", "a", "b", "c"]', '["b", "a", "b", "c", "a"]'), (9, '[1, 1, 1]', '[1, 1]'), (10, '[[1], [2]]', '[[1], [2, 3]]'),
  (11, '[{"x": 1}, {"x": 2}]', '[{"x": 1}, {"x": 3}]'), (12, '[{"x": 1}, {"x": 2}]', '[{"x": 2}]'), (13, '[{"id": 1}, {"id": 1}]', '[{"id": 1}, {"id": 2}, {"id": 1}]'),
  (14, '[1, "a", null]', '[null, "a", 1]')) AS t (n, a, b) ORDER BY n;

-- Arrays of objects with an identity: inserted, deleted, moved, changed inside, all at once.
SELECT pg_temp.shown(a::jsonb, b::jsonb) FROM (VALUES
  (1, '[{"id": 1}, {"id": 2}]', '[{"id": 1}, {"id": 3}, {"id": 2}]'), (2, '[{"id": 1}, {"id": 2}, {"id": 3}]', '[{"id": 1}, {"id": 3}]'),
  (3, '[{"id": "a", "v": 1}, {"id": "b", "v": 2}]', '[{"id": "b", "v": 2}, {"id": "a", "v": 1}]'),
  (4, '[{"id": 1}, {"id": 2}, {"id": 3}, {"id": 4}, {"id": 5}]', '[{"id": 5}, {"id": 1}, {"id": 2}, {"id": 3}, {"id": 4}]'),
  (5, '[{"id": 1}, {"id": 2}, {"id": 3}, {"id": 4}, {"id": 5}]', '[{"id": 2}, {"id": 3}, {"id": 4}, {"id": 5}, {"id": 1}]'),
  (6, '[{"id": 1}, {"id": 2}, {"id": 3}]', '[{"id": 3}, {"id": 2}, {"id": 1}]'),
  (7, '[{"linkID": "a", "v": [1]}, {"linkID": "b", "v": 2}, {"linkID": "c", "v": 3}]', '[{"linkID": "c", "v": 3}, {"linkID": "d"}, {"linkID": "a", "v": [1, 2]}]'),
  (8, '[{"commentBoxID": 1, "id": 7}, {"commentBoxID": 2, "id": 7}]', '[{"commentBoxID": 2, "id": 7}]'),
  (9, '[{"operatorID": "a", "id": 1}, {"operatorID": "a", "id": 2}]', '[{"operatorID": "a", "id": 2}, {"operatorID": "a", "id": 1}]'),
  (10, '[{"id": 1}, {"id": 2}]', '[{"id": 3}, {"id": 4}]'), (11, '[{"id": null}, {"id": 2}]', '[{"id": 2}, {"id": null}]'),
  (12, '[{"id": 1, "sub": [{"id": "x", "y": 1}, {"id": "z"}]}, {"id": 2}]', '[{"id": 2}, {"id": 1, "sub": [{"id": "z"}, {"id": "x", "y": 2}]}]')) AS t (n, a, b) ORDER BY n;

-- A workflow of 200 operators: one inserted, one deleted, one edited, one dragged to the front, the order reversed.
CREATE TEMP TABLE flow AS SELECT sample.workflow(array_agg(sample.operator('op-' || i, repeat('x', 100) || i) ORDER BY i)) AS w FROM generate_series(1, 200) AS i;
SELECT pg_temp.shown(w, jsonb_insert(w, '{operators, 100}', '{"operatorID": "new"}')) FROM flow;
SELECT pg_temp.shown(w, w #- '{operators, 100}') FROM flow;
SELECT pg_temp.shown(w, jsonb_set(w, '{operators, 100, operatorProperties, code}', '"y"')) FROM flow;
SELECT pg_temp.shown(w, jsonb_insert(w #- '{operators, 100}', '{operators, 0}', w #> '{operators, 100}')) FROM flow;
SELECT jsonb_array_length(d), d -> 0, json_patch(w, d)::text = r::text
  FROM flow, LATERAL (SELECT jsonb_set(w, '{operators}', jsonb_agg(o ORDER BY n DESC)) AS r FROM jsonb_array_elements(w -> 'operators') WITH ORDINALITY AS e (o, n)) AS s, json_patch_diff(w, r) AS d;

-- Work is bounded, and so is the patch: never much more than the new document.
SET statement_timeout = '20s';
CREATE TEMP TABLE big AS
  SELECT jsonb_agg(i ORDER BY i) AS numbers, jsonb_agg(i ORDER BY -i) AS reversed, jsonb_agg(i % 7 ORDER BY i) AS few, jsonb_agg(i % 11 ORDER BY -i) AS other,
         jsonb_agg(jsonb_build_object('id', i) ORDER BY i) AS objects, jsonb_agg(jsonb_build_object('id', i) ORDER BY -i) AS objects_reversed,
         jsonb_object_agg(i, i) AS members, jsonb_object_agg(i, i + i % 2) AS members_changed
    FROM generate_series(1, 100000) AS i;
SELECT name, json_patch(a, d)::text = b::text AS leads_there, octet_length(d::text) <= octet_length(b::text) + 100 AS is_small
  FROM big, LATERAL (VALUES (1, 'reversed', numbers, reversed), (2, 'few values', few, other), (3, 'objects reversed', objects, objects_reversed),
                            (4, 'half of the members', members, members_changed), (5, 'one at each end', numbers, (numbers - 0) || '7'::jsonb)) AS p (n, name, a, b), json_patch_diff(a, b) AS d ORDER BY n;

-- 10,000 operations at the front of an array of 100,000, and at both ends in turn.
SELECT jsonb_array_length(r), r -> 0, r -> 9999, r -> -1
  FROM big, json_patch(numbers, (SELECT jsonb_agg(jsonb_build_object('op', 'add', 'path', '/0', 'value', -i)) FROM generate_series(1, 10000) AS i)) AS r;
SELECT jsonb_array_length(r), r -> 0, r -> -1
  FROM big, json_patch(numbers, (SELECT jsonb_agg(jsonb_build_object('op', CASE i % 2 WHEN 0 THEN 'add' ELSE 'remove' END, 'path', CASE i % 4 / 2 WHEN 0 THEN '/0' ELSE '/99000' END, 'value', -i) ORDER BY i)
                                   FROM generate_series(1, 10000) AS i)) AS r;
SELECT jsonb_array_length(r) FROM big, json_patch(numbers, (SELECT jsonb_agg('{"op": "move", "from": "/0", "path": "/-"}'::jsonb) FROM generate_series(1, 10000) AS i)) AS r;
SELECT r = '{"a": 1}' FROM json_patch('{"a": 1}', (SELECT jsonb_agg(jsonb_build_object('op', CASE WHEN i <= 50000 THEN 'add' ELSE 'remove' END, 'path', '/k' || i % 50000, 'value', i) ORDER BY i)
                                   FROM generate_series(1, 100000) AS i)) AS r;

-- It can be cancelled.
SET statement_timeout = '100ms';
SELECT count(json_patch(numbers, p)) FROM big, (SELECT jsonb_agg(o) AS p FROM generate_series(1, 100000), (VALUES ('{"op": "move", "from": "/0", "path": "/-"}'::jsonb), ('{"op": "add", "path": "/0", "value": 1}')) AS v (o)) AS s;
\echo :SQLSTATE
RESET statement_timeout;
