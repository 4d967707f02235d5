# Documents changed at random at any place, into shapes that no tool writes: what
# is taken reads back byte for byte in every version, what is not taken is an
# error of the caller's and writes nothing.  NBM_SEED replays one script.
use strict;
use warnings;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my @seed = defined $ENV{NBM_SEED} ? ($ENV{NBM_SEED}) : (1 .. 20);
my $saves = 60;

sub pick { return $_[ rand @_ ]; }

# A value is an array, a hash, or the JSON text of a scalar.
sub scalar_value
{
	return pick(qw(null true false 0 1 -1 1.0 1.10 -0.0 1e-7 1e400 3000000000 9223372036854775809 3 3 4
		"" "a" "b" "same" "code" "markdown" "é\u2028\"\\\\" "1" "2" "A" "B" "output-0" "*"), '"x = 1\ny = 2"', '"' . 'QUJD' x 3000 . '"',
		'"' . 'QUJD' x 3000 . 'QQ=="', '"' . 'QUJD' x 3000 . 'QR=="', '"' . int(rand 1e6) . '"');
}

my %member = (
	notebook => [ qw(cells cells worksheets metadata nbformat nbformat_minor cell_type source input outputs execution_count prompt_number
		  id uuid attachments data text output_type image/png level tags), '' ],
	workflow => [ qw(operators links operatorPositions commentBoxes settings groups operatorID operatorType operatorProperties code
		  inputPorts outputPorts portID isDisabled customDisplayName linkID source target x y A B workers), '' ]);

sub value
{
	my ($kind, $depth) = @_;
	my $r = rand;
	return scalar_value() if $depth <= 0 || $r < 0.5;
	return [ map { value($kind, $depth - 1) } 1 .. int rand 4 ] if $r < 0.7;
	return { map { pick(@{ $member{$kind} }) => value($kind, $depth - 1) } 1 .. int rand 5 };
}

sub text
{
	my $v = shift;
	return ref $v eq 'ARRAY' ? '[' . join(', ', map { text($_) } @$v) . ']'
	  : ref $v eq 'HASH' ? '{' . join(', ', map { "\"$_\": " . text($v->{$_}) } sort keys %$v) . '}' : $v;
}
sub copy { my $v = shift; return ref $v eq 'ARRAY' ? [ map { copy($_) } @$v ] : ref $v eq 'HASH' ? { map { $_ => copy($v->{$_}) } keys %$v } : $v; }

# All arrays and hashes in a value.
sub places { my $v = shift; return ref $v eq 'ARRAY' ? ($v, map { places($_) } @$v) : ref $v eq 'HASH' ? ($v, map { places($v->{$_}) } sort keys %$v) : (); }

# Changes a value at one place.
sub change
{
	my ($kind, $document) = @_;
	my $at = pick(places($document));

	if (ref $at eq 'ARRAY')
	{
		my ($i, $j) = (int rand(@$at + 1), int rand(@$at + 1));
		my $way = @$at ? int rand 5 : 0;
		splice @$at, $i, 0, value($kind, 3) if $way == 0;
		splice @$at, $i, 1 if $way == 1 && $i < @$at;
		splice @$at, $j, 0, copy($at->[ rand @$at ]) if $way == 2;
		@$at = reverse @$at if $way == 3;
		$at->[ rand @$at ] = value($kind, 3) if $way == 4;
		return;
	}
	my @key = sort keys %$at;
	rand() < 0.3 && @key ? delete $at->{ pick(@key) } : ($at->{ @key && rand() < 0.6 ? pick(@key) : pick(@{ $member{$kind} }) } = value($kind, 3));
	return;
}

