# JobMeasures: claims and completions of 8 pgbench clients out of 100,000 waiting
# jobs, beside a bare table with SKIP LOCKED in the same server and run.
#
# A pair is two transactions: a claim and its completion.  The jobs are of a kind
# without prompt and result, since making and storing a workflow is not the
# queue's work and the bare table does nothing of the kind.  They belong to 1,000
# notebooks, 100 each, so that each completion lets the next one in.  Both sides
# use prepared statements; repetitions take turns, each on a queue filled anew.

package JobMeasures;

use v5.36;
use utf8;
use Exporter   qw(import);
use File::Temp qw(tempdir);
use BenchFigures;
use BenchServer;

our @EXPORT = qw(measure_jobs);

# Goals are of the time of a pair: 1.25 is 0.8 of the rate, 1.5 two thirds.
goals(
	jobs     => [ 'jobs: claim + complete, 8 clients, 100,000 wait',  'ms', 'x', 1.25 ],
	jobs_old => [ 'jobs: the same, another session holds a snapshot', 'ms', 'x', 1.5 ],);

my %SCRIPT = (
	ours => <<'SQL',
SELECT job_id AS j, token AS t FROM notebook_migrate.job_claim('w') \gset
SELECT FROM notebook_migrate.job_complete(:j, :t, NULL, NULL);
SQL
	base => <<'SQL');
UPDATE nbm_bench.queue SET state = 'leased', worker = 'w', lease_until = now() + '5 min' WHERE job_id = (SELECT job_id FROM nbm_bench.queue WHERE state = 'waiting' AND run_after <= now() ORDER BY priority DESC, run_after, job_id LIMIT 1 FOR UPDATE SKIP LOCKED) RETURNING job_id AS j \gset
UPDATE nbm_bench.queue SET state = 'done' WHERE job_id = :j;
SQL
my %FILL = (
	ours => [
		'TRUNCATE notebook_migrate.migration_job, notebook_migrate.migration_line, notebook_migrate.migration_turn',
		q{SELECT count(notebook_migrate.job_submit(1000000 + i % 1000, kind => 'bench', payload => jsonb_build_object('i', i)))
			FROM generate_series(1, ?::int) i},
		'VACUUM ANALYZE notebook_migrate.migration_job, notebook_migrate.migration_line, notebook_migrate.migration_turn'
	],
	base => [
		'TRUNCATE nbm_bench.queue RESTART IDENTITY',
		q{INSERT INTO nbm_bench.queue (priority, run_after, payload)
			SELECT 0, now(), '{}' FROM generate_series(1, ?::int)},
		'VACUUM ANALYZE nbm_bench.queue'
	]);

sub measure_jobs
{
	my $dir = tempdir(CLEANUP => 1);
	my %got;

	make_queues($dir);
	for my $repetition (1 .. ($quick ? 1 : 3))
	{
		for my $arm ($repetition % 2 ? qw(base ours) : qw(ours base))
		{
			fill($arm);
			push @{ $got{$arm} }, pair($dir, $arm);
			fill($arm);
			push @{ $got{"$arm old"} }, with_old_snapshot(sub { pair($dir, $arm) });
		}
	}
	line('jobs',     $got{ours},       $got{base});
	line('jobs_old', $got{'ours old'}, $got{ours});
	info_pair('  the bare table, the same', 'ms', 'x', $got{'base old'}, $got{base});
}

# The bare table, 1,000 notebooks, and the scripts.
sub make_queues ($dir)
{
	$dbh->do($_) for 'DROP TABLE IF EXISTS nbm_bench.queue', q{
		CREATE TABLE nbm_bench.queue (job_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
			priority int NOT NULL, run_after timestamptz NOT NULL, state text NOT NULL DEFAULT 'waiting',
			worker text, lease_until timestamptz, payload jsonb)}, q{
		CREATE INDEX ON nbm_bench.queue (priority DESC, run_after, job_id) WHERE state = 'waiting'}, q{
		INSERT INTO notebook_migrate.notebook (notebook_id, name, content)
		SELECT 1000000 + i, 'queued', '{"cells": []}' FROM generate_series(0, 999) i};
	for my $arm (keys %SCRIPT)
	{
		open my $out, '>', "$dir/$arm" or die "$dir/$arm: $!\n";
		print $out $SCRIPT{$arm};
		close $out or die "$dir/$arm: $!\n";
	}
}

# Fills a queue.
sub fill ($arm)
{
	my ($empty, $fill, $vacuum) = $FILL{$arm}->@*;

	$dbh->do($empty);
	$dbh->do($fill, undef, $quick ? 10_000 : 100_000);
	$dbh->do($vacuum);
	checkpoint();
}

# Lets pgbench work at a queue: milliseconds a pair.
sub pair ($dir, $arm)
{
	my $seconds = $quick ? 1 : 6;
	my $out     = qx(pgbench -n -M prepared -c 8 -j 2 -T $seconds -f $dir/$arm 2>&1);
	my ($rate) = $out =~ /^tps = ([\d.]+)/m;

	die "pgbench: $out\n" if !$rate || $out =~ /aborted/;
	return 1_000 / $rate;
}

# Runs code while another session holds a snapshot from before.
sub with_old_snapshot ($code)
{
	my $other = $dbh->clone;

	$other->do('BEGIN ISOLATION LEVEL REPEATABLE READ');
	$other->do('SELECT 1');
	my $value = $code->();
	$other->do('COMMIT');
	$other->disconnect;
	return $value;
}

1;
