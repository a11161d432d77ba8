import { tenantDb } from '@/libs/db/tenant-db'
import { newId } from '@/libs/ids'
import { type MailData, type MailTemplate, mailTemplates } from './templates'

/** Topic of the outbox under which mails wait for the worker. */
export const EMAIL_TOPIC = 'email'

/** A mail as it waits in the outbox. */
export type QueuedMail<Template extends MailTemplate = MailTemplate> = {
  [Name in Template]: { to: string; template: Name; data: MailData<Name> }
}[Template]

/**
 * Puts a mail of the current tenant into the outbox, in the current transaction: it goes out when, and only when, that
 * commits. The worker renders it in the tenant's brand. Gives the id it will carry.
 * @throws ZodError when the data is not the template's, Error outside of a tenant context.
 */
export async function queueMail(mail: QueuedMail): Promise<string> {
  mailTemplates[mail.template].parse(mail.data)
  const id = newId()
  const { to, template, data } = mail
  await tenantDb()
    .insertInto('outbox')
    .values({ id, topic: EMAIL_TOPIC, payload: JSON.stringify({ to, template, data }) })
    .execute()
  return id
}
