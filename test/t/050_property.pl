# Random scripts of edits, run against the store and against a small model of it
# in Perl: both must say the same of every version, of the identity of every
# cell, of every difference and of every link.  NBM_SEED replays one script.
use strict;
use warnings;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use JSON::PP;
use List::Util qw(shuffle);

my @seed = defined $ENV{NBM_SEED} ? ($ENV{NBM_SEED}) : (1 .. 6);
my $saves = 60;
my $json = JSON::PP->new->canonical->allow_nonref;
my ($counter, $node) = (0);

# The model.  A cell is {name, id, type, lines, outputs, count, metadata}; its
# name is its identity, and the store never sees it.

sub pick { return @_ ? $_[ rand @_ ] : undef; }
# A line of a text that is like no other: two cells resemble each other only
# where one was made of the other.
sub line { return join(' ', (map { pick(qw(x = + \\ " é)) . sprintf('%06x', rand 2**24) } 1 .. 4), '#' . ++$counter); }
sub new_cell
{
	$counter++;
	return { name => "n$counter", id => "id-$counter", type => pick(qw(code code markdown)),
		lines => [ map { line() } 1 .. 4 ], outputs => [], count => undef, metadata => {} };
}
sub copy { return $json->decode($json->encode($_[0])); }
sub as_cell
{
	my $c = shift;
	return { cell_type => $c->{type}, id => $c->{id}, source => join("\n", @{ $c->{lines} }), metadata => $c->{metadata},
		$c->{type} eq 'code' ? (outputs => $c->{outputs}, execution_count => $c->{count}) : () };
}
sub as_notebook
{
	my $n = shift;
	return { cells => [ map { as_cell($_) } @{ $n->{cells} } ], metadata => $n->{metadata}, nbformat => 4, nbformat_minor => 5 };
}

# The cells that did not come back in this very save: what comes back comes
# back as it was.
sub old { return grep { !$_->{back} } @{ $_[0]{cells} }; }

# What people do to a notebook.  Each changes the model, and returns the edit
# that says the same, or nothing where only the whole document can say it.
my %deed = (
	insert => sub {
		my ($n) = @_;
		my ($at, $cell) = (int(rand(@{ $n->{cells} } + 1)), new_cell());
		my $next = $n->{cells}[$at];
		splice @{ $n->{cells} }, $at, 0, $cell;
		return { op => 'insert', value => as_cell($cell), $next ? (before => $next->{id}) : () };
	},
	delete => sub {
		my ($n) = @_;
		my ($cell) = splice @{ $n->{cells} }, rand @{ $n->{cells} }, 1;
		push @{ $n->{dead} }, $cell;
		return { op => 'delete', cell => $cell->{id} };
	},
	modify => sub {
		my ($n) = @_;
		my $cell = pick(old($n)) // return;
		$cell->{lines}[ rand @{ $cell->{lines} } ] = line();
		return { op => 'replace', cell => $cell->{id}, value => as_cell($cell) };
	},
	retype => sub {
		my ($n) = @_;
		my $cell = pick(old($n)) // return;
		$cell->{type} = $cell->{type} eq 'code' ? 'markdown' : 'code';
		($cell->{outputs}, $cell->{count}) = ([], undef);
		return { op => 'replace', cell => $cell->{id}, value => as_cell($cell) };
	},
	tag => sub {
		my ($n) = @_;
		my $cell = pick(old($n)) // return;
		$cell->{metadata}{tags} = [ ++$counter ];
		return { op => 'replace', cell => $cell->{id}, value => as_cell($cell) };
	},
	move => sub {
		my ($n) = @_;
		return if @{ $n->{cells} } < 2;
		my ($cell) = splice @{ $n->{cells} }, rand @{ $n->{cells} }, 1;
		my $at = int(rand @{ $n->{cells} });
		my $next = $n->{cells}[$at];
		splice @{ $n->{cells} }, $at, 0, $cell;
		return { op => 'move', cell => $cell->{id}, before => $next->{id} };
	},
	run => sub {
		my ($n) = @_;
		foreach my $cell (grep { $_->{type} eq 'code' } @{ $n->{cells} })
		{
			$cell->{count} = ++$counter;
			$cell->{outputs} = [ { output_type => 'stream', name => 'stdout', text => pick("same\n", "out $counter\n") } ];
		}
		return;
	},
	undelete => sub {
		my ($n) = @_;
		my ($cell) = @{ $n->{dead} } ? splice(@{ $n->{dead} }, rand @{ $n->{dead} }, 1) : return;
		push @{ $n->{cells} }, $cell;
		$cell->{back} = 1;
		return;
	},
	settings => sub { $_[0]{metadata}{"k$counter"} = ++$counter; return; });
my @deeds = ((sort keys %deed), qw(insert modify modify modify delete move));

# The length of the longest ascending sequence in a list.
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

sub rows { return map { [ split /\|/, $_, -1 ] } split /\n/, $node->safe_psql('postgres', "SET search_path = notebook_migrate, public;\n$_[0]"); }
sub value { return (rows($_[0]))[0][0]; }
sub quoted { return '$nbm$' . $json->encode($_[0]) . '$nbm$'; }

# Does something to the notebook, by one of the ways there are, and returns the
# statement for it.
sub save
{
	my ($id, $n, $history) = @_;
	my $way = rand;

	if ($way < 0.1 && @$history > 2)
	{
		my $version = 1 + int rand @$history;
		my %alive;
		$n->{$_} = copy($history->[ $version - 1 ]{$_}) foreach qw(cells metadata);
		$alive{ $_->{name} } = 1 foreach @{ $n->{cells} };
		$n->{dead} = [ grep { !$alive{ $_->{name} } } @{ $n->{dead} } ];
		return "SELECT notebook_restore($id, $version)";
	}
	if ($way < 0.2)
	{
		$_->{id} = 'id-' . ++$counter foreach @{ $n->{cells} };
		return "UPDATE notebook SET content = " . quoted(as_notebook($n)) . " WHERE notebook_id = $id RETURNING version";
	}

	# What comes back is what some version had: a cell that was changed and
	# deleted in one save is gone for good.
	my %saved = map { $json->encode([ @$_{qw(name type lines metadata)} ]) => 1 } map { @{ $_->{cells} } } @$history;
	my (@edit, $whole);
	foreach (1 .. 1 + int rand 4)
	{
		my $name = pick(@deeds);
		next if $name eq 'delete' && !@{ $n->{cells} };
		my $edit = $deed{$name}->($n);
		$edit ? push(@edit, $edit) : $whole++;
	}
	delete $_->{back} foreach @{ $n->{cells} }, @{ $n->{dead} };
	$n->{dead} = [ grep { $saved{ $json->encode([ @$_{qw(name type lines metadata)} ]) } } @{ $n->{dead} } ];
	return !$whole && $way < 0.6 ? "SELECT notebook_edit($id, " . quoted(\@edit) . ')'
	  : $way < 0.8 ? "SELECT notebook_commit($id, " . quoted(as_notebook($n)) . ')'
	  : "UPDATE notebook SET content = " . quoted(as_notebook($n)) . " WHERE notebook_id = $id RETURNING version";
}

# Compares two versions in the model: what diff must say of them.
sub compare
{
	my ($old, $new) = @_;
	my %old = map { $old->[$_]{name} => [ $_, $old->[$_] ] } 0 .. $#$old;
	my %new = map { $_->{name} => 1 } @$new;
	my %is = (inserted => [], deleted => [], modified => []);
	my @order;

	push @{ $is{deleted} }, grep { !$new{$_} } keys %old;
	foreach my $cell (@$new)
	{
		my $was = $old{ $cell->{name} } or do { push @{ $is{inserted} }, $cell->{name}; next };
		push @order, $was->[0];
		my $differs = sub { $json->encode($cell->{ $_[0] }) ne $json->encode($was->[1]{ $_[0] }) };
		push @{ $is{modified} }, $cell->{name} if $differs->('lines') || $differs->('type');
	}
	return ((map { join(' ', sort @{ $is{$_} }) } qw(inserted deleted modified)), @order - ascending(@order));
}

$node = PostgreSQL::Test::Cluster->new('property');
$node->init(extra => [ '--no-locale', '--encoding=UTF8' ]);
$node->start;
$ENV{PGCLIENTENCODING} = 'UTF8';
$node->safe_psql('postgres', q{CREATE EXTENSION notebook_migrate;
  INSERT INTO notebook_migrate.workflow (workflow_id, name, content) VALUES (1, 'flow', '{"operators": [{"operatorID": "A"}]}')});

foreach my $seed (@seed)
{
	srand($seed);
	my $id = 1000 + $seed;
	my $n = { cells => [ map { new_cell() } 1 .. 8 ], metadata => {}, dead => [] };
	my @history = (copy($n));
	my @statement = ("INSERT INTO notebook (notebook_id, name, content) VALUES ($id, 'seed $seed', " . quoted(as_notebook($n)) . ') RETURNING version');
	my @expected = (1);

	# An equal document makes no version; every other one makes one.
	while (@statement < $saves)
	{
		push @statement, save($id, $n, \@history);
		push @history, copy($n) if $json->encode(as_notebook($n)) ne $json->encode(as_notebook($history[-1]));
		push @expected, scalar @history;
	}
	is(join(' ', map { $_->[0] } rows(join(";\n", @statement) . ';')), "@expected", "seed $seed: a version for each change");

	# Every version is what the model says.
	my $values = join(",\n", map { "($_, " . quoted(as_notebook($history[ $_ - 1 ])) . '::jsonb)' } 1 .. @history);
	is(join(' ', map { $_->[0] } rows("SELECT v FROM (VALUES $values) AS m (v, content) WHERE notebook_at($id, v)::text IS DISTINCT FROM content::text ORDER BY v")),
		'', "seed $seed: every version reads back");

	# A key is one cell, and a cell one key, over the whole history.
	my (%name_of, %key_of, @mixed);
	foreach my $row (rows("SELECT v.version, c.position, c.cell_key FROM notebook_version AS v, notebook_cells($id, v.version) AS c WHERE v.notebook_id = $id ORDER BY 1, 2"))
	{
		my ($version, $position, $key) = @$row;
		my $name = $history[ $version - 1 ]{cells}[$position]{name};
		push @mixed, "version $version: key $key was $name_of{$key}, is $name" if ($name_of{$key} //= $name) ne $name;
		push @mixed, "version $version: $name had key $key_of{$name}, has $key" if ($key_of{$name} //= $key) != $key;
	}
	is("@mixed[0 .. ($#mixed > 4 ? 4 : $#mixed)]", '', "seed $seed: keys and cells are one to one");

	# Differences of any two versions.
	my @wrong;
	foreach (1 .. 40)
	{
		my ($from, $to) = (1 + int rand @history, 1 + int rand @history);
		my ($inserted, $deleted, $modified, $moved) = compare($history[ $from - 1 ]{cells}, $history[ $to - 1 ]{cells});
		my (%is, $moves);
		foreach my $row (rows("SELECT CASE WHEN change NOT IN ('split', 'merged') THEN change WHEN old_position IS NULL THEN 'inserted'
			                                 WHEN new_position IS NULL THEN 'deleted' ELSE 'modified' END,
			                            cell_key, 'position' = ANY (detail) FROM notebook_diff($id, $from, $to) WHERE cell_key IS NOT NULL"))
		{
			my ($change, $key, $has_moved) = @$row;
			$moves++ if $has_moved eq 't';
			push @{ $is{ $change =~ s/^moved_//r } }, $name_of{$key} // "key $key";
		}
		my $is = join('; ', (map { join(' ', sort @{ $is{$_} // [] }) } qw(inserted deleted modified)), $moves // 0);
		my $expected = join('; ', $inserted, $deleted, $modified, $moved);
		push @wrong, "$from to $to: $is instead of $expected" if $is ne $expected;
	}
	is(join("\n", @wrong), '', "seed $seed: differences");

	# Links: a mapping stated for one version, asked for at every other one.
	my $at = 1 + int rand @history;
	my @mapped = (shuffle @{ $history[ $at - 1 ]{cells} })[ 0 .. 2 ];
	@mapped = grep { defined } @mapped;
	value("SELECT mapping_put($id, $at, 1, 1, " . quoted({ links => [ map { { cell => $_->{id}, operator => 'A' } } @mapped ] }) . ')');
	@wrong = ();
	foreach my $row (rows("SELECT v.version, l.cell_key, l.state FROM notebook_version AS v, mapping_links($id, v.version, 1, 1) AS l WHERE v.notebook_id = $id"))
	{
		my ($version, $key, $state) = @$row;
		my ($was) = grep { $_->{name} eq $name_of{$key} } @mapped;
		my ($cell) = grep { $_->{name} eq $name_of{$key} } @{ $history[ $version - 1 ]{cells} };
		my $equal = $json->encode(as_notebook($history[ $version - 1 ])) eq $json->encode(as_notebook($history[ $at - 1 ]));
		my $expected = !$cell ? 'cell_removed' : $equal ? 'exact'
		  : $json->encode([ @$cell{qw(type lines)} ]) eq $json->encode([ @$was{qw(type lines)} ]) ? 'carried' : 'cell_changed';
		push @wrong, "$at to $version: $name_of{$key} is $state, not $expected" if $state ne $expected;
	}
	is(join("\n", @wrong), '', "seed $seed: states of links");
	is(value("SELECT count(*) FROM notebook_version AS v, mapping_links($id, v.version, 1, 1) WHERE v.notebook_id = $id"),
		@mapped * @history, "seed $seed: no link is dropped");

	is(join(' ', map { $_->[0] } rows("SELECT version FROM notebook_version AS v, LATERAL (SELECT count(*) FILTER (WHERE old_position IS NULL) AS i,
	      count(*) FILTER (WHERE new_position IS NULL) AS d, count(*) FILTER (WHERE change IN ('modified', 'moved_modified')
	          OR change IN ('split', 'merged') AND num_nulls(old_position, new_position) = 0) AS m
	      FROM notebook_diff($id, v.version - 1, v.version) WHERE cell_key IS NOT NULL) AS c WHERE notebook_id = $id AND version > 1 AND (i, d, m) IS DISTINCT FROM (inserted, deleted, modified)")),
		'', "seed $seed: the counts of a version are those of its diff");
	is(join(' ', map { "@$_" } rows("SELECT * FROM store_verify('notebook', $id)")), '', "seed $seed: sound");
}

$node->stop;
done_testing();
