'use client'

import { useRouter } from 'next/navigation'
import { useState } from 'react'
import { apiFetch } from '@/libs/ui/api-client'
import { Banner } from '@/libs/ui/banner'
import { Button, LinkButton } from '@/libs/ui/button'
import { t } from '@/libs/ui/messages'

/** Accepts an invitation as the signed-in person, or leads to an account first. */
export function JoinCard({ token, email, name }: { token: string | null; email: string | null; name: string }) {
  const router = useRouter()
  const [pending, setPending] = useState(false)
  const [failed, setFailed] = useState(false)
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
  async function accept() {
    setPending(true)
    setFailed(false)
    try {
      await apiFetch('/api/v1/customer-logins/accept', { method: 'POST', body: { token } })
      router.push('/')
      router.refresh()
    } catch {
      setFailed(true)
      setPending(false)
    }
  }
  return (
    <div className="flex flex-col gap-4">
      <p className="text-mute">{t('portal.join.description', { name })}</p>
      <p>{t('portal.join.as', { email })}</p>
      {failed ? <Banner tone="danger" title={t('portal.join.failed')} /> : null}
      <Button variant="primary" loading={pending} onClick={() => void accept()}>
        {t('portal.join.accept')}
      </Button>
    </div>
  )
}
