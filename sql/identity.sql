-- A cell keeps its key through whatever happens to the document around it.
SET search_path = notebook_migrate, public;

-- The keys of a version, in order: p is the version before, the same key means the same cell.
CREATE FUNCTION pg_temp.keys(id bigint, v int = NULL) RETURNS int[] LANGUAGE sql AS $$
  SELECT coalesce(array_agg(cell_key ORDER BY position), '{}') FROM notebook_migrate.notebook_cells(id, v)
$$;
-- The same notebook under all-new ids.
CREATE FUNCTION pg_temp.new_ids(notebook jsonb, prefix text) RETURNS jsonb LANGUAGE sql AS $$
  SELECT jsonb_set(notebook, '{cells}', (
    SELECT jsonb_agg(c || jsonb_build_object('id', prefix || n) ORDER BY n)
      FROM jsonb_array_elements(notebook -> 'cells') WITH ORDINALITY AS e (c, n)))
$$;

-- New cells are numbered in their order.
INSERT INTO notebook (notebook_id, name, content) VALUES (1601, 'all-new ids',
  sample.sources('import pandas as pd', E'df = pd.read_csv("in.csv")\ndf = df.dropna()', 'df.describe()', 'df.plot()'));
SELECT pg_temp.keys(1601) AS keys;

-- Ids where there were none, then all-new ids: every cell keeps its key.
SELECT notebook_commit(1601, pg_temp.new_ids(notebook_at(1601), 'upload-1-')) AS version;
SELECT notebook_commit(1601, pg_temp.new_ids(notebook_at(1601), 'upload-2-')) AS version;
SELECT version, pg_temp.keys(1601, version) AS keys FROM notebook_version WHERE notebook_id = 1601 ORDER BY version;
-- metadata.uuid, as an upload to Texera puts it into every cell.
SELECT notebook_commit(1601, jsonb_set(notebook_at(1601), '{cells}', (
    SELECT jsonb_agg((c - 'id') || jsonb_build_object('metadata', jsonb_build_object('uuid', 'fresh-' || n)) ORDER BY n)
      FROM jsonb_array_elements(notebook_at(1601) -> 'cells') WITH ORDINALITY AS e (c, n)))) AS version;
SELECT pg_temp.keys(1601) AS keys, (SELECT array_agg(cell_id ORDER BY position) FROM notebook_cells(1601)) AS ids;
-- All-new ids, and one cell edited in the same save.
SELECT notebook_commit(1601, jsonb_set(pg_temp.new_ids(sample.sources('import pandas as pd',
  E'df = pd.read_csv("in.csv")\ndf = df.dropna(how="all")', 'df.describe()', 'df.plot()'), 'upload-3-'), '{metadata}', '{}')) AS version;
SELECT pg_temp.keys(1601) AS keys;

-- Undo: what comes back is what it was.
INSERT INTO notebook (notebook_id, name, content) VALUES (1602, 'undo', sample.sources('alpha = 1', 'beta = 2', 'gamma = 3'));
SELECT notebook_commit(1602, sample.sources('alpha = 1', 'gamma = 3')) AS version;
SELECT notebook_commit(1602, sample.sources('alpha = 1', 'beta = 2', 'gamma = 3')) AS version;
SELECT pg_temp.keys(1602, 1) = pg_temp.keys(1602, 3) AS same_keys;
-- Long after, too, and at another place.
SELECT notebook_commit(1602, sample.sources('alpha = 1')) AS version;
SELECT notebook_commit(1602, sample.sources('alpha = 1', 'delta = 4')) AS version;
SELECT notebook_commit(1602, sample.sources('gamma = 3', 'alpha = 1', 'delta = 4')) AS version;
SELECT pg_temp.keys(1602, 1) AS first, pg_temp.keys(1602) AS now;

-- Moved: an order that was turned around.
INSERT INTO notebook (notebook_id, name, content) VALUES (1603, 'moved', sample.sources('a = 1', 'b = 2', 'c = 3', 'd = 4'));
SELECT notebook_commit(1603, sample.sources('d = 4', 'c = 3', 'b = 2', 'a = 1')) AS version;
SELECT pg_temp.keys(1603) AS keys;

