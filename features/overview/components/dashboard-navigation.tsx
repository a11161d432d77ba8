import {
  Activity,
  BellRing,
  Cable,
  CalendarCheck,
  ChartArea,
  ChartColumn,
  CreditCard,
  FileChartColumn,
  Gauge,
  KeyRound,
  KeySquare,
  Layers,
  LayoutDashboard,
  ListTree,
  Puzzle,
  Scale,
  ScrollText,
  Settings,
  Timer,
  Users,
} from 'lucide-react'
import type { MemberRole, Permission } from '@/libs/auth/permissions'
import { t } from '@/libs/ui/messages'
import type { NavItem, NavSection } from '@/libs/ui/shell/nav'

/** The navigation of a tenant's dashboard: what the role may see, by subject; compliance officers find the record first. */
export function dashboardSections(slug: string, role: MemberRole, permissions: readonly Permission[]): NavSection[] {
  const base = `/${slug}`
  const officer = role === 'compliance'
  const item = (permission: Permission, entry: Omit<NavItem, 'href'> & { path: string }): NavItem[] => {
    const { path, ...rest } = entry
    return permissions.includes(permission) ? [{ href: `${base}${path}`, ...rest }] : []
  }
  const audit = item('audit-logs:read', {
    path: '/audit-logs',
    label: t('overview.nav.audit_logs'),
    icon: <ScrollText />,
    shortcut: 'g a',
    keywords: t('overview.keywords.audit_logs'),
  })
  const metering: NavItem[] = [
    ...item('usage:read', {
      path: '/usage',
      label: t('overview.nav.usage'),
      icon: <ChartColumn />,
      shortcut: 'g u',
      keywords: t('overview.keywords.usage'),
    }),
    ...(officer
      ? []
      : item('meters:read', {
          path: '/meters',
          label: t('overview.nav.meters'),
          icon: <Gauge />,
          shortcut: 'g m',
          keywords: t('overview.keywords.meters'),
        })),
    ...item('usage:read', {
      path: '/events',
      label: t('events.title'),
      icon: <ListTree />,
      shortcut: 'g e',
      keywords: t('overview.keywords.events'),
    }),
    ...(officer
      ? []
      : item('metrics:read', {
          path: '/metrics',
          label: t('metrics.title'),
          icon: <ChartArea />,
          keywords: t('overview.keywords.metrics'),
        })),
    ...item('usage:read', {
      path: '/reports',
      label: t('reports.title'),
      icon: <FileChartColumn />,
      shortcut: 'g r',
      keywords: t('overview.keywords.reports'),
    }),
  ]
  const customers: NavItem[] = officer
    ? []
    : [
        ...item('customers:read', {
          path: '/customers',
          label: t('overview.nav.customers'),
          icon: <Users />,
          shortcut: 'g c',
          keywords: t('overview.keywords.customers'),
        }),
        ...item('tiers:read', {
          path: '/tiers',
          label: t('overview.nav.tiers'),
          icon: <Layers />,
          shortcut: 'g t',
          keywords: t('overview.keywords.tiers'),
        }),
        ...item('tiers:read', {
          path: '/features',
          label: t('features.title'),
          icon: <Puzzle />,
          keywords: t('overview.keywords.features'),
        }),
        ...item('alerts:read', {
          path: '/alerts',
          label: t('alerts.title'),
          icon: <BellRing />,
          keywords: t('overview.keywords.alerts'),
        }),
        ...item('customer-keys:read', {
          path: '/customer-keys',
          label: t('customer-keys.title'),
          icon: <KeySquare />,
          keywords: t('overview.keywords.customer_keys'),
        }),
        ...item('rate-limits:read', {
          path: '/rate-limits',
          label: t('rate-limits.title'),
          icon: <Timer />,
          keywords: t('overview.keywords.rate_limits'),
        }),
      ]
  const developers: NavItem[] = [
    ...(officer
      ? []
      : item('api-keys:read', {
          path: '/api-keys',
          label: t('overview.nav.api_keys'),
          icon: <KeyRound />,
          shortcut: 'g k',
          keywords: t('overview.keywords.api_keys'),
        })),
    ...item('connector-events:read', {
      path: '/connector-events',
      label: t('connector-events.title'),
      icon: <Cable />,
      keywords: t('overview.keywords.connector_events'),
    }),
    ...item('analytics-events:read', {
      path: '/analytics-events',
      label: t('analytics-events.title'),
      icon: <Activity />,
      keywords: t('overview.keywords.analytics_events'),
    }),
  ]
  const record: NavItem[] = [
    ...item('billing-periods:read', {
      path: '/billing-periods',
      label: t('billing-periods.title'),
      icon: <CalendarCheck />,
      shortcut: 'g b',
      keywords: t('overview.keywords.billing_periods'),
    }),
    ...item('stripe-exports:read', {
      path: '/stripe-exports',
      label: t('stripe-exports.title'),
      icon: <CreditCard />,
      keywords: t('overview.keywords.stripe_exports'),
    }),
    ...item('usage:read', {
      path: '/reconciliations',
      label: t('reconciliations.title'),
      icon: <Scale />,
      keywords: t('overview.keywords.reconciliations'),
    }),
  ]
  const settings: NavItem = {
    href: `${base}/settings`,
    label: t('overview.nav.settings'),
    icon: <Settings />,
    shortcut: 'g s',
    keywords: t('overview.keywords.settings'),
  }
  const overview: NavItem = {
    href: base,
    label: t('overview.nav.overview'),
    icon: <LayoutDashboard />,
    exact: true,
    shortcut: 'g o',
  }
  const groups: NavSection[] = officer
    ? [
        { label: t('overview.nav.group_compliance'), items: [...audit, ...record] },
        { label: t('overview.nav.group_metering'), items: metering },
      ]
    : [
        { items: [overview] },
        { label: t('overview.nav.group_metering'), items: metering },
        { label: t('overview.nav.group_customers'), items: customers },
      ]
  return [
    ...groups,
    { label: t('overview.nav.group_developers'), items: developers },
    ...(officer ? [] : [{ label: t('overview.nav.group_compliance'), items: [...record, ...audit] }]),
    { items: [settings] },
  ].filter((section) => section.items.length > 0)
}
