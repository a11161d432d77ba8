// A server that is told to stop: nobody is cut off, and nobody holds it up by asking on.
import { once } from 'node:events'
import { Agent, createServer, request, type Server } from 'node:http'
import { type AddressInfo, connect } from 'node:net'
import { afterEach, expect, test } from 'vitest'
import { endServer } from '../../processes/web/end-server'

const agent = new Agent({ keepAlive: true, maxSockets: 1 })
let server: Server
let open: Promise<void> = Promise.resolve()

async function startServer(): Promise<number> {
  server = createServer((_request, response) => void open.then(() => response.end('done')))
  server.keepAliveTimeout = 60_000
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  return (server.address() as AddressInfo).port
}
afterEach(() => {
  agent.destroy()
  server.closeAllConnections()
})

const ask = (port: number) =>
  new Promise<string>((resolve, reject) => {
    const asked = request({ port, host: '127.0.0.1', agent }, (response) => {
      response.resume()
      response.once('end', () => resolve(`${response.statusCode} ${response.headers.connection}`))
    })
    asked.once('error', reject)
    asked.end()
  })

test('who asks on and on is told to go with the next answer, and the end does not wait for them', async () => {
  const port = await startServer()
  const { promise, resolve } = Promise.withResolvers<void>()
  expect(await ask(port)).toBe('200 keep-alive')
  open = promise
  const underWay = ask(port)
  await once(server, 'request')
  const started = performance.now()
  const ended = endServer(server, 20_000)
  resolve()
  expect(await underWay).toMatch(/^200 /)
  await ended
  expect(performance.now() - started).toBeLessThan(5_000)
  agent.destroy()
  await expect(ask(port)).rejects.toThrow(/ECONNREFUSED/)
})

test('what comes on a connection that is still there is answered, and told to go', async () => {
  const port = await startServer()
  const socket = connect(port, '127.0.0.1')
  let heard = ''
  socket.on('data', (chunk) => {
    heard += chunk
  })
  const { promise, resolve } = Promise.withResolvers<void>()
  open = promise
  socket.write('GET /1 HTTP/1.1\r\nHost: a\r\n\r\n')
  await once(server, 'request')
  const ended = endServer(server, 20_000)
  socket.write('GET /2 HTTP/1.1\r\nHost: a\r\n\r\n')
  await once(server, 'request')
  resolve()
  await Promise.all([ended, once(socket, 'close')])
  expect(heard.match(/HTTP\/1.1 200/g)).toHaveLength(2)
  expect(heard).toMatch(/connection: close/i)
})

test('who never comes to the end of a request does not hold it up for ever', async () => {
  const port = await startServer()
  const socket = connect(port, '127.0.0.1')
  socket.on('error', () => {})
  socket.write('POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\n')
  open = new Promise(() => {})
  await once(server, 'request')
  const started = performance.now()
  await endServer(server, 300)
  expect(performance.now() - started).toBeLessThan(5_000)
  socket.destroy()
})
