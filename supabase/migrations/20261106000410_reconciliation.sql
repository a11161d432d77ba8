-- Reconciliation looks at everything that follows from something else: running totals and what they are grouped by, values, balances with
-- their grants, reservations that were settled, the lines of closed periods, and the mark of meters that customers have own terms for.

-- functions -----------------------------------------------------------------------------------------

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
            case when m.uniques then null else date_bin('1 hour', e.occurred_at, '2000-01-01 00:00:00+00') end as hour,
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
          select 'usage_counters' as name, 'day' as period, d.meter_id, d.day as starts_on, null::timestamptz as hour, d.customer_id,
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
          select 'usage_hours', null, c.meter_id, null, c.hour, v_none, null, c.aggregation, sum(c.total), min(c.least), max(c.greatest),
            sum(c.events)::bigint, sum(c.moment), max(c.last)
          from cells c where c.hour is not null
          group by 3, 5, 8
          union all
          select 'usage_groups', null, c.meter_id, c.day, null, c.customer_id, c.group_values, c.aggregation, sum(c.total), min(c.least), max(c.greatest),
            sum(c.events)::bigint, sum(c.moment), max(c.last)
          from cells c where c.group_values is not null
          group by 3, 4, 6, 7, 8
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
          select s.name, s.period, s.meter_id, s.starts_on, s.hour, s.customer_id, md5(l.label)::uuid as hash,
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
          select 'usage_counters' as name, c.period, c.meter_id, c.starts_on, null::timestamptz as hour, c.customer_id, null::uuid as hash, c.used,
            c.events, c.moment, c.last_at, c.last_received_at, null as label
          from public.usage_counters c join meters m on m.id = c.meter_id
          where c.tenant_id = p_tenant and (p_from is null or c.starts_on >= p_from)
          union all
          select 'usage_totals', null, c.meter_id, c.day, null, v_none, null, c.used, c.events, c.moment, c.last_at, c.last_received_at, null
          from public.usage_totals c join meters m on m.id = c.meter_id
          where c.tenant_id = p_tenant and (p_from is null or c.day >= p_from)
          union all
          select 'usage_hours', null, c.meter_id, null, c.hour, v_none, null, c.used, c.events, c.moment, c.last_at, c.last_received_at, null
          from public.usage_hours c join meters m on m.id = c.meter_id
          where c.tenant_id = p_tenant and (p_from is null or c.hour >= v_since + interval '1 hour')
          union all
          select 'usage_groups', null, c.meter_id, c.day, null, c.customer_id, c.group_hash, c.used, c.events, c.moment, c.last_at, c.last_received_at,
            c.group_values::text
          from public.usage_groups c join meters m on m.id = c.meter_id
          where c.tenant_id = p_tenant and (p_from is null or c.day >= p_from)
          union all
          select 'usage_uniques', c.period, c.meter_id, c.starts_on, null, c.customer_id, c.value_hash, null, c.events, null, null, null, null
          from public.usage_uniques c join meters m on m.id = c.meter_id
          where c.tenant_id = p_tenant and (p_from is null or c.starts_on >= p_from)
        ),
        compared as (
          select coalesce(w.name, k.name) as name, coalesce(w.period, k.period) as period, coalesce(w.meter_id, k.meter_id) as meter_id,
            coalesce(w.starts_on, k.starts_on) as starts_on, coalesce(w.hour, k.hour) as hour, coalesce(w.customer_id, k.customer_id) as customer_id,
            coalesce(w.hash, k.hash) as hash,
            case when k.name is not null then jsonb_strip_nulls(jsonb_build_object('used', k.used::text, 'events', k.events, 'moment', k.moment::text,
              'last_at', k.last_at, 'last_received_at', k.last_received_at, 'group_values', case when k.label is distinct from w.label then k.label end))
              end as stored,
            case when w.name is not null then jsonb_strip_nulls(jsonb_build_object('used', trim_scale(w.used)::text, 'events', w.events,
              'moment', trim_scale(w.moment)::text, 'last_at', w.last_at, 'last_received_at', w.last_received_at,
              'group_values', case when k.label is distinct from w.label then w.label end)) end as expected
          from wanted w
          full join kept k on k.name = w.name and k.meter_id = w.meter_id and k.customer_id = w.customer_id
            and coalesce(k.starts_on, '-infinity') = coalesce(w.starts_on, '-infinity') and coalesce(k.hour, '-infinity') = coalesce(w.hour, '-infinity')
            and coalesce(k.period, '') = coalesce(w.period, '') and coalesce(k.hash, v_none) = coalesce(w.hash, v_none)
          where (coalesce(k.used, 0) <> coalesce(w.used, 0) or coalesce(k.events, 0) <> coalesce(w.events, 0)
              or coalesce(k.moment, 0) <> coalesce(w.moment, 0) or k.last_at is distinct from w.last_at
              or k.last_received_at is distinct from w.last_received_at or k.label <> w.label)
            -- The first hour of the range may hold events of the day before it.
            and (p_from is null or coalesce(w.hour, k.hour) is null or coalesce(w.hour, k.hour) >= v_since + interval '1 hour')
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
            'starts_on', d.starts_on, 'hour', d.hour, 'hash', case when d.name in ('usage_groups', 'usage_uniques') then d.hash end,
            'id', case when d.name not in ('usage_groups', 'usage_uniques') then d.hash end)), d.stored, d.expected, n.events, n.rows
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
        order by d.name, m.slug, d.starts_on, d.hour, d.period, u.external_id, d.hash;
    end
  $$;
