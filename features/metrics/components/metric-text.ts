import type { z } from 'zod'
import type { metricsReport } from '@/features/metrics/schema'
import { formatMoney, formatQuantity } from '@/libs/ui/format'
import { t } from '@/libs/ui/messages'

export type MetricsReport = z.infer<typeof metricsReport>
export type MetricRow = MetricsReport['data'][number]
const CHANNELS = ['email', 'whatsapp', 'sms', 'push'] as const

/** The unit a metric is written in. */
export function unitOf(metric: string): string | undefined {
  return metric.endsWith('_bytes') ? 'bytes' : undefined
}

/** A value as its metric is written: bytes, money, or a number. */
export function formatMetric({ metric, label }: Pick<MetricRow, 'metric' | 'label'>, value: number | string): string {
  if (metric === 'revenue' && label) return formatMoney(Number(value), label)
  return formatQuantity(value, unitOf(metric))
}

/** “Messages, e-mail”; the name alone where a metric has no labels. */
export function metricName({ metric, label }: Pick<MetricRow, 'metric' | 'label'>): string {
  const name = t(`metrics.name.${metric}`)
  if (label === '') return name
  const channel = CHANNELS.find((known) => known === label)
  return t('metrics.labelled', { name, label: channel ? t(`metrics.channel.${channel}`) : label })
}

/** What tells a metric from the others: its name, with the label where it has one. */
export const keyOf = ({ metric, label }: Pick<MetricRow, 'metric' | 'label'>): string =>
  label ? `${metric}.${label}` : metric
