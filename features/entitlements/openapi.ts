import { z } from 'zod'
import { operation, pageOf } from '@/libs/api-utils/openapi'
import {
  balance,
  balanceHistory,
  balanceQuery,
  entitlement,
  entitlementInput,
  entitlements,
  entitlementTerms,
  entitlementValue,
  grant,
  grantInput,
  grantListQuery,
  historyQuery,
  portalOverview,
} from './schema'

const tag = 'Entitlements'
const params = z.object({ id: z.string().meta({ description: 'Id or external id', example: 'customer-42' }) })
const featureParams = params.extend({
  feature: z.string().meta({ description: 'Feature key, or slug of the meter', example: 'api_calls' }),
})
const grantParams = params.extend({
  grant: z.string().meta({ description: 'Id of the grant', example: '0198c0de-0000-7000-8000-000000000001' }),
})
const reads = { tag, permission: 'customers:read', params }
const writes = { tag, permission: 'customers:write', params }
const grants = 'Grants'

export const paths = {
  '/api/v1/customers/{id}/entitlements': {
    get: operation({
      ...reads,
      summary: 'What a customer may use now',
      description: 'What its tier allows in the version the customer has, and its own entitlements beside or instead.',
      success: [200, entitlements],
    }),
    post: operation({
      ...writes,
      summary: 'Entitle a customer',
      description: 'A metered one holds in place of the cap of the tier, from the next call on.',
      body: entitlementInput,
      example: { kind: 'metered', meter: 'api_calls', limit: 10_000, behaviour: 'reject', period: 'month' },
      success: [201, entitlement],
    }),
  },
  '/api/v1/customers/{id}/entitlements/{feature}': {
    get: operation({
      ...reads,
      summary: 'Get an entitlement',
      params: featureParams,
      success: [200, entitlement],
    }),
    put: operation({
      ...writes,
      summary: 'Change an entitlement of a customer',
      description: "Replaces the terms; usage stays counted. Only for the customer's own, not for its tier's.",
      params: featureParams,
      body: entitlementTerms,
      example: { limit: 20_000 },
      success: [200, entitlement],
    }),
    delete: operation({
      ...writes,
      summary: 'Cancel an entitlement of a customer',
      description: 'The terms of its tier hold again.',
      params: featureParams,
      success: [204, null],
    }),
  },
  '/api/v1/customers/{id}/entitlements/{feature}/value': {
    get: operation({
      ...reads,
      summary: 'Whether a customer has access, and what is left',
      description: 'Answers for any feature: one that nobody entitles to has no access.',
      params: featureParams,
      success: [200, entitlementValue],
    }),
  },
  '/api/v1/customers/{id}/grants': {
    get: operation({
      ...reads,
      tag: grants,
      summary: 'List the grants of a customer',
      description: 'The newest first, as they stand now.',
      query: grantListQuery,
      success: [200, pageOf(grant)],
    }),
    post: operation({
      ...writes,
      tag: grants,
      summary: 'Grant an amount',
      description:
        'On top of the allowance. Allowance and grants are used by priority, then earliest expiry, then age. ' +
        'Overage that is there already stays.',
      body: grantInput,
      example: { meter: 'api_calls', amount: 500, recurrence: 'month' },
      success: [201, grant],
    }),
  },
  '/api/v1/customers/{id}/grants/{grant}': {
    get: operation({ ...reads, tag: grants, summary: 'Get a grant', params: grantParams, success: [200, grant] }),
    delete: operation({
      ...writes,
      tag: grants,
      summary: 'Void a grant',
      description: 'Takes back what is left; what was used of it stays used.',
      params: grantParams,
      success: [200, grant],
    }),
  },
  '/api/v1/customers/{id}/balance': {
    get: operation({
      ...reads,
      tag: grants,
      summary: 'Where a customer stands with a meter',
      query: balanceQuery,
      success: [200, balance],
    }),
  },
  '/api/v1/customers/{id}/balance/history': {
    get: operation({
      ...reads,
      tag: grants,
      summary: 'What happened to a balance',
      description: 'What was issued, carried over, expired and reset, the newest first, and usage by day beside it.',
      query: historyQuery,
      success: [200, balanceHistory],
    }),
  },
  '/api/v1/portal/overview': {
    get: operation({
      summary: 'What a signed-in customer sees of itself',
      tag: 'Portal',
      permission: 'portal:read',
      success: [200, portalOverview],
    }),
  },
}