-- Edited: the text is mostly the same, with neighbours that are not.
INSERT INTO notebook (notebook_id, name, content) VALUES (1604, 'edited', sample.sources(
  'import re', E'def clean(text):\n    text = text.lower()\n    return re.sub(r"\\W+", " ", text)',
  E'for line in open("corpus.txt"):\n    print(clean(line))'));
SELECT notebook_commit(1604, sample.sources(
  'import re', '# a new cell in between',
  E'def clean(text):\n    text = text.strip().lower()\n    return re.sub(r"\\W+", " ", text)',
  E'for line in open("corpus.txt"):\n    print(clean(line), end="")')) AS version;
SELECT pg_temp.keys(1604) AS keys;
-- Edited and moved at once.
SELECT notebook_commit(1604, sample.sources(
  E'for line in open("corpus.txt"):\n    print(clean(line), end=" ")', 'import re', '# a new cell in between',
  E'def clean(text):\n    text = text.strip().lower()\n    return re.sub(r"\\W+", " ", text)')) AS version;
SELECT pg_temp.keys(1604) AS keys;

-- A copy of a cell is a new cell; the original is the first in order.
INSERT INTO notebook (notebook_id, name, content) VALUES (1605, 'duplicates', sample.sources('plot(x)', 'y = f(x)', 'last()'));
SELECT notebook_commit(1605, sample.sources('plot(x)', 'y = f(x)', 'plot(x)', 'last()')) AS version;
SELECT pg_temp.keys(1605) AS keys;
-- One of many equal cells goes: as many as are left keep theirs.
SELECT notebook_commit(1605, sample.sources('plot(x)', 'y = f(x)', 'plot(x)', 'plot(x)', 'last()')) AS version;
SELECT notebook_commit(1605, sample.sources('plot(x)', 'y = f(x)', 'last()')) AS version;
SELECT pg_temp.keys(1605, 1) = pg_temp.keys(1605) AS as_before;

-- Blank cells are told apart by their place.
INSERT INTO notebook (notebook_id, name, content) VALUES (1606, 'blanks', sample.sources('', 'a = 1', '', 'b = 2', ''));
SELECT notebook_commit(1606, sample.sources('', 'a = 1', '', 'b = 3', '')) AS version;
SELECT pg_temp.keys(1606) AS keys;
SELECT notebook_commit(1606, sample.sources('a = 1', '', 'b = 3', '')) AS version;
SELECT pg_temp.keys(1606) AS keys;

-- Ids that repeat name nothing; the texts decide.
INSERT INTO notebook (notebook_id, name, content) VALUES (1607, 'ids repeated',
  sample.notebook(sample.cell('first = 1', 'same'), sample.cell('second = 2', 'same'), sample.cell('third = 3', 'own')));
SELECT notebook_commit(1607, sample.notebook(sample.cell('second = 2', 'same'), sample.cell('first = 1', 'same'),
                                             sample.cell('third = 33', 'own'))) AS version;
SELECT pg_temp.keys(1607) AS keys;

-- A unique id carries a cell through an edit that leaves little of the text.
INSERT INTO notebook (notebook_id, name, content) VALUES (1608, 'by id',
  sample.notebook(sample.cell('x = 1', 'p'), sample.cell('y = 1', 'q'), sample.cell('z = 1', 'r')));
SELECT notebook_commit(1608, sample.notebook(sample.cell('z = 1', 'r'), sample.cell('y = compute(x)', 'q'), sample.cell('x = 1', 'p'))) AS version;
SELECT pg_temp.keys(1608) AS keys;

