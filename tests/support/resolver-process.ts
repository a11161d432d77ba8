// A second process of the product, as far as resolution goes: for each slug on standard input, what it knows of it.
import { createInterface } from 'node:readline'
import { stopNotifications } from '@/libs/db/notifications'
import { closePools } from '@/libs/db/pools'
import { findTenantRouting } from '@/libs/tenancy/resolve-tenant'

for await (const slug of createInterface({ input: process.stdin })) {
  const routing = await findTenantRouting({ slug })
  process.stdout.write(`${routing ? `${routing.status} ${routing.name}` : 'none'}\n`)
}
await stopNotifications()
await closePools()
