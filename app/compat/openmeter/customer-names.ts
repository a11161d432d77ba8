import {
  findCustomerIds,
  findNameOwners,
  setSubjects,
} from '@/features/compatibility/services/customer-subject-service'
import { customerInput } from '@/features/customers/schema'
import { type CustomerRow, createCustomer, getCustomer } from '@/features/customers/services/customer-service'
import { parseInput } from '@/libs/api-utils/read-json'
import { AppError, notFound, orNull } from '@/libs/errors'

/** A customer by id, external id, or another name it was given; null when there is none. */
export async function findNamedCustomer(reference: string): Promise<CustomerRow | null> {
  const named = await orNull(getCustomer(reference.trim()))
  if (named) return named
  const [owner] = await findNameOwners([reference.trim()])
  return owner ? getCustomer(owner.customer_id) : null
}

/** A customer by id, external id, or another name it was given. @throws AppError not_found. */
export async function getNamedCustomer(reference: string): Promise<CustomerRow> {
  const row = await findNamedCustomer(reference)
  if (!row) throw notFound()
  return row
}

/** The customer of a subject, made at first sight. */
export async function ensureSubject(subject: string): Promise<CustomerRow> {
  const row = await findNamedCustomer(subject)
  if (row) return row
  try {
    return await createCustomer(parseInput(customerInput, { external_id: subject }))
  } catch (error) {
    if (!(error instanceof AppError) || error.code !== 'conflict') throw error
    // Another request saw it first at the same moment.
    return getNamedCustomer(subject)
  }
}

/** Gives a customer its names; who goes by its own alone needs none. */
export async function giveNames(row: CustomerRow, key: string | null, subjects: readonly string[]): Promise<void> {
  const isPlain = subjects.every((subject) => subject === row.external_id)
  const names = key === null || key === row.external_id ? [] : [key]
  await setSubjects(row.id, { subjects: isPlain ? [] : subjects, names })
}

/** Ids of the customers these names lead to, each by id, external id, or another name; null for no names at all. */
export async function findNamedIds(references: readonly string[] | undefined): Promise<string[] | null> {
  if (references === undefined) return null
  return findCustomerIds([...new Set(references.map((reference) => reference.trim()))])
}
