import { cutText } from '@/libs/cut-text'
import { AppError } from '@/libs/errors'
import { readText } from './read-json'

const FORM = /^application\/x-www-form-urlencoded(?:\s*;|$)/i
const NAME = /^([^[\]]{1,255})((?:\[[^[\]]{0,255}\])*)$/
const MOST_FIELDS = 1_000
const DEEPEST = 5

export type FormValue = string | { [name: string]: FormValue }

/**
 * Fields of a form or a query as an object: `payload[value]=5` is `{payload: {value: '5'}}`.
 * @throws AppError bad_request for names that are malformed, there twice, nested too deep or too many.
 */
export function parseFields(fields: URLSearchParams): { [name: string]: FormValue } {
  const result: { [name: string]: FormValue } = Object.create(null)
  if (fields.size > MOST_FIELDS) throw new AppError('bad_request', `At most ${MOST_FIELDS} fields are allowed.`)
  for (const [name, value] of fields) {
    if (`${name}${value}`.includes('\0') || !`${name}${value}`.isWellFormed())
      throw new AppError('bad_request', 'NUL characters and lone surrogates are not allowed.')
    const [, first = '', rest = ''] = NAME.exec(name) ?? []
    if (first === '') throw new AppError('bad_request', `${cutText(name, 64)} is not the name of a field.`)
    const path = [first, ...[...rest.matchAll(/\[([^[\]]*)\]/g)].map(([, part = '']) => part)]
    if (path.length > DEEPEST) throw new AppError('bad_request', `Fields may be nested at most ${DEEPEST} levels deep.`)
    put(result, path, value)
  }
  return result
}

function put(target: { [name: string]: FormValue }, path: readonly string[], value: string): void {
  const [first = '', ...rest] = path
  // `list[]` means the next place of a list.
  const name = first === '' ? String(Object.keys(target).length) : first
  if (rest.length === 0) {
    if (name in target) throw new AppError('bad_request', `${name} is there twice.`)
    target[name] = value
    return
  }
  const inner: FormValue = target[name] ?? Object.create(null)
  if (typeof inner === 'string') throw new AppError('bad_request', `${name} is there twice.`)
  target[name] = inner
  put(inner, rest, value)
}

/** The fields of a form that was sent. @throws AppError as parseFields and readText. */
export async function readForm(request: Request): Promise<{ [name: string]: FormValue }> {
  const type = request.headers.get('content-type')?.trim() ?? ''
  if (type && !FORM.test(type))
    throw new AppError('unsupported_media_type', 'Send a form with Content-Type: application/x-www-form-urlencoded.')
  return parseFields(new URLSearchParams(await readText(request)))
}
