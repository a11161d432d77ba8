'use client'

import { zodResolver } from '@hookform/resolvers/zod'
import { useRouter } from 'next/navigation'
import { useState } from 'react'
import { useForm, useWatch } from 'react-hook-form'
import { type CapMeter, CapsEditor } from '@/features/tiers/components/caps-editor'
import { FeaturesEditor } from '@/features/tiers/components/features-editor'
import {
  type Tier,
  type TierFormValues,
  tierBody,
  tierChange,
  tierFormSchema,
  tierFormValues,
} from '@/features/tiers/components/tier-form-values'
import { TierPreviewCard } from '@/features/tiers/components/tier-preview'
import { currencyDigits } from '@/libs/ingest/money'
import type { Page } from '@/libs/ui/api-client'
import { Button, LinkButton } from '@/libs/ui/button'
import { Card } from '@/libs/ui/card'
import { Checkbox } from '@/libs/ui/checkbox'
import { Form, TextField } from '@/libs/ui/form'
import { QuantityField, SelectField } from '@/libs/ui/form-controls'
import { t } from '@/libs/ui/messages'
import { pointProblem } from '@/libs/ui/point-problem'
import { toast } from '@/libs/ui/toast'
import { useUnsavedGuard } from '@/libs/ui/unsaved'
import { useApi, useApiFetch } from '@/libs/ui/use-api'

/** Currencies offered first; any other ISO code can be kept. */
const CURRENCIES = ['USD', 'EUR', 'GBP', 'CHF', 'JPY', 'CAD', 'AUD', 'SEK', 'NOK', 'DKK', 'PLN', 'INR', 'BRL']

/** Creates a tier, or changes the one that is given; goes back to the list when it is done. */
export function TierForm({ tier, listHref, readOnly }: { tier: Tier | null; listHref: string; readOnly: boolean }) {
  const api = useApiFetch()
  // What it was when the form was opened: the row may be read anew meanwhile.
  const [opened] = useState(tier)
  const router = useRouter()
  const meters = useApi<Page<CapMeter & { archived_at: string | null }>>('/meters?limit=200', { whole: true })
  const form = useForm<TierFormValues>({ resolver: zodResolver(tierFormSchema), defaultValues: tierFormValues(tier) })
  const [currency, isDefault, selfService] = useWatch({
    control: form.control,
    name: ['currency', 'is_default', 'self_service'],
  })
  const values = useWatch({ control: form.control }) as TierFormValues
  const [moves, setMoves] = useState(false)
  const [saved, setSaved] = useState(false)
  const { isDirty, isSubmitting } = form.formState
  useUnsavedGuard(isDirty && !isSubmitting && !saved)
  const currencies = CURRENCIES.includes(currency) ? CURRENCIES : [currency, ...CURRENCIES]

  async function submit(values: TierFormValues, options: { idempotencyKey: string }) {
    const answer = await (opened
      ? api<Tier>(`/tiers/${opened.id}`, {
          method: 'PATCH',
          body: { ...tierChange(values, opened), ...(moves ? { move: true } : {}) },
          ...options,
        })
      : api<Tier>('/tiers', { method: 'POST', body: tierBody(values, null), ...options })
    ).catch((error: unknown) => {
      throw pointProblem(error, 'conflict', '/name', t('tiers.form.name_taken'))
    })
    setSaved(true)
    toast.success(t(tier ? 'tiers.saved' : 'tiers.created', { name: answer.name }))
    router.push(listHref)
  }

  return (
    <Form form={form} onSubmit={submit} className="gap-6">
      <fieldset disabled={readOnly} className="contents">
        <Card title={t('tiers.form.basics')}>
          <div className="flex flex-col gap-4">
            <TextField
              form={form}
              name="name"
              label={t('tiers.form.name')}
              maxLength={120}
              autoComplete="off"
              required
            />
            <TextField
              form={form}
              name="description"
              label={t('tiers.form.description')}
              hint={t('tiers.form.description_hint')}
              kind="text"
              rows={2}
              maxLength={2000}
              optional
            />
            <div className="grid gap-4 sm:grid-cols-3">
              <QuantityField
                form={form}
                name="price"
                label={t('tiers.form.price')}
                required
                format={{ minimumFractionDigits: 0, maximumFractionDigits: currencyDigits(currency) }}
              />
              <SelectField
                form={form}
                name="currency"
                label={t('tiers.form.currency')}
                options={currencies.map((value) => ({ value, label: value }))}
              />
              <SelectField
                form={form}
                name="billing_interval"
                label={t('tiers.form.interval')}
                options={(['month', 'year'] as const).map((value) => ({
                  value,
                  label: t(`tiers.interval.${value}`),
                }))}
              />
            </div>
            <Checkbox
              checked={isDefault}
              onCheckedChange={(on) => form.setValue('is_default', on, { shouldDirty: true })}
              label={t('tiers.form.is_default')}
              description={t('tiers.form.is_default_hint')}
              disabled={readOnly}
            />
            <Checkbox
              checked={selfService}
              onCheckedChange={(on) => form.setValue('self_service', on, { shouldDirty: true })}
              label={t('tiers.form.self_service')}
              description={t('tiers.form.self_service_hint')}
              disabled={readOnly}
            />
          </div>
        </Card>
        <Card>
          <CapsEditor
            form={form}
            meters={(meters.data?.data ?? []).filter((meter) => meter.archived_at === null)}
            state={meters}
          />
        </Card>
        <Card>
          <FeaturesEditor form={form} />
        </Card>
        {opened && isDirty && !readOnly ? (
          <TierPreviewCard tier={opened} body={readChange(values, opened)} moves={moves} onMovesChange={setMoves} />
        ) : null}
      </fieldset>
      {readOnly ? null : (
        <div className="flex flex-wrap items-center justify-end gap-2">
          <LinkButton href={listHref}>{t('ui.cancel')}</LinkButton>
          <Button type="submit" variant="primary" loading={isSubmitting} disabled={tier !== null && !isDirty}>
            {t(tier ? 'tiers.form.save' : 'tiers.create')}
          </Button>
        </div>
      )}
    </Form>
  )
}

/** What would be saved; null while the form is not valid. */
function readChange(values: TierFormValues, tier: Tier) {
  const { success, data } = tierFormSchema.safeParse(values)
  return success ? tierChange(data, tier) : null
}
