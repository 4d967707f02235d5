-- The extension's trigger functions do nothing but what their own triggers ask of them.
SET search_path = notebook_migrate, public;

-- Called as functions.
DO $$
DECLARE f regprocedure; n int := 0;
BEGIN
  FOR f IN SELECT oid FROM pg_proc WHERE pronamespace = 'notebook_migrate'::regnamespace AND prorettype = 'trigger'::regtype
            ORDER BY proname COLLATE "C"
  LOOP
    n := n + 1;
    BEGIN
      EXECUTE format('SELECT %s', f::text);
      RAISE NOTICE '% was called', f;
    EXCEPTION WHEN OTHERS THEN
      IF SQLSTATE NOT IN ('39P01', '0A000') THEN RAISE NOTICE '%: % %', f, SQLSTATE, SQLERRM; END IF;
    END;
  END LOOP;
  RAISE NOTICE 'there are trigger functions: %', n > 0;
END $$;

-- Attached to other tables, at any time and level, for any event.
CREATE TABLE public.misused (notebook_id bigint, name text, version int, content jsonb, created_at timestamptz, updated_at timestamptz);
CREATE VIEW public.misused_view AS SELECT notebook_id AS id, name FROM public.misused;
DO $$
DECLARE
  f regprocedure; t text; stmt text; outcome text;
BEGIN
  FOR f IN SELECT oid FROM pg_proc WHERE pronamespace = 'notebook_migrate'::regnamespace AND prorettype = 'trigger'::regtype
            ORDER BY proname COLLATE "C"
  LOOP
    FOREACH t IN ARRAY ARRAY[
      'BEFORE INSERT ON public.misused FOR EACH ROW', 'AFTER INSERT ON public.misused FOR EACH ROW',
      'BEFORE INSERT ON public.misused FOR EACH STATEMENT', 'AFTER INSERT ON public.misused FOR EACH STATEMENT',
      'BEFORE UPDATE ON public.misused FOR EACH ROW', 'AFTER UPDATE ON public.misused FOR EACH ROW',
      'BEFORE DELETE ON public.misused FOR EACH ROW', 'AFTER DELETE ON public.misused FOR EACH STATEMENT',
      'BEFORE TRUNCATE ON public.misused FOR EACH STATEMENT',
      'INSTEAD OF INSERT ON public.misused_view FOR EACH ROW', 'INSTEAD OF UPDATE ON public.misused_view FOR EACH ROW',
      'INSTEAD OF DELETE ON public.misused_view FOR EACH ROW']
    LOOP
      BEGIN
        INSERT INTO public.misused VALUES (1, 'x', 1, '{"cells": []}', now(), now());
        EXECUTE format('CREATE TRIGGER misuse %s EXECUTE FUNCTION %s', t, f::text);
        stmt := CASE WHEN t ~ '_view' THEN 'public.misused_view' ELSE 'public.misused' END;
        stmt := CASE WHEN t ~ 'TRUNCATE' THEN 'TRUNCATE ' || stmt
                     WHEN t ~ 'INSERT' THEN 'INSERT INTO ' || stmt || ' VALUES (2, ''y'')'
                     WHEN t ~ 'UPDATE' THEN 'UPDATE ' || stmt || ' SET name = ''z'''
                     ELSE 'DELETE FROM ' || stmt END;
        EXECUTE stmt;
        RAISE EXCEPTION 'done' USING ERRCODE = 'ZZ000';
      EXCEPTION WHEN OTHERS THEN
        outcome := SQLSTATE;
        IF outcome NOT IN ('39P01', '42703', '42804', '55000', 'ZZ000') THEN
          RAISE NOTICE '% % -> % %', f, t, outcome, SQLERRM;
        END IF;
        IF outcome = 'ZZ000' THEN RAISE NOTICE '% ran as %', f, t; END IF;
      END;
    END LOOP;
  END LOOP;
END $$;

DROP VIEW public.misused_view;
DROP TABLE public.misused;

-- The server is well, and so is the store.
INSERT INTO notebook (notebook_id, name, content) VALUES (5101, 'well', sample.sources('x')) RETURNING version;
SELECT * FROM store_verify('notebook', 5101);
DELETE FROM notebook WHERE notebook_id = 5101;

-- A relation that looks like the real one, and whose old rows say what its owner wants.
BEGIN;
CREATE TEMP TABLE notebook_head (notebook_id bigint);
CREATE TRIGGER misuse AFTER DELETE ON pg_temp.notebook_head FOR EACH ROW EXECUTE FUNCTION notebook_migrate.notebook_head_deleted();
INSERT INTO pg_temp.notebook_head VALUES (1);
SAVEPOINT s;
DELETE FROM pg_temp.notebook_head;
ROLLBACK TO s;
CREATE TEMP VIEW notebook AS SELECT 1::bigint AS notebook_id, 'x'::text AS name, 1 AS version, '{"cells": []}'::jsonb AS content,
  now() AS created_at, now() AS updated_at;
CREATE TRIGGER misuse INSTEAD OF UPDATE ON pg_temp.notebook FOR EACH ROW EXECUTE FUNCTION notebook_migrate.notebook_view_write();
UPDATE pg_temp.notebook SET content = '{"cells": [], "x": 1}';
ROLLBACK;
