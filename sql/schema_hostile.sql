-- Schema migrations, given what nobody should give: every answer has a code that says what is wrong.
\getenv abs_srcdir PG_ABS_SRCDIR
\set prologue :abs_srcdir '/sql/include/schema_hostile.sql'
\i :prologue
-- What a call returns, or the code and message of its error; what is long is cut.
CREATE FUNCTION public.tried(query text, VARIADIC args text[] = '{}') RETURNS text LANGUAGE plpgsql AS $$
DECLARE result text;
BEGIN
  EXECUTE 'SELECT string_agg(r::text, '' '') FROM (SELECT ' || query || ') AS r (r)' INTO result USING args;
  RETURN left(result, 300);
EXCEPTION WHEN OTHERS THEN RETURN SQLSTATE || ' ' || left(SQLERRM, 200);
END $$;
-- Arguments that are missing or empty.
SELECT n, q, tried(q) FROM unnest(ARRAY[
  'schema_register(NULL, NULL)', 'schema_register(NULL, ''SELECT 1'')', 'schema_register(''n'', NULL)', 'schema_register('''', ''SELECT 1'')',
  'schema_register('' '', ''SELECT 1'')', 'schema_register(''n'', ''SELECT 1'', depends_on => NULL)', 'schema_register(''n'', ''SELECT 1'', replaces => NULL)',
  'schema_register(''n'', ''SELECT 1'', transactional => NULL)', 'schema_register(''n'', ''SELECT 1'', NULL, NULL, NULL, NULL)', 'schema_register(''n'', '''', '''')',
  'schema_plan(NULL, NULL)', 'schema_plan('''')', 'schema_plan(''nobody'')', 'schema_plan(''nobody'', ''down'')', 'schema_plan(NULL, ''sideways'')', 'schema_plan(NULL, '''')', 'schema_plan(NULL, ''UP'')',
  'schema_up_atomic('''')', 'schema_up_atomic(''nobody'')', 'schema_baseline(NULL)', 'schema_baseline('''')', 'schema_baseline(''nobody'')', 'schema_digest(NULL)', 'schema_digest('''')'
  ]) WITH ORDINALITY AS u (q, n) ORDER BY n;
CALL schema_up('');
\echo :SQLSTATE
CALL schema_up('nobody');
\echo :SQLSTATE
CALL schema_up(NULL, NULL, NULL);
\echo :SQLSTATE
CALL schema_down('nobody');
\echo :SQLSTATE
CALL schema_down('');
\echo :SQLSTATE
CALL schema_down(NULL, NULL, NULL);
\echo :SQLSTATE
CALL schema_down('n', steps => NULL, cascade => NULL);
\echo :SQLSTATE
SELECT name, state FROM schema_status();

-- Numbers and times.
CALL schema_up(max_count => -1);
\echo :SQLSTATE
CALL schema_up(max_count => -2147483648);
\echo :SQLSTATE
CALL schema_up(max_count => 0);
\echo :SQLSTATE
CALL schema_up(max_count => 2147483647);
\echo :SQLSTATE
CALL schema_down(steps => 0);
\echo :SQLSTATE
CALL schema_down(steps => -1);
\echo :SQLSTATE
CALL schema_down(steps => 2147483647);
\echo :SQLSTATE
CALL schema_down(steps => NULL);
\echo :SQLSTATE
CALL schema_up(lock_timeout => '-1 second');
\echo :SQLSTATE
CALL schema_up(lock_timeout => '0');
\echo :SQLSTATE
CALL schema_up(lock_timeout => '178000000 years');
\echo :SQLSTATE
CALL schema_up(lock_timeout => '-178000000 years');
\echo :SQLSTATE
CALL schema_up(lock_timeout => '1 month -30 days');
\echo :SQLSTATE
SELECT name, state FROM schema_status();

