/** Nouns that carry permissions; each has `noun:read` and `noun:write`. */
export const NOUNS = [
  'tenants',
  'members',
  'customers',
  'customer-keys',
  'meters',
  'tiers',
  'usage',
  'billing-periods',
  'stripe-exports',
  'alerts',
  'metrics',
  'rate-limits',
  'api-keys',
  'audit-logs',
  'connectors',
  'connector-events',
  'analytics-events',
  'branding',
  'domains',
  'onboarding',
  'outbox',
] as const

export type Noun = (typeof NOUNS)[number]
/** The portal is no noun: it is what a customer sees of many, and the little it may do there. */
export type Permission = `${Noun | 'portal'}:read` | `${Noun | 'portal'}:write`
export type MemberRole = 'owner' | 'admin' | 'member' | 'compliance'
export type Role = MemberRole | 'customer'

/** Every permission there is; jobs and the system hold them all. */
export const PERMISSIONS: readonly Permission[] = [...NOUNS, 'portal' as const].flatMap((noun): Permission[] => [
  `${noun}:read`,
  `${noun}:write`,
])

const reading = (...nouns: Noun[]): Permission[] => nouns.map((noun): Permission => `${noun}:read`)
const writing = (...nouns: Noun[]): Permission[] =>
  nouns.flatMap((noun): Permission[] => [`${noun}:read`, `${noun}:write`])

const everyday: Permission[] = [
  ...reading(
    'tenants',
    'members',
    'meters',
    'tiers',
    'connector-events',
    'branding',
    'onboarding',
    'usage',
    'alerts',
    'metrics',
  ),
  ...writing('customers', 'analytics-events'),
]
const administration: Permission[] = [
  ...writing(
    'tenants',
    'members',
    'customers',
    'meters',
    'tiers',
    'usage',
    'billing-periods',
    'stripe-exports',
    'alerts',
    'metrics',
    'customer-keys',
    'rate-limits',
    'api-keys',
    'connectors',
    'branding',
    'domains',
    'onboarding',
    'connector-events',
    'analytics-events',
  ),
  'audit-logs:read',
]

/** What each role may do: the role grid of the product. Deny by default; nobody holds `audit-logs:write`. */
export const ROLE_PERMISSIONS: Readonly<Record<Role, readonly Permission[]>> = {
  owner: administration,
  admin: administration,
  member: everyday,
  compliance: reading('tenants', 'members', 'audit-logs', 'connector-events', 'branding', 'usage', 'billing-periods'),
  customer: ['portal:read', 'portal:write'],
}

/** Permissions an API key may be given: what an owner holds, people and the tenant itself excepted. */
export const KEY_PERMISSIONS: readonly Permission[] = administration.filter(
  (permission) =>
    !permission.startsWith('tenants:w') && !permission.startsWith('members:w') && !permission.startsWith('api-keys:w'),
)

/** The effective right of a key: what it was granted, as far as its creator's present role still reaches. */
export function keyPermissions(granted: readonly string[], creatorRole: string | null): Permission[] {
  if (creatorRole === null || !Object.hasOwn(ROLE_PERMISSIONS, creatorRole)) return []
  const present = ROLE_PERMISSIONS[creatorRole as Role]
  return present.filter((permission) => granted.includes(permission))
}
