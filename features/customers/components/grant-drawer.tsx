'use client'

import { zodResolver } from '@hookform/resolvers/zod'
import { useId, useState } from 'react'
import { useForm, useWatch } from 'react-hook-form'
import { z } from 'zod'
import { ADDITIVE, type Entitlement, type Grant } from '@/features/customers/components/entitlement-rows'
import { startOfDay } from '@/libs/tenancy/zoned-day'
import { Button } from '@/libs/ui/button'
import { Form, TextField } from '@/libs/ui/form'
import { QuantityField, SelectField } from '@/libs/ui/form-controls'
import { t } from '@/libs/ui/messages'
import { Drawer } from '@/libs/ui/sheet'
import { useTimeZone } from '@/libs/ui/time'
import { useApiFetch } from '@/libs/ui/use-api'

const RECURRENCES = ['once', 'day', 'week', 'month', 'year'] as const

const formSchema = z
  .object({
    meter: z.string().min(1, { error: () => t('entitlements.grants.form.meter_required') }),
    amount: z
      .number()
      .nullable()
      .refine((amount): boolean => amount !== null && amount > 0, {
        error: () => t('entitlements.grants.form.amount_required'),
      }),
    priority: z.number().int().min(0).max(255).nullable(),
    effective: z.string(),
    expires: z.string(),
    recurrence: z.enum(RECURRENCES),
    rollover: z.number().min(0).nullable(),
  })
  .refine(({ effective, expires }): boolean => !effective || !expires || expires >= effective, {
    path: ['expires'],
    error: () => t('entitlements.grants.form.expires_wrong'),
  })

type Values = z.infer<typeof formSchema>

/** The body that the API takes; days are those of the tenant's zone. */
function toBody({ meter, amount, priority, effective, expires, recurrence, rollover }: Values, zone: string) {
  return {
    meter,
    amount,
    priority: priority ?? 1,
    ...(effective ? { effective_at: startOfDay(effective, 0, zone).toISOString() } : {}),
    ...(expires ? { expires_at: startOfDay(expires, 1, zone).toISOString() } : {}),
    ...(recurrence === 'once' ? {} : { recurrence }),
    ...(rollover === null ? {} : { rollover: { max: rollover } }),
  }
}

/** Grants a customer an amount of a meter on top of its allowance. */
export function GrantDrawer({
  customerId,
  entitlements,
  open,
  onOpenChange,
  onSaved,
}: {
  customerId: string
  entitlements: readonly Entitlement[]
  open: boolean
  onOpenChange: (open: boolean) => void
  onSaved: (saved: Grant) => void
}) {
  const formId = useId()
  const [sending, setSending] = useState(false)
  const meters = entitlements.flatMap(({ kind, meter }) =>
    kind === 'metered' && meter && ADDITIVE.includes(meter.aggregation) ? [meter] : [],
  )
  return (
    <Drawer
      open={open}
      onOpenChange={onOpenChange}
      closesOutside={false}
      title={t('entitlements.grants.form.title')}
      description={t('entitlements.grants.form.description')}
      footer={
        <>
          <Button onClick={() => onOpenChange(false)}>{t('ui.cancel')}</Button>
          <Button type="submit" form={formId} variant="primary" loading={sending} disabled={meters.length === 0}>
            {t('entitlements.grants.form.save')}
          </Button>
        </>
      }
    >
      {meters.length > 0 ? (
        <GrantForm id={formId} customerId={customerId} meters={meters} onSending={setSending} onSaved={onSaved} />
      ) : (
        <p className="text-mute text-sm">{t('entitlements.grants.form.no_meters')}</p>
      )}
    </Drawer>
  )
}

function GrantForm({
  id,
  customerId,
  meters,
  onSending,
  onSaved,
}: {
  id: string
  customerId: string
  meters: ReadonlyArray<NonNullable<Entitlement['meter']>>
  onSending: (sending: boolean) => void
  onSaved: (saved: Grant) => void
}) {
  const api = useApiFetch()
  const zone = useTimeZone()
  const form = useForm<Values>({
    resolver: zodResolver(formSchema),
    defaultValues: {
      meter: meters[0]?.slug ?? '',
      amount: null,
      priority: 1,
      effective: '',
      expires: '',
      recurrence: 'once',
      rollover: null,
    },
  })
  const slug = useWatch({ control: form.control, name: 'meter' })
  const unit = meters.find((each) => each.slug === slug)?.unit

  async function submit(values: Values, options: { idempotencyKey: string }) {
    onSending(true)
    try {
      const path = `/customers/${customerId}/grants`
      onSaved(await api<Grant>(path, { method: 'POST', body: toBody(values, zone), ...options }))
    } finally {
      onSending(false)
    }
  }

  return (
    <Form id={id} form={form} onSubmit={submit}>
      <SelectField
        form={form}
        name="meter"
        label={t('entitlements.grants.form.meter')}
        hint={t('entitlements.grants.form.meter_hint')}
        required
        options={meters.map((each) => ({ value: each.slug, label: each.name, description: each.slug }))}
      />
      <QuantityField
        form={form}
        name="amount"
        label={t('entitlements.grants.form.amount')}
        required
        {...(unit ? { unit } : {})}
      />
      <QuantityField
        form={form}
        name="priority"
        label={t('entitlements.grants.form.priority')}
        hint={t('entitlements.grants.form.priority_hint')}
        max={255}
        format={{ maximumFractionDigits: 0 }}
        stepper
      />
      <div className="grid gap-4 sm:grid-cols-2">
        <TextField
          form={form}
          name="effective"
          type="date"
          label={t('entitlements.grants.form.effective')}
          hint={t('entitlements.grants.form.effective_hint')}
        />
        <TextField
          form={form}
          name="expires"
          type="date"
          label={t('entitlements.grants.form.expires')}
          hint={t('entitlements.grants.form.expires_hint')}
        />
      </div>
      <SelectField
        form={form}
        name="recurrence"
        label={t('entitlements.grants.form.recurrence')}
        options={RECURRENCES.map((value) => ({
          value,
          label: value === 'once' ? t('entitlements.grants.once') : t(`entitlements.grants.recurrence.${value}`),
        }))}
      />
      <QuantityField
        form={form}
        name="rollover"
        label={t('entitlements.grants.form.rollover')}
        hint={t('entitlements.grants.form.rollover_hint')}
        {...(unit ? { unit } : {})}
      />
    </Form>
  )
}
