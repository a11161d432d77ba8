-- Billing through Stripe: a correction goes where the event it corrects went, or would have gone. What was taken back of usage from
-- before a meter was pushed went as a negative figure that had nothing to net.

-- tables --------------------------------------------------------------------------------------------

alter table public.stripe_meters add column begins_at timestamptz;
-- Not kept so far, and earlier than the row where usage of the days before was asked for: no later than the first hour that went.
-- It is no change that anybody made, and row security holds the owner too, who has no tenant.
alter table public.stripe_meters no force row level security, disable trigger stripe_meters_audit;
alter table public.stripe_deliveries no force row level security;
update public.stripe_meters s set begins_at = least(s.created_at, s.cut_at, (
  select min(d.hour) from public.stripe_deliveries d
  where d.tenant_id = s.tenant_id and d.stripe_export_id = s.stripe_export_id and d.meter_id = s.meter_id));
alter table public.stripe_meters force row level security, enable trigger stripe_meters_audit;
alter table public.stripe_deliveries force row level security;
alter table public.stripe_meters alter column begins_at set default now(), alter column begins_at set not null;
comment on column public.stripe_meters.begins_at is 'Usage received before is not pushed, nor is a correction of it.';

-- functions -----------------------------------------------------------------------------------------

create function app.first_received(p_tenant uuid, p_event uuid) returns timestamptz
  language plpgsql stable set search_path = ''
  as $$
    declare
      v_id uuid := p_event;
      v_at timestamptz;
      v_before record;
    begin
      while v_id is not null loop
        select e.corrects, e.received_at into v_before from public.usage_events e where e.tenant_id = p_tenant and e.id = v_id limit 1;
        exit when not found;
        v_at := v_before.received_at;
        v_id := v_before.corrects;
      end loop;
      return v_at;
    end
  $$;
comment on function app.first_received(uuid, uuid) is
  'When the event was received of which this one is a version or a cancellation; of the versions that are still kept, the first.';

create or replace function app.cut_stripe_usage(p_tenant uuid, p_export uuid) returns integer
  language plpgsql volatile set search_path = '' set plan_cache_mode = force_custom_plan
  as $$
    declare
      v_cut timestamptz;
      v_from timestamptz;
      v_written integer;
    begin
      -- Whoever does not see all of it would move the cut past usage that was never written down.
      if not (app.can('stripe-exports:write') and app.can('usage:read') and app.can('customers:read') and app.can('meters:read')) then
        raise exception using errcode = '42501', message = 'stripe-exports:write and reading usage, customers and meters are needed';
      end if;
      perform 1 from public.stripe_exports x
        where x.tenant_id = p_tenant and x.id = p_export and x.status = 'connected' and x.enabled for update;
      if not found then
        return 0;
      end if;
      v_cut := clock_timestamp();
      perform app.await_usage_writers(p_tenant);
      select min(s.cut_at) into v_from from public.stripe_meters s where s.tenant_id = p_tenant and s.stripe_export_id = p_export and s.enabled;
      with meters as materialized (
        select s.meter_id, s.event_name, s.cut_at, s.begins_at, m.aggregation
        from public.stripe_meters s
        join public.meters m on m.tenant_id = p_tenant and m.id = s.meter_id and m.aggregation in ('SUM', 'COUNT')
        where s.tenant_id = p_tenant and s.stripe_export_id = p_export and s.enabled
      ),
      received as materialized (
        select e.customer_id, e.meter_id, date_trunc('hour', e.occurred_at, 'UTC') as hour,
          sum(e.weight * app.event_amount(m.aggregation, e.value, e.counted)) as amount, sum(e.weight)::bigint as events
        from public.usage_events e
        join meters m on m.meter_id = e.meter_id
        where e.tenant_id = p_tenant and e.received_at >= v_from and e.received_at < v_cut and e.received_at >= m.cut_at and e.weight <> 0
          and e.received_month >= date_trunc('month', v_from at time zone 'UTC')::date
          and e.received_month <= date_trunc('month', v_cut at time zone 'UTC')::date
          and (e.weight = 1 or not exists (
            select 1 from public.usage_events o where o.tenant_id = p_tenant and o.id = e.corrects and o.weight = 0))
          and (e.corrects is null or app.first_received(p_tenant, e.corrects) >= m.begins_at)
        group by 1, 2, 3
      ),
      -- Rounded down along the hours, so that the whole numbers add up and only one fraction is ever left over.
      running as materialized (
        select r.customer_id, r.meter_id, r.hour, r.events, r.amount,
          coalesce(l.remainder, 0) + sum(r.amount) over w as total,
          row_number() over (partition by r.customer_id, r.meter_id order by r.hour desc) as from_last
        from received r
        left join public.stripe_remainders l on l.tenant_id = p_tenant and l.stripe_export_id = p_export and l.meter_id = r.meter_id
          and l.customer_id = r.customer_id
        window w as (partition by r.customer_id, r.meter_id order by r.hour)
      ),
      kept as (
        insert into public.stripe_remainders (tenant_id, stripe_export_id, meter_id, customer_id, remainder)
          select p_tenant, p_export, r.meter_id, r.customer_id, r.total - floor(r.total) from running r where r.from_last = 1
          order by r.meter_id, r.customer_id
          on conflict (tenant_id, stripe_export_id, meter_id, customer_id) do update set remainder = excluded.remainder
          where stripe_remainders.remainder <> excluded.remainder
      )
      insert into public.stripe_deliveries (tenant_id, id, stripe_export_id, customer_id, meter_id, event_name, hour, happened_at, cut_at, amount,
          events, identifier)
        select p_tenant, app.uuid_v7(), p_export, r.customer_id, r.meter_id, m.event_name, r.hour,
          least(greatest(r.hour + interval '3599 seconds', v_cut - interval '34 days'), v_cut), v_cut,
          floor(r.total) - floor(r.total - r.amount), r.events,
          'hf_' || encode(sha256(convert_to(concat_ws('/', p_tenant, p_export, r.customer_id, r.meter_id, extract(epoch from r.hour),
            extract(epoch from v_cut)), 'UTF8')), 'hex')
        from running r join meters m on m.meter_id = r.meter_id
        where floor(r.total) <> floor(r.total - r.amount)
        order by r.hour, r.customer_id, r.meter_id;
      get diagnostics v_written = row_count;
      update public.stripe_meters s set cut_at = v_cut
        where s.tenant_id = p_tenant and s.stripe_export_id = p_export and s.enabled and s.cut_at < v_cut;
      update public.stripe_exports x set cut_asked = false where x.tenant_id = p_tenant and x.id = p_export;
      return v_written;
    end
  $$;

-- grants --------------------------------------------------------------------------------------------

revoke all on all functions in schema app from public;
grant execute on function app.first_received(uuid, uuid) to app_tenant;
