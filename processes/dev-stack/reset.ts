import { existsSync, readdirSync, rmdirSync } from 'node:fs'
import { join } from 'node:path'
import { createInterface } from 'node:readline/promises'
import { isOwnDirectory, postgresDirectory, removeOwnEntries } from './data-directory'
import { stopLeftoverPostmaster } from './postgres-leftover'
import { endLeftoversIn, requireNotRunning } from './run-record'
import { dataDirectory, loadEnvFile } from './settings'
import { StackError } from './stack-error'

/** `npm run reset`: removes what the stack made in DATA_DIR. Asks first on a terminal, unless `--yes` was given. */
export async function resetDemo(sure: boolean): Promise<number> {
  loadEnvFile()
  const directory = dataDirectory()
  if (!existsSync(directory)) {
    process.stdout.write(`There is nothing to reset: ${directory} does not exist.\n`)
    return 0
  }
  if (!isOwnDirectory(directory)) {
    throw new StackError(
      `${directory} was not made by npm start, so nothing in it is removed.`,
      'Set DATA_DIR to the directory that the stack was started with.',
    )
  }
  requireNotRunning(directory)
  if (!sure && process.stdin.isTTY && !(await confirm(`Remove the database and all demo data in ${directory}? [y/N] `)))
    return 0
  await endLeftoversIn(directory)
  await stopLeftoverPostmaster(join(postgresDirectory(directory), 'data'))
  removeOwnEntries(directory)
  if (readdirSync(directory).length === 0) removeEmpty(directory)
  process.stdout.write(`Removed. npm start makes a new demo in ${directory}.\n`)
  return 0
}

/** The directory itself, unless it is a link, a mount or in a place that is not ours: then it stays, empty. */
function removeEmpty(directory: string): void {
  try {
    rmdirSync(directory)
  } catch (error) {
    const stays = ['ENOTDIR', 'EBUSY', 'EACCES', 'EPERM', 'EROFS']
    if (!(error instanceof Error && 'code' in error && stays.includes(String(error.code)))) throw error
  }
}

async function confirm(question: string): Promise<boolean> {
  const terminal = createInterface({ input: process.stdin, output: process.stdout })
  const answer = await terminal.question(question)
  terminal.close()
  return /^y(es)?$/i.test(answer.trim())
}
