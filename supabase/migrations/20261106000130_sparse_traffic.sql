-- Many tenants that send one event now and then: each is a transaction of its own, whatever else happens, so what it costs is what
-- a single event costs. One that is simple is recorded by a handful of look-ups instead of statements made for a thousand.

-- functions -----------------------------------------------------------------------------------------

create function app.record_one(
  p_tenant uuid, p_time_zone text, p_meter text, p_user text, p_value numeric, p_key uuid, p_event_id text, p_source text,
  p_properties jsonb, p_report boolean, p_enforce boolean
) returns jsonb
  language plpgsql volatile set search_path = '' set plan_cache_mode = force_generic_plan set enable_seqscan = off
  as $$
    declare
      v_now timestamptz := clock_timestamp();
      v_month date;
      v_today date;
      v_meter uuid;
      v_kind text;
      v_negative boolean;
      v_customer uuid;
      v_tier uuid;
      v_version integer;
      v_anchor integer := 1;
      v_limit numeric;
      v_behaviour text;
      v_period text;
      v_rolls boolean;
      v_first date;
      v_starts date;
      v_amount numeric;
      v_used numeric;
      v_hour timestamptz;
      v_ends numeric;
    begin
      if not app.can('usage:write') then
        raise exception using errcode = '42501', message = 'usage:write is needed';
      end if;
      if date_trunc('month', (v_now - interval '5 minutes') at time zone 'UTC')
          <> date_trunc('month', (v_now + interval '5 minutes') at time zone 'UTC') then
        return null;
      end if;
      perform pg_advisory_xact_lock_shared(hashtextextended('usage ' || p_tenant::text, 0));
      v_now := clock_timestamp();
      v_month := date_trunc('month', v_now at time zone 'UTC')::date;
      v_today := (v_now at time zone p_time_zone)::date;

      select m.id, m.aggregation, m.allows_negative into v_meter, v_kind, v_negative from public.meters m
        where m.tenant_id = p_tenant and m.slug = p_meter and m.archived_at is null and not m.individual and m.aggregation in ('SUM', 'COUNT')
          and m.value_property is null and m.filter is null and m.group_by = '{}';
      if not found or (p_value < 0 and v_kind = 'SUM' and not v_negative) then
        return null;
      end if;
      select c.id into v_customer from public.customers c
        where c.tenant_id = p_tenant and c.external_id = p_user and c.archived_at is null;
      if not found then
        return null;
      end if;
      select s.tier_id, s.tier_version, s.anchor_day into v_tier, v_version, v_anchor from public.subscriptions s
        where s.tenant_id = p_tenant and s.customer_id = v_customer and s.canceled_at is null;
      if not found then
        v_anchor := 1;
        select t.id, t.version into v_tier, v_version from public.tiers t where t.tenant_id = p_tenant and t.is_default;
      end if;
      if v_tier is not null then
        select c.cap_limit, c.behaviour, c.period, c.rollover_max > 0 or c.preserve_overage into v_limit, v_behaviour, v_period, v_rolls
          from public.tier_caps c
          where c.tenant_id = p_tenant and c.tier_id = v_tier and c.version = v_version and c.meter_id = v_meter;
        if v_rolls then
          return null;
        end if;
      end if;
      if p_event_id is not null then
        perform 1 from public.usage_events e where e.tenant_id = p_tenant and e.id = p_key and e.received_month < v_month;
        if found then
          return null;
        end if;
      end if;
      v_amount := case v_kind when 'COUNT' then 1 else p_value end;
      v_first := app.period_start(v_today, 'month', v_anchor);
      v_starts := case v_period when 'day' then v_today else v_first end;
      v_hour := date_trunc('hour', v_now at time zone 'UTC') at time zone 'UTC';

      begin
        -- A cap that refuses: the counter is held first. What does not fit, or is the first of its period, is for the full statement.
        if v_limit is not null and (p_enforce or v_behaviour <> 'overflow') then
          select k.used into v_used from public.usage_counters k
            where k.tenant_id = p_tenant and k.period = v_period and k.meter_id = v_meter and k.starts_on = v_starts and k.customer_id = v_customer
            for update;
          if not found or (v_amount > 0 and v_used + v_amount > v_limit) then
            return null;
          end if;
        end if;
        insert into public.usage_events (tenant_id, id, meter_id, customer_id, value, occurred_at, received_at, received_month, event_id, source,
            properties)
          values (p_tenant, p_key, v_meter, v_customer, p_value, v_now, v_now, v_month, p_event_id, p_source, p_properties);
        insert into public.usage_counters (tenant_id, period, meter_id, starts_on, customer_id, used, events)
          values (p_tenant, 'day', v_meter, v_today, v_customer, v_amount, 1), (p_tenant, 'month', v_meter, v_first, v_customer, v_amount, 1)
          on conflict (tenant_id, period, meter_id, starts_on, customer_id) do update
            set used = usage_counters.used + excluded.used, events = usage_counters.events + 1;
        insert into public.usage_hours (tenant_id, meter_id, hour, used, events) values (p_tenant, v_meter, v_hour, v_amount, 1)
          on conflict (tenant_id, meter_id, hour) do update set used = usage_hours.used + excluded.used, events = usage_hours.events + 1;
        insert into public.usage_totals (tenant_id, meter_id, day, used, events) values (p_tenant, v_meter, v_today, v_amount, 1)
          on conflict (tenant_id, meter_id, day) do update set used = usage_totals.used + excluded.used, events = usage_totals.events + 1;
      exception when unique_violation then
        return null;
      end;

      perform 1 from public.alert_rules r where r.tenant_id = p_tenant limit 1;
      if found then
        perform app.fire_alerts(p_tenant, p_time_zone, array[v_meter], array[v_customer], array[v_first]);
      end if;
      if not p_report then
        return '{"codes": null, "refused": null, "usage": null}';
      end if;
      v_period := coalesce(v_period, 'month');
      v_ends := case
        when v_period = 'day' then extract(epoch from (v_today + 1)::timestamp at time zone p_time_zone)
        else extract(epoch from app.period_end(v_first, 'month', v_anchor)::timestamp at time zone p_time_zone) end;
      select k.used into v_used from public.usage_counters k
        where k.tenant_id = p_tenant and k.period = v_period and k.meter_id = v_meter and k.starts_on = v_starts and k.customer_id = v_customer;
      return jsonb_build_object('codes', null, 'refused', null,
        'usage', jsonb_build_array(jsonb_build_array(1, 1, v_used::text, v_limit::text, v_behaviour, v_period, v_ends)));
    end
  $$;
