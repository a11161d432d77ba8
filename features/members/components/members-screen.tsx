'use client'

import { Users } from 'lucide-react'
import { useState } from 'react'
import type { z } from 'zod'
import { RoleGrid } from '@/features/members/components/role-grid'
import type { member } from '@/features/members/schema'
import type { MemberRole } from '@/libs/auth/permissions'
import type { Page } from '@/libs/ui/api-client'
import { Avatar } from '@/libs/ui/avatar'
import { Badge } from '@/libs/ui/badge'
import { Card } from '@/libs/ui/card'
import { ConfirmDialog } from '@/libs/ui/confirm-dialog'
import type { Column } from '@/libs/ui/data-table'
import { FilterBar } from '@/libs/ui/filter-bar'
import { useListState } from '@/libs/ui/list-state'
import { ListTable } from '@/libs/ui/list-table'
import { t } from '@/libs/ui/messages'
import { Select } from '@/libs/ui/select'
import { EmptyState } from '@/libs/ui/states'
import { Time } from '@/libs/ui/time'
import { toast } from '@/libs/ui/toast'
import { useApi, useApiFetch, useMutation } from '@/libs/ui/use-api'

type Member = z.infer<typeof member>

const ROLES: readonly MemberRole[] = ['owner', 'admin', 'member', 'compliance']

/** The people of the tenant: their roles, and how they leave. */
export function MembersScreen({
  tenantName,
  userId,
  role,
  canWrite,
}: {
  tenantName: string
  userId: string
  role: MemberRole
  canWrite: boolean
}) {
  const list = useListState()
  const page = useApi<Page<Member>>(`/members${list.query}`)
  const api = useApiFetch()
  const [leaving, setLeaving] = useState<Member | null>(null)
  const owners = page.data?.data.filter((member) => member.role === 'owner').length ?? 0
  const onlyOwner = (member: Member) =>
    member.role === 'owner' && owners === 1 && !list.filtered && !list.hasPrevious && page.data?.next_cursor === null
  // Nobody grants above their own role, and only owners deal with owners.
  const grantable = role === 'owner' ? ROLES : ROLES.filter((each) => each !== 'owner')
  const mayChange = (member: Member) => canWrite && !onlyOwner(member) && (role === 'owner' || member.role !== 'owner')

  const change = useMutation(
    ({ member, next }: { member: Member; next: MemberRole }, options) =>
      api<Member>(`/members/${member.id}`, { method: 'PATCH', body: { role: next }, ...options }),
    {
      onSuccess: (_, { member, next }) => {
        toast.success(t('settings.members.role_changed', { name: nameOf(member), role: t(`settings.role.${next}`) }))
        page.reload()
      },
      onError: (problem) => {
        toast.problem(problem)
        page.reload()
      },
    },
  )

  const columns: ReadonlyArray<Column<Member>> = [
    {
      key: 'name',
      header: t('settings.members.name'),
      sortValue: nameOf,
      cell: (member) => (
        <span className="flex min-w-0 items-center gap-2.5">
          <Avatar name={nameOf(member)} size="sm" />
          <span className="min-w-0">
            <span className="flex items-center gap-2">
              <span className="truncate">{nameOf(member)}</span>
              {member.user_id === userId ? <Badge>{t('settings.members.you')}</Badge> : null}
            </span>
            {member.name ? <span className="block truncate font-normal text-faint text-xs">{member.email}</span> : null}
          </span>
        </span>
      ),
    },
    {
      key: 'role',
      header: t('settings.members.role'),
      sortValue: (member) => ROLES.indexOf(member.role),
      cell: (member) =>
        mayChange(member) ? (
          <div className="w-34 max-sm:ml-auto">
            <Select
              size="sm"
              aria-label={t('settings.members.change_role', { name: nameOf(member) })}
              options={grantable.map((value) => ({ value, label: t(`settings.role.${value}`) }))}
              value={member.role}
              disabled={change.pending}
              onValueChange={(next) => next !== member.role && void change.run({ member, next })}
            />
          </div>
        ) : (
          <span>
            {t(`settings.role.${member.role}`)}
            {role === 'owner' && onlyOwner(member) ? (
              <span className="block text-faint text-xs">{t('settings.members.last_owner')}</span>
            ) : null}
          </span>
        ),
    },
    {
      key: 'joined',
      header: t('settings.members.joined'),
      sortValue: (member) => member.created_at,
      cell: (member) => <Time value={member.created_at} mode="date" />,
      align: 'right',
    },
  ]
  const own = leaving?.user_id === userId

  return (
    <div className="flex flex-col gap-6">
      <p className="text-mute text-sm">{t('settings.members.description')}</p>
      <div>
        <FilterBar list={list} search={t('settings.members.search')} />
        <ListTable
          label={t('settings.nav.members')}
          list={list}
          page={page}
          columns={columns}
          rowKey={(member) => member.id}
          rowLabel={nameOf}
          actions={(member) =>
            mayChange(member)
              ? [
                  {
                    label: member.user_id === userId ? t('settings.members.leave') : t('settings.members.remove'),
                    tone: 'danger',
                    onSelect: () => setLeaving(member),
                  },
                ]
              : []
          }
          skeletonRows={4}
          empty={
            <EmptyState
              icon={<Users />}
              title={t('settings.members.empty_title')}
              description={t('settings.members.empty_description')}
            />
          }
        />
      </div>
      <Card title={t('settings.members.roles')} padded={false}>
        <RoleGrid />
      </Card>
      <ConfirmDialog
        open={leaving !== null}
        onOpenChange={(open) => !open && setLeaving(null)}
        tone="danger"
        title={
          own
            ? t('settings.members.leave_title', { name: tenantName })
            : t('settings.members.remove_title', { name: leaving ? nameOf(leaving) : '' })
        }
        description={t(own ? 'settings.members.leave_description' : 'settings.members.remove_description')}
        confirmLabel={t(own ? 'settings.members.leave_confirm' : 'settings.members.remove_confirm')}
        onConfirm={async () => {
          if (!leaving) return
          await api(`/members/${leaving.id}`, { method: 'DELETE' })
          if (own) return window.location.assign('/tenants')
          toast.success(t('settings.members.removed', { name: nameOf(leaving) }))
          page.reload()
        }}
      />
    </div>
  )
}

function nameOf(member: Member): string {
  return member.name || member.email
}
