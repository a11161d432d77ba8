-- What is billed: usage cut by the moment of reception, so that a period that was closed never changes. What comes in or is corrected
-- later for usage of an earlier period is an adjustment line of the next one; over all cuts the lines add up to the usage.

-- tables --------------------------------------------------------------------------------------------

create table public.billing_periods (
  tenant_id uuid not null default app.tenant_id(),
  id uuid not null,
  starts_at timestamptz not null,
  ends_at timestamptz not null,
  closed_at timestamptz not null,
  lines integer not null check (lines >= 0),
  events bigint not null,
  adjustments integer not null check (adjustments >= 0),
  primary key (tenant_id, id),
  check (ends_at > starts_at)
);
comment on table public.billing_periods is '@tenant Closed cuts of usage by reception, each beginning where the one before ended. Written once, never changed.';
comment on column public.billing_periods.starts_at is 'Received at or after; of the first period no later than the first event.';
comment on column public.billing_periods.ends_at is 'Received before.';
comment on column public.billing_periods.lines is 'How many rows of billing_lines belong to it.';

create table public.billing_lines (
  tenant_id uuid not null default app.tenant_id(),
  billing_period_id uuid not null,
  customer_id uuid not null,
  customer text not null,
  meter_id uuid not null,
  meter text not null,
  starts_on date not null,
  ends_on date not null,
  quantity numeric not null,
  events bigint not null,
  tier text,
  tier_version integer,
  cap_limit numeric,
  overage numeric,
  adjustment boolean not null,
  primary key (tenant_id, billing_period_id, customer_id, meter_id, starts_on),
  foreign key (tenant_id, billing_period_id) references public.billing_periods (tenant_id, id),
  foreign key (tenant_id, customer_id) references public.customers (tenant_id, id),
  foreign key (tenant_id, meter_id) references public.meters (tenant_id, id)
);
comment on table public.billing_lines is '@tenant What a closed period holds of a customer, a meter and a period of usage. Written once, never changed.';
comment on column public.billing_lines.customer is 'External id at the time; the meter''s slug beside it never changes.';
comment on column public.billing_lines.starts_on is 'First day of the period of usage, which begins on the anchor day of the customer''s subscription.';
comment on column public.billing_lines.ends_on is 'First day after it.';
comment on column public.billing_lines.quantity is
  'SUM and COUNT: what the events received in the cut come to. Others: the value of the usage period as of the end of the cut, less what was billed before.';
comment on column public.billing_lines.events is 'Events received in the cut, less those taken back in it.';
comment on column public.billing_lines.overage is 'Beyond the cap as of the end of the cut, less what was billed as overage before; null without a cap.';
comment on column public.billing_lines.adjustment is 'Whether the usage lies before the cut.';

-- indexes -------------------------------------------------------------------------------------------

create unique index billing_periods_start_key on public.billing_periods (tenant_id, starts_at);
comment on index public.billing_periods_start_key is 'One period follows another.';
create index billing_periods_end_idx on public.billing_periods (tenant_id, ends_at);
create index billing_lines_usage_idx on public.billing_lines (tenant_id, customer_id, meter_id, starts_on);
create index billing_lines_meter_idx on public.billing_lines (tenant_id, meter_id);

-- functions -----------------------------------------------------------------------------------------

create function app.await_usage_writers(p_tenant uuid) returns void
  language plpgsql volatile set search_path = ''
  as $$
    begin
      -- Held for no time: whoever takes events in now began to do so after this.
      perform pg_advisory_lock(hashtextextended('usage ' || p_tenant::text, 0));
      perform pg_advisory_unlock(hashtextextended('usage ' || p_tenant::text, 0));
    end
  $$;
comment on function app.await_usage_writers(uuid) is
  'Returns when everything a tenant received before now is committed, so that a cut by reception is complete. Holds nobody up longer than that.';

