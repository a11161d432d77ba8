import { createPathTable } from '@/app/compat/path-table'
import { AppError } from '@/libs/errors'
import { CUSTOMER_PATHS } from './customer-routes'
import { ENTITLEMENT_LIST_PATHS } from './entitlement-list-routes'
import { RESET_PATHS } from './entitlement-reset'
import { ENTITLEMENT_PATHS } from './entitlement-routes'
import { EVENT_LIST_PATHS } from './event-list-routes'
import { EVENT_PATHS } from './event-routes'
import { FEATURE_PATHS } from './feature-routes'
import { GRANT_PATHS } from './grant-routes'
import { HISTORY_PATHS } from './history-routes'
import { METER_PATHS } from './meter-routes'
import { openMeterRoute } from './openmeter-route'
import { QUERY_PATHS } from './query-routes'
import { SUBJECT_PATHS } from './subject-routes'

const unknown = openMeterRoute(async (request) => {
  const { pathname } = new URL(request.url)
  throw new AppError('not_found', `${request.method} ${pathname} is not supported here.`)
})

/** The handler of a path below `/compat/openmeter/api/`. */
export const findOpenMeterRoute = createPathTable(
  [
    ...EVENT_PATHS,
    ...EVENT_LIST_PATHS,
    ...METER_PATHS,
    ...QUERY_PATHS,
    ...FEATURE_PATHS,
    ...CUSTOMER_PATHS,
    ...ENTITLEMENT_PATHS,
    ...ENTITLEMENT_LIST_PATHS,
    ...RESET_PATHS,
    ...GRANT_PATHS,
    ...HISTORY_PATHS,
    ...SUBJECT_PATHS,
  ],
  unknown,
)
