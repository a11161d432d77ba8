import { z } from 'zod'
import { tenantQuery } from '@/libs/db/tenant-db'
import { type OutboxSink, WORKER } from '@/libs/jobs/outbox-worker'
import type { TenantRouting } from '@/libs/tenancy/resolve-tenant'
import { runInTenant } from '@/libs/tenancy/tenant-context'
import { tellFirings } from '../services/alert-mail-service'

const payload = z.union([
  z.object({ firing_id: z.uuid() }),
  z.object({ evaluate: z.union([z.literal('all'), z.uuid()]) }),
])
type Note = z.infer<typeof payload>

/** Evaluates the rules anew, for everybody when one of the notes asks for it. Safe to repeat: a step fires once. */
async function evaluate(notes: readonly Note[], tenant: TenantRouting): Promise<void> {
  const asked = notes.flatMap((note) => ('evaluate' in note ? [note.evaluate] : []))
  if (asked.length === 0) return
  const customers = asked.includes('all') ? null : [...new Set(asked)]
  await runInTenant(tenant, WORKER, async () => {
    await tenantQuery("set local statement_timeout = '5min'")
    await tenantQuery('select app.evaluate_alerts($1, $2, $3)', [tenant.id, tenant.time_zone, customers])
  })
}

/**
 * What alerts leave for the worker: rules to evaluate without new usage, and firings to mail. Many of one moment are one
 * evaluation and one mail per reader. However often a note comes, each firing is mailed once: the firing itself remembers.
 */
export const alertSink: OutboxSink = {
  topic: 'alerts',
  batch: 500,
  ordered: false,
  attempts: 20,
  forget: true,
  lanes: 3,
  deliver: async (messages, tenant) => {
    const notes: Note[] = []
    const failures: { id: string; error: string; permanent: boolean }[] = []
    for (const { id, payload: raw } of messages) {
      const parsed = payload.safeParse(raw)
      if (parsed.success) notes.push(parsed.data)
      else failures.push({ id, error: parsed.error.message, permanent: true })
    }
    await evaluate(notes, tenant)
    const fired = notes.flatMap((note) => ('firing_id' in note ? [note.firing_id] : []))
    if (fired.length > 0) await runInTenant(tenant, WORKER, () => tellFirings(fired, tenant))
    return failures
  },
}
