-- Making a tenant is one transaction, and a repeat of the request is told from another request; a transaction stays with its tenant;
-- what comes back from deletion is restored, whatever it was before; suspensions are counted after they have ended too.

-- tables --------------------------------------------------------------------------------------------

alter table public.tenants
  add column request_hash bytea check (octet_length(request_hash) = 32),
  add column last_suspended_at timestamptz;
comment on column public.tenants.request_hash is
  'SHA-256 of the request that made the tenant, where it came with an Idempotency-Key: another request with the same key is refused.';
comment on column public.tenants.last_suspended_at is 'Beginning of the last suspension that is over.';

-- functions -----------------------------------------------------------------------------------------

create or replace function app.begin_tenant(p_tenant uuid, p_epoch bigint, p_actor jsonb) returns void
  language plpgsql volatile security definer set search_path = ''
  as $$
    declare
      v_status public.tenant_status;
      v_epoch bigint;
      v_fenced boolean;
      v_access text;
      v_actor jsonb := p_actor;
      v_permissions text;
      v_set text;
    begin
      if coalesce(current_setting('app.current_tenant', true), '') not in ('', p_tenant::text) then
        raise exception using errcode = 'TM010', message = 'a transaction stays with its tenant';
      end if;
      perform pg_advisory_xact_lock_shared(hashtextextended(p_tenant::text, 0));
      select s.status, s.epoch, s.fenced into v_status, v_epoch, v_fenced from public.tenant_states s where s.tenant_id = p_tenant;
      if not found then
        raise exception using errcode = 'TM004', message = 'no such tenant here';
      end if;
      if v_epoch <> p_epoch or v_fenced then
        raise exception using errcode = 'TM001', message = 'stale routing';
      end if;
      -- An active tenant answers at every entrance.
      if v_status <> 'active' then
        v_access := app.entrance_access(v_status, coalesce(p_actor ->> 'entrance', p_actor ->> 'kind'));
        if v_access = 'none' then
          raise exception using errcode = case v_status when 'suspended' then 'TM002' when 'pending' then 'TM003' else 'TM004' end,
            message = 'tenant does not answer in this state';
        end if;
        if v_access = 'read' then
          v_actor := jsonb_set(p_actor, '{permissions}', coalesce(
            (select jsonb_agg(p) from jsonb_array_elements(p_actor -> 'permissions') p where p #>> '{}' like '%:read'), '[]'));
        end if;
      end if;
      -- ["a:read", "b:read"] becomes | a:read || b:read |, each name between spaces; a name that holds one is none.
      v_permissions := v_actor ->> 'permissions';
      if strpos(v_permissions, '\') > 0 then
        raise exception using errcode = '22023', message = 'a permission has the form noun:verb';
      end if;
      v_set := set_config('app.current_tenant', p_tenant::text, true);
      v_set := set_config('app.actor', v_actor::text, true);
      v_set := set_config('app.permissions', coalesce(translate(v_permissions, '[], "', '|||| '), ''), true);
      v_set := set_config('app.customer', coalesce(v_actor ->> 'customer_id', ''), true);
    end
  $$;
comment on function app.begin_tenant(uuid, bigint, jsonb) is
  'First statement of every tenant transaction: checks state and epoch, then sets app.current_tenant and app.actor until its end. '
  'TM001 stale routing, TM002 suspended, TM003 not open yet, TM004 no such tenant, TM010 the transaction is another tenant''s. Definer: reads '
  'tenant_states before there is a context.';

create or replace function app.audit_row() returns trigger
  language plpgsql volatile security definer set search_path = ''
  as $$
    declare
      v_noun text := tg_argv[0];
      v_hidden text[] := coalesce(string_to_array(tg_argv[1], ','), '{}') || '{updated_at}'::text[];
      v_old jsonb := case when tg_op <> 'INSERT' then to_jsonb(old) - v_hidden end;
      v_new jsonb := case when tg_op <> 'DELETE' then to_jsonb(new) - v_hidden end;
      v_row jsonb := coalesce(v_new, v_old);
      v_verb text := case tg_op when 'INSERT' then 'created' when 'UPDATE' then 'updated' else 'deleted' end;
    begin
      if tg_op = 'UPDATE' then
        if v_old = v_new then
          return null;
        end if;
        v_verb := case
          when v_old ->> 'status' is distinct from v_new ->> 'status' then
            case when v_old ->> 'status' = 'deleted' then 'restored'
              when v_new ->> 'status' = 'active' then 'activated' else v_new ->> 'status' end
          when v_old ->> 'revoked_at' is null and v_new ->> 'revoked_at' is not null then 'revoked'
          when v_old ->> 'archived_at' is null and v_new ->> 'archived_at' is not null then 'archived'
          when v_old ->> 'archived_at' is not null and v_new ->> 'archived_at' is null then 'restored'
          else 'updated'
        end;
        select jsonb_object_agg(key, value) into v_old from jsonb_each(v_old) where value is distinct from v_new -> key;
        select jsonb_object_agg(n.key, n.value) into v_new from jsonb_each(v_new) n
          where n.value is distinct from (to_jsonb(old) -> n.key);
      end if;
      perform app.record_audit(
        coalesce(v_row ->> 'tenant_id', v_row ->> 'id')::uuid, v_noun || '.' || v_verb, v_noun,
        coalesce(v_row ->> 'id', v_row ->> 'user_id', v_row ->> 'tenant_id'), 'success', v_old, v_new, null);
      return null;
    end
  $$;

drop function app.register_tenant(uuid, text, text, text, text, text, jsonb, uuid, text, text, integer, jsonb);
create function app.register_tenant(
  p_id uuid, p_slug text, p_name text, p_description text, p_plan text, p_time_zone text, p_metadata jsonb,
  p_user uuid, p_email text, p_user_name text, p_max_tenants integer, p_actor jsonb, p_request_hash bytea default null
) returns boolean
  language plpgsql volatile security definer set search_path = ''
  as $$
    declare v_existing public.tenants;
    begin
      if p_user is not null then
        perform pg_advisory_xact_lock(hashtextextended('tenants of ' || p_user::text, 0));
      end if;
      select * into v_existing from public.tenants where id = p_id;
      if found then
        if v_existing.created_by is not distinct from (p_actor ->> 'id')::uuid and (v_existing.request_hash = p_request_hash
            or p_request_hash is null and v_existing.slug = p_slug and v_existing.name = p_name) then
          return false;
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
      insert into public.tenants (id, slug, name, description, plan_id, time_zone, metadata, created_by, request_hash)
        values (p_id, p_slug, p_name, coalesce(p_description, ''), p_plan, coalesce(p_time_zone, 'UTC'), coalesce(p_metadata, '{}'),
          (p_actor ->> 'id')::uuid, p_request_hash);
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
      return true;
    end
  $$;
comment on function app.register_tenant(uuid, text, text, text, text, text, jsonb, uuid, text, text, integer, jsonb, bytea) is
  'Creates a tenant with its placement, branding and first owner, all or nothing; false when the same request made it before. TM006 other '
  'content, TM007 too many tenants, TM008 reserved slug. Definer: self-service has no right on the registry.';

-- triggers ------------------------------------------------------------------------------------------

drop trigger tenants_audit on public.tenants;
create trigger tenants_audit after insert or update or delete on public.tenants
  for each row execute function app.audit_row('tenant', 'request_hash');
comment on trigger tenants_audit on public.tenants is '@move-safe';

-- grants --------------------------------------------------------------------------------------------

grant update (last_suspended_at) on public.tenants to app_platform;

revoke all on all functions in schema app from public;
grant execute on function
  app.register_tenant(uuid, text, text, text, text, text, jsonb, uuid, text, text, integer, jsonb, bytea) to app_tenant, app_platform;
alter function app.register_tenant(uuid, text, text, text, text, text, jsonb, uuid, text, text, integer, jsonb, bytea) owner to app_kernel;
