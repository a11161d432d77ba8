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
  customer: {
    id: string
    external_id: string
    name: string | null
    /** Null for one that has none, and a cap of its own. */
    tier: { id: string; slug: string; name: string } | null
  }
  percent: number
  caps: CapLine[]
}

type StoredLine = Omit<CapLine, 'used' | 'limit' | 'remaining' | 'overage' | 'percent'> & {
  used: string
  limit: string
  overage: string
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
    select x.meter_id, m.aggregation, x.period, x.least from (
      select l.meter_id, l.period, min(l.cap_limit) as least from (
        select cap.meter_id, cap.period, cap.cap_limit from tier_caps cap where cap.tenant_id = $1
        union all
        select e.meter_id, e.period, coalesce(e.cap_limit, 0) from entitlements e
        where e.tenant_id = $1 and e.kind = 'metered' and e.canceled_at is null
      ) l
      group by l.meter_id, l.period
    ) x
    join meters m on m.tenant_id = $1 and m.id = x.meter_id and m.archived_at is null
  ),
  windows as materialized (
    select c.meter_id, c.aggregation, c.period, c.least, s.starts_on
    from capped_meters c
    join (
      select distinct p.period, app.period_start((statement_timestamp() at time zone $2)::date, p.period, a.anchor) as starts_on
      from (values ('day'), ('month')) p (period) cross join generate_series(1, 31) a (anchor)
    ) s on s.period = c.period
  ),
  -- Who may be near: by the counter itself where it is the figure; whoever is averaged; whoever carries a debt over.
  near as materialized (
    select k.customer_id, w.meter_id from windows w
    cross join lateral (
      select k.customer_id from usage_counters k
      where k.tenant_id = $1 and k.period = w.period and k.meter_id = w.meter_id and k.starts_on = w.starts_on
        and (w.aggregation in ('AVG', 'WEIGHTED_SUM') or k.used > 0 and k.used * 100 >= w.least * $3::numeric)
      offset 0
    ) k
    union
    select k.customer_id, c.meter_id from capped_meters c
    join usage_counters k on k.tenant_id = $1 and k.period = 'day' and k.meter_id = c.meter_id
    where c.aggregation = 'WEIGHTED_SUM'
    union
    select b.customer_id, b.meter_id from balances b where b.tenant_id = $1 and (b.overage > 0 or b.carried > 0)
  ),
  placed as materialized (
    select n.customer_id, n.meter_id, coalesce(s.tier_id, d.id) as tier_id, coalesce(s.anchor_day, 1)::integer as anchor,
      case when e.id is null then cap.cap_limit else coalesce(e.cap_limit, 0) end as allowance,
      case when e.id is null then cap.behaviour else e.behaviour end as behaviour,
      case when e.id is null then cap.period else e.period end as period
    from near n
    left join subscriptions s on s.tenant_id = $1 and s.customer_id = n.customer_id and s.canceled_at is null
    left join tiers d on d.tenant_id = $1 and d.is_default
    left join entitlements e on e.tenant_id = $1 and e.customer_id = n.customer_id and e.meter_id = n.meter_id and e.canceled_at is null
    left join tier_caps cap on cap.tenant_id = $1 and cap.tier_id = coalesce(s.tier_id, d.id)
      and cap.version = coalesce(s.tier_version, d.version) and cap.meter_id = n.meter_id
  ),
  -- When the period of each began; by a column, and not by what a function says, row security lets its counter be found by key.
  dated as materialized (
    select p.*, app.period_start((statement_timestamp() at time zone $2)::date, p.period, p.anchor) as starts_on
    from placed p where p.allowance is not null
  ),
  -- Where levels stood when the period began: all changes before, in one pass over the days of such meters.
  levels as materialized (
    select p.customer_id, p.meter_id, sum(k.used) as level
    from dated p
    join (
      select k.customer_id, k.meter_id, k.starts_on, k.used
      from (select distinct c.meter_id from capped_meters c where c.aggregation = 'WEIGHTED_SUM') c
      join usage_counters k on k.tenant_id = $1 and k.period = 'day' and k.meter_id = c.meter_id
      offset 0
    ) k on k.meter_id = p.meter_id and k.customer_id = p.customer_id and k.starts_on < p.starts_on
    group by 1, 2
  ),
  -- The same figures as app.customer_usage gives for one customer.
  standing as materialized (
    select p.*, m.slug, m.name, m.unit, u.used,
      case when b.used is null then p.allowance else b.used + b.balance end as cap_limit,
      coalesce(b.overage, greatest(u.used - p.allowance, 0)) as overage
    from dated p
    join meters m on m.tenant_id = $1 and m.id = p.meter_id and m.archived_at is null
    left join usage_counters k on k.tenant_id = $1 and k.period = p.period and k.meter_id = p.meter_id and k.starts_on = p.starts_on
      and k.customer_id = p.customer_id
    left join levels v on v.meter_id = p.meter_id and v.customer_id = p.customer_id
    left join balances held on held.tenant_id = $1 and held.customer_id = p.customer_id and held.meter_id = p.meter_id
    left join lateral (
      select x.used, x.balance, x.overage from app.peek_balance($1, held.customer_id, held.meter_id, statement_timestamp(), $2) x
      where held.customer_id is not null
      offset 0
    ) b on true
    cross join lateral (
      select case
        when b.used is not null then b.used
        when m.aggregation = 'WEIGHTED_SUM' then app.average_level(coalesce(v.level, 0), coalesce(k.used, 0), coalesce(k.moment, 0),
          extract(epoch from app.day_start(p.starts_on, $2)), extract(epoch from statement_timestamp()))
        else app.metered_value(m.aggregation, k.used, k.events) end as used
    ) u
  ),
  capped as materialized (
    select s.*, case when s.cap_limit = 0 then 1 else s.used / s.cap_limit end as share
    from standing s where s.used > 0 and s.used * 100 >= s.cap_limit * $3::numeric
  ),
  -- The page first; what it says of each cap is put together for its customers alone.
  nearest as materialized (
    select n.customer_id, n.tier_id, n.share, c.external_id, c.name
    from (select x.customer_id, x.tier_id, max(x.share) as share from capped x group by 1, 2) n
    join customers c on c.tenant_id = $1 and c.id = n.customer_id and c.archived_at is null
    where $4::numeric is null or (n.share, n.customer_id) < ($4, $5::uuid)
    order by n.share desc, n.customer_id desc limit $6
  )
  select jsonb_build_object('id', n.customer_id, 'external_id', n.external_id, 'name', n.name,
      'tier', case when t.id is not null then jsonb_build_object('id', t.id, 'slug', t.slug, 'name', t.name) end) as customer, n.share::text, s.caps
  from nearest n
  join (
    select x.customer_id, jsonb_agg(jsonb_build_object('meter_id', x.meter_id, 'meter', x.slug, 'name', x.name, 'unit', x.unit, 'used', x.used::text,
      'limit', x.cap_limit::text, 'overage', x.overage::text, 'behaviour', x.behaviour, 'period', x.period, 'starts_on', x.starts_on,
      'reset_at', to_char(app.day_start(app.period_end(x.starts_on, x.period, x.anchor), $2) at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"'))
      order by x.share desc, x.slug) as caps
    from capped x where x.customer_id in (select y.customer_id from nearest y)
    group by 1
  ) s on s.customer_id = n.customer_id
  left join tiers t on t.tenant_id = $1 and t.id = n.tier_id
  order by n.share desc, n.customer_id desc`

/**
 * The customers who have used at least `above` percent of a cap in its present period, the highest share first, each with
 * the caps it is about: that of its own entitlement, else its tier's, with grants and rollover. Usage of archived meters and by archived customers is left out.
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
  const lines = caps.map(({ used, limit, overage, ...line }): CapLine => {
    const left = subtractDecimals(limit, used)
    return {
      ...line,
      used: toQuantity(used),
      limit: toQuantity(limit),
      remaining: isNegative(left) ? 0 : toQuantity(left),
      overage: toQuantity(overage),
      percent: percentOf(used, limit),
    }
  })
  return { customer, percent: lines[0]?.percent ?? 0, caps: lines }
}
