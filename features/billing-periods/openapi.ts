import { z } from 'zod'
import { operation, pageOf } from '@/libs/api-utils/openapi'
import {
  billingDownloadQuery,
  billingExportQuery,
  billingLine,
  billingLineListQuery,
  billingPeriod,
  billingPeriodInput,
  billingPeriodListQuery,
} from './schema'

const tag = 'Billing periods'
const permission = 'billing-periods:read'
const params = z.object({ id: z.uuid().meta({ description: 'Id of the period' }) })
const file = z.string().meta({ description: 'JSON lines, or with `format=csv` a CSV file; fields as in BillingLine' })

export const paths = {
  '/api/v1/billing-periods': {
    get: operation({
      summary: 'List billing periods',
      description: 'Closed periods, the newest first.',
      tag,
      permission,
      query: billingPeriodListQuery,
      success: [200, pageOf(billingPeriod)],
    }),
    post: operation({
      summary: 'Close a billing period',
      description:
        'Closes the time since the period before, by the moment usage was received. Its lines never change: what is received or corrected later is an adjustment line of the next period, and over all periods the lines add up to the usage. Also needs to read usage, customers, meters and tiers.',
      tag,
      permission: 'billing-periods:write',
      body: billingPeriodInput,
      example: { ends_at: '2026-11-01' },
      success: [201, billingPeriod],
    }),
  },
  '/api/v1/billing-periods/{id}': {
    get: operation({ summary: 'Get a billing period', tag, permission, params, success: [200, billingPeriod] }),
  },
  '/api/v1/billing-periods/{id}/lines': {
    get: operation({
      summary: 'List the lines of a billing period',
      tag,
      permission,
      params,
      query: billingLineListQuery,
      success: [200, pageOf(billingLine)],
    }),
  },
  '/api/v1/billing-periods/{id}/download': {
    get: operation({
      summary: 'Download the lines of a billing period',
      tag,
      permission,
      params,
      query: billingDownloadQuery,
      success: [200, file],
      limited: true,
      mediaType: ['text/csv', 'application/x-ndjson'],
    }),
  },
  '/api/v1/billing-periods/export': {
    get: operation({
      summary: 'Export usage by reception',
      description:
        'Lines for what was received in `[from, to)`, from one snapshot, streamed. Nothing is closed or kept.',
      tag,
      permission,
      query: billingExportQuery,
      success: [200, file],
      limited: true,
      mediaType: ['text/csv', 'application/x-ndjson'],
    }),
  },
}
