-- Tenants the worker visits: those that let a job write. A suspended, deleted or read-only tenant keeps its messages until it is
-- open again; visiting it before would fail at the door, again with every tick.

create or replace function app.tenants_with_outbox(p_limit integer) returns table (tenant_id uuid, epoch bigint)
  language sql stable security definer set search_path = ''
  as $$
    select s.tenant_id, s.epoch from public.tenant_states s
    where app.entrance_access(s.status, 'job') = 'write' and not s.fenced
      and exists (select 1 from public.outbox o where o.tenant_id = s.tenant_id and o.delivered_at is null and o.available_at <= now())
    limit p_limit
  $$;
comment on function app.tenants_with_outbox(integer) is
  'Tenants with messages that are due and that a job may write to, for the worker to visit one by one. '
  'Definer: shows ids across tenants, nothing of their content.';

revoke all on all functions in schema app from public;
grant execute on function app.tenants_with_outbox(integer) to app_tenant;
