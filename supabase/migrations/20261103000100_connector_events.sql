-- Connector events: one row for each thing that went out by a connector, failed to, or was noted for it.

-- tables --------------------------------------------------------------------------------------------

create table public.connector_events (
  tenant_id uuid not null default app.tenant_id(),
  id uuid not null,
  connector text not null check (connector in ('slack', 'webhook', 'email', 'http')),
  direction text not null default 'outbound' check (direction in ('outbound', 'inbound')),
  action text not null check (length(action) <= 120 and action ~ '^[a-z_]+\.[a-z_]+$'),
  target text not null check (length(target) between 1 and 2000),
  status text not null check (status in ('recorded', 'pending', 'sent', 'failed')),
  attempts integer not null default 0 check (attempts >= 0),
  request jsonb not null default '{}' check (jsonb_typeof(request) = 'object'),
  response jsonb,
  error text check (length(error) <= 2000),
  user_id text check (length(user_id) <= 200),
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now(),
  primary key (tenant_id, id)
);
comment on table public.connector_events is '@tenant What went, or failed to go, through a connector. Ordered by id (UUIDv7).';
comment on column public.connector_events.action is 'What was done, as noun.verb: message.posted, mail.sent, webhook.called.';
comment on column public.connector_events.target is 'Channel, address or URL; of a URL neither credentials nor query are kept.';
comment on column public.connector_events.status is
  'recorded: noted, nothing was sent; pending: waits to be sent; sent: the other side took it; failed: it did not.';
comment on column public.connector_events.attempts is 'Which attempt this was, from 1; 0 where nothing was sent.';
comment on column public.connector_events.user_id is 'Person or customer behind it, as the caller named them.';

-- indexes -------------------------------------------------------------------------------------------

create index connector_events_connector_idx on public.connector_events (tenant_id, connector, id);
create index connector_events_status_idx on public.connector_events (tenant_id, status, id);

-- grants and policies -------------------------------------------------------------------------------

alter table public.connector_events enable row level security;
alter table public.connector_events force row level security;
grant select, insert on public.connector_events to app_tenant;
grant update (status, attempts, response, error, updated_at) on public.connector_events to app_tenant;
create policy connector_events_isolation on public.connector_events as restrictive for all to app_tenant
  using (tenant_id = (select app.tenant_id())) with check (tenant_id = (select app.tenant_id()));
create policy connector_events_select on public.connector_events for select to app_tenant
  using ((select app.can('connector-events:read')));
-- What happens is noted whoever causes it, as in the audit log.
create policy connector_events_insert on public.connector_events for insert to app_tenant with check (true);
create policy connector_events_update on public.connector_events for update to app_tenant
  using ((select app.can('connector-events:write'))) with check ((select app.can('connector-events:write')));
