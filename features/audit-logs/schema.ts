import { z } from 'zod'
import { pageQuery } from '@/libs/api-utils/page'
import { timeRangeFields } from '@/libs/tenancy/time-range'

const outcome = z.enum(['success', 'denied', 'failure'])
const actorKind = z.enum(['user', 'customer', 'api_key', 'operator', 'job', 'system'])
const name = z.string().min(1).max(200)

/** What a list and an export of the audit log can be narrowed by. */
const auditLogFilters = z.strictObject({
  actor_id: name.optional().meta({ description: 'Id of who acted' }),
  actor_kind: actorKind.optional().meta({ description: 'What acted' }),
  action: z
    .string()
    .max(120)
    .regex(/^[a-z_]+\.[a-z_]*$/, 'is an action such as tenant.updated, or the beginning of one such as tenant.')
    .optional()
    .meta({ description: 'An action, or with a dot at its end all actions of a noun', example: 'tier.updated' }),
  target_type: name.optional().meta({ description: 'What was acted on, such as tier' }),
  target_id: name.optional().meta({ description: 'Id of what was acted on' }),
  outcome: outcome.optional().meta({ description: 'How it ended' }),
  request_id: name.optional().meta({ description: 'What one request did: its x-request-id' }),
  q: z
    .string()
    .trim()
    .max(120)
    .optional()
    .meta({ description: 'Part of the action, of the target, or of the name or id of the actor' }),
  ...timeRangeFields,
})

export const auditLogListQuery = pageQuery.extend(auditLogFilters.shape)

const format = z.enum(['csv', 'jsonl']).meta({
  description: 'csv: for spreadsheets, cells that would be formulas are made harmless; jsonl: exact, one row a line',
})
export const auditLogExportInput = auditLogFilters.extend({ format }).meta({ id: 'AuditLogExportInput' })
export const auditLogExportQuery = auditLogFilters.extend({ format })

export const auditLog = z
  .object({
    id: z.uuid(),
    created_at: z.iso.datetime({ precision: 6 }).meta({ example: '2026-11-21T09:30:00.123456Z' }),
    action: z.string().meta({ example: 'tier.updated' }),
    outcome,
    actor: z.object({ kind: actorKind, id: z.string().nullable(), label: z.string().nullable() }),
    on_behalf_of: z.string().nullable(),
    target: z.object({
      type: z.string(),
      id: z.string().nullable(),
      name: z.string().nullable().meta({
        description:
          'What it is called now; between two, such as a subscription, by both. null: unknown, or not yours to see',
        example: 'Bluebird · Pro',
      }),
    }),
    request_id: z.string().nullable(),
    ip: z.string().nullable(),
    user_agent: z.string().nullable(),
    before: z.unknown().meta({ description: 'Of a change, what changed, as it was; null where there is nothing' }),
    after: z.unknown().meta({ description: 'Of a change, what changed, as it is now; null where there is nothing' }),
    metadata: z.record(z.string(), z.unknown()),
    details_hash: z
      .string()
      .meta({ description: 'SHA-256 over label, address, user agent, before, after and metadata' }),
  })
  .meta({ id: 'AuditLog' })

export const auditLogFacets = z
  .object({
    actions: z.array(z.string()),
    target_types: z.array(z.string()),
    actors: z.array(z.object({ id: z.string(), kind: actorKind, label: z.string().nullable() })),
  })
  .meta({ id: 'AuditLogFacets' })

export type AuditLogFilters = z.infer<typeof auditLogFilters>
export type AuditLogListQuery = z.infer<typeof auditLogListQuery>
export type AuditLogExportInput = z.infer<typeof auditLogExportInput>
export type AuditLogRow = z.infer<typeof auditLog>
export type AuditLogFacets = z.infer<typeof auditLogFacets>
