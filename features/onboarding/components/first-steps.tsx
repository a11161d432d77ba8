'use client'

import { ListChecks, X } from 'lucide-react'
import { useRouter } from 'next/navigation'
import { useEffect, useRef, useState } from 'react'
import type { z } from 'zod'
import { FinishedSteps } from '@/features/onboarding/components/finished-steps'
import { StepBody } from '@/features/onboarding/components/step-body'
import { StepMark } from '@/features/onboarding/components/step-mark'
import type { onboardingStatus, StepKey } from '@/features/onboarding/schema'
import { announce } from '@/libs/ui/announcer'
import type { ApiProblem } from '@/libs/ui/api-client'
import { Button, IconButton } from '@/libs/ui/button'
import { Card } from '@/libs/ui/card'
import { cx } from '@/libs/ui/cx'
import { t } from '@/libs/ui/messages'
import { ProgressBar } from '@/libs/ui/progress'
import { SecretDialog } from '@/libs/ui/secret-dialog'
import { Time } from '@/libs/ui/time'
import { toast } from '@/libs/ui/toast'
import { useApi, useApiFetch, useMutation } from '@/libs/ui/use-api'

type OnboardingStatus = z.infer<typeof onboardingStatus>
type Step = OnboardingStatus['steps'][number]

const WAITING_MS = 2_000
const CALM_MS = 10_000

/**
 * The first steps of a tenant: ticked by what really happens, without a reload. Can be put aside, one by one or all, and
 * taken up again. `onTick` is told when a step was ticked while one looked.
 */
export function FirstSteps(props: {
  trackUrl: string
  canWrite: boolean
  canMakeKeys: boolean
  onTick?: (step: StepKey) => void
}) {
  // Above the steps: the one that made the key is ticked, and gone, while the key is still shown.
  const [secret, setSecret] = useState<string | null>(null)
  return (
    <>
      <Steps {...props} onKey={setSecret} />
      <SecretDialog
        secret={secret}
        title={t('onboarding.key_title')}
        description={t('onboarding.key_description')}
        label={t('onboarding.key_label')}
        onDone={() => setSecret(null)}
      />
    </>
  )
}