-- A key is never used again for another cell.
INSERT INTO notebook (notebook_id, name, content) VALUES (1609, 'never again', sample.sources('a = 1', 'b = 2'));
SELECT notebook_commit(1609, sample.sources('a = 1')) AS version;
SELECT notebook_commit(1609, sample.sources('a = 1', 'zzz(qqq, 123)')) AS version;
SELECT pg_temp.keys(1609, 1) AS first, pg_temp.keys(1609) AS now;
SELECT notebook_commit(1609, sample.notebook()) AS version;
SELECT notebook_commit(1609, sample.sources('www[1:2]')) AS version;
SELECT NOT pg_temp.keys(1609) && (pg_temp.keys(1609, 1) || pg_temp.keys(1609, 3)) AS new_key;

-- Cut in two: the part that holds more keeps the key, wherever it stands, and so does the cell that gives more to a merged one.
INSERT INTO notebook (notebook_id, name, content) VALUES (1610, 'cut and joined', sample.sources('import math',
  E'def area(r):\n    return math.pi * r ** 2\n\nradii = [1, 2, 3]\nareas = [area(r) for r in radii]\nprint(sum(areas))', 'end()'));
SELECT notebook_commit(1610, sample.sources('import math', E'def area(r):\n    return math.pi * r ** 2',
  E'radii = [1, 2, 3]\nareas = [area(r) for r in radii]\nprint(sum(areas))', 'end()')) AS version;
SELECT pg_temp.keys(1610) AS keys;
SELECT notebook_commit(1610, sample.sources('import math',
  E'def area(r):\n    return math.pi * r ** 2\n\nradii = [1, 2, 3]\nareas = [area(r) for r in radii]\nprint(sum(areas))', 'end()')) AS version;
SELECT pg_temp.keys(1610) AS keys;

-- Format 3 becomes 4: no worksheets, no heading cells, input is source, every cell has an id.
INSERT INTO notebook (notebook_id, name, content) VALUES (1611, 'upgrade', '{"nbformat": 3, "nbformat_minor": 0, "metadata": {"name": ""}, "worksheets": [{"metadata": {}, "cells": [
  {"cell_type": "heading", "level": 2, "metadata": {}, "source": ["Reading the data"]},
  {"cell_type": "code", "language": "python", "collapsed": false, "metadata": {}, "input": ["rows = open(\"in.csv\")\n", "len(rows)"], "prompt_number": 1,
   "outputs": [{"output_type": "pyout", "prompt_number": 1, "metadata": {}, "text": ["7"]}]},
  {"cell_type": "code", "language": "python", "collapsed": false, "metadata": {}, "input": [], "outputs": []},
  {"cell_type": "markdown", "metadata": {}, "source": ["That was *all*."]}]}]}');
SELECT notebook_commit(1611, sample.notebook(sample.cell('## Reading the data', 'id-1', 'markdown'),
  sample.cell(E'rows = open("in.csv")\nlen(rows)', 'id-2', execution_count => 1,
              outputs => '[{"output_type": "execute_result", "execution_count": 1, "metadata": {}, "data": {"text/plain": "7"}}]'),
  sample.cell('', 'id-3'), sample.cell('That was *all*.', 'id-4', 'markdown'))) AS version;
SELECT pg_temp.keys(1611, 1) AS format_3, pg_temp.keys(1611) AS format_4;

-- Operators: all-new ids, as a duplicate of the workflow has them, and a turned order.
INSERT INTO workflow (workflow_id, name, content) VALUES (1601, 'all-new ids', sample.workflow(
  ARRAY[sample.operator('A', 'read()', 'Read'), sample.operator('B', 'clean()', 'Clean'), sample.operator('C', 'plot()', 'Plot')],
  ARRAY[sample.link('L1', 'A', 'B'), sample.link('L2', 'B', 'C')]));
SELECT workflow_commit(1601, sample.workflow(
  ARRAY[sample.operator('C2', 'plot()', 'Plot'), sample.operator('A2', 'read()', 'Read'), sample.operator('B2', 'clean()', 'Clean')],
  ARRAY[sample.link('L3', 'A2', 'B2'), sample.link('L4', 'B2', 'C2')])) AS version;
SELECT o.operator_id, n.operator_id AS now
  FROM workflow_operators(1601, 1) AS o LEFT JOIN workflow_operators(1601, 2) AS n USING (operator_key)
 ORDER BY o.operator_id COLLATE "C";

