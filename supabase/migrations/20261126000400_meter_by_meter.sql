-- Usage of all meters is put together meter by meter, in little memory; of few customers by key, however many others there are; and a month
-- that runs is read as a whole as well, where nothing was used after the last day asked for.

-- functions -----------------------------------------------------------------------------------------

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

-- grants --------------------------------------------------------------------------------------------

revoke all on all functions in schema app from public;
