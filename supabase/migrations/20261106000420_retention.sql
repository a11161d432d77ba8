-- Nothing is lost where events go: a month is dropped only when each tenant's seal is of exactly the events that are there, billed and pushed;
-- and what cannot be known any more without them is not made up.

-- functions: retention ------------------------------------------------------------------------------

create function app.tenants_holding_usage(p_month date, p_patience_months integer) returns table (tenant_id uuid)
  language sql stable security definer set search_path = ''
  as $$
    select e.tenant_id
    from (
      select x.tenant_id, count(*) as events from public.usage_events x where x.received_month = p_month group by 1
    ) e
    left join public.usage_seals l on l.tenant_id = e.tenant_id and l.month = p_month
    cross join lateral (
      select (p_month + interval '1 month')::timestamp at time zone 'UTC' as ends_at,
        p_month > date_trunc('month', now() at time zone 'UTC')::date - make_interval(months => p_patience_months) as patient
    ) m
    where l.events is distinct from e.events
      or m.patient and m.ends_at > (select max(b.ends_at) from public.billing_periods b where b.tenant_id = e.tenant_id)
      or m.patient and exists (select 1 from public.stripe_meters s where s.tenant_id = e.tenant_id and s.cut_at < m.ends_at)
    limit 1
  $$;
comment on function app.tenants_holding_usage(date, integer) is
  'A tenant for which the events of a month of reception must stay: not sealed, or not as they are now; or, while the month is younger than '
  'p_patience_months, not billed by one that closes billing periods, or not cut for its account at Stripe. No row when they may go. '
  'Definer: reads across tenants; only app.drop_usage_partitions may ask.';

create or replace function app.seal_usage(p_tenant uuid, p_time_zone text, p_month date, p_patience_months integer) returns boolean
  language plpgsql volatile set search_path = ''
  as $$
    declare
      v_next date := (p_month + interval '1 month')::date;
      v_closed timestamptz;
      v_drifts bigint;
      v_from date := app.unsealed_from(p_tenant);
    begin
      -- Who bills by periods keeps what it has not billed, for a year longer than others.
      select max(p.ends_at) into v_closed from public.billing_periods p where p.tenant_id = p_tenant;
      if v_closed < v_next::timestamp at time zone 'UTC'
          and p_month > date_trunc('month', now() at time zone 'UTC')::date - make_interval(months => p_patience_months) then
        return false;
      end if;
      -- So does who pushes usage elsewhere what it has not cut yet.
      if p_month > date_trunc('month', now() at time zone 'UTC')::date - make_interval(months => p_patience_months) and exists (
          select 1 from public.stripe_meters m where m.tenant_id = p_tenant and m.cut_at < v_next::timestamp at time zone 'UTC') then
        return false;
      end if;
      -- Looked at without holding anybody up; only what has to be set right waits for the writers.
      select count(f.table_name) into v_drifts from app.find_usage_drift(p_tenant, p_time_zone, null, v_from) f;
      if v_drifts > 0 then
        v_drifts := app.repair_usage(p_tenant, p_time_zone, null, v_from);
      end if;
      insert into public.usage_seals (tenant_id, month, events, drifts)
        select p_tenant, p_month, count(*), v_drifts from public.usage_events e where e.tenant_id = p_tenant and e.received_month = p_month
        on conflict (tenant_id, month) do nothing;
      return true;
    end
  $$;
comment on function app.seal_usage(uuid, text, date, integer) is
  'Compares the totals of the current tenant with its events a last time and seals a month of reception; false while the month is younger than '
  'p_patience_months and not billed yet by a tenant that closes billing periods, or not cut for its account at Stripe.';

create or replace function app.drop_usage_partitions(p_months integer) returns text[]
  language plpgsql volatile security definer set search_path = '' set lock_timeout = '2s'
  as $$
    declare
      v_first date := (date_trunc('month', clock_timestamp() at time zone 'UTC') - make_interval(months => p_months))::date;
      v_month date;
      v_dropped text[] := '{}';
    begin
      -- Two whole months: nothing is forgotten before it is 35 days old. Who calls decides how long is kept, and nothing else: what is not
      -- sealed, billed and pushed stays, whoever asks.
      if p_months < 2 then
        raise exception using errcode = '22023', message = 'at least two months are kept';
      end if;
      perform pg_advisory_xact_lock(hashtextextended('usage partitions', 0));
      for v_month in select m.month from app.usage_months() m where m.month < v_first loop
        -- From the oldest on, so that what is gone has no gaps.
        exit when exists (select 1 from app.tenants_holding_usage(v_month, p_months + 12));
        execute format('drop table public.%I', 'usage_events_' || to_char(v_month, 'YYYYMM'));
        v_dropped := v_dropped || to_char(v_month, 'YYYY-MM');
      end loop;
      return v_dropped;
    end
  $$;

