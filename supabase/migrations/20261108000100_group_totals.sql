-- Series that are as fast however many customers there are: totals by group without the customer; a customer's months where a whole one is
-- asked for; days and hours within windows of any time zone; and events found by when they happened, also those that came much later.

-- tables --------------------------------------------------------------------------------------------

create table public.usage_group_totals (
  tenant_id uuid not null default app.tenant_id(),
  meter_id uuid not null,
  day date not null,
  group_hash uuid not null,
  group_values jsonb not null,
  used numeric not null,
  events bigint not null,
  moment numeric,
  last_at timestamptz,
  last_received_at timestamptz,
  primary key (tenant_id, meter_id, day, group_hash)
) with (fillfactor = 50);
comment on table public.usage_group_totals is
  '@tenant Running totals over all customers per day and group, so that a chart by group is a handful of rows. Not kept for UNIQUE_COUNT.';
comment on column public.usage_group_totals.group_values is 'As in usage_groups.';

-- What there is by customer and group, put together.
alter table public.usage_groups no force row level security;
alter table public.meters no force row level security;
insert into public.usage_group_totals (tenant_id, meter_id, day, group_hash, group_values, used, events, moment, last_at, last_received_at)
  select g.tenant_id, g.meter_id, g.day, g.group_hash, any_value(g.group_values),
    case m.aggregation
      when 'MIN' then coalesce(min(g.used) filter (where g.events > 0), 0) when 'MAX' then coalesce(max(g.used) filter (where g.events > 0), 0)
      when 'LATEST' then coalesce((array_agg(g.used order by g.last_at desc, g.last_received_at desc) filter (where g.events > 0))[1], 0)
      else sum(g.used) end,
    sum(g.events), sum(g.moment), max(g.last_at) filter (where g.events > 0),
    (array_agg(g.last_received_at order by g.last_at desc, g.last_received_at desc) filter (where g.events > 0))[1]
  from public.usage_groups g
  join public.meters m on m.tenant_id = g.tenant_id and m.id = g.meter_id
  group by g.tenant_id, g.meter_id, g.day, g.group_hash, m.aggregation;
alter table public.usage_groups force row level security;
alter table public.meters force row level security;

-- indexes -------------------------------------------------------------------------------------------

create index usage_events_apart_idx on public.usage_events (tenant_id, meter_id, occurred_at)
  where greatest(received_at, occurred_at) - least(received_at, occurred_at) > interval '5 minutes';
comment on index public.usage_events_apart_idx is
  'Events received long after (or before) they happened, by when they happened. All others are found by when they were received, so what comes '
  'at its time costs nothing here.';
drop index public.usage_events_amended_idx;

-- functions: writing --------------------------------------------------------------------------------

