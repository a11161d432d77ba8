/**
 * Tests of one part, and the names of those that failed, as far as they are known. A skipped test counts as failed: one that
 * does not run proves nothing.
 */
export type Count = { passed: number; failed: number; names: string[] }
