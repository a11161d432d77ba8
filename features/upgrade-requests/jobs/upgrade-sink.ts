import { z } from 'zod'
import { type OutboxSink, WORKER } from '@/libs/jobs/outbox-worker'
import { runInTenant } from '@/libs/tenancy/tenant-context'
import { tellUpgrade } from '../services/upgrade-mail-service'

const payload = z.object({ request_id: z.uuid() })

/** Tells people of upgrade requests by mail. However often a message comes, each status is told once: the request itself remembers. */
export const upgradeSink: OutboxSink = {
  topic: 'upgrades',
  batch: 100,
  ordered: true,
  attempts: 20,
  forget: true,
  lanes: 4,
  deliver: async (messages, tenant) => {
    const failures: { id: string; error: string; permanent: boolean }[] = []
    for (const { id, payload: raw } of messages) {
      const parsed = payload.safeParse(raw)
      if (parsed.success) await runInTenant(tenant, WORKER, () => tellUpgrade(parsed.data.request_id, tenant))
      else failures.push({ id, error: parsed.error.message, permanent: true })
    }
    return failures
  },
}
