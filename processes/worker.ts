// The worker: sends what waits in the outboxes, and keeps the database tidy. Any number of them may run beside each other.
// SIGTERM lets it finish what is under way, for fifteen seconds; what a killed one held comes free within a minute.
import { setTimeout as sleep } from 'node:timers/promises'
import { alertSink } from '@/features/alerts/jobs/alert-sink'
import { closeGrants } from '@/features/entitlements/jobs/close-grants'
import { measureTenants } from '@/features/metrics/jobs/measure-tenants'
import { dropUsagePartitions } from '@/features/reconciliations/jobs/drop-usage-partitions'
import { reconcileTenants, reconciliationSink } from '@/features/reconciliations/jobs/reconcile-usage'
import { recountSink } from '@/features/reconciliations/jobs/recount-usage'
import { sweepReservations } from '@/features/reservations/jobs/sweep-reservations'
import { pushToStripe, stripeSink } from '@/features/stripe-exports/jobs/push-to-stripe'
import { upgradeSink } from '@/features/upgrade-requests/jobs/upgrade-sink'
import { makeUsagePartitions } from '@/features/usage-tracking/jobs/make-usage-partitions'
import { analyticsSink } from '@/libs/analytics/forward-events'
import { eventSink } from '@/libs/connectors/event-sink'
import { renewTenantKeys } from '@/libs/crypto/renew-keys'
import { stopNotifications } from '@/libs/db/notifications'
import { closePools } from '@/libs/db/pools'
import { env } from '@/libs/env'
import { checkAtBoot } from '@/libs/health/boot'
import { startOutboxWorker } from '@/libs/jobs/outbox-worker'
import { type PeriodicJob, startPeriodicJobs } from '@/libs/jobs/periodic'
import { sweepLeftovers } from '@/libs/jobs/sweep-leftovers'
import { log } from '@/libs/log'
import { mailSink } from '@/libs/mail/mail-sink'
import { sweepWindows } from '@/libs/rate-limit/sweep-windows'

const MINUTE = 60_000
const HOUR = 60 * MINUTE
const STOP_PATIENCE_MS = 15_000

const jobs: PeriodicJob[] = [
  { name: 'usage-partitions', everyMs: 6 * HOUR, run: makeUsagePartitions },
  { name: 'usage-retention', everyMs: 6 * HOUR, run: dropUsagePartitions },
  { name: 'reconcile-usage', everyMs: 15 * MINUTE, run: reconcileTenants },
  { name: 'measure-tenants', everyMs: 10 * MINUTE, run: measureTenants },
  { name: 'stripe-exports', everyMs: MINUTE, run: pushToStripe },
  { name: 'tenant-keys', everyMs: 10 * MINUTE, run: renewTenantKeys },
  { name: 'sweep-reservations', everyMs: MINUTE, run: sweepReservations },
  { name: 'close-grants', everyMs: MINUTE, run: closeGrants },
  { name: 'sweep-leftovers', everyMs: 10 * MINUTE, run: sweepLeftovers },
  { name: 'sweep-rate-limits', everyMs: 10 * MINUTE, run: sweepWindows },
]

await checkAtBoot()
const outbox = startOutboxWorker({
  sinks: [analyticsSink, mailSink, alertSink, upgradeSink, reconciliationSink, recountSink, stripeSink, eventSink],
})
const periodic = startPeriodicJobs(jobs)
const { POSTHOG_KEY, POSTHOG_HOST, SMTP_URL, MAIL_DIR } = env()
log.info(
  {
    analytics: POSTHOG_KEY ? POSTHOG_HOST : 'kept here only',
    mail: SMTP_URL ? 'smtp' : MAIL_DIR,
    jobs: jobs.map(({ name }) => name),
  },
  'worker started',
)

let stopping = false
async function stop(signal: string): Promise<void> {
  if (stopping) return
  stopping = true
  log.info({ signal }, 'worker stops')
  const finish = async () => {
    await Promise.all([outbox.stop(), periodic.stop()])
    await stopNotifications()
    await closePools()
  }
  // A statement may take half an hour; it ends with this process, and is repeated by the next.
  await Promise.race([finish(), sleep(STOP_PATIENCE_MS)])
  log.info('worker stopped')
  process.exit(0)
}
process.on('SIGTERM', () => void stop('SIGTERM'))
process.on('SIGINT', () => void stop('SIGINT'))
