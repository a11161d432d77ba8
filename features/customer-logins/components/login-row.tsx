'use client'

import { CircleCheck, Clock3, MailCheck } from 'lucide-react'
import type { ReactNode } from 'react'
import type { z } from 'zod'
import type { customerLogin } from '@/features/customer-logins/schema'
import { Badge, type Tone } from '@/libs/ui/badge'
import { ActionMenu } from '@/libs/ui/menu'
import { t } from '@/libs/ui/messages'
import { Time } from '@/libs/ui/time'

export type CustomerLogin = z.infer<typeof customerLogin>

const pills: Record<CustomerLogin['status'], readonly [Tone, ReactNode]> = {
  accepted: ['success', <CircleCheck key="accepted" aria-hidden="true" />],
  invited: ['info', <MailCheck key="invited" aria-hidden="true" />],
  expired: ['neutral', <Clock3 key="expired" aria-hidden="true" />],
}

/** The word before the moment that matters: since when, until when, when it ended. */
function Moment({ login }: { login: CustomerLogin }) {
  const [word, value] =
    login.status === 'accepted'
      ? [t('customer-logins.since'), login.accepted_at]
      : [t(login.status === 'invited' ? 'customer-logins.until' : 'customer-logins.expired_on'), login.expires_at]
  if (!value) return null
  return (
    <span className="text-faint text-xs">
      {word} <Time value={value} mode="date" />
    </span>
  )
}

/** One person: address, state, and what can be done about it. */
export function LoginRow({
  login,
  canWrite,
  onInviteAgain,
  onEnd,
}: {
  login: CustomerLogin
  canWrite: boolean
  onInviteAgain: () => void
  onEnd: () => void
}) {
  const [tone, icon] = pills[login.status]
  const again = { label: t('customer-logins.again'), onSelect: onInviteAgain }
  const end = {
    label: t(login.status === 'accepted' ? 'customer-logins.end' : 'customer-logins.withdraw'),
    tone: 'danger' as const,
    onSelect: onEnd,
  }
  return (
    <li className="flex items-center gap-3 border-b px-4 py-2.5 last:border-b-0 sm:px-5">
      <div className="min-w-0 flex-1">
        <span className="block truncate text-sm" title={login.email}>
          {login.email}
        </span>
        <span className="mt-1 flex flex-wrap items-center gap-x-2 gap-y-1">
          <Badge tone={tone} icon={icon}>
            {t(`customer-logins.status.${login.status}`)}
          </Badge>
          <Moment login={login} />
        </span>
      </div>
      {canWrite ? (
        <ActionMenu label={login.email} entries={login.status === 'accepted' ? [end] : [again, end]} />
      ) : null}
    </li>
  )
}
