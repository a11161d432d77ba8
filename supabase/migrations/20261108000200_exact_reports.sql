-- What a report says is what is billed; reconciliation compares the clocks of balances and the metrics of a tenant as well; a key of a
-- request is forgotten after a day, swept or not; and usage ahead of its period is let in by what its balance is sure to begin with, and billed
-- by what it begins with.

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

-- functions: balances -------------------------------------------------------------------------------

create or replace function app.roll_balance(
  inout p_balance public.balances, inout p_grants public.grants[], out entries public.balance_entries[],
  p_limit numeric, p_period text, p_anchor integer, p_rollover_min numeric, p_rollover_max numeric, p_preserve_overage boolean,
  p_now timestamptz, p_time_zone text
)
  language plpgsql stable set search_path = ''
  as $$
    declare
      v_limit constant numeric := coalesce(p_limit, 0);
      v_grant public.grants;
      v_before public.balances;
      v_grants_before public.grants[];
      v_start date;
      v_reset timestamptz;
      v_at timestamptz;
      v_due timestamptz;
      v_kind integer;
      v_place integer;
      v_steady boolean := false;
      v_other timestamptz;
      v_amount numeric;
      v_used numeric;
      v_ahead numeric;
      v_pending numeric := 0;
      v_burnt record;
    begin
      entries := '{}';
      loop
        v_start := app.period_start((p_balance.as_of at time zone p_time_zone)::date, p_period, p_anchor);
        v_reset := app.day_start(app.period_end(v_start, p_period, p_anchor), p_time_zone);
        -- What comes next; of what comes at one moment, expiry goes before reset and reset before issue.
        v_other := 'infinity';
        v_kind := 0;
        v_place := 0;
        for i in 1 .. coalesce(cardinality(p_grants), 0) loop
          v_grant := p_grants[i];
          continue when v_grant.closed_at is not null;
          v_due := app.grant_due(v_grant.effective_at, v_grant.recurrence, v_grant.issues, p_time_zone);
          if v_due < coalesce(v_grant.expires_at, 'infinity') then
            v_at := greatest(v_due, p_balance.as_of);
            if v_at < v_other or (v_at = v_other and v_kind = 3 and v_due < app.grant_due(p_grants[v_place].effective_at,
                p_grants[v_place].recurrence, p_grants[v_place].issues, p_time_zone)) then
              v_other := v_at;
              v_kind := 3;
              v_place := i;
            end if;
          end if;
          if v_grant.expires_at is not null then
            v_at := greatest(v_grant.expires_at, p_balance.as_of);
            if v_at < v_other or (v_at = v_other and v_kind = 3) then
              v_other := v_at;
              v_kind := 1;
              v_place := i;
            end if;
          end if;
        end loop;
        if v_reset < v_other or (v_reset = v_other and v_kind = 3) then
          v_at := v_reset;
          v_kind := 2;
        else
          v_at := v_other;
        end if;
        -- What came ahead of a period is used when it begins, after all that happens at that moment.
        if v_pending <> 0 and v_at > p_balance.as_of then
          select * into v_burnt from app.burn_sources(p_balance, p_grants, v_pending);
          p_balance := v_burnt.p_balance;
          p_grants := v_burnt.p_grants;
          v_pending := 0;
        end if;
        exit when v_at > p_now;

        if v_kind = 2 then
          v_before := p_balance;
          v_grants_before := p_grants;
          v_amount := p_balance.granted + p_balance.overage - p_balance.used;
          p_balance.as_of := v_at;
          p_balance.starts_on := app.period_start((v_at at time zone p_time_zone)::date, p_period, p_anchor);
          p_balance.resets_at := app.day_start(app.period_end(p_balance.starts_on, p_period, p_anchor), p_time_zone);
          p_balance.carried := case when p_preserve_overage then p_balance.overage else 0 end;
          p_balance.used := 0;
          p_balance.overage := 0;
          entries := entries || app.balance_entry(p_balance, null, 'reset', -v_amount, 0);
          v_amount := least(p_rollover_max, greatest(p_balance.allowance_left, p_rollover_min));
          p_balance.granted := v_amount;
          if v_amount > 0 then
            entries := entries || app.balance_entry(p_balance, null, 'rollover', v_amount, p_balance.granted);
          end if;
          for i in 1 .. coalesce(cardinality(p_grants), 0) loop
            continue when p_grants[i].closed_at is not null or p_grants[i].issues = 0;
            if p_grants[i].recurrence is null then
              p_grants[i].remaining := least(p_grants[i].rollover_max, greatest(p_grants[i].remaining, p_grants[i].rollover_min));
            end if;
            p_grants[i].opening := p_grants[i].remaining;
            p_balance.granted := p_balance.granted + p_grants[i].remaining;
            if p_grants[i].remaining > 0 then
              entries := entries || app.balance_entry(p_balance, p_grants[i].id, 'rollover', p_grants[i].remaining, p_balance.granted);
            end if;
          end loop;
          p_balance.allowance := v_limit;
          p_balance.opening := v_amount + v_limit;
          p_balance.allowance_left := p_balance.opening;
          p_balance.granted := p_balance.granted + v_limit;
          if v_limit > 0 then
            entries := entries || app.balance_entry(p_balance, null, 'allowance', v_limit, p_balance.granted);
          end if;
          if p_balance.carried > 0 then
            select * into v_burnt from app.burn_sources(p_balance, p_grants, p_balance.carried);
            p_balance := v_burnt.p_balance;
            p_grants := v_burnt.p_grants;
            entries := entries || app.balance_entry(p_balance, null, 'rollover', p_balance.overage - p_balance.carried,
              p_balance.granted + p_balance.overage - p_balance.used);
          end if;
          entries[cardinality(entries)].granted := p_balance.granted;
          entries[cardinality(entries)].overage := p_balance.overage;
          entries[cardinality(entries)].allowance := p_balance.allowance;
          entries[cardinality(entries)].opening := p_balance.opening;
          entries[cardinality(entries)].starts_on := p_balance.starts_on;
          -- What came before the period began and says it happened in it was counted in its counter alone.
          v_ahead := coalesce((
            select k.used from public.usage_counters k
            where k.tenant_id = p_balance.tenant_id and k.period = p_period and k.meter_id = p_balance.meter_id and k.starts_on = p_balance.starts_on
              and k.customer_id = p_balance.customer_id), 0);
          v_pending := v_ahead;
          -- Nothing changes from here on but the date: go to the last reset before anything else happens.
          if v_steady and v_ahead = 0 and p_grants is not distinct from v_grants_before
            and (p_balance.allowance_left, p_balance.granted, p_balance.used, p_balance.overage, p_balance.opening)
              is not distinct from (v_before.allowance_left, v_before.granted, v_before.used, v_before.overage, v_before.opening) then
            v_start := app.period_start((least(p_now, v_other - interval '1 microsecond') at time zone p_time_zone)::date, p_period, p_anchor);
            if v_start > p_balance.starts_on then
              p_balance.starts_on := v_start;
              entries[cardinality(entries)].starts_on := v_start;
              p_balance.as_of := app.day_start(v_start, p_time_zone);
              p_balance.resets_at := app.day_start(app.period_end(v_start, p_period, p_anchor), p_time_zone);
            end if;
          end if;
          v_steady := v_ahead = 0;
          continue;
        end if;

        v_steady := false;
        p_balance.as_of := v_at;
        v_grant := p_grants[v_place];
        if v_kind = 1 then
          p_balance.granted := p_balance.granted - v_grant.remaining;
          if v_grant.remaining > 0 then
            entries := entries || app.balance_entry(p_balance, v_grant.id, 'expired', -v_grant.remaining,
              p_balance.granted + p_balance.overage - p_balance.used);
          end if;
          v_grant.remaining := 0;
          v_grant.closed_at := v_at;
        else
          v_amount := case when v_grant.issues = 0 then 0
            else least(v_grant.rollover_max, greatest(v_grant.remaining, v_grant.rollover_min)) end;
          if v_amount <> v_grant.remaining then
            p_balance.granted := p_balance.granted + v_amount - v_grant.remaining;
            entries := entries || app.balance_entry(p_balance, v_grant.id, 'rollover', v_amount - v_grant.remaining,
              p_balance.granted + p_balance.overage - p_balance.used);
          end if;
          p_balance.granted := p_balance.granted + v_grant.amount;
          entries := entries || app.balance_entry(p_balance, v_grant.id, 'issued', v_grant.amount,
            p_balance.granted + p_balance.overage - p_balance.used);
          v_grant.remaining := v_amount + v_grant.amount;
          v_grant.opening := v_grant.remaining;
          v_grant.issued_at := v_at;
          v_grant.issues := v_grant.issues + 1;
        end if;
        p_grants[v_place] := v_grant;
      end loop;

      p_balance.as_of := greatest(p_balance.as_of, p_now);
      v_start := app.period_start((p_balance.as_of at time zone p_time_zone)::date, p_period, p_anchor);
      p_balance.resets_at := app.day_start(app.period_end(v_start, p_period, p_anchor), p_time_zone);
      if p_balance.allowance <> v_limit then
        -- The cap was changed within the period: what was used stays used, as with a plain cap.
        v_amount := v_limit - p_balance.allowance;
        p_balance.allowance := v_limit;
        p_balance.granted := p_balance.granted + v_amount;
        p_balance.opening := p_balance.opening + v_amount;
        if v_amount > 0 then
          v_used := least(v_amount, p_balance.overage);
          p_balance.overage := p_balance.overage - v_used;
          p_balance.allowance_left := p_balance.allowance_left + v_amount - v_used;
          v_amount := v_amount - v_used;
        else
          v_used := least(-v_amount, p_balance.allowance_left);
          p_balance.allowance_left := p_balance.allowance_left - v_used;
          p_balance.overage := p_balance.overage - v_amount - v_used;
          v_amount := -v_used;
        end if;
        entries := entries || app.balance_entry(p_balance, null, 'allowance', v_amount, p_balance.granted + p_balance.overage - p_balance.used);
      end if;
      if v_start <> p_balance.starts_on then
        -- Its periods begin on another day than before: what was used in the present one is what its counter says.
        p_balance.starts_on := v_start;
        select k.used into v_used from public.usage_counters k
          where k.tenant_id = p_balance.tenant_id and k.period = p_period and k.meter_id = p_balance.meter_id and k.starts_on = v_start
            and k.customer_id = p_balance.customer_id;
        v_used := coalesce(v_used, 0) + p_balance.carried - p_balance.used;
        v_amount := p_balance.granted + p_balance.overage - p_balance.used;
        if v_used <> 0 then
          select * into v_burnt from app.burn_sources(p_balance, p_grants, v_used);
          p_balance := v_burnt.p_balance;
          p_grants := v_burnt.p_grants;
        end if;
        entries := entries || app.balance_entry(p_balance, null, 'reset', p_balance.granted + p_balance.overage - p_balance.used - v_amount,
          p_balance.granted + p_balance.overage - p_balance.used);
      end if;
    end
  $$;

