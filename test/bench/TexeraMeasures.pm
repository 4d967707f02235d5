# TexeraMeasures: what an attached Texera pays for a save, what its past costs to
# take in, and what it costs to read an old state, beside the application's way.

package TexeraMeasures;

use v5.36;
use utf8;
use Exporter    qw(import);
use File::Temp  qw(tempdir);
use Time::HiRes qw(time);
use BenchArms;
use BenchFigures;
use BenchServer;

our @EXPORT = qw(measure_texera);

goals(
	texera_save => [ 'save of 20 operators, attached: added, median',     'ms', 'ms', 2 ],
	texera_old  => [ 'workflow_at, version 1 beside 9,999', 'ms', 'x',  1.5 ],
	texera_past => [ 'texera_backfill of a chain: exponent, 500 to 5,000', '',   '',   1.15 ],);

# Three of a kind: latency, one long chain, many chains.
sub measure_texera
{
	make_texera();
	measure_save();
	measure_chain();
	measure_past();
	$dbh->do('SELECT notebook_migrate.texera_detach(true)');
	$dbh->do("DROP SCHEMA $_ CASCADE") for qw(texera_db texera_plain);
}

# Texera twice: once attached, once not; and a generator of contents and patches.
sub make_texera
{
	my $tables = join '', map { s/texera_db/texera_plain/gr, $_ } slurp('test/texera_schema.sql');

	$dbh->do($tables);
	$dbh->do(q{CREATE FUNCTION nbm_bench.content(operators int, save int) RETURNS jsonb LANGUAGE sql IMMUTABLE AS $$
		SELECT jsonb_build_object('links', '[]'::jsonb, 'operators', jsonb_agg(jsonb_build_object(
			'operatorID', 'F-operator-' || i, 'operatorType', 'F', 'inputPorts', '[]'::jsonb, 'operatorProperties',
			jsonb_build_object('code', repeat(md5(i::text) || E'\n', 20) || CASE WHEN i = 1 + save % operators THEN save ELSE 0 END)) ORDER BY i))
		FROM generate_series(1, operators) i $$});
	$dbh->do(q{CREATE FUNCTION nbm_bench.patch(operators int, save int) RETURNS text LANGUAGE sql STABLE AS $$
		SELECT CASE WHEN save = 1 THEN '[{"op": "remove", "path": "/operators"}, {"op": "remove", "path": "/links"}]'
		ELSE notebook_migrate.json_patch_diff(nbm_bench.content(operators, save), nbm_bench.content(operators, save - 1))::text END $$});
}

sub slurp ($file)
{
	open my $in, '<', $file or die "$file: $!\n";
	local $/;
	return <$in>;
}

