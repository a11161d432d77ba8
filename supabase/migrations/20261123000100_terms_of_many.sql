-- Terms of ten thousand customers change in about a second, in which their tenant's usage waits: their balances are settled and opened
-- together, not one by one. What a recurring grant gives anew while nothing is used of it is counted, not written down each time, so that
-- a customer idle for a year is no more to roll forward than one idle for a day. And whoever may change tiers settles what hangs on them.

-- functions -----------------------------------------------------------------------------------------

-- In plpgsql: a function in SQL with a fixed search_path is planned anew in every statement.
create or replace function app.uuid_v7() returns uuid
  language plpgsql volatile parallel safe set search_path = ''
  as $$
    declare
      v_micros constant bigint := extract(epoch from clock_timestamp()) * 1000000;
    begin
      return encode(overlay(uuid_send(gen_random_uuid())
        placing int8send((v_micros / 1000) << 16 | 28672 | (v_micros % 1000) * 4096 / 1000) from 1 for 8), 'hex')::uuid;
    end
  $$;

create function app.skip_issues(p_grant public.grants, p_until timestamptz, p_since timestamptz, p_time_zone text) returns public.grants
  language plpgsql stable set search_path = ''
  as $$
    declare
      v_until constant timestamptz := least(p_until, p_grant.expires_at - interval '1 microsecond');
      v_first constant timestamp := p_grant.effective_at at time zone p_time_zone;
      v_last constant timestamp := v_until at time zone p_time_zone;
      v_issues integer;
    begin
      -- About as many as there were days, weeks, months or years; then exactly.
      v_issues := greatest(p_grant.issues, case p_grant.recurrence
        when 'day' then v_last::date - v_first::date
        when 'week' then (v_last::date - v_first::date) / 7
        when 'month' then (date_part('year', v_last) - date_part('year', v_first)) * 12 + date_part('month', v_last) - date_part('month', v_first)
        else date_part('year', v_last) - date_part('year', v_first) end);
      while v_issues > p_grant.issues and app.grant_due(p_grant.effective_at, p_grant.recurrence, v_issues - 1, p_time_zone) > v_until loop
        v_issues := v_issues - 1;
      end loop;
      while app.grant_due(p_grant.effective_at, p_grant.recurrence, v_issues, p_time_zone) <= v_until loop
        v_issues := v_issues + 1;
      end loop;
      if v_issues > p_grant.issues then
        p_grant.issued_at := greatest(app.grant_due(p_grant.effective_at, p_grant.recurrence, v_issues - 1, p_time_zone), p_since);
        p_grant.issues := v_issues;
      end if;
      return p_grant;
    end
  $$;
comment on function app.skip_issues(public.grants, timestamptz, timestamptz, text) is
  'A recurring grant of which nothing was used, with its issues up to p_until counted; p_since is the moment as of which it is known.';

