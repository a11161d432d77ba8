-- Every write is safe to repeat: the answer to a request is kept with its Idempotency-Key, in the same transaction.

create table public.idempotency_keys (
  tenant_id uuid not null default app.tenant_id(),
  actor_id text not null,
  key text not null check (length(key) between 1 and 255),
  request_hash bytea not null,
  status integer,
  body text,
  created_at timestamptz not null default now(),
  primary key (tenant_id, actor_id, key)
);
comment on table public.idempotency_keys is '@tenant Answers already given, by actor and Idempotency-Key; dropped after a day.';
comment on column public.idempotency_keys.request_hash is 'SHA-256 of method, path and body: the same key with another request is an error.';

create index idempotency_keys_created_idx on public.idempotency_keys (tenant_id, created_at);

alter table public.idempotency_keys enable row level security;
alter table public.idempotency_keys force row level security;
grant select, insert on public.idempotency_keys to app_tenant;
grant update (status, body) on public.idempotency_keys to app_tenant;
grant delete on public.idempotency_keys to app_tenant;
create policy idempotency_keys_isolation on public.idempotency_keys as restrictive for all to app_tenant
  using (tenant_id = (select app.tenant_id())) with check (tenant_id = (select app.tenant_id()));
create policy idempotency_keys_select on public.idempotency_keys for select to app_tenant using (actor_id = (select app.actor_id()));
create policy idempotency_keys_insert on public.idempotency_keys for insert to app_tenant with check (actor_id = (select app.actor_id()));
create policy idempotency_keys_update on public.idempotency_keys for update to app_tenant
  using (actor_id = (select app.actor_id())) with check (actor_id = (select app.actor_id()));
create policy idempotency_keys_delete on public.idempotency_keys for delete to app_tenant
  using (actor_id = (select app.actor_id()) or (select app.can('outbox:write')));
