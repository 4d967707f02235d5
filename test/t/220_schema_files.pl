# Folders of scripts, loaded from psql by migrations_load.psql: byte for byte,
# whatever the names, all or nothing.
use strict;
use warnings;
use File::Basename qw(basename);
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = PostgreSQL::Test::Cluster->new('files');
$node->init(extra => [ '--no-locale', '--encoding=UTF8' ]);
$node->append_conf('postgresql.conf', "shared_buffers = 16MB\n");
$node->start;
chomp(my $share = `pg_config --sharedir`);
my $script = "$share/extension/migrations_load.psql";
my $work = PostgreSQL::Test::Utils::tempdir;
my $database = 0;

# A database of its own for what follows.
sub fresh
{
	$database++;
	$node->safe_psql('postgres', "CREATE DATABASE d$database");
	$node->safe_psql("d$database", 'CREATE EXTENSION notebook_migrate');
}

# Makes a folder of files.
sub folder
{
	my ($name, %files) = @_;
	my $path = "$work/$name";

	mkdir $path or die "$path: $!\n" if !-d $path;
	foreach my $file (keys %files)
	{
		open my $out, '>:raw', "$path/$file" or die "$path/$file: $!\n";
		print $out $files{$file};
		close $out or die "$path/$file: $!\n";
	}
	return $path;
}

# Loads a path: the exit code, what is printed as one line, and the messages.
sub load
{
	my ($path, @more) = @_;
	my ($out, $err) = ('', '');

	IPC::Run::run([ 'psql', '-XAtq', '-F', ' ', '-d', $node->connstr("d$database"), '-v', "dir=$path", @more, '-f', $script ],
		'<', \undef, '>', \$out, '2>', \$err);
	my $code = $? >> 8;
	chomp $out;
	$out =~ s/\n/, /g;
	$err =~ s/^psql:\S+: //gm;
	$err =~ s/^CONTEXT:  PL.*\n//gm;
	chomp $err;
	return [ $code, $out, $err ];
}

sub loads
{
	my ($path, $out, $err, $name, @more) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	is_deeply(load($path, @more), [ 0, $out, $err ], $name);
}

sub refuses
{
	my ($path, $err, $name, @more) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	my $before = migrations();
	my ($code, undef, $got) = load($path, @more)->@*;
	is($code, 3, "$name: refused");
	like($got, $err, "$name: says why");
	is(migrations(), $before, "$name: nothing is registered");
}

sub query
{
	my ($sql) = @_;
	return $node->safe_psql("d$database", "SET search_path = public, notebook_migrate; $sql");
}

sub migrations
{
	return query(q{SELECT string_agg(format('%s<%s', name, array_to_string(depends_on, '+')), ' ' ORDER BY name) FROM schema_migration});
}

# Is a migration's script what the file has?
sub same_bytes
{
	my ($name, $column, $bytes) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	is(query("SELECT encode(convert_to($column, 'UTF8'), 'hex') FROM schema_migration WHERE name = '$name'"),
		unpack('H*', $bytes), "$name: $column, byte for byte");
}

# Open Notebook's layout: numbers, in their order.
fresh();
my %files = map { ("$_.sql" => "CREATE TABLE t$_ ();\n", "${_}_down.sql" => "DROP TABLE t$_;") } 1 .. 12;
$files{'2.sql'} = "CREATE TABLE t2 ();\r\n-- \ttabs\r\nSELECT \$\$\n-- depends: 7\n\\d \\q :x :'y' `z`\n-- down\n\$\$, '\\', E'\\\\';\r\n\n\n";
$files{'3.sql'} = "SELECT 'é \xE2\x98\x83';CREATE TABLE t3 ()";
$files{'4_down.sql'} = '';
$files{'README.md'} = 'no script';
$files{'.hidden.sql'} = 'no script';
my $numbers = folder('numbers', %files);
mkdir "$numbers/folder.sql";
my $all = join ', ', map { "$_ new" } 1 .. 12;
loads($numbers, $all, '', 'a folder of numbers');
is(migrations(), join(' ', map { "$_<" . ($_ > 1 ? $_ - 1 : '') } sort 1 .. 12), 'each depends on the number before it');
same_bytes($_, 'up', $files{"$_.sql"}) for 1 .. 3;
same_bytes($_, 'down', $files{"${_}_down.sql"}) for 3, 4;
query('CALL schema_up()');
is(query(q{SELECT string_agg(name, ' ' ORDER BY entry) FROM schema_history}), join(' ', 1 .. 12), 'they are applied in this order');
is(query(q{SELECT count(*) FROM pg_tables WHERE schemaname = 'public'}), 12, 'all of them');
query('CALL schema_down(steps => 12)');
is(query(q{SELECT string_agg(tablename, ' ') FROM pg_tables WHERE schemaname = 'public'}), 't4', 'and undone, but for the one whose down does nothing');
loads("$numbers/", $all =~ s/new/known/gr, '', 'again: all is known');

