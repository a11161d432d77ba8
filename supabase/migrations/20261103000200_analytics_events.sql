-- Analytics events: what people do with the product, kept per tenant and forwarded to PostHog where that is configured.

-- tables --------------------------------------------------------------------------------------------

create table public.analytics_events (
  tenant_id uuid not null default app.tenant_id(),
  id uuid not null,
  event text not null check (length(event) between 1 and 200),
  distinct_id text not null check (length(distinct_id) between 1 and 200),
  properties jsonb not null default '{}' check (jsonb_typeof(properties) = 'object' and pg_column_size(properties) <= 32768),
  source text not null default 'server' check (source in ('server', 'browser')),
  occurred_at timestamptz not null default now(),
  created_at timestamptz not null default now(),
  forwarded_at timestamptz,
  primary key (tenant_id, id)
);
comment on table public.analytics_events is '@tenant Product analytics of a tenant, queryable without PostHog. Ordered by id (UUIDv7).';
comment on column public.analytics_events.distinct_id is 'Who did it: id of a user, a customer or a device, as the caller names them.';
comment on column public.analytics_events.forwarded_at is 'When PostHog took it; null where PostHog is not configured or has not taken it yet.';

-- indexes -------------------------------------------------------------------------------------------

create index analytics_events_event_idx on public.analytics_events (tenant_id, event, id);
create index analytics_events_distinct_idx on public.analytics_events (tenant_id, distinct_id, id);
create index analytics_events_occurred_idx on public.analytics_events (tenant_id, occurred_at, id);

-- grants and policies -------------------------------------------------------------------------------

alter table public.analytics_events enable row level security;
alter table public.analytics_events force row level security;
grant select, insert on public.analytics_events to app_tenant;
grant update (forwarded_at) on public.analytics_events to app_tenant;
create policy analytics_events_isolation on public.analytics_events as restrictive for all to app_tenant
  using (tenant_id = (select app.tenant_id())) with check (tenant_id = (select app.tenant_id()));
create policy analytics_events_select on public.analytics_events for select to app_tenant
  using ((select app.can('analytics-events:read')));
-- The server notes what anybody does; the route by which browsers send events asks for analytics-events:write.
create policy analytics_events_insert on public.analytics_events for insert to app_tenant with check (true);
create policy analytics_events_update on public.analytics_events for update to app_tenant
  using ((select app.can('analytics-events:write'))) with check ((select app.can('analytics-events:write')));
