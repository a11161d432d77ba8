'use client'

import { CircleCheck, PartyPopper } from 'lucide-react'
import { Button } from '@/libs/ui/button'
import { t } from '@/libs/ui/messages'

/** Said once, when the last of the first steps was ticked while one looked. */
export function FinishedSteps({ onDone }: { onDone: () => void }) {
  return (
    <div
      role="status"
      className="flex flex-wrap items-center gap-3 rounded-lg border border-success/35 bg-success-soft px-4 py-3 text-sm text-success-text"
    >
      <PartyPopper aria-hidden="true" className="size-4.5" />
      <span className="flex-1">
        <span className="block font-semibold">{t('onboarding.finished_title')}</span>
        {t('onboarding.finished')}
      </span>
      <Button size="sm" icon={<CircleCheck />} onClick={onDone}>
        {t('ui.done')}
      </Button>
    </div>
  )
}
