import { connect, createServer, type Socket } from 'node:net'
import { requireVariable } from './variables'

/** A way to the database of this test file that can be held: what is sent then waits, as it does at a server that was stopped. */
export type StillNetwork = {
  /** DATABASE_URL that leads through it. */
  url: string
  /** Nothing comes through any more, either way; new connections are made and stay empty. */
  hold: () => void
  /** What was held goes on, also of those who have gone since. */
  release: () => void
  close: () => Promise<void>
}

export async function startStillNetwork(): Promise<StillNetwork> {
  const target = new URL(requireVariable('DATABASE_URL'))
  const sockets = new Set<Socket>()
  let still = false
  const server = createServer({ allowHalfOpen: true }, (client) => {
    const database = connect({ host: target.hostname, port: Number(target.port), allowHalfOpen: true })
    for (const [from, to] of [
      [client, database],
      [database, client],
    ] as const) {
      sockets.add(from)
      from.on('error', () => to.destroy())
      from.on('close', () => sockets.delete(from))
      from.pipe(to)
      if (still) from.pause()
    }
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const address = server.address()
  if (!address || typeof address === 'string') throw new Error('A server that listens has a port.')
  const url = new URL(target)
  url.port = String(address.port)
  return {
    url: url.href,
    hold: () => {
      still = true
      for (const socket of sockets) socket.pause()
    },
    release: () => {
      still = false
      for (const socket of sockets) socket.resume()
    },
    close: async () => {
      for (const socket of sockets) socket.destroy()
      await new Promise((resolve) => server.close(resolve))
    },
  }
}
