-- Different values in the one order of locks. Their rows came before the counters, but for whoever held a cap or took an event back: one tenant's
-- events with `enforce`, its others and its corrections waited for each other until Postgres ended one of them, a second each time. Now all
-- hold counters first, then values, then totals.

-- functions -----------------------------------------------------------------------------------------

create or replace function app.move_counters(
  p_tenant uuid, p_now timestamptz, p_meter_ids uuid[], p_customer_ids uuid[], p_kinds text[], p_from_property text[], p_anchors integer[],
  p_min uuid[], p_max uuid[], p_latest uuid[], p_user integer[], p_meter integer[], p_days date[], p_quarters timestamptz[], p_amounts numeric[],
  p_codes smallint[], p_weights smallint[], p_times timestamptz[], p_properties jsonb[]
) returns void
  language plpgsql volatile set search_path = '' set plan_cache_mode = force_generic_plan set enable_seqscan = off
  set enable_hashjoin = on set enable_nestloop = off
  as $$
    declare v_nil constant uuid := '00000000-0000-0000-0000-000000000000';
    begin
      p_min := coalesce(p_min, '{}');
      p_max := coalesce(p_max, '{}');
      p_latest := coalesce(p_latest, '{}');
      -- Which values are new has to be known before counters move: these are held first, as by whoever holds a cap.
      if 'UNIQUE_COUNT' = any (p_kinds) then
        perform app.hold_counters(p_tenant, array_agg(k.period), array_agg(p_meter_ids[k.m]), array_agg(k.starts_on), array_agg(p_customer_ids[k.u]))
          from (
            select distinct s.period, s.starts_on, x.m, x.u
            from unnest(p_user, p_meter, p_days, p_codes, p_weights) x (u, m, day, code, w)
            cross join lateral (values ('month', app.period_start(x.day, 'month', p_anchors[x.u])), ('day', x.day)) s (period, starts_on)
            where x.code = 0 and x.w is distinct from 0
          ) k
          having count(*) > 0;
      end if;
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
      quarters_moved as (
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
      ),
      totals_moved as (
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
                  then usage_totals.last_received_at else excluded.last_received_at end
      )
      insert into public.usage_counters (tenant_id, period, meter_id, starts_on, customer_id, used, events, moment, last_at, last_received_at)
        select p_tenant, d.scope, p_meter_ids[d.m], d.starts_on, p_customer_ids[d.u], d.used + coalesce(f.used, 0), d.events, d.moment, d.last_at,
          d.last_received_at
        from moved d
        left join fresh f on f.meter_id = p_meter_ids[d.m] and f.period = d.scope and f.starts_on = d.starts_on
          and f.customer_id = p_customer_ids[d.u]
        where d.scope in ('day', 'month')
        order by 2 desc, 3, 4, 5
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
              then usage_counters.last_received_at else excluded.last_received_at end;
    end
  $$;

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
            order by c.period desc, c.starts_on
            for update;
          v_balance := app.settle_balance(p_tenant, p_event.customer_id, v_meter.id, p_now, p_time_zone);
        end if;
        update public.usage_counters c set used = c.used - v_amount, events = c.events - 1, moment = c.moment - v_moment
          where c.tenant_id = p_tenant and c.period = 'month' and c.meter_id = v_meter.id and c.starts_on = v_month
            and c.customer_id = p_event.customer_id;
        update public.usage_counters c set used = c.used - v_amount, events = c.events - 1, moment = c.moment - v_moment
          where c.tenant_id = p_tenant and c.period = 'day' and c.meter_id = v_meter.id and c.starts_on = v_day
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
          order by c.period desc, c.starts_on for update;
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
      perform 1 from public.usage_counters c
        where c.tenant_id = p_tenant and c.meter_id = v_meter.id and c.customer_id = p_event.customer_id
          and (c.period, c.starts_on) in (('day', v_day), ('month', v_month))
        order by c.period desc, c.starts_on for update;
      for v_stored in
        select * from public.usage_counters c
        where c.tenant_id = p_tenant and c.meter_id = v_meter.id and c.customer_id = p_event.customer_id
          and (c.period, c.starts_on) in (('day', v_day), ('month', v_month))
        order by c.period, c.starts_on
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

-- grants --------------------------------------------------------------------------------------------

revoke all on all functions in schema app from public;
