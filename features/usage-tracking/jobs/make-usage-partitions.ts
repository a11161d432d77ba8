import { serverPool } from '@/libs/db/pools'

const MONTHS_AHEAD = 3

/** Makes the partitions of usage events for this month and the next three where they are missing; gives how many. Safe to repeat. */
export async function makeUsagePartitions(): Promise<number> {
  const { rows } = await serverPool().query<{ made: number }>('select app.make_usage_partitions($1) as made', [
    MONTHS_AHEAD,
  ])
  return rows[0]?.made ?? 0
}