create or replace function app.move_groups(
  p_tenant uuid, p_now timestamptz, p_meter_ids uuid[], p_customer_ids uuid[], p_kinds text[], p_groups jsonb[],
  p_min uuid[], p_max uuid[], p_latest uuid[], p_user integer[], p_meter integer[], p_days date[], p_amounts numeric[],
  p_codes smallint[], p_weights smallint[], p_times timestamptz[], p_properties jsonb[]
) returns void
  language plpgsql volatile set search_path = '' set plan_cache_mode = force_generic_plan set enable_seqscan = off
  -- Nobody knows beforehand how many groups there are: what belongs together is found by hashes.
  set enable_hashjoin = on set enable_nestloop = off
  as $$
    begin
      p_min := coalesce(p_min, '{}');
      p_max := coalesce(p_max, '{}');
      p_latest := coalesce(p_latest, '{}');
      with rows as materialized (
          select e.*, coalesce(e.t, e.received) as at, e.received as received_at
          from (
            select x.*, case when p_kinds[x.m] = 'LATEST' then p_now + x.ord * interval '1 microsecond' else p_now end as received
            from unnest(p_user, p_meter, p_days, p_amounts, p_codes, p_weights, p_times, p_properties) with ordinality x (u, m, day, amount, code, w, t, properties, ord)
            where x.code = 0 and x.w is distinct from 0 and p_groups[x.m] is not null and p_kinds[x.m] <> 'UNIQUE_COUNT'
          ) e
        ),
      -- What an event is grouped by stays an array until few are left.
      moved as materialized (
        select r.m, r.day, r.u, array[r.properties ->> (p_groups[r.m] ->> 0), r.properties ->> (p_groups[r.m] ->> 1),
              r.properties ->> (p_groups[r.m] ->> 2), r.properties ->> (p_groups[r.m] ->> 3), r.properties ->> (p_groups[r.m] ->> 4)] as labels,
            case p_kinds[r.m]
              when 'MIN' then min(r.amount) when 'MAX' then max(r.amount)
              when 'LATEST' then (array_agg(r.amount order by r.at desc, r.received_at desc))[1]
              else sum(r.amount) end as used,
            count(*) as events,
            case when p_kinds[r.m] = 'WEIGHTED_SUM' then sum(r.amount * extract(epoch from r.at)) end as moment,
            case when p_kinds[r.m] = 'LATEST' then max(r.at) end as last_at,
            case when p_kinds[r.m] = 'LATEST' then (array_agg(r.received_at order by r.at desc, r.received_at desc))[1] end as last_received_at
          from rows r
          group by 1, 2, 3, 4
      ),
      -- The same of all customers.
      joined as materialized (
        select d.m, d.day, d.labels, case p_kinds[d.m]
              when 'MIN' then min(d.used) when 'MAX' then max(d.used)
              when 'LATEST' then (array_agg(d.used order by d.last_at desc, d.last_received_at desc))[1]
              else sum(d.used) end as used,
            sum(d.events)::bigint as events, sum(d.moment) as moment, max(d.last_at) as last_at,
            case when p_kinds[d.m] = 'LATEST' then (array_agg(d.last_received_at order by d.last_at desc, d.last_received_at desc))[1] end as last_received_at
          from moved d
          group by 1, 2, 3
      ),
      groups as materialized (
        select l.m, l.labels, g.group_values, md5(g.group_values::text)::uuid as hash
        from (select distinct j.m, j.labels from joined j) l
        cross join lateral (
          select jsonb_object_agg(k.name, l.labels[k.place]) as group_values
          from jsonb_array_elements_text(p_groups[l.m]) with ordinality k (name, place)
        ) g
      ),
      totals as (
        insert into public.usage_group_totals (tenant_id, meter_id, day, group_hash, group_values, used, events, moment, last_at, last_received_at)
          select p_tenant, p_meter_ids[j.m], j.day, g.hash, g.group_values, j.used, j.events, j.moment, j.last_at, j.last_received_at
          from joined j join groups g on g.m = j.m and g.labels = j.labels
          order by 2, 3, 4
          on conflict (tenant_id, meter_id, day, group_hash) do update
            set used = case
                when usage_group_totals.events = 0 and usage_group_totals.meter_id = any (p_min || p_max || p_latest) then excluded.used
                when usage_group_totals.meter_id = any (p_min) then least(usage_group_totals.used, excluded.used)
                when usage_group_totals.meter_id = any (p_max) then greatest(usage_group_totals.used, excluded.used)
                when usage_group_totals.meter_id = any (p_latest) then case
                  when (excluded.last_at, excluded.last_received_at) >= (usage_group_totals.last_at, usage_group_totals.last_received_at)
                    then excluded.used else usage_group_totals.used end
                else usage_group_totals.used + excluded.used end,
              events = usage_group_totals.events + excluded.events,
              moment = coalesce(usage_group_totals.moment, 0) + excluded.moment,
              last_at = greatest(usage_group_totals.last_at, excluded.last_at),
              last_received_at = case when usage_group_totals.events > 0
                  and (usage_group_totals.last_at, usage_group_totals.last_received_at) > (excluded.last_at, excluded.last_received_at)
                then usage_group_totals.last_received_at else excluded.last_received_at end
      )
      insert into public.usage_groups (tenant_id, meter_id, day, group_hash, customer_id, group_values, used, events, moment, last_at,
          last_received_at)
        select p_tenant, p_meter_ids[d.m], d.day, g.hash, p_customer_ids[d.u], g.group_values, d.used, d.events, d.moment,
          d.last_at, d.last_received_at
        from moved d join groups g on g.m = d.m and g.labels = d.labels
        order by 2, 3, 4, 5
        on conflict (tenant_id, meter_id, day, group_hash, customer_id) do update
            set used = case
                when usage_groups.events = 0 and usage_groups.meter_id = any (p_min || p_max || p_latest) then excluded.used
                when usage_groups.meter_id = any (p_min) then least(usage_groups.used, excluded.used)
                when usage_groups.meter_id = any (p_max) then greatest(usage_groups.used, excluded.used)
                when usage_groups.meter_id = any (p_latest) then case
                  when (excluded.last_at, excluded.last_received_at) >= (usage_groups.last_at, usage_groups.last_received_at) then excluded.used else usage_groups.used end
                else usage_groups.used + excluded.used end,
              events = usage_groups.events + excluded.events,
              moment = coalesce(usage_groups.moment, 0) + excluded.moment,
              last_at = greatest(usage_groups.last_at, excluded.last_at),
              last_received_at = case when usage_groups.events > 0 and (usage_groups.last_at, usage_groups.last_received_at) > (excluded.last_at, excluded.last_received_at)
                then usage_groups.last_received_at else excluded.last_received_at end;
    end
  $$;
