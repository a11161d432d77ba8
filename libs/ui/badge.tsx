import {
  Ban,
  CircleAlert,
  CircleCheck,
  CircleDashed,
  CircleX,
  Clock3,
  Eye,
  type LucideIcon,
  Trash2,
} from 'lucide-react'
import type { ReactNode } from 'react'
import { cx } from '@/libs/ui/cx'
import { t } from '@/libs/ui/messages'

export type Tone = 'neutral' | 'accent' | 'success' | 'warning' | 'danger' | 'info'

const toneClass: Record<Tone, string> = {
  neutral: 'bg-hover text-mute',
  accent: 'bg-accent-soft text-accent-text',
  success: 'bg-success-soft text-success-text',
  warning: 'bg-warning-soft text-warning-text',
  danger: 'bg-danger-soft text-danger-text',
  info: 'bg-info-soft text-info-text',
}

/**
 * A small label. Colour never says it alone: the words do.
 * @example <Badge tone="accent">Premium</Badge>
 */
export function Badge({
  tone = 'neutral',
  icon,
  className,
  children,
}: {
  tone?: Tone
  icon?: ReactNode
  className?: string
  children: ReactNode
}) {
  return (
    <span
      className={cx(
        'inline-flex h-5.5 max-w-full items-center gap-1 whitespace-nowrap rounded-full px-2 font-medium text-xs',
        "[&_svg:not([class*='size-'])]:size-3.5 [&_svg]:shrink-0",
        toneClass[tone],
        className,
      )}
    >
      {icon}
      <span className="max-w-60 truncate">{children}</span>
    </span>
  )
}

const statuses = {
  active: ['success', CircleCheck],
  pending: ['info', Clock3],
  past_due: ['warning', CircleAlert],
  read_only: ['warning', Eye],
  suspended: ['danger', Ban],
  deleted: ['neutral', Trash2],
  disabled: ['neutral', CircleDashed],
  revoked: ['danger', CircleX],
  expired: ['neutral', Clock3],
  verified: ['success', CircleCheck],
  success: ['success', CircleCheck],
  failure: ['danger', CircleX],
  denied: ['warning', Ban],
} as const satisfies Record<string, readonly [Tone, LucideIcon]>

export type Status = keyof typeof statuses

/** Whether a text is a status that StatusPill knows. */
function isStatus(value: string): value is Status {
  return Object.hasOwn(statuses, value)
}

/**
 * The state of something (tenant, key, domain, outcome) in words, icon and colour; an unknown one is shown as written.
 * @example <StatusPill status="suspended" />
 */
export function StatusPill({ status }: { status: Status | (string & {}) }) {
  if (!isStatus(status)) return <Badge>{status.replaceAll('_', ' ')}</Badge>
  const [tone, Icon] = statuses[status]
  return (
    <Badge tone={tone} icon={<Icon aria-hidden="true" />}>
      {t(`ui.status.${status}`)}
    </Badge>
  )
}

/** A plan or tier by name. */
export function TierBadge({ name }: { name: string }) {
  return <Badge tone="accent">{name}</Badge>
}
