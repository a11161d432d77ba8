// Load on two ingest processes over one Postgres, all of them killed again and again; afterwards the books are compared with
// what was acknowledged. Clients do what clients should: they repeat what was not answered, with the same ids, to whoever is there.
import { setTimeout as sleep } from 'node:timers/promises'
import pg from 'pg'
import { tenantQuery } from '@/libs/db/tenant-db'
import { newId } from '@/libs/ids'
import { type IngestProcess, startIngestProcess } from './ingest-process'
import type { RunningTestCluster } from './test-cluster'
import { requireVariable } from './variables'
import { asSystem, createTenant, type TestTenant } from './world'

export type KillPlan = { ingest_kills: number; postgres_kills: number; on_kill?: (what: string) => void }

export type KillReport = {
  seconds: number
  kills: Record<string, number>
  /** Events that were acknowledged as counted, and as refused by a cap. */
  acknowledged: number
  refused: number
  /** Requests that had to be sent again, and events that turned out to be there already when they were. */
  repeated: number
  found_counted: number
  reservations: { held: number; settled: number; released: number }
  /** What was stored in the end, all of it compared. */
  events: number
  totals_compared: number
  longest_silence_ms: number
  /** Everything that is not as promised; empty when the promise was kept. */
  problems: string[]
}

type Answer = Awaited<ReturnType<IngestProcess['send']>>
type Sent = { meter: string; customer: string; value: string; outcome: 'counted' | 'refused' | 'unknown' }
type Slot = { process: IngestProcess | null; starting: Promise<void> }
type Event = Record<string, unknown> & { meter_id: string; user_id: string; event_value: number | string }

/** What an answer says, without what differs from one to the next. */
const describe = ({ body }: Answer) => JSON.stringify({ ...body, request_id: undefined }).slice(0, 300)

const CAP = 300
const BATCH = 30
/** How long a client insists after the last kill, and how long nobody may be answered after any. */
const PATIENCE_MS = 30_000

/** What meters there are, and a cap of 300 tokens that holds for everybody. */
async function arrange(tenant: TestTenant): Promise<void> {
  await asSystem(tenant, async () => {
    for (const [slug, aggregation, property, groups] of [
      ['calls', 'SUM', null, ['region']],
      ['visits', 'COUNT', null, []],
      ['devices', 'UNIQUE_COUNT', 'device', []],
      ['peak', 'MAX', null, []],
      ['seats', 'LATEST', null, ['region']],
      ['level', 'WEIGHTED_SUM', null, []],
      ['tokens', 'SUM', null, []],
      ['credits', 'SUM', null, []],
    ] as const) {
      await tenantQuery(
        `insert into meters (id, slug, name, unit, aggregation, allows_negative, value_property, group_by) values ($1, $2, $2, '', $3, false, $4, $5)`,
        [newId(), slug, aggregation, property, groups],
      )
    }
    await tenantQuery("insert into tiers (id, slug, name, is_default) values ($1, 'capped', 'Capped', true)", [newId()])
    for (const [meter, limit, behaviour] of [
      ['tokens', CAP, 'reject'],
      ['credits', 1_000, 'overflow'],
    ]) {
      await tenantQuery(
        `insert into tier_caps (id, tier_id, meter_id, cap_limit, behaviour) select $1, t.id, m.id, $2, $3 from tiers t, meters m where m.slug = $4`,
        [newId(), limit, behaviour, meter],
      )
    }
    await tenantQuery(
      `select app.add_grant($1, 'UTC', now(), $2, $3, m.id, 500, 1, now(), null, null, 0, 0, null) from meters m where m.slug = 'credits'`,
      [tenant.id, newId(), tenant.customer.id],
    )
  })
}

