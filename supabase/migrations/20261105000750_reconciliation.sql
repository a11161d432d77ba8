-- Reconciliation: every running total against the events it is made of. It never waits for writers and never holds them up: one
-- statement sees events and totals of one moment. And retention, which lets events go a month at a time once their totals are sealed.

-- tables --------------------------------------------------------------------------------------------

create table public.reconciliations (
  tenant_id uuid not null default app.tenant_id(),
  id uuid not null,
  requested_by text not null check (requested_by in ('schedule', 'person', 'retention')),
  status text not null default 'waiting' check (status in ('waiting', 'running', 'finished', 'failed')),
  created_at timestamptz not null default now(),
  started_at timestamptz,
  finished_at timestamptz,
  from_day date,
  events bigint,
  rows_checked bigint,
  drifts bigint,
  error text,
  repaired_at timestamptz,
  repaired bigint,
  primary key (tenant_id, id)
);
comment on table public.reconciliations is '@tenant Runs that compared every running total of usage with the events it is made of.';
comment on column public.reconciliations.from_day is 'First day that was compared; null for all. Days before it are sealed: some of their events are gone.';
comment on column public.reconciliations.events is 'Events that were read.';
comment on column public.reconciliations.rows_checked is 'Running totals that were compared.';
comment on column public.reconciliations.drifts is 'Running totals that were not what the events say; the first thousand are in reconciliation_drifts.';
comment on column public.reconciliations.repaired is 'How many were set to what the events say.';

create table public.reconciliation_drifts (
  tenant_id uuid not null default app.tenant_id(),
  reconciliation_id uuid not null,
  position integer not null,
  table_name text not null,
  row_key jsonb not null,
  stored jsonb,
  expected jsonb,
  primary key (tenant_id, reconciliation_id, position),
  foreign key (tenant_id, reconciliation_id) references public.reconciliations (tenant_id, id)
);
comment on table public.reconciliation_drifts is '@tenant A running total that was not what its events say, named to the row.';
comment on column public.reconciliation_drifts.stored is 'What the row held; null when there was no row.';
comment on column public.reconciliation_drifts.expected is 'What the events come to; null when there are none.';

create table public.usage_seals (
  tenant_id uuid not null default app.tenant_id(),
  month date not null,
  events bigint not null,
  drifts bigint not null,
  sealed_at timestamptz not null default now(),
  primary key (tenant_id, month)
);
comment on table public.usage_seals is
  '@tenant Months of reception whose events may go: their totals were compared with them a last time. What was counted stays.';
comment on column public.usage_seals.drifts is 'Running totals that differed at that time, and were set to what the events said.';

-- indexes -------------------------------------------------------------------------------------------

create index reconciliations_newest_idx on public.reconciliations (tenant_id, created_at);

-- functions -----------------------------------------------------------------------------------------

create function app.unsealed_from(p_tenant uuid) returns date
  language plpgsql stable set search_path = ''
  as $$
    begin
      -- Nothing is received more than a day before it happens, and a day of the farthest zone begins half a day away.
      return (select (max(s.month) + interval '1 month 2 days')::date from public.usage_seals s where s.tenant_id = p_tenant);
    end
  $$;
comment on function app.unsealed_from(uuid) is 'First day all events of which are still there; null when none are gone.';

