# The past is taken in while people save: no save fails, and in the end nothing is missing.
use strict;
use warnings;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = PostgreSQL::Test::Cluster->new('while');
$node->init(extra => [ '--no-locale', '--encoding=UTF8' ]);
$node->start;
my $path = 'SET search_path = texera_db, notebook_migrate, public;';
my $schema = slurp_file('test/texera_schema.sql');
my ($workflows, $saves) = (200, 20);

# Each workflow has two operators, whose code says which save it is; patches lead back.
$node->safe_psql('postgres', <<"SQL");
CREATE EXTENSION notebook_migrate;
$schema
$path
CREATE FUNCTION public.content(save bigint) RETURNS jsonb LANGUAGE sql IMMUTABLE AS \$\$
  SELECT jsonb_build_object('links', '[]'::jsonb, 'operators', jsonb_build_array(
    jsonb_build_object('operatorID', 'A', 'operatorType', 'F', 'operatorProperties', jsonb_build_object('code', 'save ' || save)),
    jsonb_build_object('operatorID', 'B', 'operatorType', 'G', 'operatorProperties', '{}'::jsonb))) \$\$;
CREATE SEQUENCE public.save START 1000;
INSERT INTO workflow (wid, name, content) SELECT i, 'w', public.content($saves) FROM generate_series(1, $workflows) AS i;
INSERT INTO workflow_version (wid, content) SELECT i, json_patch_diff(public.content(n), CASE WHEN n = 1 THEN '{}' ELSE public.content(n - 1) END)::text
  FROM generate_series(1, $saves) AS n, generate_series(1, $workflows) AS i;
CREATE FUNCTION public.row_of(saved int, new jsonb) RETURNS void LANGUAGE sql AS \$\$
  INSERT INTO texera_db.workflow_version (wid, content) SELECT saved, notebook_migrate.json_patch_diff(new, content::jsonb)::text FROM texera_db.workflow WHERE wid = saved \$\$;
ANALYZE;
SELECT texera_attach();
SQL

my $timer = IPC::Run::timeout(300);
my ($out, $err) = ('', '');
my $backfill = IPC::Run::start([ 'psql', '-XAtq', '-d', $node->connstr('postgres'), '-c', 'CALL notebook_migrate.texera_backfill()' ],
	'>', \$out, '2>', \$err, $timer);
# one saver for each quarter: two who save one workflow leave a chain that leads nowhere
$node->pgbench('-n -c 4 -j 2 -t 200', 0, [qr/actually processed: 800\/800/], [qr/^$/], 'people save meanwhile', {
		while_saving => <<"SQL" });
\\set wid 1 + :client_id + 4 * random(0, $workflows / 4 - 1)
SELECT nextval('save') AS save \\gset
SELECT row_of(:wid, content(:save));
UPDATE texera_db.workflow SET content = content(:save)::text WHERE wid = :wid;
SQL
$backfill->finish;
unlike($err, qr/ERROR/, 'the past is taken in');

sub is_sql
{
	my ($query, $expected, $name) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	is($node->safe_psql('postgres', "$path\n$query"), $expected, $name);
}
diag($node->safe_psql('postgres', "$path SELECT count(*) || ' saves met a lock' FROM texera_problem"));
is_sql(q{SELECT DISTINCT sqlstate FROM texera_problem WHERE sqlstate <> '55P03'}, '', 'nothing went wrong but locks');
$node->safe_psql('postgres', 'CALL notebook_migrate.texera_backfill()') for 1 .. 2;
is_sql('SELECT count(*) FROM texera_gap WHERE upto_vid IS NULL', 0, 'no workflow is behind');
is_sql('SELECT wid FROM workflow WHERE workflow_at(wid) IS DISTINCT FROM content::jsonb', '', 'the heads are what Texera has');
is_sql("SELECT count(*) FROM notebook_migrate.workflow_version WHERE version <= $saves AND workflow_at(workflow_id, version) <> content(version)", 0, 'the past is as it was');
is_sql("SELECT v.wid, v.vid FROM texera_db.workflow_version AS v WHERE NOT EXISTS (SELECT FROM texera_version AS l WHERE l.workflow_id = v.wid AND l.vid = v.vid)"
	. ' AND NOT EXISTS (SELECT FROM texera_gap AS g WHERE g.workflow_id = v.wid AND g.from_vid <= v.vid AND v.vid < g.upto_vid)', '', 'every save has its version, or is known to be missing');
is_sql('SELECT count(*) FROM texera_gap', 0, 'and none is missing');
is_sql('SELECT workflow_id FROM (SELECT workflow_id, vid < lag(vid) OVER (PARTITION BY workflow_id ORDER BY version) AS back FROM texera_version) AS l WHERE back', '', 'labels in order');
is_sql('SELECT * FROM store_verify(NULL, NULL)', '', 'sound');
$node->stop;
done_testing();
