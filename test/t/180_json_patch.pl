# JSON Patch against a small model of it in Perl: random patches, those that
# cannot be applied among them, and the patches that json_patch_diff makes of
# random pairs of documents.  Then the stored chain of a real application, and
# inputs that a careless way of working would take hours for.  NBM_SEED replays
# one sequence.
use strict;
use warnings;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use JSON::PP;
use List::Util qw(shuffle);

my @seed = defined $ENV{NBM_SEED} ? ($ENV{NBM_SEED}) : (1 .. 4);
my $cases = 400;
my $json = JSON::PP->new->canonical->allow_nonref;

# ------------------------------------------------------------------ the model
#
# An object is a hash, an array an array, and everything else a reference to its
# JSON text, so that no number is ever one of Perl's.

my @keys = ('a', 'b', 'c', '', 'a/b', 'm~n', '~1', 'é', '0', '-', 'longer key', 'id', 'operatorID');
my @scalars = (qw(null true false 0 1 1.0 1.00 -1 2.50 9223372036854775809 1e400 0.0000000000000000000001),
	qw("" "x" "y" "1" "\u00e9" "a\nb"), '"a text with blanks"');
# The scalars that JSON Patch finds equal, where it is not the text that is.
my %same = map { $_ => 1 } '1.0', '1', '1.00';

sub pick { return @_ ? $_[ rand @_ ] : undef; }
sub scalar_of { my $t = $_[0]; return \$t; }

sub value
{
	my ($depth) = @_;
	my $kind = $depth > 0 ? rand : 1;
	return [ map { value($depth - 1) } 1 .. rand 5 ] if $kind < 0.25;
	return elements($depth - 1) if $kind < 0.4;
	return { map { pick(@keys) => value($depth - 1) } 1 .. rand 5 } if $kind < 0.7;
	return scalar_of(pick(@scalars));
}

# An array of objects that a member tells apart, sometimes not all of them.
sub elements
{
	my ($depth) = @_;
	my $name = pick(qw(id operatorID linkID commentBoxID));
	my @id = (shuffle(1 .. 12))[ 0 .. rand 8 ];
	$id[0] = $id[-1] if rand() < 0.1;
	return [ map { +{ $name => scalar_of(qq("$_")), v => value($depth) } } @id ];
}

sub text
{
	my ($v) = @_;
	return $$v if ref $v eq 'SCALAR' || ref $v eq 'REF';
	return '[' . join(',', map { text($_) } @$v) . ']' if ref $v eq 'ARRAY';
	return '{' . join(',', map { $json->encode($_) . ':' . text($v->{$_}) } sort keys %$v) . '}';
}

sub copy
{
	my ($v) = @_;
	return $v if ref $v eq 'SCALAR';
	return [ map { copy($_) } @$v ] if ref $v eq 'ARRAY';
	return { map { $_ => copy($v->{$_}) } keys %$v };
}

# Equal as JSON Patch has it.  All numbers of the model that are equal by value
# are listed in %same.
sub equal
{
	my ($x, $y) = @_;
	return 0 if ref $x ne ref $y;
	return $$x eq $$y || ($same{$$x} && $same{$$y}) if ref $x eq 'SCALAR';
	return @$x == @$y && !grep { !equal($x->[$_], $y->[$_]) } 0 .. $#$x if ref $x eq 'ARRAY';
	return keys %$x == keys %$y && !grep { !exists $y->{$_} || !equal($x->{$_}, $y->{$_}) } keys %$x;
}

sub escaped { return $_[0] =~ s/~/~0/gr =~ s{/}{~1}gr; }
sub unescaped { return $_[0] =~ s{~1}{/}gr =~ s/~0/~/gr; }

# Every place of a document, as [pointer, is it an array].
sub places
{
	my ($v, $at) = @_;
	my @found = ([ $at, ref $v ]);
	push @found, map { places($v->[$_], "$at/$_") } 0 .. $#$v if ref $v eq 'ARRAY';
	push @found, map { places($v->{$_}, "$at/" . escaped($_)) } sort keys %$v if ref $v eq 'HASH';
	return @found;
}

