const PATH = /^\$(?:\.[\w-]+|\[(?:'[^'\\]+'|"[^"\\]+")\])+$/
const STEP = /\.([\w-]+)|\['([^'\\]+)'\]|\["([^"\\]+)"\]/g

/** The property a JSONPath such as `$.usage.tokens` names: `usage.tokens`; null for anything that is no plain path. */
export function toProperty(path: string): string | null {
  if (!PATH.test(path)) return null
  const property = [...path.matchAll(STEP)].map(([, plain, single, double]) => plain ?? single ?? double).join('.')
  return property.length <= 128 ? property : null
}

/** The JSONPath of a property. */
export function toJsonPath(property: string): string {
  return `$${property
    .split('.')
    .map((part) => (/^[\w-]+$/.test(part) ? `.${part}` : `['${part}']`))
    .join('')}`
}
