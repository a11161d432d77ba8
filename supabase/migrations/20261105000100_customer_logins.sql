-- How a customer of a tenant comes by a login to its portal: a token sent to the address, accepted once by whoever holds it.
-- The table stands with the registry (*_tenants.sql), because the login is looked up before the tenant's data is reached.

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

grant update (user_id, accepted_at, token_hash) on public.customer_logins to app_kernel;
create policy customer_logins_kernel_update on public.customer_logins for update to app_kernel using (true) with check (true);

revoke all on all functions in schema app from public;
grant execute on function app.accept_customer_login(uuid, bytea, uuid, text, jsonb) to app_tenant;
alter function app.accept_customer_login(uuid, bytea, uuid, text, jsonb) owner to app_kernel;
