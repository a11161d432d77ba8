-- Functions that look up a few rows by key do so by an index whatever the statistics say. While a tenant's tables are small the
-- planner took a walk over all its customers for as cheap as one of them, and plans are kept (32 -> 22 µs for each check). Not for
-- the logins as a whole (random_page_cost): reading very many events through a bitmap is twice as fast as by an index.

-- indexes -------------------------------------------------------------------------------------------

-- All rules by meter are in one index; those in force need none of their own.
drop index public.alert_rules_meter_idx;

-- functions -----------------------------------------------------------------------------------------

do $plans$
declare
  lookup regprocedure;
begin
  for lookup in
    select p.oid::regprocedure
    from pg_proc p
    where p.pronamespace = 'app'::regnamespace and 'plan_cache_mode=force_generic_plan' = any (p.proconfig)
  loop
    execute format('alter function %s set enable_bitmapscan = off', lookup);
  end loop;
end
$plans$;

-- Policies read settings; what asked for one of several permissions asks nobody any more.
drop function app.can_any(text[]);
