-- What is asked of very many customers is read as it lies, in one pass, and by whole months where there are any; what is asked of one customer is
-- looked up in the months it used a meter in. Usage of all meters is put together meter by meter, in little memory; and a month that runs is read as
-- a whole as well, where nothing was used after the last day asked for.

-- functions: questions ------------------------------------------------------------------------------

create or replace function app.query_meters(
  p_tenant uuid, p_meters uuid[], p_from timestamptz, p_to timestamptz, p_window text, p_time_zone text, p_customers uuid[], p_by_customer boolean
) returns table (meter_id uuid, customer_id uuid, window_start timestamptz, value numeric, events bigint)
  language plpgsql stable set search_path = '' set plan_cache_mode = force_custom_plan set jit = off set enable_seqscan = off set work_mem = '32MB'
  -- Nobody knows beforehand how many rows there are: they are put together by hashes.
  set enable_sort = off set enable_mergejoin = off
  -- Workers are worth their start only where many rows are read.
  set parallel_setup_cost = 50000
  as $$
    #variable_conflict use_column
    declare
      v_first date := (p_from at time zone p_time_zone)::date;
      v_end date := (p_to at time zone p_time_zone)::date;
      v_kinds text[] := '{}';
      v_ids uuid[];
      -- So few customers that each is looked up by itself.
      v_most constant integer := 50;
      v_few uuid[] := case when cardinality(p_customers) <= v_most then p_customers end;
      -- Whole calendar months: from the first of one up to that of another.
      v_month date := v_end;
      v_month_end date := v_end;
      v_few_from date := v_first;
      v_few_to date := v_end;
    begin
      if coalesce(p_window, 'DAY') = 'DAY' and app.first_moment(v_first, p_time_zone) = p_from and app.first_moment(v_end, p_time_zone) = p_to then
        v_kinds := '{SUM,COUNT,MIN,MAX,AVG,LATEST}';
        -- Of different values a day of one scope is a number; all else is put together from the values.
        if p_window = 'DAY' and (p_by_customer or coalesce(cardinality(p_customers), 1) = 1) then
          v_kinds := v_kinds || array['UNIQUE_COUNT'];
        end if;
        v_ids := array(
          select m.id from public.meters m
          where m.tenant_id = p_tenant and (p_meters is null or m.id = any (p_meters)) and m.aggregation = any (v_kinds));
        if p_window is null and p_by_customer and p_customers is null then
          v_month := date_trunc('month', v_first + interval '1 month' - interval '1 day');
          v_month_end := date_trunc('month', v_end::timestamp);
          -- A month after whose last day asked for nothing was used is whole as well, as the one that runs mostly is.
          if v_month_end < v_end and app.customer_id() is null and not exists (
              select from public.usage_totals x
              where x.tenant_id = p_tenant and x.meter_id = any (v_ids) and x.day >= v_end and x.day < v_month_end + interval '1 month') then
            v_month_end := v_month_end + interval '1 month';
          end if;
          -- Whose months begin on another day is looked up by day; where they are many, all is read by day.
          v_few := array(
            select s.customer_id from public.subscriptions s where s.tenant_id = p_tenant and s.canceled_at is null and s.anchor_day <> 1 limit v_most + 1);
          if v_month < v_month_end and cardinality(v_few) <= v_most then
            v_few_from := v_month;
            v_few_to := v_month_end;
          else
            v_month := v_end;
            v_month_end := v_end;
            v_few := null;
          end if;
        end if;
        -- Meter by meter, so that what is put together at a time stays small.
        return query
          with few as materialized (
            select p.id, p.starts_on, greatest(p.starts_on, v_few_from) as first, least(app.period_end(p.starts_on, 'month', p.anchor), v_few_to) as after
            from (
              select distinct u.id, a.anchor, app.period_start(g::date, 'month', a.anchor) as starts_on
              from unnest(v_few) u (id)
              left join public.subscriptions s on s.tenant_id = p_tenant and s.customer_id = u.id and s.canceled_at is null
              cross join lateral (select coalesce(s.anchor_day, 1)::integer as anchor) a
              cross join generate_series(v_few_from, v_few_to - 1, interval '1 day') g
            ) p
          )
          select m.id, d.customer_id, case when p_window is null then p_from else app.first_moment(d.day, p_time_zone) end,
            trim_scale(case m.aggregation
              when 'MIN' then d.least when 'MAX' then d.greatest when 'LATEST' then d.last[3]
              when 'AVG' then app.metered_value('AVG', d.used, d.events) else d.used end), d.events
          from (
            select x.id, x.aggregation, x.aggregation in ('MIN', 'MAX', 'LATEST') as picks from public.meters x
            where x.tenant_id = p_tenant and x.id = any (v_ids)
            offset 0
          ) m
          cross join lateral (
            select case when p_by_customer then x.customer_id end as customer_id, case when p_window is not null then x.day end as day,
              sum(x.events)::bigint as events, sum(x.used) as used, min(x.used) filter (where m.picks and x.events > 0) as least,
              max(x.used) filter (where m.picks and x.events > 0) as greatest,
              max(array[extract(epoch from x.last_at), extract(epoch from x.last_received_at), x.used]) filter (where m.picks and x.events > 0) as last
            from (
              select null::uuid as customer_id, c.day, c.used, c.events, c.last_at, c.last_received_at
              from public.usage_totals c
              where p_customers is null and not p_by_customer and c.tenant_id = p_tenant and c.meter_id = m.id and c.day >= v_first and c.day < v_end
              union all
              -- Of many customers what there is is read as it lies: by months where theirs are those of the calendar, else by days.
              select c.customer_id, c.starts_on, c.used, c.events, c.last_at, c.last_received_at
              from public.usage_counters c
              where v_month < v_month_end and c.tenant_id = p_tenant and c.period = 'month' and c.meter_id = m.id
                and c.starts_on = any (array(select g::date from generate_series(v_month, v_month_end - 1, interval '1 month') g))
              union all
              select c.customer_id, c.starts_on, c.used, c.events, c.last_at, c.last_received_at
              from public.usage_counters c
              where case when p_customers is null then p_by_customer else v_few is null and c.customer_id = any (p_customers) end
                and c.tenant_id = p_tenant and c.period = 'day' and c.meter_id = m.id and c.starts_on >= v_first and c.starts_on < v_month
              union all
              select c.customer_id, c.starts_on, c.used, c.events, c.last_at, c.last_received_at
              from public.usage_counters c
              where v_month < v_month_end and c.tenant_id = p_tenant and c.period = 'day' and c.meter_id = m.id
                and c.starts_on >= v_month_end and c.starts_on < v_end
              union all
              -- Of few customers by key: of the months that had any usage the days that had any; all days for a customer, who sees no totals.
              select c.customer_id, c.starts_on, c.used, c.events, c.last_at, c.last_received_at
              from few u
              cross join lateral (
                select from public.usage_counters k
                where k.tenant_id = p_tenant and k.period = 'month' and k.meter_id = m.id and k.starts_on = u.starts_on and k.customer_id = u.id
                offset 0
              ) k
              cross join lateral (
                select y.day from public.usage_totals y
                where y.tenant_id = p_tenant and y.meter_id = m.id and y.day >= u.first and y.day < u.after and app.customer_id() is null
                union all
                select d::date from generate_series(u.first, u.after - 1, interval '1 day') d where app.customer_id() is not null
              ) t
              cross join lateral (
                select x.* from public.usage_counters x
                where x.tenant_id = p_tenant and x.period = 'day' and x.meter_id = m.id and x.starts_on = t.day and x.customer_id = u.id
                offset 0
              ) c
            ) x
            group by 1, 2
          ) d
          where d.events <> 0;
      end if;
      return query
        select m.id, q.customer_id, q.window_start, q.value, q.events
        from public.meters m
        cross join lateral app.query_usage(p_tenant, m.id, p_from, p_to, p_window, p_time_zone, p_time_zone,
          p_customers, p_by_customer, '{}', null, m.aggregation = 'WEIGHTED_SUM', statement_timestamp(), 1000000) q
        where m.tenant_id = p_tenant and (p_meters is null or m.id = any (p_meters)) and m.aggregation <> all (v_kinds)
          -- A level is there as long as it is not zero, whether or not it changes.
          and (q.events <> 0 or (m.aggregation = 'WEIGHTED_SUM' and q.value <> 0 and q.window_start < statement_timestamp()));
    end
  $$;

