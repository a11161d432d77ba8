import { cutText } from '@/libs/cut-text'
import { tenantQuery } from '@/libs/db/tenant-db'
import { listAdminAddresses } from '@/libs/mail/admin-addresses'
import { queueMail } from '@/libs/mail/queue-mail'
import { findPortalOrigin } from '@/libs/tenancy/portal-origin'
import { publicOrigin } from '@/libs/tenancy/public-origin'
import type { TenantRouting } from '@/libs/tenancy/resolve-tenant'
import { formatExact } from '@/libs/ui/format'
import { t } from '@/libs/ui/messages'
import type { AlertKind } from '../schema'

type Fired = {
  id: string
  rule: string
  kind: AlertKind
  tells_admins: boolean
  tells_customer: boolean
  customer_id: string
  customer: string
  meter: string
  unit: string
  period: 'day' | 'month'
  step: string
  used: string
  available: string | null
  addresses: string[]
}

/** Lines of one mail; the rest is a number. */
const MOST_LINES = 15

// Taken only when nobody told it before; the row is held until the mails are in the outbox, in the same transaction.
const TAKE = `
  update alert_firings f set told_at = now()
  from alert_rules r, meters m, customers c
  where f.tenant_id = $1 and f.id = any($2) and f.told_at is null
    and r.tenant_id = $1 and r.id = f.rule_id and m.tenant_id = $1 and m.id = f.meter_id and c.tenant_id = $1 and c.id = f.customer_id
  returning f.id, r.name as rule, r.kind, r.tells_admins, r.tells_customer, f.customer_id, coalesce(c.name, c.external_id) as customer,
    m.name as meter, m.unit, f.period, f.step::text, f.used::text, f.available::text,
    array(
      select c.email where c.email is not null
      union select l.email from customer_logins l where l.tenant_id = $1 and l.customer_id = f.customer_id and l.accepted_at is not null and c.email is null
    ) as addresses`

/**
 * Queues the mails of firings, in the current transaction: one to each owner and admin with all of them, one to each address
 * of a customer with its own. A firing that was told before is left out, so that no repetition mails twice.
 */
export async function tellFirings(ids: readonly string[], tenant: TenantRouting): Promise<number> {
  const fired = await tenantQuery<Fired>(TAKE, [tenant.id, ids])
  fired.sort((a, b) => (a.id < b.id ? -1 : 1))
  const told = new Map<string, number>(fired.map(({ id }) => [id, 0]))
  const note = (rows: readonly Fired[]) => {
    for (const { id } of rows) told.set(id, (told.get(id) ?? 0) + 1)
  }

  const forAdmins = fired.filter(({ tells_admins }) => tells_admins)
  if (forAdmins.length > 0) {
    for (const address of await listAdminAddresses()) {
      await queueMail({ to: address, template: 'notice', data: noticeForAdmins(forAdmins, tenant) })
      note(forAdmins)
    }
  }
  const forCustomers = Map.groupBy(
    fired.filter(({ tells_customer }) => tells_customer),
    ({ customer_id }) => customer_id,
  )
  const portal = forCustomers.size > 0 ? await findPortalOrigin(tenant, tenantQuery) : null
  for (const rows of forCustomers.values()) {
    for (const address of rows[0]?.addresses ?? []) {
      await queueMail({ to: address, template: 'notice', data: noticeForCustomer(rows, portal) })
      note(rows)
    }
  }
  await tenantQuery(
    `update alert_firings f set told = t.told from unnest($2::uuid[], $3::int[]) t (id, told)
     where f.tenant_id = $1 and f.id = t.id`,
    [tenant.id, [...told.keys()], [...told.values()]],
  )
  return fired.length
}

function noticeForAdmins(rows: readonly Fired[], tenant: TenantRouting) {
  const lines = rows.slice(0, MOST_LINES).map((row) => `${row.customer}: ${sentenceOf(row)}`)
  return {
    subject: cutText(subjectForAdmins(rows), 200),
    paragraphs: withRest(lines, rows.length),
    action: { label: t('alerts.mail.open'), url: `${publicOrigin('app')}/${tenant.slug}/alerts?view=firings` },
  }
}

function subjectForAdmins(rows: readonly Fired[]): string {
  const [first] = rows
  const customers = new Set(rows.map(({ customer_id }) => customer_id)).size
  if (!first || customers > 1) return t('alerts.mail.subject_many', { count: customers })
  if (rows.length > 1) return t('alerts.mail.subject_several', { customer: first.customer, count: rows.length })
  return t('alerts.mail.subject_one', { customer: first.customer, what: reachedOf(first) })
}

function noticeForCustomer(rows: readonly Fired[], portal: string | null) {
  const [first] = rows
  return {
    subject: cutText(first && rows.length === 1 ? reachedOf(first) : t('alerts.mail.subject_customer'), 200),
    paragraphs: withRest(rows.slice(0, MOST_LINES).map(sentenceOf), rows.length),
    ...(portal ? { action: { label: t('alerts.mail.open_portal'), url: `${portal}/` } } : {}),
  }
}

const withRest = (lines: string[], count: number): string[] =>
  count > lines.length ? [...lines, t('alerts.mail.more', { count: count - lines.length })] : lines

const amount = (text: string, unit: string): string => (unit ? `${formatExact(text)} ${unit}` : formatExact(text))

/** “API calls: 80 % used”. */
function reachedOf({ kind, step, meter, unit }: Fired): string {
  const share = kind === 'usage_percent' || kind === 'remaining_percent'
  return t(`alerts.mail.reached.${kind}`, { meter, step: share ? amount(step, '') : amount(step, unit) })
}

function sentenceOf(row: Fired): string {
  const period = t(`alerts.mail.period.${row.period}`)
  const used = amount(row.used, row.unit)
  const standing =
    row.available === null
      ? t('alerts.mail.used', { used, period })
      : t('alerts.mail.used_of', { used, available: amount(row.available, row.unit), period })
  return `${reachedOf(row)}. ${standing}`
}
