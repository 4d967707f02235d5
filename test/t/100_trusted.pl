# A database's owner, who is no superuser, installs the extension, uses it and
# grants it; but what a superuser's session would run is out of his reach.
use strict;
use warnings;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = PostgreSQL::Test::Cluster->new('trusted');
$node->init;
$node->start;
$node->safe_psql('postgres', 'CREATE ROLE landlord LOGIN; CREATE ROLE tenant LOGIN; CREATE DATABASE house OWNER landlord');

# What a role's statement ends with.
sub as_role
{
	my ($role, $sql) = @_;
	my ($status, $out, $err) = $node->psql('house', "\\set VERBOSITY sqlstate\n$sql", extra_params => [ '-U', $role ]);
	return $status == 0 ? $out : $err =~ /ERROR:\s+(\w{5})/ ? $1 : $err;
}

my $document = q('{"cells": [{"cell_type": "code", "source": "x = 1"}]}');
is(as_role('landlord', 'CREATE EXTENSION notebook_migrate'), '', 'the owner of the database installs it');
is(as_role('landlord', "INSERT INTO notebook_migrate.notebook (notebook_id, content) VALUES (1, $document) RETURNING version"), '1', 'and writes');
is(as_role('landlord', q(SELECT notebook_migrate.notebook_commit(1, '{"cells": []}'))), '2', 'again');
is(as_role('landlord', 'SELECT count(*) FROM notebook_migrate.store_verify(NULL, NULL)'), '0', 'and verifies');
is(as_role('tenant', 'SELECT notebook_migrate.notebook_at(1)'), '42501', 'nobody else does');
is( as_role('landlord', 'GRANT USAGE ON SCHEMA notebook_migrate TO tenant;
	GRANT SELECT ON ALL TABLES IN SCHEMA notebook_migrate TO tenant;
	GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA notebook_migrate TO tenant'), '', 'until it is granted');
is(as_role('tenant', 'SELECT count(*) FROM notebook_migrate.notebook_cells(1, 1)'), '1', 'then a reader reads');

# Nothing that others would run, and no history is changed.
my $schema = 'notebook_migrate';
is(as_role('landlord', 'CREATE FUNCTION public.mine() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN old; END $$'), '', 'a function of his own');
is(as_role('landlord', "CREATE TRIGGER z BEFORE DELETE ON $schema.$_ FOR EACH ROW EXECUTE FUNCTION public.mine()"), '42501', "no trigger on $_")
  foreach qw(notebook_head notebook_version notebook_part notebook_removed mapping workflow_head);
is(as_role('landlord', "CREATE FUNCTION $schema.notebook_at(text, int) RETURNS int LANGUAGE sql AS 'SELECT 1'"), '42501', 'no overload');
is(as_role('landlord', "ALTER TABLE $schema.notebook_version DISABLE TRIGGER ALL"), '42501', 'no way round the guards');
is(as_role('landlord', "DELETE FROM $schema.notebook_version"), '55000', 'history is append-only for him, too');
is(as_role('landlord', "TRUNCATE $schema.notebook_version"), '42501', 'and is not truncated');
is(as_role('landlord', 'DROP EXTENSION notebook_migrate'), '', 'it is his to drop');
$node->stop;
done_testing();