-- Odd names: registered, planned, applied, undone.
TRUNCATE schema_migration;
SELECT n, left(name, 30), length(name), tried(format('schema_register(%L, %L, %L)', name, 'SELECT 1', 'SELECT 2'))
  FROM unnest(ARRAY[E'a''b"c; drop', '"', '''', '$1', '%s%n', E'new\nline', E'tab\t', '\', ' a ', '-- x', '/* x', '{a,b}', 'NULL', 'é', E'e\u0301', '🐘', E'\u202E', U&'\FEFF', 'a/b', '..', repeat('x', 63), repeat('x', 64)]) WITH ORDINALITY AS u (name, n) ORDER BY n;
SELECT tried(format('schema_register(%L, %L, %L)', repeat('n', n), 'SELECT 1', 'SELECT 2')) FROM unnest(ARRAY[255, 2000]) AS n;
-- Ten thousand characters are too many for an index.
SELECT left(tried(format('schema_register(%L, %L)', (SELECT string_agg(md5(i::text), '') FROM generate_series(1, 320) AS i), 'SELECT 1')), 6) NOT IN ('true', 'XX000 ') AS refused;
SELECT count(*) FROM schema_plan() WHERE action = 'apply';
CALL schema_up();
\echo :SQLSTATE
SELECT count(*), string_agg(DISTINCT state, ' ') FROM schema_status();
SELECT count(*) FROM schema_history WHERE state = 'applied';
SELECT bool_and(name < next COLLATE "C") AS bytewise FROM (SELECT name, lead(name) OVER (ORDER BY entry) AS next FROM schema_history WHERE state = 'applied' AND name NOT IN ('n', ' ')) AS h;
CALL schema_down(E'a''b"c; drop');
\echo :SQLSTATE
SELECT string_agg(left(name, 10), ',' ORDER BY name COLLATE "C") FROM schema_status() WHERE state = 'applied';
CALL schema_down(steps => 1000);
\echo :SQLSTATE
SELECT DISTINCT state FROM schema_status() ORDER BY state;
SELECT tried(format('schema_baseline(%L)', E'a''b"c; drop'));
SELECT name, state FROM schema_status() WHERE state = 'baseline';

-- Odd arrays.
SELECT n, q, tried(q) FROM unnest(ARRAY[
  'schema_register(''r1'', ''SELECT 1'', NULL, ''{NULL}'')', 'schema_register(''r1'', ''SELECT 1'', NULL, ''{"", a}'')', 'schema_register(''r1'', ''SELECT 1'', NULL, ''{{é},{"\""}}'')',
  'schema_register(''r1'', ''SELECT 1'', NULL, ''[5:6]={é,"\""}'')', 'schema_register(''r1'', ''SELECT 1'', NULL, ''{é,"\""}'')', 'schema_register(''r2'', ''SELECT 1'', NULL, ''{é,é,é}'')',
  'schema_register(''r2'', ''SELECT 1'', NULL, ''{é}'')', 'schema_register(''r3'', ''SELECT 1'', NULL, ''{r3}'')', 'schema_register(''r3'', ''SELECT 1'', NULL, ''{}'', ''{r3}'')',
  'schema_register(''r3'', ''SELECT 1'', NULL, ''{}'', ''{NULL}'')', 'schema_register(''r3'', ''SELECT 1'', NULL, ''{}'', ''{{r1,r2}}'')', 'schema_register(''r3'', ''SELECT 1'', NULL, ''{r1}'', ''{r1}'')',
  'schema_register(''r3'', ''SELECT 1'', NULL, ''{}'', ''{r1,r1}'')', 'schema_register(''r4'', ''SELECT 1'', NULL, ''{}'', ''{nobody}'')', 'schema_register(''r4'', ''SELECT 1'', NULL, ''{}'', ''{""}'')'
  ]) WITH ORDINALITY AS u (q, n) ORDER BY n;
SELECT name, depends_on, replaces FROM schema_migration WHERE name LIKE 'r%' ORDER BY name;
SELECT tried(format('schema_register(''wide'', '''', NULL, %L)', (SELECT array_agg('w' || i) FROM generate_series(1, 5000) AS i)));
SELECT ordinal, name, action, length(reason) < 500 AS short FROM schema_plan('wide');
CALL schema_up('wide');
\echo :SQLSTATE

-- Cycles of 1, 2 and 50; through a squash as well.
TRUNCATE schema_migration;
SELECT tried('schema_register(''self'', '''', NULL, ''{self}'')');
SELECT tried('schema_register(''c2'', '''', NULL, ''{c1}'')'), tried('schema_register(''c1'', '''', NULL, ''{c2}'')');
SELECT count(*) FROM (SELECT schema_register('d' || i, '', NULL, ARRAY['d' || i % 50 + 1]) FROM generate_series(1, 49) AS i) AS r;
SELECT tried('schema_register(''d50'', '''', NULL, ''{d1}'')');
SELECT count(*) FROM schema_plan() WHERE action = 'blocked';
INSERT INTO schema_migration (name, up, depends_on) VALUES ('c1', '', '{c2}'), ('d50', '', '{d1}');
SELECT tried('name || action || reason FROM schema_plan(''c1'')');
SELECT tried('schema_up_atomic()');
CALL schema_up();
\echo :SQLSTATE
SELECT tried('schema_baseline(''d1'')');
\set VERBOSITY default
CALL schema_up('d50');
\set VERBOSITY terse
TRUNCATE schema_migration;
SELECT tried('schema_register(''p1'', '''')'), tried('schema_register(''p2'', '''', NULL, ''{p1}'')');
-- A squash cannot need what needs a part of it: at the latest a run says so.
\set VERBOSITY sqlstate
BEGIN;
SELECT schema_register('s', '', NULL, '{p2}', '{p1}');
SELECT schema_up_atomic();
ROLLBACK;
-- Two that stand in for each other.
BEGIN;
SELECT schema_register('s1', '', NULL, '{}', '{s2}');
SELECT schema_register('s2', '', NULL, '{}', '{s1}');
SELECT schema_up_atomic();
SELECT name, state FROM schema_status() WHERE name LIKE 's%';
ROLLBACK;
\set VERBOSITY terse
SELECT name, state FROM schema_status() WHERE state <> 'missing';
TRUNCATE schema_migration;

