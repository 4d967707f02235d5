-- The main job, told from beginning to end; demo/run runs this on a private
-- server.  The psql variable fixtures names the folder with the documents: a
-- notebook that was run in earnest, on made-up data; the same after the edits
-- told below and another run; and the workflow and the mapping that Texera has
-- after converting it.

\set QUIET on
\pset border 1
\pset linestyle unicode
\pset footer off
SET search_path = notebook_migrate, public;

\set notebook `cat :'fixtures'/counters.ipynb`
\set rerun `cat :'fixtures'/counters-rerun.ipynb`
\set workflow `cat :'fixtures'/counters-workflow.json`
\set mapping `cat :'fixtures'/counters-mapping.json`

-- A text of one line, cut to a width.
CREATE FUNCTION pg_temp.cut(line text, width int) RETURNS text LANGUAGE sql AS $$
  SELECT CASE WHEN length(line) > width THEN left(line, width - 1) || '…' ELSE line END
$$;
-- The first line of a source, or the first that an older source has not.
CREATE FUNCTION pg_temp.line(source text, old text = '') RETURNS text LANGUAGE sql AS $$
  SELECT coalesce((SELECT ltrim(line) FROM string_to_table(source, E'\n') WITH ORDINALITY AS t(line, i)
                    WHERE line NOT IN (SELECT string_to_table(old, E'\n')) AND line <> ''
                    ORDER BY i LIMIT 1),
                  '(none, but ' || regexp_count(old, E'\n') - regexp_count(source, E'\n') || ' lines fewer)')
$$;
-- An id as it is shown here: its last characters.
CREATE FUNCTION pg_temp.tail(id text) RETURNS text LANGUAGE sql AS $$
  SELECT '…' || right(id, 6)
$$;
-- The cells that a mapping has for an operator.
CREATE FUNCTION pg_temp.tails(mapping jsonb, operator text) RETURNS SETOF text LANGUAGE sql AS $$
  SELECT pg_temp.tail(jsonb_array_elements_text(mapping -> 'operator_to_cell' -> operator))
$$;
-- A cell of a notebook by its metadata.uuid.
CREATE FUNCTION pg_temp.cell(notebook jsonb, uuid text) RETURNS jsonb LANGUAGE sql AS $$
  SELECT c FROM jsonb_array_elements(notebook -> 'cells') AS c
   WHERE c #>> '{metadata,uuid}' = uuid
$$;
-- The same cell, never run.
CREATE FUNCTION pg_temp.new_cell(notebook jsonb, uuid text) RETURNS jsonb LANGUAGE sql AS $$
  SELECT pg_temp.cell(notebook, uuid) || '{"outputs": [], "execution_count": null}'
$$;


\echo
\echo '━━━ 1. A notebook, and the workflow that it was converted to ━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━'
\echo
\echo 'Somebody turned a notebook into a dataflow workflow, and wants to go on with both. Which cell became'
\echo 'which operator is known today; from the next edit on it would be guesswork. Here it is not.'
\echo
\echo 'Both are stored by plain SQL:  INSERT INTO notebook (name, content) VALUES (…)'
\echo 'This is the workflow that was made:'
INSERT INTO notebook (name, content) VALUES ('Who rides in the rain?', :'notebook')
RETURNING notebook_id AS nb \gset
INSERT INTO workflow (name, content) VALUES ('Who rides in the rain?', :'workflow')
RETURNING workflow_id AS wf \gset

SELECT o.operator_key AS key, o.operator_type AS type, pg_temp.tail(o.operator_id) AS id,
       o.display_name AS name, string_agg(t.display_name, ', ' ORDER BY t.position) AS feeds
  FROM workflow_operators(:wf) AS o
  LEFT JOIN workflow_links(:wf) AS l ON l.source_key = o.operator_key
  LEFT JOIN workflow_operators(:wf) AS t ON t.operator_key = l.target_key
 GROUP BY o.position, 1, 2, 3, 4 ORDER BY o.position;

