-- What changed as one text, to be read.
SET search_path = notebook_migrate, public;
SET notebook_migrate.author = 'anna';
SET DateStyle = 'ISO';
\pset format unaligned
\pset tuples_only on

-- The text without the times of the versions.
CREATE FUNCTION pg_temp.shown(text) RETURNS text LANGUAGE sql AS $$
  SELECT regexp_replace($1, '^(--- |\+\+\+ )(.*, version \d+, \w+, )[0-9 :+-]*\d', '\1\2<time>', 'ng')
$$;

INSERT INTO notebook (notebook_id, name, content) VALUES (2301, 'sales', sample.notebook(
  sample.cell(E'# Sales\n\nA look at the sales of this year.', 'a', 'markdown'),
  sample.cell(E'import pandas as pd\n\ndef load(path):\n    return pd.read_csv(path)\n\nsales = load("sales.csv")\nprint(len(sales))', 'b', outputs => sample.printed(E'1200\n'), execution_count => 1),
  sample.cell('sales.describe()', 'c', execution_count => 2),
  sample.cell('sales.plot()', 'd', execution_count => 3),
  sample.cell('sales.head()', 'e', execution_count => 4)));

-- Nothing changed.
SELECT '[' || notebook_diff_text(2301, 1, 1) || ']';

-- An afternoon's work.
SELECT notebook_commit(2301, sample.notebook(
  sample.cell(E'# Sales\n\nA look at the sales of this year.', 'a', 'markdown'),
  sample.cell('sales.plot(kind="bar")', 'd', execution_count => 13),
  sample.cell(E'import pandas as pd\n\ndef clean(table):\n    return table.dropna()\n\ndef load(path):\n    return pd.read_csv(path)\n\nsales = clean(load("sales.csv"))\nprint(len(sales))', 'b',
    outputs => sample.printed(E'1187\n'), execution_count => 11, metadata => '{"tags": ["slow"]}'),
  sample.cell('sales.groupby("month").sum()', 'f', execution_count => 12),
  sample.cell('sales.head()', 'e', execution_count => 14)) || '{"metadata": {"kernelspec": {"name": "python3"}}}',
  E'Rows without a price are left out\n\nThey were counted.');
SELECT pg_temp.shown(notebook_diff_text(2301, 1, 2));
-- Backwards; NULL is the newest version.
SELECT pg_temp.shown(notebook_diff_text(2301, NULL, 1));

-- Metadata by path, with both values. What is long is cut, what is large told by its members.
INSERT INTO notebook (notebook_id, content) VALUES (2302, sample.notebook(sample.cell('x', 'a', metadata =>
  '{"tags": ["a", "b", "c"], "slideshow": {"slide_type": "slide"}, "collapsed": false, "note": "two\nlines", "odd key": 1}')));
SELECT notebook_edit(2302, jsonb_build_array(jsonb_build_object('op', 'replace', 'cell', 'a', 'value', sample.cell('x', 'b', 'raw', metadata =>
  '{"tags": ["a", "x", "b", "c"], "slideshow": {"slide_type": "subslide"}, "collapsed": true, "note": "two\nother lines", "odd.key": 2}'::jsonb
  || jsonb_build_object('long', repeat('no end ', 50), 'large', jsonb_build_object('list', (SELECT jsonb_agg(i) FROM generate_series(1, 60) AS i), 'last', 'one'))))));
SELECT pg_temp.shown(notebook_diff_text(2302, 1, 2));

-- Outputs are summed up; what was printed is shown if it is short. Base64 never is.
CREATE FUNCTION pg_temp.image(size int) RETURNS jsonb LANGUAGE sql AS $$
  SELECT jsonb_build_object('output_type', 'display_data', 'metadata', '{}'::jsonb, 'data', jsonb_build_object('text/plain', '<Figure>',
    'image/png', replace(encode(decode(repeat('89504e470d0a1a', size / 7), 'hex'), 'base64'), E'\n', '')))
$$;
INSERT INTO notebook (notebook_id, content) VALUES (2303, sample.notebook(
  sample.cell('print', 'a', outputs => sample.printed(E'one\ntwo\nthree\n')), sample.cell('many', 'b', outputs => sample.printed(repeat(E'line\n', 50))),
  sample.cell('plot', 'c', outputs => jsonb_build_array(pg_temp.image(30000))), sample.cell('fail', 'd', outputs =>
  '[{"output_type": "error", "ename": "KeyError", "evalue": "''price''", "traceback": []}]'), sample.cell('clear', 'e', outputs => sample.printed('1'))));
