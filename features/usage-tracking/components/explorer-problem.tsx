'use client'

import { Gauge, SearchX } from 'lucide-react'
import type { ReactNode } from 'react'
import type { ApiProblem } from '@/libs/ui/api-client'
import { Button } from '@/libs/ui/button'
import { Card } from '@/libs/ui/card'
import { t } from '@/libs/ui/messages'
import { EmptyState } from '@/libs/ui/states'

/** An address that asks for what is not there: which meter it is, or what this meter cannot be asked; and the way on. */
export function ExplorerProblem({
  problem,
  meter,
  meterSelect,
  controls,
  onAllMeters,
  onClear,
}: {
  problem: ApiProblem
  /** The one that is asked about; none when it is all of them. */
  meter?: string
  meterSelect: ReactNode
  /** Where what was asked can be changed. */
  controls: ReactNode
  onAllMeters?: (() => void) | undefined
  onClear: () => void
}) {
  // A customer who is not there is answered alike, and told apart by what it points to.
  const missing = problem.status === 404 && meter !== undefined && problem.errors.every((e) => e.pointer === '/meter')
  const details = problem.errors.map(({ detail }) => detail)
  return (
    <Card>
      {missing ? null : <div className="flex flex-wrap items-center gap-2">{controls}</div>}
      <div role="alert">
        {missing ? (
          <EmptyState
            icon={<Gauge />}
            title={t('usage.explorer.no_meter', { meter })}
            description={t('usage.explorer.no_meter_hint')}
            action={
              <>
                {meterSelect}
                {onAllMeters ? <Button onClick={onAllMeters}>{t('usage.explorer.show_all')}</Button> : null}
              </>
            }
          />
        ) : (
          <EmptyState
            icon={<SearchX />}
            title={t('usage.explorer.wrong')}
            description={details.length > 0 ? details.join(' · ') : problem.detail}
            action={
              <Button onClick={onClear}>{t(meter ? 'usage.explorer.clear' : 'usage.explorer.clear_range')}</Button>
            }
          />
        )}
      </div>
    </Card>
  )
}
