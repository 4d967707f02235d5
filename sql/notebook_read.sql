-- Any version reads back as it was stored, by number or by time.
SET search_path = notebook_migrate, public;
SET timezone = 'UTC';

INSERT INTO notebook (notebook_id, name, content) VALUES (1101, 'by time', sample.sources('one'));
SELECT notebook_commit(1101, sample.sources('one', 'two')) AS version;
SELECT notebook_commit(1101, sample.sources('one', 'two', 'three')) AS version;
SELECT created_at AS t1 FROM notebook_version WHERE notebook_id = 1101 AND version = 1 \gset
SELECT created_at AS t2 FROM notebook_version WHERE notebook_id = 1101 AND version = 2 \gset

SELECT notebook_at(1101, 1) = sample.sources('one') AS first,
       notebook_at(1101, 2) = sample.sources('one', 'two') AS second,
       notebook_at(1101) = sample.sources('one', 'two', 'three') AS head,
       notebook_at(1101, NULL::int) = notebook_at(1101, 3) AS null_is_head;

-- By time: the version that was the head at that moment.
SELECT jsonb_array_length(notebook_at(1101, :'t1'::timestamptz) -> 'cells') AS at_t1,
       jsonb_array_length(notebook_at(1101, :'t2'::timestamptz) -> 'cells') AS at_t2,
       jsonb_array_length(notebook_at(1101, :'t2'::timestamptz - interval '1 microsecond') -> 'cells') AS just_before,
       jsonb_array_length(notebook_at(1101, 'infinity'::timestamptz) -> 'cells') AS at_last;
-- (The message has the time in it.)
\set VERBOSITY sqlstate
SELECT notebook_at(1101, :'t1'::timestamptz - interval '1 microsecond');
\set VERBOSITY default

-- A version that is not there is an error, for functions that return rows too.
SELECT notebook_at(1101, 4);
\echo :SQLSTATE
SELECT * FROM notebook_cells(1101, 0);
\echo :SQLSTATE

-- The cells of a version as rows.
SELECT notebook_commit(1101, sample.notebook(
    sample.cell('# Title', 'intro', 'markdown'),
    sample.cell(E'x = 1\ny = 2', 'code-1', execution_count => 7),
    sample.cell('z', metadata => '{"uuid": "u-u-i-d"}'),
    sample.cell('w', 'has-both', metadata => '{"uuid": "first"}'),
    sample.cell('raw', cell_type => 'raw'))) AS version;
SELECT position, cell_id = cell_key::text AS id_is_key,
       CASE WHEN cell_id <> cell_key::text THEN cell_id END AS cell_id, cell_type, source, execution_count
  FROM notebook_cells(1101) ORDER BY position;

-- A source that is a list of lines is shown as one text.
SELECT notebook_commit(1101, '{"cells": [{"cell_type": "code", "source": ["a = 1\n", "b = 2"], "metadata": {}, "outputs": [], "execution_count": null},
  {"cell_type": "code", "source": [], "metadata": {}, "outputs": [], "execution_count": null},
  {"cell_type": "code", "metadata": {}}], "metadata": {}, "nbformat": 4, "nbformat_minor": 5}') AS version;
SELECT position, cell_type, source FROM notebook_cells(1101) ORDER BY position;

-- An id that stands twice is no name: the key stands in for it.
SELECT notebook_commit(1101, sample.notebook(sample.cell('a', 'twice'), sample.cell('b', 'once'),
                                             sample.cell('c', 'twice'))) AS version;
SELECT position, cell_id = cell_key::text AS id_is_key, cell_id = 'once' AS once
  FROM notebook_cells(1101) ORDER BY position;

-- nbformat 3: cells stand in worksheets, positions run on across them, input is the source.
INSERT INTO notebook (notebook_id, name, content) VALUES (1102, 'v3',
 '{"nbformat": 3, "nbformat_minor": 0, "metadata": {"name": "old"}, "worksheets": [
   {"cells": [{"cell_type": "heading", "level": 1, "source": "Top"},
              {"cell_type": "code", "input": ["a = 1\n", "a"], "language": "python", "prompt_number": 4, "collapsed": false,
               "outputs": [{"output_type": "pyout", "prompt_number": 4, "text": ["1"]}]}], "metadata": {"sheet": 1}},
   {"cells": []},
   {"cells": [{"cell_type": "markdown", "source": ["bye"]}], "metadata": {}}]}');
SELECT position, cell_type, source, execution_count FROM notebook_cells(1102) ORDER BY position;
SELECT jsonb_pretty(notebook_at(1102));

