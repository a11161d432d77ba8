import { existsSync, globSync, readFileSync } from 'node:fs'
import { dirname, join, normalize } from 'node:path'
import { inRepository } from '../../processes/dev-stack/repository'

/** A file of the repository: its path from the root, its text, and that text without comments. */
export type SourceFile = { path: string; text: string; code: string }

/** Whether a path of a glob is not ours: installed, built or written by a machine. */
const isForeign = (path: string): boolean =>
  /(^|\/)(node_modules|\.next|\.data|generated)(\/|$)|next-env\.d\.ts$/.test(path)

/** Files that match a pattern, sorted by path. */
export function readSources(...patterns: string[]): SourceFile[] {
  return globSync(patterns, { cwd: inRepository(), exclude: isForeign })
    .map((path) => path.replaceAll('\\', '/'))
    .filter((path) => !isForeign(path))
    .sort()
    .map((path) => {
      const text = readFileSync(inRepository(path), 'utf8')
      return { path, text, code: withoutComments(text) }
    })
}

/** Strings are kept whole, so that a `//` within an address is not taken for a comment. */
function withoutComments(text: string): string {
  return text.replace(
    /('(?:\\.|[^'\\\n])*'|"(?:\\.|[^"\\\n])*"|`(?:\\[\s\S]|[^`\\])*`)|\/\*[\s\S]*?\*\/|\/\/[^\n]*/g,
    (_, string: string | undefined) => string ?? '',
  )
}

const IMPORT = /(?:\bfrom\s*|\bimport\s*\(?\s*)(['"])([^'"\n]+)\1/g
const TYPE_ONLY = /\b(?:import|export)\s+type\s[^;'"]*?from\s*(['"])[^'"\n]+\1/g

/** What a file imports: paths from the root for files of ours, names for packages. Types may be left out. */
export function importsOf(file: SourceFile, { types = true } = {}): string[] {
  const code = types ? file.code : file.code.replace(TYPE_ONLY, '')
  return [...code.matchAll(IMPORT)].map((match) => resolveImport(file.path, match[2] ?? ''))
}

function resolveImport(from: string, specifier: string): string {
  const path = specifier.startsWith('@/')
    ? specifier.slice(2)
    : specifier.startsWith('.')
      ? normalize(join(dirname(from), specifier))
      : null
  if (path === null) return specifier
  const found = ['', '.ts', '.tsx', '/index.ts', '/index.tsx'].find(
    (ending) => /\.\w+$/.test(path + ending) && existsSync(inRepository(path + ending)),
  )
  return path + (found ?? '')
}
