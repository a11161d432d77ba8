-- Usage: events, each counted once; counters that move with them in the same transaction; caps that hold under any concurrency.
-- Everything that is written here is written by app.record_usage, one statement for up to a thousand events of one tenant.

-- tables --------------------------------------------------------------------------------------------

create table public.usage_settings (
  tenant_id uuid not null default app.tenant_id(),
  creates_customers boolean not null default true,
  accepts_late_days integer not null default 35 check (accepts_late_days between 35 and 400),
  accepts_early_seconds integer not null default 300 check (accepts_early_seconds between 0 and 86400),
  updated_at timestamptz not null default now(),
  primary key (tenant_id)
);
comment on table public.usage_settings is '@tenant How a tenant takes in usage; without a row the defaults hold.';
comment on column public.usage_settings.creates_customers is 'Whether a user_id seen for the first time becomes a customer; otherwise its events are refused.';

create table public.usage_events (
  tenant_id uuid not null default app.tenant_id(),
  id uuid not null,
  meter_id uuid not null,
  customer_id uuid not null,
  value numeric not null,
  occurred_at timestamptz not null,
  received_at timestamptz not null,
  received_month date not null,
  event_id text,
  source text,
  properties jsonb,
  primary key (tenant_id, id, received_month)
) partition by range (received_month);
comment on table public.usage_events is '@tenant Counted facts, by month of reception. Written once, never changed.';
comment on column public.usage_events.id is
  'With an event_id: 122 bits of SHA-256 of source and event_id as a UUID version 8, so that the primary key is what recognises a duplicate. '
  'Without one: a UUID version 7.';
comment on column public.usage_events.value is 'As sent; a meter that counts events adds 1 for it.';
comment on column public.usage_events.occurred_at is 'When it happened, which decides the day and month it counts for; equals received_at when the sender gave no time.';
comment on column public.usage_events.received_month is 'First day of the month of reception in UTC: the partition.';

create table public.usage_counters (
  tenant_id uuid not null default app.tenant_id(),
  period text not null check (period in ('day', 'month')),
  meter_id uuid not null,
  starts_on date not null,
  customer_id uuid not null,
  used numeric not null,
  events bigint not null,
  primary key (tenant_id, period, meter_id, starts_on, customer_id)
) with (fillfactor = 60, autovacuum_vacuum_scale_factor = 0.05, autovacuum_analyze_scale_factor = 0.2);
comment on table public.usage_counters is
  '@tenant Running totals: one row per customer, meter and day, and one per period of the customer. Always equal to the sum of the events.';
comment on column public.usage_counters.period is 'day or month. Text, because row security keeps an enum (its equality is not leakproof) out of index conditions.';
comment on column public.usage_counters.starts_on is 'First day of the period in the tenant''s time zone; months begin on the anchor day of the subscription.';
comment on column public.usage_counters.used is 'Sum of values, or number of events for a meter that counts them.';

create table public.usage_totals (
  tenant_id uuid not null default app.tenant_id(),
  meter_id uuid not null,
  day date not null,
  used numeric not null,
  events bigint not null,
  primary key (tenant_id, meter_id, day)
) with (fillfactor = 50);
comment on table public.usage_totals is '@tenant Running totals over all customers, per meter and day, so that a chart of a large tenant is a handful of rows.';

create table public.usage_rejections (
  tenant_id uuid not null default app.tenant_id(),
  id uuid not null,
  received_at timestamptz not null,
  code text not null,
  detail text not null,
  event jsonb not null,
  request_id text,
  primary key (tenant_id, id)
);
comment on table public.usage_rejections is '@tenant Events that were refused, the newest ten thousand of a tenant, for it to see why.';
comment on column public.usage_rejections.event is 'The event as sent, shortened when long.';

-- indexes -------------------------------------------------------------------------------------------

create index usage_events_received_idx on public.usage_events (tenant_id, received_at);
comment on index public.usage_events_received_idx is 'Newest first; all events of one batch share one key, so this index stays small.';

-- functions -----------------------------------------------------------------------------------------

-- In plpgsql although they are expressions: a function in SQL with a fixed search_path is planned anew in every statement.
create function app.days_in_month(p_day date) returns integer
  language plpgsql immutable parallel safe set search_path = ''
  as $$ begin return date_part('day', date_trunc('month', p_day::timestamp) + interval '1 month - 1 day')::integer; end $$;
comment on function app.days_in_month(date) is 'Length of the month a day is in.';

create function app.period_start(p_day date, p_period text, p_anchor integer) returns date
  language plpgsql immutable parallel safe set search_path = ''
  as $$
    declare
      v_day integer := date_part('day', p_day);
      v_anchor integer;
    begin
      if p_period = 'day' then
        return p_day;
      end if;
      if p_anchor = 1 then
        return p_day - v_day + 1;
      end if;
      v_anchor := least(p_anchor, app.days_in_month(p_day));
      if v_anchor <= v_day then
        return p_day - v_day + v_anchor;
      end if;
      -- In the month before, whose last day this is.
      return p_day - v_day - greatest(app.days_in_month(p_day - v_day) - p_anchor, 0);
    end
  $$;
