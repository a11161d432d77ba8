-- Questions about usage: any range, any window in any time zone, by customer and by group, exactly. Whole days and hours come from
-- the running totals, what is left at the edges from the events.

-- indexes -------------------------------------------------------------------------------------------

create index usage_events_amended_idx on public.usage_events (tenant_id, meter_id, occurred_at) where corrects is not null;
comment on index public.usage_events_amended_idx is
  'Corrections by the time they are about: the only rows that may be received long after it. Costs nothing for other events.';

-- functions -----------------------------------------------------------------------------------------

create function app.exact_quotient(p_dividend numeric, p_divisor numeric) returns numeric
  language plpgsql immutable parallel safe set search_path = ''
  as $$ begin return trim_scale(sign(p_dividend) * div(2e12 * abs(p_dividend) + p_divisor, 2 * p_divisor) * 1e-12); end $$;
comment on function app.exact_quotient(numeric, numeric) is
  'To 12 decimals, half away from zero, for a divisor above 0: rounded once, however large the dividend.';

create function app.first_moment(p_day date, p_time_zone text) returns timestamptz
  language plpgsql stable parallel safe set search_path = ''
  as $$
    declare v_midnight timestamptz := p_day::timestamp at time zone p_time_zone;
    begin
      -- Where clocks go back over midnight it comes twice, and the later one is meant by default.
      if ((v_midnight - interval '1 hour') at time zone p_time_zone)::date = p_day then
        return v_midnight - interval '1 hour';
      end if;
      return v_midnight;
    end
  $$;
comment on function app.first_moment(date, text) is 'The first moment of a day in a time zone, also where its midnight comes twice or never.';

create function app.knows_time_zone(p_time_zone text) returns boolean
  language plpgsql stable parallel restricted set search_path = ''
  as $$
    begin
      perform statement_timestamp() at time zone p_time_zone;
      return true;
    exception when invalid_parameter_value then
      return false;
    end
  $$;
comment on function app.knows_time_zone(text) is 'Whether this server can calculate with a time zone.';

create function app.usage_windows(p_from timestamptz, p_to timestamptz, p_window text, p_time_zone text) returns timestamptz[]
  language plpgsql stable parallel safe set search_path = ''
  as $$
    declare
      v_zero constant timestamptz := '2000-01-01 00:00:00Z';
      v_quarter constant interval := interval '15 minutes';
      v_unit interval := ('1 ' || p_window)::interval;
      v_inner timestamptz[];
    begin
      if p_window = 'MINUTE' then
        v_inner := array(select t from generate_series(date_bin(v_unit, p_from, v_zero) + v_unit, p_to, v_unit) t order by t);
      elsif p_window = 'HOUR' then
        -- All clocks differ by quarters of an hour. One that is changed by less than an hour begins a window of its own.
        v_inner := array(
          select t from generate_series(date_bin(v_quarter, p_from, v_zero) + v_quarter, p_to, v_quarter) t
          where date_part('minute', t at time zone p_time_zone) = 0
            or (t at time zone p_time_zone) - ((t - v_quarter) at time zone p_time_zone) <> v_quarter
          order by t);
      elsif p_window in ('DAY', 'WEEK', 'MONTH') then
        v_inner := array(
          select app.first_moment(d::date, p_time_zone)
          from generate_series(date_trunc(p_window, p_from at time zone p_time_zone), p_to at time zone p_time_zone, v_unit) d order by d);
      end if;
      return array[p_from] || array(select t from unnest(v_inner) t where t > p_from and t < p_to order by t) || array[p_to];
    end
  $$;
comment on function app.usage_windows(timestamptz, timestamptz, text, text) is
  'The windows of a half-open range as their borders: n windows are n + 1 moments, the first and last of which are the range''s own. '
  'MINUTE, HOUR, DAY, WEEK (from Monday) and MONTH by the clocks of a time zone; null is one window.';

