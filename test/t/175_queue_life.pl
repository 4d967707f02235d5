# The queue's life: eight sessions submit, claim, complete, fail and cancel at
# random, let leases run out, and delete jobs by hand.  Afterwards every line
# that has unfinished jobs has one turn, which is not behind its first job; and
# once all is due the queue can be emptied, and nothing is left of it.  A
# trigger has the rows be written by statements, in the second life.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/../lib";
use PostgreSQL::Test::Utils;
use StoreTest;
use Test::More;

my $node = start_server('queue');

sql(<<'SQL');
INSERT INTO notebook (notebook_id, name, content)
SELECT i, 'n', jsonb_build_object('cells', '[]'::jsonb, 'i', i) FROM generate_series(1, 20) AS i;
-- What becomes of a job that was claimed.
CREATE FUNCTION public.go_on(job bigint, lease uuid, dice int) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
  CASE dice % 10
    WHEN 0 THEN DELETE FROM notebook_migrate.migration_job WHERE job_id = job;
    WHEN 1 THEN PERFORM notebook_migrate.job_cancel(job);
    WHEN 2 THEN PERFORM notebook_migrate.job_fail(job, lease, 'no', dice > 50);
    WHEN 3 THEN PERFORM notebook_migrate.job_cancel(job_id) FROM notebook_migrate.migration_job WHERE finished_at IS NULL AND job_id % 100 = dice;
    WHEN 4 THEN PERFORM notebook_migrate.job_heartbeat(job, lease, '1 ms');
    ELSE PERFORM notebook_migrate.job_complete(job, lease, NULL, NULL);
  END CASE;
  RETURN 'done';
EXCEPTION WHEN object_not_in_prerequisite_state OR deadlock_detected OR SQLSTATE '02000' THEN
  RETURN SQLSTATE; -- somebody else has it by now, or it is gone
END $$;
SQL

foreach my $way ('without statements', 'by statements')
{
	sql(q{CREATE FUNCTION public.pass() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END';
		CREATE TRIGGER pass BEFORE UPDATE ON migration_job FOR EACH ROW EXECUTE FUNCTION public.pass()})
	  if $way eq 'by statements';
	$node->pgbench(
		'-n -c 8 -j 2 -t 300', 0, [qr/actually processed: 2400\/2400/], [qr/^$/], "$way: eight sessions",
		{
			"life $way" => q{
				\set notebook random(1, 20)
				\set dice random(0, 99)
				SELECT notebook_migrate.job_submit(:notebook, kind => 'k' || (:dice % 2), priority => :dice % 4, payload => jsonb_build_object('dice', :dice));
				SELECT public.go_on(job_id, token, :dice) FROM notebook_migrate.job_claim('w', CASE WHEN :dice < 20 THEN '1 ms'::interval ELSE '5 min' END, CASE WHEN :dice < 50 THEN '{k0,k1}'::text[] END);
			}
		});
	is_sql('SELECT count(*) > 0 FROM migration_job WHERE finished_at IS NULL', 't', "$way: there is something left to do");
	is_sql(q{
		SELECT string_agg(format('%s %s: first %s, turn %s, line %s', notebook_id, kind, f.job_id, t.job_id, l.kind), '; ')
		  FROM (SELECT notebook_id, kind, min(job_id) AS job_id FROM migration_job WHERE finished_at IS NULL GROUP BY 1, 2) AS f
		  LEFT JOIN migration_turn AS t USING (notebook_id, kind) LEFT JOIN migration_line AS l USING (notebook_id, kind)
		 WHERE t.job_id IS NULL OR t.job_id > f.job_id OR l.kind IS NULL}, '', "$way: each line has its turn");
	is_sql('SELECT count(*) FROM (SELECT FROM migration_turn GROUP BY notebook_id, kind HAVING count(*) > 1) AS t', 0, "$way: and one only");
	sql(q{
		UPDATE migration_turn SET at = now() - interval '1 s' WHERE NOT is_ready;
		UPDATE migration_job SET lease_until = now() - interval '1 s', max_attempts = 99 WHERE lease_until IS NOT NULL;
		UPDATE migration_job SET run_after = now() - interval '1 s' WHERE run_after > now();
		DO $$
		DECLARE n int;
		BEGIN
		  LOOP
		    SELECT count(*) INTO n FROM notebook_migrate.job_claim('w', n => 7) AS c, notebook_migrate.job_complete(c.job_id, c.token, NULL, NULL);
		    EXIT WHEN n = 0;
		    COMMIT;
		  END LOOP;
		END $$});
	is_sql('SELECT (SELECT count(*) FROM migration_job WHERE finished_at IS NULL), (SELECT count(*) FROM migration_line), (SELECT count(*) FROM migration_turn)',
		'0|0|0', "$way: all of it is done");
}
ok(!$node->log_contains(qr/PANIC|TRAP|terminated by signal|XX000/), 'the server never crashed');

$node->stop;
done_testing();
