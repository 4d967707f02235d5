# Random pairs of schemas: what schema_diff says of two leads from one to the
# other, and back; says nothing of equal ones, and says it in the same bytes
# each time.  Half of the pairs have nothing in common; the others are one
# schema and the same after some changes, renames with hints among them.
# NBM_SEED replays one sequence.
use strict;
use warnings;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use JSON::PP;
use List::Util qw(shuffle);
use Storable qw(dclone);

my @seed = defined $ENV{NBM_SEED} ? ($ENV{NBM_SEED}) : (1 .. 6);
my $cases = $ENV{NBM_CASES} || 50;
my $json = JSON::PP->new->canonical;

# ------------------------------------------------------------------ the model
#
# A schema is an array of tables; a table has a name, columns and keys; a key
# points to the very columns that it is over, so that a rename is the change of
# one name.

my @names = ('a', 'b', 'id', 'name', 'Mixed Case', 'quo"te', "apos'trophe", 'dot.ted', 'é', 'select',
	'; DROP TABLE x; --', '$1', 'back\\slash', 'x' x 63, ' blank', '"', '$$', '/* c */', 'tab	tab', 'order', 'E');
my %type = (
	integer => "0", bigint => "- 1", smallint => '7', text => "'it''s'", 'character varying(10)' => "'x'",
	'character varying(20)' => "upper('y')", 'numeric(10,2)' => '1.50', numeric => '1 + 1', boolean => 'true OR false',
	date => 'CURRENT_DATE', 'timestamp with time zone' => 'now()', jsonb => q('{"a": "b\\\\c"}'),
	uuid => 'gen_random_uuid()', 'integer[]' => "'{1,2}'", 'character(3)' => "'abc'", 'double precision' => '0.1',
	interval => "'1 day'", bytea => q('\\x00'),
	'timestamp(3) without time zone' => "now() AT TIME ZONE 'UTC'");
my @actions = ('', '', 'CASCADE', 'SET NULL', 'RESTRICT', 'SET DEFAULT');

