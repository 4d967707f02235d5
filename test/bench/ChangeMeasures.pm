# ChangeMeasures: what it costs to tell what changed, and the commits that must
# find out what became of each cell.

package ChangeMeasures;

use v5.36;
use utf8;
use Exporter qw(import);
use JSON::PP;
use List::Util qw(max reduce);
use BenchArms;
use BenchFigures;
use BenchServer;
use NotebookMaker;

our @EXPORT = qw(measure_diff measure_linear measure_replace measure_images measure_worst
  measure_lines measure_merge);

my $JSON = JSON::PP->new->utf8->canonical;

# The notes are figures of nbdime that were taken elsewhere, for orientation.
# Goals of functions that make rows or text of their own are the diff's.
my $MINUTES = 'nbdime minutes';
goals(
	diff_one       => [ 'notebook_diff, neighbouring versions',  'ms', 'ms', 5, 0.5, 'nbdime 60 ms' ],
	diff_few       => [ 'notebook_diff, 5 edits apart',          'ms', 'ms', 5, 0.5, 'nbdime 60 ms' ],
	diff_all       => [ 'notebook_diff, first and last version', 'ms', 'ms', 5, 0.5 ],
	diff_unrelated => [
		'notebook_diff, unrelated, 200 cells each', 'ms', 'ms', 50, undef, 'nbdime more than 2 min'
	],
	diff_linear   => [ 'notebook_diff, 200 to 10,000 cells: exponent',  '',   '',   1.15 ],
	replace       => [ 'commit, all of 2,000 cells replaced, new ids',  'ms', 'ms', 1_000 ],
	replace_ids   => [ 'commit, the same, ids kept',                    'ms', 'ms', 1_000 ],
	replace_long  => [ 'commit, the same, new ids, 5 kB each',          'ms', 'ms', 1_000 ],
	replace_again => [ 'commit, the same, 20,000 cells lost before',    'ms', 'ms', 1_000 ],
	images_edit   => [ '300 images: UPDATE, one cell edited',           'ms', 'x',  1 ],
	images_save   => [ '300 images: commit, all run again',             'ms', 'x',  1 ],
	images_diff   => [ '300 images: diff, one cell edited', 'ms', 'x', 1, undef, $MINUTES ],
	images_rerun  => [ '300 images: diff, all run again',   'ms', 'x', 1, undef, $MINUTES ],
	stop_commit   => [ 'these commits: late after any timeout',         'ms', 'ms', 200 ],
	stop_lines    => [ 'lines and text: late after any timeout',        'ms', 'ms', 200 ],
	stop_merge    => [ 'notebook_merge: late after any timeout',        'ms', 'ms', 200 ],
	lines_few     => [ 'notebook_diff_lines, 5 edits apart',            'ms', 'ms', 5 ],
	lines_other   => [ 'notebook_diff_lines, unrelated',                'ms', 'ms', 50 ],
	lines_near    => [ 'notebook_diff_lines, 1 MB source, 1 % edited',  'ms', 'ms', 100 ],
	lines_half    => [ 'notebook_diff_lines, 1 MB, every second line',  'ms', 'ms', 2_000 ],
	lines_reverse => [ 'notebook_diff_lines, 1 MB, lines reversed',     'ms', 'ms', 2_000 ],
	text_few      => [ 'notebook_diff_text, 5 edits apart',             'ms', 'ms', 5 ],
	text_other    => [ 'notebook_diff_text, unrelated',                 'ms', 'ms', 50 ],
	text_near     => [ 'notebook_diff_text, 1 MB source, 1 % edited',   'ms', 'ms', 100 ],
	text_half     => [ 'notebook_diff_text, 1 MB, every second line',   'ms', 'ms', 2_000 ],
	text_reverse  => [ 'notebook_diff_text, 1 MB, lines reversed',      'ms', 'ms', 2_000 ],
	merge         => [ 'notebook_merge of 2 MB, 10 edits a side',       'ms', 'ms', 50 ],
	merge_other   => [ 'notebook_merge of 2 MB, three unrelated',       'ms', 'ms', 2_000 ],);