# The container and the key or index that a pointer ends in; dies where there
# is none.  A document is kept in an array of one, so that it stands in one, too.
sub find
{
	my ($root, $pointer, $is_new) = @_;
	my ($at, @token) = ($root, '0', map { unescaped($_) } (split m{/}, $pointer, -1)[ 1 .. ($pointer =~ tr{/}{}) ]);

	while (1)
	{
		my $token = shift @token;
		if (ref $at eq 'HASH')
		{
			return ($at, $token) if !@token && $is_new;
			exists $at->{$token} or die "none\n";
			return ($at, $token) if !@token;
			$at = $at->{$token};
		}
		elsif (ref $at eq 'ARRAY')
		{
			$token = @$at if $token eq '-' && !@token && $is_new;
			die "none\n" if $token !~ /^(?:0|[1-9][0-9]*)$/ || $token > @$at;
			return ($at, $token) if !@token && $is_new;
			die "none\n" if $token == @$at;
			return ($at, $token) if !@token;
			$at = $at->[$token];
		}
		else { die "none\n"; }
	}
}

sub get { my ($at, $key) = find(@_); return ref $at eq 'HASH' ? $at->{$key} : $at->[$key]; }
sub set
{
	my ($root, $pointer, $value) = @_;
	my ($at, $key) = find($root, $pointer, 1);
	if (ref $at eq 'HASH') { $at->{$key} = $value; }
	elsif ($pointer eq '') { $at->[0] = $value; }
	else { splice @$at, $key, 0, $value; }
}
sub take
{
	my ($root, $pointer) = @_;
	my ($at, $key) = find($root, $pointer);
	die "none\n" if $pointer eq '';
	return ref $at eq 'HASH' ? delete $at->{$key} : splice @$at, $key, 1;
}

my %do = (
	add => sub { set($_[0], $_[1]{path}, copy($_[1]{value})) },
	remove => sub { take($_[0], $_[1]{path}) },
	replace => sub {
		my ($at, $key) = find($_[0], $_[1]{path});
		(ref $at eq 'HASH' ? $at->{$key} : $at->[$key]) = copy($_[1]{value});
	},
	move => sub {
		my ($root, $op) = @_;
		die "none\n" if index($op->{path}, "$op->{from}/") == 0;
		return if $op->{from} eq '' && $op->{path} eq '';
		set($root, $op->{path}, take($root, $op->{from}));
	},
	copy => sub { set($_[0], $_[1]{path}, copy(get($_[0], $_[1]{from}))) },
	test => sub { equal(get($_[0], $_[1]{path}), $_[1]{value}) or die "none\n" });

