import { cutText } from '@/libs/cut-text'
import { tenantQuery } from '@/libs/db/tenant-db'
import { listAdminAddresses } from '@/libs/mail/admin-addresses'
import { queueMail } from '@/libs/mail/queue-mail'
import { findPortalOrigin } from '@/libs/tenancy/portal-origin'
import { publicOrigin } from '@/libs/tenancy/public-origin'
import type { TenantRouting } from '@/libs/tenancy/resolve-tenant'
import { t } from '@/libs/ui/messages'

type Told = {
  status: 'open' | 'accepted' | 'declined'
  before: string | null
  customer_id: string
  customer: string
  tier: string
  requested_by: string | null
  note: string | null
}

const TAKE = `
  update upgrade_requests r set told = r.status
  from upgrade_requests o, customers c, tiers t
  where r.tenant_id = $1 and r.id = $2 and r.status <> 'withdrawn' and r.told is distinct from r.status
    and o.tenant_id = $1 and o.id = r.id and c.tenant_id = $1 and c.id = r.customer_id and t.tenant_id = $1 and t.id = r.tier_id
  returning r.status, o.told as before, r.customer_id, coalesce(c.name, c.external_id) as customer, t.name as tier, r.requested_by, r.note`

/**
 * Queues the mails of a request, in the current transaction: to the owners and admins that there is one, to whoever asked what
 * became of it. A status that was told before is not told again.
 */
export async function tellUpgrade(requestId: string, tenant: TenantRouting): Promise<void> {
  const [request] = await tenantQuery<Told>(TAKE, [tenant.id, requestId])
  if (!request) return
  const { status, before, requested_by } = request
  if (before === null) {
    for (const to of await listAdminAddresses()) {
      await queueMail({ to, template: 'notice', data: noticeForAdmins(request, tenant) })
    }
    if (status === 'open') return
  }
  if (requested_by?.includes('@')) {
    await queueMail({
      to: requested_by,
      template: 'notice',
      data: noticeForCustomer(request, await findPortalOrigin(tenant, tenantQuery)),
    })
  }
}

function noticeForAdmins({ status, customer, tier, requested_by, note, customer_id }: Told, tenant: TenantRouting) {
  const kind = status === 'accepted' ? 'taken' : 'asked'
  return {
    subject: cutText(t(`upgrade-requests.mail.${kind}`, { customer, tier }), 200),
    paragraphs: [
      t(`upgrade-requests.mail.${kind}_text`, { customer, tier, who: requested_by ?? customer }),
      ...(note ? [t('upgrade-requests.mail.note', { note })] : []),
    ],
    action: {
      label: t('upgrade-requests.mail.open_customer'),
      url: `${publicOrigin('app')}/${tenant.slug}/customers/${customer_id}`,
    },
  }
}

function noticeForCustomer({ status, tier }: Told, portal: string | null) {
  const kind = status === 'accepted' ? 'accepted' : 'declined'
  return {
    subject: cutText(t(`upgrade-requests.mail.${kind}`, { tier }), 200),
    paragraphs: [t(`upgrade-requests.mail.${kind}_text`, { tier })],
    ...(portal ? { action: { label: t('upgrade-requests.mail.open_portal'), url: `${portal}/` } } : {}),
  }
}
