import { readFileSync } from 'node:fs'
import { join } from 'node:path'

export type DemoLogin = { email: string; password: string; role: string }
export type DemoTenant = {
  id: string
  slug: string
  name: string
  status: string
  api_key: string
  logins: DemoLogin[]
}

/** What a running stack says of itself in DATA_DIR/demo.json. */
export type Demo = {
  urls: { dashboard: string; operator: string; ingest: string; supabase: string; portals: Record<string, string> }
  supabase: { url: string; publishable_key: string }
  database: { owner_url: string; server_url: string; operator_url: string }
  tenants: DemoTenant[]
  operators: DemoLogin[]
}

/** The demo of the stack under test: DEMO_FILE (set by npm test), else that of a stack running in DATA_DIR or .data. */
export function readDemo(): Demo {
  const path =
    process.env.DEMO_FILE ?? join(process.env.DATA_DIR ?? join(import.meta.dirname, '..', '..', '.data'), 'demo.json')
  return JSON.parse(readFileSync(path, 'utf8'))
}
