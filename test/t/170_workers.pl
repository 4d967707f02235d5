# The two workers of docs/worker.md, word for word, do real conversions: a stub
# replays a model's replies. Workers that are killed lose nothing, and however
# many there are, each job is done once.
use strict;
use warnings;
use IPC::Run qw(start finish kill_kill);
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = PostgreSQL::Test::Cluster->new('workers');
$node->init(extra => [ '--no-locale', '--encoding=UTF8' ]);
$node->start;
$PostgreSQL::Test::Utils::timeout_default = 60;
$node->safe_psql('postgres', 'CREATE EXTENSION notebook_migrate');
$node->safe_psql('postgres', 'ALTER DATABASE postgres SET search_path = notebook_migrate, public');

sub sql { return $node->safe_psql('postgres', $_[0]); }

# Waits until a query gives this.
sub wait_for
{
	my ($query, $expected, $name) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	ok($node->poll_query_until('postgres', $query, $expected), $name);
}

# Eight workers claim, fail, give up and die while jobs are submitted.
sql(<<'SQL');
INSERT INTO notebook (notebook_id, name, content) SELECT i, 'n' || i, '{"cells": []}' FROM generate_series(1, 20) AS i;
CREATE TABLE public.handed (job_id bigint, attempt int, at timestamptz DEFAULT clock_timestamp());
CREATE TABLE public.completed (job_id bigint);
SELECT count(job_submit(1 + i % 20, kind => 'note', priority => i % 3, max_attempts => 1000, payload => jsonb_build_object('i', i))) FROM generate_series(1, 400) AS i;
SQL
my %steps = (
	'done@6' => q{
SELECT coalesce(max(job_id), 0) AS job, coalesce(max(token::text), '') AS token, coalesce(max(attempt), 0) AS attempt FROM notebook_migrate.job_claim('w') \gset
\if :job
INSERT INTO handed VALUES (:job, :attempt);
BEGIN;
INSERT INTO completed SELECT :job FROM notebook_migrate.job_complete(:job, ':token', NULL, NULL);
END;
\endif},
	# A lease that is over at once: somebody else may get the job before the answer is tried.
	'late@2' => q{
SELECT coalesce(max(job_id), 0) AS job, coalesce(max(attempt), 0) AS attempt FROM notebook_migrate.job_claim('w', '0 s') \gset
\if :job
INSERT INTO handed VALUES (:job, :attempt);
\endif},
	'fail@1' => q{
SELECT coalesce(max(job_id), 0) AS job, coalesce(max(token::text), '') AS token, coalesce(max(attempt), 0) AS attempt FROM notebook_migrate.job_claim('w') \gset
\if :job
INSERT INTO handed VALUES (:job, :attempt);
SELECT notebook_migrate.job_fail(:job, ':token', 'because');
UPDATE notebook_migrate.migration_turn SET at = now() WHERE job_id = :job AND NOT is_ready;
UPDATE notebook_migrate.migration_job SET run_after = now() WHERE job_id = :job AND state = 'waiting';
\endif},
	'rollback@1' => q{
BEGIN;
SELECT count(*) FROM notebook_migrate.job_claim('w', n => 2);
ROLLBACK;},
	'submit@2' => q{
\set nb random(1, 20)
SELECT notebook_migrate.job_submit(:nb, kind => 'note', max_attempts => 1000, dedupe => false);});
$node->pgbench('-n -c 8 -j 2 -t 150', 0, [qr/actually processed: 1200\/1200/], [qr/^$/], 'everything at once', \%steps);
$node->pgbench('-n -c 8 -j 2 -t 300', 0, [qr/actually processed: 2400\/2400/], [qr/^$/], 'until all is done', { 'all' => $steps{'done@6'} });
is(sql(q{SELECT state, count(*) > 500 FROM migration_job GROUP BY state}), 'done|t', 'all jobs are done');
is(sql('SELECT (SELECT count(*) FROM migration_job) - count(*), count(*) - count(DISTINCT job_id) FROM completed'), '0|0', 'each once');
is(sql('SELECT count(*) - count(DISTINCT (job_id, attempt)) FROM handed'), 0, 'no attempt was handed out twice');
is(sql(q{SELECT count(*) FROM migration_job AS j JOIN migration_job AS older USING (notebook_id, kind)
	WHERE older.job_id < j.job_id AND older.finished_at > j.finished_at}), 0, 'in the order of each notebook');

