-- JSON Patch: the examples of RFC 6902 (appendix A) and RFC 6901 (section 5), and what they leave out.
SET search_path = notebook_migrate, public;
\pset format unaligned
\pset tuples_only on
\set VERBOSITY terse

-- A.1 to A.16: a member, an element, their removal, a value replaced, moved (both kinds), tested.
SELECT n, json_patch(target::jsonb, patch::jsonb)
  FROM (VALUES
    ('A.1',  '{"foo": "bar"}', '[{"op": "add", "path": "/baz", "value": "qux"}]'),
    ('A.2',  '{"foo": ["bar", "baz"]}', '[{"op": "add", "path": "/foo/1", "value": "qux"}]'),
    ('A.3',  '{"baz": "qux", "foo": "bar"}', '[{"op": "remove", "path": "/baz"}]'),
    ('A.4',  '{"foo": ["bar", "qux", "baz"]}', '[{"op": "remove", "path": "/foo/1"}]'),
    ('A.5',  '{"baz": "qux", "foo": "bar"}', '[{"op": "replace", "path": "/baz", "value": "boo"}]'),
    ('A.6',  '{"foo": {"bar": "baz", "waldo": "fred"}, "qux": {"corge": "grault"}}',
             '[{"op": "move", "from": "/foo/waldo", "path": "/qux/thud"}]'),
    ('A.7',  '{"foo": ["all", "grass", "cows", "eat"]}', '[{"op": "move", "from": "/foo/1", "path": "/foo/3"}]'),
    ('A.8',  '{"baz": "qux", "foo": ["a", 2, "c"]}',
             '[{"op": "test", "path": "/baz", "value": "qux"}, {"op": "test", "path": "/foo/1", "value": 2}]'),
    ('A.10', '{"foo": "bar"}', '[{"op": "add", "path": "/child", "value": {"grandchild": {}}}]'),
    ('A.11', '{"foo": "bar"}', '[{"op": "add", "path": "/baz", "value": "qux", "xyz": 123}]'),
    ('A.14', '{"/": 9, "~1": 10}', '[{"op": "test", "path": "/~01", "value": 10}]'),
    ('A.16', '{"foo": ["bar"]}', '[{"op": "add", "path": "/foo/-", "value": ["abc", "def"]}]')
  ) AS example (n, target, patch);

-- A.9, A.12 and A.15 must fail; so must A.13, with two members named op, if the first were the one that counts.
SELECT json_patch('{"baz": "qux"}', '[{"op": "test", "path": "/baz", "value": "bar"}]');
\echo :SQLSTATE
SELECT json_patch('{"foo": "bar"}', '[{"op": "add", "path": "/baz/bat", "value": "qux"}]');
\echo :SQLSTATE
SELECT json_patch('{"foo": "bar"}', '[{"op": "add", "path": "/baz", "value": "qux", "op": "remove"}]');
\echo :SQLSTATE
SELECT json_patch('{"/": 9, "~1": 10}', '[{"op": "test", "path": "/~01", "value": "10"}]');
\echo :SQLSTATE

-- RFC 6901, section 5: each pointer and what it leads to.
CREATE TEMP TABLE pointer AS SELECT '{"foo": ["bar", "baz"], "": 0, "a/b": 1, "c%d": 2, "e^f": 3, "g|h": 4, "i\\j": 5, "k\"l": 6, " ": 7, "m~n": 8}'::jsonb AS doc;
SELECT p AS pointer, json_patch(doc, jsonb_build_array(jsonb_build_object('op', 'copy', 'from', p, 'path', ''))) AS value
  FROM pointer, unnest(ARRAY['', '/foo', '/foo/0', '/', '/a~1b', '/c%d', '/e^f', '/g|h', '/i\j', '/k"l', '/ ', '/m~0n']) WITH ORDINALITY AS u (p, n)
 ORDER BY n;

-- What a pointer cannot be, and where it can lead to nothing: each says so, with its operation's number and path.
CREATE FUNCTION pg_temp.refused(target jsonb, VARIADIC operations text[]) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
  RETURN notebook_migrate.json_patch(target, ('[' || array_to_string(operations, ',') || ']')::jsonb);
EXCEPTION WHEN OTHERS THEN RETURN SQLSTATE || ' ' || SQLERRM;
END $$;
SELECT pg_temp.refused('{"a": [1, 2, 3], "b": "text"}', '{"op": "test", "path": "/b", "value": "text"}',
                       format('{"op": "replace", "path": %s, "value": 0}', to_json(p)))
  FROM unnest(ARRAY['a', 'a/0', '#/a', '/~', '/a~2', '/x', '/x/y', '/b/0', '/b/x/y', '/a/', '/a/3', '/a/-', '/a/01', '/a/00', '/a/-1',
                    '/a/+1', '/a/1.0', '/a/1e0', '/a/ 1', '/a/x', '/a/2147483648', '/a/18446744073709551616', '/a/1/0', '/A', repeat('/a', 1001),
                    '/' || repeat('é', 300)]) WITH ORDINALITY AS u (p, n) ORDER BY n;
