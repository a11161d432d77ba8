import { join } from 'node:path'

/** Absolute path of the checkout: everything the stack runs is found from here, never from the working directory. */
export const repositoryRoot = join(import.meta.dirname, '..', '..')

/** Path of a file in the checkout. */
export function inRepository(...parts: string[]): string {
  return join(repositoryRoot, ...parts)
}
