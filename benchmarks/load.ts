// A load generator that costs little: sockets that stay open, each with one request under way, bodies made beforehand.
// Runs as a process of its own: `load.ts <plan as JSON>`, and prints its result as JSON.
import { randomBytes } from 'node:crypto'
import { connect, type Socket } from 'node:net'

export type LoadPlan = {
  url: string
  path: string
  headers: Record<string, string>
  connections: number
  seconds: number
  /** Requests a second, sent whether or not earlier ones are answered; without it each connection sends as soon as it may. */
  rate?: number
  /** What each request carries. */
  kind: 'events' | 'check' | 'none'
  /** Events of one request. */
  size: number
  customers: number
  /** The one customer of all requests, where that is wanted. */
  customer?: string
  meters: string[]
  /** API keys that take turns, where several tenants are meant. */
  keys?: string[]
  /** Bodies to send as they are, one after the other, instead of made ones. */
  bodies?: string[]
}
export type LoadResult = {
  requests: number
  failures: number
  /** Requests turned away with 429 or 503 and a Retry-After: neither answered nor failed. */
  shed: number
  /** Requests that a rate asked for when every connection was waiting. */
  unsent: number
  seconds: number
  p50: number
  p99: number
  sample: string
}

const plan = JSON.parse(process.argv[2] ?? '{}') as LoadPlan
const { hostname, port } = new URL(plan.url)
const run = randomBytes(4).toString('hex')
let counter = 0
let turn = 0

function makeBody(): string {
  if (plan.bodies) return plan.bodies[counter++ % plan.bodies.length] ?? ''
  if (plan.kind === 'none') return ''
  const customer = () => plan.customer ?? `customer-${Math.floor(Math.random() * plan.customers)}`
  const meter = () => plan.meters[Math.floor(Math.random() * plan.meters.length)]
  if (plan.kind === 'check') return JSON.stringify({ meter_id: plan.meters[0], user_id: customer(), amount: 1 })
  const event = () => ({
    meter_id: meter(),
    user_id: customer(),
    event_value: 1 + Math.floor(Math.random() * 10),
    event_id: `${run}-${(++counter).toString(36).padStart(8, '0')}-0000-0000-000000000000`,
    properties: { endpoint: '/api/v1/data', method: 'GET' },
  })
  return JSON.stringify(plan.size === 1 ? event() : Array.from({ length: plan.size }, event))
}

function makeRequest(): Buffer {
  const body = makeBody()
  const head = [
    `${body ? 'POST' : 'GET'} ${plan.path} HTTP/1.1`,
    `host: ${hostname}:${port}`,
    ...(plan.keys ? [`authorization: Bearer ${plan.keys[turn++ % plan.keys.length]}`] : []),
    ...Object.entries(plan.headers).map(([name, value]) => `${name}: ${value}`),
    ...(body ? ['content-type: application/json', `content-length: ${Buffer.byteLength(body)}`] : []),
  ]
  return Buffer.from(`${head.join('\r\n')}\r\n\r\n${body}`)
}

const latencies: number[] = []
let failures = 0
let shed = 0
let unsent = 0
let sample = ''
let started = 0
let end = 0
const ready: Buffer[] = []
// Batches are dear to make: they are made before the clock starts. Single requests are made as they go.
if (plan.size > 1) {
  const needed = plan.rate ? plan.rate * plan.seconds : (plan.seconds * 130_000) / plan.size
  for (let made = 0; made < Math.ceil(needed); made += 1) ready.push(makeRequest())
}
const same = plan.kind === 'none' ? makeRequest() : undefined

const nextRequest = (): Buffer | undefined => same ?? (plan.size > 1 ? ready.pop() : makeRequest())

/** Reads the answers of one connection; `done` is told of each. */
function listen(socket: Socket, sentAt: () => number, done: () => void, fail: (error: Error) => void): void {
  let pending = ''
  socket.on('data', (chunk) => {
    pending += chunk.toString('latin1')
    const headEnd = pending.indexOf('\r\n\r\n')
    if (headEnd < 0) return
    const length = /content-length: (\d+)/i.exec(pending)
    if (length && pending.length < headEnd + 4 + Number(length[1])) return
    if (!length && /transfer-encoding: chunked/i.test(pending) && !pending.endsWith('0\r\n\r\n')) return
    if (/^HTTP\/1\.1 (?:429|503) /.test(pending) && /\r\nretry-after: \d+\r\n/i.test(pending.slice(0, headEnd + 2))) {
      shed += 1
    } else {
      latencies.push(performance.now() - sentAt())
      if (!pending.startsWith('HTTP/1.1 200')) {
        failures += 1
        sample = pending.slice(0, 600)
      } else if (!sample) sample = pending.slice(headEnd + 4)
    }
    pending = ''
    done()
  })
  socket.on('error', fail)
}

/** One request after the other, until the time is over. */
function drive(socket: Socket): Promise<void> {
  return new Promise((resolve, reject) => {
    let sentAt = 0
    const send = () => {
      const request = performance.now() < end ? nextRequest() : undefined
      if (!request) {
        socket.end()
        resolve()
        return
      }
      sentAt = performance.now()
      socket.write(request)
    }
    listen(socket, () => sentAt, send, reject)
    send()
  })
}

/** So many requests a second over all connections, until the time is over and the last answer is there. */
function driveAt(rate: number, sockets: Socket[]): Promise<void> {
  return new Promise((resolve, reject) => {
    const free: (() => void)[] = []
    let open = 0
    let due = 0
    for (const socket of sockets) {
      let sentAt = 0
      const send = () => {
        const request = nextRequest()
        if (!request) return
        open += 1
        sentAt = performance.now()
        socket.write(request)
      }
      const done = () => {
        open -= 1
        free.push(send)
      }
      listen(socket, () => sentAt, done, reject)
      free.push(send)
    }
    const tick = setInterval(() => {
      const now = performance.now()
      if (now >= end) {
        if (open > 0) return
        clearInterval(tick)
        for (const socket of sockets) socket.end()
        resolve()
        return
      }
      for (; due < ((now - started) / 1_000) * rate; due += 1) {
        const send = free.shift()
        if (send) send()
        else unsent += 1
      }
    }, 2)
  })
}

const sockets = await Promise.all(
  Array.from(
    { length: plan.connections },
    () =>
      new Promise<Socket>((resolve, reject) => {
        const socket = connect({ host: hostname, port: Number(port), noDelay: true }, () => resolve(socket))
        socket.once('error', reject)
      }),
  ),
)
started = performance.now()
end = started + plan.seconds * 1_000
await (plan.rate ? driveAt(plan.rate, sockets) : Promise.all(sockets.map(drive)))
const seconds = (performance.now() - started) / 1_000
latencies.sort((a, b) => a - b)
const at = (share: number): number =>
  latencies[Math.min(latencies.length - 1, Math.floor(latencies.length * share))] ?? 0
const result: LoadResult = {
  requests: latencies.length,
  failures,
  shed,
  unsent,
  seconds,
  p50: at(0.5),
  p99: at(0.99),
  sample,
}
process.stdout.write(JSON.stringify(result))
