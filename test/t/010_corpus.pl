# Real notebooks, real histories of them and real workflows: what goes in comes
# back, byte for byte of its text, and what is broken is refused for a reason.
use strict;
use warnings;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use File::Basename;

my $data = $ENV{NBM_DATA};
plan skip_all => 'NBM_DATA does not name a folder with the real notebooks'
  unless defined $data && -d "$data/notebooks_corpus";

# What jsonb itself does not take: text that is no JSON, and \u0000.
my %no_jsonb = map { $_ => '22P02' } qw(
  ipython__00_notebook_tour__d72cb55 ipython__Export_As_nbconvert__36d50f2
  ipython__Index__9ee21e2 ipython__Untitled0__d176f0b ipython__sympy__a84563b
  ipython__taskmap__7270162 nbconvert__notebook2__0a6a402
  nbconvert__notebook2__def1a4a notebook__JavaScript_Notebook_Extensions__59adcf7
  numpy-100__100_Numpy_exercises__67e6a4d
  pyfree-he__1_Strings_and_Output__356b1c1 pyfree-he__2_Arithmetics__62580c3
  statsmodels__linear_regression_diagnostics_plots__81c529d);
$no_jsonb{'ipython__rmagic_extension__86b326d'} = '22P05';

# What is JSON but no notebook.  Every other one comes in without a loss: a
# minor version that is missing or new, members too many or too few (a worksheet
# without cells is one), counts
# that are no numbers, ids that repeat or are badly spelt.
my %no_notebook = (
	'nbformat__test3_no_worksheets__18dc13d' => '22023');

my $node = PostgreSQL::Test::Cluster->new('corpus');
$node->init(extra => [ '--no-locale', '--encoding=UTF8' ]);
$node->start;
$ENV{PGCLIENTENCODING} = 'UTF8';

sub sql { return $node->safe_psql('postgres', $_[0]); }

# Takes a file in as text, under a name.
sub load
{
	my ($name, $path) = @_;
	my $text = slurp_file($path);
	sql("INSERT INTO corpus VALUES ('$name', \$nbm_corpus\$$text\$nbm_corpus\$)");
}

sql(<<'SQL');
CREATE EXTENSION notebook_migrate;
SET search_path = notebook_migrate, public;
CREATE TABLE public.corpus (file text PRIMARY KEY, content text);
CREATE TABLE public.outcome (file text, id bigint, version int, sqlstate text DEFAULT '00000', path text,
  equal boolean, equal_text boolean, cells int);
-- Stores a file as a notebook of its own, or notes why that cannot be.
CREATE PROCEDURE public.take_in(name text) LANGUAGE plpgsql AS $$
DECLARE i bigint; v int; c jsonb; state text; d text;
BEGIN
  SELECT content::jsonb INTO STRICT c FROM public.corpus WHERE file = name;
  INSERT INTO notebook_migrate.notebook (name, content) VALUES (name, c) RETURNING notebook_id, version INTO i, v;
  INSERT INTO public.outcome VALUES (name, i, v, DEFAULT, NULL, notebook_migrate.notebook_at(i) = c,
    notebook_migrate.notebook_at(i)::text = c::text, (SELECT count(*) FROM notebook_migrate.notebook_cells(i)));
EXCEPTION WHEN OTHERS THEN
  GET STACKED DIAGNOSTICS state = RETURNED_SQLSTATE, d = PG_EXCEPTION_DETAIL;
  INSERT INTO public.outcome (file, sqlstate, path) VALUES (name, state, substring(d FROM '\$\S*[^\s.]'));
END $$;
SQL

# The number of cells that the corpus' own list states for each file.
my %cells;
foreach my $line (split /\n/, slurp_file("$data/notebooks_corpus/MANIFEST.tsv"))
{
	my @column = split /\t/, $line;
	$cells{$1} = $column[6] if $column[0] =~ m{^(?:notebooks|invalid)/(.*)\.ipynb$};
}

my @valid = sort glob("$data/notebooks_corpus/notebooks/*.ipynb");
my @broken = sort glob("$data/notebooks_corpus/invalid/*.ipynb");
cmp_ok(scalar @valid, '>=', 70, 'the notebooks are all there');
is(scalar @broken, 31, 'the broken ones too');

