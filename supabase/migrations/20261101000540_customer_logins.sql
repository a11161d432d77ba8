-- How a customer of a tenant comes by a login to its portal: a token sent to the address, accepted once by whoever holds it.

-- tables -----------------------------------------------------------------------------------------

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

-- functions --------------------------------------------------------------------------------------

create function app.accept_customer_login(p_tenant uuid, p_token_hash bytea, p_user uuid, p_email text, p_actor jsonb) returns uuid
  language plpgsql volatile security definer set search_path = ''
  as $$
    declare v_customer uuid;
    begin
      perform app.set_actor(p_actor);
      update public.customer_logins set user_id = p_user, accepted_at = statement_timestamp(), token_hash = null
        where tenant_id = p_tenant and token_hash = p_token_hash and user_id is null
          and expires_at > statement_timestamp() and lower(email) = lower(p_email)
          and not exists (select 1 from public.customer_logins other where other.tenant_id = p_tenant and other.user_id = p_user)
        returning customer_id into v_customer;
      return v_customer;
    end
  $$;
comment on function app.accept_customer_login(uuid, bytea, uuid, text, jsonb) is
  'Binds an invitation to the user who holds its token and its address; the customer, or null for every reason it cannot be. '
  'Single use, also when tried twice at once. Definer: the user is nothing to the tenant before.';

-- triggers ---------------------------------------------------------------------------------------

create trigger customer_logins_audit after insert or update or delete on public.customer_logins
  for each row execute function app.audit_row('customer_login', 'token_hash');
comment on trigger customer_logins_audit on public.customer_logins is '@move-safe';

-- grants and policies ----------------------------------------------------------------------------

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
grant update (user_id, accepted_at, token_hash) on public.customer_logins to app_kernel;
create policy customer_logins_kernel_update on public.customer_logins for update to app_kernel using (true) with check (true);

revoke all on all functions in schema app from public;
grant execute on function app.accept_customer_login(uuid, bytea, uuid, text, jsonb) to app_tenant;
alter function app.accept_customer_login(uuid, bytea, uuid, text, jsonb) owner to app_kernel;
