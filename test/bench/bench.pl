#!/usr/bin/perl
#
# bench.pl: what notebook_migrate costs, each figure beside a baseline that is
# measured in the same run, interleaved with it.
#
#   PGHOST=… PGUSER=… PGDATABASE=… [NBM_DATA=…] perl bench.pl [--quick] [--only=REGEX]
#
# The server must be a private one, with default_toast_compression = lz4: the
# bench makes the extension and a schema nbm_bench, drops both with all that is
# in them, and issues CHECKPOINTs.  It refuses a database that has the extension
# already, unless an interrupted bench left it there.  NBM_DATA is a folder with
# notebooks_corpus/history/NAME/NNNN.json; without it the lines of the real
# histories say `skipped`.  --quick cuts repetitions: it shows that the bench
# runs, its figures mean nothing.
#
# How it measures
# - A repetition yields one value an arm; a line shows the median of the
#   repetitions with the smallest and largest of them.  Arms take turns within
#   a repetition, in slices, and change their order from slice to slice.
# - Time of a statement: clock_timestamp() before and after it in a PL/pgSQL
#   procedure with cached plans, the jsonb in memory; the commit after each
#   statement is not in it.  A repetition's value is the median of its
#   statements; means and the worst statement are printed as information.
# - Before all that, shared buffers and WAL files are used once.
# - WAL: differences of pg_current_wal_insert_lsn() around statement and
#   commit, the mean over a repetition.  A CHECKPOINT opens each repetition, so
#   that every arm pays its full-page images once a repetition; what the first
#   edit after it costs is printed apart.
# - Fairness to the plain tables: a warm-up before the first repetition, no
#   autovacuum, but a VACUUM after every slice, outside time and WAL, so that
#   they work in free space that is in cache.  That is twice as fast as a table
#   that nobody vacuums and that has to grow with each edit, which is printed as
#   information.  The store is never vacuumed by the bench.
# - Disk: growth of pg_total_relation_size() of all tables in the schema
#   notebook_migrate: TOAST, indexes, free space maps and unfilled pages count.

use v5.36;
use utf8;
use FindBin;
use Getopt::Long;
use lib $FindBin::Bin;
use BenchFigures;
use BenchServer;
use ChangeMeasures;
use JobMeasures;
use PatchMeasures;
use SchemaMeasures;
use StoreMeasures;
use TexeraMeasures;

GetOptions('quick' => \my $is_quick, 'only=s' => \(my $only = '.'))
  or die "usage: bench.pl [--quick] [--only=REGEX]\n";

my @MEASURES = (
	[ update  => \&measure_update ],
	[ others  => \&measure_others ],
	[ client  => \&measure_client ],
	[ edit    => \&measure_edit ],
	[ read    => \&measure_read ],
	[ mapping => \&measure_mapping ],
	[ splits  => \&measure_splits ],
	[ diff    => \&measure_diff ],
	[ linear  => \&measure_linear ],
	[ replace => \&measure_replace ],
	[ images  => \&measure_images ],
	[ worst   => \&measure_worst ],
	[ lines   => \&measure_lines ],
	[ merge   => \&measure_merge ],
	[ patch   => \&measure_patch ],
	[ jobs    => \&measure_jobs ],
	[ floor   => \&measure_floors ],
	[ history => \&measure_histories ],
	[ texera  => \&measure_texera ],
	[ schema  => \&measure_schema ],);

binmode $_, ':utf8' for *STDOUT, *STDERR;
$| = 1;
open_bench($is_quick);
for my $measure (@MEASURES)
{
	my ($name, $code) = @$measure;
	next if $name !~ /$only/;
	progress($name);
	$code->();
}
close_bench();
summary();
