# Schema migrations on a server of their own: several runners at once, runners
# that are killed, every kind of error, settings that scripts leave behind,
# rights, dumps, and texts that come back byte for byte.
#
# Nothing sleeps: a script that must be met in the middle waits for a table
# that the test holds ("the gate").
use strict;
use warnings;
use Digest::SHA qw(sha256_hex);
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = PostgreSQL::Test::Cluster->new('schema');
$node->init(extra => [ '--no-locale', '--encoding=UTF8' ]);
$node->append_conf('postgresql.conf', "restart_after_crash = on\nmax_connections = 40\nmax_prepared_transactions = 5\n");
$node->start;
$ENV{PGCLIENTENCODING} = 'UTF8';
my $path = 'SET search_path = public, notebook_migrate;';
my $db;

# Makes a database with a log, into which scripts write that they ran, and a
# gate, at which they can be made to wait.
sub database
{
	my ($name, $sql) = @_;
	$db = $name;
	$node->safe_psql('postgres', "CREATE DATABASE $name");
	$node->safe_psql($name, "CREATE EXTENSION notebook_migrate; CREATE TABLE log (n serial, line text); CREATE TABLE gate ();\n$path\n" . ($sql // ''));
}

sub sql { return $node->safe_psql($db, "$path\n$_[0]"); }

sub is_sql
{
	my ($query, $expected, $name) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	is(sql($query), $expected, $name);
}

# What a statement says that must fail: its code, message, detail, hint and context.
sub error
{
	my ($query) = @_;
	my ($rc, $out, $err) = $node->psql($db, "\\set VERBOSITY verbose\n$path\n$query", on_error_stop => 0);
	return $err;
}

sub fails
{
	my ($query, $pattern, $name) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	like(error($query), $pattern, $name);
}

# Sessions that stay open.
sub session
{
	my (@settings) = @_;
	return session_of($node->background_psql($db, on_error_stop => 0), @settings);
}
sub session_of
{
	my ($s, @settings) = @_;
	$s->set_query_timer_restart();
	ask($s, join("\n", '\set VERBOSITY verbose', $path, @settings));
	$s->{pid} = ask($s, 'SELECT pg_backend_pid()');
	return $s;
}

# Runs a query to its end; what it said on stderr is in $s->{stderr} then.
sub ask
{
	my ($s, $query) = @_;
	$s->{stderr} = '';
	return scalar $s->query($query);
}

# Sends a query and does not wait; answer() does.
my $sent = 0;
sub send_off
{
	my ($s, $query) = @_;
	$s->{stderr} = '';
	$sent++;
	$s->query_until(qr/sent $sent\n/, "\\echo sent $sent\n$query;\n");
	return;
}
sub answer { return scalar $_[0]->query(''); }

# Waits until something is true.
sub until_true
{
	my ($query, $name) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	return ok($node->poll_query_until($db, $query), $name);
}
sub at_gate { return until_true("SELECT count(*) = 1 FROM pg_locks WHERE relation = 'gate'::regclass AND NOT granted AND pid = $_[0]{pid}", "$_[1]: in the script"); }
# A runner that waits for its turn: it sleeps, and is in nobody's queue.
sub at_turn
{
	my ($s, $name) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	until_true("SELECT wait_event IS NOT NULL AND wait_event_type NOT IN ('Lock', 'Client', 'IO', 'LWLock') FROM pg_stat_activity WHERE state = 'active' AND pid = $s->{pid}", "$name: waits");
	is_sql("SELECT count(*) FROM pg_locks WHERE NOT granted AND pid = $s->{pid}", 0, "$name: in no queue");
}
sub gate { my $s = session(); ask($s, 'BEGIN; LOCK TABLE gate'); return $s; }
sub open_gate { ask($_[0], 'COMMIT'); return; }

# Nobody holds a lock, and whoever comes next is let in at once.
sub unlocked
{
	my ($name) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	is_sql(q{SELECT count(*) FROM pg_locks WHERE locktype IN ('advisory', 'userlock')}, 0, "$name: no lock is left");
	is(error(q{CALL schema_up(max_count => 0, lock_timeout => '1ms')}), '', "$name: the next one is let in");
}
sub registered { return join('', map { "SELECT schema_register($_);\n" } @_); }
my $waits = 'LOCK TABLE gate IN ACCESS SHARE MODE';

# ---------------------------------------------------------------------------
# Two runners at once.

database('two', registered(
	"'m1', \$\$$waits; INSERT INTO log (line) VALUES ('m1'); CREATE TABLE t1 ()\$\$, 'DROP TABLE t1'",
	q{'m2', $$INSERT INTO log (line) VALUES ('m2'); CREATE TABLE t2 ()$$, 'DROP TABLE t2', '{m1}'}));
{
	my ($gate, $first, $second, $third) = (gate(), session(), session(), session());
	send_off($first, 'CALL schema_up()');
	at_gate($first, 'first runner');

	# Plans, states and registration wait for nobody.
	is_sql(q{SELECT name, state FROM schema_status()}, "m1|pending\nm2|pending", 'meanwhile: the states');
	is_sql(q{SELECT name, action FROM schema_plan()}, "m1|apply\nm2|apply", 'meanwhile: the plan');
	is_sql(q{SELECT schema_register('m3', 'INSERT INTO log (line) VALUES (''m3'')', '')}, 't', 'meanwhile: registration');

	ask($second, q{CALL schema_up(lock_timeout => '50ms')});
	like($second->{stderr}, qr/ERROR:  55P03: .*\b$first->{pid}\b/s, 'a second one times out, and names the holder');
	ask($second, q{CALL schema_up(lock_timeout => '0')});
	like($second->{stderr}, qr/ERROR:  55P03: .*\b$first->{pid}\b/s, 'or does not wait at all');
	ask($second, q{SELECT 1});
	is($second->{stderr}, '', 'its session is none the worse');

	send_off($second, 'CALL schema_up()');
	at_turn($second, 'second runner');
	send_off($third, 'CALL schema_down()');
	at_turn($third, 'one who undoes');
	is(ask($gate, 'SELECT count(*) FROM pg_stat_activity WHERE backend_xid IS NOT NULL AND pid IN (' . "$second->{pid}, $third->{pid})"), 0,
		'they have no transaction that others must wait for');
	# who ever is the next: cancelled, the third is out of the game
	ask($gate, "SELECT pg_cancel_backend($third->{pid})");
	answer($third);
	like($third->{stderr}, qr/ERROR:  57014: /, 'cancelled while it waits');
	is_sql("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND pid = $third->{pid}", 0, 'and holds no lock');
	open_gate($gate);
	answer($first);
	is($first->{stderr}, '', 'the first runner is through');
	answer($second);
	is($second->{stderr}, '', 'the second one as well');
	is_sql(q{SELECT line FROM log ORDER BY n}, "m1\nm2\nm3", 'each ran once');
	unlocked('two runners');
	$_->quit foreach $gate, $first, $second, $third;
}

# What is being applied is not given another text, nor taken as applied, meanwhile.
database('meanwhile', registered("'m1', \$\$$waits; INSERT INTO log (line) VALUES ('m1')\$\$"));
{
	my ($gate, $runner, $other, $third) = (gate(), session(), session(), session());
	send_off($runner, 'CALL schema_up()');
	at_gate($runner, 'meanwhile');
	send_off($other, q{SELECT schema_register('m1', 'SELECT 1')});
	until_true("SELECT wait_event_type = 'Lock' FROM pg_stat_activity WHERE pid = $other->{pid}", 'another text waits');
	is(error(q{SET lock_timeout = '1ms'; SELECT schema_register(name, up) FROM schema_migration}), '', 'the same text does not');
	send_off($third, q{SELECT schema_baseline('m1')});
	at_turn($third, 'a baseline');
	# in another database, nobody is waited for
	$node->safe_psql('postgres', 'CREATE DATABASE neighbour');
	$db = 'neighbour';
	sql(q{CREATE EXTENSION notebook_migrate; SELECT schema_register('m1', 'CREATE TABLE t ()')});
	is(error(q{CALL schema_up(lock_timeout => '1ms')}), '', 'another database has a turn of its own');
	$db = 'meanwhile';
	open_gate($gate);
	answer($runner);
	is($runner->{stderr}, '', 'the runner is through');
	answer($other);
	like($other->{stderr}, qr/ERROR:  55000: /, 'then it is too late for another text');
	is(answer($third), 0, 'and there is nothing left for a baseline');
	is_sql('SELECT name, state FROM schema_history', 'm1|applied', 'applied, once');
	is_sql('SELECT name, state, note FROM schema_status()', 'm1|applied|', 'with the text that it has');
	unlocked('meanwhile');
	$_->quit foreach $gate, $runner, $other, $third;
}

# Four runners, forty migrations, every isolation level: each is applied once.
foreach my $level ('read committed', 'repeatable read', 'serializable')
{
	my $name = $level =~ tr/ /_/r;
	database($name, q{SELECT count(*) FROM (SELECT schema_register('m' || i, format('INSERT INTO log (line) VALUES (%L)', 'm' || i), format('INSERT INTO log (line) VALUES (%L)', '-m' || i)) FROM generate_series(1, 40) AS i) AS s;});
	sql("ALTER DATABASE $name SET default_transaction_isolation = '$level'");
	sql("ALTER DATABASE $name SET search_path = public, notebook_migrate");
	$node->pgbench('-n -c 4 -j 2 -t 5', 0, [qr/actually processed: 20\/20/], [qr/^$/],
		"$level: four runners", { "up_$name" => 'CALL notebook_migrate.schema_up(max_count => 3);' }, $name);
	is_sql('SELECT count(*), count(DISTINCT line) FROM log', '40|40', "$level: each is applied once");
	is_sql(q{SELECT array_agg(line ORDER BY n) = array_agg(line ORDER BY line COLLATE "C") FROM log}, 't', "$level: in their order");
	is_sql(q{SELECT count(*), count(DISTINCT name) FROM schema_history WHERE state = 'applied'}, '40|40', "$level: and the history says so");
	$node->pgbench('-n -c 4 -j 2 -t 5', 0, [qr/actually processed: 20\/20/], [qr/^$/],
		"$level: undone by four", { "down_$name" => 'CALL notebook_migrate.schema_down(steps => 2);' }, $name);
	is_sql(q{SELECT count(*), count(DISTINCT line) FROM log WHERE line LIKE '-%'}, '40|40', "$level: each is undone once");

	# One that began to wait before the other one was through.
	sql(q{SELECT schema_register('z', 'LOCK TABLE gate IN ACCESS SHARE MODE; INSERT INTO log (line) VALUES (''z'')')});
	my ($gate, $first, $second) = (gate(), session(), session());
	is(ask($second, 'SHOW transaction_isolation'), $level, "$level: so it is");
	send_off($first, q{CALL schema_up('z')});
	at_gate($first, $level);
	send_off($second, q{CALL schema_up('z')});
	at_turn($second, $level);
	open_gate($gate);
	answer($first);
	answer($second);
	is($first->{stderr} . $second->{stderr}, '', "$level: both are through");
	is_sql(q{SELECT count(*) FROM log WHERE line = 'z'}, 1, "$level: it ran once");

	# In a transaction whose snapshot is older than what the other one applied.
	sql(q{SELECT schema_register('zz', 'INSERT INTO log (line) VALUES (''zz'')')});
	ask($second, 'BEGIN');
	ask($second, 'SELECT count(*) FROM schema_status()');
	ask($first, q{CALL schema_up('zz')});
	is($first->{stderr}, '', "$level: applied meanwhile");
	my $count = ask($second, q{SELECT schema_up_atomic('zz')});
	like($level eq 'read committed' ? $count : "$count$second->{stderr}", qr/^0$|ERROR:  40001: /, "$level: nothing is left to do");
	ask($second, 'COMMIT');
	is_sql(q{SELECT count(*) FROM log WHERE line = 'zz'}, 1, "$level: and not twice");
	unlocked($level);
	$_->quit foreach $gate, $first, $second;
}

# In a transaction: the lock lasts as long as it.
database('atomic', registered(q{'m1', 'INSERT INTO log (line) VALUES (''m1'')'}, q{'m2', 'INSERT INTO log (line) VALUES (''m2'')'}));
{
	my ($first, $second) = (session(), session());
	ask($first, 'BEGIN');
	is(ask($first, 'SELECT schema_up_atomic()'), 2, 'in a transaction: two');
	send_off($second, 'CALL schema_up()');
	at_turn($second, 'beside a transaction');
	ask($first, 'ROLLBACK');
	answer($second);
	is($second->{stderr}, '', 'rolled back: the next one goes on');
	is_sql('SELECT line FROM log ORDER BY n', "m1\nm2", 'and applies them');
	sql(q{SELECT schema_register('m3', 'INSERT INTO log (line) VALUES (''m3'')')});
	ask($first, 'BEGIN');
	is(ask($first, 'SELECT schema_up_atomic()'), 1, 'in a transaction: one');
	send_off($second, 'SELECT schema_up_atomic()');
	at_turn($second, 'two transactions');
	ask($first, 'COMMIT');
	is(answer($second), 0, 'committed: the next one has nothing to do');
	is_sql('SELECT line FROM log ORDER BY n', "m1\nm2\nm3", 'each ran once');
	unlocked('transactions');

	# Savepoints: what is rolled back was not applied.
	sql(q{SELECT schema_register('m4', 'INSERT INTO log (line) VALUES (''m4'')')});
	ask($first, 'BEGIN; SAVEPOINT s');
	ask($first, 'SELECT schema_up_atomic()');
	ask($first, 'ROLLBACK TO s');
	is(ask($first, 'SELECT schema_up_atomic()'), 1, 'savepoint: again');
	ask($first, 'COMMIT');
	is_sql(q{SELECT count(*) FROM log WHERE line = 'm4'}, 1, 'savepoint: once');

	# A transaction that is prepared has its turn until it is ended.
	sql(q{SELECT schema_register('m4a', 'INSERT INTO log (line) VALUES (''m4a'')')});
	ask($first, 'BEGIN');
	ask($first, 'SELECT schema_up_atomic()');
	ask($first, q{PREPARE TRANSACTION 'prepared'});
	is($first->{stderr}, '', 'prepared');
	fails(q{CALL schema_up(lock_timeout => '10ms')}, qr/ERROR:  55P03: (?!.*\b0\b)/s, 'prepared: nobody else works, and no process is named that is not');
	ask($second, q{COMMIT PREPARED 'prepared'});
	is(error('CALL schema_up()'), '', 'prepared: ended');
	is_sql(q{SELECT count(*) FROM log WHERE line = 'm4a'}, 1, 'prepared: once');

	# An error that is caught.
	sql(q{SELECT schema_register('m5', 'SELECT 1/0')});
	ask($first, q{DO $$ BEGIN PERFORM notebook_migrate.schema_up_atomic(); EXCEPTION WHEN division_by_zero THEN NULL; END $$});
	is($first->{stderr}, '', 'caught');
	unlocked('caught');
	ask($first, q{DO $$ BEGIN CALL notebook_migrate.schema_up(); EXCEPTION WHEN OTHERS THEN RAISE; END $$});
	like($first->{stderr}, qr/schema_up_atomic/, 'where a procedure cannot commit, it says what to use');
	unlocked('where it cannot commit');
	ask($first, 'BEGIN');
	ask($first, 'CALL schema_up()');
	like($first->{stderr}, qr/ERROR:  25001: .*schema_up_atomic/s, 'schema_up in a transaction');
	ask($first, 'ROLLBACK');
	ask($first, 'BEGIN');
	ask($first, 'CALL schema_down()');
	like($first->{stderr}, qr/ERROR:  25001: /s, 'schema_down in a transaction');
	ask($first, 'ROLLBACK');
	unlocked('schema_up in a transaction');
	$_->quit foreach $first, $second;
}

# ---------------------------------------------------------------------------
# CREATE INDEX CONCURRENTLY waits for every snapshot: not for a runner's who waits.

database('cic', registered("'m1', '$waits; INSERT INTO log (line) VALUES (''m1'')'"));
sql('CREATE TABLE big AS SELECT i FROM generate_series(1, 1000) AS i');
{
	my ($gate, $first, $second, $third, $cic) = (gate(), session(), session(), session(q{SET default_transaction_isolation = 'repeatable read';}), session());
	send_off($first, 'CALL schema_up()');
	at_gate($first, 'beside an index');
	send_off($_, 'CALL schema_up()') foreach $second, $third;
	at_turn($_, 'beside an index') foreach $second, $third;
	send_off($cic, 'CREATE INDEX CONCURRENTLY first_index ON big (i)');
	until_true("SELECT pg_blocking_pids($cic->{pid}) = ARRAY[$first->{pid}]", 'the index waits for the one who works, and for no other');
	open_gate($gate);
	answer($_) foreach $first, $second, $third, $cic;
	is($_->{stderr}, '', 'no deadlock') foreach $first, $second, $third, $cic;
	is_sql(q{SELECT indisvalid FROM pg_index WHERE indexrelid = 'first_index'::regclass}, 't', 'the index is there');

	# Where the one whose turn it is has no snapshot, nothing is waited for.
	sql(q{SELECT schema_register('m2', 'INSERT INTO log (line) VALUES (''m2'')')});
	ask($gate, 'BEGIN');
	is(ask($gate, 'SELECT schema_up_atomic()'), 1, 'in a transaction that goes on');
	send_off($_, 'CALL schema_up()') foreach $second, $third;
	at_turn($_, 'beside a transaction') foreach $second, $third;
	ask($cic, q{SET statement_timeout = '60s'});
	ask($cic, 'CREATE INDEX CONCURRENTLY second_index ON big (i)');
	is($cic->{stderr}, '', 'an index is made while two runners wait');
	is_sql("SELECT count(*) FROM pg_stat_activity WHERE pid IN ($second->{pid}, $third->{pid}) AND state = 'active'", 2, 'they still do');
	ask($first, q{CALL schema_up(lock_timeout => '1ms')});
	like($first->{stderr}, qr/55P03.*\b$gate->{pid}\b/s, 'and whose turn it is is said');
	ask($gate, 'ROLLBACK');
	answer($_) foreach $second, $third;
	is_sql(q{SELECT count(*) FROM log WHERE line = 'm2'}, 1, 'then one of them works');
	unlocked('beside an index');
	$_->quit foreach $gate, $first, $second, $third, $cic;
}

# ---------------------------------------------------------------------------
# Killed in the middle.

database('killed', registered(
	q{'m1', $$INSERT INTO log (line) VALUES ('m1')$$},
	"'m2', \$\$CREATE TABLE t2 (); INSERT INTO log (line) VALUES ('m2'); $waits; CREATE TABLE t3 ()\$\$, 'DROP TABLE t2, t3'",
	q{'m3', $$INSERT INTO log (line) VALUES ('m3')$$}));
foreach my $how ('terminated', 'killed')
{
	my ($gate, $runner) = (gate(), session());
	send_off($runner, 'CALL schema_up()');
	at_gate($runner, $how);
	if ($how eq 'terminated')
	{
		sql("SELECT pg_terminate_backend($runner->{pid})");
		until_true("SELECT count(*) = 0 FROM pg_stat_activity WHERE pid = $runner->{pid}", "$how: gone");
		$gate->quit;
	}
	else
	{
		is(PostgreSQL::Test::Utils::system_log('pg_ctl', 'kill', 'KILL', $runner->{pid}), 0, "$how: shot");
		# All go with it, and the server comes back.
		until_true(q{SELECT count(*) = 0 FROM pg_stat_activity WHERE query LIKE 'LOCK TABLE%' OR query LIKE 'CALL schema_up%'}, "$how: the server is back");
		eval { $gate->quit };
	}
	eval { $runner->quit };
	unlocked($how);
	is_sql('SELECT line FROM log ORDER BY n', 'm1', "$how: what was before is kept");
	is_sql(q{SELECT to_regclass('t2')}, '', "$how: nothing is half applied");
	is_sql(q{SELECT name, state FROM schema_status()}, "m1|applied\nm2|pending\nm3|pending", "$how: no flag to clear");
}
is(error('CALL schema_up()'), '', 'killed: the next call goes on');
is_sql('SELECT line FROM log ORDER BY n', "m1\nm2\nm3", 'killed: from where it was');

# The same for one who undoes.
sql("SELECT schema_register('m4', 'CREATE TABLE t4 ()', 'DROP TABLE t4; $waits; INSERT INTO log (line) VALUES (''-m4'')')");
is(error('CALL schema_up()'), '', 'one more');
{
	my ($gate, $runner) = (gate(), session());
	send_off($runner, 'CALL schema_down()');
	at_gate($runner, 'undoing');
	sql("SELECT pg_terminate_backend($runner->{pid})");
	until_true("SELECT count(*) = 0 FROM pg_stat_activity WHERE pid = $runner->{pid}", 'undoing: gone');
	open_gate($gate);
	eval { $runner->quit };
	unlocked('undoing, terminated');
	is_sql(q{SELECT name, state FROM schema_status() WHERE name = 'm4'}, 'm4|applied', 'undoing, terminated: still applied');
	is_sql(q{SELECT to_regclass('t4')}, 't4', 'undoing, terminated: it is there');
	is(error('CALL schema_down()'), '', 'undoing: again');
	is_sql(q{SELECT state, to_regclass('t4') IS NULL FROM schema_status() WHERE name = 'm4'}, 'reverted|t', 'undoing: done');
	$gate->quit;
}

# ---------------------------------------------------------------------------
# Errors of every kind: no lock stays in the session, which stays open.

database('errors');
{
	my ($s, $gate) = (session(), session());
	my $check = sub {
		my ($name, $pattern) = @_;
		local $Test::Builder::Level = $Test::Builder::Level + 1;
		like($s->{stderr}, $pattern, "$name: what it says");
		is(ask($s, q{SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'}), 0, "$name: no lock of the session");
		unlocked($name);
	};
	my $fails = sub {
		my ($name, $body, $state, $recorded, @settings) = @_;
		local $Test::Builder::Level = $Test::Builder::Level + 1;
		sql("SELECT schema_register('bad', \$nbm\$$body\$nbm\$)");
		ask($s, join("\n", @settings)) if @settings;
		ask($s, 'CALL schema_up()');
		$check->($name, qr/ERROR:  $state: .*CONTEXT: .*schema migration "bad"/s);
		ask($s, 'RESET ALL; SET search_path = public, notebook_migrate');
		is_sql(q{SELECT state, note ~ '^\w{5}: ' FROM schema_status() WHERE name = 'bad'}, $recorded ? 'failed|t' : 'pending|', "$name: the state");
		is_sql(q{SELECT direction, state, sqlstate, message IS NOT NULL, statement, position FROM schema_history ORDER BY entry DESC LIMIT 1}, "up|failed|$state|t|$recorded", "$name: the history") if $recorded;
		is_sql(q{SELECT to_regclass('half')}, '', "$name: nothing is left of it");
	};
	$fails->('division', 'CREATE TABLE half (); SELECT 1/0', '22012', '2|');
	$fails->('unknown column', "CREATE TABLE half ();\nSELECT 'é', nothing FROM half;", '42703', '2|35');
	$fails->('unknown table', "CREATE TABLE half ();\n\n  SELECT 'é' FROM half, nowhere; SELECT 1;", '42P01', '2|48');
	$fails->('deferred constraint', 'CREATE TABLE half (i int PRIMARY KEY, j int REFERENCES half DEFERRABLE INITIALLY DEFERRED); INSERT INTO half VALUES (1, 2)', '23503', '|');
	$fails->('deferred trigger', q{CREATE TABLE half (i int); CREATE FUNCTION half_t() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE 'late' USING ERRCODE = 'NB001'; END $$;
CREATE CONSTRAINT TRIGGER half_t AFTER INSERT ON half DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION half_t(); INSERT INTO half VALUES (1)}, 'NB001', '|');
	$fails->('in a function', q{CREATE TABLE half (); DO $$ BEGIN RAISE 'mine' USING ERRCODE = 'P0099', DETAIL = 'more', HINT = 'help'; END $$}, 'P0099', '2|');

	# cancelled, timed out: in the script, and while another one has its turn
	sql("SELECT schema_register('bad', 'CREATE TABLE half (); $waits')");
	foreach my $case ([ 'cancelled', '57014' ], [ 'statement_timeout', '57014' ], [ 'lock_timeout', '55P03' ])
	{
		my ($how, $state) = @$case;
		ask($gate, 'BEGIN; LOCK TABLE gate');
		ask($s, "SET $how = '200ms'") if $how ne 'cancelled';
		send_off($s, 'CALL schema_up()');
		at_gate($s, $how), sql("SELECT pg_cancel_backend($s->{pid})") if $how eq 'cancelled';
		answer($s);
		$check->("$how in a script", qr/ERROR:  $state: .*CONTEXT: .*schema migration "bad"/s);
		ask($s, 'RESET ALL; SET search_path = public, notebook_migrate');
		is_sql(q{SELECT to_regclass('half')}, '', "$how in a script: nothing is left of it");

		# another one has its turn
		my $other = session();
		send_off($other, 'CALL schema_up()');
		at_gate($other, "$how while it waits");
		ask($s, "SET $how = '50ms'") if $how eq 'statement_timeout';
		send_off($s, 'CALL schema_up(lock_timeout => ' . ($how eq 'lock_timeout' ? q{'50ms'} : 'NULL') . ')');
		at_turn($s, 'cancelled while it waits'), sql("SELECT pg_cancel_backend($s->{pid})") if $how eq 'cancelled';
		answer($s);
		like($s->{stderr}, qr/ERROR:  $state: /, "$how while it waits: what it says");
		is(ask($s, q{SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND pid = pg_backend_pid()}), 0, "$how while it waits: no lock of the session");
		ask($s, 'RESET ALL; SET search_path = public, notebook_migrate');
		sql("SELECT pg_cancel_backend($other->{pid})");
		answer($other);
		open_gate($gate);
		unlocked("$how while it waited");
		$other->quit;
	}
	is(ask($s, 'CALL schema_up()') . $s->{stderr}, '', 'after all these errors, the next call goes on');
	is_sql(q{SELECT state FROM schema_status() WHERE name = 'bad'}, 'applied', 'and applies it');

	# errors that come before any script
	ask($s, q{SELECT schema_register('syntax', 'SELECT FROM WHERE')});
	$check->('syntax', qr/ERROR:  42601: /);
	foreach my $call (q{schema_up('nobody')}, q{schema_up(max_count => -1)}, q{schema_down('nobody')}, q{schema_down(steps => -1)}, q{schema_up(lock_timeout => '-1s')})
	{
		ask($s, "CALL $call");
		$check->($call, qr/ERROR:  (?!XX)\w{5}: /);
	}

	# those before the failing one are kept, those after it are not tried
	sql(registered(q{'n1', 'CREATE TABLE n1 ()'}, q{'n2', 'CREATE TABLE n2 (); SELECT 1/0'}, q{'n3', 'CREATE TABLE n3 ()'}));
	ask($s, 'CALL schema_up()');
	$check->('in the middle', qr/ERROR:  22012: .*schema migration "n2"/s);
	is_sql(q{SELECT to_regclass('n1'), to_regclass('n2'), to_regclass('n3')}, 'n1||', 'in the middle: one is kept');
	is_sql(q{SELECT name, state FROM schema_status() WHERE name LIKE 'n%'}, "n1|applied\nn2|failed\nn3|pending", 'in the middle: states');
	ask($s, q{SELECT schema_register('n2', 'CREATE TABLE n2 ()', 'DROP TABLE nowhere')});
	is(ask($s, 'CALL schema_up()') . $s->{stderr}, '', 'in the middle: goes on');
	is_sql(q{SELECT to_regclass('n1'), to_regclass('n2'), to_regclass('n3')}, 'n1|n2|n3', 'in the middle: all are there');
	sql(q{SELECT schema_register('n4', 'SELECT 1', 'DROP TABLE nowhere')});
	ask($s, 'CALL schema_up()');
	ask($s, 'CALL schema_down()');
	$check->('undoing', qr/ERROR:  42P01: .*schema migration "n4"/s);
	is_sql(q{SELECT direction, state, sqlstate, statement, position FROM schema_history ORDER BY entry DESC LIMIT 1}, 'down|failed|42P01|1|', 'undoing: the history');
	is_sql(q{SELECT state FROM schema_status() WHERE name = 'n4'}, 'applied', 'undoing: still applied');
	$_->quit foreach $s, $gate;
}

# ---------------------------------------------------------------------------
# What one transaction for all of them could not do.

database('own_transactions', registered(
	q{'e1', $$CREATE TYPE mood AS ENUM ('sad')$$},
	q{'e2', $$ALTER TYPE mood ADD VALUE 'happy'$$},
	q{'e3', $$CREATE TABLE person (m mood DEFAULT 'happy'); INSERT INTO person DEFAULT VALUES$$},
	q{'f1', $$CREATE TABLE p (i int PRIMARY KEY); CREATE TABLE c (i int REFERENCES p DEFERRABLE INITIALLY DEFERRED)$$},
	q{'f2', $$INSERT INTO c VALUES (1); INSERT INTO p VALUES (1)$$},
	q{'f3', $$ALTER TABLE c ADD j int; ALTER TABLE p ADD k int$$}));
is(error('CALL schema_up()'), '', 'values of an enum, pending events');
is_sql('SELECT m FROM person', 'happy', 'a value of an enum is used');
is_sql('SELECT c.i, p.i, j IS NULL FROM c, p', '1|1|t', 'tables with pending events were altered');

# ---------------------------------------------------------------------------
# What scripts leave behind reaches neither the next one nor the caller.

database('behind');
$node->safe_psql($db, q{CREATE ROLE other; CREATE ROLE runner LOGIN SUPERUSER; CREATE SCHEMA evil; CREATE TABLE evil.log (n serial, line text); GRANT ALL ON SCHEMA evil, public TO other; GRANT ALL ON evil.log, public.log TO other;
GRANT ALL ON ALL SEQUENCES IN SCHEMA evil, public TO other;});
{
	my $other = session();
	my $s = session('SET SESSION AUTHORIZATION runner;', q{SET work_mem = '5MB';}, q{SET my.own = 'kept';}, q{SET search_path = public, notebook_migrate, pg_catalog;}, q{SET TIME ZONE 'Asia/Tokyo';});
	# what the caller and the next script see, as one line
	my $seen = q{md5(string_agg(concat_ws(' ', name, setting, source), ',' ORDER BY name COLLATE "C"))};
	my $whole = q{current_user || ' ' || session_user || ' ' || current_setting('my.own') || ' ' || current_setting('role') || ' ' || coalesce(current_setting('my.new', true), '')};
	# these differ between a script and the caller anyway
	my $where = q{WHERE name NOT IN ('transaction_deferrable', 'transaction_isolation', 'transaction_read_only', 'application_name') AND name <> 'in_hot_standby'};
	my $n = 0;
	my @script = (
		'SET ROLE other', 'SET LOCAL ROLE other', 'SET SESSION AUTHORIZATION other', 'SET search_path = evil', q{SET LOCAL search_path = evil},
		q{SELECT set_config('search_path', 'evil', false)}, q{SELECT set_config('search_path', 'evil', true)}, 'RESET ALL', 'RESET ROLE', 'RESET SESSION AUTHORIZATION',
		q{SET work_mem = '7MB'; SET my.own = 'lost'; SET my.new = 'new'}, q{SET LOCAL work_mem = '7MB'}, 'SET TIME ZONE 0', 'SET statement_timeout = 1000000; SET lock_timeout = 1000000',
		q{SET default_transaction_isolation = 'serializable'}, 'SET default_transaction_read_only = on', 'SET standard_conforming_strings = off',
		'SET notebook_migrate.schema_ignore_drift = on', q{SET session_replication_role = replica}, 'SET check_function_bodies = off', 'SET client_min_messages = error',
		'SET CONSTRAINTS ALL IMMEDIATE', q{SET client_encoding = 'LATIN1'}, 'SET row_security = off', q{SET default_tablespace = ''; SET default_table_access_method = heap},
		q{DO $$ BEGIN SET search_path = evil; SET ROLE other; END $$}, 'SET SESSION AUTHORIZATION other; SET ROLE other; SET search_path = evil; RESET ALL');
	ask($s, 'SELECT FROM schema_status(); DO $$ BEGIN END $$');    # the settings of libraries are there
	my $before = ask($s, "SELECT $seen, $whole FROM pg_settings $where");
	isnt($before, '', 'what the caller has set');
	foreach my $script (@script)
	{
		foreach my $end ('', '; SELECT 1/0', '!')
		{
			my $m = sprintf 'm%03d', ++$n;
			my $what = $end eq '' ? $script : $end eq '!' ? "$script, in a transaction" : "$script, then an error";
			my $body = $script . ($end eq '!' ? '' : $end);
			ask($other, registered("'${m}a', \$nbm\$$body\$nbm\$", qq{'${m}b', \$nbm\$INSERT INTO log (line) SELECT $seen || ' ' || $whole FROM pg_settings $where\$nbm\$}));
			ask($s, $end eq '!' ? 'SELECT schema_up_atomic()' : 'CALL schema_up()');
			if ($end =~ /1\/0/)
			{
				like($s->{stderr}, qr/22012/, "$what: it fails");
				ask($other, "SELECT schema_register('${m}a', 'SELECT 1')");
			}
			else { is($s->{stderr}, '', "$what: done"); }
			is(ask($s, "SELECT $seen, $whole FROM pg_settings $where"), $before, "$what: the caller sees nothing of it");
			is(ask($other, "SELECT count(*) FROM log WHERE line = replace('$before', '|', ' ')"), 1, "$what: nor does the next one") if $end !~ /1\/0/;
			is(ask($other, "SELECT DISTINCT applied_by FROM schema_history WHERE name = '${m}a'"), 'runner', "$what: the history knows who did it");
			ask($other, 'TRUNCATE log; TRUNCATE evil.log');
			ask($s, 'CALL schema_up()');
			ask($other, 'TRUNCATE log; TRUNCATE evil.log');
			last if $s->{stderr} ne '';
		}
	}

	# What is made belongs to him who made it, and not to the extension.
	sql(registered(q{'objects', $$CREATE SCHEMA made; CREATE TABLE made.t (i serial PRIMARY KEY); CREATE VIEW made.v AS SELECT * FROM made.t; CREATE FUNCTION made.f() RETURNS int LANGUAGE sql AS 'SELECT 1';
CREATE TYPE made.e AS ENUM ('a'); CREATE INDEX ON made.t (i); CREATE TABLE notebook_migrate.mine ()$$}));
	my $members = q{SELECT count(*) FROM pg_depend WHERE refclassid = 'pg_extension'::regclass AND deptype = 'e'};
	my $count = sql($members);
	is(ask($s, 'CALL schema_up()') . $s->{stderr}, '', 'objects are made');
	is(sql($members), $count, 'none is a member of the extension');
	is_sql(q{SELECT DISTINCT rolname FROM pg_class JOIN pg_roles ON pg_roles.oid = relowner WHERE relnamespace = 'made'::regnamespace}, 'runner', 'they belong to the runner');
	$_->quit foreach $s, $other;
}

# ---------------------------------------------------------------------------
# A role with the schema and the functions, and nothing else.

database('rights');
$node->safe_psql($db, <<'SQL');
CREATE ROLE poor LOGIN; CREATE ROLE boss SUPERUSER;
CREATE SCHEMA poors AUTHORIZATION poor;
CREATE TABLE public.rich (i int);
GRANT USAGE ON SCHEMA notebook_migrate TO poor;
GRANT EXECUTE ON FUNCTION notebook_migrate.schema_register, notebook_migrate.schema_plan, notebook_migrate.schema_status,
  notebook_migrate.schema_up_atomic, notebook_migrate.schema_baseline TO poor;
GRANT EXECUTE ON PROCEDURE notebook_migrate.schema_up, notebook_migrate.schema_down TO poor;
SQL
{
	my $s = session_of($node->background_psql($db, on_error_stop => 0, extra_params => [ '-U', 'poor' ]), 'SET search_path = poors, notebook_migrate;');
	my $does = sub {
		my ($query, $expected, $name) = @_;
		local $Test::Builder::Level = $Test::Builder::Level + 1;
		is(ask($s, $query), $expected, $name);
		is($s->{stderr}, '', "$name: without an error");
	};
	my $may_not = sub {
		my ($query, $name) = @_;
		local $Test::Builder::Level = $Test::Builder::Level + 1;
		ask($s, $query);
		like($s->{stderr}, qr/ERROR:  42501: /, $name);
	};
	$does->(q{SELECT schema_register('m1', 'CREATE TABLE t1 ()', 'DROP TABLE t1')}, 't', 'poor: registers');
	$does->(q{SELECT schema_register('m2', 'CREATE TABLE t2 ()', 'DROP TABLE t2')}, 't', 'poor: registers another');
	$does->(q{SELECT name, action FROM schema_plan()}, "m1|apply\nm2|apply", 'poor: plans');
	$does->('CALL schema_up(max_count => 1)', '', 'poor: applies');
	$does->('SELECT schema_up_atomic()', 1, 'poor: applies in a transaction');
	$does->(q{SELECT name, state, applied_by FROM schema_status()}, "m1|applied|poor\nm2|applied|poor", 'poor: sees the states');
	$does->('CALL schema_down()', '', 'poor: undoes');
	$does->(q{SELECT schema_register('m3', 'SELECT 1')}, 't', 'poor: a third');
	$does->(q{SELECT count(*) FROM (SELECT schema_baseline('m3')) AS b}, 1, 'poor: a baseline');
	$does->(q{SELECT name, state FROM schema_status()}, "m1|applied\nm2|reverted\nm3|baseline", 'poor: all states');
	is_sql(q{SELECT rolname FROM pg_class JOIN pg_roles ON pg_roles.oid = relowner WHERE relname = 't1'}, 'poor', 'poor: owns what was made');

	# His own rights decide.
	foreach my $body ('INSERT INTO public.rich VALUES (1)', 'DROP TABLE public.rich', 'CREATE ROLE made', 'SET ROLE boss; SELECT 1', 'SET SESSION AUTHORIZATION boss',
		q{INSERT INTO notebook_migrate.schema_history (name, direction, state, started_at, duration, applied_by) VALUES ('x', 'up', 'applied', now(), '0', 'poor')},
		q{UPDATE notebook_migrate.schema_history SET state = 'failed'}, q{DELETE FROM notebook_migrate.schema_history}, q{TRUNCATE notebook_migrate.schema_history},
		q{INSERT INTO notebook_migrate.schema_migration (name, up) VALUES ('x', 'DROP TABLE public.rich')}, q{UPDATE notebook_migrate.schema_migration SET up = ''}, q{DELETE FROM notebook_migrate.schema_migration},
		q{SELECT setval('notebook_migrate.schema_history_entry_seq', 1)}, q{SELECT nextval('notebook_migrate.schema_history_entry_seq')}, q{ALTER TABLE notebook_migrate.schema_history DISABLE TRIGGER ALL},
		q{CREATE TABLE notebook_migrate.mine ()}, q{COPY t1 FROM PROGRAM 'true'}, q{COPY t1 TO '/tmp/nbm_never'}, q{DO $$ BEGIN SET ROLE boss; END $$})
	{
		my $short = substr($body, 0, 60);
		$may_not->($body, "poor: by hand: $short");
		$does->("SELECT schema_register('n', \$nbm\$$body\$nbm\$)", 't', "poor: registers $short");
		$may_not->('CALL schema_up()', "poor: in a script: $short");
		is_sql(q{SELECT applied_by, state, sqlstate FROM schema_history ORDER BY entry DESC LIMIT 1}, 'poor|failed|42501', "poor: recorded: $short");
		$may_not->('SELECT schema_up_atomic()', "poor: in a transaction: $short");
	}
	# What he puts into the way is not called with anybody else's rights.
	ask($s, q{CREATE FUNCTION poors.lower(text) RETURNS text LANGUAGE sql AS 'SELECT ''evil'''; CREATE FUNCTION poors.sha256(bytea) RETURNS bytea LANGUAGE sql AS 'SELECT NULL::bytea';
CREATE FUNCTION poors.eq(text, text) RETURNS boolean LANGUAGE plpgsql AS 'BEGIN RAISE ''called as %'', current_user; END'; CREATE OPERATOR poors.= (FUNCTION = poors.eq, LEFTARG = text, RIGHTARG = text);
CREATE TABLE poors.schema_history (); CREATE TABLE poors.schema_migration (); CREATE TEMP TABLE schema_migration (); CREATE TEMP TABLE schema_history (); SET search_path = poors, pg_temp, notebook_migrate, pg_catalog});
	is($s->{stderr}, '', 'poor: sets a trap');
	$does->(q{SELECT schema_register('n', 'CREATE TABLE trap ()', 'DROP TABLE trap')}, 't', 'poor: trap: registers');
	$does->('CALL schema_up()', '', 'poor: trap: applies');
	$does->('CALL schema_down()', '', 'poor: trap: undoes');
	$does->('SELECT schema_up_atomic() > 0', 't', 'poor: trap: in a transaction');
	$does->(q{SELECT count(*) > 0 FROM schema_plan('m1', 'down')}, 't', 'poor: trap: plans');
	$does->(q{SELECT count(*) FROM schema_status()}, 4, 'poor: trap: states');
	is_sql('SELECT count(*) FROM rich', 0, 'what is not his is untouched');

	# What runs when the transaction ends runs with his rights as well.
	sql('CREATE TABLE who (what text, who name); GRANT ALL ON who TO poor');
	ask($s, 'DROP OPERATOR poors.= (text, text); RESET search_path; SET search_path = poors, notebook_migrate');
	ask($s, q{CREATE TABLE d (i int); CREATE FUNCTION note(text) RETURNS int LANGUAGE plpgsql AS 'BEGIN INSERT INTO public.who VALUES ($1, current_user); RETURN 1; END';
CREATE FUNCTION d() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN PERFORM poors.note(''trigger''); RETURN NULL; END';
CREATE CONSTRAINT TRIGGER d AFTER INSERT ON d DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION d()});
	$does->(q{SELECT schema_register('d', 'INSERT INTO poors.d VALUES (1); DECLARE c CURSOR WITH HOLD FOR SELECT poors.note(''cursor''); SELECT poors.note(''body'')', 'INSERT INTO poors.d VALUES (1)')}, 't', 'poor: at the end: registers');
	$does->('CALL schema_up()', '', 'poor: at the end: applies');
	$does->('CALL schema_down()', '', 'poor: at the end: undoes');
	ask($s, 'CLOSE ALL');
	$does->('SELECT schema_up_atomic()', 1, 'poor: at the end: in a transaction');
	is_sql('SELECT what, who, count(*) FROM who GROUP BY 1, 2 ORDER BY 1', "body|poor|2\ncursor|poor|2\ntrigger|poor|3", 'poor: at the end: all of it with his rights');

	# Another one's rights: a superuser who applies what he wrote has been told; but without the functions nothing is to be had.
	$node->safe_psql($db, 'REVOKE EXECUTE ON ALL ROUTINES IN SCHEMA notebook_migrate FROM poor');
	$may_not->($_, "without the right: $_") foreach q{SELECT schema_register('x', '')}, 'SELECT schema_plan()', 'SELECT schema_status()', 'CALL schema_up()', 'CALL schema_down()', 'SELECT schema_up_atomic()', q{SELECT schema_baseline('x')};
	$s->quit;

	# The superuser himself.
	foreach my $query ('UPDATE notebook_migrate.schema_history SET state = state', 'DELETE FROM notebook_migrate.schema_history', 'TRUNCATE notebook_migrate.schema_history', 'DELETE FROM notebook_migrate.schema_history WHERE false')
	{
		fails($query, qr/ERROR:  55000: /, "superuser: $query");
	}
}

# ---------------------------------------------------------------------------
# Byte for byte.

my %text = (
	'CRLF' => "CREATE TABLE crlf (t text);\r\nINSERT INTO crlf VALUES ('a\r\nb');\r\n",
	'CR alone' => "SELECT 1;\rSELECT 2;\r",
	'tabs' => "\tCREATE TABLE\ttabs\t(t text);\n\tINSERT INTO tabs VALUES ('\t');\n\t",
	'dollars' => "CREATE FUNCTION dollars() RETURNS text LANGUAGE plpgsql AS \$\$ BEGIN\r\n-- a ; comment\n  RETURN \$a\$it's; ok\$a\$; END \$\$;\nCREATE FUNCTION dollars2() RETURNS int LANGUAGE sql AS \$body\$ SELECT 1; \$body\$",
	'literal' => "CREATE TABLE literal (t text);\nINSERT INTO literal VALUES ('first\n-- depends: nobody\n-- not a comment; either\n\\connect nowhere\n/* nor');\n",
	'comments' => "/* COMMIT; /* nested ; */ ROLLBACK */ -- SAVEPOINT s;\nSELECT 1; -- COMMIT\n-- the end",
	'unicode' => "CREATE TABLE \"t\x{c3}\x{a4}ble \x{f0}\x{9f}\x{90}\x{98}\" (\"\x{e2}\x{82}\x{ac}\" text DEFAULT 'e\x{cc}\x{81}');",
	'no-break space' => "SELECT '\x{c2}\x{a0}\x{e2}\x{80}\x{a8}', U&'d\\0061t\\+000061', E'\\x41\\n\\'';",
	'quotes' => q{SELECT 'it''s', "a".b FROM (SELECT 1 AS b) AS "a"; SELECT 'c:\dir\'; SELECT E'\';--'},
	'space' => "  \n\n SELECT 1  ;;;\n ; \n",
	'empty' => '',
	'only a comment' => "-- nothing to do\n",
	'end without newline' => 'SELECT 1 -- end',
	'begin atomic' => "CREATE FUNCTION atomically(i int) RETURNS int LANGUAGE sql BEGIN ATOMIC SELECT i; SELECT CASE WHEN i > 0 THEN i ELSE 0 END; END; SELECT atomically(1);",
	'rule' => 'CREATE TABLE ruled (i int); CREATE RULE r AS ON INSERT TO ruled DO ALSO (SELECT 1; SELECT 2); SELECT 2',
	'five megabytes' => "CREATE TABLE five (t text); INSERT INTO five VALUES ('" . join('', map { sprintf "line %06d of it's text\r\n", $_ } 1 .. 200_000) =~ s/'/''/gr . "');",
);
sub hex_text { return "convert_from('\\x" . unpack('H*', $_[0]) . "', 'UTF8')"; }
database('bytes');
sql('ALTER DATABASE bytes SET search_path = public, notebook_migrate');
foreach my $name (sort keys %text)
{
	my ($up, $down) = ($text{$name}, "-- down of\r\n$text{$name}");
	my $file = PostgreSQL::Test::Utils::tempdir . '/register.sql';
	open my $out, '>:raw', $file or die "$file: $!\n";
	print $out "SELECT schema_register('$name', " . hex_text($up) . ', ' . hex_text($down) . ");\n";
	close $out;
	$node->command_like([ 'psql', '-XAtq', '-v', 'ON_ERROR_STOP=1', '-d', $node->connstr($db), '-f', $file ], qr/^t$/, "$name: registered");
	is_sql("SELECT sha256(convert_to(up, 'UTF8')) = sha256 AND encode(sha256, 'hex') = '" . sha256_hex($up) . "', encode(sha256(convert_to(down, 'UTF8')), 'hex') = '" . sha256_hex($down)
		. "' FROM schema_migration WHERE name = '$name'", 't|t', "$name: stored as it was given");
	is(error("CALL schema_up('$name')"), '', "$name: runs");
	is_sql("SELECT state, encode(sha256, 'hex') FROM schema_history WHERE name = '$name'", 'applied|' . sha256_hex($up), "$name: and the history knows the text");
}
is_sql(q{SELECT t = E'a\r\nb' FROM crlf}, 't', 'CRLF in a literal');
is_sql(q{SELECT t = E'\t' FROM tabs}, 't', 'a tab in a literal');
is_sql(q{SELECT dollars(), dollars2(), prosrc LIKE E'% BEGIN\r\n-- a ; comment\n%' FROM pg_proc WHERE proname = 'dollars'}, q{it's; ok|1|t}, 'bodies of functions');
is_sql(q{SELECT t = E'first\n-- depends: nobody\n-- not a comment; either\n\\\\connect nowhere\n/* nor' FROM literal}, 't', 'a literal with lines that look like comments');
is_sql(q{SELECT length(t) FROM five}, 200_000 * length("line 000001 of it's text\r\n"), 'five megabytes');
is_sql(qq{SELECT count(*) FROM pg_class WHERE relname = convert_from('\\x74c3a4626c6520f09f9098', 'UTF8')}, 1, 'a table with an odd name');

# A dump carries definitions and history; there is nothing to apply in the copy.
{
	sql(registered(q{'later', 'SELECT 1/0', NULL, '{rule}'}, q{'gone', 'CREATE TABLE gone ()', 'DROP TABLE gone'}));
	error(q{CALL schema_up('gone')});
	error(q{CALL schema_down('gone')});
	error(q{CALL schema_up('later')});
	my $all = q{SELECT md5(string_agg(m::text, ',' ORDER BY name)) FROM schema_migration AS m; SELECT md5(string_agg(h::text, ',' ORDER BY entry)) FROM schema_history AS h;
SELECT name, state, applied_at, applied_by, duration, depends_on, note FROM schema_status(); SELECT * FROM schema_plan();};
	my $before = sql($all);
	like($before, qr/^later\|failed/m, 'there is something to dump');
	foreach my $format ('plain', 'custom')
	{
		my $dump = PostgreSQL::Test::Utils::tempdir . "/schema.$format";
		$node->safe_psql('postgres', "CREATE DATABASE copy_$format");
		$node->command_ok([ 'pg_dump', "--format=$format", '-f', $dump, 'bytes' ], "$format: dumped");
		if ($format eq 'plain') { $node->command_ok([ 'psql', '-Xq', '-v', 'ON_ERROR_STOP=1', '-o', '/dev/null', '-d', "copy_$format", '-f', $dump ], "$format: restored"); }
		else { $node->command_ok([ 'pg_restore', '--exit-on-error', '-d', "copy_$format", $dump ], "$format: restored"); }
		$db = "copy_$format";
		is(sql($all), $before, "$format: all is as it was");
		sql(q{SELECT schema_register('later', 'SELECT 1', NULL, '{rule}'); SELECT schema_register('gone', 'SELECT 1')});
		is(error('CALL schema_up()'), '', "$format: goes on");
		is_sql(q{SELECT string_agg(name, ',' ORDER BY entry) FROM schema_history WHERE entry > (SELECT max(entry) - 2 FROM schema_history)}, 'gone,later', "$format: only what was left was applied");
		is(error('CALL schema_up()'), '', "$format: nothing to do");
		$db = 'bytes';
	}
}

# Another encoding: the digest is of the text in UTF-8.
$node->safe_psql('postgres', q{CREATE DATABASE latin1 ENCODING 'LATIN1' LOCALE 'C' TEMPLATE template0});
$db = 'latin1';
sql('CREATE EXTENSION notebook_migrate');
sql(qq{SELECT schema_register('\x{c3}\x{a4}', 'CREATE TABLE "\x{c3}\x{a9}" (); SELECT ''\x{c3}\x{bc}''')});
is_sql(q{SELECT encode(sha256, 'hex'), sha256 = sha256(convert_to(up, 'UTF8')) FROM schema_migration}, sha256_hex(qq{CREATE TABLE "\x{c3}\x{a9}" (); SELECT '\x{c3}\x{bc}'}) . '|t', 'LATIN1: the digest');
is(error('CALL schema_up()'), '', 'LATIN1: applied');
is_sql(q{SELECT count(*) FROM pg_class WHERE relname = U&'\00E9'}, 1, 'LATIN1: the table');

$node->stop;
done_testing();
