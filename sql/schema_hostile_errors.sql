-- Scripts of schema migrations that leave things behind, fail in every way, are very long, or may not do what they do.
CREATE ROLE regress_nbm_poor;
\getenv abs_srcdir PG_ABS_SRCDIR
\set prologue :abs_srcdir '/sql/include/schema_hostile.sql'
\i :prologue
CREATE TABLE public.script (n serial, body text);

-- Statements, cursors, channels, temporary things.
SELECT attempt('PREPARE p AS SELECT 1; EXECUTE p; DEALLOCATE p; PREPARE q AS SELECT 2; DEALLOCATE ALL');
CALL schema_up();
\echo :SQLSTATE
SELECT attempt('DECLARE c CURSOR FOR SELECT 1; FETCH c; DECLARE d CURSOR WITH HOLD FOR SELECT 1/0');
CALL schema_up();
\echo :SQLSTATE
SELECT recorded();
SELECT attempt('LISTEN nbm; NOTIFY nbm; UNLISTEN *; DISCARD PLANS; CREATE TEMP TABLE tt (); CREATE TEMP TABLE tc () ON COMMIT DROP');
CALL schema_up();
\echo :SQLSTATE
SELECT recorded();
SELECT attempt('DISCARD TEMP; DISCARD SEQUENCES');
CALL schema_up();
\echo :SQLSTATE
SELECT attempt('SELECT $1');
CALL schema_up();
\echo :SQLSTATE
SELECT recorded();
SELECT attempt('SELECT pg_terminate_backend(0), pg_cancel_backend(0)');
CALL schema_up();
\echo :SQLSTATE
SELECT attempt('SHOW work_mem; EXPLAIN SELECT 1; VALUES (1), (2); TABLE pg_class; SELECT 1 AS a INTO made; CHECKPOINT; LOAD ''plpgsql''; COMMENT ON TABLE made IS ''x''');
CALL schema_up();
\echo :SQLSTATE
SELECT recorded(), to_regclass('made');
SELECT attempt('CREATE SCHEMA inner_schema CREATE TABLE a (i int) CREATE VIEW b AS SELECT * FROM a; ALTER DEFAULT PRIVILEGES GRANT SELECT ON TABLES TO PUBLIC; REASSIGN OWNED BY regress_nbm_poor TO CURRENT_USER; DROP OWNED BY regress_nbm_poor');
CALL schema_up();
\echo :SQLSTATE
SELECT recorded();

-- The runner's lock is one of the session's, and stays.
SELECT attempt('SELECT pg_advisory_lock(1), pg_advisory_unlock_all(); CREATE TABLE unlocked ()');
CALL schema_up();
\echo :SQLSTATE
SELECT recorded(), to_regclass('unlocked');
SELECT attempt('SELECT pg_advisory_lock(1), pg_advisory_unlock(1)');
CALL schema_up();
\echo :SQLSTATE

-- Errors of every kind, and where they are.
SELECT attempt(E'SELECT 1;\nDO $$ BEGIN RAISE EXCEPTION ''mine'' USING DETAIL = ''a detail'', HINT = ''a hint''; END $$');
\set VERBOSITY default
\set SHOW_CONTEXT errors
CALL schema_up();
\set SHOW_CONTEXT never
\set VERBOSITY terse
\echo :SQLSTATE
SELECT recorded();
SELECT attempt('DO $$ BEGIN RAISE EXCEPTION SQLSTATE ''57014''; END $$');
CALL schema_up();
\echo :SQLSTATE
SELECT recorded();
SELECT attempt('DO $$ BEGIN RAISE EXCEPTION SQLSTATE ''XX001'' USING MESSAGE = ''the user says so''; END $$');
CALL schema_up();
\echo :SQLSTATE
SELECT attempt('DO $$ BEGIN RAISE EXCEPTION SQLSTATE ''40001'' USING MESSAGE = repeat(''long '', 100000); END $$');
DO $$ BEGIN PERFORM notebook_migrate.schema_up_atomic(); EXCEPTION WHEN OTHERS THEN RAISE WARNING '% %', SQLSTATE, length(SQLERRM); END $$;
SELECT attempt('DO $$ BEGIN ASSERT false, ''asserted''; END $$');
CALL schema_up();
\echo :SQLSTATE
SELECT attempt(E'CREATE FUNCTION inner_error() RETURNS int LANGUAGE plpgsql AS $$\nBEGIN\n  RETURN (SELECT nothing FROM pg_class);\nEND $$;\n\nSELECT inner_error();');
\set SHOW_CONTEXT errors
\set VERBOSITY default
CALL schema_up();
\set SHOW_CONTEXT never
\set VERBOSITY terse
\echo :SQLSTATE
SELECT recorded();
SELECT attempt(E'-- première\nSELECT ''é'' FROM\n  nowhere; SELECT 2');
\set VERBOSITY default
CALL schema_up();
\set VERBOSITY terse
\echo :SQLSTATE
SELECT recorded(), substr(up, position, 7) FROM schema_history JOIN schema_migration USING (name) ORDER BY entry DESC LIMIT 1;
SELECT attempt('SELECT 1;; ;; SELECT 2;; SELECT 1/0; ;');
CALL schema_up();
\echo :SQLSTATE
SELECT recorded();
SELECT attempt('CREATE RULE r AS ON INSERT TO made DO ALSO (SELECT 1; SELECT 2); CREATE FUNCTION ba() RETURNS int LANGUAGE sql BEGIN ATOMIC SELECT 1; SELECT 2; END; SELECT 1/0');
CALL schema_up();
\echo :SQLSTATE
SELECT recorded();
SELECT attempt('CREATE FUNCTION deep() RETURNS void LANGUAGE plpgsql AS ''BEGIN PERFORM deep(); END''; SELECT deep()');
CALL schema_up();
\echo :SQLSTATE
SELECT attempt('SELECT ' || repeat('(', 50000) || '1' || repeat(')', 50000));
\echo :SQLSTATE
SELECT attempt('SELECT ' || repeat('- ', 100000) || '1');
CALL schema_up();
\echo :SQLSTATE

