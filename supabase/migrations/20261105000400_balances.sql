-- Balances: allowances that roll over, grants that are burnt down, and amounts held back for what is under way.
-- What time does to a balance is one function without side effects, app.roll_balance: what is read and what is written agree by construction.

-- tables --------------------------------------------------------------------------------------------

alter table public.balances
  add column opening numeric not null default 0,
  add column resets_at timestamptz not null default 'infinity';
comment on column public.balances.opening is 'Allowance of this period with what rolled over into it, before anything was used.';
comment on column public.balances.resets_at is 'When the present period ends and the allowance with it.';
alter table public.grants add column opening numeric not null default 0;
comment on column public.grants.opening is 'What it held when it was last issued or rolled over, so that a correction knows how much of it was used since.';

create index reservations_expired_idx on public.reservations (tenant_id, expires_at) where status = 'held';

-- functions: moments --------------------------------------------------------------------------------

create function app.day_start(p_day date, p_time_zone text) returns timestamptz
  language plpgsql stable parallel safe set search_path = ''
  as $$
    declare v_start timestamptz := p_day::timestamp at time zone p_time_zone;
    begin
      -- Where the clock goes back over midnight there are two of them, and the day begins at the first.
      if ((v_start - interval '1 hour') at time zone p_time_zone)::date = p_day then
        return v_start - interval '1 hour';
      end if;
      return v_start;
    end
  $$;
comment on function app.day_start(date, text) is 'First moment of a day in a time zone; where midnight does not exist, the moment the clock jumps over it.';

create function app.grant_due(p_effective timestamptz, p_recurrence text, p_issues integer, p_time_zone text) returns timestamptz
  language plpgsql stable parallel safe set search_path = ''
  as $$
    begin
      if p_issues = 0 then
        return p_effective;
      end if;
      if p_recurrence is null then
        return null;
      end if;
      -- Always from the original, so that the 31st comes back after a short month.
      return ((p_effective at time zone p_time_zone) + p_issues * case p_recurrence
        when 'day' then interval '1 day' when 'week' then interval '7 days' when 'month' then interval '1 month' else interval '1 year' end)
        at time zone p_time_zone;
    end
  $$;
comment on function app.grant_due(timestamptz, text, integer, text) is
  'When a grant that was issued so many times is issued next, on the clock of the time zone; null when never again.';

create function app.balance_cap(p_tenant uuid, p_customer uuid, p_meter uuid)
  returns table (
    cap_limit numeric, behaviour text, period text, rollover_min numeric, rollover_max numeric, preserve_overage boolean, anchor integer
  )
  language plpgsql stable set search_path = ''
  as $$
    begin
      select c.cap_limit, c.behaviour, c.period, c.rollover_min, c.rollover_max, c.preserve_overage, c.anchor
        into cap_limit, behaviour, period, rollover_min, rollover_max, preserve_overage, anchor
        from app.effective_cap(p_tenant, p_customer, p_meter) c;
      if anchor is null then
        select s.anchor_day into anchor from public.subscriptions s
          where s.tenant_id = p_tenant and s.customer_id = p_customer and s.canceled_at is null;
      end if;
      period := coalesce(period, 'month');
      rollover_min := coalesce(rollover_min, 0);
      rollover_max := coalesce(rollover_max, 0);
      preserve_overage := coalesce(preserve_overage, false);
      anchor := coalesce(anchor, 1);
      return next;
    end
  $$;
comment on function app.balance_cap(uuid, uuid, uuid) is
  'app.effective_cap as always one row: without a cap the limit and behaviour are null and the period is the customer''s month.';

-- functions: what moves a balance -------------------------------------------------------------------

create function app.burn_sources(inout p_balance public.balances, inout p_grants public.grants[], p_delta numeric)
  language plpgsql stable set search_path = ''
  as $$
    declare
      v_left numeric := abs(p_delta);
      v_part numeric;
      v_source record;
    begin
      p_balance.used := p_balance.used + p_delta;
      if p_delta >= 0 then
        for v_source in
          select 0 as place, 1::smallint as priority, p_balance.resets_at as expires_at, '-infinity'::timestamptz as effective_at, null::uuid as id,
            p_balance.allowance_left as remaining
          union all
          select g.ordinality, g.priority, g.expires_at, g.effective_at, g.id, g.remaining
          from unnest(p_grants) with ordinality g
          where g.closed_at is null and g.remaining > 0
          order by 2, 3 nulls last, 4, 5
        loop
          exit when v_left = 0;
          v_part := least(v_left, v_source.remaining);
          v_left := v_left - v_part;
          if v_source.place = 0 then
            p_balance.allowance_left := p_balance.allowance_left - v_part;
          else
            p_grants[v_source.place].remaining := v_source.remaining - v_part;
          end if;
        end loop;
        p_balance.overage := p_balance.overage + v_left;
      else
        v_part := least(v_left, p_balance.overage);
        p_balance.overage := p_balance.overage - v_part;
        v_left := v_left - v_part;
        for v_source in
          select 0 as place, 1::smallint as priority, p_balance.resets_at as expires_at, '-infinity'::timestamptz as effective_at, null::uuid as id,
            p_balance.opening - p_balance.allowance_left as room
          union all
          select g.ordinality, g.priority, g.expires_at, g.effective_at, g.id, g.opening - g.remaining
          from unnest(p_grants) with ordinality g
          where g.closed_at is null and g.opening > g.remaining
          order by 2 desc, 3 desc nulls first, 4 desc, 5 desc
        loop
          exit when v_left = 0;
          v_part := least(v_left, greatest(v_source.room, 0));
          v_left := v_left - v_part;
          if v_source.place = 0 then
            p_balance.allowance_left := p_balance.allowance_left + v_part;
          else
            p_grants[v_source.place].remaining := p_grants[v_source.place].remaining + v_part;
          end if;
        end loop;
        -- What came from grants that are closed, or from below nothing used, is allowance now.
        p_balance.allowance_left := p_balance.allowance_left + v_left;
      end if;
    end
  $$;
comment on function app.burn_sources(public.balances, public.grants[], numeric) is
  'Takes an amount from allowance and grants by priority, earliest expiry and age (the allowance has priority 1 and expires with its period, and goes '
  'first among equals); the rest is overage. Below zero it takes back: overage first, then in reverse order. used + balance - overage stays granted.';

