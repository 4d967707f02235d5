# Eight clients write at once, to one notebook and to many: nothing is lost, and
# what a client was told is what is stored.
use strict;
use warnings;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = PostgreSQL::Test::Cluster->new('concurrency');
$node->init(extra => [ '--no-locale', '--encoding=UTF8' ]);
$node->start;
$node->safe_psql('postgres', <<'SQL');
CREATE EXTENSION notebook_migrate;
CREATE TABLE told (id bigint, version int, content jsonb);
CREATE SEQUENCE save;
-- No two documents that this makes are equal.
CREATE FUNCTION doc(client int) RETURNS jsonb LANGUAGE sql VOLATILE AS $$
  SELECT jsonb_build_object('metadata', jsonb_build_object('save', nextval('save')), 'cells',
    (SELECT jsonb_agg(jsonb_build_object('cell_type', 'code', 'metadata', '{}'::jsonb, 'outputs', '[]'::jsonb,
       'source', format('cell %s of client %s', n, CASE WHEN random() < 0.3 THEN client END)) ORDER BY n)
     FROM generate_series(1, 10) AS n)) $$;
CREATE FUNCTION cell(client int) RETURNS jsonb LANGUAGE sql VOLATILE AS $$
  SELECT jsonb_build_object('op', 'insert', 'value', jsonb_build_object('cell_type', 'code', 'metadata', '{}'::jsonb,
    'outputs', '[]'::jsonb, 'source', format('save %s by %s', nextval('save'), client))) $$;
INSERT INTO notebook_migrate.notebook (notebook_id, name, content) SELECT i, 'n' || i, doc(0) FROM generate_series(1, 20) AS i;
INSERT INTO notebook_migrate.workflow (workflow_id, name, content) VALUES (1, 'w', '{"operators": [{"operatorID": "A"}], "links": []}');
SQL

sub is_sql
{
	my ($query, $expected, $name) = @_;
	is($node->safe_psql('postgres', "SET search_path = notebook_migrate, public;\n$query"), $expected, $name);
}

# All that must hold whenever nobody writes.
sub whole
{
	my $name = shift;
	is_sql('SELECT notebook_id FROM notebook_version GROUP BY 1 HAVING count(*) <> max(version) OR min(version) <> 1', '', "$name: no gap");
	is_sql('SELECT count(*) FROM told WHERE notebook_at(id, version) IS DISTINCT FROM content', 0, "$name: what was told reads back");
	is_sql('SELECT count(*) - count(DISTINCT (id, version)) FROM told', 0, "$name: no version was told twice");
	is_sql('SELECT (SELECT count(*) FROM notebook_version) - 20 - (SELECT count(*) FROM told)', 0, "$name: as many versions as acknowledgements");
	is_sql('SELECT * FROM store_verify(NULL, NULL)', '', "$name: sound");
}

# One statement is one transaction: a commit, and a note of what it returned.
my $commit = q{WITH d AS MATERIALIZED (SELECT doc(:client_id) AS content)
  INSERT INTO told SELECT :id, notebook_migrate.notebook_commit(:id, d.content), d.content FROM d;};

$node->pgbench('-n -c 8 -j 2 -t 40', 0, [qr/actually processed: 320\/320/], [qr/^$/],
	'one notebook, eight writers', { one => "\\set id 1\n$commit" });
whole('one notebook');

$node->pgbench('-n -c 8 -j 2 -t 60', 0, [qr/actually processed: 480\/480/], [qr/^$/],
	'many notebooks, eight writers', { many => "\\set id random(1, 20)\n$commit" });
whole('many notebooks');

# Edits: each client's cell is in the head at the end, none is overwritten.
$node->pgbench('-n -c 8 -j 2 -t 40', 0, [qr/actually processed: 320\/320/], [qr/^$/],
	'edits of one notebook', { edits => q{
BEGIN;
SELECT notebook_migrate.notebook_edit(2, jsonb_build_array(cell(:client_id))) AS v \gset
INSERT INTO told SELECT 2, :v, notebook_migrate.notebook_at(2, :v);
END;} });
whole('edits');
is_sql(q{SELECT count(*) FROM notebook_cells(2) WHERE source LIKE 'save%'}, 320, 'every edit is in the head');

# Commits, edits, updates, restores and reads mixed, with savepoints that are rolled back.
my %mixed = (
	'commits@4' => "\\set id random(3, 6)\n$commit",
	'cells@3' => q{\set id random(3, 6)
BEGIN;
SAVEPOINT s;
SELECT notebook_migrate.notebook_edit(:id, jsonb_build_array(cell(:client_id))) AS v \gset
ROLLBACK TO s;
SELECT notebook_migrate.notebook_edit(:id, jsonb_build_array(cell(:client_id))) AS v \gset
INSERT INTO told SELECT :id, :v, notebook_migrate.notebook_at(:id, :v);
END;},
	'reads@2' => q{\set id random(3, 6)
SELECT count(*) FROM notebook_migrate.notebook_cells(:id);
SELECT count(*) FROM notebook_migrate.cell_history(:id, 1);
SELECT notebook_migrate.notebook_at(:id, 1);},
	'mapping@1' => q{\set id random(3, 6)
SELECT notebook_migrate.mapping_put(:id, 1, 1, 1, '{"links": [{"cell": 1, "operator": "A"}]}');
SELECT count(*) FROM notebook_migrate.mapping_links(:id, NULL, 1, NULL);});
$node->pgbench('-n -c 8 -j 2 -t 60', 0, [qr/actually processed: 480\/480/], [qr/^$/], 'everything mixed', \%mixed);
whole('everything mixed');

# An UPDATE through the view that comes too late is refused; every other one is kept.
$node->pgbench('-n -c 8 -j 2 -t 40 --max-tries=1000', 0, [qr/actually processed: 320\/320/], [qr/^$/],
	'updates through the view', { updates => q{
BEGIN;
UPDATE notebook_migrate.notebook SET content = jsonb_set(content, '{metadata,count}',
    to_jsonb(coalesce((content #>> '{metadata,count}')::int, 0) + 1)) WHERE notebook_id = 7 RETURNING version AS v \gset
INSERT INTO told SELECT 7, :v, notebook_migrate.notebook_at(7, :v);
END;} });
whole('updates');
is_sql(q{SELECT content #>> '{metadata,count}' FROM notebook WHERE notebook_id = 7}, 320, 'no update was lost');

$node->stop;
done_testing();
