-- Roles of Holdfast in a Postgres cluster. Run once by a superuser (running it again changes nothing that is right).
-- Passwords come in as settings, never as text of this file:
--   select set_config('holdfast.owner_password', $1, false), ... ; then this file in the same session.
-- A login whose setting is empty is made (or left) without a new password.
--
--   holdfast_owner   login; owns the databases and everything in them; runs migrations and nothing else
--   app_kernel       owns the SECURITY DEFINER functions of schema app; cannot log in
--   app_tenant       group: tenant data under row security          login: app_server
--   app_platform     group: the registry                            login: app_operator
--   anon, authenticated, service_role   names of the Supabase Data API; they hold no privilege on anything of the product
--   holdfast_auth    login; owns the database of the auth server of the embedded stack
-- None is superuser, none bypasses row security.

do $roles$
declare
  role_name text;
begin
  foreach role_name in array array[
    'app_kernel', 'app_tenant', 'app_platform', 'anon', 'authenticated', 'service_role'
  ] loop
    if not exists (select from pg_catalog.pg_roles where rolname = role_name) then
      execute format('create role %I nologin noinherit', role_name);
    end if;
  end loop;

  foreach role_name in array array['holdfast_owner', 'app_server', 'app_operator', 'holdfast_auth'] loop
    if not exists (select from pg_catalog.pg_roles where rolname = role_name) then
      execute format('create role %I login', role_name);
    end if;
  end loop;
end
$roles$;

grant app_tenant to app_server with inherit true, set false;
grant app_platform to app_operator with inherit true, set false;

-- The owner hands its SECURITY DEFINER functions over to app_kernel.
grant app_kernel to holdfast_owner with inherit true, set true;

-- The auth server of the embedded stack changes into these within its own database.
grant anon, authenticated, service_role to holdfast_auth with inherit false, set true;

-- What a process asked for that is no more is not worked on to its end.
alter role app_server set client_connection_check_interval = '10s';
alter role app_operator set client_connection_check_interval = '10s';

do $passwords$
declare
  login record;
begin
  for login in
    select *
    from (values
      ('holdfast_owner', 'holdfast.owner_password'),
      ('app_server', 'holdfast.server_password'),
      ('app_operator', 'holdfast.operator_password'),
      ('holdfast_auth', 'holdfast.auth_password')
    ) as l (role_name, setting)
  loop
    if nullif(current_setting(login.setting, true), '') is not null then
      execute format('alter role %I password %L', login.role_name, current_setting(login.setting));
    end if;
  end loop;
end
$passwords$;