create function app.average_level(p_before numeric, p_sum numeric, p_moment numeric, p_from numeric, p_to numeric) returns numeric
  language plpgsql immutable parallel safe set search_path = ''
  as $$
    begin
      if p_to <= p_from then
        return 0;
      end if;
      return trim_scale(round((p_before * (p_to - p_from) + p_to * p_sum - p_moment) * 1e12 / (p_to - p_from)) * 1e-12);
    end
  $$;
comment on function app.average_level(numeric, numeric, numeric, numeric, numeric) is
  'WEIGHTED_SUM between two moments (epoch seconds): the level before, the sum of its changes, and the sum of change x moment; to 12 decimals.';

create function app.cut_usage(p_tenant uuid, p_time_zone text, p_from timestamptz, p_to timestamptz, p_billed boolean)
  returns table (
    customer_id uuid, customer text, meter_id uuid, meter text, starts_on date, ends_on date, quantity numeric, events bigint, tier text, tier_version integer,
    cap_limit numeric, overage numeric, adjustment boolean
  )
  language plpgsql stable set search_path = '' set plan_cache_mode = force_custom_plan
  as $$
    #variable_conflict use_column
    declare
      v_from_day date := (p_from at time zone p_time_zone)::date;
      v_default uuid;
      v_default_version integer;
    begin
      select t.id, t.version into v_default, v_default_version from public.tiers t where t.tenant_id = p_tenant and t.is_default;
      return query
        with
        meters as materialized (
          select m.id, m.slug, m.aggregation, m.value_property from public.meters m where m.tenant_id = p_tenant
        ),
        anchors as materialized (
          select s.customer_id, s.anchor_day::integer as anchor from public.subscriptions s where s.tenant_id = p_tenant and s.canceled_at is null
        ),
        -- What came in, by day of usage.
        received as materialized (
          select e.customer_id, e.meter_id, (e.occurred_at at time zone p_time_zone)::date as day,
            sum(e.weight * case m.aggregation when 'COUNT' then coalesce(e.counted, 1) else coalesce(e.counted, e.value) end) as amount, sum(e.weight) as events
          from public.usage_events e
          join meters m on m.id = e.meter_id
          where e.tenant_id = p_tenant and e.received_at >= p_from and e.received_at < p_to and e.weight <> 0
            and e.received_month >= date_trunc('month', p_from at time zone 'UTC')::date
            and e.received_month <= date_trunc('month', p_to at time zone 'UTC')::date
          group by 1, 2, 3
        ),
        touched as materialized (
          select r.customer_id, r.meter_id, app.period_start(r.day, 'month', coalesce(a.anchor, 1)) as starts_on, coalesce(a.anchor, 1) as anchor,
            sum(r.amount) as amount, sum(r.events)::bigint as events
          from received r left join anchors a on a.customer_id = r.customer_id
          group by 1, 2, 3, 4
        ),
        -- A level counts through every period, changed or not.
        levels as (
          select k.customer_id, k.meter_id, p.starts_on, k.anchor, 0::numeric, 0::bigint
          from (
            select c.customer_id, c.meter_id, coalesce(a.anchor, 1) as anchor, min(c.starts_on) as first
            from meters m
            join public.usage_counters c on c.tenant_id = p_tenant and c.period = 'month' and c.meter_id = m.id
            left join anchors a on a.customer_id = c.customer_id
            where m.aggregation = 'WEIGHTED_SUM'
            group by 1, 2, 3
          ) k
          cross join lateral (
            select distinct app.period_start(d.day::date, 'month', k.anchor) as starts_on
            from generate_series(greatest(v_from_day, k.first), (p_to at time zone p_time_zone)::date, interval '1 day') d (day)
          ) p
          where app.day_start(p.starts_on, p_time_zone) < p_to
            and not exists (
              select 1 from touched t where t.customer_id = k.customer_id and t.meter_id = k.meter_id and t.starts_on = p.starts_on)
        ),
        keys as materialized (
          select *, app.period_end(k.starts_on, 'month', k.anchor) as ends_on from (select * from touched union all select * from levels) k
        ),
        -- Of meters that do not add up: everything that happened in these periods, as of the end and as of the beginning of the cut.
        others as materialized (
          select k.*, m.aggregation, m.value_property, app.day_start(k.starts_on, p_time_zone) as opens, app.day_start(k.ends_on, p_time_zone) as closes
          from keys k join meters m on m.id = k.meter_id and m.aggregation not in ('SUM', 'COUNT')
        ),
        standing as materialized (
          select o.customer_id, o.meter_id, o.starts_on, o.aggregation, coalesce(e.counted, e.value) as amount, e.occurred_at, e.received_at,
            case o.aggregation when 'UNIQUE_COUNT' then md5(e.properties ->> o.value_property)::uuid end as hash,
            c.received_at is null or c.received_at >= p_to as after,
            e.received_at < p_from and (c.received_at is null or c.received_at >= p_from) as before
          from others o
          join public.usage_events e on e.tenant_id = p_tenant and e.meter_id = o.meter_id and e.customer_id = o.customer_id
            and e.occurred_at >= o.opens and e.occurred_at < o.closes and e.weight = 1
          left join public.usage_events c on c.tenant_id = p_tenant and c.corrects = e.id and c.weight = -1 and c.received_at < p_to
          where e.received_at < p_to and e.received_at >= (select min(x.opens) from others x) - interval '1 day'
        ),
        sums as (
          select s.customer_id, s.meter_id, s.starts_on,
            count(*) filter (where s.after) as count_after, count(*) filter (where s.before) as count_before,
            min(s.amount) filter (where s.after) as min_after, min(s.amount) filter (where s.before) as min_before,
            max(s.amount) filter (where s.after) as max_after, max(s.amount) filter (where s.before) as max_before,
            sum(s.amount) filter (where s.after) as sum_after, sum(s.amount) filter (where s.before) as sum_before,
            count(distinct s.hash) filter (where s.after) as unique_after, count(distinct s.hash) filter (where s.before) as unique_before,
            (array_agg(s.amount order by s.occurred_at desc, s.received_at desc) filter (where s.after and s.aggregation = 'LATEST'))[1] as last_after,
            (array_agg(s.amount order by s.occurred_at desc, s.received_at desc) filter (where s.before and s.aggregation = 'LATEST'))[1] as last_before,
            sum(s.amount) filter (where s.after and s.occurred_at < p_to) as level_after,
            sum(s.amount) filter (where s.before and s.occurred_at < p_from) as level_before,
            sum(s.amount * extract(epoch from s.occurred_at)) filter (where s.after and s.occurred_at < p_to) as moment_after,
            sum(s.amount * extract(epoch from s.occurred_at)) filter (where s.before and s.occurred_at < p_from) as moment_before
          from standing s group by 1, 2, 3
        ),
        -- The level at the beginning of a period: all days before, less what was received after the cut.
        openings as (
          select o.customer_id, o.meter_id, o.starts_on, sum(c.used) as level
          from others o
          join public.usage_counters c on c.tenant_id = p_tenant and c.period = 'day' and c.meter_id = o.meter_id and c.customer_id = o.customer_id
            and c.starts_on < o.starts_on
          where o.aggregation = 'WEIGHTED_SUM'
          group by 1, 2, 3
        ),
        newer as (
          select o.customer_id, o.meter_id, o.starts_on,
            sum(e.weight * coalesce(e.counted, e.value)) filter (where e.received_at >= p_to) as later,
            sum(e.weight * coalesce(e.counted, e.value)) filter (where e.received_at < p_to) as during
          from others o
          join public.usage_events e on e.tenant_id = p_tenant and e.meter_id = o.meter_id and e.customer_id = o.customer_id
            and e.received_at >= p_from and e.occurred_at < o.opens
          where o.aggregation = 'WEIGHTED_SUM'
          group by 1, 2, 3
        ),
        valued as (
          select o.customer_id, o.meter_id, o.starts_on,
            case o.aggregation
              when 'MIN' then s.min_after when 'MAX' then s.max_after when 'LATEST' then s.last_after when 'UNIQUE_COUNT' then s.unique_after
              when 'AVG' then app.metered_value('AVG', s.sum_after, s.count_after)
              else app.average_level(coalesce(l.level, 0) - coalesce(n.later, 0), coalesce(s.level_after, 0), coalesce(s.moment_after, 0),
                extract(epoch from o.opens), extract(epoch from least(o.closes, p_to))) end as after,
            case o.aggregation
              when 'MIN' then s.min_before when 'MAX' then s.max_before when 'LATEST' then s.last_before when 'UNIQUE_COUNT' then s.unique_before
              when 'AVG' then app.metered_value('AVG', s.sum_before, s.count_before)
              else app.average_level(coalesce(l.level, 0) - coalesce(n.later, 0) - coalesce(n.during, 0), coalesce(s.level_before, 0),
                coalesce(s.moment_before, 0), extract(epoch from o.opens), extract(epoch from least(o.closes, p_from))) end as before
          from others o
          left join sums s on s.customer_id = o.customer_id and s.meter_id = o.meter_id and s.starts_on = o.starts_on
          left join openings l on l.customer_id = o.customer_id and l.meter_id = o.meter_id and l.starts_on = o.starts_on
          left join newer n on n.customer_id = o.customer_id and n.meter_id = o.meter_id and n.starts_on = o.starts_on
        ),
        billed as materialized (
          select b.customer_id, b.meter_id, b.starts_on, sum(b.quantity) as quantity
          from others o
          join public.billing_lines b on b.tenant_id = p_tenant and b.customer_id = o.customer_id and b.meter_id = o.meter_id
            and b.starts_on = o.starts_on
          where p_billed
          group by 1, 2, 3
        ),
        -- Of meters that add up, what came after the cut: the counters hold it already.
        after_cut as materialized (
          select e.customer_id, e.meter_id, (e.occurred_at at time zone p_time_zone)::date as day,
            sum(e.weight * case m.aggregation when 'COUNT' then coalesce(e.counted, 1) else coalesce(e.counted, e.value) end) as amount
          from public.usage_events e
          join meters m on m.id = e.meter_id and m.aggregation in ('SUM', 'COUNT')
          where e.tenant_id = p_tenant and e.received_at >= p_to and e.weight <> 0
            and e.received_month >= date_trunc('month', p_to at time zone 'UTC')::date
          group by 1, 2, 3
        ),
        lines as materialized (
          select k.customer_id, k.meter_id, k.starts_on, k.ends_on, k.anchor, k.amount, k.events, o.customer_id is null as adds_up,
            case when o.customer_id is null then k.amount
              else coalesce(v.after, 0) - case when p_billed then coalesce(b.quantity, 0) else coalesce(v.before, 0) end end as quantity,
            v.after, v.before
          from keys k
          left join others o on o.customer_id = k.customer_id and o.meter_id = k.meter_id and o.starts_on = k.starts_on
          left join valued v on v.customer_id = k.customer_id and v.meter_id = k.meter_id and v.starts_on = k.starts_on
          left join billed b on b.customer_id = k.customer_id and b.meter_id = k.meter_id and b.starts_on = k.starts_on
        )
        select l.customer_id, u.external_id, l.meter_id, m.slug, l.starts_on, l.ends_on, l.quantity, l.events, t.slug, s.version, c.cap_limit,
          case
            when c.cap_limit is null then null
            when not l.adds_up then
              greatest(0, coalesce(l.after, 0) - c.cap_limit) - greatest(0, coalesce(l.after, 0) - l.quantity - c.cap_limit)
            else o.overage end,
          app.day_start(l.ends_on, p_time_zone) <= p_from
        from lines l
        join meters m on m.id = l.meter_id
        join public.customers u on u.tenant_id = p_tenant and u.id = l.customer_id
        left join lateral (
          select x.tier_id, x.tier_version from public.subscriptions x
          where x.tenant_id = p_tenant and x.customer_id = l.customer_id and x.started_at < least(app.day_start(l.ends_on, p_time_zone), p_to)
            and (x.canceled_at is null or x.canceled_at >= least(app.day_start(l.ends_on, p_time_zone), p_to))
          order by x.started_at desc limit 1
        ) b on true
        cross join lateral (
          select coalesce(b.tier_id, v_default) as tier_id, case when b.tier_id is null then v_default_version else b.tier_version end as version
        ) s
        left join public.tiers t on t.tenant_id = p_tenant and t.id = s.tier_id
        left join lateral (
          select x.cap_limit, x.period from (
            select 0 as rank, coalesce(e.cap_limit, 0) as cap_limit, e.period from public.entitlements e
              where e.tenant_id = p_tenant and e.customer_id = l.customer_id and e.meter_id = l.meter_id and e.kind = 'metered' and e.canceled_at is null
            union all
            select 1, y.cap_limit, y.period from public.tier_caps y
              where y.tenant_id = p_tenant and y.tier_id = s.tier_id and y.version = s.version and y.meter_id = l.meter_id
          ) x order by x.rank limit 1
        ) c on true
        left join lateral (
          select sum(greatest(0, d.after - c.cap_limit) - greatest(0, d.after - d.amount - c.cap_limit)) as overage
          from (
            select l.amount, coalesce((
                select u.used from public.usage_counters u
                where u.tenant_id = p_tenant and u.period = 'month' and u.meter_id = l.meter_id and u.starts_on = l.starts_on
                  and u.customer_id = l.customer_id), 0) - coalesce((
                select sum(n.amount) from after_cut n
                where n.customer_id = l.customer_id and n.meter_id = l.meter_id and n.day >= l.starts_on and n.day < l.ends_on), 0) as after
            where c.period = 'month'
            union all
            select r.amount, coalesce((
                select u.used from public.usage_counters u
                where u.tenant_id = p_tenant and u.period = 'day' and u.meter_id = l.meter_id and u.starts_on = r.day
                  and u.customer_id = l.customer_id), 0) - coalesce((
                select sum(n.amount) from after_cut n where n.customer_id = l.customer_id and n.meter_id = l.meter_id and n.day = r.day), 0)
            from received r
            where c.period = 'day' and r.customer_id = l.customer_id and r.meter_id = l.meter_id and r.day >= l.starts_on and r.day < l.ends_on
          ) d
        ) o on l.adds_up and c.cap_limit is not null
        where l.quantity <> 0 or l.events <> 0
        order by l.customer_id, l.meter_id, l.starts_on;
    end
  $$;
