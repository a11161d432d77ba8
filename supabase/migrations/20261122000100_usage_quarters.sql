-- Totals of all customers by the quarter of an hour: every clock of the world is that far from UTC, so that hours and days of any of them
-- are sums of totals. Until here they were kept by the hour of UTC, and elsewhere counted from the events.

-- tables --------------------------------------------------------------------------------------------

create table public.usage_quarters (
  tenant_id uuid not null default app.tenant_id(),
  meter_id uuid not null,
  quarter timestamptz not null,
  used numeric not null,
  events bigint not null,
  moment numeric,
  last_at timestamptz,
  last_received_at timestamptz,
  primary key (tenant_id, meter_id, quarter)
) with (fillfactor = 50);
comment on table public.usage_quarters is
  '@tenant Running totals over all customers, per meter and quarter of an hour, for series by the hour and days of any time zone. Not kept for UNIQUE_COUNT.';
comment on column public.usage_quarters.quarter is 'When it begins. Of months whose events were dropped before there were quarters, the first of an hour holds the whole hour.';

-- rows ----------------------------------------------------------------------------------------------
-- Quarters come from the events that are there. What an hour held beyond them, because its events are gone, stays with its first quarter.

alter table public.usage_events no force row level security;
alter table public.usage_hours no force row level security;
alter table public.meters no force row level security;
alter table public.reconciliation_drifts no force row level security;
set local work_mem = '256MB';
set local jit = off;
with
counted as (
  select e.tenant_id, e.meter_id, m.aggregation, date_bin('15 minutes', e.occurred_at, '2000-01-01 00:00:00+00') as quarter, count(*) as events,
    case m.aggregation
      when 'MIN' then min(coalesce(e.counted, e.value)) when 'MAX' then max(coalesce(e.counted, e.value))
      when 'LATEST' then (max(array[extract(epoch from e.occurred_at), extract(epoch from e.received_at), coalesce(e.counted, e.value)])
        filter (where m.aggregation = 'LATEST'))[3]
      when 'COUNT' then sum(coalesce(e.counted, 1)) else sum(coalesce(e.counted, e.value)) end as used,
    sum(coalesce(e.counted, e.value) * extract(epoch from e.occurred_at)) filter (where m.aggregation = 'WEIGHTED_SUM') as moment,
    max(array[extract(epoch from e.occurred_at), extract(epoch from e.received_at), coalesce(e.counted, e.value)])
      filter (where m.aggregation = 'LATEST') as last
  from public.usage_events e
  join public.meters m on m.tenant_id = e.tenant_id and m.id = e.meter_id and m.aggregation <> 'UNIQUE_COUNT'
  where e.weight = 1 and not exists (
    select from public.usage_events c where c.tenant_id = e.tenant_id and c.corrects = e.id and c.weight = -1)
  group by 1, 2, 3, 4
),
beyond as (
  select h.tenant_id, h.meter_id, m.aggregation, h.hour as quarter, h.events - coalesce(c.events, 0) as events,
    case when m.aggregation in ('MIN', 'MAX', 'LATEST') then h.used else h.used - coalesce(c.used, 0) end as used,
    h.moment - coalesce(c.moment, 0) as moment, h.last_at, h.last_received_at
  from public.usage_hours h
  join public.meters m on m.tenant_id = h.tenant_id and m.id = h.meter_id
  left join (
    select x.tenant_id, x.meter_id, date_trunc('hour', x.quarter, 'UTC') as hour, sum(x.events)::bigint as events, sum(x.used) as used,
      sum(x.moment) as moment
    from counted x group by 1, 2, 3
  ) c on c.tenant_id = h.tenant_id and c.meter_id = h.meter_id and c.hour = h.hour
)
insert into public.usage_quarters (tenant_id, meter_id, quarter, used, events, moment, last_at, last_received_at)
  select tenant_id, meter_id, quarter,
    case when aggregation not in ('MIN', 'MAX', 'LATEST') then coalesce(c.used, 0) + coalesce(b.used, 0) else coalesce(b.used, c.used) end,
    coalesce(c.events, 0) + coalesce(b.events, 0),
    case when aggregation = 'WEIGHTED_SUM' then coalesce(c.moment, 0) + coalesce(b.moment, 0) end,
    coalesce(b.last_at, timestamptz 'epoch' + c.last[1] * interval '1 second'),
    coalesce(b.last_received_at, timestamptz 'epoch' + c.last[2] * interval '1 second')
  from counted c
  full join (
    select * from beyond x
    where case when x.aggregation in ('MIN', 'MAX', 'LATEST') then x.events > 0 else x.events <> 0 or x.used <> 0 or x.moment <> 0 end
  ) b using (tenant_id, meter_id, quarter, aggregation);
alter table public.usage_events force row level security;
alter table public.meters force row level security;

-- What a reconciliation found is named as it is now.
update public.reconciliation_drifts
  set table_name = 'usage_quarters', row_key = row_key - 'hour' || jsonb_build_object('quarter', row_key -> 'hour')
  where table_name = 'usage_hours';
alter table public.reconciliation_drifts force row level security;
drop table public.usage_hours;

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
            limit 1
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
        insert into public.usage_quarters (tenant_id, meter_id, quarter, used, events) values (p_tenant, v_meter, v_quarter, v_amount, 1)
          on conflict (tenant_id, meter_id, quarter) do update set used = usage_quarters.used + excluded.used, events = usage_quarters.events + 1;
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

drop function app.move_counters(uuid, timestamptz, uuid[], uuid[], text[], text[], integer[], uuid[], uuid[], uuid[], integer[], integer[], date[],
  timestamptz[], numeric[], smallint[], smallint[], timestamptz[], jsonb[]);
create function app.move_counters(
  p_tenant uuid, p_now timestamptz, p_meter_ids uuid[], p_customer_ids uuid[], p_kinds text[], p_from_property text[], p_anchors integer[],
  p_min uuid[], p_max uuid[], p_latest uuid[], p_user integer[], p_meter integer[], p_days date[], p_quarters timestamptz[], p_amounts numeric[],
  p_codes smallint[], p_weights smallint[], p_times timestamptz[], p_properties jsonb[]
) returns void
  language plpgsql volatile set search_path = '' set plan_cache_mode = force_generic_plan set enable_seqscan = off
  as $$
    declare v_nil constant uuid := '00000000-0000-0000-0000-000000000000';
    begin
      p_min := coalesce(p_min, '{}');
      p_max := coalesce(p_max, '{}');
      p_latest := coalesce(p_latest, '{}');
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
      counters as (
        insert into public.usage_counters (tenant_id, period, meter_id, starts_on, customer_id, used, events, moment, last_at, last_received_at)
          select p_tenant, d.scope, p_meter_ids[d.m], d.starts_on, p_customer_ids[d.u], d.used + coalesce(f.used, 0), d.events, d.moment, d.last_at,
            d.last_received_at
          from moved d
          left join fresh f on f.meter_id = p_meter_ids[d.m] and f.period = d.scope and f.starts_on = d.starts_on
            and f.customer_id = p_customer_ids[d.u]
          where d.scope in ('day', 'month')
          order by 2, 3, 4, 5
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
                then usage_counters.last_received_at else excluded.last_received_at end
      ),
      quarters as (
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
      )
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
                then usage_totals.last_received_at else excluded.last_received_at end;
    end
  $$;
