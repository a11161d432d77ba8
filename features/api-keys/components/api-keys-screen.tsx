'use client'

import type { z } from 'zod'
import { CreateKeyDialog, type NewApiKey } from '@/features/api-keys/components/create-key-dialog'
import { KeyPermissions, KeyStatePill } from '@/features/api-keys/components/key-cells'
import { keyState } from '@/features/api-keys/components/key-permissions'
import type { apiKey } from '@/features/api-keys/schema'
import type { Page } from '@/libs/ui/api-client'
import { httpSnippets } from '@/libs/ui/http-snippets'
import { KeyScreen } from '@/libs/ui/key-screen'
import { t } from '@/libs/ui/messages'
import { useApi, useApiFetch } from '@/libs/ui/use-api'

type ApiKey = z.infer<typeof apiKey>

/** Keys of the tenant: list, create, disable, rotate, revoke. `trackUrl` is where a key sends usage, absolute. */
export function ApiKeysScreen({ trackUrl, canWrite }: { trackUrl: string; canWrite: boolean }) {
  const api = useApiFetch()
  // The commands name a meter that exists, so that they work as they are.
  const meters = useApi<Page<{ slug: string }>>('/meters?limit=1')
  const body = { meter_id: meters.data?.data[0]?.slug ?? 'api_calls', user_id: 'customer-1', event_value: 1 }
  return (
    <KeyScreen<ApiKey, NewApiKey>
      path="/api-keys"
      statuses={['active', 'disabled', 'expired', 'revoked']}
      texts={{
        title: t('api-keys.title'),
        description: t('api-keys.description'),
        search: t('api-keys.search'),
        create: t('api-keys.create'),
        empty: { title: t('api-keys.empty.title'), description: t('api-keys.empty.description') },
        created: {
          title: t('api-keys.created.title'),
          description: t('api-keys.created.description'),
          label: t('api-keys.created.label'),
          next: t('api-keys.created.next'),
        },
        rotate: t('api-keys.rotate.description'),
        used: (time) => t('api-keys.revoke.used', { time }),
      }}
      nameOf={(key) => key.name}
      columns={(now) => [
        {
          key: 'permissions',
          header: t('api-keys.column.permissions'),
          cell: (key) => <KeyPermissions name={key.name} permissions={key.permissions} />,
        },
        {
          key: 'state',
          header: t('keys.column.state'),
          cell: (key) => <KeyStatePill state={keyState(key, now || Date.parse(key.created_at))} />,
        },
      ]}
      canRotate={(key, now) => keyState(key, now) !== 'expired'}
      isDisabled={(key) => key.disabled_at !== null}
      onSwitch={(key, on) => api(`/api-keys/${key.id}/${on ? 'enable' : 'disable'}`, { method: 'POST' })}
      snippets={(created) =>
        created && !created.permissions.includes('usage:write')
          ? null
          : httpSnippets({ method: 'POST', url: trackUrl, body, ...(created ? { key: created.key } : {}) })
      }
      form={(dialog) => <CreateKeyDialog {...dialog} />}
      canWrite={canWrite}
    />
  )
}
