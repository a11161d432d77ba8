import { renameSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { bold, dim } from './progress'
import type { SeedResult } from './seed'
import type { Settings } from './settings'
import { hasMailPage, isOwnMachine, type StackAddresses } from './stack-environment'

/** Writes DATA_DIR/demo.json: every address and login of the running stack, for scripts and tests (owner-readable only). */
export function writeDemoFile(settings: Settings, addresses: StackAddresses, seed: SeedResult): string {
  const path = join(settings.data_dir, 'demo.json')
  const content = {
    urls: demoUrls(settings, addresses, seed),
    supabase: addresses.supabase,
    database: addresses.database,
    tenants: seed.tenants,
    operators: seed.operators,
  }
  writeFileSync(`${path}.partial`, `${JSON.stringify(content, null, 2)}\n`, { mode: 0o600 })
  renameSync(`${path}.partial`, path)
  return path
}

const KNOWN_LOGINS =
  "The demo's passwords are in the source, known to everybody. Where others reach this, start with SEED_DEMO=false in a new DATA_DIR."

/** The box that ends a start; below it a warning where others may come in by the demo's logins. */
export function describeDemo(
  settings: Settings,
  addresses: StackAddresses,
  seed: SeedResult,
  demoFile: string,
): string {
  const urls = demoUrls(settings, addresses, seed)
  const rows: (readonly [string, string] | null)[] = [
    ['Dashboard', urls.dashboard],
    ['Operators', urls.operator],
    ...Object.entries(urls.portals).map(([slug, url]) => [`Portal ${slug}`, url] as const),
    ['API reference', `${urls.dashboard}/docs/api`],
    ['Ingest', urls.ingest],
    ['Auth API', urls.supabase],
    hasMailPage(settings) ? ['Mails', `${urls.dashboard}/dev/mail`] : null,
    null,
    ...seed.operators.map((login) => [login.role, `${login.email}  ${login.password}`] as const),
    ...seed.tenants.flatMap((tenant) =>
      tenant.logins.map((login) => [`${tenant.slug} ${login.role}`, `${login.email}  ${login.password}`] as const),
    ),
    null,
    ['All of it', demoFile],
  ]
  const box = frame(
    bold('Holdfast is running'),
    rows.filter((row, index) => row !== null || rows[index - 1] !== null),
    'Ctrl-C stops it.',
  )
  return seed.operators.length === 0 || isOwnMachine(settings) ? box : `${box}\n\n  ${KNOWN_LOGINS}`
}

function demoUrls(settings: Settings, addresses: StackAddresses, seed: SeedResult) {
  const dashboard = `http://app.${settings.root_domain}`
  return {
    dashboard,
    operator: `${dashboard}/operator`,
    ingest: `http://localhost:${settings.ingest_port}`,
    supabase: addresses.supabase.url,
    portals: Object.fromEntries(seed.tenants.map(({ slug }) => [slug, `http://${slug}.${settings.root_domain}`])),
  }
}

function frame(title: string, rows: (readonly [string, string] | null)[], foot: string): string {
  const label = Math.max(...rows.map((row) => row?.[0].length ?? 0)) + 2
  const width = Math.max(...rows.map((row) => label + (row?.[1].length ?? 0)), foot.length) + 2
  const line = (text: string, visible: number) => `│ ${text}${' '.repeat(Math.max(0, width - visible - 1))}│`
  return [
    `╭${'─'.repeat(width)}╮`,
    line(title, 'Holdfast is running'.length),
    `├${'─'.repeat(width)}┤`,
    ...rows.map((row) =>
      row ? line(dim(row[0].padEnd(label)) + row[1], label + row[1].length) : `├${'─'.repeat(width)}┤`,
    ),
    `├${'─'.repeat(width)}┤`,
    line(dim(foot), foot.length),
    `╰${'─'.repeat(width)}╯`,
  ].join('\n')
}
