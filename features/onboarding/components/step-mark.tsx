import { Check } from 'lucide-react'
import { cx } from '@/libs/ui/cx'
import { t } from '@/libs/ui/messages'

/** The circle before a step: done, present, or still to come. */
export function StepMark({ state }: { state: 'done' | 'open' | 'todo' }) {
  return (
    <span
      className={cx(
        'flex size-5 shrink-0 items-center justify-center rounded-full border-[1.5px] transition-colors',
        state === 'done'
          ? 'border-success bg-success text-surface'
          : state === 'open'
            ? 'border-accent bg-accent-soft'
            : 'border-line-strong',
      )}
    >
      {state === 'done' ? <Check aria-hidden="true" strokeWidth={3} className="size-3" /> : null}
      <span className="sr-only">{t(`onboarding.mark.${state}`)}</span>
    </span>
  )
}
