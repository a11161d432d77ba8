import {
  Activity,
  BellRing,
  BookOpen,
  Cable,
  CalendarCheck,
  ChartArea,
  ChartColumn,
  Copy,
  FileChartColumn,
  Gauge,
  KeyRound,
  KeySquare,
  Layers,
  LayoutDashboard,
  ListTree,
  Plus,
  Scale,
  ScrollText,
  Settings,
  Timer,
  Users,
} from 'lucide-react'
import type { MemberRole, Permission } from '@/libs/auth/permissions'
import type { Command } from '@/libs/ui/command-palette'
import { copyText } from '@/libs/ui/copy-button'
import { t } from '@/libs/ui/messages'
import type { NavItem, NavSection } from '@/libs/ui/shell/nav'
import { toast } from '@/libs/ui/toast'

/** The navigation of a tenant's dashboard: what the role may see, the audit log first for compliance officers. */
export function dashboardSections(slug: string, role: MemberRole, permissions: readonly Permission[]): NavSection[] {
  const can = (permission: Permission) => permissions.includes(permission)
  const base = `/${slug}`
  const audit: NavItem = {
    href: `${base}/audit-logs`,
    label: t('overview.nav.audit_logs'),
    icon: <ScrollText />,
    shortcut: 'g a',
  }
  const usage: NavItem = {
    href: `${base}/usage`,
    label: t('overview.nav.usage'),
    icon: <ChartColumn />,
    shortcut: 'g u',
  }
  const events: NavItem[] = []
  const received: NavItem = { href: `${base}/events`, label: t('events.title'), icon: <ListTree /> }
  const billing: NavItem[] = can('billing-periods:read')
    ? [{ href: `${base}/billing-periods`, label: t('billing-periods.title'), icon: <CalendarCheck /> }]
    : []
  const reconciliation: NavItem = {
    href: `${base}/reconciliations`,
    label: t('reconciliations.title'),
    icon: <Scale />,
  }
  if (can('connector-events:read')) {
    events.push({ href: `${base}/connector-events`, label: t('connector-events.title'), icon: <Cable /> })
  }
  if (can('analytics-events:read')) {
    events.push({ href: `${base}/analytics-events`, label: t('analytics-events.title'), icon: <Activity /> })
  }
  const reports: NavItem = { href: `${base}/reports`, label: t('reports.title'), icon: <FileChartColumn /> }
  const settings: NavItem = {
    href: `${base}/settings`,
    label: t('overview.nav.settings'),
    icon: <Settings />,
    shortcut: 'g s',
  }
  if (role === 'compliance') {
    return [
      {
        items: [
          audit,
          ...(can('usage:read') ? [usage, received, reports, ...billing, reconciliation] : []),
          ...events,
          settings,
        ],
      },
    ]
  }
  const product: NavItem[] = []
  if (can('tiers:read')) {
    product.push({ href: `${base}/tiers`, label: t('overview.nav.tiers'), icon: <Layers />, shortcut: 'g t' })
  }
  if (can('meters:read')) {
    product.push({ href: `${base}/meters`, label: t('overview.nav.meters'), icon: <Gauge />, shortcut: 'g m' })
  }
  if (can('customer-keys:read')) {
    product.push({ href: `${base}/customer-keys`, label: t('customer-keys.title'), icon: <KeySquare /> })
  }
  if (can('rate-limits:read')) {
    product.push({ href: `${base}/rate-limits`, label: t('rate-limits.title'), icon: <Timer /> })
  }
  const daily: NavItem[] = [
    { href: base, label: t('overview.nav.overview'), icon: <LayoutDashboard />, exact: true, shortcut: 'g o' },
  ]
  if (can('customers:read')) {
    daily.push({ href: `${base}/customers`, label: t('overview.nav.customers'), icon: <Users />, shortcut: 'g c' })
  }
  if (can('usage:read')) daily.push(usage, received, reports)
  if (can('metrics:read')) daily.push({ href: `${base}/metrics`, label: t('metrics.title'), icon: <ChartArea /> })
  if (can('alerts:read')) product.push({ href: `${base}/alerts`, label: t('alerts.title'), icon: <BellRing /> })
  const control: NavItem[] = []
  if (can('api-keys:read')) {
    control.push({ href: `${base}/api-keys`, label: t('overview.nav.api_keys'), icon: <KeyRound />, shortcut: 'g k' })
  }
  control.push(...billing)
  if (can('usage:read')) control.push(reconciliation)
  if (can('audit-logs:read')) control.push(audit)
  control.push(...events, settings)
  return [
    { items: daily },
    ...(product.length ? [{ label: t('overview.nav.group_product'), items: product }] : []),
    { label: t('overview.nav.group_control'), items: control },
  ]
}

/** What the command palette offers beyond going somewhere: create, copy, read. */
export function dashboardCommands(
  slug: string,
  tenantId: string,
  role: MemberRole,
  permissions: readonly Permission[],
): Command[] {
  const creations: ReadonlyArray<readonly [Permission, string, string]> = [
    ['customers:write', 'customers', t('overview.command.create_customer')],
    ['tiers:write', 'tiers', t('overview.command.create_tier')],
    ['meters:write', 'meters', t('overview.command.create_meter')],
    ['api-keys:write', 'api-keys', t('overview.command.create_key')],
  ]
  const copy = (value: string) => () => {
    void copyText(value).then((done) => (done ? toast.success(t('ui.copied')) : toast.error(t('ui.copyFailed'))))
  }
  return [
    ...creations
      .filter(([permission]) => role !== 'compliance' && permissions.includes(permission))
      .map(([, noun, label]) => ({
        id: `create:${noun}`,
        label,
        group: t('overview.command.create'),
        icon: <Plus />,
        keywords: 'new add',
        href: noun === 'tiers' ? `/${slug}/tiers/new` : `/${slug}/${noun}?new=true`,
      })),
    {
      id: 'copy:id',
      label: t('overview.command.copy_id'),
      group: t('overview.command.other'),
      icon: <Copy />,
      keywords: tenantId,
      run: copy(tenantId),
    },
    {
      id: 'copy:slug',
      label: t('overview.command.copy_slug'),
      group: t('overview.command.other'),
      icon: <Copy />,
      keywords: slug,
      run: copy(slug),
    },
    {
      id: 'docs:api',
      label: t('overview.command.docs'),
      group: t('overview.command.other'),
      icon: <BookOpen />,
      href: '/docs/api',
    },
  ]
}
