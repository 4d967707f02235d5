-- The database in which all other files work: the extension, and a schema
-- "sample" with a few functions that build the documents of the examples.
CREATE EXTENSION notebook_migrate;

SELECT e.extname, n.nspname AS script_in, e.extrelocatable,
       e.extversion = a.default_version AS is_default_version,
       a.comment IS NOT NULL AS has_comment
  FROM pg_extension e
  JOIN pg_namespace n ON n.oid = e.extnamespace
  JOIN pg_available_extensions a ON a.name = e.extname
 WHERE e.extname = 'notebook_migrate';

-- The schema was made by the script, and belongs to the extension.
SELECT pg_describe_object(classid, objid, 0) AS member
  FROM pg_depend
 WHERE refclassid = 'pg_extension'::regclass AND deptype = 'e'
   AND refobjid = (SELECT oid FROM pg_extension WHERE extname = 'notebook_migrate')
   AND classid = 'pg_namespace'::regclass;

-- Every object has a comment (table and view columns are not asked for).
SELECT pg_describe_object(classid, objid, 0) AS without_comment
  FROM pg_depend
 WHERE refclassid = 'pg_extension'::regclass AND deptype = 'e'
   AND refobjid = (SELECT oid FROM pg_extension WHERE extname = 'notebook_migrate')
   AND obj_description(objid, classid::regclass::name) IS NULL
   AND NOT (classid = 'pg_type'::regclass AND objid IN
              (SELECT oid FROM pg_type WHERE typrelid <> 0 OR typelem <> 0))
 ORDER BY pg_describe_object(classid, objid, 0) COLLATE "C";

-- The examples' documents.
CREATE SCHEMA sample;

-- A cell: code unless said otherwise, without an id unless one is given.
CREATE FUNCTION sample.cell(source text, id text = NULL, cell_type text = 'code',
    outputs jsonb = '[]', execution_count int = NULL, metadata jsonb = '{}')
RETURNS jsonb LANGUAGE sql IMMUTABLE AS $$
  SELECT jsonb_build_object('cell_type', cell_type, 'metadata', metadata, 'source', source)
      || CASE WHEN id IS NULL THEN '{}' ELSE jsonb_build_object('id', id) END
      || CASE WHEN cell_type <> 'code' THEN '{}'
              ELSE jsonb_build_object('outputs', outputs, 'execution_count', execution_count) END
$$;

-- What print(text) leaves in a cell's outputs.
CREATE FUNCTION sample.printed(text) RETURNS jsonb LANGUAGE sql IMMUTABLE AS $$
  SELECT jsonb_build_array(jsonb_build_object('output_type', 'stream', 'name', 'stdout', 'text', $1))
$$;

-- A notebook of these cells.
CREATE FUNCTION sample.notebook(VARIADIC cells jsonb[] = '{}')
RETURNS jsonb LANGUAGE sql IMMUTABLE AS $$
  SELECT jsonb_build_object('cells', to_jsonb(cells), 'metadata', '{}'::jsonb,
                            'nbformat', 4, 'nbformat_minor', 5)
$$;

-- A notebook of code cells without ids that have these sources.
CREATE FUNCTION sample.sources(VARIADIC sources text[])
RETURNS jsonb LANGUAGE sql IMMUTABLE AS $$
  SELECT sample.notebook(VARIADIC ARRAY(SELECT sample.cell(s)
                                          FROM unnest(sources) WITH ORDINALITY AS u (s, n)
                                         ORDER BY n))
$$;

-- A Python operator as Texera stores it.
CREATE FUNCTION sample.operator(id text, code text, name text = NULL,
    operator_type text = 'PythonUDFV2', disabled boolean = false)
RETURNS jsonb LANGUAGE sql IMMUTABLE AS $$
  SELECT jsonb_build_object('operatorID', id, 'operatorType', operator_type,
           'operatorVersion', 'N/A', 'operatorProperties', jsonb_build_object('code', code, 'workers', 1),
           'inputPorts', '[{"portID": "input-0"}]'::jsonb, 'outputPorts', '[{"portID": "output-0"}]'::jsonb,
           'showAdvanced', false, 'isDisabled', disabled, 'customDisplayName', coalesce(name, id))
$$;

-- A link from the output of one operator to the input of another.
CREATE FUNCTION sample.link(id text, source text, target text)
RETURNS jsonb LANGUAGE sql IMMUTABLE AS $$
  SELECT jsonb_build_object('linkID', id,
           'source', jsonb_build_object('operatorID', source, 'portID', 'output-0'),
           'target', jsonb_build_object('operatorID', target, 'portID', 'input-0'))
$$;

-- A workflow: every operator stands at 0, 0 unless positions say otherwise.
CREATE FUNCTION sample.workflow(operators jsonb[], links jsonb[] = '{}',
    positions jsonb = '{}', comments jsonb = '[]')
RETURNS jsonb LANGUAGE sql IMMUTABLE AS $$
  SELECT jsonb_build_object('operators', to_jsonb(operators), 'links', to_jsonb(links),
           'operatorPositions', coalesce((SELECT jsonb_object_agg(o ->> 'operatorID', '{"x": 0, "y": 0}'::jsonb)
                                   FROM unnest(operators) AS o), '{}') || positions,
           'commentBoxes', comments, 'settings', '{"dataTransferBatchSize": 400}'::jsonb)
$$;

-- One line of text of each of these, for looking at them side by side.
CREATE FUNCTION sample.sorted(text[]) RETURNS text[] LANGUAGE sql IMMUTABLE AS $$
  SELECT ARRAY(SELECT u FROM unnest($1) AS u ORDER BY u COLLATE "C")
$$;

GRANT USAGE ON SCHEMA sample TO PUBLIC;
SELECT sample.notebook(sample.cell('print(1)', 'a', outputs => sample.printed('1')));
SELECT member FROM jsonb_object_keys(sample.workflow(
    ARRAY[sample.operator('A', 'x = 1'), sample.operator('B', 'y = 2')], ARRAY[sample.link('L', 'A', 'B')])) AS member
 ORDER BY member COLLATE "C";