# What is not applied is replaced; what is, stops the whole.
query('CALL schema_up(max_count => 3)');
folder('numbers', '5.sql' => 'CREATE TABLE five ()', '13.sql' => 'SELECT 1', '13_down.sql' => '');
loads($numbers, join(', ', map { "$_ known" } 1 .. 4) . ', 5 replaced, ' . join(', ', map { "$_ known" } 6 .. 12) . ', 13 new', '', 'replaced and new ones');
folder('numbers', '3.sql' => 'SELECT 3', '14.sql' => 'SELECT 1', '14_down.sql' => '');
refuses($numbers, qr/ERROR:  schema migration "3" was applied.*\n(.*\n)*.*of the bundle, "3"/, 'an applied one that was changed');
folder('numbers', '3.sql' => $files{'3.sql'}, '14.sql' => 'SELEC 1');
refuses($numbers, qr/ERROR:  syntax error at or near "SELEC".*\n(.*\n)*.*of the bundle, "14"/, 'one that is no SQL');

# Names of all kinds are names, and run nothing.
fresh();
my $odd = folder(q{it's a "dir"; $(touch pwned) `touch pwned` \ %s *}, q{a 'b' "c"; $(touch pwned) `touch pwned` \\n %s.sql} => 'SELECT 1',
	q{a 'b' "c"; $(touch pwned) `touch pwned` \\n %s_down.sql} => 'SELECT 2', q{'; DROP TABLE x; --.sql} => 'SELECT 3', "-rf.sql" => 'SELECT 4', "n\nl.sql" => 'SELECT 5', '*.sql' => 'SELECT 6', 'é ☃.sql' => 'SELECT 7');
my $odd_load = load($odd);
is($odd_load->[0], 0, 'odd names: loaded');
is(query('SELECT string_agg(quote_literal(name), chr(10) ORDER BY name) FROM schema_migration'), join("\n", q{'''; DROP TABLE x; --'}, q{'*'}, q{'-rf'},
		q{E'a ''b'' "c"; $(touch pwned) `touch pwned` \\\\n %s'}, "'n\nl'", q{'é ☃'}), 'odd names: all of them');
is(query(q{SELECT down FROM schema_migration WHERE name LIKE 'a %'}), 'SELECT 2', 'odd names: the down script');
ok(!-e 'pwned' && !-e "$odd/pwned" && !-e "$work/pwned", 'odd names: nothing was run');
chdir $work;
loads(basename($odd), $odd_load->[1] =~ s/new\b/known/gr, $odd_load->[2], 'a relative path');
folder('-e', '1.sql' => 'SELECT 1', '1_down.sql' => '');
fresh();
loads('-e', '1 new', '', 'a path like an option');
loads("-e/1.sql", '1 known', '', 'a single file, with its down script');
chdir '/';

# What is missing is told.
fresh();
loads(folder('gaps', map { ("$_.sql" => 'SELECT 1') } 3, 4, 7, 10, 11, 'name'), '3 new, 4 new, 7 new, 10 new, 11 new, name new',
	"WARNING:  numbers are missing: 1 to 2, 5 to 6, 8 to 9\nWARNING:  no down script: 3, 4, 7, 10, 11, name", 'gaps and missing downs');
is(migrations(), '10<7 11<10 3< 4<3 7<4 name<', 'gaps: each depends on the number before it that there is');
loads(folder('orphan', '1.sql' => 'SELECT 1', '1_down.sql' => '', '2_down.sql' => '', 'a_down.sql' => ''), '1 new',
	'WARNING:  left out, as there is nothing that they undo: 2_down.sql, a_down.sql', 'downs without their ups');
refuses(folder('empty'), qr/^ERROR:  there is no file NAME.sql in \Q$work\E\/empty$/, 'an empty folder');
refuses("$work/nowhere", qr/ERROR:  could not read \Q$work\E\/nowhere$/, 'no folder');
refuses('', qr/ERROR:  could not read $/, 'an empty name');
refuses("$work/orphan", qr/ERROR:  there is no table nowhere$/, 'no table of versions', '-v', 'baseline=nowhere');
my ($code, undef, $err) = load('x', '-v', 'dir')->@*;
is($code, 3, 'no folder given: refused');
like($err, qr/no folder is given\nHINT:  Call psql with -v dir=PATH/, 'no folder given: says how');
refuses(folder('zero', '1.sql' => "SELECT 1\0evil/SELECT 2"), qr/ERROR:  a file has a zero byte$/, 'a zero byte');
refuses(folder('zero end', '1.sql' => "SELECT 1\0"), qr/ERROR: /, 'a zero byte at the end');
refuses(folder('twice', '1.sql' => 'SELECT 1', '01.sql' => 'SELECT 2'), qr/ERROR:  two files have the number 1$/, 'a number twice');
refuses(folder('latin', '1.sql' => "SELECT '\xE9'"), qr/ERROR:  invalid byte sequence/, 'another encoding');
{
	local $ENV{PGCLIENTENCODING} = 'LATIN1';
	loads("$work/latin", '1 replaced', 'WARNING:  no down script: 1', 'the encoding of the client');
	same_bytes('1', 'up', "SELECT '\xC3\xA9'");
}
symlink 'nowhere', folder('link') . '/1.sql';
refuses("$work/link", qr/ERROR:  could not read 1\.sql$/, 'a link to nowhere');
SKIP:
{
	skip 'skipped: root can read everything', 6 if $> == 0;
	chmod 0, folder('unreadable file', '1.sql' => 'SELECT 1', '2.sql' => 'SELECT 2') . '/1.sql';
	refuses("$work/unreadable file", qr/ERROR:  could not read 1\.sql$/, 'an unreadable file');
	chmod 0111, folder('unreadable', '1.sql' => 'SELECT 1');
	refuses("$work/unreadable", qr/ERROR:  could not read \Q$work\E\/unreadable$/, 'an unreadable folder');
	chmod 0755, "$work/unreadable";
}

# Headers, and several migrations in one file.
fresh();
%files = (
	'base.sql' => 'CREATE TABLE base (); -- depends: nobody', 'base_down.sql' => 'DROP TABLE base',
	'fast.sql' => "-- A comment\r\n\r\n--depends: base , more\r\n-- depends: also\r\n--transactional:off\r\nCREATE INDEX CONCURRENTLY ON base ((1))\r\n",
	'both.sql' => "-- depends:\n-- replaces: a, b\nSELECT 1;\n-- down\nSELECT '--';\n-- down\n",
	'1.sql' => 'SELECT 1', '2.sql' => "-- depends:\nSELECT 2", '3.sql' => 'SELECT 3', '4.sql' => "-- depends: base\nSELECT 4");
loads(folder('headers', %files), '1 new, 2 new, 3 new, 4 new, base new, both new, fast new', 'WARNING:  no down script: 1, 2, 3, 4, fast', 'headers');
is(query(q{SELECT string_agg(concat_ws(' ', name, depends_on, replaces, transactional), E'\n' ORDER BY name) FROM schema_migration}), join("\n",
		'1 {} {} t', '2 {} {} t', '3 {2} {} t', '4 {base} {} t', 'base {} {} t', 'both {} {a,b} t', 'fast {base,more,also} {} f'), 'headers: what they say');
same_bytes('fast', 'up', $files{'fast.sql'});
same_bytes('both', 'up', "-- depends:\n-- replaces: a, b\nSELECT 1;\n");
same_bytes('both', 'down', "-- down\nSELECT '--';\n-- down\n");
same_bytes('base', 'up', $files{'base.sql'});
fresh();
my $many = folder('many', 'all.sql' => "-- All of them.\n\n-- migration: one\r\nCREATE TABLE one ();\r\n-- down:\r\nDROP TABLE one;\r\n-- migration: the other one\n-- depends: one\nCREATE TABLE two ();\n");
loads("$many/all.sql", 'one new, the other one new', 'WARNING:  no down script: the other one', 'one file');
same_bytes('one', 'up', "-- migration: one\r\nCREATE TABLE one ();\r\n");
same_bytes('one', 'down', "-- down:\r\nDROP TABLE one;\r\n");
same_bytes('the other one', 'up', "-- migration: the other one\n-- depends: one\nCREATE TABLE two ();\n");
query('CALL schema_up()');
is(query(q{SELECT string_agg(name, ' ' ORDER BY entry) FROM schema_history}), 'one the other one', 'one file: applied');
refuses(folder('doubled', 'a.sql' => "-- migration: x\nSELECT 1;\n-- migration: x\nSELECT 2;\n"), qr/ERROR:  there is more than one migration "x"$/, 'a name twice');
refuses(folder('cut', 'a.sql' => "-- migration: cut\nSELECT '\n-- down\n';\n"), qr/ERROR:  unterminated quoted string/, 'a header within a string');
refuses(folder('odd header', 'a.sql' => "-- transactional: perhaps\nSELECT 1"), qr/ERROR:  invalid input syntax for type boolean: "perhaps"/, 'a header that cannot be');

# The versions that another runner has applied.
fresh();
query(q{CREATE TABLE public._sbl_migrations (version int PRIMARY KEY, applied_at timestamptz NOT NULL DEFAULT now()); INSERT INTO _sbl_migrations VALUES (1), (2), (3)});
my $baseline = folder('baseline', map { ("$_.sql" => "CREATE TABLE t$_ ()", "${_}_down.sql" => '') } 1 .. 5);
my $hint = 'WARNING:  there is a table _sbl_migrations; -v baseline=_sbl_migrations takes what it has as applied';
loads($baseline, '1 new, 2 new, 3 new, 4 new, 5 new', $hint, 'a table of versions is told');
is(query(q{SELECT count(*) FROM schema_history}), 0, 'but is not taken');
loads($baseline, '1 known, 2 known, 3 known, 4 known, 5 known, 1 1 taken as applied, 2 2 taken as applied, 3 3 taken as applied', '', 'a baseline', '-v', 'baseline=_sbl_migrations');
loads($baseline, '1 known, 2 known, 3 known, 4 known, 5 known, 1 1 known as applied, 2 2 known as applied, 3 3 known as applied', '', 'again', '-v', 'baseline=_sbl_migrations');
is(query(q{SELECT string_agg(name || ' ' || state, ', ' ORDER BY name) FROM schema_status()}), '1 baseline, 2 baseline, 3 baseline, 4 pending, 5 pending', 'its state');
query('CALL schema_up()');
is(query(q{SELECT string_agg(tablename, ' ' ORDER BY tablename) FROM pg_tables WHERE schemaname = 'public' AND tablename LIKE 't%'}), 't4 t5', 'what follows is applied');
query(q{CREATE SCHEMA "the other's"; CREATE TABLE "the other's"."Done ""it""; DROP" (version text); INSERT INTO "the other's"."Done ""it""; DROP" VALUES ('4'), ('77')});
loads($baseline, '1 known, 2 known, 3 known, 4 known, 5 known, 4 4 known as applied, 77  there is no such file', '', 'a table of any name', '-v', q{baseline="the other's"."Done ""it""; DROP"});

# Who may call the functions may load; nothing else is needed, and nobody's functions are called.
fresh();
query(q{CREATE ROLE loader LOGIN; GRANT USAGE ON SCHEMA notebook_migrate TO loader; REVOKE TEMPORARY ON DATABASE d} . $database . q{ FROM PUBLIC;
	GRANT EXECUTE ON FUNCTION schema_register, schema_bundle_export, schema_bundle_import TO loader;
	CREATE FUNCTION public.decode(text, text) RETURNS bytea LANGUAGE plpgsql AS $$ BEGIN RAISE 'a trap'; END $$;
	CREATE FUNCTION public.md5(text) RETURNS text LANGUAGE plpgsql AS $$ BEGIN RAISE 'a trap'; END $$;
	ALTER ROLE loader SET search_path = public, pg_catalog});
loads($baseline, '1 new, 2 new, 3 new, 4 new, 5 new', '', 'a role with no other rights', '-U', 'loader');

# Many.
fresh();
loads(folder('lots', map { ("$_.sql" => "CREATE TABLE t$_ ()", "${_}_down.sql" => '') } 1 .. 300), join(', ', map { "$_ new" } 1 .. 300), '', '300 of them');

$node->stop;
done_testing();