/** Puts load on, kills, waits for quiet and compares. The environment names a database of the cluster that is given. */
export async function proveKills(cluster: RunningTestCluster, plan: KillPlan): Promise<KillReport> {
  const tenant = await createTenant(`kills-${newId().slice(-8)}`)
  await arrange(tenant)
  const began = Date.now()
  const ledger = new Map<string, Sent>()
  const onces: { counted: boolean }[] = []
  const plains: { counted: boolean }[] = []
  const reservations = new Map<string, { amount: number; state: 'held' | 'settled' | 'released' | 'unknown' }>()
  const problems = new Set<string>()
  const kills: Record<string, number> = {}
  let reserveKeys = 0
  let sequence = 0
  let acknowledged = 0
  let repeated = 0
  let foundCounted = 0
  let answeredAt = Date.now()
  let longestSilence = 0
  let ended = 0

  const slots: Slot[] = [0, 1].map(() => ({ process: null, starting: Promise.resolve() }))
  async function start(slot: Slot): Promise<void> {
    // What is to run must be started again by whoever watches it, until the database is there.
    for (const deadline = Date.now() + 60_000; Date.now() < deadline; ) {
      slot.process = await startIngestProcess().catch(() => null)
      if (slot.process) return
      await sleep(200)
    }
    problems.add('an ingest process did not start within a minute')
  }
  await Promise.all(slots.map(start))

  async function send(path: string, body: unknown, headers: Record<string, string> = {}): Promise<Answer | null> {
    const target = slots[Math.floor(Math.random() * slots.length)]?.process
    if (!target) return null
    const answer = await target
      .send({ path: `/api/v1/usage/${path}`, headers: { authorization: `Bearer ${tenant.api_key}`, ...headers }, body })
      .catch(() => null)
    if (answer) {
      const now = Date.now()
      if (answer.status < 500) {
        longestSilence = Math.max(longestSilence, now - answeredAt)
        answeredAt = now
      }
      const wait = answer.headers['retry-after']
      if (answer.status === 503 ? !/^[1-9]\d*$/.test(String(wait)) : ![200, 409].includes(answer.status))
        problems.add(`${path} answered ${answer.status}, Retry-After ${wait}: ${describe(answer)}`)
    }
    return answer
  }
  /** Sends until there is an answer that is final; null when there was none for too long. */
  async function insist(path: string, body: unknown, headers: Record<string, string> = {}): Promise<Answer | null> {
    for (;;) {
      const answer = await send(path, body, headers)
      if (answer && answer.status < 500 && answer.headers['retry-after'] === undefined) return answer
      if (ended && Date.now() - ended > PATIENCE_MS) return null
      repeated += 1
      await sleep(20 + Math.random() * 60)
    }
  }

  async function trackWithIds(events: readonly Event[], query = ''): Promise<void> {
    const sent = events.map((event) => {
      sequence += 1
      const id = `e${sequence}`
      const outcome: Sent['outcome'] = 'unknown'
      ledger.set(id, { meter: event.meter_id, customer: event.user_id, value: String(event.event_value), outcome })
      return { ...event, event_id: id }
    })
    const answer = await insist(`track${query}`, sent.length === 1 ? sent[0] : sent)
    if (answer?.status !== 200) return
    const { inserted, duplicates, rejected } = answer.body
    if (inserted + duplicates + rejected.length !== sent.length)
      problems.add(`an answer speaks of another number of events: ${describe(answer)}`)
    foundCounted += duplicates
    for (const [index, { event_id }] of sent.entries()) {
      const refusal = rejected.find((entry: { index: number }) => entry.index === index)
      const entry = ledger.get(event_id)
      if (!entry) continue
      if (refusal && refusal.code !== 'usage_exceeded') problems.add(`${entry.meter} was refused: ${refusal.code}`)
      entry.outcome = refusal ? 'refused' : 'counted'
      acknowledged += refusal ? 0 : 1
    }
  }
  const anyone = () => `user-${Math.floor(Math.random() * 20)}`
  let capped = 0
  /** A customer with a cap that is soon used up, after a while another one. */
  const somebodyCapped = () => {
    capped += 1
    return `capped-${Math.floor(capped / 120)}`
  }
  const METERS = ['calls', 'visits', 'devices', 'peak', 'seats', 'level'] as const
  const work: Record<string, { workers: number; run: () => Promise<void> }> = {
    singles: {
      workers: 6,
      run: () => trackWithIds([{ meter_id: 'calls', user_id: anyone(), event_value: `0.${1 + (sequence % 9)}` }]),
    },
    batches: {
      workers: 3,
      run: () =>
        trackWithIds(
          Array.from({ length: 1 + Math.floor(Math.random() * BATCH) }, (_, place) => ({
            meter_id: METERS[(sequence + place) % METERS.length] ?? 'calls',
            user_id: anyone(),
            event_value: 1 + ((sequence + place) % 7),
            properties: { region: place % 2 ? 'eu' : 'us', device: `d${(sequence + place) % 50}` },
          })),
        ),
    },
    enforced: {
      workers: 4,
      run: () =>
        trackWithIds(
          [{ meter_id: 'tokens', user_id: somebodyCapped(), event_value: 1 + (sequence % 9) }],
          sequence % 2 ? '?enforce=true' : '',
        ),
    },
    granted: {
      workers: 1,
      run: () => trackWithIds([{ meter_id: 'credits', user_id: tenant.customer.external_id, event_value: 3 }]),
    },
    reserving: {
      workers: 2,
      run: async () => {
        reserveKeys += 1
        const key = `reserve-${reserveKeys}`
        const amount = 1 + (reserveKeys % 12)
        const body = { meter_id: 'tokens', user_id: somebodyCapped(), amount, expires_in: 86_400 }
        const held = await insist('reserve', body, { 'idempotency-key': key })
        if (held?.status !== 200 || !held.body.reservation) return
        const { id: reservation_id } = held.body.reservation
        const known = { amount, state: 'held' as 'held' | 'settled' | 'released' | 'unknown' }
        reservations.set(reservation_id, known)
        const turn = reserveKeys % 4
        if (turn === 0) return
        known.state = 'unknown'
        const path = turn === 1 ? 'release' : 'settle'
        const done = await insist(path, { reservation_id })
        if (done?.status === 200) known.state = path === 'settle' ? 'settled' : 'released'
        else if (done) problems.add(`${path} answered ${done.status}: ${describe(done)}`)
        if (turn === 2) await insist(path, { reservation_id })
      },
    },
    once: {
      workers: 1,
      run: async () => {
        const number = onces.push({ counted: false }) - 1
        const event = { meter_id: 'calls', user_id: 'once', event_value: 2, properties: { once: number } }
        const answer = await insist('track', [event, event, event], { 'idempotency-key': `once-${number}` })
        if (answer?.status !== 200) return
        onces[number] = { counted: true }
        acknowledged += 3
      },
    },
    plain: {
      workers: 1,
      run: async () => {
        const number = plains.push({ counted: false }) - 1
        const event = { meter_id: 'calls', user_id: 'plain', event_value: 1, properties: { plain: number } }
        const answer = await send('track', event)
        if (answer?.status !== 200) return sleep(20)
        plains[number] = { counted: answer.body.inserted === 1 }
        acknowledged += 1
      },
    },
  }
  const workers = Object.values(work).flatMap((each) =>
    Array.from({ length: each.workers }, async () => {
      while (!ended) await each.run()
    }),
  )

  /** No look at the books, at any moment, shows more used and held than the cap, or a balance that does not add up. */
  const watcher = (async () => {
    while (!ended) {
      await findOverdrawn(tenant).then(
        (found) => {
          for (const line of found) problems.add(line)
        },
        () => null,
      )
      await sleep(250)
    }
  })()

  async function kill(what: string, turn: number): Promise<void> {
    if (what === 'ingest') {
      const slot = slots[turn % slots.length]
      if (!slot) return
      await slot.starting
      await slot.process?.end('SIGKILL')
      slot.process = null
      slot.starting = start(slot)
    } else if (what === 'backend') await killBackend()
    else if (what === 'immediate') {
      await endPostmaster(cluster, 'SIGQUIT')
      await cluster.postgres.start()
    } else {
      await cluster.postgres.kill()
      await sleep(100)
      await cluster.postgres.start()
    }
    kills[what] = (kills[what] ?? 0) + 1
    plan.on_kill?.(what)
  }

  const order = inTurn(plan)
  let ingestTurn = 0
  for (const what of order) {
    const before = acknowledged
    await sleep(50 + Math.random() * 300)
    await kill(what, what === 'ingest' ? ingestTurn++ : 0)
    // It recovers by itself, and works for a while, before the next one.
    const deadline = Date.now() + PATIENCE_MS
    while (acknowledged < before + 200 && Date.now() < deadline) await sleep(25)
    if (acknowledged < before + 200) problems.add(`nothing was acknowledged for long after a kill of ${what}`)
  }
  await Promise.all(slots.map(({ starting }) => starting))
  await sleep(300)
  ended = Date.now()
  await Promise.all([...workers, watcher])
  await Promise.all(slots.map(({ process }) => process?.end()))

  for (const line of await findOverdrawn(tenant)) problems.add(line)
  const compared = await compareBooks(tenant, { ledger, onces, plains, reservations, reserveKeys }, problems)
  const states = [...reservations.values()].map(({ state }) => state)
  const count = (state: string) => states.filter((each) => each === state).length
  return {
    seconds: Math.round((Date.now() - began) / 1_000),
    kills,
    acknowledged,
    refused: [...ledger.values()].filter(({ outcome }) => outcome === 'refused').length,
    repeated,
    found_counted: foundCounted,
    reservations: { held: count('held'), settled: count('settled'), released: count('released') },
    ...compared,
    longest_silence_ms: longestSilence,
    problems: [...problems].slice(0, 50),
  }
}