\echo 'And this the notebook. The mapping is stated once, for these versions 1 and 1:'
\echo '  mapping_put(notebook, 1, workflow, 1, ''{"operator_to_cell": {…}, "cell_to_operator": {…}}'')'
\echo
SELECT mapping_put(:nb, 1, :wf, 1, :'mapping', 'llm') AS mapping \gset

SELECT c.position AS at, c.cell_key AS key, c.cell_type AS type, pg_temp.tail(c.cell_id) AS id,
       pg_temp.cut(pg_temp.line(c.source), 47) AS source,
       coalesce('→ ' || o.display_name, '') AS became, l.state
  FROM notebook_cells(:nb, 1) AS c
  LEFT JOIN mapping_links(:nb, 1, :wf, 1) AS l USING (cell_key)
  LEFT JOIN workflow_operators(:wf, 1) AS o USING (operator_key)
 ORDER BY c.position;

\echo 'The ids are the documents'' own, and do not last. The keys are the store''s: a cell keeps its key'
\echo 'through edits, moves, new ids and restores.'


\echo
\echo '━━━ 2. Both live on ━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━'
\echo
\echo 'In the notebook a cell is changed, one is split in two, one inserted, one moved, and all are run'
\echo 'again; then the file is uploaded once more, which gives every cell a new id. In the workflow'
\echo 'boxes are moved, an operator is changed, and one is deleted. Every save is a version.'
\echo

