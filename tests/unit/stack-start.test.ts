import { spawn } from 'node:child_process'
import { once } from 'node:events'
import {
  closeSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
  writeSync,
} from 'node:fs'
import { type AddressInfo, createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseEnv } from 'node:util'
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import { isOwnDirectory, prepareDataDirectory, putLogsAside } from '../../processes/dev-stack/data-directory'
import { describeDemo } from '../../processes/dev-stack/demo'
import { doctor } from '../../processes/dev-stack/doctor'
import { applyMigrations } from '../../processes/dev-stack/migrations'
import { findFreePort, requireFreePorts, requireOwnAddress } from '../../processes/dev-stack/ports'
import { processIdentity, readStart } from '../../processes/dev-stack/process-identity'
import { inRepository, requireReadablePath } from '../../processes/dev-stack/repository'
import { claimDataDirectory } from '../../processes/dev-stack/run-record'
import { loadSecrets } from '../../processes/dev-stack/secrets'
import { portsOf, readSettings, requireKnownOptions } from '../../processes/dev-stack/settings'
import {
  hasMailPage,
  productEnvironment,
  reachableHost,
  requireUsable,
  stackAddresses,
} from '../../processes/dev-stack/stack-environment'
import { findWayOut, StackError } from '../../processes/dev-stack/stack-error'
import { plainEnvironment } from '../../processes/test-run/whole-stack'

