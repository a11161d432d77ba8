// The rules of the house, read from the code itself. There are no exceptions here: what breaks a rule is moved or renamed.
import { existsSync, globSync, readFileSync } from 'node:fs'
import { basename } from 'node:path'
import { describe, expect, test } from 'vitest'
import { NOUNS } from '@/libs/auth/permissions'
import { formatMessage } from '@/libs/ui/messages'
import { inRepository } from '@/processes/dev-stack/repository'
import { importsOf, readSources, type SourceFile } from '../support/source-files'

const ENDING = '*.{ts,tsx,mts,mjs}'
const product = readSources(`{app,features,libs}/**/${ENDING}`, 'middleware.ts', 'instrumentation.ts', 'proxy.ts')
const everything = [
  ...product,
  ...readSources(`{processes,tests,benchmarks}/**/${ENDING}`, '*.{ts,mts,mjs}').filter(
    ({ path }) => !product.some((file) => file.path === path),
  ),
]
const isProduct = (path: string) => /^(app|features|libs)\//.test(path)

/** `path: what is wrong` for each file that breaks a rule. */
const findBroken = (files: readonly SourceFile[], isBroken: (file: SourceFile) => unknown): string[] =>
  files.flatMap((file) => {
    const why = isBroken(file)
    const list = Array.isArray(why) ? why : why ? [why] : []
    return list.map((reason) => (reason === true ? file.path : `${file.path}: ${reason}`))
  })

test('the rules are read from a product that is there', () => {
  expect(product.length).toBeGreaterThan(100)
})

