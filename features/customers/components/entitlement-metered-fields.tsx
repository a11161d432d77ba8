'use client'

import { type UseFormReturn, useWatch } from 'react-hook-form'
import { BEHAVIOURS, type EntitlementValues } from '@/features/customers/components/entitlement-form-values'
import { ADDITIVE } from '@/features/customers/components/entitlement-rows'
import type { Page } from '@/libs/ui/api-client'
import { Checkbox } from '@/libs/ui/checkbox'
import { ControlledField } from '@/libs/ui/form'
import { t } from '@/libs/ui/messages'
import { NumberField } from '@/libs/ui/number-field'
import { Select } from '@/libs/ui/select'
import { useApi } from '@/libs/ui/use-api'

/** The terms of a metered entitlement: meter, allowance, and what happens past it and at a reset. */
export function MeteredFields({ form }: { form: UseFormReturn<EntitlementValues> }) {
  const meters = useApi<Page<{ slug: string; name: string; unit: string; aggregation: string }>>('/meters?limit=200')
  const [slug, preserves] = useWatch({ control: form.control, name: ['meter', 'preserve_overage'] })
  const meter = meters.data?.data.find((each) => each.slug === slug)
  const unit = meter?.unit ? { unit: meter.unit } : {}
  return (
    <>
      <ControlledField form={form} name="meter" label={t('entitlements.form.meter')} required>
        {(field) => (
          <Select
            options={(meters.data?.data ?? []).map((each) => ({
              value: each.slug,
              label: each.name,
              description: each.slug,
            }))}
            value={field.value}
            onValueChange={field.onChange}
            ref={field.ref}
          />
        )}
      </ControlledField>
      <ControlledField
        form={form}
        name="limit"
        label={t('entitlements.form.limit')}
        hint={t('entitlements.form.limit_hint')}
      >
        {(field) => (
          <NumberField
            value={field.value}
            onValueChange={field.onChange}
            onBlur={field.onBlur}
            ref={field.ref}
            min={0}
            format={{ maximumFractionDigits: 6 }}
            {...unit}
          />
        )}
      </ControlledField>
      <div className="grid gap-4 sm:grid-cols-2">
        <ControlledField form={form} name="period" label={t('entitlements.form.period')}>
          {(field) => (
            <Select
              options={(['month', 'day'] as const).map((value) => ({ value, label: t(`tiers.period.${value}`) }))}
              value={field.value}
              onValueChange={field.onChange}
              ref={field.ref}
            />
          )}
        </ControlledField>
        <ControlledField form={form} name="behaviour" label={t('entitlements.form.behaviour')}>
          {(field) => (
            <Select
              options={BEHAVIOURS.map((value) => ({
                value,
                label: t(`tiers.behaviour.${value}`),
                description: t(`tiers.behaviour.${value}_hint`),
              }))}
              value={field.value}
              onValueChange={field.onChange}
              ref={field.ref}
            />
          )}
        </ControlledField>
      </div>
      {meter && ADDITIVE.includes(meter.aggregation) ? (
        <>
          <ControlledField
            form={form}
            name="rollover"
            label={t('entitlements.form.rollover')}
            hint={t('entitlements.form.rollover_hint')}
          >
            {(field) => (
              <NumberField
                value={field.value}
                onValueChange={field.onChange}
                onBlur={field.onBlur}
                ref={field.ref}
                min={0}
                placeholder="0"
                format={{ maximumFractionDigits: 6 }}
                {...unit}
              />
            )}
          </ControlledField>
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
