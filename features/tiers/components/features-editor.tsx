'use client'

import { Plus, Trash2 } from 'lucide-react'
import { useId } from 'react'
import { type UseFormReturn, useFieldArray } from 'react-hook-form'
import type { TierFormValues } from '@/features/tiers/components/tier-form-values'
import { Button, IconButton } from '@/libs/ui/button'
import { FeatureOptions } from '@/libs/ui/feature-options'
import { FieldGroup } from '@/libs/ui/field'
import { focusAdder } from '@/libs/ui/focus-adder'
import { TextField } from '@/libs/ui/form'
import { t } from '@/libs/ui/messages'

/** The features a tier entitles to: a key, and where it matters what it means, as JSON. */
export function FeaturesEditor({ form }: { form: UseFormReturn<TierFormValues> }) {
  const listId = useId()
  const { fields, append, remove } = useFieldArray({ control: form.control, name: 'features' })
  return (
    <FieldGroup legend={t('tiers.form.features')} hint={t('tiers.form.features_hint')}>
      {fields.length > 0 ? (
        <ul className="flex flex-col gap-3">
          {fields.map((field, index) => (
            <li
              key={field.id}
              className="grid grid-cols-[minmax(0,1fr)_auto] items-start gap-3 rounded-lg border bg-sunken p-3 sm:grid-cols-[minmax(0,1fr)_minmax(0,1.4fr)_auto]"
            >
              <TextField
                form={form}
                name={`features.${index}.key`}
                label={t('tiers.form.feature_key')}
                placeholder="custom_domain"
                list={listId}
                maxLength={64}
                spellCheck={false}
                autoCapitalize="none"
                autoComplete="off"
              />
              <TextField
                form={form}
                name={`features.${index}.config`}
                label={t('tiers.form.feature_config')}
                optional
                placeholder={'{"seats": 10}'}
                spellCheck={false}
                autoComplete="off"
                className="max-sm:order-last max-sm:col-span-2"
              />
              <IconButton
                label={t('tiers.form.remove_feature')}
                icon={<Trash2 />}
                onClick={(event) => {
                  focusAdder(event.currentTarget)
                  remove(index)
                }}
                className="mt-6.5"
              />
            </li>
          ))}
        </ul>
      ) : (
        <p className="rounded-lg border border-dashed px-4 py-5 text-center text-faint text-sm">
          {t('tiers.form.no_features')}
        </p>
      )}
      <FeatureOptions id={listId} />
      <div>
        <Button data-adds="" size="sm" icon={<Plus />} onClick={() => append({ key: '', config: '' })}>
          {t('tiers.form.add_feature')}
        </Button>
      </div>
    </FieldGroup>
  )
}
