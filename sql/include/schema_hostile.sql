CREATE DATABASE regress_nbm_hostile TEMPLATE template0 ENCODING 'UTF8' LC_COLLATE 'C' LC_CTYPE 'C';
SELECT current_database() AS here \gset
\c regress_nbm_hostile
SET client_min_messages = warning;
CREATE EXTENSION notebook_migrate;
SET search_path = public, notebook_migrate;
\pset format unaligned
\pset tuples_only on
\set SHOW_CONTEXT never
\set VERBOSITY terse
-- What the history says of the last attempt.
CREATE FUNCTION public.recorded() RETURNS text LANGUAGE sql AS $$
  SELECT concat_ws(' ', name, direction, state, sqlstate, statement, position, left(message, 150)) FROM schema_history ORDER BY entry DESC LIMIT 1 $$;
-- Each script is registered under the name of the one before until that is applied.
CREATE FUNCTION public.attempt(body text) RETURNS boolean LANGUAGE sql AS $$
  SELECT notebook_migrate.schema_register('h' || count(DISTINCT name), body) FROM notebook_migrate.schema_history WHERE state = 'applied' $$;
