# Statements that cannot run in a transaction are run by a background worker:
# as the caller, no longer than he wants them, and with a word about each.
use strict;
use warnings;
use IPC::Run;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

$PostgreSQL::Test::Utils::timeout_default = 60;
my $node = PostgreSQL::Test::Cluster->new('top_level');
$node->init(extra => [ '--no-locale', '--encoding=UTF8' ]);
# One slot is the logical replication launcher's, and two are ours.  Shared
# memory is files, which can be counted.
$node->append_conf('postgresql.conf', <<'CONF');
max_worker_processes = 3
dynamic_shared_memory_type = mmap
autovacuum = off
max_prepared_transactions = 2
log_statement = ddl
CONF
$node->start;

sub sql { return $node->safe_psql('postgres', $_[0]); }

sql(<<'SQL');
CREATE EXTENSION notebook_migrate;
CREATE PROCEDURE probe(INOUT statement text, OUT outcome text, OUT sqlstate text, OUT message text, OUT detail text, OUT hint text, OUT "position" int, OUT invalid_index text)
  LANGUAGE c AS '$libdir/notebook_migrate', 'nbm_top_level_probe';
CREATE FUNCTION record() RETURNS int LANGUAGE c AS '$libdir/notebook_migrate', 'nbm_top_level_probe_record';
CREATE ROLE alice LOGIN;
CREATE ROLE owner;
GRANT owner TO alice;
CREATE ROLE "odd ""role"" ö" LOGIN;
CREATE ROLE nologin;
CREATE ROLE leaving LOGIN;
GRANT CREATE ON SCHEMA public TO owner, PUBLIC;
CREATE TABLE t (a int, b int, c text);
INSERT INTO t SELECT i % 10, i, 'x' FROM generate_series(1, 100) AS i;
CREATE TABLE recorded (payload text, is_done boolean, sqlstate text);
GRANT INSERT ON recorded TO PUBLIC;
SQL

my $nulls = join(', ', ('NULL') x 7);

# Waits until a query gives this.
sub wait_for
{
	my ($query, $expected, $name) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	ok($node->poll_query_until('postgres', $query, $expected), $name);
}

