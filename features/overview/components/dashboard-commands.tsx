import { BookOpen, Copy, Plus } from 'lucide-react'
import type { MemberRole, Permission } from '@/libs/auth/permissions'
import type { Command } from '@/libs/ui/command-palette'
import { copyText } from '@/libs/ui/copy-button'
import { t } from '@/libs/ui/messages'
import { toast } from '@/libs/ui/toast'

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
    ['tiers:write', 'features', t('overview.command.create_feature')],
    ['api-keys:write', 'api-keys', t('overview.command.create_key')],
    ['customer-keys:write', 'customer-keys', t('overview.command.create_customer_key')],
    ['rate-limits:write', 'rate-limits', t('overview.command.create_rate_limit')],
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
    ...(
      [
        ['id', tenantId, t('overview.command.copy_id')],
        ['slug', slug, t('overview.command.copy_slug')],
      ] as const
    ).map(([name, value, label]) => ({
      id: `copy:${name}`,
      label,
      group: t('overview.command.other'),
      icon: <Copy />,
      keywords: value,
      run: copy(value),
    })),
    {
      id: 'docs:api',
      label: t('overview.command.docs'),
      group: t('overview.command.other'),
      icon: <BookOpen />,
      href: '/docs/api',
    },
  ]
}