comment on function app.period_start(date, text, integer) is
  'First day of the period a day falls in. Months begin on the anchor day, or on the last day of a month that is shorter.';

create function app.period_end(p_start date, p_period text, p_anchor integer) returns date
  language plpgsql immutable parallel safe set search_path = ''
  as $$
    declare v_next date;
    begin
      if p_period = 'day' then
        return p_start + 1;
      end if;
      v_next := (date_trunc('month', p_start::timestamp) + interval '1 month')::date;
      return v_next + least(p_anchor, app.days_in_month(v_next)) - 1;
    end
  $$;
comment on function app.period_end(date, text, integer) is 'First day after the period that begins on a day: when it resets.';

create function app.make_usage_partitions(p_months integer) returns integer
  language plpgsql volatile security definer set search_path = ''
  as $$
    declare
      v_start date := date_trunc('month', clock_timestamp() at time zone 'UTC')::date;
      v_name text;
      v_made integer := 0;
    begin
      if p_months not between 0 and 24 then
        raise exception using errcode = '22023', message = 'months ahead must be 0 to 24';
      end if;
      perform pg_advisory_xact_lock(hashtextextended('usage partitions', 0));
      for i in 0 .. p_months loop
        v_name := format('usage_events_%s', to_char(v_start, 'YYYYMM'));
        if to_regclass('public.' || v_name) is null then
          -- Made apart and attached, because that locks the parent so little that nobody waits.
          execute format('create table public.%I (like public.usage_events including all)', v_name);
          execute format('alter table public.%I enable row level security', v_name);
          execute format('alter table public.%I force row level security', v_name);
          execute format('alter table public.usage_events attach partition public.%I for values from (%L) to (%L)',
            v_name, v_start, (v_start + interval '1 month')::date);
          v_made := v_made + 1;
        end if;
        v_start := (v_start + interval '1 month')::date;
      end loop;
      return v_made;
    end
  $$;
comment on function app.make_usage_partitions(integer) is
  'Makes the partitions of this month and of so many months ahead that are missing, closed to everybody like their siblings; '
  'returns how many. Definer: only the owner of the table may, and a job asks for it.';

