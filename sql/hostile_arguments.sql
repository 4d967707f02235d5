-- Every function with every argument NULL, deep, of the wrong kind or beyond its range: a clear error or an
-- answer, never XX000, and the server goes on. Each call is undone.
CREATE DATABASE regress_hostile;
\c regress_hostile
CREATE EXTENSION notebook_migrate;
SET client_min_messages = error;
INSERT INTO notebook_migrate.notebook (notebook_id, content) VALUES
  (1, '{"cells": [{"cell_type": "code", "source": "a = 1", "metadata": {}, "id": "a1"}], "metadata": {}, "nbformat": 4}');
INSERT INTO notebook_migrate.workflow (workflow_id, content) VALUES
  (1, '{"operators": [{"operatorID": "A", "operatorType": "F", "operatorProperties": {"code": "x"}}], "links": []}');
CREATE TEMP TABLE hostile AS SELECT * FROM (VALUES
  ('jsonb', 'NULL'), ('jsonb', '''"x"'''), ('jsonb', '''1e300'''), ('jsonb', '''{}'''), ('jsonb', '''[]'''), ('jsonb', '''[null, 1, "x", {}, []]'''),
  ('jsonb', '(repeat(''['', 10000) || repeat('']'', 10000))'), ('jsonb', '(repeat(''{"a":'', 10000) || ''1'' || repeat(''}'', 10000))'),
  ('jsonb', '(repeat(''{"cells":[{"source":'', 3000) || ''1'' || repeat(''}]}'', 3000))'),
  ('bigint', 'NULL'), ('bigint', '-1'), ('bigint', '9223372036854775807'), ('integer', 'NULL'), ('integer', '-1'), ('integer', '2147483647'),
  ('text', 'NULL'), ('text', ''''''), ('text', 'repeat(''{"a":'', 200000)'), ('text', 'repeat(''['', 1000000)'), ('text', '''x''''; DROP TABLE y'''),
  ('boolean', 'NULL'), ('uuid', 'NULL'), ('name', 'NULL'), ('name', '''nothing'''), ('regclass', 'NULL'), ('bytea', 'NULL'), ('bytea', ''''''),
  ('interval', 'NULL'), ('interval', '''-1 h'''), ('interval', '''178000000 years'''), ('interval', '''0'''),
  ('timestamp with time zone', 'NULL'), ('timestamp with time zone', '''infinity'''), ('timestamp with time zone', '''-infinity'''),
  ('text[]', 'NULL'), ('text[]', 'ARRAY[NULL, ''x'']'), ('text[]', 'ARRAY[[''a'', ''b''], [''c'', ''d'']]')) AS h (type, value);
CREATE TEMP TABLE ordinary AS SELECT * FROM (VALUES
  ('jsonb', 'notebook_migrate.notebook_at(1)'), ('bigint', '1'), ('integer', '1'), ('text', '''x'''), ('boolean', 'false'), ('interval', '''1 h'''),
  ('uuid', 'gen_random_uuid()'), ('timestamp with time zone', 'now()'), ('name', '''public'''), ('regclass', '''pg_class'''), ('bytea', '''x'''),
  ('text[]', 'NULL')) AS o (type, value);

-- A call for each function, argument and value; all other arguments are ordinary ones.
CREATE TEMP TABLE call AS
SELECT p.oid::regprocedure AS function, a.n, h.value,
       format('SELECT count(f::text) FROM notebook_migrate.%I(%s) AS f', p.proname,
         (SELECT string_agg(CASE WHEN t.n = a.n THEN h.value WHEN p.proname ~ '^workflow' AND o.type = 'jsonb' THEN 'notebook_migrate.workflow_at(1)'
                                 ELSE coalesce(o.value, 'NULL') END || '::' || format_type(t.type, NULL), ', ' ORDER BY t.n)
            FROM unnest(p.proargtypes::oid[]) WITH ORDINALITY AS t (type, n) LEFT JOIN ordinary AS o ON o.type = format_type(t.type, NULL))) AS query
  FROM pg_proc AS p, unnest(p.proargtypes::oid[]) WITH ORDINALITY AS a (type, n), hostile AS h
 WHERE p.pronamespace = 'notebook_migrate'::regnamespace AND p.prokind = 'f' AND h.type = format_type(a.type, NULL);
SELECT count(*) > 600 AS many, count(DISTINCT function) > 60 AS of_many FROM call;
CREATE TEMP TABLE answer (function regprocedure, n bigint, value text, state text, message text);
DO $$
DECLARE
  c record;
BEGIN
  FOR c IN SELECT * FROM call ORDER BY function::text COLLATE "C", n, value LOOP
    BEGIN
      EXECUTE c.query;
      RAISE SQLSTATE 'ZZZZZ';
    EXCEPTION WHEN OTHERS THEN
      INSERT INTO answer VALUES (c.function, c.n, c.value, nullif(SQLSTATE, 'ZZZZZ'), SQLERRM);
    END;
  END LOOP;
END $$;

-- The classes of what was said: bad arguments, nothing there, limits, states, rights, objects that are not there.
SELECT DISTINCT function, n, value, state, left(message, 80) AS message FROM answer
 WHERE left(state, 2) NOT IN ('02', '22', '54', '55') AND state NOT IN ('40001', '42601', '42501', '42P01', '42704', '42703', '3F000', '42622', '42804', '42809')
 ORDER BY function, n, value;
SELECT DISTINCT function FROM answer WHERE state = 'XX000' OR message = '';
SELECT count(*) FROM notebook_migrate.store_verify(NULL, NULL);
\c contrib_regression
DROP DATABASE regress_hostile;