SELECT pg_temp.refused('{"a": [1, 2, 3]}', format('{"op": "add", "path": %s, "value": 0}', to_json(p)))
  FROM unnest(ARRAY['/a/3', '/a/-', '/a/4', '/a/-/0', '/x/0', '/a/0/0', '/a/01']) WITH ORDINALITY AS u (p, n) ORDER BY n;
SELECT pg_temp.refused('{"a": [1, 2, 3]}', format('{"op": "remove", "path": %s}', to_json(p)))
  FROM unnest(ARRAY['', '/a/3', '/a/-', '/b', '/a/0/0']) WITH ORDINALITY AS u (p, n) ORDER BY n;

-- What an operation must have, and what it may: every other member is ignored.
SELECT pg_temp.refused('{"a": 1}', op) FROM unnest(ARRAY[
  '{}', '{"op": "add"}', '{"op": 1, "path": "/a"}', '{"op": "spam", "path": "/a"}', '{"op": "ADD", "path": "/a", "value": 1}',
  '{"op": null}', '{"path": "/a"}', '{"op": "add", "path": null, "value": 1}', '{"op": "add", "path": "/b"}', '{"op": "replace", "path": "/a"}',
  '{"op": "test", "path": "/a"}', '{"op": "move", "path": "/b"}', '{"op": "copy", "path": "/b", "from": 1}', '{"op": "copy", "path": "/b", "from": "a"}',
  '{"op": "copy", "from": "/x", "path": "/b"}', '{"op": "move", "from": "/x", "path": "/a"}', '[]', '1', 'null',
  '{"op": "remove", "path": "/a", "from": 7, "value": [1], "why": "not"}', '{"op": "add", "path": "/a", "value": null, "from": "x"}'
  ]) WITH ORDINALITY AS u (op, n) ORDER BY n;
SELECT json_patch('{}', '{"op": "remove", "path": "/a"}');
\echo :SQLSTATE
SELECT json_patch('{}', '"x"');
\echo :SQLSTATE

-- The whole document: added, replaced, tested, copied from and to, moved to; but not removed and not moved away.
SELECT pg_temp.refused('{"a": [1]}', op) FROM unnest(ARRAY[
  '{"op": "add", "path": "", "value": [1.0]}', '{"op": "replace", "path": "", "value": "text"}', '{"op": "test", "path": "", "value": {"a": [1]}}',
  '{"op": "copy", "from": "/a", "path": ""}', '{"op": "move", "from": "/a/0", "path": ""}', '{"op": "copy", "from": "", "path": "/a/0"}',
  '{"op": "move", "from": "", "path": ""}', '{"op": "move", "from": "", "path": "/b"}', '{"op": "replace", "path": "", "value": null}'
  ]) WITH ORDINALITY AS u (op, n) ORDER BY n;
SELECT json_patch('1.0', '[]'), json_patch('"x"', '[{"op": "test", "path": "", "value": "x"}]'), json_patch('[]', '[{"op": "add", "path": "/-", "value": []}]');

-- Moves: to itself, to a name that begins alike, into itself, behind itself.
SELECT pg_temp.refused('{"a": {"b": {"c": 1}}, "ab": {}, "l": [1, 2, 3]}', op) FROM unnest(ARRAY[
  '{"op": "move", "from": "/a", "path": "/a"}', '{"op": "move", "from": "/a", "path": "/ab/x"}', '{"op": "move", "from": "/a", "path": "/a/b"}',
  '{"op": "move", "from": "/a", "path": "/a/b/c/d"}', '{"op": "move", "from": "/a/b", "path": "/a"}', '{"op": "move", "from": "/l/0", "path": "/l/2"}',
  '{"op": "move", "from": "/l/0", "path": "/l/3"}', '{"op": "move", "from": "/l/0", "path": "/l/-"}', '{"op": "move", "from": "/l/2", "path": "/l/0"}',
  '{"op": "copy", "from": "/a", "path": "/a/b/a"}', '{"op": "copy", "from": "/l", "path": "/l/1"}'
  ]) WITH ORDINALITY AS u (op, n) ORDER BY n;

-- A copy is one of its own.
SELECT json_patch('{"a": {"n": [1]}}', '[{"op": "add", "path": "/a/n/-", "value": 2}, {"op": "copy", "from": "/a", "path": "/b"},
  {"op": "add", "path": "/a/n/0", "value": 0}, {"op": "remove", "path": "/b/n/0"}, {"op": "copy", "from": "", "path": "/c"}]');

-- Equality: numbers by value, objects whatever their order, all else exactly.
SELECT a, b, pg_temp.refused(a::jsonb, format('{"op": "test", "path": "", "value": %s}', b)) NOT LIKE '22%' AS equal
  FROM (VALUES ('1', '1.0'), ('1e2', '100'), ('9223372036854775808', '9223372036854775808.00'), ('9223372036854775808', '9223372036854775809'), ('0', '-0.0'),
               ('{"a": 1, "b": [2]}', '{"b": [2.0], "a": 1}'), ('{"a": 1}', '{"a": 1, "b": null}'), ('{"a": null}', '{"b": null}'), ('[1, 2]', '[2, 1]'),
               ('[]', '{}'), ('[]', '[[]]'), ('null', 'false'), ('1', '"1"'), ('"é"', '"\u00e9"'), ('"é"', '"e\u0301"'), ('1', 'true'), ('{}', 'null')) AS t (a, b);

