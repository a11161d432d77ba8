import { Time } from '@/libs/ui/time'

/** From when to when a period is, each moment with the exact one in a tooltip. */
export function PeriodSpan({ starts_at, ends_at }: { starts_at: string; ends_at: string }) {
  return (
    <>
      <Time value={starts_at} /> – <Time value={ends_at} />
    </>
  )
}
