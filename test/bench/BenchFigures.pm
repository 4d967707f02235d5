# BenchFigures: statistics of samples, the goals, and the lines that are printed.

package BenchFigures;

use v5.36;
use utf8;
use Exporter    qw(import);
use List::Util  qw(max min sum0);
use Time::HiRes qw(time);

our @EXPORT = qw(goals mean median ms wal medians both line info_pair info skipped
  progress print_row commas exponent summary);

my %GOALS;    # by name: label, unit, what the goal is of, goal, aim, note
my %verdicts;
my $started = time;

# Registers lines that owe something: name => [label, unit, what the goal is of
# (`%` and `x` of the baseline, or the unit itself), goal, aim, note].
sub goals (%goals)
{
	@GOALS{ keys %goals } = values %goals;
}

sub mean (@values) { return sum0(@values) / @values }

sub median (@values)
{
	@values = sort { $a <=> $b } @values;
	return ($values[ $#values / 2 ] + $values[ @values / 2 ]) / 2;
}

# The two halves of samples that are [ms, bytes of WAL].
sub ms (@samples)
{
	return map { $_->[0] } @samples;
}

sub wal (@samples)
{
	return map { $_->[1] } @samples;
}

# The median of each repetition.
sub medians ($repetitions)
{
	return [ map { median(@$_) } @$repetitions ];
}

# One figure a repetition for the arms `ours` and `base`: $figure of its samples.
sub both ($got, $figure)
{
	return map {
		[ map { $figure->(@$_) } @$_ ]
	} @$got{qw(ours base)};
}

# Prints a line that owes something, and judges it.
sub line ($name, $ours, $base = undef)
{
	my ($label, $unit, $of, $goal, $aim, $note) = $GOALS{$name}->@*;
	my $value   = median(@$ours) / ($base ? median(@$base) : 1) * ($of eq '%' ? 100 : 1);
	my $verdict = $value <= $goal ? 'met' : 'MISSED';

	$verdicts{$verdict}++;
	print_row(
		$label,
		spread($ours, $unit),
		$base ? spread($base, $unit) : '-',
		$base ? ratio($value, $of)   : '-',
		goal($name), $aim ? "$aim $of" : '-', $note ? "$verdict ($note)" : $verdict);
}

# Prints a line without a goal, beside a baseline or alone.
sub info_pair ($label, $unit, $of, $ours, $base)
{
	my $value = median(@$ours) / median(@$base) * ($of eq '%' ? 100 : 1);

	print_row(
		$label,
		spread($ours, $unit),
		spread($base, $unit),
		ratio($value, $of),
		'-', '-', 'info');
}

sub info ($label, $unit, $values)
{
	print_row($label, spread($values, $unit), '-', '-', '-', '-', 'info');
}

sub skipped (@names)
{
	$verdicts{skipped} += @names;
	print_row($GOALS{$_}[0], '-', '-', '-', goal($_), '-', 'skipped')
	  for @names;
}

sub progress ($what) { printf STDERR "[%4.0f s] %s\n", time - $started, $what }

sub print_row (@columns)
{
	my $text = sprintf '%-52s %-36s %-36s %9s %9s %7s  %s', @columns;

	say $text =~ s/\s+$//r;
}

sub goal ($name)
{
	my (undef, undef, $of, $goal) = $GOALS{$name}->@*;

	return '<= ' . join ' ', commas($goal), $of || ();
}

sub ratio ($value, $of) { return sprintf '%.*f %s', $value < 1 ? 3 : 2, $value, $of }

# The median, and the range where there is more than one value.
sub spread ($values, $unit)
{
	my @shown = map { figure($_, $unit) } median(@$values), min(@$values), max(@$values);

	return join(' ', $shown[0], $unit || ()) . (@$values > 1 ? " ($shown[1]..$shown[2])" : '');
}

# The exponent of the power of size that fits the milliseconds best (least
# squares of the logarithms): 1 is linear.
sub exponent ($sizes, $ms)
{
	my @x = map {log} @$sizes;
	my @y = map {log} @$ms;
	my ($x, $y) = (mean(@x), mean(@y));

	return sum0(map { ($x[$_] - $x) * ($y[$_] - $y) } 0 .. $#x) / sum0(map { ($_ - $x)**2 } @x);
}

sub figure ($value, $unit)
{
	return commas(sprintf '%.0f', $value) if $unit eq 'B' || $value >= 100;
	return $value if $value == int $value;
	return sprintf '%.*f', $value < 1 ? 3 : 2, $value;
}

sub commas ($number)
{
	1 while $number =~ s/^(\d+)(\d{3})/$1,$2/;
	return $number;
}

# How many goals were met.
sub summary
{
	printf "%d met, %d MISSED, %d skipped (%.0f s)\n",
	  map({ $verdicts{$_} // 0 } qw(met MISSED skipped)),
	  time - $started;
}

1;
