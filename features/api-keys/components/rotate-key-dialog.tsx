'use client'

import { useState } from 'react'
import type { NewApiKey } from '@/features/api-keys/components/create-key-dialog'
import type { Grace } from '@/features/api-keys/schema'
import { ConfirmDialog } from '@/libs/ui/confirm-dialog'
import { Field } from '@/libs/ui/field'
import { t } from '@/libs/ui/messages'
import { Select } from '@/libs/ui/select'
import { useApiFetch } from '@/libs/ui/use-api'

const GRACES = ['0', '1m', '15m', '1h', '6h', '24h'] as const satisfies readonly Grace[]

/** Asks how long the old key shall live, and hands the new one over. */
export function RotateKeyDialog({
  rotating,
  onClose,
  onRotated,
}: {
  /** Open while it is not null. */
  rotating: { id: string; name: string } | null
  onClose: () => void
  onRotated: (key: NewApiKey) => void
}) {
  const api = useApiFetch()
  const [grace, setGrace] = useState<Grace>('1h')

  async function rotate(id: string) {
    onRotated(await api<NewApiKey>(`/api-keys/${id}/rotate`, { method: 'POST', body: { grace } }))
  }

  return (
    <ConfirmDialog
      open={rotating !== null}
      onOpenChange={(open) => !open && onClose()}
      title={t('api-keys.rotate.title', { name: rotating?.name ?? '' })}
      description={t('api-keys.rotate.description')}
      confirmLabel={t('api-keys.rotate.confirm')}
      onConfirm={async () => rotating && rotate(rotating.id)}
    >
      <Field label={t('api-keys.rotate.grace')}>
        <Select
          options={GRACES.map((value) => ({ value, label: t(`api-keys.rotate.grace_${value}`) }))}
          value={grace}
          onValueChange={setGrace}
        />
      </Field>
    </ConfirmDialog>
  )
}
