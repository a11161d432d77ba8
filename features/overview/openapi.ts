import { operation } from '@/libs/api-utils/openapi'
import { activeCustomers } from './schema'

export const paths = {
  '/api/v1/usage/active-customers': {
    get: operation({
      summary: 'Count active customers',
      description:
        'How many customers have usage of any meter in the last 30 days, by days in the time zone of the tenant.',
      tag: 'Usage',
      permission: 'usage:read',
      success: [200, activeCustomers],
    }),
  },
}
