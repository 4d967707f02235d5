# SchemaMeasures: schema_up beside psql and sqitch, which run the same scripts,
# and what it costs where there is nothing to do and where there is much to plan.
#
# The 200 scripts each create a table with a key.  All arms are one process that
# is started, connects, and commits after each script; psql gets the scripts as
# one file, so it sends one after the other and knows nothing else.  Registering
# and writing files are not in it.  Repetitions take turns, each on a new schema
# and an extension made anew; sqitch keeps its registry in a schema of its own.

package SchemaMeasures;

use v5.36;
use utf8;
use Exporter    qw(import);
use File::Temp  qw(tempdir);
use JSON::PP    ();
use Time::HiRes qw(time);
use BenchFigures;
use BenchServer;

our @EXPORT = qw(measure_schema);

goals(
	schema_up     => [ 'schema_up: 200 tables, beside psql',            'ms', 'x',  1.2 ],
	schema_noop   => [ 'schema_up: nothing to do, 2,500 applied',       'ms', 'ms', 20 ],
	schema_plan   => [ 'schema_plan: 10,000 nodes, 30,000 edges',       'ms', 'ms', 100 ],
	schema_linear => [ 'schema_plan, 2,500 to 10,000 nodes: exponent',  '',   '',   1.15 ],);

my $TABLES = 200;

sub measure_schema
{
	if (!has_function('schema_bundle_import(jsonb)') || !has_function('schema_plan(text,text)'))
	{
		return skipped(qw(schema_up schema_noop schema_plan schema_linear));
	}
	measure_tables();
	measure_nothing();
	measure_plans();
	fresh_store();
}

# -------------------------------------------------------------------- tables

# The same 200 tables by schema_up, psql and sqitch.
sub measure_tables
{
	my $dir = tempdir(CLEANUP => 1);
	my %arm = (ours => \&up_ours, base => sub { up_psql($dir) }, sqitch => sub { up_sqitch($dir) });
	my %got;

	write_psql($dir);
	delete $arm{sqitch} if !write_sqitch($dir);
	my @order = sort keys %arm;
	for my $repetition (1 .. $REPETITIONS)
	{
		for my $arm (@order)
		{
			fresh_store();
			register(map { [ $_, script($_), "DROP TABLE t$_", $_ > 1 ? $_ - 1 : () ] } 1 .. $TABLES)
			  if $arm eq 'ours';
			$dbh->do('CREATE SCHEMA nbm_tables');
			checkpoint();
			push @{ $got{$arm} }, $arm{$arm}->();
			my ($made) = $dbh->selectrow_array(
				q{SELECT count(*) FROM pg_tables WHERE schemaname = 'nbm_tables'});
			die "$arm made $made tables\n" if $made != $TABLES;
			$dbh->do('DROP SCHEMA nbm_tables CASCADE');
			$dbh->do('DROP SCHEMA IF EXISTS sqitch CASCADE');
		}
		push @order, shift @order;
	}
	line('schema_up', @got{qw(ours base)});
	info_pair('  sqitch deploy, the same', 'ms', 'x', @got{qw(sqitch base)}) if $got{sqitch};
}

# The script of a table.
sub script ($number)
{
	return "CREATE TABLE nbm_tables.t$number (id bigint PRIMARY KEY, name text NOT NULL, made timestamptz DEFAULT now());\n";
}

# Runs a command: the milliseconds that it took.
sub timed (@command)
{
	my $started = time;
	my $out = qx{@command 2>&1};

	die "@command: $out\n" if $?;
	return (time - $started) * 1_000;
}

sub up_ours { return timed(q{psql -Xq -c 'CALL notebook_migrate.schema_up()'}) }

sub up_psql ($dir) { return timed("psql -Xq -v ON_ERROR_STOP=1 -f $dir/all.sql") }

sub up_sqitch ($dir) { return timed("cd $dir && sqitch --quiet deploy db:pg:") }

# The scripts as one file.
sub write_psql ($dir)
{
	write_file("$dir/all.sql", join '', map { script($_) } 1 .. $TABLES);
}

