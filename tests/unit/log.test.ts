import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { closeSync, openSync } from 'node:fs'
import { expect, test } from 'vitest'
import { inRepository } from '../../processes/dev-stack/repository'

const PROGRAM = `
  import { setTimeout as sleep } from 'node:timers/promises'
  import { log } from '@/libs/log'
  for (const n of [1, 2, 3]) {
    log.info({ n }, 'said')
    await sleep(50)
  }
  process.stderr.write('went on')
  process.exit(0)`

test('a process whose log takes nothing, as on a full disk, goes on and ends when it should', async () => {
  const full = openSync('/dev/full', 'w')
  const child = spawn(process.execPath, ['--import', 'tsx', '--input-type=module', '-e', PROGRAM], {
    cwd: inRepository(),
    env: { ...process.env, LOG_LEVEL: 'info' },
    stdio: ['ignore', full, 'pipe'],
    timeout: 20_000,
    killSignal: 'SIGKILL',
  })
  closeSync(full)
  let said = ''
  child.stderr?.on('data', (chunk) => {
    said += chunk
  })
  const [code, signal] = await once(child, 'close')
  expect({ end: code ?? signal, said }).toEqual({ end: 0, said: 'went on' })
})
