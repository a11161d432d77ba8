-- One order of locks. Single events took a counter, then the quarter, then the total of all customers; batches took them the other way round, so
-- that one tenant's single events and batches, of two callers or through two processes, waited for each other until Postgres ended one of them, a
-- second each time. Whoever held a soft cap (`enforce`) held the month's counter before the day's and before those of other meters, and the others not.
-- Now all move counters of months, then of days, then different values, then totals, then quarters; hard caps and balances, which everybody holds,
-- come before that.
-- And four answers: where something is held, a refusal names the cap and what is held of it, as check does; what repeats an event that the cap refused
-- is refused like it; what was counted before is a duplicate also once its meter or customer is archived or it has become too old; and an event
-- that asks for no more than the one whose place it takes is not refused.

-- functions: holding counters -----------------------------------------------------------------------

create function app.hold_counters(p_tenant uuid, p_periods text[], p_meters uuid[], p_starts date[], p_customers uuid[]) returns void
  language plpgsql volatile set search_path = ''
  as $$
    begin
      insert into public.usage_counters (tenant_id, period, meter_id, starts_on, customer_id, used, events)
        select distinct p_tenant, k.period, k.meter_id, k.starts_on, k.customer_id, 0, 0
        from unnest(p_periods, p_meters, p_starts, p_customers) k (period, meter_id, starts_on, customer_id)
        order by 2 desc, 3, 4, 5
        on conflict (tenant_id, period, meter_id, starts_on, customer_id) do nothing;
      perform 1
        from (
          select distinct k.period, k.meter_id, k.starts_on, k.customer_id
          from unnest(p_periods, p_meters, p_starts, p_customers) k (period, meter_id, starts_on, customer_id)
          order by 1 desc, 2, 3, 4
        ) k
        cross join lateral (
          select from public.usage_counters c
          where c.tenant_id = p_tenant and c.period = k.period and c.meter_id = k.meter_id and c.starts_on = k.starts_on
            and c.customer_id = k.customer_id
          for update
        ) h;
    end
  $$;
comment on function app.hold_counters(uuid, text[], uuid[], date[], uuid[]) is
  'Holds counters until the end of the transaction, in the order in which everybody moves them: months before days, by meter, start and customer. Those that are not there yet begin with nothing.';

-- functions: writing, in one order ------------------------------------------------------------------

create or replace function app.record_one(
  p_tenant uuid, p_time_zone text, p_meter text, p_user text, p_value numeric, p_key uuid, p_event_id text, p_source text,
  p_properties jsonb, p_report boolean, p_enforce boolean
) returns jsonb
  language plpgsql volatile set search_path = '' set plan_cache_mode = force_generic_plan set enable_seqscan = off set enable_bitmapscan = off
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
      v_quarter timestamptz;
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
      v_quarter := date_bin('15 minutes', v_now, '2000-01-01 00:00:00+00');

      begin
        -- A cap that refuses: the counter is held first. What does not fit, or is the first of its period, is for the full statement.
        if v_limit is not null and (p_enforce or v_behaviour <> 'overflow') then
          -- Who does not hold a soft cap of a day moves the month first.
          if v_period = 'day' and v_behaviour = 'overflow' then
            perform app.hold_counters(p_tenant, array['month'], array[v_meter], array[v_first], array[v_customer]);
          end if;
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
          values (p_tenant, 'month', v_meter, v_first, v_customer, v_amount, 1), (p_tenant, 'day', v_meter, v_today, v_customer, v_amount, 1)
          on conflict (tenant_id, period, meter_id, starts_on, customer_id) do update
            set used = usage_counters.used + excluded.used, events = usage_counters.events + 1;
        insert into public.usage_totals (tenant_id, meter_id, day, used, events) values (p_tenant, v_meter, v_today, v_amount, 1)
          on conflict (tenant_id, meter_id, day) do update set used = usage_totals.used + excluded.used, events = usage_totals.events + 1;
        insert into public.usage_quarters (tenant_id, meter_id, quarter, used, events) values (p_tenant, v_meter, v_quarter, v_amount, 1)
          on conflict (tenant_id, meter_id, quarter) do update set used = usage_quarters.used + excluded.used, events = usage_quarters.events + 1;
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
        when v_period = 'day' then extract(epoch from app.day_start(v_today + 1, p_time_zone))
        else extract(epoch from app.day_start(app.period_end(v_first, 'month', v_anchor), p_time_zone)) end;
      select k.used into v_used from public.usage_counters k
        where k.tenant_id = p_tenant and k.period = v_period and k.meter_id = v_meter and k.starts_on = v_starts and k.customer_id = v_customer;
      return jsonb_build_object('codes', null, 'refused', null,
        'usage', jsonb_build_array(jsonb_build_array(1, 1, v_used::text, v_limit::text, v_behaviour, v_period, v_ends)));
    end
  $$;