create function app.find_usage_drift(p_tenant uuid, p_time_zone text, p_meters uuid[], p_from date)
  returns table (table_name text, row_key jsonb, stored jsonb, expected jsonb, events bigint, rows_checked bigint)
  language plpgsql stable set search_path = '' set plan_cache_mode = force_custom_plan set jit = off
  as $$
    #variable_conflict use_column
    declare
      v_none constant uuid := '00000000-0000-0000-0000-000000000000';
      v_since timestamptz := coalesce(app.day_start(p_from, p_time_zone), '-infinity');
    begin
      return query
        with
        meters as materialized (
          select m.id, m.slug, m.aggregation, m.value_property, m.group_by, m.aggregation = 'LATEST' as latest, m.aggregation = 'WEIGHTED_SUM' as weighted
          from public.meters m where m.tenant_id = p_tenant and (p_meters is null or m.id = any (p_meters))
        ),
        anchors as materialized (
          select s.customer_id, s.anchor_day::integer as anchor from public.subscriptions s where s.tenant_id = p_tenant and s.canceled_at is null
        ),
        taken_back as materialized (
          select e.corrects as id from public.usage_events e
          where e.tenant_id = p_tenant and e.corrects is not null and e.weight = -1
        ),
        -- One reading of the events, into cells that fit into every total.
        cells as materialized (
          select e.meter_id, e.customer_id, (e.occurred_at at time zone p_time_zone)::date as day, date_trunc('hour', e.occurred_at, 'UTC') as hour,
            case when m.group_by <> '{}' and m.aggregation <> 'UNIQUE_COUNT' then (
              select jsonb_object_agg(g.name, e.properties ->> g.name)::text from unnest(m.group_by) g (name)) end as group_text,
            case when m.aggregation = 'UNIQUE_COUNT' then md5(e.properties ->> m.value_property)::uuid end as value_hash,
            case when m.latest then e.occurred_at end as last_at, case when m.latest then e.received_at end as last_received_at,
            sum(case m.aggregation when 'COUNT' then coalesce(e.counted, 1) else coalesce(e.counted, e.value) end) as total, min(coalesce(e.counted, e.value)) as least,
            max(coalesce(e.counted, e.value)) as greatest, count(*) as events,
            case when m.aggregation = 'WEIGHTED_SUM' then sum(coalesce(e.counted, e.value) * extract(epoch from e.occurred_at)) end as moment
          from public.usage_events e
          join meters m on m.id = e.meter_id
          where e.tenant_id = p_tenant and e.weight = 1 and e.received_at >= v_since - interval '1 day'
            and e.occurred_at >= v_since and not exists (select 1 from taken_back t where t.id = e.id)
          group by 1, 2, 3, 4, 5, 6, 7, 8, m.aggregation
        ),
        placed as materialized (
          select c.*, m.aggregation, m.group_by, m.latest, m.weighted, app.period_start(c.day, 'month', coalesce(a.anchor, 1)) as month
          from cells c
          join meters m on m.id = c.meter_id
          left join anchors a on a.customer_id = c.customer_id
          where p_from is null or c.day >= p_from
        ),
        summed as (
          select s.scope, p.meter_id, s.starts_on, s.hour, s.customer_id, s.group_text,
            case p.aggregation when 'MIN' then min(p.least) when 'MAX' then max(p.greatest) when 'UNIQUE_COUNT' then count(distinct p.value_hash)
              when 'LATEST' then (array_agg(p.greatest order by p.last_at desc, p.last_received_at desc))[1] else sum(p.total) end as used,
            sum(p.events)::bigint as events, sum(p.moment) as moment, max(p.last_at) as last_at,
            case when p.aggregation = 'LATEST' then (array_agg(p.last_received_at order by p.last_at desc, p.last_received_at desc))[1] end as last_received_at
          from placed p
          cross join lateral (
            values ('day', p.day, null::timestamptz, p.customer_id, null), ('month', p.month, null, p.customer_id, null),
              ('total', p.day, null, v_none, null), ('hour', null, p.hour, v_none, null), ('group', p.day, null, p.customer_id, p.group_text)
          ) s (scope, starts_on, hour, customer_id, group_text)
          where (s.scope <> 'hour' or p.aggregation <> 'UNIQUE_COUNT') and (s.scope <> 'group' or p.group_text is not null)
            and (s.scope <> 'month' or p_from is null or s.starts_on >= p_from)
          group by 1, 2, 3, 4, 5, 6, p.aggregation
        ),
        wanted as materialized (
          select case s.scope when 'total' then 'usage_totals' when 'hour' then 'usage_hours' when 'group' then 'usage_groups' else 'usage_counters' end
              as name, case when s.scope in ('day', 'month') then s.scope end as period, s.meter_id, s.starts_on, s.hour, s.customer_id,
            md5(s.group_text)::uuid as hash, s.used, s.events, s.moment, s.last_at, s.last_received_at
          from summed s
          union all
          select 'usage_uniques', s.period, p.meter_id, s.starts_on, null, s.customer_id, p.value_hash, null, sum(p.events)::bigint, null, null, null
          from placed p
          cross join lateral (values ('day', p.day, p.customer_id), ('month', p.month, p.customer_id), ('total', p.day, v_none)) s (period, starts_on, customer_id)
          where p.aggregation = 'UNIQUE_COUNT' and (s.period <> 'month' or p_from is null or s.starts_on >= p_from)
          group by 2, 3, 4, 6, 7
        ),
        kept as materialized (
          select 'usage_counters' as name, c.period, c.meter_id, c.starts_on, null::timestamptz as hour, c.customer_id, null::uuid as hash, c.used,
            c.events, c.moment, c.last_at, c.last_received_at
          from public.usage_counters c join meters m on m.id = c.meter_id
          where c.tenant_id = p_tenant and (p_from is null or c.starts_on >= p_from)
          union all
          select 'usage_totals', null, c.meter_id, c.day, null, v_none, null, c.used, c.events, c.moment, c.last_at, c.last_received_at
          from public.usage_totals c join meters m on m.id = c.meter_id
          where c.tenant_id = p_tenant and (p_from is null or c.day >= p_from)
          union all
          select 'usage_hours', null, c.meter_id, null, c.hour, v_none, null, c.used, c.events, c.moment, c.last_at, c.last_received_at
          from public.usage_hours c join meters m on m.id = c.meter_id
          where c.tenant_id = p_tenant and (p_from is null or c.hour >= v_since + interval '1 hour')
          union all
          select 'usage_groups', null, c.meter_id, c.day, null, c.customer_id, c.group_hash, c.used, c.events, c.moment, c.last_at, c.last_received_at
          from public.usage_groups c join meters m on m.id = c.meter_id
          where c.tenant_id = p_tenant and (p_from is null or c.day >= p_from)
          union all
          select 'usage_uniques', c.period, c.meter_id, c.starts_on, null, c.customer_id, c.value_hash, null, c.events, null, null, null
          from public.usage_uniques c join meters m on m.id = c.meter_id
          where c.tenant_id = p_tenant and (p_from is null or c.starts_on >= p_from)
        ),
        compared as (
          select coalesce(w.name, k.name) as name, coalesce(w.period, k.period) as period, coalesce(w.meter_id, k.meter_id) as meter_id,
            coalesce(w.starts_on, k.starts_on) as starts_on, coalesce(w.hour, k.hour) as hour, coalesce(w.customer_id, k.customer_id) as customer_id,
            coalesce(w.hash, k.hash) as hash,
            case when k.name is not null then jsonb_strip_nulls(jsonb_build_object('used', k.used::text, 'events', k.events, 'moment', k.moment::text,
              'last_at', k.last_at, 'last_received_at', k.last_received_at)) end as stored,
            case when w.name is not null then jsonb_strip_nulls(jsonb_build_object('used', trim_scale(w.used)::text, 'events', w.events,
              'moment', trim_scale(w.moment)::text, 'last_at', w.last_at, 'last_received_at', w.last_received_at)) end as expected
          from wanted w
          full join kept k on k.name = w.name and k.meter_id = w.meter_id and k.customer_id = w.customer_id
            and coalesce(k.starts_on, '-infinity') = coalesce(w.starts_on, '-infinity') and coalesce(k.hour, '-infinity') = coalesce(w.hour, '-infinity')
            and coalesce(k.period, '') = coalesce(w.period, '') and coalesce(k.hash, v_none) = coalesce(w.hash, v_none)
          where (coalesce(k.used, 0) <> coalesce(w.used, 0) or coalesce(k.events, 0) <> coalesce(w.events, 0)
              or coalesce(k.moment, 0) <> coalesce(w.moment, 0) or k.last_at is distinct from w.last_at
              or k.last_received_at is distinct from w.last_received_at)
            -- The first hour of the range may hold events of the day before it.
            and (p_from is null or coalesce(w.hour, k.hour) is null or coalesce(w.hour, k.hour) >= v_since + interval '1 hour')
        ),
        balanced as (
          select b.customer_id, b.meter_id, b.starts_on, b.used, b.carried + coalesce(w.used, 0) as expected
          from public.balances b
          join meters m on m.id = b.meter_id
          cross join lateral app.balance_cap(p_tenant, b.customer_id, b.meter_id) c
          left join wanted w on w.name = 'usage_counters' and w.meter_id = b.meter_id and w.customer_id = b.customer_id and w.period = c.period
            and w.starts_on = b.starts_on
          where b.tenant_id = p_tenant and (p_from is null or b.starts_on >= p_from)
        ),
        counted as (
          select (select coalesce(sum(c.events), 0) from cells c)::bigint as events,
            (select count(*) from kept) + (select count(*) from balanced) as rows
        )
        select d.name, jsonb_strip_nulls(jsonb_build_object('meter', m.slug, 'meter_id', d.meter_id,
            'customer_id', nullif(d.customer_id, v_none), 'customer', u.external_id, 'period', d.period,
            'starts_on', d.starts_on, 'hour', d.hour, 'hash', d.hash)), d.stored, d.expected, n.events, n.rows
        from counted n
        left join (
          select * from compared
          union all
          select 'balances', null, b.meter_id, b.starts_on, null, b.customer_id, null, jsonb_build_object('used', trim_scale(b.used)::text),
            jsonb_build_object('used', trim_scale(b.expected)::text)
          from balanced b where b.used <> b.expected
        ) d on true
        left join meters m on m.id = d.meter_id
        left join public.customers u on u.tenant_id = p_tenant and u.id = d.customer_id
        order by d.name, m.slug, d.starts_on, d.hour, d.period, u.external_id;
    end
  $$;
