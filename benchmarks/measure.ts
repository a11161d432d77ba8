import { spawn } from 'node:child_process'
import { inRepository } from '@/processes/dev-stack/repository'
import type { CommitPlan, CommitResult } from './commits'
import type { LoadPlan, LoadResult } from './load'
import type { PeerPlan, PeerResult } from './peers'

/** Runs a script of this folder as a process of its own and reads the result it prints. */
function runScript<Result>(file: string, plan: unknown): Promise<Result> {
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, ['--import', 'tsx', inRepository('benchmarks', file), JSON.stringify(plan)], {
      cwd: inRepository(),
      stdio: ['ignore', 'pipe', 'inherit'],
    })
    let output = ''
    child.stdout.on('data', (chunk) => {
      output += String(chunk)
    })
    child.once('error', reject)
    child.once('exit', (code) => {
      if (code === 0) resolve(JSON.parse(output) as Result)
      else reject(new Error(`${file} ended with ${code}`))
    })
  })
}

/** Puts load on an HTTP server. @throws Error when it does not answer 200 to all of it. */
export async function runLoad(plan: LoadPlan): Promise<LoadResult> {
  const result = await runScript<LoadResult>('load.ts', plan)
  if (result.failures > 0) throw new Error(`${result.failures} of ${result.requests} requests failed: ${result.sample}`)
  return result
}

/** Puts rows straight into the table that is the yardstick. */
export function runCommits(plan: CommitPlan): Promise<CommitResult> {
  return runScript<CommitResult>('commits.ts', plan)
}

/** Runs a meter of another design. */
export function runPeer(plan: PeerPlan): Promise<PeerResult> {
  return runScript<PeerResult>('peers.ts', plan)
}

/** Average time of a step in microseconds, after a warm-up. */
export async function timeOf(step: () => unknown, times: number): Promise<number> {
  for (let index = 0; index < times / 10; index += 1) await step()
  const started = performance.now()
  for (let index = 0; index < times; index += 1) await step()
  return ((performance.now() - started) * 1_000) / times
}

/** The value in the middle. */
export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b)
  return sorted[Math.floor(sorted.length / 2)] ?? 0
}

export type Row = {
  what: string
  figure: string
  yardstick: string
  ratio: string
  target: string
  reached: boolean | null
}

const rows: Row[] = []

/** Notes a figure, and says it at once. */
export function note(row: Row): void {
  rows.push(row)
  const mark = row.reached === null ? ' ' : row.reached ? '+' : '-'
  process.stdout.write(`${mark} ${row.what}: ${row.figure} | ${row.yardstick} | ${row.ratio} (${row.target})\n`)
}

/** Everything noted, as a table in Markdown. */
export function table(): string {
  const lines = rows.map((row) => {
    const verdict = row.reached === null ? '' : row.reached ? 'yes' : '**no**'
    return `| ${row.what} | ${row.figure} | ${row.yardstick} | ${row.ratio} | ${row.target} | ${verdict} |`
  })
  return ['| what | figure | yardstick | ratio | target | reached |', '|---|---|---|---|---|---|', ...lines].join('\n')
}

/** Whether every target was reached. */
export function allReached(): boolean {
  return rows.every(({ reached }) => reached !== false)
}

export const perSecond = (value: number): string => `${Math.round(value).toLocaleString('en')}/s`
export const milliseconds = (value: number): string => `${value.toFixed(1)} ms`
