# BenchArms: what the measures compare.  An arm is a sub that runs one slice of
# its work and returns the samples: milliseconds, or [ms, bytes of WAL].

package BenchArms;

use v5.36;
use utf8;
use Exporter    qw(import);
use Time::HiRes qw(time);
use BenchFigures;
use BenchServer;

our @EXPORT = qw(interleave alone compare_edits edit_arm plain_arm ours_update edit_step fetch_arm
  diff_arm statement_arm commit_arm plain_commit_arm copy_arm elapsed keep_long_notebook long_notebook);

my $long;    # notebook_id of the notebook with all edits, once it is made

# Runs all arms in every repetition, slice by slice in alternating order.
# Returns {arm => [samples of repetition 1, samples of repetition 2, …]}.
sub interleave ($slices, $before, %arm)
{
	my (%got, $turn);

	for my $repetition (0 .. $REPETITIONS - 1)
	{
		$before->();
		for my $slice (1 .. $slices)
		{
			my @order = sort keys %arm;
			@order = reverse @order if $turn++ % 2;
			push @{ $got{$_}[$repetition] }, $arm{$_}->() for @order;
		}
	}
	return \%got;
}

# The median of each repetition of arms without baseline: {arm => [ms, …]}.
sub alone (%arm)
{
	my $got = interleave(1, \&checkpoint, %arm);

	return { map { $_ => medians($got->{$_}) } keys %arm };
}

# interleave() for arms that edit, each warmed up by one slice first.
sub compare_edits ($slices, %arm)
{
	$_->{warm_up}->() for values %arm;
	return interleave($slices, \&checkpoint, map { $_ => $arm{$_}{run} } keys %arm);
}

# An arm that runs the next slice of the edits in nbm_bench.edit; samples are
# [ms, bytes of WAL].
sub edit_arm ($procedure, %how)
{
	my $next = 1;

	timed_procedure($procedure, edit_step(%how));
	return {
		warm_up => sub { },
		run     => sub {
			$next += $SLICE;
			return call($procedure, $next - $SLICE, $SLICE);
		}
	};
}

# The arm of a plain table; the tables in @vacuum are vacuumed after each slice.
# Its warm-up runs edits of its own and ends with the first document.
sub plain_arm ($table, @vacuum)
{
	my $arm = edit_arm(
		"update_$table",
		table     => "nbm_bench.$table",
		id        => 1,
		statement => "UPDATE nbm_bench.$table SET content = doc WHERE notebook_id = 1;");
	my $run = $arm->{run};

	$arm->{run} = sub {
		my @got = $run->();
		$dbh->do('VACUUM ' . join ', ', @vacuum) if @vacuum;
		return @got;
	};
	$arm->{warm_up} = sub {
		call("update_$table", -$SLICE, $SLICE);
		reset_plain($table, @vacuum);
	};
	return $arm;
}

# What edit_arm() needs to UPDATE a notebook through the view.
sub ours_update ($id)
{
	return (
		table     => 'notebook_migrate.notebook',
		id        => $id,
		statement => "UPDATE notebook_migrate.notebook SET content = doc WHERE notebook_id = $id;");
}

