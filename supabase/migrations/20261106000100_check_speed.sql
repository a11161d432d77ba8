-- A check for less: one alone by a few look-ups; of a crowd, what holds for all is read in one statement, and the answers are
-- written rather than built.

-- functions -----------------------------------------------------------------------------------------

create or replace function app.read_usage(p_tenant uuid, p_time_zone text, p_meters text[], p_users text[], p_amounts numeric[]) returns json
  language plpgsql stable set search_path = '' set plan_cache_mode = force_generic_plan set enable_seqscan = off
  as $$
    declare
      v_now timestamptz := statement_timestamp();
      v_today date := (v_now at time zone p_time_zone)::date;
      v_first date := v_today - date_part('day', v_today)::integer + 1;
      v_day_end numeric := extract(epoch from (v_today + 1)::timestamp at time zone p_time_zone);
      v_month_end numeric := extract(epoch from (v_first + interval '1 month') at time zone p_time_zone);
      v_default uuid;
      v_default_version integer;
      v_open boolean;
      v_refs text[];
      v_ids uuid[];
      v_slugs text[];
      v_archived boolean[];
      v_kinds text[];
      v_individual boolean;
      v_entitled boolean;
      v_balanced boolean;
      v_reserved boolean;
      v_answers json;
      v_meter uuid;
      v_slug text;
      v_customer uuid;
      v_tier uuid;
      v_version integer;
      v_anchor integer := 1;
      v_limit numeric;
      v_behaviour text;
      v_period text;
      v_used numeric;
      v_starts date;
      v_ends numeric;
    begin
      -- One question alone, about a plain meter and a customer who is known: a few look-ups, where a statement for a crowd would
      -- cost more to set up than to run.
      if cardinality(p_meters) = 1 then
        select m.id, m.slug into v_meter, v_slug from public.meters m
          where m.tenant_id = p_tenant and m.slug = p_meters[1] and m.archived_at is null and not m.individual and m.aggregation in ('SUM', 'COUNT');
        if found then
          select c.id into v_customer from public.customers c
            where c.tenant_id = p_tenant and c.external_id = p_users[1] and c.archived_at is null;
        end if;
        if v_customer is not null then
          select s.tier_id, s.tier_version, s.anchor_day into v_tier, v_version, v_anchor from public.subscriptions s
            where s.tenant_id = p_tenant and s.customer_id = v_customer and s.canceled_at is null;
          if not found then
            v_anchor := 1;
            select t.id, t.version into v_tier, v_version from public.tiers t where t.tenant_id = p_tenant and t.is_default;
          end if;
          select c.cap_limit, c.behaviour, c.period into v_limit, v_behaviour, v_period from public.tier_caps c
            where c.tenant_id = p_tenant and c.tier_id = v_tier and c.version = v_version and c.meter_id = v_meter;
          v_period := coalesce(v_period, 'month');
          if v_period = 'day' then
            v_starts := v_today;
            v_ends := v_day_end;
          elsif v_anchor = 1 then
            v_starts := v_first;
            v_ends := v_month_end;
          else
            v_starts := app.period_start(v_today, 'month', v_anchor);
            v_ends := extract(epoch from app.period_end(v_starts, 'month', v_anchor)::timestamp at time zone p_time_zone);
          end if;
          select k.used into v_used from public.usage_counters k
            where k.tenant_id = p_tenant and k.period = v_period and k.meter_id = v_meter and k.starts_on = v_starts and k.customer_id = v_customer;
          v_used := coalesce(v_used, 0);
          return json_build_array(json_build_array(
            case when v_limit is null or v_behaviour = 'overflow' or v_used + p_amounts[1] < v_limit
              or (p_amounts[1] > 0 and v_used + p_amounts[1] = v_limit) then 'VALID' else 'USAGE_EXCEEDED' end,
            v_limit::text, v_used::text, v_behaviour, v_period, v_ends, v_slug,
            case when v_used + p_amounts[1] > v_limit then app.next_tiers(p_tenant, v_meter, v_limit) end, null));
        end if;
      end if;
      -- A crowd asks about few meters: each is looked up once, and with them what holds for all customers.
      select array_agg(r.ref), array_agg(m.id), array_agg(m.slug), array_agg(m.archived_at is not null), array_agg(m.aggregation),
          coalesce(bool_or(m.individual or m.aggregation not in ('SUM', 'COUNT')), false),
          (array_agg(g.tier_id))[1], min(g.version), bool_and(g.creates_customers)
        into v_refs, v_ids, v_slugs, v_archived, v_kinds, v_individual, v_default, v_default_version, v_open
        from (
          select t.id as tier_id, t.version, coalesce(s.creates_customers, true) as creates_customers
          from (select 1) one
          left join public.tiers t on t.tenant_id = p_tenant and t.is_default
          left join public.usage_settings s on s.tenant_id = p_tenant
        ) g
        cross join (select distinct x.ref from unnest(p_meters) x (ref)) r
        left join lateral (
          select x.id, x.slug, x.archived_at, x.aggregation, x.individual from public.meters x where x.tenant_id = p_tenant and x.slug = r.ref
          union all
          select x.id, x.slug, x.archived_at, x.aggregation, x.individual from public.meters x
            where x.tenant_id = p_tenant and x.id = case when pg_input_is_valid(r.ref, 'uuid') then r.ref::uuid end
          limit 1
        ) m on true;
      -- Most tenants sell by tiers alone, and count sums: then there is little to look at.
      if not v_individual then
        -- Written out as text: what is in it is numbers, names without quotes and JSON, and building arrays of it costs several times as much.
        select ('[' || string_agg('["' || case
              when v_ids[r.m] is null or (c.id is null and not v_open) then 'NOT_FOUND'
              when v_archived[r.m] or c.archived_at is not null then 'DISABLED'
              when t.cap_limit is null or t.behaviour = 'overflow' or coalesce(k.used, 0) + r.amount < t.cap_limit
                or (r.amount > 0 and coalesce(k.used, 0) + r.amount = t.cap_limit) then 'VALID'
              else 'USAGE_EXCEEDED' end
            || coalesce('","' || t.cap_limit::text || '","', '",null,"') || coalesce(k.used, 0)::text
            || coalesce('","' || t.behaviour || '","', '",null,"') || q.period || '",' || q.ends::text
            || coalesce(',"' || v_slugs[r.m] || '",', ',null,')
            || case when t.cap_limit is not null and coalesce(k.used, 0) + r.amount > t.cap_limit
              then app.next_tiers(p_tenant, v_ids[r.m], t.cap_limit)::text else 'null' end
            || ',null]', ',') || ']')::json
          into v_answers
          from (
            select array_position(v_refs, x.meter) as m, x.customer, x.amount from unnest(p_meters, p_users, p_amounts) x (meter, customer, amount)
          ) r
          left join lateral (
            select x.id, x.archived_at from public.customers x where x.tenant_id = p_tenant and x.external_id = r.customer limit 1
          ) c on true
          left join lateral (
            select x.tier_id, x.tier_version, x.anchor_day from public.subscriptions x
            where x.tenant_id = p_tenant and x.customer_id = c.id and x.canceled_at is null limit 1
          ) s on true
          left join lateral (
            select x.cap_limit, x.behaviour, x.period from public.tier_caps x
            where x.tenant_id = p_tenant and x.tier_id = coalesce(s.tier_id, v_default)
              and x.version = coalesce(s.tier_version, v_default_version) and x.meter_id = v_ids[r.m]
            limit 1
          ) t on true
          cross join lateral (
            select coalesce(t.period, 'month') as period,
              case when t.period = 'day' then v_today when coalesce(s.anchor_day, 1) = 1 then v_first
                else app.period_start(v_today, 'month', s.anchor_day) end as starts_on,
              case when t.period = 'day' then v_day_end when coalesce(s.anchor_day, 1) = 1 then v_month_end
                else extract(epoch from app.period_end(app.period_start(v_today, 'month', s.anchor_day), 'month', s.anchor_day)::timestamp
                  at time zone p_time_zone) end as ends
            offset 0
          ) q
          left join lateral (
            select x.used from public.usage_counters x
            where x.tenant_id = p_tenant and x.period = q.period and x.meter_id = v_ids[r.m] and x.starts_on = q.starts_on and x.customer_id = c.id
            limit 1
          ) k on true;
        return v_answers;
      end if;
      v_entitled := exists (
        select 1 from public.entitlements c where c.tenant_id = p_tenant and c.meter_id = any (v_ids) and c.canceled_at is null);
      v_balanced := exists (select 1 from public.balances c where c.tenant_id = p_tenant and c.meter_id = any (v_ids));
      v_reserved := exists (
        select 1 from public.reservations c where c.tenant_id = p_tenant and c.meter_id = any (v_ids) and c.status = 'held');
      select json_agg(json_build_array(
          case
            when v_ids[r.m] is null or (c.id is null and not v_open) then 'NOT_FOUND'
            when v_archived[r.m] or c.archived_at is not null then 'DISABLED'
            when a.cap_limit is null or t.behaviour = 'overflow' then 'VALID'
            when v_kinds[r.m] in ('MIN', 'AVG', 'WEIGHTED_SUM') then case when coalesce(a.used, 0) <= a.cap_limit then 'VALID' else 'USAGE_EXCEEDED' end
            when v_kinds[r.m] in ('MAX', 'LATEST') then case when greatest(coalesce(a.used, 0), r.amount) <= a.cap_limit then 'VALID' else 'USAGE_EXCEEDED' end
            when a.used + h.amount + r.amount < a.cap_limit or (r.amount > 0 and a.used + h.amount + r.amount = a.cap_limit) then 'VALID'
            else 'USAGE_EXCEEDED' end,
          a.cap_limit::text, coalesce(a.used, 0)::text, t.behaviour, q.period, q.ends, v_slugs[r.m],
          case when a.cap_limit is not null and a.used + h.amount + r.amount > a.cap_limit then app.next_tiers(p_tenant, v_ids[r.m], t.cap_limit) end,
          case when h.amount > 0 then h.amount::text end))
        into v_answers
        from (
          select array_position(v_refs, x.meter) as m, x.customer, x.amount from unnest(p_meters, p_users, p_amounts) x (meter, customer, amount)
        ) r
        left join lateral (
          select x.id, x.archived_at from public.customers x where x.tenant_id = p_tenant and x.external_id = r.customer limit 1
        ) c on true
        left join lateral (
          select x.tier_id, x.tier_version, x.anchor_day from public.subscriptions x
          where x.tenant_id = p_tenant and x.customer_id = c.id and x.canceled_at is null limit 1
        ) s on true
        left join lateral (
          select coalesce(x.cap_limit, 0) as cap_limit, x.behaviour, x.period from public.entitlements x
          where v_entitled and x.tenant_id = p_tenant and x.customer_id = c.id and x.meter_id = v_ids[r.m] and x.canceled_at is null
          union all
          select x.cap_limit, x.behaviour, x.period from public.tier_caps x
          where x.tenant_id = p_tenant and x.tier_id = coalesce(s.tier_id, v_default) and x.version = coalesce(s.tier_version, v_default_version)
            and x.meter_id = v_ids[r.m]
          limit 1
        ) t on true
        cross join lateral (
          select coalesce(t.period, 'month') as period,
            case when t.period = 'day' then v_today when coalesce(s.anchor_day, 1) = 1 then v_first
              else app.period_start(v_today, 'month', s.anchor_day) end as starts_on,
            case when t.period = 'day' then v_day_end when coalesce(s.anchor_day, 1) = 1 then v_month_end
              else extract(epoch from app.period_end(app.period_start(v_today, 'month', s.anchor_day), 'month', s.anchor_day)::timestamp
                at time zone p_time_zone) end as ends
          offset 0
        ) q
        left join lateral (
          select x.used, x.events, x.moment from public.usage_counters x
          where x.tenant_id = p_tenant and x.period = q.period and x.meter_id = v_ids[r.m] and x.starts_on = q.starts_on and x.customer_id = c.id
          limit 1
        ) k on true
        left join lateral (
          select b.used, b.granted + b.overage as granted from app.peek_balance(p_tenant, c.id, v_ids[r.m], v_now, p_time_zone) b
          where v_balanced and c.id is not null and exists (
            select 1 from public.balances x where x.tenant_id = p_tenant and x.customer_id = c.id and x.meter_id = v_ids[r.m])
        ) b on v_balanced
        cross join lateral (
          select case when t.cap_limit is not null then coalesce(b.granted, t.cap_limit) end as cap_limit,
            case when b.granted is not null then b.used
              when v_kinds[r.m] = 'WEIGHTED_SUM' then app.weighted_average(p_tenant, v_ids[r.m], c.id, q.starts_on,
                q.starts_on::timestamp at time zone p_time_zone, v_now, k.used, k.moment)
              when v_kinds[r.m] in ('SUM', 'COUNT', 'UNIQUE_COUNT') then coalesce(k.used, 0)
              else app.metered_value(v_kinds[r.m], k.used, k.events) end as used
          offset 0
        ) a
        cross join lateral (
          select case when v_reserved then coalesce((
            select sum(x.amount) from public.reservations x
            where x.tenant_id = p_tenant and x.customer_id = c.id and x.meter_id = v_ids[r.m] and x.status = 'held' and x.expires_at > v_now), 0)
            else 0 end as amount
          offset 0
        ) h;
      return v_answers;
    end
  $$;
