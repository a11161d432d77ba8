-- Where tenants have no address below the root domain, their portal is at a domain of their own, and links in mails lead there.

create function app.portal_host(p_tenant uuid) returns text
  language sql stable security definer set search_path = ''
  as $$
    select d.hostname from public.domains d where d.tenant_id = p_tenant and d.status = 'verified'
    order by d.verified_at, d.id limit 1
  $$;
comment on function app.portal_host(uuid) is
  'The verified domain that a portal has had for longest; null without one. Definer: whoever invites a customer need not be allowed to read domains, and the name is public.';

alter function app.portal_host(uuid) owner to app_kernel;
revoke all on all functions in schema app from public;
grant execute on function app.portal_host(uuid) to app_tenant;
