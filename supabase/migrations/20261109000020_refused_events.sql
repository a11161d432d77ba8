-- A thousand events that pass a cap are refused in the time of a thousand, not of a million. And a period ends where the next day
-- begins: of two midnights, where the clock goes back over one, at the first.

-- functions -----------------------------------------------------------------------------------------

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
      v_hour timestamptz;
      v_hours timestamptz[];
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
      v_balance public.balances;
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
      v_hour := date_trunc('hour', v_now at time zone 'UTC') at time zone 'UTC';
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
        v_hours := array_fill(v_hour, array[cardinality(p_meter)]);
      else
        select array_agg((coalesce(e.t, v_now) at time zone p_time_zone)::date),
            array_agg(date_trunc('hour', coalesce(e.t, v_now) at time zone 'UTC') at time zone 'UTC')
          into v_days, v_hours from unnest(p_times) e (t);
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
              for pair in 1 .. cardinality(v_pair_users) loop
                continue when not v_pair_balanced[pair];
                v_balance := app.settle_balance(p_tenant, v_customer_ids[v_pair_users[pair]], v_meter_ids[v_pair_meters[pair]], v_now, p_time_zone);
                if v_balance.customer_id is null then
                  perform app.open_balance(p_tenant, v_customer_ids[v_pair_users[pair]], v_meter_ids[v_pair_meters[pair]], v_now, p_time_zone);
                  v_balance := app.settle_balance(p_tenant, v_customer_ids[v_pair_users[pair]], v_meter_ids[v_pair_meters[pair]], v_now, p_time_zone);
                end if;
                if v_balance.starts_on = v_pair_starts[pair] then
                  if v_pair_behaviours[pair] <> 'none' then
                    v_pair_limits[pair] := v_used[pair] + v_balance.granted - v_balance.used + v_balance.overage;
                  end if;
                else
                  v_pair_balanced[pair] := false;
                  -- Usage ahead of its period may take what that is sure to begin with.
                  if v_balance.starts_on < v_pair_starts[pair] and v_pair_behaviours[pair] <> 'none' and (p_enforce or v_pair_behaviours[pair] <> 'overflow') then
                    v_pair_limits[pair] := v_used[pair] + app.assured_left(p_tenant, v_customer_ids[v_pair_users[pair]],
                      v_meter_ids[v_pair_meters[pair]], app.day_start(v_pair_starts[pair], p_time_zone), p_time_zone);
                  end if;
                end if;
              end loop;
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
            if v_over then
              for v_event in
                select e.ord, e.amount, q.ord as pair, q.cap_limit, q.period, q.starts_on, v_anchors[q.u] as anchor, v_kinds[e.m] as kind,
                  q.behaviour, e.properties ->> v_from_property[e.m] as text
                from unnest(p_user, p_meter, v_amounts, v_days, v_codes, v_weights, p_properties)
                  with ordinality e (u, m, amount, day, code, w, properties, ord)
                join unnest(v_pair_periods, v_pair_meters, v_pair_starts, v_pair_users, v_pair_limits, v_pair_behaviours)
                    with ordinality q (period, m, starts_on, u, cap_limit, behaviour, ord)
                  on q.u = e.u and q.m = e.m and q.starts_on = app.period_start(e.day, q.period, v_anchors[e.u])
                where e.code = 0 and e.w is distinct from 0 and (p_enforce or q.behaviour <> 'overflow')
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
          if v_plain then
            with days as materialized (
              select e.u, e.m, e.day, e.hour, case v_anchors[e.u]
                  when 1 then e.day - date_part('day', e.day)::integer + 1
                  else app.period_start(e.day, 'month', v_anchors[e.u]) end as month, sum(e.amount) as used, count(*) as events
              from unnest(p_user, p_meter, v_days, v_hours, v_amounts, v_codes) e (u, m, day, hour, amount, code)
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
            hours as (
              insert into public.usage_hours (tenant_id, meter_id, hour, used, events)
                select p_tenant, v_meter_ids[d.m], d.hour, sum(d.used), sum(d.events) from days d group by 2, 3 order by 2, 3
                on conflict (tenant_id, meter_id, hour) do update
                  set used = usage_hours.used + excluded.used, events = usage_hours.events + excluded.events
            )
            insert into public.usage_totals (tenant_id, meter_id, day, used, events)
              select p_tenant, v_meter_ids[d.m], d.day, sum(d.used), sum(d.events) from days d group by 2, 3 order by 2, 3
              on conflict (tenant_id, meter_id, day) do update
                set used = usage_totals.used + excluded.used, events = usage_totals.events + excluded.events;
          else
            perform app.move_counters(p_tenant, v_now, v_meter_ids, v_customer_ids, v_kinds, v_from_property, v_anchors, v_min, v_max, v_latest,
              p_user, p_meter, v_days, v_hours, v_amounts, v_codes, v_weights, p_times, p_properties);
          end if;
          if num_nonnulls(variadic v_groups) > 0 then
            perform app.move_groups(p_tenant, v_now, v_meter_ids, v_customer_ids, v_kinds, v_groups, v_min, v_max, v_latest,
              p_user, p_meter, v_days, v_amounts, v_codes, v_weights, p_times, p_properties);
          end if;
          if v_pair_users is not null and true = any (v_pair_balanced) then
            perform app.burn_balance(p_tenant, v_customer_ids[q.u], v_meter_ids[q.m], q.amount, v_now)
              from (
                select q.u, q.m, q.ord, sum(e.amount) as amount
                from unnest(v_pair_users, v_pair_meters, v_pair_starts, v_pair_periods, v_pair_balanced) with ordinality q (u, m, starts_on, period, balanced, ord)
                join (
                  select x.u, x.m, x.day, sum(x.amount) as amount
                  from unnest(p_user, p_meter, v_amounts, v_days, v_codes, v_weights) x (u, m, amount, day, code, w)
                  where x.code = 0 and x.w is distinct from 0
                  group by 1, 2, 3
                ) e on e.u = q.u and e.m = q.m and q.starts_on = app.period_start(e.day, q.period, v_anchors[e.u])
                where q.balanced
                group by 1, 2, 3
                order by 3
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
          ) b on true;
      end if;
      return jsonb_build_object(
        'codes', case when not 0 = all (v_codes) then to_jsonb(v_codes) end,
        'refused', to_jsonb(v_refused), 'usage', v_usage);
    end
  $$;

create or replace function app.record_one(
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
        when v_period = 'day' then extract(epoch from app.day_start(v_today + 1, p_time_zone))
        else extract(epoch from app.day_start(app.period_end(v_first, 'month', v_anchor), p_time_zone)) end;
      select k.used into v_used from public.usage_counters k
        where k.tenant_id = p_tenant and k.period = v_period and k.meter_id = v_meter and k.starts_on = v_starts and k.customer_id = v_customer;
      return jsonb_build_object('codes', null, 'refused', null,
        'usage', jsonb_build_array(jsonb_build_array(1, 1, v_used::text, v_limit::text, v_behaviour, v_period, v_ends)));
    end
  $$;

create or replace function app.read_usage(p_tenant uuid, p_time_zone text, p_meters text[], p_users text[], p_amounts numeric[]) returns json
  language plpgsql stable set search_path = '' set plan_cache_mode = force_generic_plan set enable_seqscan = off
  as $$
    declare
      v_now timestamptz := statement_timestamp();
      v_today date := (v_now at time zone p_time_zone)::date;
      v_first date := v_today - date_part('day', v_today)::integer + 1;
      v_day_end numeric := extract(epoch from app.day_start(v_today + 1, p_time_zone));
      v_month_end numeric := extract(epoch from app.day_start((v_first + interval '1 month')::date, p_time_zone));
      v_default uuid;
      v_default_version integer;
      v_open boolean;
      v_refs text[];
      v_ids uuid[];
      v_slugs text[];
      v_archived boolean[];
      v_kinds text[];
      v_individual boolean;
      v_entitled boolean;
      v_balanced boolean;
      v_reserved boolean;
      v_answers json;
      v_meter uuid;
      v_slug text;
      v_customer uuid;
      v_tier uuid;
      v_version integer;
      v_anchor integer := 1;
      v_limit numeric;
      v_behaviour text;
      v_period text;
      v_used numeric;
      v_starts date;
      v_ends numeric;
    begin
      -- One question alone, about a plain meter and a customer who is known: a few look-ups, where a statement for a crowd would
      -- cost more to set up than to run.
      if cardinality(p_meters) = 1 then
        select m.id, m.slug into v_meter, v_slug from public.meters m
          where m.tenant_id = p_tenant and m.slug = p_meters[1] and m.archived_at is null and not m.individual and m.aggregation in ('SUM', 'COUNT');
        if found then
          select c.id into v_customer from public.customers c
            where c.tenant_id = p_tenant and c.external_id = p_users[1] and c.archived_at is null;
        end if;
        if v_customer is not null then
          select s.tier_id, s.tier_version, s.anchor_day into v_tier, v_version, v_anchor from public.subscriptions s
            where s.tenant_id = p_tenant and s.customer_id = v_customer and s.canceled_at is null;
          if not found then
            v_anchor := 1;
            select t.id, t.version into v_tier, v_version from public.tiers t where t.tenant_id = p_tenant and t.is_default;
          end if;
          select c.cap_limit, c.behaviour, c.period into v_limit, v_behaviour, v_period from public.tier_caps c
            where c.tenant_id = p_tenant and c.tier_id = v_tier and c.version = v_version and c.meter_id = v_meter;
          v_period := coalesce(v_period, 'month');
          if v_period = 'day' then
            v_starts := v_today;
            v_ends := v_day_end;
          elsif v_anchor = 1 then
            v_starts := v_first;
            v_ends := v_month_end;
          else
            v_starts := app.period_start(v_today, 'month', v_anchor);
            v_ends := extract(epoch from app.day_start(app.period_end(v_starts, 'month', v_anchor), p_time_zone));
          end if;
          select k.used into v_used from public.usage_counters k
            where k.tenant_id = p_tenant and k.period = v_period and k.meter_id = v_meter and k.starts_on = v_starts and k.customer_id = v_customer;
          v_used := coalesce(v_used, 0);
          return json_build_array(json_build_array(
            case when v_limit is null or v_behaviour = 'overflow' or v_used + p_amounts[1] < v_limit
              or (p_amounts[1] > 0 and v_used + p_amounts[1] = v_limit) then 'VALID' else 'USAGE_EXCEEDED' end,
            v_limit::text, v_used::text, v_behaviour, v_period, v_ends, v_slug,
            case when v_used + p_amounts[1] > v_limit then app.next_tiers(p_tenant, v_meter, v_limit) end, null));
        end if;
      end if;
      -- A crowd asks about few meters: each is looked up once, and with them what holds for all customers.
      select array_agg(r.ref), array_agg(m.id), array_agg(m.slug), array_agg(m.archived_at is not null), array_agg(m.aggregation),
          coalesce(bool_or(m.individual or m.aggregation not in ('SUM', 'COUNT')), false),
          (array_agg(g.tier_id))[1], min(g.version), bool_and(g.creates_customers)
        into v_refs, v_ids, v_slugs, v_archived, v_kinds, v_individual, v_default, v_default_version, v_open
        from (
          select t.id as tier_id, t.version, coalesce(s.creates_customers, true) as creates_customers
          from (select 1) one
          left join public.tiers t on t.tenant_id = p_tenant and t.is_default
          left join public.usage_settings s on s.tenant_id = p_tenant
        ) g
        cross join (select distinct x.ref from unnest(p_meters) x (ref)) r
        left join lateral (
          select x.id, x.slug, x.archived_at, x.aggregation, x.individual from public.meters x where x.tenant_id = p_tenant and x.slug = r.ref
          union all
          select x.id, x.slug, x.archived_at, x.aggregation, x.individual from public.meters x
            where x.tenant_id = p_tenant and x.id = case when pg_input_is_valid(r.ref, 'uuid') then r.ref::uuid end
          limit 1
        ) m on true;
      -- Most tenants sell by tiers alone, and count sums: then there is little to look at.
      if not v_individual then
        -- Written out as text: what is in it is numbers, names without quotes and JSON, and building arrays of it costs several times as much.
        select ('[' || string_agg('["' || case
              when v_ids[r.m] is null or (c.id is null and not v_open) then 'NOT_FOUND'
              when v_archived[r.m] or c.archived_at is not null then 'DISABLED'
              when t.cap_limit is null or t.behaviour = 'overflow' or coalesce(k.used, 0) + r.amount < t.cap_limit
                or (r.amount > 0 and coalesce(k.used, 0) + r.amount = t.cap_limit) then 'VALID'
              else 'USAGE_EXCEEDED' end
            || coalesce('","' || t.cap_limit::text || '","', '",null,"') || coalesce(k.used, 0)::text
            || coalesce('","' || t.behaviour || '","', '",null,"') || q.period || '",' || q.ends::text
            || coalesce(',"' || v_slugs[r.m] || '",', ',null,')
            || case when t.cap_limit is not null and coalesce(k.used, 0) + r.amount > t.cap_limit
              then app.next_tiers(p_tenant, v_ids[r.m], t.cap_limit)::text else 'null' end
            || ',null]', ',') || ']')::json
          into v_answers
          from (
            select array_position(v_refs, x.meter) as m, x.customer, x.amount from unnest(p_meters, p_users, p_amounts) x (meter, customer, amount)
          ) r
          left join lateral (
            select x.id, x.archived_at from public.customers x where x.tenant_id = p_tenant and x.external_id = r.customer limit 1
          ) c on true
          left join lateral (
            select x.tier_id, x.tier_version, x.anchor_day from public.subscriptions x
            where x.tenant_id = p_tenant and x.customer_id = c.id and x.canceled_at is null limit 1
          ) s on true
          left join lateral (
            select x.cap_limit, x.behaviour, x.period from public.tier_caps x
            where x.tenant_id = p_tenant and x.tier_id = coalesce(s.tier_id, v_default)
              and x.version = coalesce(s.tier_version, v_default_version) and x.meter_id = v_ids[r.m]
            limit 1
          ) t on true
          cross join lateral (
            select coalesce(t.period, 'month') as period,
              case when t.period = 'day' then v_today when coalesce(s.anchor_day, 1) = 1 then v_first
                else app.period_start(v_today, 'month', s.anchor_day) end as starts_on,
              case when t.period = 'day' then v_day_end when coalesce(s.anchor_day, 1) = 1 then v_month_end
                else extract(epoch from app.day_start(app.period_end(app.period_start(v_today, 'month', s.anchor_day), 'month', s.anchor_day),
                  p_time_zone)) end as ends
            offset 0
          ) q
          left join lateral (
            select x.used from public.usage_counters x
            where x.tenant_id = p_tenant and x.period = q.period and x.meter_id = v_ids[r.m] and x.starts_on = q.starts_on and x.customer_id = c.id
            limit 1
          ) k on true;
        return v_answers;
      end if;
      v_entitled := exists (
        select 1 from public.entitlements c where c.tenant_id = p_tenant and c.meter_id = any (v_ids) and c.canceled_at is null);
      v_balanced := exists (select 1 from public.balances c where c.tenant_id = p_tenant and c.meter_id = any (v_ids));
      v_reserved := exists (
        select 1 from public.reservations c where c.tenant_id = p_tenant and c.meter_id = any (v_ids) and c.status = 'held');
      select json_agg(json_build_array(
          case
            when v_ids[r.m] is null or (c.id is null and not v_open) then 'NOT_FOUND'
            when v_archived[r.m] or c.archived_at is not null then 'DISABLED'
            when a.cap_limit is null or t.behaviour = 'overflow' then 'VALID'
            when v_kinds[r.m] in ('MIN', 'AVG', 'WEIGHTED_SUM') then case when coalesce(a.used, 0) <= a.cap_limit then 'VALID' else 'USAGE_EXCEEDED' end
            when v_kinds[r.m] in ('MAX', 'LATEST') then case when greatest(coalesce(a.used, 0), r.amount) <= a.cap_limit then 'VALID' else 'USAGE_EXCEEDED' end
            when a.used + h.amount + r.amount < a.cap_limit or (r.amount > 0 and a.used + h.amount + r.amount = a.cap_limit) then 'VALID'
            else 'USAGE_EXCEEDED' end,
          a.cap_limit::text, coalesce(a.used, 0)::text, t.behaviour, q.period, q.ends, v_slugs[r.m],
          case when a.cap_limit is not null and a.used + h.amount + r.amount > a.cap_limit then app.next_tiers(p_tenant, v_ids[r.m], t.cap_limit) end,
          case when h.amount > 0 then h.amount::text end, b.overage::text))
        into v_answers
        from (
          select array_position(v_refs, x.meter) as m, x.customer, x.amount from unnest(p_meters, p_users, p_amounts) x (meter, customer, amount)
        ) r
        left join lateral (
          select x.id, x.archived_at from public.customers x where x.tenant_id = p_tenant and x.external_id = r.customer limit 1
        ) c on true
        left join lateral (
          select x.tier_id, x.tier_version, x.anchor_day from public.subscriptions x
          where x.tenant_id = p_tenant and x.customer_id = c.id and x.canceled_at is null limit 1
        ) s on true
        left join lateral (
          select coalesce(x.cap_limit, 0) as cap_limit, x.behaviour, x.period from public.entitlements x
          where v_entitled and x.tenant_id = p_tenant and x.customer_id = c.id and x.meter_id = v_ids[r.m] and x.canceled_at is null
          union all
          select x.cap_limit, x.behaviour, x.period from public.tier_caps x
          where x.tenant_id = p_tenant and x.tier_id = coalesce(s.tier_id, v_default) and x.version = coalesce(s.tier_version, v_default_version)
            and x.meter_id = v_ids[r.m]
          limit 1
        ) t on true
        cross join lateral (
          select coalesce(t.period, 'month') as period,
            case when t.period = 'day' then v_today when coalesce(s.anchor_day, 1) = 1 then v_first
              else app.period_start(v_today, 'month', s.anchor_day) end as starts_on,
            case when t.period = 'day' then v_day_end when coalesce(s.anchor_day, 1) = 1 then v_month_end
              else extract(epoch from app.day_start(app.period_end(app.period_start(v_today, 'month', s.anchor_day), 'month', s.anchor_day),
                  p_time_zone)) end as ends
          offset 0
        ) q
        left join lateral (
          select x.used, x.events, x.moment from public.usage_counters x
          where x.tenant_id = p_tenant and x.period = q.period and x.meter_id = v_ids[r.m] and x.starts_on = q.starts_on and x.customer_id = c.id
          limit 1
        ) k on true
        left join lateral (
          select b.used, b.granted + b.overage as granted, nullif(b.overage, 0) as overage from app.peek_balance(p_tenant, c.id, v_ids[r.m], v_now, p_time_zone) b
          where v_balanced and c.id is not null and exists (
            select 1 from public.balances x where x.tenant_id = p_tenant and x.customer_id = c.id and x.meter_id = v_ids[r.m])
        ) b on v_balanced
        cross join lateral (
          select case when t.cap_limit is not null then coalesce(b.granted, t.cap_limit) end as cap_limit,
            case when b.granted is not null then b.used
              when v_kinds[r.m] = 'WEIGHTED_SUM' then app.weighted_average(p_tenant, v_ids[r.m], c.id, q.starts_on,
                app.day_start(q.starts_on, p_time_zone), v_now, k.used, k.moment)
              when v_kinds[r.m] in ('SUM', 'COUNT', 'UNIQUE_COUNT') then coalesce(k.used, 0)
              else app.metered_value(v_kinds[r.m], k.used, k.events) end as used
          offset 0
        ) a
        cross join lateral (
          select case when v_reserved then coalesce((
            select sum(x.amount) from public.reservations x
            where x.tenant_id = p_tenant and x.customer_id = c.id and x.meter_id = v_ids[r.m] and x.status = 'held' and x.expires_at > v_now), 0)
            else 0 end as amount
          offset 0
        ) h;
      return v_answers;
    end
  $$;