create or replace function app.balance_overage(
  p_tenant uuid, p_customer uuid, p_meter uuid, p_aggregation text, p_starts_on date, p_ends_on date, p_at timestamptz, p_time_zone text
) returns numeric
  language plpgsql stable set search_path = ''
  as $$
    declare
      v_opens constant timestamptz := app.day_start(p_starts_on, p_time_zone);
      v_closes constant timestamptz := app.day_start(p_ends_on, p_time_zone);
      -- Usage ahead of the period is set against what there is when it begins, also before it does.
      v_until constant timestamptz := greatest(least(p_at, v_closes), v_opens + interval '1 microsecond');
      b public.balances;
      c record;
      v_rolled public.balance_entries[];
      v_before public.balance_entries;
      v_first timestamptz;
      v_late boolean := false;
      v_left numeric := 0;
      v_over numeric := 0;
      v_sum numeric := 0;
      v_starts_on date;
      v_part numeric;
      r record;
    begin
      -- Longer ahead of it nothing is taken.
      if p_at <= v_opens - interval '1 day' then
        return null;
      end if;
      select * into b from public.balances x where x.tenant_id = p_tenant and x.customer_id = p_customer and x.meter_id = p_meter;
      if b.as_of < v_opens then
        -- Nobody has touched it since the period began: what came with the beginning is not written down yet.
        select * into c from app.balance_cap(p_tenant, p_customer, p_meter);
        select x.entries into v_rolled from app.roll_balance(b, app.open_grants(p_tenant, p_customer, p_meter), c.cap_limit, c.period, c.anchor,
          c.rollover_min, c.rollover_max, c.preserve_overage, v_opens, p_time_zone) x;
      end if;
      select * into v_before from public.balance_entries e
        where e.tenant_id = p_tenant and e.customer_id = p_customer and e.meter_id = p_meter and e.occurred_at < v_opens
        order by e.occurred_at desc, e.id desc limit 1;
      if found then
        v_left := v_before.balance;
        v_over := v_before.overage;
        v_starts_on := v_before.starts_on;
        if v_before.granted is null then
          return null;
        end if;
      else
        select min(e.occurred_at) into v_first from public.balance_entries e
          where e.tenant_id = p_tenant and e.customer_id = p_customer and e.meter_id = p_meter;
        if v_first is null or v_first >= least(p_at, v_closes) then
          return null;
        end if;
      end if;
      for i in 1 .. coalesce(cardinality(v_rolled), 0) loop
        exit when v_first is not null or v_rolled[i].occurred_at >= v_opens;
        v_left := v_rolled[i].balance;
        v_over := v_rolled[i].overage;
        v_starts_on := v_rolled[i].starts_on;
      end loop;
      for r in
        select x.* from (
          select e.occurred_at as at, 0 as rank, 0::bigint as place, e.id, e.kind, e.grant_id, e.amount, e.balance, e.overage, e.starts_on
          from public.balance_entries e
          where e.tenant_id = p_tenant and e.customer_id = p_customer and e.meter_id = p_meter
            and e.occurred_at >= v_opens and e.occurred_at < v_until
          union all
          select e.occurred_at, 0, e.ordinality, null, e.kind, e.grant_id, e.amount, e.balance, e.overage, e.starts_on
          from unnest(v_rolled) with ordinality e
          where e.occurred_at >= v_opens
          union all
          select x.at, 1, 0, null, 'usage', null, sum(x.amount), null, null, null
          from (
            select greatest(e.received_at, v_opens, v_first) as at,
              e.weight * case p_aggregation when 'COUNT' then coalesce(e.counted, 1) else coalesce(e.counted, e.value) end as amount
            from public.usage_events e
            where e.tenant_id = p_tenant and e.meter_id = p_meter and e.customer_id = p_customer and e.weight <> 0
              and e.occurred_at >= v_opens and e.occurred_at < v_closes and e.received_at >= v_opens - interval '1 day' and e.received_at < p_at
              -- What was used before there was a balance is in the line with which it was opened.
              and (v_first is null or e.received_at >= v_first)
              and (e.weight = 1 or coalesce((
                select o.weight from public.usage_events o where o.tenant_id = p_tenant and o.id = e.corrects limit 1), 1) <> 0)
          ) x
          group by 1
        ) x
        order by x.at, x.rank, x.place, x.id
      loop
        if r.rank = 0 then
          if r.overage is null then
            return null;
          end if;
          if r.kind = 'rollover' and r.grant_id is null and r.amount < 0 and r.at = v_opens then
            -- Overage from before that the new allowance paid was billed then, and is not billed again.
            v_sum := v_sum + r.amount;
          elsif r.kind = 'reset' and r.at > v_opens and r.starts_on = p_starts_on and v_starts_on is distinct from r.starts_on then
            -- The period began anew on another day: what was used in it was worked out from its counter.
            v_sum := r.overage;
          elsif r.kind not in ('reset', 'rollover') then
            v_sum := v_sum + r.overage - v_over;
          end if;
          v_left := r.balance;
          v_over := r.overage;
          v_starts_on := r.starts_on;
          continue;
        end if;
        if r.at >= v_closes and not v_late then
          -- What comes late takes of what was left at the end, unless that rolled over.
          v_late := true;
          v_over := greatest(v_sum, 0);
          select greatest(0, v_left - coalesce(sum(e.amount), 0)) into v_left from public.balance_entries e
            where e.tenant_id = p_tenant and e.customer_id = p_customer and e.meter_id = p_meter and e.occurred_at = v_closes
              and e.kind = 'rollover' and e.amount > 0;
        end if;
        if r.amount >= 0 then
          v_part := least(r.amount, v_left);
          v_left := v_left - v_part;
          v_part := r.amount - v_part;
        else
          v_part := -least(-r.amount, v_over);
          v_left := v_left - r.amount + v_part;
        end if;
        v_over := v_over + v_part;
        v_sum := v_sum + v_part;
      end loop;
      return greatest(v_sum, 0);
    end
  $$;
