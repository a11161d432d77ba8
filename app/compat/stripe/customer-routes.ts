import { randomBytes } from 'node:crypto'
import { z } from 'zod'
import { joinMetadata, type KeptFields, readMetadata } from '@/app/compat/customer-metadata'
import { customerInput, customerPatch } from '@/features/customers/schema'
import { listCustomerSpan } from '@/features/customers/services/customer-page-service'
import {
  type CustomerRow,
  createCustomer,
  getCustomer,
  updateCustomer,
} from '@/features/customers/services/customer-service'
import { parseInput } from '@/libs/api-utils/read-json'
import { ApiResponse } from '@/libs/api-utils/tenant-api-wrapper'
import { orNull } from '@/libs/errors'
import {
  isLive,
  missing,
  paging,
  readFields,
  readQueryFields,
  refuse,
  seconds,
  stripeRoute,
  toSeconds,
} from './stripe-route'

const ALPHABET = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789'

const parts = z.record(z.string(), z.string().max(500))
const nested = z.record(z.string(), z.union([z.string().max(500), parts]))
const emptyOr = <S extends z.ZodType>(schema: S) => z.union([z.literal(''), schema]).optional()
const fields = z.strictObject({
  name: z.string().max(200).optional(),
  email: z.string().max(320).optional(),
  description: z.string().max(2_000).optional(),
  phone: z.string().max(255).optional(),
  metadata: emptyOr(parts),
  address: emptyOr(parts),
  shipping: emptyOr(nested),
  preferred_locales: emptyOr(nested),
  tax_exempt: z.enum(['', 'none', 'exempt', 'reverse'], 'must be none, exempt or reverse').optional(),
})
type Fields = z.infer<typeof fields>

const NO_ADDRESS = { city: null, country: null, line1: null, line2: null, postal_code: null, state: null }
const NO_SHIPPING = { carrier: null, phone: null, tracking_number: null }

/** What was kept under a name, when it has parts, beside those it lacks. */
function withParts(kept: unknown, lacking: object): Record<string, unknown> | null {
  return typeof kept === 'object' && kept !== null ? { ...lacking, ...kept } : null
}

function toShipping(kept: unknown) {
  const shipping = withParts(kept, NO_SHIPPING)
  return shipping && { ...shipping, address: withParts(shipping.address, NO_ADDRESS) }
}

/** A customer as the wire has it: its id there is the external id here. */
function toStripe(row: CustomerRow, livemode: boolean) {
  if (row.archived_at) return { id: row.external_id, object: 'customer', deleted: true }
  const { kept: places, own } = readMetadata(row.metadata)
  const kept = places.stripe ?? {}
  return {
    id: row.external_id,
    object: 'customer',
    address: withParts(kept.address, NO_ADDRESS),
    balance: 0,
    created: toSeconds(row.created_at),
    currency: null,
    default_source: null,
    delinquent: false,
    description: kept.description ?? null,
    discount: null,
    email: row.email,
    invoice_prefix: null,
    invoice_settings: { custom_fields: null, default_payment_method: null, footer: null, rendering_options: null },
    livemode,
    metadata: Object.fromEntries(
      Object.entries(own).map(([name, value]) => [name, typeof value === 'string' ? value : JSON.stringify(value)]),
    ),
    name: row.name,
    next_invoice_sequence: 1,
    phone: kept.phone ?? null,
    preferred_locales: kept.preferred_locales ?? [],
    shipping: toShipping(kept.shipping),
    tax_exempt: kept.tax_exempt ?? 'none',
    test_clock: null,
  }
}

/** What a form says over what was there: an empty text takes a value away. */
function merge(
  { name, email, metadata, ...more }: Fields,
  present: { kept: KeptFields; own: Record<string, unknown> },
) {
  const kept: Record<string, unknown> = { ...present.kept.stripe }
  for (const [field, value] of Object.entries(more)) {
    if (value === undefined) continue
    if (value === '') delete kept[field]
    else kept[field] = field === 'preferred_locales' && typeof value === 'object' ? Object.values(value) : value
  }
  const own: Record<string, unknown> = metadata === '' ? {} : { ...present.own }
  for (const [key, value] of Object.entries(metadata === '' ? {} : (metadata ?? {}))) {
    if (value === '') delete own[key]
    else own[key] = value
  }
  return {
    ...(name === undefined ? {} : { name: name === '' ? null : name }),
    ...(email === undefined ? {} : { email: email === '' ? null : email }),
    metadata: joinMetadata(own, { ...present.kept, stripe: kept }),
  }
}

