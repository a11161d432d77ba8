import type { Snippet } from '@/libs/ui/code-snippet'

export type HttpExample = {
  method: 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE'
  /** Absolute. */
  url: string
  /** The API key; without one, curl reads the environment variable `HOLDFAST_API_KEY` and TypeScript a constant. */
  key?: string
  body?: unknown
  /** What the answer holds; JSON when left out. */
  answer?: 'json' | 'text' | 'none'
}

function quoteShell(value: string): string {
  return `'${value.replaceAll("'", `'\\''`)}'`
}

function quoteScript(value: string): string {
  return `'${value.replaceAll('\\', '\\\\').replaceAll("'", "\\'")}'`
}

/** JSON written as TypeScript: bare keys where they can be bare, single quotes. */
function toScript(value: unknown, indent: string): string {
  if (Array.isArray(value)) return `[${value.map((item) => toScript(item, indent)).join(', ')}]`
  if (typeof value === 'string') return quoteScript(value)
  if (typeof value !== 'object' || value === null) return String(value)
  const entries = Object.entries(value)
  if (entries.length === 0) return '{}'
  const inner = `${indent}  `
  const lines = entries.map(([key, item]) => {
    const name = /^[A-Za-z_$][\w$]*$/.test(key) ? key : quoteScript(key)
    return `${inner}${name}: ${toScript(item, inner)},`
  })
  return `{\n${lines.join('\n')}\n${indent}}`
}

/** One HTTP call as curl and as TypeScript, ready to be pasted and run. */
export function httpSnippets({ method, url, key, body, answer = 'json' }: HttpExample): readonly [Snippet, Snippet] {
  const curl = [
    `curl${method === 'GET' ? '' : ` -X ${method}`} ${quoteShell(url)}`,
    `  -H ${key ? quoteShell(`Authorization: Bearer ${key}`) : '"Authorization: Bearer $HOLDFAST_API_KEY"'}`,
  ]
  const init: string[] = method === 'GET' ? [] : [`  method: '${method}',`]
  init.push('  headers: {')
  // biome-ignore lint/suspicious/noTemplateCurlyInString: it is written into the snippet
  init.push(`    authorization: ${key ? quoteScript(`Bearer ${key}`) : '`Bearer ${key}`'},`)
  if (body !== undefined) {
    curl.push("  -H 'Content-Type: application/json'", `  -d ${quoteShell(JSON.stringify(body))}`)
    init.push("    'content-type': 'application/json',")
  }
  init.push('  },')
  if (body !== undefined) init.push(`  body: JSON.stringify(${toScript(body, '  ')}),`)
  const read = answer === 'none' ? '' : `\nconst answer = await response.${answer}()`
  return [
    { label: 'curl', language: 'shell', code: curl.join(' \\\n') },
    {
      label: 'TypeScript',
      language: 'typescript',
      code: `${key ? '' : "const key = 'hf_live_…' // your API key\n"}const response = await fetch(${quoteScript(url)}, {\n${init.join('\n')}\n})${read}`,
    },
  ]
}
