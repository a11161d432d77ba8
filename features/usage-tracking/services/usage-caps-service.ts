import { cutPage, decodeCursor, type Page } from '@/libs/api-utils/page'
import { tenantQuery } from '@/libs/db/tenant-db'
import { AppError, notFound } from '@/libs/errors'
import { isUuid } from '@/libs/ids'
import { isNegative, percentOf, type Quantity, subtractDecimals, toQuantity } from '@/libs/ingest/decimal'
import { findTenantRouting } from '@/libs/tenancy/resolve-tenant'
import { currentContext } from '@/libs/tenancy/tenant-context'
import type { UsageCapsQuery } from '../schema'

/** A cap that a customer comes near to, in the present period. */
export type CapLine = {
  meter_id: string
  meter: string
  name: string
  unit: string
  used: Quantity
  limit: Quantity
  remaining: Quantity
  overage: Quantity
  percent: number
  behaviour: string
  period: 'day' | 'month'
  starts_on: string
  reset_at: string
}
export type CappedCustomer = {
  customer: { id: string; external_id: string; name: string | null; tier: { id: string; slug: string; name: string } }
  percent: number
  caps: CapLine[]
}

type StoredLine = Omit<CapLine, 'used' | 'limit' | 'remaining' | 'overage' | 'percent'> & {
  used: string
  limit: string
}
type StoredRow = {
  customer: CappedCustomer['customer']
  share: string
  caps: StoredLine[]
}

// $1 tenant, $2 its zone, $3 percent, $4 and $5 the position of the page before, $6 rows.
const STATEMENT = `
  -- Where each period that anybody is in began: few rows, and with them every counter is found by its key.
  with periods as (
    select p.period, a.anchor, app.period_start((statement_timestamp() at time zone $2)::date, p.period, a.anchor) as starts_on
    from (values ('day'), ('month')) p (period)
    cross join (select 1 as anchor union select s.anchor_day from subscriptions s where s.tenant_id = $1 and s.canceled_at is null) a
  ),
  capped as (
    select k.customer_id, cap.tier_id, m.id as meter_id, m.slug, m.name, m.unit, k.used, cap.cap_limit, cap.behaviour, p.period,
      p.starts_on, app.period_end(p.starts_on, p.period, p.anchor)::timestamp at time zone $2 as reset_at,
      case when cap.cap_limit = 0 then 1 else k.used / cap.cap_limit end as share
    from tier_caps cap
    join meters m on m.tenant_id = $1 and m.id = cap.meter_id and m.archived_at is null
    join periods p on p.period = cap.period
    join usage_counters k on k.tenant_id = $1 and k.period = cap.period and k.meter_id = cap.meter_id and k.starts_on = p.starts_on
    left join subscriptions s on s.tenant_id = $1 and s.customer_id = k.customer_id and s.canceled_at is null
    left join tiers d on d.tenant_id = $1 and d.is_default and s.id is null
    where cap.tenant_id = $1 and cap.tier_id = coalesce(s.tier_id, d.id) and cap.version = coalesce(s.tier_version, d.version)
      and p.anchor = coalesce(s.anchor_day, 1)
      and k.used > 0 and k.used * 100 >= cap.cap_limit * $3::numeric
  ),
  nearest as (
    select customer_id, tier_id, max(share) as share,
      jsonb_agg(jsonb_build_object('meter_id', meter_id, 'meter', slug, 'name', name, 'unit', unit, 'used', used::text,
        'limit', cap_limit::text, 'behaviour', behaviour, 'period', period, 'starts_on', starts_on,
        'reset_at', to_char(reset_at at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"')) order by share desc, slug) as caps
    from capped group by customer_id, tier_id
  )
  select jsonb_build_object('id', c.id, 'external_id', c.external_id, 'name', c.name,
      'tier', jsonb_build_object('id', t.id, 'slug', t.slug, 'name', t.name)) as customer, n.share::text, n.caps
  from nearest n
  join customers c on c.tenant_id = $1 and c.id = n.customer_id and c.archived_at is null
  join tiers t on t.tenant_id = $1 and t.id = n.tier_id
  where $4::numeric is null or (n.share, c.id) < ($4, $5::uuid)
  order by n.share desc, c.id desc limit $6`

/**
 * The customers who have used at least `above` percent of a cap in its present period, the highest share first, each with
 * the caps it is about. Usage of archived meters and by archived customers is left out.
 * @throws AppError bad_request for a cursor that is not ours.
 */
export async function listCappedCustomers({ above, cursor, limit }: UsageCapsQuery): Promise<Page<CappedCustomer>> {
  const [share, id] = readCursor(cursor)
  const { tenantId } = currentContext()
  const routing = await findTenantRouting({ id: tenantId })
  if (!routing) throw notFound()
  const rows = await tenantQuery<StoredRow>(STATEMENT, [tenantId, routing.time_zone, above, share, id, limit + 1])
  const page = cutPage(rows, limit, (row) => [row.share, row.customer.id])
  return { data: page.data.map(toCustomer), next_cursor: page.next_cursor }
}

function readCursor(cursor: string | undefined): [string | null, string | null] {
  if (cursor === undefined) return [null, null]
  const [share = '', id = ''] = decodeCursor(cursor, 2)
  if (!/^\d{1,60}(\.\d{1,60})?$/.test(share) || !isUuid(id))
    throw new AppError('bad_request', 'This cursor is not one we gave out.')
  return [share, id]
}

function toCustomer({ customer, caps }: StoredRow): CappedCustomer {
  const lines = caps.map(({ used, limit, ...line }): CapLine => {
    const left = subtractDecimals(limit, used)
    const over = isNegative(left)
    return {
      ...line,
      used: toQuantity(used),
      limit: toQuantity(limit),
      remaining: over ? 0 : toQuantity(left),
      overage: over ? toQuantity(left.slice(1)) : 0,
      percent: percentOf(used, limit),
    }
  })
  return { customer, percent: lines[0]?.percent ?? 0, caps: lines }
}
