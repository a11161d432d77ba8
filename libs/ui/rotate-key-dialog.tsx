'use client'

import { useState } from 'react'
import { ConfirmDialog } from '@/libs/ui/confirm-dialog'
import { Field } from '@/libs/ui/field'
import { t } from '@/libs/ui/messages'
import { Select } from '@/libs/ui/select'
import { useApiFetch } from '@/libs/ui/use-api'

const GRACES = ['0', '1m', '15m', '1h', '6h', '24h'] as const

/** Asks how long the old key shall live, and hands its successor over. `path` is where the keys are, such as `/api-keys`. */
export function RotateKeyDialog<NewKey>({
  path,
  rotating,
  description,
  onClose,
  onRotated,
}: {
  path: string
  /** Open while it is not null. */
  rotating: { id: string; name: string } | null
  /** What the successor has of the key. */
  description: string
  onClose: () => void
  onRotated: (key: NewKey) => void
}) {
  const api = useApiFetch()
  const [grace, setGrace] = useState<(typeof GRACES)[number]>('1h')
  return (
    <ConfirmDialog
      open={rotating !== null}
      onOpenChange={(open) => !open && onClose()}
      title={t('keys.rotate.title', { name: rotating?.name ?? '' })}
      description={description}
      confirmLabel={t('keys.rotate.confirm')}
      onConfirm={async (options) => {
        if (!rotating) return
        onRotated(await api<NewKey>(`${path}/${rotating.id}/rotate`, { method: 'POST', body: { grace }, ...options }))
      }}
    >
      <Field label={t('keys.rotate.grace')}>
        <Select
          options={GRACES.map((value) => ({ value, label: t(`keys.rotate.grace_${value}`) }))}
          value={grace}
          onValueChange={setGrace}
        />
      </Field>
    </ConfirmDialog>
  )
}
