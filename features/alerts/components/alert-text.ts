import type { z } from 'zod'
import type { alert, alertFiring } from '@/features/alerts/schema'
import { formatQuantity } from '@/libs/ui/format'
import { t } from '@/libs/ui/messages'

export type Alert = z.infer<typeof alert>
export type AlertFiring = z.infer<typeof alertFiring>

const isShare = (kind: Alert['kind']): boolean => kind === 'usage_percent' || kind === 'remaining_percent'

/** “80 % or more used”. */
export function describeStep(kind: Alert['kind'], step: number | string, unit: string): string {
  const shown = formatQuantity(step, isShare(kind) ? undefined : unit || undefined)
  return t(`alerts.condition.${kind}`, { step: shown })
}

/** “and every 10 % more”; null for a rule that fires once. */
export function describeAgain({ kind, recurring_every, meter }: Alert): string | null {
  if (recurring_every === null) return null
  const every = formatQuantity(recurring_every, isShare(kind) ? undefined : meter.unit || undefined)
  const direction = kind === 'usage' || kind === 'usage_percent' ? 'up' : 'down'
  return t(`alerts.again_${direction}${isShare(kind) ? '_percent' : ''}`, { every })
}

/** Who hears of it, in words. */
export function describeTells(rule: Alert): string {
  const words = [
    rule.tells_admins ? t('alerts.tells.admins') : null,
    rule.tells_customer ? t('alerts.tells.customer') : null,
    rule.tells_connectors ? t('alerts.tells.connectors') : null,
  ].filter((word) => word !== null)
  return words.length > 0 ? words.join(', ') : t('alerts.tells.nobody')
}
