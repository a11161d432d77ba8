import { Check, CircleX, Clock3, Globe, Mail, MessageSquare, NotebookPen, Webhook } from 'lucide-react'
import type { ReactNode } from 'react'
import type { z } from 'zod'
import type { connectorEvent } from '@/features/connector-events/schema'
import { Badge, type Tone } from '@/libs/ui/badge'
import { t } from '@/libs/ui/messages'

export type ConnectorEvent = z.infer<typeof connectorEvent>

export const CONNECTOR_NAMES = ['slack', 'webhook', 'email', 'http'] as const satisfies ConnectorEvent['connector'][]
export const STATUS_NAMES = ['recorded', 'pending', 'sent', 'failed'] as const satisfies ConnectorEvent['status'][]
export const DIRECTION_NAMES = ['outbound', 'inbound'] as const satisfies ConnectorEvent['direction'][]

const icons = { slack: MessageSquare, webhook: Webhook, email: Mail, http: Globe } as const

/** The connector with its sign. */
export function ConnectorName({ connector }: { connector: ConnectorEvent['connector'] }) {
  const Icon = icons[connector]
  return (
    <span className="inline-flex items-center whitespace-nowrap gap-2 align-bottom">
      <Icon aria-hidden="true" className="size-4 shrink-0 text-faint" />
      {t(`connector-events.connector.${connector}`)}
    </span>
  )
}

const loud: Partial<Record<ConnectorEvent['status'], readonly [Tone, ReactNode]>> = {
  pending: ['info', <Clock3 key="pending" aria-hidden="true" />],
  failed: ['danger', <CircleX key="failed" aria-hidden="true" />],
}

/** What went well stays quiet; what waits or failed stands out. */
export function EventStatus({ status }: { status: ConnectorEvent['status'] }) {
  const label = t(`connector-events.status.${status}`)
  const pill = loud[status]
  if (pill)
    return (
      <Badge tone={pill[0]} icon={pill[1]}>
        {label}
      </Badge>
    )
  return (
    <span className="inline-flex items-center whitespace-nowrap gap-1.5 align-bottom text-mute">
      {status === 'sent' ? (
        <Check aria-hidden="true" className="size-3.5 text-success-text" />
      ) : (
        <NotebookPen aria-hidden="true" className="size-3.5 text-faint" />
      )}
      {label}
    </span>
  )
}