comment on function app.move_groups(uuid, timestamptz, uuid[], uuid[], text[], jsonb[], uuid[], uuid[], uuid[], integer[], integer[], date[], numeric[],
    smallint[], smallint[], timestamptz[], jsonb[]) is
  'Moves the daily totals by group, of each customer and of all, of the meters that have group_by. Part of app.record_usage.';

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
      v_hour timestamptz := date_trunc('hour', p_event.occurred_at, 'UTC');
      v_amount numeric;
      v_moment numeric;
      v_group jsonb;
      v_hash uuid;
      v_extreme boolean;
      v_gone boolean;
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
        update public.usage_hours h set used = h.used - v_amount, events = h.events - 1, moment = h.moment - v_moment
          where h.tenant_id = p_tenant and h.meter_id = v_meter.id and h.hour = v_hour;
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

      select coalesce(h.last_at = p_event.occurred_at, h.used = v_amount) into v_extreme
        from public.usage_hours h where h.tenant_id = p_tenant and h.meter_id = v_meter.id and h.hour = v_hour for update;
      if v_extreme and v_sealed then
        raise exception using errcode = 'TM025', message = 'sealed';
      end if;
      if v_extreme then
        select * into v_left from app.rest_of_usage(p_tenant, v_meter.id, v_meter.aggregation, null, v_hour, v_hour + interval '1 hour', null, null);
      end if;
      update public.usage_hours h
        set used = case when v_extreme then coalesce(v_left.used, 0) else h.used end, events = h.events - 1,
          last_at = case when v_extreme then v_left.last_at else h.last_at end,
          last_received_at = case when v_extreme then v_left.last_received_at else h.last_received_at end
        where h.tenant_id = p_tenant and h.meter_id = v_meter.id and h.hour = v_hour;

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
comment on function app.take_back_usage(uuid, text, public.usage_events, timestamptz) is
  'Moves every counter, total, balance and set of values back by one event, after its compensating row was written. Sums are subtracted; '
  'MIN, MAX and LATEST look for what is left where the event was the extreme: TM025 when events of its day are gone. Rows stay, without events if need be.';

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
            'starts_on', d.starts_on, 'hour', d.hour, 'hash', case when d.name in ('usage_groups', 'usage_group_totals', 'usage_uniques') then d.hash end,
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
        order by d.name, m.slug, d.starts_on, d.hour, d.period, u.external_id, d.hash;
    end
  $$;
comment on function app.find_usage_drift(uuid, text, uuid[], date) is
  'Every running total of the current tenant that is not what its events come to: of some meters or all, from a day on or all. Always at least one row, '
  'which says how many events and totals were read; its table_name is null when there is no drift. Reads one moment and locks nothing.';

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
comment on function app.repair_usage(uuid, text, uuid[], date) is
  'Sets every running total that is not what its events say to what they say, and gives how many. Closed billing periods are never changed. '
  'Holds off the writers of the tenant meanwhile.';

