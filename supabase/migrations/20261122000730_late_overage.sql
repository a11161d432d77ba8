-- What comes late for a period that nobody looked after takes of what was left at its end and did not roll over, as for any other: such
-- periods, when one was like the next, are not written down each, and what rolled over was used a second time.

-- functions -----------------------------------------------------------------------------------------

create or replace function app.balance_overage(
  p_tenant uuid, p_customer uuid, p_meter uuid, p_aggregation text, p_starts_on date, p_ends_on date, p_at timestamptz, p_time_zone text
) returns numeric
  language plpgsql stable set search_path = ''
  as $$
    declare
      v_opens constant timestamptz := app.day_start(p_starts_on, p_time_zone);
      v_closes constant timestamptz := app.day_start(p_ends_on, p_time_zone);
      -- Usage ahead of the period is set against what there is when it begins, also before it does.
      v_until constant timestamptz := greatest(least(p_at, v_closes), v_opens + interval '1 microsecond');
      b public.balances;
      c record;
      v_rolled public.balance_entries[];
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
      -- Longer ahead of it nothing is taken.
      if p_at <= v_opens - interval '1 day' then
        return null;
      end if;
      select * into b from public.balances x where x.tenant_id = p_tenant and x.customer_id = p_customer and x.meter_id = p_meter;
      if b.as_of < v_opens then
        -- Nobody has touched it since the period began: what came with the beginning is not written down yet.
        select * into c from app.balance_cap(p_tenant, p_customer, p_meter);
        select x.entries into v_rolled from app.roll_balance(b, app.open_grants(p_tenant, p_customer, p_meter), c.cap_limit, c.period, c.anchor,
          c.rollover_min, c.rollover_max, c.preserve_overage, v_opens, p_time_zone) x;
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
      for i in 1 .. coalesce(cardinality(v_rolled), 0) loop
        exit when v_first is not null or v_rolled[i].occurred_at >= v_opens;
        v_left := v_rolled[i].balance;
        v_over := v_rolled[i].overage;
        v_starts_on := v_rolled[i].starts_on;
      end loop;
      for r in
        select x.* from (
          select e.occurred_at as at, 0 as rank, 0::bigint as place, e.id, e.kind, e.grant_id, e.amount, e.balance, e.overage, e.starts_on
          from public.balance_entries e
          where e.tenant_id = p_tenant and e.customer_id = p_customer and e.meter_id = p_meter
            and e.occurred_at >= v_opens and e.occurred_at < v_until
          union all
          select e.occurred_at, 0, e.ordinality, null, e.kind, e.grant_id, e.amount, e.balance, e.overage, e.starts_on
          from unnest(v_rolled) with ordinality e
          where e.occurred_at >= v_opens
          union all
          select x.at, 1, 0, null, 'usage', null, sum(x.amount), null, null, null
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
        order by x.at, x.rank, x.place, x.id
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
          -- Where one period was like the next, the last of those that were written down says what each rolled over.
          select greatest(0, v_left - coalesce(sum(e.amount), 0)) into v_left from public.balance_entries e
            where e.tenant_id = p_tenant and e.customer_id = p_customer and e.meter_id = p_meter and e.kind = 'rollover' and e.amount > 0
              and e.occurred_at = (
                select max(x.occurred_at) from public.balance_entries x
                where x.tenant_id = p_tenant and x.customer_id = p_customer and x.meter_id = p_meter and x.kind = 'reset' and x.occurred_at <= v_closes);
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

-- grants --------------------------------------------------------------------------------------------

revoke all on all functions in schema app from public;