comment on function app.move_counters(uuid, timestamptz, uuid[], uuid[], text[], text[], integer[], uuid[], uuid[], uuid[], integer[], integer[], date[],
    timestamptz[], numeric[], smallint[], smallint[], timestamptz[], jsonb[]) is
  'Moves every running total by the events of a batch that were taken in (code 0) and pass their filter, for meters of any aggregation. '
  'Part of app.record_usage, which does the plain ones itself.';

-- functions: corrections, reconciliation ------------------------------------------------------------

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
            order by c.period, c.starts_on
            for update;
          v_balance := app.settle_balance(p_tenant, p_event.customer_id, v_meter.id, p_now, p_time_zone);
        end if;
        update public.usage_counters c set used = c.used - v_amount, events = c.events - 1, moment = c.moment - v_moment
          where c.tenant_id = p_tenant and c.period = 'day' and c.meter_id = v_meter.id and c.starts_on = v_day
            and c.customer_id = p_event.customer_id;
        update public.usage_counters c set used = c.used - v_amount, events = c.events - 1, moment = c.moment - v_moment
          where c.tenant_id = p_tenant and c.period = 'month' and c.meter_id = v_meter.id and c.starts_on = v_month
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
          order by c.period, c.starts_on for update;
        perform 1 from public.usage_totals t where t.tenant_id = p_tenant and t.meter_id = v_meter.id and t.day = v_day for update;
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
      for v_stored in
        select * from public.usage_counters c
        where c.tenant_id = p_tenant and c.meter_id = v_meter.id and c.customer_id = p_event.customer_id
          and (c.period, c.starts_on) in (('day', v_day), ('month', v_month))
        order by c.period, c.starts_on for update
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

