# Cells that are cut and joined: which part keeps the key, what is recorded of
# it, and what diff, history and mapping make of it.  The same for operators.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/../lib";
use PostgreSQL::Test::Utils;
use StoreTest;
use Test::More;
use JSON::PP;

my ($node, $last) = (undef, 1000);

# The last line of what a query prints, as JSON.
sub answer { my @line = split /\n/, sql($_[0]); return $reader->decode($line[-1] // '[]'); }

# Lines that resemble no other line: the n-th of a text is always the same.
sub lines
{
	my ($tag, $from, $to) = @_;
	srand(unpack('%32C*', $tag) * 7919);
	my @all = map { join(' ', map({ sprintf('%06x', rand 2**24) } 1 .. 4), "# $tag$_") } 1 .. 40;
	return @all[ $from - 1 .. $to - 1 ];
}
sub text { return join("\n", @_); }

# Documents of given sources; a source may be a hash with members of its own.
# The ids are none, as given, or all new in every version.
my $fresh = 0;
sub notebook
{
	my ($ids, @source) = @_;
	return { metadata => {}, nbformat => 4, nbformat_minor => 5, cells => [ map {
		my %c = ref $_ ? %$_ : (source => $_);
		my $id = delete $c{name};
		my %cell = (cell_type => 'code', metadata => {}, %c);
		@cell{qw(outputs execution_count)} = ([], undef) if $cell{cell_type} eq 'code';
		$cell{id} = $ids eq 'kept' && defined $id ? $id : 'id-' . ++$fresh if $ids ne 'none';
		\%cell } @source ] };
}
sub workflow
{
	my ($ids, @source) = @_;
	my @operator = map {
		my %c = ref $_ ? %$_ : (source => $_);
		my $id = delete $c{name};
		{ operatorID => $ids eq 'kept' && defined $id ? $id : 'op-' . ++$fresh, operatorType => ($c{cell_type} // '') eq 'markdown' ? 'PythonUDFSourceV2' : 'PythonUDFV2',
			operatorVersion => 'N/A', operatorProperties => { code => $c{source}, workers => 1 }, inputPorts => [], outputPorts => [],
			showAdvanced => JSON::PP::false, isDisabled => JSON::PP::false } } @source;
	return { operators => \@operator, links => [], operatorPositions => { map { $_->{operatorID} => { x => 0, y => 0 } } @operator }, commentBoxes => [] };
}

# What can be asked of one kind of document and of the other.
my %kind = (
	notebook => { make => \&notebook, items => 'notebook_cells', key => 'cell_key', descent => 'cell_descent', history => 'cell_history', source => 'source' },
	workflow => { make => \&workflow, items => 'workflow_operators', key => 'operator_key', descent => 'operator_descent', history => 'operator_history', source => 'operatorProperties.code' });

sub create
{
	my ($kind, $document) = @_;
	sql("INSERT INTO $kind (${kind}_id, name, content) VALUES (" . ++$last . ", 'd', " . quoted($document) . ')');
	return $last;
}
sub commit { return sql("SELECT $_[0]_commit($_[1], " . quoted($_[2]) . ')'); }

# The keys of a version in the order of the items.
sub keys_at
{
	my ($kind, $id, $version) = @_;
	my $k = $kind{$kind};
	return split / /, sql("SELECT string_agg($k->{key}::text, ' ' ORDER BY position) FROM $k->{items}($id, " . ($version // 'NULL') . ')');
}
# A diff, a line a row: key, change, positions, what detail says of descent.
sub diff
{
	my ($kind, $id, $from, $to) = @_;
	my $k = $kind{$kind};
	return @{ answer("SELECT coalesce(json_agg(json_build_array($k->{key}, change, old_position, new_position, detail)), '[]') FROM ${kind}_diff($id, $from, $to) WHERE $k->{key} IS NOT NULL") };
}

$node = start_server('descent');

# Each case: the sources before and after, the keys after (the items before have
# the keys 1, 2, ..., new ones are a, b, ... in their order; several answers are
# parted by bars), and who descends from whom.
my ($A, $B) = (text(lines('a', 1, 5)), text(lines('b', 1, 5)));
sub t { return text(lines('t', @_)); }
sub u { return text(lines('u', @_)); }
my $sentences = 'The riders of the morning tram were counted by hand in the spring of the year. '
  . 'Everybody who got on between five and nine was asked for a ticket and a destination. '
  . 'Numbers were typed in at night from handwritten lists and checked twice by two persons.';
my @case = (
	[ 'cut, the bigger part first', [ $A, t(1, 12), $B ], [ $A, t(1, 8), t(9, 12), $B ], '1 2 a 3', 'a<2 split' ],
	[ 'cut, the bigger part last', [ $A, t(1, 12), $B ], [ $A, t(1, 4), t(5, 12), $B ], '1 a 2 3', 'a<2 split' ],
	[ 'cut in halves', [ $A, t(1, 12), $B ], [ $A, t(1, 6), t(7, 12), $B ], '1 2 a 3|1 a 2 3', 'a<2 split' ],
	[ 'the first line cut off', [ $A, t(1, 8), $B ], [ $A, t(1, 1), t(2, 8), $B ], '1 a 2 3', 'a<2 split' ],
	[ 'the last line cut off', [ $A, t(1, 8), $B ], [ $A, t(1, 7), t(8, 8), $B ], '1 2 a 3', 'a<2 split' ],
	[ 'two lines cut apart', [ $A, t(1, 2), $B ], [ $A, t(1, 1), t(2, 2), $B ], '1 2 a 3|1 a 2 3', 'a<2 split' ],
	[ 'cut in three', [ $A, t(1, 12), $B ], [ $A, t(1, 2), t(3, 9), t(10, 12), $B ], '1 a 2 b 3', 'a<2 split, b<2 split' ],
	[ 'cut in five', [ $A, t(1, 14), $B ], [ $A, t(1, 2), t(3, 4), t(5, 10), t(11, 12), t(13, 14), $B ], '1 a b 2 c d 3', 'a<2 split, b<2 split, c<2 split, d<2 split' ],
	[ 'cut, and a line of the bigger part edited', [ $A, t(1, 12), $B ], [ $A, text(lines('t', 1, 3), lines('x', 1, 1), lines('t', 5, 8)), t(9, 12), $B ], '1 2 a 3', 'a<2 split' ],
	[ 'cut, and a line of the smaller part edited', [ $A, t(1, 14), $B ], [ $A, t(1, 8), text(lines('t', 9, 11), lines('x', 1, 1), lines('t', 13, 14)), $B ], '1 2 a 3', 'a<2 split' ],
	[ 'cut, and a line set before the new part', [ $A, t(1, 12), $B ], [ $A, t(1, 8), text('# the rest', lines('t', 9, 12)), $B ], '1 2 a 3', 'a<2 split' ],
	[ 'cut at blank lines, which go', [ $A, text(lines('t', 1, 8), '', '', lines('t', 9, 12)), $B ], [ $A, t(1, 8), t(9, 12), $B ], '1 2 a 3', 'a<2 split' ],
	[ 'cut, with a line feed left at the end', [ $A, t(1, 12), $B ], [ $A, t(1, 8) . "\n", t(9, 12), $B ], '1 2 a 3', 'a<2 split' ],
	[ 'the first cell cut', [ t(1, 12), $B ], [ t(1, 8), t(9, 12), $B ], '1 a 2', 'a<1 split' ],
	[ 'the last cell cut', [ $A, t(1, 12) ], [ $A, t(1, 8), t(9, 12) ], '1 2 a', 'a<2 split' ],
	[ 'the only cell cut', [ t(1, 12) ], [ t(1, 4), t(5, 12) ], 'a 1', 'a<1 split' ],
	[ 'cut, the new part moved away', [ $A, t(1, 12), $B ], [ $A, t(1, 8), $B, t(9, 12) ], '1 2 3 a', 'a<2 split' ],
	[ 'cut, and an unrelated cell in between', [ $A, t(1, 12), $B ], [ $A, t(1, 8), u(1, 5), t(9, 12), $B ], '1 2 a b 3', 'b<2 split' ],
	[ 'two cells cut', [ t(1, 12), $A, u(1, 12) ], [ t(1, 8), t(9, 12), $A, u(1, 4), u(5, 12) ], '1 a 2 b 3', 'a<1 split, b<3 split' ],
	[ 'cut while neighbours come and go', [ $A, t(1, 12), $B ], [ u(1, 6), t(1, 8), t(9, 12), $B ], 'a 2 b 3', 'b<2 split' ],
	[ 'one line of prose cut between sentences', [ { cell_type => 'markdown', source => $sentences }, $B ],
		[ map { ref $_ ? $_ : { cell_type => 'markdown', source => $_ } } $sentences =~ /^(.*year\. .*destination\.) (.*)$/, { source => $B } ], '1 a 2', 'a<1 split' ],
	[ 'no cut: a copy of the whole', [ $A, t(1, 12), $B ], [ $A, t(1, 12), t(1, 12), $B ], '1 2 a 3', '' ],
	[ 'no cut: two copies at the end', [ $A, t(1, 12), $B ], [ $A, t(1, 12), $B, t(1, 12), t(1, 12) ], '1 2 3 a b', '' ],
	[ 'no cut: a copy of a part', [ $A, t(1, 12), $B ], [ $A, t(1, 12), t(9, 12), $B ], '1 2 a 3', '' ],
	[ 'no cut: a copy of a part, and the origin edited elsewhere', [ $A, t(1, 12), $B ],
		[ $A, text(lines('t', 1, 2), lines('x', 1, 1), lines('t', 4, 12)), t(9, 12), $B ], '1 2 a 3', '' ],
	[ 'no cut: an unrelated cell', [ $A, t(1, 12), $B ], [ $A, t(1, 12), u(1, 6), $B ], '1 2 a 3', '' ],
	[ 'no cut: a cell shortened beside an unrelated one', [ $A, t(1, 12), $B ], [ $A, t(1, 8), u(1, 6), $B ], '1 2 a 3', '' ],
	[ 'no cut: a blank cell', [ $A, t(1, 12), $B ], [ $A, t(1, 12), '', $B ], '1 2 a 3', '' ],
	[ 'no cut: a cell shortened beside a blank one', [ $A, t(1, 12), $B ], [ $A, t(1, 11), '', $B ], '1 2 a 3', '' ],
	[ 'no cut: lines that go to a neighbour', [ $A, t(1, 12), u(1, 9), $B ], [ $A, t(1, 9), text(lines('t', 10, 12), lines('u', 1, 9)), $B ], '1 2 3 4', '' ],
	[ 'joined with the next', [ $A, t(1, 8), u(1, 4), $B ], [ $A, text(t(1, 8), u(1, 4)), $B ], '1 2 4', '2<3 merged' ],
	[ 'joined with the one before', [ $A, u(1, 4), t(1, 8), $B ], [ $A, text(u(1, 4), t(1, 8)), $B ], '1 3 4', '3<2 merged' ],
	[ 'equals joined', [ $A, u(1, 6), t(1, 6), $B ], [ $A, text(u(1, 6), t(1, 6)), $B ], '1 2 4|1 3 4', '2<3 merged|3<2 merged' ],
	[ 'joined with a blank line between', [ $A, t(1, 8), u(1, 4), $B ], [ $A, text(t(1, 8), '', u(1, 4)), $B ], '1 2 4', '2<3 merged' ],
	[ 'joined and a line edited', [ $A, t(1, 8), u(1, 4), $B ], [ $A, text(lines('t', 1, 4), lines('x', 1, 1), lines('t', 6, 8), lines('u', 1, 4)), $B ], '1 2 4', '2<3 merged' ],
	[ 'three joined', [ $A, u(1, 3), t(1, 8), u(4, 7), $B ], [ $A, text(u(1, 3), t(1, 8), u(4, 7)), $B ], '1 3 5', '3<2 merged, 3<4 merged' ],
	[ 'joined from far apart', [ t(1, 8), $A, $B, u(1, 4) ], [ text(t(1, 8), u(1, 4)), $A, $B ], '1 2 3', '1<4 merged' ],
	[ 'a line joined at the front', [ $A, u(1, 1), t(1, 8), $B ], [ $A, text(u(1, 1), t(1, 8)), $B ], '1 3 4', '3<2 merged' ],
	[ 'a line joined at the end', [ $A, t(1, 8), u(1, 1), $B ], [ $A, text(t(1, 8), u(1, 1)), $B ], '1 2 4', '2<3 merged' ],
	[ 'everything joined', [ $A, t(1, 12), $B ], [ text($A, t(1, 12), $B) ], '2', '2<1 merged, 2<3 merged' ],
	[ 'two pairs joined', [ t(1, 8), t(9, 11), $A, u(1, 3), u(4, 12) ], [ t(1, 11), $A, u(1, 12) ], '1 3 5', '1<2 merged, 5<4 merged' ],
	[ 'no join: a cell deleted', [ $A, t(1, 8), u(1, 4), $B ], [ $A, t(1, 8), $B ], '1 2 4', '' ],
	[ 'no join: deleted, and the neighbour edited', [ $A, t(1, 8), u(1, 4), $B ], [ $A, text(lines('t', 1, 6), lines('x', 1, 3)), $B ], '1 2 4', '' ],
	[ 'no join: a copy deleted', [ $A, t(1, 8), t(1, 8), $B ], [ $A, t(1, 8), $B ], '1 2 4|1 3 4', '' ],
	[ 'no join: a copy of a part deleted', [ $A, t(1, 12), t(9, 12), $B ], [ $A, t(1, 12), $B ], '1 2 4', '' ],
	[ 'no join: a blank cell deleted', [ $A, t(1, 8), '', $B ], [ $A, t(1, 8) . "\n", $B ], '1 2 4', '' ],
	[ 'no join: everything deleted', [ $A, t(1, 8) ], [], '', '' ],
	[ 'no join: everything replaced', [ $A, $B ], [ t(1, 8), u(1, 8) ], 'a b', '' ],
	[ 'one cut, others joined', [ t(1, 12), $A, u(1, 8), u(9, 12) ], [ t(1, 8), t(9, 12), $A, u(1, 12) ], '1 a 2 3', 'a<1 split, 3<4 merged' ]);

# The ids that the two versions of a case have, where ids are kept: an item that
# keeps its key keeps its name.
sub named
{
	my ($keys, @source) = @_;
	my @key = split / /, $keys;
	return map { { name => 'n' . $key[$_], ref $source[$_] ? %{ $source[$_] } : (source => $source[$_]) } } 0 .. $#source;
}

foreach my $kind (qw(notebook workflow))
{
	my $k = $kind{$kind};
	foreach my $ids ($kind eq 'notebook' ? qw(none kept new) : qw(kept new))
	{
		foreach my $case (@case)
		{
			my ($name, $before, $after, $keys, $descents) = @$case;
			$descents //= '';
			my $about = "$kind, ids $ids: $name";
			my $id = create($kind, $k->{make}->($ids, named(join(' ', 1 .. @$before), @$before)));
			my %number = map { (keys_at($kind, $id, 1))[$_] => $_ + 1 } 0 .. $#$before;
			my ($first) = split /\|/, $keys;
			commit($kind, $id, $k->{make}->($ids, named($first // '', @$after)));

			# Every key under the name that the case has for it.
			my @now = keys_at($kind, $id, 2);
			my $letter = 'a';
			$number{$_} //= $letter++ foreach @now;
			my $is = join(' ', map { $number{$_} } @now);
			like("|$keys|", qr/\|\Q$is\E\|/, "$about: keys") or diag("keys are $is, not $keys");

			my @descent = @{ answer("SELECT coalesce(json_agg(json_build_array($k->{key}, from_key, version, change)), '[]') FROM $k->{descent} WHERE ${kind}_id = $id") };
			is(join(' ', grep { $_->[2] != 2 } @descent), '', "$about: descents are of the version that made them");
			my $said = join(', ', sort map { ($number{ $_->[0] } // '?') . '<' . ($number{ $_->[1] } // '?') . " $_->[3]" } @descent);
			my @choice = map { join(', ', sort split /, /) } split /\|/, $descents, -1;
			@choice = ('') if !@choice;
			ok((grep { $_ eq $said } @choice), "$about: descents") or diag("descents are '$said', not '$descents'");

			# The diff tells what the descents tell, in both directions, and
			# everything else by the other names.
			my (%expected, %back);
			foreach my $d (@descent)
			{
				my ($live, $other, undef, $change) = @$d;
				my ($word, $swapped) = $change eq 'split' ? ('split', 'merged') : ('merged', 'split');
				($live, $other) = ($other, $live) if $change eq 'split';
				my %say = (split => [ 'into', 'from' ], merged => [ 'with', 'into' ]);
				push @{ $expected{$live} }, "$word $say{$word}[0] $other";
				push @{ $expected{$other} }, "$word $say{$word}[1] $live";
				push @{ $back{$live} }, "$swapped $say{$swapped}[0] $other";
				push @{ $back{$other} }, "$swapped $say{$swapped}[1] $live";
			}
			my %was = map { $_ => 1 } keys_at($kind, $id, 1);
			my %is = map { $_ => 1 } @now;
			foreach my $way ([ 1, 2, \%expected, \%was, \%is, 'forwards' ], [ 2, 1, \%back, \%is, \%was, 'backwards' ])
			{
				my ($from, $to, $tell, $old, $new, $how) = @$way;
				my %told;
				foreach my $row (diff($kind, $id, $from, $to))
				{
					my ($key, $change, $o, $n, $detail) = @$row;
					$told{$key} = join(', ', sort map { "$change $_" } grep { /^(into|from|with) / } @$detail);
					if ($change =~ /^(split|merged)$/)
					{
						is(defined $o ? 1 : 0, $old->{$key} // 0, "$about: $how, old position of $number{$key}");
						is(defined $n ? 1 : 0, $new->{$key} // 0, "$about: $how, new position of $number{$key}");
						ok((grep { $_ eq $k->{source} } @$detail), "$about: $how, the changed text of $number{$key} is named") if $old->{$key} && $new->{$key};
					}
				}
				is(join('; ', map { "$number{$_}: $told{$_}" } sort grep { $told{$_} } keys %told),
					join('; ', map { "$number{$_}: " . join(', ', sort @{ $tell->{$_} }) } sort keys %$tell), "$about: diff $how");
			}
			# The life of each item begins or ends, or goes on, with that word.
			my @history = map { my $key = $_; map { "$number{$key}: $_" } grep { $_ } sql("SELECT change FROM $k->{history}($id, $key) WHERE version = 2 AND change IN ('split', 'merged')") } sort { $a <=> $b } keys %{ { map { $_ => 1 } map { @$_[ 0, 1 ] } @descent } };
			is(join('; ', sort @history), join('; ', sort map { my $key = $_; "$number{$key}: " . ($expected{$key}[0] =~ /^(\w+)/)[0] } keys %expected), "$about: history");
		}
	}
}
is_sql('SELECT * FROM store_verify(NULL, NULL)', '', 'sound after all cases');

# The other ways to write: through the view, cell by cell, in a savepoint.
{
	my $id = create('notebook', notebook('none', $A, t(1, 12), $B));
	sql("UPDATE notebook SET content = " . quoted(notebook('none', $A, t(1, 8), t(9, 12), $B)) . " WHERE notebook_id = $id");
	is_sql("SELECT count(*), min(change) FROM cell_descent WHERE notebook_id = $id", '1|split', 'a split through the view');

	$id = create('notebook', notebook('none', $A, t(1, 12), $B));
	sql("BEGIN; SAVEPOINT s; SELECT notebook_commit($id, " . quoted(notebook('none', $A, t(1, 8), t(9, 12), $B)) . '); ROLLBACK TO s; COMMIT');
	is_sql("SELECT count(*) FROM cell_descent WHERE notebook_id = $id", 0, 'a split that was taken back leaves no descent');

	# A replaced cell keeps its key whatever it holds.  Whether descent is told
	# or not: the diff and the table agree.
	$id = create('notebook', notebook('kept', { name => 'x', source => $A }, { name => 'y', source => t(1, 12) }, { name => 'z', source => $B }));
	my ($y) = (keys_at('notebook', $id, 1))[1];
	my ($part, $rest) = map { notebook('kept', { name => $_->[0], source => $_->[1] })->{cells}[0] } [ 'y', t(1, 4) ], [ 'y2', t(5, 12) ];
	sql("SELECT notebook_edit($id, " . quoted([ { op => 'replace', cell => 'y', value => $part }, { op => 'insert', after => 'y', value => $rest } ]) . ')');
	is((keys_at('notebook', $id))[1], $y, 'an edit list: the replaced cell keeps its key, though it holds less');
	is_sql("SELECT (SELECT count(*) FROM cell_descent WHERE notebook_id = $id AND version = 2 AND change = 'split')
	      = (SELECT count(*) FROM notebook_diff($id, 1, 2) WHERE change = 'split' AND old_position IS NULL)", 't', 'an edit list: diff and table agree');

	# The id on the smaller part: one of the two parts has the key, and the other descends from it.
	$id = create('notebook', notebook('kept', { name => 'x', source => $A }, { name => 'y', source => t(1, 12) }, { name => 'z', source => $B }));
	commit('notebook', $id, notebook('kept', { name => 'x', source => $A }, { name => 'y', source => t(1, 4) }, { name => 'y2', source => t(5, 12) }, { name => 'z', source => $B }));
	my %now = map { $_ => 1 } keys_at('notebook', $id);
	ok($now{2}, 'the id on the smaller part: the key lives on');
	is_sql("SELECT from_key, change, version FROM cell_descent WHERE notebook_id = $id", '2|split|2', 'the id on the smaller part: the other part descends from it');
}

# Cut and joined again, restored, cut again.
{
	my @doc = (notebook('none', $A, t(1, 12), $B), notebook('none', $A, t(1, 8), t(9, 12), $B), notebook('none', $A, t(1, 12), $B));
	my $id = create('notebook', $doc[0]);
	commit('notebook', $id, $_) foreach @doc[ 1, 2 ];
	my ($child) = (keys_at('notebook', $id, 2))[2];
	is(join(' ', keys_at('notebook', $id, 3)), '1 2 3', 'cut and joined again: the keys are as before');
	is_sql("SELECT cell_key, from_key, version, change FROM cell_descent WHERE notebook_id = $id ORDER BY version", "$child|2|2|split\n2|$child|3|merged", 'cut and joined again: both are recorded');
	is_sql("SELECT count(*) FROM notebook_diff($id, 1, 3)", 0, 'cut and joined again: nothing changed in all');
	is_sql("SELECT version, change FROM cell_history($id, 2)", "1|inserted\n2|split\n3|merged", 'cut and joined again: the history of the cell');
	is_sql("SELECT version, change, position IS NULL, source IS NULL FROM cell_history($id, $child)", "2|split|f|f\n3|merged|t|t", 'cut and joined again: the history of the part');
	is_sql("SELECT notebook_diff_text($id, 1, 3)", '', 'cut and joined again: no text of a difference');

	# Cut again at the same place: the part that was lost is the same part.
	commit('notebook', $id, $doc[1]);
	my @again = keys_at('notebook', $id, 4);
	is(join(' ', @again), "1 2 $child 3", 'cut again: the part has its key again');
	is_sql("SELECT count(*) FROM cell_descent AS d WHERE notebook_id = $id AND version = 4 AND (cell_key, from_key, change) <> ($child, 2, 'split')", 0, 'cut again: no descent but that');

	# Cut elsewhere: another part, a key that no cell had.
	commit('notebook', $id, $doc[2]);
	commit('notebook', $id, notebook('none', $A, t(1, 3), t(4, 12), $B));
	my @other = keys_at('notebook', $id, 6);
	ok($other[2] == 2 && $other[1] != $child && $other[1] > 3, 'cut elsewhere: another part has a new key');
}
foreach my $kind (qw(notebook workflow))
{
	my $k = $kind{$kind};
	my @doc = map { $k->{make}->('kept', @$_) } [ map { { name => "n$_->[0]", source => $_->[1] } } [ 1, $A ], [ 2, t(1, 12) ], [ 3, $B ] ],
	  [ map { { name => "n$_->[0]", source => $_->[1] } } [ 1, $A ], [ 2, t(1, 8) ], [ 4, t(9, 12) ], [ 3, $B ] ];
	my $id = create($kind, $doc[0]);
	commit($kind, $id, $doc[1]);
	sql("SELECT ${kind}_restore($id, 1)");
	is(join(' ', keys_at($kind, $id, 3)), '1 2 3', "$kind: restored before the cut, the keys are as before");
	is_sql("SELECT count(*) FROM ${kind}_diff($id, 1, 3)", 0, "$kind: restored before the cut, nothing changed in all");
	is_sql("SELECT from_key, $k->{key}, change FROM $k->{descent} WHERE ${kind}_id = $id AND version = 3", (grep { $_ > 3 } keys_at($kind, $id, 2))[0] . '|2|merged', "$kind: restored before the cut, that is a join");
	is_sql("SELECT (SELECT count(*) FROM $k->{descent} WHERE ${kind}_id = $id AND version = 3)
	       = (SELECT count(*) FROM ${kind}_diff($id, 2, 3) WHERE change = 'merged' AND new_position IS NULL)", 't', "$kind: restored before the cut, diff and table agree");
	sql("SELECT ${kind}_restore($id, 2)");
	is(join(' ', keys_at($kind, $id, 4)), join(' ', keys_at($kind, $id, 2)), "$kind: the cut restored, the part has its key again");
	is_sql("SELECT count(*) FROM $k->{descent} AS d WHERE ${kind}_id = $id AND NOT EXISTS (SELECT FROM $k->{items}($id, d.version) AS i WHERE i.$k->{key} = d.$k->{key})", 0, "$kind: who took in or was cut off lives in that version");
	is_sql("SELECT * FROM store_verify('$kind', $id)", '', "$kind: sound after restores");
}

# A part of a part, and the differences across several versions.
{
	my $id = create('notebook', notebook('none', $A, t(1, 20), $B));
	commit('notebook', $id, notebook('none', $A, t(1, 11), t(12, 20), $B));
	my $part = (keys_at('notebook', $id, 2))[2];
	commit('notebook', $id, notebook('none', $A, t(1, 11), t(12, 17), t(18, 20), $B));
	my $second = (keys_at('notebook', $id, 3))[3];
	is(join(' ', keys_at('notebook', $id, 3)), "1 2 $part $second 3", 'a part of a part: keys');
	is_sql("SELECT cell_key, from_key, version, change FROM cell_descent WHERE notebook_id = $id ORDER BY version", "$part|2|2|split\n$second|$part|3|split", 'a part of a part: descents');
	my %row = map { $_->[0] => $_ } diff('notebook', $id, 1, 3);
	is(join(' ', sort { $a <=> $b } keys %row), join(' ', sort { $a <=> $b } 2, $part, $second), 'a part of a part: the difference names the three');
	is($row{$_}[1], 'split', "a part of a part: $_ over both versions") foreach 2, $part, $second;
	ok((grep { $_ eq "into $part" } @{ $row{2}[4] }), 'a part of a part: into the part');
	ok((grep { $_ eq 'from 2' } @{ $row{$part}[4] }), 'a part of a part: from the origin');
	ok((grep { /^from (2|\Q$part\E)$/ } @{ $row{$second}[4] }), 'a part of a part: from the part, or from the origin');
	%row = map { $_->[0] => $_ } diff('notebook', $id, 3, 1);
	is($row{$_}[1], 'merged', "a part of a part: $_ backwards") foreach 2, $part, $second;

	# The part goes: over all versions the origin was modified, and that is all.
	commit('notebook', $id, notebook('none', $A, t(1, 11), $B));
	is_sql("SELECT change, cell_key FROM notebook_diff($id, 1, 4)", 'modified|2', 'the parts deleted: a modified cell');
	is_sql("SELECT change, cell_key FROM notebook_diff($id, 3, 4) ORDER BY cell_key", join("\n", map { "deleted|$_" } sort { $a <=> $b } $part, $second), 'the parts deleted: deleted');
	is_sql("SELECT change FROM cell_history($id, $part)", "split\nsplit\ndeleted", 'the history of a part');
	is_sql("SELECT version, change FROM cell_history($id, 2)", "1|inserted\n2|split", 'the history of the origin');
}

# The history of a cell through all that happens to cells.
{
	my $id = create('notebook', notebook('none', $A, t(1, 12), $B));
	commit('notebook', $id, notebook('none', $A, $B, t(1, 12)));
	commit('notebook', $id, notebook('none', $A, $B, t(1, 8), t(9, 12)));
	commit('notebook', $id, notebook('none', $A, text($B, t(9, 12)), t(1, 8)));
	commit('notebook', $id, notebook('none', $A, text($B, t(9, 12))));
	sql("SELECT notebook_restore($id, 1)");
	my @change = split /\n/, sql("SELECT change FROM cell_history($id, 2)");
	is($change[0], 'inserted', 'a life: it begins');
	is(join(' ', sort { $a <=> $b } keys %{ { map { $_ => 1 } split /\n/, sql("SELECT version FROM cell_history($id, 2)") } }),
		join(' ', sort { $a <=> $b } split /\n/, sql("SELECT version FROM cell_history($id, 2)")), 'a life: a row a version');
	is_sql("SELECT change FROM cell_history($id, 2) WHERE version IN (3, 5) ORDER BY version", "split\ndeleted", 'a life: cut, deleted');
	is_sql("SELECT position, source IS NOT NULL FROM cell_history($id, 2) WHERE version = 6", '1|t', 'a life: and back by a restore');
	is_sql("SELECT DISTINCT change FROM cell_history($id, 1)", 'inserted', 'a life: nothing of this is its neighbour\'s');
}

# The mapping.  A link follows what its cell or operator was cut into, and what
# it was joined with.
sub links
{
	my ($nb, $nv, $wf, $wv) = @_;
	return join('; ', split /\n/, sql("SELECT cell_key || '-' || operator_key || ' ' || state || coalesce(' ' || nullif(lines, '{}')::text, '') FROM mapping_links($nb, $nv, $wf, $wv) ORDER BY cell_key, operator_key"));
}
sub flow { return workflow('kept', map { { name => $_->[0], source => $_->[1] } } @_); }
{
	my @op = ([ 'O1', 'yield alpha(one)' ], [ 'O2', 'for row in beta:\n    emit(row)' ], [ 'O3', 'class Gamma: pass' ]);
	my $wf = create('workflow', flow(@op));
	my $nb = create('notebook', notebook('none', $A, t(1, 20), $B, u(1, 4)));
	my $first = sql("SELECT mapping_put($nb, 1, $wf, 1, " . quoted({ links => [ { cell => 1, operator => 'O1' }, { cell => 2, operator => 'O2', lines => [ [ 2, 3 ] ] }, { cell => 3, operator => 'O3' } ] }) . ')');

	commit('notebook', $nb, notebook('none', $A, t(1, 11), t(12, 20), $B, u(1, 4)));
	my $part = (keys_at('notebook', $nb, 2))[2];
	like(links($nb, 2, $wf, 1), qr/^1-1 carried; 2-2 cell_changed[^;]*; 3-3 carried; $part-2 cell_changed$/, 'mapping: the part is linked like its origin, without lines');
	is_sql("SELECT count(*) FROM mapping_unmapped($nb, 2, $wf, 1) WHERE item_key = $part AND side = 'cell'", 0, 'mapping: the part is not unmapped');
	is_sql("SELECT item_key FROM mapping_unmapped($nb, 2, $wf, 1) WHERE side = 'cell'", 4, 'mapping: what never was mapped is');
	is_sql("SELECT links, carried, changed, removed, unmapped_cells, unmapped_operators FROM mapping_health($nb, $wf)", '4|2|2|0|1|0', 'mapping: health counts the part');
	is_sql("SELECT mapping_at($nb, 2, $wf, 1) #> '{operator_to_cell,O2}' = (SELECT jsonb_agg(cell_id ORDER BY position) FROM notebook_cells($nb, 2) WHERE cell_key IN (2, $part))", 't', 'mapping: operator_to_cell has both parts');
	is_sql("SELECT mapping_at($nb, 2, $wf, 1) -> 'cell_to_operator' -> (SELECT cell_id FROM notebook_cells($nb, 2) WHERE cell_key = $part)", '["O2"]', 'mapping: cell_to_operator has the part');
	is_sql("SELECT DISTINCT mapping_id FROM mapping_links($nb, 2, $wf, 1)", $first, 'mapping: and it comes from the mapping that was stated');

	# A chain of descents; the part edited and moved.
	commit('notebook', $nb, notebook('none', $A, t(1, 11), t(12, 17), t(18, 20), $B, u(1, 4)));
	my $second = (keys_at('notebook', $nb, 3))[3];
	like(links($nb, 3, $wf, 1), qr/^1-1 carried; 2-2 cell_changed[^;]*; 3-3 carried; $part-2 cell_changed; $second-2 cell_changed$/, 'mapping: a part of a part');
	commit('notebook', $nb, notebook('none', t(18, 20), $A, t(1, 11), text(lines('t', 12, 16), lines('x', 1, 1)), $B, u(1, 4)));
	like(links($nb, 4, $wf, 1), qr/^1-1 carried; 2-2 cell_changed[^;]*; 3-3 carried; $part-2 cell_changed; $second-2 cell_changed$/, 'mapping: parts that were moved and edited');

	# The origin goes, the part stays.
	commit('notebook', $nb, notebook('none', t(18, 20), $A, text(lines('t', 12, 16), lines('x', 1, 1)), $B, u(1, 4)));
	like(links($nb, 5, $wf, 1), qr/^1-1 carried; 2-2 cell_removed[^;]*; 3-3 carried; $part-2 cell_changed; $second-2 cell_changed$/, 'mapping: parts without their origin');

	# Back to before the cut.
	sql("SELECT notebook_restore($nb, 1)");
	is(links($nb, 6, $wf, 1), '1-1 exact; 2-2 exact {"[2,4)"}; 3-3 exact', 'mapping: restored before the cut, all is as stated');
	is(links($nb, 1, $wf, 1), '1-1 exact; 2-2 exact {"[2,4)"}; 3-3 exact', 'mapping: the stated pair is as stated');
	like(links($nb, 2, $wf, 1), qr/^1-1 carried; 2-2 cell_changed[^;]*; 3-3 carried; $part-2 cell_changed$/, 'mapping: and the version of the cut is answered as before');
	sql("SELECT notebook_restore($nb, 3)");
	like(links($nb, 7, $wf, 1), qr/^1-1 carried; 2-2 cell_changed[^;]*; 3-3 carried; $part-2 cell_changed; $second-2 cell_changed$/, 'mapping: the cut restored, the parts are linked again');

	# A mapping that was stated after the cut says otherwise.
	my $later = sql("SELECT mapping_put($nb, 2, $wf, 1, " . quoted({ links => [ { cell => 2, operator => 'O2' } ] }) . ')');
	is(links($nb, 2, $wf, 1), '2-2 exact', 'mapping: stated after the cut without the part, it is not linked');
	like(links($nb, 3, $wf, 1), qr/^2-2 carried$/, 'mapping: nor is it later; what came of it later is none of the origin\'s');
	is_sql("SELECT string_agg(item_key::text, ' ' ORDER BY item_key) FROM mapping_unmapped($nb, 2, $wf, 1) WHERE side = 'cell'", join(' ', sort { $a <=> $b } 1, 3, 4, $part), 'mapping: the part is unmapped then');
	sql("SELECT mapping_put($nb, 2, $wf, 1, " . quoted({ links => [ { cell => 0 + $part, operator => 'O3' } ] }) . ')');
	is(links($nb, 2, $wf, 1), "$part-3 exact", 'mapping: stated for the part');
	is(links($nb, 3, $wf, 1), "$part-3 cell_changed; $second-3 cell_changed", 'mapping: stated for the part, its part follows');
	is_sql("SELECT string_agg(cell_key || ' ' || state, ', ') FROM mapping_links($nb, 1, $wf, 1)", '1 exact, 2 exact, 3 exact', 'mapping: the old pair has its own');
}
{
	# Back in time with a mapping that was stated after the cut only.
	my $wf = create('workflow', flow([ 'O1', 'yield alpha(one)' ], [ 'O2', 'emit(row)' ]));
	my $nb = create('notebook', notebook('none', $A, t(1, 12), $B));
	commit('notebook', $nb, notebook('none', $A, t(1, 8), t(9, 12), $B));
	my $part = (keys_at('notebook', $nb, 2))[2];
	sql("SELECT mapping_put($nb, 2, $wf, 1, " . quoted({ links => [ { cell => 2, operator => 'O1' }, { cell => 0 + $part, operator => 'O2' } ] }) . ')');
	is(links($nb, 1, $wf, 1), "2-1 cell_changed; $part-2 cell_removed", 'mapping: before it was cut off a part is not there');
	is_sql("SELECT mapping_at($nb, 1, $wf, 1)", '{"cell_to_operator": {"2": ["O1"]}, "operator_to_cell": {"O1": ["2"]}}', 'mapping: and no link names it');
}
{
	# Joined: the links go on at the cell that took the text in.
	my $wf = create('workflow', flow([ 'O1', 'yield alpha(one)' ], [ 'O2', 'emit(row)' ]));
	my $nb = create('notebook', notebook('none', $A, t(1, 8), t(9, 12), $B));
	sql("SELECT mapping_put($nb, 1, $wf, 1, " . quoted({ links => [ { cell => 2, operator => 'O1' }, { cell => 3, operator => 'O1' }, { cell => 3, operator => 'O2', lines => [ [ 1, 1 ] ] }, { cell => 4, operator => 'O2' } ] }) . ')');
	commit('notebook', $nb, notebook('none', $A, t(1, 12), $B));
	like(links($nb, 2, $wf, 1), qr/^2-1 cell_changed; 2-2 cell_changed; 4-2 carried$/, 'mapping: joined, the links are at the cell that lives on, each once');
	is_sql("SELECT count(*) FROM mapping_unmapped($nb, 2, $wf, 1) WHERE side = 'operator'", 0, 'mapping: joined, no operator is unmapped');
	is_sql("SELECT links, changed, removed FROM mapping_health($nb, $wf)", '3|2|0', 'mapping: joined, health');
	# And joined once more, to a cell that took in the one that took it in.
	commit('notebook', $nb, notebook('none', $A, text(t(1, 12), $B, u(1, 1))));
	my @now = keys_at('notebook', $nb, 3);
	is(links($nb, 3, $wf, 1), "$now[1]-1 cell_changed; $now[1]-2 cell_changed", 'mapping: joined twice');
	sql("SELECT notebook_restore($nb, 1)");
	is(links($nb, 4, $wf, 1), '2-1 exact; 3-1 exact; 3-2 exact {"[1,2)"}; 4-2 exact', 'mapping: restored before the join, as stated');
	# Deleted is not joined.
	commit('notebook', $nb, notebook('none', $A, t(1, 8), $B));
	like(links($nb, 5, $wf, 1), qr/^2-1 carried; 3-1 cell_removed; 3-2 cell_removed[^;]*; 4-2 carried$/, 'mapping: deleted is removed');
}
{
	# Cut and joined again: one link, at a cell that is as it was.
	my $wf = create('workflow', flow([ 'O1', 'yield alpha(one)' ]));
	my $nb = create('notebook', notebook('none', $A, t(1, 12), $B));
	sql("SELECT mapping_put($nb, 1, $wf, 1, " . quoted({ links => [ { cell => 2, operator => 'O1' } ] }) . ')');
	commit('notebook', $nb, notebook('none', $A, t(1, 8), t(9, 12), $B));
	commit('notebook', $nb, notebook('none', t(1, 12), $B));
	is(links($nb, 3, $wf, 1), '2-1 carried', 'mapping: cut and joined again, the cell is unchanged');
}
{
	# Operators are cut as well, and both sides at once.
	my $wf = create('workflow', flow([ 'P', t(1, 12) ], [ 'R', $B ]));
	my $nb = create('notebook', notebook('none', $A, u(1, 12)));
	sql("SELECT mapping_put($nb, 1, $wf, 1, " . quoted({ links => [ { cell => 1, operator => 'R' }, { cell => 2, operator => 'P' } ] }) . ')');
	commit('workflow', $wf, flow([ 'P', t(1, 8) ], [ 'Q', t(9, 12) ], [ 'R', $B ]));
	my ($q) = grep { $_ > 2 } keys_at('workflow', $wf, 2);
	is(links($nb, 1, $wf, 2), "1-2 carried; 2-1 operator_changed; 2-$q operator_changed", 'mapping: an operator that was cut');
	is_sql("SELECT count(*) FROM mapping_unmapped($nb, 1, $wf, 2)", 0, 'mapping: its part is mapped');
	commit('notebook', $nb, notebook('none', $A, u(1, 8), u(9, 12)));
	my $part = (keys_at('notebook', $nb, 2))[2];
	my $both = links($nb, 2, $wf, 2);
	like($both, qr/(^|; )$_ both_changed(;|$)/, "mapping: both were cut, $_") foreach '2-1', "2-$q", "$part-1";
	is_sql("SELECT count(*) FROM mapping_unmapped($nb, 2, $wf, 2)", 0, 'mapping: nothing is unmapped after both were cut');
	is(links($nb, 2, $wf, 1), "1-2 carried; 2-1 cell_changed; $part-1 cell_changed", 'mapping: the cell alone was cut');
	commit('workflow', $wf, flow([ 'P', t(1, 12) ], [ 'R', $B ]));
	is(links($nb, 1, $wf, 3), '1-2 exact; 2-1 exact', 'mapping: the operators joined again, as stated');
	commit('workflow', $wf, flow([ 'P', text(t(1, 12), $B) ]));
	is(links($nb, 1, $wf, 4), '1-1 operator_changed; 2-1 operator_changed', 'mapping: operators joined');
}

# Descents are history: changed by nobody, nobody's by default, kept by dumps,
# gone with the document.
my %rows = map { $_ => sql("SELECT count(*), md5(string_agg(t::text, ';' ORDER BY t::text COLLATE \"C\")) FROM $_ AS t") } qw(cell_descent operator_descent);
my $dump = $node->basedir . '/dump.sql';
$node->command_ok([ 'pg_dump', '-f', $dump, '-d', $node->connstr('postgres') ], 'dumped');
$node->safe_psql('postgres', 'CREATE DATABASE restored');
$node->command_ok([ 'psql', '-X', '-q', '-v', 'ON_ERROR_STOP=1', '-f', $dump, '-d', $node->connstr('restored') ], 'restored');
foreach my $table (qw(cell_descent operator_descent))
{
	my $kind = $table eq 'cell_descent' ? 'notebook' : 'workflow';
	is($node->safe_psql('restored', "SET search_path = notebook_migrate, public; SELECT count(*), md5(string_agg(t::text, ';' ORDER BY t::text COLLATE \"C\")) FROM $table AS t"), $rows{$table}, "$table is the same after dump and restore");
	fails("UPDATE $table SET version = version", '55000', '', "$table is append-only: UPDATE");
	fails("DELETE FROM $table", '55000', '', "$table is append-only: DELETE");
	fails("TRUNCATE $table", '(55000|42809|0A000)', '', "$table is append-only: TRUNCATE");
	is_sql("SELECT attname FROM pg_attribute WHERE attrelid = '$table'::regclass AND attnum > 0 AND NOT attisdropped ORDER BY attnum",
		join("\n", "${kind}_id", $kind eq 'notebook' ? 'cell_key' : 'operator_key', qw(from_key version change)), "$table has the columns that it should have");
	is_sql("SELECT count(*) FROM pg_class AS c, aclexplode(relacl) AS a WHERE c.oid = '$table'::regclass AND a.grantee = 0", 0, "$table is nobody's by default");
	my $id = sql("SELECT max(${kind}_id) FROM $table");
	sql("DELETE FROM $kind WHERE ${kind}_id = $id");
	is_sql("SELECT count(*) FROM $table WHERE ${kind}_id = $id", 0, "$table: the rows go with the document");
}
is_sql('SELECT * FROM store_verify(NULL, NULL)', '', 'sound at the end');

# What takes long can be cancelled, wherever it is: many links between two
# operators, which are sorted; a cell cut into many.
sql(q{CREATE TABLE public.made (name text, content jsonb);
	ALTER TABLE public.made ALTER content SET STORAGE EXTERNAL;
	INSERT INTO public.made SELECT name, jsonb_build_object('operators', jsonb_build_array(jsonb_build_object('operatorID', name), jsonb_build_object('operatorID', 'b')),
		'links', (SELECT jsonb_agg(jsonb_build_object('source', jsonb_build_object('operatorID', name, 'portID', md5(i::text)), 'target', '{"operatorID": "b"}'::jsonb)) FROM generate_series(1, 200000) AS i)) AS content
		FROM unnest('{a,c}'::text[]) AS name;
	INSERT INTO workflow (workflow_id, content) SELECT 9001, content FROM public.made WHERE name = 'a';
	INSERT INTO notebook (notebook_id, content) SELECT 9001, jsonb_build_object('cells', jsonb_build_array(jsonb_build_object('source', string_agg('value_' || i || ' = compute(' || i || ')', E'\n' ORDER BY i)))) FROM generate_series(1, 60000) AS i;
	SELECT mapping_put(9001, 1, 9001, 1, '{"links": [{"cell": 1, "operator": 1}]}');
	SELECT notebook_commit(9001, (SELECT jsonb_build_object('cells', jsonb_build_array(jsonb_build_object('source', string_agg(source, E'\n' ORDER BY i) FILTER (WHERE i <= 30000)))
		|| jsonb_agg(jsonb_build_object('source', source) ORDER BY i) FILTER (WHERE i > 30000)) FROM (SELECT i, 'value_' || i || ' = compute(' || i || ')' AS source FROM generate_series(1, 60000) AS i) AS line));
	CREATE FUNCTION public.stopped(query text) RETURNS text LANGUAGE plpgsql AS $$
	BEGIN
		EXECUTE query;
		RAISE EXCEPTION USING ERRCODE = 'P0002';
	EXCEPTION WHEN no_data_found THEN
		RETURN 'stopped';
	WHEN query_canceled THEN
		RETURN CASE WHEN clock_timestamp() - statement_timestamp() - current_setting('statement_timeout')::interval < '700 ms' THEN 'stopped' ELSE 'late' END;
	END $$});
is_sql('SELECT count(*) FROM cell_descent WHERE notebook_id = 9001', 30000, 'a cell was cut into many');
foreach my $query ("SELECT workflow_commit(9001, content) FROM public.made WHERE name = 'c'", 'SELECT count(*) FROM mapping_links(9001, NULL, 9001, NULL)')
{
	is(sql(join '', map {"SET statement_timeout = $_; SELECT public.stopped(" . '$q$' . $query . '$q$);'} 20, 150, 300, 500, 800), join("\n", ('stopped') x 5), "$query can be cancelled");
}

$node->stop;
done_testing();