create or replace function app.record_usage(
  p_tenant uuid, p_time_zone text, p_meters text[], p_users text[], p_meter integer[], p_user integer[], p_values numeric[],
  p_keys uuid[], p_event_ids text[], p_sources text[], p_times timestamptz[], p_properties jsonb[], p_corrects uuid[],
  p_probe boolean, p_repeats boolean, p_strict boolean, p_report boolean, p_enforce boolean
) returns jsonb
  language plpgsql volatile set search_path = '' set plan_cache_mode = force_generic_plan set enable_seqscan = off
  set enable_hashjoin = off set enable_mergejoin = off
  as $$
    declare
      v_none constant uuid := '00000000-0000-0000-0000-000000000000';
      v_lock constant bigint := hashtextextended('usage ' || p_tenant::text, 0);
      v_now timestamptz := clock_timestamp();
      v_month date;
      v_today date;
      v_first date;
      v_day_end numeric;
      v_month_end numeric;
      v_settings public.usage_settings;
      v_meter_ids uuid[];
      v_meter_codes smallint[];
      v_kinds text[];
      v_negative boolean[];
      v_from_property text[];
      v_filters jsonb[];
      v_groups jsonb[];
      v_plain boolean;
      v_looked boolean := false;
      v_min uuid[];
      v_max uuid[];
      v_latest uuid[];
      v_values numeric[] := p_values;
      v_weights smallint[];
      v_counted numeric[];
      v_quarter timestamptz;
      v_quarters timestamptz[];
      v_versions integer[];
      v_default_version integer;
      v_individual boolean;
      v_entitled boolean;
      v_balanced boolean;
      v_reserved boolean;
      v_customer_ids uuid[];
      v_customer_codes smallint[];
      v_tiers uuid[];
      v_anchors integer[];
      v_default uuid;
      v_amounts numeric[];
      v_asked_amounts numeric[];
      v_days date[];
      v_asked smallint[];
      v_codes smallint[];
      v_over boolean;
      v_probe boolean := p_probe;
      v_known uuid[];
      v_wanted integer[];
      v_capped boolean;
      v_pair_users integer[];
      v_pair_meters integer[];
      v_pair_starts date[];
      v_pair_periods text[];
      v_pair_limits numeric[];
      v_pair_totals numeric[];
      v_pair_behaviours text[];
      v_pair_balanced boolean[];
      v_used numeric[];
      v_held numeric[];
      v_held_customers uuid[];
      v_held_meters uuid[];
      v_places integer[];
      v_hashes text[];
      v_hash text;
      v_left numeric;
      v_event record;
      v_refused jsonb[];
      v_pair_ends numeric[];
      v_pair_held numeric[];
      v_usage jsonb;
    begin
      if not app.can('usage:write') then
        raise exception using errcode = '42501', message = 'usage:write is needed';
      end if;
      -- Shared by the writers of a tenant. Exclusive around midnight of the first, when two of them could put the same event into
      -- two partitions, and for whoever rebuilds counters.
      if date_trunc('month', (v_now - interval '5 minutes') at time zone 'UTC')
          <> date_trunc('month', (v_now + interval '5 minutes') at time zone 'UTC') then
        perform pg_advisory_xact_lock(v_lock);
        v_now := clock_timestamp();
      else
        perform pg_advisory_xact_lock_shared(v_lock);
        -- Read once the lock is held: who closes a period waits for writers, and nothing may be received before that afterwards.
        v_now := clock_timestamp();
      end if;
      v_month := date_trunc('month', v_now at time zone 'UTC')::date;
      v_today := (v_now at time zone p_time_zone)::date;
      v_first := date_trunc('month', v_today::timestamp)::date;
      select * into v_settings from public.usage_settings s where s.tenant_id = p_tenant;
      select t.id, t.version into v_default, v_default_version from public.tiers t where t.tenant_id = p_tenant and t.is_default;

      -- Meters and customers, by their position in what was sent. Each is looked up by itself (lateral, limit 1), so that the plan
      -- that is kept stays right however large the tables become.
      select array_agg(coalesce(m.id, v_none)), array_agg(case when m.id is null then 3 when m.archived_at is not null then 4 else 0 end),
          array_agg(coalesce(m.aggregation, 'SUM')), array_agg(coalesce(m.allows_negative or m.aggregation in ('COUNT', 'WEIGHTED_SUM'), false)),
          array_agg(m.value_property), array_agg(m.filter), array_agg(case when m.group_by <> '{}' then to_jsonb(m.group_by) end),
          bool_and(coalesce(m.aggregation in ('SUM', 'COUNT', 'AVG') and m.value_property is null and m.filter is null, true)),
          array_agg(m.id) filter (where m.aggregation = 'MIN'), array_agg(m.id) filter (where m.aggregation = 'MAX'),
          array_agg(m.id) filter (where m.aggregation = 'LATEST'), coalesce(bool_or(m.individual), false)
        into v_meter_ids, v_meter_codes, v_kinds, v_negative, v_from_property, v_filters, v_groups, v_plain, v_min, v_max, v_latest, v_individual
        from unnest(p_meters) r (ref)
        left join lateral (
          select x.* from public.meters x where x.tenant_id = p_tenant and x.slug = r.ref
          union all
          select x.* from public.meters x
            where x.tenant_id = p_tenant and x.id = case when pg_input_is_valid(r.ref, 'uuid') then r.ref::uuid end
          limit 1
        ) m on true;
      for attempt in 1 .. 2 loop
        select array_agg(coalesce(c.id, v_none)), array_agg(case when c.id is null then 5 when c.archived_at is not null then 6 else 0 end),
            array_agg(coalesce(s.tier_id, v_default, v_none)), array_agg(coalesce(s.tier_version, v_default_version, 1)),
            array_agg(coalesce(s.anchor_day, 1))
          into v_customer_ids, v_customer_codes, v_tiers, v_versions, v_anchors
          from unnest(p_users) r (ref)
          left join lateral (
            select x.id, x.archived_at from public.customers x where x.tenant_id = p_tenant and x.external_id = r.ref limit 1
          ) c on true
          left join lateral (
            select x.tier_id, x.tier_version, x.anchor_day from public.subscriptions x
            where x.tenant_id = p_tenant and x.customer_id = c.id and x.canceled_at is null limit 1
          ) s on true;
        exit when attempt = 2 or 5 <> all (v_customer_codes) or not coalesce(v_settings.creates_customers, true);
        select array_agg(distinct e.u) into v_wanted from unnest(p_user, p_meter) e (u, m)
          where v_customer_codes[e.u] = 5 and v_meter_codes[e.m] = 0;
        exit when v_wanted is null;
        insert into public.customers (tenant_id, id, external_id)
          select p_tenant, app.uuid_v7(), p_users[w.u] from unnest(v_wanted) w (u)
          order by 3
          on conflict (tenant_id, external_id) do nothing;
      end loop;

      -- Events, one by one as far as they can be judged alone.
      if not v_plain then
        select array_agg(case when w.weight = 0 or v_from_property[e.m] is null or v_kinds[e.m] = 'UNIQUE_COUNT' then e.v
              else app.property_number(e.p -> v_from_property[e.m]) end order by e.ord),
            array_agg(w.weight order by e.ord)
          into v_values, v_weights
          from unnest(p_meter, p_values, p_properties) with ordinality e (m, v, p, ord)
          cross join lateral (
            select case when v_filters[e.m] is null or app.passes_filter(v_filters[e.m], e.p) then 1 else 0 end as weight offset 0
          ) w;
      end if;
      v_quarter := date_bin('15 minutes', v_now, '2000-01-01 00:00:00+00');
      if v_plain and p_times is null then
        select array_agg(case
            when v_meter_codes[e.m] <> 0 then v_meter_codes[e.m]
            when v_customer_codes[e.u] <> 0 then v_customer_codes[e.u]
            when e.v < 0 and not v_negative[e.m] then 9 else 0 end)
          into v_asked from unnest(p_meter, p_user, p_values) e (m, u, v);
      else
        select array_agg(case
          when v_meter_codes[e.m] <> 0 then v_meter_codes[e.m]
          when v_customer_codes[e.u] <> 0 then v_customer_codes[e.u]
          when e.w = 0 then 0
          when e.v is null then 11
          when v_kinds[e.m] = 'UNIQUE_COUNT' and (e.p ->> v_from_property[e.m]) is null then 11
          when e.v < 0 and not v_negative[e.m] then 9
          when e.t < v_now - make_interval(days => coalesce(v_settings.accepts_late_days, 35)) then 7
          when e.t > v_now + make_interval(secs => coalesce(v_settings.accepts_early_seconds, 300)) then 8 else 0 end)
          into v_asked
          from unnest(p_meter, p_user, v_values, p_times, v_weights, case when not v_plain then p_properties end) e (m, u, v, t, w, p);
      end if;
      if p_times is null then
        v_days := array_fill(v_today, array[cardinality(p_meter)]);
        v_quarters := array_fill(v_quarter, array[cardinality(p_meter)]);
      else
        select array_agg((coalesce(e.t, v_now) at time zone p_time_zone)::date),
            array_agg(date_bin('15 minutes', coalesce(e.t, v_now), '2000-01-01 00:00:00+00'))
          into v_days, v_quarters from unnest(p_times) e (t);
      end if;
      -- What each adds to its counter: for UNIQUE_COUNT that is known only once the others are counted.
      if 'COUNT' = any (v_kinds) or not v_plain then
        select array_agg(case when v_kinds[e.m] in ('COUNT', 'UNIQUE_COUNT') then 1 else coalesce(e.v, 0) end)
          into v_asked_amounts from unnest(p_meter, v_values) e (m, v);
      else
        v_asked_amounts := p_values;
      end if;
      v_entitled := v_individual and exists (
        select 1 from public.entitlements c where c.tenant_id = p_tenant and c.meter_id = any (v_meter_ids) and c.canceled_at is null);
      -- Allowances that roll over have a balance from their first usage on.
      select coalesce(bool_or(p_enforce or c.behaviour <> 'overflow'), false), coalesce(bool_or(c.rollover_max > 0 or c.preserve_overage), false)
        into v_capped, v_balanced
        from public.tier_caps c where c.tenant_id = p_tenant and c.meter_id = any (v_meter_ids);
      v_balanced := v_balanced
        or v_individual and exists (select 1 from public.balances c where c.tenant_id = p_tenant and c.meter_id = any (v_meter_ids))
        or v_entitled and exists (select 1 from public.entitlements c
          where c.tenant_id = p_tenant and c.meter_id = any (v_meter_ids) and c.canceled_at is null
            and (c.rollover_max > 0 or c.preserve_overage));
      v_capped := v_capped or v_entitled or v_balanced;

      -- What would be refused now may have been counted before: then it is a duplicate.
      v_probe := v_probe or p_event_ids is not null and v_asked && '{4, 6, 7, 8}'::smallint[];

      for attempt in 1 .. 10 loop
        begin
          v_codes := v_asked;
          v_amounts := v_asked_amounts;
          v_counted := null;
          v_refused := null;
          v_hashes := '{}';
          v_pair_users := null;
          v_pair_balanced := null;
          v_pair_ends := null;
          v_pair_held := null;

          -- What is here already: the same is a duplicate, anything else a conflict. Months gone by are always looked through; in
          -- this one the primary key would tell, so it is looked at first only when repetitions are to be expected.
          if p_event_ids is not null or v_probe then
            select array_agg(e.id) into v_known from public.usage_events e
              where e.tenant_id = p_tenant and e.id = any (p_keys)
                and e.received_month <= case when v_probe then v_month else v_month - 1 end;
            if v_known is not null then
              select array_agg(case
                  when e.id is null or k.code not in (0, 4, 6, 7, 8) then k.code
                  when e.meter_id = v_meter_ids[k.m] and e.customer_id = v_customer_ids[k.u] and e.value = k.v
                    and e.properties is not distinct from k.properties and e.occurred_at = coalesce(k.t, e.received_at) then 1
                  else 2 end order by k.ord)
                into v_codes
                from unnest(p_keys, v_codes, p_meter, p_user, v_values, p_times, p_properties)
                  with ordinality k (key, code, m, u, v, t, properties, ord)
                left join lateral (
                  select * from public.usage_events x where x.tenant_id = p_tenant and x.id = k.key and x.received_month <= v_month limit 1
                ) e on true;
            end if;
          end if;
          if p_repeats then
            select array_agg(case
                when k.code <> 0 or k.ord = k.first then k.code
                when k.m = p_meter[k.first] and k.u = p_user[k.first] and k.v = v_values[k.first]
                  and k.t is not distinct from p_times[k.first] and k.properties is not distinct from p_properties[k.first] then 1
                else 2 end order by k.ord)
              into v_codes
              from (
                select *, min(r.ord) filter (where r.code = 0) over (partition by r.key) as first
                from unnest(p_keys, v_codes, p_meter, p_user, v_values, p_times, p_properties)
                  with ordinality r (key, code, m, u, v, t, properties, ord)
              ) k;
          end if;

          -- Caps that refuse, and balances: hold the counters, in one order for everybody, then let in what fits, first come first served.
          if v_capped and v_plain and not v_entitled and not v_balanced then
            select array_agg(q.u), array_agg(q.m), array_agg(q.starts_on), array_agg(q.period), array_agg(q.cap_limit),
                array_agg(q.behaviour), array_agg(q.total)
              into v_pair_users, v_pair_meters, v_pair_starts, v_pair_periods, v_pair_limits, v_pair_behaviours, v_pair_totals
              from (
                select e.u, e.m, case when c.period = 'day' then e.day else app.period_start(e.day, c.period, v_anchors[e.u]) end as starts_on,
                  c.period, c.cap_limit, c.behaviour, sum(e.total) as total
                from (
                  select e.u, e.m, e.day, sum(e.amount) as total from unnest(p_user, p_meter, v_amounts, v_days, v_codes) e (u, m, amount, day, code)
                  where e.code = 0 and v_kinds[e.m] <> 'AVG'
                  group by 1, 2, 3
                ) e
                cross join lateral (
                  select x.cap_limit, x.period, x.behaviour from public.tier_caps x
                  where x.tenant_id = p_tenant and x.tier_id = v_tiers[e.u] and x.version = v_versions[e.u] and x.meter_id = v_meter_ids[e.m]
                    and (p_enforce or x.behaviour <> 'overflow')
                  limit 1
                ) c
                group by 1, 2, 3, 4, 5, 6
                order by 4 desc, v_meter_ids[e.m], 3, v_customer_ids[e.u]
              ) q;
          elsif v_capped then
            select array_agg(q.u), array_agg(q.m), array_agg(q.starts_on), array_agg(q.period), array_agg(q.cap_limit),
                array_agg(q.behaviour), array_agg(q.total), array_agg(q.balanced)
              into v_pair_users, v_pair_meters, v_pair_starts, v_pair_periods, v_pair_limits, v_pair_behaviours, v_pair_totals, v_pair_balanced
              from (
                select e.u, e.m, case when c.period = 'day' then e.day else app.period_start(e.day, c.period, v_anchors[e.u]) end as starts_on,
                  c.period, c.cap_limit, c.behaviour, b.customer_id is not null or c.rolls as balanced,
                  case when v_kinds[e.m] in ('MAX', 'LATEST') then max(e.most) else sum(e.total) end as total
                from (
                  select e.u, e.m, e.day, sum(e.amount) as total, max(e.amount) as most
                  from unnest(p_user, p_meter, v_amounts, v_days, v_codes, v_weights) e (u, m, amount, day, code, w)
                  where e.code = 0 and e.w is distinct from 0
                  group by 1, 2, 3
                ) e
                left join lateral (
                  select x.customer_id from public.balances x
                  where v_balanced and x.tenant_id = p_tenant and x.customer_id = v_customer_ids[e.u] and x.meter_id = v_meter_ids[e.m]
                  limit 1
                ) b on true
                cross join lateral (
                  select coalesce(y.cap_limit, 0) as cap_limit, y.period, y.behaviour, y.rolls and v_kinds[e.m] in ('SUM', 'COUNT') as rolls
                  from (
                    select x.cap_limit, x.period, x.behaviour, x.rollover_max > 0 or x.preserve_overage as rolls from public.entitlements x
                    where v_entitled and x.tenant_id = p_tenant and x.customer_id = v_customer_ids[e.u] and x.meter_id = v_meter_ids[e.m]
                      and x.canceled_at is null
                    union all
                    select x.cap_limit, x.period, x.behaviour, x.rollover_max > 0 or x.preserve_overage from public.tier_caps x
                    where x.tenant_id = p_tenant and x.tier_id = v_tiers[e.u] and x.version = v_versions[e.u] and x.meter_id = v_meter_ids[e.m]
                    union all
                    -- A balance from before, and no cap any more: nothing is refused.
                    select 'Infinity', 'month', 'none', false where b.customer_id is not null
                    limit 1
                  ) y
                  where (p_enforce or y.behaviour <> 'overflow' or b.customer_id is not null or y.rolls)
                    and v_kinds[e.m] in ('SUM', 'COUNT', 'UNIQUE_COUNT', 'MAX', 'LATEST')
                ) c
                group by 1, 2, 3, 4, 5, 6, 7
                order by 4 desc, v_meter_ids[e.m], 3, v_customer_ids[e.u]
              ) q;
          end if;
          if v_pair_users is not null then
            -- A soft cap that is held this once is held in the order in which others move its counters: after what all hold first, and with
            -- whatever else this batch moves.
            if p_enforce and not (v_days[1] = all (v_days) and cardinality(p_users) * cardinality(p_meters) = cardinality(v_pair_users)
                and 'day' <> all (v_pair_periods)) then
              perform app.hold_counters(p_tenant, array_agg(q.period), array_agg(v_meter_ids[q.m]), array_agg(q.starts_on), array_agg(v_customer_ids[q.u]))
                from unnest(v_pair_periods, v_pair_meters, v_pair_starts, v_pair_users, v_pair_behaviours, v_pair_balanced)
                  q (period, m, starts_on, u, behaviour, balanced)
                where q.behaviour <> 'overflow' or q.balanced;
              perform app.hold_counters(p_tenant, array_agg(s.period), array_agg(v_meter_ids[e.m]), array_agg(s.starts_on), array_agg(v_customer_ids[e.u]))
                from (
                  select distinct x.u, x.m, x.day from unnest(p_user, p_meter, v_days, v_codes, v_weights) x (u, m, day, code, w)
                  where x.code = 0 and x.w is distinct from 0
                ) e
                cross join lateral (
                  values ('month', app.period_start(e.day, 'month', v_anchors[e.u])), ('day', e.day)
                ) s (period, starts_on)
                where s.period = 'month' or 'day' = any (v_pair_periods);
            end if;
            insert into public.usage_counters (tenant_id, period, meter_id, starts_on, customer_id, used, events)
              select p_tenant, q.period, v_meter_ids[q.m], q.starts_on, v_customer_ids[q.u], 0, 0
              from unnest(v_pair_periods, v_pair_meters, v_pair_starts, v_pair_users) q (period, m, starts_on, u)
              order by 2 desc, 3, 4, 5
              on conflict (tenant_id, period, meter_id, starts_on, customer_id) do nothing;
            select array_agg(h.used) into v_used
              from unnest(v_pair_periods, v_pair_meters, v_pair_starts, v_pair_users) q (period, m, starts_on, u)
              cross join lateral (
                select c.used from public.usage_counters c
                where c.tenant_id = p_tenant and c.period = q.period and c.meter_id = v_meter_ids[q.m] and c.starts_on = q.starts_on
                  and c.customer_id = v_customer_ids[q.u]
                for update
              ) h;
            -- Only now, with the counters held, do balances and reservations stand still.
            if true = any (v_pair_balanced) then
              select array_agg(v_customer_ids[q.u] order by q.ord), array_agg(v_meter_ids[q.m] order by q.ord)
                into v_held_customers, v_held_meters
                from unnest(v_pair_users, v_pair_meters, v_pair_balanced) with ordinality q (u, m, balanced, ord)
                where q.balanced;
              perform app.open_balances(p_tenant, v_held_customers, v_held_meters, v_now, p_time_zone, false);
              perform app.hold_balances(p_tenant, v_held_customers, v_held_meters, v_now, p_time_zone);
              select array_agg(case
                    when not q.balanced or q.behaviour = 'none' then q.cap_limit
                    when b.starts_on = q.starts_on then q.used + b.granted - b.used + b.overage
                    -- Usage ahead of its period may take what that is sure to begin with.
                    when b.starts_on < q.starts_on and (p_enforce or q.behaviour <> 'overflow') then
                      q.used + app.assured_left(p_tenant, v_customer_ids[q.u], v_meter_ids[q.m], app.day_start(q.starts_on, p_time_zone), p_time_zone)
                    else q.cap_limit end order by q.ord),
                  array_agg(q.balanced and b.starts_on is not distinct from q.starts_on order by q.ord)
                into v_pair_limits, v_pair_balanced
                from unnest(v_pair_users, v_pair_meters, v_pair_starts, v_pair_limits, v_pair_behaviours, v_pair_balanced, v_used)
                  with ordinality q (u, m, starts_on, cap_limit, behaviour, balanced, used, ord)
                left join lateral (
                  select x.starts_on, x.granted, x.used, x.overage from public.balances x
                  where q.balanced and x.tenant_id = p_tenant and x.customer_id = v_customer_ids[q.u] and x.meter_id = v_meter_ids[q.m]
                  limit 1
                ) b on true;
            end if;
            v_reserved := exists (
              select 1 from public.reservations r where r.tenant_id = p_tenant and r.meter_id = any (v_meter_ids) and r.status = 'held');
            if v_reserved then
              select array_agg(coalesce(h.amount, 0) order by q.ord), array_agg(v_pair_limits[q.ord] - coalesce(h.amount, 0) order by q.ord)
                into v_pair_held, v_pair_limits
                from unnest(v_pair_meters, v_pair_users, v_pair_starts, v_pair_periods) with ordinality q (m, u, starts_on, period, ord)
                left join lateral (
                  select sum(r.amount) as amount from public.reservations r
                  where r.tenant_id = p_tenant and r.customer_id = v_customer_ids[q.u] and r.meter_id = v_meter_ids[q.m] and r.status = 'held'
                    and r.expires_at > v_now and q.starts_on = app.period_start(v_today, q.period, v_anchors[q.u])
                ) h on true;
            end if;
            select bool_or(case when v_kinds[q.m] in ('MAX', 'LATEST') then q.total > q.cap_limit else q.used + q.total > q.cap_limit end)
              into v_over
              from unnest(v_pair_meters, v_used, v_pair_limits, v_pair_totals, v_pair_behaviours) q (m, used, cap_limit, total, behaviour)
              where p_enforce or q.behaviour <> 'overflow';
            if v_over or true = any (v_pair_balanced) then
              v_places := app.pairs_of_events(p_user, p_meter, v_days, v_anchors, v_pair_users, v_pair_meters, v_pair_starts, v_pair_periods);
            end if;
            if v_over then
              for v_event in
                select e.ord, e.amount, e.pair, v_pair_limits[e.pair] as cap_limit, v_pair_periods[e.pair] as period, v_pair_starts[e.pair] as starts_on,
                  v_anchors[e.u] as anchor, v_kinds[e.m] as kind, v_pair_behaviours[e.pair] as behaviour, e.properties ->> v_from_property[e.m] as text,
                  -- Takes the place of an event, which is taken back by now, and asks for no more than it did.
                  case when e.corrects is not null and v_kinds[e.m] in ('SUM', 'COUNT') then exists (
                    select 1 from public.usage_events x
                    where x.tenant_id = p_tenant and x.id = e.corrects and x.meter_id = v_meter_ids[e.m] and x.customer_id = v_customer_ids[e.u]
                      and app.period_start((x.occurred_at at time zone p_time_zone)::date, v_pair_periods[e.pair], v_anchors[e.u]) = v_pair_starts[e.pair]
                      and app.event_amount(v_kinds[e.m], x.value, x.counted) >= e.amount)
                  else false end as is_less
                from unnest(v_places, p_user, p_meter, v_amounts, v_codes, v_weights, p_properties, p_corrects)
                  with ordinality e (pair, u, m, amount, code, w, properties, corrects, ord)
                where e.code = 0 and e.w is distinct from 0 and e.pair is not null and (p_enforce or v_pair_behaviours[e.pair] <> 'overflow')
                order by e.ord
              loop
                v_left := v_event.cap_limit - v_used[v_event.pair];
                if v_event.kind = 'UNIQUE_COUNT' then
                  v_hash := v_event.pair || ' ' || v_event.text;
                  if v_hash = any (v_hashes) or exists (
                      select 1 from public.usage_uniques x
                      where x.tenant_id = p_tenant and x.meter_id = v_meter_ids[p_meter[v_event.ord]] and x.period = v_event.period
                        and x.starts_on = v_event.starts_on and x.customer_id = v_customer_ids[p_user[v_event.ord]]
                        and x.value_hash = md5(v_event.text)::uuid and x.events > 0) then
                    continue;
                  end if;
                end if;
                if v_event.kind in ('MAX', 'LATEST') then
                  continue when v_event.amount <= v_event.cap_limit;
                elsif v_event.amount <= 0 or v_event.amount <= v_left or v_event.is_less then
                  v_used[v_event.pair] := v_used[v_event.pair] + v_event.amount;
                  if v_event.kind = 'UNIQUE_COUNT' then
                    v_hashes := v_hashes || v_hash;
                  end if;
                  continue;
                elsif v_event.behaviour = 'cap' and v_event.kind = 'SUM' and v_left > 0 and not p_enforce then
                  v_used[v_event.pair] := v_event.cap_limit;
                  v_counted := coalesce(v_counted, array_fill(null::numeric, array[cardinality(p_meter)]));
                  v_counted[v_event.ord] := v_left;
                  v_amounts[v_event.ord] := v_left;
                  continue;
                end if;
                v_codes[v_event.ord] := 10;
                if v_pair_ends[v_event.pair] is null then
                  v_pair_ends[v_event.pair] := extract(epoch from app.day_start(app.period_end(v_event.starts_on, v_event.period, v_event.anchor), p_time_zone));
                end if;
                -- A list that is added to in place: one of JSON would be written anew for each.
                v_refused := array_append(v_refused, jsonb_build_array(v_event.ord, (v_event.cap_limit + coalesce(v_pair_held[v_event.pair], 0))::text,
                  v_used[v_event.pair]::text, v_event.period, v_pair_ends[v_event.pair], nullif(v_pair_held[v_event.pair], 0)::text));
              end loop;
              if p_repeats then
                -- What repeats an event that was refused was not counted either.
                select array_agg(case
                    when k.code in (1, 2) and 10 = any (k.codes) and not 0 = any (k.codes) then 10 else k.code end order by k.ord)
                  into v_codes
                  from (
                    select r.*, array_agg(r.code) over (partition by r.key) as codes
                    from unnest(p_keys, v_codes) with ordinality r (key, code, ord)
                  ) k;
              end if;
            end if;
          end if;
          -- What is refused may be here already, from before the cap was reached: then it is a duplicate, and there is room for others.
          -- Looked for before the counters were held it may have been missed: once more, now that nobody else can move them.
          if v_refused is not null and (p_event_ids is not null or p_probe) and not v_looked then
            v_looked := true;
            v_probe := true;
            continue;
          end if;
          if p_strict and not 1 >= all (v_codes) then
            raise exception using errcode = 'TM020', message = 'strict', detail = jsonb_build_object('codes', v_codes, 'refused', to_jsonb(v_refused))::text;
          end if;

          if v_plain and v_counted is null and p_corrects is null then
            insert into public.usage_events (tenant_id, id, meter_id, customer_id, value, occurred_at, received_at, received_month,
                event_id, source, properties)
              select p_tenant, e.key, v_meter_ids[e.m], v_customer_ids[e.u], e.v, coalesce(e.t, v_now), v_now, v_month,
                e.event_id, e.source, e.properties
              from unnest(p_keys, p_meter, p_user, p_values, p_times, p_event_ids, p_sources, p_properties, v_codes)
                e (key, m, u, v, t, event_id, source, properties, code)
              where e.code = 0
              order by e.key;
          else
            insert into public.usage_events (tenant_id, id, meter_id, customer_id, value, occurred_at, received_at, received_month,
                event_id, source, properties, weight, counted, corrects)
              select p_tenant, e.key, v_meter_ids[e.m], v_customer_ids[e.u], e.v, coalesce(e.t, r.at), r.at, v_month,
                e.event_id, e.source, e.properties, coalesce(e.w, 1), e.counted, e.corrects
              from unnest(p_keys, p_meter, p_user, v_values, p_times, p_event_ids, p_sources, p_properties, v_codes, v_weights, v_counted, p_corrects)
                with ordinality e (key, m, u, v, t, event_id, source, properties, code, w, counted, corrects, ord)
              cross join lateral (
                select case when v_kinds[e.m] = 'LATEST' then v_now + e.ord * interval '1 microsecond' else v_now end as at offset 0
              ) r
              where e.code = 0
              order by e.key;
          end if;
          -- In one order for everybody, else two writers wait for each other: months, days, then the totals and the quarters of all customers.
          -- What inserts last here runs first, and what is before it from the last to the first; a test holds that. An upsert needs no plan
          -- that could turn bad as the table grows.
          if v_plain and v_days[1] = all (v_days) and v_quarters[1] = all (v_quarters) then
            -- What happened at about one moment, as most does: summed once, and in the order of the counters' key from then on.
            with pairs as materialized (
              select v_meter_ids[e.m] as meter_id, v_customer_ids[e.u] as customer_id, case v_anchors[e.u]
                  when 1 then v_days[1] - date_part('day', v_days[1])::integer + 1
                  else app.period_start(v_days[1], 'month', v_anchors[e.u]) end as month, sum(e.amount) as used, count(*) as events
              from unnest(p_user, p_meter, v_amounts, v_codes) e (u, m, amount, code)
              where e.code = 0
              group by 1, e.u
              order by 1, 2
            ),
            totals as materialized (
              select p.meter_id, sum(p.used) as used, sum(p.events) as events from pairs p group by 1 order by 1
            ),
            quarters_moved as (
              insert into public.usage_quarters (tenant_id, meter_id, quarter, used, events)
                select p_tenant, t.meter_id, v_quarters[1], t.used, t.events from totals t order by 2
                on conflict (tenant_id, meter_id, quarter) do update
                  set used = usage_quarters.used + excluded.used, events = usage_quarters.events + excluded.events
            ),
            totals_moved as (
              insert into public.usage_totals (tenant_id, meter_id, day, used, events)
                select p_tenant, t.meter_id, v_days[1], t.used, t.events from totals t order by 2
                on conflict (tenant_id, meter_id, day) do update
                  set used = usage_totals.used + excluded.used, events = usage_totals.events + excluded.events
            )
            insert into public.usage_counters (tenant_id, period, meter_id, starts_on, customer_id, used, events)
              (select p_tenant, 'month', p.meter_id, p.month, p.customer_id, p.used, p.events from pairs p order by p.meter_id, p.month, p.customer_id)
              union all
              select p_tenant, 'day', p.meter_id, v_days[1], p.customer_id, p.used, p.events from pairs p
              on conflict (tenant_id, period, meter_id, starts_on, customer_id) do update
                set used = usage_counters.used + excluded.used, events = usage_counters.events + excluded.events;
          elsif v_plain then
            with days as materialized (
              select e.u, e.m, e.day, e.quarter, case v_anchors[e.u]
                  when 1 then e.day - date_part('day', e.day)::integer + 1
                  else app.period_start(e.day, 'month', v_anchors[e.u]) end as month, sum(e.amount) as used, count(*) as events
              from unnest(p_user, p_meter, v_days, v_quarters, v_amounts, v_codes) e (u, m, day, quarter, amount, code)
              where e.code = 0
              group by 1, 2, 3, 4
            ),
            quarters_moved as (
              insert into public.usage_quarters (tenant_id, meter_id, quarter, used, events)
                select p_tenant, v_meter_ids[d.m], d.quarter, sum(d.used), sum(d.events) from days d group by 2, 3 order by 2, 3
                on conflict (tenant_id, meter_id, quarter) do update
                  set used = usage_quarters.used + excluded.used, events = usage_quarters.events + excluded.events
            ),
            totals_moved as (
              insert into public.usage_totals (tenant_id, meter_id, day, used, events)
                select p_tenant, v_meter_ids[d.m], d.day, sum(d.used), sum(d.events) from days d group by 2, 3 order by 2, 3
                on conflict (tenant_id, meter_id, day) do update
                  set used = usage_totals.used + excluded.used, events = usage_totals.events + excluded.events
            )
            insert into public.usage_counters (tenant_id, period, meter_id, starts_on, customer_id, used, events)
              select p_tenant, 'month', v_meter_ids[d.m], d.month, v_customer_ids[d.u], sum(d.used), sum(d.events) from days d group by 3, 4, 5
              union all
              select p_tenant, 'day', v_meter_ids[d.m], d.day, v_customer_ids[d.u], sum(d.used), sum(d.events) from days d group by 3, 4, 5
              order by 2 desc, 3, 4, 5
              on conflict (tenant_id, period, meter_id, starts_on, customer_id) do update
                set used = usage_counters.used + excluded.used, events = usage_counters.events + excluded.events;
          else
            perform app.move_counters(p_tenant, v_now, v_meter_ids, v_customer_ids, v_kinds, v_from_property, v_anchors, v_min, v_max, v_latest,
              p_user, p_meter, v_days, v_quarters, v_amounts, v_codes, v_weights, p_times, p_properties);
          end if;
          if num_nonnulls(variadic v_groups) > 0 then
            perform app.move_groups(p_tenant, v_now, v_meter_ids, v_customer_ids, v_kinds, v_groups, v_min, v_max, v_latest,
              p_user, p_meter, v_days, v_amounts, v_codes, v_weights, p_times, p_properties);
          end if;
          if true = any (v_pair_balanced) then
            perform app.burn_balances(p_tenant, q.customers, q.meters, q.amounts, v_now)
              from (
                select array_agg(v_customer_ids[v_pair_users[e.pair]] order by e.pair) as customers,
                  array_agg(v_meter_ids[v_pair_meters[e.pair]] order by e.pair) as meters, array_agg(e.amount order by e.pair) as amounts
                from (
                  select x.pair, sum(x.amount) as amount from unnest(v_places, v_amounts, v_codes, v_weights) x (pair, amount, code, w)
                  where x.code = 0 and x.w is distinct from 0 and v_pair_balanced[x.pair]
                  group by 1
                ) e
              ) q;
          end if;
          exit;
        exception when unique_violation then
          -- One of these events is here already: look first in the next round.
          if attempt = 10 then
            raise;
          end if;
          v_probe := true;
        end;
      end loop;

      if exists (select 1 from public.alert_rules r where r.tenant_id = p_tenant) then
        perform app.fire_alerts(p_tenant, p_time_zone, q.meters, q.customers, q.starts)
          from (
            select array_agg(v_meter_ids[e.m]) as meters, array_agg(v_customer_ids[e.u]) as customers,
              array_agg(app.period_start(v_today, 'month', v_anchors[e.u])) as starts
            from (select distinct x.u, x.m from unnest(p_user, p_meter, v_codes) x (u, m, code) where x.code = 0) e
          ) q
          where q.meters is not null;
      end if;

      if p_report then
        -- Resets of the calendar are the same for all.
        v_day_end := extract(epoch from app.day_start(v_today + 1, p_time_zone));
        v_month_end := extract(epoch from app.day_start((v_first + interval '1 month')::date, p_time_zone));
        select jsonb_agg(jsonb_build_array(e.u, e.m,
            case when b.customer_id is not null then b.used::text
              when v_kinds[e.m] = 'WEIGHTED_SUM' then app.weighted_average(p_tenant, v_meter_ids[e.m], v_customer_ids[e.u], q.starts_on,
                app.day_start(q.starts_on, p_time_zone), least(v_now, to_timestamp(q.ends)), c.used, c.moment)::text
              else coalesce(app.metered_value(v_kinds[e.m], c.used, c.events), 0)::text end,
            case when b.customer_id is not null and t.cap_limit is not null then (b.granted + b.overage)::text else t.cap_limit::text end, t.behaviour, q.period, q.ends)
            || case when h.amount is not null then jsonb_build_array(nullif(b.overage, 0)::text, h.amount::text)
              when b.overage > 0 then jsonb_build_array(b.overage::text) else '[]' end)
          into v_usage
          from (
            select distinct e.u, e.m from unnest(p_user, p_meter) e (u, m) where v_meter_codes[e.m] = 0 and v_customer_codes[e.u] = 0
          ) e
          left join lateral (
            select coalesce(x.cap_limit, 0) as cap_limit, x.behaviour, x.period from public.entitlements x
            where v_entitled and x.tenant_id = p_tenant and x.customer_id = v_customer_ids[e.u] and x.meter_id = v_meter_ids[e.m]
              and x.canceled_at is null
            union all
            select x.cap_limit, x.behaviour, x.period from public.tier_caps x
            where x.tenant_id = p_tenant and x.tier_id = v_tiers[e.u] and x.version = v_versions[e.u] and x.meter_id = v_meter_ids[e.m]
            limit 1
          ) t on true
          cross join lateral (
            select coalesce(t.period, 'month') as period,
              case when t.period = 'day' then v_today when v_anchors[e.u] = 1 then v_first
                else app.period_start(v_today, 'month', v_anchors[e.u]) end as starts_on,
              case when t.period = 'day' then v_day_end when v_anchors[e.u] = 1 then v_month_end
                else extract(epoch from app.day_start(app.period_end(app.period_start(v_today, 'month', v_anchors[e.u]), 'month', v_anchors[e.u]),
                  p_time_zone)) end as ends
            offset 0
          ) q
          left join lateral (
            select x.used, x.events, x.moment from public.usage_counters x
            where x.tenant_id = p_tenant and x.period = q.period and x.meter_id = v_meter_ids[e.m] and x.starts_on = q.starts_on
              and x.customer_id = v_customer_ids[e.u]
            limit 1
          ) c on true
          left join lateral (
            select x.customer_id, x.used, x.granted, x.overage from public.balances x
            where v_balanced and x.tenant_id = p_tenant and x.customer_id = v_customer_ids[e.u] and x.meter_id = v_meter_ids[e.m]
              and x.starts_on = q.starts_on
            limit 1
          ) b on true
          left join lateral (
            select sum(x.amount) as amount from public.reservations x
            where v_individual and x.tenant_id = p_tenant and x.customer_id = v_customer_ids[e.u] and x.meter_id = v_meter_ids[e.m]
              and x.status = 'held' and x.expires_at > v_now
          ) h on true;
      end if;
      return jsonb_build_object(
        'codes', case when not 0 = all (v_codes) then to_jsonb(v_codes) end,
        'refused', to_jsonb(v_refused), 'usage', v_usage);
    end
  $$;