comment on function app.find_usage_drift(uuid, text, uuid[], date) is
  'Every running total of the current tenant that is not what its events come to: of some meters or all, from a day on or all. Always at least one row, '
  'which says how many events and totals were read; its table_name is null when there is no drift. Reads one moment and locks nothing.';

create function app.level_balance(p_tenant uuid, p_customer uuid, p_meter uuid) returns void
  language plpgsql volatile set search_path = ''
  as $$
    declare
      b public.balances;
      v_grants numeric;
      v_left numeric;
    begin
      select * into b from public.balances x where x.tenant_id = p_tenant and x.customer_id = p_customer and x.meter_id = p_meter for update;
      if not found then
        return;
      end if;
      select coalesce(sum(g.remaining), 0) into v_grants from public.grants g
        where g.tenant_id = p_tenant and g.customer_id = p_customer and g.meter_id = p_meter and g.closed_at is null;
      v_left := b.granted + b.overage - b.used;
      if v_left = b.allowance_left + v_grants then
        return;
      end if;
      -- What grants hold stays; the allowance takes the difference, and what it cannot is overage.
      update public.balances x set allowance_left = greatest(v_left - v_grants, 0), overage = b.overage + greatest(v_grants - v_left, 0)
        where x.tenant_id = p_tenant and x.customer_id = p_customer and x.meter_id = p_meter;
    end
  $$;
comment on function app.level_balance(uuid, uuid, uuid) is
  'Makes what is left of allowance and grants what was available less what was used, where it is not. Part of app.repair_usage.';

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
          when 'usage_hours' then
            insert into public.usage_hours (tenant_id, meter_id, hour, used, events, moment, last_at, last_received_at)
              values (p_tenant, v_meter, (v_row.row_key ->> 'hour')::timestamptz, v_used, v_events, v_moment, v_last_at, v_last_received_at)
              on conflict (tenant_id, meter_id, hour) do update set used = excluded.used, events = excluded.events,
                moment = excluded.moment, last_at = excluded.last_at, last_received_at = excluded.last_received_at;
          when 'usage_groups' then
            insert into public.usage_groups (tenant_id, meter_id, day, group_hash, customer_id, group_values, used, events, moment, last_at,
                last_received_at)
              select p_tenant, v_meter, (v_row.row_key ->> 'starts_on')::date, (v_row.row_key ->> 'hash')::uuid, v_customer,
                coalesce((v_row.expected ->> 'group_values')::jsonb, '{}'), v_used, v_events, v_moment, v_last_at, v_last_received_at
              on conflict (tenant_id, meter_id, day, group_hash, customer_id) do update set used = excluded.used, events = excluded.events,
                group_values = case when v_row.expected ? 'group_values' then (v_row.expected ->> 'group_values')::jsonb else usage_groups.group_values end,
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
comment on function app.repair_usage(uuid, text, uuid[], date) is
  'Sets every running total that is not what its events say to what they say, and gives how many. Closed billing periods are never changed. '
  'Holds off the writers of the tenant meanwhile.';

create or replace function app.repair_reconciliation(p_tenant uuid, p_time_zone text, p_id uuid) returns public.reconciliations
  language plpgsql volatile set search_path = ''
  as $$
    declare
      v_run public.reconciliations;
      v_meters uuid[];
      v_from date;
    begin
      select * into v_run from public.reconciliations r where r.tenant_id = p_tenant and r.id = p_id for update;
      if not found or v_run.status <> 'finished' then
        return v_run;
      end if;
      select array_agg(distinct (d.row_key ->> 'meter_id')::uuid),
          case when bool_and(d.row_key ?| array['starts_on', 'hour']) then
            min(coalesce((d.row_key ->> 'starts_on')::date, ((d.row_key ->> 'hour')::timestamptz - interval '1 day')::date)) - 32 end
        into v_meters, v_from
        from public.reconciliation_drifts d where d.tenant_id = p_tenant and d.reconciliation_id = p_id;
      if v_run.drifts > 1000 then
        v_meters := null;
        v_from := null;
      end if;
      -- From the day before which events are gone, at the earliest.
      v_from := greatest(v_from, app.unsealed_from(p_tenant));
      update public.reconciliations r
        set repaired_at = clock_timestamp(),
          repaired = case when v_run.drifts > 0 then app.repair_usage(p_tenant, p_time_zone, v_meters, v_from) else 0 end
        where r.tenant_id = p_tenant and r.id = p_id
        returning r.* into v_run;
      perform app.log_audit('usage.repaired', 'reconciliation', p_id::text, 'success', null, null, jsonb_build_object('rows', v_run.repaired, 'drifts', (
        select jsonb_agg(jsonb_build_object('table', d.table_name, 'key', d.row_key, 'stored', d.stored, 'expected', d.expected) order by d.position)
        from public.reconciliation_drifts d where d.tenant_id = p_tenant and d.reconciliation_id = p_id and d.position <= 50)));
      return v_run;
    end
  $$;

-- grants --------------------------------------------------------------------------------------------

grant update (group_values) on public.usage_groups to app_tenant;
grant update (individual) on public.meters to app_tenant;
revoke all on all functions in schema app from public;
grant execute on function app.level_balance(uuid, uuid, uuid) to app_tenant;
