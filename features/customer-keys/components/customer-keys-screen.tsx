'use client'

import { CreateCustomerKeyDialog } from '@/features/customer-keys/components/create-customer-key-dialog'
import {
  type CustomerKey,
  customerKeyState,
  type NewCustomerKey,
  nameOf,
} from '@/features/customer-keys/components/customer-key-state'
import { Badge, StatusPill } from '@/libs/ui/badge'
import { formatNumber } from '@/libs/ui/format'
import { httpSnippets } from '@/libs/ui/http-snippets'
import { KeyScreen } from '@/libs/ui/key-screen'
import { t } from '@/libs/ui/messages'
import { useApiFetch } from '@/libs/ui/use-api'

/** Keys of the tenant's customers: list, create, disable, rotate, revoke. `verifyUrl` is where they are verified, absolute. */
export function CustomerKeysScreen({ verifyUrl, canWrite }: { verifyUrl: string; canWrite: boolean }) {
  const api = useApiFetch()
  return (
    <KeyScreen<CustomerKey, NewCustomerKey>
      path="/customer-keys"
      statuses={['active', 'disabled', 'expired', 'revoked']}
      texts={{
        title: t('customer-keys.title'),
        description: t('customer-keys.description'),
        search: t('customer-keys.search'),
        create: t('customer-keys.create'),
        empty: { title: t('customer-keys.empty.title'), description: t('customer-keys.empty.description') },
        created: {
          title: t('customer-keys.created.title'),
          description: t('customer-keys.created.description'),
          label: t('customer-keys.created.label'),
          next: t('customer-keys.created.next'),
        },
        rotate: t('customer-keys.rotate.description'),
        used: (time) => t('customer-keys.revoke.used', { time }),
      }}
      nameOf={nameOf}
      columns={(now) => [
        {
          key: 'customer',
          header: t('customer-keys.column.customer'),
          cell: (key) => key.external_id ?? <span className="text-faint">–</span>,
          sortValue: (key) => key.external_id,
        },
        {
          key: 'credits',
          header: t('customer-keys.column.credits'),
          align: 'right',
          cell: (key) => (key.remaining === null ? t('customer-keys.unlimited') : formatNumber(key.remaining)),
          sortValue: (key) => key.remaining,
        },
        {
          key: 'state',
          header: t('keys.column.state'),
          cell: (key) => <CustomerKeyStatePill state={customerKeyState(key, now || Date.parse(key.created_at))} />,
        },
      ]}
      canRotate={(key) => !key.succeeded_by}
      isDisabled={(key) => !key.enabled}
      onSwitch={(key, on) => api(`/customer-keys/${key.id}`, { method: 'PATCH', body: { enabled: on } })}
      snippets={(created) => httpSnippets({ method: 'POST', url: verifyUrl, body: { key: created?.key ?? 'key_…' } })}
      form={(dialog) => <CreateCustomerKeyDialog {...dialog} />}
      canWrite={canWrite}
    />
  )
}

function CustomerKeyStatePill({ state }: { state: ReturnType<typeof customerKeyState> }) {
  if (state === 'rotated') return <Badge tone="warning">{t('keys.state.rotated')}</Badge>
  return state === 'disabled' ? <Badge>{t('keys.state.disabled')}</Badge> : <StatusPill status={state} />
}
