import { z } from 'zod'
import { operation, pageOf } from '@/libs/api-utils/openapi'
import { reconciliation, reconciliationDrift, reconciliationListQuery } from './schema'

const tag = 'Reconciliations'
const params = z.object({ id: z.uuid().meta({ description: 'Id of the run' }) })

export const paths = {
  '/api/v1/reconciliations': {
    get: operation({
      summary: 'List reconciliations',
      description:
        'Runs that compared every running total with its events, the newest first. One is made every day there was usage.',
      tag,
      permission: 'usage:read',
      query: reconciliationListQuery,
      success: [200, pageOf(reconciliation)],
    }),
    post: operation({
      summary: 'Ask for a reconciliation',
      description: 'The worker does it, without holding anybody up. While one waits, that one is given.',
      tag,
      permission: 'usage:write',
      success: [202, reconciliation],
    }),
  },
  '/api/v1/reconciliations/{id}': {
    get: operation({
      summary: 'Get a reconciliation',
      tag,
      permission: 'usage:read',
      params,
      success: [200, reconciliation],
    }),
  },
  '/api/v1/reconciliations/{id}/drifts': {
    get: operation({
      summary: 'List what a reconciliation found',
      description: 'Each running total that is not what its events say, named to the row; the first thousand.',
      tag,
      permission: 'usage:read',
      params,
      query: reconciliationListQuery,
      success: [200, pageOf(reconciliationDrift)],
    }),
  },
  '/api/v1/reconciliations/{id}/repair': {
    post: operation({
      summary: 'Repair what a reconciliation found',
      description:
        'Sets the totals to what the events say now, in one transaction, on record. Usage that is sent meanwhile waits.',
      tag,
      permission: 'usage:write',
      params,
      success: [200, reconciliation],
    }),
  },
}