# Inputs that are hard to match: a name, what they are, cells, and the source of
# cell i in the first and in the second document, whose ids are all new.
my $LINES = q{(SELECT string_agg('step ' || l || ' = ' || md5(l::text), E'\n' ORDER BY l) AS base
	FROM generate_series(1, 22000) l) text};
my @WORST = (
	[   worst_equal => 'all cells equal but the outer ones',
		10_000, (q{CASE WHEN i IN (1, n) THEN '%s ' || i ELSE 'x = 1' END}) x 2
	],
	[   worst_blank => 'all cells blank but the outer ones',
		10_000, (q{CASE WHEN i IN (1, n) THEN '%s ' || i ELSE '' END}) x 2
	],
	[ worst_other => 'all cells different' ],
	[   worst_near => '1 MB sources, nearly equal, each edited',
		30,
		q{replace(base, 'step ' || 700 * i || ' ', 'here ')},
		q{replace(base, 'step ' || 700 * i || ' ', 'there ')}
	],
	[   worst_number => 'cells that differ by a number',
		10_000,
		q{'result_' || i     || ' = compute(' || i     || ', scale=0.5)'},
		q{'result_' || i + n || ' = compute(' || i + n || ', scale=0.5)'}
	],
	[   worst_reverse => 'order reversed',
		10_000, q{'value ' || md5(i::text) || md5((-i)::text)},
		q{'value ' || md5((n - i)::text) || md5((i - n)::text)}
	],
	[   worst_reverse_edit => 'order reversed, each cell edited',
		10_000, q{'value ' || md5(i::text) || md5((-i)::text)},
		q{'value ' || md5((n - i)::text) || 'edited' || md5((i - n)::text)}
	],
	[   worst_windows => 'cells that overlap in 14 of 15 lines',
		10_000,
		q{(SELECT string_agg('step ' || l || ' = ' || md5(l::text), E'\n' ORDER BY l)
			FROM generate_series(i, i + 14) l)},
		q{(SELECT string_agg('step ' || l || ' = ' || md5((l + 3)::text), E'\n' ORDER BY l)
			FROM generate_series(n - i, n - i + 14) l)}
	],);
my @WORST_WORKFLOWS = (
	[ worst_ids  => '2,000 operators, ids new, order reversed' ],
	[ worst_same => 'the same, operators all equal' ],);
goals(map { $_->[0] => [ "commit: $_->[1]", 'ms', 'ms', 2_000 ] } @WORST, @WORST_WORKFLOWS);

# Changes between two versions of the 200-cell notebook, and two that have no
# cell in common; that the matcher finds out so is the commit's work.
sub measure_diff
{
	my $id   = long_notebook();
	my %pair = (diff_one => [ $EDITS, $EDITS + 1 ], diff_few => [ $EDITS - 4, $EDITS + 1 ],
		diff_all => [ 1, $EDITS + 1 ]);
	my $got = alone(map { $_ => diff_arm($_, $id, $pair{$_}->@*) } keys %pair);

	line($_, $got->{$_}) for qw(diff_one diff_few diff_all);

	my @document = unrelated_documents();
	my $commit   = interleave(
		1, \&checkpoint,
		ours => commit_arm('commit_unrelated', @document, id => \my $other),
		base => plain_commit_arm('plain_unrelated', @document));
	line('diff_unrelated', alone(ours => diff_arm('diff_unrelated', $other, 1, 2))->{ours});
	info_pair('  the commit of the second one', 'ms', 'x', both($commit, \&median));
}

