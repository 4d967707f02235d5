# Random lives of notebooks and workflows, cut and joined, copied and restored:
# whatever keys the store gave, its differences must fit its versions.  The
# scripts on texts that resemble nothing else are held against a model too, which
# knows who is who.  NBM_SEED replays one script.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/../lib";
use PostgreSQL::Test::Utils;
use StoreTest;
use Test::More;
use JSON::PP;
use List::Util qw(max min shuffle sum0 first uniq);

my @seed = defined $ENV{NBM_SEED} ? ($ENV{NBM_SEED}) : (1 .. 3);
my ($saves, $pairs) = (40, 60);
my ($counter, $node, $plain, $id_way) = (0);

sub pick { return @_ ? $_[ rand @_ ] : undef; }

# The model.  An item is {name, id, type, lines, metadata, outputs, count}; its
# name is its identity.  A plain script has texts of a few short lines, blanks
# and copies in it, where identity is anybody's guess.
sub line
{
	return pick('', '', 'x = 1', 'plot(x)', 'import os', "\t", 'é ü ß', "a\rb", 'x' x 200) if $plain;
	return join(' ', (map { pick(qw(x = + \\ " é)) . sprintf('%06x', rand 2**24) } 1 .. 4), '#' . ++$counter);
}
sub new_item
{
	$counter++;
	return { name => "n$counter", id => "id-$counter", type => $plain ? pick(qw(code markdown)) : 'code',
		lines => [ map { line() } 1 .. ($plain ? int rand 5 : 5 + int rand 7) ], metadata => {}, outputs => [], count => undef };
}
sub as_cell
{
	my $c = shift;
	return { cell_type => $c->{type}, $id_way ? (id => $c->{id}) : (), source => join("\n", @{ $c->{lines} }), metadata => $c->{metadata},
		$c->{type} eq 'code' ? (outputs => $c->{outputs}, execution_count => $c->{count}) : () };
}
sub as_operator
{
	my $o = shift;
	return { operatorID => $o->{id}, operatorType => $o->{type} eq 'code' ? 'PythonUDFV2' : 'PythonUDFSourceV2', operatorVersion => 'N/A',
		operatorProperties => { code => join("\n", @{ $o->{lines} }), %{ $o->{metadata} } }, isDisabled => JSON::PP::false };
}
sub document
{
	my ($kind, $n) = @_;
	return { cells => [ map { as_cell($_) } @{ $n->{items} } ], metadata => $n->{metadata}, nbformat => 4, nbformat_minor => 5 } if $kind eq 'notebook';
	my %id = map { $_->{name} => $_->{id} } @{ $n->{items} };
	my $l = 0;
	return { operators => [ map { as_operator($_) } @{ $n->{items} } ], operatorPositions => { map { $_->{id} => { x => $_->{x} // 0, y => 0 } } @{ $n->{items} } },
		links => [ map { { linkID => 'l' . $l++, source => { operatorID => $id{ $_->[0] }, portID => 'output-0' }, target => { operatorID => $id{ $_->[1] }, portID => 'input-0' } } }
			grep { $id{ $_->[0] } && $id{ $_->[1] } } @{ $n->{links} } ], settings => $n->{metadata} };
}

# What happens to a document.  No two deeds of a save touch the same item.
my %touched;
sub free { return grep { !$touched{ $_->{name} } } @{ $_[0]{items} }; }
sub take { my $item = shift; $touched{ $item->{name} } = 1 if $item; return $item; }
sub at { my ($n, $item) = @_; return first { $n->{items}[$_] == $item } 0 .. $#{ $n->{items} }; }
my @metadata = ([ 'tags' ], [ 'slideshow', 'slide_type' ], [ 'a b', 'c' ], [ 'deep', 'er', 'x-y' ], [ 'é' ], [ '"' ], [ '1st' ], [ '' ]);
my %deed = (
	insert => sub { my $n = shift; splice @{ $n->{items} }, rand(@{ $n->{items} } + 1), 0, take(new_item()); },
	delete => sub {
		my $n = shift;
		my $item = take(pick(free($n))) // return;
		splice @{ $n->{items} }, at($n, $item), 1;
	},
	modify => sub {
		my $n = shift;
		my $item = take(pick(grep { @{ $_->{lines} } > ($plain ? 0 : 3) } free($n))) // return;
		my $i = int rand @{ $item->{lines} };
		pick(sub { $item->{lines}[$i] = line() }, sub { splice @{ $item->{lines} }, $i, 0, line() }, sub { splice @{ $item->{lines} }, $i, 1 if @{ $item->{lines} } > 5 })->();
	},
	move => sub {
		my $n = shift;
		my $item = take(pick(free($n))) // return;
		splice @{ $n->{items} }, at($n, $item), 1;
		splice @{ $n->{items} }, rand(@{ $n->{items} } + 1), 0, $item;
	},
	move_modify => sub {
		my $n = shift;
		my $item = take(pick(grep { @{ $_->{lines} } > ($plain ? 0 : 7) } free($n))) // return;
		splice @{ $n->{items} }, at($n, $item), 1;
		splice @{ $n->{items} }, rand(@{ $n->{items} } + 1), 0, $item;
		$item->{lines}[ rand @{ $item->{lines} } ] = line();
	},
	duplicate => sub {
		my $n = shift;
		my $item = take(pick(free($n))) // return;
		my $new = { %{ copy($item) }, name => 'n' . ++$counter, id => "id-$counter" };
		splice @{ $n->{items} }, at($n, $item) + 1, 0, take($new);
	},
	blank => sub {
		my $n = shift;
		my $new = { %{ new_item() }, lines => [], type => 'code' };
		splice @{ $n->{items} }, rand(@{ $n->{items} } + 1), 0, take($new);
	},
	# The bigger part keeps the name.  In a document of copies the copy of a part may be the part.
	split => sub {
		my ($n, $was) = @_;
		my $item = take(pick(grep { @{ $_->{lines} } > 4 } free($n))) // return;
		my $cut = 2 + int rand(@{ $item->{lines} } - 3);
		$cut++ if 2 * $cut == @{ $item->{lines} };
		my @part = ([ @{ $item->{lines} }[ 0 .. $cut - 1 ] ], [ @{ $item->{lines} }[ $cut .. $#{ $item->{lines} } ] ]);
		my $small = @{ $part[0] } < @{ $part[1] } ? 0 : 1;
		# What once was there comes back as what it was.
		return if $was->{ join("\n", @{ $part[$small] }) };
		my $new = take({ %{ copy($item) }, name => 'n' . ++$counter, id => "id-$counter", lines => $part[$small], outputs => [], count => undef });
		$item->{lines} = $part[ 1 - $small ];
		splice @{ $n->{items} }, at($n, $item) + $small, 0, $new;
		push @{ $n->{split} }, [ $new->{name}, $item->{name} ];
	},
	merge => sub {
		my $n = shift;
		my @at = grep { my $i = $_; !grep { $touched{ $n->{items}[$_]{name} } || !@{ $n->{items}[$_]{lines} } || $n->{items}[$_]{type} ne $n->{items}[$i]{type} } $i, $i + 1 } 0 .. $#{ $n->{items} } - 1;
		my $at = pick(@at) // return;
		my ($one, $two) = map { take($_) } @{ $n->{items} }[ $at, $at + 1 ];
		return if @{ $one->{lines} } == @{ $two->{lines} };
		my @lines = (@{ $one->{lines} }, @{ $two->{lines} });
		my ($live, $gone) = @{ $one->{lines} } > @{ $two->{lines} } ? ($one, $two) : ($two, $one);
		$live->{lines} = \@lines;
		splice @{ $n->{items} }, at($n, $gone), 1;
		push @{ $n->{merged} }, [ $live->{name}, $gone->{name} ];
	},
	run => sub {
		my $n = shift;
		foreach my $item (grep { $_->{type} eq 'code' } @{ $n->{items} })
		{
			$item->{count} = ++$counter;
			$item->{outputs} = [ { output_type => 'stream', name => 'stdout', text => pick("same\n", "out $counter\n") } ];
		}
	},
	tag => sub {
		my $n = shift;
		my $item = take(pick(free($n))) // return;
		my @path = @{ pick(@metadata) };
		my $last = pop @path;
		my $at = $item->{metadata};
		$at = $at->{$_} = ref $at->{$_} eq 'HASH' ? $at->{$_} : {} foreach @path;
		rand() < 0.2 ? delete $at->{$last} : ($at->{$last} = pick('text', ++$counter, [ map { int rand 3 } 0 .. rand 4 ], { v => $counter, w => [ { u => 1 }, $counter ] }, undef));
	},
	settings => sub { my $n = shift; $n->{metadata}{ pick('k', 'a b', 'kernelspec') } = { name => ++$counter }; },
	ids => sub { my $n = shift; $_->{id} = 'id-' . ++$counter foreach @{ $n->{items} }; },
	link => sub { my $n = shift; @{ $n->{links} } = map { [ pick(@{ $n->{items} })->{name}, pick(@{ $n->{items} })->{name} ] } 1 .. 4 if @{ $n->{items} }; },
	layout => sub { my $n = shift; pick(@{ $n->{items} })->{x} = ++$counter if @{ $n->{items} }; });
my @deeds = ((sort keys %deed), qw(split split split merge merge merge modify modify modify insert insert delete move));

# The length of the longest ascending sequence, and of the longest common one.
sub ascending
{
	my @tail;
	foreach my $x (@_)
	{
		my $i = 0;
		$i++ while $i < @tail && $tail[$i] < $x;
		$tail[$i] = $x;
	}
	return scalar @tail;
}
sub common
{
	my ($x, $y) = @_;
	my @before = (0) x (@$y + 1);
	foreach my $i (0 .. $#$x)
	{
		my @row = (0);
		push @row, $x->[$i] eq $y->[$_] ? $before[$_] + 1 : max($before[ $_ + 1 ], $row[$_]) foreach 0 .. $#$y;
		@before = @row;
	}
	return $before[-1];
}

my %kind = (
	notebook => { items => 'notebook_cells', key => 'cell_key', descent => 'cell_descent', history => 'cell_history', type => 'cell_type', array => 'cells', metadata => 'metadata', source => 'source' },
	workflow => { items => 'workflow_operators', key => 'operator_key', descent => 'operator_descent', history => 'operator_history', type => 'operator_type', array => 'operators', metadata => 'operatorProperties',
		source => "coalesce(properties ->> 'code', properties::text)" });

# All that must hold of a document's versions and differences, whoever is who.
sub check
{
	my ($kind, $id, $about) = @_;
	my $k = $kind{$kind};
	my (%version, @wrong, %said);
	my $wrong = sub { push @wrong, $_[0] if !$said{ $_[0] }++; };

	# The items of every version: {key} is {position, source, type}, {order} their keys.
	foreach my $row (answers("SELECT json_build_array(v.version, i.position, i.$k->{key}, $k->{source}, i.$k->{type}) FROM ${kind}_version AS v, $k->{items}($id, v.version) AS i WHERE v.${kind}_id = $id ORDER BY v.version, i.position"))
	{
		my ($v, $position, $key, $source, $type) = @$row;
		$wrong->("version $v: key $key twice") if $version{$v}{key}{$key};
		$version{$v}{key}{$key} = { position => $position, source => $source, type => $type };
		push @{ $version{$v}{order} }, $key;
	}
	my $versions = sql("SELECT max(version) FROM ${kind}_version WHERE ${kind}_id = $id");
	$version{$_} //= {} foreach 1 .. $versions;
	$_->{order} //= [] foreach values %version;
	none("$about: keys are unique in every version", splice @wrong);

	# Descents name what is there.
	my (%descent, %once);
	foreach my $row (answers("SELECT json_build_array($k->{key}, from_key, version, change) FROM $k->{descent} WHERE ${kind}_id = $id"))
	{
		my ($key, $from, $v, $change) = @$row;
		my $text = "key $key from $from in version $v, $change";
		$wrong->("$text: twice") if $once{$text}++;
		$wrong->("$text: no such version") and next if $v < 2 || $v > $versions;
		$wrong->("$text: from itself") if $key == $from;
		my ($old, $new) = @version{ $v - 1, $v };
		$wrong->("$text: it is not there then") if !$new->{key}{$key};
		$wrong->("$text: the origin was not there before") if !$old->{key}{$from};
		$wrong->("$text: no such change") if $change !~ /^(split|merged)$/;
		$wrong->("$text: it was there before") if $change eq 'split' && $old->{key}{$key};
		$wrong->("$text: the origin is gone") if $change eq 'split' && !$new->{key}{$from};
		$wrong->("$text: it was not there before") if $change eq 'merged' && !$old->{key}{$key};
		$wrong->("$text: what was taken in still stands") if $change eq 'merged' && $new->{key}{$from};
		$descent{$v}{"$change $key $from"} = 1;
	}
	none("$about: descents fit the versions", splice @wrong);

	# Any two versions, those that follow each other among them, in both directions.
	my @pair = map { [ $_ - 1, $_ ] } 2 .. $versions;
	push @pair, map { [ 1 + int rand $versions, 1 + int rand $versions ] } 1 .. $pairs;
	my %seen;
	@pair = grep { !$seen{"@$_"}++ } map { ($_, [ reverse @$_ ]) } @pair;
	my $values = join(', ', map { "($_->[0], $_->[1])" } @pair);
	my (%diff, %lines, %text, %equal, @paths);
	push @{ $diff{"$_->[0] $_->[1]"} }, $_->[2] foreach answers(<<"SQL");
SELECT json_build_array(p.a, p.b, json_build_object('key', d.$k->{key}, 'change', d.change, 'old_position', d.old_position, 'new_position', d.new_position,
    'old_source', d.old_source, 'new_source', d.new_source, 'detail', d.detail))
  FROM (VALUES $values) AS p (a, b), ${kind}_diff($id, p.a, p.b) WITH ORDINALITY AS d (change, $k->{key}, old_position, new_position, old_source, new_source, detail, n)
 ORDER BY p.a, p.b, d.n
SQL
	push @{ $lines{"$_->[0] $_->[1]"} }, $_->[2] foreach answers(<<"SQL");
SELECT json_build_array(p.a, p.b, json_build_array(d.$k->{key}, d.old_line, d.new_line, d.mark, d.text))
  FROM (VALUES $values) AS p (a, b), ${kind}_diff_lines($id, p.a, p.b) WITH ORDINALITY AS d ($k->{key}, old_line, new_line, mark, text, n)
 ORDER BY p.a, p.b, d.n
SQL
	$text{"$_->[0] $_->[1]"} = $_->[2], $equal{"$_->[0] $_->[1]"} = $_->[3] foreach answers(<<"SQL");
SELECT json_build_array(p.a, p.b, ${kind}_diff_text($id, p.a, p.b), ${kind}_at($id, p.a)::text = ${kind}_at($id, p.b)::text) FROM (VALUES $values) AS p (a, b)
SQL

	my (@order, @swap, @line, @prose, @edge);
	foreach my $pair (@pair)
	{
		my ($from, $to) = @$pair;
		my ($old, $new, $name) = ($version{$from}, $version{$to}, "$from to $to");
		my (%row, %moved, @at);
		foreach my $d (@{ $diff{"$from $to"} // [] })
		{
			my $key = $d->{key} // next;
			my %detail = map { $_ => 1 } @{ $d->{detail} };
			$wrong->("$name: two rows of key $key") if $row{$key};
			$row{$key} = $d;
			$moved{$key} = 1 if $kind eq 'notebook' && $detail{position};
			foreach my $side ([ 'old', $old ], [ 'new', $new ])
			{
				my ($word, $v) = @$side;
				my $item = $v->{key}{$key};
				$wrong->("$name: $word position of key $key, $d->{change}") if ($d->{"${word}_position"} // 'none') ne ($item->{position} // 'none');
				$wrong->("$name: $word source of key $key, $d->{change}") if ($d->{"${word}_source"} // 'none') ne ($item->{source} // 'none');
			}
			my ($o, $n) = ($old->{key}{$key}, $new->{key}{$key});
			$wrong->("$name: key $key is in neither") if !$o && !$n;
			$wrong->("$name: key $key is new, but $d->{change}") if !$o && $d->{change} !~ /^(inserted|split)$/;
			$wrong->("$name: key $key is gone, but $d->{change}") if !$n && $d->{change} !~ /^(deleted|merged)$/;
			$wrong->("$name: key $key is in both, but $d->{change}") if $o && $n && $d->{change} =~ /^(inserted|deleted)$/;
			$wrong->("$name: key $key is split without a word of whence or where") if $d->{change} eq 'split' && !grep { $o ? /^into \d+$/ : /^from \d+$/ } keys %detail;
			$wrong->("$name: key $key is merged without a word of whence or where") if $d->{change} eq 'merged' && !grep { $n ? /^with \d+$/ : /^into \d+$/ } keys %detail;
			$wrong->("$name: key $key has changed, but is $d->{change}") if $o && $n && ($o->{source} ne $n->{source} || $o->{type} ne $n->{type}) && $d->{change} !~ /modified|split|merged/;
			$wrong->("$name: key $key has not changed, but is $d->{change}") if $kind eq 'notebook' && $o && $n && $o->{source} eq $n->{source} && $o->{type} eq $n->{type} && $d->{change} =~ /modified/;
			$wrong->("$name: detail of key $key names the source") if $kind eq 'notebook' && $o && $n && ($o->{source} ne $n->{source}) != ($detail{source} // 0);
			$wrong->("$name: key $key is $d->{change} with {@{ $d->{detail} }}") if $d->{change} =~ /^(inserted|deleted)$/ && @{ $d->{detail} };
			push @edge, "$name: key $key, the other one is not there" if grep { /^(?:into|from|with) (\d+)$/ && !$old->{key}{$1} && !$new->{key}{$1} } keys %detail;
			push @paths, [ $from, $to, $key, $_ ] foreach grep { $o && $n && /^\Q$k->{metadata}\E/ } keys %detail;
		}

		# What no row names is the same in both.
		foreach my $key (grep { !$row{$_} } uniq(@{ $old->{order} }, @{ $new->{order} }))
		{
			my ($o, $n) = map { $_->{key}{$key} } $old, $new;
			$wrong->("$name: key $key is not told of") if !$o || !$n || $o->{source} ne $n->{source} || $o->{type} ne $n->{type};
		}

		# The old version and the rows give the new one.
		if ($kind eq 'notebook')
		{
			my @given = grep { defined $_->{new_position} && (!defined $_->{old_position} || $moved{ $_->{key} }) } values %row;
			$at[ $_->{new_position} ] = [ $_->{key}, $_->{new_source} ] foreach @given;
			my %apart = map { $_->{key} => 1 } @given, grep { !defined $_->{new_position} } values %row;
			my @stay = map { [ $_, $row{$_} ? $row{$_}{new_source} : $old->{key}{$_}{source} ] } grep { !$apart{$_} } @{ $old->{order} };
			my $n = 0;
			while (@stay) { $at[$n] = shift @stay if !$at[$n]; $n++; }
			$wrong->("$name: the rows applied to the old version do not give the new one")
			  if $json->encode(\@at) ne $json->encode([ map { [ $_, $new->{key}{$_}{source} ] } @{ $new->{order} } ]);
			my @common = map { $old->{key}{$_}{position} } grep { $old->{key}{$_} } @{ $new->{order} };
			push @order, "$name: " . keys(%moved) . ' moved instead of ' . (@common - ascending(@common)) if keys(%moved) != @common - ascending(@common);
		}
		# The order of the rows: by new places, the gone ones where they stood.
		my @new = grep { defined } map { defined $_->{key} ? $_->{new_position} : undef } @{ $diff{"$from $to"} // [] };
		push @order, "$name: rows are not in the order of the new version" if $kind eq 'notebook' && "@new" ne join(' ', sort { $a <=> $b } @new);

		# Backwards the same is said with the words swapped.  A cell that was both
		# cut and joined has one of the two words.
		my $words = sub {
			my ($rows, $swapped) = @_;
			my @said;
			foreach my $d (grep { defined $_->{key} && $_->{change} =~ /inserted|deleted|split|merged|modified/ } @{ $rows // [] })
			{
				my ($o, $n) = map { defined $_ } $swapped ? @$d{qw(new_position old_position)} : @$d{qw(old_position new_position)};
				my @tie = map { /^(into|from|with) (\d+)$/ ? [ $1, $2 ] : () } @{ $d->{detail} };
				@tie = map { my ($w, $key) = @$_; [ $o && $n ? ($w eq 'into' ? 'with' : 'into') : $w eq 'from' ? 'into' : 'from', $key ] } @tie if $swapped;
				my $change = @tie ? 'descent' : $o && $n ? $d->{change} =~ s/^moved_//r : $o ? 'deleted' : 'inserted';
				push @said, join(' ', "$d->{key}:$change", sort map { "$_->[0] $_->[1]" } @tie);
			}
			return join('; ', sort @said);
		};
		my ($there, $back) = ($words->($diff{"$from $to"}, 0), $words->($diff{"$to $from"}, 1));
		if ($there ne $back)
		{
			my %count;
			$count{$_}++ foreach split(/; /, $there), split(/; /, $back);
			my %odd = map { /^(\d+)/ ? ($1 => 1) : () } grep { $count{$_} == 1 } keys %count;
			my $show = sub { return join('; ', map { "key $_->{key} " . ($_->{old_position} // '-') . '>' . ($_->{new_position} // '-') . " $_->{change} {@{ $_->{detail} }}" } grep { defined $_->{key} && $odd{ $_->{key} } } @{ $_[0] // [] }) };
			push @swap, "$name: " . $show->($diff{"$from $to"}) . "\n  backwards: " . $show->($diff{"$to $from"});
		}

		# Versions that follow each other: split and merged where descents say so, and only there.
		if ($to == $from + 1)
		{
			my $told = join(', ', sort map { my $d = $_; map { /^from (\d+)$/ && !defined $d->{old_position} ? "split $d->{key} $1" : /^into (\d+)$/ && !defined $d->{new_position} ? "merged $1 $d->{key}" : () } @{ $d->{detail} } } grep { $_->{change} =~ /^(split|merged)$/ } @{ $diff{"$from $to"} // [] });
			my $is = join(', ', sort keys %{ $descent{$to} // {} });
			push @edge, "$name: rows say '$told', descents '$is'" if $told ne $is;
		}

		# Lines: both sources can be read off them, and no line is there in vain.
		my (%by, @turn);
		foreach my $l (@{ $lines{"$from $to"} // [] })
		{
			push @turn, $l->[0] if !$by{ $l->[0] };
			push @{ $by{ $l->[0] } }, $l;
			push @line, "$name: rows of key $l->[0] are not together" if $turn[-1] != $l->[0];
		}
		my @owing = grep { my $d = $_; defined $d->{key} && ($d->{old_source} // '') ne ($d->{new_source} // '') } @{ $diff{"$from $to"} // [] };
		push @line, "$name: lines are of keys @turn instead of " . join(' ', map { $_->{key} } @owing) if "@turn" ne join(' ', map { $_->{key} } @owing);
		foreach my $d (@owing)
		{
			my @l = @{ $by{ $d->{key} } // [] };
			my ($o, $n) = (0, 0);
			foreach (@l)
			{
				my ($key, $old_line, $new_line, $mark, $t) = @$_;
				push @line, "$name: a line of key $key with a line feed" if $t =~ /\n/;
				push @line, "$name: old numbers of key $key" if $mark =~ /^[ -]$/ ? ($old_line // 0) != ++$o : defined $old_line;
				push @line, "$name: new numbers of key $key" if $mark =~ /^[ +]$/ ? ($new_line // 0) != ++$n : defined $new_line;
				push @line, "$name: mark '$mark' of key $key" if $mark !~ /^[ +-]$/;
			}
			push @line, "$name: old source of key $d->{key}" if join("\n", map { $_->[4] } grep { $_->[3] ne '+' } @l) ne ($d->{old_source} // '');
			push @line, "$name: new source of key $d->{key}" if join("\n", map { $_->[4] } grep { $_->[3] ne '-' } @l) ne ($d->{new_source} // '');
			next if !defined $d->{old_source} || !defined $d->{new_source};
			my $same = common([ split /\n/, $d->{old_source}, -1 ], [ split /\n/, $d->{new_source}, -1 ]);
			my $kept = grep { $_->[3] eq ' ' } @l;
			push @line, "$name: key $d->{key} keeps $kept lines, not $same" if $kept != $same;
		}

		# The text is empty where nothing changed, and only there; it has the changed lines.
		my $changed = @{ $diff{"$from $to"} // [] };
		my $t = $text{"$from $to"};
		push @prose, "$name: no text" and next if !defined $t;
		push @prose, "$name: a text without a change" if !$changed && $t ne '';
		push @prose, "$name: a change without a text" if $changed && $t eq '';
		push @prose, "$name: unequal without a row" if $kind eq 'notebook' && !$changed && !$equal{"$from $to"};
		push @prose, "$name: rows between equals" if $changed && $equal{"$from $to"};
		push @prose, "$name: a line is missing in the text" if grep { $_->[3] ne ' ' && $_->[4] =~ /^[ -~]{0,120}$/ && index($t, $_->[4]) < 0 } @{ $lines{"$from $to"} // [] };
	}
	none("$about: rows fit the versions", splice @wrong);
	none("$about: order", @order);
	none("$about: the words of the way back", @swap);
	none("$about: descents and differences agree", @edge);
	none("$about: lines", @line);
	none("$about: text", @prose);

	# The paths of metadata and properties are paths, and what is there differs.
	if (@paths)
	{
		my $v = join(",\n", map { my ($f, $t, $key, $path) = @$_; utf8::encode($path); "($f, $t, $key, \$p\$$path\$p\$)" } @paths[ 0 .. min($#paths, 150) ]);
		none("$about: paths", split /\n/, sql(<<"SQL"));
SELECT a || ' to ' || b || ' key ' || key || ': ' || path
  FROM (VALUES $v) AS p (a, b, key, path),
       LATERAL (SELECT ${kind}_at($id, a) -> '$k->{array}' -> i.position AS item FROM $k->{items}($id, a) AS i WHERE i.$k->{key} = key) AS o,
       LATERAL (SELECT ${kind}_at($id, b) -> '$k->{array}' -> i.position AS item FROM $k->{items}($id, b) AS i WHERE i.$k->{key} = key) AS n
 WHERE jsonb_path_query_array(o.item, ('strict \$.' || path)::jsonpath, '{}', true) IS NOT DISTINCT FROM jsonb_path_query_array(n.item, ('strict \$.' || path)::jsonpath, '{}', true)
SQL
	}

	# A history of a key has the versions in which the differences name it, with their words.
	none("$about: histories", split /\n/, sql(<<"SQL"));
WITH told AS (
  SELECT d.$k->{key} AS key, v.version, d.change FROM ${kind}_version AS v, ${kind}_diff($id, v.version - 1, v.version) AS d
   WHERE v.${kind}_id = $id AND v.version > 1 AND d.$k->{key} IS NOT NULL),
lived AS (
  SELECT k.key, h.version, h.change FROM (SELECT DISTINCT key FROM told) AS k, $k->{history}($id, k.key) AS h WHERE h.version > 1)
(SELECT 'told, not lived: ' || t FROM (TABLE told EXCEPT TABLE lived) AS t) UNION ALL (SELECT 'lived, not told: ' || t FROM (TABLE lived EXCEPT TABLE told) AS t)
SQL
	# The counts of a version: items that came, and items that went.
	none("$about: counts of versions", split /\n/, sql(<<"SQL"));
SELECT v.version || ': ' || d.came || ' came, ' || v.inserted || ' inserted; ' || d.went || ' went, ' || v.deleted || ' deleted'
  FROM ${kind}_version AS v, LATERAL (SELECT count(*) FILTER (WHERE old_position IS NULL) AS came, count(*) FILTER (WHERE new_position IS NULL) AS went
    FROM ${kind}_diff($id, v.version - 1, v.version) WHERE $k->{key} IS NOT NULL) AS d
 WHERE v.${kind}_id = $id AND v.version > 1 AND (d.came, d.went) IS DISTINCT FROM (v.inserted, v.deleted)
SQL
	is(sql("SELECT * FROM store_verify('$kind', $id)"), '', "$about: sound");
	return \%version;
}

$node = start_server('differences');

foreach my $seed (@seed)
{
	foreach my $kind (qw(notebook workflow))
	{
		foreach my $way ('model', 'plain')
		{
			srand($seed * 4 + ($kind eq 'notebook') * 2 + ($way eq 'plain'));
			($plain, $id_way, $counter) = ($way eq 'plain', $kind eq 'workflow' || $seed % 3, 0);
			my $about = "seed $seed, $kind, $way";
			my $id = 1000 + $seed * 10 + ($plain ? 1 : 0);
			my $n = { items => [ map { new_item() } 1 .. 8 ], metadata => {}, links => [], split => [], merged => [] };
			my @history = copy($n);
			my @statement = ("INSERT INTO $kind (${kind}_id, name, content) VALUES ($id, 's', " . quoted(document($kind, $n)) . ')');

			while (@statement < $saves)
			{
				my $dice = rand;
				%touched = ();
				@$n{qw(split merged)} = ([], []);
				if ($dice < 0.12 && @history > 2)
				{
					my $version = 1 + int rand @history;
					@$n{qw(items metadata links)} = @{ copy($history[ $version - 1 ]) }{qw(items metadata links)};
					push @statement, "SELECT ${kind}_restore($id, $version)";
				}
				else
				{
					my @deed = $plain ? @deeds : grep { !/^(duplicate|blank)$/ } @deeds;
					@deed = grep { $kind eq 'workflow' ? !/^run$/ : !/^(link|layout)$/ } @deed;
					my %was = map { join("\n", @{ $_->{lines} }) => 1 } map { @{ $_->{items} } } @history;
					$deed{ pick(@deed) }->($n, \%was) foreach 1 .. ($plain ? 1 + rand 5 : 1 + rand 3);
					@{ $n->{items} } = shuffle(@{ $n->{items} }) if $kind eq 'workflow' && rand() < 0.2;
					push @statement, rand() < 0.5 ? "SELECT ${kind}_commit($id, " . quoted(document($kind, $n)) . ')'
					  : "UPDATE $kind SET content = " . quoted(document($kind, $n)) . " WHERE ${kind}_id = $id";
				}
				push @history, copy($n) if $json->encode(document($kind, $n)) ne $json->encode(document($kind, $history[-1]));
			}
			my ($out, $err) = ('', '');
			is($node->psql('postgres', "SET search_path = notebook_migrate, public;\n" . join(";\n", @statement) . ';', stdout => \$out, stderr => \$err, on_error_stop => 1), 0, "$about: the script runs") or diag($err);
			is(sql("SELECT version FROM $kind WHERE ${kind}_id = $id"), scalar @history, "$about: a version for each change");
			my $version = check($kind, $id, $about);
			next if $plain;

			# The model: a name has one key and a key one name, over the whole history.
			my (%name_of, %key_of, @mixed);
			foreach my $v (1 .. @history)
			{
				foreach my $p (0 .. $#{ $history[ $v - 1 ]{items} })
				{
					my ($name, $key) = ($history[ $v - 1 ]{items}[$p]{name}, $version->{$v}{order}[$p]);
					push @mixed, "version $v: key $key was $name_of{$key}, is $name" if ($name_of{$key} //= $name) ne $name;
					push @mixed, "version $v: $name had key $key_of{$name}, has $key" if ($key_of{$name} //= $key) != $key;
				}
			}
			none("$about: keys and items are one to one", @mixed);

			# Every split and merge that the model made is recorded, and no other but by a restore.
			my $k = $kind{$kind};
			my %made = map { my $v = $_; my $h = $history[ $v - 1 ]; map({ ("$v split $_->[0] $_->[1]" => 1) } @{ $h->{split} }), map({ ("$v merged $_->[0] $_->[1]" => 1) } @{ $h->{merged} }) } 2 .. @history;
			my %is = map { my ($key, $from, $v, $change) = @$_; ("$v $change " . ($name_of{$key} // '?') . ' ' . ($name_of{$from} // '?') => 1) } answers("SELECT json_build_array($k->{key}, from_key, version, change) FROM $k->{descent} WHERE ${kind}_id = $id");
			my %restored = map { $_ => 1 } grep { my $v = $_; grep { $json->encode(document($kind, $history[ $v - 1 ])) eq $json->encode(document($kind, $history[ $_ - 1 ])) } 1 .. $v - 1 } 2 .. @history;
			none("$about: descents that were made and are not recorded", grep { !$is{$_} && !$restored{ (split / /)[0] } } sort keys %made);
			none("$about: descents that are recorded and were not made", grep { !$made{$_} && !$restored{ (split / /)[0] } } sort keys %is);
		}
	}
}

# Documents made to be awkward: each pair in both directions, held against the same rules.
my @awkward = (
	[ 'empty and full', [], [ 'a', 'b' ] ], [ 'blank cells', [ ('') x 30 ], [ ('') x 12, 'x', ('') x 25 ] ],
	[ 'line ends', [ "a\r\nb\r\n", "a\nb\n", "\n", "\n\n", '' ], [ "a\nb\n", "a\r\nb\r\n", "\n\n", "\n", "\r" ] ],
	[ 'strange separators', [ "a\x{2028}b\nc", "\x{85}\x{0b}\x{0c}", "\x{feff}x" ], [ "a\nb\nc", "\x{0c}", "x" ] ],
	[ 'all but NUL', [ join('', map { chr } 1 .. 0x2ff) ], [ join('', map { chr } 1 .. 0x2fe), join('', map { chr } reverse 1 .. 0x1ff) ] ],
	[ 'diff marks in the text', [ "+++ a\n--- b\n@@ -1 +1 @@\n-x\n+y", '<<<<<<< ours' ], [ "+++ a\n--- c\n@@ -1 +1 @@\n-x\n+y\n\\ No newline at end of file", "<<<<<<< ours\n=======\n>>>>>>> theirs" ] ],
	[ 'equal cells', [ ('plot(x)') x 20, 'y', ('plot(x)') x 20 ], [ ('plot(x)') x 15, 'y', ('plot(x)') x 30, 'y' ] ],
	[ 'all changed places', [ 'a' .. 'z' ], [ reverse 'a' .. 'z' ] ],
	[ 'combining signs and astral ones', [ "e\x{301} \x{1f600}\nx" ], [ "\x{e9} \x{1f601}\nx" ] ],
	[ 'one long line', [ 'x' x 20000 . 'a' . 'y' x 20000 ], [ 'x' x 20000 . 'b' . 'y' x 20000 ] ],
	[ 'repeated lines', [ join("\n", ('a', 'b') x 40) ], [ join("\n", ('b', 'a') x 41) ] ],
	[ 'one line cut within it', [ 'alpha beta gamma delta epsilon zeta eta theta' ], [ 'alpha beta gamma delta epsilon ', 'zeta eta theta' ] ]);
my $id = 9000;
foreach my $case (@awkward)
{
	my ($name, @side) = @$case;
	foreach my $kind (qw(notebook workflow))
	{
		my @doc = map { my $n = 0; document($kind, { metadata => {}, links => [], items => [ map { { name => "n$n", id => 'id-' . $n++, type => 'code', metadata => {}, outputs => [], count => undef, lines => [ split /\n/, $_, -1 ] } } @$_ ] }) } @side;
		$id_way = $id++ % 2;
		sql("INSERT INTO $kind (${kind}_id, name, content) VALUES ($id, 'awkward', " . quoted($doc[0]) . ');' . join('', map { "SELECT ${kind}_commit($id, " . quoted($_) . ');' } @doc[ 1, 0 ]));
		check($kind, $id, "$kind: $name");
		is(sql("SELECT count(*) FROM $kind WHERE ${kind}_id = $id AND version = 3 AND content::text = " . quoted($doc[0]) . '::jsonb::text'), 1, "$kind: $name: reads back");
	}
}

$node->stop;
done_testing();
