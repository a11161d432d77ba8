-- What a report says is what is billed; reconciliation compares the clocks of balances and the metrics of a tenant as well; and a key of a
-- request is forgotten after a day, swept or not.

-- tables --------------------------------------------------------------------------------------------

alter table public.tenant_metrics add column noted numeric;
comment on column public.tenant_metrics.noted is
  'What of a sum came without a name; the rest is in tenant_metric_events. Null of rows from before it was kept.';
alter table public.tenant_metric_events add column day date;
comment on column public.tenant_metric_events.day is 'Day it was added to, in the time zone of then.';

-- functions: reports --------------------------------------------------------------------------------

create function app.month_overage(p_tenant uuid, p_time_zone text, p_customer uuid, p_month date)
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
          select c.id, m.id, s.starts_on, s.ends_on, least(app.day_start(s.ends_on, p_time_zone), v_now), true, null, null
          from meters m
          cross join customers c
          left join odd o on o.customer_id = c.id and o.meter_id = m.id
          cross join lateral (
            select distinct x.starts_on, x.ends_on
            from generate_series(p_month, v_next - 1, interval '1 day') d (day)
            cross join lateral app.billing_span(d.day::date, c.anchor, o.starts, o.ends) x
            where x.starts_on >= p_month and x.starts_on < v_next and app.day_start(x.starts_on, p_time_zone) < v_now
          ) s
          where m.capped and m.aggregation = 'WEIGHTED_SUM' and exists (
            select 1 from public.usage_counters k
            where k.tenant_id = p_tenant and k.period = 'month' and k.meter_id = m.id and k.customer_id = c.id and k.starts_on < s.ends_on)
        ),
        measured as materialized (
          select a.meter_id, a.starts_on, a.ends_on, q.customer_id, q.value, q.events
          from (
            select distinct k.meter_id, k.starts_on, k.ends_on from keys k join meters m on m.id = k.meter_id
            where m.aggregation = 'WEIGHTED_SUM' or not m.adds_up and not k.whole
          ) a
          cross join lateral app.query_usage(p_tenant, a.meter_id, app.day_start(a.starts_on, p_time_zone), least(app.day_start(a.ends_on, p_time_zone), v_now),
            null, p_time_zone, p_time_zone, case when p_customer is not null then array[p_customer] end, true, '{}', null, true, v_now, 10000000) q
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
          where l.quantity is null or coalesce(l.value, 0) <> l.quantity or l.events <> l.billed_events
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
comment on function app.month_overage(uuid, text, uuid, date) is
  'Overage of the current tenant''s periods of usage that begin in a month (given by its first day), of one customer or all: what its closed billing '
  'periods say, and what one closed now would add. Periods without a cap are left out.';

-- functions: metrics --------------------------------------------------------------------------------

drop function app.add_metrics(uuid, text, text[], text[], numeric[], timestamptz[]);
create function app.add_metrics(
  p_tenant uuid, p_time_zone text, p_metrics text[], p_labels text[], p_values numeric[], p_times timestamptz[], p_named boolean default false
) returns void
  language plpgsql volatile set search_path = ''
  as $$
    begin
      insert into public.tenant_metrics (tenant_id, metric, label, day, value, noted)
        select p_tenant, x.metric, x.label, x.day, x.value, case when p_named then 0 else x.value end
        from (
          select m.metric, m.label, (coalesce(m.at, clock_timestamp()) at time zone p_time_zone)::date as day,
            case when m.metric in ('storage_bytes', 'users_count') then (array_agg(m.value order by m.at nulls last, m.ord))[count(*)]
              else sum(m.value) end as value
          from unnest(p_metrics, p_labels, p_values, p_times) with ordinality m (metric, label, value, at, ord)
          group by 1, 2, 3
        ) x
        order by 2, 3, 4
        on conflict (tenant_id, metric, label, day) do update set updated_at = excluded.updated_at,
          value = case when excluded.metric in ('storage_bytes', 'users_count') then excluded.value else tenant_metrics.value + excluded.value end,
          noted = tenant_metrics.noted + excluded.noted;
    end
  $$;
comment on function app.add_metrics(uuid, text, text[], text[], numeric[], timestamptz[], boolean) is
  'Adds values to the metrics of the current tenant, or sets those that are gauges; a time of null is now. p_named: each is in tenant_metric_events.';

-- functions: reconciliation -------------------------------------------------------------------------

create function app.find_clock_drift(p_tenant uuid, p_time_zone text, p_meters uuid[])
  returns table (table_name text, row_key jsonb, stored jsonb, expected jsonb)
  language plpgsql stable set search_path = '' set plan_cache_mode = force_custom_plan set jit = off
  as $$
    declare
      v_now timestamptz := clock_timestamp();
    begin
      return query
        select 'balances', jsonb_build_object('meter', m.slug, 'meter_id', b.meter_id, 'customer_id', b.customer_id, 'customer', u.external_id,
            'starts_on', b.starts_on),
          jsonb_build_object('as_of', b.as_of, 'resets_at', b.resets_at),
          jsonb_build_object('as_of', case when t.as_of_holds then b.as_of else t.since end, 'resets_at', t.resets_at)
        from public.balances b
        join public.meters m on m.tenant_id = p_tenant and m.id = b.meter_id
        join public.customers u on u.tenant_id = p_tenant and u.id = b.customer_id
        cross join lateral app.balance_cap(p_tenant, b.customer_id, b.meter_id) c
        cross join lateral (
          select coalesce((
            select x.starts_on from public.balance_entries x
            where x.tenant_id = p_tenant and x.customer_id = b.customer_id and x.meter_id = b.meter_id
            order by x.occurred_at desc, x.id desc limit 1), b.starts_on) as starts_on
        ) e
        cross join lateral (
          select greatest(app.day_start(e.starts_on, p_time_zone), (
              select max(x.occurred_at) from public.balance_entries x
              where x.tenant_id = p_tenant and x.customer_id = b.customer_id and x.meter_id = b.meter_id and x.kind in ('reset', 'issued', 'expired'))) as since,
            app.day_start(app.period_end(e.starts_on, c.period, c.anchor), p_time_zone) as ends
        ) s
        cross join lateral (
          -- The default tier may have changed its period: whoever has no terms of its own meets that at the next usage.
          select case when b.resets_at <> s.ends and b.resets_at in (app.day_start(e.starts_on + 1, p_time_zone),
              app.day_start(app.period_end(e.starts_on, 'month', c.anchor), p_time_zone))
            and not exists (
              select 1 from public.subscriptions x where x.tenant_id = p_tenant and x.customer_id = b.customer_id and x.canceled_at is null)
            and not exists (
              select 1 from public.entitlements x
              where x.tenant_id = p_tenant and x.customer_id = b.customer_id and x.meter_id = b.meter_id and x.canceled_at is null)
            then b.resets_at else s.ends end as resets_at
        ) r
        cross join lateral (
          -- Nothing that was due by then may still be due.
          select s.since, r.resets_at, b.as_of <= v_now and b.as_of >= s.since and b.as_of < r.resets_at and not exists (
            select 1 from public.grants g
            where g.tenant_id = p_tenant and g.customer_id = b.customer_id and g.meter_id = b.meter_id and g.closed_at is null
              and (g.expires_at <= b.as_of or g.created_at <= b.as_of and
                app.grant_due(g.effective_at, g.recurrence, g.issues, p_time_zone) <= b.as_of)) as as_of_holds
        ) t
        where b.tenant_id = p_tenant and (p_meters is null or b.meter_id = any (p_meters)) and (b.resets_at <> t.resets_at or not t.as_of_holds)
        order by m.slug, u.external_id;
    end
  $$;
comment on function app.find_clock_drift(uuid, text, uuid[]) is
  'Balances of the current tenant whose period ends at another moment than their terms say, or which were brought up to a moment that has not come, is of '
  'another period, or by which something was due that was not done. Part of app.reconcile_usage.';

create function app.repair_clocks(p_tenant uuid, p_time_zone text, p_meters uuid[]) returns bigint
  language plpgsql volatile set search_path = ''
  as $$
    declare
      v_row record;
      v_count bigint := 0;
    begin
      if not app.can('usage:write') then
        raise exception using errcode = '42501', message = 'usage:write is needed';
      end if;
      perform app.hold_usage(p_tenant);
      for v_row in select * from app.find_clock_drift(p_tenant, p_time_zone, p_meters) loop
        v_count := v_count + 1;
        update public.balances b set as_of = (v_row.expected ->> 'as_of')::timestamptz, resets_at = (v_row.expected ->> 'resets_at')::timestamptz
          where b.tenant_id = p_tenant and b.customer_id = (v_row.row_key ->> 'customer_id')::uuid and b.meter_id = (v_row.row_key ->> 'meter_id')::uuid;
        perform app.settle_balance(p_tenant, (v_row.row_key ->> 'customer_id')::uuid, (v_row.row_key ->> 'meter_id')::uuid, clock_timestamp(), p_time_zone);
      end loop;
      return v_count;
    end
  $$;
comment on function app.repair_clocks(uuid, text, uuid[]) is
  'Sets what app.find_clock_drift names, and does what was due since, and gives how many. Holds off the writers of the tenant meanwhile.';

create function app.find_metric_drift(p_tenant uuid) returns table (table_name text, row_key jsonb, stored jsonb, expected jsonb)
  language plpgsql stable set search_path = ''
  as $$
    declare
      -- Names are forgotten 60 days after they came.
      v_from date := (now() - interval '58 days')::date;
    begin
      return query
        select 'tenant_metrics', jsonb_build_object('metric', coalesce(t.metric, e.metric), 'label', coalesce(t.label, e.label),
            'starts_on', coalesce(t.day, e.day)),
          case when t.metric is not null then jsonb_build_object('value', trim_scale(t.value)::text) end,
          jsonb_build_object('value', trim_scale(coalesce(t.noted, 0) + coalesce(e.value, 0))::text)
        from (
          select * from public.tenant_metrics x
          where x.tenant_id = p_tenant and x.day >= v_from and x.metric not in ('storage_bytes', 'users_count')
        ) t
        full join (
          select x.metric, x.label, x.day, sum(x.value) as value from public.tenant_metric_events x
          where x.tenant_id = p_tenant and x.day >= v_from and x.metric not in ('storage_bytes', 'users_count')
          group by 1, 2, 3
        ) e on e.metric = t.metric and e.label = t.label and e.day = t.day
        where (t.metric is null or t.noted is not null) and coalesce(t.value, 0) <> coalesce(t.noted, 0) + coalesce(e.value, 0)
        order by 2;
    end
  $$;
comment on function app.find_metric_drift(uuid) is
  'Sums of the current tenant''s metrics that are not what came without a name and what the named values come to, of the last 58 days. Gauges are '
  'what was measured last: there is nothing to compare them with. Part of app.reconcile_usage.';

create function app.repair_metrics(p_tenant uuid) returns bigint
  language plpgsql volatile set search_path = ''
  as $$
    declare
      v_row record;
      v_count bigint := 0;
    begin
      for v_row in
        select f.row_key ->> 'metric' as metric, f.row_key ->> 'label' as label, (f.row_key ->> 'starts_on')::date as day from app.find_metric_drift(p_tenant) f
      loop
        if not app.can('metrics:write') then
          raise exception using errcode = '42501', message = 'metrics:write is needed';
        end if;
        -- Whoever adds to it waits, and what came before is seen by the statement after.
        insert into public.tenant_metrics (tenant_id, metric, label, day, value, noted) values (p_tenant, v_row.metric, v_row.label, v_row.day, 0, 0)
          on conflict (tenant_id, metric, label, day) do update set updated_at = tenant_metrics.updated_at;
        update public.tenant_metrics t
          set value = t.noted + coalesce((
            select sum(e.value) from public.tenant_metric_events e
            where e.tenant_id = p_tenant and e.metric = t.metric and e.label = t.label and e.day = t.day), 0)
          where t.tenant_id = p_tenant and t.metric = v_row.metric and t.label = v_row.label and t.day = v_row.day;
        v_count := v_count + 1;
      end loop;
      return v_count;
    end
  $$;
comment on function app.repair_metrics(uuid) is 'Sets what app.find_metric_drift names to what it should be, and gives how many.';

create or replace function app.reconcile_usage(p_tenant uuid, p_time_zone text, p_id uuid) returns public.reconciliations
  language plpgsql volatile set search_path = ''
  as $$
    declare
      v_from date := app.unsealed_from(p_tenant);
      v_run public.reconciliations;
    begin
      with found as materialized (
        select f.*, row_number() over () as place from (
          select * from app.find_usage_drift(p_tenant, p_time_zone, null, v_from)
          union all
          select c.*, null, null from app.find_clock_drift(p_tenant, p_time_zone, null) c
          union all
          select m.*, null, null from app.find_metric_drift(p_tenant) m
        ) f
      ),
      named as (
        insert into public.reconciliation_drifts (tenant_id, reconciliation_id, position, table_name, row_key, stored, expected)
          select p_tenant, p_id, f.place, f.table_name, f.row_key, f.stored, f.expected
          from found f where f.table_name is not null and f.place <= 1000
      )
      update public.reconciliations r
        set status = 'finished', finished_at = clock_timestamp(), from_day = v_from, events = n.events, rows_checked = n.rows_checked, drifts = n.drifts
        from (
          select max(f.events) as events, count(f.table_name) as drifts,
            max(f.rows_checked) + (select count(*) from public.tenant_metrics t where t.tenant_id = p_tenant and t.noted is not null) as rows_checked
          from found f
        ) n
        where r.tenant_id = p_tenant and r.id = p_id
        returning r.* into v_run;
      return v_run;
    end
  $$;

create or replace function app.repair_reconciliation(p_tenant uuid, p_time_zone text, p_id uuid) returns public.reconciliations
  language plpgsql volatile set search_path = ''
  as $$
    declare
      v_run public.reconciliations;
      v_meters uuid[];
      v_from date;
      v_usage boolean;
      v_count bigint := 0;
    begin
      select * into v_run from public.reconciliations r where r.tenant_id = p_tenant and r.id = p_id for update;
      if not found or v_run.status <> 'finished' then
        return v_run;
      end if;
      select array_agg(distinct (d.row_key ->> 'meter_id')::uuid),
          case when bool_and(d.row_key ?| array['starts_on', 'hour']) then
            min(coalesce((d.row_key ->> 'starts_on')::date, ((d.row_key ->> 'hour')::timestamptz - interval '1 day')::date)) - 32 end, count(*) > 0
        into v_meters, v_from, v_usage
        from public.reconciliation_drifts d where d.tenant_id = p_tenant and d.reconciliation_id = p_id and d.table_name <> 'tenant_metrics';
      if v_run.drifts > 1000 then
        v_meters := null;
        v_from := null;
      end if;
      -- From the day before which events are gone, at the earliest.
      v_from := greatest(v_from, app.unsealed_from(p_tenant));
      if v_usage or v_run.drifts > 1000 then
        v_count := app.repair_usage(p_tenant, p_time_zone, v_meters, v_from) + app.repair_clocks(p_tenant, p_time_zone, v_meters);
      end if;
      if v_run.drifts > 0 then
        v_count := v_count + app.repair_metrics(p_tenant);
      end if;
      update public.reconciliations r set repaired_at = clock_timestamp(), repaired = v_count
        where r.tenant_id = p_tenant and r.id = p_id
        returning r.* into v_run;
      perform app.log_audit('usage.repaired', 'reconciliation', p_id::text, 'success', null, null, jsonb_build_object('rows', v_run.repaired, 'drifts', (
        select jsonb_agg(jsonb_build_object('table', d.table_name, 'key', d.row_key, 'stored', d.stored, 'expected', d.expected) order by d.position)
        from public.reconciliation_drifts d where d.tenant_id = p_tenant and d.reconciliation_id = p_id and d.position <= 50)));
      return v_run;
    end
  $$;

create or replace function app.recount_usage(p_tenant uuid, p_time_zone text) returns bigint
  language plpgsql volatile set search_path = '' set lock_timeout = '5s'
  as $$
    begin
      if not app.can('usage:write') then
        raise exception using errcode = '42501', message = 'usage:write is needed';
      end if;
      -- Held for no time, and shared by every transaction of the tenant: whoever began with the zone before has ended when this is granted.
      perform pg_advisory_lock(hashtextextended(p_tenant::text, 0));
      perform pg_advisory_unlock(hashtextextended(p_tenant::text, 0));
      return app.repair_usage(p_tenant, p_time_zone, null, null) + app.repair_clocks(p_tenant, p_time_zone, null);
    end
  $$;

-- functions: usage ----------------------------------------------------------------------------------

create or replace function app.ingest_usage_once(
  p_key text, p_request_hash bytea,
  p_tenant uuid, p_epoch bigint, p_actor jsonb, p_time_zone text, p_meters text[], p_users text[], p_meter integer[], p_user integer[],
  p_values numeric[], p_keys uuid[], p_event_ids text[], p_sources text[], p_times timestamptz[], p_properties jsonb[],
  p_corrects uuid[], p_probe boolean, p_repeats boolean, p_strict boolean, p_report boolean, p_enforce boolean
) returns jsonb
  language plpgsql volatile set search_path = ''
  as $$
    declare
      v_stored public.idempotency_keys;
      v_result jsonb;
    begin
      perform app.begin_tenant(p_tenant, p_epoch, p_actor);
      loop
        insert into public.idempotency_keys (tenant_id, actor_id, key, request_hash) values (p_tenant, app.actor_id(), p_key, p_request_hash)
          on conflict (tenant_id, actor_id, key) do nothing;
        exit when found;
        select * into v_stored from public.idempotency_keys i
          where i.tenant_id = p_tenant and i.actor_id = app.actor_id() and i.key = p_key and i.created_at >= now() - interval '1 day';
        if found then
          if v_stored.request_hash <> p_request_hash then
            raise exception using errcode = 'TM021', message = 'this key was used with another request';
          end if;
          return v_stored.body::jsonb || '{"replayed": true}';
        end if;
        -- A day old, it is new again, whether or not it was swept.
        delete from public.idempotency_keys i
          where i.tenant_id = p_tenant and i.actor_id = app.actor_id() and i.key = p_key and i.created_at < now() - interval '1 day';
      end loop;
      v_result := app.record_usage(p_tenant, p_time_zone, p_meters, p_users, p_meter, p_user, p_values, p_keys, p_event_ids, p_sources, p_times,
        p_properties, p_corrects, p_probe, p_repeats, p_strict, p_report, p_enforce);
      update public.idempotency_keys i set status = 200, body = v_result::text
        where i.tenant_id = p_tenant and i.actor_id = app.actor_id() and i.key = p_key;
      return v_result;
    end
  $$;

-- grants and policies -------------------------------------------------------------------------------

-- Who sees all usage sees in its reports what of it was billed.
drop policy billing_lines_select on public.billing_lines;
create policy billing_lines_select on public.billing_lines for select to app_tenant
  using ((select current_setting('app.permissions', true)) like any ('{% billing-periods:read %,% billing-periods:write %,% usage:read %}'));

revoke all on all functions in schema app from public;
grant update (noted) on public.tenant_metrics to app_tenant;
grant execute on function app.month_overage(uuid, text, uuid, date), app.add_metrics(uuid, text, text[], text[], numeric[], timestamptz[], boolean),
  app.find_clock_drift(uuid, text, uuid[]), app.repair_clocks(uuid, text, uuid[]), app.find_metric_drift(uuid), app.repair_metrics(uuid) to app_tenant;
