import type { MemberRole } from '@/libs/auth/permissions'

/** Every demo account has this password; the demo is for a machine of one's own. */
export const DEMO_PASSWORD = 'holdfast-demo'

export type DemoPerson = { email: string; name: string; role: MemberRole }

export type DemoCustomer = {
  external_id: string
  name: string
  email: string
  tier: string
  /** How much it uses, compared with an average customer. */
  weight: number
  /** Days ago it became a customer. */
  since: number
  /** Whether its e-mail address may sign in to the portal. */
  signs_in?: true
  /** Share of its cap of api_calls that it has used this month. */
  used_share?: number
}

export type DemoTenant = {
  slug: string
  name: string
  description: string
  plan: string
  time_zone: string
  branding: { display_name: string; primary_color: string; accent_color: string; support_url: string }
  people: readonly DemoPerson[]
  customers: readonly DemoCustomer[]
  domain?: string
  suspended_because?: string
  /** Size of the whole, compared with acme. */
  scale: number
  /** Whether it has what comes with running for a while: alerts, grants, keys, limits, metrics, a closed billing period. */
  operations?: true
}

function people(tenant: string, roles: readonly MemberRole[]): DemoPerson[] {
  const names: Record<MemberRole, string> = {
    owner: 'Olivia Owens',
    admin: 'Adam Novak',
    compliance: 'Clara Stein',
    member: 'Mina Park',
  }
  return roles.map((role) => ({ email: `${role}@${tenant}.test`, name: names[role], role }))
}

/** External ids and names repeat from tenant to tenant; addresses do not, because they are accounts. */
function customers(
  tenant: string,
  rows: readonly (readonly [string, string, string, number, number])[],
): DemoCustomer[] {
  return rows.map(([external_id, name, tier, weight, since]) => ({
    external_id,
    name,
    email: `${external_id}@${tenant}-customers.test`,
    tier,
    weight,
    since,
  }))
}

export const TENANTS: readonly DemoTenant[] = [
  {
    slug: 'acme',
    name: 'Acme',
    description: 'Rockets, anvils, and the API to order them.',
    plan: 'premium',
    time_zone: 'Europe/Berlin',
    branding: {
      display_name: 'Acme',
      primary_color: '#b3261e',
      accent_color: '#0f766e',
      support_url: 'mailto:support@acme.test',
    },
    people: people('acme', ['owner', 'admin', 'compliance', 'member']),
    customers: [
      {
        external_id: 'bluebird',
        name: 'Bluebird Coffee',
        email: 'bluebird@acme-customers.test',
        tier: 'growth',
        weight: 1,
        since: 89,
        signs_in: true,
        used_share: 0.85,
      },
      {
        external_id: 'cedar',
        name: 'Cedar Labs',
        email: 'cedar@acme-customers.test',
        tier: 'starter',
        weight: 0.3,
        since: 82,
        signs_in: true,
      },
      ...customers('acme', [
        ['delta-forge', 'Delta Forge', 'scale', 2.6, 89],
        ['ember', 'Ember Studio', 'starter', 0.35, 88],
        ['fjord', 'Fjord Shipping', 'growth', 0.8, 76],
        ['grove', 'Grove and Sons', 'free', 0.08, 71],
        ['harbor', 'Harbor Lights', 'growth', 0.7, 66],
        ['iris', 'Iris Optics', 'starter', 0.4, 58],
        ['juniper', 'Juniper Health', 'scale', 1.9, 47],
        ['kestrel', 'Kestrel Maps', 'growth', 0.9, 33],
        ['lumen', 'Lumen Energy', 'scale', 1.4, 24],
        ['maple', 'Maple Books', 'free', 0.07, 15],
        ['nimbus', 'Nimbus Weather', 'starter', 0.3, 6],
      ]),
    ],
    domain: 'portal.acme.test',
    scale: 1,
    operations: true,
  },
  {
    slug: 'globex',
    name: 'Globex',
    description: 'A second world with the same names.',
    plan: 'basic',
    time_zone: 'America/New_York',
    branding: {
      display_name: 'Globex',
      primary_color: '#1d4ed8',
      accent_color: '#7c2d12',
      support_url: 'mailto:support@globex.test',
    },
    people: people('globex', ['owner', 'admin', 'compliance', 'member']),
    customers: [
      {
        external_id: 'bluebird',
        name: 'Bluebird Coffee',
        email: 'bluebird@globex-customers.test',
        tier: 'starter',
        weight: 0.5,
        since: 70,
        signs_in: true,
      },
      ...customers('globex', [
        ['cedar', 'Cedar Labs', 'growth', 0.9, 64],
        ['delta-forge', 'Delta Forge', 'free', 0.1, 60],
        ['ember', 'Ember Studio', 'starter', 0.4, 52],
        ['fjord', 'Fjord Shipping', 'scale', 1.5, 31],
        ['grove', 'Grove and Sons', 'starter', 0.3, 18],
      ]),
    ],
    scale: 0.6,
  },
  {
    slug: 'initech',
    name: 'Initech',
    description: 'Closed until its invoice is paid.',
    plan: 'basic',
    time_zone: 'America/Chicago',
    branding: {
      display_name: 'Initech',
      primary_color: '#3f6212',
      accent_color: '#334155',
      support_url: 'mailto:support@initech.test',
    },
    people: people('initech', ['owner', 'admin']),
    customers: [
      {
        external_id: 'bluebird',
        name: 'Bluebird Coffee',
        email: 'bluebird@initech-customers.test',
        tier: 'starter',
        weight: 0.4,
        since: 45,
        signs_in: true,
      },
      ...customers('initech', [['cedar', 'Cedar Labs', 'free', 0.1, 40]]),
    ],
    suspended_because: 'Invoice 2026-10 is unpaid.',
    scale: 0.5,
  },
  {
    slug: 'acme-labs',
    name: 'Acme Labs',
    description: 'Where Acme tries things out.',
    plan: 'free',
    time_zone: 'Europe/Berlin',
    branding: {
      display_name: 'Acme Labs',
      primary_color: '#6d28d9',
      accent_color: '#0f766e',
      support_url: 'mailto:labs@acme.test',
    },
    people: people('acme', ['owner', 'admin']),
    customers: customers('acme-labs', [['bluebird', 'Bluebird Coffee', 'free', 0.06, 20]]),
    scale: 0.4,
  },
]

export const OPERATORS = [
  { email: 'super-admin@holdfast.test', role: 'super_admin' },
  { email: 'support@holdfast.test', role: 'support' },
] as const
