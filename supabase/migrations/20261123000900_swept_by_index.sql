-- What is swept is found by its index: a clock that moves while a statement runs cannot be looked up in one, and every attempt to sign in
-- read through the counters of all others.

-- functions -----------------------------------------------------------------------------------------

create or replace function app.count_auth_attempt(p_limit text, p_key text, p_most integer, p_seconds integer) returns integer
  language plpgsql volatile security definer set search_path = ''
  as $$
    declare
      v_hash bytea := sha256(convert_to(p_limit || ' ' || p_key, 'UTF8'));
      v_row public.auth_attempts;
    begin
      if p_most < 1 or p_seconds not between 1 and 86400 then
        raise exception using errcode = '22023', message = 'a limit is at least one attempt in 1 to 86400 seconds';
      end if;
      insert into public.auth_attempts as a (key_hash, attempts, resets_at)
        values (v_hash, 1, clock_timestamp() + make_interval(secs => p_seconds))
        on conflict (key_hash) do update set
          attempts = case when a.resets_at <= clock_timestamp() then 1 else least(a.attempts + 1, p_most + 1) end,
          resets_at = case when a.resets_at <= clock_timestamp() then excluded.resets_at else a.resets_at end
        returning * into v_row;
      -- After it: whoever waits here for nobody can be waited for by anybody.
      delete from public.auth_attempts where key_hash in (
        select a.key_hash from public.auth_attempts a where a.resets_at < statement_timestamp() - interval '1 minute' and a.key_hash <> v_hash
        limit 20 for update skip locked);
      return case when v_row.attempts > p_most then greatest(ceil(extract(epoch from v_row.resets_at - clock_timestamp())), 1) else 0 end;
    end
  $$;

create or replace function app.sweep_reservations(p_tenant uuid) returns integer
  language plpgsql volatile set search_path = ''
  as $$
    declare v_swept integer;
    begin
      -- They have not counted since they expired; this keeps the index of what is held short.
      update public.reservations r set status = 'released', closed_at = clock_timestamp()
        where r.tenant_id = p_tenant and r.id in (
          select x.id from public.reservations x where x.tenant_id = p_tenant and x.status = 'held' and x.expires_at < statement_timestamp() - interval '1 minute'
          order by x.expires_at limit 10000 for update skip locked);
      get diagnostics v_swept = row_count;
      return v_swept;
    end
  $$;

create or replace function app.tenants_with_expired_reservations(p_limit integer) returns table (tenant_id uuid)
  language sql stable security definer set search_path = ''
  as $$
    select s.tenant_id from public.tenant_states s
    where exists (select 1 from public.reservations r
      where r.tenant_id = s.tenant_id and r.status = 'held' and r.expires_at < statement_timestamp() - interval '1 minute')
    limit p_limit
  $$;

create or replace function app.end_sessions(p_user uuid, p_session text, p_all_others boolean) returns void
  language plpgsql volatile security definer set search_path = ''
  as $$
    begin
      insert into public.ended_sessions (user_id, id, session_id, all_others)
        values (p_user, app.uuid_v7(), p_session, p_all_others);
      -- No auth server gives out tokens for longer than a week.
      delete from public.ended_sessions where (user_id, id) in (
        select e.user_id, e.id from public.ended_sessions e where e.ended_at < statement_timestamp() - interval '8 days'
        limit 20 for update skip locked);
      if not p_all_others then
        -- Its tokens are refused until they run out, and there will be no others.
        delete from public.portal_sessions s where s.user_id = p_user and s.session_id = p_session;
      end if;
    end
  $$;
