# A schema is described as it is now, whatever snapshot the transaction has, and
# as it is at one moment, however others change it meanwhile.
use strict;
use warnings;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use IPC::Run;

my $node = PostgreSQL::Test::Cluster->new('main');
$node->init;
$node->start;
sub sql { return $node->safe_psql('postgres', join(' ', @_)); }
sub describe { return "SELECT notebook_migrate.schema_describe('$_[0]')"; }

sql('CREATE EXTENSION notebook_migrate; CREATE SCHEMA app');
my @to_a = (
	'CREATE TYPE app.mood AS ENUM (\'glad\')',
	'CREATE TABLE app.t (id int, m app.mood DEFAULT \'glad\', CHECK (m <> \'glad\' OR id > 0))',
	'CREATE INDEX i ON app.t (id) WHERE m IS NOT NULL');
my @to_b = (
	'ALTER TABLE app.t RENAME TO has_a_longer_name',
	'ALTER TABLE app.has_a_longer_name DROP m',
	'DROP TYPE app.mood',
	'CREATE UNIQUE INDEX "I ""2""" ON app.has_a_longer_name (abs(id))');
sql(map { "$_;" } @to_a);
my $a = sql(describe('app'));

# A transaction's snapshot may be older than what the server writes definitions from.
for my $level ('REPEATABLE READ', 'SERIALIZABLE')
{
	my $session = $node->background_psql('postgres', on_error_stop => 0);
	$session->query_safe("BEGIN ISOLATION LEVEL $level; SELECT count(*) FROM pg_class");
	sql((map { "$_;" } @to_b), 'CREATE SCHEMA later; CREATE TABLE later.t (id int)');
	my $b = sql(describe('app'));
	isnt($b, $a, 'it is another schema');
	is($session->query(describe('app')), $b, "$level: it is described as it is");
	is($session->query(describe('later')), sql(describe('later')), "$level: one that came since as well");
	$session->query('COMMIT');
	$session->quit;
	sql('DROP TABLE app.has_a_longer_name; DROP SCHEMA later CASCADE;', map { "$_;" } @to_a);
}

# Beside changes that do not end: each description is one of the two, or there is none, and a code that says to try again.
sql(map { "$_;" } @to_b);
my $b = sql(describe('app'));
my $rounds = PostgreSQL::Test::Utils::tempdir() . '/rounds.sql';
append_to_file($rounds, join("\n", 'BEGIN;', 'DROP TABLE app.has_a_longer_name;', (map { "$_;" } @to_a), "COMMIT;\nBEGIN;", (map { "$_;" } @to_b), "COMMIT;\n") x 400);
my $err = '';
my $changer = IPC::Run::start([ 'psql', '-Xq', '-v', 'ON_ERROR_STOP=1', '-d', $node->connstr('postgres'), '-f', $rounds ], '2>', \$err);
sql(q(CREATE FUNCTION describe_many() RETURNS TABLE (said text, times bigint) LANGUAGE plpgsql AS $$
DECLARE said text[];
BEGIN
  FOR i IN 1 .. 1000 LOOP
    BEGIN
      said := said || notebook_migrate.schema_describe('app')::text;
    EXCEPTION WHEN OTHERS THEN said := said || concat(SQLSTATE, ' ', SQLERRM);
    END;
  END LOOP;
  RETURN QUERY SELECT s, count(*) FROM unnest(said) AS s GROUP BY s ORDER BY 2 DESC;
END $$));
my %said = map { split(/\|/, $_, 2) } split(/\n/, $node->safe_psql('postgres', 'SELECT said, times FROM describe_many()'));
$changer->finish;
is($err, '', 'changes were made');
note("$_: $said{$_}") for sort keys %said;
delete @said{ $a, $b };
is_deeply([ grep { !/^40001 the catalog was changed while it was read$/ } keys %said ], [], 'nothing is half of one and half of the other');

done_testing();
