import { CircleCheck, CircleDashed, CircleMinus, Undo2 } from 'lucide-react'
import { Badge, type Tone } from '@/libs/ui/badge'
import { formatExact } from '@/libs/ui/format'
import { t } from '@/libs/ui/messages'

export type EventState = 'counted' | 'filtered' | 'corrected' | 'correction'

const LOOKS = {
  counted: ['success', CircleCheck],
  filtered: ['neutral', CircleDashed],
  corrected: ['warning', CircleMinus],
  correction: ['info', Undo2],
} as const satisfies Record<EventState, readonly [Tone, unknown]>

/** What became of an event, in words, icon and colour. */
export function EventStateBadge({ state }: { state: EventState }) {
  const [tone, Icon] = LOOKS[state]
  return (
    <Badge tone={tone} icon={<Icon aria-hidden="true" />}>
      {t(`events.state.${state}`)}
    </Badge>
  )
}

/** The value of an event, struck out where it does not count. */
export function EventValue({ state, value }: { state: EventState; value: number | string }) {
  return (
    <span className={state === 'counted' ? 'tabular' : 'tabular text-faint line-through'}>{formatExact(value)}</span>
  )
}