comment on function app.record_one(uuid, text, text, text, numeric, uuid, text, text, jsonb, boolean, boolean) is
  'Takes in one new event of the current tenant when it is a simple one: of now, of a plain meter that nothing individual hangs on, by a '
  'customer who is known, below its cap. Answers as app.record_usage does, or null when the event is another and nothing was written: then that decides.';

create or replace function app.ingest_usage(
  p_tenant uuid, p_epoch bigint, p_actor jsonb, p_time_zone text, p_meters text[], p_users text[], p_meter integer[], p_user integer[],
  p_values numeric[], p_keys uuid[], p_event_ids text[], p_sources text[], p_times timestamptz[], p_properties jsonb[],
  p_corrects uuid[], p_probe boolean, p_repeats boolean, p_strict boolean, p_report boolean, p_enforce boolean
) returns jsonb
  language plpgsql volatile set search_path = ''
  as $$
    declare
      v_recorded jsonb;
    begin
      perform app.begin_tenant(p_tenant, p_epoch, p_actor);
      if cardinality(p_keys) = 1 and p_times is null and p_corrects is null and not p_probe then
        v_recorded := app.record_one(p_tenant, p_time_zone, p_meters[1], p_users[1], p_values[1], p_keys[1], p_event_ids[1], p_sources[1],
          p_properties[1], p_report, p_enforce);
        if v_recorded is not null then
          return v_recorded;
        end if;
      end if;
      return app.record_usage(p_tenant, p_time_zone, p_meters, p_users, p_meter, p_user, p_values, p_keys, p_event_ids, p_sources, p_times,
        p_properties, p_corrects, p_probe, p_repeats, p_strict, p_report, p_enforce);
    end
  $$;

-- grants --------------------------------------------------------------------------------------------

revoke all on all functions in schema app from public;
grant execute on function app.record_one(uuid, text, text, text, numeric, uuid, text, text, jsonb, boolean, boolean) to app_tenant;
