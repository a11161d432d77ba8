'use client'

import { useState } from 'react'
import { apiFetch } from '@/libs/ui/api-client'
import { Button } from '@/libs/ui/button'
import { leaveFor } from '@/libs/ui/leave-for'
import { t } from '@/libs/ui/messages'
import { toast } from '@/libs/ui/toast'

/** Ends the session on this host and goes on, as a visitor. */
export function SignOutButton({ to = '/sign-in' }: { to?: string }) {
  const [pending, setPending] = useState(false)
  return (
    <Button
      variant="link"
      loading={pending}
      onClick={async () => {
        setPending(true)
        try {
          await apiFetch('/api/auth/sign-out', { method: 'POST' })
          await leaveFor(to)
        } catch (problem) {
          setPending(false)
          toast.problem(problem)
        }
      }}
    >
      {t('auth.sign_out')}
    </Button>
  )
}
