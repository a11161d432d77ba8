-- A batch of many customers. Their counters are summed and put in order once, where they were summed twice and then sorted all together.
-- Balances of a batch are opened, brought up to date and burnt from by a statement for all of them, where each took several of its own:
-- a thousand customers of a tier that rolls over were seconds. And nothing looks for the pair of an event by going through all of them
-- any more: a batch in which one of three thousand customers was over its cap, or that counted different values of as many, was seconds too.

-- functions: balances of many -----------------------------------------------------------------------

create function app.roll_balances(p_tenant uuid, p_customers uuid[], p_meters uuid[], p_now timestamptz, p_time_zone text) returns void
  language plpgsql volatile set search_path = '' set plan_cache_mode = force_generic_plan set enable_seqscan = off
  set enable_hashjoin = off set enable_mergejoin = off
  as $$
    declare
      v_touched public.grants[];
    begin
      with rolled as materialized (
        select g.grants, r.p_balance, r.p_grants, r.entries
        from app.balance_terms(p_tenant, p_customers, p_meters) t
        cross join lateral (
          select x as balance from public.balances x
          where x.tenant_id = p_tenant and x.customer_id = t.customer_id and x.meter_id = t.meter_id limit 1
        ) b
        cross join lateral (
          select coalesce(array_agg(x order by x.id), '{}') as grants from public.grants x
          where x.tenant_id = p_tenant and x.customer_id = t.customer_id and x.meter_id = t.meter_id and x.closed_at is null
        ) g
        cross join lateral app.roll_balance(b.balance, g.grants, t.cap_limit, t.period, t.anchor, t.rollover_min, t.rollover_max, t.preserve_overage,
          p_now, p_time_zone) r
      ),
      kept as (
        -- An update in all but name: found by its key one by one, whatever the planner knows of the table.
        insert into public.balances (tenant_id, customer_id, meter_id, starts_on, allowance, allowance_left, granted, carried, used, overage, as_of,
            opening, resets_at)
          select p_tenant, (r.p_balance).customer_id, (r.p_balance).meter_id, (r.p_balance).starts_on, (r.p_balance).allowance,
            (r.p_balance).allowance_left, (r.p_balance).granted, (r.p_balance).carried, (r.p_balance).used, (r.p_balance).overage,
            (r.p_balance).as_of, (r.p_balance).opening, (r.p_balance).resets_at
          from rolled r
          on conflict (tenant_id, customer_id, meter_id) do update set starts_on = excluded.starts_on, allowance = excluded.allowance,
            allowance_left = excluded.allowance_left, granted = excluded.granted, carried = excluded.carried, used = excluded.used,
            overage = excluded.overage, as_of = excluded.as_of, opening = excluded.opening, resets_at = excluded.resets_at
      ),
      noted as (
        insert into public.balance_entries (tenant_id, id, customer_id, meter_id, grant_id, kind, amount, balance, occurred_at, granted, overage,
            allowance, opening, starts_on)
          select p_tenant, app.uuid_v7(), e.customer_id, e.meter_id, e.grant_id, e.kind, e.amount, e.balance, e.occurred_at, e.granted, e.overage,
            e.allowance, e.opening, e.starts_on
          from rolled r cross join lateral unnest(r.entries) with ordinality e
          order by e.customer_id, e.meter_id, e.ordinality
      )
      select array_agg(n) into v_touched
        from rolled r cross join lateral unnest(r.p_grants) n where n <> all (r.grants);
      for i in 1 .. coalesce(cardinality(v_touched), 0) loop
        update public.grants g set remaining = v_touched[i].remaining, opening = v_touched[i].opening, issued_at = v_touched[i].issued_at,
            issues = v_touched[i].issues, closed_at = v_touched[i].closed_at
          where g.tenant_id = p_tenant and g.id = v_touched[i].id;
      end loop;
    end
  $$;
comment on function app.roll_balances(uuid, uuid[], uuid[], timestamptz, text) is
  'app.roll_balance for different pairs of customer and meter, whose balances the caller holds, and what came of it written.';

create or replace function app.settle_balances(p_tenant uuid, p_customers uuid[], p_now timestamptz, p_time_zone text) returns void
  language plpgsql volatile set search_path = '' set plan_cache_mode = force_generic_plan set enable_seqscan = off
  set enable_hashjoin = off set enable_mergejoin = off
  as $$
    declare
      v_customers uuid[];
      v_meters uuid[];
    begin
      -- Held first, so that what follows sees the grants and counters that belong to them.
      select array_agg(x.customer_id), array_agg(x.meter_id) into v_customers, v_meters
        from (
          select b.customer_id, b.meter_id from public.balances b
          where b.tenant_id = p_tenant and b.customer_id = any (p_customers)
          order by b.customer_id, b.meter_id for update
        ) x;
      perform app.roll_balances(p_tenant, v_customers, v_meters, p_now, p_time_zone);
    end
  $$;

