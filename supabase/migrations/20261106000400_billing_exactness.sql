-- What money depends on, made exact: quotients are rounded once; a day of usage is billed in one period of usage, whatever becomes of
-- its customer's anchor; what never counted is not credited; a level that changes late is billed in every period since; and overage
-- comes to what lies beyond the cap, however often one cuts.

-- functions: quotients ------------------------------------------------------------------------------

create or replace function app.metered_value(p_aggregation text, p_used numeric, p_events bigint) returns numeric
  language plpgsql immutable parallel safe set search_path = ''
  as $$
    begin
      if p_aggregation = 'AVG' then
        return case when p_events > 0 then app.exact_quotient(p_used, p_events) end;
      end if;
      return case when p_events = 0 and p_aggregation in ('MIN', 'MAX', 'LATEST') then null else p_used end;
    end
  $$;

create or replace function app.weighted_average(
  p_tenant uuid, p_meter uuid, p_customer uuid, p_starts_on date, p_from timestamptz, p_until timestamptz, p_used numeric, p_moment numeric
) returns numeric
  language plpgsql stable set search_path = ''
  as $$
    declare
      v_level numeric;
      v_seconds numeric := extract(epoch from p_until) - extract(epoch from p_from);
    begin
      if p_customer is null then
        select coalesce(sum(t.used), 0) into v_level from public.usage_totals t
          where t.tenant_id = p_tenant and t.meter_id = p_meter and t.day < p_starts_on;
      else
        select coalesce(sum(c.used), 0) into v_level from public.usage_counters c
          where c.tenant_id = p_tenant and c.period = 'day' and c.meter_id = p_meter and c.customer_id = p_customer and c.starts_on < p_starts_on;
      end if;
      if v_seconds <= 0 then
        return v_level;
      end if;
      return app.exact_quotient(v_level * v_seconds + extract(epoch from p_until) * coalesce(p_used, 0) - coalesce(p_moment, 0), v_seconds);
    end
  $$;

create or replace function app.average_level(p_before numeric, p_sum numeric, p_moment numeric, p_from numeric, p_to numeric) returns numeric
  language plpgsql immutable parallel safe set search_path = ''
  as $$
    begin
      if p_to <= p_from then
        return 0;
      end if;
      return app.exact_quotient(p_before * (p_to - p_from) + p_to * p_sum - p_moment, p_to - p_from);
    end
  $$;

-- functions: billing --------------------------------------------------------------------------------

create function app.billing_span(p_day date, p_anchor integer, p_starts date[], p_ends date[], out starts_on date, out ends_on date)
  language plpgsql immutable parallel safe set search_path = ''
  as $$
    begin
      starts_on := app.period_start(p_day, 'month', p_anchor);
      ends_on := app.period_end(starts_on, 'month', p_anchor);
      for i in 1 .. coalesce(cardinality(p_starts), 0) loop
        if p_starts[i] <= p_day and p_ends[i] > p_day then
          starts_on := p_starts[i];
          ends_on := p_ends[i];
          return;
        end if;
        if p_ends[i] <= p_day then
          starts_on := greatest(starts_on, p_ends[i]);
        else
          ends_on := least(ends_on, p_starts[i]);
        end if;
      end loop;
    end
  $$;
comment on function app.billing_span(date, integer, date[], date[]) is
  'The period of usage in which a day is billed: the one in which its neighbours were billed already, of those given; else the customer''s month '
  'by its anchor, as far as none of those reaches into it. So no day is billed in two periods, however often the anchor changes.';

