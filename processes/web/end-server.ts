import type { Server } from 'node:http'

const SWEEP_MS = 50

/**
 * Ends a server: nobody is let in any more, what is being answered is, and each connection goes with its answer, which says so, so
 * that clients send what comes next elsewhere. Resolves when the last has gone, or after `patienceMs`.
 */
export function endServer(server: Server, patienceMs: number): Promise<void> {
  server.prependListener('request', (_request, response) => response.setHeader('connection', 'close'))
  return new Promise((resolve) => {
    // A connection whose answer was under way is still open after it, for as long as it is kept alive.
    const sweep = setInterval(() => server.closeIdleConnections(), SWEEP_MS)
    const end = () => {
      clearInterval(sweep)
      clearTimeout(late)
      resolve()
    }
    const late = setTimeout(end, patienceMs)
    server.close(end)
  })
}
