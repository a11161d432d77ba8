-- The platform's own staff.

-- tables -----------------------------------------------------------------------------------------

create table public.operators (
  user_id uuid not null,
  email text not null,
  role text not null check (role in ('super_admin', 'support')),
  created_at timestamptz not null default now(),
  primary key (user_id)
);
comment on table public.operators is '@control Platform staff.';

-- functions --------------------------------------------------------------------------------------

create function app.begin_operator(p_actor jsonb) returns void
  language plpgsql volatile security definer set search_path = ''
  as $$
    declare v_role text;
    begin
      select role into v_role from public.operators where user_id = (p_actor ->> 'id')::uuid;
      if not found then
        raise exception using errcode = 'TM005', message = 'not an operator';
      end if;
      if v_role = 'support' then
        execute 'set local transaction_read_only = on';
      end if;
      execute format('set local app.actor = %L', p_actor || jsonb_build_object('kind', 'operator'));
    end
  $$;
comment on function app.begin_operator(jsonb) is
  'First statement of every registry transaction of an operator; support gets a read-only one. TM005 not an operator. '
  'Definer: reads operators before there is a context.';

-- grants and policies ----------------------------------------------------------------------------

alter table public.operators enable row level security;
alter table public.operators force row level security;
grant select, insert on public.operators to app_platform;
grant select on public.operators to app_kernel;
create policy operators_select on public.operators for select to app_platform using (true);
create policy operators_insert on public.operators for insert to app_platform with check (true);
create policy operators_kernel on public.operators for select to app_kernel using (true);

revoke all on all functions in schema app from public;
grant execute on function app.begin_operator(jsonb) to app_platform;
alter function app.begin_operator(jsonb) owner to app_kernel;