create function app.hold_balances(p_tenant uuid, p_customers uuid[], p_meters uuid[], p_now timestamptz, p_time_zone text) returns void
  language plpgsql volatile set search_path = '' set plan_cache_mode = force_generic_plan set enable_seqscan = off
  set enable_hashjoin = off set enable_mergejoin = off
  as $$
    declare
      v_customers uuid[];
      v_meters uuid[];
    begin
      perform 1
        from unnest(p_customers, p_meters) p (customer_id, meter_id)
        cross join lateral (
          select from public.balances x
          where x.tenant_id = p_tenant and x.customer_id = p.customer_id and x.meter_id = p.meter_id
          limit 1 for update
        ) b;
      -- Nearly always nothing has happened since.
      select array_agg(r.customer_id), array_agg(r.meter_id) into v_customers, v_meters
        from (
          select distinct t.customer_id, t.meter_id
          from app.balance_terms(p_tenant, p_customers, p_meters) t
          cross join lateral (
            select x.* from public.balances x
            where x.tenant_id = p_tenant and x.customer_id = t.customer_id and x.meter_id = t.meter_id
            limit 1
          ) b
          where b.allowance <> coalesce(t.cap_limit, 0) or b.resets_at <= p_now
            or b.resets_at <> app.day_start(app.period_end(b.starts_on, t.period, t.anchor), p_time_zone)
            or b.starts_on <> app.period_start((greatest(b.as_of, p_now) at time zone p_time_zone)::date, t.period, t.anchor)
            or exists (
              select 1 from public.grants g
              where g.tenant_id = p_tenant and g.customer_id = t.customer_id and g.meter_id = t.meter_id and g.closed_at is null
                and (g.expires_at <= p_now or (g.issues = 0 and g.effective_at <= p_now)
                  or (g.recurrence is not null and app.grant_due(g.effective_at, g.recurrence, g.issues, p_time_zone) <= p_now)))
        ) r;
      if v_customers is not null then
        perform app.roll_balances(p_tenant, v_customers, v_meters, p_now, p_time_zone);
      end if;
    end
  $$;
comment on function app.hold_balances(uuid, uuid[], uuid[], timestamptz, text) is
  'app.settle_balance for many pairs of customer and meter at once: holds them in the order they are given. Pairs without a balance are passed over.';

create function app.burn_balances(p_tenant uuid, p_customers uuid[], p_meters uuid[], p_deltas numeric[], p_now timestamptz) returns void
  language plpgsql volatile set search_path = '' set plan_cache_mode = force_generic_plan set enable_seqscan = off
  set enable_hashjoin = off set enable_mergejoin = off
  as $$
    declare
      v_others integer[];
    begin
      with asked as materialized (
        select p.ord, p.delta, b.*,
          p.delta > 0 and b.allowance_left >= p.delta and not exists (
            select 1 from public.grants g
            where g.tenant_id = p_tenant and g.customer_id = p.customer_id and g.meter_id = p.meter_id and g.closed_at is null and g.remaining > 0
              and (g.priority = 0 or (g.priority = 1 and g.expires_at < b.resets_at))) as plain
        from unnest(p_customers, p_meters, p_deltas) with ordinality p (customer_id, meter_id, delta, ord)
        cross join lateral (
          select x.* from public.balances x
          where x.tenant_id = p_tenant and x.customer_id = p.customer_id and x.meter_id = p.meter_id
          limit 1
        ) b
        where p.delta <> 0
      ),
      burnt as (
        -- An update in all but name, as in app.settle_balances.
        insert into public.balances (tenant_id, customer_id, meter_id, starts_on, allowance, allowance_left, granted, used, as_of)
          select p_tenant, a.customer_id, a.meter_id, a.starts_on, a.allowance, a.allowance_left - a.delta, a.granted, a.used + a.delta, a.as_of
          from asked a where a.plain
          on conflict (tenant_id, customer_id, meter_id) do update set used = excluded.used, allowance_left = excluded.allowance_left
      )
      select array_agg(a.ord order by a.ord) into v_others from asked a where not a.plain;
      perform app.burn_balance(p_tenant, p_customers[o.ord], p_meters[o.ord], p_deltas[o.ord], p_now) from unnest(v_others) o (ord);
    end
  $$;
