-- Every save of a notebook is a version, made by plain SQL on a view.
SET search_path = notebook_migrate, public;

-- INSERT makes version 1. The id comes from the store, or is given.
INSERT INTO notebook (name, content) VALUES ('unnumbered', sample.sources('a = 1'))
  RETURNING notebook_id AS made, notebook_id > 0 AS numbered, version \gset
\echo :numbered :version
DELETE FROM notebook WHERE notebook_id = :made;

INSERT INTO notebook (notebook_id, name, content)
  VALUES (1001, 'first', sample.sources('a = 1', 'b = 2')) RETURNING notebook_id, name, version;

-- What the store decides is ignored when given.
INSERT INTO notebook (notebook_id, name, content, version, created_at, updated_at)
  VALUES (1002, 'second', sample.sources('x = 1'), 77, '2001-01-01', '2001-01-01')
  RETURNING version, created_at > '2002-01-01' AS now, updated_at = created_at AS never_saved_since;

-- UPDATE of the content makes the next version, RETURNING shows it as stored.
UPDATE notebook SET content = sample.sources('a = 1', 'b = 22') WHERE notebook_id = 1001
  RETURNING version, content -> 'cells' -> 1 ->> 'source' AS source;
UPDATE notebook SET content = jsonb_set(content, '{cells,0,source}', '"a = 11"') WHERE notebook_id = 1001
  RETURNING version, updated_at > created_at AS saved_later;

-- A save of an equal document makes no version.
UPDATE notebook SET content = content WHERE notebook_id = 1001 RETURNING version;
UPDATE notebook SET content = sample.sources('a = 11', 'b = 22') WHERE notebook_id = 1001 RETURNING version;
SELECT notebook_commit(1001, sample.sources('a = 11', 'b = 22')) AS version;

-- A new name alone makes none either; with a new content it makes one.
UPDATE notebook SET name = 'renamed' WHERE notebook_id = 1001 RETURNING name, version;
UPDATE notebook SET name = 'renamed again', content = sample.sources('a = 11', 'b = 22', 'c = 3')
 WHERE notebook_id = 1001 RETURNING name, version;
SELECT version, parent_version, cells, inserted, deleted, modified, moved, outputs, metadata
  FROM notebook_version WHERE notebook_id = 1001 ORDER BY version;

-- Equal means equal as text: 1.0 is not 1.
SELECT notebook_commit(1002, '{"cells": [], "metadata": {"x": 1}, "nbformat": 4, "nbformat_minor": 5}') AS version;
SELECT notebook_commit(1002, '{"cells": [], "metadata": {"x": 1.0}, "nbformat": 4, "nbformat_minor": 5}') AS version;
SELECT version, notebook_at(1002, version) -> 'metadata' AS metadata
  FROM notebook_version WHERE notebook_id = 1002 ORDER BY version;

-- Equal documents have equal digests, in whatever version.
SELECT notebook_commit(1002, '{"cells": [], "metadata": {"x": 1}, "nbformat": 4, "nbformat_minor": 5}') AS version;
SELECT a.version, b.version AS equal_to
  FROM notebook_version a JOIN notebook_version b USING (notebook_id, digest)
 WHERE notebook_id = 1002 AND a.version < b.version ORDER BY 1, 2;

-- Who, why and when.
SET notebook_migrate.author = 'ada';
SELECT notebook_commit(1001, sample.sources('a = 11'), 'drop all but one', 4) AS version;
RESET notebook_migrate.author;
SELECT notebook_commit(1001, sample.sources('a = 12'), message => 'by the role itself') AS version;
SELECT version, CASE WHEN author = session_user THEN 'session_user' ELSE author END AS author, message
  FROM notebook_version WHERE notebook_id = 1001 AND version > 4 ORDER BY version;
SELECT bool_and(created_at >= before) AS in_order_of_time
  FROM (SELECT created_at, lag(created_at, 1, created_at) OVER (ORDER BY version) AS before
          FROM notebook_version WHERE notebook_id = 1001) AS v;

-- The version that the writer believes to be the newest can be stated.
SELECT notebook_commit(1001, sample.sources('lost'), expected_version => 5);
\echo :SQLSTATE
SELECT notebook_commit(1001, sample.sources('a = 13'), expected_version => 6) AS version;

-- Many rows at once.
INSERT INTO notebook (notebook_id, name, content)
  SELECT 1010 + i, 'series', sample.sources('i = ' || i) FROM generate_series(1, 3) AS i
  RETURNING notebook_id, version;
WITH saved AS (
  UPDATE notebook SET content = content || '{"metadata": {"seen": true}}'
   WHERE notebook_id BETWEEN 1011 AND 1013 AND notebook_id <> 1012
  RETURNING notebook_id, version)
SELECT * FROM saved ORDER BY notebook_id;
UPDATE notebook AS n SET content = sample.sources(v.source)
  FROM (VALUES (1011, 'i = 10'), (1012, 'i = 20')) AS v (id, source) WHERE n.notebook_id = v.id;
SELECT notebook_id, version, content #>> '{cells,0,source}' AS source
  FROM notebook WHERE name = 'series' ORDER BY notebook_id;

-- COPY goes into the view, and out of a query.
COPY notebook (notebook_id, name, content) FROM stdin;
1021	copied	{"cells": [], "metadata": {"k": "tab\\there"}, "nbformat": 4, "nbformat_minor": 5}
1022	copied	{"cells": [{"cell_type": "raw", "metadata": {}, "source": "one\\ntwo"}], "metadata": {}, "nbformat": 4, "nbformat_minor": 5}
\.
COPY (SELECT notebook_id, version, content FROM notebook WHERE name = 'copied' ORDER BY 1) TO stdout;

-- Writes of one transaction see each other.
BEGIN;
INSERT INTO notebook (notebook_id, name, content) VALUES (1030, 'one transaction', sample.sources('1'));
UPDATE notebook SET content = sample.sources('2') WHERE notebook_id = 1030;
SELECT notebook_commit(1030, sample.sources('3')) AS version;
SELECT version, content #>> '{cells,0,source}' AS source FROM notebook WHERE notebook_id = 1030;
COMMIT;

-- DELETE removes the document with its whole history.
DELETE FROM notebook WHERE notebook_id = 1030 RETURNING notebook_id, name, version;
SELECT (SELECT count(*) FROM notebook WHERE notebook_id = 1030) AS notebooks,
       (SELECT count(*) FROM notebook_version WHERE notebook_id = 1030) AS versions,
       (SELECT count(*) FROM notebook_part WHERE notebook_id = 1030) AS parts;
DELETE FROM notebook WHERE notebook_id = 1030;

-- The id may be given again: its history starts anew.
INSERT INTO notebook (notebook_id, name, content) VALUES (1030, 'again', sample.sources('new')) RETURNING version;
SELECT version, cells FROM notebook_version WHERE notebook_id = 1030;

SELECT * FROM store_verify('notebook', 1001);
DELETE FROM notebook WHERE notebook_id BETWEEN 1001 AND 1099;
