-- The life of a tenant as its own people see it: a free name, first steps, leaving, deletion with a way back.

-- indexes -------------------------------------------------------------------------------------------

create index memberships_email_idx on public.memberships (lower(email));
comment on index public.memberships_email_idx is 'Failed sign-ins are led to the tenants of the person they name.';

-- functions -----------------------------------------------------------------------------------------

create function app.slug_skeleton(p_slug text) returns text
  language sql immutable parallel safe set search_path = ''
  as $$ select translate(replace(replace(p_slug, 'rn', 'm'), 'vv', 'w'), '01i', 'oll') $$;
comment on function app.slug_skeleton(text) is 'What a slug looks like at a glance: characters that are taken for each other become one.';

create index tenants_skeleton_idx on public.tenants (app.slug_skeleton(slug));
comment on index public.tenants_skeleton_idx is 'Look-alikes of a new slug are found through here.';

create function app.check_slug(p_slug text) returns text
  language sql stable security definer set search_path = ''
  as $$
    select case
      when exists (select 1 from public.reserved_slugs r where r.slug = p_slug) then 'reserved'
      when exists (select 1 from public.tenants t where t.slug = p_slug) then 'taken'
      when exists (select 1 from public.reserved_slugs r where app.slug_skeleton(r.slug) = app.slug_skeleton(p_slug)) then 'look_alike'
      when exists (select 1 from public.tenants t where app.slug_skeleton(t.slug) = app.slug_skeleton(p_slug)) then 'look_alike'
    end
  $$;
comment on function app.check_slug(text) is
  'Why a slug cannot be had: reserved, taken (deleted tenants keep theirs) or look_alike of one of those; null when it is free. '
  'Definer: the question is about all tenants; that a slug is in use is public, it is an address.';

create function app.delete_own_tenant(p_days integer) returns boolean
  language plpgsql volatile security definer set search_path = ''
  as $$
    begin
      if not app.can('tenants:write') or app.actor() ->> 'kind' <> 'user' or not exists (
          select 1 from public.memberships m
          where m.tenant_id = app.tenant_id() and m.user_id::text = app.actor_id() and m.role = 'owner') then
        raise exception using errcode = '42501', message = 'only an owner may delete a tenant';
      end if;
      if p_days not between 1 and 365 then
        raise exception using errcode = '22023', message = 'the way back is open for 1 to 365 days';
      end if;
      update public.tenants set status = 'deleted', deleted_at = statement_timestamp(), updated_at = statement_timestamp(),
          purge_after = statement_timestamp() + make_interval(days => p_days)
        where id = app.tenant_id() and status <> 'deleted';
      return found;
    end
  $$;
comment on function app.delete_own_tenant(integer) is
  'Deletes the current tenant softly: it answers nobody any more, and an operator can restore it for so many days. '
  'Definer: a tenant may not change its own status otherwise; the actor must be one of its owners.';

create function app.list_email_tenants(p_email text) returns table (tenant_id uuid)
  language sql stable security definer set search_path = ''
  as $$
    select m.tenant_id from public.memberships m join public.tenants t on t.id = m.tenant_id
    where lower(m.email) = lower(p_email) and t.status in ('pending', 'active', 'past_due', 'read_only')
    order by m.created_at limit 5
  $$;
comment on function app.list_email_tenants(text) is
  'Tenants to tell of a failed sign-in: those of the person whose address was given. Definer: asked before anybody is known; the answer '
  'never leaves the server.';

create function app.first_api_key_at() returns timestamptz
  language sql stable security definer set search_path = ''
  as $$ select min(k.created_at) from public.api_keys k where k.tenant_id = app.tenant_id() and app.can('onboarding:read') $$;
comment on function app.first_api_key_at() is
  'When the current tenant made its first API key. Definer: whoever follows the first steps may know that, without seeing keys.';

-- grants and policies -------------------------------------------------------------------------------

grant update (deleted_at, purge_after) on public.tenants to app_kernel;

-- Whoever belongs to a tenant may leave it.
alter policy memberships_delete on public.memberships
  using ((select app.can('members:write')) or user_id::text = (select app.actor_id()));

-- A tenant asks for an address; it stays pending, and unserved, until somebody proves that it is theirs.
grant insert (tenant_id, id, hostname) on public.domains to app_tenant;
create policy domains_insert on public.domains for insert to app_tenant with check ((select app.can('domains:write')));

revoke all on all functions in schema app from public;
grant execute on function app.slug_skeleton(text) to app_tenant, app_platform, app_kernel;
grant execute on function app.check_slug(text) to app_tenant, app_platform;
grant execute on function app.delete_own_tenant(integer), app.list_email_tenants(text), app.first_api_key_at() to app_tenant;
alter function app.check_slug(text) owner to app_kernel;
alter function app.delete_own_tenant(integer) owner to app_kernel;
alter function app.list_email_tenants(text) owner to app_kernel;
alter function app.first_api_key_at() owner to app_kernel;
