import { cutPage, type PageQuery, readCursor } from '@/libs/api-utils/page'
import { tenantQuery } from '@/libs/db/tenant-db'
import { notFound } from '@/libs/errors'
import { isUuid } from '@/libs/ids'
import { type Quantity, toQuantity } from '@/libs/ingest/decimal'
import { currentContext } from '@/libs/tenancy/tenant-context'
import { readTimeZone } from '@/libs/tenancy/time-zone'
import type { TierPatch } from '../schema'
import { capRows } from './tier-content-service'
import { changesOf, getTier, requireVersion, type TierRow } from './tier-service'

/** Where a customer stands with a meter, under the cap it has and under the one it would have. */
export type Standing = {
  customer: { id: string; external_id: string; name: string | null }
  meter: string
  name: string
  unit: string
  version: number
  used: Quantity
  limit_now: Quantity | null
  limit_then: Quantity | null
  over_now: boolean
}
export type TierPreview = {
  new_version: boolean
  customers: number
  by_default: number
  over_count: number
  newly_over_count: number
  newly_within_count: number
  over: Standing[]
  within: Standing[]
  next_cursor: string | null
}

type StoredStanding = Omit<Standing, 'used' | 'limit_now' | 'limit_then'> & {
  used: string
  limit_now: string | null
  limit_then: string | null
  share: string
  meter_id: string
}
type StoredPreview = Omit<TierPreview, 'new_version' | 'over' | 'within' | 'next_cursor'> & {
  over: StoredStanding[]
  within: StoredStanding[]
}

const ROW = `jsonb_build_object('customer', jsonb_build_object('id', c.id, 'external_id', c.external_id, 'name', c.name),
  'meter', m.slug, 'name', m.name, 'unit', m.unit, 'version', r.version, 'used', r.used::text, 'limit_now', r.limit_now::text,
  'limit_then', r.limit_then::text, 'over_now', r.over_now, 'share', r.share::text, 'meter_id', r.meter_id)`

// $1 tenant, $2 tier, $3 its zone, $4 the caps it would have, $5 to $7 the position of the page before, $8 rows.
const STATEMENT = `
  with periods as (
    select p.period, app.period_start((statement_timestamp() at time zone $3)::date, p.period, a.anchor) as starts_on, array_agg(a.anchor) as anchors
    from (values ('day'), ('month')) p (period)
    cross join ((select 1 as anchor union select s.anchor_day from subscriptions s where s.tenant_id = $1 and s.canceled_at is null) limit 31) a
    group by 1, 2
  ),
  holders as (
    select s.customer_id, s.tier_version as version, s.anchor_day as anchor, false as by_default
    from subscriptions s where s.tenant_id = $1 and s.tier_id = $2 and s.canceled_at is null
    union all
    select c.id, t.version, 1, true from tiers t join customers c on c.tenant_id = $1 and c.archived_at is null
    where t.tenant_id = $1 and t.id = $2 and t.is_default and not exists (
      select from subscriptions s where s.tenant_id = $1 and s.customer_id = c.id and s.canceled_at is null)
  ),
  wanted as (
    select m.id as meter_id, w.cap_limit, w.period from jsonb_to_recordset($4::jsonb) w (meter text, cap_limit numeric, period text)
    join meters m on m.tenant_id = $1 and m.slug = w.meter
  ),
  -- For each version that somebody has: the cap of a meter now, and then.
  pairs as (
    select v.version, coalesce(n.meter_id, w.meter_id) as meter_id, n.cap_limit as limit_now, n.period as period_now,
      w.cap_limit as limit_then, coalesce(w.period, n.period) as period_then
    from (select distinct version from holders) v
    cross join lateral (
      select x.meter_id from tier_caps x where x.tenant_id = $1 and x.tier_id = $2 and x.version = v.version union select y.meter_id from wanted y
    ) k
    left join tier_caps n on n.tenant_id = $1 and n.tier_id = $2 and n.version = v.version and n.meter_id = k.meter_id
    left join wanted w on w.meter_id = k.meter_id
  ),
  -- What is below every limit of its meter concerns nobody; not said where the cap would count another period.
  floors as (
    select meter_id, case when bool_and(coalesce(period_now, period_then) = period_then) and min(period_then) = max(period_then)
      then min(least(limit_now, limit_then)) end as floor
    from pairs group by meter_id
  ),
  -- By itself, before it is joined with who has the tier: the counters are read once for all, not once for each customer.
  counted as materialized (
    select k.customer_id, q.meter_id, p.period, p.anchors, case when m.aggregation = 'WEIGHTED_SUM'
        then app.weighted_average($1, q.meter_id, k.customer_id, p.starts_on, app.day_start(p.starts_on, $3), statement_timestamp(), k.used, k.moment)
        else app.metered_value(m.aggregation, k.used, k.events) end as used
    from periods p
    join (select meter_id, period_now as period from pairs union select meter_id, period_then from pairs) q on q.period = p.period
    join meters m on m.tenant_id = $1 and m.id = q.meter_id and m.archived_at is null
    join floors f on f.meter_id = q.meter_id
    -- By key, one range of the index for each period and meter: the counters of periods past are many times more.
    cross join lateral (
      select x.customer_id, x.used, x.events, x.moment from usage_counters x
      where m.aggregation <> 'WEIGHTED_SUM' and x.tenant_id = $1 and x.period = p.period and x.meter_id = q.meter_id and x.starts_on = p.starts_on
      union all
      -- A level stands also where nothing changed it in this period.
      select h.customer_id, x.used, x.events, x.moment from holders h
      left join usage_counters x on x.tenant_id = $1 and x.period = p.period and x.meter_id = q.meter_id and x.starts_on = p.starts_on
        and x.customer_id = h.customer_id
      where m.aggregation = 'WEIGHTED_SUM' and h.anchor = any (p.anchors) and h.customer_id in (
        select y.customer_id from usage_counters y where y.tenant_id = $1 and y.period = 'month' and y.meter_id = q.meter_id)
      offset 0
    ) k
    where f.floor is null or k.used > f.floor or m.aggregation in ('AVG', 'WEIGHTED_SUM')
      or exists (select from balances b where b.tenant_id = $1 and b.customer_id = k.customer_id and b.meter_id = q.meter_id)
  ),
  lines as (
    select h.customer_id, h.version, c.meter_id, p.limit_now, p.limit_then,
      coalesce(max(c.used) filter (where c.period = p.period_now), 0) as used_now,
      coalesce(max(c.used) filter (where c.period = p.period_then), 0) as used
    from counted c
    join holders h on h.customer_id = c.customer_id and h.anchor = any (c.anchors)
    join pairs p on p.version = h.version and p.meter_id = c.meter_id
    group by 1, 2, 3, 4, 5
  ),
  standings as (
    select l.customer_id, l.version, l.meter_id, l.used, l.limit_now, l.limit_then,
      coalesce(l.used_now > l.limit_now + coalesce(b.granted - b.allowance - b.carried, 0), false) as over_now,
      coalesce(l.used > l.limit_then + coalesce(b.granted - b.allowance - b.carried, 0), false) as over_then,
      case when l.limit_then > 0 then l.used / l.limit_then else l.used end as share
    from lines l
    left join balances b on b.tenant_id = $1 and b.customer_id = l.customer_id and b.meter_id = l.meter_id
    where not exists (select from entitlements e where e.tenant_id = $1 and e.customer_id = l.customer_id and e.meter_id = l.meter_id
      and e.canceled_at is null)
  ),
  over as (
    select * from standings r where r.over_then
      and ($5::numeric is null or (r.share, r.customer_id, r.meter_id) < ($5, $6::uuid, $7::uuid))
    order by r.share desc, r.customer_id desc, r.meter_id desc limit $8
  ),
  within as (select * from standings r where r.over_now and not r.over_then order by r.customer_id desc, r.meter_id desc limit $8)
  select (select count(*) from holders)::integer as customers, (select count(*) from holders h where h.by_default)::integer as by_default,
    (select count(distinct r.customer_id) from standings r where r.over_then)::integer as over_count,
    (select count(*) from (select from standings r group by r.customer_id having bool_or(r.over_then) and not bool_or(r.over_now)) x)::integer
      as newly_over_count,
    (select count(*) from (select from standings r group by r.customer_id having bool_or(r.over_now) and not bool_or(r.over_then)) x)::integer
      as newly_within_count,
    (select coalesce(jsonb_agg(${ROW} order by r.share desc, r.customer_id desc, r.meter_id desc), '[]') from over r
      join customers c on c.tenant_id = $1 and c.id = r.customer_id join meters m on m.tenant_id = $1 and m.id = r.meter_id) as over,
    (select coalesce(jsonb_agg(${ROW} order by r.customer_id desc, r.meter_id desc), '[]') from within r
      join customers c on c.tenant_id = $1 and c.id = r.customer_id join meters m on m.tenant_id = $1 and m.id = r.meter_id) as within`

