-- Who has grants of a meter and no cap of it any more is limited by nothing: a check and the report said so, and the customer's page
-- went on naming an overage.

-- functions -----------------------------------------------------------------------------------------

create or replace function app.customer_usage(p_tenant uuid, p_customer uuid, p_time_zone text) returns table (
    meter_id uuid, meter text, name text, unit text, cap_limit numeric, behaviour text, period text, used numeric, starts_on date, resets_at
    timestamptz, aggregation text, balance numeric, overage numeric, granted numeric, held numeric, entitlement_id uuid, allowance numeric,
    rollover_min numeric, rollover_max numeric, preserve_overage boolean
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
    -- Materialized: row security lets a key of usage_counters be looked up by a column, and not by what a function says.
    lines as materialized (
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
    left join lateral app.peek_balance(p_tenant, p_customer, l.id, l.now, p_time_zone) b on l.allowance is not null
    cross join lateral (
      select case
        when b.used is not null then b.used
        when l.aggregation = 'WEIGHTED_SUM' then app.weighted_average(p_tenant, l.id, p_customer, l.starts_on,
          app.day_start(l.starts_on, p_time_zone), l.now, k.used, k.moment)
        else coalesce(app.metered_value(l.aggregation, k.used, k.events), 0) end as used
    ) u
    order by l.slug
  $$;

-- grants --------------------------------------------------------------------------------------------

revoke all on all functions in schema app from public;