create or replace function app.roll_balance(
  inout p_balance public.balances, inout p_grants public.grants[], out entries public.balance_entries[],
  p_limit numeric, p_period text, p_anchor integer, p_rollover_min numeric, p_rollover_max numeric, p_preserve_overage boolean,
  p_now timestamptz, p_time_zone text
)
  language plpgsql stable set search_path = ''
  as $$
    declare
      v_limit constant numeric := coalesce(p_limit, 0);
      v_grant public.grants;
      v_before public.balances;
      v_grants_before public.grants[];
      v_start date;
      v_reset timestamptz;
      v_at timestamptz;
      v_due timestamptz[];
      v_expires timestamptz[];
      v_same boolean[];
      v_stale boolean := true;
      v_count constant integer := coalesce(cardinality(p_grants), 0);
      v_from constant timestamptz := p_balance.as_of;
      v_kind integer;
      v_place integer;
      v_steady boolean := false;
      v_other timestamptz;
      v_amount numeric;
      v_used numeric;
      v_ahead numeric;
      v_pending numeric := 0;
      v_burnt record;
    begin
      entries := '{}';
      v_start := app.period_start((p_balance.as_of at time zone p_time_zone)::date, p_period, p_anchor);
      v_reset := app.day_start(app.period_end(v_start, p_period, p_anchor), p_time_zone);
      for i in 1 .. v_count loop
        v_grant := p_grants[i];
        v_due[i] := case when v_grant.closed_at is null
          then app.grant_due(v_grant.effective_at, v_grant.recurrence, v_grant.issues, p_time_zone) end;
        v_expires[i] := case when v_grant.closed_at is null then coalesce(v_grant.expires_at, 'infinity') else 'infinity' end;
      end loop;
      loop
        -- An issue that leaves its grant as it is, because nothing was used of it, is nothing that happens: it is counted when the grant is next touched.
        if v_stale then
          for i in 1 .. v_count loop
            v_grant := p_grants[i];
            v_same[i] := v_pending = 0 and v_grant.issues > 0 and v_grant.recurrence is not null and v_grant.opening = v_grant.remaining
              and v_grant.remaining = least(v_grant.rollover_max, greatest(v_grant.remaining, v_grant.rollover_min)) + v_grant.amount;
          end loop;
          v_stale := false;
        end if;
        -- What comes next; of what comes at one moment, expiry goes before reset and reset before issue.
        v_other := 'infinity';
        v_kind := 0;
        v_place := 0;
        for i in 1 .. v_count loop
          if v_due[i] < v_expires[i] and not v_same[i] then
            v_at := greatest(v_due[i], p_balance.as_of);
            if v_at < v_other or (v_at = v_other and v_kind = 3 and v_due[i] < v_due[v_place]) then
              v_other := v_at;
              v_kind := 3;
              v_place := i;
            end if;
          end if;
          if v_expires[i] < 'infinity' then
            v_at := greatest(v_expires[i], p_balance.as_of);
            if v_at < v_other or (v_at = v_other and v_kind = 3) then
              v_other := v_at;
              v_kind := 1;
              v_place := i;
            end if;
          end if;
        end loop;
        if v_reset < v_other or (v_reset = v_other and v_kind = 3) then
          v_at := v_reset;
          v_kind := 2;
        else
          v_at := v_other;
        end if;
        -- What came ahead of a period is used when it begins, after all that happens at that moment.
        if v_pending <> 0 and v_at > p_balance.as_of then
          select * into v_burnt from app.burn_sources(p_balance, p_grants, v_pending);
          p_balance := v_burnt.p_balance;
          p_grants := v_burnt.p_grants;
          v_pending := 0;
          v_stale := true;
        end if;
        exit when v_at > p_now;

        if v_kind = 2 then
          v_before := p_balance;
          v_grants_before := p_grants;
          v_amount := p_balance.granted + p_balance.overage - p_balance.used;
          p_balance.as_of := v_at;
          p_balance.starts_on := app.period_start((v_at at time zone p_time_zone)::date, p_period, p_anchor);
          p_balance.resets_at := app.day_start(app.period_end(p_balance.starts_on, p_period, p_anchor), p_time_zone);
          p_balance.carried := case when p_preserve_overage then p_balance.overage else 0 end;
          p_balance.used := 0;
          p_balance.overage := 0;
          entries := entries || app.balance_entry(p_balance, null, 'reset', -v_amount, 0);
          v_amount := least(p_rollover_max, greatest(p_balance.allowance_left, p_rollover_min));
          p_balance.granted := v_amount;
          if v_amount > 0 then
            entries := entries || app.balance_entry(p_balance, null, 'rollover', v_amount, p_balance.granted);
          end if;
          for i in 1 .. v_count loop
            continue when p_grants[i].closed_at is not null or p_grants[i].issues = 0;
            if p_grants[i].recurrence is null then
              p_grants[i].remaining := least(p_grants[i].rollover_max, greatest(p_grants[i].remaining, p_grants[i].rollover_min));
            end if;
            p_grants[i].opening := p_grants[i].remaining;
            p_balance.granted := p_balance.granted + p_grants[i].remaining;
            if p_grants[i].remaining > 0 then
              entries := entries || app.balance_entry(p_balance, p_grants[i].id, 'rollover', p_grants[i].remaining, p_balance.granted);
            end if;
          end loop;
          p_balance.allowance := v_limit;
          p_balance.opening := v_amount + v_limit;
          p_balance.allowance_left := p_balance.opening;
          p_balance.granted := p_balance.granted + v_limit;
          if v_limit > 0 then
            entries := entries || app.balance_entry(p_balance, null, 'allowance', v_limit, p_balance.granted);
          end if;
          -- What came before the period began and says it happened in it was counted in its counter alone.
          v_ahead := coalesce((
            select k.used from public.usage_counters k
            where k.tenant_id = p_balance.tenant_id and k.period = p_period and k.meter_id = p_balance.meter_id and k.starts_on = p_balance.starts_on
              and k.customer_id = p_balance.customer_id), 0);
          v_stale := true;
          for i in 1 .. v_count loop
            -- Something is used of them now.
            continue when not v_same[i] or (v_ahead = 0 and p_balance.carried = 0);
            p_grants[i] := app.skip_issues(p_grants[i], v_at - interval '1 microsecond', v_from, p_time_zone);
            v_due[i] := app.grant_due(p_grants[i].effective_at, p_grants[i].recurrence, p_grants[i].issues, p_time_zone);
          end loop;
          if p_balance.carried > 0 then
            select * into v_burnt from app.burn_sources(p_balance, p_grants, p_balance.carried);
            p_balance := v_burnt.p_balance;
            p_grants := v_burnt.p_grants;
            entries := entries || app.balance_entry(p_balance, null, 'rollover', p_balance.overage - p_balance.carried,
              p_balance.granted + p_balance.overage - p_balance.used);
          end if;
          entries[cardinality(entries)].granted := p_balance.granted;
          entries[cardinality(entries)].overage := p_balance.overage;
          entries[cardinality(entries)].allowance := p_balance.allowance;
          entries[cardinality(entries)].opening := p_balance.opening;
          entries[cardinality(entries)].starts_on := p_balance.starts_on;
          v_pending := v_ahead;
          -- Nothing changes from here on but the date: go to the last reset before anything else happens.
          if v_steady and v_ahead = 0 and p_grants is not distinct from v_grants_before
            and (p_balance.allowance_left, p_balance.granted, p_balance.used, p_balance.overage, p_balance.opening)
              is not distinct from (v_before.allowance_left, v_before.granted, v_before.used, v_before.overage, v_before.opening) then
            v_start := app.period_start((least(p_now, v_other - interval '1 microsecond') at time zone p_time_zone)::date, p_period, p_anchor);
            if v_start > p_balance.starts_on then
              p_balance.starts_on := v_start;
              entries[cardinality(entries)].starts_on := v_start;
              p_balance.as_of := app.day_start(v_start, p_time_zone);
              p_balance.resets_at := app.day_start(app.period_end(v_start, p_period, p_anchor), p_time_zone);
            end if;
          end if;
          v_steady := v_ahead = 0;
          v_start := p_balance.starts_on;
          v_reset := p_balance.resets_at;
          continue;
        end if;

        v_steady := false;
        p_balance.as_of := v_at;
        v_grant := p_grants[v_place];
        v_stale := true;
        if v_kind = 1 then
          if v_same[v_place] then
            v_grant := app.skip_issues(v_grant, v_at, v_from, p_time_zone);
          end if;
          p_balance.granted := p_balance.granted - v_grant.remaining;
          if v_grant.remaining > 0 then
            entries := entries || app.balance_entry(p_balance, v_grant.id, 'expired', -v_grant.remaining,
              p_balance.granted + p_balance.overage - p_balance.used);
          end if;
          v_grant.remaining := 0;
          v_grant.closed_at := v_at;
          v_due[v_place] := null;
          v_expires[v_place] := 'infinity';
        else
          v_amount := case when v_grant.issues = 0 then 0
            else least(v_grant.rollover_max, greatest(v_grant.remaining, v_grant.rollover_min)) end;
          if v_amount <> v_grant.remaining then
            p_balance.granted := p_balance.granted + v_amount - v_grant.remaining;
            entries := entries || app.balance_entry(p_balance, v_grant.id, 'rollover', v_amount - v_grant.remaining,
              p_balance.granted + p_balance.overage - p_balance.used);
          end if;
          p_balance.granted := p_balance.granted + v_grant.amount;
          entries := entries || app.balance_entry(p_balance, v_grant.id, 'issued', v_grant.amount,
            p_balance.granted + p_balance.overage - p_balance.used);
          v_grant.remaining := v_amount + v_grant.amount;
          v_grant.opening := v_grant.remaining;
          v_grant.issued_at := v_at;
          v_grant.issues := v_grant.issues + 1;
          v_due[v_place] := app.grant_due(v_grant.effective_at, v_grant.recurrence, v_grant.issues, p_time_zone);
        end if;
        p_grants[v_place] := v_grant;
      end loop;

      for i in 1 .. v_count loop
        continue when not v_same[i];
        p_grants[i] := app.skip_issues(p_grants[i], p_now, v_from, p_time_zone);
      end loop;
      p_balance.as_of := greatest(p_balance.as_of, p_now);
      p_balance.resets_at := v_reset;
      if p_balance.allowance <> v_limit then
        -- The cap was changed within the period: what was used stays used, as with a plain cap.
        v_amount := v_limit - p_balance.allowance;
        p_balance.allowance := v_limit;
        p_balance.granted := p_balance.granted + v_amount;
        p_balance.opening := p_balance.opening + v_amount;
        if v_amount > 0 then
          v_used := least(v_amount, p_balance.overage);
          p_balance.overage := p_balance.overage - v_used;
          p_balance.allowance_left := p_balance.allowance_left + v_amount - v_used;
          v_amount := v_amount - v_used;
        else
          v_used := least(-v_amount, p_balance.allowance_left);
          p_balance.allowance_left := p_balance.allowance_left - v_used;
          p_balance.overage := p_balance.overage - v_amount - v_used;
          v_amount := -v_used;
        end if;
        entries := entries || app.balance_entry(p_balance, null, 'allowance', v_amount, p_balance.granted + p_balance.overage - p_balance.used);
      end if;
      if v_start <> p_balance.starts_on then
        -- Its periods begin on another day than before: what was used in the present one is what its counter says.
        p_balance.starts_on := v_start;
        select k.used into v_used from public.usage_counters k
          where k.tenant_id = p_balance.tenant_id and k.period = p_period and k.meter_id = p_balance.meter_id and k.starts_on = v_start
            and k.customer_id = p_balance.customer_id;
        v_used := coalesce(v_used, 0) + p_balance.carried - p_balance.used;
        v_amount := p_balance.granted + p_balance.overage - p_balance.used;
        if v_used <> 0 then
          select * into v_burnt from app.burn_sources(p_balance, p_grants, v_used);
          p_balance := v_burnt.p_balance;
          p_grants := v_burnt.p_grants;
        end if;
        entries := entries || app.balance_entry(p_balance, null, 'reset', p_balance.granted + p_balance.overage - p_balance.used - v_amount,
          p_balance.granted + p_balance.overage - p_balance.used);
      end if;
    end
  $$;
