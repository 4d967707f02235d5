# Two-phase commit: a prepared transaction with commits in it holds its documents
# until it is decided, over a restart too.
use strict;
use warnings;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = PostgreSQL::Test::Cluster->new('prepared');
$node->init(extra => [ '--no-locale', '--encoding=UTF8' ]);
$node->append_conf('postgresql.conf', "max_prepared_transactions = 10\n");
$node->start;
$node->safe_psql('postgres', <<'SQL');
CREATE EXTENSION notebook_migrate;
INSERT INTO notebook_migrate.notebook (notebook_id, name, content) VALUES
  (1, 'one', '{"cells": [{"cell_type": "code", "source": "a"}]}'), (2, 'two', '{"cells": []}');
INSERT INTO notebook_migrate.workflow (workflow_id, name, content) VALUES (1, 'flow', '{"operators": [{"operatorID": "A"}]}');
SQL

sub prepare
{
	my ($name, $body) = @_;
	$node->safe_psql('postgres', "SET search_path = notebook_migrate, public;\nBEGIN;\n$body\nPREPARE TRANSACTION '$name';");
}
my $state = q{SELECT version, content #>> '{cells,0,source}' FROM notebook_migrate.notebook WHERE notebook_id = 1};

# Prepared in one session, committed in another.
prepare('p1', <<'SQL');
SELECT notebook_commit(1, '{"cells": [{"cell_type": "code", "source": "b"}]}');
SAVEPOINT s;
SELECT notebook_edit(1, '[{"op": "insert", "value": {"cell_type": "code", "source": "not kept"}}]');
ROLLBACK TO s;
UPDATE notebook SET content = '{"cells": [{"cell_type": "code", "source": "c"}]}' WHERE notebook_id = 1;
INSERT INTO notebook (notebook_id, name, content) VALUES (3, 'three', '{"cells": []}');
SELECT workflow_commit(1, '{"operators": []}');
SELECT mapping_put(1, 1, 1, 1, '{"links": [{"cell": 1, "operator": "A"}]}');
SQL
is($node->safe_psql('postgres', $state), '1|a', 'undecided: nobody sees it');
isnt($node->psql('postgres', "SET lock_timeout = '100ms'; SELECT notebook_migrate.notebook_commit(1, '{\"cells\": []}')", on_error_stop => 1),
	0, 'undecided: the notebook is held');
is($node->safe_psql('postgres', q{SELECT notebook_migrate.notebook_commit(2, '{"cells": [], "metadata": {}}')}), 2, 'undecided: others are not');
$node->safe_psql('postgres', "COMMIT PREPARED 'p1'");
is($node->safe_psql('postgres', $state), '3|c', 'committed');
is($node->safe_psql('postgres', 'SELECT state FROM notebook_migrate.mapping_links(1, 1, 1, 2)'), 'operator_removed', 'committed: the mapping too');

# Rolled back.
prepare('p2', <<'SQL');
SELECT notebook_commit(1, '{"cells": []}');
DELETE FROM notebook WHERE notebook_id = 2;
SQL
$node->safe_psql('postgres', "ROLLBACK PREPARED 'p2'");
is($node->safe_psql('postgres', $state), '3|c', 'rolled back');
is($node->safe_psql('postgres', 'SELECT count(*) FROM notebook_migrate.notebook_version WHERE notebook_id = 2'), 2, 'rolled back: nothing deleted');

# Over a crash.
prepare('p3', q{SELECT notebook_restore(1, 1); SELECT notebook_commit(2, '{"cells": [], "metadata": {"x": 1}}');});
$node->stop('immediate');
$node->start;
is($node->safe_psql('postgres', $state), '3|c', 'after a crash: undecided still');
$node->safe_psql('postgres', "COMMIT PREPARED 'p3'");
is($node->safe_psql('postgres', $state), '4|a', 'after a crash: committed');

# The same session goes on working after PREPARE TRANSACTION.
is($node->safe_psql('postgres', <<'SQL'), "5\n5\n6\n6", 'the session goes on');
SET search_path = notebook_migrate, public;
BEGIN;
SELECT notebook_commit(1, '{"cells": [], "metadata": {"n": 1}}');
PREPARE TRANSACTION 'p4';
COMMIT PREPARED 'p4';
SELECT version FROM notebook WHERE notebook_id = 1;
SELECT notebook_commit(1, '{"cells": [], "metadata": {"n": 2}}');
SELECT max(version) FROM notebook_version WHERE notebook_id = 1;
SQL

is($node->safe_psql('postgres', 'SELECT notebook_id FROM notebook_migrate.notebook_version GROUP BY 1 HAVING count(*) <> max(version)'), '', 'no gap');
is($node->safe_psql('postgres', 'SELECT * FROM notebook_migrate.store_verify(NULL, NULL)'), '', 'sound');
$node->stop;
done_testing();
