'use client'

import { Plus } from 'lucide-react'
import type { StepKey } from '@/features/onboarding/schema'
import type { Page } from '@/libs/ui/api-client'
import { Button, LinkButton, TextLink } from '@/libs/ui/button'
import { CodeSnippet } from '@/libs/ui/code-snippet'
import { httpSnippets } from '@/libs/ui/http-snippets'
import { t } from '@/libs/ui/messages'
import { Spinner } from '@/libs/ui/spinner'
import { toast } from '@/libs/ui/toast'
import { useApi, useApiFetch, useApiPath, useMutation } from '@/libs/ui/use-api'

// Keys made here, by tenant, kept for this visit, so that the next step can show a command that works as it is.
const madeKeys = new Map<string, string>()

/** What to do for a step: a sentence and the act itself, or the way to where it is done. */
export function StepBody({
  step,
  href,
  keysHref,
  trackUrl,
  canMakeKeys,
  onKey,
}: {
  step: StepKey
  href: string
  /** Where keys are made. */
  keysHref: string | undefined
  trackUrl: string
  canMakeKeys: boolean
  onKey: (key: string) => void
}) {
  if (step === 'send_first_event') {
    return <SendEvent trackUrl={trackUrl} keysHref={canMakeKeys ? keysHref : undefined} />
  }
  return (
    <div className="flex flex-col items-start gap-3">
      <p className="max-w-prose text-mute text-sm">{t(`onboarding.step.${step}.text`)}</p>
      {step === 'create_api_key' ? (
        canMakeKeys ? (
          <MakeKey onKey={onKey} />
        ) : (
          <p className="text-faint text-sm">{t('onboarding.ask_admin')}</p>
        )
      ) : (
        <LinkButton variant="primary" href={stepHref(step, href)}>
          {t(`onboarding.step.${step}.action`)}
        </LinkButton>
      )}
    </div>
  )
}

/** Where a step is done, with its dialog open. */
function stepHref(step: StepKey, href: string): string {
  if (step === 'create_tier') return `${href}/new`
  return step === 'create_meter' || step === 'add_customer' ? `${href}?new=true` : href
}

function MakeKey({ onKey }: { onKey: (key: string) => void }) {
  const api = useApiFetch()
  const tenant = useApiPath()('')
  const make = useMutation(
    (_: null, options) =>
      api<{ key: string }>('/api-keys', {
        method: 'POST',
        body: { name: t('onboarding.key_name'), permissions: ['usage:read', 'usage:write'] },
        ...options,
      }),
    {
      onSuccess: ({ key }) => {
        madeKeys.set(tenant, key)
        onKey(key)
      },
      onError: (problem) => toast.problem(problem),
    },
  )
  return (
    <Button variant="primary" icon={<Plus />} loading={make.pending} onClick={() => void make.run(null)}>
      {t('onboarding.step.create_api_key.action')}
    </Button>
  )
}

function SendEvent({ trackUrl, keysHref }: { trackUrl: string; keysHref: string | undefined }) {
  const meters = useApi<Page<{ slug: string }>>('/meters?limit=1')
  const madeKey = madeKeys.get(useApiPath()(''))
  const meter = meters.data?.data[0]?.slug
  const body = { meter_id: meter ?? 'api_calls', user_id: 'customer-1', event_value: 1 }
  return (
    <div className="flex flex-col gap-3">
      <p className="max-w-prose text-mute text-sm">
        {t('onboarding.step.send_first_event.text')} {t(madeKey ? 'onboarding.key_inside' : 'onboarding.key_outside')}
        {!madeKey && keysHref ? (
          <>
            {' '}
            {t('onboarding.key_lost')} <TextLink href={`${keysHref}?new=true`}>{t('onboarding.key_again')}</TextLink>.
          </>
        ) : null}
      </p>
      <CodeSnippet
        label={t('onboarding.step.send_first_event.title')}
        snippets={httpSnippets({ method: 'POST', url: trackUrl, body, ...(madeKey ? { key: madeKey } : {}) })}
      />
      {meters.data && !meter ? <p className="text-sm text-warning-text">{t('onboarding.no_meter')}</p> : null}
      <p role="status" className="flex items-center gap-2 font-medium text-accent-text text-sm">
        <Spinner />
        {t('onboarding.waiting')}
      </p>
    </div>
  )
}
