-- Objects of the same names first in the search path are not what schema migrations use.
CREATE DATABASE regress_schema_traps;
\c regress_schema_traps
SET client_min_messages = warning;
CREATE EXTENSION notebook_migrate;
CREATE SCHEMA app;
CREATE SCHEMA hostile;
CREATE FUNCTION hostile.trapped(text) RETURNS text LANGUAGE plpgsql AS $$
BEGIN RAISE EXCEPTION 'trapped: %', $1; END $$;

-- Operators and functions that raise, and tables that are empty.
DO $$
DECLARE t text; o text; f record;
BEGIN
  FOREACH t IN ARRAY ARRAY['bigint', 'int', 'smallint', 'text', 'name', 'oid', '"char"', 'bytea', 'jsonb', 'timestamptz', 'interval', 'boolean', 'regclass', 'text[]', 'xid'] LOOP
    EXECUTE format('CREATE FUNCTION hostile.trap(%1$s, %1$s) RETURNS boolean LANGUAGE sql AS $f$ SELECT hostile.trapped(%2$L) IS NULL $f$', t, 'operator on ' || t);
    FOREACH o IN ARRAY ARRAY['=', '<>', '<', '<=', '>', '>=', '||', '-', '+', '~', '!~', '@>'] LOOP
      EXECUTE format('CREATE OPERATOR hostile.%s (LEFTARG = %s, RIGHTARG = %s, FUNCTION = hostile.trap)', o, t, t);
    END LOOP;
  END LOOP;
  FOR f IN SELECT DISTINCT proname AS name, pg_get_function_identity_arguments(oid) AS args FROM pg_proc
           WHERE pronamespace = 'pg_catalog'::regnamespace AND prokind = 'f' AND NOT proretset AND provariadic = 0 AND proargmodes IS NULL
             AND proname ~ '^(format|quote_|concat|length|lower|upper|substr|replace|regexp_replace|left|right|array_to_string|sha256|convert_to|now|clock_timestamp|current_setting|set_config|pg_get_|pg_describe|pg_identify|pg_backend_pid|pg_table_is_visible|has_|jsonb_|to_jsonb|nextval|obj_description|col_description|to_reg|encode|decode|strpos|btrim)'
             AND pg_get_function_identity_arguments(oid) !~ 'internal|any|cstring|"' LOOP
    EXECUTE format('CREATE FUNCTION hostile.%I(%s) RETURNS text LANGUAGE sql AS $f$ SELECT hostile.trapped(%L) $f$', f.name, f.args, f.name);
  END LOOP;
  FOREACH t IN ARRAY ARRAY['pg_class', 'pg_attribute', 'pg_constraint', 'pg_index', 'pg_namespace', 'pg_locks', 'pg_prepared_statements', 'schema_migration', 'schema_history'] LOOP
    EXECUTE format('CREATE TABLE hostile.%I (trap int)', t);
    EXECUTE format('CREATE TEMP TABLE %I (trap int)', t);
  END LOOP;
END $$;
SET search_path = hostile, pg_temp, notebook_migrate, pg_catalog;
-- The trap is set.
\set VERBOSITY terse
SELECT 1 = 1;
SELECT length('x'::text);
SELECT count(*) FROM pg_class;
\set VERBOSITY default

-- Every way in.
SELECT schema_register('a', $$CREATE TABLE app.t (id int PRIMARY KEY DEFERRABLE, n text DEFAULT 'x' CHECK (n OPERATOR(pg_catalog.<>) ''))$$, 'DROP TABLE app.t'),
       schema_register('b', 'CREATE INDEX ti ON app.t (n)', 'DROP INDEX app.ti', '{a}'),
       schema_register('c', 'ALTER TABLE app.t ADD x int', 'ALTER TABLE app.t DROP x', '{b}'),
       schema_register('v', 'CREATE INDEX CONCURRENTLY tv ON app.t (x)', 'DROP INDEX app.tv', '{c}', transactional => false);
SELECT schema_register('a', 'SELECT 1', depends_on => '{c}');
SELECT * FROM schema_plan();
SELECT name, ok, sqlstate, message, objects, locks FROM schema_dry_run();
CALL schema_up('a');
SELECT schema_up_atomic('b');
CALL schema_up();
SELECT name, state, note FROM schema_status();
SELECT * FROM schema_verify(true);
CALL schema_down(steps => 2);
SELECT schema_squash('a', 'b', 's', true);
SELECT schema_baseline('c');
SELECT pg_catalog.jsonb_array_length(schema_describe('app') OPERATOR(pg_catalog.->) 'tables') AS tables;
SELECT ordinal, destructive FROM schema_diff('{"schema": "app", "tables": []}', schema_describe('app'));
SELECT schema_make('m', '{"schema": "app", "tables": [{"name": "q", "columns": [{"name": "a", "type": "int", "default": "1"}]}]}');
SELECT statement, rule FROM schema_lint('ALTER TABLE app.t ALTER n TYPE int USING 1; CREATE INDEX ON app.t (n)');
SELECT schema_bundle_import(schema_bundle_export());
SELECT up FROM schema_operations('{"operation": "CreateNodeType", "arguments": {"name": "P", "keys": ["id"], "properties": ["n"]}}');

-- The caller's own path is as it was.
SHOW search_path;
\c contrib_regression
DROP DATABASE regress_schema_traps;
