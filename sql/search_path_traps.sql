-- Objects of the same names first in the path are not what the extension uses.
SELECT sample.sources('a', 'b') AS one, sample.sources('a', 'bb') AS two, sample.sources('a', 'bb', 'c') AS three \gset
CREATE SCHEMA hostile;
CREATE FUNCTION hostile.trapped(text) RETURNS text LANGUAGE plpgsql AS $$
BEGIN RAISE EXCEPTION 'trapped: %', $1; END $$;

-- Tables and views of the same names.
CREATE TABLE hostile.notebook_head (LIKE notebook_migrate.notebook_head);
CREATE TABLE hostile.notebook_version (LIKE notebook_migrate.notebook_version);
CREATE TABLE hostile.notebook_part (LIKE notebook_migrate.notebook_part);
CREATE TABLE hostile.workflow_head (LIKE notebook_migrate.workflow_head);
CREATE TABLE hostile.workflow_version (LIKE notebook_migrate.workflow_version);
CREATE TABLE hostile.workflow_part (LIKE notebook_migrate.workflow_part);
CREATE TABLE hostile.mapping (LIKE notebook_migrate.mapping);
CREATE TEMP TABLE notebook_version (LIKE notebook_migrate.notebook_version);
CREATE TEMP TABLE notebook_part (LIKE notebook_migrate.notebook_part);

-- Functions and operators that raise, for the types that the store works with.
DO $$
DECLARE t text; o text; f text;
BEGIN
  FOREACH t IN ARRAY ARRAY['bigint', 'int', 'text', 'bytea', 'jsonb', 'timestamptz'] LOOP
    EXECUTE format('CREATE FUNCTION hostile.trap_%1$s(%1$s, %1$s) RETURNS boolean LANGUAGE sql AS $f$ SELECT hostile.trapped(%2$L) IS NULL $f$', t, 'operator on ' || t);
    FOREACH o IN ARRAY ARRAY['=', '<>', '<', '<=', '>', '>='] LOOP
      EXECUTE format('CREATE OPERATOR hostile.%s (LEFTARG = %s, RIGHTARG = %s, FUNCTION = hostile.trap_%s)', o, t, t, t);
    END LOOP;
  END LOOP;
  FOREACH f IN ARRAY ARRAY['sha256(bytea)', 'convert_to(text, name)', 'nextval(regclass)', 'jsonb_array_length(jsonb)',
    'octet_length(bytea)', 'length(text)', 'count(bigint)', 'max(int)', 'part_body(jsonb, bytea)'] LOOP
    EXECUTE format('CREATE FUNCTION hostile.%s RETURNS text LANGUAGE sql AS $f$ SELECT hostile.trapped(%L) $f$', f, f);
  END LOOP;
  EXECUTE 'CREATE FUNCTION hostile.now() RETURNS timestamptz LANGUAGE sql AS $f$ SELECT hostile.trapped($m$now$m$)::timestamptz $f$';
  EXECUTE 'CREATE FUNCTION hostile.clock_timestamp() RETURNS timestamptz LANGUAGE sql AS $f$ SELECT hostile.trapped($m$clock$m$)::timestamptz $f$';
  EXECUTE 'CREATE FUNCTION hostile.current_setting(text) RETURNS text LANGUAGE sql AS $f$ SELECT hostile.trapped($m$setting$m$) $f$';
END $$;

SET search_path = hostile, pg_temp, pg_catalog;
-- The trap is set.
SELECT 1::bigint = 1::bigint;

-- Every way in.
INSERT INTO notebook_migrate.notebook (notebook_id, name, content) VALUES (5401, 'safe', :'one') RETURNING version;
INSERT INTO notebook_migrate.notebook (name, content) VALUES ('safe, numbered', :'one') RETURNING version;
UPDATE notebook_migrate.notebook SET content = :'two' WHERE notebook_id OPERATOR(pg_catalog.=) 5401 RETURNING version;
UPDATE notebook_migrate.notebook SET name = 'safe still' WHERE notebook_id OPERATOR(pg_catalog.=) 5401 RETURNING version;
SELECT notebook_migrate.notebook_commit(5401, :'three') AS version;
SELECT notebook_migrate.notebook_edit(5401, '[{"op": "delete", "cell": 1}]') AS version;
SELECT notebook_migrate.notebook_restore(5401, 1) AS version;
SELECT notebook_migrate.notebook_at(5401, 2);
SELECT notebook_migrate.notebook_at(5401, 'infinity'::timestamptz);
SELECT position, source FROM notebook_migrate.notebook_cells(5401);
SELECT change, old_source, new_source FROM notebook_migrate.notebook_diff(5401, 1, 2);
SELECT version, change FROM notebook_migrate.cell_history(5401, 2);
INSERT INTO notebook_migrate.workflow (workflow_id, name, content)
  VALUES (5401, 'safe', '{"operators": [{"operatorID": "A", "operatorType": "T"}, {"operatorID": "B"}], "links": [{"linkID": "L", "source": {"operatorID": "A", "portID": "o"}, "target": {"operatorID": "B", "portID": "i"}}]}') RETURNING version;
SELECT notebook_migrate.workflow_edit(5401, '[{"layout": {"operatorPositions": {"A": {"x": 1}}}}]') AS version;
SELECT operator_id FROM notebook_migrate.workflow_operators(5401);
SELECT link_id, source_id FROM notebook_migrate.workflow_links(5401);
SELECT change FROM notebook_migrate.workflow_diff(5401, 1, 2);
SELECT version, change FROM notebook_migrate.operator_history(5401, 1);
SELECT notebook_migrate.mapping_put(5401, 1, 5401, 1, '{"links": [{"cell": 1, "operator": "A"}]}') IS NOT NULL AS stored;
SELECT notebook_migrate.mapping_at(5401, 1, 5401, 2);
SELECT state FROM notebook_migrate.mapping_links(5401, 1, 5401, 2);
SELECT side, item_id FROM notebook_migrate.mapping_unmapped(5401, 1, 5401, 2);
SELECT links FROM notebook_migrate.mapping_health(5401, 5401);
SELECT notebook_migrate.migration_prompt(5401, scope => 'changed') -> 'operators';
SELECT workflow_version, warnings FROM notebook_migrate.migration_accept(5401, 1, '{"code": {"U": "u"}}', '{"U": ["1"]}', 5401);
SELECT workflow_version, warnings FROM notebook_migrate.migration_accept(5401, 1, '{"code": {"U": "u"}}', '{"U": ["1"]}', name => 'safe');
SELECT * FROM notebook_migrate.store_verify('notebook', 5401);
DELETE FROM notebook_migrate.notebook WHERE name OPERATOR(pg_catalog.~) '^safe';
DELETE FROM notebook_migrate.workflow WHERE workflow_id OPERATOR(pg_catalog.=) 5401 OR name OPERATOR(pg_catalog.=) 'safe';

-- The caller's own path is as it was, and the hostile tables are empty.
SHOW search_path;
RESET search_path;
SELECT (SELECT count(*) FROM hostile.notebook_head) + (SELECT count(*) FROM hostile.notebook_version) + (SELECT count(*) FROM hostile.notebook_part)
     + (SELECT count(*) FROM hostile.mapping) + (SELECT count(*) FROM pg_temp.notebook_version) + (SELECT count(*) FROM pg_temp.notebook_part) AS caught;
SET client_min_messages = warning;
DROP SCHEMA hostile CASCADE;
