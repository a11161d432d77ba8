-- Closing, exporting and reporting read what was billed and counted before once, put together by hashes, not line by line; and of the lines of
-- closed periods those of the months that can matter, however many were closed before.

-- functions: billing --------------------------------------------------------------------------------

create or replace function app.cut_usage(
  p_tenant uuid, p_time_zone text, p_from timestamptz, p_to timestamptz, p_billed boolean, p_since uuid default null, p_until uuid default null
)
  returns table (
    customer_id uuid, customer text, meter_id uuid, meter text, starts_on date, ends_on date, quantity numeric, events bigint, tier text, tier_version integer,
    cap_limit numeric, overage numeric, adjustment boolean
  )
  language plpgsql stable set search_path = '' set plan_cache_mode = force_custom_plan set jit = off
  -- Nobody knows beforehand how many lines the steps come to: everything is put together by hashes, in memory as far as there is some.
  set work_mem = '32MB' set enable_sort = off set enable_mergejoin = off set enable_nestloop = off
  as $$
    #variable_conflict use_column
    declare
      v_from_day date := (p_from at time zone p_time_zone)::date;
      v_to_day date := (p_to at time zone p_time_zone)::date;
      v_unsealed date := app.unsealed_from(p_tenant);
      v_default uuid;
      v_default_version integer;
      v_earlier boolean;
      -- Meters that anybody has a cap of, and those of a cap of each day.
      v_capped uuid[];
      v_daily uuid[];
    begin
      select t.id, t.version into v_default, v_default_version from public.tiers t where t.tenant_id = p_tenant and t.is_default;
      select coalesce(array_agg(m.id), '{}'), coalesce(array_agg(m.id) filter (where m.daily), '{}') into v_capped, v_daily
        from (
          select x.meter_id as id, bool_or(x.period = 'day') as daily
          from (
            select c.meter_id, c.period from public.tier_caps c where c.tenant_id = p_tenant
            union all
            select e.meter_id, e.period from public.entitlements e where e.tenant_id = p_tenant and e.meter_id is not null
          ) x
          group by 1
        ) m;
      -- Where nothing came before, nothing can be adjusted.
      v_earlier := v_unsealed is not null
        or exists (select 1 from public.billing_periods b where b.tenant_id = p_tenant and b.ends_at <= p_from)
        or not p_billed and exists (select 1 from public.usage_events e where e.tenant_id = p_tenant and e.received_at < p_from);
      return query
        with
        meters as materialized (
          select m.id, m.slug, m.aggregation, m.value_property from public.meters m where m.tenant_id = p_tenant
        ),
        anchors as materialized (
          select s.customer_id, s.anchor_day::integer as anchor from public.subscriptions s
          where s.tenant_id = p_tenant and s.canceled_at is null and (p_since is null or s.customer_id >= p_since) and (p_until is null or s.customer_id < p_until)
        ),
        -- What came in, by day of usage. What is taken back of an event that did not pass the filter was never counted.
        received as materialized (
          select e.customer_id, e.meter_id, (e.occurred_at at time zone p_time_zone)::date as day,
            sum(e.weight * case m.aggregation when 'COUNT' then coalesce(e.counted, 1) else coalesce(e.counted, e.value) end) as amount, sum(e.weight) as events
          from public.usage_events e
          join meters m on m.id = e.meter_id
          where e.tenant_id = p_tenant and e.received_at >= p_from and e.received_at < p_to and e.weight <> 0
            and (p_since is null or e.customer_id >= p_since) and (p_until is null or e.customer_id < p_until)
            and e.received_month >= date_trunc('month', p_from at time zone 'UTC')::date
            and e.received_month <= date_trunc('month', p_to at time zone 'UTC')::date
            and (e.weight = 1 or coalesce((
              select o.weight from public.usage_events o where o.tenant_id = p_tenant and o.id = e.corrects limit 1), 1) <> 0)
          group by 1, 2, 3
        ),
        -- What was billed of these months before. A line is of a month that has begun when its cut ends: older cuts have none of them.
        cuts as materialized (
          select p.id, p.closed_at from public.billing_periods p
          where p.tenant_id = p_tenant
            and p.ends_at > (least(v_from_day, (select min(r.day) from received r)) - 72)::timestamp at time zone 'UTC'
        ),
        billed as materialized (
          select l.customer_id, l.meter_id, l.starts_on, l.ends_on, max(p.closed_at) as closed_at, sum(l.quantity) as quantity, sum(l.overage) as overage,
            (max(array[extract(epoch from p.closed_at), coalesce(l.cap_limit, -1)]))[2] as cap_limit
          from public.billing_lines l
          join cuts p on p.id = l.billing_period_id
          where l.tenant_id = p_tenant and l.billing_period_id = any (array(select c.id from cuts c))
            and l.ends_on > least(v_from_day, (select min(r.day) from received r)) - 32
            and (p_since is null or l.customer_id >= p_since) and (p_until is null or l.customer_id < p_until)
          group by 1, 2, 3, 4
        ),
        -- Those of a customer whose months began on another day then keep their days.
        odd as materialized (
          select b.customer_id, b.meter_id, array_agg(b.starts_on order by b.closed_at desc, b.starts_on desc) as starts,
            array_agg(b.ends_on order by b.closed_at desc, b.starts_on desc) as ends
          from (
            select distinct x.customer_id, x.meter_id
            from billed x
            left join anchors a on a.customer_id = x.customer_id
            where case when coalesce(a.anchor, 1) = 1 then date_part('day', x.starts_on) <> 1 or x.ends_on <> (x.starts_on + interval '1 month')::date
              else x.starts_on <> app.period_start(x.starts_on, 'month', a.anchor) or x.ends_on <> app.period_end(x.starts_on, 'month', a.anchor) end
          ) n
          join billed b on b.customer_id = n.customer_id and b.meter_id = n.meter_id
          group by 1, 2
        ),
        -- The periods of usage by anchor and day: those of nearly all customers.
        calendar as materialized (
          select a.anchor, d.day::date as day, s.starts_on, s.ends_on, app.day_start(s.starts_on, p_time_zone) as opens,
            app.day_start(s.ends_on, p_time_zone) as closes
          from (select 1 as anchor union select n.anchor from anchors n) a
          cross join generate_series(
            least((select min(r.day) from received r),
              greatest(v_from_day, coalesce((select min(t.day) from public.usage_totals t where t.tenant_id = p_tenant), v_to_day))),
            greatest((select max(r.day) from received r), v_to_day), interval '1 day') d (day)
          cross join lateral app.billing_span(d.day::date, a.anchor, null, null) s
        ),
        touched as materialized (
          select r.customer_id, r.meter_id, s.starts_on, s.ends_on, s.opens, s.closes, true as whole, sum(r.amount) as amount, sum(r.events)::bigint as events
          -- Each with its anchor first: by the day alone every line would meet all calendars.
          from (
            select x.*, coalesce(a.anchor, 1) as anchor from received x left join anchors a on a.customer_id = x.customer_id
            offset 0
          ) r
          left join odd o on o.customer_id = r.customer_id and o.meter_id = r.meter_id
          join calendar s on s.anchor = r.anchor and s.day = r.day
          where o.starts is null
          group by 1, 2, 3, 4, 5, 6
          union all
          select r.customer_id, r.meter_id, s.starts_on, s.ends_on, app.day_start(s.starts_on, p_time_zone), app.day_start(s.ends_on, p_time_zone),
            s.starts_on = app.period_start(s.starts_on, 'month', coalesce(a.anchor, 1)) and s.ends_on = app.period_end(s.starts_on, 'month', coalesce(a.anchor, 1)),
            sum(r.amount), sum(r.events)::bigint
          from received r
          left join anchors a on a.customer_id = r.customer_id
          join odd o on o.customer_id = r.customer_id and o.meter_id = r.meter_id
          cross join lateral app.billing_span(r.day, coalesce(a.anchor, 1), o.starts, o.ends) s
          group by 1, 2, 3, 4, 5, 6, 7
        ),
        firsts as materialized (
          select r.customer_id, r.meter_id, min(r.day) as day from received r join meters m on m.id = r.meter_id and m.aggregation = 'WEIGHTED_SUM' group by 1, 2
        ),
        begun as materialized (
          select c.customer_id, c.meter_id, coalesce(a.anchor, 1) as anchor, greatest(least(v_from_day, min(r.day)), min(c.starts_on)) as first, o.starts, o.ends
          from public.usage_counters c
          left join anchors a on a.customer_id = c.customer_id
          left join odd o on o.customer_id = c.customer_id and o.meter_id = c.meter_id
          left join firsts r on r.customer_id = c.customer_id and r.meter_id = c.meter_id
          where c.tenant_id = p_tenant and c.period = 'day' and c.meter_id = any (array(select m.id from meters m where m.aggregation = 'WEIGHTED_SUM'))
            and (p_since is null or c.customer_id >= p_since) and (p_until is null or c.customer_id < p_until)
          group by 1, 2, 3, 5, 6
        ),
        -- A level counts through every period, changed or not; one that changed late, through all since then.
        levels as (
          select k.customer_id, k.meter_id, k.starts_on, k.ends_on, k.opens, k.closes, true, 0::numeric, 0::bigint
          from (
            select b.customer_id, b.meter_id, s.starts_on, s.ends_on, s.opens, s.closes
            from begun b
            join (
              select c.anchor, c.starts_on, c.ends_on, c.opens, c.closes, max(c.day) as last from calendar c where c.day <= v_to_day group by 1, 2, 3, 4, 5
            ) s on s.anchor = b.anchor and s.last >= b.first
            where b.starts is null
            union all
            select b.customer_id, b.meter_id, s.starts_on, s.ends_on, app.day_start(s.starts_on, p_time_zone), app.day_start(s.ends_on, p_time_zone)
            from begun b
            cross join lateral (
              select distinct x.starts_on, x.ends_on
              from generate_series(b.first, v_to_day, interval '1 day') d (day)
              cross join lateral app.billing_span(d.day::date, b.anchor, b.starts, b.ends) x
            ) s
            where b.starts is not null
          ) k
          where k.opens < p_to
            and not exists (
              select 1 from touched t where t.customer_id = k.customer_id and t.meter_id = k.meter_id and t.starts_on = k.starts_on)
        ),
        -- Months that were billed before and ran on in the cut.
        running as materialized (
          select b.customer_id, b.meter_id, b.starts_on, b.ends_on, s.opens, s.closes, s.whole, b.cap_limit
          from billed b
          left join anchors a on a.customer_id = b.customer_id
          join (
            select n.anchor, n.starts_on, n.ends_on, app.day_start(n.starts_on, p_time_zone) as opens, app.day_start(n.ends_on, p_time_zone) as closes,
              n.starts_on = app.period_start(n.starts_on, 'month', n.anchor) and n.ends_on = app.period_end(n.starts_on, 'month', n.anchor) as whole
            from (
              select distinct coalesce(x.anchor, 1) as anchor, k.starts_on, k.ends_on from billed k left join anchors x on x.customer_id = k.customer_id
            ) n
            where p_billed and n.ends_on > v_from_day
          ) s on s.anchor = coalesce(a.anchor, 1) and s.starts_on = b.starts_on and s.ends_on = b.ends_on
          where b.meter_id = any (array(select m.id from meters m where m.id = any (v_capped) and m.aggregation <> 'WEIGHTED_SUM'))
            and not exists (select 1 from touched t where t.customer_id = b.customer_id and t.meter_id = b.meter_id and t.starts_on = b.starts_on)
        ),
        -- Which tier a customer had when a period ended, or has now; in no version that was made after that.
        terms as materialized (
          select k.customer_id, k.till, n.tier_id, least(n.version, (
              select max(v.version) from public.tier_versions v where v.tenant_id = p_tenant and v.tier_id = n.tier_id and v.created_at < k.till)) as version
          from (
            select t.customer_id, least(t.closes, p_to) as till from touched t
            union select v.customer_id, least(v.closes, p_to) from levels v
            union select r.customer_id, least(r.closes, p_to) from running r
          ) k
          left join lateral (
            select x.tier_id, x.tier_version from public.subscriptions x
            where x.tenant_id = p_tenant and x.customer_id = k.customer_id and x.started_at < k.till and (x.canceled_at is null or x.canceled_at >= k.till)
            order by x.started_at desc limit 1
          ) b on true
          cross join lateral (
            select coalesce(b.tier_id, v_default) as tier_id, case when b.tier_id is null then v_default_version else b.tier_version end as version
          ) n
        ),
        -- Under another cap something else lies beyond it, whether or not anything came in.
        changed as (
          select r.customer_id, r.meter_id, r.starts_on, r.ends_on, r.opens, r.closes, r.whole, 0::numeric, 0::bigint
          from running r
          join terms s on s.customer_id = r.customer_id and s.till = least(r.closes, p_to)
          left join public.entitlements e on e.tenant_id = p_tenant and e.customer_id = r.customer_id and e.meter_id = r.meter_id and e.kind = 'metered'
            and e.canceled_at is null
          left join public.tier_caps y on y.tenant_id = p_tenant and y.tier_id = s.tier_id and y.version = s.version and y.meter_id = r.meter_id
          where r.cap_limit <> case when e.id is null then y.cap_limit else coalesce(e.cap_limit, 0) end
        ),
        keys as materialized (
          select x.*, true as touched from touched x union all select x.*, false from levels x union all select x.*, false from changed x
        ),
        -- Of meters that do not add up: everything that happened in these periods, as of the end and as of the beginning of the cut.
        others as materialized (
          select k.*, m.aggregation, m.value_property, p_billed and coalesce(k.starts_on < v_unsealed, false) as sealed,
            m.aggregation <> 'WEIGHTED_SUM' and m.id = any (v_daily) as daily
          from keys k join meters m on m.id = k.meter_id and m.aggregation not in ('SUM', 'COUNT')
        ),
        taken_back as materialized (
          select c.corrects as id, c.received_at from public.usage_events c
          where c.tenant_id = p_tenant and c.corrects is not null and c.weight = -1 and c.received_at < p_to
            and c.received_at >= (select min(x.opens) from others x) - interval '1 day'
        ),
        -- Which value is the latest is the greatest of (when it happened, when it came, value).
        standing as materialized (
          select o.customer_id, o.meter_id, o.starts_on, o.aggregation, coalesce(e.counted, e.value) as amount, e.occurred_at,
            case when o.aggregation = 'LATEST' then
              array[extract(epoch from e.occurred_at), extract(epoch from e.received_at), coalesce(e.counted, e.value)] end as last,
            case when o.aggregation = 'WEIGHTED_SUM' then coalesce(e.counted, e.value) * extract(epoch from e.occurred_at) end as moment,
            case when o.daily then (e.occurred_at at time zone p_time_zone)::date end as day,
            case o.aggregation when 'UNIQUE_COUNT' then md5(e.properties ->> o.value_property)::uuid end as hash,
            c.received_at is null as after, e.received_at < p_from and (c.received_at is null or c.received_at >= p_from) as before
          from others o
          join public.usage_events e on e.tenant_id = p_tenant and e.meter_id = o.meter_id and e.customer_id = o.customer_id
            and e.occurred_at >= o.opens and e.occurred_at < o.closes and e.weight = 1
          left join taken_back c on c.id = e.id
          where e.received_at < p_to and e.received_at >= (select min(x.opens) from others x) - interval '1 day' and not o.sealed
            and (p_since is null or e.customer_id >= p_since) and (p_until is null or e.customer_id < p_until)
        ),
        values_seen as materialized (
          select s.customer_id, s.meter_id, s.starts_on, s.day, s.hash, bool_or(s.after) as after, bool_or(s.before) as before
          from standing s where s.hash is not null
          group by 1, 2, 3, 4, 5
        ),
        uniques as (
          select s.customer_id, s.meter_id, s.starts_on, count(*) filter (where s.after) as after, count(*) filter (where s.before) as before
          from (
            select x.customer_id, x.meter_id, x.starts_on, x.hash, bool_or(x.after) as after, bool_or(x.before) as before
            from values_seen x group by 1, 2, 3, 4
          ) s
          group by 1, 2, 3
        ),
        sums as (
          select s.customer_id, s.meter_id, s.starts_on,
            count(*) filter (where s.after) as count_after, count(*) filter (where s.before) as count_before,
            min(s.amount) filter (where s.after) as min_after, min(s.amount) filter (where s.before) as min_before,
            max(s.amount) filter (where s.after) as max_after, max(s.amount) filter (where s.before) as max_before,
            sum(s.amount) filter (where s.after) as sum_after, sum(s.amount) filter (where s.before) as sum_before,
            (max(s.last) filter (where s.after))[3] as last_after, (max(s.last) filter (where s.before))[3] as last_before,
            sum(s.amount) filter (where s.after and s.occurred_at < p_to) as level_after,
            sum(s.amount) filter (where s.before and s.occurred_at < p_from) as level_before,
            sum(s.moment) filter (where s.after and s.occurred_at < p_to) as moment_after,
            sum(s.moment) filter (where s.before and s.occurred_at < p_from) as moment_before
          from standing s group by 1, 2, 3
        ),
        -- The same by day, where a cap is of each day.
        days as materialized (
          select s.customer_id, s.meter_id, s.starts_on, s.day,
            case s.aggregation when 'MIN' then min(s.amount) filter (where s.after) when 'MAX' then max(s.amount) filter (where s.after)
              when 'LATEST' then (max(s.last) filter (where s.after))[3]
              else app.metered_value('AVG', sum(s.amount) filter (where s.after), count(*) filter (where s.after)) end as after,
            case s.aggregation when 'MIN' then min(s.amount) filter (where s.before) when 'MAX' then max(s.amount) filter (where s.before)
              when 'LATEST' then (max(s.last) filter (where s.before))[3]
              else app.metered_value('AVG', sum(s.amount) filter (where s.before), count(*) filter (where s.before)) end as before
          from standing s where s.day is not null and s.aggregation <> 'UNIQUE_COUNT'
          group by 1, 2, 3, 4, s.aggregation
          union all
          select s.customer_id, s.meter_id, s.starts_on, s.day, count(*) filter (where s.after), count(*) filter (where s.before)
          from values_seen s where s.day is not null
          group by 1, 2, 3, 4
        ),
        -- Where events are gone already, the totals of their days say what the period came to.
        kept as materialized (
          select o.customer_id, o.meter_id, o.starts_on, min(c.used) as least, max(c.used) as greatest, sum(c.used) as total, sum(c.events)::bigint as events,
            (max(array[extract(epoch from c.last_at), extract(epoch from c.last_received_at), c.used]))[3] as last, sum(c.moment) as moment,
            (select count(distinct u.value_hash) from public.usage_uniques u
              where u.tenant_id = p_tenant and u.meter_id = o.meter_id and u.period = 'day' and u.customer_id = o.customer_id
                and u.starts_on >= o.starts_on and u.starts_on < o.ends_on and u.events > 0 and o.aggregation = 'UNIQUE_COUNT') as uniques
          from others o
          join public.usage_counters c on c.tenant_id = p_tenant and c.period = 'day' and c.meter_id = o.meter_id and c.customer_id = o.customer_id
            and c.starts_on >= o.starts_on and c.starts_on < o.ends_on and c.events > 0
          where o.sealed
          group by 1, 2, 3, o.ends_on, o.aggregation
        ),
        -- The level at the beginning of a period: all days before, less what was received after the cut.
        openings as (
          select o.customer_id, o.meter_id, o.starts_on, sum(c.used) as level
          from others o
          join public.usage_counters c on c.tenant_id = p_tenant and c.period = 'day' and c.meter_id = o.meter_id and c.customer_id = o.customer_id
            and c.starts_on < o.starts_on and c.meter_id = any (array(select m.id from meters m where m.aggregation = 'WEIGHTED_SUM'))
          where o.aggregation = 'WEIGHTED_SUM'
          group by 1, 2, 3
        ),
        changes as materialized (
          select e.customer_id, e.meter_id, e.occurred_at, e.received_at, e.weight * coalesce(e.counted, e.value) as amount
          from public.usage_events e
          join meters m on m.id = e.meter_id and m.aggregation = 'WEIGHTED_SUM'
          where e.tenant_id = p_tenant and e.received_at >= p_from and e.weight <> 0 and (p_since is null or e.customer_id >= p_since) and (p_until is null or e.customer_id < p_until)
            and e.received_month >= date_trunc('month', p_from at time zone 'UTC')::date
            and (e.weight = 1 or coalesce((
              select o.weight from public.usage_events o where o.tenant_id = p_tenant and o.id = e.corrects limit 1), 1) <> 0)
        ),
        newer as (
          select o.customer_id, o.meter_id, o.starts_on, sum(e.amount) filter (where e.received_at >= p_to) as later,
            sum(e.amount) filter (where e.received_at < p_to) as during
          from others o
          join changes e on e.meter_id = o.meter_id and e.customer_id = o.customer_id and e.occurred_at < o.opens
          where o.aggregation = 'WEIGHTED_SUM'
          group by 1, 2, 3
        ),
        valued as (
          select o.customer_id, o.meter_id, o.starts_on,
            case o.aggregation
              when 'MIN' then coalesce(s.min_after, q.least) when 'MAX' then coalesce(s.max_after, q.greatest)
              when 'LATEST' then coalesce(s.last_after, q.last) when 'UNIQUE_COUNT' then coalesce(y.after, q.uniques)
              when 'AVG' then app.metered_value('AVG', coalesce(s.sum_after, q.total), coalesce(s.count_after, q.events))
              else app.average_level(coalesce(l.level, 0) - coalesce(n.later, 0), coalesce(s.level_after, q.total, 0), coalesce(s.moment_after, q.moment, 0),
                extract(epoch from o.opens), extract(epoch from least(o.closes, p_to))) end as after,
            case o.aggregation
              when 'MIN' then s.min_before when 'MAX' then s.max_before when 'LATEST' then s.last_before when 'UNIQUE_COUNT' then y.before
              when 'AVG' then app.metered_value('AVG', s.sum_before, s.count_before)
              else app.average_level(coalesce(l.level, 0) - coalesce(n.later, 0) - coalesce(n.during, 0), coalesce(s.level_before, 0),
                coalesce(s.moment_before, 0), extract(epoch from o.opens), extract(epoch from least(o.closes, p_from))) end as before
          from others o
          left join sums s on s.customer_id = o.customer_id and s.meter_id = o.meter_id and s.starts_on = o.starts_on
          left join uniques y on y.customer_id = o.customer_id and y.meter_id = o.meter_id and y.starts_on = o.starts_on
          left join kept q on q.customer_id = o.customer_id and q.meter_id = o.meter_id and q.starts_on = o.starts_on
          left join openings l on l.customer_id = o.customer_id and l.meter_id = o.meter_id and l.starts_on = o.starts_on
          left join newer n on n.customer_id = o.customer_id and n.meter_id = o.meter_id and n.starts_on = o.starts_on
        ),
        -- Of meters that add up, what came after the cut: the counters hold it already.
        after_cut as materialized (
          select e.customer_id, e.meter_id, (e.occurred_at at time zone p_time_zone)::date as day,
            sum(e.weight * case m.aggregation when 'COUNT' then coalesce(e.counted, 1) else coalesce(e.counted, e.value) end) as amount
          from public.usage_events e
          join meters m on m.id = e.meter_id and m.aggregation in ('SUM', 'COUNT')
          where e.tenant_id = p_tenant and e.received_at >= p_to and e.weight <> 0 and (p_since is null or e.customer_id >= p_since) and (p_until is null or e.customer_id < p_until)
            and e.received_month >= date_trunc('month', p_to at time zone 'UTC')::date
            and (e.weight = 1 or coalesce((
              select o.weight from public.usage_events o where o.tenant_id = p_tenant and o.id = e.corrects limit 1), 1) <> 0)
          group by 1, 2, 3
        ),
        lines as materialized (
          select k.customer_id, k.meter_id, k.starts_on, k.ends_on, k.closes, k.whole, k.touched, k.amount, k.events, o.customer_id is null as adds_up,
            case when o.customer_id is null then k.amount
              else coalesce(v.after, 0) - case when p_billed then coalesce(b.quantity, 0) else coalesce(v.before, 0) end end as quantity,
            v.after, v.before, coalesce(b.overage, 0) as billed_overage, least(k.closes, p_to) as till
          from keys k
          left join others o on o.customer_id = k.customer_id and o.meter_id = k.meter_id and o.starts_on = k.starts_on
          left join valued v on v.customer_id = k.customer_id and v.meter_id = k.meter_id and v.starts_on = k.starts_on
          left join (
            select x.customer_id, x.meter_id, x.starts_on, sum(x.quantity) as quantity, sum(x.overage) as overage
            from billed x where p_billed group by 1, 2, 3
          ) b on b.customer_id = k.customer_id and b.meter_id = k.meter_id and b.starts_on = k.starts_on
        ),
        later as materialized (
          select l.customer_id, l.meter_id, l.starts_on, sum(n.amount) as amount
          from lines l
          join after_cut n on n.customer_id = l.customer_id and n.meter_id = l.meter_id and n.day >= l.starts_on and n.day < l.ends_on
          group by 1, 2, 3
        ),
        -- Of caps of each day: every day of the lines, as of the end and as of the beginning of the cut.
        counted as materialized (
          select d.customer_id, d.meter_id, d.starts_on, d.day, d.after, d.after - coalesce(r.amount, 0) as before
          from (
            select l.customer_id, l.meter_id, l.starts_on, k.starts_on as day, k.used - coalesce(n.amount, 0) as after
            from lines l
            join public.usage_counters k on k.customer_id = l.customer_id and k.meter_id = l.meter_id and k.starts_on >= l.starts_on
              and k.starts_on < l.ends_on
            left join after_cut n on n.customer_id = k.customer_id and n.meter_id = k.meter_id and n.day = k.starts_on
            where l.adds_up and k.tenant_id = p_tenant and k.period = 'day' and k.meter_id = any (v_daily)
              and k.starts_on >= (select min(x.starts_on) from lines x where x.adds_up) and k.starts_on < (select max(x.ends_on) from lines x where x.adds_up)
              and (p_since is null or k.customer_id >= p_since) and (p_until is null or k.customer_id < p_until)
          ) d
          left join received r on r.customer_id = d.customer_id and r.meter_id = d.meter_id and r.day = d.day
        ),
        termed as materialized (
          select l.*, u.external_id as customer, m.slug as meter, t.slug as tier, s.version as tier_version, c.cap_limit,
            c.period = 'day' and (l.adds_up or m.aggregation <> 'WEIGHTED_SUM') as daily, m.aggregation,
            -- What grants and rollover covered is no overage: the balance says what was, as long as its events are there.
            l.adds_up and l.starts_on >= coalesce(v_unsealed, l.starts_on) and exists (
              select 1 from public.balances k where k.tenant_id = p_tenant and k.customer_id = l.customer_id and k.meter_id = l.meter_id) as balanced
          from lines l
          join meters m on m.id = l.meter_id
          join public.customers u on u.tenant_id = p_tenant and u.id = l.customer_id
          join terms s on s.customer_id = l.customer_id and s.till = l.till
          left join public.tiers t on t.tenant_id = p_tenant and t.id = s.tier_id
          left join public.entitlements e on e.tenant_id = p_tenant and e.customer_id = l.customer_id and e.meter_id = l.meter_id and e.kind = 'metered'
            and e.canceled_at is null
          left join public.tier_caps y on y.tenant_id = p_tenant and y.tier_id = s.tier_id and y.version = s.version and y.meter_id = l.meter_id
          cross join lateral (
            select case when e.id is null then y.cap_limit else coalesce(e.cap_limit, 0) end as cap_limit, case when e.id is null then y.period else e.period end as period
          ) c
        ),
        months as materialized (
          select n.customer_id, n.meter_id, n.starts_on, n.used
          from public.usage_counters n
          where n.tenant_id = p_tenant and n.period = 'month' and n.meter_id = any (v_capped)
            and n.starts_on >= (select min(x.starts_on) from lines x where x.adds_up) and n.starts_on <= (select max(x.starts_on) from lines x where x.adds_up)
            and (p_since is null or n.customer_id >= p_since) and (p_until is null or n.customer_id < p_until)
        ),
        -- Beyond the cap as of the end and as of the beginning of the cut: of the period as a whole, or of each of its days.
        beyond as (
          select t.customer_id, t.meter_id, t.starts_on, coalesce(z.after, greatest(0, w.after - t.cap_limit)) as after,
            coalesce(z.before, greatest(0, w.before - t.cap_limit)) as before
          from termed t
          left join later a on a.customer_id = t.customer_id and a.meter_id = t.meter_id and a.starts_on = t.starts_on
          left join months u on u.customer_id = t.customer_id and u.meter_id = t.meter_id and u.starts_on = t.starts_on
          cross join lateral (
            select case when t.adds_up then coalesce(case
              when t.whole then u.used
              else (
                select sum((
                  select n.used from public.usage_counters n
                  where n.tenant_id = p_tenant and n.period = 'day' and n.meter_id = t.meter_id and n.starts_on = g.day::date
                    and n.customer_id = t.customer_id))
                from generate_series(t.starts_on, t.ends_on - 1, interval '1 day') g (day)) end, 0) - coalesce(a.amount, 0) end as used
            offset 0
          ) n
          cross join lateral (
            select case when t.adds_up then n.used else t.after end as after, case when t.adds_up then n.used - t.amount else t.before end as before
          ) w
          cross join lateral (
            select case when t.balanced and t.whole then
                app.balance_overage(p_tenant, t.customer_id, t.meter_id, t.aggregation, t.starts_on, t.ends_on, p_to, p_time_zone) end as after,
              case when t.balanced and t.whole and not p_billed then
                app.balance_overage(p_tenant, t.customer_id, t.meter_id, t.aggregation, t.starts_on, t.ends_on, p_from, p_time_zone) end as before
          ) z
          where t.cap_limit is not null and not t.daily
          union all
          select t.customer_id, t.meter_id, t.starts_on, sum(coalesce(z.after, greatest(0, d.after - t.cap_limit))),
            sum(coalesce(z.before, greatest(0, d.before - t.cap_limit)))
          from termed t
          join (
            select x.customer_id, x.meter_id, x.starts_on, x.day, x.after, x.before from counted x
            union all
            select x.customer_id, x.meter_id, x.starts_on, x.day, x.after, x.before from days x
          ) d on d.customer_id = t.customer_id and d.meter_id = t.meter_id and d.starts_on = t.starts_on
          cross join lateral (
            select case when t.balanced then
                app.balance_overage(p_tenant, t.customer_id, t.meter_id, t.aggregation, d.day, d.day + 1, p_to, p_time_zone) end as after,
              case when t.balanced and not p_billed then
                app.balance_overage(p_tenant, t.customer_id, t.meter_id, t.aggregation, d.day, d.day + 1, p_from, p_time_zone) end as before
          ) z
          where t.cap_limit is not null and t.daily
          group by 1, 2, 3
        )
        select l.customer_id, l.customer, l.meter_id, l.meter, l.starts_on, l.ends_on, l.quantity, l.events, l.tier, l.tier_version, l.cap_limit,
          b.overage, v_earlier and l.closes <= p_from
        from termed l
        left join beyond o on o.customer_id = l.customer_id and o.meter_id = l.meter_id and o.starts_on = l.starts_on
        cross join lateral (
          select case when l.cap_limit is not null then coalesce(o.after, 0) - case when p_billed then l.billed_overage else coalesce(o.before, 0) end end as overage
        ) b
        -- As much taken back as came in changes nothing but, by its days or its order, what lies beyond the cap; so does another cap.
        where l.quantity <> 0 or l.events <> 0 or (l.touched or l.closes > p_from) and b.overage <> 0
        order by l.customer_id, l.meter_id, l.starts_on;
    end
  $$;

-- grants --------------------------------------------------------------------------------------------

revoke all on all functions in schema app from public;