comment on function app.cut_usage(uuid, text, timestamptz, timestamptz, boolean) is
  'Usage of the current tenant received in [from, to), one line per customer, meter and period of usage (see billing_lines). With p_billed, what '
  'does not add up is set against the lines of closed periods; without, against its value at the beginning of the cut.';

create function app.close_billing_period(p_tenant uuid, p_time_zone text, p_id uuid, p_ends_at timestamptz) returns public.billing_periods
  language plpgsql volatile set search_path = ''
  as $$
    declare
      v_last timestamptz;
      v_starts timestamptz;
      v_period public.billing_periods;
    begin
      -- Whoever does not see all of it would close a period without it.
      if not (app.can('billing-periods:write') and app.can('usage:read') and app.can('customers:read') and app.can('meters:read')
          and app.can('tiers:read')) then
        raise exception using errcode = '42501', message = 'billing-periods:write and reading usage, customers, meters and tiers are needed';
      end if;
      perform pg_advisory_xact_lock(hashtextextended('billing periods ' || p_tenant::text, 0));
      if p_ends_at > clock_timestamp() then
        raise exception using errcode = 'TM023', message = 'a period ends in the past';
      end if;
      perform app.await_usage_writers(p_tenant);
      select max(p.ends_at) into v_last from public.billing_periods p where p.tenant_id = p_tenant;
      if v_last is null then
        select date_trunc('day', min(e.received_at), p_time_zone) into v_starts from public.usage_events e where e.tenant_id = p_tenant;
        v_starts := coalesce(v_starts, date_trunc('day', p_ends_at - interval '1 microsecond', p_time_zone));
      else
        v_starts := v_last;
      end if;
      if p_ends_at <= v_starts then
        raise exception using errcode = 'TM024', message = 'a period ends after the one before', detail = jsonb_build_object('starts_at', v_starts)::text;
      end if;
      with cut as materialized (
        select * from app.cut_usage(p_tenant, p_time_zone, v_starts, p_ends_at, true)
      ),
      written as (
        insert into public.billing_lines (tenant_id, billing_period_id, customer_id, customer, meter_id, meter, starts_on, ends_on, quantity,
            events, tier, tier_version, cap_limit, overage, adjustment)
          select p_tenant, p_id, u.customer_id, u.customer, u.meter_id, u.meter, u.starts_on, u.ends_on, u.quantity, u.events, u.tier,
            u.tier_version, u.cap_limit, u.overage, u.adjustment
          from cut u
      )
      insert into public.billing_periods (tenant_id, id, starts_at, ends_at, closed_at, lines, events, adjustments)
        select p_tenant, p_id, v_starts, p_ends_at, clock_timestamp(), count(*), coalesce(sum(c.events), 0), count(*) filter (where c.adjustment)
        from cut c
        returning * into v_period;
      perform app.log_audit('billing_period.closed', 'billing_period', p_id::text, 'success', null, to_jsonb(v_period) - 'tenant_id', null);
      return v_period;
    end
  $$;