# Growth of the diff with the number of cells, 1 % of them changed, and of the
# commits that changed them.
sub measure_linear
{
	my @sizes = $quick ? (200, 1_000) : (200, 1_000, 2_000, 5_000, 10_000);
	my (%diff, %commit);

	for my $cells (@sizes)
	{
		my $maker = NotebookMaker->new(seed => $cells, cells => $cells, small => 1);
		my $from  = keep_document("linear $cells", $maker->text);
		$maker->edit_cell($_ * 100, $_) for 0 .. $cells / 100 - 1;
		my $to = keep_document("linear $cells, edited", $maker->text);
		$commit{$cells} = commit_arm("commit_$cells", $from, $to, id => \my $id);
		$commit{$cells}->();
		$diff{$cells} = diff_arm("diff_$cells", $id, 1, 2, $cells / 100);
	}
	info_growth('diff, 1 % changed', \@sizes, my $diff = alone(%diff));
	line('diff_linear', exponents($diff, @sizes));
	info('  the same, 1,000 to 10,000 cells', '', exponents($diff, @sizes[ 1 .. $#sizes ])) if !$quick;
	info_growth('commit, 1 % changed', \@sizes, my $commit = alone(%commit));
	info('  commit: exponent', '', exponents($commit, @sizes));
}

# Commits after which no cell has a text that any cell had before.
sub measure_replace
{
	my $cells    = tenth(2_000);
	my $document = sub ($name, %option) {
		return keep_document($name,
			NotebookMaker->new(cells => $cells, small => 1, %option)->text);
	};
	my %number = (cells => $cells, from => 'generate_series(1, 1) one');
	my $text   = q{(SELECT string_agg(md5(i || '%s' || l), ' ') FROM generate_series(1, 6) l)};
	my %pair   = (
		replace => [ map { $document->("replace $_", seed => $_) } 1, 2 ],
		replace_long =>
		  [ map { $document->("replace long $_", seed => $_, source => 5_000) } 3, 4 ],
		replace_ids => [
			map { make_document("ids $_", %number, ids => 'kept', source => sprintf $text, $_) } 5, 6
		]);

	for my $name (qw(replace replace_ids replace_long))
	{
		my $got = interleave(
			1, \&checkpoint,
			ours => commit_arm($name, $pair{$name}->@*),
			base => plain_commit_arm("plain_$name", $pair{$name}->@*));
		my ($ours, $base) = both($got, \&median);
		line($name, $ours);
		info('  a plain UPDATE of the same', 'ms', $base);
	}
	measure_replace_again(map { make_document("again $_", %number, source => sprintf $text, $_) }
		  1 .. 11 + $REPETITIONS);
}

# The same for a notebook whose cells were all replaced ten times before.
sub measure_replace_again (@documents)
{
	my $id    = stored_document(shift @documents);
	my $again = commits_arm('replace_again', $id, \@documents);

	$again->() for 1 .. 10;
	line('replace_again', alone(ours => $again)->{ours});
}

# 300 images of 30 kB.  What their bytes cost: for an edit the plain UPDATE of the
# same jsonb; for a version in which all images are new, whose bytes must go to
# new room, the INSERT of a full copy; for a diff, reading both documents from a
# plain table and comparing them up to the first difference.
sub measure_images
{
	my %cell  = (cells => tenth(300), source => q{'figure_' || i || ' = plot(runs[' || i || '])'});
	my $image = q{
		jsonb_build_array(jsonb_build_object('output_type', 'display_data', 'metadata', '{}'::jsonb,
			'data', jsonb_build_object('text/plain', '<Figure size 640x480 with 1 Axes>', 'image/png',
				(SELECT encode(string_agg(sha256(convert_to(i || '%s' || k, 'UTF8')), ''), 'base64')
				FROM generate_series(1, 704) k) || E'\n')))};
	my @run = map {
		make_document("images $_", %cell,
			ids     => 'images',
			count   => "i + $_ * n",
			outputs => sprintf $image, $_)
	} 0, 1;
	my $edited = keep_document(
		'images edited',
		$dbh->selectrow_array(
			q{SELECT jsonb_set(content, '{cells,10,source}', '"figure = edited"')
			FROM nbm_bench.document WHERE name = $1}, undef, $run[0]));
	my $id   = stored_document($run[0]);
	my $edit = interleave(
		1, \&checkpoint,
		ours => image_edit_arm('ours_image', 'notebook_migrate.notebook', $id),
		base => image_edit_arm('plain_image', 'nbm_bench.saved', 1, $run[0]));
	my $save = interleave(
		1, \&checkpoint,
		ours  => commit_arm('ours_images', @run, id => \my $rerun, warm => 1),
		cold  => commit_arm('cold_images', @run),
		base  => copy_arm('copy_images', $run[1]),
		plain => plain_commit_arm('plain_images', @run));
	my $compare = sub ($name, $to) {
		return statement_arm($name,
			"PERFORM a.content = b.content FROM nbm_bench.document a, nbm_bench.document b
			WHERE a.name = '$run[0]' AND b.name = '$to';", 5);
	};
	my $diff = alone(
		images_diff  => diff_arm('images_diff', $id, 1, 2, 1),
		images_rerun => diff_arm('images_rerun', $rerun, 1, 2, tenth(300)),
		edit_base    => $compare->('edit_base', $edited),
		rerun_base   => $compare->('rerun_base', $run[1]));

	line('images_edit', both($edit, \&median));
	line('images_save', both($save, \&median));
	info('  as after somebody else\'s save',      'ms', medians($save->{cold}));
	info('  a plain UPDATE, in vacuumed room', 'ms', medians($save->{plain}));
	line('images_diff',  $diff->@{qw(images_diff edit_base)});
	line('images_rerun', $diff->@{qw(images_rerun rerun_base)});
}

# Commits of the worst inputs, and how soon they can be stopped.
sub measure_worst
{
	my (%id, %pair, %arm);

	for (@WORST)
	{
		my ($name) = @$_;
		$pair{$name} = [ worst_documents(@$_), 'notebook' ];
		$arm{$name}  = commit_arm($name, $pair{$name}->@[ 0, 1 ], id => \$id{$name});
	}
	for (@WORST_WORKFLOWS)
	{
		my ($name) = @$_;
		$pair{$name} = [ worst_workflows($name), 'workflow' ];
		$arm{$name}  = commit_arm($name, $pair{$name}->@[ 0, 1 ], kind => 'workflow');
	}
	my $got  = alone(%arm);
	my $diff = alone(map { $_ => diff_arm("diff_$_", $id{$_}, 1, 2, undef, 2) } keys %id);
	for (@WORST)
	{
		my ($name) = @$_;
		line($name, $got->{$name});
		info('  diff of these versions', 'ms', $diff->{$name});
	}
	line($_->[0], $got->{ $_->[0] }) for @WORST_WORKFLOWS;
	measure_stops(
		'stop_commit',
		$got,
		map {
			my ($from, $to, $kind) = $pair{$_}->@*;
			my $id = stored_document($from, $kind);
			$_ => "SELECT notebook_migrate.${kind}_commit($id,
				(SELECT content FROM nbm_bench.document WHERE name = '$to'))"
		} keys %pair);
}

# Statements under a statement_timeout: the longest one with 200 ms, and each with
# several between its start and its usual end.  $got has the milliseconds of each.
sub measure_stops ($goal, $got, %statement)
{
	my %ms      = map    { $_         => median($got->{$_}->@*) } keys %statement;
	my $longest = reduce { $ms{$a} >= $ms{$b} ? $a : $b } sort keys %ms;
	my (@late, $where);

	if ($ms{$longest} > 220)
	{
		@late = grep {defined} map { lateness($statement{$longest}, 200) } 1 .. $REPETITIONS;
		info('  the longest, late after a timeout of 200 ms', 'ms', \@late) if @late;
	}
	for my $name (sort keys %ms)
	{
		for my $share ($quick ? 0.5 : map { $_ / 6 } 1 .. 5)
		{
			my $timeout = int(1 + $share * $ms{$name});
			my $late    = lateness($statement{$name}, $timeout) // next;
			$where = "$name after $timeout ms" if $late > max(0, @late);
			push @late, $late;
		}
	}
	return skipped($goal) if !@late;
	line($goal, [ max(@late) ]);
	progress("  the latest: $where") if $where;
}

# Lines and text of what changed.  The first three pairs of versions are those of
# other measures, the others change one source of 1 MB.
sub measure_lines
{
	my %function = (
		lines => 'notebook_diff_lines(bigint,integer,integer)',
		text  => 'notebook_diff_text(bigint,integer,integer)');
	my @pairs = qw(few other near half reverse);
	my (%versions, %arm, %statement);

	for my $kind (sort keys %function)
	{
		next if has_function($function{$kind});
		skipped(map {"${kind}_$_"} @pairs);
		delete $function{$kind};
	}
	return skipped('stop_lines') if !%function;

	my %source = (
		near    => q{replace(base, '77 = ', '77 != ')},
		half    => q{regexp_replace(base, '([13579] = )', '\1edited ', 'g')},
		reverse => q{(SELECT string_agg(line, E'\n' ORDER BY number DESC)
			FROM string_to_table(base, E'\n') WITH ORDINALITY part (line, number))});
	my %large = (cells => 1, from => $LINES, ids => 'large');
	my $base  = make_document('1 MB', %large, source => 'base');

	$versions{few}   = [ long_notebook(), $EDITS - 4, $EDITS + 1 ];
	$versions{other} = [ two_versions(unrelated_documents()), 1, 2 ];
	$versions{$_} =
	  [ two_versions($base, make_document("1 MB, $_", %large, source => $source{$_})), 1, 2 ]
	  for keys %source;
	for my $kind (keys %function)
	{
		my $name = $function{$kind} =~ s/\(.*//r;
		for (@pairs)
		{
			my $versions = join ', ', $versions{$_}->@*;
			my $call     = "count(*) FROM notebook_migrate.$name($versions)";
			$arm{"${kind}_$_"}       = statement_arm("${kind}_$_", "PERFORM $call;", 3);
			$statement{"${kind}_$_"} = "SELECT $call";
		}
	}
	my $got = alone(%arm);
	for my $kind (sort keys %function)
	{
		line($_, $got->{$_}) for map {"${kind}_$_"} @pairs;
	}
	measure_stops('stop_lines', $got, %statement);
}

# Two sides of one notebook put together.
sub measure_merge
{
	my @goals = qw(merge merge_other);

	return skipped(@goals, 'stop_merge') if !has_function('notebook_merge(jsonb,jsonb,jsonb,text)');
	my ($base, $other) = unrelated_documents();
	my ($ours_text, $theirs_text) = map {
		my $first = $_;
		$notebook->reset;
		$notebook->edit($_) for $first .. $first + 9;
		$notebook->text
	} 1, 11;
	my @edited = (keep_document('ours', $ours_text), keep_document('theirs', $theirs_text));
	my $third  = keep_document('third', NotebookMaker->new(seed => 29)->text);
	my $merge =
	  'PERFORM length(content::text), conflicts FROM notebook_migrate.notebook_merge(doc, doc_b, doc_c);';
	my $got = alone(
		merge       => statement_arm('merge',       $merge, 5, $base, @edited),
		merge_other => statement_arm('merge_other', $merge, 1, $base, $other, $third));

	line($_, $got->{$_}) for @goals;
	measure_stops(
		'stop_merge',
		$got,
		merge_other => 'SELECT count(content) FROM notebook_migrate.notebook_merge(' . join(
			', ',
			map { "(SELECT content FROM nbm_bench.document WHERE name = '$_')" }
			  $base, $other, $third) . ')');
}

# -------------------------------------------------------------------- parts

# A number of cells, a tenth of it when the bench shall be quick.
sub tenth ($cells) { return $quick ? $cells / 10 : $cells }

# Names of the kept 200-cell notebook and of another with nothing in common.
sub unrelated_documents
{
	return (
		keep_document('first', $notebook->reset->text),
		keep_document('other', NotebookMaker->new(seed => 977)->text));
}

# A new notebook with these kept documents as its versions; returns its id.
sub two_versions ($from, $to)
{
	my $id = stored_document($from);

	$dbh->do(
		'UPDATE notebook_migrate.notebook SET content = (
			SELECT content FROM nbm_bench.document WHERE name = $1) WHERE notebook_id = $2',
		undef, $to, $id);
	return $id;
}

# Makes the two documents of one entry of @WORST; returns their names.
sub worst_documents ($name, $what, $cells = undef, @source)
{
	return map {
		keep_document("$name $_",
			NotebookMaker->new(seed => 40 + $_, cells => tenth(10_000), small => 1)->text)
	  } 1, 2
	  if !$cells;
	return map {
		make_document("$name $_",
			cells  => tenth($cells),
			source => $source[ $_ - 1 ] =~ s/%s/$_/gr,
			from   => $LINES x ($source[0] =~ /\bbase\b/))
	} 1, 2;
}

# Makes two workflows, the second one with all ids new, its operators in reversed
# order, and one of them changed; operators are all equal if the name says so.
sub worst_workflows ($name)
{
	my $workflow = $JSON->decode($notebook->workflow(tenth(2_000)));
	my @operator = $workflow->{operators}->@*;

	if ($name eq 'worst_same')
	{
		$_->{operatorProperties}{code} = 'yield tuple_', $_->{customDisplayName} = 'Step'
		  for @operator;
	}
	my $from = $JSON->encode($workflow);
	$operator[ @operator / 2 ]{operatorProperties}{code} .= '# edited';
	$workflow->{operators} = [ reverse @operator ];
	return (
		keep_document("$name 1", $from),
		keep_document("$name 2", $JSON->encode($workflow) =~ s/\b(op|link)-(?=\d)/new-$1-/gr));
}

# An arm that commits the next of some kept documents each time.
sub commits_arm ($name, $id, $documents)
{
	timed_procedure(
		$name,
		setup => "SELECT content || '{}' INTO STRICT doc
			FROM nbm_bench.document WHERE name = 'again ' || first;",
		statement => "PERFORM notebook_migrate.notebook_commit($id, doc);");
	return sub {
		my ($number) = shift(@$documents) =~ /(\d+)$/;
		return ms(call($name, $number, 1));
	};
}

# An arm that edits one cell of a stored document several times: in the store, or
# in the plain table once it holds the kept document $reset.
sub image_edit_arm ($name, $table, $id, $reset = undef)
{
	my $next = 1;

	timed_procedure(
		$name,
		setup     => "SELECT content INTO STRICT doc FROM $table WHERE notebook_id = $id;",
		prepare   => q{doc := jsonb_set(doc, '{cells,10,source}', to_jsonb('edited ' || i));},
		statement => "UPDATE $table SET content = doc WHERE notebook_id = $id;");
	$dbh->do(
		'UPDATE nbm_bench.saved SET content = (
			SELECT content FROM nbm_bench.document WHERE name = $1)', undef, $reset)
	  if $reset;
	call($name, 0, 1) if $reset;
	return sub {
		my @got = call($name, $next, 5);
		$next += 5;
		$dbh->do('VACUUM nbm_bench.saved') if $reset;
		return ms(@got);
	};
}

# How many milliseconds after its timeout a statement ended, cancelled or not;
# undef if it was done before.  It is rolled back.
sub lateness ($statement, $timeout)
{
	my ($done, $ms);

	$dbh->begin_work;
	$dbh->do("SET LOCAL statement_timeout = $timeout");
	$ms = elapsed(sub {
		$done = eval { $dbh->do($statement) };
	});
	die $@ if !$done && $dbh->state ne '57014';
	# The timeout holds for the rollback, too.
	1 until eval { $dbh->rollback; 1 };
	return $done && $ms <= $timeout ? undef : max(0, $ms - $timeout);
}

# The exponent of each repetition, by the sizes given.
sub exponents ($got, @sizes)
{
	return [
		map {
			my $i = $_;
			exponent(\@sizes, [ map { $got->{$_}[$i] } @sizes ])
		} 0 .. $REPETITIONS - 1
	];
}

# Prints milliseconds a 1,000 cells, size by size.
sub info_growth ($what, $sizes, $got)
{
	for my $cells (@$sizes)
	{
		my @ms = map { $_ / $cells * 1_000 } $got->{$cells}->@*;
		info(sprintf('  %s, %s cells, ms a 1,000', $what, commas($cells)), 'ms', \@ms);
	}
}

1;
