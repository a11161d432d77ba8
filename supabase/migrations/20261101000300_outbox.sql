-- What others may hear of leaves through here: written with the change, sent by the worker, at least once.

create table public.outbox (
  tenant_id uuid not null default app.tenant_id(),
  id uuid not null,
  topic text not null check (topic ~ '^[a-z_]+(\.[a-z_]+)*$'),
  payload jsonb not null,
  created_at timestamptz not null default now(),
  available_at timestamptz not null default now(),
  attempts integer not null default 0,
  last_error text,
  delivered_at timestamptz,
  primary key (tenant_id, id)
);
comment on table public.outbox is '@tenant Messages to the outside world, written in the transaction that causes them.';
comment on column public.outbox.topic is 'What the worker does with it: email, analytics, or the name of an event for connectors.';
comment on column public.outbox.available_at is 'Not before: moved into the future by a failed attempt, or while a worker holds the message.';

create index outbox_due_idx on public.outbox (tenant_id, available_at) where delivered_at is null;

create function app.notify_outbox() returns trigger
  language plpgsql volatile set search_path = ''
  as $$ begin perform pg_notify('outbox', ''); return null; end $$;
comment on function app.notify_outbox() is 'Wakes the worker; several inserts of one transaction wake it once.';
create trigger outbox_notify after insert on public.outbox for each statement execute function app.notify_outbox();
comment on trigger outbox_notify on public.outbox is '@move-safe';

create function app.tenants_with_outbox(p_limit integer) returns table (tenant_id uuid, epoch bigint)
  language sql stable security definer set search_path = ''
  as $$
    select s.tenant_id, s.epoch from public.tenant_states s
    where exists (select 1 from public.outbox o where o.tenant_id = s.tenant_id and o.delivered_at is null and o.available_at <= now())
    limit p_limit
  $$;
comment on function app.tenants_with_outbox(integer) is
  'Tenants with messages that are due, for the worker to visit one by one. Definer: shows ids across tenants, nothing of their content.';

alter table public.outbox enable row level security;
alter table public.outbox force row level security;
grant select, insert on public.outbox to app_tenant;
grant update (available_at, attempts, last_error, delivered_at) on public.outbox to app_tenant;
grant delete on public.outbox to app_tenant;
grant select on public.outbox to app_kernel;
create policy outbox_isolation on public.outbox as restrictive for all to app_tenant
  using (tenant_id = (select app.tenant_id())) with check (tenant_id = (select app.tenant_id()));
create policy outbox_select on public.outbox for select to app_tenant using ((select app.can('outbox:read')));
create policy outbox_insert on public.outbox for insert to app_tenant with check (true);
create policy outbox_update on public.outbox for update to app_tenant
  using ((select app.can('outbox:write'))) with check ((select app.can('outbox:write')));
create policy outbox_delete on public.outbox for delete to app_tenant using ((select app.can('outbox:write')));
create policy outbox_kernel on public.outbox for select to app_kernel using (true);

revoke all on all functions in schema app from public;
grant execute on function app.notify_outbox() to app_tenant, app_kernel;
grant execute on function app.tenants_with_outbox(integer) to app_tenant;
alter function app.tenants_with_outbox(integer) owner to app_kernel;