create function app.record_usage(
  p_tenant uuid, p_time_zone text, p_meters text[], p_users text[], p_meter integer[], p_user integer[], p_values numeric[],
  p_keys uuid[], p_event_ids text[], p_sources text[], p_times timestamptz[], p_properties jsonb[],
  p_probe boolean, p_repeats boolean, p_strict boolean, p_report boolean
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
      v_counts boolean[];
      v_negative boolean[];
      v_customer_ids uuid[];
      v_customer_codes smallint[];
      v_tiers uuid[];
      v_anchors integer[];
      v_default uuid;
      v_amounts numeric[] := p_values;
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
      v_used numeric[];
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
      end if;
      v_month := date_trunc('month', v_now at time zone 'UTC')::date;
      v_today := (v_now at time zone p_time_zone)::date;
      v_first := date_trunc('month', v_today::timestamp)::date;
      select * into v_settings from public.usage_settings s where s.tenant_id = p_tenant;
      select t.id into v_default from public.tiers t where t.tenant_id = p_tenant and t.is_default;

      -- Meters and customers, by their position in what was sent. Each is looked up by itself (lateral, limit 1), so that the plan
      -- that is kept stays right however large the tables become.
      select array_agg(coalesce(m.id, v_none)), array_agg(case when m.id is null then 3 when m.archived_at is not null then 4 else 0 end),
          array_agg(coalesce(m.aggregation = 'COUNT', false)), array_agg(coalesce(m.allows_negative, false))
        into v_meter_ids, v_meter_codes, v_counts, v_negative
        from unnest(p_meters) r (ref)
        left join lateral (
          select x.id, x.archived_at, x.aggregation, x.allows_negative from public.meters x where x.tenant_id = p_tenant and x.slug = r.ref
          union all
          select x.id, x.archived_at, x.aggregation, x.allows_negative from public.meters x
            where x.tenant_id = p_tenant and x.id = case when pg_input_is_valid(r.ref, 'uuid') then r.ref::uuid end
          limit 1
        ) m on true;
      for attempt in 1 .. 2 loop
        select array_agg(coalesce(c.id, v_none)), array_agg(case when c.id is null then 5 when c.archived_at is not null then 6 else 0 end),
            array_agg(coalesce(s.tier_id, v_default, v_none)), array_agg(coalesce(s.anchor_day, 1))
          into v_customer_ids, v_customer_codes, v_tiers, v_anchors
          from unnest(p_users) r (ref)
          left join lateral (
            select x.id, x.archived_at from public.customers x where x.tenant_id = p_tenant and x.external_id = r.ref limit 1
          ) c on true
          left join lateral (
            select x.tier_id, x.anchor_day from public.subscriptions x
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
      if true = any (v_counts) then
        select array_agg(case when v_counts[e.m] then 1 else e.v end) into v_amounts from unnest(p_meter, p_values) e (m, v);
      end if;
      if p_times is null then
        v_days := array_fill(v_today, array[cardinality(p_meter)]);
        select array_agg(case
            when v_meter_codes[e.m] <> 0 then v_meter_codes[e.m]
            when v_customer_codes[e.u] <> 0 then v_customer_codes[e.u]
            when e.v < 0 and not v_negative[e.m] then 9 else 0 end)
          into v_asked from unnest(p_meter, p_user, p_values) e (m, u, v);
      else
        select array_agg((coalesce(e.t, v_now) at time zone p_time_zone)::date), array_agg(case
            when v_meter_codes[e.m] <> 0 then v_meter_codes[e.m]
            when v_customer_codes[e.u] <> 0 then v_customer_codes[e.u]
            when e.v < 0 and not v_negative[e.m] then 9
            when e.t < v_now - make_interval(days => coalesce(v_settings.accepts_late_days, 35)) then 7
            when e.t > v_now + make_interval(secs => coalesce(v_settings.accepts_early_seconds, 300)) then 8 else 0 end)
          into v_days, v_asked from unnest(p_meter, p_user, p_values, p_times) e (m, u, v, t);
      end if;
      v_capped := exists (
        select 1 from public.tier_caps c where c.tenant_id = p_tenant and c.meter_id = any (v_meter_ids) and c.behaviour = 'reject');

      for attempt in 1 .. 10 loop
        begin
          v_codes := v_asked;
          v_refused := null;

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
                from unnest(p_keys, v_codes, p_meter, p_user, p_values, p_times, p_properties)
                  with ordinality k (key, code, m, u, v, t, properties, ord)
                left join lateral (
                  select * from public.usage_events x where x.tenant_id = p_tenant and x.id = k.key and x.received_month <= v_month limit 1
                ) e on true;
            end if;
          end if;
          if p_repeats then
            select array_agg(case
                when k.code <> 0 or k.ord = k.first then k.code
                when k.m = p_meter[k.first] and k.u = p_user[k.first] and k.v = p_values[k.first]
                  and k.t is not distinct from p_times[k.first] and k.properties is not distinct from p_properties[k.first] then 1
                else 2 end order by k.ord)
              into v_codes
              from (
                select *, min(r.ord) filter (where r.code = 0) over (partition by r.key) as first
                from unnest(p_keys, v_codes, p_meter, p_user, p_values, p_times, p_properties)
                  with ordinality r (key, code, m, u, v, t, properties, ord)
              ) k;
          end if;

          -- Hard caps: hold the counters, in one order for everybody, then let in what fits, first come first served.
          if v_capped then
            select array_agg(q.u), array_agg(q.m), array_agg(q.starts_on), array_agg(q.period), array_agg(q.cap_limit), array_agg(q.total)
              into v_pair_users, v_pair_meters, v_pair_starts, v_pair_periods, v_pair_limits, v_pair_totals
              from (
                select e.u, e.m, case when c.period = 'day' then e.day else app.period_start(e.day, c.period, v_anchors[e.u]) end as starts_on,
                  c.period, c.cap_limit, sum(e.total) as total
                from (
                  select e.u, e.m, e.day, sum(e.amount) as total from unnest(p_user, p_meter, v_amounts, v_days, v_codes) e (u, m, amount, day, code)
                  where e.code = 0
                  group by 1, 2, 3
                ) e
                cross join lateral (
                  select x.cap_limit, x.period from public.tier_caps x
                  where x.tenant_id = p_tenant and x.tier_id = v_tiers[e.u] and x.meter_id = v_meter_ids[e.m] and x.behaviour = 'reject'
                  limit 1
                ) c
                group by 1, 2, 3, 4, 5
                order by 4, v_meter_ids[e.m], 3, v_customer_ids[e.u]
              ) q;
          end if;
          if v_pair_users is not null then
            insert into public.usage_counters (tenant_id, period, meter_id, starts_on, customer_id, used, events)
              select p_tenant, q.period, v_meter_ids[q.m], q.starts_on, v_customer_ids[q.u], 0, 0
              from unnest(v_pair_periods, v_pair_meters, v_pair_starts, v_pair_users) q (period, m, starts_on, u)
              order by 2, 3, 4, 5
              on conflict (tenant_id, period, meter_id, starts_on, customer_id) do nothing;
            select array_agg(h.used), bool_or(h.used + q.total > q.cap_limit) into v_used, v_over
              from unnest(v_pair_periods, v_pair_meters, v_pair_starts, v_pair_users, v_pair_limits, v_pair_totals)
                q (period, m, starts_on, u, cap_limit, total)
              cross join lateral (
                select c.used from public.usage_counters c
                where c.tenant_id = p_tenant and c.period = q.period and c.meter_id = v_meter_ids[q.m] and c.starts_on = q.starts_on
                  and c.customer_id = v_customer_ids[q.u]
                for update
              ) h;
            if v_over then
              for v_event in
                select e.ord, e.amount, q.ord as pair, q.cap_limit, q.period, q.starts_on, v_anchors[q.u] as anchor
                from unnest(p_user, p_meter, v_amounts, v_days, v_codes) with ordinality e (u, m, amount, day, code, ord)
                join unnest(v_pair_periods, v_pair_meters, v_pair_starts, v_pair_users, v_pair_limits, v_pair_totals)
                    with ordinality q (period, m, starts_on, u, cap_limit, total, ord)
                  on q.u = e.u and q.m = e.m and q.starts_on = app.period_start(e.day, q.period, v_anchors[e.u])
                where e.code = 0 and v_used[q.ord] + q.total > q.cap_limit
                order by e.ord
              loop
                if v_event.amount <= 0 or v_used[v_event.pair] + v_event.amount <= v_event.cap_limit then
                  v_used[v_event.pair] := v_used[v_event.pair] + v_event.amount;
                else
                  v_codes[v_event.ord] := 10;
                  v_refused := coalesce(v_refused, '[]') || jsonb_build_array(jsonb_build_array(v_event.ord, v_event.cap_limit::text,
                    v_used[v_event.pair]::text, v_event.period,
                    extract(epoch from app.period_end(v_event.starts_on, v_event.period, v_event.anchor)::timestamp at time zone p_time_zone)));
                end if;
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
          if p_strict and not 1 >= all (v_codes) then
            raise exception using errcode = 'TM020', message = 'strict', detail = jsonb_build_object('codes', v_codes, 'refused', v_refused)::text;
          end if;

          insert into public.usage_events (tenant_id, id, meter_id, customer_id, value, occurred_at, received_at, received_month,
              event_id, source, properties)
            select p_tenant, e.key, v_meter_ids[e.m], v_customer_ids[e.u], e.v, coalesce(e.t, v_now), v_now, v_month,
              e.event_id, e.source, e.properties
            from unnest(p_keys, p_meter, p_user, p_values, p_times, p_event_ids, p_sources, p_properties, v_codes)
              e (key, m, u, v, t, event_id, source, properties, code)
            where e.code = 0
            order by e.key;
          -- Counters, in one order for everybody. An upsert needs no plan that could turn bad as the table grows.
          with days as materialized (
            select e.u, e.m, e.day, case v_anchors[e.u]
                when 1 then e.day - date_part('day', e.day)::integer + 1
                else app.period_start(e.day, 'month', v_anchors[e.u]) end as month, sum(e.amount) as used, count(*) as events
            from unnest(p_user, p_meter, v_days, v_amounts, v_codes) e (u, m, day, amount, code)
            where e.code = 0
            group by 1, 2, 3
          ),
          counters as (
            insert into public.usage_counters (tenant_id, period, meter_id, starts_on, customer_id, used, events)
              select p_tenant, 'day', v_meter_ids[d.m], d.day, v_customer_ids[d.u], d.used, d.events from days d
              union all
              select p_tenant, 'month', v_meter_ids[d.m], d.month, v_customer_ids[d.u], sum(d.used), sum(d.events) from days d group by 3, 4, 5
              order by 2, 3, 4, 5
              on conflict (tenant_id, period, meter_id, starts_on, customer_id) do update
                set used = usage_counters.used + excluded.used, events = usage_counters.events + excluded.events
          )
          insert into public.usage_totals (tenant_id, meter_id, day, used, events)
            select p_tenant, v_meter_ids[d.m], d.day, sum(d.used), sum(d.events) from days d group by 2, 3 order by 2, 3
            on conflict (tenant_id, meter_id, day) do update
              set used = usage_totals.used + excluded.used, events = usage_totals.events + excluded.events;
          exit;
        exception when unique_violation then
          -- One of these events is here already: look first in the next round.
          if attempt = 10 then
            raise;
          end if;
          v_probe := true;
        end;
      end loop;

      if p_report then
        -- Resets of the calendar are the same for all.
        v_day_end := extract(epoch from (v_today + 1)::timestamp at time zone p_time_zone);
        v_month_end := extract(epoch from (v_first + interval '1 month') at time zone p_time_zone);
        select jsonb_agg(jsonb_build_array(e.u, e.m, coalesce(c.used, 0)::text, t.cap_limit::text, t.behaviour, q.period, q.ends))
          into v_usage
          from (
            select distinct e.u, e.m from unnest(p_user, p_meter) e (u, m) where v_meter_codes[e.m] = 0 and v_customer_codes[e.u] = 0
          ) e
          left join lateral (
            select x.cap_limit, x.behaviour, x.period from public.tier_caps x
            where x.tenant_id = p_tenant and x.tier_id = v_tiers[e.u] and x.meter_id = v_meter_ids[e.m] limit 1
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
            select x.used from public.usage_counters x
            where x.tenant_id = p_tenant and x.period = q.period and x.meter_id = v_meter_ids[e.m] and x.starts_on = q.starts_on
              and x.customer_id = v_customer_ids[e.u]
            limit 1
          ) c on true;
      end if;
      return jsonb_build_object(
        'codes', case when not 0 = all (v_codes) then to_jsonb(v_codes) end,
        'refused', v_refused, 'usage', v_usage);
    end
  $$;
comment on function app.record_usage(uuid, text, text[], text[], integer[], integer[], numeric[], uuid[], text[], text[], timestamptz[], jsonb[],
    boolean, boolean, boolean, boolean) is
  'Takes in up to a thousand events of the current tenant: each is counted once, or answered with why not, and caps hold exactly. '
  'Meters and users are lists without repetition, p_meter and p_user the position of each event''s own in them, from 1. p_probe looks '
  'first whether events are here already (worth its cost when repetitions are to be expected), p_repeats for repetitions within. '
  'Returns {codes: null when all are new, else per event 0 inserted, 1 duplicate, 2 conflict, 3 unknown meter, 4 archived meter, '
  '5 unknown customer, 6 archived customer, 7 too late, 8 too early, 9 negative, 10 over a hard cap; refused: [position, limit, used, period, '
  'reset epoch] of the latter; usage: [user, meter, used, limit, behaviour, period, reset epoch] when asked}. '
  'TM020 when strict and anything but new or duplicate is in it; nothing is written then.';

create function app.ingest_usage(
  p_tenant uuid, p_epoch bigint, p_actor jsonb, p_time_zone text, p_meters text[], p_users text[], p_meter integer[], p_user integer[],
  p_values numeric[], p_keys uuid[], p_event_ids text[], p_sources text[], p_times timestamptz[], p_properties jsonb[],
  p_probe boolean, p_repeats boolean, p_strict boolean, p_report boolean
) returns jsonb
  language plpgsql volatile set search_path = ''
  as $$
    begin
      perform app.begin_tenant(p_tenant, p_epoch, p_actor);
      return app.record_usage(p_tenant, p_time_zone, p_meters, p_users, p_meter, p_user, p_values, p_keys, p_event_ids, p_sources, p_times,
        p_properties, p_probe, p_repeats, p_strict, p_report);
    end
  $$;
comment on function app.ingest_usage(uuid, bigint, jsonb, text, text[], text[], integer[], integer[], numeric[], uuid[], text[], text[],
    timestamptz[], jsonb[], boolean, boolean, boolean, boolean) is
  'begin_tenant and record_usage in one statement, so that a batch is one round trip and one commit.';

create function app.ingest_usage_once(
  p_key text, p_request_hash bytea,
  p_tenant uuid, p_epoch bigint, p_actor jsonb, p_time_zone text, p_meters text[], p_users text[], p_meter integer[], p_user integer[],
  p_values numeric[], p_keys uuid[], p_event_ids text[], p_sources text[], p_times timestamptz[], p_properties jsonb[],
  p_probe boolean, p_repeats boolean, p_strict boolean, p_report boolean
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
        p_properties, p_probe, p_repeats, p_strict, p_report);
      update public.idempotency_keys i set status = 200, body = v_result::text
        where i.tenant_id = p_tenant and i.actor_id = app.actor_id() and i.key = p_key;
      return v_result;
    end
  $$;
comment on function app.ingest_usage_once(text, bytea, uuid, bigint, jsonb, text, text[], text[], integer[], integer[], numeric[], uuid[],
    text[], text[], timestamptz[], jsonb[], boolean, boolean, boolean, boolean) is
  'ingest_usage under an Idempotency-Key: a repeat gets the first result, with "replayed", and changes nothing. TM021 when the key was used '
  'with another request.';

create function app.keep_usage_rejections(p_tenant uuid, p_rows jsonb) returns void
  language plpgsql volatile set search_path = ''
  as $$
    begin
      insert into public.usage_rejections (tenant_id, id, received_at, code, detail, event, request_id)
        select p_tenant, app.uuid_v7(), clock_timestamp(), r.code, r.detail, r.event, r.request_id
        from jsonb_to_recordset(p_rows) r (code text, detail text, event jsonb, request_id text);
      -- One time in twenty is often enough to keep the list short.
      if random() < 0.05 then
        delete from public.usage_rejections r where r.tenant_id = p_tenant and r.id < (
          select o.id from public.usage_rejections o where o.tenant_id = p_tenant order by o.id desc offset 10000 limit 1);
      end if;
    end
  $$;
comment on function app.keep_usage_rejections(uuid, jsonb) is
  'Keeps refused events [{code, detail, event, request_id}] of the current tenant, and forgets the oldest beyond some ten thousand.';

create function app.ingest_usage_rejections(p_tenant uuid, p_epoch bigint, p_actor jsonb, p_rows jsonb) returns void
  language plpgsql volatile set search_path = ''
  as $$
    begin
      perform app.begin_tenant(p_tenant, p_epoch, p_actor);
      perform app.keep_usage_rejections(p_tenant, p_rows);
    end
  $$;
comment on function app.ingest_usage_rejections(uuid, bigint, jsonb, jsonb) is 'begin_tenant and keep_usage_rejections in one statement.';

create function app.next_tiers(p_tenant uuid, p_meter uuid, p_limit numeric) returns jsonb
  language plpgsql stable set search_path = ''
  as $$
    begin
      return (
        select coalesce(jsonb_agg(to_jsonb(n)), '[]') from (
          select t.id, t.slug, t.name, t.price_minor, t.currency, t.billing_interval, c.cap_limit::text as limit
          from public.tiers t
          left join public.tier_caps c on c.tenant_id = p_tenant and c.tier_id = t.id and c.meter_id = p_meter
          where t.tenant_id = p_tenant and t.archived_at is null and (c.id is null or c.cap_limit > p_limit)
          order by t.price_minor, t.slug
          limit 3
        ) n);
    end
  $$;
comment on function app.next_tiers(uuid, uuid, numeric) is 'The cheapest three tiers of the current tenant that allow more of a meter: what an upgrade prompt offers.';

create function app.read_usage(p_tenant uuid, p_time_zone text, p_meters text[], p_users text[], p_amounts numeric[]) returns jsonb
  language plpgsql stable set search_path = '' set plan_cache_mode = force_generic_plan set enable_seqscan = off
  as $$
    declare
      v_today date := (statement_timestamp() at time zone p_time_zone)::date;
      v_first date := date_trunc('month', v_today::timestamp)::date;
      v_day_end numeric := extract(epoch from (v_today + 1)::timestamp at time zone p_time_zone);
      v_month_end numeric := extract(epoch from (v_first + interval '1 month') at time zone p_time_zone);
      v_default uuid;
      v_open boolean;
      v_answers jsonb;
    begin
      select t.id into v_default from public.tiers t where t.tenant_id = p_tenant and t.is_default;
      select s.creates_customers into v_open from public.usage_settings s where s.tenant_id = p_tenant;
      select jsonb_agg(jsonb_build_array(
          case
            when m.id is null or (c.id is null and not coalesce(v_open, true)) then 'NOT_FOUND'
            when m.archived_at is not null or c.archived_at is not null then 'DISABLED'
            when t.behaviour is distinct from 'reject' or coalesce(k.used, 0) + r.amount < t.cap_limit
              or (r.amount > 0 and coalesce(k.used, 0) + r.amount = t.cap_limit) then 'VALID'
            else 'USAGE_EXCEEDED' end,
          t.cap_limit::text, coalesce(k.used, 0)::text, t.behaviour, q.period, q.ends, m.slug,
          case when t.cap_limit is not null and coalesce(k.used, 0) + r.amount > t.cap_limit then app.next_tiers(p_tenant, m.id, t.cap_limit) end))
        into v_answers
        from unnest(p_meters, p_users, p_amounts) r (meter, customer, amount)
        left join lateral (
          select x.id, x.slug, x.archived_at from public.meters x where x.tenant_id = p_tenant and x.slug = r.meter
          union all
          select x.id, x.slug, x.archived_at from public.meters x
            where x.tenant_id = p_tenant and x.id = case when pg_input_is_valid(r.meter, 'uuid') then r.meter::uuid end
          limit 1
        ) m on true
        left join lateral (
          select x.id, x.archived_at from public.customers x where x.tenant_id = p_tenant and x.external_id = r.customer limit 1
        ) c on true
        left join lateral (
          select x.tier_id, x.anchor_day from public.subscriptions x
          where x.tenant_id = p_tenant and x.customer_id = c.id and x.canceled_at is null limit 1
        ) s on true
        left join lateral (
          select x.cap_limit, x.behaviour, x.period from public.tier_caps x
          where x.tenant_id = p_tenant and x.tier_id = coalesce(s.tier_id, v_default) and x.meter_id = m.id limit 1
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
          where x.tenant_id = p_tenant and x.period = q.period and x.meter_id = m.id and x.starts_on = q.starts_on and x.customer_id = c.id
          limit 1
        ) k on true;
      return v_answers;
    end
  $$;
comment on function app.read_usage(uuid, text, text[], text[], numeric[]) is
  'What customers of the current tenant may use: per question [code, limit, used, behaviour, period, reset epoch, meter, next tiers when the cap is passed]. '
  'Amount 0 is a look: VALID as long as anything is left. Customers who do not exist yet count as new ones where the tenant makes them.';

create function app.check_usage(
  p_tenant uuid, p_epoch bigint, p_actor jsonb, p_time_zone text, p_meters text[], p_users text[], p_amounts numeric[]
) returns jsonb
  language plpgsql volatile set search_path = ''
  as $$
    begin
      perform app.begin_tenant(p_tenant, p_epoch, p_actor);
      return app.read_usage(p_tenant, p_time_zone, p_meters, p_users, p_amounts);
    end
  $$;
comment on function app.check_usage(uuid, bigint, jsonb, text, text[], text[], numeric[]) is
  'begin_tenant and read_usage in one statement: all checks of a tenant that wait at one moment are one round trip.';

create function app.customer_usage(p_tenant uuid, p_customer uuid, p_time_zone text)
  returns table (
    meter_id uuid, meter text, name text, unit text, cap_limit numeric, behaviour text, period text, used numeric,
    starts_on date, resets_at timestamptz
  )
  language sql stable set search_path = ''
  as $$
    with tier as (
      select coalesce(s.tier_id, d.id) as id, coalesce(s.anchor_day, 1)::integer as anchor
      from (values (1)) v (one)
      left join public.subscriptions s on s.tenant_id = p_tenant and s.customer_id = p_customer and s.canceled_at is null
      left join public.tiers d on d.tenant_id = p_tenant and d.is_default
    )
    select m.id, m.slug, m.name, m.unit, c.cap_limit, c.behaviour, p.period, coalesce(k.used, 0), p.starts_on,
      app.period_end(p.starts_on, p.period, t.anchor)::timestamp at time zone p_time_zone
    from tier t
    cross join public.meters m
    left join public.tier_caps c on c.tenant_id = p_tenant and c.tier_id = t.id and c.meter_id = m.id
    cross join lateral (
      select coalesce(c.period, 'month') as period,
        app.period_start((statement_timestamp() at time zone p_time_zone)::date, coalesce(c.period, 'month'), t.anchor) as starts_on
    ) p
    left join public.usage_counters k on k.tenant_id = p_tenant and k.period = p.period and k.meter_id = m.id and k.starts_on = p.starts_on
      and k.customer_id = p_customer
    where m.tenant_id = p_tenant and m.archived_at is null
    order by m.slug
  $$;
comment on function app.customer_usage(uuid, uuid, text) is
  'What a customer of the current tenant has used of every meter in its present period, with the cap of its tier where there is one.';

create function app.rebuild_customer_counters(p_tenant uuid, p_customer uuid, p_anchor integer) returns void
  language plpgsql volatile set search_path = ''
  as $$
    begin
      perform pg_advisory_xact_lock(hashtextextended('usage ' || p_tenant::text, 0));
      update public.usage_counters c set used = 0, events = 0
        where c.tenant_id = p_tenant and c.period = 'month' and c.customer_id = p_customer;
      insert into public.usage_counters (tenant_id, period, meter_id, starts_on, customer_id, used, events)
        select p_tenant, 'month', d.meter_id, app.period_start(d.starts_on, 'month', p_anchor), p_customer, sum(d.used), sum(d.events)
        from public.usage_counters d where d.tenant_id = p_tenant and d.period = 'day' and d.customer_id = p_customer
        group by 3, 4 order by 3, 4
        on conflict (tenant_id, period, meter_id, starts_on, customer_id) do update set used = excluded.used, events = excluded.events;
    end
  $$;
comment on function app.rebuild_customer_counters(uuid, uuid, integer) is
  'Makes the monthly counters of a customer anew from the daily ones, when its periods begin on another day. Holds off all writers of the tenant.';

-- triggers ------------------------------------------------------------------------------------------
-- Events and counters have none: they are the record themselves.

create trigger usage_settings_audit after insert or update or delete on public.usage_settings
  for each row execute function app.audit_row('usage_settings');
comment on trigger usage_settings_audit on public.usage_settings is '@move-safe';

-- grants and policies -------------------------------------------------------------------------------
-- A writer reads what it adds to (duplicates, counters), so usage:write sees these rows as well; the routes that show them ask for usage:read.

alter table public.usage_settings enable row level security;
alter table public.usage_settings force row level security;
grant select, insert on public.usage_settings to app_tenant;
grant update (creates_customers, accepts_late_days, accepts_early_seconds, updated_at) on public.usage_settings to app_tenant;
create policy usage_settings_isolation on public.usage_settings as restrictive for all to app_tenant
  using (tenant_id = (select app.tenant_id())) with check (tenant_id = (select app.tenant_id()));
create policy usage_settings_select on public.usage_settings for select to app_tenant
  using ((select app.can_any('{usage:read,usage:write}')));
create policy usage_settings_insert on public.usage_settings for insert to app_tenant with check ((select app.can('meters:write')));
create policy usage_settings_update on public.usage_settings for update to app_tenant
  using ((select app.can('meters:write'))) with check ((select app.can('meters:write')));

alter table public.usage_events enable row level security;
alter table public.usage_events force row level security;
grant select, insert on public.usage_events to app_tenant;
create policy usage_events_isolation on public.usage_events as restrictive for all to app_tenant
  using (tenant_id = (select app.tenant_id())) with check (tenant_id = (select app.tenant_id()));
create policy usage_events_select on public.usage_events for select to app_tenant
  using ((select app.can_any('{usage:read,usage:write}')));
create policy usage_events_insert on public.usage_events for insert to app_tenant with check ((select app.can('usage:write')));

alter table public.usage_counters enable row level security;
alter table public.usage_counters force row level security;
grant select, insert on public.usage_counters to app_tenant;
grant update (used, events) on public.usage_counters to app_tenant;
create policy usage_counters_isolation on public.usage_counters as restrictive for all to app_tenant
  using (tenant_id = (select app.tenant_id())) with check (tenant_id = (select app.tenant_id()));
create policy usage_counters_select on public.usage_counters for select to app_tenant
  using ((select app.can_any('{usage:read,usage:write}')) or customer_id = (select app.customer_id()));
-- A change of subscription may begin its periods on another day, and makes the monthly rows anew.
create policy usage_counters_insert on public.usage_counters for insert to app_tenant
  with check ((select app.can_any('{usage:write,customers:write}')));
create policy usage_counters_update on public.usage_counters for update to app_tenant
  using ((select app.can_any('{usage:write,customers:write}'))) with check ((select app.can_any('{usage:write,customers:write}')));

alter table public.usage_totals enable row level security;
alter table public.usage_totals force row level security;
grant select, insert on public.usage_totals to app_tenant;
grant update (used, events) on public.usage_totals to app_tenant;
create policy usage_totals_isolation on public.usage_totals as restrictive for all to app_tenant
  using (tenant_id = (select app.tenant_id())) with check (tenant_id = (select app.tenant_id()));
create policy usage_totals_select on public.usage_totals for select to app_tenant
  using ((select app.can_any('{usage:read,usage:write}')));
create policy usage_totals_insert on public.usage_totals for insert to app_tenant with check ((select app.can('usage:write')));
create policy usage_totals_update on public.usage_totals for update to app_tenant
  using ((select app.can('usage:write'))) with check ((select app.can('usage:write')));

alter table public.usage_rejections enable row level security;
alter table public.usage_rejections force row level security;
grant select, insert, delete on public.usage_rejections to app_tenant;
create policy usage_rejections_isolation on public.usage_rejections as restrictive for all to app_tenant
  using (tenant_id = (select app.tenant_id())) with check (tenant_id = (select app.tenant_id()));
create policy usage_rejections_select on public.usage_rejections for select to app_tenant
  using ((select app.can_any('{usage:read,usage:write}')));
create policy usage_rejections_insert on public.usage_rejections for insert to app_tenant with check ((select app.can('usage:write')));
create policy usage_rejections_delete on public.usage_rejections for delete to app_tenant using ((select app.can('usage:write')));

select app.make_usage_partitions(3);

revoke all on all functions in schema app from public;
grant execute on function app.days_in_month(date), app.period_start(date, text, integer),
  app.period_end(date, text, integer) to app_tenant;
grant execute on function app.make_usage_partitions(integer) to app_tenant, app_platform;
grant execute on function app.record_usage(uuid, text, text[], text[], integer[], integer[], numeric[], uuid[], text[], text[], timestamptz[],
  jsonb[], boolean, boolean, boolean, boolean) to app_tenant;
grant execute on function app.ingest_usage(uuid, bigint, jsonb, text, text[], text[], integer[], integer[], numeric[], uuid[], text[], text[],
  timestamptz[], jsonb[], boolean, boolean, boolean, boolean) to app_tenant;
grant execute on function app.ingest_usage_once(text, bytea, uuid, bigint, jsonb, text, text[], text[], integer[], integer[], numeric[], uuid[],
  text[], text[], timestamptz[], jsonb[], boolean, boolean, boolean, boolean) to app_tenant;
grant execute on function app.keep_usage_rejections(uuid, jsonb), app.ingest_usage_rejections(uuid, bigint, jsonb, jsonb) to app_tenant;
grant execute on function app.next_tiers(uuid, uuid, numeric), app.read_usage(uuid, text, text[], text[], numeric[]) to app_tenant;
grant execute on function app.check_usage(uuid, bigint, jsonb, text, text[], text[], numeric[]) to app_tenant;
grant execute on function app.customer_usage(uuid, uuid, text), app.rebuild_customer_counters(uuid, uuid, integer) to app_tenant;