my $serial;
sub pick { return $_[ rand @_ ]; }
sub chance { return rand() < $_[0]; }
sub q_id { return '"' . $_[0] =~ s/"/""/gr . '"'; }
sub q_lit { return ' E\'' . $_[0] =~ s/\\/\\\\/gr =~ s/'/''/gr . "'"; }
sub comment { return chance(0.2) ? pick("it's", 'a \\ b', '$$ "', 'é;', 'plain') : undef; }

# A name that none of some things has.
sub free
{
	my %used = map { $_->{name} => 1 } @_;
	my @free = grep { !$used{$_} } @names;
	return pick(@free);
}

# The name of a key or an index, which no other one of the schema has.
sub key_name { return substr(pick(@names), 0, 40) . ' ' . ++$serial; }

sub is_int { return $_[0]{type} =~ /^(smallint|integer|bigint)$/; }
sub is_text { return $_[0]{type} =~ /^(text|character)/; }

sub new_column
{
	my ($t) = @_;
	my $c = { name => free(@{ $t->{columns} }), type => pick(sort keys %type), comment => comment() };
	$c->{null} = chance(0.7);
	my @plain = grep { !$_->{generated} } @{ $t->{columns} };
	my ($int) = shuffle(grep { is_int($_) } @plain);
	my ($text) = shuffle(grep { $_->{type} eq 'text' } @plain);
	if (chance(0.15) && $int) { @$c{qw(type generated)} = ('bigint', [ 'abs(%s) + 1', $int ]); }
	elsif (chance(0.15) && $text) { @$c{qw(type generated)} = ('text', [ q(upper(%s) || 'x'), $text ]); }
	elsif (is_int($c) && chance(0.3)) { @$c{qw(identity null)} = (pick('always', 'by default', 'serial'), 0); }
	elsif (chance(0.3)) { $c->{default} = 1; }
	$c->{collation} = pick('C', 'POSIX') if is_text($c) && chance(0.2);
	push @{ $t->{columns} }, $c;
	return $c;
}

sub new_key
{
	my ($t) = @_;
	my @c = shuffle(@{ $t->{columns} });
	my @int = grep { is_int($_) } @c;
	my @text = grep { $_->{type} eq 'text' } @c;
	my $k = { name => key_name(), comment => comment() };
	my $kind = int rand 9;
	return if !@c;
	if ($kind == 0 && !grep { $_->{kind} eq 'primary' } @{ $t->{keys} })
	{
		@$k{qw(kind of)} = ('primary', [ @c[ 0 .. (@c > 1 && chance(0.5) ? 1 : 0) ] ]);
		$_->{null} = 0 for @{ $k->{of} };
	}
	elsif ($kind <= 1)
	{
		@$k{qw(kind of)} = ('unique', [ grep { defined } @c[ 0, (chance(0.5) ? 1 : ()) ] ]);
		$k->{include} = [ $c[2] ] if $c[2] && chance(0.3);
		$k->{tail} = ' DEFERRABLE' if chance(0.2);
		$k->{nulls} = chance(0.2);
	}
	elsif ($kind == 2 && @int) { @$k{qw(kind of sql)} = ('check', [ @int[ 0, 0 ] ], pick('%s > 0', '(%s between 1 and 5) or %s is null', '%s in (1, 2)')); }
	elsif ($kind == 3 && @text) { @$k{qw(kind of sql)} = ('check', [ $text[0] ], pick('length(%s) < 5', q{%s <> 'it''s ( "'}, q{%s ~ '^\\w+$'})); }
	elsif ($kind == 4 && @text) { @$k{qw(kind of sql)} = ('index', [ @text[ 0, 0 ] ], pick('(lower(%s) DESC)', "(%s text_pattern_ops NULLS FIRST) WHERE %s > ' )('", '((%s || \'a\'))', 'USING hash (%s)', '(%s COLLATE "C") WITH (fillfactor=70)')); }
	elsif ($kind == 5 && @int > 1) { @$k{qw(kind of sql)} = ('index', [ @int[ 0, 1, 0 ] ], pick('(%s DESC, %s) WHERE %s > 5', '(%s) INCLUDE (%s)', '((%s + %s), abs(%s))')); }
	else { @$k{qw(kind of sql)} = ('index', [ $c[0] ], '(%s)'); }
	return if !$k->{kind};
	$k->{unique} = 1 if $k->{kind} eq 'index' && $k->{sql} !~ /hash/ && chance(0.3);
	push @{ $t->{keys} }, $k;
}

# A foreign key to a key of any table, over new columns.
sub new_foreign
{
	my ($s, $t) = @_;
	my @keys = map { my $o = $_; map { [ $o, $_ ] } grep { $_->{kind} =~ /primary|unique/ && !$_->{tail} } @{ $o->{keys} } } @$s;
	return if !@keys;
	my ($other, $key) = @{ pick(@keys) };
	my @of;
	for my $c (@{ $key->{of} })
	{
		my $new = { name => free(@{ $t->{columns} }), type => $c->{type}, null => 1, collation => $c->{collation} };
		return if !defined $new->{name};
		push @{ $t->{columns} }, $new;
		push @of, $new;
	}
	push @{ $t->{keys} }, { kind => 'foreign', name => key_name(), of => \@of, table => $other, to => [ @{ $key->{of} } ],
		delete => pick(@actions), update => pick(@actions), tail => pick('', '', ' DEFERRABLE', ' DEFERRABLE INITIALLY DEFERRED', ' NOT VALID'),
		match => pick('', '', ' MATCH FULL'), comment => comment() };
}

sub new_table
{
	my ($s) = @_;
	my $t = { name => free(@$s), columns => [], keys => [], comment => comment() };
	new_column($t) for 1 .. rand 6;
	new_key($t) for 1 .. rand 5;
	push @$s, $t;
}

sub new_schema
{
	my $s = [];
	new_table($s) for 1 .. rand 5;
	if (@$s) { new_foreign($s, pick(@$s)) for 1 .. rand 4; }
	return $s;
}

# ------------------------------------------------------------------- as SQL

sub list { return '(' . join(', ', map { q_id($_->{name}) } @_) . ')'; }

sub column_sql
{
	my ($c) = @_;
	my $sql = q_id($c->{name}) . ' ';
	return $sql . ($c->{type} eq 'integer' ? 'serial' : $c->{type} eq 'bigint' ? 'bigserial' : 'smallserial') if ($c->{identity} // '') eq 'serial';
	$sql .= $c->{type};
	$sql .= ' COLLATE ' . q_id($c->{collation}) if $c->{collation};
	$sql .= sprintf(" GENERATED ALWAYS AS ($c->{generated}[0]) STORED", q_id($c->{generated}[1]{name})) if $c->{generated};
	$sql .= " DEFAULT ($type{ $c->{type} })" if $c->{default};
	$sql .= " GENERATED $c->{identity} AS IDENTITY" if $c->{identity};
	$sql .= ' NOT NULL' if !$c->{null};
	return $sql;
}

sub key_sql
{
	my ($t, $k) = @_;
	my $on = 's.' . q_id($t->{name});
	my $sql;
	if ($k->{kind} eq 'index')
	{
		$sql = 'CREATE ' . ($k->{unique} ? 'UNIQUE ' : '') . 'INDEX ' . q_id($k->{name}) . " ON $on " .
		  expression($k) . ';';
		$sql .= "COMMENT ON INDEX s." . q_id($k->{name}) . ' IS' . q_lit($k->{comment}) . ';' if defined $k->{comment};
		return $sql;
	}
	my $what =
	    $k->{kind} eq 'primary' ? 'PRIMARY KEY ' . list(@{ $k->{of} })
	  : $k->{kind} eq 'unique' ? 'UNIQUE ' . ($k->{nulls} ? 'NULLS NOT DISTINCT ' : '') . list(@{ $k->{of} }) . ($k->{include} ? ' INCLUDE ' . list(@{ $k->{include} }) : '')
	  : $k->{kind} eq 'check' ? 'CHECK (' . expression($k) . ')'
	  : 'FOREIGN KEY ' . list(@{ $k->{of} }) . ' REFERENCES s.' . q_id($k->{table}{name}) . list(@{ $k->{to} }) . $k->{match}
	  . ($k->{delete} ? " ON DELETE $k->{delete}" : '') . ($k->{update} ? " ON UPDATE $k->{update}" : '');
	$sql = "ALTER TABLE $on ADD CONSTRAINT " . q_id($k->{name}) . " $what" . ($k->{tail} // '') . ';';
	$sql .= 'COMMENT ON CONSTRAINT ' . q_id($k->{name}) . " ON $on IS" . q_lit($k->{comment}) . ';' if defined $k->{comment};
	return $sql;
}

sub expression
{
	my ($k) = @_;
	my $n = () = $k->{sql} =~ /%s/g;
	return sprintf($k->{sql}, map { q_id($_->{name}) } @{ $k->{of} }[ 0 .. $n - 1 ]);
}

sub schema_sql
{
	my ($s) = @_;
	my $sql = '';
	for my $t (@$s)
	{
		my $on = 's.' . q_id($t->{name});
		$sql .= "CREATE TABLE $on (" . join(', ', map { column_sql($_) } @{ $t->{columns} }) . ');';
		$sql .= "COMMENT ON TABLE $on IS" . q_lit($t->{comment}) . ';' if defined $t->{comment};
		for (@{ $t->{columns} }) { $sql .= "COMMENT ON COLUMN $on." . q_id($_->{name}) . ' IS' . q_lit($_->{comment}) . ';' if defined $_->{comment}; }
	}
	for my $last (0, 1)
	{
		for my $t (@$s) { $sql .= key_sql($t, $_) for grep { ($_->{kind} eq 'foreign') == $last } @{ $t->{keys} }; }
	}
	return $sql;
}

# ------------------------------------------------------------------ changes

# Drops the keys of a schema that a condition holds for.
sub drop_keys
{
	my ($s, $condition) = @_;
	for my $t (@$s) { $t->{keys} = [ grep { !$condition->($t, $_) } @{ $t->{keys} } ]; }
}

# Is a column one of some others?
sub among { my $c = shift; return scalar grep { $_ == $c } @_; }

# Drops the keys that no foreign key may lead to any more.
sub drop_orphans
{
	my ($s) = @_;
	drop_keys($s, sub {
		my ($t, $k) = @_;
		return 0 if $k->{kind} ne 'foreign';
		return 1 if !grep { $_ == $k->{table} } @$s;
		my $to = join ',', sort map { 0 + $_ } @{ $k->{to} };
		return !grep { $_->{kind} =~ /primary|unique/ && !$_->{tail} && $to eq join ',', sort map { 0 + $_ } @{ $_->{of} } } @{ $k->{table}{keys} };
	});
}

# Drops what a column is in, and what reads it; it may then go, or become something else.
sub free_column
{
	my ($s, $t, $c) = @_;
	drop_keys($s, sub { return among($c, @{ $_[1]{of} }, @{ $_[1]{include} // [] }, @{ $_[1]{to} // [] }); });
	my @readers = grep { $_->{generated} && $_->{generated}[1] == $c } @{ $t->{columns} };
	free_column($s, $t, $_) for @readers;
	$t->{columns} = [ grep { !among($_, @readers) } @{ $t->{columns} } ];
}

my @changes = (
	sub { my ($s) = @_; new_table($s) if @$s < 6; },
	sub { my ($s) = @_; splice @$s, rand @$s, 1; },
	sub { my ($s, $t) = @_; new_column($t); },
	sub { my ($s, $t) = @_; new_key($t); },
	sub { my ($s, $t) = @_; new_foreign($s, $t); },
	sub { my ($s, $t) = @_; splice @{ $t->{keys} }, rand @{ $t->{keys} }, 1 if @{ $t->{keys} }; },
	sub { my ($s, $t, $c) = @_; free_column($s, $t, $c); $t->{columns} = [ grep { $_ != $c } @{ $t->{columns} } ]; },
	# Another type: of what is only in keys, and of the other ends of foreign keys with it
	(sub {
		my ($s, $t, $c) = @_;
		return if $c->{generated};
		if (is_int($c))
		{
			my $type = pick(qw(integer bigint smallint));
			my @same = ($c);
			for my $k (map { @{ $_->{keys} } } (@$s) x 3)
			{
				for my $i (grep { $k->{to} } 0 .. $#{ $k->{of} }) { push @same, $k->{of}[$i], $k->{to}[$i] if among($k->{of}[$i], @same) || among($k->{to}[$i], @same); }
			}
			$_->{type} = $type for grep { is_int($_) } @same;
			return;
		}
		free_column($s, $t, $c);
		$c->{type} = pick(sort keys %type);
		delete $c->{collation};
	}) x 3,
	sub { my ($s, $t, $c) = @_; $c->{null} = !$c->{null} if !$c->{identity} && !grep { $_->{kind} eq 'primary' && among($c, @{ $_->{of} }) } @{ $t->{keys} }; },
	sub { my ($s, $t, $c) = @_; $c->{default} = !$c->{default} if !$c->{identity} && !$c->{generated}; },
	(sub {
		my ($s, $t, $c) = @_;
		($c) = ((grep { $_->{identity} } @{ $t->{columns} }), $c);
		return if !is_int($c) || $c->{generated};
		delete $c->{default};
		$c->{identity} = pick(undef, 'always', 'by default', 'serial');
		$c->{null} = 0;
	}) x 2,
	# What generates a column: something else, or nothing
	(sub {
		my ($s, $t, $c) = @_;
		($c) = grep { $_->{generated} } @{ $t->{columns} } or return;
		if (chance(0.5)) { delete $c->{generated}; }
		else { $c->{generated} = dclone([ $c->{generated}[0] . ($c->{type} eq 'text' ? " || 'y'" : ' + 2') ]); push @{ $c->{generated} }, $_[3]{ 0 + $c }; pop @{ $c->{generated} } if !$c->{generated}[1]; }
		delete $c->{generated} if $c->{generated} && !$c->{generated}[1];
	}) x 2,
	sub { my ($s, $t, $c) = @_; $_->{comment} = comment() for $t, $c, @{ $t->{keys} }; },
	sub { my ($s, $t) = @_; $_->{name} = key_name() for grep { chance(0.5) } @{ $t->{keys} }; },
	sub { my ($s, $t) = @_; for (grep { $_->{kind} eq 'foreign' } @{ $t->{keys} }) { $_->{delete} = pick(@actions); } });

# A name as it stands in renames.
sub hint { return $_[0] =~ /[."]/ ? q_id($_[0]) : $_[0]; }

# A schema after some changes, and the renames that they need.
sub changed
{
	my $s = dclone($_[0]);
	my (%old, %hints);
	for my $t (@$s) { $old{ 0 + $t } = $t->{name}; $old{ 0 + $_ } = $_->{name} for @{ $t->{columns} }; }
	my @known = @$s;
	my %of = map { my $t = $_; map { (0 + $_ => $t) } @{ $t->{columns} } } @$s;
	my @columns = map { @{ $_->{columns} } } @$s;
	for (1 .. 1 + rand 6)
	{
		my $t = pick(@$s) or last;
		my $c = @{ $t->{columns} } ? pick(@{ $t->{columns} }) : new_column($t);
		my %from = map { $_->{generated} ? (0 + $_ => $_->{generated}[1]) : () } @{ $t->{columns} };
		pick(@changes)->($s, $t, $c, \%from);
		drop_orphans($s);
	}
	# Renames: swaps of two names, and new names that nothing had
	my @tables = grep { $old{ 0 + $_ } } @$s;
	if (@tables > 1 && chance(0.3)) { @tables = shuffle(@tables); my @n = map { $_->{name} } @tables[ 0, 1 ]; @n = reverse @n; $tables[$_]{name} = $n[$_] for 0, 1; }
	elsif (@tables && chance(0.4)) { pick(@tables)->{name} = free(@$s, @{ $_[0] }); }
	for my $t (@tables)
	{
		my @c = shuffle(grep { $old{ 0 + $_ } } @{ $t->{columns} });
		my @before = map { @{ $_->{columns} } } grep { $_->{name} eq $old{ 0 + $t } } @{ $_[0] };
		if (@c > 2 && chance(0.3)) { my @n = map { $_->{name} } @c[ 0 .. 2 ]; push @n, shift @n; $c[$_]{name} = $n[$_] for 0 .. 2; }
		elsif (@c && chance(0.4)) { my $n = free(@{ $t->{columns} }, @before); $c[0]{name} = $n if defined $n; }
		$hints{ hint($old{ 0 + $t }) } = $t->{name} if $t->{name} ne $old{ 0 + $t };
		for (@c) { $hints{ hint($old{ 0 + $t }) . '.' . hint($old{ 0 + $_ }) } = $_->{name} if $_->{name} ne $old{ 0 + $_ }; }
	}
	return ($s, \%hints);
}

# Does a rename lead to a name that is itself renamed?
sub in_circles
{
	my ($hints) = @_;
	return scalar grep
	{
		my ($table) = $_ =~ /^("(?:[^"]|"")*"\.|[^".]+\.)/;
		exists $hints->{ ($table // '') . hint($hints->{$_}) };
	} keys %$hints;
}

# --------------------------------------------------------------------- tests

my $node = PostgreSQL::Test::Cluster->new('schema_diff');
$node->init;
$node->append_conf('postgresql.conf', "fsync = off\nclient_min_messages = warning");
$node->start;
$node->safe_psql('postgres', <<'SQL');
CREATE EXTENSION notebook_migrate;
-- A description but for the order of columns.
CREATE FUNCTION unordered(d jsonb) RETURNS jsonb LANGUAGE sql AS $$
  SELECT jsonb_agg(t || jsonb_build_object('columns', (SELECT jsonb_agg(c ORDER BY c->>'name') FROM jsonb_array_elements(t->'columns') AS c)) ORDER BY n)
    FROM jsonb_array_elements(d->'tables') WITH ORDINALITY AS t (t, n) $$;
CREATE FUNCTION made(ddl text) RETURNS jsonb LANGUAGE plpgsql AS $$
BEGIN
  DROP SCHEMA IF EXISTS s CASCADE;
  CREATE SCHEMA s;
  IF ddl <> '' THEN EXECUTE ddl; END IF;
  RETURN notebook_migrate.schema_describe('s');
END $$;
CREATE TABLE seen (kind text PRIMARY KEY);
-- What is wrong with the difference of two schemas: nothing, or a text.
CREATE FUNCTION check_pair(a text, b text, renames jsonb, in_circles boolean) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
  after jsonb := made(b);
  before jsonb := made(a);
  now jsonb;
  ops text[]; again text[]; ups text[]; downs text[]; step text; what text;
BEGIN
  SELECT array_agg(o::text ORDER BY ordinal), array_agg(up ORDER BY ordinal), array_agg(down ORDER BY ordinal DESC)
    INTO ops, ups, downs FROM notebook_migrate.schema_diff(before, after, renames) AS o;
  INSERT INTO seen SELECT o ->> 'operation' FROM notebook_migrate.schema_diff(before, after, renames) AS d (n, o) ON CONFLICT DO NOTHING;
  SELECT array_agg(o::text ORDER BY ordinal) INTO again FROM notebook_migrate.schema_diff(before, after, renames) AS o;
  IF ops IS DISTINCT FROM again THEN RETURN 'not the same bytes'; END IF;
  IF EXISTS (SELECT FROM notebook_migrate.schema_diff(before, before)) THEN RETURN 'differs from itself'; END IF;
  what := 'up';
  FOREACH step IN ARRAY coalesce(ups, '{}') LOOP EXECUTE step; END LOOP;
  now := notebook_migrate.schema_describe('s');
  IF unordered(now) IS DISTINCT FROM unordered(after) THEN
    RETURN format(E'ups do not lead there\n%s\n%s\n%s\n%s', before, after, now, array_to_string(ups, E'\n'));
  END IF;
  IF EXISTS (SELECT FROM notebook_migrate.schema_diff(now, after)) THEN RETURN 'differs afterwards'; END IF;
  -- (what was swapped would be swapped again)
  IF NOT in_circles AND EXISTS (SELECT FROM notebook_migrate.schema_diff(now, after, renames)) THEN RETURN 'renames again'; END IF;
  what := 'down';
  FOREACH step IN ARRAY coalesce(downs, '{}') LOOP EXECUTE step; END LOOP;
  now := notebook_migrate.schema_describe('s');
  IF unordered(now) IS DISTINCT FROM unordered(before) THEN
    RETURN format(E'downs do not lead back\n%s\n%s\n%s', before, now, array_to_string(downs, E'\n'));
  END IF;
  RETURN NULL;
EXCEPTION WHEN OTHERS THEN
  RETURN format(E'%s: %s: %s\n%s\n--\n%s\n--\n%s', coalesce(what, 'before'), SQLERRM, step, renames, a, array_to_string(ups, E'\n'));
END $$;
SQL

sub quoted { my $t = $_[0]; return '$quoted$' . $t . '$quoted$'; }

for my $seed (@seed)
{
	srand $seed;
	$serial = 0;
	my (@wrong, $operations);
	for my $case (1 .. $cases)
	{
		my $one = new_schema();
		my ($other, $hints) = $case % 2 ? (new_schema(), {}) : changed($one);
		my $found = $node->safe_psql('postgres', 'SELECT check_pair(' . join(', ', quoted(schema_sql($one)), quoted(schema_sql($other)),
				quoted($json->encode($hints)), in_circles($hints) ? 'true' : 'false') . ')');
		push @wrong, "case $case: $found" if $found ne '';
		last if @wrong >= 3;
	}
	ok(!@wrong, "seed $seed: $cases pairs, there and back") or diag(join("\n\n", @wrong));
}

is($node->safe_psql('postgres', q(SELECT string_agg(kind, ' ' ORDER BY kind COLLATE "C") FROM seen)),
	'add_column add_constraint add_identity add_index alter_type create_table drop_column drop_constraint drop_default drop_expression'
	  . ' drop_identity drop_index drop_not_null drop_table rename_column rename_constraint rename_index rename_table set_comment'
	  . ' set_default set_identity set_not_null', 'every operation was among them')
  if !defined $ENV{NBM_SEED};

done_testing();