comment on function app.find_usage_drift(uuid, text, uuid[], date) is
  'Every running total of the current tenant that is not what its events come to: of some meters or all, from a day on or all. Always at least one row, '
  'which says how many events and totals were read; its table_name is null when there is no drift. Reads one moment and locks nothing.';

create function app.reconcile_usage(p_tenant uuid, p_time_zone text, p_id uuid) returns public.reconciliations
  language plpgsql volatile set search_path = ''
  as $$
    declare
      v_from date := app.unsealed_from(p_tenant);
      v_run public.reconciliations;
    begin
      with found as materialized (
        select f.*, row_number() over () as place from app.find_usage_drift(p_tenant, p_time_zone, null, v_from) f
      ),
      named as (
        insert into public.reconciliation_drifts (tenant_id, reconciliation_id, position, table_name, row_key, stored, expected)
          select p_tenant, p_id, f.place, f.table_name, f.row_key, f.stored, f.expected
          from found f where f.table_name is not null and f.place <= 1000
      )
      update public.reconciliations r
        set status = 'finished', finished_at = clock_timestamp(), from_day = v_from, events = n.events, rows_checked = n.rows_checked, drifts = n.drifts
        from (select max(f.events) as events, max(f.rows_checked) as rows_checked, count(f.table_name) as drifts from found f) n
        where r.tenant_id = p_tenant and r.id = p_id
        returning r.* into v_run;
      return v_run;
    end
  $$;
