import { bundleProcess } from './bundle'
import { type Child, startChild } from './child-process'
import { logFile } from './data-directory'
import { answersOk, isListening } from './readiness'
import { redirectsBelow } from './redirects'
import { inRepository } from './repository'
import type { Secrets } from './secrets'
import type { Settings } from './settings'
import { authDatabaseUrl, isLoopback, reachableHost } from './stack-environment'

/** What the processes of the stack are started from. */
export type ServiceContext = {
  settings: Settings
  secrets: Secrets
  env: NodeJS.ProcessEnv
  onPid: (name: string, pid: number, running: boolean) => void
}

const typescript = (file: string) => ['--import', 'tsx', inRepository('processes', file)]
const program = ({ settings }: ServiceContext, file: string) =>
  settings.mode === 'production' ? bundleProcess(file) : typescript(file)

/** The Supabase Auth API on its own database. */
export function startAuthApi(context: ServiceContext): Promise<Child> {
  const { settings, secrets } = context
  const url = `http://127.0.0.1:${settings.supabase_port}`
  const own = (process.env.AUTH_REDIRECT_URLS ?? '').split(',').filter(Boolean)
  return start(context, 'supabase-api', {
    args: typescript('supabase-api.ts'),
    env: {
      ...context.env,
      SUPABASE_DATABASE_URL: authDatabaseUrl(settings, secrets),
      SUPABASE_PORT: String(settings.supabase_port),
      SUPABASE_SECRET_KEY: secrets.secret_key,
      AUTH_SITE_URL: `http://app.${settings.root_domain}/auth/confirm`,
      AUTH_REDIRECT_URLS: [
        ...redirectsBelow(settings.root_domain),
        `http://portal.acme.test:${settings.port}/**`,
        ...own,
      ].join(),
      SUPABASE_CONFIRM_EMAIL: String(settings.confirm_email),
      DATABASE_URL: undefined,
      OPERATOR_DATABASE_URL: undefined,
    },
    isReady: () => answersOk(`${url}/auth/v1/health`, { apikey: secrets.publishable_key }),
  })
}

/** Jobs, outbox, deliveries. */
export function startWorker(context: ServiceContext): Promise<Child> {
  return start(context, 'worker', { args: program(context, 'worker.ts'), env: context.env })
}

/** The hot path on a bare HTTP server. */
export function startIngest(context: ServiceContext): Promise<Child> {
  const { ingest_port, host } = context.settings
  return start(context, 'ingest', {
    args: program(context, 'ingest.ts'),
    env: context.env,
    isReady: () => isListening(ingest_port, reachableHost(host)),
  })
}

/** The web application: processes/web.ts on the build, or `next dev`. */
export function startWeb(context: ServiceContext): Promise<Child> {
  const { settings } = context
  const next = inRepository('node_modules', 'next', 'dist', 'bin', 'next')
  return start(context, 'web', {
    args:
      settings.mode === 'production'
        ? program(context, 'web.ts')
        : [
            next,
            'dev',
            '--port',
            String(settings.port),
            '--hostname',
            isLoopback(settings.host) ? 'localhost' : settings.host,
          ],
    env: context.env,
    // `localhost`, as `next dev` has it, may be either.
    isReady: async () =>
      (await isListening(settings.port, reachableHost(settings.host))) ||
      (isLoopback(settings.host) && isListening(settings.port, '::1')),
  })
}

function start(
  context: ServiceContext,
  name: string,
  options: { args: string[]; env: NodeJS.ProcessEnv; isReady?: () => Promise<boolean> },
): Promise<Child> {
  return startChild({
    ...options,
    name,
    log_file: logFile(context.settings.data_dir, name),
    onPid: (pid, running) => context.onPid(name, pid, running),
  })
}
