# ChangeMeasures: what it costs to tell what changed.

package ChangeMeasures;

use v5.36;
use utf8;
use Exporter qw(import);
use BenchArms;
use BenchFigures;
use BenchServer;
use NotebookMaker;

our @EXPORT = qw(measure_diff measure_linear);

goals(
	diff_one    => [ 'notebook_diff, neighbouring versions',   'ms', 'ms', 5,   0.5 ],
	diff_all    => [ 'notebook_diff, first and last version',  'ms', 'ms', 5,   0.5 ],
	diff_linear => [ 'diff: ms a 1,000 cells, 10,000 : 1,000', 'ms', 'x',  1.5, undef ],);

# Changes between two versions of the 200-cell notebook.
sub measure_diff
{
	my $id   = long_notebook();
	my %pair = (diff_one => [ $EDITS, $EDITS + 1 ], diff_all => [ 1, $EDITS + 1 ]);
	my %arm  = map { $_ => diff_arm($_, $id, $pair{$_}->@*) } keys %pair;
	my $got  = interleave(1, \&checkpoint, %arm);

	line($_, medians($got->{$_})) for qw(diff_one diff_all);
}

# Growth of the diff with the number of cells, 1 % of them changed.
sub measure_linear
{
	my (%arm, %ms);

	for my $cells (200, 1_000, 5_000, 10_000)
	{
		my $maker = NotebookMaker->new(seed => $cells, cells => $cells, small => 1);
		my $id    = new_notebook("linear $cells", $maker);
		$maker->edit_cell($_ * 100, $_) for 0 .. $cells / 100 - 1;
		$dbh->do('UPDATE notebook_migrate.notebook SET content = $1 WHERE notebook_id = $2',
			undef, $maker->text, $id);
		$arm{$cells} = diff_arm("diff_$cells", $id, 1, 2, $cells / 100);
	}
	my $got = interleave(1, \&checkpoint, %arm);
	for my $cells (sort { $a <=> $b } keys %arm)
	{
		$ms{$cells} = [ map { $_ / $cells * 1_000 } medians($got->{$cells})->@* ];
		info(sprintf('  diff of %s cells, ms a 1,000 cells', commas($cells)), 'ms', $ms{$cells});
	}
	line('diff_linear', $ms{10_000}, $ms{1_000});
}

1;
