import { operation, pageOf } from '@/libs/api-utils/openapi'
import { connectorEvent, connectorEventListQuery } from './schema'

export const paths = {
  '/api/v1/connector-events': {
    get: operation({
      summary: 'List connector events',
      description: 'What went, or failed to go, through the connectors, newest first.',
      tag: 'Connector events',
      permission: 'connector-events:read',
      query: connectorEventListQuery,
      success: [200, pageOf(connectorEvent)],
    }),
  },
}
