-- An API key can be disabled and enabled again: whoever suspects a leak, or wants to know what still uses a key, need not end it for good.

-- tables --------------------------------------------------------------------------------------------

alter table public.api_keys add column disabled_at timestamptz;
comment on column public.api_keys.disabled_at is 'Since when it is refused; null: it is not. Unlike a revocation it can be undone.';

-- functions -----------------------------------------------------------------------------------------

drop function app.find_api_key(bytea);
create function app.find_api_key(p_hash bytea)
  returns table (tenant_id uuid, id uuid, name text, permissions text[], creator_role text, expires_at timestamptz, revoked_at timestamptz,
    disabled_at timestamptz)
  language sql stable security definer set search_path = ''
  as $$
    select k.tenant_id, k.id, k.name, k.permissions,
      (select m.role from public.memberships m where m.tenant_id = k.tenant_id and m.user_id = k.created_by),
      k.expires_at, k.revoked_at, k.disabled_at
    from public.api_keys k where k.key_hash = p_hash
  $$;
comment on function app.find_api_key(bytea) is
  'An API key with its creator''s present role (null: no longer a member, the key is dead). Definer: answers before there is a context.';

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
          when v_old ->> 'disabled_at' is null and v_new ->> 'disabled_at' is not null then 'disabled'
          when v_old ->> 'disabled_at' is not null and v_new ->> 'disabled_at' is null then 'enabled'
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

-- triggers ------------------------------------------------------------------------------------------

drop trigger api_keys_notify on public.api_keys;
create trigger api_keys_notify after update of permissions, expires_at, revoked_at, disabled_at on public.api_keys
  for each row execute function app.notify_registry();
comment on trigger api_keys_notify on public.api_keys is '@move-safe';

-- grants --------------------------------------------------------------------------------------------

grant update (disabled_at) on public.api_keys to app_tenant;

revoke all on all functions in schema app from public;
grant execute on function app.find_api_key(bytea) to app_tenant;
alter function app.find_api_key(bytea) owner to app_kernel;
