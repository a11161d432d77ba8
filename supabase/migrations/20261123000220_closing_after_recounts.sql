-- A period is closed by totals of the days there are: while these are being made anew for another time zone, closing waits.

-- functions -----------------------------------------------------------------------------------------

create function app.recount_waits() returns boolean
  language plpgsql stable security definer set search_path = ''
  as $$
    begin
      return exists (
        select from public.outbox o
        where o.tenant_id = app.tenant_id() and o.topic = 'usage_time_zone' and o.delivered_at is null and o.available_at < 'infinity');
    end
  $$;
comment on function app.recount_waits() is
  'Whether the running totals of the current tenant are still to be made anew for another time zone (see app.change_time_zone). Definer: who '
  'closes a period reads no outbox.';

create or replace function app.close_billing_period(p_tenant uuid, p_time_zone text, p_id uuid, p_ends_at timestamptz) returns public.billing_periods
  language plpgsql volatile set search_path = ''
  as $$
    declare
      v_last timestamptz;
      v_starts timestamptz;
      v_period public.billing_periods;
    begin
      -- Whoever does not see all of it would close a period without it.
      if not (app.can('billing-periods:write') and app.can('usage:read') and app.can('customers:read') and app.can('meters:read')
          and app.can('tiers:read')) then
        raise exception using errcode = '42501', message = 'billing-periods:write and reading usage, customers, meters and tiers are needed';
      end if;
      perform pg_advisory_xact_lock(hashtextextended('billing periods ' || p_tenant::text, 0));
      if p_ends_at > clock_timestamp() then
        raise exception using errcode = 'TM023', message = 'a period ends in the past';
      end if;
      -- Overage is read from totals, and those are of the days of another zone until the worker has made them anew.
      if app.recount_waits() then
        raise exception using errcode = 'TM027', message = 'usage is being counted anew';
      end if;
      perform app.await_usage_writers(p_tenant);
      select max(p.ends_at) into v_last from public.billing_periods p where p.tenant_id = p_tenant;
      if v_last is null then
        select date_trunc('day', min(e.received_at), p_time_zone) into v_starts from public.usage_events e where e.tenant_id = p_tenant;
        v_starts := coalesce(v_starts, date_trunc('day', p_ends_at - interval '1 microsecond', p_time_zone));
      else
        v_starts := v_last;
      end if;
      if p_ends_at <= v_starts then
        raise exception using errcode = 'TM024', message = 'a period ends after the one before', detail = jsonb_build_object('starts_at', v_starts)::text;
      end if;
      with cut as materialized (
        select * from app.cut_usage(p_tenant, p_time_zone, v_starts, p_ends_at, true)
      ),
      written as (
        insert into public.billing_lines (tenant_id, billing_period_id, customer_id, customer, meter_id, meter, starts_on, ends_on, quantity,
            events, tier, tier_version, cap_limit, overage, adjustment)
          select p_tenant, p_id, u.customer_id, u.customer, u.meter_id, u.meter, u.starts_on, u.ends_on, u.quantity, u.events, u.tier,
            u.tier_version, u.cap_limit, u.overage, u.adjustment
          from cut u
      )
      insert into public.billing_periods (tenant_id, id, starts_at, ends_at, closed_at, lines, events, adjustments)
        select p_tenant, p_id, v_starts, p_ends_at, clock_timestamp(), count(*), coalesce(sum(c.events), 0), count(*) filter (where c.adjustment)
        from cut c
        returning * into v_period;
      perform app.log_audit('billing_period.closed', 'billing_period', p_id::text, 'success', null, to_jsonb(v_period) - 'tenant_id', null);
      return v_period;
    end
  $$;

-- grants --------------------------------------------------------------------------------------------

revoke all on all functions in schema app from public;
grant execute on function app.recount_waits() to app_tenant;
alter function app.recount_waits() owner to app_kernel;