comment on function app.roll_balance(public.balances, public.grants[], numeric, text, integer, numeric, numeric, boolean, timestamptz, text) is
  'Where a balance stands at p_now: grants issued and expired, periods reset, allowance and one-time grants rolled over at each reset, recurring '
  'grants at each issue, all in order of time and each once. Reads nothing but counters of periods that begin. entries is the history in between, '
  'without ids; issues and resets that change nothing are not in it.';

create function app.balance_terms(p_tenant uuid, p_customers uuid[], p_meters uuid[])
  returns table (
    customer_id uuid, meter_id uuid, cap_limit numeric, period text, rollover_min numeric, rollover_max numeric, preserve_overage boolean,
    anchor integer, since timestamptz
  )
  language plpgsql stable set search_path = '' set plan_cache_mode = force_generic_plan set enable_seqscan = off
  set enable_hashjoin = off set enable_mergejoin = off
  as $$
    declare
      v_default uuid;
      v_version integer;
    begin
      select t.id, t.version into v_default, v_version from public.tiers t where t.tenant_id = p_tenant and t.is_default;
      return query
        select p.customer_id, p.meter_id, c.cap_limit, coalesce(c.period, 'month'), coalesce(c.rollover_min, 0), coalesce(c.rollover_max, 0),
          coalesce(c.preserve_overage, false), coalesce(s.anchor_day, 1)::integer, coalesce(c.since, s.started_at)
        from unnest(p_customers, p_meters) p (customer_id, meter_id)
        left join lateral (
          select x.tier_id, x.tier_version, x.anchor_day, x.started_at from public.subscriptions x
          where x.tenant_id = p_tenant and x.customer_id = p.customer_id and x.canceled_at is null limit 1
        ) s on true
        left join lateral (
          select coalesce(x.cap_limit, 0) as cap_limit, x.period, x.rollover_min, x.rollover_max, x.preserve_overage, x.created_at as since
          from public.entitlements x
          where x.tenant_id = p_tenant and x.customer_id = p.customer_id and x.meter_id = p.meter_id and x.canceled_at is null
          union all
          select x.cap_limit, x.period, x.rollover_min, x.rollover_max, x.preserve_overage, null
          from public.tier_caps x
          where x.tenant_id = p_tenant and x.tier_id = coalesce(s.tier_id, v_default) and x.version = coalesce(s.tier_version, v_version)
            and x.meter_id = p.meter_id
          limit 1
        ) c on true;
    end
  $$;
