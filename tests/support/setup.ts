// Runs before every integration test file: a database of its own, and the environment that libs/env.ts reads.
import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, inject } from 'vitest'
import { createTestDatabase } from './database'

const cluster = inject('cluster')
const database = await createTestDatabase(cluster)
const dataDirectory = join(cluster.directory, database.name)
mkdirSync(join(dataDirectory, 'mail'), { recursive: true })

Object.assign(process.env, {
  DATABASE_URL: database.server_url,
  OPERATOR_DATABASE_URL: database.operator_url,
  OWNER_DATABASE_URL: database.owner_url,
  SUPERUSER_DATABASE_URL: database.superuser_url,
  SUPABASE_URL: cluster.supabase.url,
  SUPABASE_PUBLISHABLE_KEY: cluster.supabase.publishable_key,
  SUPABASE_SECRET_KEY: cluster.supabase.secret_key,
  SUPABASE_JWT_SECRET: cluster.supabase.jwt_secret,
  ROOT_DOMAIN: 'localhost:3000',
  DATA_DIR: dataDirectory,
  MAIL_DIR: join(dataDirectory, 'mail'),
})
for (const name of ['SMTP_URL', 'POSTHOG_KEY', 'DEFAULT_TENANT_SLUG']) delete process.env[name]

afterAll(() => database.drop())
