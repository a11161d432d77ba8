'use client'

import { useId } from 'react'
import {
  Bar,
  type BarShapeProps,
  CartesianGrid,
  ComposedChart,
  Line,
  Rectangle,
  ResponsiveContainer,
  Tooltip,
  XAxis,
  YAxis,
} from 'recharts'
import { bucketLabel, type ChartBucket, type ChartInterval, type ChartSeries, seriesColor } from '@/libs/ui/chart-data'
import { PLOT_LEFT, PLOT_RIGHT } from '@/libs/ui/chart-reader'
import { BucketTip } from '@/libs/ui/chart-tip'
import { formatCompact, formatQuantity } from '@/libs/ui/format'
import { t } from '@/libs/ui/messages'

export type ChartPlotProps = {
  buckets: readonly ChartBucket[]
  series: readonly ChartSeries[]
  kind: 'bar' | 'line'
  interval: ChartInterval
  timeZone: string
  unit?: string
  height: number
  /** False: bars stand side by side, and there is no total. */
  sums?: boolean
  /** A click shows a bucket closer. */
  closer?: boolean
}

/** The drawing itself; loaded when it is needed, since the library is large. Use UsageChart. */
export function ChartPlot({
  buckets,
  series,
  kind,
  interval,
  timeZone,
  unit,
  height,
  sums = true,
  closer,
}: ChartPlotProps) {
  const id = useId().replaceAll(':', '')
  const compared = buckets.some((bucket) => bucket.previous !== null)
  const last = buckets.length - 1
  const partial = buckets[last]?.partial ?? false
  const axis = { fontSize: 11, fill: 'var(--faint)' }
  const value = (index: number) => (bucket: ChartBucket) => bucket.values[index] ?? (sums ? 0 : null)

  return (
    // Until it is measured it is no wider than any screen, which it would make scroll sideways for a moment.
    <ResponsiveContainer width="100%" height={height} initialDimension={{ width: 240, height }}>
      <ComposedChart
        accessibilityLayer={false}
        data={buckets as ChartBucket[]}
        margin={{ top: 8, right: PLOT_RIGHT, bottom: 0, left: 0 }}
        barCategoryGap="18%"
      >
        <defs>
          {series.map((item, index) => (
            <pattern
              key={item.key}
              id={`${id}-hatch-${index}`}
              width="6"
              height="6"
              patternUnits="userSpaceOnUse"
              patternTransform="rotate(45)"
            >
              <rect width="6" height="6" fill={seriesColor(index)} opacity="0.28" />
              <rect width="2.5" height="6" fill={seriesColor(index)} />
            </pattern>
          ))}
        </defs>
        <CartesianGrid vertical={false} stroke="var(--line)" />
        <XAxis
          dataKey="at"
          tickFormatter={(at: string) => bucketLabel(at, interval, timeZone, true)}
          tick={axis}
          tickLine={false}
          axisLine={{ stroke: 'var(--line-strong)' }}
          minTickGap={28}
          height={26}
          tickMargin={6}
        />
        <YAxis
          width={PLOT_LEFT}
          tick={axis}
          tickLine={false}
          axisLine={false}
          tickFormatter={(amount: number) => (unit === 'bytes' ? formatQuantity(amount, unit) : formatCompact(amount))}
          allowDecimals={buckets.some((bucket) => !Number.isInteger(bucket.total))}
        />
        <Tooltip
          isAnimationActive={false}
          cursor={{ fill: 'var(--hover)', fillOpacity: 0.7, stroke: kind === 'line' ? 'var(--line-strong)' : 'none' }}
          content={({ active, payload }) => {
            const bucket = payload[0]?.payload as ChartBucket | undefined
            if (!active || !bucket) return null
            return <BucketTip bucket={bucket} {...{ series, interval, timeZone, unit, sums, closer }} />
          }}
        />
        {series.map((item, index) =>
          kind === 'bar' ? (
            <Bar
              key={item.key}
              name={item.label}
              dataKey={value(index)}
              {...(sums ? { stackId: 'all' } : {})}
              fill={seriesColor(index)}
              isAnimationActive={false}
              maxBarSize={44}
              shape={(props: BarShapeProps) => (
                <Rectangle
                  {...props}
                  fill={partial && props.index === last ? `url(#${id}-hatch-${index})` : seriesColor(index)}
                  // A thin line between the parts of a bar: where one ends is not told by colour alone.
                  {...(sums && series.length > 1 ? { stroke: 'var(--surface)', strokeWidth: 1 } : {})}
                  radius={index === series.length - 1 || !sums ? [2, 2, 0, 0] : 0}
                />
              )}
            />
          ) : (
            <Line
              key={item.key}
              name={item.label}
              type="linear"
              dataKey={(bucket: ChartBucket) => (bucket.partial ? null : value(index)(bucket))}
              stroke={seriesColor(index)}
              strokeWidth={2}
              dot={buckets.length < 3}
              connectNulls={!sums}
              isAnimationActive={false}
            />
          ),
        )}
        {kind === 'line' && partial
          ? series.map((item, index) => (
              <Line
                key={`${item.key}-partial`}
                type="linear"
                dataKey={(bucket: ChartBucket) => (buckets.indexOf(bucket) >= last - 1 ? value(index)(bucket) : null)}
                stroke={seriesColor(index)}
                strokeWidth={2}
                strokeDasharray="3 4"
                dot={false}
                isAnimationActive={false}
                legendType="none"
              />
            ))
          : null}
        {compared ? (
          <Line
            name={t('ui.chart.previous')}
            type="linear"
            dataKey="previous"
            stroke="var(--chart-other)"
            strokeWidth={1.75}
            strokeDasharray="5 4"
            dot={false}
            isAnimationActive={false}
          />
        ) : null}
      </ComposedChart>
    </ResponsiveContainer>
  )
}
