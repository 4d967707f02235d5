# Two people's changes to one document, put together: by the functions that
# only compute, and by commits.  Nothing that anybody wrote is lost.
# NBM_SEED replays one random script.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/../lib";
use PostgreSQL::Test::Utils;
use StoreTest;
use Test::More;
use JSON::PP;
use File::Basename;
use List::Util qw(shuffle first min uniq);
use Time::HiRes qw(time);

my @seed = defined $ENV{NBM_SEED} ? ($ENV{NBM_SEED}) : (1 .. 60);
my $data = $ENV{NBM_DATA};
my ($counter, $node) = (0);
my @strategy = qw(conflict mark ours theirs);

sub pick { return @_ ? $_[ rand @_ ] : undef; }

# The one row of a merge: content and conflicts.
sub merged
{
	my ($base, $ours, $theirs, $strategy, $kind) = @_;
	$kind //= 'notebook';
	my @row = answers("SELECT json_build_array(content, conflicts) FROM ${kind}_merge(" . join(', ', map { quoted($_) } $base, $ours, $theirs) . ($strategy ? ", '$strategy'" : '') . ')');
	is(scalar @row, 1, 'one row') if @row != 1;
	return @{ $row[0] };
}
# Tests a merge: the document, and what is said of conflicts ("kind path taken").
sub merges
{
	my ($base, $ours, $theirs, $strategy, $expected, $conflicts, $name) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	my ($content, $said) = merged($base, $ours, $theirs, $strategy);
	is($json->encode($content), $json->encode($expected), $name) if defined $expected;
	is(join('; ', map { "$_->{kind} $_->{path} $_->{taken}" } @$said), $conflicts, "$name: conflicts");
	return ($content, $said);
}

sub cell
{
	my ($id, $source, %more) = @_;
	return { id => $id, cell_type => 'code', source => $source, metadata => {}, outputs => [], execution_count => undef, %more };
}
sub notebook { return { cells => [@_], metadata => {}, nbformat => 4, nbformat_minor => 5 }; }
sub printed { return [ { output_type => 'stream', name => 'stdout', text => $_[0] } ]; }
# Lines that are like no others.
sub lines
{
	my ($tag, $n) = @_;
	srand(unpack('%32C*', $tag) * 7919);
	return map { join(' ', map({ sprintf('%06x', rand 2**24) } 1 .. 4), "# $tag$_") } 1 .. $n;
}
sub text { return join("\n", @_); }

$node = start_server('merge');

# Changes that do not meet.
my @l = lines('a', 10);
my $base = notebook(cell('A', text(@l)), cell('B', text(lines('b', 6))), cell('C', text(lines('c', 6))), cell('D', text(lines('d', 6))));
sub with
{
	my ($document, @change) = @_;
	my $n = copy($document);
	$_->($n) foreach @change;
	return $n;
}
sub set { my ($i, $member, $value) = @_; return sub { $_[0]{cells}[$i]{$member} = $value; }; }
sub lined { my ($i, %line) = @_; return sub { my @s = split /\n/, $_[0]{cells}[$i]{source}, -1; $s[$_] = $line{$_} foreach keys %line; $_[0]{cells}[$i]{source} = text(@s); }; }
sub insert { my ($i, @cell) = @_; return sub { splice @{ $_[0]{cells} }, $i, 0, @cell; }; }
sub remove { my $i = shift; return sub { splice @{ $_[0]{cells} }, $i, 1; }; }
sub move { my ($from, $to) = @_; return sub { my ($c) = splice @{ $_[0]{cells} }, $from, 1; splice @{ $_[0]{cells} }, $to, 0, $c; }; }

my ($X, $Y) = (cell('X', text(lines('x', 4))), cell('Y', text(lines('y', 4))));
foreach my $strategy (undef, @strategy)
{
	my $about = $strategy // 'no strategy';
	merges($base, $base, $base, $strategy, $base, '', "$about: nothing changed");
	merges($base, with($base, lined(0, 1, 'new')), with($base, lined(2, 1, 'newer')), $strategy, with($base, lined(0, 1, 'new'), lined(2, 1, 'newer')), '', "$about: two cells");
	merges($base, with($base, lined(0, 1, 'new')), with($base, lined(0, 8, 'newer')), $strategy, with($base, lined(0, 1, 'new', 8, 'newer')), '', "$about: two lines of a cell");
	merges($base, with($base, lined(0, 1, 'new')), with($base, lined(0, 1, 'new')), $strategy, with($base, lined(0, 1, 'new')), '', "$about: the same line in the same way");
	merges($base, with($base, lined(0, 1, 'new', 5, 'mine')), with($base, lined(0, 1, 'new', 9, 'yours')), $strategy, with($base, lined(0, 1, 'new', 5, 'mine', 9, 'yours')), '', "$about: partly the same");
	merges($base, with($base, insert(1, $X)), with($base, insert(3, $Y)), $strategy, with($base, insert(3, $Y), insert(1, $X)), '', "$about: inserted at two places");
	merges($base, with($base, insert(1, $X)), with($base, insert(1, $Y)), $strategy, with($base, insert(1, $X, $Y)), '', "$about: inserted at one place, ours first");
	merges($base, with($base, insert(4, $X)), with($base, insert(4, $Y)), $strategy, with($base, insert(4, $X, $Y)), '', "$about: inserted at the end");
	merges($base, with($base, insert(0, $X)), with($base, insert(0, $Y)), $strategy, with($base, insert(0, $X, $Y)), '', "$about: inserted at the beginning");
	merges($base, with($base, insert(1, $X)), with($base, insert(1, $X)), $strategy, with($base, insert(1, $X)), '', "$about: the same cell inserted by both");
	merges($base, with($base, insert(1, $X)), with($base, insert(1, { %$X, id => 'other' })), $strategy, with($base, insert(1, $X)), '', "$about: the same cell under two ids");
	merges($base, with($base, insert(1, $X)), with($base, insert(3, $X)), $strategy, undef, '', "$about: the same cell at two places");
	merges($base, with($base, remove(1)), with($base, remove(2)), $strategy, with($base, remove(2), remove(1)), '', "$about: two deleted");
	merges($base, with($base, remove(1)), with($base, remove(1)), $strategy, with($base, remove(1)), '', "$about: one deleted by both");
	merges($base, with($base, remove(1)), with($base, lined(3, 2, 'new')), $strategy, with($base, lined(3, 2, 'new'), remove(1)), '', "$about: deleted here, edited there");
	merges($base, with($base, move(0, 3)), $base, $strategy, with($base, move(0, 3)), '', "$about: moved by ours");
	merges($base, $base, with($base, move(0, 3)), $strategy, with($base, move(0, 3)), '', "$about: moved by theirs");
	merges($base, with($base, move(0, 3)), with($base, lined(0, 2, 'new')), $strategy, with($base, lined(0, 2, 'new'), move(0, 3)), '', "$about: moved by ours, edited by theirs");
	merges($base, with($base, lined(0, 2, 'new')), with($base, move(0, 3)), $strategy, with($base, lined(0, 2, 'new'), move(0, 3)), '', "$about: edited by ours, moved by theirs");
	merges($base, with($base, move(3, 0)), with($base, move(3, 0)), $strategy, with($base, move(3, 0)), '', "$about: moved by both to one place");
	merges($base, with($base, remove(0), remove(0), remove(0), remove(0)), $base, $strategy, with($base, remove(0), remove(0), remove(0), remove(0)), '', "$about: all deleted by one");
	merges(notebook(), notebook($X), notebook($Y), $strategy, notebook($X, $Y), '', "$about: two notebooks that were begun");

	# Metadata, member by member.
	my $tagged = with($base, set(0, 'metadata', { tags => ['a'], slideshow => { slide_type => 'slide' }, collapsed => JSON::PP::true }));
	merges($tagged, with($tagged, sub { $_[0]{cells}[0]{metadata}{tags} = ['b'] }), with($tagged, sub { delete $_[0]{cells}[0]{metadata}{collapsed}; $_[0]{cells}[0]{metadata}{slideshow}{more} = 1 }), $strategy,
		with($tagged, set(0, 'metadata', { tags => ['b'], slideshow => { slide_type => 'slide', more => 1 } })), '', "$about: metadata member by member");
	merges($base, with($base, sub { $_[0]{metadata}{mine} = 1 }), with($base, sub { $_[0]{metadata}{yours} = { a => 1 } }), $strategy, with($base, sub { $_[0]{metadata} = { mine => 1, yours => { a => 1 } } }), '', "$about: metadata of the notebook");
	merges($base, with($base, sub { $_[0]{metadata}{k} = { a => 1 } }), with($base, sub { $_[0]{metadata}{k} = { b => 1 } }), $strategy, with($base, sub { $_[0]{metadata}{k} = { a => 1, b => 1 } }), '', "$about: the same member begun by both");

	# What never conflicts: outputs, counts, ids, language_info.
	my $ran = with($base, set(0, 'outputs', printed('1')), set(0, 'execution_count', 1));
	merges($base, $ran, with($base, lined(0, 2, 'new')), $strategy, with($ran, lined(0, 2, 'new')), '', "$about: run by ours, edited by theirs");
	merges($base, with($base, lined(0, 2, 'new')), $ran, $strategy, with($ran, lined(0, 2, 'new')), '', "$about: edited by ours, run by theirs");
	my $again = with($base, set(0, 'outputs', printed('2')), set(0, 'execution_count', 9));
	merges($base, $ran, $again, $strategy, $strategy && $strategy eq 'theirs' ? undef : $ran, '', "$about: run by both");
	merges($base, $ran, with($again, lined(0, 2, 'new')), $strategy, with($again, lined(0, 2, 'new')), '', "$about: run by both, edited by theirs");
	merges($base, with($ran, lined(0, 2, 'new')), $again, $strategy, with($ran, lined(0, 2, 'new')), '', "$about: run by both, edited by ours");
	merges($base, with($base, remove(0)), $again, $strategy, with($base, remove(0)), '', "$about: deleted by ours, run by theirs");
	merges($base, $again, with($base, remove(0)), $strategy, with($base, remove(0)), '', "$about: run by ours, deleted by theirs");
	my $new_ids = with($base, sub { $_->{id} = "new-$_->{id}" foreach @{ $_[0]{cells} } });
	my ($c) = merges($base, $new_ids, with($base, lined(1, 2, 'new')), $strategy, undef, '', "$about: all ids new");
	is(join('|', map { $_->{source} } @{ $c->{cells} }), join('|', map { $_->{source} } @{ with($base, lined(1, 2, 'new'))->{cells} }), "$about: all ids new: the cells are the same");
	my $other_ids = with($base, lined(1, 2, 'new'), sub { $_->{id} = "other-$_->{id}" foreach @{ $_[0]{cells} } });
	($c) = merges($base, $new_ids, $other_ids, $strategy, undef, '', "$about: all ids new, twice");
	is(join('|', map { $_->{source} } @{ $c->{cells} }), join('|', map { $_->{source} } @{ with($base, lined(1, 2, 'new'))->{cells} }), "$about: all ids new, twice: the cells are the same");
	my @info = map { my $v = $_; with($base, sub { $_[0]{metadata}{language_info} = { name => 'python', version => $v } }) } qw(3.9 3.10 3.11);
	merges(@info, $strategy, undef, '', "$about: language_info");
}

