import { toStorable } from '@/libs/cut-text'

/** What stands in the record instead of a secret. */
const HIDDEN = '[hidden]'

const DEEPEST = 16
const SECRET_NAME =
  /(?:^|_)(?:pass(?:word|wd|phrase|code)?s?|secrets?|tokens?|otp|pin|cookies?|credentials?|authorization|signature|(?:api|private|secret|encryption|signing)_?keys?|key_hash)(?:_|$)|^keys?$/
const SECRET_TEXT = /^(?:hf_(?:live|test)_|sk_(?:live|test)_|sb_secret_|whsec_|xox[a-z]-|eyJ[\w-]{8,}\.[\w-]{8,}\.)/

/** `newPassword` and `new-password` as `new_password`. */
function toSnake(name: string): string {
  return name
    .replace(/([a-z0-9])([A-Z])/g, '$1_$2')
    .replaceAll(/[-.\s]/g, '_')
    .toLowerCase()
}

/**
 * A copy of a value for the record: plain JSON in which secrets, told by the name of their field or by their form, are
 * replaced by `[hidden]`. Never throws: what JSON cannot say becomes a text, what is too deep or turns in a circle ends.
 */
export function hideSecrets(value: unknown): unknown {
  return copy(value, 0, true)
}

/** As hideSecrets, with nothing hidden: a copy that jsonb can hold, whatever the value is. */
export function toPlainJson(value: unknown): unknown {
  return copy(value, 0, false)
}

function copy(value: unknown, depth: number, hide: boolean): unknown {
  if (value === null || typeof value === 'boolean') return value
  if (typeof value === 'number') return Number.isFinite(value) ? value : String(value)
  if (typeof value === 'string') return hide && SECRET_TEXT.test(value) ? HIDDEN : toStorable(value)
  if (typeof value === 'bigint') return value.toString()
  if (value instanceof Date) return Number.isNaN(value.getTime()) ? null : value.toISOString()
  if (typeof value !== 'object') return undefined
  if (depth >= DEEPEST) return '[too deep]'
  if (Array.isArray(value)) return value.map((item) => copy(item, depth + 1, hide) ?? null)
  if (value instanceof Uint8Array) return hide ? HIDDEN : Buffer.from(value).toString('base64')
  const entries = Object.entries(value).flatMap(([name, inner]): [string, unknown][] => {
    const secret = hide && inner !== null && inner !== undefined && SECRET_NAME.test(toSnake(name))
    const shown = secret ? HIDDEN : copy(inner, depth + 1, hide)
    return shown === undefined ? [] : [[toStorable(name), shown]]
  })
  return Object.fromEntries(entries)
}
