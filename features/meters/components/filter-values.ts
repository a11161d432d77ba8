import { type FilterOperator, type FilterScalar, type MeterFilter, meterFilter } from '@/libs/metering/meter-filter'
import { t } from '@/libs/ui/messages'

/** A filter as it is typed: rows of conditions, or JSON where they are nested. Rows have a key, since they have no other name. */
export type FilterDraft = {
  mode: 'rows' | 'json'
  join: 'and' | 'or'
  rows: { key: number; property: string; operator: FilterOperator; value: string }[]
  json: string
}

export const EMPTY_FILTER: FilterDraft = { mode: 'rows', join: 'and', rows: [], json: '' }

/** A filter that can be sent, or what is wrong with it: for the row it is in, or as a whole. */
export type FilterReading = { filter: MeterFilter | null } | { faults: { row: number | null; message: string }[] }

function readScalar(text: string): FilterScalar {
  const word = text.trim()
  return word === 'true' ? true : word === 'false' ? false : word
}

function readRow({ property, operator, value }: FilterDraft['rows'][number]) {
  return {
    property: property.trim(),
    operator,
    value: operator === 'in' ? value.split(',').map(readScalar) : operator === 'like' ? value : readScalar(value),
  }
}

function fromRows({ join, rows }: FilterDraft): MeterFilter | null {
  const [only, ...others] = rows.map(readRow)
  if (!only) return null
  if (others.length === 0) return only
  return join === 'and' ? { and: [only, ...others] } : { or: [only, ...others] }
}

/** Reads what is typed. A row without a property is a fault and not left out: its condition would be lost unseen. */
export function readFilter(draft: FilterDraft): FilterReading {
  if (draft.mode === 'json') return readJson(draft.json)
  const unnamed = draft.rows.flatMap(({ property }, row) =>
    property.trim() === '' ? [{ row, message: t('meters.filter.property_required') }] : [],
  )
  if (unnamed.length > 0) return { faults: unnamed }
  const filter = fromRows(draft)
  const read = filter === null ? null : meterFilter.safeParse(filter)
  if (!read || read.success) return { filter }
  return {
    faults: read.error.issues.map(({ path, message }) => {
      const row = draft.rows.length > 1 ? path[1] : 0
      return { row: typeof row === 'number' ? row : null, message: `${t('meters.filter.value')} ${message}` }
    }),
  }
}

function readJson(text: string): FilterReading {
  if (text.trim() === '') return { filter: null }
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch {
    return { faults: [{ row: null, message: t('meters.filter.json_wrong') }] }
  }
  const read = meterFilter.safeParse(value)
  if (read.success) return { filter: value === null ? null : read.data }
  return {
    faults: read.error.issues.map(({ path, message }) => ({
      row: null,
      message: path.length > 0 ? `/${path.join('/')}: ${message}` : message,
    })),
  }
}

/** The same filter to be written as JSON: what the rows say, or an example of nesting to begin with. */
export function toJsonDraft(draft: FilterDraft): FilterDraft {
  const filter = fromRows({ ...draft, rows: draft.rows.filter(({ property }) => property.trim() !== '') })
  return { ...draft, mode: 'json', json: filter ? JSON.stringify(filter, null, 2) : draft.json }
}

/** Back to rows, where rows can say the same; null for what is nested, and for values that text cannot tell apart. */
export function toRowsDraft(draft: FilterDraft): FilterDraft | null {
  const read = readJson(draft.json)
  if ('faults' in read) return null
  const { filter } = read
  if (filter === null) return { ...draft, mode: 'rows', rows: [] }
  const parts = 'and' in filter ? filter.and : 'or' in filter ? filter.or : [filter]
  const conditions = parts.flatMap((part) => ('property' in part ? [part] : []))
  if (conditions.length < parts.length) return null
  const back: FilterDraft = {
    ...draft,
    mode: 'rows',
    join: 'or' in filter ? 'or' : 'and',
    rows: conditions.map(({ property, operator, value }, key) => ({
      key,
      property,
      operator,
      value: Array.isArray(value) ? value.join(', ') : String(value ?? ''),
    })),
  }
  const again = readFilter(back)
  return 'filter' in again && sameText(again.filter) === sameText(filter) ? back : null
}

/** Numbers and numeric text compare alike. */
const sameText = (filter: MeterFilter | null) =>
  JSON.stringify(filter, (_key, value: unknown) => (typeof value === 'number' ? String(value) : value))
