# Who is who over real histories, and the life of an item from its birth through
# moves, new names, cuts and restores.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/../lib";
use PostgreSQL::Test::Utils;
use StoreTest;
use Test::More;
use JSON::PP;
use File::Basename;
use List::Util qw(min);

my $data = $ENV{NBM_DATA};
my ($node, $last) = (undef, 1000);

sub lines
{
	my ($tag, $from, $to) = @_;
	srand(unpack('%32C*', $tag) * 7919);
	my @all = map { join(' ', map({ sprintf('%06x', rand 2**24) } 1 .. 4), "# $tag$_") } 1 .. 40;
	return @all[ $from - 1 .. $to - 1 ];
}
sub text { return join("\n", lines(@_)); }
sub notebook { return { metadata => {}, nbformat => 4, nbformat_minor => 4, cells => [ map { { cell_type => 'code', metadata => {}, outputs => [], execution_count => undef, source => $_ } } @_ ] }; }

$node = start_server('identity');

# The life of a cell: each step is a document, and the row that cell_history
# then has for it (version position change, or nothing where nothing happened).
{
	my ($x, $y, $z) = (text('x', 1, 8), text('y', 1, 6), text('z', 1, 6));
	my @life = (
		[ 'born', notebook($y, $x, $z), '1 inserted' ],
		[ 'a neighbour edited', notebook(text('y', 1, 5), $x, $z), '' ],
		[ 'shifted by a new neighbour', notebook(text('y', 1, 5), text('n', 1, 4), $x, $z), '' ],
		[ 'edited', notebook(text('y', 1, 5), text('n', 1, 4), text('x', 1, 7), $z), '2 modified' ],
		[ 'moved', notebook(text('x', 1, 7), text('y', 1, 5), text('n', 1, 4), $z), '0 moved' ],
		[ 'moved and edited', notebook(text('y', 1, 5), text('n', 1, 4), $z, text('x', 1, 6)), '3 moved_modified' ],
		[ 'cut', notebook(text('y', 1, 5), text('n', 1, 4), $z, text('x', 1, 4), text('x', 5, 6)), '3 split' ],
		[ 'joined', notebook(text('y', 1, 5), text('n', 1, 4), $z, text('x', 1, 6)), '3 merged' ],
		[ 'deleted', notebook(text('y', 1, 5), text('n', 1, 4), $z), ' deleted' ],
		[ 'back', notebook(text('y', 1, 5), text('x', 1, 6), text('n', 1, 4), $z), '1 inserted' ]);
	my @expected;
	foreach my $v (1 .. @life)
	{
		my ($name, $document, $row) = @{ $life[ $v - 1 ] };
		sql($v == 1 ? 'INSERT INTO notebook (notebook_id, name, content) VALUES (1, NULL, ' . quoted($document) . ')' : 'SELECT notebook_commit(1, ' . quoted($document) . ')');
		push @expected, "$v $row" if $row;
		is_sql("SELECT version || ' ' || coalesce(position::text, '') || ' ' || change FROM cell_history(1, 2)", join("\n", @expected), "the life of a cell: $name");
	}
	is_sql('SELECT version FROM cell_history(1, 2) AS h WHERE source IS DISTINCT FROM (SELECT c.source FROM notebook_cells(1, h.version) AS c WHERE c.cell_key = 2)', '', 'the life of a cell: its sources');
	sql('SELECT notebook_restore(1, 5)');
	is_sql('SELECT version, position, source FROM cell_history(1, 2) WHERE version = 11', '11|0|' . text('x', 1, 7), 'the life of a cell: restored');
	is_sql('SELECT array_agg(cell_key ORDER BY position) = (SELECT array_agg(cell_key ORDER BY position) FROM notebook_cells(1, 5)) FROM notebook_cells(1)', 't', 'the life of a cell: all keys are those of then');
	sql('SELECT notebook_restore(1, 10)');
	is_sql('SELECT count(*) FROM notebook_diff(1, 10, 12)', 0, 'the life of a cell: restored again');
	fails('SELECT * FROM cell_history(1, 999)', '02000', '', 'a key that no cell had has no history');
	fails('SELECT * FROM cell_history(NULL, 1)', '22004', '', 'the history in no notebook');
	fails('SELECT * FROM cell_history(1, NULL)', '(22004|02000)', '', 'the history of no cell');
}

