-- Metrics of a tenant that every product has, one row per metric and day: what the product can know by itself it writes by
-- itself, the rest is sent.

-- tables --------------------------------------------------------------------------------------------

create table public.tenant_metrics (
  tenant_id uuid not null default app.tenant_id(),
  metric text not null check (metric in ('api_calls', 'bandwidth_bytes', 'storage_bytes', 'users_count', 'transactions',
    'workflow_executions', 'revenue', 'communications')),
  label text not null default '' check (length(label) <= 32),
  day date not null,
  value numeric not null,
  updated_at timestamptz not null default now(),
  primary key (tenant_id, metric, label, day),
  check (metric <> 'communications' or label in ('email', 'whatsapp', 'sms', 'push')),
  check (metric <> 'revenue' or label ~ '^[A-Z]{3}$'),
  check (metric in ('communications', 'revenue') or label = '')
) with (fillfactor = 60);
comment on table public.tenant_metrics is '@tenant The built-in metrics of a tenant, day by day in its time zone.';
comment on column public.tenant_metrics.metric is
  'storage_bytes and users_count are gauges: the last value of the day. All others are sums of the day; bandwidth_bytes are the bodies of '
  'API requests and their answers.';
comment on column public.tenant_metrics.label is 'communications: the channel; revenue: the currency; otherwise empty.';
comment on column public.tenant_metrics.value is 'revenue in the smallest unit of its currency.';

create table public.tenant_metric_events (
  tenant_id uuid not null default app.tenant_id(),
  event_id text not null check (length(event_id) between 1 and 255),
  metric text not null,
  label text not null,
  value numeric not null,
  occurred_at timestamptz,
  received_at timestamptz not null default now(),
  primary key (tenant_id, event_id)
);
comment on table public.tenant_metric_events is '@tenant Which values were sent under a name, so that the same is added once. Kept for 60 days.';

-- indexes -------------------------------------------------------------------------------------------

create index tenant_metric_events_received_idx on public.tenant_metric_events (tenant_id, received_at);

-- functions -----------------------------------------------------------------------------------------

create function app.add_metrics(p_tenant uuid, p_time_zone text, p_metrics text[], p_labels text[], p_values numeric[], p_times timestamptz[])
  returns void
  language plpgsql volatile set search_path = ''
  as $$
    begin
      insert into public.tenant_metrics (tenant_id, metric, label, day, value)
        select p_tenant, m.metric, m.label, (coalesce(m.at, clock_timestamp()) at time zone p_time_zone)::date,
          case when m.metric in ('storage_bytes', 'users_count') then (array_agg(m.value order by m.at nulls last, m.ord))[count(*)] else sum(m.value) end
        from unnest(p_metrics, p_labels, p_values, p_times) with ordinality m (metric, label, value, at, ord)
        group by 2, 3, 4
        order by 2, 3, 4
        on conflict (tenant_id, metric, label, day) do update set updated_at = excluded.updated_at,
          value = case when excluded.metric in ('storage_bytes', 'users_count') then excluded.value else tenant_metrics.value + excluded.value end;
    end
  $$;
comment on function app.add_metrics(uuid, text, text[], text[], numeric[], timestamptz[]) is
  'Adds values to the metrics of the current tenant, or sets those that are gauges; a time of null is now.';

create function app.note_metrics(p_tenant uuid, p_epoch bigint, p_actor jsonb, p_time_zone text, p_metrics text[], p_labels text[], p_values numeric[])
  returns void
  language plpgsql volatile set search_path = ''
  as $$
    begin
      perform app.begin_tenant(p_tenant, p_epoch, p_actor);
      perform app.add_metrics(p_tenant, p_time_zone, p_metrics, p_labels, p_values, array_fill(null::timestamptz, array[cardinality(p_metrics)]));
    end
  $$;
comment on function app.note_metrics(uuid, bigint, jsonb, text, text[], text[], numeric[]) is
  'begin_tenant and add_metrics in one statement: what a process counted of a tenant in a few seconds is one round trip.';

