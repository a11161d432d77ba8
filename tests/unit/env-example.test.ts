import { globSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { parseEnv } from 'node:util'
import { afterEach, expect, test } from 'vitest'
import { env, forgetEnv } from '@/libs/env'

const root = join(import.meta.dirname, '../..')
const read = (path: string) => readFileSync(join(root, path), 'utf8')
const example = read('.env.example')
const named = [...example.matchAll(/^# ([A-Z][A-Z0-9_]*)=/gm)].map(([, name = '']) => name)

/** Variables of the product, as libs/env.ts lists them. */
const ours = [...read('libs/env.ts').matchAll(/^ {2}([A-Z][A-Z0-9_]*):/gm)].map(([, name = '']) => name)

/** Variables that only the processes beside the application read, or hand to each other. */
const processes = globSync('processes/**/*.{ts,mjs}', { cwd: root })
  .map(read)
  .flatMap((code) => [
    ...code.matchAll(/process\.env\.([A-Z][A-Z0-9_]*)/g),
    ...code.matchAll(/\b(?:requireVariable|readPort|readFlag|variable)\('([A-Z][A-Z0-9_]*)'/g),
    ...[...code.matchAll(/const \{([^{}]*)\} =\s+process\.env\b/g)].flatMap(([, names = '']) => [
      ...names.matchAll(/([A-Z][A-Z0-9_]*)/g),
    ]),
  ])
  .map(([, name = '']) => name)

/** Set by the stack for its own processes, or by the shell; nobody sets them by hand. */
const internal = new Set(['SUPABASE_DATABASE_URL', 'AUTH_SITE_URL', 'PATH', 'NO_COLOR', 'NEXT_RUNTIME'])

const before = { ...process.env }
afterEach(() => {
  process.env = { ...before }
  forgetEnv()
})

test('the example names every variable the product reads, once', () => {
  expect(ours.length).toBeGreaterThan(20)
  expect(ours.filter((name) => !named.includes(name))).toEqual([])
  expect(named.filter((name, index) => named.indexOf(name) !== index)).toEqual([])
})

test('the example names every variable a process beside the application reads', () => {
  const missing = processes.filter((name) => !named.includes(name) && !internal.has(name))
  expect([...new Set(missing)]).toEqual([])
})

test('the example names nothing that no code reads', () => {
  const known = new Set([...ours, ...processes])
  expect(named.filter((name) => !known.has(name))).toEqual([])
})

test('copied as it is, the example changes nothing', () => {
  expect(parseEnv(example)).toEqual({})
})

test('every line of the example is a value the product accepts', () => {
  const values = parseEnv(example.replaceAll(/^# (?=[A-Z][A-Z0-9_]*=)/gm, ''))
  expect(Object.keys(values).sort()).toEqual([...named].sort())
  process.env = { ...values } as NodeJS.ProcessEnv
  forgetEnv()
  expect(() => env()).not.toThrow()
})

test('where the example shows a default, it is the default', () => {
  const values = parseEnv(example.replaceAll(/^# (?=[A-Z][A-Z0-9_]*=)/gm, ''))
  const read = (source: Record<string, string | undefined>): Record<string, unknown> => {
    process.env = { ...source } as NodeJS.ProcessEnv
    forgetEnv()
    return env()
  }
  const shown = read(values)
  const defaults = read({})
  const setByCommands = ['NODE_ENV']
  const ownParts = ['DATABASE_URL', 'OPERATOR_DATABASE_URL', 'SUPABASE_URL']
  for (const name of ours) {
    if (defaults[name] === undefined || setByCommands.includes(name) || ownParts.includes(name)) continue
    expect(shown[name], name).toEqual(defaults[name])
  }
})
