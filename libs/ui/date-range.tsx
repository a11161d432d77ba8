'use client'

import { CalendarRange } from 'lucide-react'
import { parseAsString, parseAsStringLiteral, useQueryStates } from 'nuqs'
import { type FormEvent, useCallback, useMemo, useState } from 'react'
import { toQuery } from '@/libs/ui/api-client'
import { Button } from '@/libs/ui/button'
import { Field } from '@/libs/ui/field'
import { formatDate } from '@/libs/ui/format'
import { Input } from '@/libs/ui/input'
import { t } from '@/libs/ui/messages'
import { Popover } from '@/libs/ui/popover'

const rangePresets = ['24h', '7d', '30d', '90d', '12m'] as const
export type RangePreset = (typeof rangePresets)[number]

export type DateRange = {
  preset: RangePreset | 'custom'
  /** Days (`2026-11-01`), both within the range; null with a preset. */
  from: string | null
  to: string | null
  /** `timeRange=30d`, or `from=…&to=…`, as parameters for the API. */
  params: { timeRange?: string; from?: string; to?: string }
  query: string
  /** `push` makes an entry in the browser's history, so that Back leads to the range before. */
  set: (range: RangePreset | { from: string; to: string }, history?: 'push') => void
}

const DAY = /^\d{4}-\d{2}-\d{2}$/

/** Whether a text is a day of the calendar that ranges are made of: 2026-02-30 is none. */
export function isDay(text: string): boolean {
  if (!DAY.test(text) || text < '1900' || text >= '9999') return false
  const at = Date.parse(`${text}T00:00:00Z`)
  return Number.isFinite(at) && new Date(at).toISOString().startsWith(text)
}

/**
 * The range of time of a page, kept in the URL (`?range=7d` or `?from=2026-11-01&to=2026-11-15`).
 * @example const range = useDateRange('30d'); useApi(`/usage/daily${range.query}`)
 */
export function useDateRange(standard: RangePreset = '30d'): DateRange {
  const [values, setValues] = useQueryStates(
    {
      range: parseAsStringLiteral(rangePresets),
      from: parseAsString,
      to: parseAsString,
      // A list on the same page goes back to its first page.
      cursor: parseAsString,
    },
    { history: 'replace' },
  )
  const { from, to } = values
  const custom = from !== null && to !== null && isDay(from) && isDay(to) && from <= to
  const preset: RangePreset | 'custom' = custom ? 'custom' : (values.range ?? standard)
  const set = useCallback(
    (range: RangePreset | { from: string; to: string }, history?: 'push') => {
      const next =
        typeof range === 'string'
          ? { range: range === standard ? null : range, from: null, to: null }
          : { range: null, from: range.from, to: range.to }
      void setValues({ ...next, cursor: null }, history ? { history } : {})
    },
    [setValues, standard],
  )
  return useMemo(() => {
    const params = custom && from && to ? { from, to } : { timeRange: preset === 'custom' ? standard : preset }
    return { preset, from: custom ? from : null, to: custom ? to : null, params, query: toQuery(params), set }
  }, [preset, custom, from, to, standard, set])
}

/** A range in words: "Last 30 days", or "1 Nov 2026 – 15 Nov 2026". */
export function describeRange(range: Pick<DateRange, 'preset' | 'from' | 'to'>): string {
  if (range.preset !== 'custom') return t(`ui.range.${range.preset}`)
  return `${formatDate(`${range.from}T00:00:00Z`, 'date')} – ${formatDate(`${range.to}T00:00:00Z`, 'date')}`
}

/**
 * Chooses the range: presets, or two days of one's own.
 * @example <DateRangePicker range={range} />
 */
export function DateRangePicker({ range }: { range: DateRange }) {
  const [open, setOpen] = useState(false)
  const [from, setFrom] = useState('')
  const [to, setTo] = useState('')
  const wrong = from !== '' && to !== '' && from > to

  function changeOpen(next: boolean) {
    if (next) {
      setFrom(range.from ?? '')
      setTo(range.to ?? '')
    }
    setOpen(next)
  }

  function apply(event: FormEvent) {
    event.preventDefault()
    if (!isDay(from) || !isDay(to) || wrong) return
    range.set({ from, to })
    setOpen(false)
  }

  return (
    <Popover
      label={t('ui.range.label')}
      open={open}
      onOpenChange={changeOpen}
      align="end"
      className="w-72"
      trigger={
        <Button icon={<CalendarRange />}>
          <span className="sr-only">{t('ui.range.label')}: </span>
          {describeRange(range)}
        </Button>
      }
    >
      <div className="grid grid-cols-2 gap-1.5">
        {rangePresets.map((preset) => (
          <Button
            key={preset}
            size="sm"
            variant={range.preset === preset ? 'primary' : 'secondary'}
            aria-pressed={range.preset === preset}
            onClick={() => {
              range.set(preset)
              setOpen(false)
            }}
          >
            {t(`ui.range.${preset}`)}
          </Button>
        ))}
      </div>
      <form method="dialog" onSubmit={apply} className="mt-3 flex flex-col gap-3 border-t pt-3">
        <div className="grid grid-cols-2 gap-2">
          <Field label={t('ui.range.from')}>
            <Input
              type="date"
              value={from}
              max={to || undefined}
              onChange={(event) => setFrom(event.target.value)}
              className="px-2"
            />
          </Field>
          <Field label={t('ui.range.to')}>
            <Input
              type="date"
              value={to}
              min={from || undefined}
              onChange={(event) => setTo(event.target.value)}
              className="px-2"
            />
          </Field>
        </div>
        {wrong ? (
          <p role="alert" className="text-danger-text text-xs">
            {t('ui.range.wrong')}
          </p>
        ) : null}
        <Button type="submit" size="sm" disabled={!from || !to || wrong}>
          {t('ui.range.apply')}
        </Button>
      </form>
    </Popover>
  )
}
