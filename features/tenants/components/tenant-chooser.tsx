'use client'

import { Building2, ChevronRight, Plus, ShieldUser } from 'lucide-react'
import Link from 'next/link'
import { useState } from 'react'
import type { MemberRole } from '@/libs/auth/permissions'
import { Avatar } from '@/libs/ui/avatar'
import { StatusPill, TierBadge } from '@/libs/ui/badge'
import { LinkButton } from '@/libs/ui/button'
import { SearchInput } from '@/libs/ui/input'
import { t } from '@/libs/ui/messages'
import { RowsSkeleton } from '@/libs/ui/skeleton'
import { EmptyState, ErrorState, NoMatches } from '@/libs/ui/states'
import { useApi } from '@/libs/ui/use-api'
import { toWords } from '@/libs/ui/words'

type OwnTenant = { id: string; slug: string; name: string; status: string; plan_id: string; role: MemberRole }
type Me = { operator: string | null; tenants: OwnTenant[] }

const SEARCH_FROM = 6

/** The tenants of a person, to go into; and, for staff, the way to the operator console. */
export function TenantChooser({ email }: { email: string }) {
  const me = useApi<Me>('/me')
  const [search, setSearch] = useState('')
  if (me.error && !me.data) return <ErrorState error={me.error} onRetry={me.reload} />
  if (!me.data) return <RowsSkeleton rows={3} />
  const words = search.trim().toLowerCase()
  const shown = me.data.tenants.filter(({ name, slug }) => name.toLowerCase().includes(words) || slug.includes(words))
  return (
    <div className="flex flex-col gap-4">
      {me.data.tenants.length >= SEARCH_FROM ? (
        <SearchInput label={t('tenants.choose.search')} value={search} onValueChange={setSearch} />
      ) : null}
      {me.data.tenants.length === 0 ? (
        <EmptyState
          icon={<Building2 />}
          title={t('tenants.choose.empty_title')}
          description={t('tenants.choose.empty', { email })}
          action={
            <LinkButton href="/create-tenant" variant="primary">
              {t('tenants.choose.create')}
            </LinkButton>
          }
        />
      ) : shown.length === 0 ? (
        <NoMatches onClear={() => setSearch('')} />
      ) : (
        <ul className="flex flex-col gap-2">
          {shown.map((tenant) => (
            <TenantRow key={tenant.id} tenant={tenant} />
          ))}
        </ul>
      )}
      <div className="flex flex-wrap gap-2">
        {me.data.tenants.length > 0 ? (
          <LinkButton href="/create-tenant" icon={<Plus />}>
            {t('tenants.choose.create')}
          </LinkButton>
        ) : null}
        {me.data.operator ? (
          <LinkButton href="/operator" icon={<ShieldUser />}>
            {t('tenants.choose.operator')}
          </LinkButton>
        ) : null}
      </div>
    </div>
  )
}

function TenantRow({ tenant }: { tenant: OwnTenant }) {
  const { name, slug, status, plan_id, role } = tenant
  const inside = (
    <>
      <Avatar name={name} shape="square" />
      <span className="min-w-0 flex-1">
        <span className="flex flex-wrap items-center gap-x-2 gap-y-1">
          <span className="truncate font-medium">{name}</span>
          <TierBadge name={toWords(plan_id)} />
          {status === 'active' ? null : <StatusPill status={status} />}
        </span>
        <span className="block truncate text-faint text-sm">
          {status === 'suspended'
            ? t('tenants.choose.suspended')
            : t('tenants.choose.role', { role: t(`tenants.choose.role_name.${role}`) })}
        </span>
      </span>
    </>
  )
  const frame = 'flex items-center gap-3 rounded-lg border bg-surface px-4 py-3'
  if (status === 'suspended') return <li className={frame}>{inside}</li>
  return (
    <li>
      <Link href={`/${slug}`} className={`${frame} hover:border-line-strong hover:bg-hover`}>
        {inside}
        <ChevronRight aria-hidden="true" className="size-4 shrink-0 text-faint" />
      </Link>
    </li>
  )
}