# Makes workflows that have been saved $saves times, unseen by the store.
sub saved_workflows ($first, $count, $operators, $saves)
{
	my $last = $first + $count - 1;

	$dbh->do('SELECT notebook_migrate.texera_detach()');
	$dbh->do("INSERT INTO texera_db.workflow (wid, name, content)
		SELECT i, 'w', nbm_bench.content($operators, $saves) FROM generate_series($first, $last) i");
	$dbh->do("INSERT INTO texera_db.workflow_version (wid, content)
		SELECT i, p FROM (SELECT n, nbm_bench.patch($operators, n) p FROM generate_series(1, $saves) n OFFSET 0) c,
			generate_series($first, $last) i ORDER BY n, i");
	$dbh->do('ANALYZE texera_db.workflow_version');
}

# pgbench runs both scripts in one run, at random, and logs each transaction:
# client, number, microseconds, script.  What is added is the difference of medians.
sub measure_save
{
	my $folder  = tempdir(CLEANUP => 1);
	my $seconds = $quick ? 2 : 10;
	my (@ours, @base);

	for my $schema (qw(texera_db texera_plain))
	{
		$dbh->do("INSERT INTO $schema.workflow (wid, name, content)
			SELECT i, 'w', nbm_bench.content(20, 0) FROM generate_series(1, 20) i");
		open my $out, '>', "$folder/$schema.sql" or die "$folder: $!\n";
		print $out "\\set wid random(1, 20)\n\\set save random(1, 2000)\n",
		  "INSERT INTO $schema.workflow_version (wid, content) VALUES (:wid, '[]');\n",
		  "UPDATE $schema.workflow SET content = (SELECT content FROM nbm_bench.saved_content WHERE save = :save) WHERE wid = :wid;\n";
	}
	$dbh->do('CREATE TABLE nbm_bench.saved_content AS
		SELECT i AS save, nbm_bench.content(20, i)::text AS content FROM generate_series(1, 2000) i');
	$dbh->do('CREATE INDEX ON nbm_bench.saved_content (save)');
	$dbh->do('SELECT notebook_migrate.texera_attach()');
	for my $repetition (1 .. $REPETITIONS)
	{
		my @time;
		system('pgbench', qw(-n -c 1 -l), '--log-prefix', "$folder/log$repetition", '-T', $seconds,
			map { ('-f', "$folder/$_.sql") } qw(texera_db texera_plain)) == 0
		  or die "pgbench failed\n";
		for my $file (glob "$folder/log$repetition.*")
		{
			open my $in, '<', $file or die "$file: $!\n";
			while (<$in>)
			{
				my (undef, undef, $us, $script) = split;
				push $time[$script]->@*, $us / 1000;
			}
		}
		push @ours, median($time[0]->@*);
		push @base, median($time[1]->@*);
	}
	my ($problems) = $dbh->selectrow_array('SELECT count(*) FROM notebook_migrate.texera_problem');
	die "saves were passed over\n" if $problems;
	line(texera_save => [ map { $ours[$_] - $base[$_] } 0 .. $#ours ]);
	info_pair('... both statements, attached and not', 'ms', 'x', \@ours, \@base);
}

# A chain of 10,000 saves: any state, here and by replaying the patches.
sub measure_chain
{
	my $saves = $quick ? 1_000 : 10_000;
	my (@sizes, @ms);

	for my $part (map { $saves * $_ } 0.05, 0.1, 0.2, 0.5)
	{
		my $wid = 100_000 + $part;
		saved_workflows($wid, 1, 20, $part);
		$dbh->do('SELECT notebook_migrate.texera_attach()');
		push @sizes, $part;
		push @ms, elapsed(sub { $dbh->do("CALL notebook_migrate.texera_backfill($wid)") });
	}
	line(texera_past => [ exponent(\@sizes, \@ms) ]);
	info("... of $sizes[-1] saves of 20 operators: a save", 'ms', [ $ms[-1] / $sizes[-1] ]);
	saved_workflows(200_000, 1, 20, $saves);
	$dbh->do('SELECT notebook_migrate.texera_attach()');
	$dbh->do('CALL notebook_migrate.texera_backfill(200000)');
	my $read = sub ($version) {
		return [ map { elapsed(sub { $dbh->do("SELECT notebook_migrate.workflow_at(200000, $version)") for 1 .. 100 }) / 100 }
			  1 .. $REPETITIONS ];
	};
	$read->(1);
	# the session remembers the newest itself
	line(texera_old => $read->(1), $read->($saves - 1));
	$dbh->do(q{CREATE FUNCTION nbm_bench.replay(w int) RETURNS jsonb LANGUAGE plpgsql AS $$
		DECLARE state jsonb; p text;
		BEGIN
			SELECT content INTO state FROM texera_db.workflow WHERE wid = w;
			FOR p IN SELECT content FROM texera_db.workflow_version WHERE wid = w AND vid >
				(SELECT min(vid) FROM texera_db.workflow_version WHERE wid = w) ORDER BY vid DESC LOOP
				state := notebook_migrate.json_patch(state, p::jsonb);
			END LOOP;
			RETURN state;
		END $$});
	my ($equal) = $dbh->selectrow_array('SELECT nbm_bench.replay(200000) = notebook_migrate.workflow_at(200000, 1)');
	die "the two ways differ\n" if !$equal;
	info_pair('... and by replaying the chain of patches', 'ms', 'x', $read->(1),
		[ elapsed(sub { $dbh->do('SELECT nbm_bench.replay(200000)') }) ]);
}

# The past of 10,000 workflows of 50 saves.
sub measure_past
{
	my $workflows = $quick ? 100 : 10_000;
	my @memory;

	saved_workflows(300_000, $workflows, 20, 50);
	info("texera_attach of $workflows workflows", 'ms', [ elapsed(sub { $dbh->do('SELECT notebook_migrate.texera_attach()') }) ]);
	my $ms = elapsed(sub { $dbh->do('CALL notebook_migrate.texera_backfill()') });
	info("texera_backfill of $workflows x 50: s", 's', [ $ms / 1000 ]);
	info('... rows a second', '', [ $workflows * 50 / $ms * 1000 ]);
	my ($kb) = $dbh->selectrow_array(q{
		SELECT substring(pg_read_file('/proc/' || pg_backend_pid() || '/status') FROM 'RssAnon:\s*(\d+)')});
	info('... memory of its backend afterwards', 'MB', [ $kb / 1024 ]);
}

1;
