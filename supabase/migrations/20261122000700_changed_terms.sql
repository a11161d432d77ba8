-- What rolls over does so from the moment the customer has it, and by the terms that held at each time: balances are opened when terms
-- begin, not at the first usage, and settled when the default tier changes. A check said less than the next event got; a tier that began
-- to roll over gave what had been left in months before it did.

-- functions -----------------------------------------------------------------------------------------

drop function app.open_balance(uuid, uuid, uuid, timestamptz, text);
create function app.open_balance(p_tenant uuid, p_customer uuid, p_meter uuid, p_now timestamptz, p_time_zone text, p_changed boolean default false)
  returns void
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
      if c.rollover_max > 0 and not p_changed then
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
comment on function app.open_balance(uuid, uuid, uuid, timestamptz, text, boolean) is
  'Begins the balance of a customer for a SUM or COUNT meter where there is none: what was used in the present period is used, and an allowance that rolls over has done so since the customer has it, or begins to now where its terms were just changed.';

create function app.settle_customers(p_tenant uuid, p_customers uuid[], p_time_zone text, p_changed boolean) returns void
  language plpgsql volatile set search_path = ''
  as $$
    declare
      v_now timestamptz;
      v_customers uuid[];
      v_pair record;
    begin
      select array_agg(distinct b.customer_id) into v_customers from public.balances b
        where b.tenant_id = p_tenant and case when p_customers is not null then b.customer_id = any (p_customers) else not exists (
          select 1 from public.subscriptions s where s.tenant_id = p_tenant and s.customer_id = b.customer_id and s.canceled_at is null) end;
      for v_pair in
        select u.id as customer_id, t.meter_id
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
          select 1 from public.balances b where b.tenant_id = p_tenant and b.customer_id = u.id and b.meter_id = t.meter_id)
        order by 1, 2
      loop
        if v_now is null then
          perform app.hold_usage(p_tenant);
          v_now := clock_timestamp();
        end if;
        perform app.open_balance(p_tenant, v_pair.customer_id, v_pair.meter_id, v_now, p_time_zone, p_changed);
      end loop;
      if v_customers is not null then
        perform app.hold_usage(p_tenant);
        v_now := clock_timestamp();
        perform app.settle_customer(p_tenant, c.id, v_now, p_time_zone) from unnest(v_customers) c (id);
      end if;
    end
  $$;
comment on function app.settle_customers(uuid, uuid[], text, boolean) is
  'Brings all balances of customers up to now, or those of all who have the default tier, and opens those of terms that roll over or preserve overage: to be called before terms change, and (p_changed) after it.';

-- grants --------------------------------------------------------------------------------------------

revoke all on all functions in schema app from public;
grant execute on function app.open_balance(uuid, uuid, uuid, timestamptz, text, boolean), app.settle_customers(uuid, uuid[], text, boolean)
  to app_tenant;
