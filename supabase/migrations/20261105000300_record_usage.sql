-- Recording usage, for all eight aggregations: the statement that takes in up to a thousand events of a tenant and moves every
-- running total with them; and the one that answers what is left. Replaces what the chapter on usage began with.

-- functions -----------------------------------------------------------------------------------------

drop function app.ingest_usage_once(text, bytea, uuid, bigint, jsonb, text, text[], text[], integer[], integer[], numeric[], uuid[], text[],
  text[], timestamptz[], jsonb[], boolean, boolean, boolean, boolean);
drop function app.ingest_usage(uuid, bigint, jsonb, text, text[], text[], integer[], integer[], numeric[], uuid[], text[], text[],
  timestamptz[], jsonb[], boolean, boolean, boolean, boolean);
drop function app.record_usage(uuid, text, text[], text[], integer[], integer[], numeric[], uuid[], text[], text[], timestamptz[], jsonb[],
  boolean, boolean, boolean, boolean);
drop function app.check_usage(uuid, bigint, jsonb, text, text[], text[], numeric[]);
drop function app.read_usage(uuid, text, text[], text[], numeric[]);

create function app.property_number(p_value jsonb) returns numeric
  language plpgsql immutable parallel safe set search_path = ''
  as $$
    declare v_text text := p_value #>> '{}';
    begin
      if jsonb_typeof(p_value) = 'number' then
        return case when abs(v_text::numeric) < 1e30 and scale(v_text::numeric) <= 20 then v_text::numeric end;
      end if;
      return case when jsonb_typeof(p_value) = 'string' and v_text ~ '^[+-]?[0-9]{1,30}([.][0-9]{1,20})?$' then v_text::numeric end;
    end
  $$;
comment on function app.property_number(jsonb) is
  'A property as a number: a JSON number or decimal text of at most 30 digits before and 20 after the point, null for anything else.';