comment on function app.reconcile_usage(uuid, text, uuid) is 'Does a run of reconciliations and names what it found.';

create function app.repair_usage(p_tenant uuid, p_time_zone text, p_meters uuid[], p_from date) returns bigint
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
      for v_row in select * from app.find_usage_drift(p_tenant, p_time_zone, p_meters, p_from) f where f.table_name is not null loop
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
                coalesce((
                  select app.event_group(m.group_by, e.properties) from public.meters m
                  join public.usage_events e on e.tenant_id = p_tenant and e.meter_id = v_meter and e.customer_id = v_customer
                  where m.tenant_id = p_tenant and m.id = v_meter and e.weight = 1
                    and e.received_at >= app.day_start((v_row.row_key ->> 'starts_on')::date, p_time_zone) - interval '1 day'
                    and md5(app.event_group(m.group_by, e.properties)::text)::uuid = (v_row.row_key ->> 'hash')::uuid
                  limit 1), '{}'), v_used, v_events, v_moment, v_last_at, v_last_received_at
              on conflict (tenant_id, meter_id, day, group_hash, customer_id) do update set used = excluded.used, events = excluded.events,
                moment = excluded.moment, last_at = excluded.last_at, last_received_at = excluded.last_received_at;
          when 'usage_uniques' then
            insert into public.usage_uniques (tenant_id, meter_id, period, starts_on, customer_id, value_hash, events)
              values (p_tenant, v_meter, v_row.row_key ->> 'period', (v_row.row_key ->> 'starts_on')::date, v_customer,
                (v_row.row_key ->> 'hash')::uuid, v_events)
              on conflict (tenant_id, meter_id, period, starts_on, customer_id, value_hash) do update set events = excluded.events;
          else
            v_balance := app.settle_balance(p_tenant, v_customer, v_meter, v_now, p_time_zone);
            if v_balance.starts_on = (v_row.row_key ->> 'starts_on')::date then
              perform app.burn_balance(p_tenant, v_customer, v_meter, v_used - v_balance.used, v_now);
            end if;
        end case;
      end loop;
      return v_count;
    end
  $$;