create or replace function app.find_usage_drift(p_tenant uuid, p_time_zone text, p_meters uuid[], p_from date)
  returns table (table_name text, row_key jsonb, stored jsonb, expected jsonb, events bigint, rows_checked bigint)
  language plpgsql stable set search_path = '' set plan_cache_mode = force_custom_plan set jit = off
  -- Nobody knows beforehand how many lines the steps come to: everything is put together by hashes, in memory as far as there is some.
  set work_mem = '32MB' set enable_sort = off set enable_mergejoin = off set enable_nestloop = off
  as $$
    #variable_conflict use_column
    declare
      v_none constant uuid := '00000000-0000-0000-0000-000000000000';
      v_since timestamptz := coalesce(app.day_start(p_from, p_time_zone), '-infinity');
    begin
      return query
        with
        meters as materialized (
          select m.id, m.slug, m.aggregation, m.value_property, m.group_by, m.aggregation = 'LATEST' as latest, m.aggregation = 'WEIGHTED_SUM' as weighted,
            m.aggregation = 'UNIQUE_COUNT' as uniques, case when m.aggregation = 'UNIQUE_COUNT' then 0 else cardinality(m.group_by) end as groups
          from public.meters m where m.tenant_id = p_tenant and (p_meters is null or m.id = any (p_meters))
        ),
        anchors as materialized (
          select s.customer_id, s.anchor_day::integer as anchor from public.subscriptions s where s.tenant_id = p_tenant and s.canceled_at is null
        ),
        taken_back as materialized (
          select e.corrects as id from public.usage_events e
          where e.tenant_id = p_tenant and e.corrects is not null and e.weight = -1
        ),
        -- One reading of the events, into cells that fit into every total. Which value is the latest is the greatest of (when it happened,
        -- when it came, value); what an event is grouped by stays an array until few are left.
        cells as materialized (
          select e.meter_id, e.customer_id, m.aggregation, (e.occurred_at at time zone p_time_zone)::date as day,
            case when m.uniques then null else date_bin('15 minutes', e.occurred_at, '2000-01-01 00:00:00+00') end as quarter,
            case when m.groups > 0 then array[e.properties ->> m.group_by[1], e.properties ->> m.group_by[2], e.properties ->> m.group_by[3],
              e.properties ->> m.group_by[4], e.properties ->> m.group_by[5]] end as group_values,
            case when m.uniques then md5(e.properties ->> m.value_property)::uuid end as value_hash,
            sum(case when m.aggregation = 'COUNT' then coalesce(e.counted, 1) else coalesce(e.counted, e.value) end) as total,
            min(coalesce(e.counted, e.value)) as least, max(coalesce(e.counted, e.value)) as greatest, count(*) as events,
            sum(case when m.weighted then coalesce(e.counted, e.value) * extract(epoch from e.occurred_at) end) as moment,
            max(case when m.latest then
              array[extract(epoch from e.occurred_at), extract(epoch from e.received_at), coalesce(e.counted, e.value)] end) as last
          from public.usage_events e
          join meters m on m.id = e.meter_id
          where e.tenant_id = p_tenant and e.weight = 1 and e.received_at >= v_since - interval '1 day'
            and e.occurred_at >= v_since and not exists (select 1 from taken_back t where t.id = e.id)
          group by 1, 2, 3, 4, 5, 6, 7
        ),
        days as materialized (
          select c.meter_id, c.customer_id, c.aggregation, c.day, sum(c.total) as total, min(c.least) as least, max(c.greatest) as greatest,
            sum(c.events)::bigint as events, sum(c.moment) as moment, max(c.last) as last
          from cells c group by 1, 2, 3, 4
        ),
        -- Where a customer's months begin, by day: few calendars and few days.
        months as materialized (
          select d.day, a.anchor, app.period_start(d.day, 'month', a.anchor) as month
          from (select distinct x.day from days x) d
          cross join (select 1 as anchor union select x.anchor from anchors x) a
        ),
        summed as (
          select 'usage_counters' as name, 'day' as period, d.meter_id, d.day as starts_on, null::timestamptz as quarter, d.customer_id,
            null::text[] as group_values, d.aggregation, d.total, d.least, d.greatest, d.events, d.moment, d.last
          from days d
          union all
          select 'usage_counters', 'month', d.meter_id, s.month, null, d.customer_id, null, d.aggregation, sum(d.total), min(d.least), max(d.greatest),
            sum(d.events)::bigint, sum(d.moment), max(d.last)
          from (select x.*, coalesce(a.anchor, 1) as anchor from days x left join anchors a on a.customer_id = x.customer_id offset 0) d
          join months s on s.day = d.day and s.anchor = d.anchor
          where p_from is null or s.month >= p_from
          group by 3, 4, 6, 8
          union all
          select 'usage_totals', null, d.meter_id, d.day, null, v_none, null, d.aggregation, sum(d.total), min(d.least), max(d.greatest),
            sum(d.events)::bigint, sum(d.moment), max(d.last)
          from days d
          group by 3, 4, 8
          union all
          select 'usage_quarters', null, c.meter_id, null, c.quarter, v_none, null, c.aggregation, sum(c.total), min(c.least), max(c.greatest),
            sum(c.events)::bigint, sum(c.moment), max(c.last)
          from cells c where c.quarter is not null
          group by 3, 5, 8
          union all
          select 'usage_groups', null, c.meter_id, c.day, null, c.customer_id, c.group_values, c.aggregation, sum(c.total), min(c.least), max(c.greatest),
            sum(c.events)::bigint, sum(c.moment), max(c.last)
          from cells c where c.group_values is not null
          group by 3, 4, 6, 7, 8
          union all
          select 'usage_group_totals', null, c.meter_id, c.day, null, v_none, c.group_values, c.aggregation, sum(c.total), min(c.least),
            max(c.greatest), sum(c.events)::bigint, sum(c.moment), max(c.last)
          from cells c where c.group_values is not null
          group by 3, 4, 7, 8
        ),
        labels as materialized (
          select x.meter_id, x.group_values, (
              select jsonb_object_agg(g.name, x.group_values[g.place])::text from unnest(m.group_by) with ordinality g (name, place)) as label
          from (select distinct c.meter_id, c.group_values from cells c where c.group_values is not null) x
          join meters m on m.id = x.meter_id
        ),
        value_cells as materialized (
          select c.meter_id, c.day, c.customer_id, c.value_hash, c.events, coalesce(a.anchor, 1) as anchor
          from cells c
          left join anchors a on a.customer_id = c.customer_id
          where c.aggregation = 'UNIQUE_COUNT'
        ),
        seen as materialized (
          select 'day' as period, c.meter_id, c.day as starts_on, c.customer_id, c.value_hash, c.events from value_cells c
          union all
          select 'month', c.meter_id, s.month, c.customer_id, c.value_hash, sum(c.events)::bigint
          from value_cells c
          join months s on s.day = c.day and s.anchor = c.anchor
          where p_from is null or s.month >= p_from
          group by 2, 3, 4, 5
          union all
          select 'total', c.meter_id, c.day, v_none, c.value_hash, sum(c.events)::bigint from value_cells c group by 2, 3, 5
        ),
        distinct_values as (
          select s.period, s.meter_id, s.starts_on, s.customer_id, count(*) as number from seen s group by 1, 2, 3, 4
        ),
        wanted as materialized (
          select s.name, s.period, s.meter_id, s.starts_on, s.quarter, s.customer_id, md5(l.label)::uuid as hash,
            case s.aggregation when 'MIN' then s.least when 'MAX' then s.greatest when 'UNIQUE_COUNT' then v.number when 'LATEST' then s.last[3]
              else s.total end as used,
            s.events, s.moment, timestamptz 'epoch' + s.last[1] * interval '1 second' as last_at, timestamptz 'epoch' + s.last[2] * interval '1 second' as last_received_at, l.label
          from summed s
          left join labels l on l.meter_id = s.meter_id and l.group_values = s.group_values
          left join distinct_values v on v.period = coalesce(s.period, 'total') and v.meter_id = s.meter_id and v.starts_on = s.starts_on
            and v.customer_id = s.customer_id and s.aggregation = 'UNIQUE_COUNT'
          union all
          select 'usage_uniques', s.period, s.meter_id, s.starts_on, null, s.customer_id, s.value_hash, null, s.events, null, null, null, null
          from seen s
        ),
        kept as materialized (
          select 'usage_counters' as name, c.period, c.meter_id, c.starts_on, null::timestamptz as quarter, c.customer_id, null::uuid as hash, c.used,
            c.events, c.moment, c.last_at, c.last_received_at, null as label
          from public.usage_counters c join meters m on m.id = c.meter_id
          where c.tenant_id = p_tenant and (p_from is null or c.starts_on >= p_from)
          union all
          select 'usage_totals', null, c.meter_id, c.day, null, v_none, null, c.used, c.events, c.moment, c.last_at, c.last_received_at, null
          from public.usage_totals c join meters m on m.id = c.meter_id
          where c.tenant_id = p_tenant and (p_from is null or c.day >= p_from)
          union all
          select 'usage_quarters', null, c.meter_id, null, c.quarter, v_none, null, c.used, c.events, c.moment, c.last_at, c.last_received_at, null
          from public.usage_quarters c join meters m on m.id = c.meter_id
          where c.tenant_id = p_tenant and (p_from is null or c.quarter >= v_since)
          union all
          select 'usage_groups', null, c.meter_id, c.day, null, c.customer_id, c.group_hash, c.used, c.events, c.moment, c.last_at, c.last_received_at,
            c.group_values::text
          from public.usage_groups c join meters m on m.id = c.meter_id
          where c.tenant_id = p_tenant and (p_from is null or c.day >= p_from)
          union all
          select 'usage_group_totals', null, c.meter_id, c.day, null, v_none, c.group_hash, c.used, c.events, c.moment, c.last_at,
            c.last_received_at, c.group_values::text
          from public.usage_group_totals c join meters m on m.id = c.meter_id
          where c.tenant_id = p_tenant and (p_from is null or c.day >= p_from)
          union all
          select 'usage_uniques', c.period, c.meter_id, c.starts_on, null, c.customer_id, c.value_hash, null, c.events, null, null, null, null
          from public.usage_uniques c join meters m on m.id = c.meter_id
          where c.tenant_id = p_tenant and (p_from is null or c.starts_on >= p_from)
        ),
        compared as (
          select coalesce(w.name, k.name) as name, coalesce(w.period, k.period) as period, coalesce(w.meter_id, k.meter_id) as meter_id,
            coalesce(w.starts_on, k.starts_on) as starts_on, coalesce(w.quarter, k.quarter) as quarter, coalesce(w.customer_id, k.customer_id) as customer_id,
            coalesce(w.hash, k.hash) as hash,
            case when k.name is not null then jsonb_strip_nulls(jsonb_build_object('used', k.used::text, 'events', k.events, 'moment', k.moment::text,
              'last_at', k.last_at, 'last_received_at', k.last_received_at, 'group_values', case when k.label is distinct from w.label then k.label end))
              end as stored,
            case when w.name is not null then jsonb_strip_nulls(jsonb_build_object('used', trim_scale(w.used)::text, 'events', w.events,
              'moment', trim_scale(w.moment)::text, 'last_at', w.last_at, 'last_received_at', w.last_received_at,
              'group_values', case when k.label is distinct from w.label then w.label end)) end as expected
          from wanted w
          full join kept k on k.name = w.name and k.meter_id = w.meter_id and k.customer_id = w.customer_id
            and coalesce(k.starts_on, '-infinity') = coalesce(w.starts_on, '-infinity')
            and coalesce(k.quarter, '-infinity') = coalesce(w.quarter, '-infinity')
            and coalesce(k.period, '') = coalesce(w.period, '') and coalesce(k.hash, v_none) = coalesce(w.hash, v_none)
          where coalesce(k.used, 0) <> coalesce(w.used, 0) or coalesce(k.events, 0) <> coalesce(w.events, 0)
            or coalesce(k.moment, 0) <> coalesce(w.moment, 0) or k.last_at is distinct from w.last_at
            or k.last_received_at is distinct from w.last_received_at or k.label <> w.label
        ),
        -- A balance is carried + counted as used, and what is left of its allowance and grants is what was available less what was used.
        balanced as materialized (
          select b.customer_id, b.meter_id, coalesce(e.starts_on, b.starts_on) as starts_on, b.used, b.allowance_left + coalesce(g.remaining, 0) as left,
            case when p_from is not null and b.starts_on < p_from then b.used else b.carried + coalesce(w.used, 0) end as expected_used,
            coalesce(e.granted, b.granted) + b.overage - b.used as expected_left,
            jsonb_build_object('starts_on', b.starts_on, 'granted', trim_scale(b.granted)::text, 'allowance', trim_scale(b.allowance)::text,
              'opening', trim_scale(b.opening)::text) as terms,
            jsonb_build_object('starts_on', coalesce(e.starts_on, b.starts_on), 'granted', trim_scale(coalesce(e.granted, b.granted))::text,
              'allowance', trim_scale(coalesce(e.allowance, b.allowance))::text, 'opening', trim_scale(coalesce(e.opening, b.opening))::text)
              as expected_terms
          from public.balances b
          join meters m on m.id = b.meter_id
          cross join lateral app.balance_cap(p_tenant, b.customer_id, b.meter_id) c
          -- Its history says what it began with and when, after each change.
          left join lateral (
            select x.starts_on, x.granted, x.allowance, x.opening from public.balance_entries x
            where x.tenant_id = p_tenant and x.customer_id = b.customer_id and x.meter_id = b.meter_id
            order by x.occurred_at desc, x.id desc limit 1
          ) e on true
          left join wanted w on w.name = 'usage_counters' and w.meter_id = b.meter_id and w.customer_id = b.customer_id and w.period = c.period
            and w.starts_on = coalesce(e.starts_on, b.starts_on)
          left join lateral (
            select sum(x.remaining) as remaining from public.grants x
            where x.tenant_id = p_tenant and x.customer_id = b.customer_id and x.meter_id = b.meter_id and x.closed_at is null
          ) g on true
          where b.tenant_id = p_tenant
        ),
        -- A grant holds no more than it held when it was last issued, and nothing once it is closed.
        granted as materialized (
          select g.customer_id, g.meter_id, g.id, g.remaining,
            case when g.closed_at is not null or g.issues = 0 then 0 else least(g.remaining, g.opening) end as expected
          from public.grants g join meters m on m.id = g.meter_id
          where g.tenant_id = p_tenant
        ),
        -- What was settled is what was recorded for it, and only what was settled has events.
        reserved as materialized (
          select r.customer_id, r.meter_id, r.id, r.status, r.settled,
            case when e.events > 0 or r.status = 'settled' and r.settled = 0 then 'settled' when r.closed_at is null then 'held' else 'released' end
              as expected_status,
            case when e.events > 0 then e.amount when r.status = 'settled' and r.settled = 0 then 0 end as expected_settled
          from public.reservations r
          join meters m on m.id = r.meter_id
          cross join lateral (
            select count(*) as events, case m.aggregation when 'COUNT' then count(*) else sum(x.value) end as amount
            from public.usage_events x
            where x.tenant_id = p_tenant
              and x.id = any (array(select app.event_key('reservation', r.id || '/' || i)
                from generate_series(1, case m.aggregation when 'COUNT' then least(1000, ceil(greatest(r.settled, r.amount)))::integer else 1 end) i))
              and x.received_month >= date_trunc('month', coalesce(r.closed_at, r.created_at) at time zone 'UTC')::date
              and x.received_month <= date_trunc('month', (coalesce(r.closed_at, r.expires_at) + interval '1 day') at time zone 'UTC')::date
          ) e
          where r.tenant_id = p_tenant and (p_from is null or r.created_at >= v_since)
        ),
        -- Of meters that add up, all lines together are everything received before the end of the last closed period.
        last_cut as materialized (
          select max(b.ends_at) as ends_at from public.billing_periods b where b.tenant_id = p_tenant
        ),
        billed as materialized (
          select x.customer_id, x.meter_id, sum(x.quantity) filter (where x.billed) as quantity, sum(x.quantity) filter (where not x.billed) as expected
          from (
            select l.customer_id, l.meter_id, l.quantity, true as billed
            from public.billing_lines l join meters m on m.id = l.meter_id and m.aggregation in ('SUM', 'COUNT') where l.tenant_id = p_tenant
            union all
            select w.customer_id, w.meter_id, w.used, false
            from wanted w join meters m on m.id = w.meter_id and m.aggregation in ('SUM', 'COUNT')
            where w.name = 'usage_counters' and w.period = 'day' and exists (select 1 from last_cut t where t.ends_at is not null)
            union all
            -- Days whose events are gone are what their totals say.
            select c.customer_id, c.meter_id, c.used, false
            from public.usage_counters c join meters m on m.id = c.meter_id and m.aggregation in ('SUM', 'COUNT')
            where c.tenant_id = p_tenant and c.period = 'day' and c.starts_on < p_from and exists (select 1 from last_cut t where t.ends_at is not null)
            union all
            select e.customer_id, e.meter_id,
              -e.weight * case m.aggregation when 'COUNT' then coalesce(e.counted, 1) else coalesce(e.counted, e.value) end, false
            from last_cut t
            join public.usage_events e on e.tenant_id = p_tenant and e.received_at >= t.ends_at and e.weight <> 0
              and e.received_month >= date_trunc('month', t.ends_at at time zone 'UTC')::date
            join meters m on m.id = e.meter_id and m.aggregation in ('SUM', 'COUNT')
            where e.weight = 1 or not exists (
              select 1 from public.usage_events o where o.tenant_id = p_tenant and o.id = e.corrects and o.weight = 0)
          ) x
          group by 1, 2
        ),
        closed as materialized (
          select p.id, p.starts_at, p.lines, p.events, p.adjustments, l.lines as expected_lines, l.events as expected_events,
            l.adjustments as expected_adjustments
          from public.billing_periods p
          cross join lateral (
            select count(*) as lines, coalesce(sum(x.events), 0)::bigint as events, count(*) filter (where x.adjustment) as adjustments
            from public.billing_lines x where x.tenant_id = p_tenant and x.billing_period_id = p.id
          ) l
          where p.tenant_id = p_tenant and p_meters is null
        ),
        -- Of such meters alone customers' own terms are looked for.
        unmarked as (
          select m.id from meters m join public.meters x on x.tenant_id = p_tenant and x.id = m.id and not x.individual
          where exists (select 1 from public.entitlements e where e.tenant_id = p_tenant and e.meter_id = m.id)
            or exists (select 1 from public.balances b where b.tenant_id = p_tenant and b.meter_id = m.id)
            or exists (select 1 from public.reservations r where r.tenant_id = p_tenant and r.meter_id = m.id and r.status = 'held')
        ),
        counted as (
          select (select coalesce(sum(c.events), 0) from cells c)::bigint as events,
            (select count(*) from kept) + (select count(*) from balanced) + (select count(*) from granted) + (select count(*) from reserved)
              + (select count(*) from billed) + (select count(*) from closed) + (select count(*) from meters) as rows
        )
        select d.name, jsonb_strip_nulls(jsonb_build_object('meter', m.slug, 'meter_id', d.meter_id,
            'customer_id', nullif(d.customer_id, v_none), 'customer', u.external_id, 'period', d.period,
            'starts_on', d.starts_on, 'quarter', d.quarter, 'hash', case when d.name in ('usage_groups', 'usage_group_totals', 'usage_uniques') then d.hash end,
            'id', case when d.name not in ('usage_groups', 'usage_group_totals', 'usage_uniques') then d.hash end)), d.stored, d.expected, n.events, n.rows
        from counted n
        left join (
          select * from compared
          union all
          select 'balances', null, b.meter_id, b.starts_on, null, b.customer_id, null,
            b.terms || jsonb_build_object('used', trim_scale(b.used)::text, 'left', trim_scale(b.left)::text),
            b.expected_terms || jsonb_build_object('used', trim_scale(b.expected_used)::text, 'left', trim_scale(b.expected_left)::text)
          from balanced b where b.used <> b.expected_used or b.left <> b.expected_left or b.terms <> b.expected_terms
          union all
          select 'grants', null, g.meter_id, null, null, g.customer_id, g.id, jsonb_build_object('remaining', trim_scale(g.remaining)::text),
            jsonb_build_object('remaining', trim_scale(g.expected)::text)
          from granted g where g.remaining <> g.expected
          union all
          select 'reservations', null, r.meter_id, null, null, r.customer_id, r.id,
            jsonb_build_object('status', r.status, 'settled', trim_scale(r.settled)::text),
            jsonb_build_object('status', r.expected_status, 'settled', trim_scale(r.expected_settled)::text)
          from reserved r where r.status <> r.expected_status or r.settled is distinct from r.expected_settled
          union all
          select 'billing_lines', null, b.meter_id, null, null, b.customer_id, null, jsonb_build_object('quantity', trim_scale(coalesce(b.quantity, 0))::text),
            jsonb_build_object('quantity', trim_scale(coalesce(b.expected, 0))::text)
          from billed b where coalesce(b.quantity, 0) <> coalesce(b.expected, 0)
          union all
          select 'billing_periods', null, null, (p.starts_at at time zone p_time_zone)::date, null, null, p.id,
            jsonb_build_object('lines', p.lines, 'events', p.events, 'adjustments', p.adjustments),
            jsonb_build_object('lines', p.expected_lines, 'events', p.expected_events, 'adjustments', p.expected_adjustments)
          from closed p where (p.lines, p.events, p.adjustments) is distinct from (p.expected_lines, p.expected_events, p.expected_adjustments)
          union all
          select 'meters', null, m.id, null, null, null, null, jsonb_build_object('individual', false), jsonb_build_object('individual', true)
          from unmarked m
        ) d on true
        left join meters m on m.id = d.meter_id
        left join public.customers u on u.tenant_id = p_tenant and u.id = d.customer_id
        order by d.name, m.slug, d.starts_on, d.quarter, d.period, u.external_id, d.hash;
    end
  $$;

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
      -- Grants first: what they hold is taken from what their balance says, before the balance is levelled.
      for v_row in
        select * from app.find_usage_drift(p_tenant, p_time_zone, p_meters, p_from) f where f.table_name is not null
        order by f.table_name <> 'grants', f.table_name
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