-- functions: questions ------------------------------------------------------------------------------

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
      v_by_hour boolean;
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
      v_hours tstzmultirange;
      v_cut_hours timestamptz[];
      v_cuts timestamptz[];
      v_cut_windows integer[];
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
      v_by_hour := not v_picks and not v_grouped and v_kind <> 'UNIQUE_COUNT' and p_window is distinct from 'MINUTE';
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
      elsif v_by_hour then
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

      -- Of what is left whole hours, and of what is left of that the events. Where no hour had any there are none.
      v_rest := (select range_agg(tstzrange(r.f, r.t)) from unnest(v_froms, v_tos) r (f, t));
      v_window := case when cardinality(v_inner) = 0 then '1' else 'width_bucket(%s, (select $3))' end;
      if v_by_hour then
        v_hours := (
          select range_agg(tstzrange(h.f, h.t))
          from unnest(v_froms, v_tos) r (f, t)
          cross join lateral (
            select date_trunc('hour', r.f + interval '1 hour' - interval '1 microsecond', 'UTC') as f, date_trunc('hour', r.t, 'UTC') as t
          ) h
          where h.f < h.t);
        if v_hours is not null then
          v_pieces := v_pieces || app.usage_hour_piece(v_hours, format(v_window, 'x.hour'));
          v_rest := v_rest - v_hours;
        end if;
        if v_by_day and v_kind in ('SUM', 'COUNT', 'AVG', 'WEIGHTED_SUM') then
          -- Hours that a border cuts in two: the events of the shorter part say what both are.
          select array_agg(c.hour order by c.hour), array_agg(c.cut order by c.hour), array_agg(width_bucket(c.cut, v_bounds) order by c.hour),
              range_agg(tstzrange(c.hour, c.hour + interval '1 hour'))
            into v_cut_hours, v_cuts, v_cut_windows, v_hours
            from (select date_trunc('hour', b, 'UTC') as hour, min(b) as cut from unnest(v_inner) b group by 1 having count(*) = 1) c
            where c.hour < c.cut and v_rest @> tstzrange(c.hour, c.hour + interval '1 hour');
          if v_hours is not null then
            v_pieces := v_pieces || app.usage_cut_piece(p_tenant, p_meter, v_cut_hours, v_cuts, v_cut_windows, v_kind);
            v_rest := v_rest - v_hours;
          end if;
        end if;
        v_rest := (
          select range_agg(r) from unnest(v_rest) r
          where exists (
            select from public.usage_hours x where x.tenant_id = p_tenant and x.meter_id = p_meter and x.hour >= date_trunc('hour', lower(r), 'UTC')
              and x.hour < upper(r)));
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
        if not v_picks and not v_grouped and app.first_moment(v_first, p_time_zone) < p_from then
          v_hours := tstzmultirange(tstzrange(
            date_trunc('hour', app.first_moment(v_first, p_time_zone) + interval '1 hour' - interval '1 microsecond', 'UTC'),
            greatest(date_trunc('hour', p_from, 'UTC'),
              date_trunc('hour', app.first_moment(v_first, p_time_zone) + interval '1 hour' - interval '1 microsecond', 'UTC'))));
          v_pieces := v_pieces || app.usage_hour_piece(v_hours, '0');
          v_rest := v_rest - v_hours;
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
comment on function app.query_usage(uuid, uuid, timestamptz, timestamptz, text, text, text, uuid[], boolean, text[], jsonb, boolean, timestamptz, integer) is
  'Usage of a meter of the current tenant in a half-open range of event time, per window in p_zone, exactly; p_time_zone is the tenant''s own, '
  'by which running totals are kept. Optionally of some customers, by customer, by group_by properties, by a filter on those. Empty windows '
  'only with p_fill. At most p_limit rows; one row more says that there are more.';

create function app.usage_hour_piece(p_hours tstzmultirange, p_window text) returns text
  language plpgsql stable set search_path = ''
  as $$
    declare
      v_rows constant text := 'select %s, null::uuid, null::jsonb, x.used, x.events, x.moment, x.last_at, x.last_received_at, null::uuid from ';
      v_few constant text := 'public.usage_hours x where x.tenant_id = $1 and x.meter_id = $2 and x.hour >= %L and x.hour < %L';
      v_many constant text := 'unnest(%L::timestamptz[], %L::timestamptz[]) r (f, t)
        join public.usage_hours x on x.tenant_id = $1 and x.meter_id = $2 and x.hour >= r.f and x.hour < r.t';
      v_count integer := (select count(*) from unnest(p_hours));
    begin
      return format(v_rows, p_window) || case
        when v_count > 1 then format(v_many, array(select lower(r) from unnest(p_hours) r order by r), array(select upper(r) from unnest(p_hours) r order by r))
        else format(v_few, coalesce(lower(p_hours), 'infinity'), coalesce(upper(p_hours), 'infinity')) end;
    end
  $$;
