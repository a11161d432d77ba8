import { isUtf8 } from 'node:buffer'
import { promisify } from 'node:util'
import { gunzip as gunzipCallback } from 'node:zlib'
import type { z } from 'zod'
import { AppError, type InputError } from '@/libs/errors'
import { parseExactly } from '@/libs/ingest/exact-number'
import { asSent, MAX_DEPTH, noteName, readKey, toSnakeCase } from './field-names'
import { describeIssue, findUnusable, pointerOf, toInputErrors } from './input-errors'
import { noteRead } from './name-as-sent'

const gunzip = promisify(gunzipCallback)
const MIB = 1_048_576
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
  const value = optional && text.trim() === '' ? {} : parseJson(text)
  noteRead(request, value)
  return parseInput(schema, value)
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
  noteRead(request, fields)
  return parseInput(schema, fields)
}
