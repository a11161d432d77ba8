-- What a balance was after each line of its history is kept with the line: from it overage is billed as it was, grants and rollover
-- included, and a balance is compared with what it should be. And usage that says it happened in a period that had not begun counts in it.

-- tables --------------------------------------------------------------------------------------------

alter table public.balance_entries
  add column granted numeric,
  add column overage numeric,
  add column allowance numeric,
  add column opening numeric,
  add column starts_on date;
comment on column public.balance_entries.granted is 'What the balance held after it, as the columns of the same names; null of entries from before they were kept.';

-- functions: balances -------------------------------------------------------------------------------

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
      v_due timestamptz;
      v_kind integer;
      v_place integer;
      v_steady boolean := false;
      v_other timestamptz;
      v_amount numeric;
      v_used numeric;
      v_ahead numeric;
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
          p_balance.carried := case when p_preserve_overage then p_balance.overage else 0 end;
          p_balance.used := 0;
          p_balance.overage := 0;
          entries := entries || app.balance_entry(p_balance, null, 'reset', -v_amount, 0);
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
          entries[cardinality(entries)].granted := p_balance.granted;
          entries[cardinality(entries)].overage := p_balance.overage;
          entries[cardinality(entries)].allowance := p_balance.allowance;
          entries[cardinality(entries)].opening := p_balance.opening;
          entries[cardinality(entries)].starts_on := p_balance.starts_on;
          -- What came before the period began and says it happened in it was counted in its counter alone: from here on it is used.
          v_ahead := coalesce((
            select k.used from public.usage_counters k
            where k.tenant_id = p_balance.tenant_id and k.period = p_period and k.meter_id = p_balance.meter_id and k.starts_on = p_balance.starts_on
              and k.customer_id = p_balance.customer_id), 0);
          if v_ahead <> 0 then
            select * into v_burnt from app.burn_sources(p_balance, p_grants, v_ahead);
            p_balance := v_burnt.p_balance;
            p_grants := v_burnt.p_grants;
          end if;
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

create or replace function app.balance_entry(p_balance public.balances, p_grant uuid, p_kind text, p_amount numeric, p_left numeric) returns public.balance_entries
  language plpgsql stable set search_path = ''
  as $$
    begin
      return row(p_balance.tenant_id, null, p_balance.customer_id, p_balance.meter_id, p_grant, p_kind, p_amount, p_left,
        p_balance.as_of, p_balance.granted, p_balance.overage, p_balance.allowance, p_balance.opening, p_balance.starts_on)::public.balance_entries;
    end
  $$;