comment on function app.balance_overage(uuid, uuid, uuid, text, date, date, timestamptz, text) is
  'Overage that arose in a period of a balance, as of p_at: what was received of the period until then, set against what the history of the balance says '
  'was there for it, in order. What came before the period takes what it begins with; what came after it, what was left at its end and did not roll '
  'over. Null where there was no balance, or its history is from before it was kept in full.';

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

create function app.assured_left(p_tenant uuid, p_customer uuid, p_meter uuid, p_at timestamptz, p_time_zone text) returns numeric
  language plpgsql stable set search_path = ''
  as $$
    declare
      b public.balances;
      c record;
      r record;
      v_grants public.grants[];
    begin
      select * into b from public.balances x where x.tenant_id = p_tenant and x.customer_id = p_customer and x.meter_id = p_meter;
      select * into c from app.balance_cap(p_tenant, p_customer, p_meter);
      v_grants := app.open_grants(p_tenant, p_customer, p_meter);
      -- Whatever is left now may be used until then.
      b.allowance_left := 0;
      for i in 1 .. coalesce(cardinality(v_grants), 0) loop
        v_grants[i].remaining := 0;
      end loop;
      select * into r from app.roll_balance(b, v_grants, c.cap_limit, c.period, c.anchor, c.rollover_min, c.rollover_max, c.preserve_overage,
        p_at, p_time_zone);
      b := r.p_balance;
      v_grants := r.p_grants;
      return b.allowance_left + coalesce((select sum(g.remaining) from unnest(v_grants) g where g.closed_at is null), 0);
    end
  $$;
