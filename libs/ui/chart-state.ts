'use client'

import { parseAsBoolean, parseAsString, parseAsStringLiteral, useQueryStates } from 'nuqs'

const views = ['bar', 'line', 'table'] as const
export type ChartView = (typeof views)[number]

export type ChartState = {
  view: ChartView
  /** What the usage is split by; null is not at all. */
  group: string | null
  compare: boolean
  setView: (view: ChartView) => void
  setGroup: (group: string | null) => void
  setCompare: (compare: boolean) => void
}

/** View, grouping and comparison of the chart of a page, kept in the URL (`?view=table&group=customer&compare=true`). */
export function useChartState(): ChartState {
  const [values, setValues] = useQueryStates(
    {
      view: parseAsStringLiteral(views).withDefault('bar'),
      group: parseAsString,
      compare: parseAsBoolean.withDefault(false),
    },
    { history: 'replace' },
  )
  return {
    ...values,
    setView: (view) => void setValues({ view }),
    setGroup: (group) => void setValues({ group }),
    setCompare: (compare) => void setValues({ compare }),
  }
}