comment on function app.repair_usage(uuid, text, uuid[], date) is
  'Sets every running total that is not what its events say to what they say, and gives how many. Holds off the writers of the tenant meanwhile.';

create function app.repair_reconciliation(p_tenant uuid, p_time_zone text, p_id uuid) returns public.reconciliations
  language plpgsql volatile set search_path = ''
  as $$
    declare
      v_run public.reconciliations;
      v_meters uuid[];
      v_from date;
    begin
      select * into v_run from public.reconciliations r where r.tenant_id = p_tenant and r.id = p_id for update;
      if not found or v_run.status <> 'finished' then
        return v_run;
      end if;
      select array_agg(distinct (d.row_key ->> 'meter_id')::uuid),
          min(coalesce((d.row_key ->> 'starts_on')::date, ((d.row_key ->> 'hour')::timestamptz - interval '1 day')::date)) - 32
        into v_meters, v_from
        from public.reconciliation_drifts d where d.tenant_id = p_tenant and d.reconciliation_id = p_id;
      if v_run.drifts > 1000 then
        v_meters := null;
        v_from := null;
      end if;
      -- From the day before which events are gone, at the earliest.
      v_from := greatest(v_from, app.unsealed_from(p_tenant));
      update public.reconciliations r
        set repaired_at = clock_timestamp(),
          repaired = case when v_run.drifts > 0 then app.repair_usage(p_tenant, p_time_zone, v_meters, v_from) else 0 end
        where r.tenant_id = p_tenant and r.id = p_id
        returning r.* into v_run;
      perform app.log_audit('usage.repaired', 'reconciliation', p_id::text, 'success', null, null, jsonb_build_object('rows', v_run.repaired, 'drifts', (
        select jsonb_agg(jsonb_build_object('table', d.table_name, 'key', d.row_key, 'stored', d.stored, 'expected', d.expected) order by d.position)
        from public.reconciliation_drifts d where d.tenant_id = p_tenant and d.reconciliation_id = p_id and d.position <= 50)));
      return v_run;
    end
  $$;
