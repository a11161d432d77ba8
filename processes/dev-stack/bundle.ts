import { renameSync } from 'node:fs'
import { buildSync } from 'esbuild'
import { inRepository } from './repository'
import { StackError } from './stack-error'

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
  const path = inRepository('node_modules', '.cache', 'holdfast', file.replace(/\.ts$/, '.mjs'))
  const unfinished = `${path}.${process.pid}`
  try {
    buildSync({
      entryPoints: [inRepository('processes', file)],
      outfile: unfinished,
      bundle: true,
      platform: 'node',
      format: 'esm',
      target: `node${process.versions.node}`,
      packages: 'external',
      sourcemap: 'inline',
      logLevel: 'silent',
    })
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error)
    throw new StackError(
      `processes/${file} could not be bundled: ${reason}`,
      'Mend what it names; node_modules must be writable for whoever starts this.',
    )
  }
  renameSync(unfinished, path)
  return [...(FLAGS[file] ?? []), '--enable-source-maps', path]
}