/** Kills of Postgres in their three kinds, spread evenly among those of the ingest processes. */
function inTurn({ ingest_kills, postgres_kills }: KillPlan): string[] {
  const kinds = ['power cut', 'backend', 'immediate']
  const order = Array.from({ length: ingest_kills }, (_, turn) => ({ at: (turn + 0.5) / ingest_kills, what: 'ingest' }))
  for (let turn = 0; turn < postgres_kills; turn += 1)
    order.push({ at: (turn + 0.5) / postgres_kills, what: kinds[turn % kinds.length] ?? '' })
  return order.toSorted((a, b) => a.at - b.at).map(({ what }) => what)
}

/** A look past all row security, on a connection that may be cut at any moment. @throws Error when it is. */
async function look<Row extends pg.QueryResultRow>(text: string, values: unknown[] = []): Promise<Row[]> {
  const client = new pg.Client({ connectionString: requireVariable('SUPERUSER_DATABASE_URL') })
  const lost = new Promise<never>((_, reject) => client.on('error', reject))
  const rows = (async () => {
    await client.connect()
    try {
      return (await client.query<Row>(text, values)).rows
    } finally {
      await client.end()
    }
  })()
  return Promise.race([rows, lost])
}

async function endPostmaster({ postgres }: RunningTestCluster, signal: NodeJS.Signals): Promise<void> {
  const gone = new Promise<void>((resolve) => postgres.onUnexpectedExit(() => resolve()))
  process.kill(postgres.pid(), signal)
  await gone
  postgres.onUnexpectedExit(() => {})
}

