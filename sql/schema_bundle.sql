-- Definitions of schema migrations as one document: out of one database, into another.
SET search_path = notebook_migrate, public;
\pset format unaligned
\pset tuples_only on

-- Nothing is a bundle, too.
SELECT schema_bundle_export();
SELECT schema_bundle_import(schema_bundle_export());

-- Whatever the order in which they were registered: names by their bytes; scripts as they are.
SELECT schema_register('b', 'CREATE TABLE bundle_b ()', 'DROP TABLE bundle_b', depends_on => '{a,Z}'),
       schema_register('Z', 'CREATE TABLE bundle_z ()'),
       schema_register('é "x"; DROP', E'SELECT ''\\t'';\r\n\tSELECT $$\n-- a\n$$;\n\n', ''),
       schema_register('a', 'VACUUM', 'SELECT 1', transactional => false),
       schema_register('ab', 'SELECT 1', replaces => '{b,a}');
SELECT jsonb_pretty(schema_bundle_export());
CREATE TEMP TABLE bundle AS SELECT schema_bundle_export() AS b;
CREATE TEMP TABLE definition AS SELECT name, up, down, depends_on, replaces, transactional, sha256 FROM schema_migration;

-- What is known is not new; into an empty database all of it is, and comes back equal.
SELECT schema_bundle_import(b) FROM bundle;
DELETE FROM schema_migration;
SELECT schema_bundle_import(b) FROM bundle;
SELECT schema_bundle_import(b), schema_bundle_export() = b, schema_bundle_export()::text = b::text FROM bundle;
SELECT * FROM definition EXCEPT SELECT name, up, down, depends_on, replaces, transactional, sha256 FROM schema_migration;
DELETE FROM schema_migration WHERE name = 'Z';
SELECT schema_bundle_import(b) FROM bundle;

-- All members but name and up may be left out, and the digest be in capitals.
CREATE FUNCTION pg_temp.of(VARIADIC migrations jsonb[]) RETURNS jsonb LANGUAGE sql AS $$
  SELECT jsonb_build_object('format', 'notebook_migrate schema bundle', 'version', 1, 'migrations', migrations) $$;
SELECT schema_bundle_import(pg_temp.of('{"name": "c", "up": "SELECT 1", "sha256": "E004EBD5B5532A4B85984A62F8AD48A81AA3460C1CA07701F386135D72CDECF5"}'));
SELECT up, down, depends_on, replaces, transactional FROM schema_migration WHERE name = 'c';
-- One that is not applied is replaced, and counts.
SELECT schema_bundle_import(pg_temp.of('{"name": "c", "up": "SELECT 1"}', '{"name": "d", "up": "SELECT 1"}', '{"name": "c2", "up": "", "down": null}'));
SELECT schema_bundle_import(pg_temp.of('{"name": "c", "up": "SELECT 2"}', '{"name": "d", "up": "SELECT 1"}'));
-- The order of the bundle does not matter, not even where the definitions that it replaces depend the other way round.
SELECT schema_bundle_import(pg_temp.of('{"name": "c", "up": "SELECT 2", "depends_on": ["d"]}'));
SELECT schema_bundle_import(pg_temp.of('{"name": "d", "up": "SELECT 1", "depends_on": ["c"]}', '{"name": "c", "up": "SELECT 2"}'));
SELECT schema_bundle_import(pg_temp.of('{"name": "c", "up": "SELECT 2", "depends_on": ["d", "nobody", "d"]}', '{"name": "d", "up": "SELECT 1"}'));
SELECT name, depends_on FROM schema_migration WHERE name IN ('c', 'd');

-- All or nothing: whatever schema_register refuses is refused with the place in the bundle.
SELECT schema_bundle_import(pg_temp.of('{"name": "e", "up": "SELECT 1"}', '{"name": "f", "up": "SELEC 2"}'));
\echo :SQLSTATE
SELECT schema_bundle_import(pg_temp.of('{"name": "f", "up": "SELECT 1"}', '{"name": "e", "up": "COMMIT"}'));
\echo :SQLSTATE
SELECT schema_bundle_import(pg_temp.of('{"name": "e", "up": "SELECT 1", "depends_on": ["f"]}', '{"name": "f", "up": "SELECT 1", "depends_on": ["e"]}'));
\echo :SQLSTATE
SELECT schema_bundle_import(pg_temp.of('{"name": "", "up": "SELECT 1"}'));
\echo :SQLSTATE
SELECT schema_bundle_import(pg_temp.of('{"name": "e", "up": "SELECT 1; SELECT 2", "transactional": false}'));
\echo :SQLSTATE
SELECT count(*) FROM schema_migration WHERE name IN ('e', 'f');

-- What is no bundle says where.
CREATE FUNCTION pg_temp.refused(bundle jsonb) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
  detail text;
BEGIN
  RETURN notebook_migrate.schema_bundle_import(bundle);
EXCEPTION WHEN OTHERS THEN
  GET STACKED DIAGNOSTICS detail = PG_EXCEPTION_DETAIL;
  RETURN concat_ws(' ', SQLSTATE, SQLERRM || ':', detail);