-- functions: questions ------------------------------------------------------------------------------

create function app.whole_quarters(p_froms timestamptz[], p_tos timestamptz[]) returns tstzmultirange
  language plpgsql stable parallel safe set search_path = ''
  as $$
    declare
      v_zero constant timestamptz := '2000-01-01 00:00:00+00';
      v_quarter constant interval := '15 minutes';
    begin
      return (
        select range_agg(tstzrange(q.f, q.t))
        from unnest(p_froms, p_tos) r (f, t)
        cross join lateral (
          select date_bin(v_quarter, r.f + v_quarter - interval '1 microsecond', v_zero) as f, date_bin(v_quarter, r.t, v_zero) as t
        ) q
        where q.f < q.t);
    end
  $$;
comment on function app.whole_quarters(timestamptz[], timestamptz[]) is
  'Part of app.query_usage: the quarters of an hour of UTC that lie in half-open ranges as a whole; null when none does.';

create function app.usage_quarter_piece(p_quarters tstzmultirange, p_window text) returns text
  language plpgsql stable set search_path = ''
  as $$
    declare
      v_rows constant text := 'select %s, null::uuid, null::jsonb, x.used, x.events, x.moment, x.last_at, x.last_received_at, null::uuid from ';
      v_few constant text := 'public.usage_quarters x where x.tenant_id = $1 and x.meter_id = $2 and x.quarter >= %L and x.quarter < %L';
      v_many constant text := 'unnest(%L::timestamptz[], %L::timestamptz[]) r (f, t)
        join public.usage_quarters x on x.tenant_id = $1 and x.meter_id = $2 and x.quarter >= r.f and x.quarter < r.t';
      v_count integer := (select count(*) from unnest(p_quarters));
    begin
      return format(v_rows, p_window) || case
        when v_count > 1 then format(v_many, array(select lower(r) from unnest(p_quarters) r order by r), array(select upper(r) from unnest(p_quarters) r order by r))
        else format(v_few, coalesce(lower(p_quarters), 'infinity'), coalesce(upper(p_quarters), 'infinity')) end;
    end
  $$;