comment on function app.close_billing_period(uuid, text, uuid, timestamptz) is
  'Closes the time since the period before, with its lines. TM023 when it would end in the future, TM024 when not after the one before.';

-- triggers ------------------------------------------------------------------------------------------

create trigger billing_periods_unchanged before update on public.billing_periods for each row execute function app.refuse_change();
create trigger billing_lines_unchanged before update on public.billing_lines for each row execute function app.refuse_change();
comment on trigger billing_periods_unchanged on public.billing_periods is '@move-safe';
comment on trigger billing_lines_unchanged on public.billing_lines is '@move-safe';

-- grants and policies -------------------------------------------------------------------------------

alter table public.billing_periods enable row level security;
alter table public.billing_periods force row level security;
grant select, insert on public.billing_periods to app_tenant;
create policy billing_periods_isolation on public.billing_periods as restrictive for all to app_tenant
  using (tenant_id = (select app.tenant_id())) with check (tenant_id = (select app.tenant_id()));
create policy billing_periods_select on public.billing_periods for select to app_tenant
  using ((select current_setting('app.permissions', true)) like any ('{% billing-periods:read %,% billing-periods:write %}'));
create policy billing_periods_insert on public.billing_periods for insert to app_tenant with check ((select strpos((select current_setting('app.permissions', true)), ' billing-periods:write ') > 0));

alter table public.billing_lines enable row level security;
alter table public.billing_lines force row level security;
grant select, insert on public.billing_lines to app_tenant;
create policy billing_lines_isolation on public.billing_lines as restrictive for all to app_tenant
  using (tenant_id = (select app.tenant_id())) with check (tenant_id = (select app.tenant_id()));
create policy billing_lines_select on public.billing_lines for select to app_tenant
  using ((select current_setting('app.permissions', true)) like any ('{% billing-periods:read %,% billing-periods:write %}'));
create policy billing_lines_insert on public.billing_lines for insert to app_tenant with check ((select strpos((select current_setting('app.permissions', true)), ' billing-periods:write ') > 0));

revoke all on all functions in schema app from public;
grant execute on function app.await_usage_writers(uuid), app.average_level(numeric, numeric, numeric, numeric, numeric),
  app.cut_usage(uuid, text, timestamptz, timestamptz, boolean), app.close_billing_period(uuid, text, uuid, timestamptz) to app_tenant;
