'use client'

import { type KeyboardEvent, type MouseEvent, type ReactNode, useState } from 'react'
import { type ChartBucket, type ChartInterval, type ChartSeries, describeBucket } from '@/libs/ui/chart-data'
import { BucketTip } from '@/libs/ui/chart-tip'
import { cx } from '@/libs/ui/cx'
import { t } from '@/libs/ui/messages'

/** What of a chart's width is beside its buckets, in pixels. */
export const PLOT_LEFT = 52
export const PLOT_RIGHT = 4

/**
 * A drawn chart, read bucket by bucket: by the arrow keys, Home and End, with the figures shown and spoken as the pointer shows
 * them. With `onPick`, Enter and a click of the mouse take a bucket.
 */
export function ChartReader({
  title,
  buckets,
  series,
  interval,
  timeZone,
  unit,
  sums,
  onPick,
  children,
}: {
  title: string
  buckets: readonly ChartBucket[]
  series: readonly ChartSeries[]
  interval: ChartInterval
  timeZone: string
  unit?: string
  sums: boolean
  onPick?: (bucket: ChartBucket) => void
  children: ReactNode
}) {
  const [place, setPlace] = useState<number | null>(null)
  const last = buckets.length - 1
  const index = Math.min(place ?? last, last)
  const bucket = buckets[index]
  if (!bucket) return null
  const share = 1 / buckets.length
  const atX = (part: number) => `calc(${PLOT_LEFT}px + (100% - ${PLOT_LEFT + PLOT_RIGHT}px) * ${part})`
  const options = { interval, timeZone, sums, ...(unit ? { unit } : {}) }

  function onKeyDown(event: KeyboardEvent) {
    const next = { ArrowLeft: index - 1, ArrowRight: index + 1, Home: 0, End: last }[event.key]
    if (next !== undefined) {
      event.preventDefault()
      setPlace(Math.max(0, Math.min(last, next)))
    } else if (event.key === 'Enter' && place !== null && bucket) onPick?.(bucket)
    else if (event.key === 'Escape') setPlace(null)
  }

  // A finger that taps wants to read; only a mouse has read before it clicks.
  function onClick(event: MouseEvent) {
    if ((event.nativeEvent as PointerEvent).pointerType !== 'mouse') return
    const { left, width } = event.currentTarget.getBoundingClientRect()
    const part = (event.clientX - left - PLOT_LEFT) / (width - PLOT_LEFT - PLOT_RIGHT)
    const picked = part < 0 ? undefined : buckets[Math.floor(part / share)]
    if (picked) onPick?.(picked)
  }

  return (
    <div
      role="slider"
      tabIndex={0}
      aria-label={t(onPick ? 'ui.chart.readCloser' : 'ui.chart.read', { title })}
      aria-valuemin={1}
      aria-valuemax={buckets.length}
      aria-valuenow={index + 1}
      aria-valuetext={describeBucket(bucket, series, options)}
      onKeyDown={onKeyDown}
      onFocus={(event) => event.currentTarget.matches(':focus-visible') && setPlace(last)}
      onBlur={() => setPlace(null)}
      onClick={onPick ? onClick : undefined}
      className={cx('relative rounded-sm', onPick && 'cursor-pointer')}
    >
      <div aria-hidden="true">{children}</div>
      {place === null ? null : (
        <div aria-hidden="true" className="pointer-events-none absolute inset-0">
          <div
            className="absolute top-2 bottom-6.5 bg-ink/8"
            style={{ left: atX(index * share), width: `calc((100% - ${PLOT_LEFT + PLOT_RIGHT}px) * ${share})` }}
          />
          <div
            className={cx(
              'absolute top-3 z-10 w-max max-w-1/2',
              index < buckets.length / 2 ? 'ml-2' : '-translate-x-full -ml-2',
            )}
            style={{ left: atX((index < buckets.length / 2 ? index + 1 : index) * share) }}
          >
            <BucketTip bucket={bucket} {...{ series, closer: false }} {...options} />
          </div>
        </div>
      )}
    </div>
  )
}