create function app.query_usage(
  p_tenant uuid, p_meter uuid, p_from timestamptz, p_to timestamptz, p_window text, p_zone text, p_time_zone text,
  p_customers uuid[], p_by_customer boolean, p_group_by text[], p_filter jsonb, p_fill boolean, p_now timestamptz, p_limit integer
) returns table (window_start timestamptz, window_end timestamptz, customer_id uuid, group_values jsonb, value numeric, events bigint)
  language plpgsql stable set search_path = '' set jit = off set enable_seqscan = off
  as $$
    declare
      v_meter public.meters;
      v_kind text;
      v_bounds timestamptz[] := app.usage_windows(p_from, p_to, p_window, p_zone);
      v_inner timestamptz[] := v_bounds[2 : cardinality(v_bounds) - 1];
      v_picks boolean := p_customers is not null or p_by_customer;
      v_grouped boolean := cardinality(p_group_by) > 0 or p_filter is not null;
      v_split boolean := p_by_customer or cardinality(p_group_by) > 0;
      v_by_day boolean;
      v_by_hour boolean;
      v_hashed boolean;
      v_first date;
      v_end date;
      v_oldest date;
      v_days date[] := '{}';
      v_day_windows integer[] := '{}';
      v_edges jsonb := '[]';
      v_edge jsonb;
      v_from timestamptz;
      v_to timestamptz;
      v_hour_from timestamptz;
      v_hour_to timestamptz;
      v_late interval;
      v_window text;
      v_customer text := case when p_by_customer then 'x.customer_id' else 'null::uuid' end;
      v_customers text := case when p_customers is not null then ' and x.customer_id = any ($4)' else '' end;
      v_group_of_row text := 'null::jsonb';
      v_group_of_event text := 'null::jsonb';
      v_all_of_event text;
      v_amount text;
      v_event text;
      v_filter text := '';
      v_groups text;
      v_pieces text[] := '{}';
      v_used text;
      v_value text;
    begin
      select * into v_meter from public.meters m where m.tenant_id = p_tenant and m.id = p_meter;
      if not found then
        return;
      end if;
      v_kind := v_meter.aggregation;
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
      v_groups := format(
        'select x.w, %1$s, %2$s, x.used, x.events, x.moment, x.last_at, x.last_received_at, null::uuid
         from (select %%1$s as w, %3$s, any_value(x.group_values) as group_values, %4$s
           %%2$s where x.tenant_id = $1 and x.meter_id = $2%%3$s group by 1, 2, x.group_hash%5$s) x%6$s',
        v_customer, v_group_of_row, case when p_by_customer then 'x.customer_id' else 'null::uuid as customer_id' end,
        case v_kind
          when 'LATEST' then 'x.used, x.events, x.moment, x.last_at, x.last_received_at'
          else format('%s as used, sum(x.events) as events, sum(x.moment) as moment, null::timestamptz as last_at, null::timestamptz as last_received_at',
            case v_kind when 'MIN' then 'min(x.used) filter (where x.events > 0)' when 'MAX' then 'max(x.used) filter (where x.events > 0)'
              else 'sum(x.used)' end) end,
        case v_kind when 'LATEST' then ', x.used, x.events, x.moment, x.last_at, x.last_received_at' else '' end,
        case when p_filter is not null then ' where app.passes_filter($6, jsonb_strip_nulls(x.group_values))' else '' end);

      -- Days and hours serve where every window begins with one.
      v_by_day := (p_window is null or p_window in ('DAY', 'WEEK', 'MONTH')) and not (v_kind = 'UNIQUE_COUNT' and v_grouped)
        and not exists (select from unnest(v_inner) b where app.first_moment((b at time zone p_time_zone)::date, p_time_zone) <> b);
      v_by_hour := not v_picks and not v_grouped and v_kind <> 'UNIQUE_COUNT'
        and not exists (select from unnest(v_inner) b where date_trunc('hour', b, 'UTC') <> b);
      -- Different values cannot be added up, except that a day of one scope is a number already.
      v_hashed := v_kind = 'UNIQUE_COUNT' and not (p_window is not distinct from 'DAY' and (p_by_customer or coalesce(cardinality(p_customers), 1) = 1));

      v_first := (p_from at time zone p_time_zone)::date;
      if app.first_moment(v_first, p_time_zone) < p_from then
        v_first := v_first + 1;
      end if;
      v_end := (p_to at time zone p_time_zone)::date;
      if v_by_day and v_first < v_end then
        select array_agg(d::date order by d), array_agg(width_bucket(app.first_moment(d::date, p_time_zone), (select v_bounds)) order by d)
          into v_days, v_day_windows from generate_series(v_first, v_end - 1, interval '1 day') d;
        v_edges := jsonb_build_array(
          jsonb_build_array(p_from, app.first_moment(v_first, p_time_zone), 1), jsonb_build_array(app.first_moment(v_end, p_time_zone), p_to, 1));
        v_pieces := v_pieces || case
          when v_hashed then format(
            'select d.w, %s, null::jsonb, null::numeric, x.events, null::numeric, null::timestamptz, null::timestamptz, x.value_hash
             from unnest($7, $8) d (day, w) join public.usage_uniques x on x.tenant_id = $1 and x.meter_id = $2 and x.period = %L
               and x.starts_on = d.day and x.events > 0%s', v_customer, case when v_picks then 'day' else 'total' end,
            case when v_picks then v_customers else ' and x.customer_id = ''00000000-0000-0000-0000-000000000000''' end)
          when v_grouped then format(v_groups, 'd.w', 'from unnest($7, $8) d (day, w) join public.usage_groups x on x.day = d.day',
            format(' and x.day >= %L and x.day < %L%s', v_first, v_end, v_customers))
          when v_picks then format(
            'select d.w, %s, null::jsonb, x.used, x.events, x.moment, x.last_at, x.last_received_at, null::uuid
             from unnest($7, $8) d (day, w) join public.usage_counters x on x.tenant_id = $1 and x.period = ''day'' and x.meter_id = $2
               and x.starts_on = d.day and x.starts_on >= %L and x.starts_on < %L%s', v_customer, v_first, v_end, v_customers)
          else
            'select d.w, null::uuid, null::jsonb, x.used, x.events, x.moment, x.last_at, x.last_received_at, null::uuid
             from unnest($7, $8) d (day, w) join public.usage_totals x on x.tenant_id = $1 and x.meter_id = $2 and x.day = d.day' end;
      else
        v_edges := jsonb_build_array(jsonb_build_array(p_from, p_to, 1));
      end if;

      -- A level begins as all changes before: window 0, which is not shown.
      if v_kind = 'WEIGHTED_SUM' then
        v_first := (p_from at time zone p_time_zone)::date;
        v_edges := v_edges || jsonb_build_array(jsonb_build_array(app.first_moment(v_first, p_time_zone), p_from, 0));
        select min(t.day) into v_oldest from public.usage_totals t where t.tenant_id = p_tenant and t.meter_id = p_meter;
        if v_oldest < v_first then
          v_pieces := v_pieces || case
            when v_grouped then format(v_groups, '0', 'from public.usage_groups x', format(' and x.day < %L%s', v_first, v_customers))
            when p_customers is not null then format(
              'select 0, %s, null::jsonb, x.used, x.events, x.moment, x.last_at, x.last_received_at, null::uuid
               from generate_series(%L::date, %L::date - 1, interval ''1 day'') d (day)
               join public.usage_counters x on x.tenant_id = $1 and x.period = ''day'' and x.meter_id = $2 and x.starts_on = d.day::date%s',
              v_customer, v_oldest, v_first, v_customers)
            when p_by_customer then format(
              'select 0, x.customer_id, null::jsonb, x.used, x.events, x.moment, x.last_at, x.last_received_at, null::uuid
               from public.usage_counters x where x.tenant_id = $1 and x.period = ''day'' and x.meter_id = $2 and x.starts_on < %L', v_first)
            else format(
              'select 0, null::uuid, null::jsonb, x.used, x.events, x.moment, x.last_at, x.last_received_at, null::uuid
               from public.usage_totals x where x.tenant_id = $1 and x.meter_id = $2 and x.day < %L', v_first) end;
        end if;
      end if;

      v_amount := case v_kind when 'COUNT' then 'x.weight::numeric' when 'UNIQUE_COUNT' then 'null::numeric'
        else 'x.weight * coalesce(x.counted, x.value)' end;
      -- What was taken back is left out as a whole: the row that says so may name an event that never counted.
      v_event := ' and x.weight = 1 and not exists (
        select from public.usage_events c where c.tenant_id = $1 and c.corrects = x.id and c.weight = -1)';
      -- 35 days is the least a tenant can set, and what holds for one that has set nothing; 400 the most.
      v_late := case when exists (select from public.usage_settings s where s.tenant_id = p_tenant) then interval '400 days'
        else interval '35 days' end;
      for v_edge in select jsonb_array_elements(v_edges) loop
        v_from := v_edge ->> 0;
        v_to := v_edge ->> 1;
        continue when v_from >= v_to;
        v_window := case when v_edge ->> 2 = '0' then '0' when cardinality(v_inner) = 0 then '1'
          else 'width_bucket(%s, (select $3))' end;
        if v_by_hour or v_edge ->> 2 = '0' and not v_picks and not v_grouped then
          v_hour_from := date_trunc('hour', v_from + interval '1 hour' - interval '1 microsecond', 'UTC');
          v_hour_to := date_trunc('hour', v_to, 'UTC');
          if v_hour_from < v_hour_to then
            v_pieces := v_pieces || format(
              'select %s, null::uuid, null::jsonb, x.used, x.events, x.moment, x.last_at, x.last_received_at, null::uuid
               from public.usage_hours x where x.tenant_id = $1 and x.meter_id = $2 and x.hour >= %L and x.hour < %L',
              format(v_window, 'x.hour'), v_hour_from, v_hour_to);
            v_pieces := v_pieces || app.usage_event_pieces(p_tenant, p_meter, p_time_zone, p_customers, v_from, v_hour_from, v_late, v_meter.value_property,
              format(v_window, 'x.occurred_at'), v_customer, v_group_of_event, v_amount, v_event || v_customers || v_filter, v_kind);
            v_from := v_hour_to;
          end if;
        end if;
        v_pieces := v_pieces || app.usage_event_pieces(p_tenant, p_meter, p_time_zone, p_customers, v_from, v_to, v_late, v_meter.value_property,
          format(v_window, 'x.occurred_at'), v_customer, v_group_of_event, v_amount, v_event || v_customers || v_filter, v_kind);
      end loop;
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
             select p.w, %s as customer_id, %s as group_values, %s as used, sum(p.events) as events, %s as moment
             from pieces p group by p.w%s
           ),
           keys as materialized (%s),
           cells as (%s),
           known as (
             select c.*, $3[c.w] as starts, $3[c.w + 1] as ends,
               extract(epoch from $3[greatest(c.w, 1)]) as since, extract(epoch from least($3[c.w + 1], $9)) as till,
               %s as level
             from cells c
           )
         select k.starts, k.ends, nullif(k.customer_id, ''00000000-0000-0000-0000-000000000000''), case when %L then k.group_values end,
           trim_scale(%s), coalesce(k.events, 0)::bigint
         from known k where k.w > 0%s order by k.w, k.customer_id, k.group_values limit $10 + 1',
        array_to_string(v_pieces, ' union all '),
        case when p_by_customer then 'p.customer_id' else '''00000000-0000-0000-0000-000000000000''::uuid' end,
        case when cardinality(p_group_by) > 0 then 'p.group_values' else '''{}''::jsonb' end,
        v_used, case v_kind when 'WEIGHTED_SUM' then 'sum(p.moment)' else 'null::numeric' end,
        case when p_by_customer then ', p.customer_id' else '' end || case when cardinality(p_group_by) > 0 then ', p.group_values' else '' end,
        'select s.customer_id, s.group_values from states s group by 1, 2 having bool_or(s.events <> 0)'
          || case when v_split then '' else ' union select ''00000000-0000-0000-0000-000000000000'', ''{}''::jsonb' end,
        case when p_fill then
          'select w.w, y.customer_id, y.group_values, s.used, s.events, s.moment
           from keys y cross join generate_series(0, cardinality($3) - 1) w (w)
           left join states s on s.w = w.w and s.customer_id = y.customer_id and s.group_values = y.group_values
           where (select count(*) from keys) * (cardinality($3) - 1) <= $10
           union all
           select 1, null, null, null, 1, null from generate_series(1, $10 + 1) where (select count(*) from keys) * (cardinality($3) - 1) > $10'
          else 'select s.* from (select w, customer_id, group_values, used, events, moment from states) s' end,
        case v_kind when 'WEIGHTED_SUM' then
          'coalesce(sum(c.used) over (partition by c.customer_id, c.group_values order by c.w rows between unbounded preceding and 1 preceding), 0)'
          else 'null::numeric' end,
        cardinality(p_group_by) > 0, v_value, case when p_fill then '' else ' and k.events <> 0' end)
        using p_tenant, p_meter, v_bounds, p_customers, p_group_by, p_filter, v_days, v_day_windows, p_now, p_limit;
    end
  $$;
