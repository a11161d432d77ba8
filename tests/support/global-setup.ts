import type { TestProject } from 'vitest/node'
import { startTestCluster, type TestCluster } from './test-cluster'

declare module 'vitest' {
  export interface ProvidedContext {
    cluster: TestCluster
  }
}

/** One cluster for the whole run; every test file gets a database of its own from it (setup.ts). */
export default async function setup(project: TestProject): Promise<() => Promise<void>> {
  // Nobody cuts the power of this one: its commits are as in production, but for the wait for a disk.
  const running = await startTestCluster({ fsync: 'off' })
  project.provide('cluster', running.cluster)
  return running.stop
}
