-- A session that was opened on the portal of a tenant is one of that portal. The host may be a domain of the tenant's own, which the
-- tenant can lead elsewhere at any time: a cookie caught there must open nothing but what is that tenant's.

-- tables --------------------------------------------------------------------------------------------

create table public.portal_sessions (
  user_id uuid not null,
  session_id text not null check (length(session_id) between 1 and 255),
  portal_of uuid not null,
  opened_at timestamptz not null default clock_timestamp(),
  primary key (user_id, session_id)
);
comment on table public.portal_sessions is
  '@control Sessions that were opened on the portal of a tenant, by the claim session_id of their tokens.';
comment on column public.portal_sessions.portal_of is 'The tenant on whose portal, under whatever name, the session is good.';

-- functions -----------------------------------------------------------------------------------------

create function app.open_portal_session(p_user uuid, p_session text, p_tenant uuid) returns void
  language sql volatile security definer set search_path = ''
  as $$
    insert into public.portal_sessions (user_id, session_id, portal_of) values (p_user, p_session, p_tenant) on conflict do nothing
  $$;
comment on function app.open_portal_session(uuid, text, uuid) is
  'Notes of a session that has just been opened on whose portal that was; it stays so. Definer: nobody but this and read_session touches the table.';

drop function app.is_session_ended(uuid, text, bigint);

create function app.read_session(p_user uuid, p_session text, p_issued_at bigint) returns table (ended boolean, portal_of uuid)
  language plpgsql stable security definer set search_path = ''
  as $$
    begin
      -- Tokens tell whole seconds: one of the very second in which all others were ended is taken for one from before.
      return query select
        exists (select 1 from public.ended_sessions e where e.user_id = p_user and case when e.all_others
          then e.session_id is distinct from p_session and p_issued_at <= extract(epoch from e.ended_at)
          else e.session_id = p_session end),
        (select s.portal_of from public.portal_sessions s where s.user_id = p_user and s.session_id = p_session);
    end
  $$;
comment on function app.read_session(uuid, text, bigint) is
  'Of an access token, by its user, its session and the second it was issued: whether it is refused, and the tenant on whose portal alone it is good. '
  'Definer: as end_sessions.';

-- grants and policies -------------------------------------------------------------------------------

alter table public.portal_sessions enable row level security;
alter table public.portal_sessions force row level security;
grant select, insert on public.portal_sessions to app_kernel;
create policy portal_sessions_kernel on public.portal_sessions for all to app_kernel using (true) with check (true);

revoke all on all functions in schema app from public;
grant execute on function app.open_portal_session(uuid, text, uuid), app.read_session(uuid, text, bigint) to app_tenant;
alter function app.open_portal_session(uuid, text, uuid) owner to app_kernel;
alter function app.read_session(uuid, text, bigint) owner to app_kernel;
