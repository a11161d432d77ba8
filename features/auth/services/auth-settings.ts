import { authServer } from '@/libs/supabase/server-client'

const REMEMBERED_MS = 60_000
const ANSWER_WITHIN_MS = 3_000

let known: { confirms: boolean; until: number } | undefined

/** Whether the auth server wants addresses confirmed before the first sign-in; false while it does not say. */
export async function confirmsAddresses(): Promise<boolean> {
  if (known && known.until > performance.now()) return known.confirms
  const { url, key } = authServer()
  try {
    const response = await fetch(`${url}/auth/v1/settings`, {
      headers: { apikey: key },
      signal: AbortSignal.timeout(ANSWER_WITHIN_MS),
      cache: 'no-store',
    })
    const settings: unknown = await response.json()
    const confirms =
      typeof settings === 'object' && settings !== null && 'mailer_autoconfirm' in settings
        ? settings.mailer_autoconfirm === false
        : false
    known = { confirms, until: performance.now() + REMEMBERED_MS }
    return confirms
  } catch {
    return known?.confirms ?? false
  }
}
