// The stack: `npm start`, `npm run dev`, `npm run reset`, `npm run doctor`. Run by processes/start.mjs, which has seen to
// Node and to node_modules.
import { doctor } from './doctor'
import { explain } from './progress'
import { resetDemo } from './reset'
import { runStack, type Stack, StoppedEarly } from './run'
import { readSettings, requireKnownOptions } from './settings'

const options = new Set(process.argv.slice(2))

try {
  requireKnownOptions([...options])
  if (options.has('--doctor')) process.exit(await doctor())
  if (options.has('--reset')) process.exit(await resetDemo(options.has('--yes')))
  await main()
} catch (error) {
  explain(error)
  process.exit(1)
}

async function main(): Promise<void> {
  let stack: Stack | undefined
  let stopping: Promise<void> | undefined
  const stop = (exitCode: number) => {
    stopping ??= (async () => {
      if (exitCode === 0) process.stdout.write('\n  Stopping …\n')
      await stack?.stop()
      if (exitCode === 0) process.stdout.write('  Everything has stopped.\n')
      process.exit(exitCode)
    })()
    return stopping
  }
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => void stop(0))
  process.on('disconnect', () => void stop(0)) // the process that started us has gone
  process.on('uncaughtException', (error) => {
    explain(error)
    void stop(1)
  })
  // Nobody is there any more when a terminal or a pipe was closed. Words that a full disk does not take are no reason to stop.
  for (const stream of [process.stdout, process.stderr])
    stream.on('error', (error: NodeJS.ErrnoException) => {
      if (error.code === 'EPIPE' || error.code === 'EIO') void stop(0)
    })

  try {
    await runStack(readSettings(options.has('--dev') ? 'development' : 'production'), (started) => {
      stack = started
    })
  } catch (error) {
    if (stopping) return
    if (!(error instanceof StoppedEarly)) explain(error)
    await stop(1)
  }
}
