import { serverQuery } from '@/libs/db/server-query'

const MONTHS_AHEAD = 3

/** Makes the partitions of usage events for this month and the next three where they are missing; gives how many. Safe to repeat. */
export async function makeUsagePartitions(): Promise<number> {
  const [row] = await serverQuery<{ made: number }>('select app.make_usage_partitions($1) as made', [MONTHS_AHEAD])
  return row?.made ?? 0
}
