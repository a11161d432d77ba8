import type { Taken } from './take-limits'

/** A limit with the name it is told under. */
export type NamedVerdict = Taken & { name: string }

/** A name as a String of structured fields (RFC 9651): visible ASCII, quoted. */
const quote = (name: string): string => `"${name.replace(/[^\x20-\x7e]/g, '?').replace(/["\\]/g, '\\$&')}"`
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
  return {
    'ratelimit-policy': verdicts
      .map(({ name, limit, duration_ms }) => `${quote(name)};q=${limit};w=${Math.max(1, seconds(duration_ms))}`)
      .join(', '),
    ratelimit: verdicts
      .map(({ name, remaining, reset }) => `${quote(name)};r=${remaining};t=${seconds(reset - now)}`)
      .join(', '),
    'x-ratelimit-limit': String(nearest.limit),
    'x-ratelimit-remaining': String(nearest.remaining),
    'x-ratelimit-reset': String(seconds(nearest.reset - now)),
    ...(refused.length > 0 ? { 'retry-after': String(Math.max(1, seconds(wait))) } : {}),
  }
}

const share = ({ remaining, limit }: Taken): number => (limit === 0 ? 0 : remaining / limit)
