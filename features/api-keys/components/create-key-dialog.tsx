'use client'

import { zodResolver } from '@hookform/resolvers/zod'
import { useForm, useWatch } from 'react-hook-form'
import { z } from 'zod'
import { type KeyPreset, presetPermissions } from '@/features/api-keys/components/key-permissions'
import { PermissionMatrix } from '@/features/api-keys/components/permission-matrix'
import type { newApiKey } from '@/features/api-keys/schema'
import { KEY_PERMISSIONS, type Permission } from '@/libs/auth/permissions'
import { Field, FieldGroup } from '@/libs/ui/field'
import { ControlledField, Form, fieldError, TextField } from '@/libs/ui/form'
import { QuantityField } from '@/libs/ui/form-controls'
import { FormDialog } from '@/libs/ui/form-dialog'
import { formatDate } from '@/libs/ui/format'
import { t } from '@/libs/ui/messages'
import { RadioGroup } from '@/libs/ui/radio-group'
import { Segmented } from '@/libs/ui/segmented'
import { Select } from '@/libs/ui/select'
import { useNow, useTimeZone } from '@/libs/ui/time'
import { useApiFetch } from '@/libs/ui/use-api'

export type NewApiKey = z.infer<typeof newApiKey>

type Expiry = '7' | '30' | '90' | '365' | 'never' | 'custom'

const PRESETS = ['send', 'read', 'full', 'custom'] as const satisfies readonly KeyPreset[]
const EXPIRIES = ['7', '30', '90', '365', 'never', 'custom'] as const satisfies readonly Expiry[]

const formSchema = z
  .object({
    name: z
      .string()
      .trim()
      .min(1, { error: () => t('api-keys.form.name_required') }),
    mode: z.enum(['live', 'test']),
    preset: z.enum(PRESETS),
    permissions: z
      .array(z.custom<Permission>((value) => KEY_PERMISSIONS.some((permission) => permission === value)))
      .min(1, { error: () => t('api-keys.form.permissions_required') }),
    expiry: z.enum(EXPIRIES),
    expires_in_days: z.number().int().min(1).max(3650).nullable(),
  })
  .refine((values) => values.expiry !== 'custom' || values.expires_in_days !== null, {
    path: ['expires_in_days'],
    error: () => t('api-keys.form.days_wrong'),
  })

type Values = z.infer<typeof formSchema>

const STANDARD: Values = {
  name: '',
  mode: 'live',
  preset: 'send',
  permissions: [...(presetPermissions('send') ?? [])],
  expiry: '90',
  expires_in_days: 90,
}

/** Asks for the name, rights and lifetime of a key and hands the new one over. */
export function CreateKeyDialog({
  open,
  onOpenChange,
  onCreated,
}: {
  open: boolean
  onOpenChange: (open: boolean) => void
  onCreated: (key: NewApiKey) => void
}) {
  return (
    <FormDialog
      open={open}
      onOpenChange={onOpenChange}
      size="lg"
      title={t('api-keys.form.title')}
      description={t('keys.shown_once')}
      submit={t('api-keys.form.submit')}
    >
      {(form) => <CreateKeyForm {...form} onCreated={onCreated} />}
    </FormDialog>
  )
}

function CreateKeyForm({
  id,
  onSending,
  onCreated,
}: {
  id: string
  onSending: (sending: boolean) => void
  onCreated: (key: NewApiKey) => void
}) {
  const api = useApiFetch()
  const form = useForm<Values>({ resolver: zodResolver(formSchema), defaultValues: STANDARD })
  const { control } = form
  const [mode, preset, permissions, expiry, days] = useWatch({
    control,
    name: ['mode', 'preset', 'permissions', 'expiry', 'expires_in_days'],
  })

  function choosePreset(next: KeyPreset) {
    form.setValue('preset', next)
    form.clearErrors('permissions')
    const granted = presetPermissions(next)
    if (granted) form.setValue('permissions', [...granted])
  }

  async function submit(values: Values, options: { idempotencyKey: string }) {
    onSending(true)
    try {
      const { name, mode, expires_in_days } = values
      onCreated(
        await api<NewApiKey>('/api-keys', {
          method: 'POST',
          body: { name, mode, permissions: values.permissions, expires_in_days },
          ...options,
        }),
      )
    } finally {
      onSending(false)
    }
  }

  return (
    <Form id={id} form={form} onSubmit={submit} className="gap-5">
      <div className="grid gap-4 sm:grid-cols-[minmax(0,1fr)_auto]">
        <TextField
          form={form}
          name="name"
          label={t('api-keys.form.name')}
          hint={t('api-keys.form.name_hint')}
          maxLength={120}
          autoComplete="off"
          required
        />
        <ControlledField
          form={form}
          name="mode"
          label={t('api-keys.form.mode')}
          hint={t(mode === 'live' ? 'api-keys.form.live_hint' : 'api-keys.form.test_hint')}
          className="sm:w-48"
        >
          {(field) => (
            <Segmented
              label={t('api-keys.form.mode')}
              options={[
                { value: 'live', label: t('api-keys.form.live') },
                { value: 'test', label: t('api-keys.form.test') },
              ]}
              value={field.value}
              onValueChange={field.onChange}
              className="self-start"
            />
          )}
        </ControlledField>
      </div>
      <FieldGroup legend={t('api-keys.form.preset')}>
        <RadioGroup
          cards
          label={t('api-keys.form.preset')}
          options={PRESETS.map((value) => ({
            value,
            label: t(`api-keys.form.preset_${value}`),
            description: t(`api-keys.form.preset_${value}_hint`),
          }))}
          value={preset}
          onValueChange={choosePreset}
          className="sm:grid sm:grid-cols-2"
        />
      </FieldGroup>
      {preset === 'custom' ? (
        <FieldGroup legend={t('api-keys.form.matrix')} error={fieldError(form, 'permissions')}>
          <PermissionMatrix
            chosen={permissions}
            onChange={(next) => {
              form.clearErrors('permissions')
              form.setValue('permissions', next)
            }}
          />
        </FieldGroup>
      ) : null}
      <div className="grid gap-4 sm:grid-cols-2">
        <Field label={t('api-keys.form.expiry')} hint={t('api-keys.form.expiry_hint')}>
          <Select
            options={EXPIRIES.map((value) => ({ value, label: expiryLabel(value) }))}
            value={expiry}
            onValueChange={(next) => {
              form.setValue('expiry', next)
              form.setValue(
                'expires_in_days',
                next === 'never' ? null : next === 'custom' ? (days ?? 180) : Number(next),
              )
            }}
          />
        </Field>
        {expiry === 'custom' ? (
          <QuantityField
            form={form}
            name="expires_in_days"
            label={t('keys.days')}
            hint={<ExpiryDay days={days} />}
            min={1}
            max={3650}
            unit={t('keys.days_unit')}
          />
        ) : (
          <p className="self-center text-faint text-sm sm:pt-1">
            <ExpiryDay days={days} />
          </p>
        )}
      </div>
    </Form>
  )
}

function expiryLabel(expiry: Expiry): string {
  if (expiry === 'never') return t('api-keys.form.expiry_never')
  if (expiry === 'custom') return t('api-keys.form.expiry_custom')
  if (expiry === '365') return t('api-keys.form.expiry_year')
  return t('api-keys.form.expiry_days', { count: Number(expiry) })
}

function ExpiryDay({ days }: { days: number | null }) {
  const now = useNow()
  const timeZone = useTimeZone()
  if (days === null || now === 0 || days < 1 || days > 3650) return null
  return t('api-keys.form.expires_on', { date: formatDate(now + days * 86_400_000, 'date', timeZone) })
}
