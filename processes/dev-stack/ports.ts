import { createServer } from 'node:net'
import { StackError } from './stack-error'

/** Whether 127.0.0.1:`port` (and the wildcard address, which Next binds) can be listened on now. */
export async function isPortFree(port: number): Promise<boolean> {
  return (await canListen(port, '127.0.0.1')) && (await canListen(port, undefined))
}

/** Throws a StackError naming the port and its variable when something else is listening on it. */
export async function requireFreePort(port: number, variable: string, ownPorts: number[]): Promise<void> {
  if (await isPortFree(port)) return
  if ((await tryToListen(port, '127.0.0.1')) === 'EACCES') {
    throw new StackError(
      `Port ${port} (${variable}) is not open to this user: low ports belong to the administrator.`,
      `Choose one of 1024 and above: ${variable}=${await findFreePort(1024 + port, ownPorts)} npm start`,
    )
  }
  throw new StackError(
    `Port ${port} (${variable}) is in use by another program.`,
    `Stop that program, or choose another port: ${variable}=${await findFreePort(port + 1, ownPorts)} npm start`,
  )
}

/** A free port at or above `from`, or any free port the system picks when `from` is 0. */
export async function findFreePort(from = 0, except: number[] = []): Promise<number> {
  if (from === 0) return pickPort()
  for (let port = from; port < 65_536; port += 1) {
    if (!except.includes(port) && (await isPortFree(port))) return port
  }
  throw new StackError('No free port was found.', 'Stop a program that listens on many ports and try again.')
}

async function canListen(port: number, host: string | undefined): Promise<boolean> {
  return (await tryToListen(port, host)) === null
}

/** The code of the error when a port cannot be listened on, null when it can. */
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