# Whether a value is a document: the rest of what stands in it is not the
# store's business.
sub is_text { my $v = shift; return !defined $v || (ref $v eq 'ARRAY' ? !grep({ ref $_ || !/^"/ } @$v) : !ref $v && $v =~ /^"/); }
sub is_list { my ($v, $check) = @_; return ref $v eq 'ARRAY' && !grep { ref $_ ne 'HASH' || !$check->($_) } @$v; }
sub is_type { my $v = shift; return !defined $v || (!ref $v && $v =~ /^"/); }
sub is_cell { return is_text($_[0]{source}) && is_text($_[0]{input}) && is_type($_[0]{cell_type}); }
sub sound
{
	my ($kind, $v) = @_;
	return is_list($v->{operators}, sub { is_type($_[0]{operatorType}) }) && (!exists $v->{links} || ref $v->{links} eq 'ARRAY') ? 't' : ''
	  if $kind eq 'workflow';
	return (is_list($v->{cells}, \&is_cell) ? 't' : '') if exists $v->{cells};
	return is_list($v->{worksheets}, sub { !exists $_[0]{cells} || is_list($_[0]{cells}, \&is_cell) }) ? 't' : '';
}

# What the scripts begin with.
sub first_document
{
	my $kind = shift;
	return { operators => [ map { { operatorID => "\"$_\"", operatorProperties => { code => '"f()"' }, inputPorts => [] } } qw(A B C) ],
		links => [ { linkID => '"L"', source => { operatorID => '"A"' }, target => { operatorID => '"B"' } } ],
		operatorPositions => { A => { x => 1, y => '1.0' }, B => { x => 2, y => 2 } } } if $kind eq 'workflow';
	my @cell = map { { cell_type => '"code"', source => "\"x = $_\"", id => "\"c$_\"", execution_count => $_, metadata => {},
			outputs => [ { output_type => '"execute_result"', execution_count => $_, data => { 'text/plain' => '"1"' } } ] } } 1 .. 4;
	return rand() < 0.5 ? { cells => \@cell, metadata => {}, nbformat => 4 }
	  : { worksheets => [ { cells => [ @cell[ 0, 1 ] ] }, { cells => [ @cell[ 2, 3 ] ], metadata => {} } ], metadata => {}, nbformat => 3 };
}

my $node = PostgreSQL::Test::Cluster->new('lossless');
$node->init(extra => [ '--no-locale', '--encoding=UTF8' ]);
$node->start;
$ENV{PGCLIENTENCODING} = 'UTF8';
$node->safe_psql('postgres', <<'SQL');
CREATE EXTENSION notebook_migrate;
CREATE TABLE script (seed int, kind text, n int, sound text, content jsonb, id bigint, version int, state text, message text);
-- Commits the documents of a script in order, and notes what became of each.
CREATE PROCEDURE play(s int, k text) LANGUAGE plpgsql AS $$
DECLARE r record; i bigint; v int; head int; st text; d text;
BEGIN
  FOR r IN SELECT * FROM script WHERE seed = s AND kind = k ORDER BY n LOOP
    st := '00000';
    BEGIN
      IF i IS NULL AND k = 'notebook' THEN
        INSERT INTO notebook_migrate.notebook (name, content) VALUES (k, r.content) RETURNING notebook_id, version INTO i, v;
      ELSIF i IS NULL THEN
        INSERT INTO notebook_migrate.workflow (name, content) VALUES (k, r.content) RETURNING workflow_id, version INTO i, v;
      ELSE
        EXECUTE format('SELECT notebook_migrate.%I($1, $2)', k || '_commit') USING i, r.content INTO v;
      END IF;
    EXCEPTION WHEN OTHERS THEN
      GET STACKED DIAGNOSTICS d = PG_EXCEPTION_DETAIL;
      st := SQLSTATE;
      EXECUTE format('SELECT max(version) FROM notebook_migrate.%I WHERE %I = $1', k || '_version', k || '_id') USING i INTO head;
      IF head <> v THEN st := 'wrote a version all the same'; END IF;
    END;
    UPDATE script SET id = i, version = CASE st WHEN '00000' THEN v END, state = st, message = CASE WHEN st <> '00000' THEN d END WHERE seed = s AND kind = k AND n = r.n;
  END LOOP;
END $$;
SQL

# A query's answer, or how it failed.
sub answer
{
	my ($status, $out, $err) = $node->psql('postgres', $_[0]);
	return $status == 0 ? $out : $err;
}

foreach my $seed (@seed)
{
	foreach my $kind ('notebook', 'workflow')
	{
		srand($seed);
		my $document = first_document($kind);
		my $rows = join(",\n", map {
				my $n = $_;
				my $next = copy($document);
				if ($n > 1) { change($kind, $next) foreach 1 .. 1 + int rand 3; }
				# What must be refused is not gone on with.
				my $sound = sound($kind, $next);
				$document = $next if $sound;
				"($seed, '$kind', $n, '$sound', \$nbm\$" . text($next) . "\$nbm\$)" } 1 .. $saves);
		$node->safe_psql('postgres', "INSERT INTO script VALUES $rows");
		$node->safe_psql('postgres', "CALL play($seed, '$kind')");

		my $of = "FROM script WHERE seed = $seed AND kind = '$kind'";
		my $key = $kind eq 'notebook' ? 'cell_key' : 'operator_key';
		my $items = $kind eq 'notebook' ? 'cells' : 'operators';
		is(answer("SELECT n, state, message $of AND state <> '00000' AND (sound = 't' OR state <> '22023') ORDER BY n LIMIT 3"), '', "$kind, seed $seed: documents are taken, others refused");
		is(answer("SELECT n $of AND version IS NOT NULL AND notebook_migrate.${kind}_at(id, version)::text IS DISTINCT FROM content::text ORDER BY n"),
			'', "$kind, seed $seed: every version reads back");
		is(answer("SELECT n FROM (SELECT DISTINCT ON (version) n, id, version $of AND version IS NOT NULL ORDER BY version) AS s
		    WHERE (SELECT count(*) <> count(DISTINCT $key) OR count(*) <> count(DISTINCT position) FROM notebook_migrate.${kind}_$items(id, version)) ORDER BY n"),
			'', "$kind, seed $seed: keys are unique");
		is(answer("SELECT count(*) FROM (SELECT DISTINCT id, version $of AND version > 1) AS s,
		      notebook_migrate.${kind}_diff(id, version - 1, version) AS d WHERE d.change IS NULL"), 0, "$kind, seed $seed: differences can be asked for");
		is(answer("SELECT a.version, b.version FROM notebook_migrate.${kind}_version AS a JOIN notebook_migrate.${kind}_version AS b USING (${kind}_id)
		    WHERE ${kind}_id = (SELECT min(id) $of) AND a.version < b.version AND (a.digest = b.digest)
		      <> (notebook_migrate.${kind}_at(${kind}_id, a.version)::text = notebook_migrate.${kind}_at(${kind}_id, b.version)::text)"),
			'', "$kind, seed $seed: equal digests are equal documents");
		cmp_ok(answer("SELECT count(DISTINCT version) $of"), '>', $saves / 4, "$kind, seed $seed: many versions");
		is(answer("SELECT p.* FROM (SELECT DISTINCT id, kind $of AND id IS NOT NULL) AS s, notebook_migrate.store_verify(kind, id) AS p"),
			'', "$kind, seed $seed: sound");
	}
}

$node->stop;
done_testing();
