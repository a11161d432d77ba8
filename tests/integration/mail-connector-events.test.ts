// A mail of a tenant leaves a trace that its people can read, and that tells nobody how to get in.
import { afterAll, afterEach, beforeEach, expect, test } from 'vitest'
import { GET } from '@/app/api/v1/connector-events/route'
import { POST as invite } from '@/app/api/v1/customer-logins/route'
import { forgetEnv } from '@/libs/env'
import { type OutboxWorker, startOutboxWorker } from '@/libs/jobs/outbox-worker'
import { mailSink } from '@/libs/mail/mail-sink'
import { startMailServer } from '../support/mail-server'
import { asSuperuser, call, createWorld, type TestTenant } from '../support/world'

const { acme, globex } = await createWorld()
const smtp = await startMailServer()
const soon = { timeout: 20_000, interval: 25 }
let worker: OutboxWorker

beforeEach(() => {
  process.env.SMTP_URL = smtp.url
  forgetEnv()
  worker = startOutboxWorker({ sinks: [mailSink], pollMs: 50, delayMs: () => 50 })
})
afterEach(async () => {
  await worker.stop(0)
  smtp.judge = () => null
  smtp.received.length = 0
  await asSuperuser('delete from outbox')
})
afterAll(() => smtp.stop())

async function sendInvitation(tenant: TestTenant, email: string): Promise<void> {
  const body = { customer_id: tenant.customer.id, email }
  const { status } = await call(invite, 'POST', '/api/v1/customer-logins', { as: tenant.users.owner, tenant, body })
  expect(status).toBe(201)
}

async function readEvents(tenant: TestTenant, query = ''): Promise<Record<string, unknown>[]> {
  const path = `/api/v1/connector-events?connector=email${query}`
  const { status, body } = await call(GET, 'GET', path, { as: tenant.users.member, tenant })
  expect(status).toBe(200)
  return (body as { data: Record<string, unknown>[] }).data
}

test('a mail that went out is an outgoing event of its tenant, and of no other', async () => {
  await sendInvitation(acme, 'ann@example.test')
  await expect.poll(() => readEvents(acme), soon).toHaveLength(1)
  const [event] = await readEvents(acme)
  expect(event).toMatchObject({
    connector: 'email',
    direction: 'outbound',
    action: 'mail.sent',
    target: 'ann@example.test',
    status: 'sent',
    attempts: 1,
    error: null,
    request: { message: expect.any(String), template: 'portal-invitation' },
  })
  expect(await readEvents(globex)).toEqual([])
  // The mail carries the token; what is kept of the mail does not.
  const token = /token=([\w-]{43})/.exec(smtp.received[0]?.text ?? '')?.[1] ?? ''
  expect(token).toHaveLength(43)
  const [row] = await asSuperuser<{ text: string }>('select e::text as text from connector_events e where id = $1', [
    event?.id,
  ])
  expect(row?.text).toContain('ann@example.test')
  expect(row?.text).not.toContain(token)
  expect(row?.text).not.toMatch(/join|https?:|Accept/)
})

test('each attempt that fails is an event with its reason, until one succeeds', async () => {
  let refusals = 2
  smtp.judge = () => (refusals-- > 0 ? { status: 451, text: 'the mailbox is busy' } : null)
  await sendInvitation(acme, 'busy@example.test')
  await expect.poll(() => readEvents(acme, '&q=busy&status=sent'), soon).toHaveLength(1)
  const events = await readEvents(acme, '&q=busy')
  expect(events.map(({ action, status, attempts }) => ({ action, status, attempts }))).toEqual([
    { action: 'mail.sent', status: 'sent', attempts: 3 },
    { action: 'mail.failed', status: 'failed', attempts: 2 },
    { action: 'mail.failed', status: 'failed', attempts: 1 },
  ])
  for (const { error } of events.slice(1)) expect(error).toContain('the mailbox is busy')
})

test('a mail that is refused for good is one failed event', async () => {
  smtp.judge = () => ({ status: 550, text: 'no such user' })
  await sendInvitation(globex, 'gone@example.test')
  await expect.poll(() => readEvents(globex, '&status=failed'), soon).toHaveLength(1)
  await new Promise((resolve) => setTimeout(resolve, 300))
  expect(await readEvents(globex)).toEqual([
    expect.objectContaining({ action: 'mail.failed', attempts: 1, error: expect.stringContaining('no such user') }),
  ])
})
