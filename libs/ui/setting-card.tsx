'use client'

import type { FormEvent, ReactNode } from 'react'
import { Badge } from '@/libs/ui/badge'
import { Button } from '@/libs/ui/button'
import { cx } from '@/libs/ui/cx'
import { t } from '@/libs/ui/messages'
import { useUnsavedGuard } from '@/libs/ui/unsaved'

export type SettingSource = 'default' | 'plan' | 'flag' | 'override'

/**
 * One setting with its own Save; leaving the page with unsaved changes asks first.
 * `source` says where the value in force comes from.
 * @example <SettingCard title="Name" dirty={isDirty} saving={isSubmitting} onSave={submit} onReset={reset}>…</SettingCard>
 */
export function SettingCard({
  title,
  description,
  source,
  note,
  dirty,
  readOnly = false,
  saving = false,
  onSave,
  onReset,
  tone = 'default',
  children,
}: {
  title: string
  description?: ReactNode
  source?: SettingSource
  /** A quiet text beside the buttons, such as a limit. */
  note?: ReactNode
  dirty: boolean
  /** For whoever may not change it: no buttons; the note says why. */
  readOnly?: boolean
  saving?: boolean
  onSave: () => unknown
  onReset?: () => void
  tone?: 'default' | 'danger'
  children: ReactNode
}) {
  useUnsavedGuard(dirty)
  function submit(event: FormEvent) {
    event.preventDefault()
    onSave()
  }
  return (
    <section
      aria-label={title}
      className={cx('overflow-clip rounded-lg border bg-surface shadow-card', tone === 'danger' && 'border-danger/50')}
    >
      <form method="post" noValidate onSubmit={submit}>
        <div className="px-4 pt-4 pb-5 sm:px-5">
          <div className="flex flex-wrap items-center gap-2">
            <h2 className="font-semibold text-base tracking-tight">{title}</h2>
            {source ? <Badge>{t(`ui.source.${source}`)}</Badge> : null}
          </div>
          {description ? <p className="mt-0.5 max-w-prose text-mute text-sm">{description}</p> : null}
          <div className="mt-4 flex max-w-xl flex-col gap-4">{children}</div>
        </div>
        <footer className="flex flex-wrap items-center gap-x-4 gap-y-2 border-t bg-sunken px-4 py-3 sm:px-5">
          <p className="wrap-anywhere min-w-0 flex-1 text-faint text-sm">{dirty ? t('ui.unsaved') : note}</p>
          {onReset && dirty ? (
            <Button variant="ghost" onClick={onReset} disabled={saving}>
              {t('ui.reset')}
            </Button>
          ) : null}
          {readOnly ? null : (
            <Button type="submit" variant={tone === 'danger' ? 'danger' : 'primary'} disabled={!dirty} loading={saving}>
              {t('ui.save')}
            </Button>
          )}
        </footer>
      </form>
    </section>
  )
}
