# BenchServer: the server's side of the bench: the store, plain tables beside it,
# documents to commit, and procedures that time a statement.

package BenchServer;

use v5.36;
use utf8;
use DBI;
use DBD::Pg;
use Exporter qw(import);
use BenchFigures;
use NotebookMaker;

our @EXPORT = qw($dbh $quick $notebook $REPETITIONS $SLICE $SLICES $EDITS open_bench close_bench
  fresh_store has_function timed_procedure call checkpoint insert_document new_notebook reset_plain
  new_workflow keep_document make_document stored_document same_content store_size copy_growth
  jsonb_accepts);

our ($dbh, $quick, $REPETITIONS);
our ($SLICE, $SLICES, $EDITS);    # edits a slice, slices a repetition, edits in all
our $notebook;                    # NotebookMaker of the 200 cells and 2 MB

# Connects and makes what all measures use.
sub open_bench ($is_quick)
{
	$quick       = $is_quick;
	$REPETITIONS = $quick ? 2 : 5;
	$SLICE       = $quick ? 5 : 25;
	$SLICES      = $quick ? 2 : 8;                           # 5 x 8 x 25 = 1,000 edits
	$EDITS       = $REPETITIONS * $SLICES * $SLICE;
	$notebook    = NotebookMaker->new(seed => 4175);
	$dbh         = connect_server();
	refuse_foreign_store();
	warm_up_server() if !$quick;
	make_baselines();
	fresh_store();
	print_header();
}

sub close_bench
{
	$dbh->do($_) for 'DROP EXTENSION notebook_migrate CASCADE', 'DROP SCHEMA nbm_bench CASCADE';
}

# A connection that passes bytes through and prepares in the server.
sub connect_server
{
	my $handle = DBI->connect(
		'dbi:Pg:',
		undef, undef,
		{   RaiseError         => 1,
			PrintError         => 0,
			AutoCommit         => 1,
			pg_enable_utf8     => 0,
			pg_server_prepare  => 1,
			pg_switch_prepared => 1 });

	$handle->do($_)
	  for 'SET client_min_messages = warning', q{SET client_encoding = 'UTF8'},
	  'SET default_toast_compression = lz4';
	return $handle;
}

# A store that somebody uses is not the bench's to drop.
sub refuse_foreign_store
{
	my ($foreign) = $dbh->selectrow_array(q{
		SELECT to_regnamespace('notebook_migrate') IS NOT NULL
			AND to_regnamespace('nbm_bench') IS NULL});

	die "this database has notebook_migrate already: give the bench one of its own\n" if $foreign;
}

# Makes the server one that has been up for some time: all shared buffers were in
# use, so that the system has given their memory, and there are WAL files to be
# used again.  Before that, whoever writes first pays for it.
sub warm_up_server
{
	$dbh->do('CREATE SCHEMA IF NOT EXISTS nbm_bench');
	$dbh->do('CREATE TABLE nbm_bench.warm (filler text)');
	$dbh->do('ALTER TABLE nbm_bench.warm ALTER filler SET STORAGE PLAIN');
	$dbh->do(q{INSERT INTO nbm_bench.warm SELECT repeat('x', 8000)
		FROM generate_series(1, 1.1 * pg_size_bytes(current_setting('shared_buffers')) / 8192)});
	$dbh->do('DROP TABLE nbm_bench.warm');
	checkpoint();
}

# An empty store.
sub fresh_store
{
	$dbh->do('DROP EXTENSION IF EXISTS notebook_migrate CASCADE');
	$dbh->do('CREATE EXTENSION notebook_migrate');
}

