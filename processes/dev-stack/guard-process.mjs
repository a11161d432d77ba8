// Ends what a killed parent leaves behind. The parent writes one JSON line per thing to look after:
//   {"process": 123, "identity": "…", "signal": "SIGTERM"}   {"directory": "/tmp/…"}   {"release": 123}   {"release": "/tmp/…"}
// When the pipe closes, the parent has gone: processes still listed are ended (newest first), then directories removed.
import { readFileSync, rmSync } from 'node:fs'
import { createInterface } from 'node:readline'
import { setTimeout as sleep } from 'node:timers/promises'

const processes = new Map()
const directories = new Set()

for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.on(signal, () => {})

createInterface({ input: process.stdin })
  .on('line', (line) => {
    const order = JSON.parse(line)
    if (order.process) processes.set(order.process, order)
    if (order.directory) directories.add(order.directory)
    if (order.release) {
      processes.delete(order.release)
      directories.delete(order.release)
    }
  })
  .on('close', endEverything)

async function endEverything() {
  for (const { process: pid, signal, identity } of [...processes.values()].reverse()) {
    if (!isSame(pid, identity)) continue
    send(pid, signal)
    for (let waited = 0; waited < 17_000 && isSame(pid, identity); waited += 50) await sleep(50)
    if (isSame(pid, identity)) send(pid, 'SIGKILL')
  }
  for (const directory of directories) rmSync(directory, { recursive: true, force: true, maxRetries: 5 })
  process.exit(0)
}

function send(pid, signal) {
  // Each child leads a process group of its own, so what it started goes with it.
  for (const target of [-pid, pid]) {
    try {
      process.kill(target, signal)
      return
    } catch {
      // No such group, or it has ended in the meantime.
    }
  }
}

/** Process ids are used again: on Linux the start time tells; elsewhere the seconds since the parent died are few. */
function isSame(pid, identity) {
  try {
    process.kill(pid, 0)
    if (process.platform !== 'linux') return true
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8')
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
    // Of one that ends, other threads may still hold its ports when the first has gone (process-identity.ts).
    return (fields[0] !== 'Z' || Number(fields[17]) > 1) && identity.endsWith(`:${fields[19]}`)
  } catch {
    return false
  }
}