# Changes that meet.  The whole of what is said of each.
sub conflict
{
	my ($base, $ours, $theirs, $strategy, $expected, $conflicts, $name) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	my ($content, $said) = merged($base, $ours, $theirs, $strategy);
	is($json->encode($content), $json->encode($expected), "$strategy: $name");
	is($json->encode($said), $json->encode($conflicts), "$strategy: $name: conflicts");
	return $said;
}
{
	my ($ours, $theirs) = (with($base, lined(0, 1, 'ours', 4, 'more of ours')), with($base, lined(0, 1, 'theirs', 8, 'more of theirs')));
	my ($b, $o, $t) = map { $_->{cells}[0]{source} } $base, $ours, $theirs;
	my %both = (4, 'more of ours', 8, 'more of theirs');
	my $record = { kind => 'source', path => '$.cells[0].source', base => $b, ours => $o, theirs => $t, taken => 'ours', lines => [ { line => 2, base => [ $l[1] ], ours => ['ours'], theirs => ['theirs'] } ] };
	conflict($base, $ours, $theirs, 'conflict', with($base, lined(0, 1, 'ours', %both)), [$record], 'one line by both');
	conflict($base, $ours, $theirs, 'ours', with($base, lined(0, 1, 'ours', %both)), [$record], 'one line by both');
	conflict($base, $ours, $theirs, 'theirs', with($base, lined(0, 1, 'theirs', %both)), [ { %$record, taken => 'theirs' } ], 'one line by both');
	conflict($base, $ours, $theirs, 'mark', with($base, lined(0, 1, text('<<<<<<< ours', 'ours', '=======', 'theirs', '>>>>>>> theirs'), %both)), [ { %$record, taken => 'marked' } ], 'one line by both');

	# A conflict at the first and the last line, an empty side, two in a cell.
	foreach my $at ([ 0, 'first' ], [ 9, 'last' ])
	{
		my ($i, $word) = @$at;
		my ($content, $said) = merged($base, with($base, lined(0, $i, 'ours')), with($base, lined(0, $i, 'theirs')), 'mark');
		is($content->{cells}[0]{source}, with($base, lined(0, $i, text('<<<<<<< ours', 'ours', '=======', 'theirs', '>>>>>>> theirs')))->{cells}[0]{source}, "mark: the $word line");
		is($json->encode([ map { $_->{line} } @{ $said->[0]{lines} } ]), $json->encode([ $i + 1 ]), "mark: the $word line: its number");
	}
	my ($content, $said) = merged($base, with($base, lined(0, 1, 'o1', 7, 'o7')), with($base, lined(0, 1, 't1', 7, 't7')), 'mark');
	is(scalar @$said, 1, 'mark: two places of a cell are one conflict');
	is($json->encode([ map { [ @$_{qw(base ours theirs)} ] } @{ $said->[0]{lines} } ]), $json->encode([ [ [ $l[1] ], ['o1'], ['t1'] ], [ [ $l[7] ], ['o7'], ['t7'] ] ]), 'mark: and both are told');
	my @content_line = split /\n/, $content->{cells}[0]{source}, -1;
	is(join(' ', map { $content_line[ $_->{line} - 1 ] } @{ $said->[0]{lines} }), '<<<<<<< ours <<<<<<< ours', 'mark: the numbers are where the marks begin');
	($content, $said) = merged($base, with($base, lined(0, 1, text(qw(o1 o2 o3)), 7, 'o7')), with($base, lined(0, 1, 't1', 7, 't7')), 'conflict');
	@content_line = split /\n/, $content->{cells}[0]{source}, -1;
	is(join(' ', map { $content_line[ $_->{line} - 1 ] } @{ $said->[0]{lines} }), 'o1 o7', 'conflict: the numbers are those of the content');
	($content, $said) = merged($base, with($base, lined(0, 1, text(qw(o1 o2 o3)), 7, 'o7')), with($base, lined(0, 1, 't1', 7, 't7')), 'theirs');
	@content_line = split /\n/, $content->{cells}[0]{source}, -1;
	is(join(' ', map { $content_line[ $_->{line} - 1 ] } @{ $said->[0]{lines} }), 't1 t7', 'theirs: the numbers are those of the content');

	# Lines deleted here and edited there.
	my $shorter = with($base, sub { my @s = @l; splice @s, 3, 2; $_[0]{cells}[0]{source} = text(@s); });
	($content, $said) = merged($base, $shorter, with($base, lined(0, 3, 'theirs')), 'mark');
	is(scalar @$said, 1, 'mark: lines deleted by ours and edited by theirs conflict');
	like($content->{cells}[0]{source}, qr/^<<<<<<< ours\n=======\n(.*\n)*theirs\n(.*\n)*>>>>>>> theirs$/m, 'mark: the side that deleted is empty');

	# Texts without a final line feed, and with one.
	($content, $said) = merged(notebook(cell('A', 'x')), notebook(cell('A', 'y')), notebook(cell('A', 'z')), 'mark');
	is($content->{cells}[0]{source}, "<<<<<<< ours\ny\n=======\nz\n>>>>>>> theirs", 'mark: a text of one line');
	($content, $said) = merged(notebook(cell('A', "x\n")), notebook(cell('A', "y\n")), notebook(cell('A', "z\n")), 'mark');
	is($content->{cells}[0]{source}, "<<<<<<< ours\ny\n=======\nz\n>>>>>>> theirs\n", 'mark: a text that ends in a line feed');
	is(scalar @{ (merged(notebook(cell('A', '')), notebook(cell('A', 'y')), notebook(cell('A', 'z'))))[1] }, 1, 'two fill an empty cell: a conflict');
}
{
	# Deleted by one, edited by the other.
	my ($deleted, $edited) = (with($base, remove(1)), with($base, lined(1, 2, 'new')));
	my %record = (kind => 'deleted', base => $base->{cells}[1], path => '$.cells[1]');
	foreach my $strategy (qw(conflict mark))
	{
		conflict($base, $deleted, $edited, $strategy, $edited, [ { %record, ours => undef, theirs => $edited->{cells}[1], taken => 'theirs' } ], 'deleted by ours, edited by theirs');
		conflict($base, $edited, $deleted, $strategy, $edited, [ { %record, ours => $edited->{cells}[1], theirs => undef, taken => 'ours' } ], 'edited by ours, deleted by theirs');
	}
	conflict($base, $deleted, $edited, 'ours', $deleted, [ { %record, ours => undef, theirs => $edited->{cells}[1], taken => 'ours' } ], 'deleted by ours, edited by theirs');
	conflict($base, $deleted, $edited, 'theirs', $edited, [ { %record, ours => undef, theirs => $edited->{cells}[1], taken => 'theirs' } ], 'deleted by ours, edited by theirs');
	conflict($base, $edited, $deleted, 'ours', $edited, [ { %record, ours => $edited->{cells}[1], theirs => undef, taken => 'ours' } ], 'edited by ours, deleted by theirs');
	conflict($base, $edited, $deleted, 'theirs', $deleted, [ { %record, ours => $edited->{cells}[1], theirs => undef, taken => 'theirs' } ], 'edited by ours, deleted by theirs');

	# Types.
	my ($o, $t) = map { my $type = $_; with($base, sub { my $c = $_[0]{cells}[1]; $c->{cell_type} = $type; delete @$c{qw(outputs execution_count)} }) } qw(markdown raw);
	foreach my $strategy (@strategy)
	{
		my ($content, $said) = merged($base, $o, $t, $strategy);
		my $taken = $strategy eq 'theirs' ? 'theirs' : 'ours';
		is($content->{cells}[1]{cell_type}, $taken eq 'ours' ? 'markdown' : 'raw', "$strategy: two types");
		is($json->encode($said), $json->encode([ { kind => 'type', path => '$.cells[1].cell_type', base => 'code', ours => 'markdown', theirs => 'raw', taken => $taken } ]), "$strategy: two types: conflicts");
	}

	# Metadata: a member, an array as one value, a member deleted here and changed there; other members of a cell.
	my $tagged = with($base, set(1, 'metadata', { tags => [ 'a', 'b' ], s => { t => 1 }, 'a b' => 1 }));
	foreach my $case ([ 'tags', [ 'a', 'b' ], [ 'a', 'c' ], [ 'd', 'b' ], '$.cells[1].metadata.tags', sub { $_[0]{tags} = $_[1] } ],
		[ 'nested', 1, 2, 3, '$.cells[1].metadata.s.t', sub { $_[0]{s}{t} = $_[1] } ], [ 'a quoted name', 1, 2, 3, '$.cells[1].metadata."a b"', sub { $_[0]{'a b'} = $_[1] } ],
		[ 'begun by both', undef, 2, 3, '$.cells[1].metadata.n', sub { defined $_[1] ? ($_[0]{n} = $_[1]) : delete $_[0]{n} } ])
	{
		my ($name, $b, $mine, $yours, $path, $put) = @$case;
		my ($x, $y) = map { my $v = $_; with($tagged, sub { $put->($_[0]{cells}[1]{metadata}, $v) }) } $mine, $yours;
		foreach my $strategy (@strategy)
		{
			my $taken = $strategy eq 'theirs' ? 'theirs' : 'ours';
			conflict($tagged, $x, $y, $strategy, $taken eq 'ours' ? $x : $y, [ { kind => 'metadata', path => $path, base => $b, ours => $mine, theirs => $yours, taken => $taken } ], "metadata, $name");
		}
	}
	my ($x, $y) = (with($tagged, sub { delete $_[0]{cells}[1]{metadata}{s} }), with($tagged, sub { $_[0]{cells}[1]{metadata}{s}{t} = 2 }));
	is(scalar @{ (merged($tagged, $x, $y))[1] }, 1, 'a member deleted by ours and changed by theirs conflicts');
	is(scalar @{ (merged($tagged, $y, $x))[1] }, 1, 'a member changed by ours and deleted by theirs conflicts');

	# The envelope.
	my ($e1, $e2) = map { my $v = $_; with($base, sub { $_[0]{metadata}{kernelspec} = { name => $v } }) } 'ir', 'julia';
	foreach my $strategy (@strategy)
	{
		my $taken = $strategy eq 'theirs' ? 'theirs' : 'ours';
		my ($content, $said) = merged($base, $e1, $e2, $strategy);
		is($content->{metadata}{kernelspec}{name}, $taken eq 'ours' ? 'ir' : 'julia', "$strategy: the notebook's metadata");
		is(scalar @$said, 1, "$strategy: the notebook's metadata: one conflict");
		like("$said->[0]{kind} $said->[0]{path} $said->[0]{taken}", qr/^(metadata|document) \$\.metadata\.kernelspec(\.name)? $taken$/, "$strategy: the notebook's metadata: what it says");
		my ($f1, $f2) = map { my $v = $_; with($base, sub { $_[0]{extra} = $v }) } 1, 2;
		conflict($base, $f1, $f2, $strategy, $taken eq 'ours' ? $f1 : $f2, [ { kind => 'document', path => '$.extra', base => undef, ours => 1, theirs => 2, taken => $taken } ], 'another member');
	}

	# Moved to two places.
	my ($m1, $m2) = (with($base, move(0, 3)), with($base, move(0, 1)));
	my $six = notebook(map { cell("S$_", text(lines("s$_", 5))) } 0 .. 5);
	my ($s1, $s2) = (with($six, move(0, 5)), with($six, move(0, 2)));
	foreach my $strategy (@strategy)
	{
		my ($content, $said) = merged($six, $s1, $s2, $strategy);
		my $taken = $strategy eq 'theirs' ? 'theirs' : 'ours';
		is($json->encode($content), $json->encode($taken eq 'ours' ? $s1 : $s2), "$strategy: moved to two places");
		is(join(' ', map { "$_->{kind} $_->{taken}" } @$said), "position $taken", "$strategy: moved to two places: conflicts");
	}
}

