import { z } from 'zod'
import { pageQuery } from '@/libs/api-utils/page'
import { CONNECTOR_EVENT_STATUSES, CONNECTORS } from '@/libs/connectors/connector-events'
import { timeRangeFields } from '@/libs/tenancy/time-range'

const connector = z.enum(CONNECTORS)
const direction = z.enum(['outbound', 'inbound'])
const status = z.enum(CONNECTOR_EVENT_STATUSES).meta({
  description:
    'recorded: noted, nothing was sent; pending: waits to be sent; sent: the other side took it; failed: it did not',
})

export const connectorEventListQuery = pageQuery.extend({
  connector: connector.optional().meta({ description: 'Which way out' }),
  direction: direction.optional().meta({ description: 'outbound: sent by us' }),
  status: status.optional(),
  action: z.string().min(1).max(120).optional().meta({ description: 'What happened', example: 'mail.sent' }),
  user_id: z.string().min(1).max(200).optional().meta({ description: 'Of whom or for whom it went' }),
  q: z.string().trim().max(120).optional().meta({ description: 'Part of the target or of the action' }),
  ...timeRangeFields,
})

export const connectorEvent = z
  .object({
    id: z.uuid(),
    connector,
    direction,
    action: z.string().meta({ example: 'message.recorded' }),
    target: z
      .string()
      .meta({ description: 'Channel, address or URL; of a URL neither credentials nor query are kept' }),
    status,
    attempts: z.number().int().meta({ description: 'Which attempt this was, from 1; 0 where nothing was sent' }),
    request: z.record(z.string(), z.unknown()),
    response: z.record(z.string(), z.unknown()).nullable(),
    error: z.string().nullable(),
    user_id: z.string().nullable(),
    created_at: z.iso.datetime(),
    updated_at: z.iso.datetime(),
  })
  .meta({ id: 'ConnectorEvent' })

export type ConnectorEventListQuery = z.infer<typeof connectorEventListQuery>