create or replace function app.move_counters(
  p_tenant uuid, p_now timestamptz, p_meter_ids uuid[], p_customer_ids uuid[], p_kinds text[], p_from_property text[], p_anchors integer[],
  p_min uuid[], p_max uuid[], p_latest uuid[], p_user integer[], p_meter integer[], p_days date[], p_quarters timestamptz[], p_amounts numeric[],
  p_codes smallint[], p_weights smallint[], p_times timestamptz[], p_properties jsonb[]
) returns void
  language plpgsql volatile set search_path = '' set plan_cache_mode = force_generic_plan set enable_seqscan = off
  set enable_hashjoin = on set enable_nestloop = off
  as $$
    declare v_nil constant uuid := '00000000-0000-0000-0000-000000000000';
    begin
      p_min := coalesce(p_min, '{}');
      p_max := coalesce(p_max, '{}');
      p_latest := coalesce(p_latest, '{}');
      -- Which values are new has to be known before counters move: these are held first, as by whoever holds a cap.
      if 'UNIQUE_COUNT' = any (p_kinds) then
        perform app.hold_counters(p_tenant, array_agg(k.period), array_agg(p_meter_ids[k.m]), array_agg(k.starts_on), array_agg(p_customer_ids[k.u]))
          from (
            select distinct s.period, s.starts_on, x.m, x.u
            from unnest(p_user, p_meter, p_days, p_codes, p_weights) x (u, m, day, code, w)
            cross join lateral (values ('month', app.period_start(x.day, 'month', p_anchors[x.u])), ('day', x.day)) s (period, starts_on)
            where x.code = 0 and x.w is distinct from 0
          ) k
          having count(*) > 0;
      end if;
      with rows as materialized (
          select e.*, coalesce(e.t, e.received) as at, e.received as received_at
          from (
            select x.*, case when p_kinds[x.m] = 'LATEST' then p_now + x.ord * interval '1 microsecond' else p_now end as received
            from unnest(p_user, p_meter, p_days, p_quarters, p_amounts, p_codes, p_weights, p_times, p_properties) with ordinality x (u, m, day, quarter, amount, code, w, t, properties, ord)
            where x.code = 0 and x.w is distinct from 0
          ) e
        ),
      -- Each event counts in four places: the customer's day and month, and the day and the quarter of an hour of all.
      moved as materialized (
        select s.scope, r.m, s.starts_on, s.quarter, s.u, case p_kinds[r.m]
              when 'MIN' then min(r.amount) when 'MAX' then max(r.amount)
              when 'LATEST' then (array_agg(r.amount order by r.at desc, r.received_at desc))[1]
              when 'UNIQUE_COUNT' then 0 else sum(r.amount) end as used,
            count(*) as events,
            case when p_kinds[r.m] = 'WEIGHTED_SUM' then sum(r.amount * extract(epoch from r.at)) end as moment,
            case when p_kinds[r.m] = 'LATEST' then max(r.at) end as last_at,
            case when p_kinds[r.m] = 'LATEST' then (array_agg(r.received_at order by r.at desc, r.received_at desc))[1] end as last_received_at
        from rows r
        cross join lateral (
          values ('day', r.day, null::timestamptz, r.u), ('month', app.period_start(r.day, 'month', p_anchors[r.u]), null, r.u),
            ('total', r.day, null, null), ('quarter', null, r.quarter, null)
        ) s (scope, starts_on, quarter, u)
        group by 1, 2, 3, 4, 5
      ),
      values_seen as materialized (
        select p_meter_ids[r.m] as meter_id, s.scope as period, s.starts_on, coalesce(p_customer_ids[s.u], v_nil) as customer_id,
          md5(r.properties ->> p_from_property[r.m])::uuid as value_hash, count(*) as events
        from rows r
        cross join lateral (
          values ('day', r.day, r.u), ('month', app.period_start(r.day, 'month', p_anchors[r.u]), r.u), ('total', r.day, null)
        ) s (scope, starts_on, u)
        where p_kinds[r.m] = 'UNIQUE_COUNT'
        group by 1, 2, 3, 4, 5
      ),
      uniques as (
        insert into public.usage_uniques (tenant_id, meter_id, period, starts_on, customer_id, value_hash, events)
          select p_tenant, v.* from values_seen v order by 2, 3, 4, 5, 6
          on conflict (tenant_id, meter_id, period, starts_on, customer_id, value_hash) do update
            set events = usage_uniques.events + excluded.events
          returning meter_id, period, starts_on, customer_id, value_hash, events
      ),
      fresh as materialized (
        select x.meter_id, x.period, x.starts_on, x.customer_id, count(*) as used
        from uniques x
        join values_seen v on (v.meter_id, v.period, v.starts_on, v.customer_id, v.value_hash, v.events)
          = (x.meter_id, x.period, x.starts_on, x.customer_id, x.value_hash, x.events)
        group by 1, 2, 3, 4
      ),
      quarters_moved as (
        insert into public.usage_quarters (tenant_id, meter_id, quarter, used, events, moment, last_at, last_received_at)
          select p_tenant, p_meter_ids[d.m], d.quarter, d.used, d.events, d.moment, d.last_at, d.last_received_at
          from moved d where d.scope = 'quarter' and p_kinds[d.m] <> 'UNIQUE_COUNT'
          order by 2, 3
          on conflict (tenant_id, meter_id, quarter) do update
            set used = case
                when usage_quarters.events = 0 and usage_quarters.meter_id = any (p_min || p_max || p_latest) then excluded.used
                when usage_quarters.meter_id = any (p_min) then least(usage_quarters.used, excluded.used)
                when usage_quarters.meter_id = any (p_max) then greatest(usage_quarters.used, excluded.used)
                when usage_quarters.meter_id = any (p_latest) then case
                  when (excluded.last_at, excluded.last_received_at) >= (usage_quarters.last_at, usage_quarters.last_received_at) then excluded.used else usage_quarters.used end
                else usage_quarters.used + excluded.used end,
              events = usage_quarters.events + excluded.events,
              moment = coalesce(usage_quarters.moment, 0) + excluded.moment,
              last_at = greatest(usage_quarters.last_at, excluded.last_at),
              last_received_at = case when usage_quarters.events > 0 and (usage_quarters.last_at, usage_quarters.last_received_at) > (excluded.last_at, excluded.last_received_at)
                then usage_quarters.last_received_at else excluded.last_received_at end
      ),
      totals_moved as (
        insert into public.usage_totals (tenant_id, meter_id, day, used, events, moment, last_at, last_received_at)
          select p_tenant, p_meter_ids[d.m], d.starts_on, d.used + coalesce(f.used, 0), d.events, d.moment, d.last_at, d.last_received_at
          from moved d
          left join fresh f on f.meter_id = p_meter_ids[d.m] and f.period = 'total' and f.starts_on = d.starts_on
          where d.scope = 'total'
          order by 2, 3
          on conflict (tenant_id, meter_id, day) do update
              set used = case
                  when usage_totals.events = 0 and usage_totals.meter_id = any (p_min || p_max || p_latest) then excluded.used
                  when usage_totals.meter_id = any (p_min) then least(usage_totals.used, excluded.used)
                  when usage_totals.meter_id = any (p_max) then greatest(usage_totals.used, excluded.used)
                  when usage_totals.meter_id = any (p_latest) then case
                    when (excluded.last_at, excluded.last_received_at) >= (usage_totals.last_at, usage_totals.last_received_at) then excluded.used else usage_totals.used end
                  else usage_totals.used + excluded.used end,
                events = usage_totals.events + excluded.events,
                moment = coalesce(usage_totals.moment, 0) + excluded.moment,
                last_at = greatest(usage_totals.last_at, excluded.last_at),
                last_received_at = case when usage_totals.events > 0 and (usage_totals.last_at, usage_totals.last_received_at) > (excluded.last_at, excluded.last_received_at)
                  then usage_totals.last_received_at else excluded.last_received_at end
      )
      insert into public.usage_counters (tenant_id, period, meter_id, starts_on, customer_id, used, events, moment, last_at, last_received_at)
        select p_tenant, d.scope, p_meter_ids[d.m], d.starts_on, p_customer_ids[d.u], d.used + coalesce(f.used, 0), d.events, d.moment, d.last_at,
          d.last_received_at
        from moved d
        left join fresh f on f.meter_id = p_meter_ids[d.m] and f.period = d.scope and f.starts_on = d.starts_on
          and f.customer_id = p_customer_ids[d.u]
        where d.scope in ('day', 'month')
        order by 2 desc, 3, 4, 5
        on conflict (tenant_id, period, meter_id, starts_on, customer_id) do update
          set used = case
              when usage_counters.events = 0 and usage_counters.meter_id = any (p_min || p_max || p_latest) then excluded.used
              when usage_counters.meter_id = any (p_min) then least(usage_counters.used, excluded.used)
              when usage_counters.meter_id = any (p_max) then greatest(usage_counters.used, excluded.used)
              when usage_counters.meter_id = any (p_latest) then case
                when (excluded.last_at, excluded.last_received_at) >= (usage_counters.last_at, usage_counters.last_received_at) then excluded.used else usage_counters.used end
              else usage_counters.used + excluded.used end,
            events = usage_counters.events + excluded.events,
            moment = coalesce(usage_counters.moment, 0) + excluded.moment,
            last_at = greatest(usage_counters.last_at, excluded.last_at),
            last_received_at = case when usage_counters.events > 0 and (usage_counters.last_at, usage_counters.last_received_at) > (excluded.last_at, excluded.last_received_at)
              then usage_counters.last_received_at else excluded.last_received_at end;
    end
  $$;

