import { z } from 'zod'
import { pageQuery } from '@/libs/api-utils/page'

export const reconciliationListQuery = pageQuery

export const reconciliation = z
  .object({
    id: z.uuid(),
    requested_by: z.enum(['schedule', 'person', 'retention']),
    status: z.enum(['waiting', 'running', 'finished', 'failed']),
    created_at: z.iso.datetime(),
    started_at: z.iso.datetime().nullable(),
    finished_at: z.iso.datetime().nullable(),
    from_day: z.iso
      .date()
      .nullable()
      .meta({ description: 'First day that was compared; null for all. Earlier ones are sealed' }),
    events: z.number().int().nullable().meta({ description: 'Events that were read' }),
    rows_checked: z.number().int().nullable().meta({ description: 'Running totals that were compared with them' }),
    drifts: z.number().int().nullable().meta({ description: 'Running totals that were not what the events say' }),
    error: z.string().nullable(),
    repaired_at: z.iso.datetime().nullable(),
    repaired: z.number().int().nullable(),
  })
  .meta({ id: 'Reconciliation' })

const values = z
  .object({
    used: z.string().optional(),
    events: z.number().int().optional(),
    moment: z.string().optional(),
    last_at: z.string().optional(),
    last_received_at: z.string().optional(),
    group_values: z.string().optional(),
    left: z.string().optional(),
    granted: z.string().optional(),
    allowance: z.string().optional(),
    opening: z.string().optional(),
    starts_on: z.string().optional(),
    as_of: z.string().optional(),
    resets_at: z.string().optional(),
    remaining: z.string().optional(),
    value: z.string().optional(),
    status: z.string().optional(),
    settled: z.string().nullable().optional(),
    quantity: z.string().optional(),
    lines: z.number().int().optional(),
    adjustments: z.number().int().optional(),
    individual: z.boolean().optional(),
  })
  .nullable()

export const reconciliationDrift = z
  .object({
    position: z.number().int(),
    table_name: z.enum([
      'usage_counters',
      'usage_totals',
      'usage_quarters',
      'usage_groups',
      'usage_group_totals',
      'usage_uniques',
      'balances',
      'grants',
      'reservations',
      'meters',
      'billing_lines',
      'billing_periods',
      'tenant_metrics',
    ]),
    row_key: z.object({
      meter: z.string().optional(),
      meter_id: z.uuid().optional(),
      customer: z.string().optional(),
      customer_id: z.uuid().optional(),
      period: z.string().optional(),
      starts_on: z.iso.date().optional(),
      quarter: z.string().optional(),
      hash: z.uuid().optional(),
      metric: z
        .string()
        .optional()
        .meta({ description: 'Of tenant_metrics; label beside it is the channel or currency' }),
      label: z.string().optional(),
      id: z.uuid().optional().meta({ description: 'Of a grant, a reservation or a billing period' }),
    }),
    meter_name: z
      .string()
      .nullable()
      .meta({ description: 'Name of the meter of the row, as it is now; null when it is of none' }),
    stored: values.meta({ description: 'What the row holds; null when there is none' }),
    expected: values.meta({ description: 'What the events come to; null when there are none' }),
  })
  .meta({ id: 'ReconciliationDrift' })

export type ReconciliationRow = z.infer<typeof reconciliation>
export type DriftRow = z.infer<typeof reconciliationDrift>
export type ReconciliationListQuery = z.infer<typeof reconciliationListQuery>
