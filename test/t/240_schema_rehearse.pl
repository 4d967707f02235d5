# Rehearsals of schema migrations beside other sessions: who waits for whom, what
# is left when one is killed, what a session keeps, and how long a large catalog takes.
use strict;
use warnings;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(time);
use IPC::Run;

my $node = PostgreSQL::Test::Cluster->new('rehearse');
$node->init(extra => [ '--no-locale', '--encoding=UTF8' ]);
$node->append_conf('postgresql.conf', "max_prepared_transactions = 2\n");
$node->start;
my $path = 'SET search_path = notebook_migrate, public;';
$node->safe_psql('postgres', <<"SQL");
CREATE EXTENSION notebook_migrate;
$path
CREATE SCHEMA app;
CREATE TABLE app.item (id int PRIMARY KEY, name text);
-- It stays at work as long as somebody has the lock 1.
SELECT schema_register('wait', 'ALTER TABLE app.item ADD price int; SELECT pg_advisory_xact_lock(1)', 'ALTER TABLE app.item DROP price');
SQL

sub sql
{
	my ($query, %options) = @_;
	return $node->safe_psql('postgres', "$path\n$query", %options);
}

# The SQLSTATE and message of what fails.
sub error_of
{
	my ($query) = @_;
	my ($code, $out, $err) = $node->psql('postgres', "\\set VERBOSITY verbose\n$path\n$query");
	return $err =~ /ERROR:  (.*)/ ? $1 : "no error: $out";
}

# Another session, which does something and stays.
sub session
{
	my ($query) = @_;
	my %s = (in => "$path\n$query\n\\echo begun\n", out => '', err => '', timer => IPC::Run::timeout(120));
	$s{run} = IPC::Run::start([ 'psql', '-XAtq', '-d', $node->connstr('postgres') ], '<', \$s{in}, '>', \$s{out}, '2>', \$s{err}, $s{timer});
	$s{run}->pump while length $s{in};
	return \%s;
}

sub begun
{
	my ($s) = @_;
	$s->{run}->pump until $s->{out} =~ /begun/;
	return $s;
}

sub ended
{
	my ($s, $query) = @_;
	$s->{in} .= "$query\n\\q\n";
	eval { $s->{run}->finish };
	return $s;
}
my $locks = q{SELECT count(*) FROM pg_locks WHERE (locktype = 'advisory' AND (classid, objid) <> (0, 1)) OR relation = 'app.item'::regclass};

# A rehearsal waits for a runner as lock_timeout says, and names it.
my $runner = begun(session("BEGIN; SELECT schema_up_atomic(); SELECT pg_backend_pid();"));
my ($pid) = $runner->{out} =~ /^(\d{2,})$/m;
like(error_of(q{SET lock_timeout = '100ms'; SELECT * FROM schema_dry_run()}), qr/^55P03: .*process $pid$/, 'a dry run waits for a runner');
like(error_of(q{SET lock_timeout = '100ms'; SELECT * FROM schema_verify(true)}), qr/^55P03: .*process $pid$/, 'so does a check of downs');
is(sql('SELECT * FROM schema_verify()'), '', 'what only reads does not wait');
ended($runner, 'ROLLBACK;');
is(sql('SELECT name, ok FROM schema_dry_run()'), 'wait|t', 'the runner is gone');

# And a runner for a rehearsal; who is killed in one leaves nothing.
my $holder = begun(session('SELECT pg_advisory_lock(1);'));
my $rehearsal = session('SELECT * FROM schema_dry_run();');
my $waiting = q{SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'advisory' AND query LIKE '%schema_dry_run%'};
$node->poll_query_until('postgres', $waiting, '1') or die 'it does not wait';
$pid = sql(q{SELECT pid FROM pg_stat_activity WHERE wait_event = 'advisory'});
like(error_of(q{CALL schema_up(lock_timeout => '100ms')}), qr/^55P03: .*process $pid$/, 'a runner waits for a rehearsal');
is(sql("SELECT pg_terminate_backend($pid, 60000)"), 't', 'killed');
ended($rehearsal, '');
is(sql($locks), 0, 'no lock is left');
is(sql(q{SELECT count(*) FROM schema_history}) . sql(q{SELECT count(*) FROM pg_attribute WHERE attrelid = 'app.item'::regclass AND attnum > 0}), '02', 'nothing else either');

