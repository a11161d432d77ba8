import { CircleCheck, CircleX, Clock3, LoaderCircle } from 'lucide-react'
import type { ReconciliationRow } from '@/features/reconciliations/schema'
import { Badge, type Tone } from '@/libs/ui/badge'
import { formatNumber } from '@/libs/ui/format'
import { t } from '@/libs/ui/messages'

const LOOKS = {
  waiting: ['neutral', Clock3],
  running: ['info', LoaderCircle],
  finished: ['success', CircleCheck],
  failed: ['danger', CircleX],
} as const satisfies Record<ReconciliationRow['status'], readonly [Tone, unknown]>

/** How far a run is, in words, icon and colour. */
export function RunState({ status }: { status: ReconciliationRow['status'] }) {
  const [tone, Icon] = LOOKS[status]
  return (
    <Badge tone={tone} icon={<Icon aria-hidden="true" />}>
      {t(`reconciliations.status.${status}`)}
    </Badge>
  )
}

/** How much a run found. */
export function DriftCount({ drifts }: { drifts: number | null }) {
  if (drifts === null) return <span className="text-faint">–</span>
  if (drifts === 0) return <span className="text-mute">{t('reconciliations.no_drift')}</span>
  return <Badge tone="danger">{t('reconciliations.drift', { count: drifts })}</Badge>
}

/** How long a run took; a dash while it has not ended. */
export function durationOf({ started_at, finished_at }: ReconciliationRow): string {
  if (started_at === null || finished_at === null) return '–'
  const seconds = (Date.parse(finished_at) - Date.parse(started_at)) / 1_000
  if (seconds < 0.1) return t('reconciliations.under_second')
  return t('reconciliations.seconds', { seconds: formatNumber(Math.round(seconds * 10) / 10) })
}
