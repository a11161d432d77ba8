import { cutPage, type Page, readCursor } from '@/libs/api-utils/page'
import { tenantQuery } from '@/libs/db/tenant-db'
import { isUuid } from '@/libs/ids'
import { isNegative, percentOf, type Quantity, subtractDecimals, toQuantity } from '@/libs/ingest/decimal'
import { currentContext } from '@/libs/tenancy/tenant-context'
import { readTimeZone } from '@/libs/tenancy/time-zone'
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
  -- What is capped, by the least cap there is, and where its periods that run now began (on whatever day of the month they
  -- begin): few rows, and with each of them its counters are one range of their key.
  with capped_meters as materialized (
    select cap.meter_id, cap.period, min(cap.cap_limit) as least from tier_caps cap
    join meters m on m.tenant_id = $1 and m.id = cap.meter_id and m.archived_at is null
    where cap.tenant_id = $1 group by cap.meter_id, cap.period
  ),
  windows as materialized (
    select distinct c.meter_id, c.period, c.least, t.today, app.period_start(t.today, c.period, a.anchor) as starts_on
    from capped_meters c cross join generate_series(1, 31) a (anchor)
    cross join (select (statement_timestamp() at time zone $2)::date as today) t
  ),
  used as materialized (
    select w.meter_id, w.period, w.today, w.starts_on, k.customer_id, k.used from windows w
    cross join lateral (
      select k.customer_id, k.used from usage_counters k
      where k.tenant_id = $1 and k.period = w.period and k.meter_id = w.meter_id and k.starts_on = w.starts_on
        and k.used > 0 and k.used * 100 >= w.least * $3::numeric
      offset 0
    ) k
  ),
  placed as materialized (
    select u.*, coalesce(s.tier_id, d.id) as tier_id, coalesce(s.tier_version, d.version) as version, coalesce(s.anchor_day, 1) as anchor
    from used u
    left join subscriptions s on s.tenant_id = $1 and s.customer_id = u.customer_id and s.canceled_at is null
    left join tiers d on d.tenant_id = $1 and d.is_default
  ),
  capped as (
    select p.customer_id, p.tier_id, m.id as meter_id, m.slug, m.name, m.unit, p.used, cap.cap_limit, cap.behaviour, p.period, p.starts_on,
      app.period_end(p.starts_on, p.period, p.anchor)::timestamp at time zone $2 as reset_at,
      case when cap.cap_limit = 0 then 1 else p.used / cap.cap_limit end as share
    from placed p
    join tier_caps cap on cap.tenant_id = $1 and cap.tier_id = p.tier_id and cap.version = p.version and cap.meter_id = p.meter_id
      and cap.period = p.period
    join meters m on m.tenant_id = $1 and m.id = p.meter_id
    where p.used * 100 >= cap.cap_limit * $3::numeric and p.starts_on = app.period_start(p.today, p.period, p.anchor)
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
  const [share, id] = readCursor(cursor, isShare, isUuid)
  const { tenantId } = currentContext()
  const rows = await tenantQuery<StoredRow>(STATEMENT, [tenantId, await readTimeZone(), above, share, id, limit + 1])
  const page = cutPage(rows, limit, (row) => [row.share, row.customer.id])
  return { data: page.data.map(toCustomer), next_cursor: page.next_cursor }
}

const isShare = (text: string): boolean => /^\d{1,60}(\.\d{1,60})?$/.test(text)

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
