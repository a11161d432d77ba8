-- Reservations are settled while one month follows another, too: for ten minutes each month two that were settled at once ended each other.

-- functions -----------------------------------------------------------------------------------------

create or replace function app.settle_reservation(
  p_tenant uuid, p_time_zone text, p_id uuid, p_amount numeric default null, p_properties jsonb default null
) returns jsonb
  language plpgsql volatile set search_path = ''
  as $$
    declare
      v_now timestamptz;
      r public.reservations;
      m record;
      s record;
      v_user text;
      v_amount numeric;
      v_counted numeric;
      v_count integer;
      v_detail text;
      v_refused jsonb;
      v_code integer;
      v_properties jsonb := p_properties;
      v_result jsonb;
    begin
      if not app.can('usage:write') then
        raise exception using errcode = '42501', message = 'usage:write is needed';
      end if;
      -- As what counts it will hold it, see app.record_usage: who has it shared already and wants it alone waits for others who do too.
      v_now := clock_timestamp();
      if date_trunc('month', (v_now - interval '5 minutes') at time zone 'UTC')
          <> date_trunc('month', (v_now + interval '5 minutes') at time zone 'UTC') then
        perform pg_advisory_xact_lock(hashtextextended('usage ' || p_tenant::text, 0));
      else
        perform pg_advisory_xact_lock_shared(hashtextextended('usage ' || p_tenant::text, 0));
      end if;
      select * into r from public.reservations x where x.tenant_id = p_tenant and x.id = p_id for update;
      if not found then
        return jsonb_build_object('status', 'not_found');
      end if;
      v_now := clock_timestamp();
      v_amount := coalesce(p_amount, r.amount);
      if r.status = 'released' then
        return jsonb_build_object('status', case when r.closed_at >= r.expires_at then 'expired' else 'released' end, 'expires_at', extract(epoch from r.expires_at));
      end if;
      if r.status = 'settled' and r.settled <> v_amount then
        return jsonb_build_object('status', 'conflict', 'settled', r.settled::text);
      end if;
      if r.status = 'held' and r.expires_at <= v_now then
        return jsonb_build_object('status', 'expired', 'expires_at', extract(epoch from r.expires_at));
      end if;
      select x.id, x.slug, x.aggregation, x.value_property into m from public.meters x where x.tenant_id = p_tenant and x.id = r.meter_id;
      select c.external_id into v_user from public.customers c where c.tenant_id = p_tenant and c.id = r.customer_id;
      if m.aggregation = 'COUNT' and (v_amount <> trunc(v_amount) or v_amount > 1000) then
        return jsonb_build_object('status', 'not_countable');
      end if;
      if r.status = 'held' then
        begin
          update public.reservations x set status = 'settled', settled = v_amount, closed_at = v_now where x.tenant_id = p_tenant and x.id = p_id;
          if v_amount > 0 then
            v_count := case when m.aggregation = 'COUNT' then v_amount else 1 end;
            if m.aggregation = 'SUM' and m.value_property is not null then
              v_properties := coalesce(v_properties, '{}') || jsonb_build_object(m.value_property, v_amount);
            end if;
            v_result := app.record_usage(p_tenant, p_time_zone, array[m.slug], array[v_user], array_fill(1, array[v_count]), array_fill(1, array[v_count]),
              array_fill(case when m.aggregation = 'COUNT' then 1 else v_amount end, array[v_count]),
              array(select app.event_key('reservation', p_id || '/' || i) from generate_series(1, v_count) i),
              array(select p_id || '/' || i from generate_series(1, v_count) i), array_fill('reservation'::text, array[v_count]),
              null, case when v_properties is not null then array_fill(v_properties, array[v_count]) end, null, true, false, true, false, false);
          end if;
        exception when sqlstate 'TM020' then
          get stacked diagnostics v_detail = pg_exception_detail;
          v_refused := v_detail::jsonb;
        end;
      end if;
      select * into s from app.usage_standing(p_tenant, p_time_zone, r.customer_id, r.meter_id, v_now, false);
      if v_refused is not null then
        select c::integer into v_code from jsonb_array_elements_text(v_refused -> 'codes') c where c::integer > 1 limit 1;
      else
        -- A cap that takes what is left may have left a part of it, and the filter of the meter nothing. Of events that are gone
        -- by now nobody knows.
        v_now := coalesce(r.closed_at, v_now);
        v_counted := coalesce((
          select sum(x.weight * case m.aggregation when 'COUNT' then 1 else coalesce(x.counted, x.value) end) from public.usage_events x
          where x.tenant_id = p_tenant
            and x.id = any (array(select app.event_key('reservation', p_id || '/' || i)
              from generate_series(1, case m.aggregation when 'COUNT' then v_amount else 1 end::integer) i))
            and x.received_month >= date_trunc('month', v_now at time zone 'UTC')::date
            and x.received_month <= date_trunc('month', (v_now + interval '1 day') at time zone 'UTC')::date
        ), v_amount);
      end if;
      return jsonb_build_object(
        'status', case when v_refused is null then 'settled' else 'refused' end, 'code', v_code, 'meter', m.slug, 'user', v_user,
        'amount', r.amount::text, 'settled', case when v_refused is null then v_amount::text end, 'counted', v_counted::text,
        'limit', s.cap_limit::text, 'used', s.used::text, 'held', s.held::text, 'remaining', s.remaining::text,
        'overage', coalesce(s.overage, 0)::text, 'reset', extract(epoch from s.resets_at));
    end
  $$;