comment on function app.repair_reconciliation(uuid, text, uuid) is
  'Sets what a run found, as it is now, to what the events say, in one transaction; on record as usage.repaired with the first fifty rows.';

create function app.tenants_to_reconcile(p_limit integer) returns table (tenant_id uuid)
  language sql stable security definer set search_path = ''
  as $$
    select s.tenant_id from public.tenant_states s
    where not exists (
        select 1 from public.reconciliations r
        where r.tenant_id = s.tenant_id and r.created_at > now() - interval '1 day' and r.status <> 'failed')
      and not exists (
        select 1 from public.reconciliations r where r.tenant_id = s.tenant_id and r.created_at > now() - interval '1 hour')
      and exists (
        select 1 from public.usage_events e
        where e.tenant_id = s.tenant_id and e.received_at > coalesce((
          select max(r.created_at) from public.reconciliations r where r.tenant_id = s.tenant_id and r.status = 'finished'), '-infinity'))
    limit p_limit
  $$;
comment on function app.tenants_to_reconcile(integer) is
  'Tenants that received usage since they were last reconciled, a day ago or longer. Definer: shows ids across tenants, nothing of their content.';

-- functions: retention ------------------------------------------------------------------------------

create function app.usage_months() returns table (month date)
  language plpgsql stable set search_path = ''
  as $$
    begin
      return query
        select to_date(right(c.relname, 6), 'YYYYMM')
        from pg_catalog.pg_inherits i join pg_catalog.pg_class c on c.oid = i.inhrelid
        where i.inhparent = 'public.usage_events'::regclass
        order by 1;
    end
  $$;
comment on function app.usage_months() is 'Months of reception that have a partition.';

create function app.tenants_to_seal(p_month date, p_limit integer) returns table (tenant_id uuid)
  language sql stable security definer set search_path = ''
  as $$
    select s.tenant_id from public.tenant_states s
    where exists (select 1 from public.usage_events e where e.tenant_id = s.tenant_id and e.received_month = p_month)
      and not exists (select 1 from public.usage_seals l where l.tenant_id = s.tenant_id and l.month = p_month)
    limit p_limit
  $$;
comment on function app.tenants_to_seal(date, integer) is
  'Tenants with events of a month of reception that are not sealed yet. Definer: shows ids across tenants, nothing of their content.';

create function app.seal_usage(p_tenant uuid, p_time_zone text, p_month date, p_patience_months integer) returns boolean
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
  'Compares the totals of the current tenant with its events a last time and seals a month of reception; false while the month is not billed yet '
  'by a tenant that closes billing periods and is younger than p_patience_months.';

create function app.drop_usage_partitions(p_months integer) returns text[]
  language plpgsql volatile security definer set search_path = '' set lock_timeout = '2s'
  as $$
    declare
      v_first date := (date_trunc('month', clock_timestamp() at time zone 'UTC') - make_interval(months => p_months))::date;
      v_month date;
      v_dropped text[] := '{}';
    begin
      -- Two whole months: nothing is forgotten before it is 35 days old.
      if p_months < 2 then
        raise exception using errcode = '22023', message = 'at least two months are kept';
      end if;
      perform pg_advisory_xact_lock(hashtextextended('usage partitions', 0));
      for v_month in select m.month from app.usage_months() m where m.month < v_first loop
        -- From the oldest on, so that what is gone has no gaps.
        exit when exists (select 1 from app.tenants_to_seal(v_month, 1));
        execute format('drop table public.%I', 'usage_events_' || to_char(v_month, 'YYYYMM'));
        v_dropped := v_dropped || to_char(v_month, 'YYYY-MM');
      end loop;
      return v_dropped;
    end
  $$;