# Random changes.  Every line is like no other, so a line tells what became of
# it: without conflicts the result has the lines that both kept and those that
# either wrote, and no others.
sub line { return join(' ', (map { sprintf('%06x', rand 2**24) } 1 .. 4), '#' . ++$counter); }
sub new_cell
{
	$counter++;
	return cell("id-$counter", text(map { line() } 1 .. 2 + rand 9), cell_type => pick(qw(code code code markdown)));
}
sub tidy { my $n = shift; foreach my $c (@{ $n->{cells} }) { delete @$c{qw(outputs execution_count)} if $c->{cell_type} ne 'code'; } return $n; }
my %deed = (
	modify => sub { my ($n, $own) = @_; my $c = pick($own->()) // return; my @s = split /\n/, $c->{source}; $s[ rand @s ] = line(); $c->{source} = text(@s); },
	grow => sub { my ($n, $own) = @_; my $c = pick($own->()) // return; my @s = split /\n/, $c->{source}; splice @s, rand(@s + 1), 0, line(); $c->{source} = text(@s); },
	shrink => sub { my ($n, $own) = @_; my $c = pick(grep { $_->{source} =~ tr/\n// > 3 } $own->()) // return; my @s = split /\n/, $c->{source}; splice @s, rand @s, 1; $c->{source} = text(@s); },
	insert => sub { my ($n) = @_; splice @{ $n->{cells} }, rand(@{ $n->{cells} } + 1), 0, new_cell(); },
	delete => sub { my ($n, $own) = @_; my $c = pick($own->()) // return; @{ $n->{cells} } = grep { $_ != $c } @{ $n->{cells} }; },
	move => sub { my ($n, $own) = @_; my $c = pick($own->()) // return; @{ $n->{cells} } = grep { $_ != $c } @{ $n->{cells} }; splice @{ $n->{cells} }, rand(@{ $n->{cells} } + 1), 0, $c; },
	run => sub { my ($n) = @_; foreach my $c (grep { $_->{cell_type} eq 'code' } @{ $n->{cells} }) { $c->{execution_count} = ++$counter; $c->{outputs} = printed("out $counter"); } },
	tag => sub { my ($n, $own) = @_; my $c = pick($own->()) // return; $c->{metadata}{ pick(qw(a b c)) } = ++$counter; },
	split => sub {
		my ($n, $own) = @_;
		my $c = pick(grep { $_->{source} =~ tr/\n// > 3 } $own->()) // return;
		my @s = split /\n/, $c->{source};
		my $cut = 1 + int rand($#s - 1);
		my $i = first { $n->{cells}[$_] == $c } 0 .. $#{ $n->{cells} };
		splice @{ $n->{cells} }, $i, 1, { %$c, source => text(@s[ 0 .. $cut - 1 ]) }, cell('id-' . ++$counter, text(@s[ $cut .. $#s ]), cell_type => $c->{cell_type});
	},
	merge => sub {
		my ($n, $own) = @_;
		my %own = map { $_ => 1 } $own->();
		my $i = pick(grep { $own{ $n->{cells}[$_] } && $own{ $n->{cells}[ $_ + 1 ] } && $n->{cells}[$_]{cell_type} eq $n->{cells}[ $_ + 1 ]{cell_type} } 0 .. $#{ $n->{cells} } - 1) // return;
		$n->{cells}[$i]{source} = text(map { $_->{source} } @{ $n->{cells} }[ $i, $i + 1 ]);
		splice @{ $n->{cells} }, $i + 1, 1;
	});
sub lines_of { return map { split /\n/, ref $_->{source} ? join('', @{ $_->{source} }) : $_->{source} } @{ $_[0]{cells} }; }
# All strings that stand anywhere in a value.
sub strings { my $v = shift; return ref $v eq 'HASH' ? map({ strings($_) } values %$v) : ref $v eq 'ARRAY' ? map({ strings($_) } @$v) : defined $v ? "$v" : (); }

# What a merge owes to both sides.
sub owed
{
	my ($b, $o, $t, $content, $conflicts, $strategy) = @_;
	my (%base, %ours, %theirs, %is, %told, @wrong);
	$base{$_}++ foreach lines_of($b);
	$ours{$_}++ foreach lines_of($o);
	$theirs{$_}++ foreach lines_of($t);
	$is{$_}++ foreach lines_of($content);
	$told{$_} = 1 foreach map { split /\n/ } strings($conflicts);
	foreach my $x (grep { /\S/ } uniq(keys %base, keys %ours, keys %theirs))
	{
		my $due = !$base{$x} || ($ours{$x} && $theirs{$x});
		push @wrong, "lost: $x" if $due && !$is{$x} && !$told{$x};
		push @wrong, "back again: $x" if !$due && $is{$x} && !$told{$x};
	}
	push @wrong, "from nowhere: $_" foreach grep { !$base{$_} && !$ours{$_} && !$theirs{$_} && !/^(<<<<<<< ours|=======|>>>>>>> theirs)$/ } keys %is;
	push @wrong, "marks without a conflict" if $strategy eq 'mark' && $is{'<<<<<<< ours'} && !grep { $_->{taken} eq 'marked' } @$conflicts;
	push @wrong, "marks, but not asked for" if $strategy ne 'mark' && $is{'<<<<<<< ours'};
	push @wrong, 'output or count in conflict' if grep { $_->{path} =~ /outputs|execution_count|\.id$|language_info/ } @$conflicts;
	push @wrong, "taken $_->{taken}" foreach grep { $_->{taken} !~ /^(ours|theirs|marked)$/ || ($strategy =~ /^(ours|theirs)$/ && $_->{taken} ne $strategy) } @$conflicts;
	push @wrong, "kind $_->{kind}" foreach grep { $_->{kind} !~ /^(source|deleted|type|metadata|position|document)$/ } @$conflicts;
	# An output goes with the count that it came with.
	foreach my $c (grep { $_->{cell_type} eq 'code' && @{ $_->{outputs} // [] } } @{ $content->{cells} })
	{
		push @wrong, "outputs apart from their count: $c->{execution_count}" if $c->{outputs}[0]{text} ne "out $c->{execution_count}";
	}
	my %id;
	push @wrong, "id twice: $_" foreach grep { $id{$_}++ == 1 } map { $_->{id} // () } @{ $content->{cells} };
	return @wrong;
}

my (@lost, @apart, @order, @sides, @number);
foreach my $seed (@seed)
{
	srand($seed);
	$counter = 0;
	my $n = tidy(notebook(map { new_cell() } 1 .. 2 + rand 8));
	delete $_->{id} foreach $seed % 3 ? () : @{ $n->{cells} };
	my ($o, $t) = (copy($n), copy($n));
	my $disjoint = $seed % 2;
	# On disjoint ground each side has its cells, parted by one that nobody touches.
	my $half = @{ $n->{cells} } / 2;
	my @first = @{ $o->{cells} }[ grep { $_ < $half - 1 } 0 .. $#{ $o->{cells} } ];
	my @second = @{ $t->{cells} }[ grep { $_ > $half } 0 .. $#{ $t->{cells} } ];
	foreach my $side ([ $o, \@first ], [ $t, \@second ])
	{
		my ($document, $mine) = @$side;
		my %mine = map { $_ => 1 } @$mine;
		my $own = $disjoint ? sub { return grep { $mine{$_} } @{ $document->{cells} } } : sub { return @{ $document->{cells} } };
		my @deed = $disjoint ? grep { !/^(insert|move)$/ } sort keys %deed : sort keys %deed;
		foreach (1 .. 1 + rand 4) { $deed{ pick(@deed) }->($document, $own); }
		tidy($document);
	}
	my $values = join(', ', map { quoted($_) } $n, $o, $t);
	my %count;
	foreach my $row (answers("SELECT json_build_array(s, m.content, m.conflicts) FROM unnest('{conflict,mark,ours,theirs}'::text[]) AS s, notebook_merge($values, s) AS m"))
	{
		my ($strategy, $content, $conflicts) = @$row;
		push @lost, "seed $seed, $strategy: $_" foreach owed($n, $o, $t, $content, $conflicts, $strategy);
		push @apart, "seed $seed, $strategy: " . join(', ', map { "$_->{kind} $_->{path}" } @$conflicts) if $disjoint && @$conflicts;
		$count{$strategy} = join(', ', sort map { $_->{kind} } @$conflicts);
		# Paths lead to what they speak of.
		foreach my $c (grep { $_->{kind} eq 'source' } @$conflicts)
		{
			my ($i) = $c->{path} =~ /^\$\.cells\[(\d+)\]\.source$/ or push @number, "seed $seed, $strategy: path $c->{path}" and next;
			my @s = split /\n/, $content->{cells}[$i]{source} // '', -1;
			my $side = $c->{taken} eq 'theirs' ? 'theirs' : 'ours';
			foreach my $l (@{ $c->{lines} })
			{
				my @expected = $c->{taken} eq 'marked' ? ('<<<<<<< ours', @{ $l->{ours} }, '=======', @{ $l->{theirs} }, '>>>>>>> theirs') : @{ $l->{$side} };
				my $is = text(map { $_ // '(none)' } @s[ $l->{line} - 1 .. $l->{line} - 2 + @expected ]);
				push @number, "seed $seed, $strategy: line $l->{line} of $c->{path} is '$is'" if $is ne text(@expected);
			}
		}
	}
	push @sides, "seed $seed: conflict $count{conflict}; mark $count{mark}; ours $count{ours}; theirs $count{theirs}" if uniq(values %count) > 1;

	# Sides changed over, the other strategy: the same lines.
	my ($swapped) = answers("SELECT json_build_array(a.content, b.content) FROM notebook_merge(" . join(', ', map { quoted($_) } $n, $o, $t) . ", 'ours') AS a, notebook_merge(" . join(', ', map { quoted($_) } $n, $t, $o) . ", 'theirs') AS b");
	my @side = map { join("\n", sort map { $_->{source} } @{ $_->{cells} }) } @$swapped;
	push @order, "seed $seed: $side[0]\n---\n$side[1]" if $side[0] ne $side[1];

	# One side alone, equal sides: as text.
	my $n_t = quoted($n);
	foreach my $x ($o, $t)
	{
		my $x_t = quoted($x);
		push @order, "seed $seed: $_" foreach split /\n/, sql(<<"SQL");
SELECT s || ': ' || n FROM unnest('{conflict,mark,ours,theirs}'::text[]) AS s,
  LATERAL (SELECT 'b, x, x', * FROM notebook_merge($n_t, $x_t, $x_t, s) UNION ALL SELECT 'b, b, x', * FROM notebook_merge($n_t, $n_t, $x_t, s)
           UNION ALL SELECT 'b, x, b', * FROM notebook_merge($n_t, $x_t, $n_t, s)) AS m (n, content, conflicts)
 WHERE content::text IS DISTINCT FROM $x_t\::text OR conflicts::text IS DISTINCT FROM '[]'
SQL
	}
}
none('random changes: nothing lost, nothing back again', @lost);
none('random changes: on disjoint ground nothing conflicts', @apart);
none('random changes: the strategy does not change what conflicts', @sides);
none('random changes: sides are equal, alone, or changed over', @order);
none('random changes: lines and paths are those of the content', @number);

# Workflows: the same rules.
sub flow
{
	my ($links, @operator) = @_;
	return { operators => [ map { { operatorID => $_->[0], operatorType => $_->[2] // 'PythonUDFV2', operatorProperties => { code => $_->[1], workers => $_->[3] // 1 }, isDisabled => JSON::PP::false } } @operator ],
		links => [ map { my ($f, $to) = split /-/; { linkID => "l-$_", source => { operatorID => $f, portID => 'output-0' }, target => { operatorID => $to, portID => 'input-0' } } } @$links ],
		operatorPositions => { map { $_->[0] => { x => 0, y => 0 } } @operator }, commentBoxes => [], settings => { size => 400 } };
}
{
	my @op = ([ 'A', text(lines('a', 8)) ], [ 'B', text(lines('b', 8)) ], [ 'C', text(lines('c', 8)) ]);
	my $b = flow([ 'A-B', 'B-C' ], @op);
	my $edit = sub { my ($n, $i, $line, $new) = @_; my $w = copy($n); my @s = split /\n/, $w->{operators}[$i]{operatorProperties}{code}; $s[$line] = $new; $w->{operators}[$i]{operatorProperties}{code} = text(@s); return $w; };
	my ($content, $said) = merged($b, $edit->($b, 0, 1, 'ours'), $edit->($b, 1, 1, 'theirs'), undef, 'workflow');
	is($json->encode($content), $json->encode($edit->($edit->($b, 0, 1, 'ours'), 1, 1, 'theirs')), 'workflows: two operators');
	is($json->encode($said), '[]', 'workflows: two operators: conflicts');
	($content, $said) = merged($b, $edit->($b, 0, 1, 'ours'), $edit->($b, 0, 6, 'theirs'), undef, 'workflow');
	is($json->encode($content), $json->encode($edit->($edit->($b, 0, 1, 'ours'), 0, 6, 'theirs')), 'workflows: two lines of a code');
	foreach my $strategy (@strategy)
	{
		($content, $said) = merged($b, $edit->($b, 0, 1, 'ours'), $edit->($b, 0, 1, 'theirs'), $strategy, 'workflow');
		is(scalar @$said, 1, "workflows: $strategy: one line by both conflicts");
		like($said->[0]{path} // '', qr/^\$\.operators\[0\]\.operatorProperties\.code$/, "workflows: $strategy: its path");
		is((split /\n/, $content->{operators}[0]{operatorProperties}{code})[1], $strategy eq 'mark' ? '<<<<<<< ours' : $strategy eq 'theirs' ? 'theirs' : 'ours', "workflows: $strategy: what was taken");
	}
	# A box moved here, code there; a link here, an operator there; properties by member.
	my ($o, $t) = (copy($b), $edit->($b, 0, 1, 'new'));
	$o->{operatorPositions}{A} = { x => 5, y => 5 };
	$o->{operators}[0]{operatorProperties}{workers} = 4;
	my $both = copy($t);
	$both->{operatorPositions}{A} = { x => 5, y => 5 };
	$both->{operators}[0]{operatorProperties}{workers} = 4;
	($content, $said) = merged($b, $o, $t, undef, 'workflow');
	is($json->encode($content), $json->encode($both), 'workflows: a box moved and a property set here, code there');
	is($json->encode($said), '[]', 'workflows: no conflict');
	($content, $said) = merged($b, flow([ 'A-B', 'B-C', 'A-C' ], @op), flow([ 'A-B', 'B-C', 'C-D' ], @op, [ 'D', 'new' ]), undef, 'workflow');
	is(join(' ', sort map { $_->{linkID} } @{ $content->{links} }), 'l-A-B l-A-C l-B-C l-C-D', 'workflows: links of both');
	is(join(' ', sort map { $_->{operatorID} } @{ $content->{operators} }), 'A B C D', 'workflows: operators of both');
	is(join(' ', sort keys %{ $content->{operatorPositions} }), 'A B C D', 'workflows: positions of both');
	is($json->encode($said), '[]', 'workflows: links and operators do not conflict');
	($content, $said) = merged($b, flow(['A-B'], @op[ 0, 1 ]), flow([ 'A-B', 'B-C', 'A-C' ], @op), undef, 'workflow');
	my %there = map { $_->{operatorID} => 1 } @{ $content->{operators} };
	ok(@$said || !grep { !$there{ $_->{source}{operatorID} } || !$there{ $_->{target}{operatorID} } } @{ $content->{links} }, 'workflows: no link without a word to an operator that was deleted');
	($content, $said) = merged($b, flow([ 'A-B', 'B-C' ], reverse @op), $edit->($b, 0, 1, 'new'), undef, 'workflow');
	is(scalar @$said, 0, 'workflows: another order of the array is no conflict');
	foreach my $x ($b, $o, $t, flow([], @op[ 0, 2 ]), flow([], reverse @op), { operators => [] })
	{
		my ($n_t, $x_t) = (quoted($b), quoted($x));
		is_sql("SELECT bool_and(content::text = $x_t\::text AND conflicts::text = '[]') FROM (SELECT * FROM workflow_merge($n_t, $x_t, $x_t) UNION ALL SELECT * FROM workflow_merge($n_t, $n_t, $x_t) UNION ALL SELECT * FROM workflow_merge($n_t, $x_t, $n_t)) AS m", 't', 'workflows: one side alone, equal sides');
	}
}

# Arguments that are wrong.
foreach my $kind (qw(notebook workflow))
{
	my $good = $kind eq 'notebook' ? quoted(notebook($X)) : quoted(flow([], [ 'A', 'a' ]));
	my @name = qw(base ours theirs);
	foreach my $i (0 .. 2)
	{
		foreach my $bad ([ 'NULL', '22004' ], [ "'{}'", '22023' ], [ "'[]'", '22023' ], [ "'null'", '22023' ], [ "'7'", '22023' ], [ "'\"text\"'", '22023' ],
			[ $kind eq 'notebook' ? q('{"cells": 1}') : q('{"operators": 1}'), '22023' ], [ $kind eq 'notebook' ? q('{"cells": [1]}') : q('{"operators": [1]}'), '22023' ],
			[ $kind eq 'notebook' ? q('{"cells": [{"source": 1}]}') : q('{"operators": [{}], "links": 1}'), '22023' ])
		{
			my @argument = ($good) x 3;
			$argument[$i] = $bad->[0];
			fails("SELECT * FROM ${kind}_merge(" . join(', ', @argument) . ')', $bad->[1], ".*\\b$name[$i]\\b", "$kind: $name[$i] is $bad->[0]");
		}
	}
	fails("SELECT * FROM ${kind}_merge($good, $good, $good, '$_')", '22023', '.*strategy', "$kind: strategy '$_'") foreach 'none', '', 'OURS', 'ours ', 'union';
	fails("SELECT * FROM ${kind}_merge($good, $good, $good, NULL)", '2(2004|2023)', '', "$kind: strategy NULL");
	is_sql("SELECT provolatile IN ('i', 's'), proparallel = 's', proretset, prorows FROM pg_proc WHERE oid = '${kind}_merge'::regproc", 't|t|t|1', "$kind: marked as the pure function of one row that it is");
	is_sql("SELECT conflicts FROM ${kind}_merge(base => $good, ours => $good, theirs => $good, strategy => 'ours')", '[]', "$kind: by names");
}
fails('SELECT * FROM notebook_merge(' . join(', ', map { quoted($_) } notebook($X), notebook($X, $Y), { %{ notebook($X) }, nbformat => 3 }) . ')', '22023', '.*HINT:  \S', 'two major versions');
fails('SELECT * FROM notebook_merge(' . join(', ', map { quoted($_) } notebook($X), notebook($X, $Y), { worksheets => [ { cells => [ { cell_type => 'code', input => 'x', outputs => [] } ] } ], metadata => {}, nbformat => 3 }) . ')', '22023', '.*HINT:  \S', 'worksheets and cells');

# Ways to commit.
my $last = 100;
sub stored { sql('INSERT INTO notebook (notebook_id, name, content) VALUES (' . ++$last . ", 'm', " . quoted($_[0]) . ')'); return $last; }
sub commit_sql { my ($id, $document, $expected, $way) = @_; return "SELECT notebook_commit($id, " . quoted($document) . ", NULL, $expected" . (defined $way ? ", '$way'" : '') . ')'; }
{
	my $ours = with($base, lined(0, 1, 'first'));
	my $theirs = with($base, lined(2, 1, 'second'));
	my $both = with($base, lined(0, 1, 'first'), lined(2, 1, 'second'));
	foreach my $way (undef, 'error')
	{
		my $id = stored($base);
		is(sql(commit_sql($id, $ours, 1, $way)), 2, 'error: at the head it is a commit');
		fails(commit_sql($id, $theirs, 1, $way), '40001', '', 'error: too late');
		fails(commit_sql($id, $ours, 1, $way), '40001', '', 'error: too late, even if equal');
		is_sql("SELECT version FROM notebook WHERE notebook_id = $id", 2, 'error: nothing was written');
	}
	foreach my $way (qw(merge mark))
	{
		my $id = stored($base);
		my $keys = sql("SELECT array_agg(cell_key ORDER BY position) FROM notebook_cells($id)");
		is(sql(commit_sql($id, $ours, 1, $way)), 2, "$way: at the head it is a commit");
		is(sql(commit_sql($id, $theirs, 1, $way)), 3, "$way: too late, and put together");
		is_sql("SELECT notebook_at($id)::text = " . quoted($both) . '::text', 't', "$way: with both");
		is_sql("SELECT array_agg(cell_key ORDER BY position) FROM notebook_cells($id)", $keys, "$way: the keys are as before");
		is_sql("SELECT parent_version FROM notebook_version WHERE notebook_id = $id AND version = 3", 2, "$way: on top of the head");
		is(sql(commit_sql($id, $theirs, 1, $way)), 3, "$way: the same again makes no version");
		is(sql(commit_sql($id, $base, 1, $way)), 3, "$way: nothing changed since makes no version");
		is(sql(commit_sql($id, $both, 1, $way)), 3, "$way: what equals the head makes no version");
		is(sql(commit_sql($id, with($both, lined(3, 1, 'third')), 3, $way)), 4, "$way: and on");
		is(sql("SELECT notebook_commit(notebook_id => $id, content => " . quoted(with($base, insert(4, $X))) . ", message => 'added', expected_version => 1, on_conflict => '$way')"), 5, "$way: by names");
		is_sql("SELECT message FROM notebook_version WHERE notebook_id = $id AND version = 5", 'added', "$way: the message is kept");
		is_sql("SELECT notebook_at($id)::text = " . quoted(with($both, lined(3, 1, 'third'), insert(4, $X))) . '::text', 't', "$way: nothing lost");

		# With conflicts.
		my $meets = with($base, lined(0, 1, 'other'), lined(1, 0, 'too'));
		my ($out, $err) = ('', '');
		if ($way eq 'merge')
		{
			$node->psql('postgres', "\\set VERBOSITY verbose\nSET search_path = notebook_migrate, public;\n" . commit_sql($id, $meets, 1, $way), stdout => \$out, stderr => \$err);
			like($err, qr/ERROR:  40001: /, 'merge: conflicts raise');
			like($err, qr/DETAIL:.*\$\.cells\[0\]\.source/, 'merge: the detail has the path');
			unlike($err, qr/DETAIL:.*\$\.cells\[1\]\.source/, 'merge: and no other');
			like($err, qr/HINT:.*notebook_merge\(\)/, 'merge: the hint names the function');
			is_sql("SELECT version FROM notebook WHERE notebook_id = $id", 5, 'merge: nothing was written');
		}
		else
		{
			is(sql(commit_sql($id, $meets, 1, $way)), 6, 'mark: conflicts are marked');
			like(sql("SELECT notebook_at($id) #>> '{cells,0,source}'"), qr/^\Q$l[0]\E\n<<<<<<< ours\nfirst\n=======\nother\n>>>>>>> theirs\n\Q$l[2]\E\n/, 'mark: the cell has both, the head is ours');
			is_sql("SELECT notebook_at($id) #>> '{cells,1,source}'", with($base, lined(1, 0, 'too'))->{cells}[1]{source}, 'mark: what does not conflict is put together');
		}
		# Other conflicts raise in both.
		sql("SELECT notebook_edit($id, '[{\"op\": \"delete\", \"cell\": \"B\"}]')");
		fails(commit_sql($id, with($base, lined(1, 3, 'again')), 1, $way), '40001', '.*DETAIL:.*\$\.cells\[.*HINT:.*notebook_merge', "$way: deleted and edited raises");
	}
	my $id = stored($base);
	fails(commit_sql($id, $ours, 'NULL', $_), '22023', '', "$_ without an expected version") foreach qw(merge mark);
	is(sql(commit_sql($id, $base, 'NULL', 'error')), 1, 'error without an expected version');
	foreach my $way ('', 'MERGE', 'ours', 'theirs', 'conflict', 'nothing')
	{
		fails(commit_sql($id, $ours, 1, $way), '22023', '.*on_conflict', "on_conflict '$way'");
		fails(commit_sql($id, $base, 1, $way), '22023', '.*on_conflict', "on_conflict '$way', nothing to write");
	}
	fails("SELECT notebook_commit($id, " . quoted($ours) . ', NULL, 1, NULL)', '2(2004|2023)', '', 'on_conflict NULL');
	fails(commit_sql($id, $ours, $_, 'merge'), '(02000|40001)', '', "no such expected version: $_") foreach 0, -1, 2, 99;
	fails(commit_sql(99999, $ours, 1, 'merge'), '02000', '', 'no such notebook');
	fails("SELECT notebook_commit($id, NULL, NULL, 1, 'merge')", '22004', '', 'content NULL');
	fails("SELECT notebook_commit(NULL, " . quoted($ours) . ", NULL, 1, 'merge')", '22004', '', 'id NULL');
	sql(commit_sql($id, $ours, 1, 'merge'));
	fails("SELECT notebook_commit($id, '{\"cells\": 1}', NULL, 1, 'merge')", '22023', '', 'a broken notebook to merge');
	fails("SELECT notebook_commit($id, " . quoted({ %$theirs, nbformat => 3 }) . ", NULL, 1, 'merge')", '22023', '', 'another major version to merge');
	is_sql("SELECT version FROM notebook WHERE notebook_id = $id", 2, 'nothing of that was written');
	is_sql("SELECT count(*) FROM pg_proc WHERE proname = 'notebook_commit' AND pronamespace = 'notebook_migrate'::regnamespace", 1, 'there is one notebook_commit');

	# The same for workflows.
	my @op = ([ 'A', text(lines('a', 8)) ], [ 'B', text(lines('b', 8)) ]);
	sql('INSERT INTO workflow (workflow_id, name, content) VALUES (1, NULL, ' . quoted(flow(['A-B'], @op)) . ')');
	is(sql('SELECT workflow_commit(1, ' . quoted(flow(['A-B'], [ 'A', 'x = 1' ], $op[1])) . ", NULL, 1, 'merge')"), 2, 'workflows: at the head');
	is(sql('SELECT workflow_commit(1, ' . quoted(flow(['A-B'], $op[0], [ 'B', "$op[1][1]\nmore" ])) . ", NULL, 1, 'merge')"), 3, 'workflows: put together');
	is_sql("SELECT workflow_at(1)::text = " . quoted(flow(['A-B'], [ 'A', 'x = 1' ], [ 'B', "$op[1][1]\nmore" ])) . '::text', 't', 'workflows: with both');
	fails('SELECT workflow_commit(1, ' . quoted(flow(['A-B'], [ 'A', 'y = 2' ], $op[1])) . ", NULL, 1, 'merge')", '40001', '.*HINT:.*workflow_merge\(\)', 'workflows: conflicts raise');
	fails('SELECT workflow_commit(1, ' . quoted(flow(['A-B'], @op)) . ", NULL, NULL, 'merge')", '22023', '', 'workflows: without an expected version');
	fails('SELECT workflow_commit(1, ' . quoted(flow(['A-B'], @op)) . ", NULL, 1, 'both')", '22023', '', 'workflows: another word');
}

# Two sessions: the one that waits merges with what the other one committed.
{
	my $id = stored($base);
	my @session = map { $node->background_psql('postgres', on_error_stop => 0) } 1 .. 2;
	$_->query_safe('SET search_path = notebook_migrate, public') foreach @session;
	$session[0]->query_safe('BEGIN');
	is($session[0]->query_safe(commit_sql($id, with($base, lined(0, 1, 'first')), 1, 'merge')), 2, 'two sessions: the first');
	$session[1]->query_until(qr/begun/, "\\echo begun\n" . commit_sql($id, with($base, lined(2, 1, 'second')), 1, 'merge') . ";\n\\echo done\n");
	ok($node->poll_query_until('postgres', q{SELECT count(*) = 1 FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND query LIKE '%notebook_commit%'}), 'two sessions: the second waits');
	$session[0]->query_safe('COMMIT');
	$session[1]->query_until(qr/done/, '');
	is_sql("SELECT notebook_at($id)::text = " . quoted(with($base, lined(0, 1, 'first'), lined(2, 1, 'second'))) . '::text, version FROM notebook WHERE notebook_id = ' . $id, 't|3', 'two sessions: both are there');

	# The first takes it back: the second is at the head.
	$session[0]->query_safe('BEGIN');
	$session[0]->query_safe(commit_sql($id, with($base, lined(3, 1, 'never')), 1, 'merge'));
	$session[1]->query_until(qr/begun/, "\\echo begun\n" . commit_sql($id, with($base, lined(1, 1, 'third')), 1, 'merge') . ";\n\\echo done\n");
	$node->poll_query_until('postgres', q{SELECT count(*) = 1 FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND query LIKE '%notebook_commit%'});
	$session[0]->query_safe('ROLLBACK');
	$session[1]->query_until(qr/done/, '');
	is_sql("SELECT notebook_at($id)::text = " . quoted(with($base, lined(0, 1, 'first'), lined(1, 1, 'third'), lined(2, 1, 'second'))) . '::text, version FROM notebook WHERE notebook_id = ' . $id, 't|4', 'two sessions: what was taken back is not there');

	# Under REPEATABLE READ a head that was not there at the snapshot is an error.
	$session[0]->query_safe('BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT count(*) FROM notebook');
	sql(commit_sql($id, with($base, lined(3, 2, 'meanwhile')), 1, 'merge'));
	$session[0]->query("\\set VERBOSITY sqlstate\n" . commit_sql($id, with($base, lined(3, 5, 'late')), 1, 'merge'));
	like($session[0]->{stderr}, qr/ERROR:  40001/, 'two sessions: REPEATABLE READ');
	$session[0]->{stderr} = '';
	$session[0]->query('ROLLBACK');
	$_->quit foreach @session;

	# Eight write at once, each in a cell of its own: nothing is lost.
	my $eight = stored(notebook(map { my $c = $_; cell("c$c", text("count_$c = 0", map { "line $_ of cell $c" } 1 .. 5)) } 0 .. 7));
	$node->pgbench('-n -c 8 -j 2 -t 25', 0, [qr/actually processed: 200\/200/], [qr/^$/], 'eight sessions merge', { merge => qq{
SELECT count(notebook_migrate.notebook_commit($eight, jsonb_set(h.content, ARRAY['cells', :client_id::text, 'source'], to_jsonb(regexp_replace(h.content #>> ARRAY['cells', :client_id::text, 'source'], '= \\d+',
  '= ' || (substring(h.content #>> ARRAY['cells', :client_id::text, 'source'] FROM '= (\\d+)')::int + 1)))), NULL, h.version, 'merge'))
  FROM (SELECT version, content FROM notebook_migrate.notebook WHERE notebook_id = $eight OFFSET 0) AS h;} });
	is_sql("SELECT string_agg(substring(source FROM '= (\\d+)'), ' ' ORDER BY position) FROM notebook_cells($eight)", join(' ', (25) x 8), 'eight sessions: every change is there');
	is_sql("SELECT version, (SELECT count(DISTINCT cell_key) FROM notebook_version AS v, notebook_cells($eight, v.version) WHERE v.notebook_id = $eight) FROM notebook WHERE notebook_id = $eight", '201|8', 'eight sessions: eight cells in all versions');
	is_sql('SELECT * FROM store_verify(NULL, NULL)', '', 'sound after all commits');
}

# Real notebooks: sound ones and broken ones, at each of the three places.
SKIP:
{
	skip 'NBM_DATA does not name a folder with the real notebooks', 5 unless defined $data && -d "$data/notebooks_corpus";

	sql(<<'SQL');
CREATE TABLE public.corpus (file text, content jsonb);
CREATE TABLE public.broken (file text, content jsonb);
CREATE TABLE public.outcome (file text, place text, state text, message text);
CREATE PROCEDURE public.take_in(name text, body text, target regclass) LANGUAGE plpgsql AS $$
BEGIN EXECUTE format('INSERT INTO %s VALUES ($1, $2::jsonb)', target) USING name, body; EXCEPTION WHEN invalid_text_representation OR untranslatable_character THEN NULL; END $$;
-- Merges with a broken notebook at one place, and notes how that went.
CREATE PROCEDURE public.attempt(name text, place text, b jsonb, o jsonb, t jsonb) LANGUAGE plpgsql AS $$
DECLARE s text; m text; d text; c text;
BEGIN
  PERFORM * FROM notebook_migrate.notebook_merge(b, o, t);
  INSERT INTO public.outcome VALUES (name, place, '00000', NULL);
EXCEPTION WHEN OTHERS THEN
  GET STACKED DIAGNOSTICS s = RETURNED_SQLSTATE, m = MESSAGE_TEXT, d = PG_EXCEPTION_DETAIL, c = PG_EXCEPTION_CONTEXT;
  INSERT INTO public.outcome VALUES (name, place, s, m || ' ' || d || ' ' || substring(c FOR position('SQL statement' IN c) - 1));
END $$;
SQL
	foreach my $folder ([ 'corpus', 'notebooks/*' ], [ 'broken', 'invalid/*' ])
	{
		foreach my $path (glob("$data/notebooks_corpus/$folder->[1]"))
		{
			my $t = slurp_file($path);
			sql("CALL take_in('" . basename($path) . "', \$nbm_c\$$t\$nbm_c\$, 'public.$folder->[0]')");
		}
	}
	cmp_ok(sql('SELECT count(*) FROM corpus'), '>', 60, 'real notebooks are there');
	is_sql(q{SELECT file FROM corpus, LATERAL (SELECT * FROM notebook_merge(content, content, content)) AS m WHERE m.content::text <> corpus.content::text OR conflicts <> '[]'}, '', 'each with itself is itself');
	is_sql(q{SELECT c.file || ' and ' || n.file FROM (SELECT *, lead(file) OVER (ORDER BY file COLLATE "C") AS next FROM corpus) AS c JOIN corpus AS n ON n.file = c.next
	  WHERE c.content -> 'nbformat' = n.content -> 'nbformat' AND NOT (SELECT bool_and(m.content::text = n.content::text AND conflicts = '[]')
	    FROM (SELECT * FROM notebook_merge(c.content, n.content, n.content) UNION ALL SELECT * FROM notebook_merge(c.content, c.content, n.content) UNION ALL SELECT * FROM notebook_merge(c.content, n.content, c.content)) AS m)}, '',
		'one side alone, equal sides, of notebooks that have nothing in common');
	sql(q{DO $$ DECLARE r record; g jsonb; BEGIN
	  FOR r IN SELECT * FROM public.broken LOOP
	    SELECT content INTO g FROM public.corpus WHERE content -> 'nbformat' = CASE WHEN r.content ? 'worksheets' THEN '3' ELSE '4' END::jsonb ORDER BY length(content::text) LIMIT 1;
	    CALL public.attempt(r.file, 'base', r.content, g, g);
	    CALL public.attempt(r.file, 'ours', g, r.content, g);
	    CALL public.attempt(r.file, 'theirs', g, g, r.content);
	    CALL public.attempt(r.file, 'all', r.content, r.content, r.content);
	  END LOOP; END $$});
	cmp_ok(sql('SELECT count(*) FROM outcome'), '>', 40, 'broken notebooks were tried');
	is_sql(q{SELECT file, place, state, message FROM outcome WHERE state NOT IN ('00000', '22023')}, '', 'a broken notebook is refused or taken, and nothing else');
	is_sql(q{SELECT file, place, message FROM outcome WHERE state <> '00000' AND place <> 'all' AND message !~ ('\m' || place || '\M') AND message !~ 'nbformat'}, '', 'and the message names the argument');
	is_sql(q{SELECT count(*) FROM outcome AS o JOIN broken USING (file) WHERE file LIKE 'nbformat__test3_no_worksheets%' AND state <> '22023'}, 0, 'what no commit takes no merge takes');

	# Real revisions: three in a row are a base and two sides.
	my (@histories, $triples);
	foreach my $folder (sort grep { -d } glob("$data/notebooks_corpus/history/*"))
	{
		sql('TRUNCATE corpus');
		sql("CALL take_in('" . basename($_) . "', \$nbm_c\$" . slurp_file($_) . "\$nbm_c\$, 'public.corpus')") foreach sort glob("$folder/*.json");
		my @row = answers(q{SELECT json_build_array(c.file, s, b, o, c.content, m.content, m.conflicts) FROM
		  (SELECT file, content, lag(content, 1) OVER w AS o, lag(content, 2) OVER w AS b FROM corpus WHERE length(content::text) < 400000 WINDOW w AS (ORDER BY file COLLATE "C")) AS c,
		  unnest('{conflict,theirs}'::text[]) AS s, notebook_merge(b, o, c.content, s) AS m WHERE b IS NOT NULL
		   AND b -> 'nbformat' = '4' AND o -> 'nbformat' = '4' AND c.content -> 'nbformat' = '4'});
		foreach my $row (@row)
		{
			my ($file, $strategy, $b, $o, $t, $content, $conflicts) = @$row;
			$triples++;
			# Only lines that stand once on each side tell what became of them.
			my %many;
			foreach my $n ($b, $o, $t) { my %c; $c{$_}++ foreach lines_of($n); $many{$_} = 1 foreach grep { $c{$_} > 1 } keys %c; }
			push @histories, map { basename($folder) . " $file, $strategy: $_" } grep { !/^(back again|lost[^:]*): (.*)$/s || !$many{$2} } grep { !/^outputs apart|^id twice|^from nowhere/ } owed($b, $o, $t, $content, $conflicts, $strategy);
		}
	}
	cmp_ok($triples // 0, '>', 200, 'real revisions were merged');
	none('real revisions: nothing lost', @histories);
}

# Large and awkward: bounded, and can be cancelled.
{
	my @big = (
		[ 'one line of 1 MB, changed at three places', 'SELECT doc(big(0)), doc(big(1)), doc(big(2))', q{CREATE FUNCTION big(int) RETURNS text LANGUAGE sql AS $$ SELECT overlay(repeat('0123456789', 100000) PLACING 'x' FROM 1 + 333333 * $1 FOR 1) $$} ],
		[ '100,000 lines, changed at both ends', 'SELECT doc(many(0, 0)), doc(many(1, 0)), doc(many(0, 1))', q{CREATE FUNCTION many(int, int) RETURNS text LANGUAGE sql AS $$ SELECT string_agg(CASE WHEN i < 100 * $1 OR i > 100000 - 100 * $2 THEN 'x' || i ELSE 'line ' || i END, E'\n' ORDER BY i) FROM generate_series(1, 100000) AS i $$} ],
		[ '100,000 lines, all different', 'SELECT doc(unlike(1)), doc(unlike(2)), doc(unlike(3))', q{CREATE FUNCTION unlike(int) RETURNS text LANGUAGE sql AS $$ SELECT string_agg(md5(i::text || $1), E'\n' ORDER BY i) FROM generate_series(1, 100000) AS i $$} ],
		[ '100,000 lines of two words', 'SELECT doc(two(2)), doc(two(3)), doc(two(5))', q{CREATE FUNCTION two(int) RETURNS text LANGUAGE sql AS $$ SELECT string_agg(CASE WHEN i % $1 = 0 THEN 'a' ELSE 'b' END, E'\n' ORDER BY i) FROM generate_series(1, 100000) AS i $$} ],
		[ 'line feeds by the hundred thousand', q{SELECT doc(repeat(E'\n', 200000)), doc(repeat(E'\n', 200001)), doc(repeat(E'\n', 199990))}, '' ],
		[ 'equal blank cells by the thousand', q{SELECT cells('', 5000), cells('', 5001), cells('', 4000)}, '' ],
		[ 'equal cells by the thousand', q{SELECT cells('plot(x)', 5000), cells('plot(x)', 5001), cells('plot(y)', 5000)}, '' ],
		[ 'two thousand cells, all different', q{SELECT other(1), other(2), other(3)}, q{CREATE FUNCTION other(int) RETURNS jsonb LANGUAGE sql AS $$ SELECT jsonb_build_object('cells', jsonb_agg(jsonb_build_object('cell_type', 'code', 'metadata', '{}'::jsonb, 'source', md5(i::text || $1) || E'\n' || md5($1 || '-' || i))), 'metadata', '{}'::jsonb, 'nbformat', 4) FROM generate_series(1, 2000) AS i $$} ],
		[ 'fifty nearly equal cells of 100 kB', q{SELECT near(1), near(2), near(3)}, q{CREATE FUNCTION near(int) RETURNS jsonb LANGUAGE sql AS $$ SELECT jsonb_build_object('cells', jsonb_agg(jsonb_build_object('cell_type', 'code', 'metadata', '{}'::jsonb, 'source', overlay(repeat('abcdefghij', 10000) PLACING md5(i::text || $1) FROM 1 + (i * 7919 * $1) % 90000 FOR 32))), 'metadata', '{}'::jsonb, 'nbformat', 4) FROM generate_series(1, 50) AS i $$} ],
		[ 'deep metadata', q{SELECT deep(1), deep(2), deep(3)}, q{CREATE FUNCTION deep(int) RETURNS jsonb LANGUAGE sql AS $$ SELECT jsonb_set('{"cells": [{"cell_type": "code", "source": "x", "metadata": {}}], "metadata": {}, "nbformat": 4}', '{cells,0,metadata,d}', (repeat('{"a":', 900) || $1 || repeat('}', 900))::jsonb) $$} ],
		[ 'a thousand members', q{SELECT wide(2), wide(3), wide(5)}, q{CREATE FUNCTION wide(int) RETURNS jsonb LANGUAGE sql AS $$ SELECT jsonb_set('{"cells": [{"cell_type": "code", "source": "x", "metadata": {}}], "metadata": {}, "nbformat": 4}', '{cells,0,metadata}', (SELECT jsonb_object_agg('m' || i, i % $1) FROM generate_series(1, 5000) AS i)) $$} ]);
	sql(q{CREATE FUNCTION public.doc(text) RETURNS jsonb LANGUAGE sql AS $$ SELECT jsonb_build_object('cells', jsonb_build_array(jsonb_build_object('cell_type', 'code', 'id', 'a', 'metadata', '{}'::jsonb, 'outputs', '[]'::jsonb, 'source', $1)), 'metadata', '{}'::jsonb, 'nbformat', 4) $$;
	  CREATE FUNCTION public.cells(text, int) RETURNS jsonb LANGUAGE sql AS $$ SELECT jsonb_build_object('cells', (SELECT jsonb_agg(jsonb_build_object('cell_type', 'code', 'metadata', '{}'::jsonb, 'source', $1)) FROM generate_series(1, $2)), 'metadata', '{}'::jsonb, 'nbformat', 4) $$;
	  CREATE TABLE public.big (n int PRIMARY KEY, b jsonb, o jsonb, t jsonb)});
	my $limit = 20;
	foreach my $i (0 .. $#big)
	{
		my ($name, $query, $function) = @{ $big[$i] };
		sql($function =~ s/FUNCTION /FUNCTION public./r) if $function;
		sql("INSERT INTO big SELECT $i, * FROM ($query) AS d");
		my $nb = 50000 + $i;
		sql("INSERT INTO notebook (notebook_id, name, content) SELECT $nb, 'big', b FROM big WHERE n = $i");
		my @statement = ([ 'merge', "SELECT count(*) FROM big, notebook_merge(b, o, t) WHERE n = $i" ], [ 'mark', "SELECT count(*) FROM big, notebook_merge(b, o, t, 'mark') WHERE n = $i" ],
			[ 'commit', "SELECT notebook_commit($nb, (SELECT o FROM big WHERE n = $i))" ], [ 'commit and merge', "SELECT notebook_commit($nb, (SELECT jsonb_set(b, '{metadata,x}', '1') FROM big WHERE n = $i), NULL, 1, 'merge')" ],
			[ 'diff', "SELECT count(*) >= 0 FROM notebook_diff($nb, 1, 2)" ], [ 'lines', "SELECT count(*) >= 0 FROM notebook_diff_lines($nb, 1, 2)" ], [ 'text', "SELECT length(notebook_diff_text($nb, 1, 2)) > 0" ]);
		foreach my $s (@statement)
		{
			my ($what, $statement) = @$s;
			my ($out, $err) = ('', '');
			# Stopped at any time it stops at once.
			if ($what !~ /commit/)
			{
				foreach my $ms (1, 20, 300)
				{
					my $start = time;
					$node->psql('postgres', "\\set VERBOSITY sqlstate\nSET search_path = notebook_migrate, public; SET statement_timeout = $ms;\n$statement", stdout => \$out, stderr => \$err);
					cmp_ok(time - $start, '<', 3, "$name: $what stops within its time of $ms ms");
					ok($err eq '' || $err =~ /57014/, "$name: $what is cancelled, or done") or diag($err);
				}
			}
			my $start = time;
			$node->psql('postgres', "SET search_path = notebook_migrate, public; SET statement_timeout = '${limit}s';\n$statement", stdout => \$out, stderr => \$err);
			ok($out =~ /\S/ && $err !~ /ERROR/, "$name: $what ends within $limit s") or diag($err);
			note(sprintf('%s: %s took %.2f s', $name, $what, time - $start));
		}
		# And what it says is right: the lines give both sources.
		is_sql(qq{WITH l AS MATERIALIZED (SELECT * FROM notebook_diff_lines($nb, 1, 2) WITH ORDINALITY AS l (cell_key, old_line, new_line, mark, text, n)),
		  s AS (SELECT cell_key, coalesce(string_agg(text, E'\\n' ORDER BY n) FILTER (WHERE mark <> '+'), '') AS o, coalesce(string_agg(text, E'\\n' ORDER BY n) FILTER (WHERE mark <> '-'), '') AS t FROM l GROUP BY cell_key)
		  SELECT count(*) FROM s JOIN notebook_diff($nb, 1, 2) AS d USING (cell_key) WHERE s.o <> coalesce(d.old_source, '') OR s.t <> coalesce(d.new_source, '')}, 0, "$name: the lines give both sources");
	}
	is_sql('SELECT * FROM store_verify(NULL, NULL)', '', 'sound after all that');
}
ok(!$node->log_contains(qr/PANIC|TRAP|terminated by signal|XX000|cache lookup failed/), 'the server never crashed');

$node->stop;
done_testing();
