-- Addresses of portals that are the tenants' own.

-- tables -----------------------------------------------------------------------------------------

create table public.domains (
  tenant_id uuid not null default app.tenant_id() references public.tenants (id),
  id uuid not null,
  hostname text not null check (hostname = lower(hostname) and hostname ~ '^[a-z0-9.-]{3,253}$'),
  status text not null default 'pending' check (status in ('pending', 'verified', 'quarantined')),
  verified_at timestamptz,
  created_at timestamptz not null default now(),
  primary key (tenant_id, id)
);
comment on table public.domains is '@control Custom addresses of portals; only verified ones are served.';
create unique index domains_verified_key on public.domains (hostname) where status = 'verified';
comment on index public.domains_verified_key is 'global-unique: a host name is public and belongs to one tenant at a time';
create unique index domains_tenant_hostname_key on public.domains (tenant_id, hostname);

-- triggers ---------------------------------------------------------------------------------------

create trigger domains_audit after insert or update or delete on public.domains for each row execute function app.audit_row('domain');
create trigger domains_notify after insert or update or delete on public.domains for each row execute function app.notify_registry();
comment on trigger domains_audit on public.domains is '@move-safe';
comment on trigger domains_notify on public.domains is '@move-safe';

-- grants and policies ----------------------------------------------------------------------------

alter table public.domains enable row level security;
alter table public.domains force row level security;
grant select on public.domains to app_tenant;
grant select, insert on public.domains to app_platform;
grant update (status, verified_at) on public.domains to app_platform;
grant select on public.domains to app_kernel;
create policy domains_isolation on public.domains as restrictive for all to app_tenant
  using (tenant_id = (select app.tenant_id())) with check (tenant_id = (select app.tenant_id()));
create policy domains_select on public.domains for select to app_tenant using ((select app.can('domains:read')));
create policy domains_platform_select on public.domains for select to app_platform using (true);
create policy domains_platform_insert on public.domains for insert to app_platform with check (true);
create policy domains_platform_update on public.domains for update to app_platform using (true) with check (true);
create policy domains_kernel on public.domains for select to app_kernel using (true);
