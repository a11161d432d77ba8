import { z } from 'zod'
import { operation } from '@/libs/api-utils/openapi'
import { correctBody, correctionResult, correctQuery } from './correction-schema'
import { rejectionCounts, usageEventDetail } from './event-schema'

const tag = 'Usage'

export const correctionPaths = {
  '/api/v1/usage/correct': {
    post: operation({
      summary: 'Cancel or amend events',
      description:
        'Takes events back, or replaces them, by rows of their own: counters, totals, groups, sets of values and the balance of the customer move in the same transaction, and each correction is on record. Safe to repeat. Whichever version of an event is named, the one that stands is corrected. An amended event obeys the rules for new events: lateness, caps, archived meters. What is refused changes nothing and takes no other with it, unless `strict=true`.',
      tag,
      permission: 'usage:write',
      query: correctQuery,
      body: correctBody,
      example: { action: 'cancel', event_id: 'request-1001', reason: 'Sent by mistake' },
      success: [200, correctionResult],
    }),
  },
  '/api/v1/usage/events/{id}': {
    get: operation({
      summary: 'Get an event',
      description: 'With its corrections, and the running totals it is part of.',
      tag,
      permission: 'usage:read',
      params: z.object({ id: z.uuid().meta({ description: 'Id of the event' }) }),
      success: [200, usageEventDetail],
    }),
  },
  '/api/v1/usage/rejections/counts': {
    get: operation({
      summary: 'Count refused events by reason',
      tag,
      permission: 'usage:read',
      success: [200, rejectionCounts],
    }),
  },
}
