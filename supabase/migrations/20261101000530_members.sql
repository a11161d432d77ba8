-- The people of tenants.

-- tables -----------------------------------------------------------------------------------------

create table public.memberships (
  tenant_id uuid not null default app.tenant_id() references public.tenants (id),
  id uuid not null,
  user_id uuid not null,
  email text not null check (length(email) <= 320),
  name text not null default '' check (length(name) <= 200),
  role text not null check (role in ('owner', 'admin', 'member', 'compliance')),
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now(),
  primary key (tenant_id, id)
);
comment on table public.memberships is '@control People of tenants. A user is known by the id the auth server gives; e-mail and name are a copy for display.';
create unique index memberships_user_key on public.memberships (tenant_id, user_id);
create index memberships_tenants_of_user_idx on public.memberships (user_id, tenant_id);

-- triggers ---------------------------------------------------------------------------------------

create trigger memberships_audit after insert or update or delete on public.memberships for each row execute function app.audit_row('membership');
comment on trigger memberships_audit on public.memberships is '@move-safe';

-- grants and policies ----------------------------------------------------------------------------

alter table public.memberships enable row level security;
alter table public.memberships force row level security;
grant select, insert, delete on public.memberships to app_tenant;
grant update (role, name, email, updated_at) on public.memberships to app_tenant;
grant select, insert on public.memberships to app_platform, app_kernel;
create policy memberships_isolation on public.memberships as restrictive for all to app_tenant
  using (tenant_id = (select app.tenant_id())) with check (tenant_id = (select app.tenant_id()));
create policy memberships_select on public.memberships for select to app_tenant using ((select app.can('members:read')));
create policy memberships_insert on public.memberships for insert to app_tenant with check ((select app.can('members:write')));
create policy memberships_update on public.memberships for update to app_tenant
  using ((select app.can('members:write'))) with check ((select app.can('members:write')));
create policy memberships_delete on public.memberships for delete to app_tenant using ((select app.can('members:write')));
create policy memberships_platform_select on public.memberships for select to app_platform using (true);
create policy memberships_platform_insert on public.memberships for insert to app_platform with check (true);
create policy memberships_kernel on public.memberships for all to app_kernel using (true) with check (true);
