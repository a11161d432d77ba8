import { z } from 'zod'
import { joinMetadata, type KeptFields, readMetadata } from '@/app/compat/customer-metadata'
import type { CustomerRow } from '@/features/customers/services/customer-service'
import { customerNameInput } from '@/libs/api-utils/text-input'
import { invalidInput } from '@/libs/errors'

const MOST_SUBJECTS = 100

const name = customerNameInput()

export const customerBody = z.strictObject({
  key: name.optional(),
  name: z.string(),
  description: z.string().max(1_024).optional(),
  metadata: z.record(z.string(), z.unknown()).nullish(),
  usageAttribution: z
    .strictObject({
      subjectKeys: z
        .array(name)
        .max(MOST_SUBJECTS)
        .refine((keys) => new Set(keys).size === keys.length, 'has one of them twice'),
    })
    .optional(),
  primaryEmail: z.string().optional(),
  currency: z
    .string()
    .regex(/^[A-Z]{3}$/, 'must be three capital letters')
    .optional(),
  billingAddress: z.record(z.string(), z.unknown()).optional(),
})
export type CustomerBody = z.infer<typeof customerBody>

type Named = Pick<CustomerRow, 'external_id' | 'metadata'>

/** Whether the key it was made with, if any, is kept as sent: its external id may be another of its names. */
type Kept = { key?: string | null; subjectKeys?: string[] }

function readKept({ metadata }: Pick<CustomerRow, 'metadata'>): {
  kept: Kept
  shown: Record<string, unknown>
  own: Record<string, unknown>
} {
  const { own, kept } = readMetadata(metadata)
  const { key, subjectKeys, ...shown } = kept.openmeter ?? {}
  return {
    kept: {
      ...(key === null || typeof key === 'string' ? { key } : {}),
      ...(Array.isArray(subjectKeys) ? { subjectKeys: subjectKeys.filter((one) => typeof one === 'string') } : {}),
    },
    shown,
    own,
  }
}

/** The key of a customer as the wire has it; undefined for one that was made by its subjects alone. */
export function keyOf(row: Named): string | undefined {
  const { key } = readKept(row).kept
  return key === null ? undefined : (key ?? row.external_id)
}

/** The names of a customer in events: those it was given, else its external id, unless it is to have none. */
export function subjectsOf(row: Named, given: readonly string[] | undefined): readonly string[] {
  return given ?? readKept(row).kept.subjectKeys ?? [row.external_id]
}

/** A customer as the wire has it, with the subjects it was given. */
export function toOpenMeterCustomer(row: CustomerRow, subjects: readonly string[] | undefined) {
  const { shown, own } = readKept(row)
  const key = keyOf(row)
  return {
    ...shown,
    id: row.id,
    ...(key === undefined ? {} : { key }),
    name: row.name ?? row.external_id,
    usageAttribution: { subjectKeys: subjectsOf(row, subjects) },
    ...(row.email === null ? {} : { primaryEmail: row.email }),
    metadata: own,
    createdAt: row.created_at,
    updatedAt: row.updated_at,
    ...(row.archived_at ? { deletedAt: row.archived_at } : {}),
  }
}

/** What of a body is ours to keep, beside what other wires did; `key` is null for a customer that has none. */
export function fieldsOf(sent: CustomerBody, key: string | null, others: KeptFields = {}) {
  const { name, description, metadata, primaryEmail, currency, billingAddress, usageAttribution } = sent
  const subjects = usageAttribution?.subjectKeys
  const kept = Object.entries({
    description,
    currency,
    billingAddress,
    key,
    // Names are kept by themselves; that there are to be none has nowhere else to stand.
    ...(subjects?.length === 0 ? { subjectKeys: [] } : {}),
  }).filter(([, value]) => value !== undefined)
  const all = joinMetadata({ ...metadata }, { ...others, openmeter: Object.fromEntries(kept) })
  return { name, email: primaryEmail ?? null, metadata: all }
}

/** The names of a new customer: its key, if any, and its subjects. @throws AppError invalid_input without one. */
export function namesOf({ key, usageAttribution }: CustomerBody): { subjects: string[]; first: string; all: string[] } {
  const subjects = usageAttribution?.subjectKeys ?? []
  const first = key ?? subjects[0]
  if (first === undefined) throw invalidInput('/key', 'is needed, or one of usageAttribution.subjectKeys')
  return { subjects, first, all: [...new Set([first, ...subjects])] }
}
