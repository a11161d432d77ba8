import { createPathTable } from '@/app/compat/path-table'
import { AppError } from '@/libs/errors'
import { CUSTOMER_PATHS } from './customer-routes'
import { EVENT_PATHS } from './event-routes'
import { METER_PATHS } from './meter-routes'
import { stripeRoute } from './stripe-route'

const unknown = stripeRoute(async (request) => {
  const { pathname } = new URL(request.url)
  throw new AppError('not_found', `${request.method} ${pathname} is not supported here.`)
})

/** The handler of a path such as `v1/billing/meters`. */
export const findStripeRoute = createPathTable(
  [...EVENT_PATHS, ...METER_PATHS, ['GET', 'v1/customers/search', unknown], ...CUSTOMER_PATHS],
  unknown,
)
