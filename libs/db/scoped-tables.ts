/**
 * Tables with a tenant_id column: the isolation test compares this list with the catalog, so that a new table
 * cannot be forgotten here.
 */
export const SCOPED_TABLES: ReadonlySet<string> = new Set([
  'analytics_events',
  'api_keys',
  'audit_details',
  'audit_logs',
  'brandings',
  'connector_events',
  'customer_logins',
  'customers',
  'domains',
  'idempotency_keys',
  'memberships',
  'meters',
  'onboarding_progress',
  'outbox',
  'placements',
  'subscriptions',
  'tenant_states',
  'tier_caps',
  'tier_features',
  'tiers',
  'usage_counters',
  'usage_events',
  'usage_rejections',
  'usage_settings',
  'usage_totals',
])
