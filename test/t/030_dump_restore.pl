# A dump carries the whole history: everything reads back, keys go on where they
# were, and new ids do not collide.
use strict;
use warnings;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = PostgreSQL::Test::Cluster->new('dump');
$node->init(extra => [ '--no-locale', '--encoding=UTF8' ]);
$node->start;
my $dir = PostgreSQL::Test::Utils::tempdir;

$node->safe_psql('postgres', <<'SQL');
CREATE DATABASE origin;
\c origin
CREATE EXTENSION notebook_migrate;
SET search_path = notebook_migrate, public;
CREATE FUNCTION public.nb(VARIADIC sources text[]) RETURNS jsonb LANGUAGE sql AS $$
  SELECT jsonb_build_object('metadata', '{"big": 123456789012345678901234567890.10}'::jsonb, 'cells',
    (SELECT jsonb_agg(jsonb_build_object('cell_type', 'code', 'metadata', '{}'::jsonb, 'outputs', '[]'::jsonb, 'source', s) ORDER BY n)
       FROM unnest(sources) WITH ORDINALITY AS u (s, n))) $$;
INSERT INTO notebook (name, content) SELECT 'n' || i, nb('a = 1', 'b = ' || i) FROM generate_series(1, 5) AS i;
UPDATE notebook SET content = nb('a = 1', 'b = 2', 'c') WHERE notebook_id <= 3;
UPDATE notebook SET content = nb('a = 1', 'c') WHERE notebook_id <= 3;
UPDATE notebook SET content = nb('a = 1', 'c', repeat('long ', 10000)) WHERE notebook_id = 1;
SELECT notebook_commit(2, jsonb_set(nb('plot()'), '{cells,0,outputs}', jsonb_build_array(jsonb_build_object('output_type', 'display_data',
  'metadata', '{}'::jsonb, 'data', jsonb_build_object('image/png', translate(encode(convert_to(repeat('0123456789abcdef', 1024), 'UTF8'), 'base64'), E'\n', ''))))));
SELECT notebook_edit(3, '[{"op": "delete", "cell": 1}]', 'gone');
DELETE FROM notebook WHERE notebook_id = 4;
INSERT INTO workflow (name, content) VALUES ('w1', '{"operators": [{"operatorID": "A"}, {"operatorID": "B"}], "links": []}'), ('w2', '{"operators": []}');
SELECT workflow_commit(1, '{"operators": [{"operatorID": "B"}, {"operatorID": "A", "operatorType": "T"}], "links": []}');
SELECT mapping_put(3, 1, 1, 1, '{"links": [{"cell": 1, "operator": "A", "lines": [[1, 1]]}, {"cell": 2, "operator": "B"}]}');
SELECT job_submit(1, kind => 'note', payload => jsonb_build_object('i', i)) FROM generate_series(1, 3) AS i;
SELECT job_submit(2, kind => 'note');
SELECT job_fail(job_id, token, 'because') FROM job_claim('w');
SELECT job_complete(job_id, token, NULL, NULL, '{"tokens": 5}') FROM job_claim('w');
SQL

# Everything that can be asked of the store, as one text.
my $everything = <<'SQL';
SET search_path = notebook_migrate, public;
SELECT 'notebook', notebook_id, name, version, created_at, updated_at, md5(content::text) FROM notebook ORDER BY notebook_id;
SELECT 'version', to_jsonb(v) FROM notebook_version AS v ORDER BY notebook_id, version;
SELECT 'at', notebook_id, version, md5(notebook_at(notebook_id, version)::text) FROM notebook_version ORDER BY 2, 3;
SELECT 'cells', c.* FROM notebook_version AS v, notebook_cells(v.notebook_id, v.version) AS c ORDER BY v.notebook_id, v.version, c.position;
SELECT 'part', notebook_id, part_id, digest, md5(part_body(body, bytes)::text) FROM notebook_part ORDER BY 2, 3;
SELECT 'workflow', workflow_id, name, version, content FROM workflow ORDER BY workflow_id;
SELECT 'wat', workflow_id, version, workflow_at(workflow_id, version) FROM workflow_version ORDER BY 2, 3;
SELECT 'operators', o.* FROM workflow_version AS v, workflow_operators(v.workflow_id, v.version) AS o ORDER BY v.workflow_id, v.version, o.position;
SELECT 'mapping', m.* FROM mapping AS m ORDER BY mapping_id;
SELECT 'links', l.* FROM mapping_links(3, NULL, 1, NULL) AS l ORDER BY cell_key;
SELECT 'job', j.* FROM migration_job AS j ORDER BY job_id;
SELECT 'problem', p.* FROM store_verify(NULL, NULL) AS p;
SQL
my $before = $node->safe_psql('origin', $everything);
like($before, qr/^links\|/m, 'there is something to dump');

foreach my $format ('plain', 'custom', 'directory')
{
	my $file = "$dir/$format";
	my $copy = "copy_$format";

	$node->command_ok([ 'pg_dump', '-F', $format, '-f', $file, 'origin' ], "$format: dumped");
	$node->safe_psql('postgres', "CREATE DATABASE $copy");
	$node->command_ok($format eq 'plain'
		? [ 'psql', '-XqAt', '-v', 'ON_ERROR_STOP=1', '-d', $copy, '-f', $file ]
		: [ 'pg_restore', '--exit-on-error', '-d', $copy, $file ], "$format: restored");
	is($node->safe_psql($copy, $everything), $before, "$format: everything is as it was");

	# Life goes on: the next ids are new, so are the next keys and mappings.
	is($node->safe_psql($copy, q{SELECT max(cell_key) FROM notebook_migrate.notebook_version AS v, notebook_migrate.notebook_cells(3, v.version) WHERE v.notebook_id = 3}),
		3, "$format: keys so far");
	is($node->safe_psql($copy, <<'SQL'), "6\n3\n5\n{1,4}\nt\nt", "$format: ids, versions and keys go on");
SET search_path = notebook_migrate, public;
INSERT INTO notebook (name, content) VALUES ('next', nb('a')) RETURNING notebook_id;
INSERT INTO workflow (name, content) VALUES ('next', '{"operators": []}') RETURNING workflow_id;
SELECT notebook_commit(3, nb('a = 1', 'something(new)'));
SELECT array_agg(cell_key ORDER BY position) FROM notebook_cells(3);
SELECT mapping_put(3, 1, 1, 1, '{"links": []}') > 1;
SELECT count(*) = 0 FROM store_verify(NULL, NULL);
SQL
	is($node->psql($copy, q{UPDATE notebook_migrate.notebook_version SET message = 'x'}), 3, "$format: history is append-only there too");
}

# Data alone, into a database that has the extension already.
$node->command_ok([ 'pg_dump', '--data-only', '-f', "$dir/data", 'origin' ], 'data alone: dumped');
$node->safe_psql('postgres', 'CREATE DATABASE copy_data');
$node->safe_psql('copy_data', 'CREATE EXTENSION notebook_migrate');
$node->command_ok([ 'psql', '-XqAt', '-v', 'ON_ERROR_STOP=1', '-d', 'copy_data', '-f', "$dir/data" ], 'data alone: restored');
is($node->safe_psql('copy_data', $everything), $before, 'data alone: everything is as it was');

$node->stop;
done_testing();