# The life of an operator.  A new id is no other operator.
sub flow
{
	my ($links, @operator) = @_;
	return { operators => [ map { { operatorID => $_->[0], operatorType => $_->[2] // 'PythonUDFV2', operatorVersion => 'N/A', operatorProperties => { code => $_->[1], workers => 1 }, isDisabled => JSON::PP::false, customDisplayName => $_->[3] // 'name' } } @operator ],
		links => [ map { my ($f, $t) = @$_; { linkID => "l-$f-$t", source => { operatorID => $f, portID => 'output-0' }, target => { operatorID => $t, portID => 'input-0' } } } @$links ],
		operatorPositions => { map { $operator[$_][0] => { x => 100 * $_, y => 0 } } 0 .. $#operator }, commentBoxes => [], settings => {} };
}
{
	my ($x, $y, $z) = (text('x', 1, 8), text('y', 1, 6), text('z', 1, 6));
	my $moved = flow([ [ 'Y', 'X2' ] ], [ 'Y', $y ], [ 'X2', $x ], [ 'Z', $z ]);
	$moved->{operatorPositions}{X2} = { x => 999, y => 1 };
	my @life = (
		[ 'born', flow([ [ 'Y', 'X' ] ], [ 'Y', $y ], [ 'X', $x ], [ 'Z', $z ]), 'inserted' ],
		[ 'another order', do { my $n = flow([ [ 'Y', 'X' ] ], [ 'Y', $y ], [ 'X', $x ], [ 'Z', $z ]); $n->{operators} = [ reverse @{ $n->{operators} } ]; $n }, '' ],
		[ 'a new id', flow([ [ 'Y', 'X2' ] ], [ 'Y', $y ], [ 'X2', $x ], [ 'Z', $z ]), 'renamed' ],
		[ 'its box moved', $moved, 'layout' ],
		[ 'linked', do { my $n = copy($moved); push @{ $n->{links} }, { linkID => 'more', source => { operatorID => 'X2', portID => 'output-0' }, target => { operatorID => 'Z', portID => 'input-0' } }; $n }, 'relinked' ],
		[ 'edited', do { my $n = copy($moved); $n->{operators}[1]{operatorProperties}{code} = text('x', 1, 7); $n }, 'modified' ],
		[ 'cut', do { my $n = flow([ [ 'Y', 'X2' ], [ 'X2', 'W' ] ], [ 'Y', $y ], [ 'X2', text('x', 1, 5) ], [ 'W', text('x', 6, 7) ], [ 'Z', $z ]); $n }, 'split' ],
		[ 'joined', flow([ [ 'Y', 'X2' ] ], [ 'Y', $y ], [ 'X2', text('x', 1, 7) ], [ 'Z', $z ]), 'merged' ],
		[ 'deleted', flow([], [ 'Y', $y ], [ 'Z', $z ]), 'deleted' ],
		[ 'back under its id', flow([ [ 'Y', 'X2' ] ], [ 'Y', $y ], [ 'X2', text('x', 1, 7) ], [ 'Z', $z ]), 'inserted' ]);
	my @expected;
	foreach my $v (1 .. @life)
	{
		my ($name, $document, $row) = @{ $life[ $v - 1 ] };
		sql($v == 1 ? 'INSERT INTO workflow (workflow_id, name, content) VALUES (1, NULL, ' . quoted($document) . ')' : 'SELECT workflow_commit(1, ' . quoted($document) . ')');
		push @expected, "$v $row" if $row;
		is_sql("SELECT version || ' ' || change FROM operator_history(1, 2)", join("\n", @expected), "the life of an operator: $name");
	}
	sql('SELECT workflow_restore(1, 3)');
	is_sql("SELECT operator_id FROM workflow_operators(1) WHERE operator_key = 2", 'X2', 'the life of an operator: restored');
	fails('SELECT * FROM operator_history(1, 999)', '02000', '', 'a key that no operator had has no history');
}

# Workflows that were made anew: other ids, another order, code a little changed.
# The pairs of old and new ids that are one operator.
sub known
{
	my ($old, $new) = @_;
	sql('INSERT INTO workflow (workflow_id, name, content) VALUES (' . ++$last . ', NULL, ' . quoted($old) . "); SELECT workflow_commit($last, " . quoted($new) . ')');
	return sql("SELECT string_agg(o.operator_id || '=' || n.operator_id, ' ' ORDER BY o.operator_id COLLATE \"C\") FROM workflow_operators($last, 1) AS o JOIN workflow_operators($last, 2) AS n USING (operator_key)");
}
{
	my @op = map { [ $_, text($_, 1, 6), 'PythonUDFV2', "name $_" ] } qw(A B C D);
	my $old = flow([ [ 'A', 'B' ], [ 'B', 'C' ], [ 'B', 'D' ] ], @op);
	my $all = 'A=a B=b C=c D=d';
	my @new = map { [ lc $_->[0], @$_[ 1 .. 3 ] ] } @op;
	my @links = ([ 'a', 'b' ], [ 'b', 'c' ], [ 'b', 'd' ]);
	is(known($old, flow(\@links, @new)), $all, 'made anew: all ids new');
	is(known($old, flow(\@links, reverse @new)), $all, 'made anew: and another order');
	is(known($old, flow(\@links, map { [ $_->[0], $_->[1] . "\n# done", @$_[ 2, 3 ] ] } reverse @new)), $all, 'made anew: and all code a little changed');
	is(known($old, flow([], @new)), $all, 'made anew: without links');
	# Equal code: the neighbours tell who is who.
	my @same = map { [ $_, 'yield t', 'PythonUDFV2' ] } qw(B C D);
	my @chain = ([ 'A', text('a', 1, 3), 'CSVFileScan' ], @same, [ 'E', text('e', 1, 3), 'Sink' ]);
	is(known(flow([ [ 'A', 'B' ], [ 'B', 'C' ], [ 'C', 'D' ], [ 'D', 'E' ] ], @chain),
			flow([ [ 'a', 'b' ], [ 'b', 'c' ], [ 'c', 'd' ], [ 'd', 'e' ] ], map { [ lc $_->[0], @$_[ 1, 2 ] ] } @chain[ 3, 1, 4, 2, 0 ])),
		'A=a B=b C=c D=d E=e', 'made anew: equal code is told apart by the links');
	is(known(flow([ [ 'A', 'B' ] ], [ 'A', 'x', 'CSVFileScan' ], [ 'B', 'x', 'Sink' ]), flow([ [ 'a', 'b' ] ], [ 'b', 'x', 'Sink' ], [ 'a', 'x', 'CSVFileScan' ])), 'A=a B=b', 'made anew: equal code is told apart by the type');
	# A clone: the ids rewritten wherever they stand, within the code as well.
	my @self = map { [ "PythonUDFV2-operator-$_", text($_, 1, 3) . "\n# I am PythonUDFV2-operator-$_", 'PythonUDFV2' ] } qw(one two three);
	my $clone = $json->decode($json->encode(flow([ [ map { $_->[0] } @self[ 0, 1 ] ], [ map { $_->[0] } @self[ 1, 2 ] ] ], @self)) =~ s/operator-(one|two|three)/operator-new-$1/gr);
	is(known(flow([ [ map { $_->[0] } @self[ 0, 1 ] ], [ map { $_->[0] } @self[ 1, 2 ] ] ], @self), $clone), join(' ', sort map { "PythonUDFV2-operator-$_=PythonUDFV2-operator-new-$_" } qw(one two three)), 'a clone: ids rewritten in the text as well');
	is_sql("SELECT DISTINCT change FROM workflow_diff($last, 1, 2) WHERE change IN ('inserted', 'deleted', 'split', 'merged')", '', 'a clone: nothing came, nothing went');
	# Unlike operators are not the same, whatever their links say.
	is(known(flow([ [ 'A', 'B' ] ], @op[ 0, 1 ]), flow([ [ 'a', 'b' ] ], [ 'a', text('q', 1, 6), 'Filter' ], [ 'b', text('r', 1, 6), 'Join' ])), '', 'made anew: nothing in common');
}

SKIP:
{
	skip 'NBM_DATA does not name a folder with the real notebooks', 8 unless defined $data && -d "$data/notebooks_corpus";

	# Texera's own workflows, cloned: every operator is known.
	foreach my $path (sort glob("$data/texera/*.json"))
	{
		my $name = basename($path, '.json');
		next unless $name =~ /^(workflow\d|udon_W\d|Q\d_Final|prompt-example_workflow_content)$/;
		my $old = $reader->decode(slurp_file($path));
		$old = $old->{content} if $name =~ /^workflow/;
		my $t = $json->encode($old);
		my %id = map { $_->{operatorID} => 1 } @{ $old->{operators} };
		next if keys %id != @{ $old->{operators} };
		my $n = 0;
		foreach my $id (sort { length $b <=> length $a || $a cmp $b } keys %id) { my $new = sprintf('clone-%08x-%d', 2654435761 * ++$n % 2**32, $n); $t =~ s/\Q$id\E/$new/g; $id{$id} = $new; }
		is(join(' ', sort split / /, known($old, $json->decode($t))), join(' ', sort map { "$_=$id{$_}" } keys %id), "$name cloned: every operator is known");
	}

	# Real notebooks without ids, edited at random: who is who is known then.
	# Cells whose text stands twice are left out of the count.
	my ($connected, $kept, $claimed, $edits, @missed) = (0, 0, 0, 0);
	my @trouble;
	foreach my $path (sort glob("$data/notebooks_corpus/notebooks/*.ipynb"))
	{
		my $real = eval { $reader->decode(slurp_file($path)) };
		next if !$real || ref $real->{cells} ne 'ARRAY' || @{ $real->{cells} } < 6 || -s $path > 600000;
		delete $_->{id} foreach @{ $real->{cells} };
		srand(unpack('%32C*', basename($path)));
		my @cells = map { { cell => $real->{cells}[$_], was => $_ } } 0 .. $#{ $real->{cells} };
		my $source = sub { my $s = $_[0]{cell}{source}; return ref $s ? join('', @$s) : $s; };
		my %times;
		$times{ $source->($_) }++ foreach @cells;
		foreach (1 .. 3)
		{
			my $deed = int rand 5;
			my $i = int rand @cells;
			if ($deed < 2)
			{
				my $c = copy($cells[$i]{cell});
				my @l = split /\n/, $source->($cells[$i]), -1;
				next if @l < 3;
				$l[ rand @l ] = 'changed_' . int(rand 1e6) . ' = compute(' . int(rand 1e6) . ')';
				$c->{source} = join("\n", @l);
				$cells[$i] = { cell => $c, was => $cells[$i]{was} };
			}
			elsif ($deed == 2) { splice @cells, $i, 1 }
			elsif ($deed == 3) { splice @cells, $i, 0, { cell => { cell_type => 'code', metadata => {}, outputs => [], execution_count => undef, source => text('new' . $i, 1, 5) } } }
			else { my ($c) = splice @cells, $i, 1; splice @cells, rand(@cells + 1), 0, $c }
		}
		my $new = { %$real, cells => [ map { $_->{cell} } @cells ] };
		$edits++;
		$last++;
		sql("INSERT INTO notebook (notebook_id, name, content) VALUES ($last, NULL, " . quoted($real) . "); SELECT notebook_commit($last, " . quoted($new) . ')');
		my %to = map { $_->[0] => $_->[1] } answers("SELECT json_build_array(o.position, n.position) FROM notebook_cells($last, 1) AS o JOIN notebook_cells($last) AS n USING (cell_key)");
		my %from = reverse %to;
		foreach my $p (0 .. $#cells)
		{
			my $was = $cells[$p]{was};
			my $is = $from{$p};
			next if grep { defined $_ && ($times{ $source->({ cell => $real->{cells}[$_] }) } > 1 || $source->({ cell => $real->{cells}[$_] }) !~ /\S/) } $was, $is;
			$connected++ if defined $was;
			$claimed++ if defined $is;
			if (defined $was && defined $is && $was == $is) { $kept++ }
			elsif (defined $was || defined $is) { push @missed, basename($path) . ": cell $p was " . ($was // 'none') . ', by its key ' . ($is // 'none') }
		}
	}
	cmp_ok($edits, '>', 30, 'real notebooks were edited');
	note("$edits edits: $kept of $connected pairs of cells have one key; $claimed pairs of the keys");
	cmp_ok($kept, '>=', 0.997 * $connected, 'of the pairs that are one cell 99.7 % have the same key') or diag(join("\n", @missed));
	cmp_ok($kept, '>=', 0.995 * $claimed, 'of the pairs that keys connect 99.5 % are one cell') or diag(join("\n", @missed));

	# Whole histories: descents, differences and lives fit each other.
	foreach my $folder (sort grep { -d } glob("$data/notebooks_corpus/history/*"))
	{
		my $name = basename($folder);
		my ($id, $v) = (++$last, 0);
		foreach my $path (sort glob("$folder/*.json"))
		{
			my $t = slurp_file($path);
			my ($out, $err) = ('', '');
			$node->psql('postgres', ($v ? "SELECT notebook_migrate.notebook_commit($id, " : "INSERT INTO notebook_migrate.notebook (notebook_id, name, content) VALUES ($id, NULL, ") . "\$nbm_c\$$t\$nbm_c\$::jsonb) " . ($v ? '' : 'RETURNING version'), stdout => \$out, stderr => \$err);
			$v = $out if $out ne '';
			push @trouble, "$name " . basename($path) . ": $err" if $err =~ /ERROR/ && $err !~ /invalid input syntax|unsupported Unicode/;
		}
		cmp_ok($v, '>', 3, "$name: stored");
		is_sql("SELECT d.* FROM cell_descent AS d WHERE notebook_id = $id AND NOT (version BETWEEN 2 AND $v AND change IN ('split', 'merged') AND cell_key <> from_key
		      AND EXISTS (SELECT FROM notebook_cells($id, version) AS c WHERE c.cell_key = d.cell_key) AND EXISTS (SELECT FROM notebook_cells($id, version - 1) AS c WHERE c.cell_key = d.from_key)
		      AND (change = 'split') = EXISTS (SELECT FROM notebook_cells($id, version) AS c WHERE c.cell_key = d.from_key)
		      AND (change = 'merged') = EXISTS (SELECT FROM notebook_cells($id, version - 1) AS c WHERE c.cell_key = d.cell_key))", '', "$name: descents fit the versions");
		# What descends shares its words with what it descends from.
		is_sql("SELECT version, d.cell_key, from_key, quote_literal(left(n.source, 400)), quote_literal(left(o.source, 400)) FROM cell_descent AS d, notebook_cells($id, d.version) AS n, notebook_cells($id, d.version - 1) AS o
		  WHERE notebook_id = $id AND n.cell_key = d.cell_key AND o.cell_key = d.from_key
		    AND (SELECT count(*) FROM (SELECT regexp_split_to_table(n.source, '\\W+') INTERSECT SELECT regexp_split_to_table(o.source, '\\W+')) AS w)
		      < 0.5 * (SELECT count(DISTINCT w) FROM regexp_split_to_table(CASE WHEN d.change = 'split' THEN n.source ELSE o.source END, '\\W+') AS w)", '', "$name: who descends has words in common");
		is_sql("SELECT v.version FROM notebook_version AS v WHERE v.notebook_id = $id AND v.version > 1 AND EXISTS (
		    SELECT cell_key FROM notebook_diff($id, v.version - 1, v.version) AS d WHERE cell_key IS NOT NULL GROUP BY 1 HAVING count(*) > 1)", '', "$name: one row a cell");
		is_sql(qq{SELECT v.version, l.cell_key FROM notebook_version AS v, LATERAL (
		    SELECT cell_key, coalesce(string_agg(text, E'\\n' ORDER BY n) FILTER (WHERE mark <> '+'), '') AS o, coalesce(string_agg(text, E'\\n' ORDER BY n) FILTER (WHERE mark <> '-'), '') AS s
		      FROM notebook_diff_lines($id, v.version - 1, v.version) WITH ORDINALITY AS l (cell_key, old_line, new_line, mark, text, n) GROUP BY 1) AS l
		    LEFT JOIN LATERAL notebook_diff($id, v.version - 1, v.version) AS d ON d.cell_key = l.cell_key
		    WHERE v.notebook_id = $id AND v.version > 1 AND (d.cell_key IS NULL OR l.o <> coalesce(d.old_source, '') OR l.s <> coalesce(d.new_source, ''))}, '', "$name: lines give both sources");
		is_sql("SELECT v.version FROM notebook_version AS v WHERE v.notebook_id = $id AND v.version > 1 AND notebook_diff_text($id, v.version - 1, v.version) = ''", '', "$name: every version has a text of its difference");
		my $longest = sql("SELECT coalesce(max(length(notebook_diff_text($id, v.version - 1, v.version))::float / (length(notebook_at($id, v.version - 1)::text) + length(notebook_at($id, v.version)::text))), 0) FROM notebook_version AS v WHERE v.notebook_id = $id AND v.version > 1");
		cmp_ok($longest, '<', 2, "$name: and no text is out of proportion");
		is_sql(<<"SQL", '', "$name: lives and differences agree");
WITH told AS (SELECT d.cell_key AS key, v.version, d.change FROM notebook_version AS v, notebook_diff($id, v.version - 1, v.version) AS d WHERE v.notebook_id = $id AND v.version > 1 AND d.cell_key IS NOT NULL),
lived AS (SELECT k.key, h.version, h.change FROM (SELECT DISTINCT key FROM told) AS k, cell_history($id, k.key) AS h WHERE h.version > 1)
(TABLE told EXCEPT TABLE lived) UNION ALL (TABLE lived EXCEPT TABLE told)
SQL
		is_sql("SELECT * FROM store_verify('notebook', $id)", '', "$name: sound");
	}
	none('every revision that is JSON was taken', @trouble);
}
ok(!$node->log_contains(qr/PANIC|TRAP|terminated by signal|XX000/), 'the server never crashed');

$node->stop;
done_testing();
