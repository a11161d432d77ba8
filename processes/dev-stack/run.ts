import { buildApplication, isBuildCurrent } from './build'
import type { Child } from './child-process'
import { logFile, prepareDataDirectory, watchLogs } from './data-directory'
import { describeDemo, writeDemoFile } from './demo'
import { migrate, prepareRoles, startEmbeddedDatabase } from './embedded-database'
import { startGuard } from './guard'
import { requireFreePorts, requireOwnAddress } from './ports'
import type { EmbeddedPostgres } from './postgres'
import { bold, step } from './progress'
import { requireReadablePath } from './repository'
import { claimDataDirectory } from './run-record'
import { loadSecrets } from './secrets'
import { readSeed, seedDemo } from './seed'
import { type ServiceContext, startAuthApi, startIngest, startWeb, startWorker } from './services'
import { portsOf, type Settings } from './settings'
import { authDatabaseUrl, productEnvironment, requireUsable, stackAddresses } from './stack-environment'

/** A started stack. `stop` ends everything in order: Next, ingest, worker, Auth API, Postgres. */
export type Stack = { stop: () => Promise<void> }

/**
 * Starts everything, saying what it does; ends with the box of addresses and logins. `onStarted` hears early of the handle
 * that stops what has been started so far, so that Ctrl-C works at any moment.
 */
export async function runStack(settings: Settings, onStarted: (stack: Stack) => void): Promise<void> {
  requireReadablePath()
  prepareDataDirectory(settings.data_dir)
  const record = await claimDataDirectory(settings.data_dir)
  const logs = watchLogs(settings.data_dir)
  const running: Child[] = []
  let postgres: EmbeddedPostgres | undefined
  let starting: Promise<unknown> = Promise.resolve()
  const stopped = new AbortController()
  onStarted({
    stop: async () => {
      stopped.abort()
      await starting.catch(() => {})
      for (const child of running.toReversed()) await child.stop()
      await postgres?.stop()
      clearInterval(logs)
      record.clear()
    },
  })

  await requireOwnAddress(settings.host)
  await requireFreePorts(portsOf(settings), settings.mode === 'production' ? 'npm start' : 'npm run dev')
  const secrets = loadSecrets(settings.data_dir)
  const addresses = stackAddresses(settings, secrets)
  const env = productEnvironment(settings, secrets, addresses)
  requireUsable(env)
  const guard = startGuard()
  const watch = (name: string, pid: number, isRunning: boolean) => {
    if (isRunning) {
      guard.watchProcess(pid, name === 'postgres' ? 'SIGINT' : 'SIGTERM')
      record.add(name, pid)
    } else {
      guard.release(pid)
      record.remove(pid)
    }
  }
  const context: ServiceContext = { settings, secrets, env, onPid: watch }

  /** One step that can be waited for by `stop`; nothing starts once it has been called. */
  async function next<T>(label: string, work: (say: (text: string) => void) => Promise<T>): Promise<T> {
    if (stopped.signal.aborted) throw new StoppedEarly()
    const now = step(label, work)
    starting = now
    return now
  }
  /** What the build and the seed are watched by: they end with us, however we end. */
  const watchStep = (name: string) => ({
    log_file: logFile(settings.data_dir, name),
    signal: stopped.signal,
    onPid: (pid: number, isRunning: boolean) => watch(name, pid, isRunning),
  })
  const launch = (label: string, start: (context: ServiceContext) => Promise<Child>) =>
    next(label, async () => {
      running.push(await start(context))
    })

  process.stdout.write(`\n  ${bold('Holdfast')} in ${settings.data_dir}\n\n`)
  if (!settings.external) {
    const cluster = await next('Postgres 17', async () => {
      // Known before the step has ended, so that whoever stops in this very moment stops it too.
      postgres = await startEmbeddedDatabase(settings, secrets, (pid, isRunning) => watch('postgres', pid, isRunning))
      return postgres
    })
    await next('Roles and databases', () => prepareRoles(cluster, secrets))
  }
  const ownerUrl = addresses.database.owner_url
  if (ownerUrl) await next('Migrations', (say) => migrate(ownerUrl, say))
  if (!settings.external) await launch('Supabase API', startAuthApi)
  const authUrl = settings.external ? undefined : authDatabaseUrl(settings, secrets)
  if (settings.seed) await next('Demo data', () => seedDemo(env, ownerUrl, authUrl, watchStep('seed')))
  await launch('Worker', startWorker)
  await launch('Ingest', startIngest)
  if (settings.mode === 'production') {
    await next('Building the application (a minute or so, once)', async (say) => {
      if (isBuildCurrent()) return say('Build is current')
      await buildApplication(env, watchStep('build'))
      say('Application built')
    })
  }
  await launch(settings.mode === 'production' ? 'Web' : 'Web (development mode)', startWeb)

  const seed = settings.seed ? readSeed(settings.data_dir) : { tenants: [], operators: [] }
  const demoFile = writeDemoFile(settings, addresses, seed)
  process.stdout.write(`\n${describeDemo(settings, addresses, seed, demoFile)}\n\n`)
}

/** Thrown out of the start when it was interrupted; nothing went wrong. */
export class StoppedEarly extends Error {}
