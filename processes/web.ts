// The web server of production: Next behind one rule of ours. `next start` would believe every X-Forwarded-* header; here
// they count only when TRUSTED_PROXY_HOPS says that a proxy of the operator's sets them. Without one Next notes the
// address of the connection itself.
import { createServer, type IncomingMessage } from 'node:http'
import next from 'next'
import { env } from '@/libs/env'

const FORWARDED = [
  'x-forwarded-for',
  'x-forwarded-host',
  'x-forwarded-proto',
  'x-forwarded-port',
  'x-real-ip',
  'forwarded',
]
const SHUTDOWN_MS = 10_000

function dropUntrusted(request: IncomingMessage): void {
  for (const name of FORWARDED) delete request.headers[name]
}

async function main(): Promise<void> {
  const { PORT, TRUSTED_PROXY_HOPS } = env()
  const hostname = process.env.HOST || '127.0.0.1'
  // Next writes loopback addresses as `localhost` in the URLs it hands to the middleware; under any other name it would take
  // a rewrite of ours for one to a foreign server and fetch it over HTTP.
  const app = next({ dev: false, port: PORT, hostname: 'localhost' })
  await app.prepare()
  const handle = app.getRequestHandler()
  const server = createServer(
    { requestTimeout: 60_000, headersTimeout: 20_000, maxHeaderSize: 32_768 },
    (request, response) => {
      if (TRUSTED_PROXY_HOPS === 0) dropUntrusted(request)
      void handle(request, response)
    },
  )
  const stop = () => {
    server.close(() => process.exit(0))
    server.closeIdleConnections()
    setTimeout(() => process.exit(0), SHUTDOWN_MS).unref()
  }
  process.once('SIGTERM', stop)
  process.once('SIGINT', stop)
  server.listen(PORT, hostname)
}

await main()