comment on function app.assured_left(uuid, uuid, uuid, timestamptz, text) is
  'What a balance will have left at a moment to come whatever is used until then, less what came for that period already: its allowance, grants issued by '
  'then, and the least that rolls over. Nothing that may still be used is promised twice.';

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
      v_refused jsonb;
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
                v_refused := coalesce(v_refused, '[]') || jsonb_build_array(jsonb_build_array(v_event.ord, v_event.cap_limit::text,
                  v_used[v_event.pair]::text, v_event.period,
                  extract(epoch from app.period_end(v_event.starts_on, v_event.period, v_event.anchor)::timestamp at time zone p_time_zone)));
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
            raise exception using errcode = 'TM020', message = 'strict', detail = jsonb_build_object('codes', v_codes, 'refused', v_refused)::text;
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
        v_day_end := extract(epoch from (v_today + 1)::timestamp at time zone p_time_zone);
        v_month_end := extract(epoch from (v_first + interval '1 month') at time zone p_time_zone);
        select jsonb_agg(jsonb_build_array(e.u, e.m,
            case when b.customer_id is not null then b.used::text
              when v_kinds[e.m] = 'WEIGHTED_SUM' then app.weighted_average(p_tenant, v_meter_ids[e.m], v_customer_ids[e.u], q.starts_on,
                q.starts_on::timestamp at time zone p_time_zone, least(v_now, to_timestamp(q.ends)), c.used, c.moment)::text
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
                else extract(epoch from app.period_end(app.period_start(v_today, 'month', v_anchors[e.u]), 'month', v_anchors[e.u])::timestamp
                  at time zone p_time_zone) end as ends
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
        'refused', v_refused, 'usage', v_usage);
    end
  $$;

create or replace function app.read_usage(p_tenant uuid, p_time_zone text, p_meters text[], p_users text[], p_amounts numeric[]) returns json
  language plpgsql stable set search_path = '' set plan_cache_mode = force_generic_plan set enable_seqscan = off
  as $$
    declare
      v_now timestamptz := statement_timestamp();
      v_today date := (v_now at time zone p_time_zone)::date;
      v_first date := v_today - date_part('day', v_today)::integer + 1;
      v_day_end numeric := extract(epoch from (v_today + 1)::timestamp at time zone p_time_zone);
      v_month_end numeric := extract(epoch from (v_first + interval '1 month') at time zone p_time_zone);
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
            v_ends := extract(epoch from app.period_end(v_starts, 'month', v_anchor)::timestamp at time zone p_time_zone);
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
                else extract(epoch from app.period_end(app.period_start(v_today, 'month', s.anchor_day), 'month', s.anchor_day)::timestamp
                  at time zone p_time_zone) end as ends
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
              else extract(epoch from app.period_end(app.period_start(v_today, 'month', s.anchor_day), 'month', s.anchor_day)::timestamp
                at time zone p_time_zone) end as ends
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
                q.starts_on::timestamp at time zone p_time_zone, v_now, k.used, k.moment)
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
comment on function app.read_usage(uuid, text, text[], text[], numeric[]) is
  'What customers of the current tenant may use: per question [code, limit, used, behaviour, period, reset epoch, meter, next tiers when the cap is '
  'passed, reserved, overage of a balance]. Amount 0 is a look: VALID as long as anything is left. Customers who do not exist yet count as new '
  'ones where the tenant makes them. Caps of MIN, AVG and WEIGHTED_SUM are compared with, whatever the amount.';

-- grants and policies -------------------------------------------------------------------------------

-- Who sees all usage sees in its reports what of it was billed.
drop policy billing_lines_select on public.billing_lines;
create policy billing_lines_select on public.billing_lines for select to app_tenant
  using ((select current_setting('app.permissions', true)) like any ('{% billing-periods:read %,% billing-periods:write %,% usage:read %}'));

revoke all on all functions in schema app from public;
grant update (noted) on public.tenant_metrics to app_tenant;
grant execute on function app.month_overage(uuid, text, uuid, date), app.add_metrics(uuid, text, text[], text[], numeric[], timestamptz[], boolean),
  app.find_clock_drift(uuid, text, uuid[]), app.repair_clocks(uuid, text, uuid[]), app.find_metric_drift(uuid), app.repair_metrics(uuid),
  app.assured_left(uuid, uuid, uuid, timestamptz, text) to app_tenant;