comment on function app.usage_hour_piece(tstzmultirange, text) is 'Part of app.query_usage: what reads the totals of whole hours.';

create function app.received_apart() returns text
  language plpgsql immutable parallel safe set search_path = ''
  as $$ begin return 'greatest(x.received_at, x.occurred_at) - least(x.received_at, x.occurred_at) > interval ''5 minutes'''; end $$;
comment on function app.received_apart() is 'Part of app.query_usage: the condition of usage_events_apart_idx.';

create function app.counted_events(p_tenant uuid, p_meter uuid, p_from timestamptz, p_to timestamptz) returns text
  language plpgsql stable set search_path = ''
  as $$
    begin
      if exists (
          select from public.usage_events c where c.tenant_id = p_tenant and c.meter_id = p_meter and c.weight = -1
            and c.occurred_at >= p_from and c.occurred_at < p_to) then
        -- What was taken back is left out as a whole: the row that says so repeats it, but may name an event that never counted.
        return format(' and x.weight = 1 and x.id not in (select c.corrects from public.usage_events c where c.tenant_id = $1 and c.meter_id = $2
          and c.weight = -1 and c.corrects is not null and c.occurred_at >= %L and c.occurred_at < %L)', p_from, p_to);
      end if;
      return ' and x.weight = 1';
    end
  $$;
comment on function app.counted_events(uuid, uuid, timestamptz, timestamptz) is
  'Part of app.query_usage: which events of a range count, those that were taken back left out.';

create function app.usage_cut_piece(
  p_tenant uuid, p_meter uuid, p_hours timestamptz[], p_cuts timestamptz[], p_windows integer[], p_kind text
) returns text
  language plpgsql stable set search_path = ''
  as $$
    declare
      v_near constant interval := '5 minutes';
      v_amount constant text := case p_kind when 'COUNT' then 'coalesce(x.counted, 1)' else 'coalesce(x.counted, x.value)' end;
      v_moment constant text := case p_kind when 'WEIGHTED_SUM' then v_amount || ' * extract(epoch from x.occurred_at)' else 'null::numeric' end;
      v_where constant text := app.counted_events(p_tenant, p_meter, p_hours[1], p_hours[cardinality(p_hours)] + interval '1 hour');
      v_earlier boolean[];
      v_froms timestamptz[];
      v_tos timestamptz[];
    begin
      select array_agg(c.earlier order by c.hour), array_agg(case when c.earlier then c.hour else c.cut end order by c.hour),
          array_agg(case when c.earlier then c.cut else c.hour + interval '1 hour' end order by c.hour)
        into v_earlier, v_froms, v_tos
        from (select h.hour, h.cut, h.cut <= h.hour + interval '30 minutes' as earlier from unnest(p_hours, p_cuts) h (hour, cut)) c;
      return format(
        'select v.w, null::uuid, null::jsonb, v.used, v.events, v.moment, null::timestamptz, null::timestamptz, null::uuid
         from unnest(%1$L::timestamptz[], %2$L::integer[], %3$L::boolean[], %4$L::timestamptz[], %5$L::timestamptz[], %6$L::timestamptz[],
           %7$L::timestamptz[], %8$L::date[], %9$L::date[], %10$L::date[]) r (hour, w, earlier, f, t, since, till, month, last_month, first_month)
         join public.usage_hours h on h.tenant_id = $1 and h.meter_id = $2 and h.hour = r.hour
         cross join lateral (
           select coalesce(sum(y.used), 0) as used, coalesce(sum(y.events), 0)::bigint as events, coalesce(sum(y.moment), 0) as moment
           from (
             select sum(%11$s) as used, count(*) as events, sum(%12$s) as moment
             from public.usage_events x
             where x.tenant_id = $1 and x.meter_id = $2 and x.occurred_at >= r.f and x.occurred_at < r.t%13$s
               and x.received_at >= r.since and x.received_at <= r.till and x.received_month >= r.month and x.received_month <= r.last_month
               and not (%14$s)
             union all
             select sum(%11$s), count(*), sum(%12$s)
             from public.usage_events x
             where x.tenant_id = $1 and x.meter_id = $2 and x.occurred_at >= r.f and x.occurred_at < r.t%13$s
               and x.received_month >= r.first_month and %14$s
           ) y
         ) e
         cross join lateral (
           values (r.w - r.earlier::integer, e.used, e.events, e.moment),
             (r.w - (not r.earlier)::integer, h.used - e.used, h.events - e.events, h.moment - e.moment)
         ) v (w, used, events, moment)',
        p_hours, p_windows, v_earlier, v_froms, v_tos,
        array(select f - v_near from unnest(v_froms) f), array(select t + v_near from unnest(v_tos) t),
        array(select date_trunc('month', (f - v_near) at time zone 'UTC')::date from unnest(v_froms) f),
        array(select date_trunc('month', (t + v_near) at time zone 'UTC')::date from unnest(v_tos) t),
        array(select date_trunc('month', (f - interval '1 day') at time zone 'UTC')::date from unnest(v_froms) f),
        v_amount, v_moment, v_where, app.received_apart());
    end
  $$;
