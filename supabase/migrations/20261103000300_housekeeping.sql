-- What the worker lives on: messages in their order, and which tenants hold rows that have served their time.

-- indexes -------------------------------------------------------------------------------------------

create index outbox_waiting_idx on public.outbox (tenant_id, topic, id) where delivered_at is null;
create index outbox_delivered_idx on public.outbox (tenant_id, delivered_at) where delivered_at is not null;

-- functions -----------------------------------------------------------------------------------------

create function app.tenants_with_leftovers(p_limit integer) returns table (tenant_id uuid)
  language sql stable security definer set search_path = ''
  as $$
    select s.tenant_id from public.tenant_states s
    where exists (select 1 from public.idempotency_keys k
        where k.tenant_id = s.tenant_id and k.created_at < now() - interval '1 day')
      or exists (select 1 from public.outbox o
        where o.tenant_id = s.tenant_id and o.delivered_at < now() - interval '7 days')
    limit p_limit
  $$;
comment on function app.tenants_with_leftovers(integer) is
  'Tenants with idempotency keys older than a day or messages delivered more than seven days ago. '
  'Definer: shows ids across tenants, nothing of their content.';

-- grants and policies -------------------------------------------------------------------------------

grant select (tenant_id, created_at) on public.idempotency_keys to app_kernel;
-- Deleting a row means reading it first, and the worker made none of these keys. Only jobs hold outbox:write.
alter policy idempotency_keys_select on public.idempotency_keys
  using (actor_id = (select app.actor_id()) or (select app.can('outbox:write')));
create policy idempotency_keys_kernel on public.idempotency_keys for select to app_kernel using (true);

revoke all on all functions in schema app from public;
grant execute on function app.tenants_with_leftovers(integer) to app_tenant;
alter function app.tenants_with_leftovers(integer) owner to app_kernel;
