import { paths as alerts } from '@/features/alerts/openapi'
import { paths as analyticsEvents } from '@/features/analytics-events/openapi'
import { paths as apiKeys } from '@/features/api-keys/openapi'
import { paths as auditLogs } from '@/features/audit-logs/openapi'
import { paths as auth } from '@/features/auth/openapi'
import { paths as billingPeriods } from '@/features/billing-periods/openapi'
import { paths as branding } from '@/features/branding/openapi'
import { paths as connectorEvents } from '@/features/connector-events/openapi'
import { paths as customerKeys } from '@/features/customer-keys/openapi'
import { paths as customerLogins } from '@/features/customer-logins/openapi'
import { paths as customers } from '@/features/customers/openapi'
import { paths as entitlements } from '@/features/entitlements/openapi'
import { paths as features } from '@/features/features/openapi'
import { paths as members } from '@/features/members/openapi'
import { paths as meters } from '@/features/meters/openapi'
import { paths as metrics } from '@/features/metrics/openapi'
import { paths as onboarding } from '@/features/onboarding/openapi'
import { paths as operator } from '@/features/operator/openapi'
import { paths as overview } from '@/features/overview/openapi'
import { paths as portal } from '@/features/portal/openapi'
import { paths as rateLimits } from '@/features/rate-limits/openapi'
import { paths as reconciliations } from '@/features/reconciliations/openapi'
import { paths as reports } from '@/features/reports/openapi'
import { paths as reservations } from '@/features/reservations/openapi'
import { paths as stripeExports } from '@/features/stripe-exports/openapi'
import { paths as tiers } from '@/features/tiers/openapi'
import { paths as upgradeRequests } from '@/features/upgrade-requests/openapi'
import { paths as usageTracking } from '@/features/usage-tracking/openapi'
import { createOpenApi } from '@/libs/api-utils/openapi'
import { isSecureRequest } from '@/libs/auth/session-cookie'
import { env } from '@/libs/env'
import { version } from '@/package.json'
import { paths as tenants } from './tenant-paths'

const paths = {
  ...tenants,
  ...members,
  ...onboarding,
  ...branding,
  ...apiKeys,
  ...meters,
  ...tiers,
  ...customers,
  ...features,
  ...entitlements,
  ...customerLogins,
  ...customerKeys,
  ...upgradeRequests,
  ...portal,
  ...rateLimits,
  ...usageTracking,
  ...overview,
  ...billingPeriods,
  ...stripeExports,
  ...reconciliations,
  ...reservations,
  ...reports,
  ...alerts,
  ...metrics,
  ...auditLogs,
  ...connectorEvents,
  ...analyticsEvents,
  ...auth,
  ...operator,
}

/** The document by the address it names, http or https. */
const documents = new Map<string, Uint8Array<ArrayBuffer>>()

/**
 * The OpenAPI document, generated from the schemas the routes check their input with. Made once: it takes a good part of a
 * second, and anybody may ask for it.
 */
export function GET(request: Request): Response {
  const server = `${isSecureRequest(request) ? 'https' : 'http'}://${env().ROOT_DOMAIN}`
  const bytes = documents.get(server) ?? new TextEncoder().encode(JSON.stringify(createOpenApi(paths, version, server)))
  documents.set(server, bytes)
  return new Response(bytes, { headers: { 'content-type': 'application/json', 'cache-control': 'public, max-age=60' } })
}