create or replace function app.keep_balance(p_was public.balances, p_balance public.balances, p_grants_were public.grants[], p_grants public.grants[],
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
        insert into public.balance_entries (tenant_id, id, customer_id, meter_id, grant_id, kind, amount, balance, occurred_at, granted, overage,
            allowance, opening, starts_on)
          select e.tenant_id, app.uuid_v7(), e.customer_id, e.meter_id, e.grant_id, e.kind, e.amount, e.balance, e.occurred_at, e.granted, e.overage,
            e.allowance, e.opening, e.starts_on
          from unnest(p_entries) with ordinality e order by e.ordinality;
      end if;
    end
  $$;

create or replace function app.open_balance(p_tenant uuid, p_customer uuid, p_meter uuid, p_now timestamptz, p_time_zone text) returns void
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
        insert into public.balance_entries (tenant_id, id, customer_id, meter_id, kind, amount, balance, occurred_at, granted, overage, allowance, opening,
            starts_on)
          values (p_tenant, app.uuid_v7(), p_customer, p_meter, 'allowance', b.granted, b.allowance_left, b.as_of, b.granted, b.overage, b.allowance,
            b.opening, b.starts_on);
      end if;
    end
  $$;

create or replace function app.void_grant(p_tenant uuid, p_time_zone text, p_now timestamptz, p_grant uuid) returns void
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
        insert into public.balance_entries (tenant_id, id, customer_id, meter_id, grant_id, kind, amount, balance, occurred_at, granted, overage,
            allowance, opening, starts_on)
          values (p_tenant, app.uuid_v7(), g.customer_id, g.meter_id, p_grant, 'voided', -g.remaining,
            b.granted + b.overage - b.used - g.remaining, greatest(p_now, b.as_of), b.granted - g.remaining, b.overage, b.allowance, b.opening, b.starts_on);
      end if;
    end
  $$;

-- functions: overage of a balance -------------------------------------------------------------------

create function app.balance_overage(
  p_tenant uuid, p_customer uuid, p_meter uuid, p_aggregation text, p_starts_on date, p_ends_on date, p_at timestamptz, p_time_zone text
) returns numeric
  language plpgsql stable set search_path = ''
  as $$
    declare
      v_opens constant timestamptz := app.day_start(p_starts_on, p_time_zone);
      v_closes constant timestamptz := app.day_start(p_ends_on, p_time_zone);
      v_before public.balance_entries;
      v_first timestamptz;
      v_late boolean := false;
      v_left numeric := 0;
      v_over numeric := 0;
      v_sum numeric := 0;
      v_starts_on date;
      v_part numeric;
      r record;
    begin
      if p_at <= v_opens then
        return null;
      end if;
      select * into v_before from public.balance_entries e
        where e.tenant_id = p_tenant and e.customer_id = p_customer and e.meter_id = p_meter and e.occurred_at < v_opens
        order by e.occurred_at desc, e.id desc limit 1;
      if found then
        v_left := v_before.balance;
        v_over := v_before.overage;
        v_starts_on := v_before.starts_on;
        if v_before.granted is null then
          return null;
        end if;
      else
        select min(e.occurred_at) into v_first from public.balance_entries e
          where e.tenant_id = p_tenant and e.customer_id = p_customer and e.meter_id = p_meter;
        if v_first is null or v_first >= least(p_at, v_closes) then
          return null;
        end if;
      end if;
      for r in
        select x.* from (
          select e.occurred_at as at, 0 as rank, e.id, e.kind, e.grant_id, e.amount, e.balance, e.overage, e.starts_on
          from public.balance_entries e
          where e.tenant_id = p_tenant and e.customer_id = p_customer and e.meter_id = p_meter
            and e.occurred_at >= v_opens and e.occurred_at < least(p_at, v_closes)
          union all
          select x.at, 1, null, 'usage', null, sum(x.amount), null, null, null
          from (
            select greatest(e.received_at, v_opens, v_first) as at,
              e.weight * case p_aggregation when 'COUNT' then coalesce(e.counted, 1) else coalesce(e.counted, e.value) end as amount
            from public.usage_events e
            where e.tenant_id = p_tenant and e.meter_id = p_meter and e.customer_id = p_customer and e.weight <> 0
              and e.occurred_at >= v_opens and e.occurred_at < v_closes and e.received_at >= v_opens - interval '1 day' and e.received_at < p_at
              -- What was used before there was a balance is in the line with which it was opened.
              and (v_first is null or e.received_at >= v_first)
              and (e.weight = 1 or coalesce((
                select o.weight from public.usage_events o where o.tenant_id = p_tenant and o.id = e.corrects limit 1), 1) <> 0)
          ) x
          group by 1
        ) x
        order by x.at, x.rank, x.id
      loop
        if r.rank = 0 then
          if r.overage is null then
            return null;
          end if;
          if r.kind = 'rollover' and r.grant_id is null and r.amount < 0 and r.at = v_opens then
            -- Overage from before that the new allowance paid was billed then, and is not billed again.
            v_sum := v_sum + r.amount;
          elsif r.kind = 'reset' and r.at > v_opens and r.starts_on = p_starts_on and v_starts_on is distinct from r.starts_on then
            -- The period began anew on another day: what was used in it was worked out from its counter.
            v_sum := r.overage;
          elsif r.kind not in ('reset', 'rollover') then
            v_sum := v_sum + r.overage - v_over;
          end if;
          v_left := r.balance;
          v_over := r.overage;
          v_starts_on := r.starts_on;
          continue;
        end if;
        if r.at >= v_closes and not v_late then
          -- What comes late takes of what was left at the end, unless that rolled over.
          v_late := true;
          v_over := greatest(v_sum, 0);
          select greatest(0, v_left - coalesce(sum(e.amount), 0)) into v_left from public.balance_entries e
            where e.tenant_id = p_tenant and e.customer_id = p_customer and e.meter_id = p_meter and e.occurred_at = v_closes
              and e.kind = 'rollover' and e.amount > 0;
        end if;
        if r.amount >= 0 then
          v_part := least(r.amount, v_left);
          v_left := v_left - v_part;
          v_part := r.amount - v_part;
        else
          v_part := -least(-r.amount, v_over);
          v_left := v_left - r.amount + v_part;
        end if;
        v_over := v_over + v_part;
        v_sum := v_sum + v_part;
      end loop;
      return greatest(v_sum, 0);
    end
  $$;
comment on function app.balance_overage(uuid, uuid, uuid, text, date, date, timestamptz, text) is
  'Overage that arose in a period of a balance, as of p_at: what was received of the period until then, set against what the history of the balance says '
  'was there for it, in order. What came after the period takes what was left at its end and did not roll over. Null where there was no '
  'balance, or its history is from before it was kept in full.';

-- grants --------------------------------------------------------------------------------------------

revoke all on all functions in schema app from public;
grant execute on function app.balance_overage(uuid, uuid, uuid, text, date, date, timestamptz, text) to app_tenant;