-- Notebooks without cells, and documents with members that nobody knows.
CREATE TEMP TABLE odd (n int, content jsonb);
INSERT INTO odd VALUES
  (1, '{"cells": []}'),
  (2, '{"worksheets": [], "nbformat": 3, "metadata": {}}'),
  (3, '{"worksheets": [{"cells": []}, {"cells": [], "metadata": {"a": []}}], "nbformat": 3}'),
  (4, '{"cells": [], "": null, "cells2": [], "metadata": null, "nbformat": "four"}'),
  (5, '{"cells": [{}, {}, {"cell_type": "code"}], "metadata": {}}'),
  (6, '{"cells": [{"cell_type": "code", "source": "x", "outputs": [], "execution_count": "*", "metadata": {}}]}'),
  (7, '{"cells": [{"cell_type": "code", "source": "x", "outputs": [], "execution_count": 3000000000, "metadata": {}},
                  {"cell_type": "code", "source": "x", "outputs": [], "execution_count": 1.5, "metadata": {}},
                  {"cell_type": "code", "source": "x", "outputs": [], "execution_count": 2.0, "metadata": {}}]}'),
  (8, '{"cells": [{"cell_type": "code", "source": "x", "execution_count": 3, "metadata": {}, "outputs": [
         {"output_type": "execute_result", "execution_count": 3, "data": {"text/plain": "3"}, "metadata": {}},
         {"output_type": "execute_result", "execution_count": 4, "data": {"text/plain": "3"}, "metadata": {}},
         {"output_type": "execute_result", "execution_count": 3.0, "data": {}, "metadata": {}},
         {"output_type": "execute_result", "execution_count": null, "data": {}, "metadata": {}},
         {"output_type": "execute_result", "data": {}}]}]}'),
  (9, '{"cells": [{"cell_type": "code", "source": "x", "metadata": {}, "outputs": [1, "two", null, [], {}]}]}'),
  (10, '{"cells": [{"id": 7, "cell_type": "code", "source": "x", "metadata": {"uuid": null}},
                   {"id": null, "cell_type": "code", "source": "x", "metadata": {"uuid": ["a"]}},
                   {"id": "", "cell_type": "code", "source": "", "metadata": {"uuid": ""}}]}'),
  (11, '{"cells": [], "metadata": {"big": 9223372036854775809, "bigger": 123456789012345678901234567890.10, "e": 1e-7,
         "huge": 1e400, "zeros": [1, 1.0, 1.00, 0, -0.0]}}'),
  (12, '{"cells": [{"cell_type": "markdown", "source": "\u05e9\u05dc\u05d5\u05dd \ud83d\udc4b e\u0301 \" \\ \t \u0001 \u2028", "metadata": {"": {"": ""}},
         "attachments": {"a.png": {"image/png": "iVBORw0KGgo="}}}]}');
INSERT INTO odd SELECT 13, jsonb_build_object('cells', jsonb_build_array(
    sample.cell('picture', outputs => jsonb_build_array(jsonb_build_object('output_type', 'display_data',
      'data', jsonb_build_object(
         'image/png', translate(encode(convert_to(repeat('0123456789abcdef', 1024), 'UTF8'), 'base64'), E'\n', ''),
         'image/jpeg', encode(convert_to(repeat('0123456789abcdef', 1024), 'UTF8'), 'base64'),
         'image/gif', repeat('QUJD', 4000) || 'QQ', 'image/bmp', repeat('QUJD', 4000) || 'QR=='),
      'metadata', '{}'::jsonb)))));
INSERT INTO notebook (notebook_id, name, content) SELECT 1110 + n, 'odd', content FROM odd ORDER BY n;
SELECT n, notebook_at(1110 + n) = content AS equal, notebook_at(1110 + n)::text = content::text AS equal_as_text,
       (SELECT count(*) FROM notebook_cells(1110 + n)) AS cells
  FROM odd ORDER BY n;
SELECT position, execution_count FROM notebook_cells(1117) ORDER BY position;
SELECT position, cell_id = cell_key::text AS id_is_key FROM notebook_cells(1120) ORDER BY position;

-- Every part can be checked with stock SQL.
SELECT count(*) > 0 AS parts, bool_and(digest = sha256(convert_to(part_body(body, bytes)::text, 'UTF8'))) AS digests_right,
       bool_and(part_id = ('x' || encode(substr(digest, 1, 8), 'hex'))::bit(64)::bigint) AS ids_right
  FROM notebook_part WHERE notebook_id BETWEEN 1101 AND 1199;
SELECT count(*) AS problems FROM odd, store_verify('notebook', 1110 + n);
DELETE FROM notebook WHERE notebook_id BETWEEN 1101 AND 1199;