-- 2: a plain UPDATE
UPDATE notebook
   SET content = replace(content::text, $$joined = joined.dropna(subset=[\"temp\"])$$,
                         $$joined[\"temp\"] = joined[\"temp\"].interpolate()$$)::jsonb
 WHERE notebook_id = :nb;

-- 3 to 5: edit lists, with which only the change travels
SELECT notebook_edit(:nb, jsonb_build_array(
         jsonb_build_object('op', 'replace', 'cell', 5,
           'value', pg_temp.cell(:'notebook', 'e6526860-1b8b-4475-8447-da6156b8e3bf')
             || jsonb_build_object('source',
                  pg_temp.cell(:'rerun', 'e6526860-1b8b-4475-8447-da6156b8e3bf') -> 'source')),
         jsonb_build_object('op', 'insert', 'after', 5,
           'value', pg_temp.new_cell(:'rerun', 'f7848a57-24ad-4142-ad53-9a06e4976129'))),
         'Split the cleaning in two') AS version \gset
SELECT notebook_edit(:nb, jsonb_build_array(
         jsonb_build_object('op', 'insert', 'after', 6,
           'value', pg_temp.new_cell(:'rerun', '6046f417-cec2-43a9-82e6-5321b67ebcd0'))),
         'Look at week ends') AS version \gset
SELECT notebook_edit(:nb, '[{"op": "move", "cell": 12, "before": 11}]',
         'The table before the plot') AS version \gset

-- 6: a whole file, as an editor saves it
SELECT notebook_commit(:nb, :'rerun', 'Restart and run all') AS version \gset

-- 7: the same file with other ids
SELECT notebook_commit(:nb,
         (SELECT jsonb_set(:'rerun', '{cells}', jsonb_agg(
                   jsonb_set(c, '{metadata,uuid}', to_jsonb(md5(c #>> '{metadata,uuid}')::uuid))
                   ORDER BY i))
            FROM jsonb_array_elements(:'rerun'::jsonb -> 'cells') WITH ORDINALITY AS e(c, i)),
         'Uploaded once more') AS version \gset

-- The workflow's, 2 to 4
SELECT workflow_edit(:wf, jsonb_build_array(jsonb_build_object('layout', jsonb_build_object(
         'operatorPositions',
         (SELECT jsonb_object_agg(operator_id, jsonb_build_object('x', 140 * position, 'y', 80))
            FROM workflow_operators(:wf) WHERE position >= 4)))),
         'Boxes in a second row') AS version \gset
UPDATE workflow SET content = replace(content::text, '\"size\"] >= 20]', '\"size\"] >= 22]')::jsonb
 WHERE workflow_id = :wf;
SELECT workflow_edit(:wf, '[{"op": "delete", "operator": 7}]', 'No correlation') AS version \gset

\echo 'The notebook''s versions, and how many cells changed in each (notebook_version):'
SELECT version AS v, coalesce(message, CASE version WHEN 1 THEN '(the INSERT)' ELSE '(a plain UPDATE)' END) AS message,
       cells, inserted, modified, moved, outputs, metadata AS "ids, metadata"
  FROM notebook_version WHERE notebook_id = :nb ORDER BY version;

\echo 'The workflow''s (workflow_version):'
SELECT version AS v, coalesce(message, CASE version WHEN 1 THEN '(the INSERT)' ELSE '(a plain UPDATE)' END) AS message,
       operators, inserted, deleted, modified, relinked, layout
  FROM workflow_version WHERE workflow_id = :wf ORDER BY version;

\echo 'Which cells these were, by notebook_diff(notebook, from, to):'
SELECT from_to AS "from, to", change, key, at, pg_temp.cut(source, 58) AS "a line that is new"
  FROM (-- changes of the source, each by itself
        SELECT v.version, v.parent_version || ', ' || v.version AS from_to, d.change,
               d.cell_key::text AS key, d.new_position AS place,
               concat_ws(' → ', nullif(d.old_position, d.new_position), d.new_position) AS at,
               CASE d.change WHEN 'moved' THEN '' ELSE pg_temp.line(d.new_source, d.old_source) END AS source
          FROM notebook_version AS v, notebook_diff(:nb, v.parent_version, v.version) AS d
         WHERE v.notebook_id = :nb AND v.version > 1 AND d.change NOT IN ('outputs', 'metadata')
        UNION ALL
        -- and the others in sum
        SELECT v.version, v.parent_version || ', ' || v.version, d.change,
               count(DISTINCT d.cell_key) || ' cells', 0, '',
               '(only ' || string_agg(DISTINCT what, ', ') || ')'
          FROM notebook_version AS v, notebook_diff(:nb, v.parent_version, v.version) AS d,
               unnest(d.detail) AS what
         WHERE v.notebook_id = :nb AND v.version > 1 AND d.change IN ('outputs', 'metadata')
         GROUP BY 1, 2, 3) AS changes
 ORDER BY version, place;

\echo 'A cell cut in two keeps its key on the greater part. notebook_diff_text(notebook, 2, 3) is made'
\echo 'to be read, and says where the rest went:'
\pset format unaligned
\pset tuples_only on
SELECT notebook_diff_text(:nb, 2, 3);
\echo
\pset tuples_only off
\pset format aligned

\echo 'All of the workflow''s saves at once, by workflow_diff(workflow, 1, 4):'
SELECT change, operator_key AS key, array_to_string(detail, ', ') AS what,
       CASE change WHEN 'modified' THEN pg_temp.cut(pg_temp.line(new_source, old_source), 55) ELSE '' END AS "a line that is new"
  FROM workflow_diff(:wf, 1, 4);


\echo
\echo '━━━ 3. The mapping still answers ━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━'
\echo
\echo 'Nobody stated a mapping for the notebook''s version 7 and the workflow''s version 4. It is worked'
\echo 'out from the one for 1 and 1, and no link is dropped in silence. mapping_links(nb, 7, wf, 4):'
SELECT c.position AS at, l.cell_key AS key, pg_temp.cut(pg_temp.line(c.source), 40) AS source,
       '→ ' || coalesce(o.display_name, a.display_name) AS became, l.state,
       CASE l.state WHEN 'carried' THEN ''
                    WHEN 'cell_changed' THEN 'look at ' || o.display_name
                    WHEN 'operator_changed' THEN 'look at the cell'
                    WHEN 'operator_removed' THEN 'kept, in case' END AS "what to do"
  FROM mapping_links(:nb, 7, :wf, 4) AS l
  LEFT JOIN notebook_cells(:nb, 7) AS c USING (cell_key)
  LEFT JOIN workflow_operators(:wf, 4) AS o USING (operator_key)
  LEFT JOIN workflow_operators(:wf, 1) AS a USING (operator_key)
 ORDER BY c.position;

\echo 'mapping_at() has it in Texera''s shape, with the ids that the versions asked about have:'
SELECT o.display_name AS operator,
       string_agg(DISTINCT c11, ', ') AS "cells at (1, 1)",
       string_agg(DISTINCT c63, ', ') AS "cells at (6, 3)",
       coalesce(string_agg(DISTINCT c74, ', '), '') AS "cells at (7, 4)"
  FROM workflow_operators(:wf, 1) AS o
  LEFT JOIN pg_temp.tails(mapping_at(:nb, 1, :wf, 1), o.operator_id) AS c11 ON true
  LEFT JOIN pg_temp.tails(mapping_at(:nb, 6, :wf, 3), o.operator_id) AS c63 ON true
  LEFT JOIN pg_temp.tails(mapping_at(:nb, 7, :wf, 4), o.operator_id) AS c74 ON true
 GROUP BY o.position, o.display_name ORDER BY o.position;

\echo 'Code without an operator, by mapping_unmapped(notebook, 7, workflow, 4):'
SELECT u.side, u.item_key AS key, u.since_version AS "since v", pg_temp.line(c.source) AS source
  FROM mapping_unmapped(:nb, 7, :wf, 4) AS u
  LEFT JOIN notebook_cells(:nb, 7) AS c ON u.side = 'cell' AND c.cell_key = u.item_key;

\echo 'How it stands at the newest versions, in one row, by mapping_health():'
SELECT notebook_version AS "nb v", workflow_version AS "wf v", links, exact, carried, changed, removed,
       unmapped_cells, unmapped_operators
  FROM mapping_health(:nb, :wf);


\echo
\echo '━━━ 4. Every version comes back ━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━'
\echo
\echo 'notebook_at(notebook, v) is what was stored, to the letter:'
SELECT 'notebook_at(…, ' || v || ')' AS call, file, length(content::text) AS characters,
       notebook_at(:nb, v)::text = content::text AS "equal"
  FROM (VALUES (1, 'counters.ipynb', :'notebook'::jsonb),
               (6, 'counters-rerun.ipynb', :'rerun')) AS stored (v, file, content);

SELECT workflow_restore(:wf, 3, 'The correlation after all') AS version \gset
\echo 'workflow_restore(workflow, 3) makes a version 5 that is equal to 3. The operator that was deleted'
\echo 'is back with its key, and so is the link that waited for it:'
SELECT w.version AS "wf v", coalesce(w.message, '(a plain UPDATE)') AS message,
       w.operators, l.state AS "link from cell 13",
       mapping_at(:nb, 7, :wf, w.version) -> 'cell_to_operator' ? l.cell_id AS "in mapping_at()"
  FROM workflow_version AS w, mapping_links(:nb, 7, :wf, w.version) AS l
 WHERE w.workflow_id = :wf AND w.version >= 3 AND l.cell_key = 13 ORDER BY 1;

\echo 'store_verify() works out every SHA-256 digest again:'
SELECT count(*) AS problems FROM store_verify(NULL, NULL);


\echo
\echo '━━━ 5. What the history costs ━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━'
\echo
\echo 'A plain table takes a full copy of each of the notebook''s versions, compressed with lz4. Then one'
\echo 'line is edited 300 times more. Rows are counted as they are stored, the store''s with all that it'
\echo 'keeps of the notebook; on disk, with pages, indexes and TOAST, and the parts of workflows as well.'

CREATE TABLE public.full_copy (notebook_id bigint, version int, content jsonb COMPRESSION lz4,
  PRIMARY KEY (notebook_id, version));
INSERT INTO public.full_copy SELECT :nb, v, notebook_at(:nb, v) FROM generate_series(1, 7) AS v;

-- Edits a line of cell 8 again and again, and keeps a full copy each time.
CREATE PROCEDURE public.edit_often(nb bigint, times int) LANGUAGE plpgsql AS $$
DECLARE
  v int;
  cell jsonb = (SELECT c FROM jsonb_array_elements(notebook_at(nb) -> 'cells') WITH ORDINALITY AS e(c, i)
                  JOIN notebook_cells(nb) ON position = i - 1 WHERE cell_key = 8);
BEGIN
  FOR n IN 1 .. times LOOP
    v = notebook_edit(nb, jsonb_build_array(jsonb_build_object('op', 'replace', 'cell', 8,
          'value', replace(cell::text, '>= 20', '>= 20 + ' || n)::jsonb)));
    INSERT INTO public.full_copy VALUES (nb, v, notebook_at(nb, v));
    COMMIT;
  END LOOP;
END $$;

-- The size of a table's rows as they are stored: their header, and each column
-- as it was compressed.
CREATE FUNCTION public.rows_size(t regclass) RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
  size bigint;
BEGIN
  EXECUTE format('SELECT sum(28 + %s) FROM %s',
    (SELECT string_agg(format('coalesce(pg_column_size(%I), 0)', attname), ' + ')
       FROM pg_attribute WHERE attrelid = t AND attnum > 0 AND NOT attisdropped), t) INTO size;
  RETURN coalesce(size, 0);
END $$;

CREATE TABLE public.size (versions bigint, copies bigint, store bigint, copies_disk bigint, store_disk bigint);
CREATE PROCEDURE public.measure() LANGUAGE sql AS $$
  INSERT INTO public.size
  SELECT (SELECT count(*) FROM public.full_copy), public.rows_size('public.full_copy'),
         sum(public.rows_size(oid::regclass)) FILTER (WHERE relname LIKE 'notebook%'),
         pg_total_relation_size('public.full_copy'), sum(pg_total_relation_size(oid))
    FROM pg_class WHERE relnamespace = 'notebook_migrate'::regnamespace AND relkind = 'r'
$$;
CALL public.measure();
CALL public.edit_often(:nb, 300);
CALL public.measure();

SELECT what, versions, pg_size_pretty(copies) AS "full copies", pg_size_pretty(store) AS "the store",
       round(100.0 * store / copies, 1) || ' %' AS ratio
  FROM (SELECT 1 AS i, 'rows: the versions above' AS what, versions, copies, store FROM public.size WHERE versions < 300
        UNION ALL
        SELECT 2, 'rows: with 300 edits more', versions, copies, store FROM public.size WHERE versions > 300
        UNION ALL
        SELECT 3, 'rows: one such edit', 1, (b.copies - a.copies) / 300, (b.store - a.store) / 300
          FROM public.size AS a, public.size AS b WHERE a.versions < b.versions
        UNION ALL
        SELECT 4, 'disk: one such edit', 1, (b.copies_disk - a.copies_disk) / 300, (b.store_disk - a.store_disk) / 300
          FROM public.size AS a, public.size AS b WHERE a.versions < b.versions) AS sizes
 ORDER BY i;

\echo
\echo '━━━ 6. Tables of one''s own ━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━'
\echo
\echo 'Teams keep tables beside the store, and change both. Their scripts are registered, in any order'
\echo '(schema_register), and schema_plan() says what would be done, and why:'

CREATE SCHEMA team;
SET search_path = team, notebook_migrate, public;
SELECT schema_register('003-tags', 'CREATE TABLE tag (review int REFERENCES review, tag text)', 'DROP TABLE tag', '{002-stars}') \g /dev/null
SELECT schema_register('002-stars', 'ALTER TABLE review ADD stars int CHECK (stars BETWEEN 1 AND 5)', 'ALTER TABLE review DROP stars', '{001-review}') \g /dev/null
SELECT schema_register('001-review', 'CREATE TABLE review (id int PRIMARY KEY, notebook bigint)', 'DROP TABLE review') \g /dev/null
SELECT * FROM schema_plan();
\echo
\echo 'CALL schema_up() applies them, each in a transaction of its own; CALL schema_down(''002-stars'') undoes'
\echo 'them again back to there. The history (schema_history) keeps all of it:'

CALL schema_up();
CALL schema_down('002-stars');
SELECT entry, name, direction, state FROM schema_history ORDER BY entry;
