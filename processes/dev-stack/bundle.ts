import { mkdirSync, renameSync, writeFileSync } from 'node:fs'
import { basename, dirname } from 'node:path'
import { buildSync } from 'esbuild'
import { inRepository } from './repository'

/**
 * What Node is told beside the file. Requests live for milliseconds: room for the young, from the first moment and tidied by one
 * thread, keeps the collector from copying them and from the core the database needs.
 */
const FLAGS: Record<string, readonly string[]> = {
  'ingest.ts': ['--min-semi-space-size=64', '--max-semi-space-size=64', '--no-parallel-scavenge'],
}

/**
 * The arguments that have Node run a process of the product in production: one file of JavaScript made of `processes/<file>` and
 * all of ours that it imports, packages left where they are, so that no compiler runs along. It is made in a tenth of a second,
 * anew each time, and put in its place whole.
 */
export function bundleProcess(file: string): string[] {
  const path = inRepository('node_modules', '.cache', 'holdfast', basename(file).replace(/\.ts$/, '.mjs'))
  const { outputFiles } = buildSync({
    entryPoints: [inRepository('processes', file)],
    outfile: path,
    bundle: true,
    platform: 'node',
    format: 'esm',
    target: `node${process.versions.node}`,
    packages: 'external',
    sourcemap: 'inline',
    write: false,
    logLevel: 'silent',
  })
  mkdirSync(dirname(path), { recursive: true })
  for (const { contents } of outputFiles) {
    const unfinished = `${path}.${process.pid}`
    writeFileSync(unfinished, contents)
    renameSync(unfinished, path)
  }
  return [...(FLAGS[file] ?? []), '--enable-source-maps', path]
}