function Steps({
  trackUrl,
  canWrite,
  canMakeKeys,
  onTick,
  onKey,
}: {
  trackUrl: string
  canWrite: boolean
  canMakeKeys: boolean
  onTick?: (step: StepKey) => void
  onKey: (key: string) => void
}) {
  const [refreshMs, setRefreshMs] = useState(WAITING_MS)
  const state = useApi<OnboardingStatus>('/onboarding-status', refreshMs > 0 ? { refreshMs } : {})
  const router = useRouter()
  const api = useApiFetch()
  const [opened, setOpened] = useState<StepKey | null>(null)
  const [finished, setFinished] = useState(false)
  const status = state.data
  const complete = status ? status.completed >= status.total : false

  // What was done before is the measure: only what is ticked from now on is news.
  const known = useRef<Set<StepKey> | null>(null)
  const wasPending = useRef(false)
  useEffect(() => {
    if (!status) return
    const done = new Set(status.steps.filter((step) => step.done).map((step) => step.key))
    const before = known.current
    known.current = done
    if (before) {
      for (const key of done) {
        if (before.has(key)) continue
        announce(t('onboarding.ticked', { step: t(`onboarding.step.${key}.title`) }))
        onTick?.(key)
        setOpened(null)
        if (status.completed >= status.total) setFinished(true)
      }
    }
    // The page around says that the tenant is not open yet.
    if (wasPending.current && status.activated) router.refresh()
    wasPending.current = !status.activated
    // The first event is waited for; everything else is done by hand; once all is done there is nothing to wait for.
    const waiting = !done.has('send_first_event')
    setRefreshMs(status.completed >= status.total || status.dismissed ? 0 : waiting ? WAITING_MS : CALM_MS)
  }, [status, onTick, router])

  const handlers = {
    onSuccess: (next: OnboardingStatus) => state.setData(() => next),
    onError: (problem: ApiProblem) => void toast.problem(problem),
  }
  const change = useMutation(
    (body: { dismissed?: boolean; skipped_steps?: StepKey[] }, options) =>
      api<OnboardingStatus>('/onboarding-status', { method: 'PATCH', body, ...options }),
    handlers,
  )
  const skip = useMutation(
    (step: StepKey, options) =>
      api<OnboardingStatus>('/onboard/complete-step', { method: 'POST', body: { step, skip: true }, ...options }),
    handlers,
  )

  if (!status) return null
  if (finished) return <FinishedSteps onDone={() => setFinished(false)} />
  if (complete) return null
  if (status.dismissed) {
    return (
      <div
        id="first-steps"
        className="flex flex-wrap items-center gap-x-3 gap-y-1 rounded-lg border border-dashed px-4 py-2.5 text-sm"
      >
        <ListChecks aria-hidden="true" className="size-4 text-faint" />
        <span className="flex-1 text-mute">
          {t('onboarding.hidden', { done: status.completed, total: status.total })}
        </span>
        {canWrite ? (
          <Button size="sm" loading={change.pending} onClick={() => void change.run({ dismissed: false })}>
            {t('onboarding.resume')}
          </Button>
        ) : null}
      </div>
    )
  }

  const shown = status.steps.filter((step) => !step.skipped)
  const skipped = status.steps.filter((step) => step.skipped)
  const current = opened ?? shown.find((step) => !step.done)?.key ?? null
  return (
    <Card
      id="first-steps"
      title={t('onboarding.title')}
      description={t('onboarding.description')}
      padded={false}
      actions={
        canWrite ? (
          <IconButton
            label={t('onboarding.dismiss')}
            icon={<X />}
            size="sm"
            onClick={() => void change.run({ dismissed: true })}
          />
        ) : null
      }
      footer={
        skipped.length > 0 && canWrite ? (
          <span className="flex flex-wrap items-center justify-between gap-2">
            {t('onboarding.skipped', { count: skipped.length })}
            <Button size="sm" variant="ghost" onClick={() => void change.run({ skipped_steps: [] })}>
              {t('onboarding.bring_back')}
            </Button>
          </span>
        ) : undefined
      }
    >
      <div className="px-4 pb-4 sm:px-5">
        <ProgressBar
          hideLabel
          label={t('onboarding.progress', { done: status.completed, total: status.total })}
          value={status.completed}
          max={status.total}
        />
        <p aria-hidden="true" className="mt-1.5 text-faint text-xs">
          {t('onboarding.progress', { done: status.completed, total: status.total })}
        </p>
      </div>
      <ol className="divide-y divide-line border-t">
        {shown.map((step) => (
          <StepRow
            key={step.key}
            step={step}
            open={step.key === current && !step.done}
            onOpen={() => setOpened(step.key)}
            onSkip={canWrite ? () => void skip.run(step.key) : undefined}
          >
            <StepBody
              step={step.key}
              href={step.href}
              keysHref={status.steps.find(({ key }) => key === 'create_api_key')?.href}
              trackUrl={trackUrl}
              canMakeKeys={canMakeKeys}
              onKey={onKey}
            />
          </StepRow>
        ))}
      </ol>
    </Card>
  )
}

function StepRow({
  step,
  open,
  onOpen,
  onSkip,
  children,
}: {
  step: Step
  open: boolean
  onOpen: () => void
  onSkip: (() => void) | undefined
  children: React.ReactNode
}) {
  const title = t(`onboarding.step.${step.key}.title`)
  return (
    <li className={cx('px-4 sm:px-5', open && 'bg-sunken/60')}>
      <div className="flex min-h-11 items-center gap-3">
        <StepMark state={step.done ? 'done' : open ? 'open' : 'todo'} />
        {step.done || open ? (
          <span className={cx('min-w-0 flex-1 text-sm', step.done ? 'text-mute' : 'font-medium')}>{title}</span>
        ) : (
          <button
            type="button"
            aria-expanded="false"
            onClick={onOpen}
            className="min-h-8 min-w-0 flex-1 rounded-sm text-left text-sm hover:underline hover:underline-offset-3"
          >
            {title}
          </button>
        )}
        {step.done ? (
          <span className="text-faint text-xs">
            <Time value={step.done_at} mode="relative" fallback="" />
          </span>
        ) : open && onSkip ? (
          <Button variant="ghost" size="sm" onClick={onSkip}>
            {t('onboarding.skip')}
          </Button>
        ) : null}
      </div>
      {open ? <div className="pb-5 sm:pl-8">{children}</div> : null}
    </li>
  )
}
