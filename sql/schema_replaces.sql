-- Schema migrations: squashes, which stand in the place of several. Each script notes that it ran.
CREATE DATABASE regress_schema_replaces;
\c regress_schema_replaces
CREATE EXTENSION notebook_migrate;
SET search_path = notebook_migrate;
CREATE TABLE public.ran (n int GENERATED ALWAYS AS IDENTITY, what text);
CREATE FUNCTION public.note(name text, depends_on text[] = '{}', replaces text[] = '{}') RETURNS boolean LANGUAGE sql AS $$
  SELECT notebook_migrate.schema_register(name, format('INSERT INTO public.ran (what) VALUES (%L)', name),
           format('INSERT INTO public.ran (what) VALUES (%L)', '-' || name), depends_on, replaces) $$;
CREATE FUNCTION public.ran() RETURNS text LANGUAGE sql AS $$ SELECT string_agg(what, ' ' ORDER BY n) FROM public.ran $$;

-- A fresh database: the squash runs in the place of what it replaces.
SELECT public.note('a'), public.note('b', '{a}'), public.note('c', '{b}'), public.note('d', '{c}'), public.note('s', '{a}', '{b,c}');
SELECT * FROM schema_plan();
CALL schema_up();
SELECT public.ran();
SELECT name, state, note FROM schema_status();
SELECT * FROM schema_plan();

-- It is undone as one; what depends on its parts depends on it.
SELECT * FROM schema_plan('a', 'down');
CALL schema_down('b');
CALL schema_down('s');
SELECT public.ran();
SELECT name, state, note FROM schema_status();

-- Partly applied: what is left of its parts runs. All applied: satisfied.
CALL schema_up('a');
DELETE FROM schema_migration WHERE name = 's';
CALL schema_up('b');
SELECT public.note('s', '{a}', '{b,c}');
SELECT * FROM schema_plan();
CALL schema_up();
SELECT public.ran();
SELECT name, state, note FROM schema_status();

-- The parts can go once their squash is applied; what depends on them still finds it.
CALL schema_down('a');
CALL schema_up('s');
DELETE FROM schema_migration WHERE name IN ('b', 'c');
SELECT public.note('e', '{b}'), public.note('f', '{s}');
SELECT * FROM schema_plan();
CALL schema_up();
SELECT name, state FROM schema_status();
CALL schema_down(steps => 0);
SELECT * FROM schema_plan('s', 'down');

-- A squash of squashes; the widest goes first.
SELECT public.note('v1'), public.note('v2'), public.note('v3'), public.note('w', '{}', '{v1,v2}'), public.note('x', '{}', '{w,v1,v2,v3}');
SELECT name, action, reason FROM schema_plan();
DELETE FROM schema_migration WHERE name = 'x';
CALL schema_up('v2');
SELECT public.note('x', '{}', '{w,v1,v2,v3}');
SELECT name, action, reason FROM schema_plan();
CALL schema_up();
SELECT name, state FROM schema_status() WHERE name ~ '[v-x]';

-- What a squash has swallowed and nobody defines cannot be applied in part.
SELECT public.note('y1');
CALL schema_up('y1');
SELECT public.note('z', '{}', '{y1,y2}');
SELECT name, action, reason FROM schema_plan();
\c contrib_regression
DROP DATABASE regress_schema_replaces;
