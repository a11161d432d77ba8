-- The registry: tenants, where they live, their addresses, their people, and the platform's own staff.

-- tables --------------------------------------------------------------------------------------------

create table public.reserved_slugs (
  slug text not null,
  primary key (slug)
);
comment on table public.reserved_slugs is '@reference Names no tenant may take: they are, or may become, addresses of the platform.';
insert into public.reserved_slugs (slug) select unnest(array[
  'www', 'app', 'api', 'admin', 'operator', 'operators', 'auth', 'login', 'signin', 'sign-in', 'signup', 'sign-up', 'logout', 'account',
  'accounts', 'portal', 'dashboard', 'console', 'docs', 'help', 'support', 'status', 'blog', 'mail', 'smtp', 'imap', 'ftp', 'cdn', 'static',
  'assets', 'img', 'images', 'media', 'files', 'download', 'downloads', 'billing', 'pay', 'payments', 'security', 'legal', 'privacy', 'terms',
  'about', 'contact', 'jobs', 'careers', 'dev', 'test', 'staging', 'stage', 'prod', 'production', 'demo', 'sandbox', 'internal', 'root',
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

create table public.customer_logins (
  tenant_id uuid not null default app.tenant_id() references public.tenants (id),
  id uuid not null,
  customer_id uuid not null,
  email text not null check (length(email) <= 320),
  user_id uuid,
  token_hash bytea,
  expires_at timestamptz,
  created_at timestamptz not null default now(),
  accepted_at timestamptz,
  primary key (tenant_id, id)
);
comment on table public.customer_logins is
  '@control Which user of the auth server may sign in to a portal as which customer; without user_id an invitation that waits to be accepted.';
comment on column public.customer_logins.token_hash is 'SHA-256 of the single-use token in the invitation; null once accepted.';
create unique index customer_logins_user_key on public.customer_logins (tenant_id, user_id);
create index customer_logins_customer_idx on public.customer_logins (tenant_id, customer_id);
create unique index customer_logins_token_key on public.customer_logins (token_hash) where token_hash is not null;
comment on index public.customer_logins_token_key is 'global-unique: 256 random bits, looked up before the tenant is known';

create table public.operators (
  user_id uuid not null,
  email text not null,
  role text not null check (role in ('super_admin', 'support')),
  created_at timestamptz not null default now(),
  primary key (user_id)
);
comment on table public.operators is '@control Platform staff.';

-- functions -----------------------------------------------------------------------------------------

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

create function app.begin_operator(p_actor jsonb) returns void
  language plpgsql volatile security definer set search_path = ''
  as $$
    declare v_role text;
    begin
      select role into v_role from public.operators where user_id = (p_actor ->> 'id')::uuid;
      if not found then
        raise exception using errcode = 'TM005', message = 'not an operator';
      end if;
      if v_role = 'support' then
        execute 'set local transaction_read_only = on';
      end if;
      execute format('set local app.actor = %L', p_actor || jsonb_build_object('kind', 'operator'));
    end
  $$;
comment on function app.begin_operator(jsonb) is
  'First statement of every registry transaction of an operator; support gets a read-only one. TM005 not an operator. '
  'Definer: reads operators before there is a context.';

create function app.route_tenant(p_id uuid, p_slug text, p_hostname text)
  returns table (id uuid, slug text, name text, status public.tenant_status, plan_id text, time_zone text, epoch bigint, database_id uuid)
  language sql stable security definer set search_path = ''
  as $$
    select t.id, t.slug, t.name, t.status, t.plan_id, t.time_zone, p.epoch, p.database_id
    from public.tenants t join public.placements p on p.tenant_id = t.id
    where t.id = coalesce(p_id,
        (select d.tenant_id from public.domains d where d.hostname = p_hostname and d.status = 'verified'),
        (select s.id from public.tenants s where s.slug = p_slug))
      and t.status <> 'deleted'
  $$;
comment on function app.route_tenant(uuid, text, text) is
  'Routing of a tenant by id, verified host name or slug. Definer: answers before there is a context; nothing secret is in it.';

create function app.find_access(p_tenant uuid, p_user uuid)
  returns table (role text, customer_id uuid, operator_role text)
  language sql stable security definer set search_path = ''
  as $$
    select
      (select m.role from public.memberships m where m.tenant_id = p_tenant and m.user_id = p_user),
      (select c.customer_id from public.customer_logins c where c.tenant_id = p_tenant and c.user_id = p_user),
      (select o.role from public.operators o where o.user_id = p_user)
  $$;
comment on function app.find_access(uuid, uuid) is
  'What a user is to a tenant: member with a role, customer, operator, or nothing. Definer: answers before there is a context.';

create function app.list_user_tenants(p_user uuid)
  returns table (id uuid, slug text, name text, status public.tenant_status, plan_id text, role text, created_at timestamptz)
  language sql stable security definer set search_path = ''
  as $$
    select t.id, t.slug, t.name, t.status, t.plan_id, m.role, t.created_at
    from public.memberships m join public.tenants t on t.id = m.tenant_id
    where m.user_id = p_user and t.status <> 'deleted'
    order by t.name, t.id
  $$;
comment on function app.list_user_tenants(uuid) is 'The tenants a user is a member of. Definer: a question to the registry, outside any tenant.';

create function app.portal_branding(p_tenant uuid)
  returns table (display_name text, primary_color text, accent_color text, support_url text)
  language sql stable security definer set search_path = ''
  as $$
    select coalesce(b.display_name, t.name), b.primary_color, b.accent_color, b.support_url
    from public.brandings b join public.tenants t on t.id = b.tenant_id where b.tenant_id = p_tenant
  $$;
comment on function app.portal_branding(uuid) is
  'How a portal looks to an unknown visitor. Definer: answers before there is a context, and for suspended tenants too.';

create function app.register_tenant(
  p_id uuid, p_slug text, p_name text, p_description text, p_plan text, p_time_zone text, p_metadata jsonb,
  p_user uuid, p_email text, p_user_name text, p_max_tenants integer, p_actor jsonb
) returns uuid
  language plpgsql volatile security definer set search_path = ''
  as $$
    declare v_existing public.tenants;
    begin
      if p_user is not null then
        perform pg_advisory_xact_lock(hashtextextended('tenants of ' || p_user::text, 0));
      end if;
      select * into v_existing from public.tenants where id = p_id;
      if found then
        if v_existing.slug = p_slug and v_existing.name = p_name and v_existing.created_by is not distinct from (p_actor ->> 'id')::uuid then
          return p_id;
        end if;
        raise exception using errcode = 'TM006', message = 'this request was made before with other content';
      end if;
      if p_max_tenants is not null and (select count(*) from public.memberships m join public.tenants t on t.id = m.tenant_id
          where m.user_id = p_user and m.role = 'owner' and t.status <> 'deleted') >= p_max_tenants then
        raise exception using errcode = 'TM007', message = 'tenant limit of this user reached';
      end if;
      if exists (select 1 from public.reserved_slugs r where r.slug = p_slug) then
        raise exception using errcode = 'TM008', message = 'slug is reserved';
      end if;
      perform app.set_actor(p_actor);
      insert into public.tenants (id, slug, name, description, plan_id, time_zone, metadata, created_by)
        values (p_id, p_slug, p_name, coalesce(p_description, ''), p_plan, coalesce(p_time_zone, 'UTC'), coalesce(p_metadata, '{}'),
          (p_actor ->> 'id')::uuid);
      insert into public.placements (tenant_id, database_id)
        select p_id, d.id from public.databases d where d.kind = 'shared' and d.state = 'ready' order by d.created_at, d.id limit 1;
      if not found then
        raise exception using errcode = 'TM009', message = 'no database takes new tenants';
      end if;
      insert into public.brandings (tenant_id) values (p_id);
      if p_user is not null then
        insert into public.memberships (tenant_id, id, user_id, email, name, role)
          values (p_id, app.uuid_v7(), p_user, p_email, coalesce(p_user_name, ''), 'owner');
      end if;
      return p_id;
    end
  $$;
comment on function app.register_tenant(uuid, text, text, text, text, text, jsonb, uuid, text, text, integer, jsonb) is
  'Creates a tenant with its placement, branding and first owner, all or nothing; repeating it with the same id and content is a success. '
  'TM006 other content, TM007 too many tenants, TM008 reserved slug. Definer: self-service has no right on the registry.';

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

-- triggers ------------------------------------------------------------------------------------------

create trigger tenants_state after insert or update of status on public.tenants for each row execute function app.mirror_tenant_state();
create trigger tenants_audit after insert or update or delete on public.tenants for each row execute function app.audit_row('tenant');
create trigger tenants_notify after insert or update or delete on public.tenants for each row execute function app.notify_registry();
create trigger placements_notify after update on public.placements for each row execute function app.notify_registry();
create trigger brandings_audit after update on public.brandings for each row execute function app.audit_row('branding');
create trigger brandings_notify after update on public.brandings for each row execute function app.notify_registry();
create trigger domains_audit after insert or update or delete on public.domains for each row execute function app.audit_row('domain');
create trigger domains_notify after insert or update or delete on public.domains for each row execute function app.notify_registry();
create trigger memberships_audit after insert or update or delete on public.memberships for each row execute function app.audit_row('membership');
create trigger customer_logins_audit after insert or update or delete on public.customer_logins
  for each row execute function app.audit_row('customer_login', 'token_hash');
comment on trigger tenants_state on public.tenants is '@move-safe';
comment on trigger tenants_audit on public.tenants is '@move-safe';
comment on trigger tenants_notify on public.tenants is '@move-safe';
comment on trigger placements_notify on public.placements is '@move-safe';
comment on trigger brandings_audit on public.brandings is '@move-safe';
comment on trigger brandings_notify on public.brandings is '@move-safe';
comment on trigger domains_audit on public.domains is '@move-safe';
comment on trigger domains_notify on public.domains is '@move-safe';
comment on trigger memberships_audit on public.memberships is '@move-safe';
comment on trigger customer_logins_audit on public.customer_logins is '@move-safe';

-- grants and policies -------------------------------------------------------------------------------

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

alter table public.customer_logins enable row level security;
alter table public.customer_logins force row level security;
grant select, insert, delete on public.customer_logins to app_tenant;
grant update (user_id, token_hash, expires_at, accepted_at) on public.customer_logins to app_tenant;
grant select on public.customer_logins to app_kernel;
create policy customer_logins_isolation on public.customer_logins as restrictive for all to app_tenant
  using (tenant_id = (select app.tenant_id())) with check (tenant_id = (select app.tenant_id()));
create policy customer_logins_select on public.customer_logins for select to app_tenant
  using ((select app.can('customers:read')) or customer_id = (select app.customer_id()));
create policy customer_logins_insert on public.customer_logins for insert to app_tenant with check ((select app.can('customers:write')));
create policy customer_logins_update on public.customer_logins for update to app_tenant
  using ((select app.can('customers:write'))) with check ((select app.can('customers:write')));
create policy customer_logins_delete on public.customer_logins for delete to app_tenant using ((select app.can('customers:write')));
create policy customer_logins_kernel on public.customer_logins for select to app_kernel using (true);

alter table public.operators enable row level security;
alter table public.operators force row level security;
grant select, insert on public.operators to app_platform;
grant select on public.operators to app_kernel;
create policy operators_select on public.operators for select to app_platform using (true);
create policy operators_insert on public.operators for insert to app_platform with check (true);
create policy operators_kernel on public.operators for select to app_kernel using (true);

revoke all on all functions in schema app from public;
grant execute on function app.begin_operator(jsonb) to app_platform;
grant execute on function app.route_tenant(uuid, text, text), app.find_access(uuid, uuid), app.list_user_tenants(uuid) to app_tenant, app_platform;
grant execute on function app.register_tenant(uuid, text, text, text, text, text, jsonb, uuid, text, text, integer, jsonb) to app_tenant, app_platform;
grant execute on function app.portal_branding(uuid) to app_tenant;
grant execute on function app.set_actor(jsonb) to app_kernel;
alter function app.portal_branding(uuid) owner to app_kernel;
grant execute on function app.activate_pending_tenant() to app_tenant;
alter function app.mirror_tenant_state() owner to app_kernel;
alter function app.begin_operator(jsonb) owner to app_kernel;
alter function app.route_tenant(uuid, text, text) owner to app_kernel;
alter function app.find_access(uuid, uuid) owner to app_kernel;
alter function app.list_user_tenants(uuid) owner to app_kernel;
alter function app.register_tenant(uuid, text, text, text, text, text, jsonb, uuid, text, text, integer, jsonb) owner to app_kernel;
alter function app.activate_pending_tenant() owner to app_kernel;
