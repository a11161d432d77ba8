'use client'

import { useEffect, useState } from 'react'
import type { ChartPlot, ChartPlotProps } from '@/libs/ui/chart-plot'
import { cx } from '@/libs/ui/cx'
import { Skeleton } from '@/libs/ui/skeleton'

const AGAIN_MS = 5_000

let loaded: typeof ChartPlot | null = null

/** Draws as soon as what draws has come, which is large and has a file of its own. Where that is not reached, it is asked for again. */
export function LatePlot(props: ChartPlotProps) {
  const [Plot, setPlot] = useState(() => loaded)
  useEffect(() => {
    let gone = false
    let timer: number | undefined
    const load = () =>
      import('@/libs/ui/chart-plot').then(
        (file) => {
          loaded = file.ChartPlot
          if (!gone) setPlot(() => file.ChartPlot)
        },
        () => {
          if (!gone) timer = window.setTimeout(load, AGAIN_MS)
        },
      )
    void load()
    return () => {
      gone = true
      window.clearTimeout(timer)
    }
  }, [])
  return Plot ? <Plot {...props} /> : <PlotSkeleton />
}

const barHeights = ['h-2/5', 'h-3/5', 'h-1/2', 'h-4/5']

/** Bars of no figures, while the figures or what draws them are on their way. */
export function PlotSkeleton() {
  return (
    <div className="flex h-full items-end gap-2 px-2">
      {[38, 52, 44, 66, 58, 72, 61, 80, 70, 64, 84, 76].map((share) => (
        <Skeleton key={share} className={cx('flex-1', barHeights[share % 4])} />
      ))}
    </div>
  )
}