-- Operators generated anew, in another order: equal ones are told apart by what they are linked with, through
-- others of their kind and where their neighbour was edited, too.
INSERT INTO workflow (workflow_id, name, content) VALUES (1602, 'equal operators', sample.workflow(
  ARRAY[sample.operator('R', 'read("people")', 'Read'),
        sample.operator('F1', 'keep(x)', 'Adults'), sample.operator('P1', 'all()', 'Project'), sample.operator('W1', 'write("adults")', 'Write'),
        sample.operator('F2', 'keep(x)', 'Minors'), sample.operator('P2', 'all()', 'Project'), sample.operator('W2', 'write("minors", header=True)', 'Write'),
        sample.operator('F3', 'keep(x)', 'Others'), sample.operator('P3', 'all()', 'Project'), sample.operator('W3', 'count_and_print(x)', 'Count')],
  ARRAY[sample.link('a', 'R', 'F1'), sample.link('b', 'F1', 'P1'), sample.link('c', 'P1', 'W1'),
        sample.link('d', 'R', 'F2'), sample.link('e', 'F2', 'P2'), sample.link('f', 'P2', 'W2'),
        sample.link('g', 'R', 'F3'), sample.link('h', 'F3', 'P3'), sample.link('i', 'P3', 'W3')]));
SELECT workflow_commit(1602, sample.workflow(
  ARRAY[sample.operator('n1', 'all()', 'Project'), sample.operator('n2', 'keep(x)', 'Filter'), sample.operator('n3', 'count_and_print(x)', 'Count'),
        sample.operator('n4', 'keep(x)', 'Filter'), sample.operator('n5', 'write("adults")', 'Write'), sample.operator('n6', 'all()', 'Project'),
        sample.operator('n7', 'write("minors", header=False)', 'Write'), sample.operator('n8', 'all()', 'Project'),
        sample.operator('n9', 'keep(x)', 'Filter'), sample.operator('n0', 'read("people")', 'Read')],
  ARRAY[sample.link('1', 'n0', 'n9'), sample.link('2', 'n9', 'n1'), sample.link('3', 'n1', 'n5'),
        sample.link('4', 'n0', 'n2'), sample.link('5', 'n2', 'n8'), sample.link('6', 'n8', 'n7'),
        sample.link('7', 'n0', 'n4'), sample.link('8', 'n4', 'n6'), sample.link('9', 'n6', 'n3')])) AS version;
SELECT o.operator_id, n.operator_id AS now
  FROM workflow_operators(1602, 1) AS o FULL JOIN workflow_operators(1602, 2) AS n USING (operator_key)
 ORDER BY o.operator_id COLLATE "C", n.operator_id COLLATE "C";
-- Some of them keep their ids and their places in the array: they tell which of the others is which.
SELECT workflow_commit(1602, sample.workflow(
  ARRAY[sample.operator('n1', 'all()', 'Project'), sample.operator('n2', 'keep(x)', 'Filter'), sample.operator('n3', 'count_and_print(x)', 'Count'),
        sample.operator('m9', 'keep(x)', 'Filter'), sample.operator('m8', 'all()', 'Project'), sample.operator('m4', 'keep(x)', 'Filter'), sample.operator('m6', 'all()', 'Project'),
        sample.operator('n5', 'write("adults")', 'Write'), sample.operator('n7', 'write("minors", header=False)', 'Write'), sample.operator('n0', 'read("people")', 'Read')],
  ARRAY[sample.link('1', 'n0', 'm9'), sample.link('2', 'm9', 'n1'), sample.link('3', 'n1', 'n5'),
        sample.link('4', 'n0', 'n2'), sample.link('5', 'n2', 'm8'), sample.link('6', 'm8', 'n7'),
        sample.link('7', 'n0', 'm4'), sample.link('8', 'm4', 'm6'), sample.link('9', 'm6', 'n3')])) AS version;
