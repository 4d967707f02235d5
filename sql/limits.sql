-- Documents that are too deep or too large, work that is too long.
SET search_path = notebook_migrate, public;
\set SHOW_CONTEXT never

INSERT INTO notebook (notebook_id, name, content) VALUES (5501, 'limits', sample.sources('x = 1'));
INSERT INTO workflow (workflow_id, name, content) VALUES (5501, 'limits', sample.workflow(ARRAY[sample.operator('A', 'a')]));

-- 1,000 levels are enough for everyone: the document's own is the first.
CREATE FUNCTION pg_temp.deep(levels int) RETURNS jsonb LANGUAGE sql AS $$
  SELECT (repeat('[', levels) || repeat(']', levels))::jsonb
$$;
SELECT notebook_commit(5501, jsonb_build_object('cells', '[]'::jsonb, 'metadata', pg_temp.deep(999))) AS version;
SELECT notebook_commit(5501, jsonb_build_object('cells', '[]'::jsonb, 'metadata', pg_temp.deep(1000)));
\echo :SQLSTATE
SELECT notebook_commit(5501, jsonb_build_object('cells', '[]'::jsonb, 'metadata', pg_temp.deep(10000)));
\echo :SQLSTATE
SELECT notebook_commit(5501, sample.notebook(sample.cell('x', outputs => pg_temp.deep(10000))));
\echo :SQLSTATE
INSERT INTO notebook (name, content) VALUES ('deep', jsonb_build_object('cells', pg_temp.deep(10000)));
\echo :SQLSTATE
UPDATE notebook SET content = jsonb_build_object('cells', '[]'::jsonb, 'x', pg_temp.deep(10000)) WHERE notebook_id = 5501;
\echo :SQLSTATE
SELECT workflow_commit(5501, jsonb_build_object('operators', '[]'::jsonb, 'settings', pg_temp.deep(10000)));
\echo :SQLSTATE
SELECT notebook_edit(5501, jsonb_build_array(jsonb_build_object('op', 'insert', 'value',
  sample.cell('x', metadata => jsonb_build_object('deep', pg_temp.deep(10000))))));
\echo :SQLSTATE
SELECT workflow_edit(5501, jsonb_build_array(jsonb_build_object('layout', jsonb_build_object('settings', pg_temp.deep(10000)))));
\echo :SQLSTATE
SELECT notebook_edit(5501, pg_temp.deep(10000)) IS NULL;
\echo :SQLSTATE
SELECT mapping_put(5501, 1, 5501, 1, jsonb_build_object('links', pg_temp.deep(10000))) IS NULL;
\echo :SQLSTATE

-- A document over the size that the server allows.
SET notebook_migrate.max_document_size = '64kB';
SELECT notebook_commit(5501, sample.sources(repeat('x', 100000)));
\echo :SQLSTATE
\set VERBOSITY sqlstate
SELECT notebook_edit(5501, jsonb_build_array(jsonb_build_object('op', 'insert', 'value', sample.cell(repeat('x', 100000)))));
SELECT workflow_edit(5501, jsonb_build_array(jsonb_build_object('op', 'insert', 'value', sample.operator('B', repeat('x', 100000)))));
\set VERBOSITY default
SELECT workflow_commit(5501, sample.workflow(ARRAY[sample.operator('A', repeat('x', 100000))]));
\echo :SQLSTATE
RESET notebook_migrate.max_document_size;
SELECT notebook_commit(5501, sample.sources(repeat('x', 100000))) AS version;

-- Work is bounded: 10,000 cells, every one of them edited; 10,000 equal cells, one fewer; all of them new.
SET statement_timeout = '60s';
CREATE TEMP TABLE big AS
  SELECT n, (SELECT sample.sources(VARIADIC array_agg(CASE n
      WHEN 1 THEN format(E'value_%s = compute(%s)\nprint(value_%s)', i, i, i)
      WHEN 2 THEN format(E'value_%s = compute(%s, again)\nprint(value_%s)', i, i, i)
      WHEN 3 THEN 'the same in every cell' WHEN 5 THEN md5(i::text) END ORDER BY i)) FROM generate_series(1, 10000) AS i) AS content
    FROM generate_series(1, 5) AS n WHERE n <> 4;
INSERT INTO big SELECT 4, content #- '{cells,5000}' FROM big WHERE n = 3;
INSERT INTO notebook (notebook_id, name, content) SELECT 5502, 'big', content FROM big WHERE n = 1;
SELECT notebook_commit(5502, content) AS version FROM big WHERE n > 1 ORDER BY n;
SELECT v.version, v.cells, notebook_at(5502, v.version) = b.content AS equal
  FROM notebook_version AS v JOIN big AS b ON b.n = v.version WHERE notebook_id = 5502 ORDER BY version;
SELECT count(*) AS same_cells FROM notebook_cells(5502, 1) AS o JOIN notebook_cells(5502, 2) AS n USING (cell_key, position);
SELECT count(*) AS same_cells FROM notebook_cells(5502, 3) AS o JOIN notebook_cells(5502, 4) AS n USING (cell_key);
SELECT count(*) AS rows FROM notebook_diff(5502, 1, 2);

-- Single cells of 5 MB: an edit in the middle, then half of it.
INSERT INTO notebook (notebook_id, name, content)
  SELECT 5503, 'large cell', sample.sources('a', string_agg('line ' || i, E'\n' ORDER BY i), 'b') FROM generate_series(1, 450000) AS i;
SELECT octet_length(content::text) > 5000000 AS is_large FROM notebook WHERE notebook_id = 5503;
SELECT notebook_commit(5503, replace(notebook_at(5503)::text, 'line 200000\n', 'line two hundred thousand\n')::jsonb) AS version;
SELECT count(*) AS same_cells FROM notebook_cells(5503, 1) AS o JOIN notebook_cells(5503, 2) AS n USING (cell_key, position);
SELECT change, detail FROM notebook_diff(5503, 1, 2);
SELECT notebook_commit(5503, jsonb_set(notebook_at(5503), '{cells,1,source}', to_jsonb(reverse(notebook_at(5503) #>> '{cells,1,source}')))) AS version;

-- It can be cancelled, and then nothing is written.
RESET statement_timeout;
BEGIN;
SET LOCAL statement_timeout = '1ms';
SELECT notebook_commit(5502, (SELECT content FROM big WHERE n = 1));
\echo :SQLSTATE
ROLLBACK;
SELECT max(version) FROM notebook_version WHERE notebook_id = 5502;

SELECT v.* FROM generate_series(5501, 5503) AS n (id), store_verify('notebook', n.id) AS v;
DELETE FROM notebook WHERE notebook_id BETWEEN 5501 AND 5599;
DELETE FROM workflow WHERE workflow_id = 5501;