SELECT notebook_edit(2303, jsonb_build_array(
  jsonb_build_object('op', 'replace', 'cell', 'a', 'value', sample.cell('print', 'a', outputs => sample.printed(E'one\n2\nthree\n'))),
  jsonb_build_object('op', 'replace', 'cell', 'b', 'value', sample.cell('many', 'b', outputs => sample.printed(repeat(E'line\n', 60)))),
  jsonb_build_object('op', 'replace', 'cell', 'c', 'value', sample.cell('plot', 'c', outputs => jsonb_build_array(pg_temp.image(60000), pg_temp.image(700)))),
  jsonb_build_object('op', 'replace', 'cell', 'd', 'value', sample.cell('fail', 'd', outputs =>
    '[{"output_type": "execute_result", "metadata": {}, "execution_count": 1, "data": {"text/html": "<b>7</b>", "text/plain": "7"}}]', execution_count => 1)),
  jsonb_build_object('op', 'replace', 'cell', 'e', 'value', sample.cell('clear', 'e'))));
SELECT pg_temp.shown(notebook_diff_text(2303, 1, 2));
-- nbformat 3 has other names for them.
INSERT INTO notebook (notebook_id, content) VALUES (2304, '{"nbformat": 3, "nbformat_minor": 0, "metadata": {}, "worksheets": [{"cells": [
  {"cell_type": "code", "input": "1", "outputs": [{"output_type": "pyout", "prompt_number": 1, "text": ["1"]}], "prompt_number": 1}]}]}');
SELECT notebook_commit(2304, '{"nbformat": 3, "nbformat_minor": 0, "metadata": {}, "worksheets": [{"cells": [
  {"cell_type": "code", "input": "plot", "outputs": [{"output_type": "display_data", "png": "iVBORw0KGgo=", "text": ["<fig>"]}], "prompt_number": 2}]}]}');
SELECT pg_temp.shown(notebook_diff_text(2304, 1, 2));

-- Run again with the same outcome, or under new ids: one line for all cells.
INSERT INTO notebook (notebook_id, content) SELECT 2305, sample.notebook(VARIADIC array_agg(sample.cell('cell ' || i, 'i' || i, execution_count => i))) FROM generate_series(1, 12) AS i;
SELECT notebook_commit(2305, (SELECT sample.notebook(VARIADIC array_agg(sample.cell('cell ' || i, 'i' || i, execution_count => i + 20))) FROM generate_series(1, 12) AS i));
SELECT notebook_commit(2305, (SELECT sample.notebook(VARIADIC array_agg(sample.cell('cell ' || i, CASE WHEN i < 4 THEN 'n' ELSE 'i' END || i, execution_count => i + 20))) FROM generate_series(1, 12) AS i));
SELECT pg_temp.shown(notebook_diff_text(2305, 1, 2));
SELECT pg_temp.shown(notebook_diff_text(2305, 2, 3));

-- Control characters are shown, not sent; long lines are cut at a character, and images in the text told of.
INSERT INTO notebook (notebook_id, content) VALUES (2306, sample.notebook(sample.cell(E'a\r\nb', 'a')));
SELECT notebook_edit(2306, jsonb_build_array(jsonb_build_object('op', 'replace', 'cell', 'a', 'value', sample.cell(
  E'a\nb\x1b[31m\n' || repeat('ä', 1500) || E'\n![x](data:image/png;base64,' || repeat('iVBORw0K', 500) || E')\n' || repeat('=', 200), 'a'))));
SELECT pg_temp.shown(notebook_diff_text(2306, 1, 2));
-- Of a long line that was changed, the place where it was.
INSERT INTO notebook (notebook_id, content) VALUES (2307, sample.notebook(sample.cell(repeat('wörd ', 1000), 'a')));
SELECT notebook_edit(2307, jsonb_build_array(jsonb_build_object('op', 'replace', 'cell', 'a', 'value', sample.cell(
  repeat('wörd ', 900) || repeat('new word ', 3) || repeat('wörd ', 97), 'a'))));
SELECT regexp_replace(pg_temp.shown(notebook_diff_text(2307, 1, 2)), '(wörd ){5,}', '(wörds)', 'g');
-- The same text in another form.
SELECT notebook_commit(2306, '{"cells": [{"id": "a", "cell_type": "code", "metadata": {}, "outputs": [], "execution_count": null, "source": ["1\n", "2"]}], "metadata": {}, "nbformat": 4, "nbformat_minor": 5}');
SELECT notebook_commit(2306, jsonb_set(notebook_at(2306), '{cells,0,source}', '"1\n2"'));
SELECT pg_temp.shown(notebook_diff_text(2306, 3, 4));

