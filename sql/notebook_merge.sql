-- Three-way merge: what two people did to one notebook, put together.
SET search_path = notebook_migrate, public;
\set SHOW_CONTEXT always
\set base 'sample.notebook(sample.cell(''import os'', ''a''), sample.cell(E''x = 1\\ny = 2\\nz = 3'', ''b''), sample.cell(''print(x)'', ''c''))'

-- Two notebooks that people made of one base: the cells of the result, one a
-- row, then what conflicts.
CREATE FUNCTION pg_temp.merged(base jsonb, ours jsonb, theirs jsonb, strategy text = 'conflict')
RETURNS SETOF text LANGUAGE sql AS $$
  SELECT t FROM notebook_migrate.notebook_merge(base, ours, theirs, strategy) AS m, LATERAL (
    SELECT n, coalesce(c ->> 'id' || ': ', '') || replace(c ->> 'source', E'\n', ' | ')
      FROM jsonb_array_elements(m.content -> 'cells') WITH ORDINALITY AS e (c, n)
     UNION ALL
    SELECT 1000 + n, '!! ' || concat_ws(' ', c ->> 'kind', c ->> 'path', 'taken ' || (c ->> 'taken'), c -> 'lines')
      FROM jsonb_array_elements(m.conflicts) WITH ORDINALITY AS e (c, n)) AS r (n, t)
   ORDER BY n
$$;
-- A notebook with a change somewhere.
CREATE FUNCTION pg_temp.with(nb jsonb, path text, value jsonb) RETURNS jsonb LANGUAGE sql AS
  $$ SELECT jsonb_set($1, $2::text[], $3) $$;

-- Different cells: both edits are there, and nothing conflicts.
SELECT pg_temp.merged(:base, pg_temp.with(:base, '{cells,0,source}', '"import os, sys"'),
                             pg_temp.with(:base, '{cells,2,source}', '"print(x, y)"'));

-- Different lines of one cell.
SELECT pg_temp.merged(:base, pg_temp.with(:base, '{cells,1,source}', '"x = 10\ny = 2\nz = 3"'),
                             pg_temp.with(:base, '{cells,1,source}', '"x = 1\ny = 2\nz = 30"'));

-- The same line: content has ours, conflicts has all three.
SELECT pg_temp.merged(:base, pg_temp.with(:base, '{cells,1,source}', '"x = 1\ny = 20\nz = 3"'),
                             pg_temp.with(:base, '{cells,1,source}', '"x = 1\ny = 22\nz = 3\nw = 4"'));
SELECT jsonb_pretty(conflicts) FROM notebook_merge(:base,
  pg_temp.with(:base, '{cells,1,source}', '"x = 1\ny = 20\nz = 3"'), pg_temp.with(:base, '{cells,1,source}', '"x = 1\ny = 22\nz = 3\nw = 4"'));

-- mark: git's markers. ours, theirs: that side's lines, there and nowhere else.
SELECT pg_temp.merged(:base, pg_temp.with(:base, '{cells,1,source}', '"x = 1\ny = 20\nz = 3"'),
                             pg_temp.with(:base, '{cells,1,source}', '"x = 1\ny = 22\nz = 3\nw = 4"'), s)
  FROM unnest('{mark,ours,theirs}'::text[]) AS s;

-- As in git, changes that touch conflict, and lines that both have are taken.
SELECT pg_temp.merged(:base, pg_temp.with(:base, '{cells,1,source}', '"x = 10\ny = 2\nz = 3"'),
                             pg_temp.with(:base, '{cells,1,source}', '"x = 1\ny = 20\nz = 3"'), 'mark');
SELECT pg_temp.merged(:base, pg_temp.with(:base, '{cells,1,source}', '"x = 1\nboth\nours\nz = 3"'),
                             pg_temp.with(:base, '{cells,1,source}', '"x = 1\nboth\ntheirs\nz = 3"'), 'mark');
SELECT pg_temp.merged(:base, pg_temp.with(:base, '{cells,0,source}', '""'), pg_temp.with(:base, '{cells,0,source}', '"import re"'), 'mark');

