import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { processIdentity } from '../../processes/dev-stack/process-identity'
import { inRepository } from '../../processes/dev-stack/repository'
import { runStepProcess } from '../../processes/dev-stack/step-process'

let directory = ''
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'holdfast-step-'))
})
afterEach(() => rmSync(directory, { recursive: true, force: true }))

const watched = (seen: [number, boolean][], signal = new AbortController().signal) => ({
  env: process.env,
  log_file: join(directory, 'step.log'),
  append: false,
  signal,
  onPid: (pid: number, running: boolean) => void seen.push([pid, running]),
})

async function isGone(pid: number): Promise<boolean> {
  for (let waited = 0; waited < 10_000 && processIdentity(pid) !== null; waited += 20) await sleep(20)
  return processIdentity(pid) === null
}

test('a step is heard of while it runs, writes its log, and resolves to its exit code', async () => {
  const seen: [number, boolean][] = []
  const code = await runStepProcess({ ...watched(seen), args: ['-e', 'console.log("done"); process.exit(3)'] })
  expect([code, readFileSync(join(directory, 'step.log'), 'utf8')]).toEqual([3, 'done\n'])
  expect(seen).toEqual([
    [seen[0]?.[0], true],
    [seen[0]?.[0], false],
  ])
})

test('a step that is stopped ends, and is no exit code', async () => {
  const seen: [number, boolean][] = []
  const stop = new AbortController()
  const ended = runStepProcess({ ...watched(seen, stop.signal), args: ['-e', 'setInterval(() => {}, 1000)'] })
  stop.abort()
  await expect(ended).rejects.toThrow(/abort/i)
  expect(await isGone(seen[0]?.[0] ?? 0)).toBe(true)
})

test('a step does not outlive a start that is killed: a build of nobody would hold up the next one', async () => {
  const script = `
    import { startGuard } from ${JSON.stringify(inRepository('processes', 'dev-stack', 'guard.ts'))}
    import { runStepProcess } from ${JSON.stringify(inRepository('processes', 'dev-stack', 'step-process.ts'))}
    const guard = startGuard()
    await runStepProcess({
      args: ['-e', 'setInterval(() => {}, 1000)'],
      env: process.env,
      log_file: ${JSON.stringify(join(directory, 'step.log'))},
      append: false,
      signal: new AbortController().signal,
      onPid: (pid) => {
        guard.watchProcess(pid, 'SIGTERM')
        process.stdout.write(String(pid))
      },
    })`
  const start = spawn(process.execPath, ['--import', 'tsx', '--input-type=module', '-e', script], {
    cwd: inRepository(),
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  const pid = Number(String((await once(start.stdout, 'data'))[0]))
  expect(processIdentity(pid)).not.toBeNull()
  start.kill('SIGKILL')
  expect(await isGone(pid)).toBe(true)
})
