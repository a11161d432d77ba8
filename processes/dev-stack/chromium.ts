import { spawnSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { delimiter, join } from 'node:path'
import { chromium } from '@playwright/test'
import { inRepository } from './repository'
import { StackError } from './stack-error'

const NAMES = ['chromium', 'chromium-browser', 'google-chrome', 'google-chrome-stable']
const MAC_APPS = [
  '/Applications/Google Chrome.app/Contents/MacOS/Google Chrome',
  '/Applications/Chromium.app/Contents/MacOS/Chromium',
]

/** Path of a Chromium: CHROMIUM_PATH, one of the system, one that Playwright has installed; null when there is none. */
export function findChromium(): string | null {
  if (process.env.CHROMIUM_PATH) return process.env.CHROMIUM_PATH
  const directories = (process.env.PATH ?? '').split(delimiter)
  const system = NAMES.flatMap((name) => directories.map((directory) => join(directory, name)))
  return [...system, ...MAC_APPS, chromium.executablePath()].find((path) => path && existsSync(path)) ?? null
}

/** Why a browser cannot be used: the words it ends with when it is only asked for its version; null when it can. */
export function whyUnusable(path: string): string | null {
  const asked = spawnSync(path, ['--version'], { encoding: 'utf8', timeout: 30_000 })
  if (asked.status === 0) return null
  return asked.error?.message ?? (asked.stderr.trim().split('\n').at(-1) || `it ended with ${asked.status}`)
}

/** As `findChromium`, but installs one when there is none: Debian's package as root, else Playwright's download. */
export function ensureChromium(): string {
  const path = findChromium() ?? installChromium()
  const why = path ? whyUnusable(path) : null
  if (path && !why) return path
  throw new StackError(
    path ? `${path} cannot be used as Chromium: ${why}` : 'No Chromium was found, and none could be installed.',
    'Set CHROMIUM_PATH to one that starts, or install one (as root: npx playwright install --with-deps chromium).',
  )
}

function installChromium(): string | null {
  if (process.getuid?.() === 0 && spawnSync('apt-get', ['--version'], { stdio: 'ignore' }).status === 0) {
    spawnSync('apt-get', ['update'], { stdio: 'inherit' })
    spawnSync('apt-get', ['install', '-y', '--no-install-recommends', 'chromium', 'fonts-liberation'], {
      stdio: 'inherit',
      env: { ...process.env, DEBIAN_FRONTEND: 'noninteractive' },
    })
  } else {
    const playwright = inRepository('node_modules', '@playwright', 'test', 'cli.js')
    spawnSync(process.execPath, [playwright, 'install', 'chromium'], { stdio: 'inherit' })
  }
  return findChromium()
}
