'use client'

import type { KeyState } from '@/features/api-keys/components/key-permissions'
import { KEY_PERMISSIONS, type Permission } from '@/libs/auth/permissions'
import { Badge, StatusPill } from '@/libs/ui/badge'
import { Button } from '@/libs/ui/button'
import { t } from '@/libs/ui/messages'
import { Popover } from '@/libs/ui/popover'

/** Whether a key works, and whether that ends soon. */
export function KeyStatePill({ state }: { state: KeyState }) {
  if (state === 'expiring') return <Badge tone="warning">{t('keys.state.expiring')}</Badge>
  return state === 'disabled' ? <Badge>{t('keys.state.disabled')}</Badge> : <StatusPill status={state} />
}

/** What a key may do: its one right, or how many, with the list behind it. */
export function KeyPermissions({ name, permissions }: { name: string; permissions: readonly string[] }) {
  const first = permissions[0]
  if (permissions.length === 1 && first) return <PermissionName permission={first} />
  const all = KEY_PERMISSIONS.every((permission) => permissions.includes(permission))
  return (
    <Popover
      label={t('api-keys.details', { name })}
      className="w-64"
      trigger={
        <Button variant="ghost" size="sm" className="-ml-2.5">
          {all ? t('api-keys.all_permissions') : t('api-keys.permission_count', { count: permissions.length })}
        </Button>
      }
    >
      <ul className="flex flex-wrap gap-1.5">
        {permissions.map((permission) => (
          <li key={permission}>
            <PermissionName permission={permission} />
          </li>
        ))}
      </ul>
    </Popover>
  )
}

function PermissionName({ permission }: { permission: Permission | (string & {}) }) {
  return <code className="rounded-sm bg-hover px-1.5 py-0.5 font-mono text-mute text-xs">{permission}</code>
}
