# What README.md, docs/surface.md and docs/schema.md show is what happens: their
# SQL stands, with its output, in expected/tour.out and expected/schema_tour.out,
# and the files that they name exist.
use strict;
use warnings;
use PostgreSQL::Test::Utils;
use Test::More;

# The lines of a text, without those that are blank and without the blanks at
# their ends; so psql's alignment of headings need not be copied.
sub lines_of
{
	return grep { $_ ne '' } map { s/\s+$//r } split /\n/, $_[0];
}

my $tour = join("\n", '', (map { lines_of(slurp_file("expected/$_.out")) } qw(tour schema_tour)), '');

foreach my $file ('README.md', 'docs/surface.md', 'docs/schema.md')
{
	my $text = slurp_file($file);
	my ($blocks, @stale) = (0);

	while ($text =~ /^```sql\n(.*?)^```$/gms)
	{
		my @lines = lines_of($1);
		$blocks++;
		push @stale, $lines[0]
		  if index($tour, join("\n", '', @lines, '')) < 0;
	}
	ok($blocks > 0, "$file shows SQL");
	is_deeply(\@stale, [], "$file shows what the tour shows");
}

my $readme = slurp_file('README.md');
my $screen = join("\n", (split /\n/, $readme)[ 0 .. 39 ]);
like($screen, qr/^```sql\n.*?^\(\d+ rows?\)\n```$/ms,
	'README.md has a result by line 40');

foreach my $file ('README.md', 'CHANGELOG.md', 'src/README.md', glob('docs/*.md'))
{
	my ($folder) = $file =~ m{^(.*/)?};
	my @missing = grep { !-e(($folder // '') . $_) }
	  slurp_file($file) =~ /\]\((?!https?:|#)([^)#]+)/g;
	is_deeply(\@missing, [], "what $file links to is there");
}

done_testing();