create function app.passes_filter(p_filter jsonb, p_properties jsonb) returns boolean
  language plpgsql stable parallel safe set search_path = ''
  as $$
    declare
      v_part jsonb;
      v_have jsonb;
      v_want jsonb;
      v_left numeric;
      v_right numeric;
    begin
      if p_filter ? 'and' then
        for v_part in select jsonb_array_elements(p_filter -> 'and') loop
          if not app.passes_filter(v_part, p_properties) then
            return false;
          end if;
        end loop;
        return true;
      end if;
      if p_filter ? 'or' then
        for v_part in select jsonb_array_elements(p_filter -> 'or') loop
          if app.passes_filter(v_part, p_properties) then
            return true;
          end if;
        end loop;
        return false;
      end if;
      v_have := p_properties -> (p_filter ->> 'property');
      v_want := p_filter -> 'value';
      if p_filter ->> 'operator' = 'in' then
        for v_part in select jsonb_array_elements(v_want) loop
          if app.same_property(v_have, v_part) then
            return true;
          end if;
        end loop;
        return false;
      end if;
      case p_filter ->> 'operator'
        when 'eq' then return app.same_property(v_have, v_want);
        when 'ne' then return not app.same_property(v_have, v_want);
        when 'like' then return coalesce(jsonb_typeof(v_have) = 'string' and (v_have #>> '{}') like (v_want #>> '{}'), false);
        else null;
      end case;
      if v_have is null or jsonb_typeof(v_have) not in ('string', 'number') or jsonb_typeof(v_want) not in ('string', 'number') then
        return false;
      end if;
      v_left := app.property_number(v_have);
      v_right := app.property_number(v_want);
      return case p_filter ->> 'operator'
        when 'gt' then case when v_left is not null and v_right is not null then v_left > v_right
          else (v_have #>> '{}') collate "C" > (v_want #>> '{}') collate "C" end
        when 'gte' then case when v_left is not null and v_right is not null then v_left >= v_right
          else (v_have #>> '{}') collate "C" >= (v_want #>> '{}') collate "C" end
        when 'lt' then case when v_left is not null and v_right is not null then v_left < v_right
          else (v_have #>> '{}') collate "C" < (v_want #>> '{}') collate "C" end
        when 'lte' then case when v_left is not null and v_right is not null then v_left <= v_right
          else (v_have #>> '{}') collate "C" <= (v_want #>> '{}') collate "C" end
        else false end;
    end
  $$;
comment on function app.passes_filter(jsonb, jsonb) is
  'Whether the properties of an event pass a meter''s filter. A missing property passes nothing but ne. Numbers and decimal text compare as '
  'numbers, other text by code point; like knows % and _.';

create function app.same_property(p_left jsonb, p_right jsonb) returns boolean
  language plpgsql immutable parallel safe set search_path = ''
  as $$
    begin
      if p_left is null or p_right is null then
        return false;
      end if;
      if p_left = p_right then
        return true;
      end if;
      return coalesce(app.property_number(p_left) = app.property_number(p_right), false);
    end
  $$;
comment on function app.same_property(jsonb, jsonb) is 'Whether two scalars are the same value: equal JSON, or equal as numbers (5, 5.0 and "5").';

create function app.metered_value(p_aggregation text, p_used numeric, p_events bigint) returns numeric
  language plpgsql immutable parallel safe set search_path = ''
  as $$
    begin
      if p_aggregation = 'AVG' then
        return case when p_events > 0 then trim_scale(round(p_used * 1e12 / p_events) * 1e-12) end;
      end if;
      return case when p_events = 0 and p_aggregation in ('MIN', 'MAX', 'LATEST') then null else p_used end;
    end
  $$;
comment on function app.metered_value(text, numeric, bigint) is
  'What a running total means: AVG divides (to 12 decimals), MIN, MAX, LATEST and AVG of nothing are null. WEIGHTED_SUM: see app.weighted_average.';

create function app.weighted_average(
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
      return trim_scale(round((v_level * v_seconds + extract(epoch from p_until) * coalesce(p_used, 0) - coalesce(p_moment, 0)) * 1e12 / v_seconds)
        * 1e-12);
    end
  $$;
comment on function app.weighted_average(uuid, uuid, uuid, date, timestamptz, timestamptz, numeric, numeric) is
  'WEIGHTED_SUM: the average level of a customer (null: of all together) from the start of a day to a moment, to 12 decimals, given the '
  'sum of changes and their moment in between. The level at the start is the sum of all changes before.';

create function app.effective_cap(p_tenant uuid, p_customer uuid, p_meter uuid)
  returns table (cap_limit numeric, behaviour text, period text, rollover_min numeric, rollover_max numeric, preserve_overage boolean, anchor integer)
  language plpgsql stable set search_path = ''
  as $$
    declare
      v_tier uuid;
      v_version integer;
      v_anchor integer;
    begin
      select s.tier_id, s.tier_version, s.anchor_day into v_tier, v_version, v_anchor from public.subscriptions s
        where s.tenant_id = p_tenant and s.customer_id = p_customer and s.canceled_at is null;
      if not found then
        select t.id, t.version into v_tier, v_version from public.tiers t where t.tenant_id = p_tenant and t.is_default;
      end if;
      return query
        select coalesce(e.cap_limit, 0), e.behaviour, e.period, e.rollover_min, e.rollover_max, e.preserve_overage, coalesce(v_anchor, 1)
        from public.entitlements e
        where e.tenant_id = p_tenant and e.customer_id = p_customer and e.meter_id = p_meter and e.canceled_at is null
        union all
        select c.cap_limit, c.behaviour, c.period, c.rollover_min, c.rollover_max, c.preserve_overage, coalesce(v_anchor, 1)
        from public.tier_caps c
        where c.tenant_id = p_tenant and c.tier_id = v_tier and c.version = v_version and c.meter_id = p_meter
        limit 1;
    end
  $$;
comment on function app.effective_cap(uuid, uuid, uuid) is
  'The cap that holds for a customer and a meter: its own entitlement, else that of its tier in the version it has, else of the default tier. '
  'No row without a cap.';

create function app.move_counters(
  p_tenant uuid, p_now timestamptz, p_meter_ids uuid[], p_customer_ids uuid[], p_kinds text[], p_from_property text[], p_anchors integer[],
  p_min uuid[], p_max uuid[], p_latest uuid[], p_user integer[], p_meter integer[], p_days date[], p_hours timestamptz[], p_amounts numeric[],
  p_codes smallint[], p_weights smallint[], p_times timestamptz[], p_properties jsonb[]
) returns void
  language plpgsql volatile set search_path = '' set plan_cache_mode = force_generic_plan set enable_seqscan = off
  as $$
    declare v_nil constant uuid := '00000000-0000-0000-0000-000000000000';
    begin
      p_min := coalesce(p_min, '{}');
      p_max := coalesce(p_max, '{}');
      p_latest := coalesce(p_latest, '{}');
      with rows as materialized (
          select e.*, coalesce(e.t, e.received) as at, e.received as received_at
          from (
            select x.*, case when p_kinds[x.m] = 'LATEST' then p_now + x.ord * interval '1 microsecond' else p_now end as received
            from unnest(p_user, p_meter, p_days, p_hours, p_amounts, p_codes, p_weights, p_times, p_properties) with ordinality x (u, m, day, hour, amount, code, w, t, properties, ord)
            where x.code = 0 and x.w is distinct from 0
          ) e
        ),
      -- Each event counts in four places: the customer's day and month, and the day and the hour of all.
      moved as materialized (
        select s.scope, r.m, s.starts_on, s.hour, s.u, case p_kinds[r.m]
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
            ('total', r.day, null, null), ('hour', null, r.hour, null)
        ) s (scope, starts_on, hour, u)
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
      counters as (
        insert into public.usage_counters (tenant_id, period, meter_id, starts_on, customer_id, used, events, moment, last_at, last_received_at)
          select p_tenant, d.scope, p_meter_ids[d.m], d.starts_on, p_customer_ids[d.u], d.used + coalesce(f.used, 0), d.events, d.moment, d.last_at,
            d.last_received_at
          from moved d
          left join fresh f on f.meter_id = p_meter_ids[d.m] and f.period = d.scope and f.starts_on = d.starts_on
            and f.customer_id = p_customer_ids[d.u]
          where d.scope in ('day', 'month')
          order by 2, 3, 4, 5
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
                then usage_counters.last_received_at else excluded.last_received_at end
      ),
      hours as (
        insert into public.usage_hours (tenant_id, meter_id, hour, used, events, moment, last_at, last_received_at)
          select p_tenant, p_meter_ids[d.m], d.hour, d.used, d.events, d.moment, d.last_at, d.last_received_at
          from moved d where d.scope = 'hour' and p_kinds[d.m] <> 'UNIQUE_COUNT'
          order by 2, 3
          on conflict (tenant_id, meter_id, hour) do update
            set used = case
                when usage_hours.events = 0 and usage_hours.meter_id = any (p_min || p_max || p_latest) then excluded.used
                when usage_hours.meter_id = any (p_min) then least(usage_hours.used, excluded.used)
                when usage_hours.meter_id = any (p_max) then greatest(usage_hours.used, excluded.used)
                when usage_hours.meter_id = any (p_latest) then case
                  when (excluded.last_at, excluded.last_received_at) >= (usage_hours.last_at, usage_hours.last_received_at) then excluded.used else usage_hours.used end
                else usage_hours.used + excluded.used end,
              events = usage_hours.events + excluded.events,
              moment = coalesce(usage_hours.moment, 0) + excluded.moment,
              last_at = greatest(usage_hours.last_at, excluded.last_at),
              last_received_at = case when usage_hours.events > 0 and (usage_hours.last_at, usage_hours.last_received_at) > (excluded.last_at, excluded.last_received_at)
                then usage_hours.last_received_at else excluded.last_received_at end
      )
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
                then usage_totals.last_received_at else excluded.last_received_at end;
    end
  $$;
comment on function app.move_counters(uuid, timestamptz, uuid[], uuid[], text[], text[], integer[], uuid[], uuid[], uuid[], integer[], integer[], date[],
    timestamptz[], numeric[], smallint[], smallint[], timestamptz[], jsonb[]) is
  'Moves every running total by the events of a batch that were taken in (code 0) and pass their filter, for meters of any aggregation. '
  'Part of app.record_usage, which does the plain ones itself.';

create function app.move_groups(
  p_tenant uuid, p_now timestamptz, p_meter_ids uuid[], p_customer_ids uuid[], p_kinds text[], p_groups jsonb[],
  p_min uuid[], p_max uuid[], p_latest uuid[], p_user integer[], p_meter integer[], p_days date[], p_amounts numeric[],
  p_codes smallint[], p_weights smallint[], p_times timestamptz[], p_properties jsonb[]
) returns void
  language plpgsql volatile set search_path = '' set plan_cache_mode = force_generic_plan set enable_seqscan = off
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
            where x.code = 0 and x.w is distinct from 0
          ) e
        )
      insert into public.usage_groups (tenant_id, meter_id, day, group_hash, customer_id, group_values, used, events, moment, last_at,
          last_received_at)
        select p_tenant, p_meter_ids[d.m], d.day, md5(d.group_values::text)::uuid, p_customer_ids[d.u], d.group_values, d.used, d.events, d.moment,
          d.last_at, d.last_received_at
        from (
          select r.m, r.day, r.u, g.group_values, case p_kinds[r.m]
              when 'MIN' then min(r.amount) when 'MAX' then max(r.amount)
              when 'LATEST' then (array_agg(r.amount order by r.at desc, r.received_at desc))[1]
              when 'UNIQUE_COUNT' then 0 else sum(r.amount) end as used,
            count(*) as events,
            case when p_kinds[r.m] = 'WEIGHTED_SUM' then sum(r.amount * extract(epoch from r.at)) end as moment,
            case when p_kinds[r.m] = 'LATEST' then max(r.at) end as last_at,
            case when p_kinds[r.m] = 'LATEST' then (array_agg(r.received_at order by r.at desc, r.received_at desc))[1] end as last_received_at
          from rows r
          cross join lateral (
            select jsonb_object_agg(k.name, r.properties ->> k.name) as group_values from jsonb_array_elements_text(p_groups[r.m]) k (name)
          ) g
          where p_groups[r.m] is not null and p_kinds[r.m] <> 'UNIQUE_COUNT'
          group by 1, 2, 3, 4
        ) d
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
  'Moves the daily totals by group of the meters that have group_by. Part of app.record_usage.';

create function app.record_usage(
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
            case when b.customer_id is not null and t.cap_limit is not null then (b.granted + b.overage)::text else t.cap_limit::text end, t.behaviour, q.period, q.ends))
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
comment on function app.record_usage(uuid, text, text[], text[], integer[], integer[], numeric[], uuid[], text[], text[], timestamptz[], jsonb[],
    uuid[], boolean, boolean, boolean, boolean, boolean) is
  'Takes in up to a thousand events of the current tenant: each is counted once, or answered with why not, and caps hold exactly. '
  'Meters and users are lists without repetition, p_meter and p_user the position of each event''s own in them, from 1. p_corrects names the '
  'event each one replaces. p_probe looks first whether events are here already (worth its cost when repetitions are to be expected), '
  'p_repeats for repetitions within; p_enforce holds soft caps as well. '
  'Returns {codes: null when all are new, else per event 0 inserted, 1 duplicate, 2 conflict, 3 unknown meter, 4 archived meter, '
  '5 unknown customer, 6 archived customer, 7 too late, 8 too early, 9 negative, 10 over a cap, 11 no usable property; refused: [position, limit, used, '
  'period, reset epoch] of those over a cap; usage: [user, meter, used, limit, behaviour, period, reset epoch] when asked}. '
  'TM020 when strict and anything but new or duplicate is in it; nothing is written then.';

create function app.ingest_usage(
  p_tenant uuid, p_epoch bigint, p_actor jsonb, p_time_zone text, p_meters text[], p_users text[], p_meter integer[], p_user integer[],
  p_values numeric[], p_keys uuid[], p_event_ids text[], p_sources text[], p_times timestamptz[], p_properties jsonb[],
  p_corrects uuid[], p_probe boolean, p_repeats boolean, p_strict boolean, p_report boolean, p_enforce boolean
) returns jsonb
  language plpgsql volatile set search_path = ''
  as $$
    begin
      perform app.begin_tenant(p_tenant, p_epoch, p_actor);
      return app.record_usage(p_tenant, p_time_zone, p_meters, p_users, p_meter, p_user, p_values, p_keys, p_event_ids, p_sources, p_times,
        p_properties, p_corrects, p_probe, p_repeats, p_strict, p_report, p_enforce);
    end
  $$;
comment on function app.ingest_usage(uuid, bigint, jsonb, text, text[], text[], integer[], integer[], numeric[], uuid[], text[], text[],
    timestamptz[], jsonb[], uuid[], boolean, boolean, boolean, boolean, boolean) is
  'begin_tenant and record_usage in one statement, so that a batch is one round trip and one commit.';

create function app.ingest_usage_once(
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
      insert into public.idempotency_keys (tenant_id, actor_id, key, request_hash) values (p_tenant, app.actor_id(), p_key, p_request_hash)
        on conflict (tenant_id, actor_id, key) do nothing;
      if not found then
        select * into v_stored from public.idempotency_keys i where i.tenant_id = p_tenant and i.actor_id = app.actor_id() and i.key = p_key;
        if v_stored.request_hash <> p_request_hash then
          raise exception using errcode = 'TM021', message = 'this key was used with another request';
        end if;
        return v_stored.body::jsonb || '{"replayed": true}';
      end if;
      v_result := app.record_usage(p_tenant, p_time_zone, p_meters, p_users, p_meter, p_user, p_values, p_keys, p_event_ids, p_sources, p_times,
        p_properties, p_corrects, p_probe, p_repeats, p_strict, p_report, p_enforce);
      update public.idempotency_keys i set status = 200, body = v_result::text
        where i.tenant_id = p_tenant and i.actor_id = app.actor_id() and i.key = p_key;
      return v_result;
    end
  $$;
comment on function app.ingest_usage_once(text, bytea, uuid, bigint, jsonb, text, text[], text[], integer[], integer[], numeric[], uuid[],
    text[], text[], timestamptz[], jsonb[], uuid[], boolean, boolean, boolean, boolean, boolean) is
  'ingest_usage under an Idempotency-Key: a repeat gets the first result, with "replayed", and changes nothing. TM021 when the key was used '
  'with another request.';


create function app.read_usage(p_tenant uuid, p_time_zone text, p_meters text[], p_users text[], p_amounts numeric[]) returns json
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
    begin
      select t.id, t.version into v_default, v_default_version from public.tiers t where t.tenant_id = p_tenant and t.is_default;
      select s.creates_customers into v_open from public.usage_settings s where s.tenant_id = p_tenant;
      -- A crowd asks about few meters: each is looked up once.
      select array_agg(r.ref), array_agg(m.id), array_agg(m.slug), array_agg(m.archived_at is not null), array_agg(m.aggregation),
          coalesce(bool_or(m.individual or m.aggregation not in ('SUM', 'COUNT')), false)
        into v_refs, v_ids, v_slugs, v_archived, v_kinds, v_individual
        from (select distinct x.ref from unnest(p_meters) x (ref)) r
        left join lateral (
          select x.id, x.slug, x.archived_at, x.aggregation, x.individual from public.meters x where x.tenant_id = p_tenant and x.slug = r.ref
          union all
          select x.id, x.slug, x.archived_at, x.aggregation, x.individual from public.meters x
            where x.tenant_id = p_tenant and x.id = case when pg_input_is_valid(r.ref, 'uuid') then r.ref::uuid end
          limit 1
        ) m on true;
      -- Most tenants sell by tiers alone, and count sums: then there is little to look at.
      if not v_individual then
        select json_agg(json_build_array(
            case
              when v_ids[r.m] is null or (c.id is null and not coalesce(v_open, true)) then 'NOT_FOUND'
              when v_archived[r.m] or c.archived_at is not null then 'DISABLED'
              when t.cap_limit is null or t.behaviour = 'overflow' or coalesce(k.used, 0) + r.amount < t.cap_limit
                or (r.amount > 0 and coalesce(k.used, 0) + r.amount = t.cap_limit) then 'VALID'
              else 'USAGE_EXCEEDED' end,
            t.cap_limit::text, coalesce(k.used, 0)::text, t.behaviour, q.period, q.ends, v_slugs[r.m],
            case when t.cap_limit is not null and coalesce(k.used, 0) + r.amount > t.cap_limit then app.next_tiers(p_tenant, v_ids[r.m], t.cap_limit) end,
            null))
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
            when v_ids[r.m] is null or (c.id is null and not coalesce(v_open, true)) then 'NOT_FOUND'
            when v_archived[r.m] or c.archived_at is not null then 'DISABLED'
            when a.cap_limit is null or t.behaviour = 'overflow' then 'VALID'
            when v_kinds[r.m] in ('MIN', 'AVG', 'WEIGHTED_SUM') then case when coalesce(a.used, 0) <= a.cap_limit then 'VALID' else 'USAGE_EXCEEDED' end
            when v_kinds[r.m] in ('MAX', 'LATEST') then case when greatest(coalesce(a.used, 0), r.amount) <= a.cap_limit then 'VALID' else 'USAGE_EXCEEDED' end
            when a.used + h.amount + r.amount < a.cap_limit or (r.amount > 0 and a.used + h.amount + r.amount = a.cap_limit) then 'VALID'
            else 'USAGE_EXCEEDED' end,
          a.cap_limit::text, coalesce(a.used, 0)::text, t.behaviour, q.period, q.ends, v_slugs[r.m],
          case when a.cap_limit is not null and a.used + h.amount + r.amount > a.cap_limit then app.next_tiers(p_tenant, v_ids[r.m], t.cap_limit) end,
          case when h.amount > 0 then h.amount::text end))
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
          select b.used, b.granted + b.overage as granted from app.peek_balance(p_tenant, c.id, v_ids[r.m], v_now, p_time_zone) b
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
  'passed, reserved]. Amount 0 is a look: VALID as long as anything is left. Customers who do not exist yet count as new ones where the tenant '
  'makes them. Caps of MIN, AVG and WEIGHTED_SUM are compared with, whatever the amount.';

create function app.check_usage(
  p_tenant uuid, p_epoch bigint, p_actor jsonb, p_time_zone text, p_meters text[], p_users text[], p_amounts numeric[]
) returns json
  language plpgsql volatile set search_path = ''
  as $$
    begin
      perform app.begin_tenant(p_tenant, p_epoch, p_actor);
      return app.read_usage(p_tenant, p_time_zone, p_meters, p_users, p_amounts);
    end
  $$;
comment on function app.check_usage(uuid, bigint, jsonb, text, text[], text[], numeric[]) is
  'begin_tenant and read_usage in one statement: all checks of a tenant that wait at one moment are one round trip.';

create or replace function app.rebuild_customer_counters(p_tenant uuid, p_customer uuid, p_anchor integer) returns void
  language plpgsql volatile set search_path = ''
  as $$
    begin
      perform pg_advisory_xact_lock(hashtextextended('usage ' || p_tenant::text, 0));
      update public.usage_counters c set used = 0, events = 0, moment = null, last_at = null, last_received_at = null
        where c.tenant_id = p_tenant and c.period = 'month' and c.customer_id = p_customer;
      update public.usage_uniques u set events = 0
        where u.tenant_id = p_tenant and u.period = 'month' and u.customer_id = p_customer;
      insert into public.usage_uniques (tenant_id, meter_id, period, starts_on, customer_id, value_hash, events)
        select p_tenant, u.meter_id, 'month', app.period_start(u.starts_on, 'month', p_anchor), p_customer, u.value_hash, sum(u.events)
        from public.usage_uniques u where u.tenant_id = p_tenant and u.period = 'day' and u.customer_id = p_customer and u.events > 0
        group by 2, 4, 6 order by 2, 4, 6
        on conflict (tenant_id, meter_id, period, starts_on, customer_id, value_hash) do update set events = excluded.events;
      insert into public.usage_counters (tenant_id, period, meter_id, starts_on, customer_id, used, events, moment, last_at, last_received_at)
        select p_tenant, 'month', d.meter_id, d.month, p_customer,
          case m.aggregation
            when 'MIN' then min(d.used) when 'MAX' then max(d.used)
            when 'LATEST' then (array_agg(d.used order by d.last_at desc, d.last_received_at desc))[1]
            when 'UNIQUE_COUNT' then (
              select count(*) from public.usage_uniques u
              where u.tenant_id = p_tenant and u.meter_id = d.meter_id and u.period = 'month' and u.starts_on = d.month and u.customer_id = p_customer
                and u.events > 0)
            else sum(d.used) end,
          sum(d.events), sum(d.moment), max(d.last_at), (array_agg(d.last_received_at order by d.last_at desc, d.last_received_at desc))[1]
        from (
          select x.*, app.period_start(x.starts_on, 'month', p_anchor) as month from public.usage_counters x
          where x.tenant_id = p_tenant and x.period = 'day' and x.customer_id = p_customer and x.events > 0
        ) d
        join public.meters m on m.tenant_id = p_tenant and m.id = d.meter_id
        group by d.meter_id, d.month, m.aggregation order by d.meter_id, d.month
        on conflict (tenant_id, period, meter_id, starts_on, customer_id) do update
          set used = excluded.used, events = excluded.events, moment = excluded.moment, last_at = excluded.last_at,
            last_received_at = excluded.last_received_at;
    end
  $$;

-- grants --------------------------------------------------------------------------------------------

revoke all on all functions in schema app from public;
grant execute on function app.check_usage(uuid, bigint, jsonb, text, text[], text[], numeric[]), app.read_usage(uuid, text, text[], text[], numeric[])
  to app_tenant;
grant execute on function app.property_number(jsonb), app.passes_filter(jsonb, jsonb), app.same_property(jsonb, jsonb),
  app.metered_value(text, numeric, bigint), app.effective_cap(uuid, uuid, uuid),
  app.weighted_average(uuid, uuid, uuid, date, timestamptz, timestamptz, numeric, numeric) to app_tenant;
grant execute on function app.move_counters(uuid, timestamptz, uuid[], uuid[], text[], text[], integer[], uuid[], uuid[], uuid[], integer[], integer[],
  date[], timestamptz[], numeric[], smallint[], smallint[], timestamptz[], jsonb[]) to app_tenant;
grant execute on function app.move_groups(uuid, timestamptz, uuid[], uuid[], text[], jsonb[], uuid[], uuid[], uuid[], integer[], integer[], date[],
  numeric[], smallint[], smallint[], timestamptz[], jsonb[]) to app_tenant;
grant execute on function app.record_usage(uuid, text, text[], text[], integer[], integer[], numeric[], uuid[], text[], text[], timestamptz[],
  jsonb[], uuid[], boolean, boolean, boolean, boolean, boolean) to app_tenant;
grant execute on function app.ingest_usage(uuid, bigint, jsonb, text, text[], text[], integer[], integer[], numeric[], uuid[], text[], text[],
  timestamptz[], jsonb[], uuid[], boolean, boolean, boolean, boolean, boolean) to app_tenant;
grant execute on function app.ingest_usage_once(text, bytea, uuid, bigint, jsonb, text, text[], text[], integer[], integer[], numeric[], uuid[],
  text[], text[], timestamptz[], jsonb[], uuid[], boolean, boolean, boolean, boolean, boolean) to app_tenant;
