'use client'

import { type UseFormReturn, useWatch } from 'react-hook-form'
import { FilterEditor } from '@/features/meters/components/filter-editor'
import type { FilterDraft, FilterReading } from '@/features/meters/components/filter-values'
import { type MeterFormValues, readList } from '@/features/meters/components/meter-form-values'
import { Field, FieldGroup } from '@/libs/ui/field'
import { TextField } from '@/libs/ui/form'
import { Input } from '@/libs/ui/input'
import { t } from '@/libs/ui/messages'

const plain = { spellCheck: false, autoCapitalize: 'none', autoComplete: 'off' } as const

/** What is chosen once, when a meter is made: its value, which events count, what it is kept by, and where that is found. */
export function CountingFields({
  form,
  filter,
  faults,
  paths,
  onFilter,
  onPaths,
}: {
  form: UseFormReturn<MeterFormValues>
  filter: FilterDraft
  faults: Extract<FilterReading, { faults: unknown }>['faults']
  paths: Record<string, string>
  onFilter: (filter: FilterDraft) => void
  onPaths: (paths: Record<string, string>) => void
}) {
  const [aggregation, groupBy] = useWatch({ control: form.control, name: ['aggregation', 'group_by'] })
  const keys = readList(groupBy).slice(0, 5)
  return (
    <>
      {aggregation === 'COUNT' ? null : (
        <TextField
          form={form}
          name="value_property"
          label={t('meters.form.value_property')}
          hint={t(`meters.form.value_property_${aggregation === 'UNIQUE_COUNT' ? 'unique' : 'hint'}`)}
          maxLength={128}
          {...plain}
          {...(aggregation === 'UNIQUE_COUNT' ? { required: true } : { optional: true })}
        />
      )}
      <FilterEditor value={filter} faults={faults} onChange={onFilter} />
      <TextField
        form={form}
        name="group_by"
        label={t('meters.form.group_by')}
        hint={t('meters.form.group_by_hint')}
        placeholder={t('meters.form.group_by_example')}
        {...plain}
        optional
      />
      <TextField
        form={form}
        name="event_type"
        label={t('meters.form.event_type')}
        hint={t('meters.form.event_type_hint')}
        maxLength={255}
        {...plain}
        optional
      />
      {keys.length > 0 ? (
        <FieldGroup legend={t('meters.form.property_paths')} hint={t('meters.form.property_paths_hint')}>
          <div className="grid gap-3 sm:grid-cols-2">
            {keys.map((key) => (
              <Field key={key} label={<span className="break-all font-mono font-normal">{key}</span>}>
                <Input
                  value={paths[key] ?? ''}
                  placeholder={key}
                  maxLength={128}
                  {...plain}
                  onChange={(event) => onPaths({ ...paths, [key]: event.target.value })}
                />
              </Field>
            ))}
          </div>
        </FieldGroup>
      ) : null}
    </>
  )
}
