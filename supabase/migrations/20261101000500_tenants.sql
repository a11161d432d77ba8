-- The registry: tenants, the names they may not take, where they live.

-- tables -----------------------------------------------------------------------------------------

create table public.reserved_slugs (
  slug text not null,
  primary key (slug)
);
comment on table public.reserved_slugs is '@reference Names no tenant may take: they are, or may become, addresses of the platform.';
insert into public.reserved_slugs (slug) select unnest(array[
  'www', 'app', 'api', 'admin', 'operator', 'operators', 'auth', 'login', 'signin', 'sign-in', 'signup', 'sign-up', 'logout', 'account',
  'accounts', 'portal', 'dashboard', 'console', 'docs', 'help', 'support', 'status', 'blog', 'mail', 'smtp', 'imap', 'ftp', 'cdn', 'static',
  'assets', 'img', 'images', 'media', 'files', 'download', 'downloads', 'billing', 'pay', 'payments', 'security', 'legal', 'privacy', 'terms',
  'about', 'contact', 'jobs', 'careers', 'dev', 'staging', 'stage', 'prod', 'production', 'demo', 'sandbox', 'internal', 'root',
  'system', 'holdfast', 'ingest', 'events', 'usage', 'webhook', 'webhooks', 'hooks', 'current', 'create', 'stats', 'new', 'me', 'tenants',
  'tenant', 'plans', 'healthz', 'readyz', 'metrics', 'null', 'undefined', 'localhost', 'ns1', 'ns2', 'mx', 'autodiscover', 'autoconfig',
  'wpad', 'isatap', 'postmaster', 'hostmaster', 'webmaster', 'abuse', 'noreply', 'no-reply', 'oauth', 'sso', 'id', 'verify', 'invitations',
  'create-tenant', 'reset-password', 'forgot-password', 'supabase', 'compat']);

create table public.databases (
  id uuid not null,
  name text not null,
  kind text not null check (kind in ('shared', 'dedicated', 'spare')),
  state text not null default 'ready' check (state in ('ready', 'quarantined', 'retired')),
  created_at timestamptz not null default now(),
  primary key (id)
);
comment on table public.databases is '@control Databases tenants can live in; the first is the one this registry is in.';
create unique index databases_name_key on public.databases (name);
insert into public.databases (id, name, kind) values ('01934d5c-0000-7000-8000-000000000001', 'main', 'shared');

create table public.tenants (
  id uuid not null,
  slug text not null check (slug ~ '^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$' and slug !~ '^xn--'),
  name text not null check (length(btrim(name)) between 1 and 120),
  description text not null default '' check (length(description) <= 2000),
  status public.tenant_status not null default 'pending',
  plan_id text not null default 'free' references public.plans (id),
  time_zone text not null default 'UTC',
  billing_email text check (length(billing_email) <= 320),
  stripe_customer_id text,
  metadata jsonb not null default '{}' check (jsonb_typeof(metadata) = 'object'),
  created_by uuid,
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now(),
  activated_at timestamptz,
  suspended_at timestamptz,
  suspended_reason text check (length(suspended_reason) <= 500),
  deleted_at timestamptz,
  purge_after timestamptz,
  primary key (id)
);
comment on table public.tenants is '@control Organisations on the platform. A deleted tenant keeps its row and its slug.';
create unique index tenants_slug_key on public.tenants (slug);
create index tenants_list_idx on public.tenants (status, created_at desc, id);
create index tenants_plan_idx on public.tenants (plan_id);
create index tenants_created_by_idx on public.tenants (created_by);

create table public.placements (
  tenant_id uuid not null references public.tenants (id),
  database_id uuid not null references public.databases (id),
  epoch bigint not null default 1,
  state text not null default 'placed' check (state in ('placed', 'moving', 'fenced')),
  primary key (tenant_id)
);
comment on table public.placements is '@control Where a tenant lives, and since which epoch.';
create index placements_database_idx on public.placements (database_id);

-- functions --------------------------------------------------------------------------------------

create function app.mirror_tenant_state() returns trigger
  language plpgsql volatile security definer set search_path = ''
  as $$
    begin
      insert into public.tenant_states (tenant_id, status) values (new.id, new.status)
        on conflict (tenant_id) do update set status = excluded.status;
      return null;
    end
  $$;
comment on function app.mirror_tenant_state() is
  'Carries a tenant''s status to where its transactions check it. Definer: the registry roles hold nothing on tenant tables.';

