#!/usr/bin/perl
#
# bench.pl: what notebook_migrate costs, each figure beside a baseline that is
# measured in the same run, interleaved with it.
#
#   PGHOST=… PGUSER=… PGDATABASE=… [NBM_DATA=…] perl bench.pl [--quick] [--only=REGEX]
#
# The server must be a private one, with default_toast_compression = lz4: the
# bench makes the extension and a schema nbm_bench, drops both with all that is
# in them, and issues CHECKPOINTs.  It refuses a database that has the extension
# already, unless an interrupted bench left it there.  NBM_DATA is a folder with notebooks_corpus/history/NAME/NNNN.json; without it
# the lines of the real histories say `skipped`.  --quick cuts repetitions: it
# shows that the bench runs, its figures mean nothing.
#
# How it measures
# - A repetition yields one value an arm; a line shows the median of the
#   repetitions with the smallest and largest of them.  Arms take turns within
#   a repetition, in slices, and change their order from slice to slice.
# - Time of a statement: clock_timestamp() before and after it in a PL/pgSQL
#   procedure with cached plans, the jsonb in memory; the commit after each
#   statement is not in it.  A repetition's value is the median of its
#   statements; means and the worst statement are printed as information.
# - WAL: differences of pg_current_wal_insert_lsn() around statement and
#   commit, the mean over a repetition.  A CHECKPOINT opens each repetition, so
#   that every arm pays its full-page images once a repetition; what the first
#   edit after it costs is printed apart.
# - Fairness to the plain tables: a warm-up before the first repetition, no
#   autovacuum, but a VACUUM after every slice, outside time and WAL, so that
#   they work in free space that is in cache.  That is twice as fast as a table
#   that nobody vacuums and that has to grow with each edit, which is printed as
#   information.  The store is never vacuumed by the bench.
# - Disk: growth of pg_total_relation_size() of all tables in the schema
#   notebook_migrate: TOAST, indexes, free space maps and unfilled pages count.

use v5.36;
use utf8;
use DBI;
use DBD::Pg;
use File::Temp qw(tempdir);
use FindBin;
use Getopt::Long;
use List::Util  qw(max min sum0);
use Time::HiRes qw(time);
use lib $FindBin::Bin;
use NotebookMaker;

GetOptions('quick' => \my $quick, 'only=s' => \(my $only = '.'))
  or die "usage: bench.pl [--quick] [--only=REGEX]\n";

my $REPETITIONS = $quick ? 2 : 5;
my $SLICE       = $quick ? 5 : 25;
my $SLICES      = $quick ? 2 : 8;    # 5 x 8 x 25 = 1,000 edits
my $EDITS       = $REPETITIONS * $SLICES * $SLICE;

# The lines that owe something: label, unit, what the goal is of (`%` and `x`
# of the baseline, or the unit itself), goal, aim.
my %GOALS = (
	wal          => [ 'WAL per edit',                           'B',  '%',  0.5,  0.09 ],
	update       => [ 'UPDATE … SET content, jsonb ready',      'ms', 'x',  0.5,  0.35 ],
	update_pglz  => [ 'the same, plain table with pglz',        'ms', 'x',  0.1,  undef ],
	client       => [ 'the same from a client, committed',      'ms', 'x',  0.8,  0.5 ],
	edit         => [ 'notebook_edit, one cell',                'ms', 'x',  0.15, 0.05 ],
	disk         => [ 'disk per version',                       'B',  '%',  0.4,  0.03 ],
	read_first   => [ 'read as text, first version',            'ms', 'x',  1.3,  0.6 ],
	read_middle  => [ 'read as text, middle version',           'ms', 'x',  1.3,  0.6 ],
	read_last    => [ 'read as text, last version',             'ms', 'x',  1.3,  0.6 ],
	mapping      => [ 'mapping_at, unseen pair, 200 x 50',      'ms', 'ms', 1,    0.3 ],
	diff_one     => [ 'notebook_diff, neighbouring versions',   'ms', 'ms', 5,    0.5 ],
	diff_all     => [ 'notebook_diff, first and last version',  'ms', 'ms', 5,    0.5 ],
	diff_linear  => [ 'diff: ms a 1,000 cells, 10,000 : 1,000', 'ms', 'x',  1.5,  undef ],
	history_raw  => [ 'all histories : raw files',              'B',  '%',  20,   undef ],
	history_pack => [ 'all histories : git packs',              'B',  'x',  3,    1 ],);

