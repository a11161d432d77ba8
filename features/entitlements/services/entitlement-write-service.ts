import { tenantQuery } from '@/libs/db/tenant-db'
import { AppError, invalidInput, notFound } from '@/libs/errors'
import { newId } from '@/libs/ids'
import { changeTerms } from '@/libs/metering/change-terms'
import { requireMeter } from '@/libs/metering/find-meter'
import { currentContext } from '@/libs/tenancy/tenant-context'
import type { EntitlementInput, EntitlementTerms } from '../schema'
import { findCustomer, isAdditive, type MeterRow } from './entitled-customer'
import { type Entitlement, getEntitlement } from './entitlement-service'

type Kind = EntitlementInput['kind']
type Stored = { id: string; kind: Kind; feature_key: string; meter: MeterRow | null }

/**
 * Entitles a single customer, from the next call on: a feature it has beside its tier, or the terms of a meter instead of
 * its tier's. @throws AppError not_found, invalid_input, conflict when it has one for the feature or meter already.
 */
export async function createEntitlement(customerRef: string, input: EntitlementInput): Promise<Entitlement> {
  const { kind, feature_key, meter: meterRef, ...terms } = input
  const customer = await findCustomer(customerRef)
  if (kind === 'metered' && meterRef === undefined) throw invalidInput('/meter', 'is needed for a metered entitlement')
  if (kind !== 'metered' && meterRef !== undefined) throw invalidInput('/meter', 'belongs to metered entitlements')
  const meter = meterRef === undefined ? null : await requireMeter(meterRef)
  const featureKey = feature_key ?? meter?.slug
  if (featureKey === undefined) throw invalidInput('/feature_key', 'is needed')
  checkTerms(kind, meter, terms)
  await withTermsChanged(customer.id, meter, async () => {
    const rows = await tenantQuery(
      `insert into entitlements (id, customer_id, kind, feature_key, meter_id, config, cap_limit, behaviour, period, rollover_min,
         rollover_max, preserve_overage)
       values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)
       on conflict do nothing returning id`,
      [newId(), customer.id, kind, featureKey, meter?.id ?? null, ...columnsOf(terms)],
    )
    if (rows.length === 0)
      throw new AppError('conflict', 'This customer has an entitlement of its own for this feature or meter already.')
  })
  return getEntitlement(customer.id, featureKey)
}

/**
 * Replaces the terms of a customer's own entitlement from now on; usage stays counted. @throws AppError not_found (also
 * for what is only its tier's), invalid_input.
 */
export async function replaceEntitlement(
  customerRef: string,
  feature: string,
  terms: EntitlementTerms,
): Promise<Entitlement> {
  const customer = await findCustomer(customerRef)
  const own = await requireOwn(customer.id, feature)
  checkTerms(own.kind, own.meter, terms)
  await withTermsChanged(customer.id, own.meter, () =>
    tenantQuery(
      `update entitlements set config = $3, cap_limit = $4, behaviour = $5, period = $6, rollover_min = $7, rollover_max = $8,
         preserve_overage = $9, updated_at = now()
       where tenant_id = $1 and id = $2`,
      [currentContext().tenantId, own.id, ...columnsOf(terms)],
    ),
  )
  return getEntitlement(customer.id, own.feature_key)
}

/** Ends a customer's own entitlement: its tier's terms hold again. @throws AppError not_found. */
export async function cancelEntitlement(customerRef: string, feature: string): Promise<void> {
  const customer = await findCustomer(customerRef)
  const own = await requireOwn(customer.id, feature)
  await withTermsChanged(customer.id, own.meter, () =>
    tenantQuery('update entitlements set canceled_at = now(), updated_at = now() where tenant_id = $1 and id = $2', [
      currentContext().tenantId,
      own.id,
    ]),
  )
}

/** What was used so far is settled by the terms of before, what follows by those of after; nothing is counted in between. */
async function withTermsChanged(
  customerId: string,
  meter: MeterRow | null,
  change: () => Promise<unknown>,
): Promise<void> {
  if (!meter) {
    await change()
    return
  }
  await tenantQuery('select app.hold_usage($1)', [currentContext().tenantId])
  await changeTerms([customerId], change)
}

async function requireOwn(customerId: string, feature: string): Promise<Stored> {
  const [row] = await tenantQuery<Stored>(
    `select e.id, e.kind, e.feature_key, case when m.id is not null then to_jsonb(m) end as meter
     from entitlements e
     left join (select id, slug, name, unit, aggregation, tenant_id from meters) m on m.tenant_id = $1 and m.id = e.meter_id
     where e.tenant_id = $1 and e.customer_id = $2 and e.canceled_at is null and (e.feature_key = $3 or m.slug = $3)
     order by e.feature_key = $3 desc limit 1 for update of e`,
    [currentContext().tenantId, customerId, feature.toLowerCase()],
  )
  if (!row) throw notFound()
  return row
}

function checkTerms(kind: Kind, meter: MeterRow | null, terms: EntitlementTerms): void {
  const { config, rollover, preserve_overage } = terms
  const given = config !== undefined && config !== null
  if (kind === 'static' && !given) throw invalidInput('/config', 'is needed for a static entitlement')
  if (kind !== 'static' && given) throw invalidInput('/config', 'belongs to static entitlements')
  if (kind !== 'metered') {
    const stray = (['limit', 'behaviour', 'period', 'rollover', 'preserve_overage'] as const).find(
      (name) => terms[name] !== undefined && terms[name] !== null,
    )
    if (stray) throw invalidInput(`/${stray}`, 'belongs to metered entitlements')
  }
  if (!meter || isAdditive(meter)) return
  const additive = 'is possible only for meters that add up (SUM, COUNT)'
  if (rollover && Number(rollover.max) > 0) throw invalidInput('/rollover', additive)
  if (preserve_overage) throw invalidInput('/preserve_overage', additive)
}

function columnsOf({ config, limit, behaviour, period, rollover, preserve_overage }: EntitlementTerms): unknown[] {
  return [
    config === undefined || config === null ? null : JSON.stringify(config),
    limit ?? null,
    behaviour ?? 'reject',
    period ?? 'month',
    rollover?.min ?? '0',
    rollover?.max ?? '0',
    preserve_overage ?? false,
  ]
}