# The document after a patch, as text; or which operation fails.
sub apply
{
	my ($doc, @patch) = @_;
	my $root = [ copy($doc) ];
	foreach my $i (0 .. $#patch)
	{
		eval { $do{ $patch[$i]{op} }->($root, $patch[$i]); 1 }
		  or $@ eq "none\n" ? return "operation $i" : die $@;
	}
	return text($root->[0]);
}

sub operation_text
{
	my ($op) = @_;
	return '{' . join(',', map { "\"$_\":" . ($_ eq 'value' ? text($op->{$_}) : $json->encode($op->{$_})) } shuffle(sort keys %$op)) . '}';
}

# A random operation on a document; most of them can be done.
sub operation
{
	my ($doc) = @_;
	my @place = places($doc, '');
	my $at = sub { return pick(@place)->[0]; };
	my $new = sub {
		my ($pointer, $ref) = @{ pick(grep { $_->[1] ne 'SCALAR' } @place) || return '' };
		return "$pointer/" . escaped(pick(@keys)) if $ref eq 'HASH';
		my $count = @{ get([$doc], $pointer) };
		return "$pointer/" . (rand() < 0.2 ? '-' : int rand($count + 1));
	};
	my $kind = pick(sort keys %do);
	my %op = (op => $kind, path => $kind =~ /^(?:add|copy|move)$/ && rand() < 0.9 ? $new->() : $at->());

	$op{from} = $at->() if $kind =~ /^(?:copy|move)$/;
	$op{value} = value(2) if $kind =~ /^(?:add|replace|test)$/;
	$op{value} = copy(get([$doc], $op{path})) if $kind eq 'test' && rand() < 0.9;
	$op{value} = scalar_of(pick(sort keys %same)) if $kind eq 'test' && ref $op{value} eq 'SCALAR' && $same{ ${ $op{value} } };
	$op{ignored} = 'x' if rand() < 0.05;
	$op{path} .= pick('/', '/00', '/1/1', '/-', '/é') if rand() < 0.01;
	return \%op;
}

# Changes a document here and there, as an editor does.
sub edited
{
	my ($doc) = @_;
	my $root = [ copy($doc) ];
	foreach (1 .. 1 + rand 4)
	{
		my $op = operation($root->[0]);
		my $before = copy($root);
		eval { $do{ $op->{op} }->($root, $op); 1 } or $root = $before;
	}
	foreach my $place (map { get($root, $_->[0]) } places($root->[0], ''))
	{
		@$place = shuffle(@$place) if ref $place eq 'ARRAY' && rand() < 0.1;
	}
	return $root->[0];
}

# What a JSON text is in the model.  Only for what the server printed, whose
# strings have no other escapes than JSON::PP reads.
sub parsed
{
	my ($t) = @_;
	my $parse;
	$parse = sub {
		$t =~ /\G\s*/gc;
		if ($t =~ /\G\{/gc)
		{
			my %object;
			while ($t =~ /\G[\s,]*("(?:[^"\\]|\\.)*")\s*:/gc) { my $key = $json->decode($1); $object{$key} = $parse->(); $t =~ /\G\s*/gc; }
			$t =~ /\G\s*\}/gc or die 'no end of object';
			return \%object;
		}
		if ($t =~ /\G\[/gc)
		{
			my @array;
			until ($t =~ /\G[\s,]*\]/gc) { $t =~ /\G[\s,]*/gc; push @array, $parse->(); }
			return \@array;
		}
		$t =~ /\G("(?:[^"\\]|\\.)*"|[^\s,\]\}]+)/gc or die 'no value at ' . pos($t);
		return scalar_of($1);
	};
	return $parse->();
}

# ------------------------------------------------------------------ the server

