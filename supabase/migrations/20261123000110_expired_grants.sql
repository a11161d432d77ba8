-- What a grant's expiry takes away is heard of when it expires, not at the next usage: the worker settles balances whose grants are
-- past their time, and has the rules about what remains looked at.

-- indexes -------------------------------------------------------------------------------------------

create index grants_expiring_idx on public.grants (tenant_id, expires_at) where closed_at is null and expires_at is not null;

-- functions -----------------------------------------------------------------------------------------

create function app.tenants_with_expired_grants(p_limit integer) returns table (tenant_id uuid)
  language sql stable security definer set search_path = ''
  as $$
    select s.tenant_id from public.tenant_states s
    where app.entrance_access(s.status, 'job') = 'write' and exists (
      select 1 from public.grants g where g.tenant_id = s.tenant_id and g.closed_at is null and g.expires_at <= statement_timestamp())
    limit p_limit
  $$;
comment on function app.tenants_with_expired_grants(integer) is
  'Tenants with grants that expired and are not closed yet. Definer: shows ids across tenants, nothing of their content.';

create function app.close_grants(p_tenant uuid, p_time_zone text) returns integer
  language plpgsql volatile set search_path = ''
  as $$
    declare
      v_now constant timestamptz := clock_timestamp();
      v_customers uuid[];
      v_meters uuid[];
      v_watched uuid[] := array(select distinct r.meter_id from public.alert_rules r where r.tenant_id = p_tenant and r.enabled and r.archived_at is null);
      v_balance public.balances;
      v_closed integer := 0;
    begin
      select array_agg(x.customer_id order by x.customer_id, x.meter_id), array_agg(x.meter_id order by x.customer_id, x.meter_id)
        into v_customers, v_meters
        from (
          select distinct p.customer_id, p.meter_id from (
            select g.customer_id, g.meter_id from public.grants g
            where g.tenant_id = p_tenant and g.closed_at is null and g.expires_at <= v_now
            order by g.expires_at limit 500
          ) p
        ) x;
      -- A rule looks at who has a counter in the present period, also when all of it has gone unused.
      insert into public.usage_counters (tenant_id, period, meter_id, starts_on, customer_id, used, events)
        select p_tenant, t.period, t.meter_id, app.period_start((v_now at time zone p_time_zone)::date, t.period, t.anchor), t.customer_id, 0, 0
        from app.balance_terms(p_tenant, v_customers, v_meters) t
        where t.meter_id = any (v_watched)
        order by 2, 3, 4, 5
        on conflict (tenant_id, period, meter_id, starts_on, customer_id) do nothing;
      for i in 1 .. coalesce(cardinality(v_customers), 0) loop
        v_balance := app.settle_balance(p_tenant, v_customers[i], v_meters[i], v_now, p_time_zone);
        v_closed := v_closed + (v_balance.as_of is not null)::integer;
      end loop;
      insert into public.outbox (tenant_id, id, topic, payload)
        select p_tenant, app.uuid_v7(), 'alerts', jsonb_build_object('evaluate', x.customer_id)
        from (select distinct u.customer_id from unnest(v_customers, v_meters) u (customer_id, meter_id) where u.meter_id = any (v_watched)) x;
      return v_closed;
    end
  $$;
comment on function app.close_grants(uuid, text) is
  'Settles balances of the current tenant with grants that expired, of some five hundred of these, and leaves the worker a note where a rule watches. Returns how many balances.';

-- grants and policies -------------------------------------------------------------------------------

grant select (tenant_id, closed_at, expires_at) on public.grants to app_kernel;
create policy grants_kernel on public.grants for select to app_kernel using (true);

revoke all on all functions in schema app from public;
grant execute on function app.tenants_with_expired_grants(integer), app.close_grants(uuid, text) to app_tenant;
alter function app.tenants_with_expired_grants(integer) owner to app_kernel;