comment on function app.query_usage(uuid, uuid, timestamptz, timestamptz, text, text, text, uuid[], boolean, text[], jsonb, boolean, timestamptz, integer) is
  'Usage of a meter of the current tenant in a half-open range of event time, per window in p_zone, exactly; p_time_zone is the tenant''s own, '
  'by which running totals are kept. Optionally of some customers, by customer, by group_by properties, by a filter on those. Empty windows '
  'only with p_fill. At most p_limit rows; one row more says that there are more.';

create function app.usage_event_pieces(
  p_tenant uuid, p_meter uuid, p_time_zone text, p_customers uuid[], p_from timestamptz, p_to timestamptz, p_late interval, p_property text,
  p_window text, p_customer text, p_group text, p_amount text, p_where text, p_kind text
) returns text[]
  language plpgsql stable set search_path = ''
  as $$
    declare
      v_first date := (p_from at time zone p_time_zone)::date;
      v_last date := (p_to at time zone p_time_zone)::date;
      v_from timestamptz;
      v_to timestamptz;
      v_select text;
      v_pieces text[];
    begin
      if p_from >= p_to then
        return '{}';
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
        return '{}';
      end if;
      v_from := greatest(p_from, app.first_moment(v_first, p_time_zone));
      v_to := least(p_to, app.first_moment(v_last + 1, p_time_zone));
      v_select := format(
        'select %s, %s, %s, %s, x.weight::bigint, %s, x.occurred_at, x.received_at, %s
         from public.usage_events x
         where x.tenant_id = $1 and x.meter_id = $2 and x.occurred_at >= %L and x.occurred_at < %L%s',
        p_window, p_customer, p_group, p_amount,
        case p_kind when 'WEIGHTED_SUM' then p_amount || ' * extract(epoch from x.occurred_at)' else 'null::numeric' end,
        case p_kind when 'UNIQUE_COUNT' then format('md5(x.properties ->> %L)::uuid', p_property) else 'null::uuid' end,
        v_from, v_to, p_where);
      -- An event comes at most a day before the time it says, and as late as the tenant allows; a correction at any time.
      v_pieces := array[v_select || format(
        ' and x.received_at >= %L and x.received_at < %L and x.received_month between %L and %L',
        v_from - interval '1 day', v_to + p_late, date_trunc('month', (v_from - interval '1 day') at time zone 'UTC')::date,
        date_trunc('month', (v_to + p_late) at time zone 'UTC')::date)];
      if v_to + p_late < clock_timestamp() then
        v_pieces := v_pieces || (v_select || format(' and x.corrects is not null and x.received_at >= %L', v_to + p_late));
      end if;
      return v_pieces;
    end
  $$;
comment on function app.usage_event_pieces(uuid, uuid, text, uuid[], timestamptz, timestamptz, interval, text, text, text, text, text, text, text) is
  'Part of app.query_usage: what reads the events of a part of its range.';

revoke all on all functions in schema app from public;
grant execute on function app.exact_quotient(numeric, numeric), app.first_moment(date, text), app.knows_time_zone(text),
  app.usage_windows(timestamptz, timestamptz, text, text),
  app.query_usage(uuid, uuid, timestamptz, timestamptz, text, text, text, uuid[], boolean, text[], jsonb, boolean, timestamptz, integer),
  app.usage_event_pieces(uuid, uuid, text, uuid[], timestamptz, timestamptz, interval, text, text, text, text, text, text, text) to app_tenant;
