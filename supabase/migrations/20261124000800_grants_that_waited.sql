-- A grant that waited for its balance was given at a moment before the one the balance had been brought up to meanwhile, and was not
-- issued by who gave it: reconciliation named the balance as one by which something was still due, until its next usage.

-- functions -----------------------------------------------------------------------------------------

create or replace function app.add_grant(
  p_tenant uuid, p_time_zone text, p_now timestamptz, p_id uuid, p_customer uuid, p_meter uuid, p_amount numeric, p_priority integer,
  p_effective timestamptz, p_expires timestamptz, p_recurrence text, p_rollover_min numeric, p_rollover_max numeric, p_metadata jsonb
) returns void
  language plpgsql volatile set search_path = ''
  as $$
    declare
      v_now timestamptz;
    begin
      if not exists (select 1 from public.balances x where x.tenant_id = p_tenant and x.customer_id = p_customer and x.meter_id = p_meter) then
        perform app.hold_usage(p_tenant);
        perform app.open_balance(p_tenant, p_customer, p_meter, p_now, p_time_zone);
      end if;
      perform app.settle_balance(p_tenant, p_customer, p_meter, p_now, p_time_zone);
      update public.balances x set as_of = greatest(x.as_of, p_now)
        where x.tenant_id = p_tenant and x.customer_id = p_customer and x.meter_id = p_meter
        returning x.as_of into strict v_now;
      insert into public.grants (tenant_id, id, customer_id, meter_id, amount, priority, effective_at, expires_at, recurrence, rollover_min,
          rollover_max, metadata)
        values (p_tenant, p_id, p_customer, p_meter, p_amount, p_priority, coalesce(p_effective, p_now), p_expires, p_recurrence, p_rollover_min, p_rollover_max,
          p_metadata);
      perform app.settle_balance(p_tenant, p_customer, p_meter, v_now, p_time_zone);
    end
  $$;

-- grants --------------------------------------------------------------------------------------------

revoke all on all functions in schema app from public;
