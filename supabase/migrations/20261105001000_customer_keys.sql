-- Customer keys: what a tenant hands to its own customers' programs, and asks us about with every call it serves.

-- tables --------------------------------------------------------------------------------------------

create table public.customer_keys (
  tenant_id uuid not null default app.tenant_id(),
  id uuid not null,
  name text not null default '' check (length(name) <= 255),
  prefix text not null check (length(prefix) <= 32),
  last_four text not null check (length(last_four) = 4),
  key_hash bytea not null check (length(key_hash) = 32),
  api_id text check (length(api_id) between 1 and 255),
  external_id text check (length(external_id) between 1 and 255 and external_id !~ '[[:cntrl:]]'),
  meta jsonb not null default '{}' check (jsonb_typeof(meta) = 'object' and length(meta::text) <= 16384),
  permissions text[] not null default '{}' check (cardinality(permissions) <= 200),
  roles text[] not null default '{}' check (cardinality(roles) <= 200),
  ratelimits jsonb not null default '[]' check (jsonb_typeof(ratelimits) = 'array' and jsonb_array_length(ratelimits) <= 50),
  enabled boolean not null default true,
  remaining bigint check (remaining between 0 and 9007199254740991),
  refill_amount bigint check (refill_amount between 1 and 9007199254740991),
  refill_interval text check (refill_interval in ('daily', 'monthly')),
  refill_day integer check (refill_day between 1 and 31),
  refilled_on date,
  succeeded_by uuid,
  created_by text,
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now(),
  expires_at timestamptz,
  last_used_at timestamptz,
  revoked_at timestamptz,
  primary key (tenant_id, id),
  check ((refill_amount is null) = (refill_interval is null)),
  check (refill_day is null or refill_interval = 'monthly'),
  check (refill_amount is null or refilled_on is not null)
) with (fillfactor = 70);
comment on table public.customer_keys is '@tenant Keys of the tenant''s own customers. Never deleted; revoked instead.';
comment on column public.customer_keys.key_hash is 'SHA-256 of the whole key; the key itself is never stored.';
comment on column public.customer_keys.api_id is 'What the tenant calls the API the key is for; kept and shown, nothing more.';
comment on column public.customer_keys.external_id is 'The customer the key belongs to, as in customers.external_id; it need not exist yet.';
comment on column public.customer_keys.permissions is 'The tenant''s own words, with * for all below a dot. They mean nothing here but to the question of a verification.';
comment on column public.customer_keys.ratelimits is '[{name, limit, duration_ms, auto_apply}]';
comment on column public.customer_keys.remaining is 'Credits that are left; null: as many as one likes, or those of succeeded_by.';
comment on column public.customer_keys.refilled_on is 'First day, in UTC, of the period whose refill the credits hold.';
comment on column public.customer_keys.succeeded_by is
  'The key that took the place of this one. Both spend the credits and the limits of that one while the grace of the old one lasts.';
comment on column public.customer_keys.updated_at is 'Set by every change that a person or program asked for, and by no verification: audit and notifications go by it.';
comment on column public.customer_keys.last_used_at is 'Written at most once a minute.';

-- indexes -------------------------------------------------------------------------------------------

create unique index customer_keys_hash_key on public.customer_keys (tenant_id, key_hash);
comment on index public.customer_keys_hash_key is 'A verification finds its key through here.';
create index customer_keys_external_id_idx on public.customer_keys (tenant_id, external_id, id) where external_id is not null;
create index customer_keys_succeeded_idx on public.customer_keys (tenant_id, succeeded_by) where succeeded_by is not null;

-- functions -----------------------------------------------------------------------------------------

create function app.refill_start(p_interval text, p_day integer) returns date
  language plpgsql stable parallel safe set search_path = ''
  as $$
    declare
      v_today date := (statement_timestamp() at time zone 'UTC')::date;
      v_month date := date_trunc('month', v_today::timestamp)::date;
      v_start date;
    begin
      if p_interval = 'daily' then
        return v_today;
      end if;
      v_start := least(v_month + coalesce(p_day, 1) - 1, (v_month + interval '1 month')::date - 1);
      if v_start > v_today then
        v_start := least((v_month - interval '1 month')::date + coalesce(p_day, 1) - 1, v_month - 1);
      end if;
      return v_start;
    end
  $$;
comment on function app.refill_start(text, integer) is
  'The day of the last refill that is due: today, or the day of the month, or the last day of a month that is shorter. In UTC.';