my @MEASURES = (
	[ update  => \&measure_update ],
	[ others  => \&measure_others ],
	[ client  => \&measure_client ],
	[ edit    => \&measure_edit ],
	[ read    => \&measure_read ],
	[ mapping => \&measure_mapping ],
	[ diff    => \&measure_diff ],
	[ linear  => \&measure_linear ],
	[ floor   => \&measure_floors ],
	[ history => \&measure_histories ],);

my %verdicts;
my $long;    # notebook_id of the notebook with all edits, once it is made
my $started  = time;
my $notebook = NotebookMaker->new(seed => 4175);
my $dbh      = connect_server();

binmode $_, ':utf8' for *STDOUT, *STDERR;
$| = 1;
refuse_foreign_store();
make_baselines();
fresh_store();
print_header();
for my $measure (@MEASURES)
{
	my ($name, $code) = @$measure;
	next if $name !~ /$only/;
	progress($name);
	$code->();
}
$dbh->do($_) for 'DROP EXTENSION notebook_migrate CASCADE', 'DROP SCHEMA nbm_bench CASCADE';
printf "%d met, %d MISSED, %d skipped (%.0f s)\n",
  map({ $verdicts{$_} // 0 } qw(met MISSED skipped)),
  time - $started;

# ---------------------------------------------------------------- measures

# UPDATE through the view against UPDATE of a plain table: WAL, time, disk.
sub measure_update
{
	my $id   = new_notebook('update');
	my $ours = edit_arm('ours', ours_update($id));
	my $size = store_size();
	my $got  = compare_edits($SLICES, ours => $ours, base => plain_arm('plain', 'nbm_bench.plain'));
	my $grew = store_size() - $size;
	my $copy = copy_growth();

	$long = $id;
	same_content($id, 'plain');
	line('wal', both($got, sub { mean(wal(@_)) }));
	info_pair('  first edit after a CHECKPOINT', 'B', '%', both($got, sub { (wal(@_))[0] }));
	line('update', both($got, sub { median(ms(@_)) }));
	info_pair('  mean',            'ms', 'x', both($got, sub { mean(ms(@_)) }));
	info_pair('  worst statement', 'ms', 'x', both($got, sub { max(ms(@_)) }));
	line('disk', [ $grew / $EDITS ], $copy);
}

# The same UPDATE against other plain tables: one that compresses with pglz, one
# that is never vacuumed, one whose trigger keeps full copies.
sub measure_others
{
	my $compare = sub ($table, @vacuum) {
		my %arm = (
			ours => edit_arm('ours', ours_update(new_notebook($table))),
			base => plain_arm($table, @vacuum));
		return compare_edits(1, %arm);
	};

	line('update_pglz', both($compare->('pglz', 'nbm_bench.pglz'), sub { median(ms(@_)) }));
	info_pair('the same, plain table never vacuumed',
		'ms', 'x', both($compare->('growing'), sub { median(ms(@_)) }));
	my $got = $compare->('triggered', 'nbm_bench.triggered', 'nbm_bench.triggered_history');
	info_pair('the same, full-copy history trigger', 'ms', 'x', both($got, sub { median(ms(@_)) }));
	info_pair('  its WAL',                           'B',  '%', both($got, sub { mean(wal(@_)) }));
}

# The UPDATE as an application sends it: text over the socket, one commit each.
sub measure_client
{
	my $id     = new_notebook('client');
	my $number = 0;
	my $arm    = sub ($sql, $row, $vacuum) {
		my $sth = $dbh->prepare($sql);
		return sub {
			my @ms;
			for (1 .. ($quick ? 3 : 10))
			{
				my $text = $notebook->edit(++$number)->text;
				push @ms, elapsed(sub { $sth->execute($text, $row) });
			}
			$dbh->do("VACUUM $vacuum") if $vacuum;
			return @ms;
		};
	};
	my $got = interleave(
		2,
		\&checkpoint,
		ours => $arm->(
			'UPDATE notebook_migrate.notebook SET content = $1 WHERE notebook_id = $2',
			$id, undef),
		base => $arm->(
			'UPDATE nbm_bench.plain SET content = $1 WHERE notebook_id = $2', 1,
			'nbm_bench.plain'));

	line('client', both($got, \&median));
}

# One cell sent instead of the document.
sub measure_edit
{
	my $id   = new_notebook('edit');
	my $ours = edit_arm(
		'ours_edit',
		table     => 'notebook_migrate.notebook',
		id        => $id,
		statement => "PERFORM notebook_migrate.notebook_edit($id, edits);");
	my $got =
	  compare_edits($quick ? 1 : 2, ours => $ours, base => plain_arm('plain', 'nbm_bench.plain'));

	same_content($id, 'plain');
	line('edit', both($got, sub { median(ms(@_)) }));
	info_pair('  its WAL', 'B', '%', both($got, sub { mean(wal(@_)) }));
}

# Whole versions as text to the client, whatever their age.
sub measure_read
{
	my $id   = long_notebook();
	my %pick = (read_first => 1, read_middle => 1 + int $EDITS / 2, read_last => 1 + $EDITS);
	my $base = $dbh->prepare('SELECT content::text FROM nbm_bench.plain WHERE notebook_id = 1');
	my $at   = $dbh->prepare('SELECT notebook_migrate.notebook_at($1, $2::int)::text');
	my %arm  = (base => fetch_arm($base));

	# Equal work for both sides: the plain row holds the document as it was first.
	$dbh->do('UPDATE nbm_bench.plain SET content = notebook_migrate.notebook_at(?, 1)', undef, $id);
	$dbh->do('VACUUM nbm_bench.plain');
	$arm{$_} = fetch_arm($at, $id, $pick{$_}) for keys %pick;
	my $got = interleave($quick ? 1 : 10, \&checkpoint, %arm);
	line($_, medians($got->{$_}), medians($got->{base}))
	  for sort { $pick{$a} <=> $pick{$b} } keys %pick;
}

# The mapping of one authored pair, asked for pairs that nobody asked before.
sub measure_mapping
{
	my $grid     = 20;
	my $id       = new_notebook('mapping');
	my $workflow = new_workflow($grid);
	my @cells    = $notebook->code_cell_ids;
	my %map      = map {
		my $op = $_;
		("op-$op" => [ grep {defined} @cells[ map { $op + 50 * $_ } 0 .. 2 ] ])
	} 0 .. 49;

	my $next = 0;
	my $ask  = sub ($n) {
		my @got = call('mapping_at', $next, $n);
		$next += $n;
		return ms(@got);
	};

	timed_procedure('ours', edit_step(ours_update($id)));
	call('ours', 1, $grid);
	$dbh->do('SELECT notebook_migrate.mapping_put($1, 1, $2, 1, $3)',
		undef, $id, $workflow, $notebook->json({ operator_to_cell => \%map }));
	my $last  = $grid + 1;
	my $count = $dbh->selectrow_array(
		"SELECT count(*) FROM jsonb_object_keys(
		notebook_migrate.mapping_at($id, $last, $workflow, $last) -> 'operator_to_cell')"
	);
	die "mapping_at answers for $count of 50 operators\n" if $count != 50;
	timed_procedure('mapping_at',
		statement =>
		  "PERFORM notebook_migrate.mapping_at($id, 2 + i % $grid, $workflow, 2 + i / $grid);");
	$ask->(20);
	my $got = interleave(1, \&checkpoint, ours => sub { $ask->(40) });
	line('mapping', medians($got->{ours}));
}

# Changes between two versions of the 200-cell notebook.
sub measure_diff
{
	my $id   = long_notebook();
	my %pair = (diff_one => [ $EDITS, $EDITS + 1 ], diff_all => [ 1, $EDITS + 1 ]);
	my %arm  = map { $_ => diff_arm($_, $id, $pair{$_}->@*) } keys %pair;
	my $got  = interleave(1, \&checkpoint, %arm);

	line($_, medians($got->{$_})) for qw(diff_one diff_all);
}

# Growth of the diff with the number of cells, 1 % of them changed.
sub measure_linear
{
	my (%arm, %ms);

	for my $cells (200, 1_000, 5_000, 10_000)
	{
		my $maker = NotebookMaker->new(seed => $cells, cells => $cells, small => 1);
		my $id    = new_notebook("linear $cells", $maker);
		$maker->edit_cell($_ * 100, $_) for 0 .. $cells / 100 - 1;
		$dbh->do('UPDATE notebook_migrate.notebook SET content = $1 WHERE notebook_id = $2',
			undef, $maker->text, $id);
		$arm{$cells} = diff_arm("diff_$cells", $id, 1, 2, $cells / 100);
	}
	my $got = interleave(1, \&checkpoint, %arm);
	for my $cells (sort { $a <=> $b } keys %arm)
	{
		$ms{$cells} = [ map { $_ / $cells * 1_000 } medians($got->{$cells})->@* ];
		info(sprintf('  diff of %s cells, ms a 1,000 cells', commas($cells)), 'ms', $ms{$cells});
	}
	line('diff_linear', $ms{10_000}, $ms{1_000});
}

# What nobody can save: parts of the work that the figures above contain.
sub measure_floors
{
	my $bytes = length $notebook->text;
	my @floor = (
		[ jsonb_in  => 'jsonb_in of the text',   "PERFORM doc_text::jsonb;" ],
		[ jsonb_out => 'jsonb_out of the jsonb', "PERFORM length(doc::text);" ],
		[   detoast => 'detoast of the jsonb',
			"PERFORM jsonb_typeof(content) FROM nbm_bench.plain WHERE notebook_id = 1;" ],
		[ sha256 => 'SHA-256 of the text', "PERFORM sha256(doc_bytes);" ],);
	my $commit = $dbh->prepare(q{SELECT pg_logical_emit_message(true, 'bench', '')});
	my %arm    = (
		commit => sub {
			map {
				elapsed(sub { $commit->execute; $commit->finish })
			} 1 .. 20;
		});

	for (@floor)
	{
		my ($name, undef, $statement) = @$_;
		timed_procedure(
			$name,
			statement => $statement,
			setup     => q{
			SELECT content, content::text, convert_to(content::text, 'UTF8')
			INTO doc, doc_text, doc_bytes FROM nbm_bench.plain WHERE notebook_id = 1;}
		);
		$arm{$name} = sub { ms(call($name, 1, $quick ? 3 : 10)) };
	}
	my $got = interleave(1, \&checkpoint, %arm);
	info("floor: $_->[1]",                    'ms', medians($got->{ $_->[0] })) for @floor;
	info('floor: empty commit from a client', 'ms', medians($got->{commit}));
	info('the document: JSON text',           'B',  [$bytes]);
	my %size = (
		'jsonb'          => 'pg_column_size(content::text::jsonb)',
		'jsonb with lz4' => 'pg_column_size(content)');
	info("the document: $_", 'B', [ $dbh->selectrow_array("SELECT $size{$_} FROM nbm_bench.original") ])
	  for sort keys %size;
}

# Real notebooks, committed revision by revision into an empty store.
sub measure_histories
{
	my @folders = sort glob(($ENV{NBM_DATA} // '/nonexistent') . '/notebooks_corpus/history/*/');
	my (%sum, @ours_ms, @base_ms);

	@folders = grep {/random|IRkernel/} @folders if $quick;
	return skipped(qw(history_raw history_pack)) if !@folders;
	fresh_store();
	for my $folder (@folders)
	{
		my ($name) = $folder =~ m{([^/]+)/$};
		progress("  $name");
		my @texts = map  { slurp($_) } sort glob "$folder*.json";
		my @valid = grep { jsonb_accepts($_) } @texts;
		my $size  = store_size();
		my ($ours, $base) = save_revisions($name, @valid);
		my %bytes = (
			ours => store_size() - $size,
			raw  => sum0(map {length} @valid),
			pack => git_pack_size(@valid));

		$sum{$_} += $bytes{$_} for keys %bytes;
		push @ours_ms, @$ours;
		push @base_ms, @$base;
		info_pair(
			sprintf('  %s, %d of %d : raw files', $name, @valid + 0, @texts + 0),
			'B', '%',
			[ $bytes{ours} ],
			[ $bytes{raw} ]);
		info_pair('    : git pack', 'B', 'x', [ $bytes{ours} ], [ $bytes{pack} ]);
	}
	line('history_raw',  [ $sum{ours} ], [ $sum{raw} ]);
	line('history_pack', [ $sum{ours} ], [ $sum{pack} ]);
	info_pair('save of a revision from a client', 'ms', 'x', \@ours_ms, \@base_ms);
}

# ------------------------------------------------------- arms of comparisons

# Runs all arms in every repetition, slice by slice in alternating order.
# Returns {arm => [samples of repetition 1, samples of repetition 2, …]}.
sub interleave ($slices, $before, %arm)
{
	my (%got, $turn);

	for my $repetition (0 .. $REPETITIONS - 1)
	{
		$before->();
		for my $slice (1 .. $slices)
		{
			my @order = sort keys %arm;
			@order = reverse @order if $turn++ % 2;
			push @{ $got{$_}[$repetition] }, $arm{$_}->() for @order;
		}
	}
	return \%got;
}

# interleave() for arms that edit, each warmed up by one slice first.
sub compare_edits ($slices, %arm)
{
	$_->{warm_up}->() for values %arm;
	return interleave($slices, \&checkpoint, map { $_ => $arm{$_}{run} } keys %arm);
}

# An arm that runs the next slice of the edits in nbm_bench.edit; samples are
# [ms, bytes of WAL].
sub edit_arm ($procedure, %how)
{
	my $next = 1;

	timed_procedure($procedure, edit_step(%how));
	return {
		warm_up => sub { },
		run     => sub {
			$next += $SLICE;
			return call($procedure, $next - $SLICE, $SLICE);
		}
	};
}

# The arm of a plain table; the tables in @vacuum are vacuumed after each slice.
# Its warm-up runs edits of its own and ends with the first document.
sub plain_arm ($table, @vacuum)
{
	my $arm = edit_arm(
		"update_$table",
		table     => "nbm_bench.$table",
		id        => 1,
		statement => "UPDATE nbm_bench.$table SET content = doc WHERE notebook_id = 1;");
	my $run = $arm->{run};

	$arm->{run} = sub {
		my @got = $run->();
		$dbh->do('VACUUM ' . join ', ', @vacuum) if @vacuum;
		return @got;
	};
	$arm->{warm_up} = sub {
		call("update_$table", -$SLICE, $SLICE);
		reset_plain($table, @vacuum);
	};
	return $arm;
}

# What edit_arm() needs to UPDATE a notebook through the view.
sub ours_update ($id)
{
	return (
		table     => 'notebook_migrate.notebook',
		id        => $id,
		statement => "UPDATE notebook_migrate.notebook SET content = doc WHERE notebook_id = $id;");
}

# Statements that bring the next edit's document (doc) and one-cell edit
# (edits) into memory, outside the measured time.
sub edit_step (%how)
{
	return (
		statement => $how{statement},
		setup   => "SELECT content INTO STRICT doc FROM $how{table} WHERE notebook_id = $how{id};",
		prepare => q{
			SELECT * INTO STRICT e FROM nbm_bench.edit WHERE edit.i = step.i;
			doc := jsonb_set(doc, ARRAY['cells', e.cell::text, 'source', e.line::text],
				to_jsonb(e.value), false);
			edits := jsonb_build_array(jsonb_build_object('op', 'replace', 'cell', e.cell_id,
				'value', doc #> ARRAY['cells', e.cell::text]));}
	);
}

# An arm that fetches one text from the server.
sub fetch_arm ($sth, @bind)
{
	return sub {
		return elapsed(sub {
			$sth->execute(@bind);
			$sth->fetchrow_arrayref->[0] or die "no text\n";
			$sth->finish;
		});
	};
}

# An arm that counts the rows of a diff, which must be $rows if given.
sub diff_arm ($name, $id, $from, $to, $rows = undef)
{
	my $diff  = "notebook_migrate.notebook_diff($id, $from, $to)";
	my $count = $dbh->selectrow_array("SELECT count(*) FROM $diff");

	die "$diff: $count rows\n" if !$count || $count != ($rows // $count);
	timed_procedure($name, statement => "PERFORM count(*) FROM $diff;");
	return sub { ms(call($name, 1, $quick ? 3 : 20)) };
}

# Saves revisions as one document, in the store and in a plain table by turns.
# Returns the milliseconds of each save of both.
sub save_revisions ($name, @texts)
{
	my ($id, @ours, @base);
	my $ours =
	  $dbh->prepare('UPDATE notebook_migrate.notebook SET content = $1 WHERE notebook_id = $2');
	my $base = $dbh->prepare('UPDATE nbm_bench.plain SET content = $1 WHERE notebook_id = $2');

	for my $text (@texts)
	{
		if (!$id)
		{
			$id = insert_document('notebook', $name, $text);
			$base->execute($text, 1);
			next;
		}
		push @ours, elapsed(sub { $ours->execute($text, $id) });
		push @base, elapsed(sub { $base->execute($text, 1) });
	}
	my $same = $dbh->selectrow_array(
		'SELECT notebook_migrate.notebook_at($1, NULL::int)::text = ($2::jsonb)::text',
		undef, $id, $texts[-1]);
	die "$name: the store gives back something else\n" if !$same;
	$dbh->do('VACUUM nbm_bench.plain');
	return (\@ours, \@base);
}

# Bytes of pack and index when git keeps one commit a text.
sub git_pack_size (@texts)
{
	my $dir = tempdir(CLEANUP => 1);
	local @ENV{qw(GIT_CONFIG_GLOBAL GIT_CONFIG_NOSYSTEM GIT_DIR)} = ('/dev/null', 1, $dir);

	system(qw(git -c init.defaultBranch=main init -q --bare), $dir) == 0 or die "git init failed\n";
	open my $import, '|-', qw(git fast-import --quiet) or die "git fast-import: $!\n";
	binmode $import;
	while (my ($i, $text) = each @texts)
	{
		printf $import
		  "commit refs/heads/main\ncommitter bench <bench\@example.org> %d +0000\ndata 5\nsave\n\n",
		  1_700_000_000 + $i;
		printf $import "M 100644 inline notebook.ipynb\ndata %d\n", length $text;
		print $import $text, "\n";
	}
	close $import                                       or die "git fast-import failed\n";
	system(qw(git -c pack.threads=1 repack -adfq)) == 0 or die "git repack failed\n";
	return sum0(map {-s} glob "$dir/objects/pack/*.pack $dir/objects/pack/*.idx");
}

# ------------------------------------------------------------------ server

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

# An empty store.
sub fresh_store
{
	$dbh->do('DROP EXTENSION IF EXISTS notebook_migrate CASCADE');
	$dbh->do('CREATE EXTENSION notebook_migrate');
	$long = undef;
}

# Plain tables with the first document, and the list of edits.
sub make_baselines
{
	my $off = 'WITH (autovacuum_enabled = off, toast.autovacuum_enabled = off)';

	$dbh->do('DROP SCHEMA IF EXISTS nbm_bench CASCADE');
	$dbh->do('CREATE SCHEMA nbm_bench');
	for my $table (qw(original plain pglz growing triggered))
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

	$dbh->do('CREATE TABLE nbm_bench.edit (
		i int PRIMARY KEY, cell int, line int, cell_id text, value text)');
	my $insert = $dbh->prepare('INSERT INTO nbm_bench.edit VALUES ($1, $2, $3, $4, $5)');
	$insert->execute($_, $notebook->planned_edit($_)) for -$SLICE .. $EDITS;
	$dbh->do('ANALYZE nbm_bench.edit');
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
			doc jsonb; doc_text text; doc_bytes bytea; edits jsonb;
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

# The notebook with all edits as versions: measure_update's, or made now.
sub long_notebook
{
	return $long if $long;
	$long = new_notebook('long');
	timed_procedure('ours', edit_step(ours_update($long)));
	call('ours', 1, $EDITS);
	return $long;
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

# ---------------------------------------------------------------- figures

# Milliseconds that a piece of code takes, round trips included.
sub elapsed ($code)
{
	my $began = time;

	$code->();
	return 1_000 * (time - $began);
}

sub mean (@values) { return sum0(@values) / @values }

sub median (@values)
{
	@values = sort { $a <=> $b } @values;
	return ($values[ $#values / 2 ] + $values[ @values / 2 ]) / 2;
}

# The two halves of samples that are [ms, bytes of WAL].
sub ms (@samples)
{
	return map { $_->[0] } @samples;
}

sub wal (@samples)
{
	return map { $_->[1] } @samples;
}

# The median of each repetition.
sub medians ($repetitions)
{
	return [ map { median(@$_) } @$repetitions ];
}

# One figure a repetition for the arms `ours` and `base`: $figure of its samples.
sub both ($got, $figure)
{
	return map {
		[ map { $figure->(@$_) } @$_ ]
	} @$got{qw(ours base)};
}

sub slurp ($file)
{
	open my $in, '<:raw', $file or die "$file: $!\n";
	local $/;
	return scalar <$in>;
}

# ----------------------------------------------------------------- printing

sub progress ($what) { printf STDERR "[%4.0f s] %s\n", time - $started, $what }

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

sub print_row (@columns)
{
	my $text = sprintf '%-52s %-36s %-36s %9s %9s %7s  %s', @columns;

	say $text =~ s/\s+$//r;
}

# Prints a line that owes something, and judges it.
sub line ($name, $ours, $base = undef)
{
	my ($label, $unit, $of, $goal, $aim) = $GOALS{$name}->@*;
	my $value   = median(@$ours) / ($base ? median(@$base) : 1) * ($of eq '%' ? 100 : 1);
	my $verdict = $value <= $goal ? 'met' : 'MISSED';

	$verdicts{$verdict}++;
	print_row(
		$label,
		spread($ours, $unit),
		$base ? spread($base, $unit) : '-',
		$base ? ratio($value, $of)   : '-',
		"<= $goal $of", $aim ? "$aim $of" : '-', $verdict);
}

# Prints a line without a goal, beside a baseline or alone.
sub info_pair ($label, $unit, $of, $ours, $base)
{
	my $value = median(@$ours) / median(@$base) * ($of eq '%' ? 100 : 1);

	print_row(
		$label,
		spread($ours, $unit),
		spread($base, $unit),
		ratio($value, $of),
		'-', '-', 'info');
}

sub info ($label, $unit, $values)
{
	print_row($label, spread($values, $unit), '-', '-', '-', '-', 'info');
}

sub skipped (@names)
{
	$verdicts{skipped} += @names;
	print_row($GOALS{$_}[0], '-', '-', '-', "<= $GOALS{$_}[3] $GOALS{$_}[2]", '-', 'skipped')
	  for @names;
}

sub ratio ($value, $of) { return sprintf '%.*f %s', $value < 1 ? 3 : 2, $value, $of }

# The median, and the range where there is more than one value.
sub spread ($values, $unit)
{
	my @shown = map { figure($_, $unit) } median(@$values), min(@$values), max(@$values);

	return "$shown[0] $unit" . (@$values > 1 ? " ($shown[1]..$shown[2])" : '');
}

sub figure ($value, $unit)
{
	return commas(sprintf '%.0f', $value) if $unit eq 'B';
	return sprintf '%.*f', $value < 1 ? 3 : 2, $value;
}

sub commas ($number)
{
	1 while $number =~ s/^(\d+)(\d{3})/$1,$2/;
	return $number;
}
