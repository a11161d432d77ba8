-- Until a table is looked at for the first time, nobody knows how many rows it has, and any index may seem as good as another: each of these
-- look-ups has one that is the cheapest even then.

-- indexes -------------------------------------------------------------------------------------------

-- That of who is on which version had no more rows than that of each customer's subscription, as far as anybody could tell, and so was taken
-- to find the subscription of one customer: all of the tenant's were read for each. With everyone in it, and the customer in each entry, it is
-- never the smaller one.
drop index public.subscriptions_version_idx;
drop index public.subscriptions_tier_idx;
create index subscriptions_tier_idx on public.subscriptions (tenant_id, tier_id, tier_version, canceled_at, customer_id);
comment on index public.subscriptions_tier_idx is 'Who is or was on a tier, or on which version of it: moves, previews and the count of customers of each.';

-- functions: alerts ---------------------------------------------------------------------------------

create or replace function app.fire_alerts(p_tenant uuid, p_time_zone text, p_meters uuid[], p_customers uuid[], p_starts date[]) returns integer
  language plpgsql volatile set search_path = '' set plan_cache_mode = force_generic_plan set enable_seqscan = off
  set enable_hashjoin = off set enable_mergejoin = off
  as $$
    declare
      v_today date := (statement_timestamp() at time zone p_time_zone)::date;
      v_default uuid;
      v_version integer;
      -- Most tenants have neither, and need not be asked for each pair.
      v_entitled boolean := exists (select from public.entitlements e where e.tenant_id = p_tenant and e.kind = 'metered');
      v_balanced boolean := exists (select from public.balances b where b.tenant_id = p_tenant);
      v_fired integer;
    begin
      select t.id, t.version into v_default, v_version from public.tiers t where t.tenant_id = p_tenant and t.is_default;
      with rules as materialized (
        select r.id, r.meter_id, r.customer_id, r.kind, r.threshold, r.recurring_every, m.aggregation
        from public.alert_rules r
        cross join lateral (select x.aggregation from public.meters x where x.tenant_id = p_tenant and x.id = r.meter_id limit 1) m
        where r.tenant_id = p_tenant and r.enabled and r.archived_at is null and r.meter_id = any (p_meters)
      ),
      pairs as materialized (
        select p.meter_id, p.customer_id, q.period, q.starts_on, k.used, k.events, cap.cap_limit,
          b.used as balance_used, b.granted, b.balance
        from unnest(p_meters, p_customers, p_starts) p (meter_id, customer_id, starts_on)
        left join lateral (
          select x.tier_id, x.tier_version, x.anchor_day from public.subscriptions x
          where x.tenant_id = p_tenant and x.customer_id = p.customer_id and x.canceled_at is null limit 1
        ) s on true
        left join lateral (
          select coalesce(x.cap_limit, 0) as cap_limit, x.period from public.entitlements x
          where v_entitled and x.tenant_id = p_tenant and x.customer_id = p.customer_id and x.meter_id = p.meter_id and x.canceled_at is null
          limit 1
        ) e on true
        left join lateral (
          select x.cap_limit, x.period from public.tier_caps x
          where x.tenant_id = p_tenant and x.tier_id = coalesce(s.tier_id, v_default) and x.meter_id = p.meter_id
            and x.version = coalesce(s.tier_version, v_version)
          limit 1
        ) t on true
        cross join lateral (select coalesce(e.cap_limit, t.cap_limit) as cap_limit, coalesce(e.period, t.period, 'month') as period) cap
        cross join lateral (
          -- The days of a daily cap are over before anybody could be told of an earlier one.
          select cap.period, case when cap.period = 'day' then v_today
            when coalesce(s.anchor_day, 1) = 1 then p.starts_on - date_part('day', p.starts_on)::integer + 1
            else app.period_start(p.starts_on, 'month', s.anchor_day) end as starts_on
          offset 0
        ) q
        cross join lateral (
          select x.used, x.events from public.usage_counters x
          where x.tenant_id = p_tenant and x.period = q.period and x.meter_id = p.meter_id and x.starts_on = q.starts_on
            and x.customer_id = p.customer_id
          limit 1
        ) k
        left join lateral (
          -- Allowance and grants as they stand now; only who has a balance of its own is asked.
          select y.used, y.granted, y.balance
          from public.balances x
          cross join lateral app.peek_balance(p_tenant, p.customer_id, p.meter_id, statement_timestamp(), p_time_zone) y
          where v_balanced and x.tenant_id = p_tenant and x.customer_id = p.customer_id and x.meter_id = p.meter_id and y.starts_on = q.starts_on
          limit 1
        ) b on true
        where p.meter_id in (select r.meter_id from rules r)
      ),
      standing as (
        select r.id as rule_id, r.kind, r.threshold, r.recurring_every, p.meter_id, p.customer_id, p.period, p.starts_on, u.used,
          coalesce(p.granted, p.cap_limit) as available,
          -- Without a cap nothing is left of anything: no remainder, and no rule about one is reached.
          coalesce(p.balance, case when p.cap_limit is not null then greatest(p.cap_limit - u.used, 0) end) as remaining
        from pairs p
        join rules r on r.meter_id = p.meter_id and (r.customer_id is null or r.customer_id = p.customer_id)
        cross join lateral (
          select coalesce(p.balance_used, case r.aggregation when 'AVG' then app.metered_value('AVG', p.used, p.events) else p.used end) as used
        ) u
      ),
      -- How far past the threshold, in exact arithmetic: shares are compared crosswise, never divided.
      reached as (
        select s.*, s.threshold + case s.kind when 'usage' then 1 when 'usage_percent' then 1 else -1 end * coalesce(s.recurring_every, 0)
          * case
            when s.recurring_every is null then 0
            when s.kind = 'usage' then div(s.used - s.threshold, s.recurring_every)
            when s.kind = 'remaining' then div(s.threshold - s.remaining, s.recurring_every)
            when s.available <= 0 then 0
            when s.kind = 'usage_percent' then div(s.used * 100 - s.threshold * s.available, s.recurring_every * s.available)
            else div(s.threshold * s.available - s.remaining * 100, s.recurring_every * s.available) end as step
        from standing s
        where case s.kind
          when 'usage' then s.used >= s.threshold
          when 'usage_percent' then s.used > 0 and s.used * 100 >= s.threshold * s.available
          when 'remaining' then s.remaining <= s.threshold
          else s.remaining * 100 <= s.threshold * s.available end
      ),
      fired as (
        insert into public.alert_firings (tenant_id, id, rule_id, customer_id, meter_id, period, period_start, step, used, available)
          select p_tenant, app.uuid_v7(), r.rule_id, r.customer_id, r.meter_id, r.period, r.starts_on, r.step, r.used, r.available
          from reached r
          -- Looked up one by one (offset 0): joined, a table nobody has looked at yet may be gone through by its rules alone.
          where not exists (
            select 1 from public.alert_firings f
            where f.tenant_id = p_tenant and f.rule_id = r.rule_id and f.customer_id = r.customer_id and f.period_start = r.starts_on
              and case when r.kind in ('usage', 'usage_percent') then f.step >= r.step else f.step <= r.step end
            offset 0)
          order by r.rule_id, r.customer_id, r.starts_on, r.step
          on conflict (tenant_id, rule_id, customer_id, period_start, step) do nothing
          returning id, rule_id, customer_id, meter_id, period, period_start, step, used, available, fired_at
      ),
      told as (
        select f.*, r.mails, r.tells_connectors, jsonb_build_object(
            'firing_id', f.id, 'rule_id', f.rule_id, 'kind', r.kind, 'step', f.step::text, 'customer_id', f.customer_id,
            'external_id', c.external_id, 'meter_id', f.meter_id, 'meter', m.slug, 'period', f.period, 'period_start', f.period_start,
            'used', f.used::text, 'available', f.available::text, 'fired_at', f.fired_at) as event
        from fired f
        cross join lateral (
          select x.kind, x.tells_admins or x.tells_customer as mails, x.tells_connectors
          from public.alert_rules x where x.tenant_id = p_tenant and x.id = f.rule_id limit 1
        ) r
        cross join lateral (select x.external_id from public.customers x where x.tenant_id = p_tenant and x.id = f.customer_id limit 1) c
        cross join lateral (select x.slug from public.meters x where x.tenant_id = p_tenant and x.id = f.meter_id limit 1) m
      ),
      noted as (
        insert into public.connector_events (tenant_id, id, connector, action, target, status, request, user_id)
          select p_tenant, app.uuid_v7(), 'webhook', 'threshold.reached', 'usage.threshold_reached', 'recorded', t.event, left(t.event ->> 'external_id', 200)
          from told t where t.tells_connectors
      ),
      sent as (
        insert into public.outbox (tenant_id, id, topic, payload)
          select p_tenant, app.uuid_v7(), 'usage.threshold_reached', t.event from told t where t.tells_connectors
          union all
          select p_tenant, app.uuid_v7(), 'alerts', jsonb_build_object('firing_id', t.id) from told t where t.mails
      )
      select count(*) into v_fired from fired;
      return v_fired;
    end
  $$;

-- grants --------------------------------------------------------------------------------------------

revoke all on all functions in schema app from public;
