import { spawnSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { delimiter, join } from 'node:path'
import { chromium } from '@playwright/test'

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

/** As `findChromium`, but installs one when there is none: Debian's package as root, else Playwright's download. */
export function ensureChromium(): string {
  const found = findChromium()
  if (found) return found
  if (process.getuid?.() === 0 && spawnSync('apt-get', ['--version'], { stdio: 'ignore' }).status === 0) {
    spawnSync('apt-get', ['update'], { stdio: 'inherit' })
    spawnSync('apt-get', ['install', '-y', '--no-install-recommends', 'chromium', 'fonts-liberation'], {
      stdio: 'inherit',
      env: { ...process.env, DEBIAN_FRONTEND: 'noninteractive' },
    })
  } else {
    spawnSync(process.execPath, [join('node_modules', '@playwright', 'test', 'cli.js'), 'install', 'chromium'], {
      stdio: 'inherit',
    })
  }
  const installed = findChromium()
  if (installed) return installed
  throw new Error('No Chromium was found or could be installed. Set CHROMIUM_PATH to one.')
}
