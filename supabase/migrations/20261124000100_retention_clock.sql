-- A clock that runs years ahead, if only for a moment, would make every month an old one.

create function app.newest_usage_month() returns date
  language sql stable security definer set search_path = ''
  as $$
    select m.month from app.usage_months() m
    where exists (select 1 from public.usage_events e where e.received_month = m.month)
    order by m.month desc limit 1
  $$;
comment on function app.newest_usage_month() is
  'The newest month of reception that has events, of whomever; null without any. Definer: reads across tenants, and shows a month.';

create or replace function app.drop_usage_partitions(p_months integer) returns text[]
  language plpgsql volatile security definer set search_path = '' set lock_timeout = '2s'
  as $$
    declare
      v_present date := date_trunc('month', clock_timestamp() at time zone 'UTC')::date;
      v_first date := (v_present - make_interval(months => p_months))::date;
      v_month date;
      v_dropped text[] := '{}';
    begin
      -- Two whole months: nothing is forgotten before it is 35 days old. Who calls decides how long is kept, and nothing else: what is not
      -- sealed, billed and pushed stays, whoever asks.
      if p_months < 2 then
        raise exception using errcode = '22023', message = 'at least two months are kept';
      end if;
      -- Where nothing came in for more than a month, the clock is the likelier fault, and what waits is not lost.
      if app.newest_usage_month() < v_present - interval '1 month' then
        return v_dropped;
      end if;
      perform pg_advisory_xact_lock(hashtextextended('usage partitions', 0));
      for v_month in select m.month from app.usage_months() m where m.month < v_first loop
        -- From the oldest on, so that what is gone has no gaps.
        exit when exists (select 1 from app.tenants_holding_usage(v_month, p_months + 12));
        execute format('drop table public.%I', 'usage_events_' || to_char(v_month, 'YYYYMM'));
        v_dropped := v_dropped || to_char(v_month, 'YYYY-MM');
      end loop;
      return v_dropped;
    end
  $$;

revoke all on all functions in schema app from public;
grant execute on function app.usage_months() to app_kernel;
grant execute on function app.newest_usage_month() to current_user, app_tenant;
alter function app.newest_usage_month() owner to app_kernel;
