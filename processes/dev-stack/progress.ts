import { describeFileError, findWayOut, StackError } from './stack-error'

const colour = process.stdout.isTTY && !process.env.NO_COLOR
const paint = (code: number, text: string) => (colour ? `\u001b[${code}m${text}\u001b[0m` : text)

export const bold = (text: string) => paint(1, text)
export const dim = (text: string) => paint(2, text)
export const red = (text: string) => paint(31, text)
export const green = (text: string) => paint(32, text)
export const yellow = (text: string) => paint(33, text)

/**
 * Runs one step of the start and says what it did and how long it took: `label` while it works (with seconds running on a
 * terminal), then the label again, or the text that `work` returns, with a tick.
 */
export async function step<T>(label: string, work: (say: (text: string) => void) => Promise<T>): Promise<T> {
  const started = Date.now()
  let text = label
  const timer = process.stdout.isTTY
    ? setInterval(
        () => process.stdout.write(`\r\u001b[K  ${yellow('…')} ${label} ${dim(`${seconds(started)} s`)}`),
        1_000,
      )
    : undefined
  if (process.stdout.isTTY) process.stdout.write(`\r\u001b[K  ${yellow('…')} ${label}`)
  try {
    const result = await work((said) => {
      text = said
    })
    clearLine()
    process.stdout.write(`  ${green('✓')} ${text} ${dim(`${seconds(started)} s`)}\n`)
    return result
  } catch (error) {
    clearLine()
    process.stdout.write(`  ${red('✗')} ${label} ${dim(`${seconds(started)} s`)}\n`)
    throw error
  } finally {
    clearInterval(timer)
  }
}

/** One line about something that happens while the stack runs. */
export function note(text: string): void {
  process.stdout.write(`  ${yellow('!')} ${text}\n`)
}

/** Says why something failed: StackErrors and what a file system refused in two sentences, anything else with its stack. */
export function explain(error: unknown): void {
  const known = error instanceof StackError ? error : describeFileError(error)
  if (known) {
    process.stderr.write(`\n${red(known.message)}\n${findWayOut(known)}\n\n`)
    return
  }
  process.stderr.write(`\n${error instanceof Error ? error.stack : String(error)}\n\n`)
}

function clearLine(): void {
  if (process.stdout.isTTY) process.stdout.write('\r\u001b[K')
}

function seconds(started: number): string {
  return ((Date.now() - started) / 1_000).toFixed(1)
}
