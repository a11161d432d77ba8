import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdirSync, mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { isOwnDirectory, prepareDataDirectory } from '../../processes/dev-stack/data-directory'
import { findFreePort, requireFreePorts } from '../../processes/dev-stack/ports'
import { processIdentity } from '../../processes/dev-stack/process-identity'
import { inRepository, requireReadablePath } from '../../processes/dev-stack/repository'
import { claimDataDirectory } from '../../processes/dev-stack/run-record'
import { loadSecrets } from '../../processes/dev-stack/secrets'
import { portsOf, readSettings } from '../../processes/dev-stack/settings'
import { productEnvironment, requireUsable, stackAddresses } from '../../processes/dev-stack/stack-environment'

const before = { ...process.env }
let directory = ''
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'holdfast-unit-'))
})
afterEach(() => {
  process.env = { ...before }
  rmSync(directory, { recursive: true, force: true })
})

/** What a person reads when a start is refused. */
async function refusal(work: () => unknown): Promise<string> {
  try {
    await work()
  } catch (error) {
    if (error instanceof Error && 'way_out' in error) return `${error.message} ${error.way_out}`
    throw error
  }
  throw new Error('nothing was refused')
}

describe('the environment of the product', () => {
  const check = () => {
    const settings = readSettings('production')
    const secrets = loadSecrets(directory)
    requireUsable(productEnvironment(settings, secrets, stackAddresses(settings, secrets)))
  }

  test('is usable as it is', () => expect(check()).toBeUndefined())

  test('is refused before anything starts, with every variable that is wrong', async () => {
    const wrong = {
      MAX_TENANTS_PER_USER: 'five',
      TRUSTED_PROXY_HOPS: '99',
      TENANT_PARAMETER_ROUTING: 'maybe',
      LOG_LEVEL: 'loud',
      POSTHOG_HOST: 'eu.posthog.com',
      ENCRYPTION_KEYS: 'too-short',
      ROOT_DOMAIN: 'no host',
    }
    Object.assign(process.env, wrong)
    const words = await refusal(check)
    for (const name of Object.keys(wrong)) expect(words).toMatch(new RegExp(`^  ${name}: must [^\n]+$`, 'm'))
    expect(words).toContain('MAX_TENANTS_PER_USER: must be a whole number')
    expect(words).toContain('TRUSTED_PROXY_HOPS: must be from 0 to 10')
    expect(words).not.toContain('Invalid')
  })
})

describe('ports', () => {
  test('all busy ones are named with their variables, and a free one of nobody else for each', async () => {
    const [one, two, three] = [await findFreePort(), await findFreePort(), await findFreePort()]
    const servers = [one, three].map((port) => createServer().listen(port, '127.0.0.1'))
    await Promise.all(servers.map((server) => once(server, 'listening')))
    const ports: [string, number][] = [
      ['PORT', one],
      ['INGEST_PORT', two],
      ['DATABASE_PORT', three],
    ]
    const words = await refusal(() => requireFreePorts(ports, 'npm run dev'))
    expect(words).toContain(`Ports ${one} (PORT) and ${three} (DATABASE_PORT) are in use by other programs. Stop those`)
    const [, first, second] = / PORT=(\d+) DATABASE_PORT=(\d+) npm run dev$/.exec(words) ?? []
    expect(new Set([one, two, three, Number(first), Number(second)]).size).toBe(5)
    servers[1]?.close()
    expect(await refusal(() => requireFreePorts(ports, 'npm start'))).toMatch(
      new RegExp(
        `^Port ${one} \\(PORT\\) is in use by another program. Stop that program, or choose another port: PORT=`,
      ),
    )
    servers[0]?.close()
    await expect(requireFreePorts(ports, 'npm start')).resolves.toBeUndefined()
  })

  test('by default are none that the system lends to outgoing connections', () => {
    for (const name of ['PORT', 'INGEST_PORT', 'SUPABASE_PORT', 'DATABASE_PORT']) delete process.env[name]
    for (const [, port] of portsOf(readSettings('production'))) expect(port).toBeLessThan(32_768)
  })

  test.each(['abc', '0', '65536', '3000.5', '-1'])('%s is none', async (text) => {
    process.env.PORT = text
    expect(await refusal(() => readSettings('production'))).toContain('PORT is')
  })

  test('two processes do not share one', async () => {
    process.env.PORT = '3001'
    expect(await refusal(() => readSettings('production'))).toContain('PORT and INGEST_PORT are both 3001')
  })
})

