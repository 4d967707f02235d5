-- Changed sources line by line: ' ' kept, '-' removed, '+' added.
SET search_path = notebook_migrate, public;

-- The lines as a person reads them: both numbers, the mark, the text.
CREATE FUNCTION pg_temp.lines(id bigint, from_version int, to_version int)
RETURNS TABLE (key int, line text) LANGUAGE sql AS $$
  SELECT cell_key, format('%3s %3s %s%s', old_line, new_line, mark, replace(text, E'\r', '\r'))
    FROM notebook_migrate.notebook_diff_lines(id, from_version, to_version)
$$;

-- A notebook of one cell, which has these sources one after another.
CREATE FUNCTION pg_temp.becomes(id bigint, VARIADIC sources text[]) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
  INSERT INTO notebook_migrate.notebook (notebook_id, name, content)
    VALUES (id, 'lines', sample.notebook(sample.cell(sources[1], 'a')));
  FOR i IN 2 .. cardinality(sources) LOOP
    PERFORM notebook_migrate.notebook_edit(id, jsonb_build_array(jsonb_build_object(
      'op', 'replace', 'cell', 'a', 'value', sample.cell(sources[i], 'a'))));
  END LOOP;
END $$;

-- A line changed, one went, one came. Backwards, the marks change places.
SELECT pg_temp.becomes(2201, E'one\ntwo\nthree\nfour', E'one\n2\nthree\nfour\nfive', E'2\nthree\nfour\nfive');
SELECT * FROM pg_temp.lines(2201, 1, 2);
SELECT * FROM pg_temp.lines(2201, 2, 1);
SELECT * FROM pg_temp.lines(2201, 2, 3);
SELECT * FROM pg_temp.lines(2201, 1, NULL);
-- Equal versions have no lines.
SELECT * FROM notebook_diff_lines(2201, 2, 2);

-- n line feeds make n + 1 lines: a last line feed is an empty line more. No text is no line.
SELECT pg_temp.becomes(2202, '', E'\n', 'x', E'x\n', E'x\r\n', E'x\r\ny');
SELECT * FROM pg_temp.lines(2202, 1, 2);
SELECT * FROM pg_temp.lines(2202, 2, 3);
SELECT * FROM pg_temp.lines(2202, 3, 4);
-- A carriage return is part of its line.
SELECT * FROM pg_temp.lines(2202, 4, 5);
SELECT * FROM pg_temp.lines(2202, 5, 6);
SELECT * FROM pg_temp.lines(2202, 3, 1);

-- Of several ways to tell the same, the one that reads best: whole functions, after a blank line.
SELECT pg_temp.becomes(2203, E'def a():\n    return 1\n\ndef c():\n    return 1\n',
                             E'def a():\n    return 1\n\ndef b():\n    return 1\n\ndef c():\n    return 1\n');
SELECT * FROM pg_temp.lines(2203, 1, 2);
SELECT * FROM pg_temp.lines(2203, 2, 1);
-- Repeated lines and letters of all kinds.
SELECT pg_temp.becomes(2204, E'x\nx\nx', E'x\nx\nx\nx', E'ä\n日本\n\U0001F600', E'a\n日本\n\U0001F601');
SELECT * FROM pg_temp.lines(2204, 1, 2);
SELECT * FROM pg_temp.lines(2204, 3, 4);

-- Inserted and deleted cells, and those that moved; in the order of notebook_diff. What kept its source has no row.
INSERT INTO notebook (notebook_id, name, content) VALUES (2205, 'cells', sample.notebook(
  sample.cell(E'gone\nfor good', 'a'), sample.cell('stays', 'b'), sample.cell(E'moves\nand changes', 'c'), sample.cell('is run', 'd'), sample.cell('moves only', 'e')));
SELECT notebook_edit(2205, jsonb_build_array('{"op": "delete", "cell": "a"}'::jsonb,
  jsonb_build_object('op', 'replace', 'cell', 'c', 'value', sample.cell(E'moves\nand is changed', 'c')),
  '{"op": "move", "cell": "c", "before": "b"}'::jsonb, '{"op": "move", "cell": "e", "after": "b"}'::jsonb,
  jsonb_build_object('op', 'replace', 'cell', 'd', 'value', sample.cell('is run', 'd', outputs => sample.printed('1'))),
  jsonb_build_object('op', 'insert', 'value', sample.cell(E'new\ncell', 'f')))) AS version;
SELECT change, cell_key, old_position, new_position FROM notebook_diff(2205, 1, 2);
SELECT * FROM pg_temp.lines(2205, 1, 2);

-- Rows marked ' ' and '-' are the old source, those marked ' ' and '+' the new one.
SELECT d.cell_key, string_agg(text, E'\n' ORDER BY old_line) FILTER (WHERE mark <> '+') IS NOT DISTINCT FROM d.old_source AS old,
       string_agg(text, E'\n' ORDER BY new_line) FILTER (WHERE mark <> '-') IS NOT DISTINCT FROM d.new_source AS new
  FROM notebook_diff(2205, 1, 2) AS d JOIN notebook_diff_lines(2205, 1, 2) AS l USING (cell_key)
 GROUP BY d.cell_key, d.old_source, d.new_source ORDER BY d.cell_key;

-- Operators: their code, or else their properties as text.
INSERT INTO workflow (workflow_id, name, content) VALUES (2201, 'lines', sample.workflow(
  ARRAY[sample.operator('A', E'import x\nread()'), sample.operator('B', 'save()')], ARRAY[sample.link('L', 'A', 'B')]));
SELECT workflow_commit(2201, jsonb_set(jsonb_set(workflow_at(2201), '{operators,0,operatorProperties,code}', '"import x\nread(x)"'),
  '{operators,1,operatorProperties}', '{"file": "out.csv"}')) AS version;
SELECT * FROM workflow_diff_lines(2201, 1, 2);
SELECT * FROM workflow_diff_lines(2201, 2, 2);
SELECT * FROM workflow_diff_lines(2201, NULL, 1) WHERE operator_key = 2;

-- What is not there.
\set VERBOSITY sqlstate
SELECT * FROM notebook_diff_lines(2299, 1, 1);
SELECT * FROM notebook_diff_lines(2201, 1, 99);
SELECT * FROM notebook_diff_lines(2201, 0, 1);
SELECT * FROM workflow_diff_lines(2201, -1, 1);
SELECT * FROM notebook_diff_lines(NULL, 1, 1);
\set VERBOSITY default

DELETE FROM notebook WHERE notebook_id BETWEEN 2201 AND 2299;
DELETE FROM workflow WHERE workflow_id = 2201;
