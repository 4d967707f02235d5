-- The public surface: names, arguments and results are a contract.
\pset format unaligned
\pset tuples_only on

-- Functions.
SELECT p.proname || '(' || pg_get_function_arguments(p.oid) || ')' || coalesce(' -> ' || pg_get_function_result(p.oid), '')
  FROM pg_proc p
 WHERE p.pronamespace = 'notebook_migrate'::regnamespace
   AND p.prorettype <> 'trigger'::regtype
 ORDER BY p.proname COLLATE "C", pg_get_function_arguments(p.oid) COLLATE "C";

-- How they may be called: s(table) or v(olatile), strict or not.
SELECT p.proname || ' ' || p.provolatile::text || CASE WHEN p.proretset THEN ' set' ELSE '' END
  FROM pg_proc p
 WHERE p.pronamespace = 'notebook_migrate'::regnamespace
   AND p.prorettype <> 'trigger'::regtype
 ORDER BY p.proname COLLATE "C", pg_get_function_arguments(p.oid) COLLATE "C";

-- What writes is never run in a parallel worker.
SELECT p.proname
  FROM pg_proc p
 WHERE p.pronamespace = 'notebook_migrate'::regnamespace
   AND p.provolatile = 'v' AND p.proparallel = 's' AND p.prorettype <> 'trigger'::regtype
 ORDER BY p.proname COLLATE "C";

-- Views.
SELECT c.relname || '.' || a.attname || ' ' || format_type(a.atttypid, a.atttypmod)
  FROM pg_class c
  JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
 WHERE c.relnamespace = 'notebook_migrate'::regnamespace AND c.relkind = 'v'
   AND c.relname IN ('notebook', 'workflow')
 ORDER BY c.relname COLLATE "C", a.attnum;

-- Tables: the columns that people may build on.
SELECT c.relname || '.' || a.attname || ' ' || format_type(a.atttypid, a.atttypmod)
  FROM pg_class c
  JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
 WHERE c.relnamespace = 'notebook_migrate'::regnamespace AND c.relkind = 'r'
   AND (   c.relname ~ '^(notebook|workflow)_head$'
             AND a.attname ~ '^(notebook_id|workflow_id|name|version|created_at|updated_at)$'
        OR c.relname ~ '^(notebook|workflow)_version$'
             AND a.attname ~ '^(notebook_id|workflow_id|version|parent_version|created_at|author|message|digest|cells|operators|inserted|deleted|modified|moved|outputs|metadata|relinked|layout|renamed)$'
        OR c.relname ~ '^(notebook|workflow)_part$'
        OR c.relname = 'mapping'
             AND a.attname ~ '^(mapping_id|notebook_id|notebook_version|workflow_id|workflow_version|origin|author|created_at|content)$'
        OR c.relname = 'migration_job'
             AND a.attname ~ '^(job_id|notebook_id|version|kind|state|priority|attempt|max_attempts|created_at|run_after|lease_until|finished_at|worker|payload|progress|errors|usage|workflow_id|workflow_version|mapping_id|warnings)$')
 ORDER BY c.relname COLLATE "C", a.attname COLLATE "C";

-- Settings, known as soon as the library is loaded.
LOAD 'notebook_migrate';
SELECT name || ' ' || vartype || ' ' || context
  FROM pg_settings WHERE name LIKE 'notebook\_migrate.%' AND name IN ('notebook_migrate.author', 'notebook_migrate.max_document_size')
 ORDER BY name COLLATE "C";
