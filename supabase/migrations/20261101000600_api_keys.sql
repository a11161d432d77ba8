-- API keys: shown once, stored as a hash, effective only as far as their creator's present role reaches.

create table public.api_keys (
  tenant_id uuid not null default app.tenant_id() references public.tenants (id),
  id uuid not null,
  name text not null check (length(btrim(name)) between 1 and 120),
  prefix text not null,
  last_four text not null check (length(last_four) = 4),
  key_hash bytea not null check (length(key_hash) = 32),
  permissions text[] not null check (cardinality(permissions) > 0),
  created_by uuid not null,
  created_at timestamptz not null default now(),
  expires_at timestamptz,
  last_used_at timestamptz,
  revoked_at timestamptz,
  primary key (tenant_id, id)
);
comment on table public.api_keys is '@control API keys of tenants, looked up by hash before the tenant is known.';
comment on column public.api_keys.key_hash is 'SHA-256 of the whole key; the key itself is never stored.';
comment on column public.api_keys.last_used_at is 'Written at most once a minute.';
create unique index api_keys_hash_key on public.api_keys (key_hash);
comment on index public.api_keys_hash_key is 'global-unique: a hash of 256 random bits, looked up before the tenant is known';

create function app.find_api_key(p_hash bytea)
  returns table (tenant_id uuid, id uuid, name text, permissions text[], creator_role text, expires_at timestamptz, revoked_at timestamptz)
  language sql stable security definer set search_path = ''
  as $$
    select k.tenant_id, k.id, k.name, k.permissions,
      (select m.role from public.memberships m where m.tenant_id = k.tenant_id and m.user_id = k.created_by),
      k.expires_at, k.revoked_at
    from public.api_keys k where k.key_hash = p_hash
  $$;
comment on function app.find_api_key(bytea) is
  'An API key with its creator''s present role (null: no longer a member, the key is dead). Definer: answers before there is a context.';

create function app.touch_api_key(p_tenant uuid, p_id uuid) returns void
  language sql volatile security definer set search_path = ''
  as $$
    update public.api_keys set last_used_at = statement_timestamp()
    where tenant_id = p_tenant and id = p_id and (last_used_at is null or last_used_at < statement_timestamp() - interval '1 minute')
  $$;
comment on function app.touch_api_key(uuid, uuid) is 'Notes that a key was used, at most once a minute. Definer: the caller has no right to change keys.';

create trigger api_keys_audit after insert or update or delete on public.api_keys
  for each row execute function app.audit_row('api_key', 'key_hash,last_used_at');
create trigger api_keys_notify after update of permissions, expires_at, revoked_at on public.api_keys
  for each row execute function app.notify_registry();
create trigger memberships_notify after update or delete on public.memberships for each row execute function app.notify_registry();
comment on trigger api_keys_audit on public.api_keys is '@move-safe';
comment on trigger api_keys_notify on public.api_keys is '@move-safe';
comment on trigger memberships_notify on public.memberships is '@move-safe';

alter table public.api_keys enable row level security;
alter table public.api_keys force row level security;
grant select, insert on public.api_keys to app_tenant;
grant update (name, permissions, expires_at, revoked_at) on public.api_keys to app_tenant;
grant select on public.api_keys to app_kernel;
grant update (last_used_at) on public.api_keys to app_kernel;
create policy api_keys_isolation on public.api_keys as restrictive for all to app_tenant
  using (tenant_id = (select app.tenant_id())) with check (tenant_id = (select app.tenant_id()));
create policy api_keys_select on public.api_keys for select to app_tenant using ((select app.can('api-keys:read')));
create policy api_keys_insert on public.api_keys for insert to app_tenant with check ((select app.can('api-keys:write')));
create policy api_keys_update on public.api_keys for update to app_tenant
  using ((select app.can('api-keys:write'))) with check ((select app.can('api-keys:write')));
create policy api_keys_kernel_select on public.api_keys for select to app_kernel using (true);
create policy api_keys_kernel_update on public.api_keys for update to app_kernel using (true) with check (true);

revoke all on all functions in schema app from public;
grant execute on function app.find_api_key(bytea), app.touch_api_key(uuid, uuid) to app_tenant;
alter function app.find_api_key(bytea) owner to app_kernel;
alter function app.touch_api_key(uuid, uuid) owner to app_kernel;
