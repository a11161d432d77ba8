import { AppError, type InputError } from '@/libs/errors'
import { isExactNumber } from '@/libs/ingest/exact-number'

export const MAX_DEPTH = 32
const LONGEST_NOTED = 50

/** What is read in its own way: objects that stay as they are, and one whose keys are names somebody gave. */
const OWN_WAYS = new Map<string, Partial<Reading>>([
  ['properties', { opaque: true }],
  ['meta', { opaque: true }],
  ['metadata', { opaque: true }],
  ['config', { opaque: true }],
  ['value', { opaque: true }],
  ['config_value', { opaque: true }],
  ['property_paths', { opaque: true }],
  ['feature_entitlements', { opaque: true }],
  ['usage_caps', { byName: true }],
])
const snake = (key: string): string => key.replace(/[a-z0-9][A-Z]/g, (pair) => `${pair[0]}_${pair[1]}`).toLowerCase()

/** What fields were called in what was sent, where they are read under another name. */
const sentNames = new WeakMap<object, Map<string, string>>()

/** Remembers what a field of an object was called in what was sent. */
export function noteName(object: object, name: string, sent: string): void {
  const names = sentNames.get(object) ?? new Map<string, string>()
  sentNames.set(object, names.set(name, sent))
}

/** A pointer into a value as one into what was sent. */
export function asSent(value: unknown, { pointer, detail }: InputError): InputError {
  let at = value
  const [root, ...rest] = pointer.split('/')
  const parts = rest.map((part) => {
    if (typeof at !== 'object' || at === null) return part
    const sent = sentNames.get(at)?.get(part) ?? part
    at = Object.hasOwn(at, part) ? (at as Record<string, unknown>)[part] : undefined
    return sent
  })
  return { pointer: [root, ...parts].join('/'), detail }
}

const known = new Map<string, string>()

/** The name a key is read under. Remembered, because a batch repeats the same few keys a thousand times. */
export function readKey(key: string): string {
  const name = known.get(key)
  if (name !== undefined) return name
  const read = /^[a-z][a-z0-9]*(?:[A-Z][a-z0-9]*)+$/.test(key) ? snake(key) : key
  if (known.size < 1_000 && key.length <= 64) known.set(key, read)
  return read
}

type Reading = { opaque: boolean; byName?: boolean; noted: boolean; lenient: boolean }

/** How what stands under a key is read. */
function readingOf(name: string, reading: Reading): Reading {
  if (reading.opaque) return reading
  if (reading.byName) return { ...reading, byName: false }
  const own = OWN_WAYS.get(name)
  return own ? { ...reading, ...own } : reading
}

/**
 * A value of JSON with its fields under the names we know them by: changed in place, and remembered for `asSent`.
 * @throws AppError bad_request where it is nested too deep, or a field stands under both of its names; not where it is read leniently.
 */
export function toSnakeCase(value: unknown, depth: number, reading: Reading): unknown {
  if (depth > MAX_DEPTH) {
    if (reading.lenient) return null
    throw new AppError('bad_request', `JSON may be nested at most ${MAX_DEPTH} levels deep.`)
  }
  if (Array.isArray(value)) {
    // Of a long list nobody is told more than the index.
    const entry = reading.noted && value.length > LONGEST_NOTED ? { ...reading, noted: false } : reading
    for (let index = 0; index < value.length; index += 1) value[index] = toSnakeCase(value[index], depth + 1, entry)
    return value
  }
  if (typeof value !== 'object' || value === null) return value
  const object = value as Record<string, unknown>
  for (const key of Object.keys(object)) {
    if (key === 'rawJSON' && isExactNumber(object)) return object
    const name = reading.opaque || reading.byName ? key : readKey(key)
    const within = readingOf(name, reading)
    const inner = toSnakeCase(object[key], depth + 1, within)
    const twice = name !== key && Object.hasOwn(object, name)
    if (twice && !reading.lenient)
      throw new AppError('bad_request', `${key} and ${name} are the same field; send one of them.`)
    if (twice || name === key) {
      object[key] = inner
      continue
    }
    delete object[key]
    object[name] = inner
    if (reading.noted) noteName(object, name, key)
  }
  return object
}
