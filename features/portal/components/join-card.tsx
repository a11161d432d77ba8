'use client'

import { useState } from 'react'
import { type ApiProblem, apiFetch } from '@/libs/ui/api-client'
import { Banner } from '@/libs/ui/banner'
import { Button, LinkButton } from '@/libs/ui/button'
import { leaveFor } from '@/libs/ui/leave-for'
import { t } from '@/libs/ui/messages'
import { useMutation } from '@/libs/ui/use-api'

/** Accepts an invitation as the signed-in person, or leads to an account first. */
export function JoinCard({ token, email, name }: { token: string | null; email: string | null; name: string }) {
  const [leaving, setLeaving] = useState(false)
  const accept = useMutation(
    (body: { token: string }, options) => apiFetch('/customer-logins/accept', { method: 'POST', body, ...options }),
    {
      onSuccess: () => {
        setLeaving(true)
        // A whole page load: the frame of a visitor becomes that of a customer.
        void leaveFor('/').then(() => setLeaving(false))
      },
    },
  )
  if (!token) return <Banner tone="warning" title={t('portal.join.missing')} />
  if (!email) {
    const next = encodeURIComponent(`/join?token=${token}`)
    return (
      <div className="flex flex-col gap-4">
        <p className="text-mute">{t('portal.join.need_account')}</p>
        <div className="flex flex-wrap gap-2">
          <LinkButton href={`/sign-up?next=${next}`} variant="primary">
            {t('portal.join.sign_up')}
          </LinkButton>
          <LinkButton href={`/sign-in?next=${next}`}>{t('portal.join.sign_in')}</LinkButton>
        </div>
      </div>
    )
  }
  return (
    <div className="flex flex-col gap-4">
      <p className="text-mute">{t('portal.join.description', { name })}</p>
      <p>{t('portal.join.as', { email })}</p>
      {accept.error ? (
        <div role="alert">
          <Banner tone="danger" title={isOfInvitation(accept.error) ? t('portal.join.failed') : accept.error.detail} />
        </div>
      ) : null}
      <Button variant="primary" loading={accept.pending || leaving} onClick={() => void accept.run({ token })}>
        {t('portal.join.accept')}
      </Button>
    </div>
  )
}

/** Whether it is the invitation that was refused, and not the way there that failed. */
function isOfInvitation({ status }: ApiProblem): boolean {
  return status >= 400 && status < 500 && status !== 429
}
