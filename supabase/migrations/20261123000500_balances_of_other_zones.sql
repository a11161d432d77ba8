-- A tenant that moves to another time zone takes its balances along as a change of the anchor day does: the period that ran goes on as the
-- one that runs there, with what is counted in that. Before, one whose days ended later was put ahead of the clock (a check told of a period
-- that had not begun, and usage was held against the one before), one whose days ended earlier was reset once more, and one whose period
-- was another took what was used from a counter that was not made anew yet.

-- functions -----------------------------------------------------------------------------------------

create or replace function app.repair_usage(p_tenant uuid, p_time_zone text, p_meters uuid[], p_from date) returns bigint
  language plpgsql volatile set search_path = ''
  as $$
    declare
      v_none constant uuid := '00000000-0000-0000-0000-000000000000';
      v_now timestamptz;
      v_row record;
      v_count bigint := 0;
      v_customer uuid;
      v_meter uuid;
      v_used numeric;
      v_moment numeric;
      v_events bigint;
      v_last_at timestamptz;
      v_last_received_at timestamptz;
      v_balance public.balances;
    begin
      if not app.can('usage:write') then
        raise exception using errcode = '42501', message = 'usage:write is needed';
      end if;
      perform pg_advisory_xact_lock(hashtextextended('usage ' || p_tenant::text, 0));
      v_now := clock_timestamp();
      -- Grants first: what they hold is taken from what their balance says, before the balance is levelled. Balances last: one whose period
      -- is another by now takes what was used of it from its counter.
      for v_row in
        select * from app.find_usage_drift(p_tenant, p_time_zone, p_meters, p_from) f where f.table_name is not null
        order by f.table_name <> 'grants', f.table_name = 'balances', f.table_name
      loop
        v_count := v_count + 1;
        v_meter := (v_row.row_key ->> 'meter_id')::uuid;
        v_customer := coalesce((v_row.row_key ->> 'customer_id')::uuid, v_none);
        v_used := coalesce((v_row.expected ->> 'used')::numeric, 0);
        v_events := coalesce((v_row.expected ->> 'events')::bigint, 0);
        v_moment := (v_row.expected ->> 'moment')::numeric;
        v_last_at := (v_row.expected ->> 'last_at')::timestamptz;
        v_last_received_at := (v_row.expected ->> 'last_received_at')::timestamptz;
        case v_row.table_name
          when 'usage_counters' then
            insert into public.usage_counters (tenant_id, period, meter_id, starts_on, customer_id, used, events, moment, last_at, last_received_at)
              values (p_tenant, v_row.row_key ->> 'period', v_meter, (v_row.row_key ->> 'starts_on')::date, v_customer, v_used, v_events, v_moment,
                v_last_at, v_last_received_at)
              on conflict (tenant_id, period, meter_id, starts_on, customer_id) do update set used = excluded.used, events = excluded.events,
                moment = excluded.moment, last_at = excluded.last_at, last_received_at = excluded.last_received_at;
          when 'usage_totals' then
            insert into public.usage_totals (tenant_id, meter_id, day, used, events, moment, last_at, last_received_at)
              values (p_tenant, v_meter, (v_row.row_key ->> 'starts_on')::date, v_used, v_events, v_moment, v_last_at, v_last_received_at)
              on conflict (tenant_id, meter_id, day) do update set used = excluded.used, events = excluded.events,
                moment = excluded.moment, last_at = excluded.last_at, last_received_at = excluded.last_received_at;
          when 'usage_quarters' then
            insert into public.usage_quarters (tenant_id, meter_id, quarter, used, events, moment, last_at, last_received_at)
              values (p_tenant, v_meter, (v_row.row_key ->> 'quarter')::timestamptz, v_used, v_events, v_moment, v_last_at, v_last_received_at)
              on conflict (tenant_id, meter_id, quarter) do update set used = excluded.used, events = excluded.events,
                moment = excluded.moment, last_at = excluded.last_at, last_received_at = excluded.last_received_at;
          when 'usage_groups' then
            insert into public.usage_groups (tenant_id, meter_id, day, group_hash, customer_id, group_values, used, events, moment, last_at,
                last_received_at)
              select p_tenant, v_meter, (v_row.row_key ->> 'starts_on')::date, (v_row.row_key ->> 'hash')::uuid, v_customer,
                coalesce((v_row.expected ->> 'group_values')::jsonb, '{}'), v_used, v_events, v_moment, v_last_at, v_last_received_at
              on conflict (tenant_id, meter_id, day, group_hash, customer_id) do update set used = excluded.used, events = excluded.events,
                group_values = case when v_row.expected ? 'group_values' then (v_row.expected ->> 'group_values')::jsonb else usage_groups.group_values end,
                moment = excluded.moment, last_at = excluded.last_at, last_received_at = excluded.last_received_at;
          when 'usage_group_totals' then
            insert into public.usage_group_totals (tenant_id, meter_id, day, group_hash, group_values, used, events, moment, last_at, last_received_at)
              select p_tenant, v_meter, (v_row.row_key ->> 'starts_on')::date, (v_row.row_key ->> 'hash')::uuid,
                coalesce((v_row.expected ->> 'group_values')::jsonb, '{}'), v_used, v_events, v_moment, v_last_at, v_last_received_at
              on conflict (tenant_id, meter_id, day, group_hash) do update set used = excluded.used, events = excluded.events,
                group_values = case when v_row.expected ? 'group_values' then (v_row.expected ->> 'group_values')::jsonb
                  else usage_group_totals.group_values end,
                moment = excluded.moment, last_at = excluded.last_at, last_received_at = excluded.last_received_at;
          when 'usage_uniques' then
            insert into public.usage_uniques (tenant_id, meter_id, period, starts_on, customer_id, value_hash, events)
              values (p_tenant, v_meter, v_row.row_key ->> 'period', (v_row.row_key ->> 'starts_on')::date, v_customer,
                (v_row.row_key ->> 'hash')::uuid, v_events)
              on conflict (tenant_id, meter_id, period, starts_on, customer_id, value_hash) do update set events = excluded.events;
          when 'balances' then
            update public.balances b set starts_on = (v_row.expected ->> 'starts_on')::date, granted = (v_row.expected ->> 'granted')::numeric,
                allowance = (v_row.expected ->> 'allowance')::numeric, opening = (v_row.expected ->> 'opening')::numeric
              where b.tenant_id = p_tenant and b.customer_id = v_customer and b.meter_id = v_meter;
            v_balance := app.settle_balance(p_tenant, v_customer, v_meter, v_now, p_time_zone);
            if v_balance.starts_on = (v_row.row_key ->> 'starts_on')::date then
              perform app.burn_balance(p_tenant, v_customer, v_meter, v_used - v_balance.used, v_now);
            end if;
            perform app.level_balance(p_tenant, v_customer, v_meter);
          when 'grants' then
            -- What the balance says is left, less what its allowance and the other grants hold, as far as this one can hold it.
            update public.grants g set remaining = least(g.opening, greatest(0, coalesce((
                select b.granted + b.overage - b.used - b.allowance_left - coalesce((
                  select sum(o.remaining) from public.grants o
                  where o.tenant_id = p_tenant and o.customer_id = v_customer and o.meter_id = v_meter and o.closed_at is null and o.id <> g.id), 0)
                from public.balances b where b.tenant_id = p_tenant and b.customer_id = v_customer and b.meter_id = v_meter), 0)))
              where g.tenant_id = p_tenant and g.id = (v_row.row_key ->> 'id')::uuid and g.closed_at is null and g.issues > 0;
            update public.grants g set remaining = 0
              where g.tenant_id = p_tenant and g.id = (v_row.row_key ->> 'id')::uuid and (g.closed_at is not null or g.issues = 0);
            perform app.level_balance(p_tenant, v_customer, v_meter);
          when 'reservations' then
            update public.reservations x set status = v_row.expected ->> 'status', settled = (v_row.expected ->> 'settled')::numeric,
                closed_at = coalesce(x.closed_at, case when v_row.expected ->> 'status' <> 'held' then v_now end)
              where x.tenant_id = p_tenant and x.id = (v_row.row_key ->> 'id')::uuid;
          when 'meters' then
            update public.meters m set individual = true where m.tenant_id = p_tenant and m.id = v_meter;
          else
            -- Closed periods are never changed: that one differs is shown, and for a person to judge.
            v_count := v_count - 1;
        end case;
      end loop;
      return v_count;
    end
  $$;

create or replace function app.recount_usage(p_tenant uuid, p_time_zone text) returns bigint
  language plpgsql volatile set search_path = '' set lock_timeout = '5s'
  as $$
    declare
      v_count bigint;
    begin
      if not app.can('usage:write') then
        raise exception using errcode = '42501', message = 'usage:write is needed';
      end if;
      -- Held for no time, and shared by every transaction of the tenant: whoever began with the zone before has ended when this is granted.
      perform pg_advisory_lock(hashtextextended(p_tenant::text, 0));
      perform pg_advisory_unlock(hashtextextended(p_tenant::text, 0));
      v_count := app.repair_usage(p_tenant, p_time_zone, null, null);
      -- Periods begin at other moments: those that ran go on as the present ones, with what is counted in these.
      perform app.settle_balances(p_tenant, array(select distinct b.customer_id from public.balances b where b.tenant_id = p_tenant),
        clock_timestamp(), p_time_zone);
      return v_count + app.repair_clocks(p_tenant, p_time_zone, null);
    end
  $$;

-- grants --------------------------------------------------------------------------------------------

revoke all on all functions in schema app from public;