const before = { ...process.env }
let directory = ''
beforeEach(() => {
  Object.assign(process.env, plainEnvironment())
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
  const environment = () => {
    const settings = readSettings('production')
    const secrets = loadSecrets(directory)
    return productEnvironment(settings, secrets, stackAddresses(settings, secrets))
  }
  const check = () => requireUsable(environment())

  test('warns of the demo where others may come in by its logins', () => {
    const described = (operators: Parameters<typeof describeDemo>[2]['operators']) => {
      const settings = readSettings('production')
      const addresses = stackAddresses(settings, loadSecrets(directory))
      return describeDemo(settings, addresses, { tenants: [], operators }, 'demo.json')
    }
    const operators = [{ email: 'super@holdfast.test', password: 'known', role: 'super_admin' }]
    expect(described(operators)).not.toContain('SEED_DEMO=false')
    process.env.ROOT_DOMAIN = 'example.org'
    expect(described(operators)).toContain('SEED_DEMO=false')
    expect(described([])).not.toContain('SEED_DEMO=false')
  })

  test('is usable as it is', () => expect(check()).toBeUndefined())

  test('of the tests is nobody’s own: what a shell or .env has set is not heard of', () => {
    const example = readFileSync(inRepository('.env.example'), 'utf8')
    Object.assign(process.env, parseEnv(example.replaceAll(/^# (?=[A-Z][A-Z0-9_]*=)/gm, '')), { LOG_LEVEL: 'loud' })
    expect(() => check()).toThrow()
    expect(readSettings('production').external).not.toBeNull()
    const names = Object.keys(process.env)
    Object.assign(process.env, plainEnvironment())
    expect(check()).toBeUndefined()
    expect(readSettings('production')).toMatchObject({ external: null, seed: true, port: 3000, host: '127.0.0.1' })
    // Set to nothing rather than missing: a file does not fill in what is set.
    expect(Object.keys(process.env)).toEqual(names)
  })

  test('has mails where MAIL_DIR says, and else in the data directory', () => {
    process.env.DATA_DIR = directory
    expect(environment().MAIL_DIR).toBe(join(directory, 'mail'))
    process.env.MAIL_DIR = 'letters'
    expect(environment().MAIL_DIR).toBe(join(process.cwd(), 'letters'))
  })

  test.each(['SEED_DEMO', 'SUPABASE_CONFIRM_EMAIL'] as const)('%s is yes or no, and nothing else', async (name) => {
    const read = (text: string) => {
      process.env[name] = text
      const { seed, confirm_email } = readSettings('production')
      return name === 'SEED_DEMO' ? seed : confirm_email
    }
    expect(['true', '1', 'false', '0', ''].map(read)).toEqual([true, true, false, false, name === 'SEED_DEMO'])
    expect(await refusal(() => read('no'))).toBe(
      `${name} is "no", which is neither yes nor no. Set ${name} to true or false.`,
    )
  })

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
    for (const [, port] of portsOf(readSettings('production'))) expect(port).toBeLessThan(32_768)
  })

  test.each(['abc', '0', '65536', '3000.5', '-1'])('%s is none', async (text) => {
    process.env.PORT = text
    expect(await refusal(() => readSettings('production'))).toContain('PORT is')
  })

  test('are listened on at an address of this machine, whichever HOST names', async () => {
    for (const host of ['127.0.0.1', 'localhost', '0.0.0.0'])
      await expect(requireOwnAddress(host)).resolves.toBeUndefined()
    expect(['0.0.0.0', '::', '10.1.2.3', '127.0.0.1'].map(reachableHost)).toEqual([
      '127.0.0.1',
      '::1',
      '10.1.2.3',
      '127.0.0.1',
    ])
    expect(await refusal(() => requireOwnAddress('203.0.113.9'))).toContain(
      'HOST is "203.0.113.9", which is no address',
    )
    process.env.HOST = '10.1.2.3'
    expect(hasMailPage(readSettings('production'))).toBe(false)
  })

  test('a proxy before them means that others read what is shown: no page of mails, but where that is said', () => {
    expect(hasMailPage(readSettings('production'))).toBe(true)
    process.env.ROOT_DOMAIN = 'holdfast.example'
    expect(hasMailPage(readSettings('production'))).toBe(false)
    process.env.MAIL_PAGE = 'true'
    expect(hasMailPage(readSettings('production'))).toBe(true)
    delete process.env.MAIL_PAGE
    process.env.ROOT_DOMAIN = 'localhost:3000'
    expect(hasMailPage(readSettings('production'))).toBe(true)
    process.env.TRUSTED_PROXY_HOPS = '1'
    expect(hasMailPage(readSettings('production'))).toBe(false)
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

test('an option that is mistyped is named, and starts or removes nothing', async () => {
  expect(await refusal(() => requireKnownOptions(['--reset', '--yes', '--help', '--yse']))).toContain('"--help --yse"')
  expect(() => requireKnownOptions(['--reset', '--yes'])).not.toThrow()
})

test('a checkout may be in a path with spaces, umlauts and other signs', () => {
  expect(() => requireReadablePath("/home/Jürgen & Söhne/it's (100 %) here")).not.toThrow()
})

test('half of a database of one’s own is refused with the other half named', async () => {
  process.env.DATABASE_URL = 'postgres://db.example/holdfast'
  expect(await refusal(() => readSettings('production'))).toContain('OPERATOR_DATABASE_URL and SUPABASE_URL')
})

/** What doctor says of a database at an address of one's own, and its code. */
async function askDoctor(databaseUrl: string): Promise<{ code: number; said: string }> {
  Object.assign(process.env, { DATA_DIR: directory, CHROMIUM_PATH: process.execPath })
  for (const name of ['DATABASE_URL', 'OPERATOR_DATABASE_URL']) process.env[name] = databaseUrl
  Object.assign(process.env, { SUPABASE_URL: 'http://127.0.0.1:1', SUPABASE_PUBLISHABLE_KEY: 'a' })
  let said = ''
  const spy = vi.spyOn(process.stdout, 'write').mockImplementation((text) => {
    said += text
    return true
  })
  const code = await doctor().finally(() => spy.mockRestore())
  return { code, said }
}

test('doctor looks at the ports beside a database of one’s own too, and names what it is set by', async () => {
  const busy = createServer().listen(0, '127.0.0.1')
  await once(busy, 'listening')
  const { port } = busy.address() as AddressInfo
  process.env.PORT = String(port)
  const { code, said } = await askDoctor('postgres://app_server@127.0.0.1:1/a')
  busy.close()
  expect(code).toBe(1)
  expect(said).toContain(`Port ${port} (PORT) is in use`)
  expect(said).toContain('to DATABASE_URL and OWNER_DATABASE_URL.')
  expect(said).toContain('to SUPABASE_URL and SUPABASE_PUBLISHABLE_KEY.')
})

test('doctor goes on past a database that says nothing', async () => {
  const silent = createServer((socket) => socket.resume()).listen(0, '127.0.0.1')
  await once(silent, 'listening')
  const { port } = silent.address() as AddressInfo
  const { code, said } = await askDoctor(`postgres://app_server@127.0.0.1:${port}/a`)
  silent.close()
  expect(code).toBe(1)
  expect(said).toContain('Postgres does not answer: ')
  expect(said).toContain('to SUPABASE_URL and SUPABASE_PUBLISHABLE_KEY.')
})

describe('the data directory', () => {
  test('is ours once it has been prepared, and an unwritable one is named', async () => {
    expect(isOwnDirectory(directory)).toBe(false)
    prepareDataDirectory(directory)
    expect(isOwnDirectory(directory)).toBe(true)
    writeFileSync(join(directory, 'file'), '')
    expect(await refusal(() => prepareDataDirectory(join(directory, 'file', 'data')))).toContain('DATA_DIR=')
  })

  test('in a path that Postgres cannot hold is refused', async () => {
    expect(await refusal(() => prepareDataDirectory(join(directory, 'd/'.repeat(500))))).toContain(
      'too long for Postgres',
    )
  })

  test.each([
    'PANIC: could not write to file: No space left on device',
    'FATAL:  could not extend file "base/1/2691": wrote only 4096 of 8192 bytes',
  ])('without room is one to free some on: %s', (words) => {
    expect(findWayOut(new StackError(`Postgres did not start:\n${words}`, 'The whole log is …'))).toContain(
      'Free some space',
    )
    expect(findWayOut(new StackError('Postgres did not start', 'The whole log is …'))).toBe('The whole log is …')
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

  test('is not free of a process before the last thread of it has ended', () => {
    const stat = (state: string, threads: number) =>
      `71 (node (x) y) ${state} 1 71 71 0 -1 4194560 1 0 0 0 1 1 0 0 20 0 ${threads} 0 7192444 123 45`
    expect(readStart(stat('S', 11))).toBe('7192444')
    expect(readStart(stat('Z', 3))).toBe('7192444')
    expect(readStart(stat('Z', 1))).toBeNull()
    expect(processIdentity(process.pid)).toMatch(/:\d+$|:\d\d /)
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
        process.stdout.write(claimed)
      })
      // Who has gone holds nothing: the faster one waits for the other.
      process.stdin.once('end', () => process.exit(0))`
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
    for (const { stdin } of starts) stdin.end()
    expect([...first].map((claimed, round) => Number(claimed) + Number(second[round]))).toEqual(Array(rounds).fill(1))
  })
})

test('a log that becomes too large is put aside while it is written, and the writer goes on in it', () => {
  const logs = join(directory, 'logs')
  mkdirSync(logs)
  const [large, small] = ['web.log', 'worker.log'].map((name) => openSync(join(logs, name), 'a')) as [number, number]
  for (const round of ['first', 'second', 'third']) {
    writeSync(large, `${round} `.repeat(20))
    writeSync(small, round)
    putLogsAside(directory, 50)
  }
  writeSync(large, 'afterwards')
  for (const file of [large, small]) closeSync(file)
  const texts = readdirSync(logs).map((name) => [name, readFileSync(join(logs, name), 'utf8')])
  expect(texts).toEqual([
    ['web.log', 'afterwards'],
    ['web.log.old', 'third '.repeat(20)],
    ['worker.log', 'firstsecondthird'],
  ])
})

test('a database that the migrations cannot reach is called that, not a wrong migration', async () => {
  const port = await findFreePort(20_000)
  const away = await refusal(() => applyMigrations(`postgresql://holdfast_owner:x@127.0.0.1:${port}/holdfast`))
  expect(away).toMatch(/cannot reach the database: .*ECONNREFUSED/)
  expect(away).not.toMatch(/supabase|file/)
  expect(await refusal(() => applyMigrations('holdfast'))).toContain('OWNER_DATABASE_URL is not postgres://')
})
