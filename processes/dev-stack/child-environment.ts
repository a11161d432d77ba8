import { delimiter } from 'node:path'
import { inRepository } from './repository'

/** Environment of a child process: this one's, with the tools of node_modules first on the PATH, and `own` on top. */
export function childEnvironment(own: Record<string, string | undefined>): NodeJS.ProcessEnv {
  return {
    ...process.env,
    PATH: `${inRepository('node_modules', '.bin')}${delimiter}${process.env.PATH ?? ''}`,
    NODE_ENV: process.env.NODE_ENV === 'test' ? 'test' : 'production',
    ...own,
  }
}
