import { stripVTControlCharacters } from 'node:util'

/**
 * Tests of one part, and the names of those that failed, as far as they are known. A skipped test counts as failed: one that
 * does not run proves nothing.
 */
export type Count = { passed: number; failed: number; names: string[] }

/** The count of a tool that ended with `code`: whatever it says of its tests, a code other than 0 is a failure and has a name. */
export function countOf(part: string, code: number, passed: number, names: string[]): Count {
  if (code === 0 || names.length > 0) return { passed, failed: names.length, names }
  return {
    passed,
    failed: 1,
    names: [`${part}: something outside of the tests (exit code ${code}); its words are above`],
  }
}

/** The first line of an error's message, without colours. */
export function firstLine(message: string): string {
  return stripVTControlCharacters(message).trim().split('\n', 1)[0] ?? ''
}
