# Random texts, and the sources of real histories: what notebook_diff_lines says
# leads from the old text to the new one, and no shorter way does; what
# notebook_diff_text shows says the same.  NBM_SEED replays one run.
use strict;
use warnings;
use utf8;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use File::Basename;
use JSON::PP;
use List::Util qw(max min);

my @seed = defined $ENV{NBM_SEED} ? ($ENV{NBM_SEED}) : (1 .. 4);
my $pairs = 150;
my $json = JSON::PP->new->utf8->canonical->allow_nonref;

my $node = PostgreSQL::Test::Cluster->new('lines');
$node->init(extra => [ '--no-locale', '--encoding=UTF8' ]);
$node->start;
$ENV{PGCLIENTENCODING} = 'UTF8';
sub sql { return $node->safe_psql('postgres', "SET search_path = notebook_migrate, public;\n$_[0]"); }

$node->safe_psql('postgres', <<'SQL');
CREATE EXTENSION notebook_migrate;
CREATE FUNCTION public.one_cell(source text) RETURNS jsonb LANGUAGE sql AS $$
  SELECT jsonb_build_object('metadata', '{}'::jsonb, 'nbformat', 4, 'nbformat_minor', 5, 'cells', jsonb_build_array(
    jsonb_build_object('cell_type', 'raw', 'id', 'a', 'metadata', '{}'::jsonb, 'source', source)))
$$;
SQL

# Texts.  Few different lines, many of them blank or repeated.
my @words = ('', '', 'x', '  x', "\ty", 'y', 'é', '日本', 'end', "x\r", '@@', '-x', '+x', ' ');
sub text { my ($n, $of) = @_; return join("\n", map { $words[ rand $of ] } 1 .. $n); }

# One made of another by a few changes.
sub edited
{
	my @line = split /\n/, $_[0], -1;
	foreach (0 .. rand 4)
	{
		my $at = int rand(@line + 1);
		my $deed = rand;
		if ($deed < 0.4) { splice @line, $at, 0, map { $words[ rand @words ] } 0 .. rand 4 }
		elsif ($deed < 0.7) { splice @line, $at, 1 + rand 4 if $at < @line }
		else { splice @line, int rand(@line + 1), 0, splice @line, $at, 1 + rand 5 if $at < @line }
	}
	return join("\n", @line);
}

# A text's lines: n line feeds make n + 1, no text none.
sub lines { return $_[0] eq '' ? () : split(/\n/, $_[0], -1); }

# How many lines two texts have in common at most, in order.
sub common
{
	my ($a, $b) = @_;
	my @row = (0) x (@$b + 1);
	foreach my $x (@$a)
	{
		my $corner = 0;
		foreach my $j (1 .. @$b)
		{
			my $above = $row[$j];
			$row[$j] = $x eq $b->[ $j - 1 ] ? $corner + 1 : max($above, $row[ $j - 1 ]);
			$corner = $above;
		}
	}
	return $row[-1];
}

