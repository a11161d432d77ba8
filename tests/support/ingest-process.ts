import { type ChildProcess, spawn } from 'node:child_process'
import { Agent, request as httpRequest } from 'node:http'
import { setTimeout as sleep } from 'node:timers/promises'
import { bundleProcess } from '../../processes/dev-stack/bundle'
import { type Guard, startGuard } from '../../processes/dev-stack/guard'
import { findFreePort } from '../../processes/dev-stack/ports'
import { inRepository } from '../../processes/dev-stack/repository'

export type IngestProcess = {
  url: string
  port: number
  process: ChildProcess
  /** Sends one request; the answer is parsed where it is JSON. */
  send: (
    options: SendOptions,
  ) => Promise<{ status: number; headers: Record<string, unknown>; body: ReturnType<typeof JSON.parse> }>
  /** Ends it with a signal, and gives its exit code. */
  end: (signal?: NodeJS.Signals) => Promise<number | null>
}
export type SendOptions = {
  path: string
  method?: string
  headers?: Record<string, string>
  body?: unknown
}

let guard: Guard | undefined
let program: string[] | undefined

/**
 * The real ingest process, made as in production, on a port of its own, against the database of this test file (or another
 * `environment`). It ends with the run of the tests, however that ends.
 */
export async function startIngestProcess(environment: Record<string, string> = {}): Promise<IngestProcess> {
  const port = await findFreePort()
  program ??= bundleProcess('ingest.ts')
  const child = spawn(process.execPath, program, {
    cwd: inRepository(),
    stdio: ['ignore', 'ignore', 'pipe'],
    env: { ...process.env, LOG_LEVEL: 'silent', ...environment, INGEST_PORT: String(port), NODE_ENV: 'production' },
  })
  const { pid } = child
  guard ??= startGuard()
  if (pid) guard.watchProcess(pid, 'SIGKILL')
  child.once('exit', () => pid && guard?.release(pid))
  let errors = ''
  child.stderr?.on('data', (chunk) => {
    errors += String(chunk)
  })
  const agent = new Agent({ keepAlive: true, maxSockets: 64 })
  const send = ({ path, method = 'POST', headers = {}, body }: SendOptions) =>
    new Promise<{ status: number; headers: Record<string, unknown>; body: ReturnType<typeof JSON.parse> }>(
      (resolve, reject) => {
        const text =
          body === undefined
            ? undefined
            : typeof body === 'string' || Buffer.isBuffer(body)
              ? body
              : JSON.stringify(body)
        const outgoing = httpRequest(
          {
            agent,
            port,
            host: '127.0.0.1',
            path,
            method,
            headers: {
              'content-type': 'application/json',
              ...(text ? { 'content-length': Buffer.byteLength(text) } : {}),
              ...headers,
            },
          },
          (incoming) => {
            let answer = ''
            incoming.on('data', (chunk) => {
              answer += String(chunk)
            })
            incoming.on('end', () => {
              const isJson = /json/.test(incoming.headers['content-type'] ?? '')
              resolve({
                status: incoming.statusCode ?? 0,
                headers: incoming.headers,
                body: isJson && answer !== '' ? JSON.parse(answer) : answer,
              })
            })
            incoming.on('error', reject)
          },
        )
        outgoing.on('error', reject)
        outgoing.end(text)
      },
    )
  for (let waited = 0; ; waited += 50) {
    const answered = await send({ path: '/healthz', method: 'GET' }).then(
      () => true,
      () => false,
    )
    if (answered) break
    if (child.exitCode !== null || waited > 120_000) throw new Error(`The ingest process did not start: ${errors}`)
    await sleep(50)
  }
  return {
    url: `http://127.0.0.1:${port}`,
    port,
    process: child,
    send,
    end: async (signal = 'SIGTERM') => {
      agent.destroy()
      if (child.exitCode !== null || child.signalCode !== null) return child.exitCode
      const gone = new Promise<number | null>((resolve) => child.once('exit', resolve))
      child.kill(signal)
      return gone
    },
  }
}