describe('imports', () => {
  const layerOf = (path: string) => ['libs', 'features', 'app'].indexOf(path.split('/')[0] ?? '')
  const featureOf = (path: string) => /^features\/([^/]+)\//.exec(path)?.[1]

  test('go app → features → libs and never back', () => {
    const broken = findBroken(
      product.filter(({ path }) => isProduct(path)),
      (file) => importsOf(file).filter((target) => isProduct(target) && layerOf(target) > layerOf(file.path)),
    )
    expect(broken).toEqual([])
  })

  test('features do not know each other', () => {
    const broken = findBroken(product, (file) => {
      const own = featureOf(file.path)
      return own ? importsOf(file).filter((target) => featureOf(target) && featureOf(target) !== own) : null
    })
    expect(broken).toEqual([])
  })

  test('the product does not import processes, tests or benchmarks', () => {
    expect(
      findBroken(product, (file) => importsOf(file).filter((target) => /^(processes|tests|benchmarks)\//.test(target))),
    ).toEqual([])
  })

  test('components never import a service, a job or the database: they talk to /api/v1', () => {
    const components = product.filter(({ path }) => /\/components\/|^libs\/ui\//.test(path))
    expect(components.length).toBeGreaterThan(20)
    const broken = findBroken(components, (file) =>
      importsOf(file, { types: false }).filter((target) =>
        /\/(services|jobs)\/|^libs\/db\/|^pg$|^kysely$/.test(target),
      ),
    )
    expect(broken).toEqual([])
  })

  test('only operator services and jobs open the registry', () => {
    const may = (path: string) =>
      /^libs\/db\//.test(path) ||
      path === 'libs/api-utils/operator-api-wrapper.ts' ||
      /^features\/[^/]+\/jobs\//.test(path) ||
      /^features\/operator[^/]*\/services\//.test(path) ||
      /^features\/[^/]+\/services\/operator-[^/]*$/.test(path)
    const broken = findBroken(
      product.filter(({ path }) => !may(path)),
      (file) => importsOf(file, { types: false }).filter((target) => target === 'libs/db/operator-db.ts'),
    )
    expect(broken).toEqual([])
  })

  test('app composes: no SQL, no database there', () => {
    const broken = findBroken(
      product.filter(({ path }) => path.startsWith('app/')),
      (file) => importsOf(file, { types: false }).filter((target) => /^libs\/db\/|^pg$|^kysely$/.test(target)),
    )
    expect(broken).toEqual([])
  })

  test('the middleware reaches nothing that the Edge does not have', () => {
    const seen = new Set<string>()
    const visit = (path: string): void => {
      if (seen.has(path)) return
      seen.add(path)
      const [file] = readSources(path)
      for (const target of file ? importsOf(file, { types: false }) : []) visit(target)
    }
    visit('middleware.ts')
    const files = [...seen]
    expect(files.length).toBeGreaterThan(3)
    expect(files.filter((path) => /^(node:|pg$|pino|kysely|libs\/db\/|lru-cache|jose$)/.test(path))).toEqual([])
  })

  test('every import of ours leads to a file', () => {
    const broken = findBroken(everything, (file) =>
      importsOf(file).filter(
        (target) => /^(app|features|libs|processes|tests|messages)\//.test(target) && !existsSync(inRepository(target)),
      ),
    )
    expect(broken).toEqual([])
  })
})

describe('names', () => {
  test('files and folders are kebab-case', () => {
    const part = /^(\[{1,2}(\.\.\.)?[a-z][a-z0-9-]*\]{1,2}|\([a-z][a-z0-9-]*\)|\.?[a-z0-9]+([-.][a-z0-9]+)*)$/
    const broken = everything.filter(({ path }) => !path.split('/').every((name) => part.test(name)))
    expect(broken.map(({ path }) => path)).toEqual([])
  })

  test('nothing is called utils, helpers, common, types or index', () => {
    const broken = everything.filter(({ path }) =>
      /^(utils?|helpers?|common|types?|index|misc|shared)\./.test(basename(path)),
    )
    expect(broken.map(({ path }) => path)).toEqual([])
  })

  test('there are no barrels', () => {
    // A route that answers like another one is an alias of an address, not of a module.
    const modules = product.filter(({ path }) => !path.endsWith('/route.ts'))
    const broken = findBroken(modules, ({ code }) => {
      const rest = code.replace(/export\s+(type\s+)?(\*|\{[^}]*\})(\s+as\s+\w+)?\s+from\s+['"][^'"]+['"];?/g, '')
      return code.includes('export') && rest.trim() === ''
    })
    expect(broken).toEqual([])
  })

  test('services, jobs and schemas stand where they belong', () => {
    const features = product.filter(({ path }) => path.startsWith('features/'))
    const place = /^features\/[a-z-]+\/((services|jobs|components)\/[a-z0-9-]+\.tsx?|(schema|openapi)\.ts)$/
    expect(features.filter(({ path }) => !place.test(path)).map(({ path }) => path)).toEqual([])
  })
})

describe('style', () => {
  const own = everything.filter(({ path }) => !path.startsWith('tests/unit/architecture'))

  test('the environment is read in libs/env.ts alone', () => {
    // NEXT_RUNTIME is no setting: the bundler writes its value into the code.
    const broken = findBroken(
      product,
      ({ path, code }) =>
        path !== 'libs/env.ts' && /process\s*\.\s*env(?!\.NEXT_RUNTIME\b)|import\.meta\.env/.test(code),
    )
    expect(broken).toEqual([])
  })

  test('nothing of the product writes to the console', () => {
    expect(findBroken(product, ({ code }) => /(^|[^.\w'"`-])console\s*\.\s*\w/.test(code))).toEqual([])
  })

  test('no any, no silenced compiler, no non-null assertion: the linter looks, and nobody tells it to look away', () => {
    const ignored = findBroken(own, ({ text }) => [
      ...(text.match(/@ts-(ignore|expect-error|nocheck)/g) ?? []),
      ...(text.match(/biome-ignore(-all|-start)?\s+lint\/\S*(noExplicitAny|noNonNullAssertion)\S*/g) ?? []),
    ])
    expect(ignored).toEqual([])
    const { linter, overrides } = JSON.parse(readFileSync(inRepository('biome.json'), 'utf8'))
    expect(linter).toEqual({ enabled: true, rules: { preset: 'recommended' } })
    expect(overrides).toBeUndefined()
  })

  test('no interfaces, no enums, no class that is not an error or the extension of a library', () => {
    const broken = findBroken(own, ({ code }) =>
      withoutText(code)
        .match(/^\s*(export\s+)?(declare\s+)?(interface\s+\w+|(const\s+)?enum\s+\w+|class\s+\w+\s*\{)/gm)
        ?.filter(
          // Vitest and Next are told of our types by declaration merging, which only interfaces can do.
          (match) => !/interface ProvidedContext/.test(match),
        ),
    )
    expect(broken).toEqual([])
  })

  test('exports are named, but for what Next asks for', () => {
    const asked =
      /^app\/.*(page|layout|template|loading|error|global-error|not-found|default|sitemap|robots|manifest)\.tsx?$/
    const broken = findBroken(product, ({ path, code }) => !asked.test(path) && /^export default\b/m.test(code))
    expect(broken).toEqual([])
  })

  test('a file of features fits on five screens', () => {
    const broken = findBroken(product, ({ path, text }) => {
      const lines = text.split('\n').length - 1
      return path.startsWith('features/') && lines > 250 ? `${lines} lines` : null
    })
    expect(broken).toEqual([])
  })

  test('nothing is left for later', () => {
    expect(findBroken(own, ({ text }) => text.match(/\b(TODO|FIXME|XXX|HACK)\b/g))).toEqual([])
  })

  test('no test is skipped, and none runs alone', () => {
    const broken = findBroken(own, ({ code }) =>
      withoutText(code).match(/\b(test|it|describe)\.(skip|only|todo|fixme|fails)\b/g),
    )
    expect(broken).toEqual([])
  })

  test('the text of the interface comes from messages', () => {
    const screens = product.filter(({ path }) => /^(app|features)\/.*\.tsx$/.test(path))
    // Words between tags, of two letters or more, that are not an expression.
    const broken = findBroken(screens, ({ code }) =>
      code.match(/(?<=[a-z"'}/]>)\s*[A-Z][a-z]+(\s+[a-z]+)+[.!?]?\s*(?=<\/)/g),
    )
    expect(broken).toEqual([])
  })
})

test('what is imported is a package of ours, and none of development where the product needs it', () => {
  const { dependencies, devDependencies } = JSON.parse(readFileSync(inRepository('package.json'), 'utf8'))
  const imported = (files: readonly SourceFile[]): string[] => [
    ...new Set(
      files
        .flatMap((file) => importsOf(file))
        .filter((target) => !existsSync(inRepository(target)))
        // Names of packages: what is built in has a colon, and the `from '…'` of a piece of SQL other characters.
        .flatMap((target) => /^((?:@[\w-]+\/)?[\w.-]+)(?:\/|$)/.exec(target)?.[1] ?? []),
    ),
  ]
  expect(imported(everything).filter((name) => !(name in { ...dependencies, ...devDependencies }))).toEqual([])
  expect(imported(product).filter((name) => !(name in dependencies))).toEqual([])
})

describe('nothing is left over', () => {
  const ASKED_BY_NEXT =
    /^(middleware|instrumentation|next\.config)\.ts$|^app\/.*(page|layout|route|error|not-found)\.tsx?$/
  // `import { a, type b as c } from …`, `const { a } = await import(…)`, `import(…).then((file) => file.a)`, `import * as …`.
  const importedNames = (code: string): string[] => [
    ...[...code.matchAll(/\{([^{}]*)\}\s*(?:from\s|=\s*await import\()/g)].flatMap(([, names = '']) =>
      names.split(',').map((name) => /^(?:type )?(\w+)/.exec(name.trim())?.[1] ?? ''),
    ),
    ...[...code.matchAll(/\bfile\.(\w+)/g)].map(([, name = '']) => name),
    ...[...code.matchAll(/import \* as (\w+)/g)].flatMap(([, space]) =>
      [...code.matchAll(new RegExp(`\\b${space}\\.(\\w+)`, 'g'))].map(([, name = '']) => name),
    ),
  ]
  const users = new Map<string, Set<string>>()
  for (const { path, code } of everything)
    for (const name of importedNames(code)) users.set(name, (users.get(name) ?? new Set()).add(path))

  test('what a file exports, another one uses', () => {
    const broken = findBroken(
      everything.filter(({ path }) => !ASKED_BY_NEXT.test(path)),
      ({ path, code }) =>
        [...code.matchAll(/^export (?:async )?(function\*?|const|type|class) (\w+)/gm)].flatMap(
          ([, kind, name = '']) => {
            const isUsed = [...(users.get(name) ?? [])].some((user) => user !== path)
            // A type may say what a function takes or gives.
            const isNamed = kind === 'type' && (code.match(new RegExp(`\\b${name}\\b`, 'g'))?.length ?? 0) > 1
            return isUsed || isNamed ? [] : [name]
          },
        ),
    )
    expect(users.size).toBeGreaterThan(500)
    expect(broken).toEqual([])
  })

  test('what only tests use stands with the tests', () => {
    // What a product that is built on this one calls; and what has a process forget, between one test and the next.
    const allowed = /^(withTenantContext|getTenantContext|forget\w+)$/
    const broken = findBroken(
      product.filter(({ path }) => isProduct(path) && !ASKED_BY_NEXT.test(path)),
      ({ path, code }) =>
        [...code.matchAll(/^export (?:async )?(?:function\*?|const) (\w+)/gm)]
          .map(([, name = '']) => name)
          .filter((name) => {
            const others = [...(users.get(name) ?? [])].filter((user) => user !== path && !user.startsWith('tests/'))
            const itself = new RegExp(`^export [^\\n]*\\b${name}\\b[^\\n]*\\n(?:(?:[ )\\]}][^\\n]*)?\\n)*`, 'm')
            const isUsedHere = new RegExp(`\\b${name}\\b`).test(code.replace(itself, ''))
            return others.length === 0 && !isUsedHere && !allowed.test(name)
          }),
    )
    expect(broken).toEqual([])
  })
})

/** Code without the content of its strings. */
function withoutText(code: string): string {
  return code.replace(
    /'(?:\\.|[^'\\\n])*'|"(?:\\.|[^"\\\n])*"|`(?:\\[\s\S]|[^`\\])*`|\/(?:\\.|\[[^\]\n]*\]|[^/\\\n[])+\/[dgimsuvy]*/g,
    "''",
  )
}

describe('one noun, one name', () => {
  type Place = 'migration' | 'api' | 'page' | 'test'
  // Where a place has a name of its own: the seeds fix it, or the noun is shown within another page.
  const ELSEWHERE: Record<string, Partial<Record<Place, string>>> = {
    tenants: { page: 'app/(platform)/tenants/page.tsx' },
    onboarding: { api: 'app/api/v1/onboarding-status/route.ts', page: 'app/[tenant]/page.tsx' },
  }

  const features = globSync('features/*', { cwd: inRepository() }).map((path) => basename(path))
  const nouns = NOUNS.filter((noun) => features.includes(noun))

  test('the nouns of the permissions are features', () => expect(nouns.length).toBeGreaterThan(4))

  test.each(nouns)('%s', (noun) => {
    const patterns: Record<Place, string> = {
      migration: `supabase/migrations/*_${noun.replaceAll('-', '_')}.sql`,
      api: `app/api/v1/${noun}/**/route.ts`,
      page: `app/[[]tenant[]]/{,settings/}${noun}/page.tsx`,
      test: `tests/integration/${noun}.test.ts`,
    }
    const missing = Object.entries(patterns).filter(([place, pattern]) => {
      const elsewhere = ELSEWHERE[noun]?.[place as Place]
      if (elsewhere) return !existsSync(inRepository(elsewhere))
      return globSync(pattern, { cwd: inRepository() }).length === 0
    })
    expect(missing).toEqual([])
    for (const file of ['schema.ts', 'openapi.ts', 'services'])
      expect([file, existsSync(inRepository('features', noun, file))]).toEqual([file, true])
  })
})

describe('messages', () => {
  const texts = new Map<string, string>()
  const collect = (node: unknown, prefix: string): void => {
    if (typeof node === 'string') texts.set(prefix, node)
    else for (const [key, inner] of Object.entries(node as object)) collect(inner, prefix ? `${prefix}.${key}` : key)
  }
  for (const { path, text } of readSources('messages/en/*.json')) collect(JSON.parse(text), basename(path, '.json'))
  const screens = product.filter(({ path }) => /\.tsx?$/.test(path))

  test('every key that is written out exists', () => {
    const broken = findBroken(screens, ({ code }) =>
      [...code.matchAll(/\bt\(\s*'([a-z][\w.-]*)'/g)].map((match) => match[1] ?? '').filter((key) => !texts.has(key)),
    )
    expect(texts.size).toBeGreaterThan(200)
    expect(broken).toEqual([])
  })

  test('every text is shown somewhere', () => {
    const shown = everything.filter(({ path }) => !path.startsWith('tests/')).map(({ code }) => code)
    const written = new Set(
      shown.flatMap((code) => [...code.matchAll(/'([\w-]+(?:\.[\w-]+)+)'/g)].map((match) => match[1])),
    )
    const patterns = shown
      .flatMap((code) => [...code.matchAll(/`([\w-]+\.[\w.-]*\$\{[^`]*)`/g)].map(([, text = '']) => text))
      .map((text) =>
        text
          .split(/\$\{[^}]*\}/)
          .map(RegExp.escape)
          .join('[\\w.-]+'),
      )
    const computed = new RegExp(`^(${[...new Set(patterns)].join('|')})$`)
    // The page of the mails reads its file directly, as nobody else needs it.
    const unused = [...texts.keys()].filter(
      (key) => !written.has(key) && !computed.test(key) && !key.startsWith('mail.'),
    )
    expect(unused).toEqual([])
  })

  test('no key is forced past the compiler', () => {
    expect(findBroken(screens, ({ code }) => code.match(/as (unknown as )?MessageKey/g))).toEqual([])
  })

  test('every text is well-formed, in sentences without placeholders of its author', () => {
    const numbers = new Proxy({}, { get: () => 3, has: () => true }) as Record<string, number>
    for (const [key, text] of texts) {
      expect(text.trim(), key).not.toBe('')
      // Code within a sentence stands in backticks, and may hold what it likes.
      expect(formatMessage(text, numbers).replaceAll(/`[^`]*`/g, ''), key).not.toMatch(/[{}]|lorem|TODO|undefined/i)
    }
  })
})