comment on function app.drop_usage_partitions(integer) is
  'Drops the events received more than so many whole months before this one, as far as every tenant sealed them; returns the months. '
  'Gives up after two seconds when somebody reads them. Definer: only the owner of the table may, and a job asks for it.';

-- grants and policies -------------------------------------------------------------------------------

alter table public.reconciliations enable row level security;
alter table public.reconciliations force row level security;
grant select, insert on public.reconciliations to app_tenant;
grant update (status, started_at, finished_at, from_day, events, rows_checked, drifts, error, repaired_at, repaired) on public.reconciliations to app_tenant;
create policy reconciliations_isolation on public.reconciliations as restrictive for all to app_tenant
  using (tenant_id = (select app.tenant_id())) with check (tenant_id = (select app.tenant_id()));
create policy reconciliations_select on public.reconciliations for select to app_tenant
  using ((select current_setting('app.permissions', true)) like any ('{% usage:read %,% usage:write %}'));
create policy reconciliations_insert on public.reconciliations for insert to app_tenant with check ((select strpos((select current_setting('app.permissions', true)), ' usage:write ') > 0));
create policy reconciliations_update on public.reconciliations for update to app_tenant
  using (strpos((select current_setting('app.permissions', true)), ' usage:write ') > 0) with check ((select strpos((select current_setting('app.permissions', true)), ' usage:write ') > 0));

alter table public.reconciliation_drifts enable row level security;
alter table public.reconciliation_drifts force row level security;
grant select, insert on public.reconciliation_drifts to app_tenant;
create policy reconciliation_drifts_isolation on public.reconciliation_drifts as restrictive for all to app_tenant
  using (tenant_id = (select app.tenant_id())) with check (tenant_id = (select app.tenant_id()));
create policy reconciliation_drifts_select on public.reconciliation_drifts for select to app_tenant
  using ((select current_setting('app.permissions', true)) like any ('{% usage:read %,% usage:write %}'));
create policy reconciliation_drifts_insert on public.reconciliation_drifts for insert to app_tenant with check ((select strpos((select current_setting('app.permissions', true)), ' usage:write ') > 0));

alter table public.usage_seals enable row level security;
alter table public.usage_seals force row level security;
grant select, insert on public.usage_seals to app_tenant;
create policy usage_seals_isolation on public.usage_seals as restrictive for all to app_tenant
  using (tenant_id = (select app.tenant_id())) with check (tenant_id = (select app.tenant_id()));
create policy usage_seals_select on public.usage_seals for select to app_tenant
  using ((select current_setting('app.permissions', true)) like any ('{% usage:read %,% usage:write %}'));
create policy usage_seals_insert on public.usage_seals for insert to app_tenant with check ((select strpos((select current_setting('app.permissions', true)), ' usage:write ') > 0));

grant select (tenant_id, created_at, status) on public.reconciliations to app_kernel;
grant select (tenant_id, received_at, received_month) on public.usage_events to app_kernel;
grant select (tenant_id, month) on public.usage_seals to app_kernel;
create policy reconciliations_kernel on public.reconciliations for select to app_kernel using (true);
create policy usage_events_kernel on public.usage_events for select to app_kernel using (true);
create policy usage_seals_kernel on public.usage_seals for select to app_kernel using (true);

revoke all on all functions in schema app from public;
grant execute on function app.unsealed_from(uuid), app.find_usage_drift(uuid, text, uuid[], date), app.reconcile_usage(uuid, text, uuid),
  app.repair_usage(uuid, text, uuid[], date), app.repair_reconciliation(uuid, text, uuid), app.tenants_to_reconcile(integer), app.usage_months(),
  app.tenants_to_seal(date, integer), app.seal_usage(uuid, text, date, integer), app.drop_usage_partitions(integer) to app_tenant;
grant execute on function app.tenants_to_seal(date, integer) to current_user;
alter function app.tenants_to_reconcile(integer) owner to app_kernel;
alter function app.tenants_to_seal(date, integer) owner to app_kernel;