# The scripts as a project of sqitch; false where there is no sqitch.
sub write_sqitch ($dir)
{
	my $plan = "%syntax-version=1.0.0\n%project=bench\n\n";

	return 0 if system('sqitch --version >/dev/null 2>&1') != 0;
	mkdir "$dir/deploy" or die "$dir/deploy: $!\n";
	for my $number (1 .. $TABLES)
	{
		my $needs = $number > 1 ? ' [t' . ($number - 1) . ']' : '';

		$plan .= "t$number$needs 2026-01-01T00:00:00Z Bench <bench\@example.org> # A table\n";
		write_file("$dir/deploy/t$number.sql", "BEGIN;\n" . script($number) . "COMMIT;\n");
	}
	write_file("$dir/sqitch.plan", $plan);
	write_file("$dir/sqitch.conf",
		"[core]\n\tengine = pg\n[user]\n\tname = Bench\n\temail = bench\@example.org\n");
	return 1;
}

sub write_file ($path, $text)
{
	open my $out, '>', $path or die "$path: $!\n";
	print $out $text;
	close $out or die "$path: $!\n";
}

# Registers migrations: name, up, down, what each needs.
sub register (@migrations)
{
	my $bundle = JSON::PP->new->encode({
			format     => 'notebook_migrate schema bundle',
			version    => 1,
			migrations => [
				map {
					my ($name, $up, $down, @needs) = @$_;
					{   name => "$name",
						up => $up,
						down => $down,
						depends_on => [ map {"$_"} @needs ] }
				} @migrations
			] });

	$dbh->do('SELECT notebook_migrate.schema_bundle_import(?::jsonb)', undef, $bundle);
	$dbh->do('ANALYZE notebook_migrate.schema_migration');
}

# ------------------------------------------------------------ nothing to do

# The first call of a new connection, as a deployment makes it.
sub measure_nothing
{
	my $applied = $quick ? 250 : 2_500;
	my (@first, @again);

	fresh_store();
	register(map { [ $_, "SELECT $_", undef, $_ > 1 ? $_ - 1 : () ] } 1 .. $applied);
	$dbh->do('SET synchronous_commit = off');
	$dbh->do('CALL notebook_migrate.schema_up()');
	$dbh->do('RESET synchronous_commit');
	for (1 .. $REPETITIONS)
	{
		my $other = $dbh->clone;

		$other->do('SELECT 1');
		push @first, milliseconds($other, 'CALL notebook_migrate.schema_up()');
		push @again, median(map { milliseconds($other, 'CALL notebook_migrate.schema_up()') } 1 .. 5);
		$other->disconnect;
	}
	line('schema_noop', \@first);
	info('  again, by the same session', 'ms', \@again);
}

# How long a statement takes.
sub milliseconds ($handle, $sql)
{
	my $started = time;

	$handle->do($sql);
	return (time - $started) * 1_000;
}

# --------------------------------------------------------------------- plans

# Plans of graphs in which nothing is applied; each node needs three others.
sub measure_plans
{
	my @sizes = $quick ? (250, 1_000) : (2_500, 5_000, 10_000);
	my %got;

	for my $size (@sizes)
	{
		fresh_store();
		register_graph($size);
		$dbh->do('SELECT count(*) FROM notebook_migrate.schema_plan()');
		push @{ $got{$size} }, median(
			map { milliseconds($dbh, 'SELECT count(*) FROM notebook_migrate.schema_plan()') } 1 .. 3)
		  for 1 .. $REPETITIONS;
	}
	line('schema_plan', $got{ $sizes[-1] });
	line('schema_linear',
		[ map { my $i = $_; exponent(\@sizes, [ map { $got{$_}[$i] } @sizes ]) } 0 .. $REPETITIONS - 1 ]);
	info("  $_ nodes", 'ms', $got{$_}) for @sizes[ 0 .. $#sizes - 1 ];
}

# A graph whose names say nothing of its order.  It is written into the table:
# that schema_register() takes it is the matter of tests.
sub register_graph ($nodes)
{
	$dbh->do('SELECT setseed(0.5)');
	$dbh->do(
		q{
		INSERT INTO notebook_migrate.schema_migration (name, up, depends_on)
		SELECT md5(i::text), 'SELECT ' || i,
			ARRAY(SELECT md5(j::text) FROM (SELECT DISTINCT floor(random() * (i - 1) + 1)::int j
				FROM generate_series(1, 12 + 0 * i)) picked WHERE i > 1 ORDER BY md5(i || ' ' || j) LIMIT 3)
		FROM generate_series(1, ?::int) i}, undef, $nodes);
	$dbh->do('ANALYZE notebook_migrate.schema_migration');
	my ($edges) = $dbh->selectrow_array(
		'SELECT sum(cardinality(depends_on)) FROM notebook_migrate.schema_migration');
	die "the graph has $edges edges\n" if abs($edges - 3 * $nodes) > 10;
}

1;