test.each(['/home/a/#1/holdfast', '/home/why?/holdfast'])(
  'a checkout in %s is refused before the build fails',
  async (path) => {
    expect(await refusal(() => requireReadablePath(path))).toContain(path)
  },
)

test('a checkout may be in a path with spaces, umlauts and other signs', () => {
  expect(() => requireReadablePath("/home/Jürgen & Söhne/it's (100 %) here")).not.toThrow()
})

test('half of a database of one’s own is refused with the other half named', async () => {
  process.env.DATABASE_URL = 'postgres://db.example/holdfast'
  expect(await refusal(() => readSettings('production'))).toContain('OPERATOR_DATABASE_URL and SUPABASE_URL')
})

describe('the data directory', () => {
  test('is ours once it has been prepared, and an unwritable one is named', async () => {
    expect(isOwnDirectory(directory)).toBe(false)
    prepareDataDirectory(directory)
    expect(isOwnDirectory(directory)).toBe(true)
    writeFileSync(join(directory, 'file'), '')
    expect(await refusal(() => prepareDataDirectory(join(directory, 'file', 'data')))).toContain('DATA_DIR=')
  })

  test('keeps its secrets from one start to the next, readable by its owner alone', () => {
    const first = loadSecrets(directory)
    expect(loadSecrets(directory)).toEqual(first)
    expect(new Set(Object.values(first)).size).toBe(Object.keys(first).length)
    expect(statSync(join(directory, 'secrets.json')).mode & 0o777).toBe(0o600)
  })

  test('damaged secrets are named', async () => {
    writeFileSync(join(directory, 'secrets.json'), '{"jwt')
    expect(await refusal(() => loadSecrets(directory))).toContain('npm run reset')
  })

  test('is used by one stack at a time; a record of a process that has gone does not count', async () => {
    const path = join(directory, 'stack.json')
    const record = (identity: string) =>
      writeFileSync(path, JSON.stringify({ main: { name: 'stack', pid: process.ppid, identity }, children: [] }))
    record(processIdentity(process.ppid) ?? '')
    expect(await refusal(() => claimDataDirectory(directory))).toContain('already running')
    record('another boot:1')
    const claimed = await claimDataDirectory(directory)
    claimed.clear()
  })

  test('is claimed by one of two starts at the very same moment, be it new or left by a killed one', async () => {
    const rounds = 30
    for (let round = 0; round < rounds; round += 1) {
      mkdirSync(join(directory, String(round)))
      const left = { main: { name: 'stack', pid: 1, identity: 'another boot:1' }, children: [] }
      if (round % 2) writeFileSync(join(directory, String(round), 'stack.json'), JSON.stringify(left))
    }
    const script = `
      import { claimDataDirectory } from ${JSON.stringify(inRepository('processes', 'dev-stack', 'run-record.ts'))}
      process.stdout.write('ready')
      process.stdin.once('data', async (data) => {
        let claimed = ''
        for (let round = 0; round < ${rounds}; round += 1) {
          while (Date.now() < Number(data) + round * 10) {}
          claimed += await claimDataDirectory(${JSON.stringify(directory)} + '/' + round).then(() => '1', () => '0')
        }
        process.stdout.write(claimed, () => process.exit(0))
      })`
    const starts = [1, 2].map(() =>
      spawn(process.execPath, ['--import', 'tsx', '--input-type=module', '-e', script], {
        cwd: inRepository(),
        stdio: ['pipe', 'pipe', 'inherit'],
      }),
    )
    await Promise.all(starts.map(({ stdout }) => once(stdout, 'data')))
    const answers = starts.map(({ stdout }) => once(stdout, 'data').then(String))
    const moment = Date.now() + 20
    for (const { stdin } of starts) stdin.write(String(moment))
    const [first = '', second = ''] = await Promise.all(answers)
    expect([...first].map((claimed, round) => Number(claimed) + Number(second[round]))).toEqual(Array(rounds).fill(1))
  })
})
