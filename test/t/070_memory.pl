# A backend that works for long does not grow: a thousand commits, edits, reads
# and mappings in one statement leave nothing behind.
use strict;
use warnings;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = PostgreSQL::Test::Cluster->new('memory');
$node->init(extra => [ '--no-locale', '--encoding=UTF8' ]);
$node->start;
$node->safe_psql('postgres', <<'SQL');
CREATE EXTENSION notebook_migrate;
-- A document of 200 kB; the i-th differs in one cell.
CREATE FUNCTION doc(i int) RETURNS jsonb LANGUAGE sql IMMUTABLE AS $$
  SELECT jsonb_build_object('metadata', '{}'::jsonb, 'cells',
    (SELECT jsonb_agg(jsonb_build_object('cell_type', 'code', 'metadata', '{}'::jsonb, 'outputs', '[]'::jsonb,
       'source', CASE WHEN n = 1 THEN 'save ' || i ELSE '' END || repeat(md5(n::text), 60)) ORDER BY n)
     FROM generate_series(1, 100) AS n)) $$;
INSERT INTO notebook_migrate.notebook (notebook_id, name, content) VALUES (1, 'memory', doc(0));
INSERT INTO notebook_migrate.workflow (workflow_id, name, content) VALUES (1, 'memory', '{"operators": [{"operatorID": "A"}, {"operatorID": "B"}], "links": []}');
SELECT notebook_migrate.mapping_put(1, 1, 1, 1, '{"links": [{"cell": 1, "operator": "A"}, {"cell": 2, "operator": "B"}]}');
SQL
cmp_ok($node->safe_psql('postgres', 'SELECT octet_length(doc(1)::text)'), '>', 190_000, 'the document is large');