# However many lines one transaction touches, it needs no more room for locks.
is(sql(q{SELECT count(job_submit(1 + i % 20, kind => 'k' || i)) FROM generate_series(1, 20000) AS i}), 20000, '20,000 lines in one transaction');
is(sql(q{SELECT count(*) FROM job_claim('w', n => 20000) AS c, LATERAL job_fail(c.job_id, c.token, 'because', false)}), 20000, 'claimed and failed in one');
is(sql(q{SELECT count(job_submit(1 + i % 20, kind => 'k' || i)) FROM generate_series(1, 20000) AS i}), 20000, 'and again');
is(sql(q{SELECT count(*) FILTER (WHERE job_cancel(job_id)) FROM migration_job WHERE finished_at IS NULL}), 20000, 'cancelled in one');
is(sql('SELECT (SELECT count(*) FROM migration_line), (SELECT count(*) FROM migration_turn)'), '0|0', 'no line is left');

# Each submit that leaves something to do notifies, also where the job is there already; one that is done at once does not.
my $heard = sub { return scalar(() = sql("LISTEN notebook_migrate_job; $_[0]") =~ /Asynchronous notification/g); };
is($heard->(q{SELECT job_submit(1, kind => 'heard')}), 1, 'a submit notifies');
is($heard->(q{SELECT job_submit(1, kind => 'heard')}), 1, 'and one that finds the job waiting');
sql(q{SELECT job_complete(job_id, token, NULL, NULL) FROM job_claim('w', kinds => '{heard}')});
is($heard->(q{SELECT job_submit(1, kind => 'heard')}), 0, 'not one whose job is done');