my $node = PostgreSQL::Test::Cluster->new('json_patch');
$node->init(extra => [ '--no-locale', '--encoding=UTF8' ]);
$node->start;
$ENV{PGCLIENTENCODING} = 'UTF8';
sub sql { return $node->safe_psql('postgres', "SET search_path = notebook_migrate, public;\n$_[0]"); }
sub rows { return map { [ split /\t/, $_, -1 ] } split /\n/, $node->safe_psql('postgres', "SET search_path = notebook_migrate, public;\n$_[0]", extra_params => [ '-F', "\t" ]); }
sub quoted { my $t = $_[0]; $t =~ s/'/''/g; return "'$t'"; }

sql(q{CREATE EXTENSION notebook_migrate;
	CREATE FUNCTION public.tried(target jsonb, patch jsonb) RETURNS text LANGUAGE plpgsql AS $$
	BEGIN
		RETURN notebook_migrate.json_patch(target, patch)::text;
	EXCEPTION WHEN data_exception THEN RETURN substring(SQLERRM from '^operation \d+');
	END $$});

# The texts of the model are bytes in UTF-8, as this file is: what the server
# says is compared after it was cast by the server itself.
foreach my $seed (@seed)
{
	srand($seed);
	my (@patched, @differing, $fails);
	foreach my $n (1 .. $cases)
	{
		my $doc = value(4);
		my @patch;
		my $root = [ copy($doc) ];
		foreach (1 .. 1 + rand 6)
		{
			push @patch, operation($root->[0]);
			last if !eval { $do{ $patch[-1]{op} }->($root, $patch[-1]); 1 };
		}
		my $expected = apply($doc, @patch);
		$fails++ if $expected =~ /^operation/;
		push @patched, sprintf("(%d, %s, %s, %s)", $n, map { quoted($_) } text($doc), '[' . join(',', map { operation_text($_) } @patch) . ']', $expected);
		push @differing, sprintf("(%d, %s, %s)", $n, quoted(text($doc)), quoted(text(rand() < 0.9 ? edited($doc) : value(4))));
	}
	my $from = 'FROM (VALUES ' . join(",\n", @patched) . ') AS v (n, target, patch, expected)';
	is( sql("SELECT n, target, patch, expected, tried(target::jsonb, patch::jsonb) $from
		WHERE tried(target::jsonb, patch::jsonb) IS DISTINCT FROM CASE WHEN expected ~ '^operation' THEN expected ELSE expected::jsonb::text END
		ORDER BY n LIMIT 3"), '', "seed $seed: $cases patches, " . ($fails // 0) . ' of which fail');

	my $pairs = 'FROM (SELECT n, a::jsonb, b::jsonb FROM (VALUES ' . join(",\n", @differing) . ') AS v (n, a, b)) AS p, LATERAL (SELECT json_patch_diff(a, b) AS patch) AS d';
	is( sql("SELECT n, a, b, patch, tried(a, patch) $pairs
		WHERE tried(a, patch) IS DISTINCT FROM b::text OR (patch = '[]') <> (a::text = b::text) ORDER BY n LIMIT 3"),
		'', "seed $seed: patches made of $cases pairs of documents");
	is(sql("SELECT count(*) $pairs WHERE json_patch_diff(a, a) <> '[]' OR json_patch_diff(b, b) <> '[]'"), '0', "seed $seed: nothing for equal ones");

	# The model reads these patches, too, and gets the same.
	my @wrong = grep {
		my ($n, $a, $b, $patch) = @$_;
		my @patch = map { my $op = $_; +{ map { $_ => $_ eq 'value' ? $op->{$_} : $json->decode(${ $op->{$_} }) } keys %$op } } @{ parsed($patch) };
		text(parsed($b)) ne apply(parsed($a), @patch);
	} rows("SELECT n, a, b, patch $pairs ORDER BY n");
	is(join(' ', map { $_->[0] } @wrong[ 0 .. ($#wrong > 2 ? 2 : $#wrong) ]), '', "seed $seed: the model reads them as the server does");
}

# Patches are as short as they can be: of scalars the longest common list stays
# where it is, of elements with identities the longest one that is in order.
sub longest_common
{
	my ($a, $b) = @_;
	my @row = (0) x (@$b + 1);
	foreach my $x (@$a)
	{
		my @next = (0);
		push @next, $x eq $b->[$_] ? $row[$_] + 1 : $row[ $_ + 1 ] > $next[$_] ? $row[ $_ + 1 ] : $next[$_] foreach 0 .. $#$b;
		@row = @next;
	}
	return $row[-1];
}
sub objects { return '[' . join(',', map { qq({"id":$_}) } @_) . ']'; }
srand($seed[0]);
my @short;
foreach my $n (1 .. 300)
{
	my @numbers = map { [ map { int rand 4 } 1 .. rand 14 ] } 1, 2;
	my @ids = map { [ (shuffle(1 .. 12))[ 0 .. 3 + rand 8 ] ] } 1, 2;
	push @short, "($n, 'numbers', " . join(', ', (map { "'[" . join(',', @$_) . "]'" } @numbers), @{ $numbers[0] } - longest_common(@numbers)) . ')';
	my %in = map { $_ => 1 } @{ $ids[1] };
	my @both = grep { $in{$_} } @{ $ids[0] };
	push @short, "($n, 'ids', " . join(', ', (map { "'" . objects(@$_) . "'" } @ids), @both - longest_common(\@both, $ids[1])) . ')';
}
is(sql('SELECT n, a, b, expected, patch FROM (VALUES ' . join(",\n", @short) . ") AS v (n, kind, a, b, expected), LATERAL (SELECT json_patch_diff(a::jsonb, b::jsonb) AS patch) AS d
	WHERE expected <> (SELECT count(*) FROM jsonb_array_elements(patch) AS o WHERE o ->> 'op' = ANY (CASE kind WHEN 'ids' THEN '{move}'::text[] ELSE '{remove,replace}' END)) ORDER BY n LIMIT 3"),
	'', 'patches are the shortest');

# The rows that an application stored with six saves of a workflow: each leads
# from the state after a save to the one before, the first row to {}.
SKIP:
{
	my $data = ($ENV{NBM_DATA} // '') . '/texera/version-chain_';
	skip "no $data*", 3 if !-r "${data}workflow_version_rows.json";
	my ($rows, $states) = map { quoted(slurp_file("$data$_.json")) } qw(workflow_version_rows states_after_each_save);
	my $steps = "FROM (SELECT n, patch, state, lag(state, 1, '{}') OVER (ORDER BY n) AS before
		FROM (SELECT n, patch -> 'content' AS patch FROM jsonb_array_elements($rows) WITH ORDINALITY AS r (patch, n)) AS r
		JOIN jsonb_array_elements($states) WITH ORDINALITY AS s (state, n) USING (n)) AS step";
	is(sql("SELECT string_agg(n::text, ' ' ORDER BY n) $steps WHERE json_patch(state, patch)::text = before::text"),
		'1 2 3 4 5 6', 'stored patches lead to the states before');
	is(sql("SELECT string_agg(n::text, ' ' ORDER BY n) $steps
		WHERE json_patch(state, json_patch_diff(state, before))::text = before::text AND json_patch(before, json_patch_diff(before, state))::text = state::text"),
		'1 2 3 4 5 6', 'and so do our own, both ways');
	is(sql("SELECT coalesce(string_agg(format('%s: %s and %s bytes', n, octet_length(json_patch_diff(state, before)::text), octet_length(patch::text)), ', ' ORDER BY n), '')
		$steps WHERE octet_length(json_patch_diff(state, before)::text) > octet_length(patch::text)"),
		'', 'ours are not longer than the stored ones');
}

# One patch that is as long as a chain of many: what is replaced again and again
# is let go of, so that a session does not grow with the number of operations.
sql(q{CREATE TABLE public.long AS SELECT jsonb_build_object('code', '', 'list', (SELECT jsonb_agg(i) FROM generate_series(1, 1000) AS i)) AS target,
	jsonb_agg(o ORDER BY i, n) AS patch, count(*) AS operations
	FROM generate_series(1, 40000) AS i, LATERAL (VALUES (1, jsonb_build_object('op', 'replace', 'path', '/code', 'value', repeat('x', 500) || i)),
		(2, '{"op": "move", "from": "/list/0", "path": "/list/-"}'), (3, '{"op": "copy", "from": "/list", "path": "/copy"}'), (4, jsonb_build_object('op', 'test', 'path', '/copy/999', 'value', (i - 1) % 1000 + 1))) AS v (n, o)});
my $peak = q{(SELECT substring(pg_read_file('/proc/self/status') FROM 'VmHWM:\s+(\d+)')::int)};
SKIP:
{
	skip 'no /proc', 2 if !-r '/proc/self/status';
	my ($before, $right, $after) = map { $_->[0] } rows(qq{SELECT $peak FROM public.long WHERE length(patch::text) > 0;
		SELECT json_patch(target, patch) = target || jsonb_build_object('code', repeat('x', 500) || 40000, 'copy', target -> 'list') FROM public.long;
		SELECT $peak});
	is($right, 't', '160,000 operations in one patch');
	cmp_ok($after - $before, '<', 100_000, 'no more than 100 MB for them');
}

# What takes long can be cancelled, wherever it is.
sql(q{CREATE TABLE public.big AS SELECT jsonb_agg(i ORDER BY i) AS numbers, jsonb_agg(i % 1000 ORDER BY -i) AS others,
		jsonb_agg(jsonb_build_object('id', i, 'v', i) ORDER BY i) AS objects, jsonb_agg(jsonb_build_object('id', i, 'v', i % 2) ORDER BY md5(i::text)) AS mixed,
		jsonb_agg(jsonb_build_object('op', 'move', 'from', '/' || i % 2 * 299000, 'path', '/' || (i + 1) % 2 * 299000)) AS moves FROM generate_series(1, 300000) AS i;
	CREATE FUNCTION public.stopped(call text) RETURNS text LANGUAGE plpgsql AS $$
	BEGIN
		EXECUTE format('SELECT count(%s) FROM public.big', call);
		RETURN 'done';
	EXCEPTION WHEN query_canceled THEN
		RETURN CASE WHEN clock_timestamp() - statement_timestamp() < '2 s' THEN 'stopped' ELSE 'late' END;
	END $$});
foreach my $call ('json_patch_diff(numbers, others)', 'json_patch_diff(objects, mixed)', 'json_patch(numbers, moves)', 'json_patch_diff(moves, numbers)')
{
	is(sql(join '', map {"SET statement_timeout = $_; SELECT replace(stopped('$call'), 'done', 'stopped');"} 30, 100, 200, 400), join("\n", ('stopped') x 4), "$call can be cancelled");
}

done_testing();