comment on function app.usage_quarter_piece(tstzmultirange, text) is 'Part of app.query_usage: what reads the totals of whole quarters of an hour.';

create or replace function app.query_usage(
  p_tenant uuid, p_meter uuid, p_from timestamptz, p_to timestamptz, p_window text, p_zone text, p_time_zone text,
  p_customers uuid[], p_by_customer boolean, p_group_by text[], p_filter jsonb, p_fill boolean, p_now timestamptz, p_limit integer
) returns table (window_start timestamptz, window_end timestamptz, customer_id uuid, group_values jsonb, value numeric, events bigint)
  language plpgsql stable set search_path = '' set jit = off set enable_seqscan = off set work_mem = '32MB'
  -- Workers are worth their start only where many events are read.
  set parallel_setup_cost = 50000
  as $$
    declare
      v_meter public.meters;
      v_kind text;
      v_bounds timestamptz[] := app.usage_windows(p_from, p_to, p_window, p_zone);
      v_inner timestamptz[] := v_bounds[2 : cardinality(v_bounds) - 1];
      v_picks boolean := p_customers is not null or p_by_customer;
      v_grouped boolean := cardinality(p_group_by) > 0 or p_filter is not null;
      v_split boolean := p_by_customer or cardinality(p_group_by) > 0;
      v_one boolean;
      v_by_day boolean;
      v_by_quarter boolean;
      v_hashed boolean;
      v_days date[];
      v_day_windows integer[];
      v_months date[];
      v_month_windows integer[];
      v_other_days date[];
      v_other_windows integer[];
      v_anchored uuid[];
      v_froms timestamptz[] := array[p_from];
      v_tos timestamptz[] := array[p_to];
      v_quarters tstzmultirange;
      v_rest tstzmultirange;
      v_first date;
      v_month date;
      v_oldest date;
      v_window text;
      v_customer text := case when p_by_customer then 'x.customer_id' else 'null::uuid' end;
      v_customers text := case when p_customers is not null then ' and x.customer_id = any ($4)' else '' end;
      v_group_of_row text := 'null::jsonb';
      v_group_of_event text := 'null::jsonb';
      v_amount text;
      v_filter text := '';
      v_groups text;
      v_group_table text;
      v_counters text;
      v_plain text;
      v_pieces text[] := '{}';
      v_used text;
      v_value text;
    begin
      select * into v_meter from public.meters m where m.tenant_id = p_tenant and m.id = p_meter;
      if not found then
        return;
      end if;
      v_kind := v_meter.aggregation;
      v_one := cardinality(v_inner) = 0 and v_kind <> 'WEIGHTED_SUM';
      if cardinality(p_group_by) > 0 then
        select format('jsonb_build_object(%s)', string_agg(format('%L, x.group_values -> %L', k, k), ', ')),
            format('jsonb_build_object(%s)', string_agg(format('%L, x.properties ->> %L', k, k), ', '))
          into v_group_of_row, v_group_of_event from unnest(p_group_by) k;
      end if;
      if p_filter is not null then
        select format(' and app.passes_filter($6, jsonb_strip_nulls(jsonb_build_object(%s)))', string_agg(format('%L, x.properties ->> %L', k, k), ', '))
          into v_filter from unnest(v_meter.group_by) k;
      end if;

      -- Rows of one group are put together by its hash, so that few documents are looked into.
      v_group_table := case when v_picks then 'public.usage_groups' else 'public.usage_group_totals' end;
      v_groups := format(
        'select x.w, %1$s, %2$s, x.used, x.events, x.moment, x.last_at, x.last_received_at, null::uuid
         from (select %%1$s as w, %3$s, any_value(x.group_values) as group_values, %4$s
           %%2$s where x.tenant_id = $1 and x.meter_id = $2%%3$s group by 1, 2, x.group_hash%5$s) x%6$s',
        v_customer, replace(v_group_of_row, '%', '%%'), case when p_by_customer then 'x.customer_id' else 'null::uuid as customer_id' end,
        case v_kind
          when 'LATEST' then 'x.used, x.events, x.moment, x.last_at, x.last_received_at'
          else format('%s as used, sum(x.events) as events, sum(x.moment) as moment, null::timestamptz as last_at, null::timestamptz as last_received_at',
            case v_kind when 'MIN' then 'min(x.used) filter (where x.events > 0)' when 'MAX' then 'max(x.used) filter (where x.events > 0)'
              else 'sum(x.used)' end) end,
        case v_kind when 'LATEST' then ', x.used, x.events, x.moment, x.last_at, x.last_received_at' else '' end,
        case when p_filter is not null then ' where app.passes_filter($6, jsonb_strip_nulls(x.group_values))' else '' end);
      -- Of customers, only the columns that count; put together at once where a window has many days.
      v_plain := format(
        'select d.w, %s, null::jsonb, x.used, x.events, %s, %s, null::uuid
         from unnest(%%1$L::date[], %%2$L::integer[]) d (day, w)
         join public.usage_counters x on x.tenant_id = $1 and x.period = %%3$L and x.meter_id = $2 and x.starts_on = d.day%s%%4$s',
        v_customer, case v_kind when 'WEIGHTED_SUM' then 'x.moment' else 'null::numeric' end,
        case v_kind when 'LATEST' then 'x.last_at, x.last_received_at' else 'null::timestamptz, null::timestamptz' end, v_customers);
      v_counters := case when v_kind in ('LATEST', 'UNIQUE_COUNT') then v_plain else format(
        'select %s, %s, null::jsonb, %s, sum(x.events)::bigint, %s, null::timestamptz, null::timestamptz, null::uuid
         from unnest(%%1$L::date[], %%2$L::integer[]) d (day, w)
         join public.usage_counters x on x.tenant_id = $1 and x.period = %%3$L and x.meter_id = $2 and x.starts_on = d.day%s%%4$s
         group by %s',
        case when cardinality(v_inner) = 0 then '1' else 'd.w' end, v_customer, case v_kind when 'MIN' then 'min(x.used) filter (where x.events > 0)' when 'MAX' then 'max(x.used) filter (where x.events > 0)'
          else 'sum(x.used)' end,
        case v_kind when 'WEIGHTED_SUM' then 'sum(x.moment)' else 'null::numeric' end, v_customers,
        concat_ws(', ', case when cardinality(v_inner) > 0 or not p_by_customer then 'd.w' end, case when p_by_customer then 'x.customer_id' end)) end;

      -- What of each window are whole days of the tenant, and what is left of it before and after them.
      v_by_day := (p_window is null or p_window in ('DAY', 'WEEK', 'MONTH')) and not (v_kind = 'UNIQUE_COUNT' and v_grouped);
      v_by_quarter := not v_picks and not v_grouped and v_kind <> 'UNIQUE_COUNT' and p_window is distinct from 'MINUTE';
      if v_by_day then
        with spans as materialized (
          select d.w, d.f, d.t, d.last, d.a + (app.first_moment(d.a, p_time_zone) < d.f)::integer as first
          from (
            select i as w, v_bounds[i] as f, v_bounds[i + 1] as t, (v_bounds[i] at time zone p_time_zone)::date as a,
              (v_bounds[i + 1] at time zone p_time_zone)::date as last
            from generate_series(1, cardinality(v_bounds) - 1) i
          ) d
        ),
        days as (
          select array_agg(g.day::date order by g.day) as days, array_agg(s.w order by g.day) as windows
          from spans s cross join lateral generate_series(s.first, s.last - 1, interval '1 day') g (day)
        ),
        rests as (
          select array_agg(p.f order by p.f) as froms, array_agg(p.t order by p.f) as tos
          from spans s
          cross join lateral (
            select s.f, case when s.first < s.last then app.first_moment(s.first, p_time_zone) else s.t end as t
            union all
            select app.first_moment(s.last, p_time_zone), s.t where s.first < s.last
          ) p
          where p.f < p.t
        )
        select d.days, d.windows, r.froms, r.tos into v_days, v_day_windows, v_froms, v_tos from days d cross join rests r;
      elsif v_by_quarter then
        select array_agg(v_bounds[i] order by i), array_agg(v_bounds[i + 1] order by i) into v_froms, v_tos
          from generate_series(1, cardinality(v_bounds) - 1) i;
      end if;
      -- Different values cannot be added up, except that a day of one scope is a number already.
      v_hashed := v_kind = 'UNIQUE_COUNT' and not (p_window is not distinct from 'DAY' and (p_by_customer or coalesce(cardinality(p_customers), 1) = 1)
        and not exists (select from unnest(v_froms) f where width_bucket(f, v_bounds) = any (v_day_windows)));

      if v_days is not null and v_picks and not v_grouped and not v_hashed then
        -- Whole months of a customer, less the days of them that are not asked for, where that is less to read. Those whose months begin on
        -- another day are counted by the day.
        if p_by_customer and p_customers is null and v_kind <> 'UNIQUE_COUNT' and p_window is distinct from 'DAY' then
          select coalesce(array_agg(s.customer_id), '{}') into v_anchored
            from (select x.customer_id from public.subscriptions x
              where x.tenant_id = p_tenant and x.canceled_at is null and x.anchor_day <> 1 limit 501) s;
          if cardinality(v_anchored) <= 500 then
            with days as materialized (
              select d.day, d.w, date_trunc('month', d.day::timestamp)::date as month from unnest(v_days, v_day_windows) d (day, w)
            ),
            traffic as materialized (
              select m.month, m.w, t.day, d.day is not null as inside
              from (select distinct x.month, x.w from days x) m
              join public.usage_totals t on t.tenant_id = p_tenant and t.meter_id = p_meter and t.day >= m.month
                and t.day < (m.month + interval '1 month')::date
              left join days d on d.day = t.day and d.w = m.w
            ),
            chosen as materialized (
              select t.month, t.w from traffic t group by 1, 2
              having case when v_kind in ('MIN', 'MAX', 'LATEST') then bool_and(t.inside) and count(*) > 1
                else count(*) filter (where not t.inside) + 1 < count(*) filter (where t.inside) end
            )
            select (select array_agg(c.month) from chosen c), (select array_agg(c.w) from chosen c),
                array_agg(t.day) filter (where c.month is null and t.inside), array_agg(t.w) filter (where c.month is null and t.inside),
                array_agg(t.day) filter (where c.month is not null), array_agg(case when t.inside then t.w else -t.w end) filter (where c.month is not null)
              into v_months, v_month_windows, v_days, v_day_windows, v_other_days, v_other_windows
              from traffic t left join chosen c on c.month = t.month and c.w = t.w;
          end if;
        end if;
        if v_months is not null then
          v_pieces := v_pieces || format(case when cardinality(v_months) > 3 then v_counters else v_plain end, v_months, v_month_windows, 'month',
            case when v_anchored = '{}' then '' else format(' and x.customer_id <> all (%L)', v_anchored) end);
          if -1 >= any (v_other_windows) then
            v_pieces := v_pieces || format('select x.w, x.customer_id, null::jsonb, -x.used, -x.events, -x.moment, null::timestamptz, null::timestamptz, null::uuid
              from (%s) x (w, customer_id, group_values, used, events, moment, last_at, last_received_at, hash)',
              format(v_counters, array(select o.day from unnest(v_other_days, v_other_windows) o (day, w) where o.w < 0),
                array(select -o.w from unnest(v_other_days, v_other_windows) o (day, w) where o.w < 0), 'day',
                case when v_anchored = '{}' then '' else format(' and x.customer_id <> all (%L)', v_anchored) end));
          end if;
          if v_anchored <> '{}' then
            v_pieces := v_pieces || format(v_counters, array(select o.day from unnest(v_other_days, v_other_windows) o (day, w) where o.w > 0),
              array(select o.w from unnest(v_other_days, v_other_windows) o (day, w) where o.w > 0), 'day',
              format(' and x.customer_id = any (%L)', v_anchored));
          end if;
        end if;
        if v_days is not null then
          v_pieces := v_pieces || format(case when p_window is distinct from 'DAY' and cardinality(v_days) > 3 then v_counters else v_plain end,
            v_days, v_day_windows, 'day', '');
        end if;
      elsif v_days is not null then
        v_pieces := v_pieces || case
          when v_hashed then format(
            'select d.w, %s, null::jsonb, null::numeric, x.events, null::numeric, null::timestamptz, null::timestamptz, x.value_hash
             from unnest($7, $8) d (day, w) join public.usage_uniques x on x.tenant_id = $1 and x.meter_id = $2 and x.period = %L
               and x.starts_on = d.day and x.events > 0%s', v_customer, case when v_picks then 'day' else 'total' end,
            case when v_picks then v_customers else ' and x.customer_id = ''00000000-0000-0000-0000-000000000000''' end)
          when v_grouped then format(v_groups, 'd.w', format('from unnest($7, $8) d (day, w) join %s x on x.day = d.day', v_group_table),
            format(' and x.day >= %L and x.day <= %L%s', v_days[1], v_days[cardinality(v_days)], v_customers))
          else
            'select d.w, null::uuid, null::jsonb, x.used, x.events, x.moment, x.last_at, x.last_received_at, null::uuid
             from unnest($7, $8) d (day, w) join public.usage_totals x on x.tenant_id = $1 and x.meter_id = $2 and x.day = d.day' end;
      end if;

      -- Of what is left whole quarters of an hour, and of what is left of that the events. Where no quarter had any there are none.
      v_rest := (select range_agg(tstzrange(r.f, r.t)) from unnest(v_froms, v_tos) r (f, t));
      v_window := case when cardinality(v_inner) = 0 then '1' else 'width_bucket(%s, (select $3))' end;
      if v_by_quarter then
        v_quarters := app.whole_quarters(v_froms, v_tos);
        if v_quarters is not null then
          v_pieces := v_pieces || app.usage_quarter_piece(v_quarters, format(v_window, 'x.quarter'));
          v_rest := v_rest - v_quarters;
        end if;
        v_rest := (
          select range_agg(r) from unnest(v_rest) r
          where exists (
            select from public.usage_quarters x where x.tenant_id = p_tenant and x.meter_id = p_meter
              and x.quarter >= date_bin('15 minutes', lower(r), '2000-01-01 00:00:00+00') and x.quarter < upper(r)));
      end if;
      v_amount := case v_kind when 'COUNT' then 'coalesce(x.counted, 1)' when 'UNIQUE_COUNT' then 'null::numeric' else 'coalesce(x.counted, x.value)' end;
      v_pieces := v_pieces || app.usage_event_pieces(p_tenant, p_meter, p_time_zone, p_customers, v_rest, v_meter.value_property,
        format(v_window, 'x.occurred_at'), v_customer, v_group_of_event, v_amount, v_customers || v_filter, v_kind);

      -- A level begins as all changes before: window 0, which is not shown.
      if v_kind = 'WEIGHTED_SUM' then
        v_first := (p_from at time zone p_time_zone)::date;
        select min(t.day) into v_oldest from public.usage_totals t where t.tenant_id = p_tenant and t.meter_id = p_meter;
        if v_oldest < v_first then
          v_month := v_oldest;
          -- Of all customers, months as far as they go.
          if p_by_customer and p_customers is null and not v_grouped and not exists (
              select from public.subscriptions s where s.tenant_id = p_tenant and s.canceled_at is null and s.anchor_day <> 1) then
            v_month := date_trunc('month', v_first::timestamp)::date;
            v_pieces := v_pieces || format(
              'select 0, x.customer_id, null::jsonb, sum(x.used), sum(x.events)::bigint, sum(x.moment), null::timestamptz, null::timestamptz, null::uuid
               from public.usage_counters x where x.tenant_id = $1 and x.period = ''month'' and x.meter_id = $2 and x.starts_on < %L group by 2', v_month);
          end if;
          v_pieces := v_pieces || case
            when v_grouped then format(v_groups, '0', format('from %s x', v_group_table), format(' and x.day < %L%s', v_first, v_customers))
            when p_customers is not null then format(
              'select 0, %s, null::jsonb, x.used, x.events, x.moment, x.last_at, x.last_received_at, null::uuid
               from generate_series(%L::date, %L::date - 1, interval ''1 day'') d (day)
               join public.usage_counters x on x.tenant_id = $1 and x.period = ''day'' and x.meter_id = $2 and x.starts_on = d.day::date%s',
              v_customer, v_oldest, v_first, v_customers)
            when p_by_customer then format(
              'select 0, x.customer_id, null::jsonb, sum(x.used), sum(x.events)::bigint, sum(x.moment), null::timestamptz, null::timestamptz, null::uuid
               from public.usage_counters x where x.tenant_id = $1 and x.period = ''day'' and x.meter_id = $2 and x.starts_on >= %L
                 and x.starts_on < %L group by 2', v_month, v_first)
            else format(
              'select 0, null::uuid, null::jsonb, x.used, x.events, x.moment, x.last_at, x.last_received_at, null::uuid
               from public.usage_totals x where x.tenant_id = $1 and x.meter_id = $2 and x.day < %L', v_first) end;
        end if;
        v_rest := tstzmultirange(tstzrange(app.first_moment(v_first, p_time_zone), greatest(p_from, app.first_moment(v_first, p_time_zone))));
        if not v_picks and not v_grouped then
          v_quarters := app.whole_quarters(array[lower(v_rest)], array[upper(v_rest)]);
          if v_quarters is not null then
            v_pieces := v_pieces || app.usage_quarter_piece(v_quarters, '0');
            v_rest := v_rest - v_quarters;
          end if;
        end if;
        v_pieces := v_pieces || app.usage_event_pieces(p_tenant, p_meter, p_time_zone, p_customers, v_rest, v_meter.value_property,
          '0', v_customer, v_group_of_event, v_amount, v_customers || v_filter, v_kind);
      end if;
      if cardinality(v_pieces) = 0 then
        v_pieces := array['select 1, null::uuid, null::jsonb, null::numeric, 0::bigint, null::numeric, null::timestamptz, null::timestamptz, null::uuid where false'];
      end if;

      v_used := case v_kind
        when 'MIN' then 'min(p.used) filter (where p.events > 0)'
        when 'MAX' then 'max(p.used) filter (where p.events > 0)'
        when 'LATEST' then '(array_agg(p.used order by p.last_at desc, p.last_received_at desc) filter (where p.events > 0))[1]'
        when 'UNIQUE_COUNT' then case when v_by_day or v_hashed then '(count(distinct p.hash) + coalesce(sum(p.used), 0))::numeric'
          else 'count(distinct p.hash)::numeric' end
        else 'sum(p.used)' end;
      -- Up to the end of the window, or to now in the one that is running.
      v_value := case v_kind
        when 'AVG' then 'case when k.events > 0 then app.exact_quotient(k.used, k.events) end'
        when 'WEIGHTED_SUM' then
          'case when k.till > k.since then app.exact_quotient(k.level * (k.till - k.since) + k.till * coalesce(k.used, 0) - coalesce(k.moment, 0), k.till - k.since)
            else k.level end'
        when 'MIN' then 'k.used' when 'MAX' then 'k.used' when 'LATEST' then 'k.used'
        else 'coalesce(k.used, 0)' end;
      return query execute format(
        'with pieces (w, customer_id, group_values, used, events, moment, last_at, last_received_at, hash) as (%s),
           states as materialized (
             select %s as w, %s as customer_id, %s as group_values, %s as used, sum(p.events) as events, %s as moment
             from pieces p%s
           ),%s
           known as (
             select c.*, $3[c.w] as starts, $3[c.w + 1] as ends,
               extract(epoch from $3[greatest(c.w, 1)]) as since, extract(epoch from least($3[c.w + 1], $9)) as till,
               %s as level
             from cells c
           )
         select k.starts, k.ends, nullif(k.customer_id, ''00000000-0000-0000-0000-000000000000''), case when %L then k.group_values end,
           trim_scale(%s), coalesce(k.events, 0)::bigint
         from known k where k.w > 0%s order by %s limit $10 + 1',
        array_to_string(v_pieces, ' union all '), case when v_one then '1' else 'p.w' end,
        case when p_by_customer then 'p.customer_id' else '''00000000-0000-0000-0000-000000000000''::uuid' end,
        case when cardinality(p_group_by) > 0 then 'p.group_values' else '''{}''::jsonb' end,
        v_used, case v_kind when 'WEIGHTED_SUM' then 'sum(p.moment)' else 'null::numeric' end,
        coalesce(' group by ' || nullif(concat_ws(', ', case when not v_one then 'p.w' end, case when p_by_customer then 'p.customer_id' end,
          case when cardinality(p_group_by) > 0 then 'p.group_values' end), ''), ' having count(*) > 0'),
        case when p_fill then format(
          'keys as materialized (select s.customer_id, s.group_values from states s group by 1, 2 having bool_or(s.events <> 0)%s),
           cells as (
             select w.w, y.customer_id, y.group_values, s.used, s.events, s.moment
             from keys y cross join generate_series(0, cardinality($3) - 1) w (w)
             left join states s on s.w = w.w and s.customer_id = y.customer_id and s.group_values = y.group_values
             where (select count(*) from keys) * (cardinality($3) - 1) <= $10
             union all
             select 1, null, null, null, 1, null from generate_series(1, $10 + 1) where (select count(*) from keys) * (cardinality($3) - 1) > $10
           ),',
          case when v_split then '' else ' union select ''00000000-0000-0000-0000-000000000000'', ''{}''::jsonb' end)
          else 'cells as (select s.* from states s),' end,
        case v_kind when 'WEIGHTED_SUM' then
          'coalesce(sum(c.used) over (partition by c.customer_id, c.group_values order by c.w rows between unbounded preceding and 1 preceding), 0)'
          else 'null::numeric' end,
        cardinality(p_group_by) > 0, v_value, case when p_fill then '' else ' and k.events <> 0' end,
        case when v_one then 'k.customer_id' else 'k.w, k.customer_id' end
          || case when cardinality(p_group_by) > 0 then ', k.group_values' else '' end)
        using p_tenant, p_meter, v_bounds, p_customers, p_group_by, p_filter, v_days, v_day_windows, p_now, p_limit;
    end
  $$;

drop function app.usage_hour_piece(tstzmultirange, text);
drop function app.usage_cut_piece(uuid, uuid, timestamptz[], timestamptz[], integer[], text);

-- grants and policies -------------------------------------------------------------------------------

alter table public.usage_quarters enable row level security;
alter table public.usage_quarters force row level security;
grant select, insert on public.usage_quarters to app_tenant;
grant update (used, events, moment, last_at, last_received_at) on public.usage_quarters to app_tenant;
create policy usage_quarters_isolation on public.usage_quarters as restrictive for all to app_tenant
  using (tenant_id = (select app.tenant_id())) with check (tenant_id = (select app.tenant_id()));
create policy usage_quarters_select on public.usage_quarters for select to app_tenant
  using ((select current_setting('app.permissions', true)) like any ('{% usage:read %,% usage:write %}'));
create policy usage_quarters_insert on public.usage_quarters for insert to app_tenant
  with check ((select strpos((select current_setting('app.permissions', true)), ' usage:write ') > 0));
create policy usage_quarters_update on public.usage_quarters for update to app_tenant
  using (strpos((select current_setting('app.permissions', true)), ' usage:write ') > 0)
  with check ((select strpos((select current_setting('app.permissions', true)), ' usage:write ') > 0));

revoke all on all functions in schema app from public;
grant execute on function app.whole_quarters(timestamptz[], timestamptz[]), app.usage_quarter_piece(tstzmultirange, text),
  app.move_counters(uuid, timestamptz, uuid[], uuid[], text[], text[], integer[], uuid[], uuid[], uuid[], integer[], integer[], date[],
    timestamptz[], numeric[], smallint[], smallint[], timestamptz[], jsonb[]) to app_tenant;