/** An id such as the wire gives them. */
function newCustomerId(): string {
  return `cus_${Array.from(randomBytes(14), (byte) => ALPHABET[byte % ALPHABET.length]).join('')}`
}

async function findCustomer(id: string): Promise<CustomerRow> {
  const row = await orNull(getCustomer(id))
  if (!row) throw missing('customer', id)
  return row
}

const READ = { permission: 'customers:read' } as const
const WRITE = { permission: 'customers:write' } as const

const create = stripeRoute(async (request) => {
  const sent = merge(await readFields(request, fields), { kept: {}, own: {} })
  const row = await createCustomer(parseInput(customerInput, { external_id: newCustomerId(), ...sent }))
  return ApiResponse.success(toStripe(row, isLive(request)))
}, WRITE)

const get = stripeRoute(
  async (request, { params }) =>
    ApiResponse.success(toStripe(await findCustomer(params.customer ?? ''), isLive(request))),
  READ,
)

const update = stripeRoute(async (request, { params }) => {
  const sent = await readFields(request, fields)
  const present = await findCustomer(params.customer ?? '')
  if (present.archived_at) throw missing('customer', present.external_id)
  const row = await updateCustomer(present.id, parseInput(customerPatch, merge(sent, readMetadata(present.metadata))))
  return ApiResponse.success(toStripe(row, isLive(request)))
}, WRITE)

const remove = stripeRoute(async (request, { params }) => {
  const { id } = await findCustomer(params.customer ?? '')
  return ApiResponse.success(toStripe(await updateCustomer(id, { archived: true }), isLive(request)))
}, WRITE)

const listFields = z.strictObject({
  ...paging,
  email: z.string().max(320).optional(),
  created: z
    .union([
      seconds.transform((at) => ({ gte: at, lte: at })),
      z.strictObject({
        gt: seconds.optional(),
        gte: seconds.optional(),
        lt: seconds.optional(),
        lte: seconds.optional(),
      }),
    ])
    .optional(),
})

/** The id of the customer a page is asked for beside. @throws AppError invalid_input for one that is not there. */
async function placeOf(pointer: string, id: string | undefined): Promise<string | undefined> {
  if (id === undefined) return undefined
  const row = await orNull(getCustomer(id))
  if (!row) throw refuse(pointer, 'is not in this list', 'resource_missing')
  return row.id
}

/** The moments of a range, whose bounds are whole seconds there: from, and before. */
function boundsOf({ gt, gte, lt, lte }: { gt?: number; gte?: number; lt?: number; lte?: number }) {
  const from = Math.max(gte ?? 0, gt === undefined ? 0 : gt + 1)
  const to = Math.min(lt ?? Number.POSITIVE_INFINITY, lte === undefined ? Number.POSITIVE_INFINITY : lte + 1)
  return { from: new Date(from * 1_000), ...(Number.isFinite(to) ? { to: new Date(to * 1_000) } : {}) }
}

const list = stripeRoute(async (request) => {
  const { limit, email, created = {}, ...asked } = readQueryFields(request, listFields)
  const before = await placeOf('/ending_before', asked.ending_before)
  const after = await placeOf('/starting_after', asked.starting_after)
  const { more, data } = await listCustomerSpan({
    limit,
    email,
    ...(before === undefined ? { after } : { before }),
    ...boundsOf(created),
  })
  const shown = data.map((row) => toStripe(row, isLive(request)))
  return ApiResponse.success({ object: 'list', url: '/v1/customers', has_more: more, data: shown })
}, READ)

export const CUSTOMER_PATHS = [
  ['POST', 'v1/customers', create],
  ['GET', 'v1/customers', list],
  ['GET', 'v1/customers/{customer}', get],
  ['POST', 'v1/customers/{customer}', update],
  ['DELETE', 'v1/customers/{customer}', remove],
] as const
