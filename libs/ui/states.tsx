'use client'

import { CircleAlert, RotateCw, SearchX } from 'lucide-react'
import type { ReactNode } from 'react'
import { ApiProblem, describeProblem } from '@/libs/ui/api-client'
import { Button, LinkButton } from '@/libs/ui/button'
import { CopyText } from '@/libs/ui/copy-button'
import { cx } from '@/libs/ui/cx'
import { t } from '@/libs/ui/messages'
import { signInPath } from '@/libs/ui/sign-in-path'

const frame = 'mx-auto flex w-full max-w-xl flex-col items-center px-4 py-10 text-center sm:py-14'
const disc = 'mb-3.5 flex size-10 items-center justify-center rounded-lg border bg-sunken [&_svg]:size-5'

/**
 * Nothing here yet: what it is for, one action, and what to copy or an example.
 * @example <EmptyState icon={<Gauge />} title="No meters yet" description="A meter says what is counted." action={<Button variant="primary">Create meter</Button>}><CodeSnippet … /></EmptyState>
 */
export function EmptyState({
  icon,
  title,
  description,
  action,
  children,
  className,
}: {
  icon?: ReactNode
  title: string
  /** What it is for, in one or two sentences. */
  description: ReactNode
  /** One main action. */
  action?: ReactNode
  /** A command to copy or an example; full width. */
  children?: ReactNode
  className?: string
}) {
  return (
    <div className={cx(frame, className)}>
      {icon ? (
        <div aria-hidden="true" className={cx(disc, 'text-mute')}>
          {icon}
        </div>
      ) : null}
      <h2 className="font-semibold text-lg tracking-tight">{title}</h2>
      <div className="mt-1 max-w-md text-balance text-mute text-sm">{description}</div>
      {action ? <div className="mt-4 flex flex-wrap items-center justify-center gap-x-4 gap-y-2">{action}</div> : null}
      {children ? <div className="mt-6 w-full text-left">{children}</div> : null}
    </div>
  )
}

/** Something is there, but nothing matches the filters: the way out is to clear them. */
export function NoMatches({ onClear }: { onClear: () => void }) {
  return (
    <div className={frame}>
      <div aria-hidden="true" className={cx(disc, 'text-mute')}>
        <SearchX />
      </div>
      <h2 className="font-semibold text-lg tracking-tight">{t('ui.noMatches.title')}</h2>
      <p className="mt-1 text-mute text-sm">{t('ui.noMatches.description')}</p>
      <Button className="mt-4" onClick={onClear}>
        {t('ui.noMatches.clear')}
      </Button>
    </div>
  )
}

/**
 * It could not be loaded: what happened, the request id to quote, and another try.
 * @example <ErrorState error={customers.error} onRetry={customers.reload} />
 */
export function ErrorState({
  error,
  title,
  onRetry,
  action,
  className,
}: {
  error: unknown
  title?: string
  onRetry?: () => void
  /** Another way out, in place of a try that would fail again. */
  action?: ReactNode
  className?: string
}) {
  const problem = error instanceof ApiProblem ? error : null
  const heading =
    title ??
    (problem?.status === 0
      ? t('ui.error.offline')
      : problem?.status === 403
        ? t('ui.error.forbidden')
        : problem?.code === 'tenant_suspended'
          ? t('ui.error.suspended')
          : t('ui.error.load'))
  return (
    <div role="alert" className={cx(frame, className)}>
      <div aria-hidden="true" className={cx(disc, 'text-danger-text')}>
        <CircleAlert />
      </div>
      <h2 className="font-semibold text-lg tracking-tight">{heading}</h2>
      <p className="mt-1 max-w-md text-mute text-sm">{describeProblem(error)}</p>
      {problem?.errors.map(({ pointer, detail }) => (
        <p key={pointer} className="max-w-md text-mute text-sm">
          <code className="font-mono text-xs">{pointer}</code> {detail}
        </p>
      ))}
      {problem?.retry_after ? (
        <p className="mt-1 text-faint text-sm">{t('ui.error.retryAfter', { seconds: problem.retry_after })}</p>
      ) : null}
      <div className="mt-4 flex flex-wrap justify-center gap-2">
        {problem?.status === 401 ? (
          <LinkButton href={signInPath()} prefetch={false} variant="primary">
            {t('ui.error.signIn')}
          </LinkButton>
        ) : null}
        {action}
        {onRetry && !action ? (
          <Button icon={<RotateCw />} onClick={onRetry}>
            {t('ui.retry')}
          </Button>
        ) : null}
      </div>
      {problem?.request_id ? (
        <p className="mt-4 flex max-w-full flex-wrap items-center justify-center gap-x-1.5 text-faint text-xs">
          {t('ui.error.requestIdLabel')} <CopyText value={problem.request_id} />
        </p>
      ) : null}
    </div>
  )
}
