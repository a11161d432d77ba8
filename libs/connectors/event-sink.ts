import type { OutboxSink } from '@/libs/jobs/outbox-worker'

/**
 * Events that others may hear of. They go to the tenant's subscribers; a tenant without any, which today is every one
 * because no connector can be set up yet, has nobody to tell, and the message is done.
 */
export const eventSink: OutboxSink = {
  topic: 'events',
  batch: 500,
  ordered: true,
  attempts: 1,
  forget: false,
  lanes: 16,
  deliver: () => Promise.resolve([]),
}
