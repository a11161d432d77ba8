-- The kernel: who is asking, for which tenant, and what they may do.
-- Every transaction of the running system starts with app.begin_tenant (one tenant) or app.begin_operator (the registry).
-- Policies and triggers read the two settings those functions leave behind and never a table.

create schema app;
comment on schema app is 'Kernel of Holdfast: context, permissions, audit and registry functions. Not exposed to any API.';
revoke all on schema app from public;
grant usage on schema app to app_tenant, app_platform, app_kernel;
grant create on schema app to app_kernel;
grant usage on schema public to app_tenant, app_platform, app_kernel;

-- types ---------------------------------------------------------------------------------------------

create type public.tenant_status as enum ('pending', 'active', 'past_due', 'read_only', 'suspended', 'deleted');

-- context -------------------------------------------------------------------------------------------

-- In plpgsql, because an SQL function with a fixed search_path cannot be inlined: it would be parsed and planned anew for
-- every policy of every statement, which costs more than an indexed read.

create function app.tenant_id() returns uuid
  language plpgsql stable parallel safe set search_path = ''
  as $$ begin return nullif(current_setting('app.current_tenant', true), '')::uuid; end $$;
comment on function app.tenant_id() is 'Tenant of this transaction, null outside of one: every isolation policy compares with it.';

create function app.actor() returns jsonb
  language plpgsql stable parallel safe set search_path = ''
  as $$ begin return nullif(current_setting('app.actor', true), '')::jsonb; end $$;
comment on function app.actor() is 'Who acts in this transaction: {id, kind, permissions[], request_id, ip, user_agent, label, customer_id, on_behalf_of}.';

create function app.actor_id() returns text
  language plpgsql stable parallel safe set search_path = ''
  as $$ begin return nullif(current_setting('app.actor', true), '')::jsonb ->> 'id'; end $$;
comment on function app.actor_id() is 'Id of the actor of this transaction.';

create function app.customer_id() returns uuid
  language plpgsql stable parallel safe set search_path = ''
  as $$ begin return (nullif(current_setting('app.actor', true), '')::jsonb ->> 'customer_id')::uuid; end $$;
comment on function app.customer_id() is 'Customer the actor is signed in as (portal), null for everybody else.';

create function app.can(permission text) returns boolean
  language plpgsql stable parallel safe set search_path = ''
  as $$ begin return coalesce((nullif(current_setting('app.actor', true), '')::jsonb -> 'permissions') ? permission, false); end $$;
comment on function app.can(text) is 'Whether the actor of this transaction holds a permission, as "noun:read" or "noun:write".';

create function app.can_any(permissions text[]) returns boolean
  language plpgsql stable parallel safe set search_path = ''
  as $$ begin return coalesce((nullif(current_setting('app.actor', true), '')::jsonb -> 'permissions') ?| permissions, false); end $$;
comment on function app.can_any(text[]) is 'Whether the actor of this transaction holds one of several permissions.';

-- One time-ordered id for rows the database itself writes (audit); all other ids are made by the application.
create function app.uuid_v7() returns uuid
  language sql volatile parallel safe set search_path = ''
  as $$
    select encode(overlay(
      uuid_send(gen_random_uuid())
      placing substring(int8send(floor(t.ms)::bigint) from 3) || substring(int4send(28672 + floor((t.ms - floor(t.ms)) * 4096)::integer) from 3)
      from 1 for 8), 'hex')::uuid
    from (select extract(epoch from clock_timestamp()) * 1000 as ms) t
  $$;
comment on function app.uuid_v7() is
  'UUID version 7 (RFC 9562): 48 bits of Unix milliseconds, 12 bits of their fraction, so that rows of one transaction sort as written; the rest random.';

-- entrances -----------------------------------------------------------------------------------------

create function app.entrance_access(status public.tenant_status, entrance text) returns text
  language plpgsql immutable parallel safe set search_path = ''
  as $$
    begin
      return case
        when entrance in ('operator', 'system') then 'write'
        when status = 'deleted' then 'none'
        when status = 'suspended' then case entrance when 'job' then 'read' else 'none' end
        when status = 'read_only' then 'read'
        when status = 'pending' and entrance = 'customer' then 'none'
        else 'write'
      end;
    end
  $$;
comment on function app.entrance_access(public.tenant_status, text) is
  'The one table of tenant state x entrance (user, customer, api_key, job, operator, system): none, read or write.';

create table public.tenant_states (
  tenant_id uuid not null,
  status public.tenant_status not null,
  epoch bigint not null default 1,
  fenced boolean not null default false,
  primary key (tenant_id)
);
comment on table public.tenant_states is '@tenant State and placement epoch of a tenant, kept where its data lives, so that every transaction can check them.';
comment on column public.tenant_states.epoch is 'Raised by every move; a caller that names an older one has stale routing.';
comment on column public.tenant_states.fenced is 'True for the moment of a move in which nobody may write.';

create function app.begin_tenant(p_tenant uuid, p_epoch bigint, p_actor jsonb) returns void
  language plpgsql volatile security definer set search_path = ''
  as $$
    declare
      v_state public.tenant_states;
      v_access text;
      v_actor jsonb := p_actor;
    begin
      perform pg_advisory_xact_lock_shared(hashtextextended(p_tenant::text, 0));
      select * into v_state from public.tenant_states where tenant_id = p_tenant;
      if not found then
        raise exception using errcode = 'TM004', message = 'no such tenant here';
      end if;
      if v_state.epoch <> p_epoch or v_state.fenced then
        raise exception using errcode = 'TM001', message = 'stale routing';
      end if;
      v_access := app.entrance_access(v_state.status, coalesce(p_actor ->> 'entrance', p_actor ->> 'kind'));
      if v_access = 'none' then
        raise exception using errcode = case v_state.status when 'suspended' then 'TM002' when 'pending' then 'TM003' else 'TM004' end,
          message = 'tenant does not answer in this state';
      end if;
      if v_access = 'read' then
        v_actor := jsonb_set(p_actor, '{permissions}', coalesce(
          (select jsonb_agg(p) from jsonb_array_elements(p_actor -> 'permissions') p where p #>> '{}' like '%:read'), '[]'));
      end if;
      execute format('set local app.current_tenant = %L; set local app.actor = %L', p_tenant, v_actor);
    end
  $$;
comment on function app.begin_tenant(uuid, bigint, jsonb) is
  'First statement of every tenant transaction: checks state and epoch, then sets app.current_tenant and app.actor until its end. '
  'TM001 stale routing, TM002 suspended, TM003 not open yet, TM004 no such tenant. Definer: reads tenant_states before there is a context.';

alter table public.tenant_states enable row level security;
alter table public.tenant_states force row level security;
grant select on public.tenant_states to app_tenant;
grant select, insert, update, delete on public.tenant_states to app_kernel;
create policy tenant_states_isolation on public.tenant_states as restrictive for all to app_tenant
  using (tenant_id = (select app.tenant_id())) with check (tenant_id = (select app.tenant_id()));
create policy tenant_states_select on public.tenant_states for select to app_tenant using (true);
create policy tenant_states_kernel on public.tenant_states for all to app_kernel using (true) with check (true);

revoke all on all functions in schema app from public;
grant execute on function app.tenant_id(), app.actor(), app.actor_id(), app.customer_id(), app.can(text), app.can_any(text[]), app.uuid_v7(),
  app.entrance_access(public.tenant_status, text) to app_tenant, app_platform, app_kernel;
grant execute on function app.begin_tenant(uuid, bigint, jsonb) to app_tenant;
alter function app.begin_tenant(uuid, bigint, jsonb) owner to app_kernel;