comment on function app.burn_balances(uuid, uuid[], uuid[], numeric[], timestamptz) is
  'app.burn_balance for many pairs of customer and meter at once, each of them once, whose balances app.hold_balances holds.';

create function app.pairs_of_events(
  p_user integer[], p_meter integer[], p_days date[], p_anchors integer[], p_pair_users integer[], p_pair_meters integer[], p_pair_starts date[],
  p_pair_periods text[]
) returns integer[]
  language plpgsql stable set search_path = '' set enable_hashjoin = on set enable_nestloop = off
  as $$
    begin
      return (
        select array_agg(q.ord::integer order by e.ord)
        from unnest(p_user, p_meter, p_days) with ordinality e (u, m, day, ord)
        left join unnest(p_pair_users, p_pair_meters, p_pair_starts, p_pair_periods) with ordinality q (u, m, starts_on, period, ord)
          on q.u = e.u and q.m = e.m and q.starts_on = app.period_start(e.day, q.period, p_anchors[e.u])
      );
    end
  $$;
comment on function app.pairs_of_events(integer[], integer[], date[], integer[], integer[], integer[], date[], text[]) is
  'Part of app.record_usage: which of its pairs of customer and meter each event belongs to, by position; null where it belongs to none.';

-- functions: writing --------------------------------------------------------------------------------

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

          -- What is here already: the same is a duplicate, anything else a conflict. Months gone by are always looked through; in
          -- this one the primary key would tell, so it is looked at first only when repetitions are to be expected.
          if p_event_ids is not null or v_probe then
            select array_agg(e.id) into v_known from public.usage_events e
              where e.tenant_id = p_tenant and e.id = any (p_keys)
                and e.received_month <= case when v_probe then v_month else v_month - 1 end;
            if v_known is not null then
              select array_agg(case
                  when e.id is null or k.code not in (0, 7, 8) then k.code
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
                order by 4, v_meter_ids[e.m], 3, v_customer_ids[e.u]
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
                order by 4, v_meter_ids[e.m], 3, v_customer_ids[e.u]
              ) q;
          end if;
          if v_pair_users is not null then
            insert into public.usage_counters (tenant_id, period, meter_id, starts_on, customer_id, used, events)
              select p_tenant, q.period, v_meter_ids[q.m], q.starts_on, v_customer_ids[q.u], 0, 0
              from unnest(v_pair_periods, v_pair_meters, v_pair_starts, v_pair_users) q (period, m, starts_on, u)
              order by 2, 3, 4, 5
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
              select array_agg(v_pair_limits[q.ord] - coalesce(h.amount, 0) order by q.ord) into v_pair_limits
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
                  v_anchors[e.u] as anchor, v_kinds[e.m] as kind, v_pair_behaviours[e.pair] as behaviour, e.properties ->> v_from_property[e.m] as text
                from unnest(v_places, p_user, p_meter, v_amounts, v_codes, v_weights, p_properties)
                  with ordinality e (pair, u, m, amount, code, w, properties, ord)
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
                elsif v_event.amount <= 0 or v_event.amount <= v_left then
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
                v_refused := array_append(v_refused, jsonb_build_array(v_event.ord, v_event.cap_limit::text, v_used[v_event.pair]::text,
                  v_event.period, v_pair_ends[v_event.pair]));
              end loop;
              if p_repeats then
                -- What repeats an event that was refused was not counted either.
                select array_agg(case
                    when k.code = 1 and 10 = any (k.codes) and not 0 = any (k.codes) then 10 else k.code end order by k.ord)
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
          -- Counters, in one order for everybody. An upsert needs no plan that could turn bad as the table grows.
          if v_plain and v_days[1] = all (v_days) and v_quarters[1] = all (v_quarters) then
            -- What happened at about one moment, as most does: summed once, and in the order of the counters' key from then on, days before months.
            with pairs as materialized (
              select v_meter_ids[e.m] as meter_id, v_customer_ids[e.u] as customer_id, case v_anchors[e.u]
                  when 1 then v_days[1] - date_part('day', v_days[1])::integer + 1
                  else app.period_start(v_days[1], 'month', v_anchors[e.u]) end as month, sum(e.amount) as used, count(*) as events
              from unnest(p_user, p_meter, v_amounts, v_codes) e (u, m, amount, code)
              where e.code = 0
              group by 1, e.u
              order by 1, 2
            ),
            counters as (
              insert into public.usage_counters (tenant_id, period, meter_id, starts_on, customer_id, used, events)
                select p_tenant, 'day', p.meter_id, v_days[1], p.customer_id, p.used, p.events from pairs p
                union all
                (select p_tenant, 'month', p.meter_id, p.month, p.customer_id, p.used, p.events from pairs p order by p.meter_id, p.month, p.customer_id)
                on conflict (tenant_id, period, meter_id, starts_on, customer_id) do update
                  set used = usage_counters.used + excluded.used, events = usage_counters.events + excluded.events
            ),
            totals as materialized (
              select p.meter_id, sum(p.used) as used, sum(p.events) as events from pairs p group by 1 order by 1
            ),
            quarters as (
              insert into public.usage_quarters (tenant_id, meter_id, quarter, used, events)
                select p_tenant, t.meter_id, v_quarters[1], t.used, t.events from totals t order by 2
                on conflict (tenant_id, meter_id, quarter) do update
                  set used = usage_quarters.used + excluded.used, events = usage_quarters.events + excluded.events
            )
            insert into public.usage_totals (tenant_id, meter_id, day, used, events)
              select p_tenant, t.meter_id, v_days[1], t.used, t.events from totals t order by 2
              on conflict (tenant_id, meter_id, day) do update
                set used = usage_totals.used + excluded.used, events = usage_totals.events + excluded.events;
          elsif v_plain then
            with days as materialized (
              select e.u, e.m, e.day, e.quarter, case v_anchors[e.u]
                  when 1 then e.day - date_part('day', e.day)::integer + 1
                  else app.period_start(e.day, 'month', v_anchors[e.u]) end as month, sum(e.amount) as used, count(*) as events
              from unnest(p_user, p_meter, v_days, v_quarters, v_amounts, v_codes) e (u, m, day, quarter, amount, code)
              where e.code = 0
              group by 1, 2, 3, 4
            ),
            counters as (
              insert into public.usage_counters (tenant_id, period, meter_id, starts_on, customer_id, used, events)
                select p_tenant, 'day', v_meter_ids[d.m], d.day, v_customer_ids[d.u], sum(d.used), sum(d.events) from days d group by 3, 4, 5
                union all
                select p_tenant, 'month', v_meter_ids[d.m], d.month, v_customer_ids[d.u], sum(d.used), sum(d.events) from days d group by 3, 4, 5
                order by 2, 3, 4, 5
                on conflict (tenant_id, period, meter_id, starts_on, customer_id) do update
                  set used = usage_counters.used + excluded.used, events = usage_counters.events + excluded.events
            ),
            quarters as (
              insert into public.usage_quarters (tenant_id, meter_id, quarter, used, events)
                select p_tenant, v_meter_ids[d.m], d.quarter, sum(d.used), sum(d.events) from days d group by 2, 3 order by 2, 3
                on conflict (tenant_id, meter_id, quarter) do update
                  set used = usage_quarters.used + excluded.used, events = usage_quarters.events + excluded.events
            )
            insert into public.usage_totals (tenant_id, meter_id, day, used, events)
              select p_tenant, v_meter_ids[d.m], d.day, sum(d.used), sum(d.events) from days d group by 2, 3 order by 2, 3
              on conflict (tenant_id, meter_id, day) do update
                set used = usage_totals.used + excluded.used, events = usage_totals.events + excluded.events;
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
            || case when b.overage > 0 then jsonb_build_array(b.overage::text) else '[]' end)
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
          ) b on true;
      end if;
      return jsonb_build_object(
        'codes', case when not 0 = all (v_codes) then to_jsonb(v_codes) end,
        'refused', to_jsonb(v_refused), 'usage', v_usage);
    end
  $$;

-- What moves the counters joins lists it made itself: one row of a list with each of the other is a million steps for a thousand customers.
alter function app.move_counters(uuid, timestamptz, uuid[], uuid[], text[], text[], integer[], uuid[], uuid[], uuid[], integer[], integer[], date[],
  timestamptz[], numeric[], smallint[], smallint[], timestamptz[], jsonb[]) set enable_hashjoin = on;
alter function app.move_counters(uuid, timestamptz, uuid[], uuid[], text[], text[], integer[], uuid[], uuid[], uuid[], integer[], integer[], date[],
  timestamptz[], numeric[], smallint[], smallint[], timestamptz[], jsonb[]) set enable_nestloop = off;

-- grants --------------------------------------------------------------------------------------------

revoke all on all functions in schema app from public;
grant execute on function app.roll_balances(uuid, uuid[], uuid[], timestamptz, text), app.hold_balances(uuid, uuid[], uuid[], timestamptz, text),
  app.burn_balances(uuid, uuid[], uuid[], numeric[], timestamptz),
  app.pairs_of_events(integer[], integer[], date[], integer[], integer[], integer[], date[], text[]) to app_tenant;