# A worker with the rights that docs/worker.md has, and with any one of them less.
{
	my @grants = slurp_file('docs/worker.md') =~ /^```sql\n(GRANT.*?)^```$/gms;
	my %steps = (
		own => [ q{SELECT job_id AS j, token AS t FROM job_claim('w') \gset}, q{SELECT job_heartbeat(:j, :'t');}, q{SELECT job_complete(:j, :'t', NULL, NULL);},
			q{SELECT FROM job_claim('w', '0'); SELECT job_id AS j, token AS t FROM job_claim('w') \gset}, q{SELECT job_fail(:j, :'t', 'e', false);} ],
		convert => [ map { q{SELECT job_id AS j, token AS t FROM job_claim('w') \gset} . "\nSELECT FROM job_complete(:j, :'t', '$_', '{\"u\": [\"a\"]}');" }
			  '{"code": {"u": "x = 1", "v": "y"}}', '{"code": {"u": "x = 1"}}' ]);
	my $works = sub {
		my ($kind, $before) = @_;
		my $script = join "\n", '\set ON_ERROR_STOP 1', 'BEGIN;', $before, 'SET ROLE nb_worker;', $steps{$kind}->@*, 'ROLLBACK;';
		my ($status, $out, $error) = $node->psql('postgres', $script);
		return $status == 0 ? 1 : $error =~ /permission denied/ ? 0 : diag($error);
	};

	sql(q{SELECT job_prune('0'); CREATE ROLE nb_worker;
		INSERT INTO notebook (notebook_id, name, content) VALUES (50, 'n', '{"cells": [{"id": "a", "cell_type": "code", "metadata": {}, "source": "x", "outputs": [], "execution_count": null}]}')});
	for my $kind (qw(own convert))
	{
		my $fill = $kind eq 'own' ? q{SELECT count(job_submit(50, kind => 'own', dedupe => false)) FROM generate_series(1, 2);} :
		  q{SELECT workflow_id AS wf FROM migration_accept(50, 1, '{"code": {"u": "x = 1", "old": "o"}}', '{"u": ["a"], "old": ["a"]}') \gset
			SELECT job_submit(50), job_submit(50, payload => jsonb_build_object('workflow_id', :wf));};
		my $block = shift @grants;
		sql($block);
		is($works->($kind, $fill), 1, "$kind: these rights are enough");
		my @needless = grep { my $revoke = $_; $works->($kind, "$fill $revoke") }
		  map { my ($rights, $what, $names) = /^GRANT (.*?) ON (FUNCTION |SCHEMA |)(.*?) TO/s;
			map { my $right = $_; map { "REVOKE $right ON $what$_ FROM nb_worker;" } split /,\s*/, $names } split /, /, $rights }
		  $block =~ /(GRANT.*?;)/gs;
		is("@needless", '', "$kind: and each is needed");
	}

	# The same rights are enough to finish the jobs of copies with what one of them came to.
	my ($status, $out, $error) = $node->psql('postgres', <<"SQL");
INSERT INTO notebook (notebook_id, name, content) SELECT i, 'n', content FROM notebook, generate_series(51, 53) AS i WHERE notebook_id = 50;
SELECT count(job_submit(i)) FROM generate_series(51, 53) AS i;
SET ROLE nb_worker;
SELECT job_id AS j, token AS t FROM job_claim('w') \\gset
SELECT workflow_version FROM job_complete(:j, :'t', '{"code": {"u": "x"}}', '{"u": ["a"]}');
SELECT count(*) FROM job_claim('w');
RESET ROLE;
SELECT count(*), count(DISTINCT workflow_id), count(DISTINCT notebook_id) FROM mapping WHERE notebook_id BETWEEN 51 AND 53;
SQL
	is("$out$error", "3\n1\n0\n3|1|3", 'a worker finishes the jobs of copies');
	sql(q{DELETE FROM workflow; DELETE FROM notebook WHERE notebook_id BETWEEN 50 AND 53});
}