comment on function app.usage_cut_piece(uuid, uuid, timestamptz[], timestamptz[], integer[], text) is
  'Part of app.query_usage, of meters that add up: what reads hours that are cut by the beginning of a window. p_windows is that window.';

drop function app.usage_event_pieces(uuid, uuid, text, uuid[], timestamptz, timestamptz, interval, text, text, text, text, text, text, text);
create function app.usage_event_pieces(
  p_tenant uuid, p_meter uuid, p_time_zone text, p_customers uuid[], p_ranges tstzmultirange, p_property text,
  p_window text, p_customer text, p_group text, p_amount text, p_where text, p_kind text
) returns text[]
  language plpgsql stable set search_path = ''
  as $$
    declare
      v_near constant interval := '5 minutes';
      v_apart constant text := app.received_apart();
      v_first date := (lower(p_ranges) at time zone p_time_zone)::date;
      v_last date := (upper(p_ranges) at time zone p_time_zone)::date;
      v_ranges tstzrange[];
      v_range tstzrange;
      v_select text;
      v_pieces text[] := '{}';
    begin
      if p_ranges is null or isempty(p_ranges) then
        return v_pieces;
      end if;
      -- Only days with traffic are looked at.
      if p_customers is null then
        select min(t.day), max(t.day) into v_first, v_last from public.usage_totals t
          where t.tenant_id = p_tenant and t.meter_id = p_meter and t.day between v_first and v_last;
      else
        select min(c.starts_on), max(c.starts_on) into v_first, v_last
          from generate_series(v_first, v_last, interval '1 day') d (day)
          join public.usage_counters c on c.tenant_id = p_tenant and c.period = 'day' and c.meter_id = p_meter and c.starts_on = d.day::date
            and c.customer_id = any (p_customers);
      end if;
      if v_first is null then
        return v_pieces;
      end if;
      v_ranges := array(
        select r from unnest(p_ranges * tstzmultirange(tstzrange(app.first_moment(v_first, p_time_zone), app.first_moment(v_last + 1, p_time_zone)))) r
        order by r);
      p_where := app.counted_events(p_tenant, p_meter, lower(p_ranges), upper(p_ranges)) || p_where;
      v_select := format('select %s, %s, %s, %s, 1::bigint, %s, x.occurred_at, x.received_at, %s from ', p_window, p_customer, p_group, p_amount,
        case p_kind when 'WEIGHTED_SUM' then p_amount || ' * extract(epoch from x.occurred_at)' else 'null::numeric' end,
        case p_kind when 'UNIQUE_COUNT' then format('md5(x.properties ->> %L)::uuid', p_property) else 'null::uuid' end);
      -- What came at its time is found by when it came, all else by when it happened: at most a day after it came, or at any time before.
      if cardinality(v_ranges) > 2 then
        -- One look-up for each.
        v_select := v_select || format(
          'unnest(%L::timestamptz[], %L::timestamptz[], %L::timestamptz[], %L::timestamptz[], %L::date[], %L::date[], %L::date[])
             r (f, t, since, till, month, last_month, first_month)
           cross join lateral (
             select x.* from public.usage_events x where x.tenant_id = $1 and x.meter_id = $2 and x.occurred_at >= r.f and x.occurred_at < r.t%s and ',
          array(select lower(r) from unnest(v_ranges) r), array(select upper(r) from unnest(v_ranges) r),
          array(select lower(r) - v_near from unnest(v_ranges) r), array(select upper(r) + v_near from unnest(v_ranges) r),
          array(select date_trunc('month', (lower(r) - v_near) at time zone 'UTC')::date from unnest(v_ranges) r),
          array(select date_trunc('month', (upper(r) + v_near) at time zone 'UTC')::date from unnest(v_ranges) r),
          array(select date_trunc('month', (lower(r) - interval '1 day') at time zone 'UTC')::date from unnest(v_ranges) r), p_where);
        return array[
          v_select || 'x.received_at >= r.since and x.received_at <= r.till and x.received_month >= r.month and x.received_month <= r.last_month
            and not (' || v_apart || ') offset 0) x',
          v_select || 'x.received_month >= r.first_month and ' || v_apart || ' offset 0) x'];
      end if;
      foreach v_range in array v_ranges loop
        v_pieces := v_pieces || (v_select || format(
          'public.usage_events x where x.tenant_id = $1 and x.meter_id = $2 and x.occurred_at >= %1$L and x.occurred_at < %2$L%3$s
             and x.received_at >= %4$L and x.received_at <= %5$L and x.received_month between %6$L and %7$L and not (%8$s)',
          lower(v_range), upper(v_range), p_where, lower(v_range) - v_near, upper(v_range) + v_near,
          date_trunc('month', (lower(v_range) - v_near) at time zone 'UTC')::date,
          date_trunc('month', (upper(v_range) + v_near) at time zone 'UTC')::date, v_apart));
        v_pieces := v_pieces || (v_select || format(
          'public.usage_events x where x.tenant_id = $1 and x.meter_id = $2 and x.occurred_at >= %L and x.occurred_at < %L%s
             and x.received_month >= %L and %s',
          lower(v_range), upper(v_range), p_where, date_trunc('month', (lower(v_range) - interval '1 day') at time zone 'UTC')::date, v_apart));
      end loop;
      return v_pieces;
    end
  $$;