# What each statement does; it is run in a loop inside one statement, and what
# the backend holds is looked at early and late in that loop, then after it.
my %work = (
	'a commit' => q{PERFORM notebook_commit(1, doc(i))},
	'an equal commit' => q{PERFORM notebook_commit(1, notebook_at(1))},
	'an update through the view' => q{UPDATE notebook SET content = doc(i) WHERE notebook_id = 1},
	'an edit' => q{PERFORM notebook_edit(1, jsonb_build_array(jsonb_build_object('op', 'replace', 'cell', 1, 'value', doc(i) #> '{cells,0}')))},
	'a restore' => q{PERFORM notebook_restore(1, 1 + i % 2)},
	'a read' => q{PERFORM notebook_at(1, 1 + i % 100)},
	'a list of cells' => q{PERFORM count(*) FROM notebook_cells(1, 1 + i % 100)},
	'a diff' => q{PERFORM count(*) FROM notebook_diff(1, 1, 1 + i % 100)},
	'a mapping' => q{PERFORM mapping_at(1, 1 + i % 100, 1, 1)},
	'a list of links' => q{PERFORM count(*) FROM mapping_links(1, 1 + i % 100, 1, 1)},
	'a list that is not read to its end' => q{PERFORM position FROM notebook_cells(1, 1 + i % 100) LIMIT 1},
	'an error that is caught' => q{BEGIN PERFORM notebook_commit(1, jsonb_set(doc(i), '{cells,99}', '5')); RAISE 'no error'; EXCEPTION WHEN invalid_parameter_value THEN NULL; END});

# The order matters: later work reads versions that earlier work made.
foreach my $name ('a commit', sort grep { $_ ne 'a commit' } keys %work)
{
	my $out = $node->safe_psql('postgres', <<"SQL");
SET search_path = notebook_migrate, public;
CREATE TEMP TABLE held (at int, bytes bigint);
DO \$\$
BEGIN
  FOR i IN 1 .. 1000 LOOP
    $work{$name};
    IF i IN (200, 1000) THEN
      INSERT INTO held SELECT i, sum(total_bytes) FROM pg_backend_memory_contexts;
    END IF;
  END LOOP;
END \$\$;
INSERT INTO held SELECT 9999, sum(total_bytes) FROM pg_backend_memory_contexts;
SELECT (SELECT bytes FROM held WHERE at = 1000) - (SELECT bytes FROM held WHERE at = 200),
       (SELECT bytes FROM held WHERE at = 9999) - (SELECT bytes FROM held WHERE at = 200);
SQL
	my ($within, $after) = split /\|/, $out;
	cmp_ok($within, '<', 1_000_000, "$name, 800 times: nothing grows by more than a few documents");
	cmp_ok($after, '<', 1_000_000, "$name: nor after the statement");
}

# The same as rows of one SELECT.
my $grown = $node->safe_psql('postgres', <<'SQL');
SET search_path = notebook_migrate, public;
SELECT count(notebook_commit(1, doc(-i))) FROM generate_series(1, 10) AS i \g /dev/null
SELECT sum(total_bytes) AS before FROM pg_backend_memory_contexts \gset
SELECT count(notebook_commit(1, doc(-i))) FROM generate_series(11, 1010) AS i \g /dev/null
SELECT sum(total_bytes) - :before FROM pg_backend_memory_contexts;
SQL
cmp_ok($grown, '<', 1_000_000, 'a thousand rows of one SELECT');
is($node->safe_psql('postgres', 'SELECT count(*) = max(version) FROM notebook_migrate.notebook_version WHERE notebook_id = 1'), 't', 'no gap');
is($node->safe_psql('postgres', 'SELECT * FROM notebook_migrate.store_verify(NULL, NULL)'), '', 'sound');

# A call holds a few copies of its documents at most, however many small things
# they are made of, or how deep they are.  Each one works in a backend of its
# own, which says how large it ever was.
SKIP:
{
	skip 'no /proc', 7 unless -r '/proc/self/status';
	$node->safe_psql('postgres', <<'SQL');
CREATE FUNCTION peak() RETURNS int LANGUAGE sql VOLATILE AS
  $$ SELECT (regexp_match(pg_read_file('/proc/self/status'), 'VmHWM:\s+(\d+)'))[1]::int / 1024 $$;
CREATE TABLE large (what text PRIMARY KEY, base jsonb, ours jsonb, theirs jsonb);
-- 2 MB, 900 levels, changed in the innermost.
INSERT INTO large SELECT 'deep', d[1], d[2], d[3]
  FROM (SELECT array_agg(('{"cells": [], "metadata": ' || repeat('{"a": "' || repeat('x', 2000) || '", "b": ', 900) || i || repeat('}', 900) || '}')::jsonb ORDER BY n) AS d
          FROM (VALUES (1, '{"o": 1, "t": 1}'), (2, '{"o": 2, "t": 1}'), (3, '{"o": 1, "t": 2}')) AS v (n, i)) AS s;
INSERT INTO large SELECT 'wide', d[1], d[2], d[3]
  FROM (SELECT array_agg(jsonb_build_object('cells', '[]'::jsonb, 'm', (SELECT jsonb_object_agg('k' || k, i) FROM generate_series(1, 150000) AS k)) ORDER BY n) AS d
          FROM (VALUES (1, '{"x": 1}'::jsonb), (2, '{"x": 2}'), (3, '{"x": 1, "y": 2}')) AS v (n, i)) AS s;
INSERT INTO large SELECT 'contested', d[1], d[2], d[3]
  FROM (SELECT array_agg(jsonb_build_object('cells', '[]'::jsonb, 'm', (SELECT jsonb_object_agg('k' || k, n) FROM generate_series(1, 150000) AS k)) ORDER BY n) AS d
          FROM generate_series(1, 3) AS n) AS s;
INSERT INTO large SELECT 'links', d[1], d[2], d[3]
  FROM (SELECT array_agg(('{"operators": [], "links": [' || repeat('0,', 200000) || n || ']}')::jsonb ORDER BY n) AS d FROM generate_series(1, 3) AS n) AS s;
INSERT INTO large SELECT 'positions', d[1], d[2], d[3]
  FROM (SELECT array_agg(jsonb_build_object('operators', '[]'::jsonb, 'operatorPositions', (SELECT jsonb_object_agg('k' || k, n) FROM generate_series(1, 150000) AS k)) ORDER BY n) AS d
          FROM generate_series(1, 3) AS n) AS s;
INSERT INTO notebook_migrate.notebook (notebook_id, content) SELECT 2, base FROM large WHERE what = 'contested';
SQL
	my %most = (deep => 150, wide => 150, contested => 250, links => 300, positions => 200);
	foreach my $what (sort keys %most)
	{
		my $kind = $what =~ /links|positions/ ? 'workflow' : 'notebook';
		my $mb = $node->safe_psql('postgres', qq{SELECT peak() AS before \\gset
SELECT count(*) AS merged FROM large, notebook_migrate.${kind}_merge(base, ours, theirs) WHERE what = '$what' \\gset
SELECT peak() - :before;});
		cmp_ok($mb, '<', $most{$what}, "a merge, $what, takes no more than $most{$what} MB");
	}
	my $mb = $node->safe_psql('postgres', q{SELECT peak() AS before \gset
SELECT notebook_migrate.notebook_commit(2, ours) AS version FROM large WHERE what = 'contested' \gset
SELECT peak() - :before;});
	cmp_ok($mb, '<', 100, 'nor does a commit of as many changed members');
	$mb = $node->safe_psql('postgres', q{
INSERT INTO notebook_migrate.workflow (workflow_id, content) SELECT 2, jsonb_build_object(
  'operators', (SELECT jsonb_agg(jsonb_build_object('operatorID', 'op' || i)) FROM generate_series(1, 2000) AS i),
  'links', (SELECT jsonb_agg(jsonb_build_object('linkID', 'l' || i, 'source', jsonb_build_object('operatorID', 'op' || i),
              'target', jsonb_build_object('operatorID', 'op' || i + 1))) FROM generate_series(1, 2000) AS i));
SELECT peak() AS before \gset
SELECT notebook_migrate.workflow_edit(2, jsonb_agg(jsonb_build_object('op', 'delete', 'operator', 'op' || i))) AS version FROM generate_series(1, 2000) AS i \gset
SELECT peak() - :before;});
	cmp_ok($mb, '<', 100, 'nor does an edit list that deletes 2,000 linked operators one by one');
}

$node->stop;
done_testing();
