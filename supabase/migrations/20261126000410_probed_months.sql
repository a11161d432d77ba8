-- The newest month that has usage is found by one event of it: every event of all tenants was read for it.

-- functions -----------------------------------------------------------------------------------------

create or replace function app.newest_usage_month() returns date
  language sql stable security definer set search_path = ''
  as $$
    select m.month from app.usage_months() m
    where exists (select 1 from public.usage_events e where e.received_month = m.month offset 0)
    order by m.month desc limit 1
  $$;

-- grants --------------------------------------------------------------------------------------------

revoke all on all functions in schema app from public;
