import { z } from 'zod'
import { operation, pageOf } from '@/libs/api-utils/openapi'
import { auditLog, auditLogExportInput, auditLogExportQuery, auditLogFacets, auditLogListQuery } from './schema'

const tag = 'Audit log'
const permission = 'audit-logs:read'
const file = z.string().meta({ description: 'A CSV file, or with `format: jsonl` one JSON object a line' })
const FILE_TYPES = ['text/csv', 'application/x-ndjson']

export const paths = {
  '/api/v1/audit-logs': {
    get: operation({
      summary: 'List the audit log',
      description:
        'Newest first. Reading the audit log is itself recorded in it. A search by `q` looks through half a million rows for one page at most: ' +
        'a page may be short, or empty, and still have a `next_cursor` to go on from.',
      tag,
      permission,
      query: auditLogListQuery,
      success: [200, pageOf(auditLog)],
    }),
  },
  '/api/v1/audit-logs/{id}': {
    get: operation({
      summary: 'Get one row of the audit log',
      tag,
      permission,
      params: z.object({ id: z.uuid().meta({ description: 'Id of the entry' }) }),
      success: [200, auditLog],
    }),
  },
  '/api/v1/audit-logs/facets': {
    get: operation({
      summary: 'What the audit log can be filtered by',
      tag,
      permission,
      success: [200, auditLogFacets],
    }),
  },
  '/api/v1/audit-logs/export': {
    get: operation({
      summary: 'Download the audit log',
      description: 'One snapshot, oldest first, streamed. The export is on record before its first byte.',
      tag,
      permission,
      query: auditLogExportQuery,
      success: [200, file],
      limited: true,
      mediaType: FILE_TYPES,
    }),
    post: operation({
      summary: 'Export the audit log',
      description: 'As the download, with the filters in the body.',
      tag,
      permission,
      body: auditLogExportInput,
      example: { time_range: '7d', format: 'csv' },
      repeatable: false,
      success: [200, file],
      limited: true,
      mediaType: FILE_TYPES,
    }),
  },
}