-- functions: taking back, in the same order ----------------------------------------------------------

create or replace function app.take_back_usage(p_tenant uuid, p_time_zone text, p_event public.usage_events, p_now timestamptz) returns void
  language plpgsql volatile set search_path = '' set plan_cache_mode = force_custom_plan
  as $$
    declare
      v_none constant uuid := '00000000-0000-0000-0000-000000000000';
      v_meter public.meters;
      v_anchor integer;
      v_day date := (p_event.occurred_at at time zone p_time_zone)::date;
      v_month date;
      v_quarter timestamptz := date_bin('15 minutes', p_event.occurred_at, '2000-01-01 00:00:00+00');
      v_amount numeric;
      v_moment numeric;
      v_group jsonb;
      v_hash uuid;
      v_extreme boolean;
      v_gone boolean;
      v_shared boolean;
      v_sealed constant boolean := coalesce((p_event.occurred_at at time zone p_time_zone)::date < app.unsealed_from(p_tenant), false);
      v_stored public.usage_counters;
      v_left record;
      v_balance public.balances;
    begin
      select * into strict v_meter from public.meters m where m.tenant_id = p_tenant and m.id = p_event.meter_id;
      v_anchor := coalesce((
        select s.anchor_day from public.subscriptions s
        where s.tenant_id = p_tenant and s.customer_id = p_event.customer_id and s.canceled_at is null), 1);
      v_month := app.period_start(v_day, 'month', v_anchor);
      v_amount := app.event_amount(v_meter.aggregation, p_event.value, p_event.counted);
      v_group := case when cardinality(v_meter.group_by) > 0 and v_meter.aggregation <> 'UNIQUE_COUNT'
        then app.event_group(v_meter.group_by, p_event.properties) end;
      v_hash := md5(v_group::text)::uuid;

      if v_meter.aggregation in ('SUM', 'COUNT', 'AVG', 'WEIGHTED_SUM') then
        v_moment := case v_meter.aggregation when 'WEIGHTED_SUM' then v_amount * extract(epoch from p_event.occurred_at) end;
        if v_meter.aggregation in ('SUM', 'COUNT') and exists (
            select 1 from public.balances b
            where b.tenant_id = p_tenant and b.customer_id = p_event.customer_id and b.meter_id = v_meter.id) then
          -- Brought up to date while its counters, which it may read for that, still hold the event.
          perform 1 from public.usage_counters c
            where c.tenant_id = p_tenant and c.meter_id = v_meter.id and c.customer_id = p_event.customer_id
              and (c.period = 'day' and c.starts_on = v_day or c.period = 'month' and c.starts_on = v_month)
            order by c.period desc, c.starts_on
            for update;
          v_balance := app.settle_balance(p_tenant, p_event.customer_id, v_meter.id, p_now, p_time_zone);
        end if;
        update public.usage_counters c set used = c.used - v_amount, events = c.events - 1, moment = c.moment - v_moment
          where c.tenant_id = p_tenant and c.period = 'month' and c.meter_id = v_meter.id and c.starts_on = v_month
            and c.customer_id = p_event.customer_id;
        update public.usage_counters c set used = c.used - v_amount, events = c.events - 1, moment = c.moment - v_moment
          where c.tenant_id = p_tenant and c.period = 'day' and c.meter_id = v_meter.id and c.starts_on = v_day
            and c.customer_id = p_event.customer_id;
        if v_balance.customer_id is not null and v_day >= v_balance.starts_on and p_event.occurred_at < v_balance.resets_at then
          perform app.burn_balance(p_tenant, p_event.customer_id, v_meter.id, -v_amount, p_now);
        end if;
        update public.usage_totals t set used = t.used - v_amount, events = t.events - 1, moment = t.moment - v_moment
          where t.tenant_id = p_tenant and t.meter_id = v_meter.id and t.day = v_day;
        update public.usage_quarters q set used = q.used - v_amount, events = q.events - 1, moment = q.moment - v_moment
          where q.tenant_id = p_tenant and q.meter_id = v_meter.id and q.quarter = v_quarter;
        update public.usage_groups g set used = g.used - v_amount, events = g.events - 1, moment = g.moment - v_moment
          where g.tenant_id = p_tenant and g.meter_id = v_meter.id and g.day = v_day and g.group_hash = v_hash
            and g.customer_id = p_event.customer_id;
        update public.usage_group_totals g set used = g.used - v_amount, events = g.events - 1, moment = g.moment - v_moment
          where g.tenant_id = p_tenant and g.meter_id = v_meter.id and g.day = v_day and g.group_hash = v_hash;
        return;
      end if;

      -- Rows are held before what is left is read: a writer that waits for them puts its own events on top of what we find.
      if v_meter.aggregation = 'UNIQUE_COUNT' then
        perform 1 from public.usage_counters c
          where c.tenant_id = p_tenant and c.meter_id = v_meter.id and c.customer_id = p_event.customer_id
            and (c.period, c.starts_on) in (('day', v_day), ('month', v_month))
          order by c.period desc, c.starts_on for update;
        v_hash := app.event_value_hash(v_meter.value_property, p_event.properties);
        for v_left in
          select * from (values ('day', v_day, p_event.customer_id), ('month', v_month, p_event.customer_id), ('total', v_day, v_none))
            k (period, starts_on, customer_id)
        loop
          update public.usage_uniques u set events = u.events - 1
            where u.tenant_id = p_tenant and u.meter_id = v_meter.id and u.period = v_left.period and u.starts_on = v_left.starts_on
              and u.customer_id = v_left.customer_id and u.value_hash = v_hash
            returning u.events = 0 into v_gone;
          v_gone := coalesce(v_gone, false);
          if v_left.period = 'total' then
            update public.usage_totals t set used = t.used - v_gone::integer, events = t.events - 1
              where t.tenant_id = p_tenant and t.meter_id = v_meter.id and t.day = v_day;
          else
            update public.usage_counters c set used = c.used - v_gone::integer, events = c.events - 1
              where c.tenant_id = p_tenant and c.period = v_left.period and c.meter_id = v_meter.id and c.starts_on = v_left.starts_on
                and c.customer_id = p_event.customer_id;
          end if;
        end loop;
        return;
      end if;

      -- MIN, MAX, LATEST: only when it was the extreme is anything looked for.
      select null::numeric as used, null::timestamptz as last_at, null::timestamptz as last_received_at into v_left;
      perform 1 from public.usage_counters c
        where c.tenant_id = p_tenant and c.meter_id = v_meter.id and c.customer_id = p_event.customer_id
          and (c.period, c.starts_on) in (('day', v_day), ('month', v_month))
        order by c.period desc, c.starts_on for update;
      for v_stored in
        select * from public.usage_counters c
        where c.tenant_id = p_tenant and c.meter_id = v_meter.id and c.customer_id = p_event.customer_id
          and (c.period, c.starts_on) in (('day', v_day), ('month', v_month))
        order by c.period, c.starts_on
      loop
        v_extreme := coalesce(v_stored.last_at = p_event.occurred_at, v_stored.used = v_amount);
        -- Some of the others of its day are gone: nobody knows which is the extreme without it.
        if v_extreme and v_sealed then
          raise exception using errcode = 'TM025', message = 'sealed';
        end if;
        if not v_extreme then
          update public.usage_counters c set events = c.events - 1
            where c.tenant_id = p_tenant and c.period = v_stored.period and c.meter_id = v_meter.id and c.starts_on = v_stored.starts_on
              and c.customer_id = p_event.customer_id;
          continue;
        end if;
        if v_stored.period = 'day' then
          select * into v_left from app.rest_of_usage(p_tenant, v_meter.id, v_meter.aggregation, p_event.customer_id,
            app.day_start(v_day, p_time_zone), app.day_start(v_day + 1, p_time_zone), null, null);
        else
          -- From the days of the period, the first of which is corrected by now.
          select (array_agg(c.used order by
                case v_meter.aggregation when 'MIN' then c.used when 'MAX' then -c.used end, c.last_at desc, c.last_received_at desc))[1] as used,
              (array_agg(c.last_at order by c.last_at desc, c.last_received_at desc))[1] as last_at,
              (array_agg(c.last_received_at order by c.last_at desc, c.last_received_at desc))[1] as last_received_at
            into v_left
            from generate_series(v_month, app.period_end(v_month, 'month', v_anchor) - 1, interval '1 day') d (day)
            join public.usage_counters c on c.tenant_id = p_tenant and c.period = 'day' and c.meter_id = v_meter.id
              and c.starts_on = d.day::date and c.customer_id = p_event.customer_id and c.events > 0;
        end if;
        update public.usage_counters c
          set used = coalesce(v_left.used, 0), events = c.events - 1, last_at = v_left.last_at, last_received_at = v_left.last_received_at
          where c.tenant_id = p_tenant and c.period = v_stored.period and c.meter_id = v_meter.id and c.starts_on = v_stored.starts_on
            and c.customer_id = p_event.customer_id;
      end loop;

      select coalesce(t.last_at = p_event.occurred_at, t.used = v_amount) into v_extreme
        from public.usage_totals t where t.tenant_id = p_tenant and t.meter_id = v_meter.id and t.day = v_day for update;
      if v_extreme and v_sealed then
        raise exception using errcode = 'TM025', message = 'sealed';
      end if;
      if v_extreme then
        select (array_agg(c.used order by
              case v_meter.aggregation when 'MIN' then c.used when 'MAX' then -c.used end, c.last_at desc, c.last_received_at desc))[1] as used,
            (array_agg(c.last_at order by c.last_at desc, c.last_received_at desc))[1] as last_at,
            (array_agg(c.last_received_at order by c.last_at desc, c.last_received_at desc))[1] as last_received_at
          into v_left
          from public.usage_counters c
          where c.tenant_id = p_tenant and c.period = 'day' and c.meter_id = v_meter.id and c.starts_on = v_day and c.events > 0;
      end if;
      update public.usage_totals t
        set used = case when v_extreme then coalesce(v_left.used, 0) else t.used end, events = t.events - 1,
          last_at = case when v_extreme then v_left.last_at else t.last_at end,
          last_received_at = case when v_extreme then v_left.last_received_at else t.last_received_at end
        where t.tenant_id = p_tenant and t.meter_id = v_meter.id and t.day = v_day;

      -- Few events share a quarter: where there is no other, it is known what is left.
      select coalesce(q.last_at = p_event.occurred_at, q.used = v_amount), q.events > 1 into v_extreme, v_shared
        from public.usage_quarters q where q.tenant_id = p_tenant and q.meter_id = v_meter.id and q.quarter = v_quarter for update;
      if v_extreme and v_sealed and v_shared then
        raise exception using errcode = 'TM025', message = 'sealed';
      end if;
      if v_extreme then
        select * into v_left from app.rest_of_usage(p_tenant, v_meter.id, v_meter.aggregation, null, v_quarter, v_quarter + interval '15 minutes', null, null);
      end if;
      update public.usage_quarters q
        set used = case when v_extreme then coalesce(v_left.used, 0) else q.used end, events = q.events - 1,
          last_at = case when v_extreme then v_left.last_at else q.last_at end,
          last_received_at = case when v_extreme then v_left.last_received_at else q.last_received_at end
        where q.tenant_id = p_tenant and q.meter_id = v_meter.id and q.quarter = v_quarter;

      if v_group is null then
        return;
      end if;
      select coalesce(g.last_at = p_event.occurred_at, g.used = v_amount) into v_extreme
        from public.usage_groups g
        where g.tenant_id = p_tenant and g.meter_id = v_meter.id and g.day = v_day and g.group_hash = v_hash
          and g.customer_id = p_event.customer_id for update;
      if v_extreme and v_sealed then
        raise exception using errcode = 'TM025', message = 'sealed';
      end if;
      if v_extreme then
        select * into v_left from app.rest_of_usage(p_tenant, v_meter.id, v_meter.aggregation, p_event.customer_id,
          app.day_start(v_day, p_time_zone), app.day_start(v_day + 1, p_time_zone), v_meter.group_by, v_group);
      end if;
      update public.usage_groups g
        set used = case when v_extreme then coalesce(v_left.used, 0) else g.used end, events = g.events - 1,
          last_at = case when v_extreme then v_left.last_at else g.last_at end,
          last_received_at = case when v_extreme then v_left.last_received_at else g.last_received_at end
        where g.tenant_id = p_tenant and g.meter_id = v_meter.id and g.day = v_day and g.group_hash = v_hash
          and g.customer_id = p_event.customer_id;

      -- Of all customers: from theirs, which nobody else moves while the total of the day is held.
      select coalesce(g.last_at = p_event.occurred_at, g.used = v_amount) into v_extreme
        from public.usage_group_totals g
        where g.tenant_id = p_tenant and g.meter_id = v_meter.id and g.day = v_day and g.group_hash = v_hash for update;
      if v_extreme and v_sealed then
        raise exception using errcode = 'TM025', message = 'sealed';
      end if;
      if v_extreme then
        select (array_agg(g.used order by
              case v_meter.aggregation when 'MIN' then g.used when 'MAX' then -g.used end, g.last_at desc, g.last_received_at desc))[1] as used,
            (array_agg(g.last_at order by g.last_at desc, g.last_received_at desc))[1] as last_at,
            (array_agg(g.last_received_at order by g.last_at desc, g.last_received_at desc))[1] as last_received_at
          into v_left
          from public.usage_groups g
          where g.tenant_id = p_tenant and g.meter_id = v_meter.id and g.day = v_day and g.group_hash = v_hash and g.events > 0;
      end if;
      update public.usage_group_totals g
        set used = case when v_extreme then coalesce(v_left.used, 0) else g.used end, events = g.events - 1,
          last_at = case when v_extreme then v_left.last_at else g.last_at end,
          last_received_at = case when v_extreme then v_left.last_received_at else g.last_received_at end
        where g.tenant_id = p_tenant and g.meter_id = v_meter.id and g.day = v_day and g.group_hash = v_hash;
    end
  $$;

-- grants --------------------------------------------------------------------------------------------

revoke all on all functions in schema app from public;
grant execute on function app.hold_counters(uuid, text[], uuid[], date[], uuid[]) to app_tenant;
