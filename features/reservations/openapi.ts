import { operation } from '@/libs/api-utils/openapi'
import { releaseAnswer, releaseInput, reserveAnswer, reserveInput, settleAnswer, settleInput } from './schema'

const tag = 'Reservations'

export const paths = {
  '/api/v1/usage/reserve': {
    post: operation({
      summary: 'Hold an amount back',
      tag,
      description:
        'Before work whose cost is known only afterwards: what is held counts against what is left, for everybody. Always 200: ' +
        '`allowed` says whether it was held. Meters that add up only (SUM, COUNT). A repeat holds another amount, unless it has the same ' +
        '`Idempotency-Key`.',
      permission: 'usage:write',
      body: reserveInput,
      example: { meter_id: 'api_calls', user_id: 'customer-42', amount: 10 },
      success: [200, reserveAnswer],
    }),
  },
  '/api/v1/usage/settle': {
    post: operation({
      summary: 'Count what was held',
      tag,
      description:
        'All, part or another amount; the rest is let go. What goes beyond what was held must fit under the cap. The same again is ' +
        'the same answer; another amount, or after release, is 409 `conflict`; after expiry 409 `reservation_expired`.',
      permission: 'usage:write',
      body: settleInput,
      example: { reservation_id: '0198c0de-0000-7000-8000-000000000001', amount: 7 },
      success: [200, settleAnswer],
    }),
  },
  '/api/v1/usage/release': {
    post: operation({
      summary: 'Give back what was held',
      tag,
      description: 'Safe to repeat. 409 `conflict` once it is settled.',
      permission: 'usage:write',
      body: releaseInput,
      example: { reservation_id: '0198c0de-0000-7000-8000-000000000001' },
      success: [200, releaseAnswer],
    }),
  },
}
