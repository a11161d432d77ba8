/**
 * Who is not to be looked at for a while, because looking led to nothing: not at all the first time, then twice as long
 * each time, so that nothing is looked at in a circle.
 */
export function createRests(firstMs: number) {
  const resting = new Map<string, { until: number; times: number }>()
  return {
    isResting: (key: string): boolean => (resting.get(key)?.until ?? 0) > performance.now(),
    clear: (key: string): void => {
      resting.delete(key)
    },
    rest: (key: string, mostMs: number): void => {
      if (resting.size > 50_000) resting.clear()
      const times = resting.get(key)?.times ?? 0
      const ms = times === 0 ? 0 : Math.min(mostMs, firstMs * 2 ** Math.min(times - 1, 20))
      resting.set(key, { until: performance.now() + ms, times: times + 1 })
    },
  }
}
