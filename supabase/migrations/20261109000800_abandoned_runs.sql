-- A reconciliation whose worker ended in the middle of it kept its tenant from being reconciled for a day.

-- functions -----------------------------------------------------------------------------------------

create or replace function app.tenants_to_reconcile(p_limit integer) returns table (tenant_id uuid)
  language sql stable security definer set search_path = ''
  as $$
    select s.tenant_id from public.tenant_states s
    where app.entrance_access(s.status, 'job') = 'write' and not exists (
        select 1 from public.reconciliations r
        where r.tenant_id = s.tenant_id
          and r.created_at > now() - case when r.status = 'finished' then interval '1 day' else interval '1 hour' end)
      and exists (
        select 1 from public.usage_events e
        where e.tenant_id = s.tenant_id and e.received_at > coalesce((
          select max(r.created_at) from public.reconciliations r where r.tenant_id = s.tenant_id and r.status = 'finished'), '-infinity'))
    limit p_limit
  $$;
comment on function app.tenants_to_reconcile(integer) is
  'Tenants that jobs may write in and that received usage since their last reconciliation, if that is a day ago, or an hour where it came to no end. Definer: shows ids across tenants, nothing of their content.';

-- grants --------------------------------------------------------------------------------------------

revoke all on all functions in schema app from public;
