import { tenantQuery } from '@/libs/db/tenant-db'

/** Adds to a metric of the current tenant, today in its time zone, in the current transaction. */
export async function noteMetric(
  tenant: { id: string; time_zone: string },
  metric: string,
  label: string,
  value: number,
): Promise<void> {
  await tenantQuery('select app.add_metrics($1, $2, $3, $4, $5, $6)', [
    tenant.id,
    tenant.time_zone,
    [metric],
    [label],
    [value],
    [null],
  ])
}
