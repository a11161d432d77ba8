/** Names that mean the same, and have the same ids, in every demo tenant: what leaks from one to another shows. */
export const METERS = [
  { slug: 'api_calls', name: 'API calls', unit: 'calls', aggregation: 'SUM', description: 'Requests answered.' },
  {
    slug: 'compute_minutes',
    name: 'Compute',
    unit: 'minutes',
    aggregation: 'SUM',
    description: 'Time spent computing.',
  },
  {
    slug: 'emails_sent',
    name: 'E-mails sent',
    unit: 'e-mails',
    aggregation: 'COUNT',
    description: 'One event per e-mail.',
  },
] as const

/** The property by which every demo meter keeps totals too; every demo event has it. */
export const GROUP_BY = ['region']

/** What the features of the tiers are called. */
export const FEATURE_NAMES = {
  portal: 'Customer portal',
  email_support: 'Email support',
  priority_support: 'Priority support',
  sso: 'Single sign-on',
  sla: 'Guaranteed uptime',
} as const

/** One of each, for a tenant that has run for a while. */
export const OPERATIONS = {
  alert: { name: 'API calls near the cap', meter: 'api_calls', kind: 'usage_percent', threshold: 80 },
  grant: {
    customer: 'harbor',
    meter: 'api_calls',
    amount: 2_500,
    priority: 5,
    expires_in_days: 90,
    metadata: { reason: 'Thanks for trying the new API' },
  },
  key: {
    prefix: 'acme',
    name: 'Point of sale',
    external_id: 'bluebird',
    permissions: ['orders.read', 'orders.write'],
    ratelimits: [{ name: 'requests', limit: 100, duration_ms: 60_000 }],
    remaining: 5_000,
    refill: { amount: 5_000, interval: 'monthly' },
  },
  override: { namespace: 'orders', identifier: 'bluebird', limit: 600, duration: 60_000 },
} as const

type Cap = { meter: string; limit: number; behaviour: 'reject' | 'overflow'; rollover_max?: number }
export type DemoTier = {
  slug: string
  name: string
  description: string
  price_minor: number
  is_default: boolean
  /** Customers may take it by themselves. */
  self_service?: true
  /** What it was when it had its first version; customers of more than sixty days still have that. */
  before?: { price_minor: number; caps: readonly Cap[] }
  caps: readonly Cap[]
  features: readonly { key: string; config?: Record<string, unknown> }[]
}

export const TIERS: readonly DemoTier[] = [
  {
    slug: 'free',
    name: 'Free',
    description: 'To try it out.',
    price_minor: 0,
    is_default: true,
    caps: [
      { meter: 'api_calls', limit: 1_000, behaviour: 'reject' },
      { meter: 'emails_sent', limit: 100, behaviour: 'reject' },
    ],
    features: [{ key: 'portal' }],
  },
  {
    slug: 'starter',
    name: 'Starter',
    description: 'For the first product in production.',
    price_minor: 1_900,
    is_default: false,
    self_service: true,
    before: {
      price_minor: 1_500,
      caps: [
        { meter: 'api_calls', limit: 5_000, behaviour: 'reject' },
        { meter: 'compute_minutes', limit: 250, behaviour: 'overflow' },
        { meter: 'emails_sent', limit: 500, behaviour: 'reject' },
      ],
    },
    caps: [
      { meter: 'api_calls', limit: 5_000, behaviour: 'reject' },
      { meter: 'compute_minutes', limit: 300, behaviour: 'overflow', rollover_max: 60 },
      { meter: 'emails_sent', limit: 500, behaviour: 'reject' },
    ],
    features: [{ key: 'portal' }, { key: 'email_support' }],
  },
  {
    slug: 'growth',
    name: 'Growth',
    description: 'For teams whose customers come back.',
    price_minor: 7_900,
    is_default: false,
    self_service: true,
    caps: [
      { meter: 'api_calls', limit: 10_000, behaviour: 'reject' },
      { meter: 'compute_minutes', limit: 2_000, behaviour: 'overflow' },
      { meter: 'emails_sent', limit: 2_000, behaviour: 'overflow' },
    ],
    features: [{ key: 'portal' }, { key: 'email_support' }, { key: 'sso' }],
  },
  {
    slug: 'scale',
    name: 'Scale',
    description: 'No hard limits, billed by what is used.',
    price_minor: 29_900,
    is_default: false,
    caps: [
      { meter: 'api_calls', limit: 50_000, behaviour: 'overflow' },
      { meter: 'compute_minutes', limit: 10_000, behaviour: 'overflow' },
    ],
    features: [
      { key: 'portal' },
      { key: 'priority_support' },
      { key: 'sso' },
      { key: 'sla', config: { uptime: 99.9 } },
    ],
  },
]
