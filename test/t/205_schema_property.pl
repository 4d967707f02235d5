# Random histories of schema migrations, run against the server and against a
# small model in Perl that knows the definitions and what is applied.  Every
# script writes its name into a log, so that the real order is seen.  After
# each step: what ran is what the model and the plan said, in the order of
# dependencies and then of names; nothing ran twice; a squash and what it
# replaces were never both run; states are the model's; the history only grew,
# and says what the log says.
#
# NBM_SEED replays one history, NBM_SEEDS says how many there are.
use strict;
use warnings;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use List::Util qw(any all first max uniq);

my @seed = $ENV{NBM_SEED} ? ($ENV{NBM_SEED}) : (1 .. ($ENV{NBM_SEEDS} || 30));
my $steps = 40;

my $node = PostgreSQL::Test::Cluster->new('schema_property');
$node->init(extra => [ '--no-locale', '--encoding=UTF8' ]);
$node->append_conf('postgresql.conf', "fsync = off\n");
$node->start;
$ENV{PGCLIENTENCODING} = 'UTF8';
my $session = $node->background_psql('postgres', on_error_stop => 0);
$session->set_query_timer_restart();

# A query's answer, or its error: "ERROR:  22012".
sub ask
{
	my ($query) = @_;
	$session->{stderr} = '';
	my $out = $session->query($query);
	my ($error) = $session->{stderr} =~ /(ERROR:  \w{5})/;
	die "$query:\n$session->{stderr}" if $session->{stderr} =~ /server closed|connection/;
	return $error // $out;
}
sub rows { return map { [ split /\|/, $_, -1 ] } split /\n/, ask($_[0]); }
sub quoted { return defined $_[0] ? "'" . $_[0] =~ s/'/''/gr . "'" : 'NULL'; }
sub array { return 'ARRAY[' . join(', ', map { quoted($_) } @_) . ']::text[]'; }
sub pick { return @_ ? $_[ rand @_ ] : undef; }
sub some { my $p = shift; return grep { rand() < $p } @_; }

# ---------------------------------------------------------------------------
# The model.  %def: name => {deps, replaces, bad, down, version}; down is '',
# 'bad' or undefined.  @applied: [name, state] in the order of application.
# %last: what happened to a name last.

my (%def, @applied, %last, %again, $nested);

sub is_applied { my $n = shift; return any { $_->[0] eq $n } @applied; }
# The squashes that a name is part of, the innermost first.
sub squashes
{
	my ($n) = @_;
	my $squash = first { my $s = $_; any { $_ eq $n } @{ $def{$s}{replaces} } } sort keys %def;
	return defined $squash ? ($squash, squashes($squash)) : ();
}
# Applied itself, or as part of a squash that is.
sub is_covered { return any { is_applied($_) } $_[0], squashes($_[0]); }
# Nothing of it is left to do; some of it was done.
sub is_done
{
	my ($n) = @_;
	my $parts = $def{$n} ? $def{$n}{replaces} : [];
	return is_covered($n) || @$parts && all { is_done($_) } @$parts;
}
sub is_begun { my ($n) = @_; return is_covered($n) || any { is_begun($_) } @{ $def{$n} ? $def{$n}{replaces} : [] }; }
# Whether a squash runs in the place of its parts.
sub runs { return !is_begun($_[0]); }

# The names that must really be applied before something that depends on one.
sub resolved
{
	my ($n) = @_;
	return () if is_done($n);
	my ($squash) = reverse grep { runs($_) } squashes($n);
	return ($squash) if defined $squash;
	return map { resolved($_) } @{ $def{$n}{replaces} } if $def{$n} && @{ $def{$n}{replaces} } && !runs($n);
	return ($n);
}

# What schema_up does: names in their order; undef if there is a cycle.
sub plan_up
{
	my ($target) = @_;
	my %node;
	foreach my $n (keys %def)
	{
		my @self = resolved($n);
		next unless @self == 1 && $self[0] eq $n;
		$node{$n} = { map { $_ => 1 } map { resolved($_) } @{ $def{$n}{deps} } };
	}
	if (defined $target)
	{
		my @todo = resolved($target);
		my %needed;
		while (defined(my $n = shift @todo)) { push @todo, keys %{ $node{$n} } if !$needed{$n}++; }
		delete @node{ grep { !$needed{$_} } keys %node };
	}
	my @order;
	while (%node)
	{
		my ($next) = sort grep { !%{ $node{$_} } } keys %node;
		return if !defined $next;
		push @order, $next;
		delete $node{$next};
		delete $_->{$next} foreach values %node;
	}
	return \@order;
}
sub missing { return grep { !exists $def{$_} } map { @{ $_->{deps} } } values %def; }

# The states that a name may be in.
sub states
{
	my ($n) = @_;
	my $own = first { $_->[0] eq $n } @applied;
	return ($own->[1]) if $own;
	return ('replaced') if is_done($n);
	return ($last{$n} // 'pending', $again{$n} ? 'pending' : ());
}

# ---------------------------------------------------------------------------
# The server beside it.

my ($step, $log, $entry, $before, @trace);

sub registration
{
	my ($n, $d) = @_;
	my $up = 'INSERT INTO log (line) VALUES (' . quoted("+$n") . "); -- $d->{version}\n" . ($d->{bad} ? 'SELECT 1/0' : '');
	my $down = defined $d->{down} ? 'INSERT INTO log (line) VALUES (' . quoted("-$n") . ');' . ($d->{down} ? ' SELECT 1/0' : '') : undef;
	return 'SELECT notebook_migrate.schema_register(' . join(', ', quoted($n), quoted($up), quoted($down), array(@{ $d->{deps} }), array(@{ $d->{replaces} })) . ')';
}

# Compares what one step did: the answer, what ran, what was recorded.
sub happened
{
	my ($what, $answer, $expected, $ran, $recorded) = @_;
	push @trace, "$what => $answer";
	my @problem;
	push @problem, "answer is $answer, not $expected" if $answer ne $expected;
	my @log = rows("SELECT n, line FROM log WHERE n > $log ORDER BY n");
	my $lines = join ' ', map { $_->[1] } @log;
	push @problem, "ran: $lines; not: @$ran" if $lines ne "@$ran";
	my @history = rows("SELECT entry, name, direction, state, sqlstate FROM notebook_migrate.schema_history WHERE entry > $entry ORDER BY entry");
	my $lines_of_history = join ' ', map { "$_->[1]:$_->[2]:$_->[3]:$_->[4]" } @history;
	push @problem, "recorded: $lines_of_history; not: @$recorded" if $lines_of_history ne "@$recorded";
	my $digest = "SELECT md5(coalesce(string_agg(h::text, ',' ORDER BY entry), '')) FROM notebook_migrate.schema_history AS h WHERE entry <= ";
	push @problem, 'the past changed' if $before ne ask("$digest$entry");
	$log = $log[-1][0] if @log;
	$entry = $history[-1][0] if @history;
	$before = ask("$digest$entry");
	my @status = rows('SELECT name, state FROM notebook_migrate.schema_status()');
	push @problem, 'states of ' . @status . ' names, not of ' . keys %def if @status != keys %def;
	foreach my $row (@status)
	{
		my ($n, $state) = @$row;
		push @problem, "$n is $state, not " . join(' or ', states($n)) if !any { $_ eq $state } states($n);
	}
	push @problem, "twice: $_->[0]" foreach rows('SELECT line FROM (SELECT line, lag(line) OVER (PARTITION BY substr(line, 2) ORDER BY n) AS last FROM log) AS l WHERE line = last AND line LIKE $$+%$$');
	push @problem, "both $_->[0] and $_->[1]" foreach rows(q{SELECT m.name, r FROM notebook_migrate.schema_migration AS m, unnest(m.replaces) AS r, notebook_migrate.schema_status() AS a, notebook_migrate.schema_status() AS b
		WHERE a.name = m.name AND b.name = r AND a.state IN ('applied', 'baseline') AND b.state IN ('applied', 'baseline')});
	return @problem;
}

# What the server's plan says will be done, as one line.
sub planned { my ($arguments, $action) = @_; return join ' ', map { $_->[0] } rows("SELECT name FROM notebook_migrate.schema_plan($arguments) WHERE action = '$action' ORDER BY ordinal"); }

# Applies in the model what a run of these names does; returns what happened()
# must be told.
sub run_up
{
	my ($atomic, @names) = @_;
	my (@ran, @recorded);
	my @state = ([@applied], {%last}, {%again});
	foreach my $n (@names)
	{
		if ($def{$n}{bad})
		{
			if ($atomic) { @applied = @{ $state[0] }; %last = %{ $state[1] }; %again = %{ $state[2] }; return ('ERROR:  22012', [], []); }
			$last{$n} = 'failed';
			delete $again{$n};
			return ('ERROR:  22012', \@ran, [ @recorded, "$n:up:failed:22012" ]);
		}
		push @applied, [ $n, 'applied' ];
		push @ran, "+$n";
		push @recorded, "$n:up:applied:";
	}
	return ($atomic ? scalar @ran : '', \@ran, \@recorded);
}
sub run_down
{
	my (@names) = @_;
	my (@ran, @recorded);
	return ('ERROR:  55000', [], []) if any { !defined $def{$_}{down} } @names;
	foreach my $n (@names)
	{
		return ('ERROR:  22012', \@ran, [ @recorded, "$n:down:failed:22012" ]) if $def{$n}{down};
		@applied = grep { $_->[0] ne $n } @applied;
		$last{$n} = 'reverted';
		delete $again{$n};
		push @ran, "-$n";
		push @recorded, "$n:down:reverted:";
	}
	return ('', \@ran, \@recorded);
}

# ---------------------------------------------------------------------------
# What can happen.

my @letter = ('a' .. 'f', 'A' .. 'C', 0 .. 2, "\xc3\xa9", '_', '-', '.', '~', "'", '"', '%', '$');
sub new_name
{
	my $n;
	do { $n = join '', map { pick(@letter) } 1 .. 1 + rand 4 } while exists $def{$n} || any { $n eq $_ } missing();
	return $n;
}
# Whether nothing would go round in a circle, were nothing applied.
sub sound
{
	my @kept = @applied;
	@applied = ();
	my $plan = plan_up();
	@applied = @kept;
	return defined $plan;
}
sub fails { return rand() < 0.06; }

my %deed = (
	register => sub {
		my $n = (pick(missing()) // '') ne '' && rand() < 0.7 ? pick(missing()) : new_name();
		my $wanted = any { $n eq $_ } missing();
		my @deps = $wanted ? () : uniq(map { pick(keys %def) } 1 .. min_of(keys(%def) + 0, int rand 4));
		push @deps, new_name() if !$wanted && rand() < 0.02;
		$def{$n} = { deps => \@deps, replaces => [], bad => fails(), down => rand() < 0.05 ? undef : fails() ? 'bad' : '', version => 1 };
		return happened("register $n (@deps)", ask(registration($n, $def{$n})), 't', [], []);
	},
	# The parts of a squash are in no other one, and, but for some seeds, no
	# squashes themselves; nothing between them is left out.
	squash => sub {
		my @free = grep { ($nested || !@{ $def{$_}{replaces} }) && !(() = squashes($_)) } sort keys %def;
		my @parts = map { pick(@free) } 1 .. 1 + rand 4;
		@parts = uniq(grep { defined } @parts);
		return if !@parts;
		my %part = map { $_ => 1 } @parts;
		my @deps = uniq(grep { my $d = $_; !any { $part{$_} } $d, squashes($d) } map { @{ $def{$_}{deps} } } @parts);
		return if any { !exists $def{$_} } @deps;
		my $n = new_name();
		$def{$n} = { deps => \@deps, replaces => \@parts, bad => fails(), down => '', version => 1 };
		if (!sound()) { delete $def{$n}; return; }
		return happened("squash $n (@deps) of @parts", ask(registration($n, $def{$n})), 't', [], []);
	},
	again => sub {
		my ($n) = pick(sort keys %def) // return;
		return happened("register $n: equal", ask(registration($n, $def{$n})), 'f', [], []) if rand() < 0.3;
		my $d = { %{ $def{$n} }, version => $def{$n}{version} + 1, bad => rand() < 0.2 && $def{$n}{bad} };
		return if is_covered($n) && !is_applied($n);
		return happened("register $n: other, applied", ask(registration($n, $d)), 'ERROR:  55000', [], []) if is_applied($n);
		$def{$n} = $d;
		$again{$n} = 1;
		return happened("register $n: other", ask(registration($n, $d)), 't', [], []);
	},
	up => sub {
		my $count = rand() < 0.4 ? int rand 4 : undef;
		my @target = grep { my $n = $_; !any { runs($_) } squashes($n) } sort keys %def;
		my $target = rand() < 0.3 ? pick(@target) : undef;
		if (missing())
		{
			my $before_up = ask("SELECT action = 'blocked' FROM notebook_migrate.schema_plan() WHERE action = 'blocked' LIMIT 1");
			return happened('up, blocked', ask('CALL notebook_migrate.schema_up()'), $before_up eq 't' ? 'ERROR:  55000' : 'a plan that blocks', [], []);
		}
		my @names = @{ plan_up($target) // die "no plan" };
		my $planned = planned('target => ' . quoted($target), 'apply');
		my @expected = @names;
		splice @names, $count if defined $count && $count < @names;
		my @problem = happened('up ' . ($target // '') . ' ' . ($count // ''), ask('CALL notebook_migrate.schema_up(' . quoted($target) . ', ' . ($count // 'NULL') . ')'), run_up(0, @names));
		push @problem, "planned was $planned, not @expected" if $planned ne "@expected";
		return @problem;
	},
	up_atomic => sub {
		return if missing();
		return happened('up atomic', ask('SELECT notebook_migrate.schema_up_atomic()'), run_up(1, @{ plan_up() }));
	},
	undone => sub {
		return if missing();
		my @state = ([@applied], {%last}, {%again});
		my ($answer, $ran) = run_up(1, @{ plan_up() });
		@applied = @{ $state[0] }; %last = %{ $state[1] }; %again = %{ $state[2] };
		ask('BEGIN');
		my $got = ask('SELECT notebook_migrate.schema_up_atomic()');
		ask('ROLLBACK');
		return happened('up atomic, rolled back', $got, $answer, [], []);
	},
	down => sub {
		my @names = map { $_->[0] } reverse @applied;
		my ($arguments, $plan);
		if (rand() < 0.4 && @names)
		{
			my $target = pick(@names);
			my $at = first { $names[$_] eq $target } 0 .. $#names;
			splice @names, $at + 1;
			$arguments = 'target => ' . quoted($target);
			$plan = planned("$arguments, direction => 'down'", 'revert') if all { defined $def{$_}{down} } @names;
		}
		else
		{
			my $count = int rand 4;
			splice @names, $count if $count < @names;
			$arguments = "steps => $count";
		}
		my @expected = @names;
		my @problem = happened("down $arguments", ask("CALL notebook_migrate.schema_down($arguments, cascade => " . pick('true', 'false') . ')'), run_down(@names));
		push @problem, "planned was $plan, not @expected" if defined $plan && $plan ne "@expected";
		return @problem;
	},
	not_applied => sub {
		my $n = pick(grep { !is_applied($_) } sort keys %def) // return;
		return happened("down $n, which is not applied", ask('CALL notebook_migrate.schema_down(' . quoted($n) . ')'), 'ERROR:  55000', [], []);
	},
	# Not where a squash would stand for an ancestor: what else it replaces is not there.
	baseline => sub {
		return if missing();
		my $n = pick(sort keys %def) // return;
		my @names = @{ plan_up($n) };
		return if any { @{ $def{$_}{replaces} } } @names;
		return if @{ $def{$n}{replaces} } || any { runs($_) } squashes($n);
		my $answer = ask('SELECT notebook_migrate.schema_baseline(' . quoted($n) . ')');
		push @applied, [ $_, 'baseline' ] foreach @names;
		return happened("baseline $n", $answer, scalar @names, [], [ map { "$_:up:baseline:" } @names ]);
	},
	unknown => sub {
		my $n = new_name();
		return happened("up to $n, which is unknown", ask('CALL notebook_migrate.schema_up(' . quoted($n) . ')') =~ /^ERROR:  (?!XX)/ ? 'error' : 'none', 'error', [], []);
	});
sub min_of { return $_[0] < $_[1] ? $_[0] : $_[1]; }
my @deck = ((map { 'register' } 1 .. 12), (map { 'up' } 1 .. 7), (map { 'down' } 1 .. 3), qw(squash squash again again again up_atomic undone not_applied baseline baseline unknown));

my ($total, %count) = (0);
foreach my $seed (@seed)
{
	srand $seed;
	$nested = $seed % 5 == 0;
	@applied = ();
	%$_ = () foreach \%def, \%last, \%again;
	@trace = ();
	($log, $entry) = (0, 0);
	ask('SET client_min_messages = warning; DROP EXTENSION IF EXISTS notebook_migrate; DROP TABLE IF EXISTS log; CREATE EXTENSION notebook_migrate; CREATE TABLE log (n serial, line text)');
	ask('\set VERBOSITY sqlstate');
	$before = ask(q{SELECT md5('')});
	my @problem;
	for ($step = 1; $step <= $steps && !@problem; $step++)
	{
		my $deed = pick(@deck);
		my $traced = @trace;
		@problem = $deed{$deed}->();
		$total++, $count{$deed}++ if @trace > $traced;
	}
	ok(!@problem, "seed $seed") or diag(join("\n", "NBM_SEED=$seed, step $step:", @trace, @problem));
}
note("$total steps: " . join(', ', map { "$_ $count{$_}" } sort keys %count));
cmp_ok($count{$_} // 0, '>', 0, "there was: $_") foreach @seed > 9 ? sort keys %deed : ();

# Cases of their own.  What is registered here logs its name, as above.
sub case
{
	my ($name, @registered) = @_;
	%def = ();
	ask('DROP EXTENSION notebook_migrate; CREATE EXTENSION notebook_migrate; TRUNCATE log');
	registered(@registered);
	note($name);
	return;
}
sub registered
{
	foreach my $r (@_)
	{
		my ($n, $deps, $replaces) = @$r;
		$def{$n} = { deps => $deps // [], replaces => $replaces // [], down => '', version => 1 };
		is(ask(registration($n, $def{$n})), 't', "registered: $n");
	}
	return;
}
sub up_is
{
	my ($expected, $name, $arguments) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	my $answer = ask('CALL notebook_migrate.schema_up(' . ($arguments // '') . ')');
	is($answer . ask(q{SELECT coalesce(string_agg(line, ' ' ORDER BY n), '') FROM log}), $expected, $name);
	return;
}

case('order', [ 'b', ['c'] ], [ 'c', [] ], [ 'a', ['d'] ], [ 'd', ['c'] ], [ 'B', ['d'] ]);
up_is('+c +b +d +B +a', 'of those that are ready, the smallest name');

case('order beside a squash', ['a']);
up_is('+a', 'part of it');
registered(['b'], [ 'x', [], [ 'a', 'b' ] ], [ 'c', ['x'] ], ['d']);
is(planned('', 'apply'), 'b c d', 'a squash that does not run takes no turn');
up_is('+a +b', 'the first', 'max_count => 1');
is(planned('', 'apply'), 'c d', 'no matter how many are applied at a time');
up_is('+a +b +c +d', 'all');

case('nested squashes', ['a'], ['b'], ['c'], [ 's', [], [ 'a', 'b' ] ], [ 't', [], [ 's', 'c' ] ]);
up_is('+t', 'a squash of a squash');
up_is('+t', 'stands for all that is in it');
is(ask(q{SELECT string_agg(name || ' ' || state, ', ' ORDER BY name) FROM notebook_migrate.schema_status()}), 'a replaced, b replaced, c replaced, s replaced, t applied', 'and so it is shown');

case('nested squashes, begun', ['a']);
up_is('+a', 'part of a part');
registered(['b'], ['c'], [ 's', [], [ 'a', 'b' ] ], [ 't', [], [ 's', 'c' ] ]);
up_is('+a +b +c', 'what is done within a squash is not done again by another one around it');

case('overlapping squashes', ['a'], ['b'], ['c'], [ 's', [], [ 'a', 'b' ] ], [ 't', [], [ 'b', 'c' ] ]);
up_is('+c +s', 'nothing is applied twice');
up_is('+c +s', 'now or later');

case('baseline of a part', ['a'], [ 'b', ['a'] ], [ 's', [], [ 'a', 'b' ] ]);
ask(q{SELECT notebook_migrate.schema_baseline('a')});
is(ask(q{SELECT string_agg(name || ' ' || state, ', ' ORDER BY name) FROM notebook_migrate.schema_status()}), 'a baseline, b pending, s pending', 'a baseline covers what it needs, and no more');
up_is('+b', 'the rest is applied');

case('the text is given again', ['a'], ['b']);
up_is('+a', 'one', 'max_count => 1');
ask(q{UPDATE notebook_migrate.schema_migration SET up = 'SELECT 1' WHERE name = 'a'});
up_is('ERROR:  55000+a', 'its text was changed');
is(ask(registration('a', $def{a})), 't', 'it is given its text again');
up_is('+a +b', 'and it goes on');

$session->quit;
$node->stop;
done_testing();