SELECT o.operator_id, n.operator_id AS now
  FROM workflow_operators(1602, 2) AS o FULL JOIN workflow_operators(1602, 3) AS n USING (operator_key)
 ORDER BY o.operator_id COLLATE "C", n.operator_id COLLATE "C";

-- A clone, as Texera makes it: every operator's id replaced by a new one in the whole text, inside of properties, too.
-- The operators' texts differ in nothing else.
CREATE FUNCTION pg_temp.clone(workflow text, salt text) RETURNS jsonb LANGUAGE sql AS $$
  SELECT string_agg(CASE WHEN part ~ '^[0-9a-f-]{36}$' THEN md5(part || salt)::uuid::text ELSE part END, '' ORDER BY n)::jsonb
    FROM regexp_split_to_table(regexp_replace(workflow, '([0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12})', '~\1~', 'g'), '~')
         WITH ORDINALITY AS p (part, n)
$$;
INSERT INTO workflow (workflow_id, name, content)
  SELECT 1603, 'clone', pg_temp.clone(sample.workflow(array_agg(sample.operator(id, 'after(' || before || ')', 'UDF') ORDER BY n),
                                      array_agg(sample.link('link-' || n, before, id) ORDER BY n) FILTER (WHERE n > 1))::text, 'one')
    FROM (SELECT n, 'UDF-operator-' || md5('op' || n)::uuid, 'UDF-operator-' || md5('op' || n - 1)::uuid FROM generate_series(1, 6) AS n) AS o (n, id, before);
SELECT workflow_commit(1603, pg_temp.clone(workflow_at(1603)::text, 'two')) AS version;
SELECT count(*) AS operators, count(*) FILTER (WHERE o.position = n.position) AS same, count(*) FILTER (WHERE o.operator_id = n.operator_id) AS same_id
  FROM workflow_operators(1603, 1) AS o JOIN workflow_operators(1603, 2) AS n USING (operator_key);

SELECT v.* FROM generate_series(1601, 1611) AS n (id), store_verify('notebook', n.id) AS v;
DELETE FROM notebook WHERE notebook_id BETWEEN 1601 AND 1699;
DELETE FROM workflow WHERE workflow_id BETWEEN 1601 AND 1603;

-- Two operators that are alike are told apart by their links, in the document that this session saved last; also where a
-- trigger on the parts' table saves another one in the middle, which then takes that one's place in memory.
CREATE FUNCTION public.alike(a text, b text, after_a text) RETURNS jsonb LANGUAGE sql AS $$
  SELECT sample.workflow(ARRAY[sample.operator('A', 'first'), sample.operator('B', 'second'), sample.operator(a, 'alike'), sample.operator(b, 'alike')],
    ARRAY[sample.link('L1', 'A', after_a), sample.link('L2', 'B', CASE after_a WHEN a THEN b ELSE a END)]) $$;
INSERT INTO workflow (workflow_id, content) VALUES (1591, alike('P1', 'P2', 'P1')), (1592, alike('P1', 'P2', 'P1'));
SELECT workflow_commit(1591, alike('P1', 'P2', 'P1') || '{"n": 1}') AS version;
CREATE FUNCTION public.save_another() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
  IF NEW.workflow_id = 1591 THEN
    PERFORM notebook_migrate.workflow_commit(1592, public.alike('P1', 'P2', 'P2') || '{"n": 1}');
  END IF;
  RETURN NULL;
END $$;
CREATE TRIGGER save_another AFTER INSERT ON workflow_part FOR EACH ROW EXECUTE FUNCTION save_another();
SELECT workflow_commit(1591, alike('Q2', 'Q1', 'Q1') || '{"n": 1}') AS version;
DROP TRIGGER save_another ON workflow_part;
DROP FUNCTION public.save_another;
SELECT version, operator_id, operator_key FROM generate_series(2, 3) AS version, workflow_operators(1591, version) WHERE operator_id ~ '[PQ]' ORDER BY 1, 3;
DELETE FROM workflow WHERE workflow_id IN (1591, 1592);
DROP FUNCTION public.alike;
