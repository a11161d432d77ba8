import { spawn } from 'node:child_process'
import { inRepository } from './repository'
import { StackError } from './stack-error'

/** Environment that keeps the Supabase CLI quiet: no telemetry, no questions, no coloured output. */
const CLI_ENVIRONMENT = {
  SUPABASE_TELEMETRY_DISABLED: '1',
  SUPABASE_NO_UPDATE_NOTIFIER: '1',
  DO_NOT_TRACK: '1',
  NO_COLOR: '1',
  CI: '1',
}

/**
 * Applies the pending files of supabase/migrations with the Supabase CLI as the login of `ownerUrl`, each file in one
 * transaction. Returns the names of the files applied, oldest first; throws StackError with the CLI's words on failure.
 */
export async function applyMigrations(ownerUrl: string): Promise<string[]> {
  const { code, output } = await runSupabaseCli(['migration', 'up', `--remote=${ownerUrl}`, '--yes', '--agent', 'no'])
  const late = code === 0 ? null : /inserted before the last migration/.exec(output)
  if (late) {
    const files = [...output.matchAll(/(\d{14}_\w+\.sql)/g)].map(([, name]) => name)
    throw new StackError(
      `This database is ahead of migrations that were added later: ${[...new Set(files)].join(', ')}.`,
      'Give them a later number than the last one applied, or start afresh with npm run reset.',
    )
  }
  const away = code === 0 ? null : findWhyAway(output)
  if (away) {
    throw new StackError(
      `The migrations cannot reach the database: ${away}.`,
      'See that it runs, and that OWNER_DATABASE_URL has the right host, login, password and name.',
    )
  }
  if (code !== 0) {
    throw new StackError(
      `A migration failed:\n${tidy(output)}`,
      'Correct the file named above (a failed file leaves nothing behind) and start again.',
    )
  }
  return [...output.matchAll(/Applying migration (\S+?\.sql)/g)].map((match) => match[1] ?? '')
}

/** Why the CLI could not connect; null when it could. */
function findWhyAway(output: string): string | null {
  if (output.includes('Cannot resolve "')) return 'OWNER_DATABASE_URL is not postgres://login:password@host:5432/name'
  const [, why] = /failed to connect to `[^`]*`: (.+)/.exec(output) ?? []
  return why ?? null
}

/** Runs the Supabase CLI of node_modules in the checkout; `output` is what it wrote to both streams. */
export function runSupabaseCli(args: string[]): Promise<{ code: number | null; output: string }> {
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, [inRepository('node_modules', 'supabase', 'dist', 'supabase.js'), ...args], {
      cwd: inRepository(),
      env: { ...process.env, ...CLI_ENVIRONMENT },
      stdio: ['ignore', 'pipe', 'pipe'],
    })
    let output = ''
    child.stdout.on('data', (chunk) => {
      output += chunk
    })
    child.stderr.on('data', (chunk) => {
      output += chunk
    })
    child.once('error', reject)
    child.once('close', (code) => resolve({ code, output }))
  })
}

function tidy(output: string): string {
  return output
    .split('\n')
    .filter((line) => !/without TLS|^[│\s]*$|Confirmed by --yes|^Target:/.test(line))
    .join('\n')
}
