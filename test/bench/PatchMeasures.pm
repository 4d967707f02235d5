# PatchMeasures: what JSON Patch costs beside the server's own functions.

package PatchMeasures;

use v5.36;
use utf8;
use Exporter qw(import);
use BenchArms;
use BenchFigures;
use BenchServer;

our @EXPORT = qw(measure_patch);

my $PATCH = q{doc_c := json_patch(doc, doc_b -> 'patch');};


goals(
	patch_one  => [ 'json_patch of 2 MB, one operation',        'ms', 'x', 1 ],
	patch_many => [ 'json_patch of 2 MB, 1,000 operations',     'ms', 'x', 0.01 ],
	patch_flow => [ 'json_patch of 2,000 operators, one moved', 'ms', 'x', 1 ],
	patch_diff => [ 'json_patch_diff of two 2 MB, one edit',    'ms', 'x', 1 ],
	patch_hard => [ 'json_patch_diff, 100,000 numbers reversed', 'ms', 'ms', 2_000 ],
	patch_front => [ 'json_patch, 10,000 at the front of 100,000', 'ms', 'ms', 2_000 ],);

# A patch beside jsonb_set on the same paths, or what else leads to the same
# document; a diff beside reading both documents and comparing them, as somebody
# must who wants to know no more than whether they are equal.
sub measure_patch
{
	my @goals = qw(patch_one patch_many patch_flow patch_diff patch_hard patch_front);

	return skipped(@goals) if !has_function('json_patch(jsonb,jsonb)');
	my $from = keep_document('patch from', $notebook->reset->text);
	my $to   = keep_document('patch to',   $notebook->edit(1)->text);
	my $n    = $quick ? 3 : 20;

	keep_patches();
	pair('patch_one', $n, $PATCH,
		q{doc_c := jsonb_set(doc, '{cells,100,source}', '"edited"');},
		$from, 'one operation');
	pair('patch_many', 1, $PATCH,
		q{doc_c := doc;
		FOR k IN 0 .. jsonb_array_length(doc_b -> 'patch') - 1 LOOP
			doc_c := jsonb_set(doc_c, ARRAY['cells', (k % 200)::text, 'source'], doc_b -> 'patch' -> k -> 'value');
		END LOOP;},
		$from, 'many operations');
	pair('patch_flow', $n, $PATCH,
		q{doc_c := jsonb_insert(doc #- '{operators,1000}', '{operators,0}', doc #> '{operators,1000}');},
		'patched flow', 'one move');
	pair('patch_diff', $n, 'doc_c := json_patch_diff(doc, doc_b);',
		"PERFORM a.content = b.content FROM nbm_bench.document a, nbm_bench.document b
		WHERE a.name = '$from' AND b.name = '$to';",
		$from, $to);

	my $got = alone(
		patch_hard  => arm('patch_hard',  'doc_c := json_patch_diff(doc, doc_b);', 1, qw(numbers reversed)),
		patch_front => arm('patch_front', $PATCH,      1, qw(numbers front)));
	line($_, $got->{$_}) for qw(patch_hard patch_front);
}

# -------------------------------------------------------------------- parts

# Keeps the patches, each as a member of an object (documents are made ready by
# || '{}', which would add to an array), and the documents that are no notebook.
sub keep_patches
{
	my $operation = sub ($op, $path, $more) {
		return "jsonb_build_object('op', '$op', 'path', $path, $more)";
	};
	my $patch = sub ($operations) { return "jsonb_build_object('patch', $operations)" };
	my %made = (
		'one operation' => $patch->('jsonb_build_array('
			  . $operation->('replace', q{'/cells/100/source'}, q{'value', 'edited'}) . ')'),
		'many operations' => $patch->('(SELECT jsonb_agg('
			  . $operation->('replace', q{'/cells/' || i % 200 || '/source'}, q{'value', 'edited ' || i})
			  . ' ORDER BY i) FROM generate_series(0, 999) i)'),
		'one move' => $patch->('jsonb_build_array('
			  . $operation->('move', q{'/operators/0'}, q{'from', '/operators/1000'}) . ')'),
		'patched flow' => q{(SELECT jsonb_build_object('links', '[]'::jsonb, 'operators',
			jsonb_agg(jsonb_build_object('operatorID', 'op-' || i, 'operatorProperties',
				jsonb_build_object('code', repeat(md5(i::text), 20), 'workers', 1)) ORDER BY i))
			FROM generate_series(0, 1999) i)},
		numbers  => '(SELECT jsonb_agg(i ORDER BY i) FROM generate_series(1, 100000) i)',
		reversed => '(SELECT jsonb_agg(i ORDER BY -i) FROM generate_series(1, 100000) i)',
		front    => $patch->('(SELECT jsonb_agg('
			  . $operation->('add', q{'/0'}, q{'value', i}) . ' ORDER BY i) FROM generate_series(1, 10000) i)'));

	keep_document($_, $dbh->selectrow_array("SELECT $made{$_}")) for sort keys %made;
}

# An arm whose statement calls our functions by their names alone.
sub arm ($name, $statement, $n, @documents)
{
	return statement_arm($name, $statement =~ s/\b(?=json_patch)/notebook_migrate./gr, $n, @documents);
}

# Prints the line of a statement beside another on the same documents.
sub pair ($name, $n, $ours, $base, @documents)
{
	my $got = interleave(
		1, \&checkpoint,
		ours => arm($name, $ours, $n, @documents),
		base => arm("${name}_base", $base, $n, @documents));

	line($name, both($got, \&median));
}

1;
