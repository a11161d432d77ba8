import { isUtf8 } from 'node:buffer'
import { promisify } from 'node:util'
import { gunzip as gunzipCallback } from 'node:zlib'
import type { z } from 'zod'
import { AppError, type InputError } from '@/libs/errors'
import { isExactNumber, parseExactly } from '@/libs/ingest/exact-number'
import { describeIssue, findUnusable, pointerOf, toInputErrors } from './input-errors'

const gunzip = promisify(gunzipCallback)
const MIB = 1_048_576
const MAX_DEPTH = 32
const LONGEST_NOTED = 50
const JSON_TYPE = /^application\/(?:[a-z.+-]*\+)?json(?:\s*;|$)/i
const BYTE_ORDER_MARK = '\ufeff'

/** What stands in the place of the stream of a Request where a server has the body already, no larger than any route takes. */
export type WholeBody = { whole: Uint8Array }

/**
 * The body of a JSON request as text: size is checked before parsing, gzip is unpacked up to the same size.
 * @throws AppError payload_too_large, unsupported_media_type, bad_request.
 */
export function readBody(request: Request, maxBytes = MIB): Promise<string> {
  const type = request.headers.get('content-type')?.trim() ?? 'application/json'
  if (type === 'application/json' || type === '' || JSON_TYPE.test(type)) return readText(request, maxBytes)
  return Promise.reject(new AppError('unsupported_media_type', 'Send JSON with Content-Type: application/json.'))
}

/** The body of a request as text, whatever it is written in. @throws AppError as readBody, but for the type of JSON. */
export async function readText(request: Request, maxBytes = MIB): Promise<string> {
  const bytes = await readContent(request, maxBytes)
  if (!isUtf8(bytes)) throw new AppError('bad_request', 'The body is not valid UTF-8.')
  const text = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('utf8')
  return text.startsWith(BYTE_ORDER_MARK) ? text.slice(1) : text
}

/** The body of a request, unpacked. @throws AppError payload_too_large, unsupported_media_type, bad_request. */
export function readContent(request: Request, maxBytes = MIB): Promise<Uint8Array> {
  const encoding = request.headers.get('content-encoding')?.trim().toLowerCase() ?? 'identity'
  if (encoding === 'identity') return readBytes(request, maxBytes)
  if (encoding === 'gzip') return readBytes(request, maxBytes).then((bytes) => unpack(bytes, maxBytes))
  return Promise.reject(new AppError('unsupported_media_type', 'Only gzip is understood as Content-Encoding.'))
}

function tooLarge(maxBytes: number): AppError {
  return new AppError('payload_too_large', `The body may be at most ${maxBytes} bytes.`)
}

/** The body of a request as it came, up to `maxBytes`. @throws AppError payload_too_large, bad_request. */
export async function readBytes(request: Request, maxBytes = MIB): Promise<Uint8Array> {
  const declared = Number(request.headers.get('content-length') ?? 0)
  if (declared > maxBytes) throw tooLarge(maxBytes)
  const body = request.body as Request['body'] | WholeBody
  if (!body) return new Uint8Array()
  if ('whole' in body) {
    if (body.whole.byteLength > maxBytes) throw tooLarge(maxBytes)
    return body.whole
  }
  const chunks: Uint8Array[] = []
  let size = 0
  const reader = body.getReader()
  for (;;) {
    const { done, value } = await readChunk(reader)
    if (done) break
    size += value.byteLength
    if (size > maxBytes) {
      // The rest is for the server to read past: cancelling would destroy the request, and the next one behind it were never read.
      throw tooLarge(maxBytes)
    }
    chunks.push(value)
  }
  const only = chunks.length === 1 ? chunks[0] : undefined
  return only ?? Buffer.concat(chunks)
}

/** The next part of a body. A client that goes away before the end of it has sent something wrong; it is no fault of ours. */
async function readChunk(reader: ReadableStreamDefaultReader<Uint8Array>) {
  try {
    return await reader.read()
  } catch (error) {
    throw new AppError('bad_request', 'The body ends before its end.', {}, error)
  }
}

async function unpack(bytes: Uint8Array, maxBytes: number): Promise<Uint8Array> {
  try {
    return await gunzip(bytes, { maxOutputLength: maxBytes })
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ERR_BUFFER_TOO_LARGE') throw tooLarge(maxBytes)
    throw new AppError('bad_request', 'The body is not valid gzip.')
  }
}

