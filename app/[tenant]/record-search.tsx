'use client'

import { Gauge, KeyRound, Layers, Puzzle, Users } from 'lucide-react'
import { type ReactNode, useMemo } from 'react'
import type { Permission } from '@/libs/auth/permissions'
import { CommandFinders, type Finder } from '@/libs/ui/command-finders'
import { t } from '@/libs/ui/messages'

/** What the command palette finds by name: whatever of the tenant has one and may be seen. */
export function RecordSearch({
  slug,
  permissions,
  children,
}: {
  slug: string
  permissions: readonly Permission[]
  children: ReactNode
}) {
  const rights = permissions.join(' ')
  const finders = useMemo(() => findersOf(slug, rights.split(' ')), [slug, rights])
  return <CommandFinders finders={finders}>{children}</CommandFinders>
}

function findersOf(slug: string, rights: readonly string[]): Finder[] {
  const all: ReadonlyArray<Finder & { right: Permission }> = [
    {
      right: 'customers:read',
      path: '/customers',
      group: t('customers.title'),
      icon: <Users />,
      toEntry: ({ id, name, external_id = '', email }) => ({
        label: name ?? external_id,
        detail: [name ? external_id : null, email].filter(Boolean).join(' · '),
        href: `/${slug}/customers/${id}`,
      }),
    },
    {
      right: 'meters:read',
      path: '/meters',
      group: t('meters.title'),
      icon: <Gauge />,
      toEntry: ({ name, slug: meter = '' }) => ({
        label: name ?? meter,
        detail: meter,
        href: `/${slug}/meters/${meter}`,
      }),
    },
    {
      right: 'tiers:read',
      path: '/tiers',
      group: t('tiers.title'),
      icon: <Layers />,
      toEntry: ({ id, name, slug: tier = '' }) => ({
        label: name ?? tier,
        detail: tier,
        href: `/${slug}/tiers/${id}`,
      }),
    },
    {
      right: 'tiers:read',
      path: '/features',
      group: t('features.title'),
      icon: <Puzzle />,
      toEntry: ({ id, name, key = '' }) => ({
        label: name ?? key,
        detail: key,
        href: `/${slug}/features?feature=${id}`,
      }),
    },
    {
      right: 'api-keys:read',
      path: '/api-keys',
      group: t('api-keys.title'),
      icon: <KeyRound />,
      toEntry: ({ name }) => ({
        label: name ?? '',
        href: `/${slug}/api-keys?q=${encodeURIComponent(name ?? '')}`,
      }),
    },
  ]
  return all.filter(({ right }) => rights.includes(right))
}