# The real thing, with a stub for the model.
SKIP:
{
	my $example = ($ENV{NBM_DATA} // '') . '/texera/prompt-example';
	skip 'NBM_DATA does not name a folder with the prompt example', 1 unless -e "${example}_notebook.ipynb";
	my $dir = PostgreSQL::Test::Utils::tempdir;
	my %block = slurp_file('docs/worker.md') =~ /^```(psql|python)\n(.*?)^```$/gms;
	my ($shell) = slurp_file('docs/worker.md') =~ /^```sh\n(while.*?)^```$/ms;
	append_to_file("$dir/worker.sql", $block{psql});
	append_to_file("$dir/worker.py", $block{python});
	# It notes that it was asked, is slow while a file says so, and replays.
	append_to_file("$dir/llm", <<"SH");
#!/bin/sh
cat >"\$0.prompt"
echo \$1 >>"\$0.asked"
while [ -e "\$0.slow" ]; do sleep 0.1; done
echo "Here is the \$1:"
[ "\$1" = workflow ] && cat "${example}_llm_reply_1_workflow.json" || cat "${example}_llm_reply_2_mapping.json"
SH
	chmod 0755, "$dir/llm";
	my %env = (LLM => "$dir/llm", LEASE => 3, PGHOST => $node->host, PGPORT => $node->port, PGDATABASE => 'postgres', PGCLIENTENCODING => 'UTF8');
	local @ENV{ keys %env } = values %env;
	my $notebook = slurp_file("${example}_notebook.ipynb");
	sql(q{SELECT job_prune('0')});
	sql("INSERT INTO notebook (notebook_id, name, content) SELECT i, 'example', \$notebook\$$notebook\$notebook\$ FROM generate_series(101, 105) AS i");
	my ($in, $out) = ('', '');
	my $begin = sub { my @command = @_; return start([ 'sh', '-c', "cd '$dir' && exec \"\$@\"", 'sh', @command ], \$in, '>&', \$out); };
	my $done = sub {
		my $id = shift;
		return "SELECT j.state, j.workflow_version, j.attempt, (SELECT count(*) FROM workflow_operators(j.workflow_id)), (SELECT count(*) FROM mapping_links(j.notebook_id, NULL, j.workflow_id, NULL)) > 5 FROM migration_job AS j WHERE notebook_id = $id ORDER BY job_id DESC LIMIT 1";
	};

	# psql, in its loop.
	my $worker = $begin->('sh', '-c', $shell);
	sql('SELECT job_submit(101)');
	wait_for($done->(101), 'done|1|1|5|t', 'psql converts the example');
	sql('SELECT job_submit(102, dedupe => false)');
	wait_for($done->(102), 'done|1|1|5|t', 'and goes on');
	$worker->signal('TERM');
	$worker->kill_kill;
	like(slurp_file("$dir/llm.prompt"), qr/^\{.*# START .*\}$/s, 'the model was shown the prompt');

	# Python: waits for a notification, beats while the model is slow.
	my @python = ('python3', 'worker.py');
	$worker = $begin->(@python);
	wait_for(q{SELECT count(*) FROM pg_stat_activity WHERE query LIKE '%job_claim%' AND state = 'idle'}, '1', 'Python waits');
	append_to_file("$dir/llm.slow", '');
	sql('SELECT job_submit(103, dedupe => false)');
	wait_for(q{SELECT state, progress FROM migration_job WHERE notebook_id = 103 AND lease_until > started_at + interval '3.5 s'}, 'leased|{"step": "workflow"}', 'it beats while the model works');
	unlink "$dir/llm.slow";
	wait_for($done->(103), 'done|1|1|5|t', 'Python converts the example');
	is(sql(q{SELECT usage FROM migration_job WHERE notebook_id = 103}), '{"calls": 2}', 'and says what it used');

	# Cancelled while the model works: the worker lets go, and is there for the next job.
	append_to_file("$dir/llm.slow", '');
	sql('SELECT job_submit(104, dedupe => false)');
	wait_for(q{SELECT state FROM migration_job WHERE notebook_id = 104}, 'leased', 'a job is begun');
	sql('SELECT job_cancel(job_id) FROM migration_job WHERE notebook_id = 104');
	my $lost = 0;
	for (1 .. 100) { $worker->pump_nb; last if $lost = $out =~ /is lost/; select(undef, undef, undef, 0.1); }
	ok($lost, 'a cancelled job is let go');

	# Killed while the model works: the lease runs out, and the next worker does it.
	sql('SELECT job_submit(104, dedupe => false)');
	wait_for(q{SELECT state FROM migration_job WHERE notebook_id = 104 ORDER BY job_id DESC LIMIT 1}, 'leased', 'the next job is begun');
	$worker->signal('KILL');
	$worker->kill_kill;
	unlink "$dir/llm.slow";
	$worker = $begin->(@python);
	sql(q{SELECT job_heartbeat(job_id, token, '0') FROM migration_job WHERE state = 'leased'});
	sql(q{SELECT pg_notify('notebook_migrate_job', '')});
	wait_for($done->(104), 'done|1|2|5|t', 'after a crash the job is done by another worker');
	is(sql(q{SELECT errors #>> '{0,error}' FROM migration_job WHERE notebook_id = 104 ORDER BY job_id DESC LIMIT 1}), 'the lease ran out', 'and says what happened');
	$worker->signal('TERM');
	$worker->kill_kill;
	# A copy of what was converted needs no worker.
	sql('SELECT job_submit(105)');
	is(sql($done->(105)), 'done|1|0|5|t', 'a copy is done at once');
	is(sql(q{SELECT count(*) FROM workflow}), 4, 'as many workflows as jobs that were done') or diag($out);
}

$node->stop;
done_testing();