create function app.roll_balance(
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
      v_due timestamptz;
      v_kind integer;
      v_place integer;
      v_steady boolean := false;
      v_other timestamptz;
      v_amount numeric;
      v_used numeric;
      v_burnt record;
    begin
      entries := '{}';
      loop
        v_start := app.period_start((p_balance.as_of at time zone p_time_zone)::date, p_period, p_anchor);
        v_reset := app.day_start(app.period_end(v_start, p_period, p_anchor), p_time_zone);
        -- What comes next; of what comes at one moment, expiry goes before reset and reset before issue.
        v_other := 'infinity';
        v_kind := 0;
        v_place := 0;
        for i in 1 .. coalesce(cardinality(p_grants), 0) loop
          v_grant := p_grants[i];
          continue when v_grant.closed_at is not null;
          v_due := app.grant_due(v_grant.effective_at, v_grant.recurrence, v_grant.issues, p_time_zone);
          if v_due < coalesce(v_grant.expires_at, 'infinity') then
            v_at := greatest(v_due, p_balance.as_of);
            if v_at < v_other or (v_at = v_other and v_kind = 3 and v_due < app.grant_due(p_grants[v_place].effective_at,
                p_grants[v_place].recurrence, p_grants[v_place].issues, p_time_zone)) then
              v_other := v_at;
              v_kind := 3;
              v_place := i;
            end if;
          end if;
          if v_grant.expires_at is not null then
            v_at := greatest(v_grant.expires_at, p_balance.as_of);
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
        exit when v_at > p_now;

        if v_kind = 2 then
          v_before := p_balance;
          v_grants_before := p_grants;
          v_amount := p_balance.granted + p_balance.overage - p_balance.used;
          p_balance.as_of := v_at;
          p_balance.starts_on := app.period_start((v_at at time zone p_time_zone)::date, p_period, p_anchor);
          p_balance.resets_at := app.day_start(app.period_end(p_balance.starts_on, p_period, p_anchor), p_time_zone);
          entries := entries || app.balance_entry(p_balance, null, 'reset', -v_amount, 0);
          p_balance.carried := case when p_preserve_overage then p_balance.overage else 0 end;
          v_amount := least(p_rollover_max, greatest(p_balance.allowance_left, p_rollover_min));
          p_balance.granted := v_amount;
          if v_amount > 0 then
            entries := entries || app.balance_entry(p_balance, null, 'rollover', v_amount, p_balance.granted);
          end if;
          for i in 1 .. coalesce(cardinality(p_grants), 0) loop
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
          p_balance.used := 0;
          p_balance.overage := 0;
          if v_limit > 0 then
            entries := entries || app.balance_entry(p_balance, null, 'allowance', v_limit, p_balance.granted);
          end if;
          if p_balance.carried > 0 then
            select * into v_burnt from app.burn_sources(p_balance, p_grants, p_balance.carried);
            p_balance := v_burnt.p_balance;
            p_grants := v_burnt.p_grants;
            entries := entries || app.balance_entry(p_balance, null, 'rollover', p_balance.overage - p_balance.carried,
              p_balance.granted + p_balance.overage - p_balance.used);
          end if;
          -- Nothing changes from here on but the date: go to the last reset before anything else happens.
          if v_steady and p_grants is not distinct from v_grants_before
            and (p_balance.allowance_left, p_balance.granted, p_balance.used, p_balance.overage, p_balance.opening)
              is not distinct from (v_before.allowance_left, v_before.granted, v_before.used, v_before.overage, v_before.opening) then
            v_start := app.period_start((least(p_now, v_other - interval '1 microsecond') at time zone p_time_zone)::date, p_period, p_anchor);
            if v_start > p_balance.starts_on then
              p_balance.starts_on := v_start;
              p_balance.as_of := app.day_start(v_start, p_time_zone);
              p_balance.resets_at := app.day_start(app.period_end(v_start, p_period, p_anchor), p_time_zone);
            end if;
          end if;
          v_steady := true;
          continue;
        end if;

        v_steady := false;
        p_balance.as_of := v_at;
        v_grant := p_grants[v_place];
        if v_kind = 1 then
          p_balance.granted := p_balance.granted - v_grant.remaining;
          if v_grant.remaining > 0 then
            entries := entries || app.balance_entry(p_balance, v_grant.id, 'expired', -v_grant.remaining,
              p_balance.granted + p_balance.overage - p_balance.used);
          end if;
          v_grant.remaining := 0;
          v_grant.closed_at := v_at;
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
        end if;
        p_grants[v_place] := v_grant;
      end loop;

      p_balance.as_of := greatest(p_balance.as_of, p_now);
      v_start := app.period_start((p_balance.as_of at time zone p_time_zone)::date, p_period, p_anchor);
      p_balance.resets_at := app.day_start(app.period_end(v_start, p_period, p_anchor), p_time_zone);
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
        if v_used <> 0 then
          v_amount := p_balance.granted + p_balance.overage - p_balance.used;
          select * into v_burnt from app.burn_sources(p_balance, p_grants, v_used);
          p_balance := v_burnt.p_balance;
          p_grants := v_burnt.p_grants;
          entries := entries || app.balance_entry(p_balance, null, 'reset', p_balance.granted + p_balance.overage - p_balance.used - v_amount,
            p_balance.granted + p_balance.overage - p_balance.used);
        end if;
      end if;
    end
  $$;
comment on function app.roll_balance(public.balances, public.grants[], numeric, text, integer, numeric, numeric, boolean, timestamptz, text) is
  'Where a balance stands at p_now: grants issued and expired, periods reset, allowance and one-time grants rolled over at each reset, recurring '
  'grants at each issue, all in order of time and each once. Reads nothing but a counter when the periods begin on another day. entries is the '
  'history in between, without ids.';

create function app.balance_entry(p_balance public.balances, p_grant uuid, p_kind text, p_amount numeric, p_left numeric) returns public.balance_entries
  language plpgsql stable set search_path = ''
  as $$
    begin
      return row(p_balance.tenant_id, null, p_balance.customer_id, p_balance.meter_id, p_grant, p_kind, p_amount, p_left,
        p_balance.as_of)::public.balance_entries;
    end
  $$;
comment on function app.balance_entry(public.balances, uuid, text, numeric, numeric) is 'A line of a balance''s history as of the balance''s moment, without an id.';

create function app.keep_balance(p_was public.balances, p_balance public.balances, p_grants_were public.grants[], p_grants public.grants[],
    p_entries public.balance_entries[]) returns void
  language plpgsql volatile set search_path = ''
  as $$
    begin
      if p_was is distinct from p_balance then
        update public.balances b set starts_on = p_balance.starts_on, allowance = p_balance.allowance, allowance_left = p_balance.allowance_left,
            granted = p_balance.granted, carried = p_balance.carried, used = p_balance.used, overage = p_balance.overage, as_of = p_balance.as_of,
            opening = p_balance.opening, resets_at = p_balance.resets_at
          where b.tenant_id = p_balance.tenant_id and b.customer_id = p_balance.customer_id and b.meter_id = p_balance.meter_id;
      end if;
      for i in 1 .. coalesce(cardinality(p_grants), 0) loop
        if p_grants[i] is distinct from p_grants_were[i] then
          update public.grants g set remaining = p_grants[i].remaining, opening = p_grants[i].opening, issued_at = p_grants[i].issued_at,
              issues = p_grants[i].issues, closed_at = p_grants[i].closed_at
            where g.tenant_id = p_balance.tenant_id and g.id = p_grants[i].id;
        end if;
      end loop;
      if cardinality(p_entries) > 0 then
        insert into public.balance_entries (tenant_id, id, customer_id, meter_id, grant_id, kind, amount, balance, occurred_at)
          select e.tenant_id, app.uuid_v7(), e.customer_id, e.meter_id, e.grant_id, e.kind, e.amount, e.balance, e.occurred_at
          from unnest(p_entries) with ordinality e order by e.ordinality;
      end if;
    end
  $$;
comment on function app.keep_balance(public.balances, public.balances, public.grants[], public.grants[], public.balance_entries[]) is
  'Writes what app.roll_balance or app.burn_sources made of a balance, where it differs from what was.';

create function app.open_grants(p_tenant uuid, p_customer uuid, p_meter uuid) returns public.grants[]
  language plpgsql stable set search_path = ''
  as $$
    begin
      return (select coalesce(array_agg(g order by g.id), '{}') from public.grants g
        where g.tenant_id = p_tenant and g.customer_id = p_customer and g.meter_id = p_meter and g.closed_at is null);
    end
  $$;
comment on function app.open_grants(uuid, uuid, uuid) is 'Grants of a balance that neither expired nor were voided, as of its as_of.';

-- functions: balances -------------------------------------------------------------------------------

create function app.open_balance(p_tenant uuid, p_customer uuid, p_meter uuid, p_now timestamptz, p_time_zone text) returns void
  language plpgsql volatile set search_path = ''
  as $$
    declare
      c record;
      b public.balances;
      v_since timestamptz;
    begin
      if exists (select 1 from public.balances x where x.tenant_id = p_tenant and x.customer_id = p_customer and x.meter_id = p_meter)
        or not exists (select 1 from public.meters m where m.tenant_id = p_tenant and m.id = p_meter and m.aggregation in ('SUM', 'COUNT')) then
        return;
      end if;
      select * into c from app.balance_cap(p_tenant, p_customer, p_meter);
      b.tenant_id := p_tenant;
      b.customer_id := p_customer;
      b.meter_id := p_meter;
      b.as_of := p_now;
      b.starts_on := app.period_start((p_now at time zone p_time_zone)::date, c.period, c.anchor);
      if c.rollover_max > 0 then
        -- An allowance that rolls over has done so since the customer has it, also before anything was used.
        select coalesce(
            (select e.created_at from public.entitlements e
              where e.tenant_id = p_tenant and e.customer_id = p_customer and e.meter_id = p_meter and e.canceled_at is null),
            (select s.started_at from public.subscriptions s
              where s.tenant_id = p_tenant and s.customer_id = p_customer and s.canceled_at is null))
          into v_since;
        if app.period_start((v_since at time zone p_time_zone)::date, c.period, c.anchor) < b.starts_on and not exists (
            select 1 from public.usage_counters k
            where k.tenant_id = p_tenant and k.period = c.period and k.meter_id = p_meter and k.customer_id = p_customer
              and k.starts_on < b.starts_on and k.events > 0) then
          b.as_of := v_since;
        end if;
      end if;
      -- The counter is held, so that nothing is counted between reading it and the balance being there.
      insert into public.usage_counters (tenant_id, period, meter_id, starts_on, customer_id, used, events)
        values (p_tenant, c.period, p_meter, b.starts_on, p_customer, 0, 0)
        on conflict (tenant_id, period, meter_id, starts_on, customer_id) do nothing;
      select k.used into b.used from public.usage_counters k
        where k.tenant_id = p_tenant and k.period = c.period and k.meter_id = p_meter and k.starts_on = b.starts_on and k.customer_id = p_customer
        for update;
      if b.as_of < p_now then
        -- Nothing is known of the periods in between but that nothing was used in them.
        b.allowance_left := coalesce(c.cap_limit, 0);
        for i in 1 .. 1200 loop
          v_since := app.day_start(app.period_end(app.period_start((b.as_of at time zone p_time_zone)::date, c.period, c.anchor), c.period, c.anchor),
            p_time_zone);
          exit when v_since > p_now;
          b.as_of := v_since;
          exit when b.allowance_left = coalesce(c.cap_limit, 0) + least(c.rollover_max, greatest(b.allowance_left, c.rollover_min));
          b.allowance_left := coalesce(c.cap_limit, 0) + least(c.rollover_max, greatest(b.allowance_left, c.rollover_min));
        end loop;
        b.as_of := p_now;
      else
        b.allowance_left := coalesce(c.cap_limit, 0);
      end if;
      b.allowance := coalesce(c.cap_limit, 0);
      b.opening := b.allowance_left;
      b.granted := b.allowance_left;
      b.carried := 0;
      b.overage := greatest(b.used - b.granted, 0);
      b.allowance_left := greatest(b.granted - b.used, 0);
      b.resets_at := app.day_start(app.period_end(b.starts_on, c.period, c.anchor), p_time_zone);
      insert into public.balances (tenant_id, customer_id, meter_id, starts_on, allowance, allowance_left, granted, carried, used, overage, as_of,
          opening, resets_at)
        values (p_tenant, p_customer, p_meter, b.starts_on, b.allowance, b.allowance_left, b.granted, b.carried, b.used, b.overage, b.as_of,
          b.opening, b.resets_at)
        on conflict (tenant_id, customer_id, meter_id) do nothing;
      if found then
        insert into public.balance_entries (tenant_id, id, customer_id, meter_id, kind, amount, balance, occurred_at)
          values (p_tenant, app.uuid_v7(), p_customer, p_meter, 'allowance', b.granted, b.allowance_left, b.as_of);
      end if;
    end
  $$;
comment on function app.open_balance(uuid, uuid, uuid, timestamptz, text) is
  'Gives a customer a balance for a meter that adds up, taking over what was used in the period so far; nothing when there is one. Holds the counter of '
  'the period: whoever counts at the same time has it counted before, or sees the balance.';

create function app.settle_balance(p_tenant uuid, p_customer uuid, p_meter uuid, p_now timestamptz, p_time_zone text) returns public.balances
  language plpgsql volatile set search_path = ''
  as $$
    declare
      b public.balances;
      c record;
      r record;
      v_grants public.grants[];
    begin
      select * into b from public.balances x where x.tenant_id = p_tenant and x.customer_id = p_customer and x.meter_id = p_meter for update;
      if not found then
        return null;
      end if;
      select * into c from app.balance_cap(p_tenant, p_customer, p_meter);
      -- Nearly always nothing has happened since.
      if b.allowance = coalesce(c.cap_limit, 0) and b.resets_at > p_now
        and b.resets_at = app.day_start(app.period_end(b.starts_on, c.period, c.anchor), p_time_zone)
        and b.starts_on = app.period_start((greatest(b.as_of, p_now) at time zone p_time_zone)::date, c.period, c.anchor)
        and not exists (
          select 1 from public.grants g
          where g.tenant_id = p_tenant and g.customer_id = p_customer and g.meter_id = p_meter and g.closed_at is null
            and (g.expires_at <= p_now or (g.issues = 0 and g.effective_at <= p_now)
              or (g.recurrence is not null and app.grant_due(g.effective_at, g.recurrence, g.issues, p_time_zone) <= p_now))) then
        return b;
      end if;
      v_grants := app.open_grants(p_tenant, p_customer, p_meter);
      select * into r from app.roll_balance(b, v_grants, c.cap_limit, c.period, c.anchor, c.rollover_min, c.rollover_max, c.preserve_overage,
        p_now, p_time_zone);
      perform app.keep_balance(b, r.p_balance, v_grants, r.p_grants, r.entries);
      return r.p_balance;
    end
  $$;
comment on function app.settle_balance(uuid, uuid, uuid, timestamptz, text) is
  'Brings a balance up to p_now and holds its row until the end of the transaction; null when the customer has none for the meter. '
  'What is left is granted + overage - used.';

create function app.burn_balance(p_tenant uuid, p_customer uuid, p_meter uuid, p_delta numeric, p_now timestamptz) returns void
  language plpgsql volatile set search_path = ''
  as $$
    declare
      b public.balances;
      r record;
      v_grants public.grants[];
    begin
      if p_delta = 0 then
        return;
      end if;
      -- Most usage is of an allowance that nothing goes before.
      update public.balances x set used = x.used + p_delta, allowance_left = x.allowance_left - p_delta
        where x.tenant_id = p_tenant and x.customer_id = p_customer and x.meter_id = p_meter and p_delta > 0 and x.allowance_left >= p_delta
          and not exists (
            select 1 from public.grants g
            where g.tenant_id = p_tenant and g.customer_id = p_customer and g.meter_id = p_meter and g.closed_at is null and g.remaining > 0
              and (g.priority = 0 or (g.priority = 1 and g.expires_at < x.resets_at)));
      if found then
        return;
      end if;
      select * into b from public.balances x where x.tenant_id = p_tenant and x.customer_id = p_customer and x.meter_id = p_meter for update;
      if not found then
        return;
      end if;
      v_grants := app.open_grants(p_tenant, p_customer, p_meter);
      select * into r from app.burn_sources(b, v_grants, p_delta);
      perform app.keep_balance(b, r.p_balance, v_grants, r.p_grants, '{}');
    end
  $$;
comment on function app.burn_balance(uuid, uuid, uuid, numeric, timestamptz) is
  'Counts usage of the present period against a balance that app.settle_balance brought up to date in the same transaction; below zero it takes usage back.';

create function app.peek_balance(p_tenant uuid, p_customer uuid, p_meter uuid, p_now timestamptz, p_time_zone text)
  returns table (used numeric, balance numeric, overage numeric, granted numeric, starts_on date, resets_at timestamptz)
  language plpgsql stable set search_path = ''
  as $$
    declare
      b public.balances;
      c record;
      r record;
    begin
      select * into b from public.balances x where x.tenant_id = p_tenant and x.customer_id = p_customer and x.meter_id = p_meter;
      if not found then
        return;
      end if;
      select * into c from app.balance_cap(p_tenant, p_customer, p_meter);
      select * into r from app.roll_balance(b, app.open_grants(p_tenant, p_customer, p_meter), c.cap_limit, c.period, c.anchor, c.rollover_min,
        c.rollover_max, c.preserve_overage, p_now, p_time_zone);
      b := r.p_balance;
      return query select b.used, b.granted + b.overage - b.used, b.overage, b.granted, b.starts_on, b.resets_at;
    end
  $$;
comment on function app.peek_balance(uuid, uuid, uuid, timestamptz, text) is
  'What app.settle_balance would give at p_now, without writing or waiting; no row when the customer has no balance for the meter.';

create function app.settle_customer(p_tenant uuid, p_customer uuid, p_now timestamptz, p_time_zone text) returns void
  language plpgsql volatile set search_path = ''
  as $$
    declare
      v_meter uuid;
      b public.balances;
    begin
      for v_meter in
        select x.meter_id from public.balances x where x.tenant_id = p_tenant and x.customer_id = p_customer order by x.meter_id
      loop
        b := app.settle_balance(p_tenant, p_customer, v_meter, p_now, p_time_zone);
        update public.balances x set as_of = greatest(b.as_of, p_now)
          where x.tenant_id = p_tenant and x.customer_id = p_customer and x.meter_id = v_meter;
      end loop;
    end
  $$;
comment on function app.settle_customer(uuid, uuid, timestamptz, text) is
  'Brings all balances of a customer up to p_now. To be called before and after its tier or an entitlement changes, so that the old terms hold until then.';

-- functions: grants ---------------------------------------------------------------------------------

create function app.hold_usage(p_tenant uuid) returns void
  language plpgsql volatile set search_path = ''
  as $$
    begin
      perform pg_advisory_xact_lock(hashtextextended('usage ' || p_tenant::text, 0));
    end
  $$;
comment on function app.hold_usage(uuid) is
  'Holds off all writers of usage of a tenant until the end of the transaction: first thing of whatever gives a customer a balance or changes its terms.';

create function app.customer_grants(p_tenant uuid, p_customer uuid, p_now timestamptz, p_time_zone text) returns setof public.grants
  language plpgsql stable set search_path = ''
  as $$
    declare
      b public.balances;
      c record;
      r record;
    begin
      return query select g.* from public.grants g where g.tenant_id = p_tenant and g.customer_id = p_customer and g.closed_at is not null;
      for b in select * from public.balances x where x.tenant_id = p_tenant and x.customer_id = p_customer loop
        select * into c from app.balance_cap(p_tenant, p_customer, b.meter_id);
        select * into r from app.roll_balance(b, app.open_grants(p_tenant, p_customer, b.meter_id), c.cap_limit, c.period, c.anchor, c.rollover_min,
          c.rollover_max, c.preserve_overage, p_now, p_time_zone);
        return query select * from unnest(r.p_grants);
      end loop;
    end
  $$;
comment on function app.customer_grants(uuid, uuid, timestamptz, text) is
  'All grants of a customer as they stand at p_now: what time did since they were last touched is done for the reader, not written.';

create function app.add_grant(
  p_tenant uuid, p_time_zone text, p_now timestamptz, p_id uuid, p_customer uuid, p_meter uuid, p_amount numeric, p_priority integer,
  p_effective timestamptz, p_expires timestamptz, p_recurrence text, p_rollover_min numeric, p_rollover_max numeric, p_metadata jsonb
) returns void
  language plpgsql volatile set search_path = ''
  as $$
    begin
      if not exists (select 1 from public.balances x where x.tenant_id = p_tenant and x.customer_id = p_customer and x.meter_id = p_meter) then
        perform app.hold_usage(p_tenant);
        perform app.open_balance(p_tenant, p_customer, p_meter, p_now, p_time_zone);
      end if;
      perform app.settle_balance(p_tenant, p_customer, p_meter, p_now, p_time_zone);
      insert into public.grants (tenant_id, id, customer_id, meter_id, amount, priority, effective_at, expires_at, recurrence, rollover_min,
          rollover_max, metadata)
        values (p_tenant, p_id, p_customer, p_meter, p_amount, p_priority, coalesce(p_effective, p_now), p_expires, p_recurrence, p_rollover_min, p_rollover_max,
          p_metadata);
      perform app.settle_balance(p_tenant, p_customer, p_meter, p_now, p_time_zone);
    end
  $$;
comment on function app.add_grant(uuid, text, timestamptz, uuid, uuid, uuid, numeric, integer, timestamptz, timestamptz, text, numeric, numeric, jsonb) is
  'Gives a customer an amount of a meter, from p_effective on; at once where that is null. Overage there is already stays. The first grant of a customer for a meter holds off '
  'the writers of the tenant until the end of the transaction.';

create function app.void_grant(p_tenant uuid, p_time_zone text, p_now timestamptz, p_grant uuid) returns void
  language plpgsql volatile set search_path = ''
  as $$
    declare
      g public.grants;
      b public.balances;
    begin
      select * into g from public.grants x where x.tenant_id = p_tenant and x.id = p_grant;
      if not found then
        return;
      end if;
      b := app.settle_balance(p_tenant, g.customer_id, g.meter_id, p_now, p_time_zone);
      select * into g from public.grants x where x.tenant_id = p_tenant and x.id = p_grant;
      if g.closed_at is not null then
        return;
      end if;
      update public.grants x set remaining = 0, closed_at = greatest(p_now, b.as_of), voided_at = greatest(p_now, b.as_of)
        where x.tenant_id = p_tenant and x.id = p_grant;
      update public.balances x set granted = x.granted - g.remaining
        where x.tenant_id = p_tenant and x.customer_id = g.customer_id and x.meter_id = g.meter_id;
      if g.issues > 0 then
        insert into public.balance_entries (tenant_id, id, customer_id, meter_id, grant_id, kind, amount, balance, occurred_at)
          values (p_tenant, app.uuid_v7(), g.customer_id, g.meter_id, p_grant, 'voided', -g.remaining,
            b.granted + b.overage - b.used - g.remaining, greatest(p_now, b.as_of));
      end if;
    end
  $$;
comment on function app.void_grant(uuid, text, timestamptz, uuid) is
  'Takes back what is left of a grant; what was used of it stays used. Nothing when it is closed already.';

-- functions: reservations ---------------------------------------------------------------------------

create function app.held_usage(p_tenant uuid, p_customer uuid, p_meter uuid, p_now timestamptz) returns numeric
  language plpgsql stable set search_path = ''
  as $$
    begin
      return (select coalesce(sum(r.amount), 0) from public.reservations r
        where r.tenant_id = p_tenant and r.customer_id = p_customer and r.meter_id = p_meter and r.status = 'held' and r.expires_at > p_now);
    end
  $$;
comment on function app.held_usage(uuid, uuid, uuid, timestamptz) is 'What is reserved for a customer and neither settled, released nor expired.';

create function app.usage_standing(
  p_tenant uuid, p_time_zone text, p_customer uuid, p_meter uuid, p_now timestamptz, p_lock boolean,
  out cap_limit numeric, out behaviour text, out used numeric, out held numeric, out remaining numeric, out overage numeric, out resets_at timestamptz
)
  language plpgsql volatile set search_path = ''
  as $$
    declare
      c record;
      b public.balances;
      v_start date;
    begin
      select * into c from app.balance_cap(p_tenant, p_customer, p_meter);
      v_start := app.period_start((p_now at time zone p_time_zone)::date, c.period, c.anchor);
      behaviour := c.behaviour;
      cap_limit := c.cap_limit;
      resets_at := app.day_start(app.period_end(v_start, c.period, c.anchor), p_time_zone);
      if p_lock then
        insert into public.usage_counters (tenant_id, period, meter_id, starts_on, customer_id, used, events)
          values (p_tenant, c.period, p_meter, v_start, p_customer, 0, 0)
          on conflict (tenant_id, period, meter_id, starts_on, customer_id) do nothing;
        select k.used into used from public.usage_counters k
          where k.tenant_id = p_tenant and k.period = c.period and k.meter_id = p_meter and k.starts_on = v_start and k.customer_id = p_customer
          for update;
        if c.cap_limit is not null and (c.rollover_max > 0 or c.preserve_overage) then
          perform app.open_balance(p_tenant, p_customer, p_meter, p_now, p_time_zone);
        end if;
      else
        select k.used into used from public.usage_counters k
          where k.tenant_id = p_tenant and k.period = c.period and k.meter_id = p_meter and k.starts_on = v_start and k.customer_id = p_customer;
      end if;
      used := coalesce(used, 0);
      b := app.settle_balance(p_tenant, p_customer, p_meter, p_now, p_time_zone);
      if b.customer_id is not null then
        used := b.used;
        overage := b.overage;
        if c.cap_limit is not null then
          cap_limit := b.granted + b.overage;
        end if;
      else
        overage := greatest(used - cap_limit, 0);
      end if;
      held := app.held_usage(p_tenant, p_customer, p_meter, p_now);
      remaining := case when cap_limit is not null then greatest(cap_limit - used - held, 0) end;
    end
  $$;
comment on function app.usage_standing(uuid, text, uuid, uuid, timestamptz, boolean) is
  'Where a customer stands with a meter that adds up: cap (with a balance, used + what is left), used, held, and what remains for others. Holds the '
  'counter of the period when asked to, as app.record_usage does, so that nobody decides on the same remainder.';

create function app.reserve_usage(
  p_tenant uuid, p_time_zone text, p_user text, p_meter text, p_amount numeric, p_expires timestamptz, p_id uuid
) returns jsonb
  language plpgsql volatile set search_path = ''
  as $$
    declare
      v_now timestamptz := clock_timestamp();
      m record;
      k record;
      s record;
      v_meter uuid;
      v_held boolean;
    begin
      if not app.can('usage:write') then
        raise exception using errcode = '42501', message = 'usage:write is needed';
      end if;
      if pg_input_is_valid(p_meter, 'uuid') then
        v_meter := p_meter::uuid;
      end if;
      perform pg_advisory_xact_lock_shared(hashtextextended('usage ' || p_tenant::text, 0));
      select x.id, x.slug, x.aggregation, x.archived_at into m from public.meters x
        where x.tenant_id = p_tenant and (x.slug = p_meter or x.id = v_meter);
      if not found then
        return jsonb_build_object('allowed', false, 'code', 'NOT_FOUND');
      end if;
      if m.aggregation not in ('SUM', 'COUNT') then
        return jsonb_build_object('allowed', false, 'code', 'NOT_ADDITIVE');
      end if;
      if m.aggregation = 'COUNT' and (p_amount <> trunc(p_amount) or p_amount > 1000) then
        return jsonb_build_object('allowed', false, 'code', 'NOT_COUNTABLE');
      end if;
      for attempt in 1 .. 2 loop
        select c.id, c.archived_at into k from public.customers c where c.tenant_id = p_tenant and c.external_id = p_user;
        exit when found or attempt = 2
          or not coalesce((select u.creates_customers from public.usage_settings u where u.tenant_id = p_tenant), true);
        insert into public.customers (tenant_id, id, external_id) values (p_tenant, app.uuid_v7(), p_user)
          on conflict (tenant_id, external_id) do nothing;
      end loop;
      if k.id is null then
        return jsonb_build_object('allowed', false, 'code', 'NOT_FOUND', 'meter', m.slug);
      end if;
      if m.archived_at is not null or k.archived_at is not null then
        return jsonb_build_object('allowed', false, 'code', 'DISABLED', 'meter', m.slug);
      end if;
      select * into s from app.usage_standing(p_tenant, p_time_zone, k.id, m.id, v_now, true);
      v_held := s.cap_limit is null or s.behaviour = 'overflow' or s.used + s.held + p_amount <= s.cap_limit;
      if v_held then
        insert into public.reservations (tenant_id, id, customer_id, meter_id, amount, expires_at, created_at)
          values (p_tenant, p_id, k.id, m.id, p_amount, p_expires, v_now);
      end if;
      return jsonb_build_object(
        'allowed', v_held, 'code', case when v_held then 'VALID' else 'USAGE_EXCEEDED' end, 'meter', m.slug,
        'limit', s.cap_limit::text, 'used', s.used::text, 'held', (s.held + case when v_held then p_amount else 0 end)::text,
        'remaining', case when v_held and s.cap_limit is not null then greatest(s.cap_limit - s.used - s.held - p_amount, 0) else s.remaining end::text,
        'overage', coalesce(s.overage, 0)::text, 'reset', extract(epoch from s.resets_at),
        'reservation', case when v_held then jsonb_build_object('id', p_id, 'amount', p_amount::text, 'expires_at', extract(epoch from p_expires)) end,
        'next_tiers', case when not v_held then app.next_tiers(p_tenant, m.id, s.cap_limit) end);
    end
  $$;
comment on function app.reserve_usage(uuid, text, text, text, numeric, timestamptz, uuid) is
  'Holds an amount back for a customer of the current tenant until it is settled, released or p_expires: caps that refuse hold for used and held together, '
  'soft ones hold anything. {allowed, code: VALID, USAGE_EXCEEDED, NOT_FOUND, DISABLED, NOT_ADDITIVE, NOT_COUNTABLE, ...}.';

create function app.settle_reservation(
  p_tenant uuid, p_time_zone text, p_id uuid, p_amount numeric default null, p_properties jsonb default null
) returns jsonb
  language plpgsql volatile set search_path = ''
  as $$
    declare
      v_now timestamptz;
      r public.reservations;
      m record;
      s record;
      v_user text;
      v_amount numeric;
      v_count integer;
      v_detail text;
      v_refused jsonb;
      v_code integer;
      v_properties jsonb := p_properties;
      v_result jsonb;
    begin
      if not app.can('usage:write') then
        raise exception using errcode = '42501', message = 'usage:write is needed';
      end if;
      perform pg_advisory_xact_lock_shared(hashtextextended('usage ' || p_tenant::text, 0));
      select * into r from public.reservations x where x.tenant_id = p_tenant and x.id = p_id for update;
      if not found then
        return jsonb_build_object('status', 'not_found');
      end if;
      v_now := clock_timestamp();
      v_amount := coalesce(p_amount, r.amount);
      if r.status = 'released' then
        return jsonb_build_object('status', case when r.closed_at >= r.expires_at then 'expired' else 'released' end, 'expires_at', extract(epoch from r.expires_at));
      end if;
      if r.status = 'settled' and r.settled <> v_amount then
        return jsonb_build_object('status', 'conflict', 'settled', r.settled::text);
      end if;
      if r.status = 'held' and r.expires_at <= v_now then
        return jsonb_build_object('status', 'expired', 'expires_at', extract(epoch from r.expires_at));
      end if;
      select x.id, x.slug, x.aggregation, x.value_property into m from public.meters x where x.tenant_id = p_tenant and x.id = r.meter_id;
      select c.external_id into v_user from public.customers c where c.tenant_id = p_tenant and c.id = r.customer_id;
      if m.aggregation = 'COUNT' and (v_amount <> trunc(v_amount) or v_amount > 1000) then
        return jsonb_build_object('status', 'not_countable');
      end if;
      if r.status = 'held' then
        begin
          update public.reservations x set status = 'settled', settled = v_amount, closed_at = v_now where x.tenant_id = p_tenant and x.id = p_id;
          if v_amount > 0 then
            v_count := case when m.aggregation = 'COUNT' then v_amount else 1 end;
            if m.aggregation = 'SUM' and m.value_property is not null then
              v_properties := coalesce(v_properties, '{}') || jsonb_build_object(m.value_property, v_amount);
            end if;
            v_result := app.record_usage(p_tenant, p_time_zone, array[m.slug], array[v_user], array_fill(1, array[v_count]), array_fill(1, array[v_count]),
              array_fill(case when m.aggregation = 'COUNT' then 1 else v_amount end, array[v_count]),
              array(select app.event_key('reservation', p_id || '/' || i) from generate_series(1, v_count) i),
              array(select p_id || '/' || i from generate_series(1, v_count) i), array_fill('reservation'::text, array[v_count]),
              null, case when v_properties is not null then array_fill(v_properties, array[v_count]) end, null, true, false, true, false, false);
          end if;
        exception when sqlstate 'TM020' then
          get stacked diagnostics v_detail = pg_exception_detail;
          v_refused := v_detail::jsonb;
        end;
      end if;
      select * into s from app.usage_standing(p_tenant, p_time_zone, r.customer_id, r.meter_id, v_now, false);
      if v_refused is not null then
        select c::integer into v_code from jsonb_array_elements_text(v_refused -> 'codes') c where c::integer > 1 limit 1;
      end if;
      return jsonb_build_object(
        'status', case when v_refused is null then 'settled' else 'refused' end, 'code', v_code, 'meter', m.slug, 'user', v_user,
        'amount', r.amount::text, 'settled', case when v_refused is null then v_amount::text end,
        'limit', s.cap_limit::text, 'used', s.used::text, 'held', s.held::text, 'remaining', s.remaining::text,
        'overage', coalesce(s.overage, 0)::text, 'reset', extract(epoch from s.resets_at));
    end
  $$;
comment on function app.settle_reservation(uuid, text, uuid, numeric, jsonb) is
  'Counts what was held, or another amount, and lets go of the rest, in one transaction; the same again is the same answer. What exceeds the hold is '
  'subject to the cap like any usage, and refused whole. status: settled, refused (with the code of app.record_usage; nothing happened), conflict '
  '(settled with another amount), expired, released, not_found, not_countable.';

create function app.release_reservation(p_tenant uuid, p_id uuid) returns jsonb
  language plpgsql volatile set search_path = ''
  as $$
    declare
      v_now timestamptz;
      r public.reservations;
    begin
      if not app.can('usage:write') then
        raise exception using errcode = '42501', message = 'usage:write is needed';
      end if;
      select * into r from public.reservations x where x.tenant_id = p_tenant and x.id = p_id for update;
      if not found then
        return jsonb_build_object('status', 'not_found');
      end if;
      v_now := clock_timestamp();
      if r.status = 'settled' then
        return jsonb_build_object('status', 'conflict', 'settled', r.settled::text);
      end if;
      if r.status = 'held' then
        update public.reservations x set status = 'released', closed_at = v_now where x.tenant_id = p_tenant and x.id = p_id;
      end if;
      return jsonb_build_object('status', 'released', 'amount', r.amount::text);
    end
  $$;
comment on function app.release_reservation(uuid, uuid) is
  'Lets go of what was held. Safe to repeat, and after expiry; conflict once it is settled.';

create function app.event_key(p_source text, p_event_id text) returns uuid
  language plpgsql immutable parallel safe set search_path = ''
  as $$
    declare
      v_hex constant text := encode(sha256(convert_to(coalesce(p_source, '') || E'\n' || p_event_id, 'UTF8')), 'hex');
    begin
      return (substr(v_hex, 1, 12) || '8' || substr(v_hex, 14, 3)
        || substr('89ab', (('x' || substr(v_hex, 17, 1))::bit(4)::integer & 3) + 1, 1) || substr(v_hex, 18, 15))::uuid;
    end
  $$;
comment on function app.event_key(text, text) is 'Key of an event with an id of its own, as its sender''s would be: 122 bits of SHA-256 as a UUID version 8.';

create function app.sweep_reservations(p_tenant uuid) returns integer
  language plpgsql volatile set search_path = ''
  as $$
    declare v_swept integer;
    begin
      -- They have not counted since they expired; this keeps the index of what is held short.
      update public.reservations r set status = 'released', closed_at = clock_timestamp()
        where r.tenant_id = p_tenant and r.id in (
          select x.id from public.reservations x where x.tenant_id = p_tenant and x.status = 'held' and x.expires_at < clock_timestamp() - interval '1 minute'
          order by x.expires_at limit 10000 for update skip locked);
      get diagnostics v_swept = row_count;
      return v_swept;
    end
  $$;
comment on function app.sweep_reservations(uuid) is 'Closes reservations of the current tenant that expired; returns how many, at most ten thousand.';

create function app.tenants_with_expired_reservations(p_limit integer) returns table (tenant_id uuid)
  language sql stable security definer set search_path = ''
  as $$
    select s.tenant_id from public.tenant_states s
    where exists (select 1 from public.reservations r
      where r.tenant_id = s.tenant_id and r.status = 'held' and r.expires_at < clock_timestamp() - interval '1 minute')
    limit p_limit
  $$;
comment on function app.tenants_with_expired_reservations(integer) is
  'Tenants with reservations that expired and are not closed yet. Definer: shows ids across tenants, nothing of their content.';

-- functions: what a customer sees --------------------------------------------------------------------

drop function app.customer_usage(uuid, uuid, text);
create function app.customer_usage(p_tenant uuid, p_customer uuid, p_time_zone text)
  returns table (
    meter_id uuid, meter text, name text, unit text, cap_limit numeric, behaviour text, period text, used numeric,
    starts_on date, resets_at timestamptz, aggregation text, balance numeric, overage numeric, granted numeric, held numeric,
    entitlement_id uuid, allowance numeric, rollover_min numeric, rollover_max numeric, preserve_overage boolean
  )
  language sql stable set search_path = ''
  as $$
    with tier as (
      select coalesce(s.tier_id, d.id) as id, case when s.id is null then d.version else s.tier_version end as version,
        coalesce(s.anchor_day, 1)::integer as anchor, statement_timestamp() as now
      from (values (1)) v (one)
      left join public.subscriptions s on s.tenant_id = p_tenant and s.customer_id = p_customer and s.canceled_at is null
      left join public.tiers d on d.tenant_id = p_tenant and d.is_default
    ),
    lines as (
      select m.id, m.slug, m.name, m.unit, m.aggregation, e.id as entitlement_id,
        case when e.id is null then c.cap_limit else coalesce(e.cap_limit, 0) end as allowance,
        case when e.id is null then c.behaviour else e.behaviour end as behaviour,
        coalesce(e.period, c.period, 'month') as period,
        coalesce(e.rollover_min, c.rollover_min, 0) as rollover_min, coalesce(e.rollover_max, c.rollover_max, 0) as rollover_max,
        coalesce(e.preserve_overage, c.preserve_overage, false) as preserve_overage,
        app.period_start((t.now at time zone p_time_zone)::date, coalesce(e.period, c.period, 'month'), t.anchor) as starts_on, t.anchor, t.now
      from tier t
      cross join public.meters m
      left join public.entitlements e on e.tenant_id = p_tenant and e.customer_id = p_customer and e.meter_id = m.id and e.canceled_at is null
      left join public.tier_caps c on c.tenant_id = p_tenant and c.tier_id = t.id and c.version = t.version and c.meter_id = m.id
      where m.tenant_id = p_tenant and m.archived_at is null
    )
    select l.id, l.slug, l.name, l.unit,
      case when l.allowance is null then null when b.used is null then l.allowance else b.used + b.balance end,
      l.behaviour, l.period, u.used, l.starts_on, r.resets_at, l.aggregation, b.balance,
      coalesce(b.overage, greatest(u.used - l.allowance, 0), 0), coalesce(b.granted, l.allowance),
      app.held_usage(p_tenant, p_customer, l.id, l.now), l.entitlement_id, l.allowance, l.rollover_min, l.rollover_max, l.preserve_overage
    from lines l
    cross join lateral (select app.day_start(app.period_end(l.starts_on, l.period, l.anchor), p_time_zone) as resets_at) r
    left join public.usage_counters k on k.tenant_id = p_tenant and k.period = l.period and k.meter_id = l.id and k.starts_on = l.starts_on
      and k.customer_id = p_customer
    left join lateral app.peek_balance(p_tenant, p_customer, l.id, l.now, p_time_zone) b on true
    cross join lateral (
      select case
        when b.used is not null then b.used
        when l.aggregation = 'WEIGHTED_SUM' then app.weighted_average(p_tenant, l.id, p_customer, l.starts_on,
          app.day_start(l.starts_on, p_time_zone), l.now, k.used, k.moment)
        else coalesce(app.metered_value(l.aggregation, k.used, k.events), 0) end as used
    ) u
    order by l.slug
  $$;
comment on function app.customer_usage(uuid, uuid, text) is
  'What a customer of the current tenant has used of every meter in its present period, with the cap that holds for it: its own entitlement''s, else that of '
  'its version of the tier. cap_limit is used + balance where grants or rollover make a balance, else the allowance.';

-- grants and policies -------------------------------------------------------------------------------

grant update (opening, resets_at) on public.balances to app_tenant;
grant update (opening) on public.grants to app_tenant;
grant select (tenant_id, status, expires_at) on public.reservations to app_kernel;
create policy reservations_kernel on public.reservations for select to app_kernel using (true);
-- Whoever reads customers sees what they used of which meter, and whoever changes them settles it.
alter policy usage_counters_select on public.usage_counters
  using ((select (select current_setting('app.permissions', true)) like any ('{% usage:read %,% usage:write %,% customers:read %,% customers:write %}'))
    or customer_id = nullif((select current_setting('app.customer', true)), '')::uuid);
alter policy meters_select on public.meters
  using ((select current_setting('app.permissions', true))
    like any ('{% meters:read %,% usage:read %,% usage:write %,% tiers:read %,% portal:read %,% customers:read %}'));
-- Policies of the tables this chapter reads and writes with every event: settings are read as they are, without entering a function.
alter policy entitlements_select on public.entitlements
  using ((select (select current_setting('app.permissions', true)) like any ('{% customers:read %,% usage:read %,% usage:write %}'))
    or customer_id = nullif((select current_setting('app.customer', true)), '')::uuid);
alter policy grants_select on public.grants
  using ((select (select current_setting('app.permissions', true)) like any ('{% customers:read %,% usage:read %,% usage:write %}'))
    or customer_id = nullif((select current_setting('app.customer', true)), '')::uuid);
alter policy balances_select on public.balances
  using ((select (select current_setting('app.permissions', true)) like any ('{% customers:read %,% usage:read %,% usage:write %}'))
    or customer_id = nullif((select current_setting('app.customer', true)), '')::uuid);
alter policy balance_entries_select on public.balance_entries
  using ((select (select current_setting('app.permissions', true)) like any ('{% customers:read %,% usage:read %,% usage:write %}'))
    or customer_id = nullif((select current_setting('app.customer', true)), '')::uuid);
alter policy reservations_select on public.reservations
  using ((select (select current_setting('app.permissions', true)) like any ('{% customers:read %,% usage:read %,% usage:write %}'))
    or customer_id = nullif((select current_setting('app.customer', true)), '')::uuid);
alter policy entitlements_insert on public.entitlements with check ((select strpos((select current_setting('app.permissions', true)), ' customers:write ') > 0));
alter policy grants_insert on public.grants with check ((select strpos((select current_setting('app.permissions', true)), ' customers:write ') > 0));
alter policy balances_insert on public.balances with check ((select (select current_setting('app.permissions', true)) like any ('{% customers:write %,% usage:write %}')));
alter policy balance_entries_insert on public.balance_entries with check ((select (select current_setting('app.permissions', true)) like any ('{% customers:write %,% usage:write %}')));
alter policy reservations_insert on public.reservations with check ((select strpos((select current_setting('app.permissions', true)), ' usage:write ') > 0));
alter policy entitlements_update on public.entitlements
  using (strpos((select current_setting('app.permissions', true)), ' customers:write ') > 0)
  with check ((select strpos((select current_setting('app.permissions', true)), ' customers:write ') > 0));
alter policy grants_update on public.grants
  using ((select current_setting('app.permissions', true)) like any ('{% customers:write %,% usage:write %}'))
  with check ((select (select current_setting('app.permissions', true)) like any ('{% customers:write %,% usage:write %}')));
alter policy balances_update on public.balances
  using ((select current_setting('app.permissions', true)) like any ('{% customers:write %,% usage:write %}'))
  with check ((select (select current_setting('app.permissions', true)) like any ('{% customers:write %,% usage:write %}')));
alter policy reservations_update on public.reservations
  using (strpos((select current_setting('app.permissions', true)), ' usage:write ') > 0)
  with check ((select strpos((select current_setting('app.permissions', true)), ' usage:write ') > 0));

revoke all on all functions in schema app from public;
grant execute on function app.day_start(date, text), app.grant_due(timestamptz, text, integer, text), app.balance_cap(uuid, uuid, uuid),
  app.burn_sources(public.balances, public.grants[], numeric),
  app.roll_balance(public.balances, public.grants[], numeric, text, integer, numeric, numeric, boolean, timestamptz, text),
  app.balance_entry(public.balances, uuid, text, numeric, numeric),
  app.keep_balance(public.balances, public.balances, public.grants[], public.grants[], public.balance_entries[]),
  app.open_grants(uuid, uuid, uuid), app.open_balance(uuid, uuid, uuid, timestamptz, text),
  app.settle_balance(uuid, uuid, uuid, timestamptz, text), app.burn_balance(uuid, uuid, uuid, numeric, timestamptz),
  app.peek_balance(uuid, uuid, uuid, timestamptz, text), app.settle_customer(uuid, uuid, timestamptz, text),
  app.add_grant(uuid, text, timestamptz, uuid, uuid, uuid, numeric, integer, timestamptz, timestamptz, text, numeric, numeric, jsonb),
  app.hold_usage(uuid), app.customer_grants(uuid, uuid, timestamptz, text),
  app.void_grant(uuid, text, timestamptz, uuid), app.held_usage(uuid, uuid, uuid, timestamptz),
  app.usage_standing(uuid, text, uuid, uuid, timestamptz, boolean), app.reserve_usage(uuid, text, text, text, numeric, timestamptz, uuid),
  app.settle_reservation(uuid, text, uuid, numeric, jsonb), app.release_reservation(uuid, uuid), app.event_key(text, text),
  app.sweep_reservations(uuid), app.tenants_with_expired_reservations(integer), app.customer_usage(uuid, uuid, text) to app_tenant;
alter function app.tenants_with_expired_reservations(integer) owner to app_kernel;