# Statements that bring the next edit's document (doc) and one-cell edit
# (edits) into memory, outside the measured time.
sub edit_step (%how)
{
	return (
		statement => $how{statement},
		setup   => "SELECT content INTO STRICT doc FROM $how{table} WHERE notebook_id = $how{id};",
		prepare => q{
			SELECT * INTO STRICT e FROM nbm_bench.edit WHERE edit.i = step.i;
			doc := jsonb_set(doc, ARRAY['cells', e.cell::text, 'source', e.line::text],
				to_jsonb(e.value), false);
			edits := jsonb_build_array(jsonb_build_object('op', 'replace', 'cell', e.cell_id,
				'value', doc #> ARRAY['cells', e.cell::text]));}
	);
}

# An arm that fetches one text from the server.
sub fetch_arm ($sth, @bind)
{
	return sub {
		return elapsed(sub {
			$sth->execute(@bind);
			$sth->fetchrow_arrayref->[0] or die "no text\n";
			$sth->finish;
		});
	};
}

# An arm that counts the rows of a diff, which must be $rows if given.  The
# server makes all columns of all rows to count them.
sub diff_arm ($name, $id, $from, $to, $rows = undef, $n = $quick ? 3 : 20)
{
	my $diff  = "notebook_migrate.notebook_diff($id, $from, $to)";
	my $count = $dbh->selectrow_array("SELECT count(*) FROM $diff");

	die "$diff: $count rows\n" if !$count || $count != ($rows // $count);
	return statement_arm($name, "PERFORM count(*) FROM $diff;", $n);
}

# An arm that runs a statement $n times in the server, and once to warm up;
# doc, doc_b and doc_c are the kept documents of these names.
sub statement_arm ($name, $statement, $n, @documents)
{
	my @doc = qw(doc doc_b doc_c);

	timed_procedure(
		$name,
		setup     => join('', map { document_ready($_, shift @doc) } @documents),
		statement => $statement);
	call($name, 1, 1);
	return sub { ms(call($name, 1, $n)) };
}

# Brings a kept document into memory, neither compressed nor out of line.
sub document_ready ($document, $variable)
{
	return "SELECT content || '{}' INTO STRICT $variable
		FROM nbm_bench.document WHERE name = '$document';";
}

# An arm that commits one kept document over another, which a new notebook has, or
# another kind of document; puts the id of that in ${ $how{id} }.  As after somebody else's save, the
# head is not in the session's memory but must be read, unless $how{warm}.
sub commit_arm ($name, $from, $to, %how)
{
	my $kind = $how{kind} // 'notebook';

	timed_procedure(
		$name,
		setup     => document_ready($to, 'doc'),
		statement => "PERFORM notebook_migrate.${kind}_commit(i, doc);");
	return sub {
		my $id = stored_document($from, $kind);
		save_another() if !$how{warm};
		${ $how{id} } = $id if $how{id};
		return ms(call($name, $id, 1));
	};
}

# Saves another, small notebook twice: the session forgets the document it saved
# last, and gives memory of a large one back to the system, which takes as long as
# a small commit.
sub save_another
{
	my $id = stored_document('empty');

	$dbh->do("SELECT notebook_migrate.notebook_commit($id,
		(SELECT content FROM nbm_bench.document WHERE name = 'almost empty'))");
}

# What the same costs without versions: an UPDATE of a plain table.
sub plain_commit_arm ($name, $from, $to)
{
	my $reset = $dbh->prepare('UPDATE nbm_bench.saved SET content = (
		SELECT content FROM nbm_bench.document WHERE name = $1)');

	timed_procedure(
		$name,
		setup     => document_ready($to, 'doc'),
		statement => 'UPDATE nbm_bench.saved SET content = doc WHERE notebook_id = 1;');
	return sub {
		$reset->execute($from);
		$dbh->do('VACUUM nbm_bench.saved');
		return ms(call($name, 1, 1));
	};
}

# What a version as a full copy costs: an INSERT into a plain table, which grows.
sub copy_arm ($name, $document)
{
	timed_procedure(
		$name,
		setup     => document_ready($document, 'doc'),
		statement => 'INSERT INTO nbm_bench.copy (notebook_id, content) VALUES (2, doc);');
	return sub { ms(call($name, 1, 1)) };
}

# Milliseconds that a piece of code takes, round trips included.
sub elapsed ($code)
{
	my $began = time;

	$code->();
	return 1_000 * (time - $began);
}

# The notebook with all edits as versions: measure_update's, or made now.
sub keep_long_notebook ($id) { $long = $id }

sub long_notebook
{
	return $long if $long;
	keep_long_notebook(new_notebook('long'));
	timed_procedure('ours', edit_step(ours_update($long)));
	call('ours', 1, $EDITS);
	return $long;
}

1;