END $$;
SELECT pg_temp.refused(b::jsonb) FROM unnest(ARRAY['[]', '1', 'null', '"x"', '{}', '{"format": 1}', '{"format": "x", "version": 1, "migrations": []}',
  '{"format": "notebook_migrate schema bundle"}', '{"format": "notebook_migrate schema bundle", "version": 2, "migrations": []}', '{"format": "notebook_migrate schema bundle", "version": "1", "migrations": []}',
  '{"format": "notebook_migrate schema bundle", "version": 1e400, "migrations": []}', '{"format": "notebook_migrate schema bundle", "version": 1.0, "migrations": []}', '{"format": "notebook_migrate schema bundle", "version": 1}',
  '{"format": "notebook_migrate schema bundle", "version": 1, "migrations": {}}', '{"format": "notebook_migrate schema bundle", "version": 1, "migrations": [], "a b": 1}']) WITH ORDINALITY AS u (b, n) ORDER BY n;
SELECT pg_temp.refused(pg_temp.of('{"name": "g", "up": "SELECT 1"}', m::jsonb)) FROM unnest(ARRAY['1', '[]', 'null', '{}', '{"name": "h"}', '{"up": "h"}', '{"name": null, "up": ""}', '{"name": 1, "up": ""}', '{"name": "h", "up": null}', '{"name": "h", "up": ["SELECT 1"]}',
  '{"name": "h", "up": "", "down": 1}', '{"name": "h", "up": "", "depends_on": "a"}', '{"name": "h", "up": "", "depends_on": null}', '{"name": "h", "up": "", "depends_on": ["a", null]}', '{"name": "h", "up": "", "depends_on": {"a": 1}}', '{"name": "h", "up": "", "depends_on": [[]]}',
  '{"name": "h", "up": "", "replaces": [1]}', '{"name": "h", "up": "", "replaces": true}', '{"name": "h", "up": "", "transactional": "true"}', '{"name": "h", "up": "", "transactional": null}', '{"name": "h", "up": "", "sha256": ""}', '{"name": "h", "up": "", "sha256": null}',
  '{"name": "h", "up": "SELECT 2", "sha256": "e004ebd5b5532a4b85984a62f8ad48a81aa3460c1ca07701f386135d72cdecf5"}', '{"name": "h", "up": "SELECT 1", "sha256": "e004ebd5b5532a4b85984a62f8ad48a81aa3460c1ca07701f386135d72cdecf"}',
  '{"name": "h", "up": "", "registered_at": "now"}', '{"name": "h", "up": "", "a \"b\"": 1}', '{"name": "g", "up": ""}']) WITH ORDINALITY AS u (m, n) ORDER BY n;
SELECT count(*) FROM schema_migration WHERE name IN ('g', 'h');
SELECT pg_temp.refused(NULL);
SELECT pg_temp.refused((repeat('[', 5000) || repeat(']', 5000))::jsonb), pg_temp.refused(pg_temp.of((repeat('[', 5000) || repeat(']', 5000))::jsonb));

-- An applied one cannot come in another text; the history is no part of it.
BEGIN;
SELECT schema_up_atomic('d');
SELECT pg_temp.refused(pg_temp.of('{"name": "d", "up": "SELECT 3"}'));
SELECT m FROM jsonb_array_elements(schema_bundle_export() -> 'migrations') AS m WHERE m ->> 'name' = 'd';
ROLLBACK;

-- USAGE and EXECUTE are enough, and what is read is read with no more.
CREATE ROLE regress_bundle;
GRANT USAGE ON SCHEMA notebook_migrate TO regress_bundle;
SET ROLE regress_bundle;
SELECT schema_bundle_export();
\echo :SQLSTATE
RESET ROLE;
GRANT EXECUTE ON FUNCTION schema_bundle_export, schema_bundle_import TO regress_bundle;
SET ROLE regress_bundle;
SELECT jsonb_array_length(schema_bundle_export() -> 'migrations');
SELECT count(*) FROM schema_migration;
\echo :SQLSTATE
-- Registering is what schema_register allows.
SELECT pg_temp.refused(pg_temp.of('{"name": "mine", "up": "SELECT 1"}'));
RESET ROLE;
GRANT EXECUTE ON FUNCTION schema_register TO regress_bundle;
SET ROLE regress_bundle;
SELECT pg_temp.refused(pg_temp.of('{"name": "mine", "up": "SELECT 1"}'));
SELECT current_user;
RESET ROLE;

-- A thousand at once, each depending on the one before, in the worst order.
SELECT schema_bundle_import(pg_temp.of(VARIADIC array_agg(jsonb_build_object('name', 'chain ' || i, 'up', 'SELECT ' || i, 'depends_on', jsonb_build_array('chain ' || i - 1)) ORDER BY -i)))
  FROM generate_series(2, 1000) AS i;

REVOKE ALL ON SCHEMA notebook_migrate FROM regress_bundle;
REVOKE ALL ON FUNCTION schema_bundle_export, schema_bundle_import, schema_register FROM regress_bundle;
DROP ROLE regress_bundle;
DELETE FROM schema_migration;
