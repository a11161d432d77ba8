-- How the portal of a tenant looks.

-- tables -----------------------------------------------------------------------------------------

create table public.brandings (
  tenant_id uuid not null default app.tenant_id() references public.tenants (id),
  display_name text check (length(display_name) between 1 and 120),
  primary_color text not null default '#2f5bea' check (primary_color ~ '^#[0-9a-f]{6}$'),
  accent_color text not null default '#0f766e' check (accent_color ~ '^#[0-9a-f]{6}$'),
  support_url text check (support_url ~ '^(https://|mailto:)' and length(support_url) <= 500),
  updated_at timestamptz not null default now(),
  primary key (tenant_id)
);
comment on table public.brandings is '@control How a tenant''s portal looks; here and not with the tenant''s data because an unknown visitor sees it.';

-- functions --------------------------------------------------------------------------------------

create function app.portal_branding(p_tenant uuid)
  returns table (display_name text, primary_color text, accent_color text, support_url text)
  language sql stable security definer set search_path = ''
  as $$
    select coalesce(b.display_name, t.name), b.primary_color, b.accent_color, b.support_url
    from public.brandings b join public.tenants t on t.id = b.tenant_id where b.tenant_id = p_tenant
  $$;
comment on function app.portal_branding(uuid) is
  'How a portal looks to an unknown visitor. Definer: answers before there is a context, and for suspended tenants too.';

-- triggers ---------------------------------------------------------------------------------------

create trigger brandings_audit after update on public.brandings for each row execute function app.audit_row('branding');
create trigger brandings_notify after update on public.brandings for each row execute function app.notify_registry();
comment on trigger brandings_audit on public.brandings is '@move-safe';
comment on trigger brandings_notify on public.brandings is '@move-safe';

-- grants and policies ----------------------------------------------------------------------------

alter table public.brandings enable row level security;
alter table public.brandings force row level security;
grant select on public.brandings to app_tenant, app_platform;
grant update (display_name, primary_color, accent_color, support_url, updated_at) on public.brandings to app_tenant;
grant select, insert on public.brandings to app_kernel;
create policy brandings_isolation on public.brandings as restrictive for all to app_tenant
  using (tenant_id = (select app.tenant_id())) with check (tenant_id = (select app.tenant_id()));
create policy brandings_select on public.brandings for select to app_tenant using (true);
create policy brandings_update on public.brandings for update to app_tenant
  using ((select app.can('branding:write'))) with check ((select app.can('branding:write')));
create policy brandings_platform on public.brandings for select to app_platform using (true);
create policy brandings_kernel on public.brandings for all to app_kernel using (true) with check (true);

revoke all on all functions in schema app from public;
grant execute on function app.portal_branding(uuid) to app_tenant;
alter function app.portal_branding(uuid) owner to app_kernel;