comment on function app.balance_terms(uuid, uuid[], uuid[]) is
  'app.balance_cap for many pairs of customer and meter at once, with the moment since when the customer has the terms; null where it has them by default.';

create function app.idle_allowance(p_limit numeric, p_period text, p_anchor integer, p_rollover_min numeric, p_rollover_max numeric,
    p_since timestamptz, p_now timestamptz, p_time_zone text) returns numeric
  language plpgsql stable set search_path = ''
  as $$
    declare
      v_left numeric := p_limit;
      v_at timestamptz := p_since;
    begin
      for i in 1 .. 1200 loop
        v_at := app.day_start(app.period_end(app.period_start((v_at at time zone p_time_zone)::date, p_period, p_anchor), p_period, p_anchor), p_time_zone);
        exit when v_at > p_now or v_left = p_limit + least(p_rollover_max, greatest(v_left, p_rollover_min));
        v_left := p_limit + least(p_rollover_max, greatest(v_left, p_rollover_min));
      end loop;
      return v_left;
    end
  $$;
comment on function app.idle_allowance(numeric, text, integer, numeric, numeric, timestamptz, timestamptz, text) is
  'What an allowance that rolls over has become by p_now, when nothing was used of it since p_since.';

create function app.open_balances(p_tenant uuid, p_customers uuid[], p_meters uuid[], p_now timestamptz, p_time_zone text, p_changed boolean) returns void
  language plpgsql volatile set search_path = '' set plan_cache_mode = force_generic_plan set enable_seqscan = off
  set enable_hashjoin = off set enable_mergejoin = off
  as $$
    declare
      v_today constant date := (p_now at time zone p_time_zone)::date;
      v_customers uuid[];
      v_meters uuid[];
    begin
      select array_agg(p.customer_id), array_agg(p.meter_id) into v_customers, v_meters
        from unnest(p_customers, p_meters) p (customer_id, meter_id)
        where not exists (
            select 1 from public.balances x where x.tenant_id = p_tenant and x.customer_id = p.customer_id and x.meter_id = p.meter_id)
          and exists (select 1 from public.meters m where m.tenant_id = p_tenant and m.id = p.meter_id and m.aggregation in ('SUM', 'COUNT'));
      if v_customers is null then
        return;
      end if;
      -- The counters are held, so that nothing is counted between reading them and the balances being there.
      insert into public.usage_counters (tenant_id, period, meter_id, starts_on, customer_id, used, events)
        select p_tenant, t.period, t.meter_id, app.period_start(v_today, t.period, t.anchor), t.customer_id, 0, 0
        from app.balance_terms(p_tenant, v_customers, v_meters) t
        order by 2, 3, 4, 5
        on conflict (tenant_id, period, meter_id, starts_on, customer_id) do nothing;
      with terms as materialized (
        select t.*, k.starts_on, k.used
        from app.balance_terms(p_tenant, v_customers, v_meters) t
        cross join lateral (
          select x.starts_on, x.used from public.usage_counters x
          where x.tenant_id = p_tenant and x.period = t.period and x.meter_id = t.meter_id
            and x.starts_on = app.period_start(v_today, t.period, t.anchor) and x.customer_id = t.customer_id
          limit 1 for update
        ) k
      ),
      fresh as materialized (
        select t.*,
          -- An allowance that rolls over has done so since the customer has it, also before anything was used.
          case when t.rollover_max > 0 and not p_changed and app.period_start((t.since at time zone p_time_zone)::date, t.period, t.anchor) < t.starts_on
              and not exists (
                select 1 from public.usage_counters x
                where x.tenant_id = p_tenant and x.period = t.period and x.meter_id = t.meter_id and x.customer_id = t.customer_id
                  and x.starts_on < t.starts_on and x.events > 0)
            then app.idle_allowance(t.cap_limit, t.period, t.anchor, t.rollover_min, t.rollover_max, t.since, p_now, p_time_zone)
            else coalesce(t.cap_limit, 0) end as granted
        from terms t
      ),
      opened as (
        insert into public.balances as b (tenant_id, customer_id, meter_id, starts_on, allowance, allowance_left, granted, carried, used, overage, as_of,
            opening, resets_at)
          select p_tenant, t.customer_id, t.meter_id, t.starts_on, coalesce(t.cap_limit, 0), greatest(t.granted - t.used, 0), t.granted, 0, t.used,
            greatest(t.used - t.granted, 0), p_now, t.granted, app.day_start(app.period_end(t.starts_on, t.period, t.anchor), p_time_zone)
          from fresh t
          order by t.customer_id, t.meter_id
          on conflict (tenant_id, customer_id, meter_id) do nothing
          returning b.*
      )
      insert into public.balance_entries (tenant_id, id, customer_id, meter_id, kind, amount, balance, occurred_at, granted, overage, allowance, opening,
          starts_on)
        select p_tenant, app.uuid_v7(), o.customer_id, o.meter_id, 'allowance', o.granted, o.allowance_left, o.as_of, o.granted, o.overage, o.allowance,
          o.opening, o.starts_on
        from opened o;
    end
  $$;