-- functions: corrections ----------------------------------------------------------------------------

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
    end
  $$;
comment on function app.take_back_usage(uuid, text, public.usage_events, timestamptz) is
  'Moves every counter, total, balance and set of values back by one event, after its compensating row was written. Sums are subtracted; '
  'MIN, MAX and LATEST look for what is left where the event was the extreme: TM025 when events of its day are gone. Rows stay, without events if need be.';

create or replace function app.correct_usage(p_tenant uuid, p_time_zone text, p_items jsonb) returns jsonb
  language plpgsql volatile set search_path = '' set plan_cache_mode = force_custom_plan
  as $$
    declare
      v_lock constant bigint := hashtextextended('usage ' || p_tenant::text, 0);
      v_now timestamptz;
      v_month date;
      v_index integer := -1;
      v_item jsonb;
      v_event public.usage_events;
      v_cancel public.usage_events;
      v_next public.usage_events;
      v_back uuid;
      v_meter uuid;
      v_meter_ref text;
      v_user text;
      v_value numeric;
      v_time timestamptz;
      v_properties jsonb;
      v_key uuid;
      v_code integer;
      v_answers jsonb := '[]';
      v_answer jsonb;
    begin
      if not app.can('usage:write') then
        raise exception using errcode = '42501', message = 'usage:write is needed';
      end if;
      -- Corrections of one tenant come one after the other; then as a writer, see app.record_usage for the turn of the month.
      perform pg_advisory_xact_lock(hashtextextended('usage corrections ' || p_tenant::text, 0));
      v_now := clock_timestamp();
      if date_trunc('month', (v_now - interval '5 minutes') at time zone 'UTC')
          <> date_trunc('month', (v_now + interval '5 minutes') at time zone 'UTC') then
        perform pg_advisory_xact_lock(v_lock);
      else
        perform pg_advisory_xact_lock_shared(v_lock);
      end if;
      v_now := clock_timestamp();
      v_month := date_trunc('month', v_now at time zone 'UTC')::date;

      -- Writers hold what they count in an order of their own. After a deadlock, which lets go of all that was done here, it is done
      -- once more with no writer beside it.
      for attempt in 1 .. 2 loop
        begin
          for v_item in select i.value from jsonb_array_elements(p_items) i loop
            v_index := v_index + 1;
            v_answer := null;
            select * into v_event from public.usage_events e where e.tenant_id = p_tenant and e.id = (v_item ->> 'key')::uuid limit 1;
            if not found then
              v_answers := v_answers || jsonb_build_array(jsonb_build_object('index', v_index, 'code', 'not_found'));
              continue;
            end if;
            if v_event.weight = -1 then
              v_answers := v_answers || jsonb_build_array(jsonb_build_object('index', v_index, 'code', 'is_correction'));
              continue;
            end if;
            -- What stands of it now, whichever of its versions was named.
            v_back := null;
            for step in 1 .. 10000 loop
              select c.id into v_back from public.usage_events c where c.tenant_id = p_tenant and c.corrects = v_event.id and c.weight = -1 limit 1;
              exit when not found;
              select * into v_next from public.usage_events c where c.tenant_id = p_tenant and c.corrects = v_event.id and c.weight <> -1 limit 1;
              exit when not found;
              v_event := v_next;
              v_back := null;
            end loop;
            if v_back is not null then
              v_answers := v_answers || jsonb_build_array(case v_item ->> 'action'
                when 'cancel' then jsonb_build_object('index', v_index, 'code', 'duplicate', 'id', v_event.id, 'canceled_by', v_back)
                else jsonb_build_object('index', v_index, 'code', 'canceled', 'id', v_event.id) end);
              continue;
            end if;

            if v_item ->> 'action' = 'amend' then
              v_meter_ref := coalesce(v_item ->> 'meter_id', v_event.meter_id::text);
              v_meter := v_event.meter_id;
              if v_item ? 'meter_id' then
                select m.id into v_meter from public.meters m where m.tenant_id = p_tenant
                  and (m.slug = v_meter_ref or m.id::text = v_meter_ref);
              end if;
              v_user := coalesce(v_item ->> 'user_id',
                (select c.external_id from public.customers c where c.tenant_id = p_tenant and c.id = v_event.customer_id));
              v_value := coalesce((v_item ->> 'event_value')::numeric, v_event.value);
              v_time := coalesce((v_item ->> 'timestamp')::timestamptz, v_event.occurred_at);
              v_properties := case when v_item ? 'properties' then nullif(v_item -> 'properties', 'null') else v_event.properties end;
              if v_meter = v_event.meter_id and v_value = v_event.value and v_time = v_event.occurred_at
                  and v_properties is not distinct from v_event.properties and exists (
                    select 1 from public.customers c where c.tenant_id = p_tenant and c.id = v_event.customer_id and c.external_id = v_user) then
                -- The same amendment once more, or nothing to amend.
                v_answers := v_answers || jsonb_build_array(jsonb_build_object('index', v_index, 'id', v_event.id,
                  'code', case when v_event.corrects is null then 'unchanged' else 'duplicate' end));
                continue;
              end if;
              v_key := app.derive_event_key(format(E'amend\n%s\n%s\n%s\n%s\n%s\n%s', v_event.id, v_meter, v_user, trim_scale(v_value),
                extract(epoch from v_time), v_properties));
            end if;

            begin
              v_cancel := v_event;
              v_cancel.id := app.derive_event_key(E'cancel\n' || v_event.id);
              v_cancel.weight := -1;
              v_cancel.corrects := v_event.id;
              v_cancel.received_at := v_now;
              v_cancel.received_month := v_month;
              insert into public.usage_events select v_cancel.*;
              if v_event.weight = 1 then
                perform app.take_back_usage(p_tenant, p_time_zone, v_event, v_now);
              end if;
              v_next := null;
              if v_item ->> 'action' = 'amend' then
                v_answer := app.record_usage(p_tenant, p_time_zone, array[v_meter_ref], array[v_user], array[1], array[1], array[v_value],
                  array[v_key], array[v_event.event_id], array[v_event.source], array[v_time], array[v_properties], array[v_event.id],
                  true, false, false, false, false);
                v_code := coalesce((v_answer -> 'codes' ->> 0)::integer, 0);
                if v_code <> 0 then
                  raise exception using errcode = 'TM022', message = 'not amended';
                end if;
                select * into v_next from public.usage_events e where e.tenant_id = p_tenant and e.id = v_key limit 1;
              end if;
              perform app.log_audit('usage.corrected', 'usage_event', v_event.id::text, 'success', app.describe_event(v_event),
                case when v_next.id is not null then app.describe_event(v_next) end,
                jsonb_strip_nulls(jsonb_build_object('action', v_item ->> 'action', 'reason', v_item ->> 'reason', 'canceled_by', v_cancel.id,
                  'replaced_by', v_next.id)));
              v_answers := v_answers || jsonb_build_array(jsonb_build_object('index', v_index, 'code', 'corrected', 'id', v_event.id,
                'canceled_by', v_cancel.id, 'replaced_by', v_next.id));
            exception when sqlstate 'TM022' then
              v_answers := v_answers || jsonb_build_array(jsonb_build_object('index', v_index, 'code', 'refused', 'id', v_event.id,
                'refused', v_code, 'standing', v_answer -> 'refused' -> 0));
            when sqlstate 'TM025' then
              v_answers := v_answers || jsonb_build_array(jsonb_build_object('index', v_index, 'code', 'sealed', 'id', v_event.id));
            end;
          end loop;
          exit;
        exception when deadlock_detected then
          if attempt = 2 then
            raise;
          end if;
          v_answers := '[]';
          v_index := -1;
          perform pg_advisory_xact_lock(v_lock);
        end;
      end loop;
      return v_answers;
    end
  $$;
comment on function app.correct_usage(uuid, text, jsonb) is
  'Takes back or replaces up to a hundred events of the current tenant: [{action: cancel|amend, key, reason?, and to amend any of event_value, '
  'properties, timestamp, meter_id, user_id}]. Whichever version of an event is named, the one that stands is corrected. Per item {index, code, '
  'id, canceled_by, replaced_by}: corrected, duplicate (is so already), not_found, is_correction, canceled (nothing left to amend), unchanged, '
  'sealed (what would be left of its day cannot be known any more), or refused with the code of app.record_usage; then the item changes nothing. '
  'Every correction is on record as usage.corrected.';

-- grants and policies -------------------------------------------------------------------------------

grant select (events) on public.usage_seals to app_kernel;
grant select (tenant_id, ends_at) on public.billing_periods to app_kernel;
grant select (tenant_id, cut_at) on public.stripe_meters to app_kernel;
create policy billing_periods_kernel on public.billing_periods for select to app_kernel using (true);
create policy stripe_meters_kernel on public.stripe_meters for select to app_kernel using (true);

revoke all on all functions in schema app from public;
grant execute on function app.tenants_holding_usage(date, integer) to current_user;
alter function app.tenants_holding_usage(date, integer) owner to app_kernel;