# Quotes a literal.
sub quote { return q(') . $_[0] =~ s/'/''/gr . q('); }

# Runs a statement outside of a transaction, in a session that did this before;
# returns its fields but the first.
sub probe
{
	my ($statement, %how) = @_;
	my ($code, $out, $err) = $node->psql(
		'postgres',
		($how{before} // '') . ';CALL public.probe(' . quote($statement) . ', ' . "$nulls);",
		extra_params => [ '-F', '|', $how{user} ? ('-U', $how{user}) : () ]);
	diag($err) if $code != 0;
	$how{notices}->$* = $err if $how{notices};
	return $out =~ s/\A\Q$statement\E\|//r;
}

# Tests what comes of a statement.
sub is_probe
{
	my ($statement, $expected, $name, %how) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	is(probe($statement, %how), $expected, $name);
}

my ($code, $out, $err);
my $done = 'done|00000||||0|';
my $worker = q{FROM pg_stat_activity WHERE backend_type = 'notebook_migrate schema worker'};
my $marker = q{FROM pg_locks WHERE locktype = 'advisory' AND objsubid = 5499};

# What a function refuses to run.
is_probe('CREATE INDEX CONCURRENTLY t_b ON t (b)', $done, 'CREATE INDEX CONCURRENTLY');
is(sql(q{SELECT indisvalid FROM pg_index WHERE indexrelid = 't_b'::regclass}), 't', 'it is there');
is_probe('REINDEX INDEX CONCURRENTLY t_b', $done, 'REINDEX CONCURRENTLY');
is_probe('DROP INDEX CONCURRENTLY t_b', $done, 'DROP INDEX CONCURRENTLY');
is_probe('VACUUM (FULL, ANALYZE) t', $done, 'VACUUM');
is_probe(q{ALTER SYSTEM SET work_mem = '5MB'}, $done, 'ALTER SYSTEM');
is_probe('CREATE DATABASE "a ""b"" c"', $done, 'CREATE DATABASE');
is_probe('DROP DATABASE "a ""b"" c"', $done, 'DROP DATABASE');
sql(q{CREATE TYPE colour AS ENUM ('red')});
is_probe(q{ALTER TYPE colour ADD VALUE 'blue'}, $done, 'ALTER TYPE … ADD VALUE');
is(sql(q{SELECT 'blue'::colour}), 'blue', 'which can be used then');
is_probe('CALL probe(\'VACUUM t\', NULL, NULL, NULL, NULL, NULL, NULL, NULL)', $done, 'even a procedure that commits');
is_probe("-- a comment\nVACUUM t; -- and one\n", $done, 'comments around it');
my $notices;
probe('CREATE INDEX IF NOT EXISTS recorded_ix ON recorded (payload)');
is_probe('CREATE INDEX IF NOT EXISTS recorded_ix ON recorded (payload)', $done, 'with a notice', notices => \$notices);
like($notices, qr/NOTICE:  relation "recorded_ix" already exists, skipping/, 'which the caller gets');
like(slurp_file($node->logfile), qr/LOG:  statement: CREATE INDEX CONCURRENTLY t_b/, 'logged as a client\'s');

# What is refused.
is_probe('VACUUM t; VACUUM t', 'failed|42601|exactly one statement can run outside of a transaction, not 2|||0|', 'two statements');
is_probe(" \n-- nothing", 'failed|42601|exactly one statement can run outside of a transaction, not 0|||0|', 'no statement');
is_probe('VACUUM öö, FROM t', 'failed|42601|syntax error at or near "FROM"|||12|', 'a syntax error, with its position in characters');
is_probe('VACUUM nowhere', 'failed|42P01|relation "nowhere" does not exist|||0|', 'an unknown table');
is_probe('SELECT öö FROM t', 'failed|42703|column "öö" does not exist|||8|', 'an unknown column');
is_probe($_, "failed|2D000|$_ cannot run by itself outside of a transaction|||0|", $_) foreach ('BEGIN', 'COMMIT', 'ROLLBACK');
is_probe(q{PREPARE TRANSACTION 'x'}, 'failed|2D000|PREPARE TRANSACTION cannot run by itself outside of a transaction|||0|', 'PREPARE TRANSACTION');
is_probe('COPY t FROM STDIN', 'failed|0A000|cannot COPY from or to a client outside of a transaction|||0|', 'COPY FROM STDIN');
is_probe('COPY t TO STDOUT', 'failed|0A000|cannot COPY from or to a client outside of a transaction|||0|', 'COPY TO STDOUT');
is_probe('LISTEN x', 'failed|0A000|cannot execute LISTEN within a background process|||0|', 'LISTEN');
is_probe('SELECT 1/0', 'failed|22012|division by zero|||0|', 'an error at run time');
is_probe(q{DO $$ BEGIN RAISE EXCEPTION 'm' USING DETAIL = 'd', HINT = 'h', ERRCODE = 'ZZ001'; END $$}, 'failed|ZZ001|m|d|h|0|', 'an error in full');
is_probe('DO $$ BEGIN RAISE EXCEPTION USING MESSAGE = repeat(\'x\', 20); END $$', 'failed|P0001|' . 'x' x 20 . '|||0|', 'a short message');
is(length(probe(q{DO $$ BEGIN RAISE EXCEPTION USING MESSAGE = repeat('x', 100000); END $$})), length('failed|P0001||||0|') + 100_000, 'a message that is longer than the queue');
probe(q{DO $$ BEGIN FOR i IN 1 .. 2000 LOOP RAISE NOTICE '% %', i, repeat('x', 100); END LOOP; END $$}, notices => \$notices);
is(scalar(() = $notices =~ /NOTICE:  \d+ x/g), 2000, 'many notices');

# Whose rights.
is_probe('CREATE INDEX CONCURRENTLY t_b ON t (b)', 'failed|42501|must be owner of table t|||0|', 'without rights', user => 'alice');
is_probe(q{ALTER SYSTEM SET work_mem = '5MB'}, 'failed|42501|permission denied to set parameter "work_mem"|||0|', 'ALTER SYSTEM without rights', user => 'alice');
is_probe('CREATE TABLE of_owner (a int)', $done, 'SET ROLE', user => 'alice', before => 'SET ROLE owner');
is(sql(q{SELECT relowner::regrole FROM pg_class WHERE relname = 'of_owner'}), 'owner', 'the role\'s');
is_probe('CREATE INDEX CONCURRENTLY ON of_owner (a)', $done, 'and its rights', user => 'alice', before => 'SET ROLE owner');
is_probe('VACUUM (VERBOSE) of_owner', $done, 'and inherited ones', user => 'alice');
is_probe('CREATE INDEX CONCURRENTLY t_b ON t (b)', 'failed|42501|must be owner of table t|||0|', 'a superuser with a SET ROLE has the role\'s', before => 'SET ROLE alice');
is_probe('SELECT 1/(current_user = session_user AND current_user = \'nologin\')::int', $done, 'SET SESSION AUTHORIZATION of a role that may not log in', before => 'SET SESSION AUTHORIZATION nologin');
is_probe('SELECT 1/(session_user = \'alice\' AND current_user = \'owner\')::int', $done, 'and both', before => 'SET SESSION AUTHORIZATION alice; SET ROLE owner');
is_probe(q{SELECT 1/(current_user = 'odd "role" ö')::int}, $done, 'an odd name', before => q{SET ROLE "odd ""role"" ö"});

# Whose settings.
sql('CREATE SCHEMA app; CREATE SCHEMA "odd "" schéma"; CREATE TABLE app.only_there (a int); CREATE TABLE "odd "" schéma".x (a int)');
is_probe('VACUUM only_there', 'failed|42P01|relation "only_there" does not exist|||0|', 'not on the path');
is_probe('VACUUM only_there', $done, 'the caller\'s search_path', before => 'SET search_path = app');
is_probe('CREATE INDEX CONCURRENTLY x_a ON x (a)', $done, 'an odd one', before => 'SET search_path = "odd "" schéma", public');
is_probe(q{SELECT 1/(current_setting('app.tenant') = 'a '' b' AND current_setting('work_mem') = '3MB' AND current_setting('default_transaction_isolation') = 'serializable' AND current_setting('application_name') = 'me')::int},
	$done, 'settings', before => q{SET app.tenant = 'a '' b'; SET work_mem = '3MB'; SET default_transaction_isolation = serializable; SET application_name = me});
is_probe('SELECT 1', $done, 'settings of a library that the worker does not load', before => q{LOAD 'auto_explain'; SET auto_explain.log_min_duration = 1000000; SET plpgsql.extra_warnings = 'all'});
is_probe(q{SELECT 1/(current_setting('app.long') = repeat('x', 100000))::int}, $done, 'a long one', before => q{DO $$ BEGIN PERFORM set_config('app.long', repeat('x', 100000), false); END $$});
{
	local $ENV{PGOPTIONS} = '-c search_path=app -c log_disconnections=on -c ignore_system_indexes=on';
	is_probe('VACUUM only_there', $done, 'settings of the connection');
}
is_probe('DISCARD ALL', $done, 'DISCARD ALL');
is_probe('VACUUM öö', 'failed|42P01|relation "öö" does not exist|||0|', 'another client encoding', before => q{SET client_encoding = latin1; SET client_encoding = utf8});
is_probe(q{SELECT 1/(current_setting('log_min_messages') = 'error')::int}, $done, 'what a superuser has set before he is none', before => 'SET log_min_messages = error; SET SESSION AUTHORIZATION alice');
is_probe('CREATE TABLE no (a int)', 'failed|25006|cannot execute CREATE TABLE in a read-only transaction|||0|', 'a session that only reads', before => 'SET default_transaction_read_only = on');
($code, $out, $err) = $node->psql('postgres', q{DO $$ DECLARE s text; o text; c text; x text; i int; BEGIN SET statement_timeout = '100ms'; s := 'SELECT count(*) FROM generate_series(1, 1e12)'; CALL probe(s, o, c, x, x, x, i, x); RAISE NOTICE '% %', o, c; END $$});
like($err, qr/NOTICE:  failed 57014/, 'statement_timeout, which the caller has not');

# Invalid indexes.
like(probe('CREATE UNIQUE INDEX CONCURRENTLY t_a ON t (a)'), qr/^failed\|23505\|could not create unique index "t_a"\|Key \(a\)=\(\d\) is duplicated\.\|\|0\|public\.t_a$/, 'a failed index is told');
like(probe('CREATE UNIQUE INDEX CONCURRENTLY IF NOT EXISTS t_a ON t (a)'), qr/^done\|.*\|public\.t_a$/, 'and is no success');
like(probe('REINDEX INDEX CONCURRENTLY t_a'), qr/^failed\|23505\|.*\|public\.t_a$/s, 'REINDEX of it');
is_probe('DROP INDEX CONCURRENTLY t_a', $done, 'dropped');
like(probe('REINDEX TABLE CONCURRENTLY t'), qr/^done\|.*\|public\.t_a_ccnew\d*$/, 'what REINDEX left');
sql('DROP INDEX ' . (probe('REINDEX TABLE CONCURRENTLY t') =~ /([^|]*)$/)[0]) while probe('REINDEX TABLE t') !~ /\|$/;
like(probe('CREATE UNIQUE INDEX CONCURRENTLY ON t (a, lower(c)) INCLUDE (b)'), qr/^failed\|23505\|.*\|public\.t_a_lower_b_idx$/, 'an index without a name');
is_probe('CREATE UNIQUE INDEX CONCURRENTLY ON t (b)', $done, 'another one');
sql('DROP INDEX t_a_lower_b_idx');
is_probe('VACUUM t; DROP TABLE t', 'failed|42601|exactly one statement can run outside of a transaction, not 2|||0|', 'nothing else is');
sql('CREATE TABLE app.twice AS SELECT 1 AS a FROM generate_series(1, 2)');
like(probe('CREATE UNIQUE INDEX CONCURRENTLY "i ""x""" ON app.twice (a)'), qr/^failed\|23505\|.*\|app\."i ""x"""$/, 'an odd name');
is_probe('REINDEX SCHEMA CONCURRENTLY app', 'done|00000||||0|app."i ""x"""', 'what REINDEX of a schema leaves aside');
like(probe('REINDEX SCHEMA CONCURRENTLY public'), qr/^done\|[^|]*\|\|\|\|0\|$/, 'which no other schema has');
sql('DROP TABLE app.twice');
sql('CREATE TABLE parted (a int) PARTITION BY LIST (a); CREATE INDEX parted_a ON ONLY parted (a)');
is_probe('CREATE INDEX IF NOT EXISTS parted_a ON ONLY parted (a)', $done, 'an index that waits for those of the partitions is none');
is_probe('CREATE INDEX CONCURRENTLY i ON nowhere.t (a)', 'failed|3F000|schema "nowhere" does not exist|||0|', 'no schema');

# Recording.
is_probe('SELECT record()', $done, 'recorded by the worker');
is_probe('SELECT record() / (b - b) FROM t', 'failed|22012|division by zero|||0|', 'as is a failure');
is(sql('TABLE recorded'), "SELECT record()|t|00000\nSELECT record() / (b - b) FROM t|f|22012", 'both are there');
sql('DELETE FROM recorded; ALTER TABLE recorded ADD CHECK (payload IS NULL) NOT VALID');
like(probe(q{INSERT INTO t SELECT record(), 4711, 'done'}), qr/^unrecorded\|23514\|new row for relation "recorded" violates check constraint/, 'what cannot be recorded is told');
is(sql('SELECT count(*) FROM t WHERE b = 4711'), 1, 'but done');
is_probe('SELECT record() / (b - b) FROM t', 'failed|22012|division by zero|||0|', 'the failure of a failure is not');
sql('DELETE FROM t WHERE b = 4711; ALTER TABLE recorded DROP CONSTRAINT recorded_payload_check');

# A session in the background, which does not end before it is told to.
sub session
{
	my ($user) = @_;
	my %session = (in => '', out => '', err => '');
	$session{timer} = IPC::Run::timeout(120);
	$session{handle} = IPC::Run::start([ 'psql', '-XAtq', '-v', 'VERBOSITY=verbose', '-d', $node->connstr('postgres'), $user ? ('-U', $user) : () ],
		'<', \$session{in}, '>', \$session{out}, '2>', \$session{err}, $session{timer});
	$session{in} .= "SELECT 'pid ' || pg_backend_pid() || '.';\n";
	$session{handle}->pump until $session{out} =~ /pid (\d+)\./;
	$session{pid} = $1;
	return \%session;
}

# Sends to a session, and waits for what it answers.
sub send_sql
{
	my ($session, $text, $answer) = @_;
	$session->{in} .= "$text\n";
	$session->{handle}->pump_nb while length $session->{in};
	return if !defined $answer;
	$session->{handle}->pump until $session->{out} =~ $answer || $session->{err} =~ $answer;
}

sub finish
{
	my ($session) = @_;
	$session->{in} .= "\\q\n";
	eval { $session->{handle}->finish };
	return $session->{err};
}

# Begins an index that waits for somebody else's snapshot; both sessions.
sub begin_waiting
{
	my ($name, $user) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	my $old = session();
	send_sql($old, 'BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT count(*) FROM pg_class; SELECT \'ready\';', qr/ready/);
	my $caller = session();
	send_sql($caller, "CALL probe('CREATE INDEX CONCURRENTLY waiting ON t (b)', $nulls);");
	wait_for("SELECT wait_event FROM pg_stat_progress_create_index JOIN pg_stat_activity USING (pid) WHERE phase = 'waiting for old snapshots'", 'virtualxid', "$name: it waits");
	return ($old, $caller);
}

# Nothing is left of a call.
sub is_gone
{
	my ($name) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	wait_for("SELECT count(*) $worker", 0, "$name: no worker");
	is(sql("SELECT count(*) $marker"), 0, "$name: no marker");
}

{
	my ($old, $caller) = begin_waiting('waiting');
	is(sql("SELECT query $worker"), 'CREATE INDEX CONCURRENTLY waiting ON t (b)', 'waiting: its statement is seen');
	is(sql("SELECT count(*) $marker AND pid = (SELECT pid $worker)"), 1, 'waiting: it has the marker');
	is(sql("SELECT backend_xmin IS NULL AND backend_xid IS NULL FROM pg_stat_activity WHERE pid = $caller->{pid}"), 't', 'waiting: the caller holds nothing');
	is_probe('VACUUM t', 'failed|55P03|another background worker still runs a statement|||0|', 'waiting: nobody else may run one');
	send_sql($old, "COMMIT; SELECT 'committed';", qr/committed/);
	send_sql($caller, '', qr/waiting ON t \(b\)\|done\|/);
	is(finish($caller), '', 'waiting: it came to an end');
	finish($old);
	is_gone('waiting');
	sql('DROP INDEX waiting');
}
{
	my ($old, $caller) = begin_waiting('cancelled');
	send_sql($caller, "SELECT 'left ' || (SELECT count(*) $worker) || ' ' || (SELECT count(*) $marker) || '.';");
	sql("SELECT pg_cancel_backend($caller->{pid})");
	send_sql($caller, '', qr/left \d+ \d+\./);
	like($caller->{out}, qr/left 0 0\./, 'cancelled: nothing is left when the caller is told');
	is_gone('cancelled');
	send_sql($caller, q{SELECT 'still here';}, qr/still here/);
	like(finish($caller), qr/canceling statement due to user request/, 'cancelled: the caller goes on');
	is_probe('CREATE INDEX IF NOT EXISTS waiting ON t (b)', 'done|00000||||0|public.waiting', 'cancelled: the index is invalid');
	sql('DROP INDEX waiting');
	finish($old);
}
{
	my ($old, $caller) = begin_waiting('terminated');
	sql("SELECT pg_terminate_backend($caller->{pid})");
	is_gone('terminated');
	finish($caller);
	finish($old);
	sql('DROP INDEX waiting');
}
{
	my ($old, $caller) = begin_waiting('timed out');
	finish($old);
	send_sql($caller, '', qr/\|done\|/);
	sql('DROP INDEX waiting');
	$old = session();
	send_sql($old, 'BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT count(*) FROM pg_class; SELECT \'ready\';', qr/ready/);
	send_sql($caller, q{SET statement_timeout = '1s'; CALL probe('CREATE INDEX CONCURRENTLY waiting ON t (b)', } . "$nulls);", qr/ERROR:  57014/);
	is_gone('timed out');
	like(finish($caller), qr/due to statement timeout/, 'timed out: so it says');
	finish($old);
	sql('DROP INDEX waiting');
}
{
	my ($old, $caller) = begin_waiting('worker terminated');
	sql("SELECT pg_terminate_backend(pid) $worker");
	send_sql($caller, '', qr/\|failed\|57P01\|terminating background worker "notebook_migrate schema worker" due to administrator command\|\|\|0\|public\.waiting/);
	is_gone('worker terminated');
	is(finish($caller), '', 'worker terminated: the caller goes on');
	finish($old);
	sql('DROP INDEX waiting');
}
{
	my ($old, $caller) = begin_waiting('worker cancelled');
	sql("SELECT pg_cancel_backend(pid) $worker");
	send_sql($caller, '', qr/\|failed\|57014\|canceling statement due to user request\|\|\|0\|public\.waiting/);
	finish($caller);
	finish($old);
	sql('DROP INDEX waiting');
}
{
	my $reader = session();
	sql('CREATE INDEX dropped ON t (c)');
	send_sql($reader, q{BEGIN; SELECT count(*) FROM t; SELECT 'read';}, qr/read/);
	is_probe('DROP INDEX CONCURRENTLY dropped', 'failed|55P03|canceling statement due to lock timeout|||0|public.dropped', 'half dropped: it is invalid', before => q{SET lock_timeout = '50ms'});
	finish($reader);
	sql('DROP INDEX dropped');
}
# A role that was to log in no more meanwhile.
{
	my $caller = session('leaving');
	sql('ALTER ROLE leaving NOLOGIN');
	# 17 and later let the worker in, as the session is.
	send_sql($caller, "CALL probe('SELECT 1', $nulls);", $node->pg_version >= 17 ? qr/\|done\|/ :
		qr/\|failed\|28000\|role "leaving" is not permitted to log in\|\|The statement needs a connection of its own, of the role that this session connected as\.\|0\|/);
	is(finish($caller), '', 'no login');
}
# A role that was to be taken on no more meanwhile.
{
	my $caller = session('alice');
	send_sql($caller, q{SET ROLE owner; SELECT 'taken';}, qr/taken/);
	sql('REVOKE owner FROM alice');
	send_sql($caller, "CALL probe('VACUUM t', $nulls);", qr/\|failed\|42501\|permission denied to set role "owner"\|/);
	is(finish($caller), '', 'no role');
}
# A lock that somebody holds: it waits no longer than lock_timeout.
{
	my $locker = session();
	send_sql($locker, q{BEGIN; LOCK TABLE t; SELECT 'locked';}, qr/locked/);
	is_probe('CREATE INDEX CONCURRENTLY waiting ON t (b)', 'failed|55P03|canceling statement due to lock timeout|||0|', 'lock_timeout', before => q{SET lock_timeout = '50ms'});
	finish($locker);
}

# A statement that is done is recorded, even if everybody goes meanwhile.
{
	my $locker = session();
	sql('DELETE FROM recorded');
	send_sql($locker, q{BEGIN; LOCK TABLE recorded; SELECT 'locked';}, qr/locked/);
	my $caller = session();
	send_sql($caller, q{CALL probe('INSERT INTO t SELECT record(), 4712, ''done''', } . "$nulls);");
	wait_for("SELECT wait_event_type $worker", 'Lock', 'recording: it waits');
	is(sql('SELECT count(*) FROM t WHERE b = 4712'), 1, 'recording: the statement is done');
	sql("SELECT pg_terminate_backend(pid) $worker; SELECT pg_terminate_backend($caller->{pid})");
	wait_for("SELECT count(*) FROM pg_stat_activity WHERE pid = $caller->{pid}", 0, 'recording: the caller is gone');
	is(sql("SELECT count(*) $marker"), 1, 'recording: the worker is not');
	is_probe('VACUUM t', 'failed|55P03|another background worker still runs a statement|||0|', 'recording: and nobody else may run one');
	send_sql($locker, "COMMIT; SELECT 'committed';", qr/committed/);
	is_gone('recording');
	is(sql('SELECT is_done FROM recorded'), 't', 'recording: and it is recorded');
	finish($caller);
	finish($locker);
}

# Where it must not be called.
($code, $out, $err) = $node->psql('postgres', "BEGIN; DECLARE c CURSOR WITH HOLD FOR SELECT * FROM t; COMMIT; CALL probe('VACUUM t', $nulls);");
is($out, "VACUUM t|$done", 'a cursor that is held does not matter');
($code, $out, $err) = $node->psql('postgres', "DO \$\$ DECLARE s text := 'VACUUM t'; x text; i int; BEGIN CALL probe(s, x, x, x, x, x, i, x); END \$\$");
is($code, 0, 'from another procedure, too') or diag($err);

# Nothing is left behind.
my $files = q{SELECT count(*) FROM pg_ls_dir('pg_dynshmem')};
my $before = sql($files);
my $memory = q{SELECT sum(total_bytes) FROM pg_backend_memory_contexts;};
my $calls = q{DO $$ DECLARE s text; o text; x text; i int; BEGIN FOR n IN 1 .. 200 LOOP s := CASE WHEN n % 3 = 0 THEN 'SELECT 1/0' ELSE 'VACUUM app.only_there' END; CALL probe(s, o, x, x, x, x, i, x); IF o <> (CASE WHEN n % 3 = 0 THEN 'failed' ELSE 'done' END) THEN RAISE '%: %', n, o; END IF; END LOOP; END $$;};
my $start = time;
($code, $out, $err) = $node->psql('postgres', "$calls $memory $calls $memory");
is($code, 0, '400 calls') or diag($err);
diag(sprintf('%d ms a call', (time - $start) * 1000 / 400));
my ($first, $second) = split /\n/, $out;
cmp_ok($second, '<', $first + 100_000, 'no memory is left behind');
is(sql($files), $before, 'no shared memory is left behind');
is_gone('400 calls');

# A server without room for another worker, or for any.
foreach my $slots (1, 0)
{
	$node->append_conf('postgresql.conf', "max_worker_processes = $slots\n");
	$node->restart;
	is_probe('VACUUM t', 'no worker|53400|no background worker is free||Increase max_worker_processes, or run the statement by itself.|0|', "of $slots slots none is free");
}
unlike(slurp_file($node->logfile), qr/TRAP|PANIC|was terminated by signal|leaked/, 'nothing broke');
$node->stop;
done_testing();
