# A real conversion, whole: the notebook becomes a prompt, the model's replies
# become the workflow and the mapping that were made of them. Then the notebook
# is edited, and only what changed is asked for. Then replies of every kind of
# badness: each ends in a commit with warnings or in a clear error.
use strict;
use warnings;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $data = $ENV{NBM_DATA};
plan skip_all => 'NBM_DATA does not name a folder with the prompt example'
  unless defined $data && -e "$data/texera/prompt-example_notebook.ipynb";

my $node = PostgreSQL::Test::Cluster->new('migration');
$node->init(extra => [ '--no-locale', '--encoding=UTF8' ]);
$node->start;
$ENV{PGCLIENTENCODING} = 'UTF8';

sub sql { return $node->safe_psql('postgres', "SET search_path = notebook_migrate, public;\n$_[0]"); }

# Text as a literal of SQL.
sub quoted
{
	my $text = shift;
	my $tag = 'q' . 'x' x 20;
	return "\$$tag\$$text\$$tag\$";
}

my %file = map {
	my ($name) = m{prompt-example_(\w+)\.};
	$name => slurp_file($_)
} glob("$data/texera/prompt-example_*");
my ($workflow, $mapping) = @file{ 'llm_reply_1_workflow', 'llm_reply_2_mapping' };

sql('CREATE EXTENSION notebook_migrate');
sql(<<"SQL");
CREATE TABLE public.example (name text PRIMARY KEY, content text);
INSERT INTO public.example VALUES ('notebook', @{[ quoted($file{notebook}) ]}), ('workflow', @{[ quoted($file{workflow_content}) ]}),
  ('mapping', @{[ quoted($file{stored_mapping}) ]}), ('reply 1', @{[ quoted($workflow) ]}), ('reply 2', @{[ quoted($mapping) ]});
INSERT INTO notebook (notebook_id, name, content) SELECT 1, 'diabetes', content::jsonb FROM public.example WHERE name = 'notebook';
SQL
sql(<<'SQL');
CREATE FUNCTION public.example(text) RETURNS text LANGUAGE sql STABLE AS $$ SELECT content FROM public.example WHERE name = $1 $$;
-- A document with its operators' ids replaced by what they display, and no ids of links.
CREATE FUNCTION public.named(document jsonb, workflow jsonb) RETURNS jsonb LANGUAGE plpgsql IMMUTABLE AS $$
DECLARE t text := document::text; o jsonb;
BEGIN
  FOR o IN SELECT jsonb_array_elements(workflow -> 'operators') LOOP
    t := replace(t, '"' || (o ->> 'operatorID') || '"', to_jsonb(o ->> 'customDisplayName')::text);
  END LOOP;
  RETURN regexp_replace(t, '"linkID": "link-[0-9a-f-]{36}"', '"linkID": ""', 'g');
