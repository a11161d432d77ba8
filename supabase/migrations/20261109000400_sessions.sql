-- A session that was ended is over at once. The auth server renews it no more, but an access token it gave out before is valid by
-- itself until it runs out: which of them are not to be believed is kept here. A session that was opened on the portal of
-- a tenant is one of that portal: the host may be a domain of the tenant's own, which the tenant can lead elsewhere at any time, and a
-- cookie caught there must open nothing but what is that tenant's. And an invitation is only as good as who gave it.

-- tables --------------------------------------------------------------------------------------------

create table public.ended_sessions (
  user_id uuid not null,
  id uuid not null,
  session_id text not null check (length(session_id) between 1 and 255),
  all_others boolean not null,
  ended_at timestamptz not null default clock_timestamp(),
  primary key (user_id, id)
);
comment on table public.ended_sessions is
  '@control Sessions whose access tokens are refused though they have not run out. Rows older than any token are removed by those who come after.';
comment on column public.ended_sessions.session_id is 'Claim session_id of the tokens; with all_others the one session that goes on.';
comment on column public.ended_sessions.all_others is 'True after a new password: every token of the user from before is refused, but those of session_id.';

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

alter table public.customer_logins add column invited_by text default app.actor_id();
comment on column public.customer_logins.invited_by is 'Who gave the invitation, a user or a key; null for older ones.';

-- indexes -------------------------------------------------------------------------------------------

create index ended_sessions_ended_idx on public.ended_sessions (ended_at);

-- functions -----------------------------------------------------------------------------------------

create function app.end_sessions(p_user uuid, p_session text, p_all_others boolean) returns void
  language plpgsql volatile security definer set search_path = ''
  as $$
    begin
      insert into public.ended_sessions (user_id, id, session_id, all_others)
        values (p_user, app.uuid_v7(), p_session, p_all_others);
      -- No auth server gives out tokens for longer than a week.
      delete from public.ended_sessions where (user_id, id) in (
        select e.user_id, e.id from public.ended_sessions e where e.ended_at < clock_timestamp() - interval '8 days'
        limit 20 for update skip locked);
      if not p_all_others then
        -- Its tokens are refused until they run out, and there will be no others.
        delete from public.portal_sessions s where s.user_id = p_user and s.session_id = p_session;
      end if;
    end
  $$;
comment on function app.end_sessions(uuid, text, boolean) is
  'From now on refuses the access tokens of one session of a user or, with p_all_others, those of every other one that there are. '
  'Definer: nobody but these functions of sessions touches their tables.';

create function app.open_portal_session(p_user uuid, p_session text, p_tenant uuid) returns void
  language sql volatile security definer set search_path = ''
  as $$
    insert into public.portal_sessions (user_id, session_id, portal_of) values (p_user, p_session, p_tenant) on conflict do nothing
  $$;
comment on function app.open_portal_session(uuid, text, uuid) is
  'Notes of a session that has just been opened on whose portal that was; it stays so until it ends. Definer: as end_sessions.';

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

create or replace function app.accept_customer_login(p_tenant uuid, p_token_hash bytea, p_user uuid, p_email text, p_actor jsonb) returns uuid
  language plpgsql volatile security definer set search_path = ''
  as $$
    declare v_customer uuid;
    begin
      -- What the state of the tenant leaves of the right to write in its portal; app.begin_tenant has looked.
      if app.tenant_id() is distinct from p_tenant or not app.can('portal:write') then
        raise exception using errcode = '42501', message = 'this tenant takes nothing at the moment';
      end if;
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
  'Within a transaction of the tenant that app.begin_tenant opened with portal:write: binds an invitation to the user who holds its token and its '
  'address; the customer, or null for every reason it cannot be. Single use, also when tried twice at once. Definer: the user is nothing to the tenant before.';

create function app.withdraw_invitations() returns trigger
  language plpgsql volatile security definer set search_path = ''
  as $$
    begin
      if tg_op = 'DELETE' or new.role not in ('owner', 'admin', 'member') then
        delete from public.customer_logins
          where tenant_id = old.tenant_id and accepted_at is null and (invited_by = old.user_id::text or invited_by in (
            select k.id::text from public.api_keys k where k.tenant_id = old.tenant_id and k.created_by = old.user_id));
      end if;
      return null;
    end
  $$;
comment on function app.withdraw_invitations() is
  'Open invitations to the portal, by hand or by key, end with the right of a member to give them. Definer: who removes a member need not be able to write customers.';

-- triggers ------------------------------------------------------------------------------------------

create trigger memberships_invitations after delete or update of role on public.memberships
  for each row execute function app.withdraw_invitations();
comment on trigger memberships_invitations on public.memberships is '@move-safe';

-- grants and policies -------------------------------------------------------------------------------

alter table public.ended_sessions enable row level security;
alter table public.ended_sessions force row level security;
grant select, insert, update, delete on public.ended_sessions to app_kernel;
create policy ended_sessions_kernel on public.ended_sessions for all to app_kernel using (true) with check (true);
alter table public.portal_sessions enable row level security;
alter table public.portal_sessions force row level security;
grant select, insert, delete on public.portal_sessions to app_kernel;
create policy portal_sessions_kernel on public.portal_sessions for all to app_kernel using (true) with check (true);
grant delete on public.customer_logins to app_kernel;
create policy customer_logins_kernel_delete on public.customer_logins for delete to app_kernel using (true);

revoke all on all functions in schema app from public;
grant execute on function app.end_sessions(uuid, text, boolean), app.open_portal_session(uuid, text, uuid), app.read_session(uuid, text, bigint)
  to app_tenant;
alter function app.end_sessions(uuid, text, boolean) owner to app_kernel;
alter function app.open_portal_session(uuid, text, uuid) owner to app_kernel;
alter function app.read_session(uuid, text, bigint) owner to app_kernel;
alter function app.withdraw_invitations() owner to app_kernel;