-- functions: reports --------------------------------------------------------------------------------

create or replace function app.month_overage(p_tenant uuid, p_time_zone text, p_customer uuid, p_month date)
  returns table (customer_id uuid, meter_id uuid, starts_on date, ends_on date, overage numeric)
  language plpgsql stable set search_path = '' set plan_cache_mode = force_custom_plan set jit = off
  -- Nobody knows beforehand how many lines the steps come to: what is put together is put together by hashes, in memory as far as there is some.
  set work_mem = '32MB' set enable_sort = off set enable_mergejoin = off set enable_nestloop = off
  as $$
    #variable_conflict use_column
    declare
      v_now timestamptz := clock_timestamp();
      v_next date := (p_month + interval '1 month')::date;
      v_unsealed date := app.unsealed_from(p_tenant);
      v_default uuid;
      v_default_version integer;
      v_last timestamptz := (select max(b.ends_at) from public.billing_periods b where b.tenant_id = p_tenant);
      -- Meters that anybody has a cap of, and of these the levels.
      v_capped uuid[];
      v_levels uuid[];
    begin
      select coalesce(array_agg(m.id) filter (where m.aggregation <> 'WEIGHTED_SUM'), '{}'),
          coalesce(array_agg(m.id) filter (where m.aggregation = 'WEIGHTED_SUM'), '{}')
        into v_capped, v_levels
        from public.meters m
        where m.tenant_id = p_tenant and (
          exists (select 1 from public.tier_caps c where c.tenant_id = p_tenant and c.meter_id = m.id)
          or exists (select 1 from public.entitlements e where e.tenant_id = p_tenant and e.meter_id = m.id));
      select t.id, t.version into v_default, v_default_version from public.tiers t where t.tenant_id = p_tenant and t.is_default;
      return query
        with
        meters as materialized (
          select m.id, m.aggregation, m.aggregation in ('SUM', 'COUNT') as adds_up from public.meters m where m.tenant_id = p_tenant
        ),
        customers as materialized (
          select u.id, coalesce(s.anchor_day, 1)::integer as anchor
          from public.customers u
          left join public.subscriptions s on s.tenant_id = p_tenant and s.customer_id = u.id and s.canceled_at is null
          where u.tenant_id = p_tenant and (p_customer is null or u.id = p_customer)
        ),
        -- Months by anchor, around this one.
        calendar as materialized (
          select x.anchor, x.starts_on, x.ends_on, x.starts_on >= p_month and x.starts_on < v_next as wanted,
            least(app.day_start(x.ends_on, p_time_zone), v_now) as till
          from (
            select a.anchor, s.starts_on, app.period_end(s.starts_on, 'month', a.anchor) as ends_on
            from (select distinct c.anchor from customers c) a
            cross join generate_series(-3, 4) n
            cross join lateral (select app.period_start((p_month + n * interval '1 month')::date - 1, 'month', a.anchor) as starts_on) s
          ) x
        ),
        -- Closed periods, also those around the month: they keep their days (see app.billing_span).
        billed as materialized (
          select l.customer_id, l.meter_id, l.starts_on, max(l.ends_on) as ends_on, sum(l.quantity) as quantity, sum(l.events) as events,
            sum(l.overage) as overage, max(l.billing_period_id::text) as last_period,
            nullif((max(array[l.billing_period_id::text, coalesce(l.cap_limit::text, '')]))[2], '')::numeric as cap_limit
          from public.billing_lines l
          where l.tenant_id = p_tenant and l.starts_on >= p_month - 62 and l.starts_on < v_next + 62 and (p_customer is null or l.customer_id = p_customer)
          group by 1, 2, 3
        ),
        odd as materialized (
          select b.customer_id, b.meter_id, n.anchor, array_agg(b.starts_on order by b.last_period desc, b.starts_on desc) as starts,
            array_agg(b.ends_on order by b.last_period desc, b.starts_on desc) as ends
          from (
            select distinct x.customer_id, x.meter_id, c.anchor
            from billed x
            join customers c on c.id = x.customer_id
            left join calendar s on s.anchor = c.anchor and s.starts_on = x.starts_on
            where s.ends_on is distinct from x.ends_on
          ) n
          join billed b on b.customer_id = n.customer_id and b.meter_id = n.meter_id
          group by 1, 2, 3
        ),
        -- How levels changed, by day: of all customers, or of one by the key of its days.
        levels as materialized (
          select k.customer_id, k.meter_id, k.starts_on as day, k.used, k.events, k.moment
          from public.usage_counters k
          where p_customer is null and k.tenant_id = p_tenant and k.period = 'day' and k.starts_on < v_next + 31
            and k.meter_id = any (v_levels)
          union all
          select k.customer_id, k.meter_id, k.starts_on, k.used, k.events, k.moment
          from public.usage_totals t
          cross join lateral (
            select x.* from public.usage_counters x
            where x.tenant_id = p_tenant and x.period = 'day' and x.meter_id = t.meter_id and x.starts_on = t.day and x.customer_id = p_customer
            offset 0
          ) k
          where p_customer is not null and t.tenant_id = p_tenant and t.day < v_next + 31
            and t.meter_id = any (v_levels)
        ),
        begun as materialized (
          select l.customer_id, l.meter_id, min(l.day) as day from levels l group by 1, 2
        ),
        -- Their changes that are still to come are in the days already.
        ahead as materialized (
          select e.customer_id, e.meter_id, sum(e.weight * coalesce(e.counted, e.value)) as used, sum(e.weight) as events,
            sum(e.weight * coalesce(e.counted, e.value) * extract(epoch from e.occurred_at)) as moment
          from public.usage_events e
          where e.tenant_id = p_tenant and e.meter_id = any (v_levels) and e.received_at > v_now - interval '1 day' and e.occurred_at >= v_now and e.weight <> 0
            and e.received_month >= date_trunc('month', (v_now - interval '1 day') at time zone 'UTC')::date
            and (p_customer is null or e.customer_id = p_customer)
            and (e.weight = 1 or coalesce((
              select o.weight from public.usage_events o where o.tenant_id = p_tenant and o.id = e.corrects limit 1), 1) <> 0)
          group by 1, 2
        ),
        -- Running totals of the periods that begin in the month: of all customers, or of one by their key.
        months as (
          select k.customer_id, k.meter_id, k.starts_on, k.used, k.events
          from public.usage_counters k
          where p_customer is null and k.tenant_id = p_tenant and k.period = 'month' and k.meter_id = any (v_capped)
            and k.starts_on >= p_month and k.starts_on < v_next
          union all
          select k.customer_id, k.meter_id, k.starts_on, k.used, k.events
          from calendar s
          cross join unnest(v_capped) m (id)
          cross join lateral (
            select x.* from public.usage_counters x
            where x.tenant_id = p_tenant and x.period = 'month' and x.meter_id = m.id and x.starts_on = s.starts_on and x.customer_id = p_customer
            offset 0
          ) k
          where p_customer is not null and s.wanted
        ),
        -- Periods of usage that begin in the month: of nearly all there is a running total.
        keys as materialized (
          select k.customer_id, k.meter_id, s.starts_on, s.ends_on, s.till, true as whole, k.used, k.events
          from months k
          join customers c on c.id = k.customer_id
          join calendar s on s.anchor = c.anchor and s.starts_on = k.starts_on and s.wanted
          where not exists (select 1 from odd o where o.customer_id = k.customer_id and o.meter_id = k.meter_id)
          union all
          select o.customer_id, o.meter_id, s.starts_on, s.ends_on, least(app.day_start(s.ends_on, p_time_zone), v_now), w.whole, n.used, n.events
          from odd o
          join meters m on m.id = o.meter_id and m.aggregation <> 'WEIGHTED_SUM'
          cross join lateral (
            select distinct x.starts_on, x.ends_on
            from generate_series(p_month, v_next - 1, interval '1 day') d (day)
            cross join lateral app.billing_span(d.day::date, o.anchor, o.starts, o.ends) x
            where x.starts_on >= p_month and x.starts_on < v_next
          ) s
          cross join lateral (
            select exists (select 1 from calendar c where c.anchor = o.anchor and c.starts_on = s.starts_on and c.ends_on = s.ends_on) as whole
          ) w
          cross join lateral (
            select x.used, x.events from public.usage_counters x
            where w.whole and x.tenant_id = p_tenant and x.period = 'month' and x.meter_id = o.meter_id and x.starts_on = s.starts_on
              and x.customer_id = o.customer_id
            union all
            select sum(x.used), sum(x.events)::bigint
            from generate_series(s.starts_on, s.ends_on - 1, interval '1 day') g (day)
            join public.usage_counters x on x.tenant_id = p_tenant and x.period = 'day' and x.meter_id = o.meter_id and x.starts_on = g.day::date
              and x.customer_id = o.customer_id
            where not w.whole
          ) n
          where n.events is not null
          union all
          -- A level counts through every period since it began, changed or not.
          select f.customer_id, f.meter_id, s.starts_on, s.ends_on, least(app.day_start(s.ends_on, p_time_zone), v_now), true, null, null
          from begun f
          join customers c on c.id = f.customer_id
          join calendar s on s.anchor = c.anchor and s.wanted
          where f.day < s.ends_on and app.day_start(s.starts_on, p_time_zone) < v_now
            and not exists (select 1 from odd o where o.customer_id = f.customer_id and o.meter_id = f.meter_id)
          union all
          select f.customer_id, f.meter_id, s.starts_on, s.ends_on, least(app.day_start(s.ends_on, p_time_zone), v_now), true, null, null
          from begun f
          join odd o on o.customer_id = f.customer_id and o.meter_id = f.meter_id
          cross join lateral (
            select distinct x.starts_on, x.ends_on
            from generate_series(p_month, v_next - 1, interval '1 day') d (day)
            cross join lateral app.billing_span(d.day::date, o.anchor, o.starts, o.ends) x
            where x.starts_on >= p_month and x.starts_on < v_next
          ) s
          where f.day < s.ends_on and app.day_start(s.starts_on, p_time_zone) < v_now
        ),
        measured as materialized (
          select a.meter_id, a.starts_on, a.ends_on, q.customer_id, q.value, q.events
          from (
            select distinct k.meter_id, k.starts_on, k.ends_on from keys k join meters m on m.id = k.meter_id
            where m.aggregation <> 'WEIGHTED_SUM' and not m.adds_up and not k.whole
          ) a
          cross join lateral app.query_usage(p_tenant, a.meter_id, app.day_start(a.starts_on, p_time_zone), least(app.day_start(a.ends_on, p_time_zone), v_now),
            null, p_time_zone, p_time_zone, case when p_customer is not null then array[p_customer] end, true, '{}', null, true, v_now, 10000000) q
          union all
          select k.meter_id, k.starts_on, k.ends_on, k.customer_id,
            app.average_level(k.level, k.used - coalesce(a.used, 0), k.moment - coalesce(a.moment, 0),
              extract(epoch from app.day_start(k.starts_on, p_time_zone)), extract(epoch from k.till)),
            (k.events - coalesce(a.events, 0))::bigint
          from (
            select k.meter_id, k.starts_on, k.ends_on, k.customer_id, k.till, coalesce(sum(l.used) filter (where l.day < k.starts_on), 0) as level,
              coalesce(sum(l.used) filter (where l.day >= k.starts_on), 0) as used, coalesce(sum(l.moment) filter (where l.day >= k.starts_on), 0) as moment,
              coalesce(sum(l.events) filter (where l.day >= k.starts_on), 0) as events
            from keys k
            join meters m on m.id = k.meter_id and m.aggregation = 'WEIGHTED_SUM'
            join levels l on l.customer_id = k.customer_id and l.meter_id = k.meter_id and l.day < k.ends_on
            group by 1, 2, 3, 4, 5
          ) k
          left join ahead a on a.customer_id = k.customer_id and a.meter_id = k.meter_id and k.till = v_now
        ),
        lines as materialized (
          select k.customer_id, k.meter_id, k.starts_on, k.ends_on, k.till, k.whole, m.aggregation, m.adds_up,
            case when m.adds_up then k.used when v.customer_id is not null then v.value else app.metered_value(m.aggregation, k.used, k.events) end as value,
            coalesce(v.events, k.events, 0) as events, b.quantity, b.events as billed_events, b.overage as billed_overage, b.cap_limit as billed_limit
          from keys k
          join meters m on m.id = k.meter_id
          left join measured v on v.meter_id = k.meter_id and v.starts_on = k.starts_on and v.ends_on = k.ends_on and v.customer_id = k.customer_id
          left join billed b on b.customer_id = k.customer_id and b.meter_id = k.meter_id and b.starts_on = k.starts_on
        ),
        -- Periods of which something was taken back since they were billed: with as much that came in, only what lies beyond the cap may differ.
        stirred as materialized (
          select distinct l.customer_id, l.meter_id, l.starts_on
          from (
            select e.customer_id, e.meter_id, (e.occurred_at at time zone p_time_zone)::date as day
            from public.usage_events e
            where e.tenant_id = p_tenant and e.corrects is not null and e.weight = -1 and e.received_at >= v_last
              and (p_customer is null or e.customer_id = p_customer)
              and coalesce((select o.weight from public.usage_events o where o.tenant_id = p_tenant and o.id = e.corrects limit 1), 1) <> 0
          ) e
          join lines l on l.customer_id = e.customer_id and l.meter_id = e.meter_id and e.day >= l.starts_on and e.day < l.ends_on
        ),
        -- Which tier a customer had when a period ended, or has now; in no version that was made after that.
        terms as materialized (
          select k.customer_id, k.till, n.tier_id, least(n.version, (
              select max(v.version) from public.tier_versions v where v.tenant_id = p_tenant and v.tier_id = n.tier_id and v.created_at < k.till)) as version
          from (select distinct l.customer_id, l.till from lines l) k
          left join lateral (
            select x.tier_id, x.tier_version from public.subscriptions x
            where x.tenant_id = p_tenant and x.customer_id = k.customer_id and x.started_at < k.till and (x.canceled_at is null or x.canceled_at >= k.till)
            order by x.started_at desc limit 1
          ) b on true
          cross join lateral (
            select coalesce(b.tier_id, v_default) as tier_id, case when b.tier_id is null then v_default_version else b.tier_version end as version
          ) n
        ),
        -- Of a period nothing of which changed since it was billed, nor its cap while it ran, what was billed stays; any other is billed anew, by the
        -- terms of now.
        termed as materialized (
          select l.*, c.cap_limit, c.period = 'day' and l.aggregation <> 'WEIGHTED_SUM' as daily,
            l.adds_up and l.starts_on >= coalesce(v_unsealed, l.starts_on) and exists (
              select 1 from public.balances k where k.tenant_id = p_tenant and k.customer_id = l.customer_id and k.meter_id = l.meter_id) as balanced
          from lines l
          join terms s on s.customer_id = l.customer_id and s.till = l.till
          left join public.entitlements e on e.tenant_id = p_tenant and e.customer_id = l.customer_id and e.meter_id = l.meter_id and e.kind = 'metered'
            and e.canceled_at is null
          left join public.tier_caps y on y.tenant_id = p_tenant and y.tier_id = s.tier_id and y.version = s.version and y.meter_id = l.meter_id
          cross join lateral (
            select case when e.id is null then y.cap_limit else coalesce(e.cap_limit, 0) end as cap_limit, case when e.id is null then y.period else e.period end as period
          ) c
          left join stirred r on r.customer_id = l.customer_id and r.meter_id = l.meter_id and r.starts_on = l.starts_on
          where c.cap_limit is not null
            and (coalesce(l.value, 0) <> coalesce(l.quantity, 0) or l.events <> coalesce(l.billed_events, 0) or r.meter_id is not null
              or l.till > v_last and l.billed_events is not null and l.billed_limit is distinct from c.cap_limit)
        ),
        -- The days of those who have a cap of each day.
        days as materialized (
          select k.customer_id, k.meter_id, k.starts_on, k.used, k.events
          from public.usage_counters k
          where p_customer is null and k.tenant_id = p_tenant and k.period = 'day'
            and k.meter_id = any (array(select distinct t.meter_id from termed t where t.daily))
            and k.starts_on >= (select min(t.starts_on) from termed t where t.daily) and k.starts_on < (select max(t.ends_on) from termed t where t.daily)
          union all
          select k.customer_id, k.meter_id, k.starts_on, k.used, k.events
          from termed t
          cross join lateral generate_series(t.starts_on, t.ends_on - 1, interval '1 day') g (day)
          cross join lateral (
            select x.* from public.usage_counters x
            where x.tenant_id = p_tenant and x.period = 'day' and x.meter_id = t.meter_id and x.starts_on = g.day::date and x.customer_id = p_customer
            offset 0
          ) k
          where p_customer is not null and t.daily
        ),
        beyond as materialized (
          select t.customer_id, t.meter_id, t.starts_on, coalesce(z.overage, greatest(0, coalesce(t.value, 0) - t.cap_limit)) as overage
          from termed t
          cross join lateral (
            select case when t.balanced and t.whole then
              app.balance_overage(p_tenant, t.customer_id, t.meter_id, t.aggregation, t.starts_on, t.ends_on, v_now, p_time_zone) end as overage
          ) z
          where not t.daily
          union all
          select t.customer_id, t.meter_id, t.starts_on,
            coalesce(sum(coalesce(z.overage, greatest(0, app.metered_value(t.aggregation, k.used, k.events) - t.cap_limit))), 0)
          from termed t
          join days k on k.customer_id = t.customer_id and k.meter_id = t.meter_id and k.starts_on >= t.starts_on and k.starts_on < t.ends_on
          cross join lateral (
            select case when t.balanced then
              app.balance_overage(p_tenant, t.customer_id, t.meter_id, t.aggregation, k.starts_on, k.starts_on + 1, v_now, p_time_zone) end as overage
          ) z
          where t.daily
          group by 1, 2, 3
        )
        select l.customer_id, l.meter_id, l.starts_on, l.ends_on, coalesce(o.overage, l.billed_overage)
        from lines l
        left join beyond o on o.customer_id = l.customer_id and o.meter_id = l.meter_id and o.starts_on = l.starts_on
        where coalesce(o.overage, l.billed_overage) is not null
        union all
        select b.customer_id, b.meter_id, b.starts_on, b.ends_on, b.overage
        from billed b
        where b.starts_on >= p_month and b.starts_on < v_next and b.overage is not null and not exists (
          select 1 from lines l where l.customer_id = b.customer_id and l.meter_id = b.meter_id and l.starts_on = b.starts_on);
    end
  $$;

-- grants and policies -------------------------------------------------------------------------------

-- Who sees all usage sees in its reports what of it was billed (billing_lines), and what was taken back since: that needs to know since when.
alter policy billing_periods_select on public.billing_periods
  using ((select current_setting('app.permissions', true)) like any ('{% billing-periods:read %,% billing-periods:write %,% usage:read %}'));

revoke all on all functions in schema app from public;