comment on function app.open_balances(uuid, uuid[], uuid[], timestamptz, text, boolean) is
  'Begins the balances of pairs of customer and SUM or COUNT meter that have none: what was used in the present period is used, and an allowance that rolls over has done so since the customer has it, or begins to now where its terms were just changed.';

create or replace function app.open_balance(p_tenant uuid, p_customer uuid, p_meter uuid, p_now timestamptz, p_time_zone text, p_changed boolean default false)
  returns void
  language plpgsql volatile set search_path = ''
  as $$
    begin
      perform app.open_balances(p_tenant, array[p_customer], array[p_meter], p_now, p_time_zone, p_changed);
    end
  $$;
comment on function app.open_balance(uuid, uuid, uuid, timestamptz, text, boolean) is 'app.open_balances for one customer and meter.';

create function app.settle_balances(p_tenant uuid, p_customers uuid[], p_now timestamptz, p_time_zone text) returns void
  language plpgsql volatile set search_path = '' set plan_cache_mode = force_generic_plan set enable_seqscan = off
  set enable_hashjoin = off set enable_mergejoin = off
  as $$
    declare
      v_customers uuid[];
      v_meters uuid[];
      v_touched public.grants[];
    begin
      -- Held first, so that what follows sees the grants and counters that belong to them.
      select array_agg(x.customer_id), array_agg(x.meter_id) into v_customers, v_meters
        from (
          select b.customer_id, b.meter_id from public.balances b
          where b.tenant_id = p_tenant and b.customer_id = any (p_customers)
          order by b.customer_id, b.meter_id for update
        ) x;
      with rolled as materialized (
        select g.grants, r.p_balance, r.p_grants, r.entries
        from app.balance_terms(p_tenant, v_customers, v_meters) t
        cross join lateral (
          select x as balance from public.balances x
          where x.tenant_id = p_tenant and x.customer_id = t.customer_id and x.meter_id = t.meter_id limit 1
        ) b
        cross join lateral (
          select coalesce(array_agg(x order by x.id), '{}') as grants from public.grants x
          where x.tenant_id = p_tenant and x.customer_id = t.customer_id and x.meter_id = t.meter_id and x.closed_at is null
        ) g
        cross join lateral app.roll_balance(b.balance, g.grants, t.cap_limit, t.period, t.anchor, t.rollover_min, t.rollover_max, t.preserve_overage,
          p_now, p_time_zone) r
      ),
      kept as (
        -- An update in all but name: found by its key one by one, whatever the planner knows of the table.
        insert into public.balances (tenant_id, customer_id, meter_id, starts_on, allowance, allowance_left, granted, carried, used, overage, as_of,
            opening, resets_at)
          select p_tenant, (r.p_balance).customer_id, (r.p_balance).meter_id, (r.p_balance).starts_on, (r.p_balance).allowance,
            (r.p_balance).allowance_left, (r.p_balance).granted, (r.p_balance).carried, (r.p_balance).used, (r.p_balance).overage,
            (r.p_balance).as_of, (r.p_balance).opening, (r.p_balance).resets_at
          from rolled r
          on conflict (tenant_id, customer_id, meter_id) do update set starts_on = excluded.starts_on, allowance = excluded.allowance,
            allowance_left = excluded.allowance_left, granted = excluded.granted, carried = excluded.carried, used = excluded.used,
            overage = excluded.overage, as_of = excluded.as_of, opening = excluded.opening, resets_at = excluded.resets_at
      ),
      noted as (
        insert into public.balance_entries (tenant_id, id, customer_id, meter_id, grant_id, kind, amount, balance, occurred_at, granted, overage,
            allowance, opening, starts_on)
          select p_tenant, app.uuid_v7(), e.customer_id, e.meter_id, e.grant_id, e.kind, e.amount, e.balance, e.occurred_at, e.granted, e.overage,
            e.allowance, e.opening, e.starts_on
          from rolled r cross join lateral unnest(r.entries) with ordinality e
          order by e.customer_id, e.meter_id, e.ordinality
      )
      select array_agg(n) into v_touched
        from rolled r cross join lateral unnest(r.p_grants) n where n <> all (r.grants);
      for i in 1 .. coalesce(cardinality(v_touched), 0) loop
        update public.grants g set remaining = v_touched[i].remaining, opening = v_touched[i].opening, issued_at = v_touched[i].issued_at,
            issues = v_touched[i].issues, closed_at = v_touched[i].closed_at
          where g.tenant_id = p_tenant and g.id = v_touched[i].id;
      end loop;
    end
  $$;
