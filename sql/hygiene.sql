-- What every object of the extension must be like. No query here returns a row.
CREATE TEMP VIEW member AS
  SELECT classid, objid, pg_describe_object(classid, objid, objsubid) AS what
    FROM pg_depend
   WHERE deptype = 'e' AND refclassid = 'pg_extension'::regclass
     AND refobjid = (SELECT oid FROM pg_extension WHERE extname = 'notebook_migrate');

-- Every function has a pinned, safe search_path, in C or not. (A procedure that commits cannot have one, and pins it itself;
-- so do those that run the caller's scripts, which see his own.)
SELECT what, proconfig FROM member JOIN pg_proc ON classid = 'pg_proc'::regclass AND objid = pg_proc.oid
 WHERE prokind <> 'p' AND proname !~ '^schema_(up_atomic|dry_run|verify|squash|lint)$' AND NOT coalesce('search_path=pg_catalog, pg_temp' = ANY (proconfig), false) ORDER BY what COLLATE "C";

-- None runs with its owner's rights as a whole. (What attached tables and Texera's functions write to the store is written so; src/guard.c.)
SELECT what FROM member JOIN pg_proc ON classid = 'pg_proc'::regclass AND objid = pg_proc.oid
 WHERE prosecdef ORDER BY what COLLATE "C";

-- Nothing is granted to PUBLIC: no function, table, view, sequence or schema.
SELECT what FROM member JOIN pg_proc ON classid = 'pg_proc'::regclass AND objid = pg_proc.oid
 WHERE has_function_privilege('public', pg_proc.oid, 'EXECUTE') ORDER BY what COLLATE "C";
SELECT what FROM member JOIN pg_class ON classid = 'pg_class'::regclass AND objid = pg_class.oid
 WHERE EXISTS (SELECT FROM aclexplode(relacl) WHERE grantee = 0) ORDER BY what COLLATE "C";
SELECT what FROM member JOIN pg_namespace ON classid = 'pg_namespace'::regclass AND objid = pg_namespace.oid
 WHERE EXISTS (SELECT FROM aclexplode(nspacl) WHERE grantee = 0) ORDER BY what COLLATE "C";

-- All objects stand in the extension's schema.
SELECT what FROM member JOIN pg_proc ON classid = 'pg_proc'::regclass AND objid = pg_proc.oid
 WHERE pronamespace <> 'notebook_migrate'::regnamespace ORDER BY what COLLATE "C";
SELECT what FROM member JOIN pg_class ON classid = 'pg_class'::regclass AND objid = pg_class.oid
 WHERE relnamespace <> 'notebook_migrate'::regnamespace ORDER BY what COLLATE "C";

-- Every object has a comment.
SELECT what FROM member
 WHERE obj_description(objid, classid::regclass::name) IS NULL
   AND NOT (classid = 'pg_type'::regclass AND objid IN (SELECT oid FROM pg_type WHERE typrelid <> 0 OR typelem <> 0))
 ORDER BY what COLLATE "C";

-- No function that reads tables or settings claims to be immutable; what is volatile is never parallel safe.
SELECT what FROM member JOIN pg_proc ON classid = 'pg_proc'::regclass AND objid = pg_proc.oid
 WHERE provolatile = 'i' AND proname !~ '^(part_body|schema_digest|workflow_parse_reply|json_patch|json_patch_diff|cell_names)$' ORDER BY what COLLATE "C";
SELECT what FROM member JOIN pg_proc ON classid = 'pg_proc'::regclass AND objid = pg_proc.oid
 WHERE provolatile = 'v' AND proparallel = 's' ORDER BY what COLLATE "C";

-- All tables and sequences go into a dump.
SELECT what FROM member JOIN pg_class ON classid = 'pg_class'::regclass AND objid = pg_class.oid
 WHERE relkind IN ('r', 'S') AND pg_class.oid <> ALL ((SELECT coalesce(extconfig, '{}') FROM pg_extension WHERE extname = 'notebook_migrate')::oid[])
 ORDER BY what COLLATE "C";

-- Every key of a document's table starts with its id; nothing is unique across documents but the heads.
SELECT c.relname, i.indexrelid::regclass
  FROM pg_index AS i
  JOIN pg_class AS c ON c.oid = i.indrelid
  JOIN pg_attribute AS a ON a.attrelid = c.oid AND a.attnum = i.indkey[0]
 WHERE c.relnamespace = 'notebook_migrate'::regnamespace AND i.indisunique AND c.relname !~ '^schema_'
   AND a.attname NOT IN ('notebook_id', 'workflow_id') ORDER BY c.relname COLLATE "C", i.indexrelid;

-- The library's settings are reserved: a misspelt one is an error.
DO $$
BEGIN
  PERFORM notebook_migrate.notebook_at(-1);
EXCEPTION WHEN SQLSTATE '02000' THEN NULL;
END $$;
SET notebook_migrate.autor = 'x';
\echo :SQLSTATE
