-- Who is archived uses nothing and hears of nothing: a rule made since then was told to them, too.

-- functions -----------------------------------------------------------------------------------------

create or replace function app.evaluate_alerts(p_tenant uuid, p_time_zone text, p_customers uuid[]) returns integer
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
          cross join (
            select x.id from public.customers x where x.tenant_id = p_tenant and x.id = any (p_customers) and x.archived_at is null
          ) c;
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
          where exists (
            select from public.customers c where c.tenant_id = p_tenant and c.id = k.customer_id and c.archived_at is null)
        ) p
        group by p.chunk order by p.chunk
      loop
        v_fired := v_fired + app.fire_alerts(p_tenant, p_time_zone, v_pairs.meters, v_pairs.customers, v_pairs.starts);
      end loop;
      return v_fired;
    end
  $$;