create function app.find_customer_keys(p_tenant uuid, p_epoch bigint, p_actor jsonb, p_hashes bytea[]) returns jsonb
  language plpgsql volatile set search_path = '' set plan_cache_mode = force_generic_plan set enable_seqscan = off
  set enable_hashjoin = off set enable_mergejoin = off
  as $$
    begin
      perform app.begin_tenant(p_tenant, p_epoch, p_actor);
      -- Each is looked up by itself, so that the plan that is kept stays right however many keys there are.
      return (
        select jsonb_agg(case when k.id is not null then jsonb_build_object(
            'id', k.id, 'name', k.name, 'external_id', k.external_id, 'meta', k.meta, 'permissions', k.permissions, 'roles', k.roles,
            'ratelimits', k.ratelimits, 'enabled', k.enabled, 'expires_ms', floor(extract(epoch from k.expires_at) * 1000),
            'revoked', k.revoked_at is not null, 'account_id', coalesce(k.succeeded_by, k.id),
            'limited', (case when k.succeeded_by is null then k.remaining else s.remaining end) is not null,
            'customer_id', c.id, 'customer_archived', c.archived_at is not null) end order by h.n)
        from unnest(p_hashes) with ordinality h (hash, n)
        left join lateral (
          select x.* from public.customer_keys x where x.tenant_id = p_tenant and x.key_hash = h.hash limit 1
        ) k on true
        left join lateral (
          select x.remaining from public.customer_keys x where x.tenant_id = p_tenant and x.id = k.succeeded_by limit 1
        ) s on true
        left join lateral (
          select x.id, x.archived_at from public.customers x where x.tenant_id = p_tenant and x.external_id = k.external_id limit 1
        ) c on true);
    end
  $$;
comment on function app.find_customer_keys(uuid, bigint, jsonb, bytea[]) is
  'Keys by their hashes, in order, null where there is none; opens the tenant itself, so that all that are asked for at one moment are one round trip.';

create function app.spend_customer_keys(p_tenant uuid, p_epoch bigint, p_actor jsonb, p_keys uuid[], p_key integer[], p_costs bigint[])
  returns jsonb
  language plpgsql volatile set search_path = '' set plan_cache_mode = force_generic_plan set enable_seqscan = off
  set enable_hashjoin = off set enable_mergejoin = off
  as $$
    declare
      v_accounts uuid[];
      v_distinct uuid[];
      v_before bigint[];
      v_left bigint[];
      v_due bigint[];
      v_filled bigint;
      v_answers jsonb[] := '{}';
      v_at integer;
    begin
      perform app.begin_tenant(p_tenant, p_epoch, p_actor);
      select array_agg(coalesce(k.succeeded_by, r.id) order by r.n), array_agg(distinct coalesce(k.succeeded_by, r.id))
        into v_accounts, v_distinct
        from unnest(p_keys) with ordinality r (id, n)
        left join lateral (
          select x.succeeded_by from public.customer_keys x where x.tenant_id = p_tenant and x.id = r.id limit 1
        ) k on true;
      -- Locked one by one in the order of ids, which array_agg(distinct) gives, so that two batches never wait for each other.
      select array_agg(k.remaining order by d.n), array_agg(k.due order by d.n)
        into v_before, v_due
        from unnest(v_distinct) with ordinality d (id, n)
        left join lateral (
          select x.remaining,
            case when x.refill_amount is not null and x.remaining is not null
              and app.refill_start(x.refill_interval, x.refill_day) > x.refilled_on then x.refill_amount end as due
          from public.customer_keys x where x.tenant_id = p_tenant and x.id = d.id for update
        ) k on true;
      v_left := v_before;
      for i in 1 .. cardinality(v_distinct) loop
        if v_due[i] is not null then
          update public.customer_keys k
            set remaining = greatest(k.remaining, v_due[i]), refilled_on = app.refill_start(k.refill_interval, k.refill_day)
            where k.tenant_id = p_tenant and k.id = v_distinct[i]
            returning k.remaining into v_filled;
          v_left[i] := v_filled;
          v_before[i] := v_filled;
        end if;
      end loop;
      for i in 1 .. cardinality(p_key) loop
        v_at := array_position(v_distinct, v_accounts[p_key[i]]);
        if v_left[v_at] is null then
          v_answers[i] := jsonb_build_array(true, null);
        elsif v_left[v_at] >= p_costs[i] then
          v_left[v_at] := v_left[v_at] - p_costs[i];
          v_answers[i] := jsonb_build_array(true, v_left[v_at]);
        else
          v_answers[i] := jsonb_build_array(false, v_left[v_at]);
        end if;
      end loop;
      update public.customer_keys k set remaining = s.left_over
        from unnest(v_distinct, v_before, v_left) s (id, had, left_over)
        where k.tenant_id = p_tenant and k.id = s.id and s.had is distinct from s.left_over;
      return to_jsonb(v_answers);
    end
  $$;
