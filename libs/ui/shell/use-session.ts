'use client'

import { useRouter } from 'next/navigation'
import { useEffect, useRef } from 'react'
import { apiFetch, watchProblems } from '@/libs/ui/api-client'
import { toast } from '@/libs/ui/toast'
import { type ApiState, useApi } from '@/libs/ui/use-api'

const OWN_PATH = '/me'
const AGAIN_MS = 30_000
const UNREACHED_AGAIN_MS = 5_000
const REFRESH_AT_MOST_MS = 2_000

/**
 * The person whose session the page lives on, asked for every 30 seconds and at once when any call of the page is refused
 * for want of a session or finds no server. When a call says that the tenant is suspended, or that one is nothing to it
 * any more, the page is made anew for what holds now. `other` is who has signed in since in place of the person of `email`,
 * whom the page was made for.
 */
export function useSession<Me extends { user: { email: string } } = { user: { email: string } }>(
  email: string,
): { me: ApiState<Me>; other: string | null; signOut: () => Promise<void> } {
  const router = useRouter()
  const me = useApi<Me>(OWN_PATH, { refreshMs: AGAIN_MS })
  const { reload } = me
  const ended = me.error !== null
  const unreached = me.error?.status === 0
  useEffect(() => {
    if (!unreached) return
    const timer = setInterval(reload, UNREACHED_AGAIN_MS)
    return () => clearInterval(timer)
  }, [unreached, reload])
  useEffect(() => {
    if (!ended) return
    // Whoever signed in again in another window comes back to this one.
    window.addEventListener('focus', reload)
    return () => window.removeEventListener('focus', reload)
  }, [ended, reload])
  const refreshed = useRef(0)
  useEffect(
    () =>
      watchProblems((problem, path) => {
        if (path === OWN_PATH) return
        if (!ended && (problem.status === 401 || problem.status === 0)) reload()
        const shut = problem.code === 'tenant_suspended' || (problem.status === 404 && path.startsWith('/portal/'))
        if (!shut || Date.now() - refreshed.current < REFRESH_AT_MOST_MS) return
        refreshed.current = Date.now()
        reload()
        router.refresh()
      }),
    [ended, reload, router],
  )

  async function signOut() {
    try {
      await apiFetch('/api/auth/sign-out', { method: 'POST' })
      window.location.assign('/sign-in')
    } catch (problem) {
      toast.problem(problem)
    }
  }
  const now = me.data?.user.email
  return { me, other: now && now !== email ? now : null, signOut }
}
