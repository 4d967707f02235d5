# StoreTest: a server with the extension, and the ways in which tests of the
# store talk to it.  Queries find our objects without their schema.
package StoreTest;

use strict;
use warnings;
use Exporter qw(import);
use JSON::PP;
use List::Util qw(min);
use PostgreSQL::Test::Cluster;
use Test::More;

our @EXPORT = qw($json $reader start_server sql is_sql fails answers quoted copy none);

# Writes a value always the same way; reads what the server prints.
our $json   = JSON::PP->new->canonical->allow_nonref->ascii;
our $reader = JSON::PP->new->allow_nonref->utf8;

my $node;
my $path = 'SET search_path = notebook_migrate, public;';

# Starts a server of its own, named after the test, and returns it.
sub start_server
{
	$node = PostgreSQL::Test::Cluster->new($_[0]);
	$node->init(extra => [ '--no-locale', '--encoding=UTF8' ]);
	$node->start;
	$ENV{PGCLIENTENCODING} = 'UTF8';
	$node->safe_psql('postgres', 'CREATE EXTENSION notebook_migrate');
	return $node;
}

# Runs a query and returns what it prints.  One that fails is a failed test.
sub sql
{
	my ($out, $err) = ('', '');
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	$node->psql('postgres', "$path\n$_[0]", stdout => \$out, stderr => \$err, on_error_stop => 1) == 0
	  or fail('no error, line ' . join(', ', map { (caller($_))[2] // () } 0 .. 1)) || diag(substr($err, 0, 2000));
	return $out;
}

# Tests what a query prints.
sub is_sql
{
	my ($query, $expected, $name) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	return is(sql($query), $expected, $name);
}

# Tests that a query fails with an SQLSTATE and a message.
sub fails
{
	my ($query, $state, $pattern, $name) = @_;
	my ($out, $err) = ('', '');
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	$node->psql('postgres', "\\set VERBOSITY verbose\n$path\n$query", stdout => \$out, stderr => \$err);
	return like($err, qr/ERROR:  $state: $pattern/s, $name);
}

# The lines that a query prints, as JSON.
sub answers { return map { $reader->decode($_) } split /\n/, sql($_[0]); }

# A value as a literal of SQL.
sub quoted { return '$nbm$' . $json->encode($_[0]) . '$nbm$::jsonb'; }

sub copy { return $json->decode($json->encode($_[0])); }

# Tests that a list is empty, and shows its beginning where it is not.
sub none
{
	my ($name, @found) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	return ok(!@found, $name) || diag(join("\n", @found[ 0 .. min($#found, 7) ], @found > 8 ? '... ' . @found . ' in all' : ()));
}

1;