-- Every number comes back as it was written.
SELECT json_patch('{"a": 1.0, "b": 9223372036854775809, "c": [1.10, 0.10]}', '[{"op": "add", "path": "/c/1", "value": 18446744073709551616.000}, {"op": "copy", "from": "/b", "path": "/d"},
  {"op": "move", "from": "/a", "path": "/c/-"}]');
SELECT json_patch(jsonb_build_array(1e400::numeric), '[{"op": "add", "path": "/0", "value": 1e-400}]')::text = '[0.' || repeat('0', 399) || '1, 1' || repeat('0', 400) || ']';

-- Keys of all kinds; what the writer makes is what jsonb_in would.
SELECT json_patch('{"": {"": 1}, "ключ": {"é": 2}, "a b": 3}', '[{"op": "add", "path": "//", "value": 5}, {"op": "add", "path": "/ключ/ё", "value": []}, {"op": "move", "from": "/ключ/é", "path": "/"},
  {"op": "replace", "path": "/a b", "value": "\ud83d\ude00"}, {"op": "add", "path": "/~0~1~01", "value": {}}]');
SELECT bool_and(pg_column_size(p) = pg_column_size(p::text::jsonb) AND jsonb_hash(p) = jsonb_hash(p::text::jsonb))
  FROM (SELECT json_patch(jsonb_build_object('k', k, 'list', list), '[{"op": "add", "path": "/list/7", "value": 1.5}, {"op": "add", "path": "/k/key 12b", "value": [true, null, {}]},
               {"op": "remove", "path": "/k/key 40"}, {"op": "copy", "from": "/list", "path": "/list/33"}]') AS p
          FROM (SELECT jsonb_object_agg('key ' || i, i) AS k, jsonb_agg(repeat('x', i)) AS list FROM generate_series(1, 100) AS i) AS s) AS s;

-- NULL for NULL.
SELECT json_patch(NULL, '[]') IS NULL, json_patch('{}', NULL) IS NULL, json_patch_diff(NULL, '{}') IS NULL, json_patch_diff('{}', NULL) IS NULL;

-- Depth: 1,000 levels, in the target, in a value, by copying and by moving.
CREATE FUNCTION pg_temp.deep(levels int) RETURNS jsonb LANGUAGE sql AS $$ SELECT (repeat('[', levels) || repeat(']', levels))::jsonb $$;
SELECT json_patch(pg_temp.deep(1000), '[]') = pg_temp.deep(1000);
SELECT json_patch(pg_temp.deep(1001), '[]');
\echo :SQLSTATE
SELECT json_patch_diff(pg_temp.deep(1001), '[]');
\echo :SQLSTATE
SELECT json_patch_diff('[]', pg_temp.deep(5000));
\echo :SQLSTATE
SELECT json_patch('[]', jsonb_build_array(jsonb_build_object('op', 'add', 'path', '/0', 'value', pg_temp.deep(999)))) = pg_temp.deep(1000);
SELECT json_patch('[]', jsonb_build_array(jsonb_build_object('op', 'add', 'path', '/0', 'value', pg_temp.deep(1000))));
\echo :SQLSTATE
SELECT json_patch('[]', jsonb_build_array(jsonb_build_object('op', 'replace', 'path', '', 'value', pg_temp.deep(10000))));
\echo :SQLSTATE
SELECT json_patch(pg_temp.deep(600), jsonb_build_array(jsonb_build_object('op', 'copy', 'from', '', 'path', repeat('/0', 400))))::text LIKE repeat('[', 1000) || ']%' AS deepest;
SELECT json_patch(pg_temp.deep(600), jsonb_build_array(jsonb_build_object('op', 'copy', 'from', '', 'path', repeat('/0', 400) || '/-')));
SELECT json_patch(pg_temp.deep(600), jsonb_build_array(jsonb_build_object('op', 'copy', 'from', '/0', 'path', repeat('/0', 599) || '/-')));
\echo :SQLSTATE
SELECT json_patch(jsonb_build_array(pg_temp.deep(600), pg_temp.deep(600)), jsonb_build_array(jsonb_build_object('op', 'move', 'from', '/1', 'path', repeat('/0', 500) || '/-')));
\echo :SQLSTATE
SELECT json_patch('{}', pg_temp.deep(10000));
\echo :SQLSTATE

-- Size: a document that doubles with each operation is stopped.
SELECT json_patch(jsonb_build_object('a', repeat('x', 1000000)), (SELECT jsonb_agg(jsonb_build_object('op', 'copy', 'from', '', 'path', '/' || i)) FROM generate_series(1, 40) AS i));
\echo :SQLSTATE
