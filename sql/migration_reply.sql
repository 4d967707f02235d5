-- What is found in the text that a language model answered with.
SET search_path = notebook_migrate, public;
\set SHOW_CONTEXT never
\pset format unaligned
\pset tuples_only on
\set two '{"code": {"UDF1": "a = 1", "UDF2": "b = 2"}, "edges": [["UDF1", "UDF2"]], "outputs": {"UDF1": ["a"]}}'
-- What of a reply is shown: its kind, where it begins, its UDFs, and what is wrong.
CREATE FUNCTION pg_temp.found(reply text) RETURNS text LANGUAGE sql AS $$
  SELECT format('%s %s:%s %s %s', r ->> 'kind', r ->> 'line', r ->> 'column', r -> 'udfs', r -> 'warnings')
    FROM notebook_migrate.workflow_parse_reply(reply) AS r
$$;

-- The two kinds of reply.
SELECT jsonb_pretty(workflow_parse_reply(:'two'));
SELECT jsonb_pretty(workflow_parse_reply('{"UDF1": ["a", [1, 4]], "UDF2": []}'));
SELECT workflow_parse_reply(NULL) IS NULL;

-- In prose, in a fence, in a fence that is not closed, beside a fence of something else.
SELECT pg_temp.found('Here you are: ' || :'two' || E'\nAnything else? {}');
SELECT pg_temp.found(E'Sure!\n\n```json\n' || :'two' || E'\n```\nIt uses {placeholders} and {"sets"}.');
SELECT pg_temp.found(E'```\n' || :'two' || E'\n```');
SELECT pg_temp.found(E'  ``` JSON  \r\n' || :'two');
SELECT pg_temp.found(E'```python\nx = {"code": {"not": "this"}}\n```\n\n```json\n' || :'two' || E'\n```');
SELECT pg_temp.found(E'```python\nprint(1)\n```\n' || :'two');
SELECT pg_temp.found('```json ' || :'two' || ' ```');
-- The fence goes before the text around it; of several objects the last one is taken, and that is told.
SELECT pg_temp.found(E'{"code": {"A": "a"}}\n```json\n{"code": {"B": "b"}}\n```\n{"code": {"C": "c"}}');
SELECT pg_temp.found(E'First {"code": {"A": "a"}},\nno, {"code": {"B": "b"}}.');
SELECT pg_temp.found(E'[{"note": 1}, {"code": {"A": "a"}}, {"note": [2]}]');
-- UDFs in the order of the text.
SELECT pg_temp.found('{"code": {"plot": "p", "load": "l", "a": "x", "clean": "c"}, "edges": []}');

