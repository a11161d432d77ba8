import { createServer, type IncomingMessage } from 'node:http'
import type { AddressInfo } from 'node:net'

export type StripeCall = {
  method: string
  path: string
  key: string
  idempotency_key: string | undefined
  form: Record<string, string>
}
export type StripeEvent = {
  account: string
  event_name: string
  customer: string
  value: bigint
  identifier: string
  timestamp: number
}
type StripeCustomer = { id: string; account: string; name: string; metadata: Record<string, string> }

/** What the server does with a call: as Stripe would, another answer, or no answer before or after it did it. */
type Reaction =
  | 'serve'
  | 'hang up before'
  | 'hang up after'
  | { status: number; headers?: Record<string, string>; message?: string }

const DAY_S = 86_400

/**
 * A server that speaks the part of Stripe's protocol that billing by usage needs, and keeps its rules: keys belong to
 * accounts, bodies are forms, Idempotency-Keys repeat an answer, identifiers of events are unique, values are whole numbers,
 * times lie within 35 days, and the meter of an event_name is active. `react` may be changed at any time.
 */
export async function startStripeServer() {
  const answers = new Map<string, { print: string; status: number; body: unknown }>()
  const state = {
    /** Secret key to account. */
    keys: new Map<string, string>(),
    /** `account event_name` of active meters. */
    meters: new Set<string>(),
    customers: [] as StripeCustomer[],
    events: [] as StripeEvent[],
    calls: [] as StripeCall[],
    react: (_call: StripeCall): Reaction | Promise<Reaction> => 'serve',
    url: '',
    /** As after a day or more. */
    forgetIdempotencyKeys: () => answers.clear(),
    total: (account: string, event_name: string, customer?: string): bigint =>
      state.events
        .filter((event) => event.account === account && event.event_name === event_name)
        .filter((event) => customer === undefined || event.customer === customer)
        .reduce((sum, { value }) => sum + value, 0n),
    customerOf: (account: string, external_id: string): string =>
      state.customers.find((one) => one.account === account && one.metadata.external_id === external_id)?.id ??
      'nobody',
    stop: () =>
      new Promise<void>((resolve) => {
        server.closeAllConnections()
        server.close(() => resolve())
      }),
  }

  const refusal = (status: number, message: string, extra: Record<string, string> = {}) => ({
    status,
    body: { error: { type: status === 401 ? 'authentication_error' : 'invalid_request_error', message, ...extra } },
  })

  function serve(call: StripeCall, account: string): { status: number; body: unknown } {
    const { form } = call
    const route = `${call.method} ${call.path}`
    if (route === 'GET /v1/account')
      return {
        status: 200,
        body: { id: account, object: 'account', settings: { dashboard: { display_name: `Shop ${account}` } } },
      }
    if (route === 'POST /v1/customers') {
      const metadata = Object.fromEntries(
        Object.entries(form).flatMap(([name, value]) => {
          const inner = /^metadata\[(.+)\]$/.exec(name)?.[1]
          return inner ? [[inner, value]] : []
        }),
      )
      const customer = { id: `cus_${account}${state.customers.length}`, account, name: form.name ?? '', metadata }
      state.customers.push(customer)
      return { status: 200, body: { ...customer, object: 'customer' } }
    }
    if (route === 'POST /v1/billing/meter_events') {
      const event: StripeEvent = {
        account,
        event_name: form.event_name ?? '',
        customer: form['payload[stripe_customer_id]'] ?? '',
        value: 0n,
        identifier: form.identifier ?? '',
        timestamp: Number(form.timestamp),
      }
      const now = Date.now() / 1_000
      if (!state.meters.has(`${account} ${event.event_name}`))
        return refusal(400, `No active meter found for event name ${event.event_name}`, { param: 'event_name' })
      if (!state.customers.some(({ id, account: owner }) => id === event.customer && owner === account))
        return refusal(400, `No such customer: '${event.customer}'`, { code: 'resource_missing' })
      if (!/^-?\d+$/.test(form['payload[value]'] ?? ''))
        return refusal(400, 'Invalid value', { param: 'payload[value]' })
      if (event.identifier === '' || event.identifier.length > 100) return refusal(400, 'Invalid identifier')
      if (!(event.timestamp >= now - 35 * DAY_S && event.timestamp <= now + 300))
        return refusal(400, 'The timestamp must be within the past 35 calendar days or up to 5 minutes in the future')
      if (state.events.some((one) => one.account === account && one.identifier === event.identifier))
        return refusal(400, `An event already exists with identifier ${event.identifier}.`)
      event.value = BigInt(form['payload[value]'] ?? '')
      state.events.push(event)
      return { status: 200, body: { object: 'billing.meter_event', ...event, value: undefined, livemode: false } }
    }
    return refusal(404, `Unrecognized request URL (${route})`)
  }

  function answer(call: StripeCall): { status: number; body: unknown } {
    const account = state.keys.get(call.key)
    if (!account) return refusal(401, `Invalid API Key provided: ${call.key.slice(0, 8)}****`)
    if (!call.idempotency_key) return serve(call, account)
    const print = JSON.stringify([call.path, call.form])
    const known = answers.get(`${account} ${call.idempotency_key}`)
    if (known && known.print !== print)
      return refusal(400, 'Keys for idempotent requests can only be used with the same parameters', {
        type: 'idempotency_error',
      })
    const { status, body } = known ?? serve(call, account)
    answers.set(`${account} ${call.idempotency_key}`, { print, status, body })
    return { status, body }
  }

  const readCall = async (request: IncomingMessage): Promise<StripeCall> => {
    const chunks: Buffer[] = []
    for await (const chunk of request) chunks.push(chunk as Buffer)
    const key = request.headers['idempotency-key']
    return {
      method: request.method ?? '',
      path: new URL(request.url ?? '', 'http://stripe').pathname,
      key: /^Bearer (.+)$/.exec(request.headers.authorization ?? '')?.[1] ?? '',
      idempotency_key: typeof key === 'string' ? key : undefined,
      form: Object.fromEntries(new URLSearchParams(Buffer.concat(chunks).toString())),
    }
  }

  const server = createServer(async (request, response) => {
    const form = request.headers['content-type'] ?? ''
    const call = await readCall(request)
    state.calls.push(call)
    const reaction = await state.react(call)
    if (reaction === 'hang up before') return void request.socket.destroy()
    const say = (status: number, body: unknown, headers: Record<string, string> = {}) =>
      response
        .writeHead(status, {
          'content-type': 'application/json',
          'request-id': `req_${state.calls.length}`,
          ...headers,
        })
        .end(JSON.stringify(body))
    if (typeof reaction === 'object') {
      const { status, headers, message = 'Not now' } = reaction
      return void say(status, { error: { type: 'api_error', message } }, headers)
    }
    if (call.method === 'POST' && !form.startsWith('application/x-www-form-urlencoded'))
      return void say(400, { error: { type: 'invalid_request_error', message: 'A form, please' } })
    const { status, body } = answer(call)
    if (reaction === 'hang up after') return void request.socket.destroy()
    say(status, body)
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  state.url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  return state
}