/**
 * Parses JSON: nesting is limited to 32 levels, NUL and lone surrogates are refused, camelCase keys are read as
 * snake_case (keys inside `properties`, `metadata` and `config`, and names of meters in `usage_caps`, stay as they are;
 * `verbatim`: all do).
 * A number that a double would round is an ExactNumber. `lenient` is for lists whose entries fail one by one: text that cannot
 * be kept, a field under both of its names, and lists within lists, less what is nested too deep, are left to who reads the
 * entries.
 * @throws AppError bad_request.
 */
export function parseJson(text: string, { verbatim = false, lenient = false } = {}): unknown {
  let value: unknown
  try {
    value = parseExactly(text)
  } catch {
    throw new AppError(
      'bad_request',
      text.trim() === '' ? 'The body is empty; JSON is expected.' : 'The body is not valid JSON.',
    )
  }
  if (!lenient) checkText(text, value)
  return toSnakeCase(value, 0, { opaque: verbatim, noted: true, lenient })
}

/** Escapes can smuggle in what the raw text does not show; only then is the parsed value walked. */
function checkText(text: string, value: unknown): void {
  if (text.includes('\0')) throw new AppError('bad_request', 'NUL characters are not allowed.')
  if (/\\u(?:0000|d[89a-f])/i.test(text) && hasBadText(value, 0)) {
    throw new AppError('bad_request', 'NUL characters and lone surrogates are not allowed.')
  }
}

const isBadText = (text: string): boolean => text.includes('\0') || !text.isWellFormed()

function hasBadText(value: unknown, depth: number): boolean {
  if (typeof value === 'string') return isBadText(value)
  if (depth > MAX_DEPTH || typeof value !== 'object' || value === null) return false
  return Object.entries(value).some(([key, inner]) => isBadText(key) || hasBadText(inner, depth + 1))
}

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

function noteName(object: object, name: string, sent: string): void {
  const names = sentNames.get(object) ?? new Map<string, string>()
  sentNames.set(object, names.set(name, sent))
}

/** A pointer into a value as one into what was sent. */
function asSent(value: unknown, { pointer, detail }: InputError): InputError {
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
function readKey(key: string): string {
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

function toSnakeCase(value: unknown, depth: number, reading: Reading): unknown {
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

/** Checks a value against a schema. @throws AppError invalid_input with one entry for each place where something is wrong. */
export function parseInput<S extends z.ZodType>(schema: S, value: unknown): z.infer<S> {
  const result = schema.safeParse(value, { error: describeIssue })
  const unusable = findUnusable(value)
  if (unusable.length === 0 && result.success) return result.data
  const errors = unusable.length > 0 ? unusable : toInputErrors(result.error?.issues ?? [])
  throw invalidInput(errors.map((error) => asSent(value, error)))
}

function invalidInput(errors: InputError[]): AppError {
  const detail = errors.length === 1 ? `Check ${errors[0]?.pointer || 'the body'}.` : `Check ${errors.length} fields.`
  return new AppError('invalid_input', detail, { errors })
}

/** The body of a request, read, parsed and checked; `optional`: no body says nothing, as {} does. @throws AppError as readBody, parseJson and parseInput say. */
export async function readJson<S extends z.ZodType>(
  request: Request,
  schema: S,
  { maxBytes = MIB, optional = false } = {},
): Promise<z.infer<S>> {
  const text = await readBody(request, maxBytes)
  return parseInput(schema, optional && text.trim() === '' ? {} : parseJson(text))
}

/** The query of a request, checked; camelCase names are read as snake_case, each once. `tenant` belongs to the wrapper. @throws AppError invalid_input. */
export function readQuery<S extends z.ZodType>(request: Request, schema: S): z.infer<S> {
  const values = new Map<string, string>()
  const renamed: [key: string, name: string][] = []
  for (const [name, value] of new URL(request.url).searchParams) {
    if (name === 'tenant') continue
    if (`${name}${value}`.includes('\0')) throw new AppError('bad_request', 'NUL characters are not allowed.')
    const key = readKey(name)
    if (values.has(key)) throw invalidInput([{ pointer: pointerOf([name]), detail: 'is there more than once' }])
    values.set(key, value)
    if (key !== name) renamed.push([key, name])
  }
  const fields = Object.fromEntries(values)
  for (const [key, name] of renamed) noteName(fields, key, name)
  return parseInput(schema, fields)
}