-- Parts that are not sound are told, whatever they are.
SELECT jsonb_pretty(workflow_parse_reply('{"code": {"A": "a", "B": 5, "C": " \n", "": "e", "D": null, "F": "f", "G": "g"},
  "edges": [["A", "F"], ["A", "X"], ["A", "A"], ["A", "F"], ["F", "G"], ["G", "A"], ["A"], 7, ["A", 7], ["A", "F", "G"]],
  "outputs": {"A": ["x", "x", 5, "", "y"], "F": "x", "X": ["x"]}}') -> 'warnings');
SELECT pg_temp.found('{"code": {"A": "a"}, "edges": {"A": "B"}, "outputs": ["A"]}');
SELECT pg_temp.found('{"code": {"A": "a"}, "edges": null}');
SELECT jsonb_pretty(workflow_parse_reply('{"A": "a cell", "B": 5, "C": ["x", "y", [1, 2], [1], [1, "2"], [1.0, 2], 7, null, {"cell": "x"}, {"cell": "x", "lines": [[1, 2]]}]}') -> 'warnings');
SELECT pg_temp.found('{"code": {"' || repeat('n', 300) || '": "a", "B": "b"}}');

-- Code that is no object has no UDFs at all.
SELECT pg_temp.found(E'\n {"code": ["a = 1"]}');
\echo :SQLSTATE

-- No object, or none of the two kinds.
SELECT pg_temp.found('');
\echo :SQLSTATE
SELECT pg_temp.found(E'I am sorry,\nI cannot do that.');
\echo :SQLSTATE
SELECT pg_temp.found('[1, 2]');
\echo :SQLSTATE
SELECT pg_temp.found('{"answer": 42}');
\echo :SQLSTATE
SELECT pg_temp.found('null {} null');
\echo :SQLSTATE

-- Cut off: wherever that is, the end of the text is named, and nothing is taken.
SELECT pg_temp.found('{');
\echo :SQLSTATE
SELECT pg_temp.found(E'{"code": {"UDF1": "a = 1",\n  "UDF2": "b =');
\echo :SQLSTATE
SELECT pg_temp.found(E'```json\n{"code": {"UDF1": "a = 1"},\n "edges": [["UDF1", "UDF2"],   \n');
\echo :SQLSTATE
SELECT pg_temp.found('{"code": {"UDF1": "a = 1"}, "edges": [], "outputs": nul');
\echo :SQLSTATE
SELECT pg_temp.found('{"A": ["x"]} and then {"B": ["y", ');
\echo :SQLSTATE
-- Every shorter beginning of a reply is refused.
DO $$
DECLARE
  whole text := '{"code": {"UDF1": "a = 1", "UDF2": "b = 2"}, "edges": [["UDF1", "UDF2"]], "outputs": {"UDF1": ["a"]}}';
BEGIN
  FOR n IN 0 .. length(whole) - 1 LOOP
    BEGIN
      PERFORM notebook_migrate.workflow_parse_reply(left(whole, n));
      RAISE 'taken: %', left(whole, n);
    EXCEPTION WHEN invalid_json_text THEN NULL;
    END;
  END LOOP;
END $$;

-- Syntax errors: line and column of where reading had to end.
SELECT pg_temp.found(E'{"code": {"UDF1": "a = 1"}\n "edges": []}');
\echo :SQLSTATE
SELECT pg_temp.found(E'Well:\n{"code": {"UDF1": "ä = 1", "ü": "b" "c": "d"}}');
\echo :SQLSTATE
SELECT pg_temp.found('{"code": {"UDF1": "a = 1",}}');
\echo :SQLSTATE
SELECT pg_temp.found('{"code": {"UDF1": True}}');
\echo :SQLSTATE
SELECT pg_temp.found('{"code": {"A": "a"}, {"edges": []}}');
\echo :SQLSTATE
SELECT pg_temp.found('{code: {"UDF1": "a"}}');
\echo :SQLSTATE
SELECT pg_temp.found('{"code": {"UDF1": "a" + "b"}}');
\echo :SQLSTATE
SELECT pg_temp.found('{"code": {"UDF1": "a \q"}}');
\echo :SQLSTATE
SELECT pg_temp.found('{"code": {"UDF1": "a"}]');
\echo :SQLSTATE
-- A brace too many ends the object early: that is no whole reply either.
SELECT pg_temp.found('{"code": {"UDF1": "a"}}, "edges": []}');
\echo :SQLSTATE
SELECT pg_temp.found('{"code": {"UDF1": "a"}}}');
\echo :SQLSTATE
-- Unless it may belong to one in the prose.
SELECT pg_temp.found('{as said: {"code": {"UDF1": "a"}}}');
-- A correction after a faulty try is taken, a faulty try after a sound one is not passed over.
SELECT pg_temp.found('{"code": {"A" "a"}} sorry: {"code": {"B": "b"}}');
SELECT pg_temp.found('{"code": {"A": "a"}} or rather: {"code": {"B" "b"}}');
\echo :SQLSTATE

-- Numbers: no double is ever made of them; what is spelt wrong or too long is refused.
SELECT workflow_parse_reply('{"A": [[9007199254740993, 1.10], [1e2, 1e999], [-0.5e-3, 12345678901234567890]]}') -> 'mapping';
SELECT pg_temp.found('{"A": [[01, 2]]}');
\echo :SQLSTATE
SELECT pg_temp.found('{"A": [[1., 2]]}');
\echo :SQLSTATE
SELECT pg_temp.found('{"A": [[+1, 2]]}');
\echo :SQLSTATE
SELECT pg_temp.found('{"A": [[NaN, 2]]}');
\echo :SQLSTATE
SELECT pg_temp.found('{"A": [[1e200000, 2]]}');
\echo :SQLSTATE
SELECT pg_temp.found('{"A": [[' || repeat('9', 64) || ', 2]]}');
\echo :SQLSTATE

-- \u0000, and other escapes that are none.
SELECT pg_temp.found('{"code": {"A": "a\u0000b"}}');
\echo :SQLSTATE
SELECT pg_temp.found('{"code": {"A\u0000": "a"}}');
\echo :SQLSTATE
SELECT workflow_parse_reply('{"code": {"A": "a\\u0000b \u00e4 \ud83d\ude00"}}') #>> '{code,A}';
SELECT pg_temp.found('{"code": {"A": "\u00zz"}}');
\echo :SQLSTATE
SELECT pg_temp.found('{"code": {"A": "\ud83d"}}');
\echo :SQLSTATE
SELECT pg_temp.found('{"code": {"A": "\ude00"}}');
\echo :SQLSTATE

-- Raw control characters, in strings and between values.
SELECT pg_temp.found(E'{"code": {"A": "a = 1\nb = 2"}}');
\echo :SQLSTATE
SELECT pg_temp.found(E'{"code": {"A": "a\tb"}}');
\echo :SQLSTATE
SELECT pg_temp.found(E'{"code": {"A":\x01"a"}}');
\echo :SQLSTATE
SELECT pg_temp.found(E'{"code":\t{"A":\r\n"a"}}');
-- Invalid UTF-8 never gets so far.
SELECT pg_temp.found(convert_from('\x7b22636f6465223aff7d', 'UTF8'));
\echo :SQLSTATE

-- Members that stand twice: the last one counts, and it is told.
SELECT workflow_parse_reply('{"code": {"A": "first", "B": "b", "A": "last", "A": "very last"}, "edges": [], "edges": [["A", "B"]]}') - 'kind';
SELECT workflow_parse_reply('{"A": ["x"], "A": ["y"]}') #> '{mapping,A}';

-- Nesting: up to 1,000 levels; beyond, and with megabytes of brackets, 54000.
SELECT pg_temp.found('{"code": {"A": "a"}, "deep": ' || repeat('[', 999) || repeat(']', 999) || '}');
SELECT pg_temp.found('{"code": {"A": "a"}, "deep": ' || repeat('[', 1000) || repeat(']', 1000) || '}');
\echo :SQLSTATE
SELECT pg_temp.found('{"code": ' || repeat('[', 5000000));
\echo :SQLSTATE
SELECT pg_temp.found(repeat('{"a":', 1000000));
\echo :SQLSTATE
SELECT pg_temp.found(repeat('{', 5000000));
\echo :SQLSTATE
SELECT pg_temp.found(repeat('[', 5000000));
\echo :SQLSTATE
-- Size: 16 MB, and a million values.
SELECT pg_temp.found('{"code": {"A": "' || repeat('x', 16000000) || '"}}') LIKE 'workflow%';
SELECT pg_temp.found('{"code": {"A": "' || repeat('x', 17000000) || '"}}');
\echo :SQLSTATE
SELECT pg_temp.found('{"A": [' || repeat('0,', 1000000) || '0]}');
\echo :SQLSTATE