/** One of its sessions is killed while it writes: Postgres ends all of them and starts over. */
async function killBackend(): Promise<void> {
  for (let attempt = 0; attempt < 200; attempt += 1) {
    const [row] = await look<{ pid: number }>(
      "select pid from pg_stat_activity where usename = 'app_server' order by state <> 'active', random() limit 1",
    ).catch(() => [])
    if (row) {
      process.kill(row.pid, 'SIGKILL')
      return
    }
    await sleep(20)
  }
  throw new Error('There was no session to kill.')
}

/** Whoever has used and reserved more than the cap, and balances that do not add up, at this moment. */
async function findOverdrawn(tenant: TestTenant): Promise<string[]> {
  const rows = await look<{ line: string }>(
    `with held as (
       select r.customer_id, sum(r.amount) as amount from reservations r
       where r.tenant_id = $1 and r.status = 'held' and r.expires_at > now() group by 1
     ), used as (
       select k.customer_id, k.used from usage_counters k join meters m on m.tenant_id = k.tenant_id and m.id = k.meter_id
       where k.tenant_id = $1 and k.period = 'month' and m.slug = 'tokens' and k.starts_on = date_trunc('month', now() at time zone 'UTC')::date
     )
     select c.external_id || ' used ' || coalesce(u.used, 0) || ' and holds ' || coalesce(h.amount, 0) as line
       from customers c left join used u on u.customer_id = c.id left join held h on h.customer_id = c.id
       where c.tenant_id = $1 and coalesce(u.used, 0) + coalesce(h.amount, 0) > $2
     union all
     select 'balance: used ' || b.used || ', overage ' || b.overage || ', granted ' || b.granted || ', left ' || b.allowance_left || ' and ' || g.remaining
       from balances b
       cross join lateral (
         select coalesce(sum(x.remaining), 0) as remaining from grants x
         where x.tenant_id = b.tenant_id and x.customer_id = b.customer_id and x.meter_id = b.meter_id and x.closed_at is null
       ) g
       where b.tenant_id = $1 and b.used + b.allowance_left + g.remaining - b.overage <> b.granted`,
    [tenant.id, CAP],
  )
  return rows.map(({ line }) => line)
}

type Books = {
  ledger: Map<string, Sent>
  onces: { counted: boolean }[]
  plains: { counted: boolean }[]
  reservations: Map<string, { amount: number; state: string }>
  reserveKeys: number
}
type Row = {
  event_id: string | null
  source: string | null
  meter: string
  customer: string
  value: string
  once: number | null
  plain: number | null
}

