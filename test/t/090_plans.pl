# Plans that a session made when the store was nearly empty still serve when it
# has grown: reading 3,000 cells looks up 3,000 parts, not 3,000 times 3,000.
use strict;
use warnings;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = PostgreSQL::Test::Cluster->new('plans');
$node->init;
$node->append_conf('postgresql.conf', 'autovacuum = off');
$node->start;
$node->safe_psql('postgres', 'CREATE EXTENSION notebook_migrate');

# What each of some statements reads, in one session that starts on an empty store.
my $reads = $node->safe_psql('postgres', <<'SQL');
SET search_path = notebook_migrate, public;
CREATE FUNCTION doc(cells int, salt text) RETURNS jsonb LANGUAGE sql AS $$
  SELECT jsonb_build_object('cells', coalesce(jsonb_agg(jsonb_build_object('cell_type', 'code', 'source', 'x' || i || salt)), '[]'))
    FROM generate_series(1, cells) AS i $$;
CREATE FUNCTION tuples() RETURNS bigint LANGUAGE sql AS $$
  SELECT sum(idx_tup_fetch + seq_tup_read) FROM pg_stat_user_tables WHERE schemaname = 'notebook_migrate' $$;
CREATE TABLE seen (n int, what text, tuples bigint);
INSERT INTO notebook (notebook_id, content) VALUES (1, doc(1, ''));
INSERT INTO workflow (workflow_id, content) VALUES (1, '{"operators": [{"operatorID": "A"}]}');
-- every plan is made here
\o /dev/null
SELECT notebook_commit(1, doc(2, '')), notebook_at(1, 1), notebook_edit(1, '[{"op": "move", "cell": 1, "after": 2}]');
SELECT * FROM notebook_diff(1, 1, 2), cell_history(1, 1);
SELECT mapping_put(1, 1, 1, 1, '{"links": [{"cell": 1, "operator": "A"}]}'), mapping_at(1, 2, 1, 1);
INSERT INTO notebook (notebook_id, content) VALUES (2, doc(3000, ''));
SELECT pg_stat_force_next_flush();
INSERT INTO seen VALUES (1, 'start', tuples());
SELECT notebook_at(2);
SELECT pg_stat_force_next_flush();
INSERT INTO seen VALUES (2, 'read', tuples());
SELECT notebook_commit(2, doc(3000, ' + 1'));
SELECT pg_stat_force_next_flush();
INSERT INTO seen VALUES (3, 'commit', tuples());
SELECT * FROM notebook_diff(2, 1, 2);
SELECT pg_stat_force_next_flush();
INSERT INTO seen VALUES (4, 'diff', tuples());
SELECT notebook_edit(2, '[{"op": "delete", "cell": 7}]');
SELECT pg_stat_force_next_flush();
INSERT INTO seen VALUES (5, 'edit', tuples());
\o
SELECT what, tuples - lag(tuples) OVER (ORDER BY n) FROM seen ORDER BY n;
SQL

my %read = map { split /\|/ } grep { /\|\d/ } split /\n/, $reads;
is(join(' ', sort keys %read), 'commit diff edit read', 'every statement was measured');
cmp_ok($read{$_} // 1e9, '<', 50_000, "$_ reads in proportion to the notebook") foreach qw(read commit diff);
cmp_ok($read{edit} // 1e9, '<', 100, 'edit reads in proportion to the change');
$node->stop;
done_testing();