/**
 * What a change of a tier would mean if everybody who has it were moved: who would be over a cap in the present period, and
 * who no longer. Counts what grants add; customers with an entitlement of their own for a meter are left out, because the
 * tier does not decide for them. Changes nothing.
 * @throws AppError not_found; changed_meanwhile as the change itself; bad_request for a cursor that is not ours.
 */
export async function previewTier(ref: string, input: TierPatch, { cursor, limit }: PageQuery): Promise<TierPreview> {
  const present = await getTier(ref)
  requireVersion(present, input)
  const { tenantId } = currentContext()
  const { any } = await changesOf(present, input)
  const [row] = await tenantQuery<StoredPreview>(STATEMENT, [
    tenantId,
    present.id,
    await readTimeZone(),
    capRows(input.usage_caps ?? keptCaps(present)),
    ...readCursor(cursor, isShare, isUuid, isUuid),
    limit + 1,
  ])
  if (!row) throw notFound()
  const { data, next_cursor } = cutPage(row.over, limit, (line) => [line.share, line.customer.id, line.meter_id])
  return {
    new_version: any,
    customers: row.customers,
    by_default: row.by_default,
    over_count: row.over_count,
    newly_over_count: row.newly_over_count,
    newly_within_count: row.newly_within_count,
    over: data.map(toStanding),
    within: row.within.slice(0, limit).map(toStanding),
    next_cursor,
  }
}

/** The caps of a tier as an input names them. */
function keptCaps({ usage_caps }: TierRow): NonNullable<TierPatch['usage_caps']> {
  const caps = Object.entries(usage_caps).map(([meter, { limit, behaviour, period, rollover, preserve_overage }]) => [
    meter,
    { limit, behaviour, period, rollover: rollover ?? { min: 0, max: 0 }, preserve_overage },
  ])
  return Object.fromEntries(caps)
}

const isShare = (text: string): boolean => /^-?\d{1,60}(\.\d{1,60})?$/.test(text)

function toStanding({ share, meter_id, used, limit_now, limit_then, ...line }: StoredStanding): Standing {
  return {
    ...line,
    used: toQuantity(used),
    limit_now: limit_now === null ? null : toQuantity(limit_now),
    limit_then: limit_then === null ? null : toQuantity(limit_then),
  }
}