END $$;
-- The example's workflow, with the columns of operators that no link leaves as strings.
CREATE FUNCTION public.terminal_strings(workflow jsonb) RETURNS jsonb LANGUAGE sql IMMUTABLE AS $$
  SELECT jsonb_set(workflow, '{operators}', (SELECT jsonb_agg(CASE
      WHEN EXISTS (SELECT FROM jsonb_array_elements(workflow -> 'links') AS l WHERE l #>> '{source,operatorID}' = o ->> 'operatorID') THEN o
      ELSE jsonb_set(o, '{operatorProperties,outputColumns}', replace((o #> '{operatorProperties,outputColumns}')::text, '"binary"', '"string"')::jsonb)
    END ORDER BY n) FROM jsonb_array_elements(workflow -> 'operators') WITH ORDINALITY AS e (o, n)))
$$;
SQL

# The prompt.
is( sql("SELECT migration_prompt(1) ->> 'text'"),
	sql(q{SELECT string_agg(format(E'# START %1$s\n%2$s\n# END %1$s', cell_id, source), E'\n\n' ORDER BY position)
	        FROM notebook_cells(1) WHERE cell_type = 'code'}),
	'the prompt has each code cell between its marks');
is( sql(q{SELECT count(*) FROM notebook_cells(1) AS c
	JOIN jsonb_array_elements(migration_prompt(1) -> 'cells') WITH ORDINALITY AS p (cell, n) ON n = position + 1
	WHERE cell ->> 'id' = cell_id AND (cell ->> 'key')::int = cell_key AND cell ->> 'type' = cell_type AND cell ->> 'source' = source}),
	10, 'and all cells in order');

# The replies, as they are.
is( sql("SELECT workflow_id, workflow_version, mapping_id, warnings FROM migration_accept(1, NULL, example('reply 1'), example('reply 2'), name => 'diabetes', strict => true)"),
	'1|1|1|{}', 'the replies are sound');
is( sql(q{SELECT named(workflow_at(1), workflow_at(1)) = named(terminal_strings(w), w) FROM (SELECT example('workflow')::jsonb) AS e (w)}),
	't', "the workflow is the example's");
is( sql(q{SELECT named(mapping_at(1, 1, 1, 1), workflow_at(1)) = named(example('mapping')::jsonb, example('workflow')::jsonb)}),
	't', "the mapping is the example's");
is( sql(q{SELECT origin, notebook_version, workflow_version FROM mapping}), 'llm|1|1', 'stated for that pair');
is( sql(q{SELECT count(*) FROM workflow_links(1) WHERE source_key IS NULL OR target_key IS NULL OR link_id !~ '^link-[0-9a-f]{8}-[0-9a-f]{4}-4'}), 0, 'links join operators');

# The same in prose and fences.
is( sql(q{SELECT workflow_version, warnings FROM migration_accept(1, 1,
	E'Sure! Here is the {workflow}:\n\n```json\n' || example('reply 1') || E'\n```\nLet me know.', 'Mapping: ' || example('reply 2'), 1)}),
	'1|{}', 'the same replies again make no version');

# The notebook is edited twice: one cell changes, then one is new.
my $changed = 'e956263e-aa31-58e5-899d-1aae93c7a9ce';
my $added = '0f0f0f0f-0000-4000-8000-000000000001';
sql(<<"SQL");
SELECT notebook_edit(1, jsonb_build_array(jsonb_build_object('op', 'replace', 'cell', '$changed', 'value',
  (SELECT jsonb_set(c, '{source}', '"# Train Random Forest model\\nrf_model = RandomForestClassifier(n_estimators=500)\\nrf_model.fit(X_train, y_train)\\n"')
     FROM jsonb_array_elements(notebook_at(1) -> 'cells') AS c WHERE c #>> '{metadata,uuid}' = '$changed'))));
SELECT notebook_edit(1, '[{"op": "insert", "value": {"cell_type": "code", "metadata": {"uuid": "$added"}, "outputs": [],
  "execution_count": null, "source": "knn = KNeighborsClassifier()\\nknn.fit(X_train, y_train)"}}]');
SQL
is( sql(q{SELECT string_agg(c ->> 'id' || ' ' || (c ->> 'change') || ' ' || (c ->> 'operators'), ', ') FROM jsonb_array_elements(migration_prompt(1, NULL, 'changed') -> 'cells') AS c}),
	qq{$changed changed ["UDF4"], $added new []}, 'exactly the changed cells are asked for');
is( sql(q{SELECT p ->> 'workflow_id', p ->> 'workflow_version', o ->> 'name', o ->> 'code' = (SELECT properties ->> 'code' FROM workflow_operators(1) WHERE display_name = 'UDF4'), o -> 'cells'
	FROM migration_prompt(1, NULL, 'changed') AS p, jsonb_array_elements(p -> 'operators') AS o}),
	qq{1|1|UDF4|t|["$changed"]}, 'with the operator that they map to, and its code');
cmp_ok(sql(q{SELECT length(migration_prompt(1, NULL, 'changed')::text)}), '<', sql(q{SELECT length(migration_prompt(1)::text)}) / 2, 'a small call');

# A part of a conversion answers it.
sql('CREATE TABLE public.before AS SELECT workflow_at(1) AS content');
is( sql(<<"SQL"), '1|2|3|{}', 'the part is taken');
SELECT * FROM migration_accept(1, NULL,
  'Only these: {"code": {"UDF4": ' || to_jsonb(replace(example('reply 1')::jsonb #>> '{code,UDF4}', 'random_state=42', 'n_estimators=500'))::text
   || ', "UDF6": ' || to_jsonb(replace(example('reply 1')::jsonb #>> '{code,UDF5}', 'SVC', 'KNeighborsClassifier'))::text
   || '}, "edges": [["UDF3", "UDF4"], ["UDF3", "UDF6"]], "outputs": {"UDF4": ["rf_model", "rf_accuracy", "X_test", "y_test"], "UDF6": ["knn_model"]}}',
  '{"UDF4": ["$changed"], "UDF6": ["$added"]}', 1, strict => true);
SQL
is( sql(q{SELECT string_agg(change || ' ' || operator_key || ' ' || detail::text, ', ' ORDER BY new_position) FROM workflow_diff(1, 1, 2)}),
	'relinked 3 {links}, modified 4 {operatorProperties.code}, inserted 6 {}', 'one operator changed, one is new');
is( sql(q{SELECT count(*) FROM public.before AS b, jsonb_array_elements(b.content -> 'operators') AS o
	WHERE workflow_at(1) -> 'operators' @> jsonb_build_array(o) AND workflow_at(1) -> 'operatorPositions' -> (o ->> 'operatorID') = b.content -> 'operatorPositions' -> (o ->> 'operatorID')}),
	4, 'all others are as they were, to the letter');
is( sql(q{SELECT workflow_at(1) -> 'links' @> (SELECT content -> 'links' FROM public.before), jsonb_array_length(workflow_at(1) -> 'links')}), 't|5', 'their links too');
is( sql(q{SELECT string_agg(operator_key || ':' || left(cell_id, 4) || ' ' || state, ', ' ORDER BY position) FROM mapping_links(1, NULL, 1, NULL)}),
	'1:cc17 exact, 1:522b exact, 2:668a exact, 3:dea0 exact, 3:89e2 exact, 4:e956 exact, 5:2b1a exact, 6:0f0f exact', 'and their cells');
is( sql(q{SELECT migration_prompt(1, NULL, 'changed') -> 'cells'}), '[]', 'nothing is left to ask for');

# Replies that went wrong, in every way: 200 of each kind of call.
srand(5);
my @prose = ('Sure, here it is:', 'I {really} tried, "honestly".', 'Note: {"edges"} may be [empty].', "```python\nprint({'a': 1})\n```", '{', '"', 'null');
my @junk = ('null', '5', '1e999', '"x"', '[]', '{}', '[["UDF1"]]', '"\u0000"', '"\ud800"', 'NaN', "\"\t\"", '[[1, 99999]]', '[9007199254740993]', '[[[[]]]]', '-');
my @pieces = ('UDF\d', '"[^"\n]{1,40}"', '[0-9a-f]{8}-[0-9a-f]{4}', '\[', '\]', '\{', '\}', ',', ':', '\\\\n', '"');

sub one_of { return $_[ int rand @_ ]; }

# Puts something in the place of one of a pattern's matches.
sub replace_one
{
	my ($text, $pattern, $by) = @_;
	my @at;
	push @at, [ $-[0], $+[0] - $-[0] ] while $text =~ /$pattern/g;
	return $text if !@at;
	my $match = one_of(@at);
	substr($text, $match->[0], $match->[1], $by);
	return $text;
}

my @mutations = (
	sub { return substr($_[0], 0, int rand length $_[0]); },
	sub { return substr($_[0], int rand length $_[0]); },
	sub { return one_of(@prose) . "\n```json\n$_[0]\n```\n" . one_of(@prose); },
	sub { return "```json\n" . substr($_[0], 0, int rand length $_[0]) . "\n```\n"; },
	sub { return one_of(@prose) . " $_[0] " . one_of(@prose); },
	sub { return "$_[0]\n$_[0]"; },
	sub { return replace_one($_[0], one_of(@pieces), ''); },
	sub { return replace_one($_[0], one_of(@pieces), one_of(@junk)); },
	sub { return replace_one($_[0], 'UDF\d', 'UDF' . int rand 9); },
	sub { return replace_one($_[0], '"UDF\d"', one_of(@junk)); },
	sub { return replace_one($_[0], '[0-9a-f]{12}"', '000000000000"'); },
	sub { return replace_one($_[0], '\[[^\[\]]*\]', one_of(@junk)); },
	sub { my $t = $_[0]; substr($t, int rand length $t, 1, chr(32 + int rand 95)); return $t; },
	sub { return join '', map { rand() < 0.01 ? '' : $_ } split //, $_[0]; });

my (@calls, %kinds);
foreach my $n (1 .. 200)
{
	my ($w, $m) = ($workflow, $mapping);
	$w = one_of(@mutations)->($w) if $n % 3 != 0;
	$m = one_of(@mutations)->($m) if $n % 3 != 1;
	push @calls, 'SELECT try(' . quoted($w) . ', ' . quoted($m) . ', ' . ($n % 2 ? 'NULL' : 1) . ');';
}
sql(<<'SQL');
CREATE TABLE public.tried (n int GENERATED ALWAYS AS IDENTITY, sqlstate text, message text, workflow_id bigint, warnings text[]);
CREATE FUNCTION public.try(w text, m text, target bigint) RETURNS void LANGUAGE plpgsql AS $$
DECLARE state text; said text;
BEGIN
  INSERT INTO public.tried (sqlstate, workflow_id, warnings)
    SELECT '00000', a.workflow_id, a.warnings FROM notebook_migrate.migration_accept(1, NULL, w, m, target) AS a;
EXCEPTION WHEN OTHERS THEN
  GET STACKED DIAGNOSTICS state = RETURNED_SQLSTATE, said = MESSAGE_TEXT;
  INSERT INTO public.tried (sqlstate, message) VALUES (state, said);
END $$;
SQL
# All in one connection, which must live to the end.
is(sql(join("\n", 'SELECT pg_backend_pid() AS pid \gset', @calls, 'SELECT pg_backend_pid() = :pid;')) =~ /^\s*t$/m ? 't' : 'f', 't', 'the connection lives');
is(sql('SELECT count(*) FROM tried'), 200, '200 replies');
is(sql(q{SELECT n, sqlstate, message FROM tried WHERE sqlstate !~ '^(00|22|54)'}), '', 'each is taken, or refused with an error of class 22 or 54');
is(sql(q{SELECT n, message FROM tried WHERE sqlstate = '22032' AND message !~ 'line \d+, column \d+'}), '', 'syntax errors name line and column');
my $taken = sql(q{SELECT count(*) FROM tried WHERE sqlstate = '00000'});
my $warned = sql(q{SELECT count(*) FROM tried WHERE cardinality(warnings) > 0});
note(sql(q{SELECT sqlstate, count(*) FROM tried GROUP BY 1 ORDER BY 1}));
cmp_ok($taken, '>', 40, "$taken were taken");
cmp_ok($warned, '>', 10, "$warned of them with warnings");
cmp_ok($taken, '<', 160, 'the others refused');
is( sql(q{SELECT w FROM (SELECT DISTINCT workflow_id FROM tried WHERE workflow_id IS NOT NULL OFFSET 0) AS t (w), workflow_links(w) WHERE source_key IS NULL OR target_key IS NULL OR source_key = target_key}),
	'', 'no link in them is loose');
is( sql(q{SELECT count(*) FROM mapping AS m, mapping_links(1, m.notebook_version, m.workflow_id, m.workflow_version) AS l WHERE state <> 'exact'}), 0, 'no mapping names what is not there');
is(sql('SELECT * FROM store_verify(NULL, NULL)'), '', 'the store is sound');

# Ten thousand refused replies, in one backend: what it holds stays the same,
# what cJSON allocates outside of the server's memory contexts too.
my $grown = sql(<<'SQL');
CREATE TEMP TABLE bad (n int, w text, m text, s boolean);
INSERT INTO bad VALUES
  (0, left(example('reply 1'), 3000), example('reply 2'), false),
  (1, example('reply 1'), left(example('reply 2'), 200), false),
  (2, replace(example('reply 1'), 'drop_duplicates', '\u0000'), example('reply 2'), false),
  (3, example('reply 1'), replace(example('reply 2'), '668a', '0000'), true),
  (4, '{"code": ' || repeat('[', 20000), example('reply 2'), false),
  (5, replace(example('reply 1'), '",', '"'), example('reply 2'), false),
  (6, example('reply 1'), example('reply 1'), false),
  (7, example('reply 1') || '{"code": {"UDF1": 01}}', example('reply 2'), false);
CREATE TEMP TABLE held (at int, contexts bigint, pages bigint);
DO $$
DECLARE b record;
BEGIN
  FOR i IN 1 .. 10000 LOOP
    SELECT * INTO b FROM bad WHERE n = i % 8;
    BEGIN
      PERFORM * FROM migration_accept(1, NULL, b.w, b.m, 1, strict => b.s);
      RAISE 'taken: %', b.n;
    EXCEPTION WHEN data_exception OR program_limit_exceeded THEN NULL;
    END;
    IF i IN (2000, 10000) THEN
      INSERT INTO held SELECT i, (SELECT sum(total_bytes) FROM pg_backend_memory_contexts),
        split_part(pg_read_file('/proc/' || pg_backend_pid() || '/statm'), ' ', 6)::bigint;
    END IF;
  END LOOP;
END $$;
SELECT max(contexts) FILTER (WHERE at = 10000) - max(contexts) FILTER (WHERE at = 2000),
       4096 * (max(pages) FILTER (WHERE at = 10000) - max(pages) FILTER (WHERE at = 2000)) FROM held;
SQL
my ($contexts, $process) = split /\|/, $grown;
cmp_ok($contexts, '<', 1_000_000, 'refused replies: memory contexts do not grow');
cmp_ok($process, '<', 2_000_000, 'nor does the process');

# Where the server is not UTF-8, names that are escaped are no other ones.
$node->safe_psql('postgres', "CREATE DATABASE euc ENCODING 'EUC_JP' LOCALE 'C' TEMPLATE template0");
is( $node->safe_psql('euc', q(CREATE EXTENSION notebook_migrate;
	SELECT r -> 'udfs', r -> 'warnings' FROM notebook_migrate.workflow_parse_reply('{"code": {"\u3042x": "a", "B": "b", "あx": "c", "うx": "d"}, "edges": [["\u3042x", "B"]]}') AS r)),
	'["あx", "B", "うx"]|["workflow reply: a member stands twice, \"$.code.あx\"; the last one was taken"]', 'names in EUC_JP');

# Ten thousand cells and operators: what a part of a conversion takes is not
# links times links.
sql(<<'SQL');
CREATE TABLE public.many AS SELECT jsonb_object_agg('U' || i, 'code of ' || md5(i::text))::text AS codes, jsonb_object_agg('U' || i, jsonb_build_array(i))::text AS cells,
  jsonb_agg(jsonb_build_object('cell_type', 'code', 'metadata', '{}'::jsonb, 'outputs', '[]'::jsonb,
    'source', CASE WHEN i = 1 THEN repeat(E'x = 1\n', 1000) ELSE 'x = ' || i END) ORDER BY i) AS content FROM generate_series(1, 10000) AS i;
INSERT INTO notebook (notebook_id, content) SELECT 2, jsonb_build_object('cells', content) FROM public.many;
SQL
my $many = sql(q{SELECT workflow_id FROM many, migration_accept(2, 1, format('{"code": %s}', codes), regexp_replace(cells, '\[(\d+)\]', '["\1"]', 'g'))});
sql(q{CREATE TABLE public.ranges AS SELECT format('{"V": [{"cell": "1", "lines": %s}, "none"]}', jsonb_agg(jsonb_build_array(i, j))) AS reply
	FROM generate_series(1, 1000) AS i, generate_series(i, 1000) AS j WHERE (i + j) % 2 = 0});
# With strict, and a cell that is not there, all is read and nothing written.
my (undef, undef, $refusal) = $node->psql('postgres', qq{SET statement_timeout = '4s';
	SELECT * FROM notebook_migrate.migration_accept(2, 1, '{"code": {"V": "a new one"}}', (SELECT reply FROM ranges), $many, strict => true)});
like($refusal, qr/the replies have 1 part that is not sound/, 'a part with 250,000 ranges of lines, for 10,000 operators');

$node->stop;
done_testing();
