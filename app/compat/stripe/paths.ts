import { createPathTable } from '@/app/compat/path-table'
import { notFound } from '@/libs/errors'
import { EVENT_PATHS } from './event-routes'
import { METER_PATHS } from './meter-routes'
import { stripeRoute } from './stripe-route'

const unknown = stripeRoute(async () => {
  throw notFound()
})

/** The handler of a path below `/v1/billing/`. */
export const findStripeRoute = createPathTable([...EVENT_PATHS, ...METER_PATHS], unknown)
