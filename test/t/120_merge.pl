# Three-way merges of random edits, against a small model of them in Perl: the
# laws that hold whatever was edited, that edits of different cells combine, and
# that nothing is lost.  Then the same laws on real notebooks and histories of
# them.  NBM_SEED replays one script.
use strict;
use warnings;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use File::Basename;
use JSON::PP;

my @seed = defined $ENV{NBM_SEED} ? ($ENV{NBM_SEED}) : (1 .. 8);
my $cases = 25;
my $json = JSON::PP->new->canonical->allow_nonref;
my $data = $ENV{NBM_DATA};
my ($counter, $node) = (0);

# The model.  A cell is {name, id, type, lines, tag, count}; no line and no tag
# is in two cells, so what a text holds tells where it comes from.

sub pick { return @_ ? $_[ rand @_ ] : undef; }
sub line { return join(' ', (map { pick(qw(x = + \\ " é)) . sprintf('%06x', rand 2**24) } 1 .. 4), '#' . ++$counter); }
sub copy { return $json->decode($json->encode($_[0])); }
sub new_cell
{
	$counter++;
	return { name => "n$counter", id => "id-$counter", type => pick(qw(code code markdown)),
		lines => [ map { line() } 1 .. 6 ], tag => "tag $counter.", count => undef };
}
sub as_cell
{
	my $c = shift;
	return { cell_type => $c->{type}, id => $c->{id}, source => join("\n", @{ $c->{lines} }), metadata => { tags => [ $c->{tag} ] },
		$c->{type} eq 'code' ? (outputs => [], execution_count => $c->{count}) : () };
}
sub as_notebook
{
	my $n = shift;
	return { cells => [ map { as_cell($_) } @{ $n->{cells} } ], metadata => {}, nbformat => 4, nbformat_minor => 5 };
}
sub quoted { return '$nbm$' . $json->encode($_[0]) . '$nbm$'; }

# What people do to the cells that they may touch.
my %deed = (
	insert => sub { my ($n) = @_; splice @{ $n->{cells} }, int(rand(@{ $n->{cells} } + 1)), 0, new_cell(); },
	delete => sub {
		my ($n, $may) = @_;
		my $name = (pick(grep { $may->($_) } @{ $n->{cells} }) // return)->{name};
		$n->{cells} = [ grep { $_->{name} ne $name } @{ $n->{cells} } ];
	},
	modify => sub {
		my $cell = pick(grep { $_[1]->($_) } @{ $_[0]{cells} }) // return;
		$cell->{lines}[ rand @{ $cell->{lines} } ] = line();
	},
	grow => sub {
		my $cell = pick(grep { $_[1]->($_) } @{ $_[0]{cells} }) // return;
		splice @{ $cell->{lines} }, int(rand(@{ $cell->{lines} } + 1)), int(rand(2)), line();
	},
	append => sub { push @{ (pick(grep { $_[1]->($_) } @{ $_[0]{cells} }) // return)->{lines} }, line(); },
	retag => sub { (pick(grep { $_[1]->($_) } @{ $_[0]{cells} }) // return)->{tag} = 'tag ' . ++$counter . '.'; },
	run => sub { (pick(grep { $_->{type} eq 'code' } @{ $_[0]{cells} }) // return)->{count} = ++$counter; },
	move => sub {
		my ($n) = @_;
		return if @{ $n->{cells} } < 2;
		my ($cell) = splice @{ $n->{cells} }, rand @{ $n->{cells} }, 1;
		splice @{ $n->{cells} }, int(rand(@{ $n->{cells} } + 1)), 0, $cell;
	});
my @deeds = ((sort keys %deed), qw(modify modify append append insert));

# A notebook after some random deeds on cells that may be touched.
sub edited
{
	my ($n, $may, @names) = @_;
	my $edited = copy($n);
	$deed{ pick(@names) }->($edited, $may) foreach 1 .. 1 + int rand 6;
	return $edited;
}
sub anything { return 1; }

# All lines and tags in a notebook of the model, and in any JSON value.
sub content { return map { (@{ $_->{lines} }, $_->{tag}) } @{ $_[0]{cells} }; }
sub strings
{
	my $v = shift;
	return ref $v eq 'HASH' ? (map { strings($_) } values %$v) : ref $v eq 'ARRAY' ? (map { strings($_) } @$v) : $v // ();
}
sub names { return map { $_->{id} =~ /(\d+)/ ? "n$1" : '?' } @{ $_[0]{cells} }; }

$node = PostgreSQL::Test::Cluster->new('merge');
$node->init(extra => [ '--no-locale', '--encoding=UTF8' ]);
$node->start;
$ENV{PGCLIENTENCODING} = 'UTF8';
sub sql { return $node->safe_psql('postgres', "SET search_path = notebook_migrate, public;\n$_[0]"); }
sql(q{CREATE EXTENSION notebook_migrate;
  CREATE TABLE public.edit (n int, base jsonb, ours jsonb, theirs jsonb, expected jsonb);
  -- A change of the envelope, so that there is something to merge.
  CREATE FUNCTION public.touched(jsonb) RETURNS jsonb LANGUAGE sql AS $$ SELECT $1 || '{"touched": 1.0}' $$;
  -- What must hold whatever the two edits were: the name of each law that is broken.
  CREATE FUNCTION public.broken(base jsonb, ours jsonb, theirs jsonb) RETURNS SETOF text LANGUAGE sql AS $$
    SELECT name FROM (VALUES
        ('x, x', base, ours, ours, ours),
        ('x, b', base, ours, base, ours),
        ('b, x', base, base, ours, ours),
        ('x, touched', base, ours, public.touched(base), public.touched(ours)),
        ('touched, x', base, public.touched(base), ours, public.touched(ours)),
        ('x, x touched', base, ours, public.touched(ours), public.touched(ours))) AS law (name, b, x, y, expected),
      LATERAL notebook_migrate.notebook_merge(b, x, y) AS m
     WHERE m.content::text IS DISTINCT FROM expected::text OR m.conflicts <> '[]'
     ORDER BY 1 $$;});

# Takes edits in, each a list of base, ours, theirs and what to expect of them.
sub take_in
{
	my $n = 0;
	sql('TRUNCATE edit;' . join('', map {
		$n++;
		"INSERT INTO edit VALUES ($n, " . join(', ', map { defined $_ ? quoted(as_notebook($_)) : 'NULL' } @$_[ 0 .. 3 ]) . ');' } @_));
}

# What is lost, or there twice, of two edits of a base after their merge.
sub lost
{
	my ($base, $ours, $theirs, $content, $conflicts) = @_;
	my %in = map { $_ => 1 } map { split /\n/ } strings([ $content, $conflicts ]);
	my %base = map { $_ => 1 } content($base);
	my %theirs = map { $_ => 1 } content($theirs);
	my (%seen, @wrong);

	# What a side added is there, and what neither one took out.
	foreach my $piece (content($ours), content($theirs))
	{
		push @wrong, "lost: $piece" if !$in{$piece} && !$base{$piece};
	}
	foreach my $piece (content($ours))
	{
		push @wrong, "dropped: $piece" if !$in{$piece} && $theirs{$piece};
	}
	$seen{$_}++ foreach names($content);
	push @wrong, map { "twice: $_" } grep { $seen{$_} > 1 } sort keys %seen;

	# Each cell is there, or deleted by a side while the other left it alone.
	my %old = map { $_->{name} => $_ } @{ $base->{cells} };
	foreach my $side ($ours, $theirs)
	{
		foreach my $cell (@{ $side->{cells} })
		{
			my $was = $old{ $cell->{name} };
			next if $seen{ $cell->{name} };
			push @wrong, "dropped cell: $cell->{name}"
			  if !$was || $json->encode([ @$was{qw(type lines tag)} ]) ne $json->encode([ @$cell{qw(type lines tag)} ]);
		}
	}
	return @wrong;
}

foreach my $seed (@seed)
{
	srand($seed);
	my @any = map {
		my $base = { cells => [ map { new_cell() } 1 .. pick(0, 1, 1, 2, 3, 5, 9) ] };
		[ $base, edited($base, \&anything, @deeds), edited($base, \&anything, @deeds) ] } 1 .. $cases;

	take_in(@any);
	is(sql('SELECT n, broken(base, ours, theirs) FROM edit'), '', "seed $seed: the laws hold");
	is( sql(q{SELECT n FROM edit, notebook_merge(base, ours, theirs) AS c, notebook_merge(base, ours, theirs, 'mark') AS m,
	              notebook_merge(base, ours, theirs, 'ours') AS o, notebook_merge(base, ours, theirs, 'theirs') AS t
	            WHERE (SELECT count(DISTINCT jsonb_array_length(x)) FROM (VALUES (c.conflicts), (m.conflicts), (o.conflicts), (t.conflicts)) AS v (x)) > 1
	               OR (c.conflicts = '[]' AND (c.content, c.content, c.content) IS DISTINCT FROM (m.content, o.content, t.content))}),
		'', "seed $seed: a strategy decides conflicts and nothing else");
	is( sql(q{SELECT n FROM edit, notebook_merge(base, ours, theirs) AS a, notebook_merge(base, theirs, ours) AS b
	            WHERE (a.conflicts = '[]') <> (b.conflicts = '[]')
	               OR (a.conflicts = '[]' AND (SELECT array_agg(c - 'outputs' - 'execution_count' ORDER BY c::text COLLATE "C") FROM jsonb_array_elements(a.content -> 'cells') AS c)
	                   IS DISTINCT FROM (SELECT array_agg(c - 'outputs' - 'execution_count' ORDER BY c::text COLLATE "C") FROM jsonb_array_elements(b.content -> 'cells') AS c))}),
		'', "seed $seed: the same cells the other way round");
	my @wrong;
	foreach my $row (split /\n/, sql(q{SELECT jsonb_build_array(n, content, conflicts) FROM edit, notebook_merge(base, ours, theirs) AS m ORDER BY n}))
	{
		utf8::decode($row);
		my ($n, $content, $conflicts) = @{ $json->decode($row) };
		push @wrong, map { "$n: $_" } lost(@{ $any[ $n - 1 ] }[ 0 .. 2 ], $content, $conflicts);
	}
	is(join("\n", @wrong), '', "seed $seed: nothing is lost");

	# The side that wins has all that it added in the content, a marked source has both sides' lines.
	@wrong = ();
	foreach my $row (split /\n/, sql(q{SELECT jsonb_build_array(n, s, content) FROM edit, unnest('{conflict,mark,ours,theirs}'::text[]) AS s,
	                                    notebook_merge(base, ours, theirs, s) AS m ORDER BY n}))
	{
		utf8::decode($row);
		my ($n, $strategy, $content) = @{ $json->decode($row) };
		my ($base, $ours, $theirs) = @{ $any[ $n - 1 ] };
		my %in = map { $_ => 1 } map { split /\n/ } strings($content);
		my %base = map { $_ => 1 } content($base);
		my @won = $strategy eq 'theirs' ? content($theirs) : content($ours);
		push @won, grep { !/^tag/ } content($theirs) if $strategy eq 'mark';
		push @wrong, map { "$n, $strategy: $_" } grep { !$in{$_} && !$base{$_} } @won;
	}
	is(join("\n", @wrong), '', "seed $seed: who wins has what he added");

	# Ours edits and moves half of the cells, and inserts; theirs edits the others.
	my @apart = map {
		my $base = { cells => [ map { new_cell() } 1 .. 3 + int rand 10 ] };
		my %mine = map { $_->{name} => rand() < 0.5 } @{ $base->{cells} };
		my $ours = edited($base, sub { $mine{ $_[0]{name} } // 0 }, qw(modify grow delete insert retag));
		my $theirs = edited($base, sub { !($mine{ $_[0]{name} } // 1) }, qw(modify grow delete retag));
		my %changed = map { $_->{name} => $_ } @{ $theirs->{cells} };
		my $both = copy($ours);
		my %old = map { $_->{name} => 1 } @{ $base->{cells} };

		$both->{cells} = [ grep { defined } map { !exists $mine{ $_->{name} } || $mine{ $_->{name} } ? $_ : $changed{ $_->{name} } } @{ $both->{cells} } ];
		[ $base, $ours, $theirs, $both ] } 1 .. $cases;
	take_in(@apart);
	is(sql('SELECT n, m.conflicts FROM edit, notebook_merge(base, ours, theirs) AS m WHERE m.content::text <> expected::text OR m.conflicts <> $$[]$$'),
		'', "seed $seed: edits of different cells combine");
	is(sql('SELECT n, broken(base, ours, theirs) FROM edit'), '', "seed $seed: the laws hold on them, too");
}

# Workflows: operators, links, positions, and ids that somebody made anew.
sub new_operator { $counter++; return { operatorID => "op$counter", operatorType => pick(qw(A B)), operatorProperties => { code => join("\n", map { line() } 1 .. 3) } }; }
sub new_link
{
	my ($from, $to) = map { { operatorID => (pick(@{ $_[0]{operators} }) // { operatorID => 'ghost' })->{operatorID}, portID => pick(qw(0 1)) } } 1 .. 2;
	return { linkID => 'link' . ++$counter, source => $from, target => $to };
}
sub edited_flow
{
	my $w = copy($_[0]);
	foreach (1 .. 1 + int rand 6)
	{
		my ($deed, $operator) = (pick(qw(insert delete edit edit link unlink move rename shuffle)), pick(@{ $w->{operators} }));
		push @{ $w->{operators} }, new_operator() if $deed eq 'insert';
		$operator->{operatorProperties}{code} .= "\n" . line() if $deed eq 'edit' && $operator;
		push @{ $w->{links} }, new_link($w) if $deed eq 'link';
		splice @{ $w->{links} }, rand @{ $w->{links} }, 1 if $deed eq 'unlink' && @{ $w->{links} };
		$w->{operatorPositions}{ $operator->{operatorID} } = { x => ++$counter } if $deed eq 'move' && $operator;
		@{ $w->{operators} } = reverse @{ $w->{operators} } if $deed eq 'shuffle';
		if ($deed eq 'delete' && $operator)
		{
			my $id = $operator->{operatorID};
			$w->{operators} = [ grep { $_ != $operator } @{ $w->{operators} } ];
			$w->{links} = [ grep { $_->{source}{operatorID} ne $id && $_->{target}{operatorID} ne $id } @{ $w->{links} } ] if rand() < 0.9;
			delete $w->{operatorPositions}{$id};
		}
		if ($deed eq 'rename')
		{
			my ($text, $tool) = ($json->encode($w), 'new' . ++$counter);
			$w = $json->decode($text =~ s/"((?:new\d+_)*op\d+)"/"${tool}_$1"/gr);
		}
	}
	return $w;
}
sql(q{CREATE TABLE public.flow (n int, base jsonb, ours jsonb, theirs jsonb);
  CREATE FUNCTION public.broken_flow(base jsonb, ours jsonb, theirs jsonb) RETURNS SETOF text LANGUAGE sql AS $$
    SELECT name FROM (VALUES ('x, x', base, ours, ours, ours), ('b, x', base, base, ours, ours),
        ('x, touched', base, ours, public.touched(base), public.touched(ours)),
        ('touched, x', base, public.touched(base), ours, public.touched(ours)),
        ('x, x touched', base, ours, public.touched(ours), public.touched(ours))) AS law (name, b, x, y, expected),
      LATERAL notebook_migrate.workflow_merge(b, x, y) AS m
     WHERE m.content::text IS DISTINCT FROM expected::text OR m.conflicts <> '[]'
     ORDER BY 1 $$;});
foreach my $seed (@seed)
{
	srand($seed);
	my @flow = map {
		my $base = { operators => [ map { new_operator() } 1 .. int rand 6 ], links => [], operatorPositions => {} };
		push @{ $base->{links} }, new_link($base) foreach 1 .. int rand 5;
		$base->{operatorPositions}{ $_->{operatorID} } = { x => ++$counter } foreach @{ $base->{operators} };
		[ $base, edited_flow($base), edited_flow($base) ] } 1 .. 2 * $cases;
	my $n = 0;

	sql('TRUNCATE flow;' . join('', map { $n++; "INSERT INTO flow VALUES ($n, " . join(', ', map { quoted($_) } @$_) . ');' } @flow));
	is(sql('SELECT n, broken_flow(base, ours, theirs) FROM flow'), '', "seed $seed: the laws hold for workflows");
	is(sql('SELECT n FROM flow, workflow_merge(base, ours, theirs) AS a, workflow_merge(base, theirs, ours) AS b
	         WHERE jsonb_array_length(a.conflicts) <> jsonb_array_length(b.conflicts)
	            OR jsonb_array_length(a.content -> $$operators$$) <> jsonb_array_length(b.content -> $$operators$$)
	            OR jsonb_array_length(a.content -> $$links$$) <> jsonb_array_length(b.content -> $$links$$)'),
		'', "seed $seed: as many operators and links the other way round");
	my @wrong;
	foreach my $row (split /\n/, sql(q{SELECT jsonb_build_array(n, content, conflicts) FROM flow, workflow_merge(base, ours, theirs) AS m ORDER BY n}))
	{
		utf8::decode($row);
		my ($n, @merged) = @{ $json->decode($row) };
		my ($base, @side) = @{ $flow[ $n - 1 ] };
		my %in = map { $_ => 1 } map { split /\n/ } strings(\@merged);
		my %base = map { $_ => 1 } map { split /\n/ } strings($base);
		push @wrong, map { "$n: $_" } grep { !$in{$_} && !$base{$_} && /#/ } map { split /\n/ } strings(\@side);
		# A link that both sides made is known by what it joins, under any id of that.
		my $joins = sub { my $l = shift; return join(' ', map { $_->{operatorID} =~ s/new\d+_//gr . " $_->{portID}" } @$l{qw(source target)}); };
		my %joined = map { $joins->($_) => 1 } @{ $merged[0]{links} };
		push @wrong, map { "$n: $_->{linkID}" } grep { !$in{ $_->{linkID} } && !$base{ $_->{linkID} } && !$joined{ $joins->($_) } } map { @{ $_->{links} } } @side;
		my %id = map { $_->{operatorID} => 1 } @{ $merged[0]{operators} };
		push @wrong, map { "$n: no operator for $_" } grep { !$id{$_} } keys %{ $merged[0]{operatorPositions} };
	}
	is(join("\n", @wrong), '', "seed $seed: no operator and no link is lost");
}

SKIP:
{
	skip 'NBM_DATA does not name a folder with the real notebooks', 1 unless defined $data && -d "$data/notebooks_corpus";

	sql(q{CREATE TABLE public.file (file text, folder text, content jsonb);
	  CREATE PROCEDURE public.take(name text, folder text, t text) LANGUAGE plpgsql AS $$
	  BEGIN
	    INSERT INTO public.file VALUES (name, folder, t::jsonb);
	    PERFORM notebook_migrate.notebook_merge(f.content, f.content, f.content) FROM public.file AS f WHERE f.file = name;
	  EXCEPTION WHEN OTHERS THEN NULL;
	  END $$;
	  -- A comment above the source of each cell whose place has this remainder.
	  CREATE FUNCTION public.commented(nb jsonb, remainder int) RETURNS jsonb LANGUAGE sql AS $$
	    SELECT jsonb_set(nb, '{cells}', (SELECT jsonb_agg(CASE WHEN n % 3 <> remainder THEN c
	        WHEN jsonb_typeof(c -> 'source') = 'array' THEN jsonb_set(c, '{source}', jsonb_build_array('# ' || remainder || E'\n') || (c -> 'source'))
	        ELSE jsonb_set(c, '{source}', to_jsonb('# ' || remainder || E'\n' || (c ->> 'source'))) END ORDER BY n)
	      FROM jsonb_array_elements(nb -> 'cells') WITH ORDINALITY AS e (c, n))) $$;});
	foreach my $path (glob("$data/notebooks_corpus/notebooks/*.ipynb"), glob("$data/notebooks_corpus/history/*/*.json"))
	{
		my ($name, $folder) = (basename($path), basename(dirname($path)));
		my $text = slurp_file($path);
		sql("CALL take('$name', '$folder', \$nbm_corpus\$$text\$nbm_corpus\$)");
	}
	cmp_ok(sql('SELECT count(*) FROM file'), '>', 200, 'the notebooks are all there');
	is(sql(q{SELECT f.file FROM file AS f, LATERAL (SELECT commented(f.content, 0) AS o, commented(f.content, 1) AS t) AS e, notebook_merge(f.content, o, t) AS m
	    WHERE jsonb_array_length(f.content -> 'cells') > 0 AND NOT EXISTS (SELECT FROM jsonb_array_elements(f.content -> 'cells') AS c WHERE NOT c ? 'source')
	      AND (m.content::text <> commented(o, 1)::text OR m.conflicts <> '[]') ORDER BY 1}),
		'', 'edits of different cells of real notebooks combine');
	sql(q{CREATE TABLE public.step AS SELECT folder, file, content AS ours, lag(content) OVER w AS base, lag(content, 2) OVER w AS before
	        FROM file WHERE folder <> 'notebooks' WINDOW w AS (PARTITION BY folder ORDER BY file COLLATE "C")});
	is(sql(q{SELECT file, broken(base, ours, ours) FROM step WHERE base IS NOT NULL AND base -> 'nbformat' = ours -> 'nbformat'
	           AND (base ? 'cells') = (ours ? 'cells') AND jsonb_array_length(base -> 'worksheets') IS NOT DISTINCT FROM jsonb_array_length(ours -> 'worksheets')}),
		'', 'the laws hold on real edits');
	is(sql(q{SELECT count(*) FILTER (WHERE c.s IS NULL) FROM step, notebook_merge(before, base, ours) AS m,
	           LATERAL (SELECT jsonb_array_length(m.content -> 'cells') AS s) AS c
	           WHERE before ? 'cells' AND base ? 'cells' AND ours ? 'cells' AND base -> 'nbformat' = ours -> 'nbformat'}),
		0, 'one real edit is merged with the next');
}

$node->stop;
done_testing();
