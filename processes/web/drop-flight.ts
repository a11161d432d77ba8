import type { IncomingMessage } from 'node:http'

/** What pages of Next ask for parts of a page with. */
const FLIGHT = [
  'rsc',
  'next-router-state-tree',
  'next-router-prefetch',
  'next-router-segment-prefetch',
  'next-hmr-refresh',
  'next-url',
  'next-action',
]

/** Of a request to the API: Next would lead it elsewhere, or look for a page, where a client or a proxy sends one of them. */
export function dropFlight({ headers }: Pick<IncomingMessage, 'headers'>): void {
  for (const name of FLIGHT) delete headers[name]
}
