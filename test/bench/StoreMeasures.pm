# StoreMeasures: what it costs to save, to keep and to read versions.

package StoreMeasures;

use v5.36;
use utf8;
use Exporter   qw(import);
use File::Temp qw(tempdir);
use List::Util qw(max sum0);
use BenchArms;
use BenchFigures;
use BenchServer;

our @EXPORT = qw(measure_update measure_others measure_client measure_edit measure_read
  measure_mapping measure_splits measure_floors measure_histories);

my $MAPPED = 20;    # versions of each document in a pair that is mapped

goals(
	wal          => [ 'WAL per edit',                       'B',  '%',  0.5,  0.09 ],
	update       => [ 'UPDATE … SET content, jsonb ready',  'ms', 'x',  0.5,  0.35 ],
	update_pglz  => [ 'the same, plain table with pglz',    'ms', 'x',  0.1,  undef ],
	client       => [ 'the same from a client, committed',  'ms', 'x',  0.8,  0.5 ],
	edit         => [ 'notebook_edit, one cell',            'ms', 'x',  0.15, 0.05 ],
	disk         => [ 'disk per version',                   'B',  '%',  0.4,  0.03 ],
	read_first   => [ 'read as text, first version',        'ms', 'x',  1.3,  0.6 ],
	read_middle  => [ 'read as text, middle version',       'ms', 'x',  1.3,  0.6 ],
	read_last    => [ 'read as text, last version',         'ms', 'x',  1.3,  0.6 ],
	mapping      => [ 'mapping_at, unseen pair, 200 x 50',  'ms', 'ms', 1,    0.3 ],
	splits       => [ 'mapping_at, the same after splits',  'ms', 'ms', 1,    0.3 ],
	history_raw  => [ 'all histories : raw files',          'B',  '%',  20,   undef ],
	history_pack => [ 'all histories : git packs',          'B',  'x',  3,    1 ],);

# UPDATE through the view against UPDATE of a plain table: WAL, time, disk.
sub measure_update
{
	my $id   = new_notebook('update');
	my $ours = edit_arm('ours', ours_update($id));
	my $size = store_size();
	my $got  = compare_edits($SLICES, ours => $ours, base => plain_arm('plain', 'nbm_bench.plain'));
	my $grew = store_size() - $size;
	my $copy = copy_growth();

	keep_long_notebook($id);
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
	my $id = new_notebook('mapping');

	timed_procedure('ours', edit_step(ours_update($id)));
	line('mapping', mapping_ms($id, sub { call('ours', 1, $MAPPED) }));
}

# The same where each version of the notebook cuts one more cell in two.
sub measure_splits
{
	my $id     = new_notebook('splits');
	my @cells  = reverse $notebook->code_positions(9);
	my $update = $dbh->prepare(
		'UPDATE notebook_migrate.notebook SET content = $1 WHERE notebook_id = $2');

	return skipped('splits')
	  if !$dbh->selectrow_array(q{SELECT to_regclass('notebook_migrate.cell_descent') IS NOT NULL});
	my $ms = mapping_ms(
		$id,
		sub {
			$update->execute($notebook->split_cell($_)->text, $id) for @cells[ 0 .. $MAPPED - 1 ];
		});
	my ($descents) = $dbh->selectrow_array(
		'SELECT count(*) FROM notebook_migrate.cell_descent WHERE notebook_id = $1',
		undef, $id);
	die "$descents of $MAPPED cells were seen to be cut in two\n" if $descents < $MAPPED / 2;
	line('splits', $ms);
	info("  splits that were recognised, of $MAPPED", '', [$descents]);
}

# Milliseconds of mapping_at for a notebook with 50 operators mapped at its first
# version: each pair of one of the $MAPPED versions that $edit makes of it, and of
# as many of the workflow, once.
sub mapping_ms ($id, $edit)
{
	my $workflow = new_workflow($MAPPED);
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

	$edit->();
	$dbh->do('SELECT notebook_migrate.mapping_put($1, 1, $2, 1, $3)',
		undef, $id, $workflow, $notebook->json({ operator_to_cell => \%map }));
	my $last  = $MAPPED + 1;
	my $count = $dbh->selectrow_array(
		"SELECT count(*) FROM jsonb_object_keys(
		notebook_migrate.mapping_at($id, $last, $workflow, $last) -> 'operator_to_cell')"
	);
	die "mapping_at answers for $count of 50 operators\n" if $count != 50;
	timed_procedure('mapping_at',
		statement =>
		  "PERFORM notebook_migrate.mapping_at($id, 2 + i % $MAPPED, $workflow, 2 + i / $MAPPED);");
	$ask->(20);
	return alone(ours => sub { $ask->(40) })->{ours};
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

sub slurp ($file)
{
	open my $in, '<:raw', $file or die "$file: $!\n";
	local $/;
	return scalar <$in>;
}

1;
