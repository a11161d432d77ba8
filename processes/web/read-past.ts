import type { IncomingMessage, ServerResponse } from 'node:http'

/**
 * Reads past what is left of a request that was answered before its end, as one that is too large is. Node does so by itself
 * unless somebody has begun to read; then the rest would stand before the next request of the connection, which never gets through.
 */
export function readPastUnread(request: IncomingMessage, response: ServerResponse): void {
  response.once('finish', () => {
    if (request.complete) return
    request.unpipe()
    request.removeAllListeners('data').removeAllListeners('readable')
    // A stream learns in its next turn that nobody listens.
    setImmediate(() => request.resume())
  })
}