/** Every event against what its sender was told, every total against the events, every reservation against its event. */
async function compareBooks(
  tenant: TestTenant,
  { ledger, onces, plains, reservations, reserveKeys }: Books,
  problems: Set<string>,
): Promise<{ events: number; totals_compared: number }> {
  const rows = await look<Row>(
    `select e.event_id, e.source, m.slug as meter, c.external_id as customer, trim_scale(e.value)::text as value,
       (e.properties ->> 'once')::int as once, (e.properties ->> 'plain')::int as plain
     from usage_events e join meters m on m.tenant_id = e.tenant_id and m.id = e.meter_id
     join customers c on c.tenant_id = e.tenant_id and c.id = e.customer_id where e.tenant_id = $1`,
    [tenant.id],
  )
  const copies = new Map<string, Row[]>()
  for (const row of rows) {
    const name = row.source === 'reservation' ? `r ${row.event_id}` : (row.event_id ?? `${row.once} ${row.plain}`)
    copies.set(name, [...(copies.get(name) ?? []), row])
  }
  const take = (name: string) => {
    const found = copies.get(name) ?? []
    copies.delete(name)
    return found
  }
  for (const [id, { meter, customer, value, outcome }] of ledger) {
    const found = take(id)
    const [row] = found
    const wanted = outcome === 'unknown' ? found.length <= 1 : found.length === (outcome === 'counted' ? 1 : 0)
    if (!wanted) problems.add(`${id} (${meter}, ${customer}) was ${outcome} and is there ${found.length} times`)
    if (row && (row.meter !== meter || row.customer !== customer || row.value !== value))
      problems.add(`${id} was stored as something else`)
  }
  for (const [number, { counted }] of onces.entries()) {
    const { length } = take(`${number} null`)
    if (length !== 3 && (counted || length !== 0)) problems.add(`${length} of 3 events under one Idempotency-Key`)
  }
  for (const [number, { counted }] of plains.entries()) {
    const { length } = take(`null ${number}`)
    if (length > 1 || (counted && length !== 1)) problems.add(`an event without id is there ${length} times`)
  }

  const kept = await look<{ id: string; status: string; amount: number; settled: number | null }>(
    'select id, status, amount::float8 as amount, settled::float8 as settled from reservations where tenant_id = $1',
    [tenant.id],
  )
  if (kept.length > reserveKeys) problems.add(`${kept.length} reservations were made by ${reserveKeys} requests`)
  const stored = new Map(kept.map((row) => [row.id, row]))
  for (const [id, { amount, state }] of reservations) {
    const row = stored.get(id)
    if (!row || row.amount !== amount || (state !== 'unknown' && row.status !== state))
      problems.add(`a reservation that was ${state} is ${JSON.stringify(row)}`)
  }
  for (const { id, status, settled } of kept) {
    const found = take(`r ${id}/1`)
    if (found.length !== (status === 'settled' ? 1 : 0) || (found[0] && Number(found[0].value) !== settled))
      problems.add(`a reservation that is ${status} counted ${found.length} times`)
  }
  if (copies.size > 0) problems.add(`events nobody sent: ${JSON.stringify([...copies.values()].slice(0, 3))}`)

  // Once by the product's own reconciliation, and once by plain sums that share nothing with it.
  const drifts = await look<{ table_name: string | null; row_key: unknown; rows_checked: string }>(
    "select table_name, row_key, stored, expected, rows_checked from app.find_usage_drift($1, 'UTC', null, null)",
    [tenant.id],
  )
  for (const drift of drifts) if (drift.table_name !== null) problems.add(`drift: ${JSON.stringify(drift)}`)
  const sums = await look<Record<'slug' | 'events' | 'day' | 'month' | 'totals' | 'quarters', string>>(
    `select m.slug, e.total as events, (select sum(used) from usage_counters k where k.tenant_id = $1 and k.meter_id = m.id and period = 'day') as day,
       (select sum(used) from usage_counters k where k.tenant_id = $1 and k.meter_id = m.id and period = 'month') as month,
       (select sum(used) from usage_totals k where k.tenant_id = $1 and k.meter_id = m.id) as totals,
       (select sum(used) from usage_quarters k where k.tenant_id = $1 and k.meter_id = m.id) as quarters
     from meters m cross join lateral (
       select sum(case m.aggregation when 'COUNT' then 1 else e.value end) as total from usage_events e where e.tenant_id = $1 and e.meter_id = m.id
     ) e where m.tenant_id = $1 and m.aggregation in ('SUM', 'COUNT')`,
    [tenant.id],
  )
  for (const { slug, events, ...kinds } of sums)
    for (const [kind, sum] of Object.entries(kinds))
      if (Number(sum) !== Number(events)) problems.add(`${slug}: ${kind} says ${sum}, the events come to ${events}`)
  return { events: rows.length, totals_compared: Number(drifts[0]?.rows_checked ?? 0) }
}