create or replace function app.cut_usage(p_tenant uuid, p_time_zone text, p_from timestamptz, p_to timestamptz, p_billed boolean)
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
      v_unsealed date := app.unsealed_from(p_tenant);
      v_default uuid;
      v_default_version integer;
      v_earlier boolean;
    begin
      select t.id, t.version into v_default, v_default_version from public.tiers t where t.tenant_id = p_tenant and t.is_default;
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
          select s.customer_id, s.anchor_day::integer as anchor from public.subscriptions s where s.tenant_id = p_tenant and s.canceled_at is null
        ),
        -- What came in, by day of usage. What is taken back of an event that did not pass the filter was never counted.
        received as materialized (
          select e.customer_id, e.meter_id, (e.occurred_at at time zone p_time_zone)::date as day,
            sum(e.weight * case m.aggregation when 'COUNT' then coalesce(e.counted, 1) else coalesce(e.counted, e.value) end) as amount, sum(e.weight) as events
          from public.usage_events e
          join meters m on m.id = e.meter_id
          where e.tenant_id = p_tenant and e.received_at >= p_from and e.received_at < p_to and e.weight <> 0
            and e.received_month >= date_trunc('month', p_from at time zone 'UTC')::date
            and e.received_month <= date_trunc('month', p_to at time zone 'UTC')::date
            and (e.weight = 1 or coalesce((
              select o.weight from public.usage_events o where o.tenant_id = p_tenant and o.id = e.corrects limit 1), 1) <> 0)
          group by 1, 2, 3
        ),
        -- Periods of usage that were billed when the customer's months began on another day: they keep their days.
        odd as materialized (
          select b.customer_id, b.meter_id, array_agg(b.starts_on order by b.closed_at desc, b.starts_on desc) as starts,
            array_agg(b.ends_on order by b.closed_at desc, b.starts_on desc) as ends
          from (
            select l.customer_id, l.meter_id, l.starts_on, l.ends_on, max(p.closed_at) as closed_at
            from public.billing_lines l
            join public.billing_periods p on p.tenant_id = p_tenant and p.id = l.billing_period_id
            where l.tenant_id = p_tenant and l.ends_on > least(v_from_day, (select min(r.day) from received r)) - 32
            group by 1, 2, 3, 4
          ) b
          left join anchors a on a.customer_id = b.customer_id
          group by 1, 2
          having bool_or(case when coalesce(a.anchor, 1) = 1 then date_part('day', b.starts_on) <> 1 or b.ends_on <> (b.starts_on + interval '1 month')::date
            else b.starts_on <> app.period_start(b.starts_on, 'month', a.anchor) or b.ends_on <> app.period_end(b.starts_on, 'month', a.anchor) end)
        ),
        touched as materialized (
          select r.customer_id, r.meter_id, s.starts_on, s.ends_on, coalesce(a.anchor, 1) as anchor,
            sum(r.amount) as amount, sum(r.events)::bigint as events
          from received r
          left join anchors a on a.customer_id = r.customer_id
          left join odd o on o.customer_id = r.customer_id and o.meter_id = r.meter_id
          cross join lateral (
            -- Nearly all are of calendar months, which need no function.
            select r.day - date_part('day', r.day)::integer + 1 as starts_on,
              (date_trunc('month', r.day::timestamp) + interval '1 month')::date as ends_on
            where o.starts is null and coalesce(a.anchor, 1) = 1
            union all
            select x.starts_on, x.ends_on from app.billing_span(r.day, coalesce(a.anchor, 1), o.starts, o.ends) x
            where o.starts is not null or a.anchor > 1
          ) s
          group by 1, 2, 3, 4, 5
        ),
        firsts as materialized (
          select r.customer_id, r.meter_id, min(r.day) as day from received r group by 1, 2
        ),
        -- A level counts through every period, changed or not; one that changed late, through all since then.
        levels as (
          select k.customer_id, k.meter_id, p.starts_on, p.ends_on, k.anchor, 0::numeric, 0::bigint
          from (
            select c.customer_id, c.meter_id, coalesce(a.anchor, 1) as anchor, min(c.starts_on) as first, o.starts, o.ends
            from meters m
            join public.usage_counters c on c.tenant_id = p_tenant and c.period = 'day' and c.meter_id = m.id
            left join anchors a on a.customer_id = c.customer_id
            left join odd o on o.customer_id = c.customer_id and o.meter_id = c.meter_id
            where m.aggregation = 'WEIGHTED_SUM'
            group by 1, 2, 3, 5, 6
          ) k
          left join firsts r on r.customer_id = k.customer_id and r.meter_id = k.meter_id
          cross join lateral (
            select distinct s.starts_on, s.ends_on
            from generate_series(greatest(least(v_from_day, r.day), k.first), (p_to at time zone p_time_zone)::date, interval '1 day') d (day)
            cross join lateral app.billing_span(d.day::date, k.anchor, k.starts, k.ends) s
          ) p
          where app.day_start(p.starts_on, p_time_zone) < p_to
            and not exists (
              select 1 from touched t where t.customer_id = k.customer_id and t.meter_id = k.meter_id and t.starts_on = p.starts_on)
        ),
        keys as materialized (
          select * from touched union all select * from levels
        ),
        -- Of meters that do not add up: everything that happened in these periods, as of the end and as of the beginning of the cut.
        others as materialized (
          select k.*, m.aggregation, m.value_property, app.day_start(k.starts_on, p_time_zone) as opens, app.day_start(k.ends_on, p_time_zone) as closes,
            p_billed and coalesce(k.starts_on < v_unsealed, false) as sealed,
            m.aggregation <> 'WEIGHTED_SUM' and (
              exists (select 1 from public.tier_caps c where c.tenant_id = p_tenant and c.meter_id = m.id and c.period = 'day')
              or exists (select 1 from public.entitlements e where e.tenant_id = p_tenant and e.meter_id = m.id and e.period = 'day')) as daily
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
            and c.starts_on < o.starts_on
          where o.aggregation = 'WEIGHTED_SUM'
          group by 1, 2, 3
        ),
        changes as materialized (
          select e.customer_id, e.meter_id, e.occurred_at, e.received_at, e.weight * coalesce(e.counted, e.value) as amount
          from public.usage_events e
          join meters m on m.id = e.meter_id and m.aggregation = 'WEIGHTED_SUM'
          where e.tenant_id = p_tenant and e.received_at >= p_from and e.weight <> 0
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
          where e.tenant_id = p_tenant and e.received_at >= p_to and e.weight <> 0
            and e.received_month >= date_trunc('month', p_to at time zone 'UTC')::date
            and (e.weight = 1 or coalesce((
              select o.weight from public.usage_events o where o.tenant_id = p_tenant and o.id = e.corrects limit 1), 1) <> 0)
          group by 1, 2, 3
        ),
        lines as materialized (
          select k.customer_id, k.meter_id, k.starts_on, k.ends_on, k.anchor, k.amount, k.events, o.customer_id is null as adds_up,
            case when o.customer_id is null then k.amount
              else coalesce(v.after, 0) - case when p_billed then coalesce(b.quantity, 0) else coalesce(v.before, 0) end end as quantity,
            v.after, v.before, coalesce(b.overage, 0) as billed_overage
          from keys k
          left join others o on o.customer_id = k.customer_id and o.meter_id = k.meter_id and o.starts_on = k.starts_on
          left join valued v on v.customer_id = k.customer_id and v.meter_id = k.meter_id and v.starts_on = k.starts_on
          left join lateral (
            select sum(x.quantity) as quantity, sum(x.overage) as overage from public.billing_lines x
            where p_billed and x.tenant_id = p_tenant and x.customer_id = k.customer_id and x.meter_id = k.meter_id and x.starts_on = k.starts_on
          ) b on true
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
            select x.customer_id, x.meter_id, x.starts_on, x.day, x.used - coalesce(n.amount, 0) as after
            from (
              select l.customer_id, l.meter_id, l.starts_on, g.day::date as day, (
                  select k.used from public.usage_counters k
                  where k.tenant_id = p_tenant and k.period = 'day' and k.meter_id = l.meter_id and k.starts_on = g.day::date
                    and k.customer_id = l.customer_id) as used
              from lines l
              cross join lateral generate_series(l.starts_on, l.ends_on - 1, interval '1 day') g (day)
              where l.adds_up and (
                exists (select 1 from public.tier_caps c where c.tenant_id = p_tenant and c.meter_id = l.meter_id and c.period = 'day')
                or exists (select 1 from public.entitlements e where e.tenant_id = p_tenant and e.meter_id = l.meter_id and e.period = 'day'))
            ) x
            left join after_cut n on n.customer_id = x.customer_id and n.meter_id = x.meter_id and n.day = x.day
            where x.used is not null
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
          left join lateral (
            select x.tier_id, x.tier_version from public.subscriptions x
            where x.tenant_id = p_tenant and x.customer_id = l.customer_id and x.started_at < least(app.day_start(l.ends_on, p_time_zone), p_to)
              and (x.canceled_at is null or x.canceled_at >= least(app.day_start(l.ends_on, p_time_zone), p_to))
            order by x.started_at desc limit 1
          ) b on true
          cross join lateral (
            select coalesce(b.tier_id, v_default) as tier_id, case when b.tier_id is null then v_default_version else b.tier_version end as version
          ) s
          left join public.tiers t on t.tenant_id = p_tenant and t.id = s.tier_id
          left join lateral (
            select x.cap_limit, x.period from (
              select 0 as rank, coalesce(e.cap_limit, 0) as cap_limit, e.period from public.entitlements e
                where e.tenant_id = p_tenant and e.customer_id = l.customer_id and e.meter_id = l.meter_id and e.kind = 'metered' and e.canceled_at is null
              union all
              select 1, y.cap_limit, y.period from public.tier_caps y
                where y.tenant_id = p_tenant and y.tier_id = s.tier_id and y.version = s.version and y.meter_id = l.meter_id
            ) x order by x.rank limit 1
          ) c on true
          where l.quantity <> 0 or l.events <> 0
        ),
        -- Beyond the cap as of the end and as of the beginning of the cut: of the period as a whole, or of each of its days.
        beyond as (
          select t.customer_id, t.meter_id, t.starts_on, coalesce(z.after, greatest(0, w.after - t.cap_limit)) as after,
            coalesce(z.before, greatest(0, w.before - t.cap_limit)) as before
          from termed t
          left join later a on a.customer_id = t.customer_id and a.meter_id = t.meter_id and a.starts_on = t.starts_on
          cross join lateral (
            select t.starts_on = app.period_start(t.starts_on, 'month', t.anchor) and t.ends_on = app.period_end(t.starts_on, 'month', t.anchor) as whole
          ) p
          cross join lateral (
            select case when t.adds_up then coalesce(case
              when p.whole then (
                select n.used from public.usage_counters n
                where n.tenant_id = p_tenant and n.period = 'month' and n.meter_id = t.meter_id and n.starts_on = t.starts_on
                  and n.customer_id = t.customer_id)
              else (
                select sum((
                  select n.used from public.usage_counters n
                  where n.tenant_id = p_tenant and n.period = 'day' and n.meter_id = t.meter_id and n.starts_on = g.day::date
                    and n.customer_id = t.customer_id))
                from generate_series(t.starts_on, t.ends_on - 1, interval '1 day') g (day)) end, 0) - coalesce(a.amount, 0) end as used
          ) n
          cross join lateral (
            select case when t.adds_up then n.used else t.after end as after, case when t.adds_up then n.used - t.amount else t.before end as before
          ) w
          cross join lateral (
            select case when t.balanced and p.whole then
                app.balance_overage(p_tenant, t.customer_id, t.meter_id, t.aggregation, t.starts_on, t.ends_on, p_to, p_time_zone) end as after,
              case when t.balanced and p.whole and not p_billed then
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
          case when l.cap_limit is not null then coalesce(o.after, 0) - case when p_billed then l.billed_overage else coalesce(o.before, 0) end end,
          v_earlier and app.day_start(l.ends_on, p_time_zone) <= p_from
        from termed l
        left join beyond o on o.customer_id = l.customer_id and o.meter_id = l.meter_id and o.starts_on = l.starts_on
        order by l.customer_id, l.meter_id, l.starts_on;
    end
  $$;
comment on function app.cut_usage(uuid, text, timestamptz, timestamptz, boolean) is
  'Usage of the current tenant received in [from, to), one line per customer, meter and period of usage (see billing_lines). With p_billed, what '
  'does not add up, and overage, are set against the lines of closed periods; without, against what they were at the beginning of the cut.';

-- functions: Stripe ---------------------------------------------------------------------------------

create or replace function app.cut_stripe_usage(p_tenant uuid, p_export uuid) returns integer
  language plpgsql volatile set search_path = '' set plan_cache_mode = force_custom_plan
  as $$
    declare
      v_cut timestamptz;
      v_from timestamptz;
      v_written integer;
    begin
      -- Whoever does not see all of it would move the cut past usage that was never written down.
      if not (app.can('stripe-exports:write') and app.can('usage:read') and app.can('customers:read') and app.can('meters:read')) then
        raise exception using errcode = '42501', message = 'stripe-exports:write and reading usage, customers and meters are needed';
      end if;
      perform 1 from public.stripe_exports x
        where x.tenant_id = p_tenant and x.id = p_export and x.status = 'connected' and x.enabled for update;
      if not found then
        return 0;
      end if;
      v_cut := clock_timestamp();
      perform app.await_usage_writers(p_tenant);
      select min(s.cut_at) into v_from from public.stripe_meters s where s.tenant_id = p_tenant and s.stripe_export_id = p_export and s.enabled;
      with meters as materialized (
        select s.meter_id, s.event_name, s.cut_at, m.aggregation
        from public.stripe_meters s
        join public.meters m on m.tenant_id = p_tenant and m.id = s.meter_id and m.aggregation in ('SUM', 'COUNT')
        where s.tenant_id = p_tenant and s.stripe_export_id = p_export and s.enabled
      ),
      received as materialized (
        select e.customer_id, e.meter_id, date_trunc('hour', e.occurred_at, 'UTC') as hour,
          sum(e.weight * app.event_amount(m.aggregation, e.value, e.counted)) as amount, sum(e.weight)::bigint as events
        from public.usage_events e
        join meters m on m.meter_id = e.meter_id
        where e.tenant_id = p_tenant and e.received_at >= v_from and e.received_at < v_cut and e.received_at >= m.cut_at and e.weight <> 0
          and e.received_month >= date_trunc('month', v_from at time zone 'UTC')::date
          and e.received_month <= date_trunc('month', v_cut at time zone 'UTC')::date
          and (e.weight = 1 or not exists (
            select 1 from public.usage_events o where o.tenant_id = p_tenant and o.id = e.corrects and o.weight = 0))
        group by 1, 2, 3
      ),
      -- Rounded down along the hours, so that the whole numbers add up and only one fraction is ever left over.
      running as materialized (
        select r.customer_id, r.meter_id, r.hour, r.events, r.amount,
          coalesce(l.remainder, 0) + sum(r.amount) over w as total,
          row_number() over (partition by r.customer_id, r.meter_id order by r.hour desc) as from_last
        from received r
        left join public.stripe_remainders l on l.tenant_id = p_tenant and l.stripe_export_id = p_export and l.meter_id = r.meter_id
          and l.customer_id = r.customer_id
        window w as (partition by r.customer_id, r.meter_id order by r.hour)
      ),
      kept as (
        insert into public.stripe_remainders (tenant_id, stripe_export_id, meter_id, customer_id, remainder)
          select p_tenant, p_export, r.meter_id, r.customer_id, r.total - floor(r.total) from running r where r.from_last = 1
          order by r.meter_id, r.customer_id
          on conflict (tenant_id, stripe_export_id, meter_id, customer_id) do update set remainder = excluded.remainder
          where stripe_remainders.remainder <> excluded.remainder
      )
      insert into public.stripe_deliveries (tenant_id, id, stripe_export_id, customer_id, meter_id, event_name, hour, happened_at, cut_at, amount,
          events, identifier)
        select p_tenant, app.uuid_v7(), p_export, r.customer_id, r.meter_id, m.event_name, r.hour,
          least(greatest(r.hour + interval '3599 seconds', v_cut - interval '34 days'), v_cut), v_cut,
          floor(r.total) - floor(r.total - r.amount), r.events,
          'hf_' || encode(sha256(convert_to(concat_ws('/', p_tenant, p_export, r.customer_id, r.meter_id, extract(epoch from r.hour),
            extract(epoch from v_cut)), 'UTF8')), 'hex')
        from running r join meters m on m.meter_id = r.meter_id
        where floor(r.total) <> floor(r.total - r.amount)
        order by r.hour, r.customer_id, r.meter_id;
      get diagnostics v_written = row_count;
      update public.stripe_meters s set cut_at = v_cut
        where s.tenant_id = p_tenant and s.stripe_export_id = p_export and s.enabled and s.cut_at < v_cut;
      update public.stripe_exports x set cut_asked = false where x.tenant_id = p_tenant and x.id = p_export;
      return v_written;
    end
  $$;

-- grants --------------------------------------------------------------------------------------------

revoke all on all functions in schema app from public;
grant execute on function app.billing_span(date, integer, date[], date[]) to app_tenant;

-- comments ------------------------------------------------------------------------------------------

comment on column public.billing_lines.overage is
  'Beyond the cap that holds at the end of the cut and, where the customer had a balance, beyond what grants and rollover added to it, as of then, less what '
  'was billed as overage of this period of usage before; null without a cap.';
comment on column public.billing_lines.adjustment is 'Whether the usage lies before the cut, and something was received before it: never in the first period.';
