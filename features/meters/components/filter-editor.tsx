'use client'

import { Plus, Trash2 } from 'lucide-react'
import {
  FILTER_OPERATORS,
  type FilterOperator,
  type FilterScalar,
  type MeterFilter,
} from '@/libs/metering/meter-filter'
import { Button, IconButton } from '@/libs/ui/button'
import { Input } from '@/libs/ui/input'
import { t } from '@/libs/ui/messages'
import { Segmented } from '@/libs/ui/segmented'
import { Select } from '@/libs/ui/select'

const MOST_ROWS = 20

/** Conditions as they are typed; a key of its own for each, since they have no other name. */
export type FilterRows = {
  join: 'and' | 'or'
  rows: { key: number; property: string; operator: FilterOperator; value: string }[]
}

function readScalar(text: string): FilterScalar {
  const word = text.trim()
  return word === 'true' ? true : word === 'false' ? false : word
}

/** The filter that is typed; null when no row has a property. */
export function toFilter({ join, rows }: FilterRows): MeterFilter | null {
  const conditions = rows
    .filter(({ property }) => property.trim() !== '')
    .map(({ property, operator, value }) => ({
      property: property.trim(),
      operator,
      value: operator === 'in' ? value.split(',').map(readScalar) : readScalar(value),
    }))
  const [only] = conditions
  if (!only) return null
  if (conditions.length === 1) return only
  return join === 'and' ? { and: conditions } : { or: conditions }
}

/** Which events count: conditions on properties, all or any of which must hold. */
export function FilterEditor({ value, onChange }: { value: FilterRows; onChange: (value: FilterRows) => void }) {
  const { rows } = value
  const set = (index: number, change: Partial<FilterRows['rows'][number]>) =>
    onChange({ ...value, rows: rows.map((row, at) => (at === index ? { ...row, ...change } : row)) })
  return (
    <div className="flex flex-col gap-2.5">
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
            placeholder={t(row.operator === 'in' ? 'meters.filter.values_example' : 'meters.filter.value_example')}
            value={row.value}
            className="max-sm:order-4 max-sm:col-span-2"
            onChange={(event) => set(index, { value: event.target.value })}
          />
          <IconButton
            label={t('meters.filter.remove', { number: index + 1 })}
            icon={<Trash2 />}
            className="max-sm:order-2"
            onClick={() => onChange({ ...value, rows: rows.filter((_, at) => at !== index) })}
          />
        </fieldset>
      ))}
      <div>
        <Button
          size="sm"
          icon={<Plus />}
          disabled={rows.length >= MOST_ROWS}
          onClick={() =>
            onChange({
              ...value,
              rows: [
                ...rows,
                { key: Math.max(0, ...rows.map(({ key }) => key)) + 1, property: '', operator: 'eq', value: '' },
              ],
            })
          }
        >
          {t('meters.filter.add')}
        </Button>
      </div>
    </div>
  )
}
