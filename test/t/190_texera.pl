# A Texera, attached: the real chain of six saves in the application's order of
# statements, the same chain taken in afterwards, savers in parallel, savers
# that nothing may stop, and the past of many workflows.
#
# NBM_TEXERA_WORKFLOWS says how many workflows of 50 saves the last one has.
use strict;
use warnings;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(time);

my $data = $ENV{NBM_DATA} // '';
my $many = $ENV{NBM_TEXERA_WORKFLOWS} // 100;
my $schema = slurp_file('test/texera_schema.sql');
my $path = 'SET search_path = texera_db, notebook_migrate, public;';

my $node = PostgreSQL::Test::Cluster->new('texera');
$node->init(extra => [ '--no-locale', '--encoding=UTF8' ]);
$node->append_conf('postgresql.conf', "shared_buffers = 16MB\nmax_prepared_transactions = 5\n");
$node->start;
$ENV{PGCLIENTENCODING} = 'UTF8';

# Makes a database with Texera in it.
sub database
{
	my ($name, $sql) = @_;
	$node->safe_psql('postgres', "CREATE DATABASE $name");
	$node->safe_psql($name, "CREATE EXTENSION notebook_migrate;\n$schema\n$path\n" . ($sql // ''));
}

sub is_sql
{
	my ($db, $query, $expected, $name) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	is($node->safe_psql($db, "$path\n$query"), $expected, $name);
}

# A connection that is kept, and what it answers to a statement.
sub connection
{
	my ($db) = @_;
	my %c = (in => '', out => '', timer => IPC::Run::timeout(180));
	$c{handle} = IPC::Run::start([ 'psql', '-XAtq', '-v', 'ON_ERROR_STOP=1', '-d', $node->connstr($db) ],
		'<', \$c{in}, '>', \$c{out}, $c{timer});
	return \%c;
}

sub ask
{
	my ($c, $sql) = @_;
	$c->{out} = '';
	$c->{in} .= "$sql;\n\\echo == done ==\n";
	$c->{handle}->pump until $c->{out} =~ /^== done ==$/m;
	return $c->{out} =~ s/\n?== done ==\n//r;
}

sub hang_up
{
	my ($c) = @_;
	$c->{in} .= "\\q\n";
	$c->{handle}->finish;
}

# What must hold of the real chain, however it got into the store.
sub check_chain
{
	my ($db, $name) = @_;
	is_sql($db, q{SELECT n FROM state WHERE workflow_at(190001, n) IS DISTINCT FROM c}, '', "$name: every state");
	is_sql($db, q{SELECT string_agg(version || ':' || vid - 190000 || exact::text, ' ' ORDER BY version) FROM texera_version},
		'1:1true 2:2true 3:3true 4:4true 5:5true 6:6true', "$name: every label");
	is_sql($db, q{SELECT array_agg(operator_key ORDER BY position) = (SELECT array_agg(operator_key ORDER BY position) FROM workflow_operators(190001, 1))
		FROM workflow_operators(190001, 3)}, 't', "$name: moving and editing keep the keys");
	# the mapping as it was stated, without the operators that a state has not
	is_sql($db, q{SELECT n FROM state, LATERAL (SELECT coalesce(jsonb_object_agg(o.key, o.value), '{}') AS o
		FROM stored, jsonb_each(mapping -> 'operator_to_cell') AS o WHERE c -> 'operators' @> jsonb_build_array(jsonb_build_object('operatorID', o.key))) AS e
		WHERE texera_mapping(190001, 190000 + n) -> 'operator_to_cell' IS DISTINCT FROM e.o}, '', "$name: the mapping for every vid");
	is_sql($db, 'SELECT texera_mapping(190001) = texera_mapping(190001, 190006)', 't', "$name: and for the head");
	is_sql($db, 'SELECT * FROM texera_problem', '', "$name: no problem");
	is_sql($db, 'SELECT * FROM store_verify(NULL, NULL)', '', "$name: sound");
}

SKIP:
{
	skip 'skipped: NBM_DATA does not name a folder with the real chain', 22
	  unless -f "$data/texera/version-chain_workflow_version_rows.json";
	my %text = map { $_ => slurp_file("$data/texera/$_") }
	  qw(version-chain_states_after_each_save.json version-chain_workflow_version_rows.json prompt-example_notebook.ipynb prompt-example_stored_mapping.json);
	my $fixture = <<"SQL";
CREATE TABLE public.state AS SELECT n::int, c, c::text AS content FROM jsonb_array_elements(\$nbm_file\$$text{'version-chain_states_after_each_save.json'}\$nbm_file\$) WITH ORDINALITY AS e (c, n);
CREATE TABLE public.patch AS SELECT (p ->> 'row')::int AS n, p ->> 'content' AS content FROM jsonb_array_elements(\$nbm_file\$$text{'version-chain_workflow_version_rows.json'}\$nbm_file\$) AS p;
CREATE TABLE public.stored AS SELECT \$nbm_file\$$text{'prompt-example_notebook.ipynb'}\$nbm_file\$::jsonb AS notebook, \$nbm_file\$$text{'prompt-example_stored_mapping.json'}\$nbm_file\$::jsonb AS mapping;
SQL

	# Each statement is a transaction of its own, on one of two connections in turn.
	database('live', "$fixture\nSELECT texera_attach(maintain_mapping => true);");
	my @connections = map { connection('live') } 1 .. 2;
	ask($_, $path) foreach @connections;
	my $statement = sub { push @connections, shift @connections; ask($connections[0], $_[0]) };
	$statement->("INSERT INTO workflow (name, content) SELECT 'chain', content FROM state WHERE n = 1");
	$statement->("INSERT INTO workflow_version (wid, content) SELECT 190001, content FROM patch WHERE n = 1");
	$statement->("INSERT INTO notebook (wid, notebook) SELECT 190001, notebook FROM stored");
	$statement->("INSERT INTO workflow_notebook_mapping SELECT 190001, 190001, 190001, mapping FROM stored");
	foreach my $n (2 .. 6)
	{
		$statement->("INSERT INTO workflow_version (wid, content) SELECT 190001, content FROM patch WHERE n = $n");
		$statement->("UPDATE workflow SET content = s.content, last_modified_time = now() FROM state s WHERE s.n = $n AND wid = 190001");
		$statement->("UPDATE workflow SET name = 'chain $n', content = content || '' WHERE wid = 190001");
	}
	check_chain('live', 'saved');
	is_sql('live', q{SELECT name FROM notebook_migrate.workflow}, 'chain 6', 'saved: the name');
	is_sql('live', q{SELECT mapping = texera_mapping(190001) FROM workflow_notebook_mapping}, 't', 'saved: what the application reads');
	$statement->(q{UPDATE notebook SET notebook = jsonb_set(notebook, '{cells}', (notebook -> 'cells') - 3)});
	is_sql('live', q{SELECT mapping = texera_mapping(190001) AND mapping <> (SELECT mapping FROM stored) FROM workflow_notebook_mapping},
		't', 'edited: what the application reads');
	is_sql('live', q{SELECT count(*) FROM jsonb_object_keys((SELECT mapping -> 'cell_to_operator' FROM workflow_notebook_mapping)) AS k
		WHERE NOT (SELECT notebook -> 'cells' FROM notebook) @> jsonb_build_array(jsonb_build_object('metadata', jsonb_build_object('uuid', k)))},
		0, 'edited: no cell that is gone');
	is_sql('live', q{SELECT count(*) FROM mapping}, 1, 'edited: one mapping was stated');
	hang_up($_) foreach @connections;

	# A dump carries the attachment: saving goes on in the copy.
	my $dump = PostgreSQL::Test::Utils::tempdir . '/texera';
	$node->command_ok([ 'pg_dump', '-Fc', '-f', $dump, 'live' ], 'dumped');
	$node->safe_psql('postgres', 'CREATE DATABASE copy');
	$node->command_ok([ 'pg_restore', '--exit-on-error', '-d', 'copy', $dump ], 'restored');
	$node->safe_psql('copy', "$path INSERT INTO workflow_version (wid, content) VALUES (190001, '[]');");
	$node->safe_psql('copy', "$path UPDATE workflow SET content = (SELECT content FROM state WHERE n = 1);");
	is_sql('copy', q{SELECT version, vid, exact FROM texera_version ORDER BY version DESC LIMIT 1}, '7|190007|t', 'and goes on');
	is_sql('copy', 'SELECT * FROM store_verify(NULL, NULL)', '', 'sound');

	# The same, attached when all was saved: the past comes afterwards.
	database('late', <<"SQL");
$fixture
INSERT INTO workflow (name, content) SELECT 'chain', content FROM state WHERE n = 6;
INSERT INTO workflow_version (wid, content) SELECT 190001, content FROM patch ORDER BY n;
INSERT INTO notebook (wid, notebook) SELECT 190001, notebook FROM stored;
INSERT INTO workflow_notebook_mapping SELECT 190001, 190001, 190001, mapping FROM stored;
SELECT texera_attach();
SQL
	is_sql('late', 'SELECT version FROM notebook_migrate.workflow', 1, 'attached late: one version');
	$node->safe_psql('late', 'CALL notebook_migrate.texera_backfill()');
	check_chain('late', 'taken in');
}

# Savers in parallel.  No two contents are equal, so each save is a version.
database('parallel', <<'SQL');
CREATE SEQUENCE public.save;
CREATE FUNCTION public.content(operators int) RETURNS text LANGUAGE sql VOLATILE AS $$
  SELECT jsonb_build_object('links', '[]'::jsonb, 'operators', (SELECT jsonb_agg(jsonb_build_object('operatorID', 'F-operator-' || i, 'operatorType', 'F',
    'operatorProperties', jsonb_build_object('code', format('code %s of save %s', i, CASE WHEN i = 1 THEN nextval('public.save') END)))) FROM generate_series(1, operators) AS i))::text $$;
INSERT INTO workflow (name, content) SELECT 'w', public.content(20) FROM generate_series(1, 50);
INSERT INTO workflow_version (wid, content) SELECT wid, '[{"op":"remove","path":"/operators"},{"op":"remove","path":"/links"}]' FROM workflow;
SELECT texera_attach();
SQL
my $save = q{INSERT INTO texera_db.workflow_version (wid, content) VALUES (:wid, '[]');
UPDATE texera_db.workflow SET content = content(20) WHERE wid = :wid;};
foreach my $case ([ 'one workflow', '\set wid 190001' ], [ 'many workflows', '\set wid random(190001, 190050)' ])
{
	my ($name, $which) = @$case;
	my $before = $node->safe_psql('parallel', 'SELECT count(*) FROM notebook_migrate.workflow_version');
	$node->pgbench('-n -c 8 -j 2 -t 40', 0, [qr/actually processed: 320\/320/], [qr/^$/],
		"$name: eight savers", { $name =~ tr/ /_/r => "$which\n$save" }, 'parallel');
	is_sql('parallel', "SELECT count(*) - $before FROM notebook_migrate.workflow_version", 320, "$name: every save is a version");
	is_sql('parallel', 'SELECT * FROM texera_problem', '', "$name: no problem");
	is_sql('parallel', q{SELECT w.wid FROM workflow AS w WHERE workflow_at(w.wid) IS DISTINCT FROM w.content::jsonb}, '', "$name: the heads are the application's");
	is_sql('parallel', q{SELECT workflow_id, version FROM texera_version WHERE NOT exact}, '', "$name: every version is a save's");
	is_sql('parallel', q{SELECT count(*) FROM (SELECT vid < lag(vid) OVER (PARTITION BY workflow_id ORDER BY version) AS back FROM texera_version) AS l WHERE back}, 0, "$name: labels in order");
}
is_sql('parallel', 'SELECT * FROM store_verify(NULL, NULL)', '', 'in parallel: sound');

# Nothing stops a save: not somebody who holds the workflow, not a cancel.
{
	my ($holder, $saver) = map { connection('parallel') } 1 .. 2;
	# how long a statement takes, in ms, by the server's clock
	my $takes = sub {
		my ($sql) = @_;
		return ask($saver, "SELECT clock_timestamp() AS began \\gset\n$sql;\nSELECT round(1000 * extract(epoch FROM clock_timestamp() - :'began'))");
	};
	ask($saver, $path);
	ask($holder, "BEGIN; SELECT FROM notebook_migrate.workflow_head WHERE workflow_id = 190001 FOR UPDATE");
	my $least = 1e9;
	foreach my $n (2 .. 4)
	{
		my $ms = $takes->("INSERT INTO workflow_version (wid, content) VALUES (190001, '[]'); UPDATE workflow SET content = content($n) WHERE wid = 190001");
		$least = $ms if $ms < $least;
	}
	cmp_ok($least, '<', 50, "a save does not wait ($least ms)");
	ask($holder, 'ROLLBACK; BEGIN; LOCK TABLE notebook_migrate.workflow_part');
	ask($saver, "SET statement_timeout = 30; UPDATE texera_db.workflow SET content = content(5) WHERE wid = 190001; RESET statement_timeout");
	ask($holder, 'ROLLBACK');
	is_sql('parallel', q{SELECT jsonb_array_length(content::jsonb -> 'operators') FROM workflow WHERE wid = 190001}, 5, 'the saves went through');
	is_sql('parallel', q{SELECT key, sqlstate FROM texera_problem ORDER BY "at"}, join("\n", ('wid 190001|55P03') x 3, 'wid 190001|57014'), 'and are noted');
	my ($code, $out, $err) = $node->psql('parallel', "SELECT notebook_migrate.texera_mapping(190001, max(vid)) FROM texera_db.workflow_version WHERE wid = 190001");
	like($err, qr/workflow 190001 has no mapping/, 'without a mapping that is what is said');
	is_sql('parallel', q{SELECT count(DISTINCT workflow_id), count(upto_vid) FROM texera_gap}, '1|0', 'what is there now is not in the store');
	ask($saver, 'DELETE FROM texera_problem; CALL texera_backfill()');
	is_sql('parallel', q{SELECT jsonb_array_length(content -> 'operators') FROM notebook_migrate.workflow WHERE workflow_id = 190001}, 5, 'the backfill takes it in');
	is_sql('parallel', q{SELECT count(*) FROM texera_gap WHERE upto_vid IS NULL}, 0, 'and knows it');
	is_sql('parallel', q{UPDATE workflow SET content = content(5) WHERE wid = 190001; SELECT jsonb_array_length(content -> 'operators') FROM notebook_migrate.workflow WHERE workflow_id = 190001},
		5, 'the next one is a version again');

	# Nor does a delete wait; attaching again finds it.
	ask($holder, "BEGIN; SELECT FROM notebook_migrate.workflow_head WHERE workflow_id = 190002 FOR KEY SHARE");
	cmp_ok($takes->('DELETE FROM workflow WHERE wid = 190002'), '<', 50, 'a delete does not wait');
	ask($holder, 'ROLLBACK');
	is_sql('parallel', q{SELECT count(*) FROM workflow_head WHERE workflow_id = 190002}, 1, 'the document is left');
	is_sql('parallel', q{SELECT key, sqlstate FROM texera_problem}, 'wid 190002|55P03', 'which is noted');
	ask($saver, 'SELECT texera_attach()');
	is_sql('parallel', q{SELECT count(*) FROM workflow_head WHERE workflow_id = 190002}, 0, 'and gone when it is attached again');

	# A mapping row that somebody holds is not waited for either.
	ask($saver, q{INSERT INTO notebook (wid, notebook) VALUES (190003, '{"cells": [{"cell_type": "code", "source": "a", "metadata": {"uuid": "c"}}]}')});
	ask($saver, q{INSERT INTO workflow_notebook_mapping SELECT wid, (SELECT max(vid) FROM workflow_version WHERE wid = 190003), nid, '{"operator_to_cell": {"F-operator-2": ["c"]}}' FROM notebook});
	ask($saver, 'SELECT texera_attach(maintain_mapping => true); DELETE FROM texera_problem');
	ask($holder, 'BEGIN; SELECT FROM texera_db.workflow_notebook_mapping FOR UPDATE');
	cmp_ok($takes->('UPDATE workflow SET content = content(1) WHERE wid = 190003'), '<', 50, 'nor does a save for its mapping row');
	ask($holder, 'ROLLBACK');
	is_sql('parallel', q{SELECT key, sqlstate FROM texera_problem}, 'wid 190003|55P03', 'which is noted');
	is_sql('parallel', q{SELECT jsonb_array_length(content -> 'operators') FROM notebook_migrate.workflow WHERE workflow_id = 190003}, 1, 'and the version is there');
	ask($saver, 'UPDATE workflow SET content = content(1) WHERE wid = 190003');
	is_sql('parallel', q{SELECT mapping FROM workflow_notebook_mapping}, '{"cell_to_operator": {}, "operator_to_cell": {}}', 'the next save brings the mapping up to date');

	# Nor for the table that says what is attached.
	ask($holder, 'BEGIN; LOCK TABLE notebook_migrate.attachment');
	cmp_ok($takes->("SET statement_timeout = 5000; UPDATE workflow SET description = 'x' WHERE wid = 190003; RESET statement_timeout"), '<', 2000, 'a lock on what is attached is not waited for either');
	ask($holder, 'ROLLBACK');

	# A save may be prepared, and committed by another session.
	ask($saver, "DELETE FROM texera_problem; BEGIN; INSERT INTO workflow_version (wid, content) VALUES (190003, '[]'); UPDATE workflow SET content = content(2) WHERE wid = 190003; PREPARE TRANSACTION 'a save'");
	is_sql('parallel', q{SELECT jsonb_array_length(content -> 'operators') FROM notebook_migrate.workflow WHERE workflow_id = 190003}, 1, 'prepared: not there yet');
	ask($holder, "COMMIT PREPARED 'a save'");
	is_sql('parallel', q{SELECT jsonb_array_length(content -> 'operators') FROM notebook_migrate.workflow WHERE workflow_id = 190003}, 2, 'committed: there');
	is_sql('parallel', q{SELECT exact FROM texera_version WHERE workflow_id = 190003 ORDER BY version DESC LIMIT 1}, 't', 'with its label');
	ask($saver, "BEGIN; UPDATE workflow SET content = 'x' WHERE wid = 190003; PREPARE TRANSACTION 'a bad one'");
	ask($holder, "ROLLBACK PREPARED 'a bad one'");
	is_sql('parallel', q{SELECT (SELECT count(*) FROM texera_problem) + (SELECT count(*) FROM texera_gap WHERE workflow_id = 190003)}, 0, 'rolled back: nothing happened');

	# One whose snapshot is old is no less: what it cannot see is a problem, and the commit goes through.
	ask($saver, 'BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT count(*) FROM workflow');
	ask($holder, q{UPDATE notebook_migrate.workflow SET name = 'renamed here' WHERE workflow_id = 190003});
	ask($saver, "INSERT INTO workflow_version (wid, content) VALUES (190003, '[]'); UPDATE workflow SET content = content(3) WHERE wid = 190003; COMMIT");
	is_sql('parallel', q{SELECT key, sqlstate FROM texera_problem}, 'wid 190003|40001', 'a snapshot that is too old is a problem, the save is not');
	is_sql('parallel', q{SELECT jsonb_array_length(content::jsonb -> 'operators') FROM workflow WHERE wid = 190003}, 3, 'it went through');
	hang_up($_) foreach $holder, $saver;
}
# Nor a store that is broken altogether.
$node->safe_psql('parallel', 'ALTER TABLE notebook_migrate.workflow_version RENAME TO elsewhere');
$node->safe_psql('parallel', "$path DELETE FROM texera_problem; UPDATE workflow SET content = content(6) WHERE wid = 190001");
is_sql('parallel', 'SELECT sqlstate FROM texera_problem', '42P01', 'a broken store stops no save');
$node->safe_psql('parallel', 'ALTER TABLE notebook_migrate.elsewhere RENAME TO workflow_version; ALTER TABLE notebook_migrate.texera_problem RENAME TO elsewhere');
my ($code, $out, $err) = $node->psql('parallel', "UPDATE texera_db.workflow SET content = 'x' WHERE wid = 190001");
is($code, 0, 'not even with nowhere to note it');
like($err, qr/WARNING:  texera_db.workflow, wid 190001: invalid input syntax for type json/, 'but it is said');

# The past of many workflows: 50 saves each, with links and positions moving.
database('past', <<"SQL");
CREATE FUNCTION public.content(wid int, save int) RETURNS jsonb LANGUAGE sql IMMUTABLE AS \$\$
  SELECT jsonb_build_object('links', '[]'::jsonb, 'operatorPositions', jsonb_build_object('F-operator-1', jsonb_build_object('x', save)), 'operators',
    (SELECT jsonb_agg(jsonb_build_object('operatorID', 'F-operator-' || i, 'operatorType', 'F', 'operatorProperties',
       jsonb_build_object('code', format(E'def f():\\n    return %s, %s, %s', wid, i, CASE WHEN i <= 1 + save % 3 THEN save ELSE 0 END)))) FROM generate_series(1, 10) AS i)) \$\$;
CREATE FUNCTION public.patch(wid int, save int) RETURNS text LANGUAGE sql STABLE AS \$\$
  SELECT CASE WHEN save = 1 THEN '[{"op": "remove", "path": "/operators"}, {"op": "remove", "path": "/links"}, {"op": "remove", "path": "/operatorPositions"}]'
    ELSE (notebook_migrate.json_patch_diff(public.content(wid, save), public.content(wid, save - 1)))::text END \$\$;
INSERT INTO workflow (wid, name, content) SELECT i, 'w', public.content(i, 50) FROM generate_series(1, $many) AS i;
INSERT INTO workflow_version (wid, content) SELECT i, public.patch(i, n) FROM generate_series(1, 50) AS n, generate_series(1, $many) AS i;
ANALYZE;
SELECT texera_attach();
SQL
# It is stopped, and goes on where it was.
($code, $out, $err) = $node->psql('past', "SET statement_timeout = 300; CALL notebook_migrate.texera_backfill();");
my $stopped = $node->safe_psql('past', 'SELECT count(*) FROM notebook_migrate.texera_backfill_progress');
SKIP:
{
	skip 'it was done before it could be stopped', 1 if $code == 0;
	is_sql('past', 'SELECT count(*) > 0 FROM workflow_head WHERE version NOT IN (1, 50)', 'f', "stopped after $stopped workflows: none is half done");
}
my $memory = q{SELECT sum(total_bytes) FROM pg_backend_memory_contexts};
my $half = int($many / 2);
($code, $out, $err) = $node->psql('past', <<"SQL");
SET work_mem = '64kB'; -- states go through a file
CALL notebook_migrate.texera_backfill($many);
RESET work_mem;
CALL notebook_migrate.texera_backfill($half);
$memory;
CALL notebook_migrate.texera_backfill();
$memory;
SQL
is($code, 0, 'the past is taken in');
my ($rate) = $err =~ /NOTICE:  texera_backfill: (\d+ of \d+ workflows.*rows\/s)\s*\z/;
diag("texera_backfill: $rate");
my ($first, $last) = split /\n/, $out;
cmp_ok($last, '<', $first + 2_000_000, 'memory does not grow with the number of workflows');
$out = $node->safe_psql('past', 'CALL notebook_migrate.texera_backfill();' . "$memory;" . 'CALL notebook_migrate.texera_backfill();' x 5 . "$memory;");
($first, $last) = split /\n/, $out;
cmp_ok($last, '<', $first + 30_000, 'nor with the number of calls');
is_sql('past', "SELECT count(*), count(*) FILTER (WHERE version = 50) FROM workflow_head", "$many|$many", 'all have their 50 versions');
is_sql('past', "SELECT workflow_id, version FROM notebook_migrate.workflow_version WHERE workflow_id IN (1, $half, $many) AND workflow_at(workflow_id, version) IS DISTINCT FROM content(workflow_id::int, version)", '', 'every state is as it was');
is_sql('past', 'SELECT count(*) FROM texera_version AS l JOIN workflow_version AS v USING (vid) WHERE v.wid <> l.workflow_id OR NOT exact', 0, 'every label, too');
is_sql('past', "SELECT count(*) FROM texera_version", 50 * $many, 'all of them');
is_sql('past', 'SELECT * FROM texera_problem', '', 'no problem');
is_sql('past', "SELECT count(*) FROM generate_series(1, 50) AS v, workflow_operators($many, v) WHERE operator_key <> position + 1", 0, 'keys all along');
is_sql('past', 'SELECT * FROM store_verify(\'workflow\', 1)', '', 'sound');

# Who attaches waits for saves that are under way, and takes them in, whatever his snapshot is.
database('busy', q{INSERT INTO workflow (name, content) SELECT 'w' || i, '{"operators": []}' FROM generate_series(1, 3) AS i});
foreach my $begin ('', 'BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT 1;')
{
	my ($saver, $attacher) = map { connection('busy') } 1 .. 2;
	foreach my $n (1, 2)
	{
		ask($attacher, $begin);
		ask($saver, qq{BEGIN; UPDATE texera_db.workflow SET content = '{"operators": [], "n": "$begin$n"}' WHERE wid = 190001;
			INSERT INTO texera_db.workflow (name, content) VALUES ('new', '{"operators": []}'); DELETE FROM texera_db.workflow WHERE wid = 190001 + $n});
		$attacher->{in} .= "SELECT notebook_migrate.texera_attach();\n";
		$attacher->{handle}->pump_nb;
		$node->poll_query_until('busy', q{SELECT count(*) > 0 FROM pg_stat_activity WHERE query ~ 'texera_attach' AND wait_event_type = 'Lock'});
		ask($saver, 'COMMIT');
		ask($attacher, $begin ? 'COMMIT' : '');
		is_sql('busy', 'SELECT wid, workflow_id FROM workflow FULL JOIN workflow_head ON workflow_id = wid WHERE wid IS NULL OR workflow_id IS NULL OR workflow_at(wid) <> content::jsonb', '', "a save under way is not missed: $begin$n");
	}
	is_sql('busy', 'SELECT * FROM texera_problem', '', 'no problem') if !$begin;
	$node->safe_psql('busy', "$path SELECT texera_detach(true); DELETE FROM workflow; ALTER SEQUENCE workflow_wid_seq RESTART 190001; INSERT INTO workflow (name, content) SELECT 'w' || i, '{\"operators\": []}' FROM generate_series(1, 3) AS i");
	hang_up($_) foreach $saver, $attacher;
}

# Rows that are deleted while the past is taken in: what follows them is kept, and the other workflows are done.
database('pruned', <<'SQL');
INSERT INTO workflow (name, content) SELECT 'w' || i, '{"operators": [], "links": []}' FROM generate_series(1, 3) AS i;
INSERT INTO workflow_version (wid, content) SELECT wid, p FROM workflow, (VALUES (1, '[{"op": "remove", "path": "/operators"}, {"op": "remove", "path": "/links"}, {"op": "remove", "path": "/x"}]'),
  (2, '[{"op": "replace", "path": "/x", "value": 1}]'), (3, '[{"op": "add", "path": "/x", "value": 2}]')) AS u (n, p) ORDER BY wid, n;
SELECT texera_attach();
SQL
{
	my ($holder, $taker) = map { connection('pruned') } 1 .. 2;
	ask($holder, "BEGIN; SELECT FROM notebook_migrate.workflow_head WHERE workflow_id = 190001 FOR UPDATE");
	$taker->{in} .= "CALL notebook_migrate.texera_backfill();\n";
	$taker->{handle}->pump_nb;
	$node->poll_query_until('pruned', q{SELECT count(*) > 0 FROM pg_stat_activity WHERE query ~ '^CALL' AND wait_event_type = 'Lock'});
	$node->safe_psql('pruned', 'DELETE FROM texera_db.workflow_version WHERE wid = 190002 AND vid < 190006');
	# the batch is over once it has waited: it reads the next workflow anew
	ask($holder, 'SELECT pg_sleep(0.1); COMMIT');
	ask($taker, 'SELECT');
	hang_up($_) foreach $holder, $taker;
	is_sql('pruned', 'SELECT workflow_id, version FROM workflow_head ORDER BY 1', "190001|3\n190002|2\n190003|3", 'rows that are deleted meanwhile end the sound part of their chain alone');
	is_sql('pruned', 'SELECT key, sqlstate FROM texera_problem', 'wid 190002 vid 190005|02000', 'which is noted');
}

# Mappings are brought up to date one after another, each in memory of its own.
database('mapped', <<'SQL');
INSERT INTO workflow (wid, name, content) SELECT i, 'w', (SELECT jsonb_build_object('operators', jsonb_agg(jsonb_build_object('operatorID', 'operator ' || k))) FROM generate_series(1, 200) AS k) FROM generate_series(1, 200) AS i;
INSERT INTO workflow_version (vid, wid, content) SELECT wid, wid, '[]' FROM workflow;
INSERT INTO notebook SELECT wid, wid, (SELECT jsonb_build_object('cells', jsonb_agg(jsonb_build_object('cell_type', 'code', 'source', 'cell ' || k, 'metadata', jsonb_build_object('uuid', 'c' || k)))) FROM generate_series(1, 200) AS k) FROM workflow;
INSERT INTO workflow_notebook_mapping SELECT wid, wid, wid, (SELECT jsonb_build_object('operator_to_cell', jsonb_object_agg('operator ' || k, jsonb_build_array('c' || k))) FROM generate_series(1, 200) AS k) FROM workflow;
SELECT texera_attach();
SQL
my $peak = q{SELECT (regexp_match(pg_read_file('/proc/self/status'), 'VmHWM:\s+(\d+)'))[1]};
SKIP:
{
	skip 'no /proc', 1 unless -e '/proc/self/status';
	$out = $node->safe_psql('mapped', "SELECT notebook_migrate.texera_attach(); $peak; SELECT notebook_migrate.texera_attach(maintain_mapping => true); $peak");
	my ($attached, $maintained) = $out =~ /(\d+)/g;
	cmp_ok($maintained, '<', $attached + 30_000, 'memory does not grow with the number of mappings');
	is_sql('mapped', q{SELECT DISTINCT mapping ? 'cell_to_operator' FROM workflow_notebook_mapping}, 't', 'all are brought up to date');
}

$node->stop;
done_testing();
