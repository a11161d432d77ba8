-- Attempts to sign in, to sign up, to have mails sent: counted in one place, so that a limit is one limit however many processes
-- answer.

-- tables --------------------------------------------------------------------------------------------

create table public.auth_attempts (
  key_hash bytea not null check (length(key_hash) = 32),
  attempts integer not null check (attempts >= 0),
  resets_at timestamptz not null,
  primary key (key_hash)
);
comment on table public.auth_attempts is
  '@control How often something was tried of late that may be tried only so often. Rows that have run out are removed by those who come after.';
comment on column public.auth_attempts.key_hash is 'SHA-256 of the limit and what it counts by, such as an address: nobody is named here.';

-- indexes -------------------------------------------------------------------------------------------

create index auth_attempts_resets_idx on public.auth_attempts (resets_at);

-- functions -----------------------------------------------------------------------------------------

create function app.count_auth_attempt(p_limit text, p_key text, p_most integer, p_seconds integer) returns integer
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
        select a.key_hash from public.auth_attempts a where a.resets_at < clock_timestamp() - interval '1 minute' and a.key_hash <> v_hash
        limit 20 for update skip locked);
      return case when v_row.attempts > p_most then greatest(ceil(extract(epoch from v_row.resets_at - clock_timestamp())), 1) else 0 end;
    end
  $$;
comment on function app.count_auth_attempt(text, text, integer, integer) is
  'Counts one attempt; 0 when it is within the limit, else the seconds until the window ends. Refused attempts do not make it longer. '
  'Definer: nobody but this and return_auth_attempts touches the counters.';

create function app.return_auth_attempts(p_limit text, p_key text, p_attempts integer) returns void
  language sql volatile security definer set search_path = ''
  as $$
    update public.auth_attempts set attempts = greatest(attempts - greatest(coalesce(p_attempts, attempts), 0), 0)
    where key_hash = sha256(convert_to(p_limit || ' ' || p_key, 'UTF8'))
  $$;
comment on function app.return_auth_attempts(text, text, integer) is
  'Gives attempts back, all of them for null: what succeeded was no attack. Definer: as count_auth_attempt.';

-- grants and policies -------------------------------------------------------------------------------

alter table public.auth_attempts enable row level security;
alter table public.auth_attempts force row level security;
grant select, insert, update, delete on public.auth_attempts to app_kernel;
create policy auth_attempts_kernel on public.auth_attempts for all to app_kernel using (true) with check (true);

revoke all on all functions in schema app from public;
grant execute on function app.count_auth_attempt(text, text, integer, integer), app.return_auth_attempts(text, text, integer) to app_tenant;
alter function app.count_auth_attempt(text, text, integer, integer) owner to app_kernel;
alter function app.return_auth_attempts(text, text, integer) owner to app_kernel;