-- Much: ten thousand statements, ten thousand comments; the number of the one that fails.
SELECT attempt((SELECT string_agg('INSERT INTO script (body) VALUES (''' || i || ''')', ';') FROM generate_series(1, 10000) AS i));
CALL schema_up();
\echo :SQLSTATE
SELECT count(*) FROM script;
SELECT attempt((SELECT string_agg('INSERT INTO script (body) VALUES (''' || i || ''')', ';') FROM generate_series(1, 9999) AS i) || '; SELECT 1/0; SELECT 1');
CALL schema_up();
\echo :SQLSTATE
SELECT recorded(), count(*) FROM script;
SELECT attempt(repeat(E'-- nothing\n;', 10000));
CALL schema_up();
\echo :SQLSTATE

-- Somebody who may call the functions, and nothing more: privileges are missing, each time.
GRANT USAGE ON SCHEMA notebook_migrate TO regress_nbm_poor;
GRANT EXECUTE ON ALL ROUTINES IN SCHEMA notebook_migrate TO regress_nbm_poor;
CREATE TABLE reachable (t text);
GRANT ALL ON reachable TO regress_nbm_poor;
SET ROLE regress_nbm_poor;
\set VERBOSITY sqlstate
SELECT schema_register('z', 'COPY reachable FROM PROGRAM ''true''');
CALL schema_up();
\echo :SQLSTATE
SELECT schema_register('z', 'COPY reachable TO PROGRAM ''true''');
CALL schema_up();
\echo :SQLSTATE
SELECT schema_register('z', 'COPY reachable FROM ''/etc/passwd''');
CALL schema_up();
\echo :SQLSTATE
SELECT schema_register('z', 'SELECT pg_read_file(''/etc/passwd'')');
CALL schema_up();
\echo :SQLSTATE
SELECT schema_register('z', 'DROP EXTENSION notebook_migrate CASCADE');
CALL schema_up();
\echo :SQLSTATE
SELECT schema_register('z', 'LOCK TABLE notebook_migrate.schema_history');
CALL schema_up();
\echo :SQLSTATE
SELECT schema_register('z', 'CREATE FUNCTION pg_temp.f() RETURNS trigger LANGUAGE plpgsql AS ''BEGIN RETURN NULL; END''; CREATE TRIGGER mine BEFORE INSERT ON notebook_migrate.schema_history FOR EACH ROW EXECUTE FUNCTION pg_temp.f()');
CALL schema_up();
\echo :SQLSTATE
SELECT * FROM schema_history;
\echo :SQLSTATE
SELECT schema_up_atomic('z');
\echo :SQLSTATE
RESET ROLE;
SELECT applied_by, state, sqlstate, count(*) FROM schema_history WHERE applied_by = 'regress_nbm_poor' GROUP BY 1, 2, 3 ORDER BY 1, 2, 3;

-- None of this was an internal error, and the store is whole.
SELECT count(*) FROM schema_history WHERE sqlstate LIKE 'XX%' AND message NOT LIKE 'the user says so';
SELECT count(*) FROM pg_locks WHERE locktype = 'advisory';
SELECT * FROM store_verify(NULL, NULL);
\c :here
DROP DATABASE regress_nbm_hostile;
DROP ROLE regress_nbm_poor;
