import { createServer } from 'node:net'
import { StackError } from './stack-error'

/** Below it ports belong to the administrator. */
const LOWEST_OPEN_PORT = 1_024

/** Whether `port` can be listened on now, on 127.0.0.1 and on every address: browsers may try another one of this machine first. */
export async function isPortFree(port: number): Promise<boolean> {
  return (await whyTaken(port)) === null
}

/** The code of the error when a port cannot be listened on, null when it can. */
async function whyTaken(port: number): Promise<string | null> {
  return (await tryToListen(port, '127.0.0.1')) ?? (await tryToListen(port, undefined))
}

/**
 * Throws a StackError that names every port which cannot be listened on, with its variable, and a command with others that can.
 * `command` is what the person called.
 */
export async function requireFreePorts(ports: [variable: string, port: number][], command: string): Promise<void> {
  const states = await Promise.all(
    ports.map(async ([variable, port]) => ({ variable, port, why: await whyTaken(port) })),
  )
  const taken = states.filter(({ why }) => why !== null)
  if (taken.length === 0) return
  const others: string[] = []
  const except = ports.map(([, port]) => port)
  for (const { variable, port, why } of taken) {
    const other = await findFreePort(why === 'EACCES' ? LOWEST_OPEN_PORT + port : port + 1, except)
    except.push(other)
    others.push(`${variable}=${other}`)
  }
  const closed = taken.filter(({ why }) => why === 'EACCES')
  const busy = taken.filter(({ why }) => why !== 'EACCES')
  const choice = `choose ${taken.length === 1 ? 'another port' : 'other ports'}: ${others.join(' ')} ${command}`
  const sentences = [
    ...(busy.length > 0
      ? [`${namePorts(busy)} in use by ${busy.length === 1 ? 'another program' : 'other programs'}.`]
      : []),
    ...(closed.length > 0
      ? [`${namePorts(closed)} not open to this user: low ports belong to the administrator.`]
      : []),
  ]
  const stop = `Stop ${busy.length === 1 ? 'that program' : 'those programs'}, or `
  throw new StackError(
    sentences.join('\n'),
    closed.length > 0 ? `${choice[0]?.toUpperCase()}${choice.slice(1)}` : `${stop}${choice}`,
  )
}

/** Throws a StackError when `host` is not an address of this machine, which nothing can listen on. */
export async function requireOwnAddress(host: string): Promise<void> {
  const why = await tryToListen(0, host)
  if (why === null) return
  throw new StackError(
    `HOST is "${host}", which is no address of this machine (${why}).`,
    'Unset it for this machine only, or set it to one of its addresses, or to 0.0.0.0 for all of them.',
  )
}

/** `Port 3000 (PORT) is`, `Ports 3000 (PORT) and 3001 (INGEST_PORT) are`. */
function namePorts(ports: { variable: string; port: number }[]): string {
  const names = ports.map(({ variable, port }) => `${port} (${variable})`)
  const last = names.pop() ?? ''
  return names.length === 0 ? `Port ${last} is` : `Ports ${names.join(', ')} and ${last} are`
}

/** A free port at or above `from` (or below, when there is none), or any free port the system picks when `from` is 0. */
export async function findFreePort(from = 0, except: number[] = []): Promise<number> {
  if (from === 0) return pickPort()
  for (const [first, last] of [
    [from, 65_535],
    [LOWEST_OPEN_PORT, from - 1],
  ] as const) {
    for (let port = first; port <= last; port += 1) if (!except.includes(port) && (await isPortFree(port))) return port
  }
  throw new StackError('No free port was found.', 'Stop a program that listens on many ports and try again.')
}

function tryToListen(port: number, host: string | undefined): Promise<string | null> {
  return new Promise((resolve) => {
    const server = createServer()
    server.once('error', (error: NodeJS.ErrnoException) => resolve(error.code ?? error.message))
    server.listen({ port, host, exclusive: true }, () => server.close(() => resolve(null)))
  })
}

function pickPort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer()
    server.once('error', reject)
    server.listen({ port: 0, host: '127.0.0.1', exclusive: true }, () => {
      const address = server.address()
      const port = typeof address === 'object' && address ? address.port : 0
      server.close(() => resolve(port))
    })
  })
}