comment on function app.spend_customer_keys(uuid, bigint, jsonb, uuid[], integer[], bigint[]) is
  'Takes credits, request by request in their order: per request [whether they were there, what is left], null for a key without limit. '
  'Nothing is taken where too little is left. A refill that is due comes first. The rows are locked until the end.';

create function app.touch_customer_keys(p_tenant uuid, p_epoch bigint, p_actor jsonb, p_ids uuid[]) returns void
  language plpgsql volatile set search_path = '' set plan_cache_mode = force_generic_plan set enable_seqscan = off
  as $$
    begin
      perform app.begin_tenant(p_tenant, p_epoch, p_actor);
      update public.customer_keys k set last_used_at = statement_timestamp()
        where k.tenant_id = p_tenant and k.id = any (
          select x.id from public.customer_keys x
          where x.tenant_id = p_tenant and x.id = any (p_ids)
            and (x.last_used_at is null or x.last_used_at < statement_timestamp() - interval '1 minute')
          order by x.id for update skip locked);
    end
  $$;
comment on function app.touch_customer_keys(uuid, bigint, jsonb, uuid[]) is 'Notes that keys were used, at most once a minute; a key that is just being changed is left out.';

-- triggers ------------------------------------------------------------------------------------------

create trigger customer_keys_audit after insert or delete or update of updated_at on public.customer_keys
  for each row execute function app.audit_row('customer_key', 'key_hash,last_used_at');
create trigger customer_keys_notify after insert or delete or update of updated_at on public.customer_keys
  for each row execute function app.notify_registry();
create trigger customers_keys_notify after update of archived_at on public.customers
  for each row execute function app.notify_registry();
comment on trigger customer_keys_audit on public.customer_keys is '@move-safe';
comment on trigger customer_keys_notify on public.customer_keys is '@move-safe';
comment on trigger customers_keys_notify on public.customers is '@move-safe';

create policy reserved_slugs_migration on public.reserved_slugs for all to current_user using (true) with check (true);
-- An address of the platform: where the clients of others find us. Row security holds for the owner as well, but here.
alter table public.reserved_slugs no force row level security;
insert into public.reserved_slugs (slug) values ('compat') on conflict (slug) do nothing;
alter table public.reserved_slugs force row level security;
drop policy reserved_slugs_migration on public.reserved_slugs;

-- grants and policies -------------------------------------------------------------------------------
-- Whoever may send usage may ask whether a key is good, and spends its credits with that.

alter table public.customer_keys enable row level security;
alter table public.customer_keys force row level security;
grant select, insert on public.customer_keys to app_tenant;
grant update (name, api_id, external_id, meta, permissions, roles, ratelimits, enabled, remaining, refill_amount, refill_interval, refill_day,
  refilled_on, succeeded_by, updated_at, expires_at, last_used_at, revoked_at) on public.customer_keys to app_tenant;
create policy customer_keys_isolation on public.customer_keys as restrictive for all to app_tenant
  using (tenant_id = (select app.tenant_id())) with check (tenant_id = (select app.tenant_id()));
create policy customer_keys_select on public.customer_keys for select to app_tenant
  using ((select current_setting('app.permissions', true)) like any ('{% customer-keys:read %,% usage:write %}'));
create policy customer_keys_insert on public.customer_keys for insert to app_tenant
  with check ((select strpos((select current_setting('app.permissions', true)), ' customer-keys:write ') > 0));
create policy customer_keys_update on public.customer_keys for update to app_tenant
  using ((select current_setting('app.permissions', true)) like any ('{% customer-keys:write %,% usage:write %}')) with check ((select (select current_setting('app.permissions', true)) like any ('{% customer-keys:write %,% usage:write %}')));

revoke all on all functions in schema app from public;
grant execute on function app.refill_start(text, integer), app.find_customer_keys(uuid, bigint, jsonb, bytea[]),
  app.spend_customer_keys(uuid, bigint, jsonb, uuid[], integer[], bigint[]), app.touch_customer_keys(uuid, bigint, jsonb, uuid[]) to app_tenant;