comment on function app.settle_balances(uuid, uuid[], timestamptz, text) is
  'Brings all balances of customers up to p_now, as app.settle_balance does one. The writers of the tenant''s usage are held off by the caller.';

create or replace function app.settle_customers(p_tenant uuid, p_customers uuid[], p_time_zone text, p_changed boolean) returns void
  language plpgsql volatile set search_path = ''
  as $$
    declare
      v_now timestamptz;
      v_customers uuid[];
      v_opened uuid[];
      v_meters uuid[];
    begin
      if p_customers is null then
        select array_agg(distinct b.customer_id) into v_customers from public.balances b
          where b.tenant_id = p_tenant and not exists (
            select 1 from public.subscriptions s where s.tenant_id = p_tenant and s.customer_id = b.customer_id and s.canceled_at is null);
      else
        select array_agg(distinct b.customer_id) into v_customers from public.balances b
          where b.tenant_id = p_tenant and b.customer_id = any (p_customers);
      end if;
      select array_agg(u.id order by u.id, t.meter_id), array_agg(t.meter_id order by u.id, t.meter_id) into v_opened, v_meters
        from unnest(p_customers) u (id)
        left join public.subscriptions s on s.tenant_id = p_tenant and s.customer_id = u.id and s.canceled_at is null
        left join public.tiers d on d.tenant_id = p_tenant and d.is_default
        cross join lateral (
          select e.meter_id, e.rollover_max, e.preserve_overage, true as own from public.entitlements e
            where e.tenant_id = p_tenant and e.customer_id = u.id and e.meter_id is not null and e.canceled_at is null
          union all
          select c.meter_id, c.rollover_max, c.preserve_overage, false from public.tier_caps c
            where c.tenant_id = p_tenant and c.tier_id = coalesce(s.tier_id, d.id)
              and c.version = case when s.id is null then d.version else s.tier_version end and not exists (
                select 1 from public.entitlements e
                where e.tenant_id = p_tenant and e.customer_id = u.id and e.meter_id = c.meter_id and e.canceled_at is null)
        ) t
        where (t.rollover_max > 0 or t.preserve_overage) and not exists (
          select 1 from public.balances b where b.tenant_id = p_tenant and b.customer_id = u.id and b.meter_id = t.meter_id);
      if v_opened is not null then
        perform app.hold_usage(p_tenant);
        v_now := clock_timestamp();
        perform app.open_balances(p_tenant, v_opened, v_meters, v_now, p_time_zone, p_changed);
      end if;
      if v_customers is not null then
        perform app.hold_usage(p_tenant);
        v_now := clock_timestamp();
        perform app.settle_balances(p_tenant, v_customers, v_now, p_time_zone);
      end if;
    end
  $$;
