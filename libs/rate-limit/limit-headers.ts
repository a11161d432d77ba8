import type { Taken } from './take-limits'

/** A limit with the name it is told under. */
export type NamedVerdict = Taken & { name: string }

/** Names as Strings of structured fields (RFC 9651): visible ASCII, quoted, and each but once, because it tells a policy from others. */
function quoteNames(verdicts: readonly NamedVerdict[]): string[] {
  const seen = new Map<string, number>()
  return verdicts.map(({ name }) => {
    const text = name.replace(/[^\x20-\x7e]/g, '?')
    const times = (seen.get(text) ?? 0) + 1
    seen.set(text, times)
    return `"${(times === 1 ? text : `${text} (${times})`).replace(/["\\]/g, '\\$&')}"`
  })
}
const seconds = (ms: number): number => Math.max(0, Math.ceil(ms / 1_000))

/**
 * What is told of limits in headers: `RateLimit-Policy` and `RateLimit` (draft-ietf-httpapi-ratelimit-headers-11), the
 * older `X-RateLimit-*` of the limit that is nearest to its end (reset in seconds from now), and for a refused call
 * `Retry-After` in whole seconds, never 0.
 */
export function limitHeaders(verdicts: readonly NamedVerdict[], now: number = Date.now()): Record<string, string> {
  const [nearest] = [...verdicts].sort(
    (a, b) => Number(a.passed) - Number(b.passed) || share(a) - share(b) || b.reset - a.reset,
  )
  if (!nearest) return {}
  const refused = verdicts.filter(({ passed }) => !passed)
  const wait = Math.max(0, ...refused.map(({ reset }) => reset - now))
  const names = quoteNames(verdicts)
  return {
    'ratelimit-policy': verdicts
      .map(({ limit, duration_ms }, at) => `${names[at]};q=${limit};w=${Math.max(1, seconds(duration_ms))}`)
      .join(', '),
    ratelimit: verdicts
      .map(({ remaining, reset }, at) => `${names[at]};r=${remaining};t=${seconds(reset - now)}`)
      .join(', '),
    'x-ratelimit-limit': String(nearest.limit),
    'x-ratelimit-remaining': String(nearest.remaining),
    'x-ratelimit-reset': String(seconds(nearest.reset - now)),
    ...(refused.length > 0 ? { 'retry-after': String(Math.max(1, seconds(wait))) } : {}),
  }
}

const share = ({ remaining, limit }: Taken): number => (limit === 0 ? 0 : remaining / limit)