-- Deleted here, edited there: the cell stays as it was edited, and a conflict tells.
SELECT pg_temp.merged(:base, :base #- '{cells,1}', pg_temp.with(:base, '{cells,1,source}', '"x = 2"'), s)
  FROM unnest('{conflict,ours,theirs}'::text[]) AS s;
SELECT pg_temp.merged(:base, pg_temp.with(:base, '{cells,1,metadata}', '{"tags": ["kept"]}'), :base #- '{cells,1}', s)
  FROM unnest('{mark,ours,theirs}'::text[]) AS s;
SELECT c -> 'base' = :base #> '{cells,1}' AS base, c -> 'ours' AS ours, c #>> '{theirs,source}' AS theirs
  FROM notebook_merge(:base, :base #- '{cells,1}', pg_temp.with(:base, '{cells,1,source}', '"x = 2"')), jsonb_array_elements(conflicts) AS c;

-- Deleted here, untouched, run again or given another id there: it goes.
SELECT pg_temp.merged(:base, :base #- '{cells,1}', pg_temp.with(pg_temp.with(pg_temp.with(:base,
  '{cells,1,execution_count}', '7'), '{cells,1,outputs}', sample.printed('3')), '{cells,1,id}', '"b2"'));
-- Deleted by both.
SELECT pg_temp.merged(:base, :base #- '{cells,1}', (:base #- '{cells,1}') #- '{cells,0}');

-- Both insert: ours first. What is inserted equally is there once, and keeps both sides' order.
SELECT pg_temp.merged(sample.sources('one', 'two'), sample.sources('one', 'ours 1', 'ours 2', 'two'),
                                                    sample.sources('one', 'theirs', 'two'));
SELECT pg_temp.merged(sample.sources('one', 'two'), sample.sources('one', 'both', 'ours', 'two'),
                                                    sample.sources('one', 'theirs', 'both', 'two', 'last'));
SELECT pg_temp.merged(sample.sources('one', 'two'), sample.sources('one', 'import re', 'two'), sample.sources('one', 'two', 'import re'));
-- What its place was after is gone: it stands after what is left before that.
SELECT pg_temp.merged(sample.sources('one', 'two', 'three'), sample.sources('one', 'three'), sample.sources('one', 'two', 'new', 'three'));

-- Moved here, edited there; moved by both sides; both to different places.
SELECT pg_temp.merged(sample.sources('one', 'two', 'three', 'four'), sample.sources('four', 'one', 'two', 'three'),
                      sample.sources('one', 'two', 'three', 'four, edited'));
SELECT pg_temp.merged(sample.sources('one', 'two', 'three', 'four'), sample.sources('four', 'one', 'two', 'three'),
                      sample.sources('one', 'three', 'two', 'four'));
SELECT pg_temp.merged(sample.sources('one', 'two', 'three', 'four'), sample.sources('four', 'one', 'two', 'three'),
                      sample.sources('one', 'four', 'two', 'three'), s) FROM unnest('{conflict,theirs}'::text[]) AS s;
SELECT pg_temp.merged(sample.sources('one', 'two', 'three', 'four'), sample.sources('four', 'one', 'two', 'three'),
                      sample.sources('four', 'one', 'two', 'three', 'five'));
-- Deleted here, moved there: somebody still wants it.
SELECT pg_temp.merged(sample.sources('one', 'two', 'three', 'four'), sample.sources('one', 'two', 'three'), sample.sources('four', 'one', 'two', 'three'));

-- Outputs and execution count come from one side, and never conflict: from the one
-- that ran the cell, or, if both did, from the one whose source it is.
CREATE FUNCTION pg_temp.ran(nb jsonb, source text, count int) RETURNS jsonb LANGUAGE sql AS $$
  SELECT jsonb_set(nb, '{cells,0}', sample.cell(source, 'a', outputs => sample.printed('run ' || count), execution_count => count)) $$;
SELECT m.content #> '{cells,0,source}' AS source, m.content #> '{cells,0,execution_count}' AS count,
       m.content #>> '{cells,0,outputs,0,text}' AS printed, m.conflicts
  FROM (VALUES (pg_temp.ran(:base, 'import os', 1), pg_temp.with(:base, '{cells,0,source}', '"import re"')),
               (pg_temp.ran(:base, 'import os', 1), pg_temp.ran(:base, 'import os', 2)),
               (pg_temp.ran(:base, 'import os', 1), pg_temp.ran(:base, 'import re', 2)),
               (pg_temp.ran(:base, 'import os # a', 1), pg_temp.ran(:base, 'import os', 2))) AS v (ours, theirs),
       notebook_merge(:base, ours, theirs) AS m;
-- A cell that became markdown gets no outputs back.
SELECT m.content #> '{cells,0}' AS cell, m.conflicts
  FROM notebook_merge(:base, pg_temp.with(:base, '{cells,0}', sample.cell('import os', 'a', 'markdown')), pg_temp.ran(:base, 'import os', 1)) AS m;

-- Metadata is merged member by member at any depth; an array is one value.
SELECT m.content #> '{cells,0,metadata}' AS metadata, m.conflicts
  FROM (SELECT pg_temp.with(:base, '{cells,0,metadata}', '{"tags": ["a"], "a b": {"x": 1, "y": 2}}') AS b) AS b,
       notebook_merge(b, pg_temp.with(b, '{cells,0,metadata}', '{"tags": ["a", "o"], "a b": {"x": 1.0, "y": 3, "o": 1}}'),
                         pg_temp.with(b, '{cells,0,metadata}', '{"tags": ["a", "t"], "a b": {"x": 1, "y": 4, "t": 1}}')) AS m;
-- Types, other members, and both ids.
SELECT m.content #> '{cells,0}' AS cell, m.conflicts
  FROM notebook_merge(:base, pg_temp.with(:base, '{cells,0}', '{"cell_type": "markdown", "source": "import os", "metadata": {"uuid": "u1"}, "id": "o", "attachments": {"i": 1}}'),
                             pg_temp.with(:base, '{cells,0}', '{"cell_type": "raw", "source": "import os", "metadata": {"uuid": "u2"}, "id": "t", "attachments": {"i": 2}}')) AS m;
-- The notebook's own metadata; language_info never conflicts.
SELECT m.content -> 'metadata' AS metadata, m.conflicts
  FROM notebook_merge(:base, :base || '{"metadata": {"title": "ours", "o": 1, "language_info": {"version": "3.11"}}}',
                             :base || '{"metadata": {"title": "theirs", "t": 1, "language_info": {"version": "3.12"}}}') AS m;

-- The form of a source is that of ours; what one side changed is that side's to the letter.
SELECT m.content #> '{cells,0,source}' AS source
  FROM (VALUES ('["one\n", "two\n", "three"]'::jsonb, '["one\n", "two\n", "3"]'::jsonb, '"1\ntwo\nthree"'::jsonb),
               ('["one\n", "two"]', '["one\n", "two"]', '"1\ntwo"'), ('["one\n", "two"]', '"one\ntwo"', '["1\n", "two\n"]'),
               ('"one\ntwo\nthree\n"', '["1\n", "two\n", "three\n"]', '"one\ntwo\n3\n"')) AS v (b, o, t),
       notebook_merge(pg_temp.with(:base, '{cells,0,source}', b), pg_temp.with(:base, '{cells,0,source}', o), pg_temp.with(:base, '{cells,0,source}', t)) AS m;

-- Numbers keep their text, 1.0 and 9007199254740993 among them.
SELECT (m.content -> 'metadata')::text AS metadata
  FROM notebook_merge(:base, :base || '{"metadata": {"o": 1.0}}', :base || '{"metadata": {"t": 9007199254740993}}') AS m;

-- The laws: equal changes, or none on one side, give that very notebook.
SELECT name, m.content::text = x::text AS same, m.conflicts
  FROM (SELECT :base AS b, pg_temp.with(:base, '{cells,1}', sample.cell('new', 'n')) || '{"metadata": {"v": 1.0}}' AS x) AS v,
       LATERAL (VALUES ('x, x', x, x), ('b, x', b, x), ('x, b', x, b)) AS law (name, o, t), notebook_merge(b, o, t) AS m ORDER BY name;

-- Worksheets of nbformat 3: a cell stays in ours' worksheet, a new one is in its predecessor's.
CREATE FUNCTION pg_temp.sheets(VARIADIC text[]) RETURNS jsonb LANGUAGE sql AS $$
  SELECT jsonb_build_object('nbformat', 3, 'worksheets', (SELECT jsonb_agg(jsonb_build_object('cells',
           (SELECT coalesce(jsonb_agg(jsonb_build_object('cell_type', 'code', 'input', s) ORDER BY k), '[]')
              FROM unnest(string_to_array(sheet, ' ')) WITH ORDINALITY AS c (s, k))) ORDER BY n)
    FROM unnest($1) WITH ORDINALITY AS u (sheet, n))) $$;
SELECT m.content = pg_temp.sheets('one new two', 'three 4') AS same, m.conflicts
  FROM notebook_merge(pg_temp.sheets('one two', 'three four'), pg_temp.sheets('one new two', 'three four'), pg_temp.sheets('one two', 'three 4')) AS m;
SELECT m.content = pg_temp.sheets('one', 'two three first', '') AS same, m.conflicts
  FROM notebook_merge(pg_temp.sheets('one two', 'three', ''), pg_temp.sheets('one', 'two three', ''), pg_temp.sheets('one two', 'three first', '')) AS m;
SELECT c ->> 'path' AS path FROM notebook_merge(pg_temp.sheets('one', 'two'), pg_temp.sheets('one', 'two+ours'), pg_temp.sheets('one', 'two+theirs')), jsonb_array_elements(conflicts) AS c;

-- An empty notebook.
SELECT pg_temp.merged(sample.notebook(), sample.sources('o'), sample.sources('t'));
SELECT pg_temp.merged(sample.sources('x'), sample.notebook(), sample.notebook() || '{"metadata": {"t": 1}}');

-- The times of a run, which JupyterLab notes, are no edit: both may have run a cell, and a cell that was only run can be deleted.
SELECT content #> '{cells,1,metadata}' AS metadata, conflicts
  FROM notebook_merge(:base, pg_temp.with(:base, '{cells,1,metadata}', '{"execution": {"started": 1}}'),
                             pg_temp.with(:base, '{cells,1,metadata}', '{"execution": {"started": 2}, "tags": ["slow"]}'));
SELECT jsonb_array_length(content -> 'cells') AS cells, conflicts
  FROM notebook_merge(:base, :base #- '{cells,1}', pg_temp.with(:base, '{cells,1,metadata}', '{"execution": {"started": 2}}'));

-- Both joined the same two cells, and one went on: the joined cell is there once.
SELECT jsonb_path_query_array(content, '$.cells[*].source') AS sources, conflicts
  FROM notebook_merge(sample.sources('import re', 'rides = read_table("rides.csv")', 'fares = read_table("fares.csv")', 'plot(rides, fares)'),
                      sample.sources('import re', E'rides = read_table("rides.csv")\nfares = read_table("fares.csv")', 'plot(rides, fares)'),
                      sample.sources('import re', E'rides = read_table("rides.csv")\nfares = read_table("fares.csv")', 'both = rides.merge(fares, on="ride")', 'plot(rides, fares)'));

-- What cannot be merged.
SELECT notebook_merge(NULL, :base, :base);
\echo :SQLSTATE
SELECT notebook_merge(:base, NULL, :base);
\echo :SQLSTATE
SELECT notebook_merge(:base, :base, NULL);
\echo :SQLSTATE
SELECT notebook_merge(:base, :base, :base, NULL);
\echo :SQLSTATE
SELECT notebook_merge(:base, :base, :base, 'union');
\echo :SQLSTATE
SELECT notebook_merge(:base, '[]', :base);
\echo :SQLSTATE
SELECT notebook_merge('{}', :base, :base);
\echo :SQLSTATE
SELECT notebook_merge(:base, :base, pg_temp.with(:base, '{cells,2,source}', '5'));
\echo :SQLSTATE
SELECT notebook_merge(:base, pg_temp.with(:base, '{cells,0}', '5'), pg_temp.with(:base, '{cells,0}', '5'));
\echo :SQLSTATE
SELECT notebook_merge(:base, :base || '{"metadata": {"o": 1}}', pg_temp.sheets('one'));
\echo :SQLSTATE
SELECT notebook_merge(pg_temp.sheets('one', 'two'), pg_temp.sheets('one', '2'), pg_temp.sheets('one two'));
\echo :SQLSTATE
SELECT notebook_merge(:base, :base, jsonb_set(:base, '{metadata}', (repeat('[', 1000) || repeat(']', 1000))::jsonb));
\echo :SQLSTATE
SET notebook_migrate.max_document_size = '1MB';
SELECT notebook_merge(:base, :base, sample.sources(repeat('x', 2000000)));
\echo :SQLSTATE
RESET notebook_migrate.max_document_size;
