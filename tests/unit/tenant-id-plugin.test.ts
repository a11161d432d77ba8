// Every statement on a tenant's table names the tenant itself, so that a distributed database can route it to one shard.
import { DummyDriver, Kysely, PostgresAdapter, PostgresIntrospector, PostgresQueryCompiler } from 'kysely'
import { expect, test } from 'vitest'
import type { DB } from '@/libs/db/generated/database'
import { SCOPED_TABLES } from '@/libs/db/scoped-tables'
import { tenantIdPlugin } from '@/libs/db/tenant-id-plugin'

const TENANT = '01934d5c-0000-7000-8000-00000000000a'
const db = new Kysely<DB>({
  dialect: {
    createAdapter: () => new PostgresAdapter(),
    createDriver: () => new DummyDriver(),
    createIntrospector: (kysely) => new PostgresIntrospector(kysely),
    createQueryCompiler: () => new PostgresQueryCompiler(),
  },
  plugins: [tenantIdPlugin(() => TENANT)],
})

/** How often a statement compares a table's tenant_id with the tenant. */
const conditions = ({ sql: text, parameters }: { sql: string; parameters: readonly unknown[] }, name: string): number =>
  [...text.matchAll(new RegExp(`"${name}"\\."tenant_id" = \\$(\\d+)`, 'g'))].filter(
    (match) => parameters[Number(match[1]) - 1] === TENANT,
  ).length

test.each([...SCOPED_TABLES])('%s: select, update and delete are led to the tenant', (table) => {
  const name = table as keyof DB
  expect(conditions(db.selectFrom(name).selectAll().compile(), table)).toBe(1)
  expect(conditions(db.deleteFrom(name).compile(), table)).toBe(1)
  expect(conditions(db.updateTable(name).set({}).compile(), table)).toBe(1)
})

test('tables without tenant_id are left alone', () => {
  expect(db.selectFrom('plans').selectAll().compile().sql).not.toContain('tenant_id')
  expect(db.selectFrom('tenants').selectAll().compile().sql).not.toContain('tenant_id')
})

test('the condition joins those that are there, and does not loosen an OR', () => {
  const { sql: text } = db
    .selectFrom('customers')
    .select('id')
    .where((where) => where.or([where('external_id', '=', 'a'), where('external_id', '=', 'b')]))
    .compile()
  expect(text).toMatch(/where \(.* or .*\) and "customers"\."tenant_id" = \$3$/)
})

test('an alias is named by the alias, each side of a join by its own', () => {
  const query = db
    .selectFrom('subscriptions as s')
    .innerJoin('customers as c', 'c.id', 's.customer_id')
    .leftJoin('tiers', 'tiers.id', 's.tier_id')
    .select(['c.external_id', 'tiers.slug'])
    .compile()
  for (const name of ['s', 'c', 'tiers']) expect([name, conditions(query, name)]).toEqual([name, 1])
})

test('sub-queries and common table expressions carry it too', () => {
  const query = db
    .with('recent', (inner) => inner.selectFrom('usage_counters').select(['customer_id', 'used']))
    .selectFrom('customers')
    .select('id')
    .where('id', 'in', (inner) => inner.selectFrom('subscriptions').select('customer_id'))
    .where(({ exists, selectFrom }) => exists(selectFrom('meters').select('id')))
    .compile()
  for (const name of ['usage_counters', 'customers', 'subscriptions', 'meters'])
    expect([name, conditions(query, name)]).toEqual([name, 1])
})

test('another schema’s table of the same name is none of ours', () => {
  const query = db.withSchema('app').selectFrom('customers').selectAll().compile()
  expect(query.sql).not.toContain('tenant_id" =')
})