drop function app.settle_customer(uuid, uuid, timestamptz, text);

-- policies ------------------------------------------------------------------------------------------

alter policy usage_counters_select on public.usage_counters
  using ((select (select current_setting('app.permissions', true)) like any ('{% usage:read %,% usage:write %,% customers:read %,% customers:write %,% tiers:write %}'))
    or customer_id = nullif((select current_setting('app.customer', true)), '')::uuid);
alter policy grants_select on public.grants
  using ((select (select current_setting('app.permissions', true)) like any ('{% usage:write %,% usage:read %,% customers:read %,% customers:write %,% tiers:write %}'))
    or customer_id = nullif((select current_setting('app.customer', true)), '')::uuid);
alter policy grants_update on public.grants
  using ((select current_setting('app.permissions', true)) like any ('{% customers:write %,% usage:write %,% tiers:write %}'))
  with check ((select (select current_setting('app.permissions', true)) like any ('{% customers:write %,% usage:write %,% tiers:write %}')));
alter policy balances_insert on public.balances
  with check ((select (select current_setting('app.permissions', true)) like any ('{% customers:write %,% usage:write %,% tiers:write %}')));
alter policy balances_update on public.balances
  using ((select current_setting('app.permissions', true)) like any ('{% customers:write %,% usage:write %,% tiers:write %}'))
  with check ((select (select current_setting('app.permissions', true)) like any ('{% customers:write %,% usage:write %,% tiers:write %}')));
alter policy balance_entries_insert on public.balance_entries
  with check ((select (select current_setting('app.permissions', true)) like any ('{% customers:write %,% usage:write %,% tiers:write %}')));

-- grants --------------------------------------------------------------------------------------------

revoke all on all functions in schema app from public;
grant execute on function app.skip_issues(public.grants, timestamptz, timestamptz, text), app.balance_terms(uuid, uuid[], uuid[]),
  app.idle_allowance(numeric, text, integer, numeric, numeric, timestamptz, timestamptz, text),
  app.open_balances(uuid, uuid[], uuid[], timestamptz, text, boolean), app.settle_balances(uuid, uuid[], timestamptz, text) to app_tenant;