create function app.notify_registry() returns trigger
  language plpgsql volatile set search_path = ''
  as $$
    declare v_row jsonb := to_jsonb(coalesce(new, old));
    begin
      perform pg_notify('registry', jsonb_build_object('table', tg_table_name,
        'tenant_id', coalesce(v_row ->> 'tenant_id', v_row ->> 'id'), 'id', v_row ->> 'id')::text);
      return null;
    end
  $$;
comment on function app.notify_registry() is 'Tells every process that a registry row changed, so that none serves an old answer from its cache.';

create function app.set_actor(p_actor jsonb) returns void
  language plpgsql volatile set search_path = ''
  as $$ begin execute format('set local app.actor = %L', p_actor); end $$;
comment on function app.set_actor(jsonb) is 'Names the actor for the audit rows of a registry change outside a tenant. Only the kernel may call it.';

create function app.activate_pending_tenant() returns boolean
  language plpgsql volatile security definer set search_path = ''
  as $$
    begin
      update public.tenants set status = 'active', activated_at = statement_timestamp(), updated_at = statement_timestamp()
        where id = app.tenant_id() and status = 'pending';
      return found;
    end
  $$;
comment on function app.activate_pending_tenant() is
  'Opens the current tenant once its onboarding is done; true if it was pending. Definer: a tenant may not change its own status otherwise.';

-- triggers ---------------------------------------------------------------------------------------

create trigger tenants_state after insert or update of status on public.tenants for each row execute function app.mirror_tenant_state();
create trigger tenants_audit after insert or update or delete on public.tenants for each row execute function app.audit_row('tenant');
create trigger tenants_notify after insert or update or delete on public.tenants for each row execute function app.notify_registry();
create trigger placements_notify after update on public.placements for each row execute function app.notify_registry();
comment on trigger tenants_state on public.tenants is '@move-safe';
comment on trigger tenants_audit on public.tenants is '@move-safe';
comment on trigger tenants_notify on public.tenants is '@move-safe';
comment on trigger placements_notify on public.placements is '@move-safe';

-- grants and policies ----------------------------------------------------------------------------

alter table public.reserved_slugs enable row level security;
alter table public.reserved_slugs force row level security;
grant select on public.reserved_slugs to app_tenant, app_platform, app_kernel;
create policy reserved_slugs_select on public.reserved_slugs for select to app_tenant, app_platform, app_kernel using (true);

alter table public.databases enable row level security;
alter table public.databases force row level security;
grant select on public.databases to app_platform, app_kernel;
create policy databases_select on public.databases for select to app_platform, app_kernel using (true);

alter table public.tenants enable row level security;
alter table public.tenants force row level security;
grant select on public.tenants to app_tenant, app_platform;
grant update (name, description, time_zone, billing_email, metadata, updated_at) on public.tenants to app_tenant;
grant update (slug, name, description, status, plan_id, time_zone, billing_email, metadata, updated_at, activated_at, suspended_at,
  suspended_reason, deleted_at, purge_after) on public.tenants to app_platform;
grant select, insert on public.tenants to app_kernel;
grant update (status, activated_at, updated_at) on public.tenants to app_kernel;
create policy tenants_isolation on public.tenants as restrictive for all to app_tenant
  using (id = (select app.tenant_id())) with check (id = (select app.tenant_id()));
create policy tenants_select on public.tenants for select to app_tenant using (true);
create policy tenants_update on public.tenants for update to app_tenant
  using ((select app.can('tenants:write'))) with check ((select app.can('tenants:write')));
create policy tenants_platform_select on public.tenants for select to app_platform using (true);
create policy tenants_platform_update on public.tenants for update to app_platform using (true) with check (true);
create policy tenants_kernel on public.tenants for all to app_kernel using (true) with check (true);

alter table public.placements enable row level security;
alter table public.placements force row level security;
grant select on public.placements to app_platform;
grant select, insert on public.placements to app_kernel;
create policy placements_isolation on public.placements as restrictive for all to app_tenant
  using (tenant_id = (select app.tenant_id())) with check (tenant_id = (select app.tenant_id()));
create policy placements_platform on public.placements for select to app_platform using (true);
create policy placements_kernel on public.placements for all to app_kernel using (true) with check (true);

revoke all on all functions in schema app from public;
grant execute on function app.set_actor(jsonb) to app_kernel;
grant execute on function app.activate_pending_tenant() to app_tenant;
alter function app.mirror_tenant_state() owner to app_kernel;
alter function app.activate_pending_tenant() owner to app_kernel;
