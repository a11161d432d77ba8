-- Where a tenant has very many meters: all of them in one statement, and levels of all customers in one pass.

-- functions: questions ------------------------------------------------------------------------------

create function app.query_meters(
  p_tenant uuid, p_meters uuid[], p_from timestamptz, p_to timestamptz, p_window text, p_time_zone text, p_customers uuid[], p_by_customer boolean
) returns table (meter_id uuid, customer_id uuid, window_start timestamptz, value numeric, events bigint)
  language plpgsql stable set search_path = '' set plan_cache_mode = force_custom_plan set jit = off set enable_seqscan = off set work_mem = '32MB'
  as $$
    #variable_conflict use_column
    declare
      v_first date := (p_from at time zone p_time_zone)::date;
      v_end date := (p_to at time zone p_time_zone)::date;
      v_kinds text[] := '{}';
    begin
      if coalesce(p_window, 'DAY') = 'DAY' and app.first_moment(v_first, p_time_zone) = p_from and app.first_moment(v_end, p_time_zone) = p_to then
        v_kinds := '{SUM,COUNT,MIN,MAX,AVG,LATEST}';
        -- Of different values a day of one scope is a number; all else is put together from the values.
        if p_window = 'DAY' and (p_by_customer or coalesce(cardinality(p_customers), 1) = 1) then
          v_kinds := v_kinds || array['UNIQUE_COUNT'];
        end if;
        return query
          with meters as materialized (
            select m.id, m.aggregation from public.meters m
            where m.tenant_id = p_tenant and (p_meters is null or m.id = any (p_meters)) and m.aggregation = any (v_kinds)
          ),
          days as (
            select x.meter_id, null::uuid as customer_id, x.day, x.used, x.events, x.last_at, x.last_received_at, m.aggregation
            from meters m
            join public.usage_totals x on x.tenant_id = p_tenant and x.meter_id = m.id and x.day >= v_first and x.day < v_end
            where p_customers is null and not p_by_customer
            union all
            select x.meter_id, x.customer_id, x.starts_on, x.used, x.events, x.last_at, x.last_received_at, m.aggregation
            from meters m
            join public.usage_counters x on x.tenant_id = p_tenant and x.period = 'day' and x.meter_id = m.id and x.starts_on >= v_first
              and x.starts_on < v_end
            where case when p_customers is null then p_by_customer else cardinality(p_customers) > 1 and x.customer_id = any (p_customers) end
            union all
            -- Of one customer by key, the days that had any usage; all days for a customer, who sees no totals of the tenant.
            select x.meter_id, x.customer_id, x.starts_on, x.used, x.events, x.last_at, x.last_received_at, m.aggregation
            from meters m
            cross join lateral (
              select y.day from public.usage_totals y where y.tenant_id = p_tenant and y.meter_id = m.id and y.day >= v_first and y.day < v_end
              union
              select d::date from generate_series(v_first, v_end - 1, interval '1 day') d where app.customer_id() is not null
            ) t
            join public.usage_counters x on x.tenant_id = p_tenant and x.period = 'day' and x.meter_id = m.id and x.starts_on = t.day
              and x.customer_id = p_customers[1]
            where cardinality(p_customers) = 1
          )
          select d.meter_id, d.customer_id, case when p_window is null then p_from else app.first_moment(d.day, p_time_zone) end, trim_scale(d.value), d.events
          from (
            select x.meter_id, case when p_by_customer then x.customer_id end as customer_id, case when p_window is not null then x.day end as day,
              sum(x.events)::bigint as events,
              case x.aggregation
                when 'MIN' then min(x.used) filter (where x.events > 0)
                when 'MAX' then max(x.used) filter (where x.events > 0)
                when 'AVG' then app.metered_value('AVG', sum(x.used), sum(x.events)::bigint)
                when 'LATEST' then (max(array[extract(epoch from x.last_at), extract(epoch from x.last_received_at), x.used])
                  filter (where x.events > 0 and x.aggregation = 'LATEST'))[3]
                else sum(x.used) end as value
            from days x group by 1, 2, 3, x.aggregation
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
comment on function app.query_meters(uuid, uuid[], timestamptz, timestamptz, text, text, uuid[], boolean) is
  'Usage of some meters of the current tenant (null: of all) in a half-open range of event time, exactly: what app.query_usage says of each, windows '
  'without usage left out. p_window is null, HOUR or DAY, in the tenant''s time zone; of one customer or all, together or by customer. Whole days of '
  'what can be put together from days are one statement, however many meters there are.';

-- functions: reports --------------------------------------------------------------------------------

create or replace function app.month_overage(p_tenant uuid, p_time_zone text, p_customer uuid, p_month date)
  returns table (customer_id uuid, meter_id uuid, starts_on date, ends_on date, overage numeric)
  language plpgsql stable set search_path = '' set plan_cache_mode = force_custom_plan set jit = off
  -- Nobody knows beforehand how many lines the steps come to: what is put together is put together by hashes, in memory as far as there is some.
  set work_mem = '32MB' set enable_sort = off set enable_mergejoin = off
  as $$
    #variable_conflict use_column
    declare
      v_now timestamptz := clock_timestamp();
      v_next date := (p_month + interval '1 month')::date;
      v_unsealed date := app.unsealed_from(p_tenant);
      v_default uuid;
      v_default_version integer;
    begin
      select t.id, t.version into v_default, v_default_version from public.tiers t where t.tenant_id = p_tenant and t.is_default;
      return query
        with
        meters as materialized (
          select m.id, m.aggregation, m.aggregation in ('SUM', 'COUNT') as adds_up,
            exists (select 1 from public.tier_caps c where c.tenant_id = p_tenant and c.meter_id = m.id)
              or exists (select 1 from public.entitlements e where e.tenant_id = p_tenant and e.meter_id = m.id) as capped
          from public.meters m where m.tenant_id = p_tenant
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
            sum(l.overage) as overage, max(l.billing_period_id::text) as last_period
          from public.billing_lines l
          where l.tenant_id = p_tenant and l.starts_on >= p_month - 62 and l.starts_on < v_next + 62 and (p_customer is null or l.customer_id = p_customer)
          group by 1, 2, 3
        ),
        odd as materialized (
          select b.customer_id, b.meter_id, c.anchor, array_agg(b.starts_on order by b.last_period desc, b.starts_on desc) as starts,
            array_agg(b.ends_on order by b.last_period desc, b.starts_on desc) as ends
          from billed b
          join customers c on c.id = b.customer_id
          left join calendar s on s.anchor = c.anchor and s.starts_on = b.starts_on
          group by 1, 2, 3
          having bool_or(s.ends_on is distinct from b.ends_on)
        ),
        -- How levels changed, by day: of all customers, or of one by the key of its days.
        levels as materialized (
          select k.customer_id, k.meter_id, k.starts_on as day, k.used, k.events, k.moment
          from meters m
          join public.usage_counters k on k.tenant_id = p_tenant and k.period = 'day' and k.meter_id = m.id and k.starts_on < v_next + 31
          where p_customer is null and m.capped and m.aggregation = 'WEIGHTED_SUM'
          union all
          select k.customer_id, k.meter_id, k.starts_on, k.used, k.events, k.moment
          from meters m
          join public.usage_totals t on t.tenant_id = p_tenant and t.meter_id = m.id and t.day < v_next + 31
          join public.usage_counters k on k.tenant_id = p_tenant and k.period = 'day' and k.meter_id = m.id and k.starts_on = t.day
            and k.customer_id = p_customer
          where p_customer is not null and m.capped and m.aggregation = 'WEIGHTED_SUM'
        ),
        begun as materialized (
          select l.customer_id, l.meter_id, min(l.day) as day from levels l group by 1, 2
        ),
        -- Their changes that are still to come are in the days already.
        ahead as materialized (
          select e.customer_id, e.meter_id, sum(e.weight * coalesce(e.counted, e.value)) as used, sum(e.weight) as events,
            sum(e.weight * coalesce(e.counted, e.value) * extract(epoch from e.occurred_at)) as moment
          from public.usage_events e
          join meters m on m.id = e.meter_id and m.capped and m.aggregation = 'WEIGHTED_SUM'
          where e.tenant_id = p_tenant and e.received_at > v_now - interval '1 day' and e.occurred_at >= v_now and e.weight <> 0
            and e.received_month >= date_trunc('month', (v_now - interval '1 day') at time zone 'UTC')::date
            and (p_customer is null or e.customer_id = p_customer)
            and (e.weight = 1 or coalesce((
              select o.weight from public.usage_events o where o.tenant_id = p_tenant and o.id = e.corrects limit 1), 1) <> 0)
          group by 1, 2
        ),
        -- Periods of usage that begin in the month: of nearly all there is a running total.
        keys as materialized (
          select k.customer_id, k.meter_id, s.starts_on, s.ends_on, s.till, true as whole, k.used, k.events
          from meters m
          join public.usage_counters k on k.tenant_id = p_tenant and k.period = 'month' and k.meter_id = m.id
            and k.starts_on >= p_month and k.starts_on < v_next and (p_customer is null or k.customer_id = p_customer)
          join customers c on c.id = k.customer_id
          join calendar s on s.anchor = c.anchor and s.starts_on = k.starts_on and s.wanted
          where m.capped and m.aggregation <> 'WEIGHTED_SUM'
            and not exists (select 1 from odd o where o.customer_id = k.customer_id and o.meter_id = k.meter_id)
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
            coalesce(v.events, k.events, 0) as events, b.quantity, b.events as billed_events, b.overage as billed_overage
          from keys k
          join meters m on m.id = k.meter_id
          left join measured v on v.meter_id = k.meter_id and v.starts_on = k.starts_on and v.ends_on = k.ends_on and v.customer_id = k.customer_id
          left join billed b on b.customer_id = k.customer_id and b.meter_id = k.meter_id and b.starts_on = k.starts_on
        ),
        -- Of a period nothing of which changed since it was billed, what was billed stays; any other is billed anew, by the terms of now.
        termed as materialized (
          select l.*, c.cap_limit, c.period = 'day' and l.aggregation <> 'WEIGHTED_SUM' as daily,
            l.adds_up and l.starts_on >= coalesce(v_unsealed, l.starts_on) and exists (
              select 1 from public.balances k where k.tenant_id = p_tenant and k.customer_id = l.customer_id and k.meter_id = l.meter_id) as balanced
          from lines l
          left join lateral (
            select x.tier_id, x.tier_version from public.subscriptions x
            where x.tenant_id = p_tenant and x.customer_id = l.customer_id and x.started_at < l.till and (x.canceled_at is null or x.canceled_at >= l.till)
            order by x.started_at desc limit 1
          ) b on true
          cross join lateral (
            select coalesce(b.tier_id, v_default) as tier_id, case when b.tier_id is null then v_default_version else b.tier_version end as version
          ) s
          cross join lateral (
            select x.cap_limit, x.period from (
              select 0 as rank, coalesce(e.cap_limit, 0) as cap_limit, e.period from public.entitlements e
                where e.tenant_id = p_tenant and e.customer_id = l.customer_id and e.meter_id = l.meter_id and e.kind = 'metered' and e.canceled_at is null
              union all
              select 1, y.cap_limit, y.period from public.tier_caps y
                where y.tenant_id = p_tenant and y.tier_id = s.tier_id and y.version = s.version and y.meter_id = l.meter_id
            ) x order by x.rank limit 1
          ) c
          where coalesce(l.value, 0) <> coalesce(l.quantity, 0) or l.events <> coalesce(l.billed_events, 0)
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
          cross join lateral generate_series(t.starts_on, t.ends_on - 1, interval '1 day') g (day)
          join public.usage_counters k on k.tenant_id = p_tenant and k.period = 'day' and k.meter_id = t.meter_id and k.starts_on = g.day::date
            and k.customer_id = t.customer_id
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

-- grants --------------------------------------------------------------------------------------------

revoke all on all functions in schema app from public;
grant execute on function app.query_meters(uuid, uuid[], timestamptz, timestamptz, text, text, uuid[], boolean) to app_tenant;