foreach my $path (@valid, @broken)
{
	my $name = basename($path, '.ipynb');
	my $expected = $no_jsonb{$name} // $no_notebook{$name} // '00000';

	load($name, $path);
	sql("CALL take_in('$name')");
	if ($expected eq '00000')
	{
		is(sql("SELECT sqlstate, version, equal, equal_text, cells FROM outcome WHERE file = '$name'"),
			join('|', '00000', 1, 't', 't', $cells{$name} // '?'), "$name comes back");
	}
	else
	{
		is(sql("SELECT sqlstate FROM outcome WHERE file = '$name'"), $expected, "$name is refused");
	}
}
is(sql("SELECT file, path FROM outcome WHERE sqlstate = '22023' ORDER BY file COLLATE \"C\""),
	'nbformat__test3_no_worksheets__18dc13d|$.cells', 'where it is broken');
is(sql("SELECT count(*) FROM notebook_migrate.notebook"),
	sql("SELECT count(*) FROM outcome WHERE sqlstate = '00000'"), 'what was refused wrote nothing');

# Saved again they are equal; under all-new ids they are the same cells.
is(sql(q{SELECT count(*) FROM outcome o JOIN corpus c USING (file)
   WHERE sqlstate = '00000' AND notebook_migrate.notebook_commit(id, content::jsonb) <> 1}),
	0, 'an equal document makes no version');
sql(q{UPDATE notebook_migrate.notebook SET content = jsonb_set(content, '{cells}',
   (SELECT jsonb_agg(c || jsonb_build_object('id', 'new-' || n) ORDER BY n)
      FROM jsonb_array_elements(content -> 'cells') WITH ORDINALITY AS e (c, n)))
   WHERE jsonb_array_length(content -> 'cells') > 0});
is(sql(q{SELECT name FROM notebook_migrate.notebook AS n
   WHERE version = 2 AND (SELECT array_agg(cell_key ORDER BY position) FROM notebook_migrate.notebook_cells(n.notebook_id, 1))
         IS DISTINCT FROM (SELECT array_agg(cell_key ORDER BY position) FROM notebook_migrate.notebook_cells(n.notebook_id, 2))
   ORDER BY name COLLATE "C"}), '', 'all-new ids change no key');

# Histories: every revision committed in order, then read in another order.
# A revision that jsonb cannot parse is left out.
foreach my $folder (sort grep { -d } glob("$data/notebooks_corpus/history/*"))
{
	my $name = basename($folder);
	my @revision = sort glob("$folder/*.json");

	sql('TRUNCATE corpus');
	load(basename($_, '.json'), $_) foreach @revision;
	my $id = sql(<<"SQL");
CREATE TEMP TABLE revision (n text, v int, content jsonb);
DO \$\$
DECLARE r record; i bigint; v int; c jsonb;
BEGIN
  FOR r IN SELECT * FROM corpus ORDER BY file COLLATE "C" LOOP
    BEGIN
      c := r.content::jsonb;
    EXCEPTION WHEN invalid_text_representation OR untranslatable_character THEN
      CONTINUE;
    END;
    IF i IS NULL THEN
      INSERT INTO notebook_migrate.notebook (name, content) VALUES ('$name', c) RETURNING notebook_id, version INTO i, v;
    ELSE
      v := notebook_migrate.notebook_commit(i, c, r.file);
    END IF;
    INSERT INTO revision VALUES (r.file, v, c);
  END LOOP;
END \$\$;
CREATE TABLE public."$name" AS SELECT * FROM revision;
SELECT notebook_id FROM notebook_migrate.notebook WHERE name = '$name';
SQL
	is( sql(qq{SELECT n FROM "$name" WHERE notebook_migrate.notebook_at($id, v)::text IS DISTINCT FROM content::text
	           ORDER BY md5(n)}),
		'', "$name: every revision reads back");
	is( sql(qq{SELECT max(v) > 1, max(v) = count(*) FILTER (WHERE changed),
	           max(v) = (SELECT version FROM notebook_migrate.notebook WHERE notebook_id = $id)
	           FROM (SELECT v, content::text IS DISTINCT FROM lag(content::text) OVER (ORDER BY n COLLATE "C") AS changed FROM "$name") AS r}),
		't|t|t', "$name: one version for each change");
	is( sql(qq{SELECT v.version FROM notebook_migrate.notebook_version AS v,
	           LATERAL (SELECT count(*) AS cells, count(DISTINCT cell_key) AS keys, count(DISTINCT cell_id) AS ids,
	                           count(DISTINCT position) AS positions, min(position) AS first, max(position) AS last
	                      FROM notebook_migrate.notebook_cells($id, v.version)) AS c
	           WHERE v.notebook_id = $id AND (c.cells <> v.cells OR c.keys <> c.cells OR c.ids <> c.cells OR c.positions <> c.cells
	                 OR c.first <> 0 OR c.last <> c.cells - 1)}),
		'', "$name: keys, ids and positions are unique in every version");
	is( sql(qq{SELECT v.version, d.* FROM notebook_migrate.notebook_version AS v, LATERAL (
	             SELECT count(*) FILTER (WHERE old_position IS NULL) AS i, count(*) FILTER (WHERE new_position IS NULL) AS d,
	                    count(*) FILTER (WHERE change LIKE '%modified' OR change IN ('split', 'merged')
	                                       AND num_nulls(old_position, new_position) = 0) AS m
	               FROM notebook_migrate.notebook_diff($id, v.version - 1, v.version) WHERE cell_key IS NOT NULL) AS d
	           WHERE v.notebook_id = $id AND v.version > 1 AND (d.i, d.d, d.m) IS DISTINCT FROM (v.inserted, v.deleted, v.modified)}),
		'', "$name: the counts of a version are those of its diff");
}

# Workflows.  The older format, wrapped rows, and the states of six saves.
foreach my $path (sort glob("$data/texera/*.json"))
{
	my $name = basename($path, '.json');
	next unless $name =~ /^(workflow\d|udon_W\d|Q\d_Final|prompt-example_workflow_content)$/;
	my $text = slurp_file($path);
	my $at = $name =~ /^workflow/ ? q{-> 'content'} : '';

	is( sql(<<"SQL"), 't|t|t', "$name comes back");
CREATE TEMP TABLE t AS SELECT (\$nbm_corpus\$$text\$nbm_corpus\$::jsonb $at) AS c;
INSERT INTO notebook_migrate.workflow (name, content) SELECT '$name', c FROM t;
SELECT content = c, content::text = c::text,
       jsonb_array_length(c -> 'operators') = (SELECT count(*) FROM notebook_migrate.workflow_operators(workflow_id))
  FROM notebook_migrate.workflow, t WHERE name = '$name';
SQL
}
my $chain = slurp_file("$data/texera/version-chain_states_after_each_save.json");
my $notebook = slurp_file("$data/texera/prompt-example_notebook.ipynb");
my $mapping = slurp_file("$data/texera/prompt-example_stored_mapping.json");
sql(<<"SQL");
CREATE TABLE chain AS SELECT n::int, c FROM jsonb_array_elements(\$nbm_corpus\$$chain\$nbm_corpus\$) WITH ORDINALITY AS e (c, n);
INSERT INTO notebook_migrate.workflow (workflow_id, name, content) SELECT 900001, 'chain', c FROM chain WHERE n = 1;
INSERT INTO notebook_migrate.notebook (notebook_id, name, content) VALUES (900001, 'chain', \$nbm_corpus\$$notebook\$nbm_corpus\$);
SQL
is(sql(q{SELECT notebook_migrate.workflow_commit(900001, c) FROM chain WHERE n > 1 ORDER BY n}),
	"2\n3\n4\n5\n6", 'six saves are six versions');
is(sql(q{SELECT bool_and(notebook_migrate.workflow_at(900001, n)::text = c::text) FROM chain}), 't', 'each save reads back');
is(sql(q{SELECT v, string_agg(change || ' ' || n, ', ' ORDER BY change COLLATE "C") FROM generate_series(2, 6) AS v,
  LATERAL (SELECT change, count(*) AS n FROM notebook_migrate.workflow_diff(900001, v - 1, v)
            WHERE change IN ('inserted', 'deleted', 'modified', 'renamed') GROUP BY change) AS d GROUP BY v ORDER BY v}),
	"3|modified 1\n4|deleted 1\n5|inserted 1\n6|deleted 1, modified 1",
	'move a box, edit code, delete an operator, add a source, delete one and edit the next');
is(sql(q{SELECT change FROM notebook_migrate.workflow_diff(900001, 1, 2)}), 'layout', 'a moved box is layout only');
is(sql(qq{SELECT notebook_migrate.mapping_put(900001, 1, 900001, 1, \$nbm_corpus\$$mapping\$nbm_corpus\$::jsonb, 'llm') > 0}),
	't', "Texera's stored mapping is taken in");
is(sql(qq{SELECT notebook_migrate.mapping_at(900001, 1, 900001, 1) = \$nbm_corpus\$$mapping\$nbm_corpus\$::jsonb}),
	't', 'and answered as it was stated');
is(sql(q{SELECT wv, count(*) FILTER (WHERE state IN ('exact', 'carried')) AS sound,
         count(*) FILTER (WHERE state = 'operator_changed') AS changed, count(*) FILTER (WHERE state = 'operator_removed') AS removed
   FROM generate_series(1, 6) AS wv, notebook_migrate.mapping_links(900001, 1, 900001, wv) GROUP BY wv HAVING count(*) <> 7}),
	'', 'no link is dropped in silence');

# What is stored is sound, and stock SQL says so.
is(sql(q{SELECT count(*) FROM notebook_migrate.notebook_part
  WHERE digest <> sha256(convert_to(notebook_migrate.part_body(body, bytes)::text, 'UTF8'))
     OR part_id <> ('x' || encode(substr(digest, 1, 8), 'hex'))::bit(64)::bigint}), 0, 'digests of notebook parts');
is(sql(q{SELECT count(*) FROM notebook_migrate.workflow_part
  WHERE digest <> sha256(convert_to(notebook_migrate.part_body(body, bytes)::text, 'UTF8'))}), 0, 'digests of workflow parts');
is(sql('SELECT * FROM notebook_migrate.store_verify(NULL, NULL)'), '', 'store_verify finds nothing');

$node->stop;
done_testing();