create function app.measure_storage(p_tenant uuid) returns numeric
  language plpgsql stable set search_path = ''
  as $$
    begin
      return (
        select coalesce(sum(s.rows * s.size), 0)::bigint from (
          select (select coalesce(sum(t.events), 0) from public.usage_totals t where t.tenant_id = p_tenant) as rows,
            (select avg(pg_column_size(x)) from (select e.* from public.usage_events e where e.tenant_id = p_tenant
              order by e.received_at desc limit 1000) x) as size
          union all
          select (select count(*) from (select from public.usage_counters t where t.tenant_id = p_tenant limit 1000000) n),
            (select avg(pg_column_size(x)) from (select * from public.usage_counters t where t.tenant_id = p_tenant limit 1000) x)
          union all
          select (select count(*) from (select from public.customers t where t.tenant_id = p_tenant limit 1000000) n),
            (select avg(pg_column_size(x)) from (select * from public.customers t where t.tenant_id = p_tenant limit 1000) x)
          union all
          select (select count(*) from (select from public.audit_logs t where t.tenant_id = p_tenant limit 1000000) n),
            (select avg(pg_column_size(x)) from (select * from public.audit_logs t where t.tenant_id = p_tenant limit 1000) x)
          union all
          select (select count(*) from (select from public.analytics_events t where t.tenant_id = p_tenant limit 1000000) n),
            (select avg(pg_column_size(x)) from (select * from public.analytics_events t where t.tenant_id = p_tenant limit 1000) x)
          union all
          select (select count(*) from (select from public.connector_events t where t.tenant_id = p_tenant limit 1000000) n),
            (select avg(pg_column_size(x)) from (select * from public.connector_events t where t.tenant_id = p_tenant limit 1000) x)
        ) s (rows, size));
    end
  $$;
comment on function app.measure_storage(uuid) is
  'Bytes that the large tables hold of the current tenant: rows times the mean size of a thousand of them. Events are counted by their running '
  'totals, other tables row by row up to a million. Indexes are not in it.';

create function app.tenants_to_measure(p_limit integer) returns table (tenant_id uuid)
  language plpgsql stable security definer set search_path = ''
  as $$
    begin
      return query
        select s.tenant_id from public.tenant_states s
        where s.status in ('pending', 'active', 'past_due')
          and not exists (select 1 from public.tenant_metrics m
            where m.tenant_id = s.tenant_id and m.metric = 'users_count' and m.label = '' and m.day >= current_date - 1
              and m.updated_at > statement_timestamp() - interval '1 hour')
        limit p_limit;
    end
  $$;
comment on function app.tenants_to_measure(integer) is
  'Tenants whose gauges are older than an hour, for the worker to visit one by one. Definer: shows ids across tenants, nothing of their content.';

-- grants and policies -------------------------------------------------------------------------------

alter table public.tenant_metrics enable row level security;
alter table public.tenant_metrics force row level security;
grant select, insert on public.tenant_metrics to app_tenant;
grant update (value, updated_at) on public.tenant_metrics to app_tenant;
grant select (tenant_id, metric, label, day, updated_at) on public.tenant_metrics to app_kernel;
create policy tenant_metrics_isolation on public.tenant_metrics as restrictive for all to app_tenant
  using (tenant_id = (select app.tenant_id())) with check (tenant_id = (select app.tenant_id()));
create policy tenant_metrics_select on public.tenant_metrics for select to app_tenant
  using ((select current_setting('app.permissions', true)) like any ('{% metrics:read %,% metrics:write %}'));
create policy tenant_metrics_insert on public.tenant_metrics for insert to app_tenant with check ((select strpos((select current_setting('app.permissions', true)), ' metrics:write ') > 0));
create policy tenant_metrics_update on public.tenant_metrics for update to app_tenant
  using (strpos((select current_setting('app.permissions', true)), ' metrics:write ') > 0) with check ((select strpos((select current_setting('app.permissions', true)), ' metrics:write ') > 0));
create policy tenant_metrics_kernel on public.tenant_metrics for select to app_kernel using (true);

alter table public.tenant_metric_events enable row level security;
alter table public.tenant_metric_events force row level security;
grant select, insert, delete on public.tenant_metric_events to app_tenant;
create policy tenant_metric_events_isolation on public.tenant_metric_events as restrictive for all to app_tenant
  using (tenant_id = (select app.tenant_id())) with check (tenant_id = (select app.tenant_id()));
create policy tenant_metric_events_select on public.tenant_metric_events for select to app_tenant
  using ((select current_setting('app.permissions', true)) like any ('{% metrics:read %,% metrics:write %}'));
create policy tenant_metric_events_insert on public.tenant_metric_events for insert to app_tenant with check ((select strpos((select current_setting('app.permissions', true)), ' metrics:write ') > 0));
-- Only jobs hold outbox:write.
create policy tenant_metric_events_delete on public.tenant_metric_events for delete to app_tenant using (strpos((select current_setting('app.permissions', true)), ' outbox:write ') > 0);

revoke all on all functions in schema app from public;
grant execute on function app.add_metrics(uuid, text, text[], text[], numeric[], timestamptz[]),
  app.note_metrics(uuid, bigint, jsonb, text, text[], text[], numeric[]), app.measure_storage(uuid),
  app.tenants_to_measure(integer) to app_tenant;
alter function app.tenants_to_measure(integer) owner to app_kernel;
