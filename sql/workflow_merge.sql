-- Three-way merge of workflows: operators by id, links as a set, boxes one by one.
SET search_path = notebook_migrate, public;
\set SHOW_CONTEXT always

-- load -> clean -> plot
CREATE FUNCTION pg_temp.flow(load text = 'load()', clean text = E'table.dropna()\n\nyield table', plot text = 'plot()',
    added jsonb[] = '{}', links jsonb[] = '{}', positions jsonb = '{}', without text = '') RETURNS jsonb LANGUAGE sql AS $$
  SELECT sample.workflow(
    ARRAY(SELECT o FROM unnest(ARRAY[sample.operator('load', load), sample.operator('clean', clean), sample.operator('plot', plot)] || added) AS o
           WHERE o ->> 'operatorID' <> without),
    ARRAY(SELECT l FROM unnest(ARRAY[sample.link('L1', 'load', 'clean'), sample.link('L2', 'clean', 'plot')] || links) AS l
           WHERE without NOT IN (l #>> '{source,operatorID}', l #>> '{target,operatorID}')), positions) $$;
-- The merged workflow: operators with their code, links, then what conflicts.
CREATE FUNCTION pg_temp.merged(base jsonb, ours jsonb, theirs jsonb, strategy text = 'conflict')
RETURNS SETOF text LANGUAGE sql AS $$
  SELECT t FROM notebook_migrate.workflow_merge(base, ours, theirs, strategy) AS m, LATERAL (
    SELECT n, concat_ws(' ', o ->> 'operatorID', m.content -> 'operatorPositions' -> (o ->> 'operatorID'),
                        replace(o #>> '{operatorProperties,code}', E'\n', ' | '))
      FROM jsonb_array_elements(m.content -> 'operators') WITH ORDINALITY AS e (o, n)
     UNION ALL
    SELECT 1000 + n, concat_ws(' ', l ->> 'linkID' || ':', l #>> '{source,operatorID}', '->', l #>> '{target,operatorID}')
      FROM jsonb_array_elements(m.content -> 'links') WITH ORDINALITY AS e (l, n)
     UNION ALL
    SELECT 2000 + n, '!! ' || concat_ws(' ', c ->> 'kind', c ->> 'path', 'taken ' || (c ->> 'taken'))
      FROM jsonb_array_elements(m.conflicts) WITH ORDINALITY AS e (c, n)) AS r (n, t)
   ORDER BY n $$;

-- Different operators, different lines of one operator's code, the same line.
SELECT pg_temp.merged(pg_temp.flow(), pg_temp.flow(load => 'load(1)', clean => E'table.dropna(1)\n\nyield table'),
                                      pg_temp.flow(clean => E'table.dropna()\n\nyield table # done'));
SELECT pg_temp.merged(pg_temp.flow(), pg_temp.flow(plot => 'plot(1)'), pg_temp.flow(plot => 'plot(2)'), 'mark');

-- A box that one side moved stands there; one that both moved stands where ours put it.
SELECT pg_temp.merged(pg_temp.flow(), pg_temp.flow(positions => '{"load": {"x": 1, "y": 1}, "clean": {"x": 1, "y": 1}}'),
                                      pg_temp.flow(positions => '{"clean": {"x": 2, "y": 2}, "plot": {"x": 2, "y": 2}}'));

-- Both insert an operator and join it.
SELECT pg_temp.merged(pg_temp.flow(),
  pg_temp.flow(added => ARRAY[sample.operator('o', 'ours()')], links => ARRAY[sample.link('LO', 'clean', 'o')], positions => '{"o": {"x": 1, "y": 1}}'),
  pg_temp.flow(added => ARRAY[sample.operator('t', 'theirs()')], links => ARRAY[sample.link('LT', 'clean', 't')], positions => '{"t": {"x": 2, "y": 2}}'));
-- Two equal operators are two operators; under one id they are one.
SELECT pg_temp.merged(pg_temp.flow(), pg_temp.flow(added => ARRAY[sample.operator('o', 'same()')]),
                                      pg_temp.flow(added => ARRAY[sample.operator('t', 'same()')]));
SELECT pg_temp.merged(pg_temp.flow(), pg_temp.flow(added => ARRAY[sample.operator('n', E'one()\ntwo()')]),
                                      pg_temp.flow(added => ARRAY[sample.operator('n', E'one()\n2()')]));

-- Links: what a side added is in, what a side deleted is out, whatever their own ids and order.
SELECT pg_temp.merged(pg_temp.flow(),
  jsonb_set(pg_temp.flow(), '{links}', jsonb_build_array(sample.link('new id', 'clean', 'plot'), sample.link('LO', 'load', 'plot'))),
  jsonb_set(pg_temp.flow(), '{links}', jsonb_build_array(sample.link('L2', 'clean', 'plot'), sample.link('L1', 'load', 'clean'), sample.link('LT', 'load', 'plot'))));

-- Deleted here, untouched or only moved there: gone, with its links and its position.
SELECT pg_temp.merged(pg_temp.flow(), pg_temp.flow(without => 'clean'), pg_temp.flow(plot => 'plot(2)', positions => '{"clean": {"x": 2, "y": 2}}'));
-- Deleted here, edited there: it stays with its links and its position, and a conflict tells.
SELECT pg_temp.merged(pg_temp.flow(), pg_temp.flow(without => 'clean'), pg_temp.flow(clean => 'table.fillna()'), s)
  FROM unnest('{conflict,ours}'::text[]) AS s;
-- Deleted here, joined to something there: the same, and the conflict names the link.
SELECT pg_temp.merged(pg_temp.flow(), pg_temp.flow(without => 'clean'),
  pg_temp.flow(added => ARRAY[sample.operator('t', 'theirs()')], links => ARRAY[sample.link('LT', 'clean', 't')]), s)
  FROM unnest('{conflict,ours,theirs}'::text[]) AS s;
SELECT c - 'theirs' AS conflict FROM workflow_merge(pg_temp.flow(), pg_temp.flow(without => 'clean'),
  pg_temp.flow(links => ARRAY[sample.link('LT', 'clean', 'load')]), 'ours'), jsonb_array_elements(conflicts) AS c;
-- One linkID for two new links.
SELECT pg_temp.merged(pg_temp.flow(), pg_temp.flow(links => ARRAY[sample.link('L', 'load', 'plot')]),
                                      pg_temp.flow(links => ARRAY[sample.link('L', 'plot', 'load')]), s)
  FROM unnest('{conflict,theirs}'::text[]) AS s;

-- New ids on one side: the other's links and positions follow.
CREATE FUNCTION pg_temp.renamed(flow jsonb) RETURNS jsonb LANGUAGE sql AS
  $$ SELECT replace(replace(flow::text, '"clean"', '"clean-2"'), '"load"', '"load-2"')::jsonb $$;
SELECT pg_temp.merged(pg_temp.flow(), pg_temp.flow(load => 'load(1)', added => ARRAY[sample.operator('o', 'ours()')],
    links => ARRAY[sample.link('LO', 'clean', 'o')], positions => '{"clean": {"x": 1, "y": 1}}'), pg_temp.renamed(pg_temp.flow()));
SELECT pg_temp.merged(pg_temp.flow(), pg_temp.renamed(pg_temp.flow()), replace(pg_temp.flow(plot => 'plot(2)')::text, '"clean"', '"clean-3"')::jsonb);

-- Properties by member, flags, types; the envelope's other members.
WITH f AS (SELECT array_agg(sample.workflow(ARRAY[sample.operator('a', 'x', operator_type => t) || jsonb_build_object('operatorProperties', p)], comments => c)
                            || jsonb_build_object('settings', s) ORDER BY n) AS f
             FROM (VALUES (1, '{"limit": 1, "keys": ["k"]}'::jsonb, 'Filter', '[]'::jsonb, '{"size": 1}'::jsonb),
                          (2, '{"limit": 2, "keys": ["k", "o"]}', 'Sort', '["o"]', '{"size": 2}'),
                          (3, '{"limit": 1, "keys": ["k", "t"], "t": 1.0}', 'Limit', '["t"]', '{"size": 1, "t": 1}')) AS v (n, p, t, c, s))
SELECT m.content #> '{operators,0,operatorProperties}' AS properties, m.content -> 'settings' AS settings, m.content -> 'commentBoxes' AS comments,
       jsonb_path_query_array(m.conflicts, '$[*].path') AS conflicts
  FROM f, workflow_merge(f[1], f[2], f[3]) AS m;

-- The laws.
SELECT name, m.content::text = x::text AS same, m.conflicts
  FROM (SELECT pg_temp.flow() AS b, pg_temp.flow(clean => 'none', added => ARRAY[sample.operator('o', 'ours()')], links => ARRAY[sample.link('LO', 'o', 'clean')], without => 'plot') AS x) AS v,
       LATERAL (VALUES ('x, x', x, x), ('b, x', b, x), ('x, b', x, b)) AS law (name, o, t), workflow_merge(b, o, t) AS m ORDER BY name;
-- Links of a shape of their own, and positions of nothing, are kept.
SELECT m.content -> 'links' AS links, m.content -> 'operatorPositions' AS positions, m.conflicts
  FROM workflow_merge('{"operators": [], "links": [1, "two"], "operatorPositions": {"gone": 1}}',
                      '{"operators": [], "links": [1, "two", {"a": 1.0}], "operatorPositions": {"gone": 2}}',
                      '{"operators": [], "links": ["two", null], "operatorPositions": {"gone": 1, "t": {}}}') AS m;

-- What cannot be merged.
SELECT workflow_merge(NULL, pg_temp.flow(), pg_temp.flow());
\echo :SQLSTATE
SELECT workflow_merge(pg_temp.flow(), pg_temp.flow(), '{"links": []}');
\echo :SQLSTATE
SELECT workflow_merge(pg_temp.flow(), pg_temp.flow() || '{"links": {}}', pg_temp.flow());
\echo :SQLSTATE
SELECT workflow_merge(pg_temp.flow(), pg_temp.flow(), pg_temp.flow(), 'Ours');
\echo :SQLSTATE
