-- Replies of a language model become a workflow and its mapping.
SET search_path = notebook_migrate, public;
\set SHOW_CONTEXT never
\pset format unaligned
\pset tuples_only on
INSERT INTO notebook (notebook_id, name, content) VALUES (4401, 'converted', sample.notebook(
  sample.cell('# Title', 'title', 'markdown'), sample.cell('import pandas', 'imports'),
  sample.cell(E'raw = load()\nrows = len(raw)', 'load'), sample.cell(E'data = raw.dropna()\n', 'clean'),
  sample.cell('data.plot()', 'plot')));
-- A workflow with its generated ids replaced: operators by display name, links by L.
CREATE FUNCTION pg_temp.shown(id bigint, at int = NULL) RETURNS jsonb LANGUAGE plpgsql AS $$
DECLARE t text := notebook_migrate.workflow_at(id, at)::text; o record;
BEGIN
  FOR o IN SELECT * FROM notebook_migrate.workflow_operators(id, at) LOOP
    t := replace(t, '"' || o.operator_id || '"', '"' || o.display_name || '"');
  END LOOP;
  RETURN regexp_replace(t, '"link-[0-9a-f-]{36}"', '"L"', 'g');
END $$;
-- Its operators in brief, its links, its mapping.
CREATE FUNCTION pg_temp.brief(id bigint, at int = NULL) RETURNS SETOF text LANGUAGE sql AS $$
  SELECT format('%s %s: %s', o.operator_key, o.display_name, o.properties ->> 'code') ||
         coalesce(' -> ' || (SELECT string_agg(target_key::text, ',' ORDER BY target_key) FROM notebook_migrate.workflow_links(id, at) WHERE source_key = o.operator_key), '') ||
         coalesce(' [' || (SELECT string_agg(l.cell_id || coalesce(l.lines::text, ''), ' ' ORDER BY l.position) FROM notebook_migrate.mapping_links(4401, NULL, id, at) AS l
                           WHERE l.operator_key = o.operator_key AND l.state = 'exact') || ']', '') ||
         coalesce(' x=' || (notebook_migrate.workflow_at(id, at) #>> ARRAY['operatorPositions', o.operator_id, 'x']), '')
    FROM notebook_migrate.workflow_operators(id, at) AS o ORDER BY o.position
$$;
\set workflow '{"code": {"UDF1": "load the rows", "UDF2": "drop what is null", "UDF3": "plot all of it"}, "edges": [["UDF1", "UDF2"], ["UDF2", "UDF3"]], "outputs": {"UDF1": ["raw", "rows"], "UDF2": ["data"], "UDF3": ["html"]}}'
\set mapping '{"UDF1": ["load"], "UDF2": ["clean"], "UDF3": ["plot"]}'

-- A new workflow: one operator a UDF, columns of a terminal UDF are strings.
SELECT workflow_version, mapping_id, warnings, workflow_id AS w FROM migration_accept(4401, NULL, :'workflow', E'The mapping:\n```json\n' || :'mapping' || E'\n```', name => 'made') \gset
SELECT :workflow_version, :mapping_id, :'warnings', (SELECT name FROM workflow WHERE workflow_id = :w);
SELECT jsonb_pretty(pg_temp.shown(:w));
SELECT bool_and(operator_id ~ '^PythonUDFV2-operator-[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$'), count(DISTINCT operator_id) FROM workflow_operators(:w);
SELECT cell_id, operator_key, lines, state FROM mapping_links(4401, NULL, :w, NULL);
SELECT origin, notebook_version, workflow_version FROM mapping WHERE notebook_id = 4401;

-- The same replies for that workflow: nothing changes, the mapping is stated again.
SELECT workflow_id = :w, workflow_version, mapping_id, warnings FROM migration_accept(4401, 1, :'workflow', :'mapping', :w);

-- Another whole conversion, numbered anew: operators are known by their code, ids and keys stay, what is gone goes.
SELECT jsonb_object_agg(display_name, operator_id) AS ids FROM workflow_operators(:w) \gset
SELECT workflow_version, warnings FROM migration_accept(4401, 1,
  '{"code": {"UDF1": "drop what is null or twice", "UDF2": "plot all of it", "UDF3": "count how many there are of each"}, "edges": [["UDF1", "UDF2"], ["UDF1", "UDF3"]], "outputs": {"UDF1": ["data"], "UDF2": ["html"]}}',
  '{"UDF1": ["load", "clean"], "UDF2": ["plot"], "UDF3": ["load"]}', :w);
SELECT * FROM pg_temp.brief(:w);
SELECT operator_key, operator_id = :'ids'::jsonb ->> 'UDF2', operator_id = :'ids'::jsonb ->> 'UDF3' FROM workflow_operators(:w);

-- Somebody adds a source by hand, joins it, names an operator, moves one.
SELECT operator_id AS first FROM workflow_operators(:w) WHERE position = 0 \gset
SELECT workflow_edit(:w, jsonb_build_array(
  jsonb_build_object('op', 'insert', 'value', sample.operator('CSV', 'file', 'Rows', 'CSVFileScan')),
  jsonb_build_object('links', jsonb_build_object('add', jsonb_build_array(sample.link('by hand', 'CSV', :'first')))),
  jsonb_build_object('layout', jsonb_build_object('operatorPositions', jsonb_build_object(:'first', '{"x": 33, "y": 44.5}'::jsonb))),
  jsonb_build_object('op', 'replace', 'operator', :'first', 'value', (SELECT o || '{"customDisplayName": "clean", "isDisabled": true}'
     FROM jsonb_array_elements(workflow_at(:w) -> 'operators') AS o WHERE o ->> 'operatorID' = :'first'))));
-- The notebook is edited, too; an answer to what changed names these operators and one that is new.
SELECT notebook_edit(4401, jsonb_build_array(
  jsonb_build_object('op', 'replace', 'cell', 'plot', 'value', sample.cell('data.plot(kind="bar")', 'plot')),
  jsonb_build_object('op', 'insert', 'value', sample.cell('data.save()', 'save'))));
SELECT c ->> 'id', c -> 'operators' FROM jsonb_array_elements(migration_prompt(4401, scope => 'changed') -> 'cells') AS c;
SELECT migration_prompt(4401, scope => 'changed') -> 'edges';
SELECT workflow_version, warnings FROM migration_accept(4401, NULL,
  '{"code": {"UDF2": "plot it as bars", "UDF4": "save"}, "edges": [["clean", "UDF4"]], "outputs": {"UDF4": ["file"]}}',
  '{"UDF2": ["plot"], "UDF4": ["save"]}', :w);
-- All other operators are as they were, with their links and cells, and what was done by hand.
SELECT * FROM pg_temp.brief(:w);
SELECT change, operator_key, detail FROM workflow_diff(:w, 3, 4);
SELECT cell_id, operator_key, state FROM mapping_links(4401, NULL, :w, NULL);
SELECT migration_prompt(4401, scope => 'changed') -> 'cells';

-- A part may be numbered from 1 all the same: a cell and similar code say which operator is meant.
SELECT notebook_edit(4401, jsonb_build_array(jsonb_build_object('op', 'replace', 'cell', 'save', 'value', sample.cell('data.save("x")', 'save'))));
SELECT workflow_version, warnings FROM migration_accept(4401, NULL, '{"code": {"UDF1": "save it"}}', '{"UDF1": ["save"]}', :w);
SELECT * FROM pg_temp.brief(:w);
-- It may map a cell to an operator whose code stays, and join operators that stay.
SELECT notebook_edit(4401, jsonb_build_array(jsonb_build_object('op', 'insert', 'value', sample.cell('data.head()', 'head'))));
SELECT workflow_version, warnings FROM migration_accept(4401, NULL, '{"code": {}, "edges": [["UDF3", "UDF4"]]}', '{"UDF3": ["head"]}', :w);
SELECT * FROM pg_temp.brief(:w);
-- Equal code is the same operator, whatever it is called.
SELECT workflow_version, warnings FROM migration_accept(4401, NULL, '{"code": {"UDF1": "save it"}}', '{}', :w);
-- A name that is another operator's, for cells that are not its own, with other code: a new operator.
SELECT notebook_edit(4401, jsonb_build_array(jsonb_build_object('op', 'insert', 'value', sample.cell('data.tail()', 'tail'))));
SELECT workflow_version, warnings FROM migration_accept(4401, NULL, '{"code": {"UDF3": "nothing but the end"}}', '{"UDF3": ["tail"]}', :w);
SELECT * FROM pg_temp.brief(:w);
-- Two operators display this name now, so that a prompt would call them by id, and a reply means neither.
SELECT workflow_version, warnings FROM migration_accept(4401, NULL, '{"code": {}, "edges": [["clean", "UDF3"]]}', '{}', :w);
-- An edge that closes a cycle with links that stay is left out; so is one that names nothing.
SELECT workflow_version, warnings FROM migration_accept(4401, NULL, '{"code": {}, "edges": [["UDF4", "clean"], ["UDF4", "Rows 2"]]}', '{}', :w);
-- Columns are strings where no link leaves an operator, and binary else: so they become with its first link. Of an operator that stays outputs may be stated.
CREATE FUNCTION pg_temp.columns(wf bigint) RETURNS TABLE(operator_key int, columns jsonb) LANGUAGE sql AS $$
  SELECT k.operator_key, jsonb_path_query_array(o, '$.operatorProperties.outputColumns[*].*')
    FROM notebook_migrate.workflow, jsonb_array_elements(content -> 'operators') AS o,
      notebook_migrate.workflow_operators(wf) AS k
   WHERE workflow_id = wf AND k.operator_id = o ->> 'operatorID' ORDER BY 1 $$;
SELECT * FROM pg_temp.columns(:w);
SELECT workflow_version, warnings FROM migration_accept(4401, NULL, '{"code": {"UDF10": "after it"}, "edges": [["UDF4", "UDF10"]], "outputs": {"UDF10": ["end"], "clean": ["data", "rest"], "nobody": ["x"]}}', '{}', :w);
SELECT * FROM pg_temp.columns(:w);
-- Columns can be stated of UDFs only; an operator can be called by its name, by its id or by a UDF of the reply, once.
SELECT workflow_version, warnings FROM migration_accept(4401, NULL, '{"code": {}, "outputs": {"Rows": ["row"]}}', '{}', :w);
SELECT regexp_replace(a.warnings::text, '[0-9a-f]{8}-[0-9a-f-]{27}', 'U'), c.columns FROM migration_accept(4401, NULL,
  format('{"code": {}, "outputs": {"clean": ["data", "rest"], "%s": ["other"]}}', :'first'), '{}', :w) AS a, pg_temp.columns(:w) AS c WHERE operator_key = 2;
SELECT a.warnings, c.columns FROM migration_accept(4401, NULL,
  format('{"code": {"clean": "drop what is null or twice"}, "outputs": {"clean": ["data", "rest"], "%s": ["other"]}}', :'first'), '{}', :w) AS a, pg_temp.columns(:w) AS c WHERE operator_key = 2;
-- A new name; other members of the workflow stay.
SELECT workflow_version, warnings FROM migration_accept(4401, NULL, '{"code": {"UDF9": "more"}}', '{}', :w, 'renamed');
SELECT name, version, content -> 'settings' FROM workflow WHERE workflow_id = :w;

-- An operator that loses its last link has strings again, though the reply does not state its columns. A part takes no link away, a whole conversion does.
SELECT workflow_id AS short FROM migration_accept(4401, 1, '{"code": {"A": "all that stays", "B": "and what goes"}, "edges": [["A", "B"]], "outputs": {"A": ["x"], "B": ["y"]}}', '{"A": ["load"], "B": ["load"]}') \gset
SELECT * FROM pg_temp.columns(:short);
SELECT workflow_version, warnings FROM migration_accept(4401, 1, '{"code": {"A": "all that stays"}}', '{}', :short);
SELECT * FROM pg_temp.columns(:short);
SELECT workflow_version, warnings FROM migration_accept(4401, 1, '{"code": {"A": "all that stays"}}', '{"A": ["load"]}', :short);
SELECT * FROM pg_temp.columns(:short);

-- Parts that are not sound are left out, each with a warning; the rest is taken.
\set odd_workflow '{"code": {"UDF1": "a", "UDF2": 7, "UDF3": "c"}, "edges": [["UDF1", "UDF3"], ["UDF3", "UDF1"], ["UDF1", "UDF2"]], "outputs": {"UDF2": ["x"], "UDF3": ["y", "y"]}}'
\set odd_mapping '{"UDF1": ["load", "load", "nowhere", 3], "UDF2": ["clean"], "UDF3": [[2, 3], [1, 99], [3, 2], {"cell": "clean", "lines": [[1, 1], [1, 2], 3]}], "UDF4": "plot"}'
SELECT unnest(warnings) FROM migration_accept(4401, 1, :'odd_workflow', :'odd_mapping');
SELECT max(workflow_id) AS odd FROM workflow \gset
SELECT pg_temp.shown(:odd) - 'operators' - 'settings' - 'commentBoxes';
SELECT cell_id, operator_key, lines FROM mapping_links(4401, 1, :odd, NULL);
-- With strict nothing is.
SELECT * FROM migration_accept(4401, 1, :'odd_workflow', :'odd_mapping', strict => true);
\echo :SQLSTATE
SELECT max(workflow_id) = :odd FROM workflow;
SELECT workflow_id = :odd, workflow_version, warnings FROM migration_accept(4401, 1, :'workflow', :'mapping', :odd, strict => true);

-- Several in one statement: each sees what the one before it made.
SELECT workflow_version, warnings FROM generate_series(1, 3) AS i,
  LATERAL migration_accept(4401, 1, format('{"code": {"more%s": "code %s"}, "edges": [["UDF1", "more1"]]}', i, i), format('{"more%s": ["imports"]}', i), :odd);
SELECT * FROM pg_temp.brief(:odd);
-- Lines count in the code cells one after the other; a range may span cells.
SELECT workflow_id AS lined, warnings FROM migration_accept(4401, 1, '{"code": {"A": "a", "B": "b"}}', '{"A": [[1, 3]], "B": [[3, 5], {"cell": "load", "lines": [[1, 1]]}]}') \gset
SELECT display_name, cell_id, l.lines, :'warnings' FROM mapping_links(4401, 1, :lined, NULL) AS l JOIN workflow_operators(:lined) USING (operator_key)
 ORDER BY display_name COLLATE "C", l.position;

-- A UDF may be called code.
SELECT warnings FROM migration_accept(4401, 1, '{"code": {"code": "a"}}', '{"code": ["load"]}', :odd);
SELECT workflow_parse_reply('{"code": ["load"], "plot": ["plot"]}') -> 'kind';

-- Nothing is written where a reply is refused.
SELECT (SELECT count(*) FROM workflow_version) + (SELECT count(*) FROM mapping) AS before \gset
SELECT * FROM migration_accept(4401, NULL, '{"code": {"UDF1": "a"', :'mapping');
\echo :SQLSTATE
SELECT * FROM migration_accept(4401, NULL, :'workflow', E'```\n{"UDF1": ["load" "clean"]}\n```');
\echo :SQLSTATE
SELECT * FROM migration_accept(4401, NULL, :'mapping', :'workflow');
\echo :SQLSTATE
SELECT * FROM migration_accept(4401, NULL, :'workflow', :'workflow');
\echo :SQLSTATE
SELECT * FROM migration_accept(4401, NULL, '{"code": {}}', :'mapping');
\echo :SQLSTATE
SELECT * FROM migration_accept(4401, NULL, '{"code": {"UDF1": ""}}', :'mapping', :w);
\echo :SQLSTATE
SELECT * FROM migration_accept(NULL, NULL, :'workflow', :'mapping');
\echo :SQLSTATE
SELECT * FROM migration_accept(4401, NULL, NULL, :'mapping');
\echo :SQLSTATE
SELECT * FROM migration_accept(4401, NULL, :'workflow', NULL);
\echo :SQLSTATE
SELECT * FROM migration_accept(999999999, NULL, :'workflow', :'mapping');
\echo :SQLSTATE
SELECT * FROM migration_accept(4401, 99, :'workflow', :'mapping');
\echo :SQLSTATE
SELECT * FROM migration_accept(4401, NULL, :'workflow', :'mapping', 999999999);
\echo :SQLSTATE
-- A range of lines is a link with each cell that it spans: there is an end to that.
INSERT INTO notebook (notebook_id, content) VALUES (4402, sample.sources(VARIADIC ARRAY(SELECT format('x%s = 1', i) FROM generate_series(1, 1000) AS i)));
SELECT * FROM migration_accept(4402, NULL, '{"code": {"A": "a"}}', format('{"A": [%s[1, 1000]]}', repeat('[1, 1000], ', 70000)));
\echo :SQLSTATE
SELECT (SELECT count(*) FROM workflow_version) + (SELECT count(*) FROM mapping) = :before AS nothing_written;
SELECT * FROM store_verify(NULL, NULL);
DELETE FROM notebook WHERE notebook_id IN (4401, 4402);
DELETE FROM workflow WHERE workflow_id IN (:w, :odd, :lined, :short);