-- What only the tables' owner can write: names that are null, and a digest of another length.
BEGIN;
INSERT INTO schema_migration (name, up, depends_on, replaces) VALUES ('o1', '', '{NULL,o2}', '{NULL}'), ('o2', '', '{{NULL,o3}}', '{{o4,NULL}}'), ('o5', '', '{}', '{}');
INSERT INTO schema_history (name, direction, state, started_at, duration, applied_by, sha256, replaces) VALUES ('o5', 'up', 'applied', now(), '0', 'me', '\x00', '{NULL}');
SELECT tried('name || '': '' || action || '', '' || reason FROM schema_plan()');
SELECT name, state, note FROM schema_status() WHERE name LIKE 'o%';
SELECT name, problem, detail FROM schema_verify() WHERE name LIKE 'o%';
SELECT tried('schema_register(''o3'', '''', NULL, ''{o1}'')');
SELECT tried('schema_squash(''o1'', ''o2'', ''o6'', false)');
ROLLBACK;

-- A trigger that takes nothing in.
BEGIN;
SELECT schema_register('o1', '');
CREATE FUNCTION swallow() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END';
CREATE TRIGGER swallow BEFORE INSERT OR UPDATE ON schema_migration FOR EACH ROW EXECUTE FUNCTION swallow();
SELECT tried('schema_register(''o1'', ''SELECT 1'')'), tried('schema_register(''o2'', '''')'), tried('schema_register(''o1'', '''')');
ROLLBACK;

-- What cannot stand in a script is refused when it is registered, with a hint.
SELECT n, left(b, 40), tried(format('schema_register(''b'', %L)', b)) FROM unnest(ARRAY[
  'COMMIT', 'SELECT 1; commit work', 'END', 'ROLLBACK', 'ABORT', 'BEGIN', 'START TRANSACTION', 'SAVEPOINT s', 'RELEASE s', 'ROLLBACK TO s', 'PREPARE TRANSACTION ''x''', 'COMMIT PREPARED ''x''',
  'ROLLBACK AND CHAIN', 'COPY t FROM STDIN', 'COPY t FROM STDIN WITH (FORMAT csv)', 'COPY t TO STDOUT', 'COPY (SELECT 1) TO STDOUT', 'SELECT 1 \gset', '\i other.sql', '\connect x', E'SELECT 1;\n\\d', 'SELECT :var', 'SELECT FROM WHERE', 'SELECT ''open',
  'SELECT $$open', '/* open', '"open', ')', ';;;', ' ', '-- x', '/* x */', 'SELECT $1', 'COPY t FROM ''/nowhere''', 'EXPLAIN ANALYZE COMMIT', 'DO $$ BEGIN COMMIT; END $$', 'VACUUM', 'CREATE INDEX CONCURRENTLY i ON t (i)', 'CREATE DATABASE x', 'DISCARD ALL', 'LISTEN x', 'SET TRANSACTION READ ONLY'
  ]) WITH ORDINALITY AS u (b, n) ORDER BY n;
SELECT n, left(b, 40), tried(format('schema_register(''b'', ''SELECT 1'', %L)', b)) FROM unnest(ARRAY['COMMIT', 'SELECT FROM WHERE', '', '\d', 'COPY t FROM STDIN']) WITH ORDINALITY AS u (b, n) ORDER BY n;
\set VERBOSITY default
SELECT schema_register('b', 'SELECT 1; COMMIT');
SELECT schema_register('b', 'COPY t FROM STDIN');
SELECT schema_register('b', E'SELECT 1;\n\\d');
SELECT schema_register('b', E'SELECT 1;\nSELEC 2;');
\set VERBOSITY terse
\c :here
DROP DATABASE regress_nbm_hostile;
