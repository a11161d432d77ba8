import { z } from 'zod'
import { operation, pageOf } from '@/libs/api-utils/openapi'
import { connectorEvent, connectorEventListQuery } from './schema'

const tag = 'Connector events'
const permission = 'connector-events:read'

export const paths = {
  '/api/v1/connector-events': {
    get: operation({
      summary: 'List connector events',
      description: 'What went, or failed to go, through the connectors, newest first.',
      tag,
      permission,
      query: connectorEventListQuery,
      success: [200, pageOf(connectorEvent)],
    }),
  },
  '/api/v1/connector-events/{id}': {
    get: operation({
      summary: 'Get one connector event',
      tag,
      permission,
      params: z.object({ id: z.uuid().meta({ description: 'Id of the event' }) }),
      success: [200, connectorEvent],
    }),
  },
}