# Plain tables with the first document, and the list of edits.
sub make_baselines
{
	my $off = 'WITH (autovacuum_enabled = off, toast.autovacuum_enabled = off)';

	$dbh->do('DROP SCHEMA IF EXISTS nbm_bench CASCADE');
	$dbh->do('CREATE SCHEMA nbm_bench');
	for my $table (qw(original plain pglz growing triggered saved))
	{
		my $method = $table eq 'pglz' ? 'pglz' : 'lz4';
		$dbh->do("CREATE TABLE nbm_bench.$table (
			notebook_id bigint PRIMARY KEY, content jsonb COMPRESSION $method) $off");
		$dbh->do("INSERT INTO nbm_bench.$table VALUES (1, ?)", undef, $notebook->text);
	}
	$dbh->do("CREATE TABLE nbm_bench.$_ (
		notebook_id bigint, version bigint GENERATED ALWAYS AS IDENTITY,
		content jsonb COMPRESSION lz4, PRIMARY KEY (notebook_id, version)) $off")
	  for qw(copy triggered_history);
	$dbh->do(q{
		CREATE FUNCTION nbm_bench.keep_copy() RETURNS trigger LANGUAGE plpgsql AS $$
		BEGIN
			INSERT INTO nbm_bench.triggered_history (notebook_id, content)
			VALUES (OLD.notebook_id, OLD.content);
			RETURN NEW;
		END $$});
	$dbh->do('CREATE TRIGGER keep_copy AFTER UPDATE ON nbm_bench.triggered
		FOR EACH ROW EXECUTE FUNCTION nbm_bench.keep_copy()');

	$dbh->do("CREATE TABLE nbm_bench.document (
		name text PRIMARY KEY, content jsonb COMPRESSION lz4) $off");
	make_document('empty',        cells => 0, source => q{''});
	make_document('almost empty', cells => 1, source => q{'1'});

	$dbh->do('CREATE TABLE nbm_bench.edit (
		i int PRIMARY KEY, cell int, line int, cell_id text, value text)');
	my $insert = $dbh->prepare('INSERT INTO nbm_bench.edit VALUES ($1, $2, $3, $4, $5)');
	$insert->execute($_, $notebook->planned_edit($_)) for -$SLICE .. $EDITS;
	$dbh->do('ANALYZE nbm_bench.edit');
}

# Is there such a function of the extension?  Lines of one that is still to come
# are skipped.
sub has_function ($signature)
{
	return scalar $dbh->selectrow_array('SELECT to_regprocedure($1) IS NOT NULL',
		undef, "notebook_migrate.$signature");
}

# Keeps a document, given as JSON text, for later use by its name.
sub keep_document ($name, $text)
{
	$dbh->do(
		'INSERT INTO nbm_bench.document VALUES ($1, $2)
		ON CONFLICT ON CONSTRAINT document_pkey DO UPDATE SET content = EXCLUDED.content',
		undef, $name, $text);
	return $name;
}

# The same for a notebook of code cells made by the server.  Source, outputs and
# execution count are SQL expressions over i, the cell's number from 1, and n, the
# number of cells; `from` is more to select from.  Ids are new unless `ids` names
# those of another document.
sub make_document ($name, %cell)
{
	my $outputs = $cell{outputs} // q{'[]'::jsonb};
	my $count   = $cell{count} // 'i';
	my $from    = $cell{from} ? ", $cell{from}" : '';
	my ($text)  = $dbh->selectrow_array(
		qq{
		SELECT jsonb_build_object('nbformat', 4, 'nbformat_minor', 5, 'metadata', '{}'::jsonb,
			'cells', COALESCE(jsonb_agg(jsonb_build_object('cell_type', 'code',
				'id', substr(md5(\$1 || i), 1, 12), 'metadata', '{}'::jsonb,
				'execution_count', $count, 'outputs', $outputs, 'source', $cell{source}) ORDER BY i), '[]'))
		FROM generate_series(1, \$2::int) i, (VALUES (\$2::int)) number (n) $from},
		undef, $cell{ids} // $name, $cell{cells});

	return keep_document($name, $text);
}

# Stores a kept document as a new notebook or workflow; returns its id.
sub stored_document ($name, $kind = 'notebook')
{
	return scalar $dbh->selectrow_array(
		"INSERT INTO notebook_migrate.$kind (name, content)
		SELECT name, content FROM nbm_bench.document WHERE name = \$1 RETURNING ${kind}_id",
		undef, $name);
}

# Makes the procedure nbm_bench.NAME(first, n): for each i it runs `prepare`, then
# `statement` under the clock, then COMMIT; `setup` runs once before them.
sub timed_procedure ($name, %part)
{
	my ($setup, $prepare) = map { $part{$_} // '' } qw(setup prepare);

	return $dbh->do(qq{
		CREATE OR REPLACE PROCEDURE nbm_bench.$name(
			first int, n int, INOUT ms float8[], INOUT wal float8[])
		LANGUAGE plpgsql AS \$body\$
		DECLARE
			doc jsonb; doc_b jsonb; doc_c jsonb; doc_text text; doc_bytes bytea; edits jsonb;
			e nbm_bench.edit; lsn pg_lsn; began timestamptz; ended timestamptz;
		BEGIN
			$setup
			<<step>> FOR i IN first .. first + n - 1 LOOP
				$prepare
				lsn := pg_current_wal_insert_lsn();
				began := clock_timestamp();
				$part{statement}
				ended := clock_timestamp();
				COMMIT;
				ms := ms || (1000 * extract(epoch FROM ended - began))::float8;
				wal := wal || (pg_current_wal_insert_lsn() - lsn)::float8;
			END LOOP;
		END \$body\$});
}

# Calls nbm_bench.NAME; returns [ms, bytes of WAL] of each step.
sub call ($name, $first, $n)
{
	my ($ms, $wal) = $dbh->selectrow_array("CALL nbm_bench.$name($first, $n, NULL, NULL)");

	return map { [ $ms->[$_], $wal->[$_] ] } 0 .. $#$ms;
}

sub checkpoint { $dbh->do('CHECKPOINT') }

# Inserts through a view; returns the new document's id.
sub insert_document ($kind, $name, $text)
{
	return scalar $dbh->selectrow_array(
		"INSERT INTO notebook_migrate.$kind (name, content) VALUES (\$1, \$2) RETURNING ${kind}_id",
		undef, $name, $text);
}

# A new document; the plain table goes back to the same content.
sub new_notebook ($name, $maker = undef)
{
	my $id = insert_document('notebook', $name, ($maker // $notebook->reset)->text);

	reset_plain('plain', 'nbm_bench.plain');
	return $id;
}

# Puts a plain table back to the first document.
sub reset_plain ($table, @vacuum)
{
	$dbh->do("UPDATE nbm_bench.$table SET content = (SELECT content FROM nbm_bench.original)");
	$dbh->do('VACUUM ' . join ', ', @vacuum) if @vacuum;
}

# A workflow of 50 operators with $changes later versions: a property changed
# or a box moved, by turns.
sub new_workflow ($changes)
{
	my $id = insert_document('workflow', 'mapping', $notebook->workflow(50));

	for my $i (1 .. $changes)
	{
		my $path = $i % 2 ? "{operators,$i,operatorProperties,limit}" : "{operatorPositions,op-$i,x}";
		$dbh->do('UPDATE notebook_migrate.workflow
			SET content = jsonb_set(content, $2::text[], to_jsonb($3::int)) WHERE workflow_id = $1',
			undef, $id, $path, $i);
	}
	return $id;
}

# Stops the bench if the store holds something else than the plain table.
sub same_content ($id, $table)
{
	my ($same) = $dbh->selectrow_array("
		SELECT ours.content::text = base.content::text
		FROM notebook_migrate.notebook ours, nbm_bench.$table base WHERE ours.notebook_id = $id");

	die "the store and nbm_bench.$table differ\n" if !$same;
}

# Bytes of all the store's tables, with TOAST, indexes and maps.
sub store_size
{
	checkpoint();
	return scalar $dbh->selectrow_array(q{
		SELECT sum(pg_total_relation_size(oid)) FROM pg_class
		WHERE relnamespace = 'notebook_migrate'::regnamespace AND relkind IN ('r', 'm')});
}

# Bytes a row that full copies of the document take, one value a repetition.
sub copy_growth
{
	my $rows = $quick ? 5 : 20;
	my $size =
	  sub { scalar $dbh->selectrow_array(q{SELECT pg_total_relation_size('nbm_bench.copy')}) };
	my @growth;

	for (1 .. $REPETITIONS)
	{
		my $before = $size->();
		$dbh->do("INSERT INTO nbm_bench.copy (notebook_id, content)
			SELECT 1, content FROM nbm_bench.original, generate_series(1, $rows)");
		push @growth, ($size->() - $before) / $rows;
	}
	return \@growth;
}

# True if jsonb takes the text: some real revisions are broken JSON.
sub jsonb_accepts ($text)
{
	my $cast = $dbh->prepare('SELECT jsonb_typeof($1::jsonb)');

	return 1 if eval { $cast->execute($text) };
	die $@   if $cast->state !~ /^22/;
	return 0;
}

sub print_header
{
	my ($version)  = $dbh->selectrow_array('SHOW server_version');
	my ($settings) = $dbh->selectrow_array(q{
		SELECT string_agg(name || ' = ' || current_setting(name), ', ' ORDER BY name)
		FROM pg_settings WHERE name IN ('shared_buffers', 'max_wal_size', 'fsync',
			'full_page_writes', 'synchronous_commit')});

	printf "notebook_migrate on PostgreSQL %s%s: %d repetitions, %s edits; median (min..max)\n",
	  $version, ($quick ? ', QUICK' : ''), $REPETITIONS, commas($EDITS);
	say $settings;
	print_row('measure', 'ours', 'baseline', 'ratio', 'goal', 'aim', '');
}

1;