# Who is cancelled goes on as before.
$rehearsal = session("BEGIN; SAVEPOINT s; SELECT * FROM schema_dry_run();");
$node->poll_query_until('postgres', $waiting, '1') or die 'it does not wait';
sql(q{SELECT pg_cancel_backend(pid) FROM pg_stat_activity WHERE wait_event = 'advisory'});
begun($rehearsal);
like($rehearsal->{err}, qr/canceling statement/, 'cancelled');
ended($holder, '');
ended($rehearsal, "ROLLBACK TO s; CREATE TABLE app.other (); SELECT name, ok, objects FROM schema_dry_run(); COMMIT;");
like($rehearsal->{out}, qr/^wait\|t\|\[\{"kind": "table", "name": "app.item", "action": "changed"\}\]$/m, 'the same session, once more');
is(sql(q{SELECT to_regclass('app.other') IS NOT NULL}), 't', 'whose transaction goes on');

# What is dropped while it is being read is no internal error.
sql('CREATE VIEW app.seen AS SELECT id FROM app.item');
$holder = session('BEGIN; DROP VIEW app.seen;');
begun($holder);
$rehearsal = session("\\set VERBOSITY verbose\nSELECT * FROM schema_verify(true);");
$node->poll_query_until('postgres', q{SELECT count(*) = 1 FROM pg_stat_activity WHERE wait_event = 'relation'}) or die 'it does not wait';
ended($holder, 'COMMIT;');
begun($rehearsal);
like($rehearsal->{err}, qr/40001: the catalog was changed while it was read/, 'a view is dropped while it is read');
ended($rehearsal, '');

# The parts of a squash stay as they are until it is there; one that is gone is told.
sql(q{SELECT schema_register('part' || i, 'SELECT 1') FROM generate_series(1, 2) AS i});
$holder = session(q{BEGIN; DELETE FROM schema_migration WHERE name = 'part2';});
begun($holder);
my $squash = session("\\set VERBOSITY verbose\nSELECT schema_squash('part1', 'part2', 'parts');");
$node->poll_query_until('postgres', q{SELECT count(*) = 1 FROM pg_stat_activity WHERE wait_event = 'transactionid'}) or die 'it does not wait';
ended($holder, 'COMMIT;');
begun($squash);
like($squash->{err}, qr/55000: schema migration "part2" was changed meanwhile/, 'a part is deleted while it is read');
ended($squash, '');
sql(q{DELETE FROM schema_migration WHERE name ~ '^part'});

# What rehearses can still be prepared.
sql("BEGIN; CREATE TABLE app.prepared (); SELECT * FROM schema_dry_run(); SELECT * FROM schema_verify(true); PREPARE TRANSACTION 'rehearsed'");
is(sql($locks), 0, 'a prepared transaction has no lock of it');
sql(q{COMMIT PREPARED 'rehearsed'});

# A backend does not grow with them, and keeps nothing of a watch.
sql(q{SELECT schema_register('fails', 'CREATE TABLE app.fails (id serial PRIMARY KEY); SELECT 1/0')});
my $size = q{SELECT sum(total_bytes) FROM pg_backend_memory_contexts};
my ($early, $late) = split /\n/, sql(
	"DO 'BEGIN FOR i IN 1..20 LOOP PERFORM * FROM schema_dry_run(); PERFORM * FROM schema_verify(true); END LOOP; END'; $size;
	DO 'BEGIN FOR i IN 1..60 LOOP PERFORM * FROM schema_dry_run(); PERFORM * FROM schema_verify(true); END LOOP; END'; $size;");
cmp_ok($late - $early, '<', 300_000, 'a backend does not grow');
is( sql(q{SELECT * FROM schema_dry_run() \g /dev/null
	SELECT name FROM pg_backend_memory_contexts WHERE name ~ 'notebook_migrate (watch|objects|locks|verification)'}), '', 'nor keep anything');

# A catalog of a thousand tables.
sql(q{DELETE FROM schema_migration; DO $$ BEGIN FOR i IN 1..1000 LOOP
	EXECUTE format('CREATE TABLE app.t%s (id serial PRIMARY KEY, a int NOT NULL, b text DEFAULT ''x'', c timestamptz, d numeric(10, 2) CHECK (d > 0), e jsonb, f int REFERENCES app.item, g int UNIQUE)', i);
	EXECUTE format('CREATE INDEX ON app.t%s (a)', i);
	END LOOP; END $$; ANALYZE; SELECT schema_register('one', 'CREATE TABLE app.one (id int)', 'DROP TABLE app.one')});
foreach my $query ('schema_verify(true)', 'schema_dry_run()')
{
	my $start = time;
	sql("SELECT * FROM $query");
	my $took = time - $start;
	note(sprintf '%s beside 1000 tables: %.0f ms', $query, 1000 * $took);
	cmp_ok($took, '<', 10, "$query beside 1000 tables");
}
$node->stop;
done_testing();
