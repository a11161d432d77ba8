import type { RouteHandler } from '@/libs/api-utils/route-handler'

/** A method, a path with `{parameters}`, and who answers it. */
export type PathEntry = readonly [method: string, template: string, handler: RouteHandler]

/**
 * Finds handlers by method and path, with the parameters of the path filled in; HEAD is answered as GET is. What is not
 * there is answered by `unknown`, which asks who calls first, as all do.
 */
export function createPathTable(
  entries: readonly PathEntry[],
  unknown: RouteHandler,
): (method: string, path: string) => RouteHandler {
  const table = entries.map(([method, template, handler]) => ({ method, parts: template.split('/'), handler }))
  return (method, path) => {
    const given = path.split('/')
    const wanted = method === 'HEAD' ? 'GET' : method
    for (const entry of table) {
      if (entry.method !== wanted || entry.parts.length !== given.length) continue
      const params = match(entry.parts, given)
      if (params) return (request) => entry.handler(request, { params: Promise.resolve(params) })
    }
    return unknown
  }
}

function match(parts: readonly string[], given: readonly string[]): Record<string, string> | null {
  const params: Record<string, string> = {}
  for (const [index, part] of parts.entries()) {
    const text = given[index] ?? ''
    if (!part.startsWith('{')) {
      if (part !== text) return null
      continue
    }
    const value = decode(text)
    if (value === null) return null
    params[part.slice(1, -1)] = value
  }
  return params
}

/** Null for what is empty, cannot be decoded, or cannot be stored. */
function decode(text: string): string | null {
  try {
    const value = decodeURIComponent(text)
    return value === '' || value.includes('\0') || !value.isWellFormed() ? null : value
  } catch (error) {
    if (error instanceof URIError) return null
    throw error
  }
}
