import { tenantQuery } from '@/libs/db/tenant-db'
import { runTenantStatement, statementActor } from '@/libs/db/tenant-statement'
import { AppError } from '@/libs/errors'
import { isUuid } from '@/libs/ids'
import { createGroupCommit } from '@/libs/ingest/group-commit'
import { type Actor, currentContext, runOutsideTenant } from '@/libs/tenancy/tenant-context'

/** Whom a name leads to: by its external id, or as another name of it. */
export type NameOwner = {
  name: string
  customer_id: string
  external_id: string
  by: 'external_id' | 'subject'
  /** Nobody ever said anything of it: it was made by its first event. */
  is_bare: boolean
  archived_at: Date | null
}

/** Customers that go by these names, in the order of the names. */
export async function findNameOwners(names: readonly string[]): Promise<NameOwner[]> {
  return tenantQuery<NameOwner>(
    `select n.name, c.id as customer_id, c.external_id, n.by, c.archived_at,
       c.name is null and c.email is null and c.metadata = '{}' as is_bare
     from (
       select n.name, n.place, c.id, 'external_id' as by from unnest($2::text[]) with ordinality n (name, place)
         join customers c on c.tenant_id = $1 and c.external_id = n.name
       union all
       select n.name, n.place, s.customer_id, 'subject' from unnest($2::text[]) with ordinality n (name, place)
         join customer_subjects s on s.tenant_id = $1 and s.subject = n.name
     ) n
     join customers c on c.tenant_id = $1 and c.id = n.id
     order by n.place, n.by`,
    [currentContext().tenantId, names],
  )
}

/** Ids of the customers these lead to, each once: by id before external id, and by that before another name. */
export async function findCustomerIds(references: readonly string[]): Promise<string[]> {
  const rows = await tenantQuery<{ id: string }>(
    `select distinct x.id from unnest($2::text[]) r (name)
     cross join lateral (
       select f.id from (
         select c.id, 1 as rank from customers c where c.tenant_id = $1 and c.id = any ($3::uuid[]) and c.id::text = lower(r.name)
         union all
         select c.id, 2 from customers c where c.tenant_id = $1 and c.external_id = r.name
         union all
         select s.customer_id, 3 from customer_subjects s where s.tenant_id = $1 and s.subject = r.name
       ) f order by f.rank limit 1
     ) x`,
    [currentContext().tenantId, references, references.filter(isUuid)],
  )
  return rows.map(({ id }) => id)
}

/** Names customers were given for their events, in order; customers without any are left out. */
export async function readSubjects(customerIds: readonly string[]): Promise<Map<string, string[]>> {
  const rows = await tenantQuery<{ customer_id: string; subjects: string[] }>(
    `select customer_id, array_agg(subject order by place) as subjects from customer_subjects
     where tenant_id = $1 and customer_id = any ($2::uuid[]) and place is not null group by customer_id`,
    [currentContext().tenantId, customerIds],
  )
  return new Map(rows.map(({ customer_id, subjects }) => [customer_id, subjects]))
}

/**
 * Gives a customer the names it goes by in events, and others that only find it, in place of those it had.
 * @throws AppError conflict for a name that is somebody else's.
 */
export async function setSubjects(
  customerId: string,
  { subjects, names }: { subjects: readonly string[]; names: readonly string[] },
): Promise<void> {
  const { tenantId } = currentContext()
  const taken = (await findNameOwners([...subjects, ...names])).find(({ customer_id }) => customer_id !== customerId)
  if (taken) throw subjectTaken(taken.name)
  await tenantQuery('delete from customer_subjects where tenant_id = $1 and customer_id = $2', [tenantId, customerId])
  const others = names.filter((name) => !subjects.includes(name))
  const rows = await tenantQuery(
    `insert into customer_subjects (customer_id, subject, place)
     select $1, n.subject, n.place from unnest($2::text[], $3::smallint[]) n (subject, place)
     on conflict (tenant_id, subject) do nothing returning subject`,
    [customerId, [...subjects, ...others], [...subjects.map((_, place) => place), ...others.map(() => null)]],
  )
  if (rows.length < subjects.length + others.length) throw subjectTaken([...subjects, ...others].join(', '))
}

/** A name that leads to somebody else already. */
export function subjectTaken(name: string): AppError {
  return new AppError('conflict', `${name} is another customer already.`)
}

type Work = { tenantId: string; actor: Actor; subjects: readonly string[] }
type Resolved = ReadonlyMap<string, string>
const FIND = 'select app.customers_of_subjects($1, $2, $3, $4) as value'

const resolver = createGroupCommit<Work, Resolved>({
  run: (works) => runOutsideTenant(() => resolveTogether(works)),
  writers: 4,
  worthJoining: 64,
  maxBatch: 500,
  maxQueued: 20_000,
})

/**
 * External ids of the customers that subjects of events are other names of; who goes by its own is left out. Requests of
 * one moment look together, and nothing is remembered: a name holds from when it was given. Outside of a transaction.
 */
export function resolveSubjects(subjects: readonly string[]): Promise<Resolved> {
  const { tenantId, actor } = currentContext()
  const kind = actor.permissions.includes('usage:read')
  return resolver.submit(tenantId, `${actor.kind} ${actor.id} ${kind}`, { tenantId, actor, subjects }, 1)
}

async function resolveTogether(works: readonly Work[]): Promise<Resolved[]> {
  const [first] = works
  if (!first) return []
  const subjects = [...new Set(works.flatMap((work) => work.subjects))]
  const { tenantId } = first
  const actor = statementActor(first.actor, ['usage:write'])
  const found = await runTenantStatement<Record<string, string>>(
    FIND,
    tenantId,
    ({ epoch }) => [tenantId, epoch, actor, subjects],
    // Looking is safe to repeat, so that a connection that breaks costs a moment and no event.
    { repeatable: true },
  )
  const map = new Map(Object.entries(found))
  return works.map(() => map)
}
