'use client'

import { useState } from 'react'
import { type CustomerKey, type NewCustomerKey, nameOf } from '@/features/customer-keys/components/customer-key-state'
import type { Grace } from '@/features/customer-keys/schema'
import { ConfirmDialog } from '@/libs/ui/confirm-dialog'
import { Field } from '@/libs/ui/field'
import { t } from '@/libs/ui/messages'
import { Select } from '@/libs/ui/select'
import { useApiFetch } from '@/libs/ui/use-api'

const GRACES = ['0', '1m', '15m', '1h', '6h', '24h'] as const satisfies readonly Grace[]

/** Asks how long the old key shall live, and hands its successor over. */
export function RotateCustomerKeyDialog({
  customerKey,
  onClose,
  onRotated,
}: {
  /** Open while it is not null. */
  customerKey: CustomerKey | null
  onClose: () => void
  onRotated: (key: NewCustomerKey) => void
}) {
  const api = useApiFetch()
  const [grace, setGrace] = useState<Grace>('1h')

  async function rotate(key: CustomerKey) {
    onRotated(await api<NewCustomerKey>(`/customer-keys/${key.id}/rotate`, { method: 'POST', body: { grace } }))
  }

  return (
    <ConfirmDialog
      open={customerKey !== null}
      onOpenChange={(open) => !open && onClose()}
      title={t('customer-keys.rotate.title', { name: customerKey ? nameOf(customerKey) : '' })}
      description={t('customer-keys.rotate.description')}
      confirmLabel={t('customer-keys.rotate.confirm')}
      onConfirm={async () => customerKey && rotate(customerKey)}
    >
      <Field label={t('customer-keys.rotate.grace')}>
        <Select
          options={GRACES.map((value) => ({ value, label: t(`customer-keys.rotate.grace_${value}`) }))}
          value={grace}
          onValueChange={setGrace}
        />
      </Field>
    </ConfirmDialog>
  )
}
