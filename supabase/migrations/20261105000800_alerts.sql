-- Alerts: a rule watches how much customers use of a meter, and fires once per customer, period and step. It fires in the
-- transaction that counts the usage, so that no number of processes makes two of it and no usage passes it by.

-- tables --------------------------------------------------------------------------------------------

create table public.alert_rules (
  tenant_id uuid not null default app.tenant_id(),
  id uuid not null,
  name text not null check (length(btrim(name)) between 1 and 120),
  meter_id uuid not null,
  customer_id uuid,
  kind text not null check (kind in ('usage', 'usage_percent', 'remaining', 'remaining_percent')),
  threshold numeric not null check (threshold >= 0 and threshold < 1e30),
  recurring_every numeric check (recurring_every > 0 and recurring_every < 1e30),
  tells_admins boolean not null default true,
  tells_customer boolean not null default false,
  tells_connectors boolean not null default true,
  enabled boolean not null default true,
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now(),
  archived_at timestamptz,
  primary key (tenant_id, id),
  foreign key (tenant_id, meter_id) references public.meters (tenant_id, id),
  foreign key (tenant_id, customer_id) references public.customers (tenant_id, id)
);
comment on table public.alert_rules is '@tenant When somebody is to be told about usage, and who. Archived, not deleted: what it fired refers to it.';
comment on column public.alert_rules.customer_id is 'Whom it watches; null is every customer.';
comment on column public.alert_rules.kind is
  'usage: used at or above the threshold; usage_percent: that share of what is available in the period; remaining and remaining_percent: '
  'as little or less left. Shares and remainders need a cap or grants; without any the rule is silent.';
comment on column public.alert_rules.recurring_every is
  'Fires again at each further step of this size: upwards for usage, downwards for what remains. A jump over several steps fires the furthest.';
comment on column public.alert_rules.tells_admins is 'Owners and admins of the tenant, by mail.';
comment on column public.alert_rules.tells_customer is 'The customer, at its address or those of its portal logins, by mail.';
comment on column public.alert_rules.tells_connectors is 'An event usage.threshold_reached for the connectors.';

create table public.alert_firings (
  tenant_id uuid not null default app.tenant_id(),
  id uuid not null,
  rule_id uuid not null,
  customer_id uuid not null,
  meter_id uuid not null,
  period text not null check (period in ('day', 'month')),
  period_start date not null,
  step numeric not null,
  used numeric not null,
  available numeric,
  fired_at timestamptz not null default now(),
  told_at timestamptz,
  told integer not null default 0 check (told >= 0),
  primary key (tenant_id, id),
  foreign key (tenant_id, rule_id) references public.alert_rules (tenant_id, id)
);
comment on table public.alert_firings is '@tenant What rules fired: once per rule, customer, period and step.';
comment on column public.alert_firings.step is 'What was reached: the threshold, or the threshold and so many times recurring_every.';
comment on column public.alert_firings.used is 'Used in the period at that moment.';
comment on column public.alert_firings.available is 'What the period holds at that moment: the cap, or allowance and grants; null without.';
comment on column public.alert_firings.told_at is 'When mails were queued for it; null while they wait, or when nobody is told by mail.';
comment on column public.alert_firings.told is 'Mails queued.';

-- indexes -------------------------------------------------------------------------------------------

create index alert_rules_meter_idx on public.alert_rules (tenant_id, meter_id) where enabled and archived_at is null;
comment on index public.alert_rules_meter_idx is 'Asked with every batch of usage whether anybody watches.';
create index alert_rules_all_meters_idx on public.alert_rules (tenant_id, meter_id);
create index alert_rules_customer_idx on public.alert_rules (tenant_id, customer_id);
create unique index alert_firings_step_key on public.alert_firings (tenant_id, rule_id, customer_id, period_start, step);
comment on index public.alert_firings_step_key is 'What makes it once.';
create index alert_firings_customer_idx on public.alert_firings (tenant_id, customer_id, id);

-- functions -----------------------------------------------------------------------------------------

create function app.fire_alerts(p_tenant uuid, p_time_zone text, p_meters uuid[], p_customers uuid[], p_starts date[]) returns integer
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
          coalesce(p.granted, p.cap_limit) as available, coalesce(p.balance, greatest(p.cap_limit - u.used, 0)) as remaining
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
          where not exists (
            select 1 from public.alert_firings f
            where f.tenant_id = p_tenant and f.rule_id = r.rule_id and f.customer_id = r.customer_id and f.period_start = r.starts_on
              and case when r.kind in ('usage', 'usage_percent') then f.step >= r.step else f.step <= r.step end)
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
comment on function app.fire_alerts(uuid, text, uuid[], uuid[], date[]) is
  'Fires the rules that the given pairs of meter and customer have reached in the period a day belongs to (or, with a daily cap, today), '
  'each once however many ask at once: the firing, the event for connectors and the message for the worker that mails, in this transaction. '
  'Called after the counters have moved, while their rows are held. Returns how many fired.';

