-- What no document may look like: an SQLSTATE, where it is, and nothing is written.
SET search_path = notebook_migrate, public;
SET timezone = 'UTC';
SET datestyle = 'ISO';
\set SHOW_CONTEXT never
INSERT INTO notebook (notebook_id, name, content) VALUES (4001, 'sound', sample.sources('x = 1'));
INSERT INTO workflow (workflow_id, name, content) VALUES (4001, 'sound', sample.workflow(ARRAY[sample.operator('A', 'a')]));

-- Not an object.
SELECT notebook_commit(4001, '[1, 2]');
\echo :SQLSTATE
SELECT notebook_commit(4001, '"text"');
\echo :SQLSTATE
SELECT notebook_commit(4001, 'null');
\echo :SQLSTATE
INSERT INTO notebook (name, content) VALUES ('scalar', '17');
\echo :SQLSTATE
UPDATE notebook SET content = '[]' WHERE notebook_id = 4001;
\echo :SQLSTATE

-- No cells.
SELECT notebook_commit(4001, '{}');
\echo :SQLSTATE
SELECT notebook_commit(4001, '{"metadata": {}, "nbformat": 3}');
\echo :SQLSTATE
SELECT notebook_commit(4001, '{"cells": {"a": 1}}');
\echo :SQLSTATE
SELECT notebook_commit(4001, '{"cells": null}');
\echo :SQLSTATE
SELECT notebook_commit(4001, '{"worksheets": {}, "nbformat": 3}');
\echo :SQLSTATE
SELECT notebook_commit(4001, '{"worksheets": [{"cells": []}, 7], "nbformat": 3}');
\echo :SQLSTATE
SELECT notebook_commit(4001, '{"worksheets": [{"cells": []}, {"cells": "none"}], "nbformat": 3}');
\echo :SQLSTATE

-- A cell that is no object.
SELECT notebook_commit(4001, '{"cells": [{"cell_type": "code", "source": ""}, "print(1)"]}');
\echo :SQLSTATE
SELECT notebook_commit(4001, '{"cells": [[]]}');
\echo :SQLSTATE
SELECT notebook_commit(4001, '{"worksheets": [{"cells": []}, {"cells": [{}, null]}], "nbformat": 3}');
\echo :SQLSTATE

-- A source of a wrong type.
SELECT notebook_commit(4001, '{"cells": [{}, {}, {}, {"cell_type": "code", "source": 5}]}');
\echo :SQLSTATE
SELECT notebook_commit(4001, '{"cells": [{"cell_type": "code", "source": {"text": "x"}}]}');
\echo :SQLSTATE
SELECT notebook_commit(4001, '{"cells": [{"cell_type": "code", "source": ["a", 1]}]}');
\echo :SQLSTATE
SELECT notebook_commit(4001, '{"worksheets": [{"cells": [{"cell_type": "code", "input": 5}]}], "nbformat": 3}');
\echo :SQLSTATE

-- Text that is no JSON, or that jsonb cannot hold.
SELECT notebook_commit(4001, '{"cells": [}');
\echo :SQLSTATE
SELECT notebook_commit(4001, '{"cells": [{"cell_type": "code", "source": "a\u0000b"}]}');
\echo :SQLSTATE

-- Workflows.
SELECT workflow_commit(4001, '[]');
\echo :SQLSTATE
SELECT workflow_commit(4001, '{"links": []}');
\echo :SQLSTATE
SELECT workflow_commit(4001, '{"operators": {}}');
\echo :SQLSTATE
SELECT workflow_commit(4001, '{"operators": [{"operatorID": "A"}, 5]}');
\echo :SQLSTATE

-- NULL where none may be.
SELECT notebook_commit(NULL, sample.sources('x'));
\echo :SQLSTATE
SELECT notebook_commit(4001, NULL);
\echo :SQLSTATE
INSERT INTO notebook (name) VALUES ('no content');
\echo :SQLSTATE
UPDATE notebook SET content = NULL WHERE notebook_id = 4001;
\echo :SQLSTATE
SELECT notebook_at(NULL, 1);
\echo :SQLSTATE
SELECT * FROM notebook_cells(NULL);
\echo :SQLSTATE
SELECT * FROM workflow_diff(NULL, 1, 1);
\echo :SQLSTATE
SELECT notebook_restore(NULL, 1);
\echo :SQLSTATE
SELECT * FROM cell_history(4001, NULL);
\echo :SQLSTATE

-- No such document, no such version.
SELECT notebook_commit(999999999, sample.sources('x'));
\echo :SQLSTATE
SELECT notebook_at(999999999);
\echo :SQLSTATE
SELECT notebook_at(-1);
\echo :SQLSTATE
SELECT notebook_at(4001, 2);
\echo :SQLSTATE
SELECT notebook_at(4001, 0);
\echo :SQLSTATE
SELECT notebook_at(4001, -1);
\echo :SQLSTATE
SELECT notebook_at(4001, '2001-01-01'::timestamptz) IS NULL;
\echo :SQLSTATE
SELECT * FROM notebook_cells(999999999);
\echo :SQLSTATE
SELECT * FROM notebook_diff(4001, 1, 2);
\echo :SQLSTATE
SELECT * FROM notebook_diff(4001, -1, 1);
\echo :SQLSTATE
SELECT * FROM cell_history(999999999, 1);
\echo :SQLSTATE
SELECT * FROM workflow_operators(4001, 7);
\echo :SQLSTATE
SELECT * FROM workflow_links(999999999);
\echo :SQLSTATE
SELECT * FROM operator_history(4001, 77);
\echo :SQLSTATE
SELECT workflow_restore(4001, 2);
\echo :SQLSTATE

-- The head is not what the writer expected.
SELECT notebook_commit(4001, sample.sources('y'), expected_version => 2);
\echo :SQLSTATE
SELECT workflow_commit(4001, sample.workflow('{}'), expected_version => 0);
\echo :SQLSTATE
SELECT notebook_commit(4001, sample.sources('x = 1'), expected_version => 2);
\echo :SQLSTATE

-- What the view decides itself cannot be assigned, and an id is given once.
UPDATE notebook SET version = 7 WHERE notebook_id = 4001;
\echo :SQLSTATE
UPDATE notebook SET notebook_id = 4002 WHERE notebook_id = 4001;
\echo :SQLSTATE
UPDATE notebook SET created_at = '2001-01-01' WHERE notebook_id = 4001;
\echo :SQLSTATE
UPDATE workflow SET updated_at = '2001-01-01', name = 'x' WHERE workflow_id = 4001;
\echo :SQLSTATE
INSERT INTO notebook (notebook_id, name, content) VALUES (4001, 'again', sample.sources('x'));
\echo :SQLSTATE

-- Nothing was written by any of these.
SELECT n.name, n.version, n.content = sample.sources('x = 1') AS as_before, w.version AS workflow_version
  FROM notebook AS n, workflow AS w WHERE notebook_id = 4001 AND workflow_id = 4001;
SELECT (SELECT count(*) FROM notebook_version WHERE notebook_id = 4001) AS versions,
       (SELECT count(*) FROM notebook WHERE name IN ('scalar', 'no content', 'again')) AS others;
DELETE FROM notebook WHERE notebook_id = 4001;
DELETE FROM workflow WHERE workflow_id = 4001;