comment on function app.usage_event_pieces(uuid, uuid, text, uuid[], tstzmultirange, text, text, text, text, text, text, text) is
  'Part of app.query_usage: what reads the events of parts of its range.';

-- grants and policies -------------------------------------------------------------------------------

alter table public.usage_group_totals enable row level security;
alter table public.usage_group_totals force row level security;
grant select, insert on public.usage_group_totals to app_tenant;
grant update (group_values, used, events, moment, last_at, last_received_at) on public.usage_group_totals to app_tenant;
create policy usage_group_totals_isolation on public.usage_group_totals as restrictive for all to app_tenant
  using (tenant_id = (select app.tenant_id())) with check (tenant_id = (select app.tenant_id()));
create policy usage_group_totals_select on public.usage_group_totals for select to app_tenant
  using ((select current_setting('app.permissions', true)) like any ('{% usage:read %,% usage:write %}'));
create policy usage_group_totals_insert on public.usage_group_totals for insert to app_tenant
  with check ((select strpos((select current_setting('app.permissions', true)), ' usage:write ') > 0));
create policy usage_group_totals_update on public.usage_group_totals for update to app_tenant
  using (strpos((select current_setting('app.permissions', true)), ' usage:write ') > 0)
  with check ((select strpos((select current_setting('app.permissions', true)), ' usage:write ') > 0));

revoke all on all functions in schema app from public;
grant execute on function app.received_apart(), app.counted_events(uuid, uuid, timestamptz, timestamptz),
  app.usage_hour_piece(tstzmultirange, text), app.usage_cut_piece(uuid, uuid, timestamptz[], timestamptz[], integer[], text),
  app.usage_event_pieces(uuid, uuid, text, uuid[], tstzmultirange, text, text, text, text, text, text, text) to app_tenant;
