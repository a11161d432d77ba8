import { type AppError, invalidInput } from '@/libs/errors'

/** What a key must hold: a word, or some of them joined by AND and OR; AND binds tighter, parentheses as usual. */
export type PermissionQuery = { word: string } | { all: PermissionQuery[] } | { any: PermissionQuery[] }

const MOST_WORDS = 100
const known = new Map<string, PermissionQuery>()

const refuse = (detail: string): AppError => invalidInput('/permissions', detail)

/** Reads a query such as `docs.read AND (docs.write OR admin)`. @throws AppError invalid_input at /permissions. */
export function readPermissionQuery(text: string): PermissionQuery {
  const seen = known.get(text)
  if (seen) return seen
  const tokens = text.match(/[()]|[^\s()]+/g) ?? []
  if (tokens.length > MOST_WORDS * 4) throw refuse('is too long')
  let at = 0
  let depth = 0
  const isWord = (token: string, word: string) => token.toUpperCase() === word

  function readAny(): PermissionQuery {
    const parts = [readAll()]
    while (isWord(tokens[at] ?? '', 'OR')) {
      at += 1
      parts.push(readAll())
    }
    return parts.length === 1 && parts[0] ? parts[0] : { any: parts }
  }
  function readAll(): PermissionQuery {
    const parts = [readOne()]
    while (isWord(tokens[at] ?? '', 'AND')) {
      at += 1
      parts.push(readOne())
    }
    return parts.length === 1 && parts[0] ? parts[0] : { all: parts }
  }
  function readOne(): PermissionQuery {
    const token = tokens[at]
    at += 1
    if (token === undefined) throw refuse('ends where a permission is expected')
    if (token === '(') {
      depth += 1
      if (depth > 20) throw refuse('has too many parentheses')
      const inner = readAny()
      if (tokens[at] !== ')') throw refuse('has a parenthesis that is not closed')
      at += 1
      depth -= 1
      return inner
    }
    if (token === ')' || isWord(token, 'AND') || isWord(token, 'OR'))
      throw refuse(`has ${token} where a permission is expected`)
    return { word: token }
  }

  const query = readAny()
  if (at < tokens.length) throw refuse(`has ${tokens[at]} where AND or OR is expected`)
  if (known.size >= 1_000) known.clear()
  known.set(text, query)
  return query
}

/** Whether a list of permissions answers a query; `docs.*` and `*` hold everything below them. */
export function holdsPermissions(held: ReadonlySet<string>, query: PermissionQuery): boolean {
  if ('word' in query) return holds(held, query.word)
  if ('all' in query) return query.all.every((part) => holdsPermissions(held, part))
  return query.any.some((part) => holdsPermissions(held, part))
}

function holds(held: ReadonlySet<string>, word: string): boolean {
  if (held.has(word) || held.has('*')) return true
  for (let dot = word.lastIndexOf('.'); dot > 0; dot = word.lastIndexOf('.', dot - 1)) {
    if (held.has(`${word.slice(0, dot)}.*`)) return true
  }
  return false
}
