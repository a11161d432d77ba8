/** Tests of one part. A skipped test counts as failed: one that does not run proves nothing. */
export type Count = { passed: number; failed: number }
