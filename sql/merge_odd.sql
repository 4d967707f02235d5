-- Merges of documents that no tool writes: what is odd stays as it is, and is
-- merged or refused like anything else.
SET search_path = notebook_migrate, public;
\set SHOW_CONTEXT never
\set VERBOSITY terse

-- Cells and worksheets at once: the cells are what is looked at, and a merge
-- does not go half way from one to the other.
SELECT notebook_merge('{"cells": [], "worksheets": [{"cells": []}, {"cells": []}]}',
  '{"worksheets": [{"cells": []}], "nbformat": 4}',
  '{"cells": [], "worksheets": [{"cells": []}, {"cells": []}, {"cells": []}], "nbformat": 4}', 'theirs');
\echo :SQLSTATE
SELECT notebook_merge('{"cells": [], "worksheets": [{"cells": []}]}',
  '{"worksheets": [{"cells": []}], "nbformat": 4}', '{"cells": [], "nbformat": 4}');
\echo :SQLSTATE
-- Both sides may have gone, for base is only what they are compared with.
SELECT * FROM notebook_merge('{"worksheets": [{"cells": [{"cell_type": "code", "input": "a"}]}], "nbformat": 3}',
  '{"cells": [{"cell_type": "code", "source": "a"}], "nbformat": 4}',
  '{"cells": [{"cell_type": "code", "source": "a\nb"}], "nbformat": 4}');

-- A cell with an input beside its source: who deletes it does not undo in
-- silence that the other one wrote the input.  One in place of the source is
-- another form of it.
SELECT jsonb_path_query_array(m.content, '$.cells[*].input') AS inputs, jsonb_path_query_array(m.conflicts, '$[*].kind') AS conflicts
  FROM (VALUES (1, '{"source": "a", "input": "b"}'::jsonb), (2, '{"input": "a"}')) AS v (n, cell),
       notebook_merge('{"cells": [{"source": "a"}]}', jsonb_build_object('cells', jsonb_build_array(cell)), '{"cells": []}') AS m
 ORDER BY n;

-- An operator that lost its id on one side: what the other side joined to it,
-- and where it moved it, keeps the name that it gave.
SELECT m.content -> 'links' AS links, m.content -> 'operatorPositions' AS positions, m.conflicts
  FROM workflow_merge(
    '{"operators": [{"operatorID": "A", "operatorType": "t"}, {"operatorID": "B", "operatorType": "u"}],
      "links": [], "operatorPositions": {"A": {"x": 1}, "B": {"x": 2}}}',
    '{"operators": [{"operatorID": "A", "operatorType": "t"}, {"operatorID": "B", "operatorType": "u"}],
      "links": [{"linkID": "L", "source": {"operatorID": "A"}, "target": {"operatorID": "B"}}],
      "operatorPositions": {"A": {"x": 5}, "B": {"x": 2}}}',
    '{"operators": [{"operatorType": "t"}, {"operatorID": "B", "operatorType": "u"}],
      "links": [], "operatorPositions": {"A": {"x": 1}, "B": {"x": 2}}}') AS m;

-- Operators and links that stand twice.
SELECT jsonb_path_query_array(m.content, '$.operators[*].operatorID') AS operators,
       jsonb_path_query_array(m.content, '$.links[*].linkID') AS links, m.conflicts
  FROM workflow_merge(
    '{"operators": [{"operatorID": "A"}, {"operatorID": "A"}], "links": [{"linkID": "L"}, {"linkID": "L"}]}',
    '{"operators": [{"operatorID": "A"}, {"operatorID": "A"}, {"operatorID": "A"}], "links": [{"linkID": "L"}, {"linkID": "L"}, {"linkID": "L"}]}',
    '{"operators": [{"operatorID": "A"}, {"operatorID": "A"}, {"operatorID": 5}], "links": [{"linkID": "L"}]}') AS m;
