-- Keys that seal secrets: one per tenant, made at random and kept wrapped under a master key that is not in the database. Another
-- master key wraps them anew; what they seal stays as it is.

-- tables --------------------------------------------------------------------------------------------

create table public.tenant_keys (
  tenant_id uuid not null default app.tenant_id(),
  version integer not null check (version >= 1),
  wrapped text not null check (length(wrapped) <= 500),
  master_id text not null check (master_id ~ '^[0-9a-f]{8}$'),
  created_at timestamptz not null default now(),
  wrapped_at timestamptz not null default now(),
  primary key (tenant_id, version)
);
comment on table public.tenant_keys is
  '@tenant Keys the secrets of a tenant are sealed with; the newest seals, all of them open. Without the master keys they are noise.';
comment on column public.tenant_keys.wrapped is 'The key, sealed under a master key for this tenant and version (libs/crypto/secret-box.ts).';
comment on column public.tenant_keys.master_id is 'Which of ENCRYPTION_KEYS wraps it: the start of the SHA-256 of its bytes.';

-- functions -----------------------------------------------------------------------------------------

create function app.tenants_with_old_keys(p_master text, p_limit integer) returns table (tenant_id uuid)
  language sql stable security definer set search_path = ''
  as $$
    select s.tenant_id from public.tenant_states s
    where app.entrance_access(s.status, 'job') = 'write' and not s.fenced
      and (exists (select 1 from public.tenant_keys k where k.tenant_id = s.tenant_id and k.master_id <> p_master)
        or exists (select 1 from public.stripe_exports x where x.tenant_id = s.tenant_id and x.secret like 'v1.%'))
    order by s.tenant_id
    limit p_limit
  $$;
comment on function app.tenants_with_old_keys(text, integer) is
  'Tenants with a key under another master key than the one named, or with a secret from before there were such keys, and that a job may '
  'write to. Definer: shows ids across tenants, nothing of their content.';

create function app.count_old_keys(p_master text) returns bigint
  language sql stable security definer set search_path = ''
  as $$
    select (select count(*) from public.tenant_keys k where k.master_id <> p_master)
      + (select count(*) from public.stripe_exports x where x.secret like 'v1.%')
  $$;
comment on function app.count_old_keys(text) is
  'How many keys and secrets still need another master key than the one named: 0 says that the others may be thrown away. Definer: a number '
  'across tenants.';

-- triggers ------------------------------------------------------------------------------------------

create trigger tenant_keys_audit after insert or update or delete on public.tenant_keys
  for each row execute function app.audit_row('tenant_key', 'wrapped');
comment on trigger tenant_keys_audit on public.tenant_keys is '@move-safe';

-- grants and policies -------------------------------------------------------------------------------

alter table public.tenant_keys enable row level security;
alter table public.tenant_keys force row level security;
grant select, insert on public.tenant_keys to app_tenant;
grant update (wrapped, master_id, wrapped_at) on public.tenant_keys to app_tenant;
grant select (tenant_id, master_id) on public.tenant_keys to app_kernel;
grant select (secret) on public.stripe_exports to app_kernel;
create policy tenant_keys_isolation on public.tenant_keys as restrictive for all to app_tenant
  using (tenant_id = (select app.tenant_id())) with check (tenant_id = (select app.tenant_id()));
create policy tenant_keys_select on public.tenant_keys for select to app_tenant
  using (strpos((select current_setting('app.permissions', true)), ' stripe-exports:write ') > 0);
create policy tenant_keys_insert on public.tenant_keys for insert to app_tenant
  with check ((select strpos((select current_setting('app.permissions', true)), ' stripe-exports:write ') > 0));
create policy tenant_keys_update on public.tenant_keys for update to app_tenant
  using (strpos((select current_setting('app.permissions', true)), ' stripe-exports:write ') > 0)
  with check ((select strpos((select current_setting('app.permissions', true)), ' stripe-exports:write ') > 0));
create policy tenant_keys_kernel on public.tenant_keys for select to app_kernel using (true);

revoke all on all functions in schema app from public;
grant execute on function app.tenants_with_old_keys(text, integer), app.count_old_keys(text) to app_tenant;
alter function app.tenants_with_old_keys(text, integer) owner to app_kernel;
alter function app.count_old_keys(text) owner to app_kernel;
comment on column public.stripe_exports.secret is 'Key of the account, sealed (libs/crypto/tenant-secrets.ts); null once disconnected. Never leaves the server.';
