'use client'

import { Plus, Trash2 } from 'lucide-react'
import {
  type FilterDraft,
  type FilterReading,
  toJsonDraft,
  toRowsDraft,
} from '@/features/meters/components/filter-values'
import { FILTER_OPERATORS } from '@/libs/metering/meter-filter'
import { Button, IconButton } from '@/libs/ui/button'
import { Field, FieldGroup } from '@/libs/ui/field'
import { focusAdded, focusAdder } from '@/libs/ui/focus-adder'
import { Input, Textarea } from '@/libs/ui/input'
import { t } from '@/libs/ui/messages'
import { Segmented } from '@/libs/ui/segmented'
import { Select } from '@/libs/ui/select'

const MOST_ROWS = 20
const NESTED = '{"and": [{"property": "region", "operator": "eq", "value": "eu"}, {"or": […]}]}'

/** Which events count: conditions on properties, all or any of which must hold; or JSON, where they are nested. */
export function FilterEditor({
  value,
  faults,
  onChange,
}: {
  value: FilterDraft
  faults: Extract<FilterReading, { faults: unknown }>['faults']
  onChange: (value: FilterDraft) => void
}) {
  // Nested conditions cannot be shown as rows: then there is no way back that would lose them.
  const rows = value.mode === 'json' ? toRowsDraft(value) : null
  const messages = [...new Set(faults.map(({ row, message }) => nameRow(row, value.rows.length, message)))]
  return (
    <FieldGroup
      legend={t('meters.form.filter')}
      hint={t('meters.form.filter_hint')}
      error={messages.length > 0 ? messages.join(' · ') : undefined}
    >
      {value.mode === 'json' ? (
        <Field label={t('meters.filter.json')} hint={t('meters.filter.json_hint')}>
          <Textarea
            rows={6}
            className="font-mono text-xs"
            placeholder={NESTED}
            spellCheck={false}
            autoCapitalize="none"
            value={value.json}
            aria-invalid={faults.length > 0 || undefined}
            onChange={(event) => onChange({ ...value, json: event.target.value })}
          />
        </Field>
      ) : (
        <Rows value={value} wrong={new Set(faults.map(({ row }) => row))} onChange={onChange} />
      )}
      <div className="flex flex-wrap items-center gap-x-3 gap-y-2">
        {value.mode === 'rows' ? (
          <Button
            data-adds=""
            size="sm"
            icon={<Plus />}
            disabled={value.rows.length >= MOST_ROWS}
            onClick={(event) => {
              focusAdded(event.currentTarget)
              onChange({ ...value, rows: [...value.rows, newRow(value.rows)] })
            }}
          >
            {t('meters.filter.add')}
          </Button>
        ) : null}
        {value.mode === 'rows' ? (
          <Button size="sm" variant="link" onClick={() => onChange(toJsonDraft(value))}>
            {t('meters.filter.to_json')}
          </Button>
        ) : rows ? (
          <Button size="sm" variant="link" onClick={() => onChange(rows)}>
            {t('meters.filter.to_rows')}
          </Button>
        ) : null}
      </div>
    </FieldGroup>
  )
}

const newRow = (rows: FilterDraft['rows']): FilterDraft['rows'][number] => ({
  key: Math.max(0, ...rows.map(({ key }) => key)) + 1,
  property: '',
  operator: 'eq',
  value: '',
})

function nameRow(row: number | null, rows: number, message: string): string {
  return row === null || rows < 2 ? message : `${t('meters.filter.condition', { number: row + 1 })}: ${message}`
}

function Rows({
  value,
  wrong,
  onChange,
}: {
  value: FilterDraft
  wrong: ReadonlySet<number | null>
  onChange: (value: FilterDraft) => void
}) {
  const { rows } = value
  const set = (index: number, change: Partial<FilterDraft['rows'][number]>) =>
    onChange({ ...value, rows: rows.map((row, at) => (at === index ? { ...row, ...change } : row)) })
  return (
    <>
      {rows.length > 1 ? (
        <Segmented
          label={t('meters.filter.join')}
          value={value.join}
          onValueChange={(join) => onChange({ ...value, join })}
          options={[
            { value: 'and', label: t('meters.filter.all') },
            { value: 'or', label: t('meters.filter.any') },
          ]}
        />
      ) : null}
      {rows.map((row, index) => (
        <fieldset
          key={row.key}
          className="grid grid-cols-[minmax(0,1fr)_auto] items-center gap-2 sm:grid-cols-[minmax(0,2fr)_minmax(0,2fr)_minmax(0,2fr)_auto]"
        >
          <legend className="sr-only">{t('meters.filter.condition', { number: index + 1 })}</legend>
          <Input
            aria-label={t('meters.filter.property')}
            aria-invalid={(wrong.has(index) && row.property.trim() === '') || undefined}
            placeholder={t('meters.filter.property_example')}
            value={row.property}
            maxLength={128}
            spellCheck={false}
            autoCapitalize="none"
            className="max-sm:order-1"
            onChange={(event) => set(index, { property: event.target.value })}
          />
          <div className="max-sm:order-3">
            <Select
              aria-label={t('meters.filter.operator')}
              options={FILTER_OPERATORS.map((one) => ({ value: one, label: t(`meters.filter.${one}`) }))}
              value={row.operator}
              onValueChange={(operator) => set(index, { operator })}
            />
          </div>
          <Input
            aria-label={t('meters.filter.value')}
            aria-invalid={(wrong.has(index) && row.property.trim() !== '') || undefined}
            placeholder={t(row.operator === 'in' ? 'meters.filter.values_example' : 'meters.filter.value_example')}
            value={row.value}
            className="max-sm:order-4 max-sm:col-span-2"
            onChange={(event) => set(index, { value: event.target.value })}
          />
          <IconButton
            label={t('meters.filter.remove', { number: index + 1 })}
            icon={<Trash2 />}
            className="max-sm:order-2"
            onClick={(event) => {
              focusAdder(event.currentTarget)
              onChange({ ...value, rows: rows.filter((_, at) => at !== index) })
            }}
          />
        </fieldset>
      ))}
    </>
  )
}
