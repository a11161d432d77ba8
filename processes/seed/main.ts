import { existsSync, mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { ROLE_PERMISSIONS } from '@/libs/auth/permissions'
import { stopNotifications } from '@/libs/db/notifications'
import { closePools, serverPool } from '@/libs/db/pools'
import { type Actor, runInTenant, systemActor } from '@/libs/tenancy/tenant-context'
import { ensureCatalogue } from './catalogue'
import { DEMO_PASSWORD, type DemoTenant, OPERATORS, TENANTS } from './demo-tenants'
import { ensureOperations } from './operations'
import { ensureKey, ensureOperators, ensurePeople, ensureTenant, finishTenant } from './registry'
import { acceptLateEvents, readCustomerStarts, readMissingShare, sendShare, sendUsage } from './usage'

const PAST_DAYS = 100
const USUAL_DAYS = 35

type Login = { email: string; password: string; role: string }
type SeedFile = {
  tenants: { id: string; slug: string; name: string; status: string; api_key: string; logins: Login[] }[]
  operators: Login[]
}

const dataDir = process.env.DATA_DIR ?? '.data'
const seedFile = join(dataDir, 'seed.json')

function readSeedFile(): SeedFile | null {
  return existsSync(seedFile) ? (JSON.parse(readFileSync(seedFile, 'utf8')) as SeedFile) : null
}

/** The tenants of the file that are there. One that is not, beside others that are, was deleted since: that is left as it is. */
async function findPresent(file: SeedFile): Promise<ReadonlySet<string>> {
  const { rows } = await serverPool().query<{ id: string }>(
    'select r.id from unnest($1::uuid[]) t (id) cross join lateral app.route_tenant(t.id, null, null) r',
    [file.tenants.map(({ id }) => id)],
  )
  return new Set(rows.map(({ id }) => id))
}

async function seedTenant(demo: DemoTenant, operator: { id: string; email: string }, key: string | undefined) {
  const { id, owner } = await ensureTenant(demo)
  const { rows } = await serverPool().query<{ status: string }>('select status from app.route_tenant($1, null, null)', [
    id,
  ])
  const apiKey = await ensureKey(id, owner, key)
  if (rows[0]?.status !== 'suspended') {
    const actor: Actor = { id: owner.id, kind: 'user', permissions: ROLE_PERMISSIONS.owner, label: owner.email }
    await runInTenant(id, actor, async () => {
      await ensurePeople(demo)
      await ensureCatalogue(demo)
      await acceptLateEvents(PAST_DAYS)
    })
    const since = await runInTenant(id, actor, readCustomerStarts)
    await sendUsage(demo, since, apiKey)
    for (const customer of demo.customers.filter(({ used_share }) => used_share)) {
      const missing = await runInTenant(id, actor, () => readMissingShare(customer, demo.time_zone))
      await sendShare(customer, missing, apiKey)
    }
    await runInTenant(id, systemActor(), () => acceptLateEvents(USUAL_DAYS))
    if (demo.operations) await runInTenant(id, actor, () => ensureOperations(demo.time_zone))
    await finishTenant(demo, id, operator)
  }
  const login = (email: string, role: string): Login => ({ email, password: DEMO_PASSWORD, role })
  return {
    id,
    slug: demo.slug,
    name: demo.name,
    status: demo.suspended_because ? 'suspended' : 'active',
    api_key: apiKey,
    logins: [
      ...demo.people.map(({ email, role }) => login(email, role)),
      ...demo.customers.filter(({ signs_in }) => signs_in).map(({ email }) => login(email, 'customer')),
    ],
  }
}

/** Makes the demo, or completes what an earlier run began; writes DATA_DIR/seed.json. */
async function seed(): Promise<void> {
  const before = readSeedFile()
  const present = before ? await findPresent(before) : new Set()
  const earlier = new Map(present.size > 0 ? before?.tenants.map((tenant) => [tenant.slug, tenant]) : [])
  if (TENANTS.every(({ slug }) => earlier.has(slug))) return
  const operators = await ensureOperators()
  const tenants: SeedFile['tenants'] = []
  for (const demo of TENANTS) {
    const known = earlier.get(demo.slug)
    if (known && !present.has(known.id)) tenants.push(known)
    else tenants.push(await seedTenant(demo, operators.super_admin, known?.api_key))
  }
  const content: SeedFile = {
    tenants,
    operators: OPERATORS.map(({ email, role }) => ({ email, password: DEMO_PASSWORD, role })),
  }
  mkdirSync(dataDir, { recursive: true })
  writeFileSync(`${seedFile}.partial`, `${JSON.stringify(content, null, 2)}\n`, { mode: 0o600 })
  renameSync(`${seedFile}.partial`, seedFile)
}

try {
  await seed()
} finally {
  await stopNotifications()
  await closePools()
}
