'use client'

import { type UseFormReturn, useWatch } from 'react-hook-form'
import { BEHAVIOURS, type EntitlementValues } from '@/features/customers/components/entitlement-form-values'
import { ADDITIVE } from '@/features/customers/components/entitlement-rows'
import type { Page } from '@/libs/ui/api-client'
import { Checkbox } from '@/libs/ui/checkbox'
import { QuantityField, SelectField } from '@/libs/ui/form-controls'
import { t } from '@/libs/ui/messages'
import { useApi } from '@/libs/ui/use-api'

/** The terms of a metered entitlement: meter, allowance, and what happens past it and at a reset. */
export function MeteredFields({ form }: { form: UseFormReturn<EntitlementValues> }) {
  const meters = useApi<Page<{ slug: string; name: string; unit: string; aggregation: string }>>('/meters?limit=200', {
    whole: true,
  })
  const [slug, preserves] = useWatch({ control: form.control, name: ['meter', 'preserve_overage'] })
  const meter = meters.data?.data.find((each) => each.slug === slug)
  const unit = meter?.unit ? { unit: meter.unit } : {}
  return (
    <>
      <SelectField
        form={form}
        name="meter"
        label={t('entitlements.form.meter')}
        required
        options={(meters.data?.data ?? []).map((each) => ({
          value: each.slug,
          label: each.name,
          description: each.slug,
        }))}
      />
      <QuantityField
        form={form}
        name="limit"
        label={t('entitlements.form.limit')}
        hint={t('entitlements.form.limit_hint')}
        {...unit}
      />
      <div className="grid gap-4 sm:grid-cols-2">
        <SelectField
          form={form}
          name="period"
          label={t('entitlements.form.period')}
          options={(['month', 'day'] as const).map((value) => ({ value, label: t(`tiers.period.${value}`) }))}
        />
        <SelectField
          form={form}
          name="behaviour"
          label={t('entitlements.form.behaviour')}
          options={BEHAVIOURS.map((value) => ({
            value,
            label: t(`tiers.behaviour.${value}`),
            description: t(`tiers.behaviour.${value}_hint`),
          }))}
        />
      </div>
      {meter && ADDITIVE.includes(meter.aggregation) ? (
        <>
          <QuantityField
            form={form}
            name="rollover"
            label={t('entitlements.form.rollover')}
            hint={t('entitlements.form.rollover_hint')}
            placeholder="0"
            {...unit}
          />
          <Checkbox
            checked={preserves}
            onCheckedChange={(on) => form.setValue('preserve_overage', on)}
            label={t('entitlements.form.preserve_overage')}
            description={t('entitlements.form.preserve_overage_hint')}
          />
        </>
      ) : null}
    </>
  )
}
