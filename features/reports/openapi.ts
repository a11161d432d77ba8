import { operation } from '@/libs/api-utils/openapi'
import { monthReport, reportQuery } from './schema'

export const paths = {
  '/api/v1/usage/reports': {
    get: operation({
      summary: 'Usage of a month',
      tag: 'Reports',
      description:
        'Of the whole tenant, or of one customer: per meter with cap, overage and the month before, the largest customers, and every day. `format=csv` gives the same as one table.',
      permission: 'usage:read',
      query: reportQuery,
      success: [200, monthReport],
      csv: true,
    }),
  },
}
