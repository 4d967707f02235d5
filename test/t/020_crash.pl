# The server dies in the middle of many commits: every version that a client was
# told of is there, and nothing is half there.
use strict;
use warnings;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use IPC::Run;

my $clients = 4;
my $dir = PostgreSQL::Test::Utils::tempdir;
my $node = PostgreSQL::Test::Cluster->new('crash');
$node->init(extra => [ '--no-locale', '--encoding=UTF8' ]);
$node->append_conf('postgresql.conf', "fsync = on\nsynchronous_commit = on\n");
$node->start;
$node->safe_psql('postgres', <<'SQL');
CREATE EXTENSION notebook_migrate;
-- A document of 20 cells of which the i-th save changes one; it names its save.
CREATE FUNCTION doc(client int, i int) RETURNS jsonb LANGUAGE sql IMMUTABLE AS $$
  SELECT jsonb_build_object('metadata', jsonb_build_object('save', client || '/' || i), 'cells',
    (SELECT jsonb_agg(jsonb_build_object('cell_type', 'code', 'metadata', '{}'::jsonb, 'outputs', '[]'::jsonb,
       'source', format('cell %s of %s: %s', n, client, CASE WHEN n = i % 20 THEN i ELSE 0 END)) ORDER BY n)
     FROM generate_series(1, 20) AS n)) $$;
SQL

foreach my $round (1 .. 3)
{
	my (@run, @out);

	# Half of the clients share notebook 1, the others have one each.
	$node->safe_psql('postgres', "INSERT INTO notebook_migrate.notebook (notebook_id, name, content)
	  SELECT 100 * $round + n, 'crash', doc(0, 0) FROM generate_series(1, $clients) AS n");
	foreach my $client (1 .. $clients)
	{
		my $id = 100 * $round + ($client <= $clients / 2 ? 1 : $client);
		my $script = join('', map { "SELECT $id, notebook_migrate.notebook_commit($id, doc($client, $_)), '$client/$_';\n" } 1 .. 5000);
		$out[$client] = "$dir/told_${round}_$client";
		append_to_file("$dir/saves_$client", $script);
		push @run, IPC::Run::start(
			[ 'psql', '-XAtq', '-v', 'ON_ERROR_STOP=1', '-d', $node->connstr('postgres'), '-f', "$dir/saves_$client" ],
			'>', $out[$client], '2>', "$dir/errors");
	}

	# Not before every client has been told of something.
	$node->poll_query_until('postgres', "SELECT count(*) > 100 AND count(DISTINCT notebook_id) >= $clients / 2 + 1
	    FROM notebook_migrate.notebook_version WHERE notebook_id > 100 * $round AND version > 1")
	  or die 'the clients do not commit';
	$node->stop('immediate');
	$_->finish foreach @run;
	unlink "$dir/saves_$_" foreach 1 .. $clients;
	$node->start;

	my @told = map { /^(\d+)\|(\d+)\|(.*)$/ ? [ $1, $2, $3 ] : () } map { split /\n/, slurp_file($_) } grep { defined } @out;
	cmp_ok(scalar @told, '>', 50, "round $round: clients were told of versions");
	my $values = join(', ', map { "($_->[0], $_->[1], '$_->[2]')" } @told);
	is( $node->safe_psql('postgres', "SELECT count(*) FROM (VALUES $values) AS t (id, v, save)
	      WHERE notebook_migrate.notebook_at(id, v) IS DISTINCT FROM
	            doc(split_part(save, '/', 1)::int, split_part(save, '/', 2)::int)"),
		0, "round $round: every one of them reads back");
	is( $node->safe_psql('postgres', 'SELECT notebook_id FROM notebook_migrate.notebook_version
	      GROUP BY notebook_id HAVING count(*) <> max(version)'),
		'', "round $round: no gap");
	is( $node->safe_psql('postgres', 'SELECT n.notebook_id FROM notebook_migrate.notebook AS n
	      WHERE version <> (SELECT max(version) FROM notebook_migrate.notebook_version AS v WHERE v.notebook_id = n.notebook_id)'),
		'', "round $round: every head is the newest version");
	is($node->safe_psql('postgres', 'SELECT * FROM notebook_migrate.store_verify(NULL, NULL)'),
		'', "round $round: nothing is damaged");
	is( $node->safe_psql('postgres', "SELECT notebook_migrate.notebook_commit(100 * $round + 1, doc(9, 9))
	      = 1 + (SELECT max(version) FROM notebook_migrate.notebook_version WHERE notebook_id = 100 * $round + 1)"),
		't', "round $round: work goes on");
}

$node->stop;
done_testing();
