'use client'

import { type FormEvent, type ReactNode, useState } from 'react'
import type { ApiProblem } from '@/libs/ui/api-client'
import { Button } from '@/libs/ui/button'
import { Card } from '@/libs/ui/card'
import { ProblemNotice } from '@/libs/ui/form'
import { t } from '@/libs/ui/messages'
import { Loading, Skeleton } from '@/libs/ui/skeleton'
import { ErrorState } from '@/libs/ui/states'
import { useUnsavedGuard } from '@/libs/ui/unsaved'

export type Draft = {
  value: string
  dirty: boolean
  setValue: (value: string) => void
  reset: () => void
  /** After saving: what was typed is saved, unless more has been typed since. */
  settle: (sent: string) => void
}

/**
 * The text of a setting: what is saved until somebody types. The answer to another card brings what other people saved in this
 * one meanwhile, and nothing of it may look like a change of one's own.
 */
export function useDraft(saved: string): Draft {
  const [typed, setTyped] = useState<string | null>(null)
  const value = typed ?? saved
  return {
    value,
    dirty: value !== saved,
    setValue: setTyped,
    reset: () => setTyped(null),
    settle: (sent) => setTyped((now) => (now === sent ? null : now)),
  }
}

/**
 * One setting with its own Save; leaving the page with unsaved changes asks first.
 * @example <SettingCard title="Name" dirty={isDirty} saving={isSubmitting} onSave={submit} onReset={reset}>…</SettingCard>
 */
export function SettingCard({
  title,
  description,
  note,
  dirty,
  readOnly = false,
  saving = false,
  problem = null,
  onSave,
  onReset,
  children,
}: {
  title: string
  description?: ReactNode
  /** A quiet text beside the buttons, such as a limit. */
  note?: ReactNode
  dirty: boolean
  /** For whoever may not change it: no buttons; the note says why. */
  readOnly?: boolean
  saving?: boolean
  /** What saving ended in; what it says of single fields is for these to show. */
  problem?: ApiProblem | null
  onSave: () => unknown
  onReset?: () => void
  children: ReactNode
}) {
  useUnsavedGuard(dirty)
  function submit(event: FormEvent) {
    event.preventDefault()
    onSave()
  }
  return (
    <section aria-label={title} className="overflow-clip rounded-lg border bg-surface shadow-card">
      <form method="dialog" noValidate onSubmit={submit}>
        <div className="px-4 pt-4 pb-5 sm:px-5">
          <h2 className="font-semibold text-base tracking-tight">{title}</h2>
          {description ? <p className="mt-0.5 max-w-prose text-mute text-sm">{description}</p> : null}
          <div className="mt-4 flex max-w-xl flex-col gap-4">
            {problem && problem.errors.length === 0 ? <ProblemNotice problem={problem} /> : null}
            {children}
          </div>
        </div>
        <footer className="flex flex-wrap items-center gap-x-4 gap-y-2 border-t bg-sunken px-4 py-3 sm:px-5">
          <p className="wrap-anywhere min-w-0 flex-1 text-faint text-sm">{dirty ? t('ui.unsaved') : note}</p>
          {onReset && dirty ? (
            <Button variant="ghost" onClick={onReset} disabled={saving}>
              {t('ui.reset')}
            </Button>
          ) : null}
          {readOnly ? null : (
            <Button type="submit" variant="primary" disabled={!dirty} loading={saving}>
              {t('ui.save')}
            </Button>
          )}
        </footer>
      </form>
    </section>
  )
}

/**
 * In place of setting cards while what they are of is not there: their outlines, of these heights, or why it is not.
 * @example if (!state.data) return <AwaitedSettings {...state} heights={['h-52', 'h-96']} />
 */
export function AwaitedSettings({
  error,
  reload,
  heights,
}: {
  error: ApiProblem | null
  reload: () => void
  heights: readonly string[]
}) {
  if (error)
    return (
      <Card>
        <ErrorState error={error} onRetry={reload} />
      </Card>
    )
  return (
    <Loading className="flex flex-col gap-6">
      {heights.map((height, index) => (
        // biome-ignore lint/suspicious/noArrayIndexKey: the list is fixed, the place is the identity
        <Skeleton key={index} className={height} />
      ))}
    </Loading>
  )
}
