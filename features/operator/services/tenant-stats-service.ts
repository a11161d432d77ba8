import { operatorQuery } from '@/libs/db/operator-db'

export type TenantStats = {
  total: number
  by_status: Record<string, number>
  by_plan: Record<string, number>
  created_per_day: { day: string; count: number }[]
  onboarding: { started: number; completed: number; rate: number }
  suspensions: { present: number; last_30_days: number }
}

/** Figures over all tenants, counted at this moment. */
export async function getTenantStats(): Promise<TenantStats> {
  const [row] = await operatorQuery<TenantStats>(`
    with present as (select * from tenants where status <> 'deleted'),
    days as (
      select d::date as day
      from generate_series((now() at time zone 'UTC')::date - 29, (now() at time zone 'UTC')::date, interval '1 day') d
    )
    select
      (select count(*)::integer from present) as total,
      (select jsonb_object_agg(s.status, (select count(*) from tenants t where t.status = s.status))
        from unnest(enum_range(null::tenant_status)) s (status)) as by_status,
      (select jsonb_object_agg(p.id, (select count(*) from present t where t.plan_id = p.id)) from plans p) as by_plan,
      (select jsonb_agg(jsonb_build_object('day', to_char(d.day, 'YYYY-MM-DD'), 'count',
          (select count(*) from tenants t where t.created_at >= d.day::timestamp at time zone 'UTC'
            and t.created_at < (d.day + 1)::timestamp at time zone 'UTC')) order by d.day)
        from days d) as created_per_day,
      (select jsonb_build_object('started', count(*), 'completed', count(activated_at),
          'rate', round(count(activated_at)::numeric / greatest(count(*), 1), 4)) from present) as onboarding,
      jsonb_build_object(
        'present', (select count(*) from present where status = 'suspended'),
        'last_30_days', (select count(*) from tenants
          where greatest(suspended_at, last_suspended_at) >= now() - interval '30 days')) as suspensions`)
  if (!row) throw new Error('The statistics query gave no row.')
  return row
}