# What is wrong with the rows of a difference; nothing, if all is well.
sub fault
{
	my ($a, $b, $rows) = @_;
	my @a = lines($a);
	my @b = lines($b);
	my ($i, $j, $changed) = (0, 0, 0);

	return @$rows ? 'rows for equal texts' : () if $a eq $b;
	foreach (@$rows)
	{
		my ($old, $new, $mark, $text) = @$_;
		my $is = (defined $old ? 1 : 0) + (defined $new ? 2 : 0);
		return "mark $mark does not fit its numbers" if $mark ne (undef, '-', '+', ' ')[$is];
		return "old line $old is not line " . ($i + 1) if defined $old && $old != ++$i;
		return "new line $new is not line " . ($j + 1) if defined $new && $new != ++$j;
		return "old line $old has another text" if defined $old && (($a[ $old - 1 ] // return 'too many') ne $text);
		return "new line $new has another text" if defined $new && (($b[ $new - 1 ] // return 'too many') ne $text);
		$changed++ if $mark ne ' ';
	}
	return "$i of " . @a . ' old lines, ' . "$j of " . @b . ' new ones' if $i != @a || $j != @b;
	my $fewest = @a + @b - 2 * common(\@a, \@b);
	return "$changed lines changed where $fewest do" if $changed != $fewest;
	return;
}

# The new text, made of the old one and the readable difference, whose numbers
# must be right.
sub patched
{
	my ($a, $shown) = @_;
	my @a = map { s/\r/^M/r } lines($a);
	my ($at, $olds, $news, @new) = (0, 0, 0);

	foreach (split /\n/, $shown, -1)
	{
		next if /^(?:--- notebook |\+\+\+ notebook |$|\@\@ cell )/;
		if (/^\@\@ -(\d+)(?:,(\d+))? \+(\d+)(?:,(\d+))? \@\@$/)
		{
			return "numbers of the hunk before '$_'" if $olds != 0 || $news != 0;
			($olds, $news) = ($2 // 1, $4 // 1);
			my $begin = $olds == 0 ? $1 : $1 - 1;
			push @new, @a[ $at .. $begin - 1 ];
			return "new line of '$_'" if @new != ($news == 0 ? $3 : $3 - 1);
			$at = $begin;
		}
		elsif (/^([ -])(.*)$/s)
		{
			return "line '$2' is not there" if !defined $a[$at] || $a[$at] ne $2;
			$at++;
			$olds--;
			next if $1 eq '-';
			push @new, $2;
			$news--;
		}
		elsif (/^\+(.*)$/s) { push @new, $1; $news-- }
		else { return "what is '$_'?" }
	}
	return 'numbers of the last hunk' if $olds != 0 || $news != 0;
	return join("\n", @new, @a[ $at .. $#a ]);
}

foreach my $seed (@seed)
{
	srand $seed;
	my @pair = map {
		my $of = 2 + int rand(@words - 1);
		my $a = text(int(rand 30), $of);
		[ $a, rand() < 0.6 ? edited($a) : text(int(rand 30), $of) ];
	} 1 .. $pairs;
	my @answer = split /\n/, sql(<<"SQL");
CREATE TEMP TABLE pair AS SELECT $seed * 1000 + n AS id, p ->> 0 AS a, p ->> 1 AS b
  FROM jsonb_array_elements(\$nbm\$${\$json->encode(\@pair)}\$nbm\$) WITH ORDINALITY AS e (p, n);
DO \$\$
BEGIN
  INSERT INTO notebook (notebook_id, content) SELECT id, public.one_cell(a) FROM pair;
  PERFORM notebook_commit(id, public.one_cell(b)) FROM pair;
END \$\$;
SELECT jsonb_build_array((SELECT coalesce(jsonb_agg(jsonb_build_array(old_line, new_line, mark, text)), '[]') FROM notebook_diff_lines(id, 1, NULL)),
                         notebook_diff_text(id, 1, NULL)) FROM pair ORDER BY id;
SQL
	my (@fault, @misread);
	is(scalar @answer, $pairs, "seed $seed: an answer for each pair");
	foreach my $i (0 .. $#answer)
	{
		my ($a, $b) = @{ $pair[$i] };
		my ($rows, $shown) = @{ $json->decode($answer[$i]) };
		my @found = fault($a, $b, $rows);

		push @fault, "pair $i: $found[0]\n" . $json->encode($pair[$i]) if @found;
		push @misread, "pair $i:\n$shown\n" . $json->encode($pair[$i])
		  if $a eq $b ? $shown ne '' : patched($a, $shown) ne $b =~ s/\r/^M/gr;
	}
	is(join("\n", @fault), '', "seed $seed: lines lead from one text to the other, the shortest way");
	is(join("\n", @misread), '', "seed $seed: the readable text says the same");
}

# Lines beyond the limit up to which the way is the shortest: still a way.
foreach my $shape ([ 'few lines that differ', 'i * i % 5' ], [ 'many', '(i * 7919) % 3001' ])
{
	my ($name, $text) = @$shape;
	is( sql(<<"SQL"), 't|t', "20,000 lines in another order, $name");
CREATE TEMP TABLE line AS SELECT i, ($text)::text AS line FROM generate_series(1, 20000) AS i;
INSERT INTO notebook (notebook_id, content)
  SELECT 5 + (SELECT max(notebook_id) FROM notebook), public.one_cell(string_agg(line, E'\\n' ORDER BY i)) FROM line;
SET client_min_messages = error;
DO \$\$ BEGIN
  PERFORM notebook_commit((SELECT max(notebook_id) FROM notebook), public.one_cell((SELECT string_agg(line, E'\\n' ORDER BY md5(i::text)) FROM line)));
END \$\$;
SELECT string_agg(text, E'\\n' ORDER BY old_line) FILTER (WHERE mark <> '+') = (SELECT string_agg(line, E'\\n' ORDER BY i) FROM line),
       string_agg(text, E'\\n' ORDER BY new_line) FILTER (WHERE mark <> '-') = (SELECT string_agg(line, E'\\n' ORDER BY md5(i::text)) FROM line)
  FROM notebook_diff_lines((SELECT max(notebook_id) FROM notebook), 1, 2);
SQL
}

# A difference can be cancelled.
my ($code, undef, $error) = $node->psql('postgres', <<'SQL');
SET search_path = notebook_migrate, public;
INSERT INTO notebook (notebook_id, content) SELECT 99999, public.one_cell(string_agg((i::bigint * i % 7919)::text, E'\n')) FROM generate_series(1, 1000000) AS i;
DO $$ BEGIN
  PERFORM notebook_commit(99999, public.one_cell((SELECT string_agg((hashint4(i) % 7919)::text, E'\n') FROM generate_series(1, 1000000) AS i)));
END $$;
SET statement_timeout = '100ms';
SELECT length(notebook_diff_text(99999, 1, 2));
SQL
like($error, qr/canceling statement due to statement timeout/, 'a long difference can be cancelled');

# Real histories: the same from each revision to the next, and from the first to the last.
SKIP:
{
	my $data = $ENV{NBM_DATA};
	skip 'NBM_DATA does not name a folder with the real notebooks', 1
	  unless defined $data && -d "$data/notebooks_corpus/history";
	foreach my $folder (sort grep { -d } glob("$data/notebooks_corpus/history/*"))
	{
		my $name = basename($folder);
		my $revisions = join(', ', map { "(\$nbm_corpus\$" . slurp_file($_) . "\$nbm_corpus\$)" } sort glob("$folder/*.json"));

		is( sql(<<"SQL"), 't|0|0|0', "$name: every difference");
CREATE TEMP TABLE revision (n int GENERATED ALWAYS AS IDENTITY, content text);
INSERT INTO revision (content) VALUES $revisions;
DO \$\$
DECLARE r record; i bigint; c jsonb;
BEGIN
  FOR r IN SELECT content FROM revision ORDER BY n LOOP
    BEGIN
      c := r.content::jsonb;
    EXCEPTION WHEN invalid_text_representation OR untranslatable_character THEN
      CONTINUE;
    END;
    IF i IS NULL THEN
      INSERT INTO notebook (name, content) VALUES ('$name', c) RETURNING notebook_id INTO i;
    ELSE
      PERFORM notebook_commit(i, c);
    END IF;
  END LOOP;
END \$\$;
CREATE TEMP TABLE step AS SELECT notebook_id AS id, f, t FROM notebook, LATERAL (
  SELECT v - 1 AS f, v AS t FROM generate_series(2, version) AS v UNION ALL SELECT 1, version UNION ALL SELECT version, 1) AS s WHERE name = '$name';
SELECT count(*) > 1,
       -- sources that the lines do not give back
       (SELECT count(*) FROM step, LATERAL (SELECT FROM (
          SELECT cell_key, coalesce(string_agg(text, E'\\n' ORDER BY old_line) FILTER (WHERE mark <> '+'), '') AS o,
                 coalesce(string_agg(text, E'\\n' ORDER BY new_line) FILTER (WHERE mark <> '-'), '') AS n
            FROM notebook_diff_lines(id, f, t) GROUP BY cell_key) AS l FULL JOIN
         (SELECT cell_key, coalesce(old_source, '') AS o, coalesce(new_source, '') AS n FROM notebook_diff(id, f, t)) AS d USING (cell_key)
         WHERE d.o <> d.n AND (l.o, l.n) IS DISTINCT FROM (d.o, d.n) OR d.o IS NULL) AS wrong),
       -- texts that are empty where something changed, or the other way round
       (SELECT count(*) FROM step WHERE (notebook_diff_text(id, f, t) = '') <> NOT EXISTS (SELECT FROM notebook_diff(id, f, t))),
       -- base64 shown
       (SELECT count(*) FROM step WHERE notebook_diff_text(id, f, t) ~ '[A-Za-z0-9+/]{250}')
  FROM step;
SQL
	}
}

$node->stop;
done_testing();
