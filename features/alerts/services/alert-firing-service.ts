import { cutPage, type Page, readCursor } from '@/libs/api-utils/page'
import { tenantQuery } from '@/libs/db/tenant-db'
import { isUuid } from '@/libs/ids'
import { type Quantity, toQuantity } from '@/libs/ingest/decimal'
import { resolveUsageFilter } from '@/libs/metering/find-meter'
import { currentContext } from '@/libs/tenancy/tenant-context'
import type { AlertKind, FiringListQuery } from '../schema'

export type AlertFiring = {
  id: string
  rule: { id: string; name: string; kind: AlertKind }
  meter: { id: string; slug: string; name: string; unit: string }
  customer: { id: string; external_id: string; name: string | null }
  period: 'day' | 'month'
  period_start: string
  step: Quantity
  used: Quantity
  available: Quantity | null
  fired_at: Date
  told_at: Date | null
  told: number
}

type StoredFiring = Omit<AlertFiring, 'step' | 'used' | 'available'> & {
  step: string
  used: string
  available: string | null
}

/** What rules fired, newest first. @throws AppError not_found for a filter that names nothing. */
export async function listFirings({ cursor, limit, rule, ...filter }: FiringListQuery): Promise<Page<AlertFiring>> {
  const { meterId, customerId } = await resolveUsageFilter(filter)
  const [after] = readCursor(cursor, isUuid)
  const rows = await tenantQuery<StoredFiring>(
    `select f.id, f.period, f.period_start::text, f.step::text, f.used::text, f.available::text, f.fired_at, f.told_at, f.told,
       jsonb_build_object('id', r.id, 'name', r.name, 'kind', r.kind) as rule,
       jsonb_build_object('id', m.id, 'slug', m.slug, 'name', m.name, 'unit', m.unit) as meter,
       jsonb_build_object('id', c.id, 'external_id', c.external_id, 'name', c.name) as customer
     from (
       -- The page first: what it is joined with belongs to each of its rows.
       select * from alert_firings f
       where f.tenant_id = $1 and ($2::uuid is null or f.rule_id = $2) and ($3::uuid is null or f.meter_id = $3)
         and ($4::uuid is null or f.customer_id = $4) and ($5::uuid is null or f.id < $5)
       order by f.id desc limit $6
     ) f
     join alert_rules r on r.tenant_id = $1 and r.id = f.rule_id
     join meters m on m.tenant_id = $1 and m.id = f.meter_id
     join customers c on c.tenant_id = $1 and c.id = f.customer_id
     order by f.id desc`,
    [currentContext().tenantId, rule ?? null, meterId, customerId, after, limit + 1],
  )
  return cutPage(rows.map(toFiring), limit, ({ id }) => [id])
}

const toFiring = ({ step, used, available, ...row }: StoredFiring): AlertFiring => ({
  ...row,
  step: toQuantity(step),
  used: toQuantity(used),
  available: available === null ? null : toQuantity(available),
})
