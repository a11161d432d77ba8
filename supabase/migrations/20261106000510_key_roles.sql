-- Roles of customer keys: what a role that is written down permits, every key that has it holds.

-- tables --------------------------------------------------------------------------------------------

create table public.customer_key_roles (
  tenant_id uuid not null default app.tenant_id(),
  id uuid not null,
  name text not null check (length(name) between 1 and 255 and name ~ '^[^[:space:]()]+$'),
  description text not null default '' check (length(description) <= 2000),
  permissions text[] not null default '{}' check (cardinality(permissions) <= 200),
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now(),
  primary key (tenant_id, id)
);
comment on table public.customer_key_roles is
  '@tenant Roles a tenant wrote down for the keys of its customers, with what they permit. Keys may have roles that are not listed here; those permit nothing by themselves.';
comment on column public.customer_key_roles.name is 'As in customer_keys.roles.';

-- indexes -------------------------------------------------------------------------------------------

create unique index customer_key_roles_name_key on public.customer_key_roles (tenant_id, name);

-- functions -----------------------------------------------------------------------------------------

create or replace function app.find_customer_keys(p_tenant uuid, p_epoch bigint, p_actor jsonb, p_hashes bytea[]) returns jsonb
  language plpgsql volatile set search_path = '' set plan_cache_mode = force_generic_plan set enable_seqscan = off
  set enable_hashjoin = off set enable_mergejoin = off
  as $$
    begin
      perform app.begin_tenant(p_tenant, p_epoch, p_actor);
      -- Each is looked up by itself, so that the plan that is kept stays right however many keys there are.
      return (
        select jsonb_agg(case when k.id is not null then jsonb_build_object(
            'id', k.id, 'name', k.name, 'external_id', k.external_id, 'meta', k.meta, 'roles', k.roles,
            'permissions', case when k.roles = '{}' then to_jsonb(k.permissions) else (
              select coalesce(jsonb_agg(distinct w.word order by w.word), '[]') from (
                select unnest(k.permissions) as word
                union all
                select unnest(r.permissions) from unnest(k.roles) n (name)
                join lateral (
                  select x.permissions from public.customer_key_roles x where x.tenant_id = p_tenant and x.name = n.name limit 1
                ) r on true
              ) w) end,
            'ratelimits', k.ratelimits, 'enabled', k.enabled, 'expires_ms', floor(extract(epoch from k.expires_at) * 1000),
            'revoked', k.revoked_at is not null, 'account_id', coalesce(k.succeeded_by, k.id),
            'limited', (case when k.succeeded_by is null then k.remaining else s.remaining end) is not null,
            'customer_id', c.id, 'customer_archived', c.archived_at is not null) end order by h.n)
        from unnest(p_hashes) with ordinality h (hash, n)
        left join lateral (
          select x.* from public.customer_keys x where x.tenant_id = p_tenant and x.key_hash = h.hash limit 1
        ) k on true
        left join lateral (
          select x.remaining from public.customer_keys x where x.tenant_id = p_tenant and x.id = k.succeeded_by limit 1
        ) s on true
        left join lateral (
          select x.id, x.archived_at from public.customers x where x.tenant_id = p_tenant and x.external_id = k.external_id limit 1
        ) c on true);
    end
  $$;

-- triggers ------------------------------------------------------------------------------------------

create trigger customer_key_roles_audit after insert or update or delete on public.customer_key_roles
  for each row execute function app.audit_row('customer_key_role');
create trigger customer_key_roles_notify after insert or update or delete on public.customer_key_roles
  for each row execute function app.notify_registry();
comment on trigger customer_key_roles_audit on public.customer_key_roles is '@move-safe';
comment on trigger customer_key_roles_notify on public.customer_key_roles is '@move-safe';

-- grants and policies -------------------------------------------------------------------------------

alter table public.customer_key_roles enable row level security;
alter table public.customer_key_roles force row level security;
grant select, insert, delete on public.customer_key_roles to app_tenant;
grant update (description, permissions, updated_at) on public.customer_key_roles to app_tenant;
create policy customer_key_roles_isolation on public.customer_key_roles as restrictive for all to app_tenant
  using (tenant_id = (select app.tenant_id())) with check (tenant_id = (select app.tenant_id()));
create policy customer_key_roles_select on public.customer_key_roles for select to app_tenant
  using ((select current_setting('app.permissions', true)) like any ('{% customer-keys:read %,% customer-keys:write %,% usage:write %}'));
create policy customer_key_roles_insert on public.customer_key_roles for insert to app_tenant
  with check ((select strpos((select current_setting('app.permissions', true)), ' customer-keys:write ') > 0));
create policy customer_key_roles_update on public.customer_key_roles for update to app_tenant
  using ((select strpos((select current_setting('app.permissions', true)), ' customer-keys:write ') > 0))
  with check ((select strpos((select current_setting('app.permissions', true)), ' customer-keys:write ') > 0));
create policy customer_key_roles_delete on public.customer_key_roles for delete to app_tenant
  using ((select strpos((select current_setting('app.permissions', true)), ' customer-keys:write ') > 0));

revoke all on all functions in schema app from public;
grant execute on function app.find_customer_keys(uuid, bigint, jsonb, bytea[]) to app_tenant;
