import { operation } from '@/libs/api-utils/openapi'
import { portalUsage, portalUsageQuery } from './schema'

export const paths = {
  '/api/v1/portal/usage': {
    get: operation({
      summary: 'What a signed-in customer used of a meter, and what is to be expected',
      tag: 'Portal',
      permission: 'portal:read',
      query: portalUsageQuery,
      success: [200, portalUsage],
    }),
  },
}