-- Workflows.
INSERT INTO workflow (workflow_id, name, content) VALUES (2301, 'flow', sample.workflow(
  ARRAY[sample.operator('UDF1', E'a = 1\nb = 2\nyield a', 'Read'), sample.operator('UDF2', 'clean()', 'Clean'), sample.operator('UDF3', 'plot()', 'Plot'),
        jsonb_set(sample.operator('F', '', 'Filter', 'Filter'), '{operatorProperties}', '{"predicates": [{"attribute": "a", "value": "1"}]}')],
  ARRAY[sample.link('L1', 'UDF1', 'UDF2'), sample.link('L2', 'UDF2', 'UDF3')]));
SELECT workflow_commit(2301, sample.workflow(
  ARRAY[sample.operator('UDF1', E'a = 1\nb = 3\nyield a', 'Read all'), sample.operator('UDF4', E'save()\n', 'Save'), sample.operator('UDF3', 'plot()', 'Plot'),
        jsonb_set(sample.operator('F', '', 'Filter', 'Filter'), '{operatorProperties}', '{"predicates": [{"attribute": "a", "value": "2"}], "limit": 10}')],
  ARRAY[sample.link('L1', 'UDF1', 'UDF3'), sample.link('L2', 'UDF3', 'UDF4'), sample.link('L3', 'UDF3', 'nobody')],
  '{"UDF3": {"x": 5, "y": 7}, "UDF1": {"x": 5, "y": 8}}', '[{"commentBoxID": "c", "comments": []}]'));
SELECT pg_temp.shown(workflow_diff_text(2301, 1, 2));
SELECT '[' || workflow_diff_text(2301, 2, 2) || ']';
-- A box moved, a link turned, an operator under a new id.
SELECT workflow_commit(2301, jsonb_set(workflow_at(2301), '{operatorPositions,F}', '{"x": 50, "y": 7}'));
SELECT pg_temp.shown(workflow_diff_text(2301, 2, 3));
SELECT workflow_commit(2301, jsonb_set(workflow_at(2301), '{links,2,target,operatorID}', '"F"'));
SELECT pg_temp.shown(workflow_diff_text(2301, 3, 4));
SELECT workflow_commit(2301, replace(workflow_at(2301)::text, '"UDF3"', '"UDF3-clone"')::jsonb);
SELECT pg_temp.shown(workflow_diff_text(2301, 4, 5));

-- Where several operators have the id that a link names, it is the oldest, wherever that stands: both diffs agree that no link changed.
INSERT INTO workflow (workflow_id, content) VALUES (2302, sample.workflow(ARRAY[sample.operator('X', 'one'), sample.operator('X', 'two'), sample.operator('Y', 'y')], ARRAY[sample.link('L', 'X', 'Y')]));
SELECT workflow_commit(2302, sample.workflow(ARRAY[sample.operator('X', 'two'), sample.operator('X', 'one'), sample.operator('Y', 'z')], ARRAY[sample.link('L', 'X', 'Y')]));
SELECT change, operator_key FROM workflow_diff(2302, 1, 2);
SELECT pg_temp.shown(workflow_diff_text(2302, 1, 2));

-- The times are those of the session's zone and style.
SET TIME ZONE 'Asia/Kolkata';
SET DateStyle = 'German';
SELECT DISTINCT regexp_replace(l, '\d', '9', 'g') FROM regexp_split_to_table(workflow_diff_text(2301, 1, 2), '\n') AS l WHERE l ~ '^--- ';
RESET TIME ZONE;
SET DateStyle = 'ISO';

-- An output of very many forms: some are named, the others are counted.
INSERT INTO notebook (notebook_id, content) VALUES (2390, sample.notebook(sample.cell('x', 'a')));
SELECT notebook_commit(2390, sample.notebook(sample.cell('x', 'a', outputs => jsonb_build_array(jsonb_build_object('output_type', 'display_data',
  'data', (SELECT jsonb_object_agg('form/' || i, 'abc') FROM generate_series(1, 9) AS i))))));
SELECT pg_temp.shown(notebook_diff_text(2390, 1, 2));
-- A string that is escaped piece by piece is the same string.
SELECT notebook_commit(2390, sample.notebook(sample.cell('x', 'a')) || jsonb_build_object('note', repeat('"é\x', 600000)));
SELECT l FROM regexp_split_to_table(notebook_diff_text(2390, 1, 3), '\n') AS l WHERE l ~ '^note';

-- What is not there.
\set VERBOSITY sqlstate
SELECT notebook_diff_text(2399, 1, 1);
SELECT notebook_diff_text(2301, 1, 99);
SELECT workflow_diff_text(2301, 0, 1);
SELECT workflow_diff_text(NULL, 1, 1);

DELETE FROM notebook WHERE notebook_id BETWEEN 2301 AND 2399;
DELETE FROM workflow WHERE workflow_id IN (2301, 2302);
