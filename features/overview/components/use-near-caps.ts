'use client'

import type { Page } from '@/libs/ui/api-client'
import { useApi } from '@/libs/ui/use-api'

export type NearCap = {
  meter_id: string
  name: string
  unit: string
  used: number | string
  limit: number | string
  percent: number
  behaviour: 'reject' | 'overflow' | 'cap'
  reset_at: string
}
export type NearCustomer = {
  customer: { id: string; external_id: string; name: string | null; tier: { id: string; name: string } | null }
  percent: number
  caps: readonly NearCap[]
}
export type NearCaps = {
  /** The nearest first; undefined while it is being found out. */
  customers: readonly NearCustomer[] | undefined
  /** Whether there are more than these. */
  more: boolean
  error: unknown
}

const MOST = 100
const EVERY_MS = 30_000

/** Customers at 80 % of a cap or beyond, the hundred nearest; asks nothing unless `allowed`. */
export function useNearCaps(allowed: boolean): NearCaps {
  const state = useApi<Page<NearCustomer>>(allowed ? `/usage/caps?above=80&limit=${MOST}` : null, {
    refreshMs: EVERY_MS,
  })
  return { customers: state.data?.data, more: Boolean(state.data?.next_cursor), error: state.error }
}
