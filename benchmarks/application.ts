import type { TenantRequestContext } from '@/libs/api-utils/tenant-api-wrapper'
import { forgetEnv } from '@/libs/env'
import { log } from '@/libs/log'
import { median, note, timeOf } from './measure'
import type { BenchWorld } from './world'

/** What the wrapper and the resolution of tenants cost a request whose key and tenant are known to the process. */
export async function benchApplication(world: BenchWorld): Promise<void> {
  Object.assign(process.env, world.environment)
  forgetEnv()
  log.level = 'warn'
  const { ApiResponse, withTenantAuth } = await import('@/libs/api-utils/tenant-api-wrapper')
  const { findTenantRouting } = await import('@/libs/tenancy/resolve-tenant')
  const { stopNotifications } = await import('@/libs/db/notifications')
  const { closePools } = await import('@/libs/db/pools')
  const headers = { authorization: `Bearer ${world.tenant.key}`, host: 'localhost:3000' }
  const request = () => new Request('http://localhost:3000/api/v1/usage/check', { method: 'POST', headers })
  const handler = async (_request: Request, _context?: TenantRequestContext) => ApiResponse.success({ allowed: true })
  const wrapped = withTenantAuth(handler, { permission: 'usage:read', transaction: 'none' })

  const bare: number[] = []
  const whole: number[] = []
  const resolution: number[] = []
  for (let round = 0; round < 5; round += 1) {
    bare.push(await timeOf(() => handler(request()), 5_000))
    whole.push(await timeOf(() => wrapped(request()), 5_000))
    resolution.push(await timeOf(() => findTenantRouting({ slug: world.tenant.slug }), 20_000))
  }
  const cost = median(whole) - median(bare)
  note({
    what: 'wrapper: key, tenant, permission, context',
    figure: `${cost.toFixed(0)} µs`,
    yardstick: `${median(bare).toFixed(0)} µs for Request and Response`,
    ratio: `${(median(whole) / median(bare)).toFixed(1)} ×`,
    target: 'for comparison',
    reached: null,
  })
  note({
    what: 'resolution of a tenant, cached',
    figure: `${median(resolution).toFixed(1)} µs`,
    yardstick: '–',
    ratio: '–',
    target: '≤ 20 µs',
    reached: median(resolution) <= 20,
  })
  await stopNotifications()
  await closePools()
}
