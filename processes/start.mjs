// `npm start`, `npm run dev`, `npm run reset`, `npm run doctor`, from a bare checkout: this file runs on whatever Node is
// there and needs no package. It sees to Node and node_modules and hands over to processes/dev-stack/main.ts.
import { prepareCheckout, runWithModernNode } from './bootstrap.mjs'

const options = process.argv.slice(2)
await prepareCheckout()
process.exit(await runWithModernNode('processes/dev-stack/main.ts', options))