create function app.evaluate_alerts(p_tenant uuid, p_time_zone text, p_customers uuid[]) returns integer
  language plpgsql volatile set search_path = ''
  as $$
    declare
      v_today date := (statement_timestamp() at time zone p_time_zone)::date;
      v_pairs record;
      v_fired integer := 0;
    begin
      if p_customers is not null then
        return app.fire_alerts(p_tenant, p_time_zone, array_agg(m.meter_id), array_agg(c.id), array_agg(v_today))
          from (select distinct r.meter_id from public.alert_rules r where r.tenant_id = p_tenant and r.enabled and r.archived_at is null) m
          cross join (select distinct u.id from unnest(p_customers) u (id)) c;
      end if;
      -- Five thousand customers a statement, so that none of them holds much memory.
      for v_pairs in
        select array_agg(p.meter_id) as meters, array_agg(p.customer_id) as customers, array_agg(v_today) as starts
        from (
          select k.meter_id, k.customer_id, (row_number() over (order by k.meter_id, k.customer_id) - 1) / 5000 as chunk
          from (select distinct r.meter_id from public.alert_rules r where r.tenant_id = p_tenant and r.enabled and r.archived_at is null) m
          cross join lateral (
            select distinct x.meter_id, x.customer_id from public.usage_counters x
            where x.tenant_id = p_tenant and x.period = 'month' and x.meter_id = m.meter_id and x.starts_on > v_today - 32 and x.starts_on <= v_today
          ) k
        ) p
        group by p.chunk order by p.chunk
      loop
        v_fired := v_fired + app.fire_alerts(p_tenant, p_time_zone, v_pairs.meters, v_pairs.customers, v_pairs.starts);
      end loop;
      return v_fired;
    end
  $$;
comment on function app.evaluate_alerts(uuid, text, uuid[]) is
  'Fires what has been reached without new usage, because a rule is new or a cap was lowered: for the customers named, or with null for '
  'everybody who used anything in the present period. Returns how many fired.';

create function app.ask_for_alerts() returns trigger
  language plpgsql volatile set search_path = ''
  as $$
    begin
      if exists (select 1 from public.alert_rules r where r.tenant_id = app.tenant_id() and r.enabled and r.archived_at is null) then
        insert into public.outbox (tenant_id, id, topic, payload)
          values (app.tenant_id(), app.uuid_v7(), 'alerts',
            jsonb_build_object('evaluate', coalesce(to_jsonb(new) -> 'customer_id', '"all"')));
      end if;
      return null;
    end
  $$;
comment on function app.ask_for_alerts() is
  'Leaves the worker a note to evaluate the rules, where there are any, because what they compare with has changed: '
  'for the customer of the row, or by statement for all.';

-- triggers ------------------------------------------------------------------------------------------

create trigger alert_rules_audit after insert or update or delete on public.alert_rules
  for each row execute function app.audit_row('alert_rule');
create trigger alert_rules_evaluate after insert or update of threshold, recurring_every, enabled, archived_at on public.alert_rules
  for each statement execute function app.ask_for_alerts();
create trigger tier_caps_alerts after insert or update or delete on public.tier_caps
  for each statement execute function app.ask_for_alerts();
create trigger subscriptions_alerts after insert or update on public.subscriptions
  for each row execute function app.ask_for_alerts();
create trigger entitlements_alerts after insert or update on public.entitlements
  for each row execute function app.ask_for_alerts();
create trigger grants_alerts after insert or update of amount, expires_at, voided_at on public.grants
  for each row execute function app.ask_for_alerts();
comment on trigger alert_rules_audit on public.alert_rules is '@move-safe';
comment on trigger alert_rules_evaluate on public.alert_rules is '@move-safe';
comment on trigger tier_caps_alerts on public.tier_caps is '@move-safe';
comment on trigger subscriptions_alerts on public.subscriptions is '@move-safe';
comment on trigger entitlements_alerts on public.entitlements is '@move-safe';
comment on trigger grants_alerts on public.grants is '@move-safe';

-- grants and policies -------------------------------------------------------------------------------
-- Whoever writes usage fires what it reaches; whoever changes caps asks whether anybody watches.

alter table public.alert_rules enable row level security;
alter table public.alert_rules force row level security;
grant select, insert on public.alert_rules to app_tenant;
grant update (name, threshold, recurring_every, tells_admins, tells_customer, tells_connectors, enabled, updated_at, archived_at)
  on public.alert_rules to app_tenant;
create policy alert_rules_isolation on public.alert_rules as restrictive for all to app_tenant
  using (tenant_id = (select app.tenant_id())) with check (tenant_id = (select app.tenant_id()));
create policy alert_rules_select on public.alert_rules for select to app_tenant
  using ((select current_setting('app.permissions', true)) like any ('{% alerts:read %,% alerts:write %,% usage:write %,% tiers:write %,% customers:write %}'));
create policy alert_rules_insert on public.alert_rules for insert to app_tenant with check ((select strpos((select current_setting('app.permissions', true)), ' alerts:write ') > 0));
create policy alert_rules_update on public.alert_rules for update to app_tenant
  using (strpos((select current_setting('app.permissions', true)), ' alerts:write ') > 0) with check ((select strpos((select current_setting('app.permissions', true)), ' alerts:write ') > 0));

alter table public.alert_firings enable row level security;
alter table public.alert_firings force row level security;
grant select, insert on public.alert_firings to app_tenant;
grant update (told_at, told) on public.alert_firings to app_tenant;
create policy alert_firings_isolation on public.alert_firings as restrictive for all to app_tenant
  using (tenant_id = (select app.tenant_id())) with check (tenant_id = (select app.tenant_id()));
create policy alert_firings_select on public.alert_firings for select to app_tenant
  using ((select current_setting('app.permissions', true)) like any ('{% alerts:read %,% usage:write %}'));
create policy alert_firings_insert on public.alert_firings for insert to app_tenant with check ((select strpos((select current_setting('app.permissions', true)), ' usage:write ') > 0));
create policy alert_firings_update on public.alert_firings for update to app_tenant
  using (strpos((select current_setting('app.permissions', true)), ' outbox:write ') > 0) with check ((select strpos((select current_setting('app.permissions', true)), ' outbox:write ') > 0));

revoke all on all functions in schema app from public;
grant execute on function app.fire_alerts(uuid, text, uuid[], uuid[], date[]), app.evaluate_alerts(uuid, text, uuid[]), app.ask_for_alerts() to app_tenant;
