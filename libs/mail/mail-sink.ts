import { z } from 'zod'
import { ConnectorEventsService } from '@/libs/connectors/connector-events'
import { registryDb } from '@/libs/db/tenant-db'
import { describeError } from '@/libs/errors'
import type { OutboxFailure, OutboxMessage } from '@/libs/jobs/outbox'
import { type OutboxSink, WORKER } from '@/libs/jobs/outbox-worker'
import { noteMetric } from '@/libs/metering/note-metric'
import { findTenantRouting, type TenantRouting } from '@/libs/tenancy/resolve-tenant'
import { currentContext, runInTenant } from '@/libs/tenancy/tenant-context'
import { EMAIL_TOPIC } from './queue-mail'
import { isPermanentMailError, sendMail } from './send-mail'
import { type MailBrand, type MailTemplate, mailTemplates, renderMail } from './templates'

const queued = z.object({
  to: z.string().min(3).max(320),
  template: z.custom<MailTemplate>((name) => typeof name === 'string' && Object.hasOwn(mailTemplates, name)),
  data: z.unknown(),
})

async function loadBrand(tenant: TenantRouting): Promise<MailBrand> {
  const branding = await registryDb()
    .selectFrom('brandings')
    .select(['display_name', 'primary_color', 'support_url'])
    .executeTakeFirst()
  return {
    name: branding?.display_name ?? tenant.name,
    primary_color: branding?.primary_color ?? '#1f2937',
    support_url: branding?.support_url ?? null,
  }
}

async function deliverOne({ id, payload }: OutboxMessage, brand: MailBrand): Promise<OutboxFailure | null> {
  try {
    const { to, template, data } = queued.parse(payload)
    await sendMail({ id, to, ...renderMail(template, data, brand), from_name: brand.name })
    return null
  } catch (error) {
    const permanent = error instanceof z.ZodError || isPermanentMailError(error)
    return { id, error: describeError(error), permanent }
  }
}

async function deliver(messages: readonly OutboxMessage[], tenant: TenantRouting): Promise<OutboxFailure[]> {
  const brand = await runInTenant(tenant, WORKER, () => loadBrand(tenant))
  const results = await Promise.all(messages.map((message) => deliverOne(message, brand)))
  return results.filter((failure) => failure !== null)
}

/** Every attempt is a connector event: to whom, what kind, and how it went; never the content, which may hold a link to sign in. */
async function note(message: OutboxMessage, failure: OutboxFailure | null): Promise<void> {
  const mail = queued.safeParse(message.payload).data
  await ConnectorEventsService.logEvent({
    connector: 'email',
    action: failure ? 'mail.failed' : 'mail.sent',
    target: mail?.to ?? '-',
    status: failure ? 'failed' : 'sent',
    attempts: message.attempts,
    request: { message: message.id, ...(mail ? { template: mail.template } : {}) },
    ...(failure ? { error: failure.error } : {}),
  })
}

/** Sent mails are messages of the tenant's. */
async function countSent(count: number): Promise<void> {
  const routing = await findTenantRouting({ id: currentContext().tenantId })
  if (routing) await noteMetric(routing, 'communications', 'email', count)
}

/**
 * Sends queued mails, rendered in the tenant's brand. At least once: a mail that goes out twice carries the same
 * Message-ID. A sent mail leaves the outbox, because what it says is for its recipient alone.
 */
export const mailSink: OutboxSink = {
  topic: EMAIL_TOPIC,
  batch: 5,
  ordered: false,
  // Two days of growing pauses: a mail server that is away for a weekend night costs nobody an invitation.
  attempts: 60,
  forget: true,
  lanes: 16,
  deliver,
  settle: async (delivered, failed) => {
    for (const message of delivered) await note(message, null)
    if (delivered.length > 0) await countSent(delivered.length)
    for (const message of failed) await note(message, message)
  },
}
