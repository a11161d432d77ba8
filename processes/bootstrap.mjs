// What a bare checkout needs before TypeScript can run: a Node that is new enough and the packages of the lock file.
import { spawn, spawnSync } from 'node:child_process'
import { existsSync, readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

const OLDEST_NODE = 20
const STOPS = ['SIGINT', 'SIGTERM', 'SIGHUP']
const root = join(dirname(fileURLToPath(import.meta.url)), '..')

/** Ends the process with a sentence when Node is too old; installs packages when they are missing or out of date. */
export async function prepareCheckout() {
  const major = Number(process.versions.node.split('.')[0])
  if (major < OLDEST_NODE) {
    fail(
      `Node ${process.versions.node} is too old for Holdfast.`,
      `Install Node ${OLDEST_NODE} or newer from https://nodejs.org and try again.`,
    )
  }
  if (isInstalled()) return
  console.log('\n  Installing packages (a minute or so, once) …\n')
  const started = Date.now()
  const npm = npmCommand()
  const code = await run(
    npm.command,
    [...npm.args, 'ci', '--include=dev', '--no-audit', '--no-fund', '--loglevel=error'],
    npm.shell,
  )
  if (code !== 0)
    fail(
      'The packages could not be installed (npm ci failed; its words are above).',
      'Check the network, then run the same command again.',
    )
  console.log(`  Packages installed in ${Math.round((Date.now() - started) / 1000)} s.`)
}

/** Runs a TypeScript file of the checkout with the Node of node_modules; resolves to its exit code. */
export async function runWithModernNode(file, options) {
  const child = spawn(modernNode(), ['--import', 'tsx', join(root, file), ...options], {
    cwd: root,
    stdio: ['inherit', 'inherit', 'inherit', 'ipc'],
  })
  for (const signal of STOPS) process.on(signal, () => child.kill(signal))
  stopWhenNpmIsKilled(() => child.kill('SIGTERM'))
  return new Promise((resolve) => {
    child.once('error', (error) => fail(`Node could not be started: ${error.message}`, 'Run npm ci and try again.'))
    child.once('exit', (code, signal) => {
      if (signal && !STOPS.includes(signal))
        console.error(
          `\nThis was ended from outside (${signal}); a machine that runs out of memory does that too.\n` +
            'Start it again: what was acknowledged is there. npm run doctor looks for causes.\n',
        )
      resolve(signal ? 1 : (code ?? 1))
    })
  })
}

/** npm ended by force cannot pass the signal on: its child, the shell it runs scripts in or this process, gets a new parent. */
function stopWhenNpmIsKilled(stop) {
  if (!process.env.npm_lifecycle_event || process.platform === 'win32') return
  const watched = [process.pid, ...(isScriptShell(process.ppid) ? [process.ppid] : [])]
  const parents = watched.map(parentOf)
  setInterval(() => {
    if (watched.some((pid, index) => parentOf(pid) !== parents[index])) stop()
  }, 2000).unref()
}

function isScriptShell(pid) {
  const args =
    process.platform === 'linux'
      ? readFileSync(`/proc/${pid}/cmdline`, 'utf8').replaceAll('\0', ' ')
      : spawnSync('ps', ['-o', 'args=', '-p', String(pid)], { encoding: 'utf8' }).stdout
  return / -c .*processes\//.test(args ?? '')
}

function parentOf(pid) {
  if (pid === process.pid) return process.ppid
  if (process.platform !== 'linux') {
    return Number(spawnSync('ps', ['-o', 'ppid=', '-p', String(pid)], { encoding: 'utf8' }).stdout)
  }
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8')
    return Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[1])
  } catch {
    return 0
  }
}

/** The Node that package.json pins; the present one when it is new enough and that one could not be installed. */
function modernNode() {
  const pinned = join(root, 'node_modules', 'node', 'bin', process.platform === 'win32' ? 'node.exe' : 'node')
  if (existsSync(pinned) && spawnSync(pinned, ['--version']).status === 0) return pinned
  const [major = 0, minor = 0] = process.versions.node.split('.').map(Number)
  if (major > 22 || (major === 22 && minor >= 18)) return process.execPath
  return fail(
    'The Node 24 that comes with the packages was not installed (npm may be set to run no install scripts).',
    'Run: npm rebuild node   or install Node 22.18 or newer yourself.',
  )
}

/** Whether node_modules holds exactly what the lock file says; npm notes what it installed in a file of its own. */
function isInstalled() {
  const note = join(root, 'node_modules', '.package-lock.json')
  if (!existsSync(note)) return false
  try {
    const wanted = JSON.parse(readFileSync(join(root, 'package-lock.json'), 'utf8')).packages
    const present = JSON.parse(readFileSync(note, 'utf8')).packages
    return Object.entries(wanted).every(([path, entry]) => {
      if (path === '' || entry.link) return true
      const installed = present[path]
      return installed
        ? installed.version === entry.version
        : Boolean(entry.optional || entry.peer || entry.devOptional)
    })
  } catch {
    return false
  }
}

function npmCommand() {
  const script = process.env.npm_execpath
  if (script && /npm-cli\.js$/.test(script)) return { command: process.execPath, args: [script], shell: false }
  return { command: 'npm', args: [], shell: process.platform === 'win32' }
}

function run(command, args, shell) {
  return new Promise((resolve) => {
    const child = spawn(command, args, { cwd: root, stdio: ['ignore', 'inherit', 'inherit'], shell })
    // Whoever stops the start stops the installation: npm must not go on writing beside the next one.
    const stop = (signal) => {
      child.once('exit', () => process.exit(0))
      child.kill(signal)
    }
    for (const signal of STOPS) process.once(signal, stop)
    child.once('error', () => resolve(1))
    child.once('exit', (code) => {
      for (const signal of STOPS) process.off(signal, stop)
      resolve(code ?? 1)
    })
  })
}

function fail(sentence, wayOut) {
  console.error(`\n${sentence}\n${wayOut}\n`)
  process.exit(1)
}
