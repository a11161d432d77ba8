-- Questions to the registry that come before there is a tenant, and the way a tenant is made.

-- functions --------------------------------------------------------------------------------------

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

-- grants -----------------------------------------------------------------------------------------

revoke all on all functions in schema app from public;
grant execute on function app.route_tenant(uuid, text, text), app.find_access(uuid, uuid), app.list_user_tenants(uuid) to app_tenant, app_platform;
grant execute on function app.register_tenant(uuid, text, text, text, text, text, jsonb, uuid, text, text, integer, jsonb) to app_tenant, app_platform;
alter function app.route_tenant(uuid, text, text) owner to app_kernel;
alter function app.find_access(uuid, uuid) owner to app_kernel;
alter function app.list_user_tenants(uuid) owner to app_kernel;
alter function app.register_tenant(uuid, text, text, text, text, text, jsonb, uuid, text, text, integer, jsonb) owner to app_kernel;
