// `npm test`: everything that must be green, from a bare checkout. Runs on whatever Node is there; see processes/test-run.
import { prepareCheckout, runWithModernNode } from './bootstrap.mjs'

await prepareCheckout()
process.exit(await runWithModernNode('processes/test-run/main.ts', process.argv.slice(2)))
