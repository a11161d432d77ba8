import { join } from 'node:path'
import { StackError } from './stack-error'

/** Absolute path of the checkout: everything the stack runs is found from here, never from the working directory. */
const repositoryRoot = join(import.meta.dirname, '..', '..')

/** Path of a file in the checkout. */
export function inRepository(...parts: string[]): string {
  return join(repositoryRoot, ...parts)
}

/** Throws a StackError where the tools that build the application would stumble: for them `#` and `?` end a path. */
export function requireReadablePath(path = repositoryRoot): void {
  if (!/[#?]/.test(path)) return
  throw new StackError(
    `The path of this checkout has a # or a ? in it, which the build cannot read: ${path}`,
    'Rename that directory, or move the checkout, and start again.',
  )
}
