'use client'

import { useEffect, useState } from 'react'
import { type Page, toQuery } from '@/libs/ui/api-client'
import { useApi, useApiFetch } from '@/libs/ui/use-api'

type UsageRow = { meter: { slug: string }; customer?: { id: string }; used: number | string }
type Cap = { limit: number | string; period: 'day' | 'month' }
type Tier = { id: string; usage_caps: Record<string, Cap> }
type Customer = { id: string; external_id: string; name: string | null; tier: { id: string; name: string } | null }
type Line = {
  meter_id: string
  meter: string
  name: string
  unit: string
  used: number | string
  limit: number | string | null
  percent: number | null
  behaviour: 'reject' | 'overflow' | null
  reset_at: string
}

export type NearCap = { customer: Customer; line: Line; percent: number }

const NEAR = 80
// Whoever comes near by the calendar is asked for in full: the entitlements know the period of each customer exactly.
const CANDIDATE = 0.6
const MOST_ASKED = 12
const EVERY_MS = 60_000

/**
 * Customers at 80 % of a cap or beyond, the nearest first; undefined while it is being found out. Candidates are picked
 * among the five hundred largest rows of usage of the month and of the day; what is shown is what their entitlements say.
 */
export function useNearCaps(today: string): { near: NearCap[] | undefined; error: unknown } {
  const api = useApiFetch()
  const month = `${today.slice(0, 8)}01`
  const live = { refreshMs: EVERY_MS }
  const rows = (from: string) => `/usage${toQuery({ from, group_by: 'customer', limit: 500 })}`
  const ofMonth = useApi<{ data: UsageRow[] }>(rows(month), live)
  const ofDay = useApi<{ data: UsageRow[] }>(rows(today), live)
  const tiers = useApi<Page<Tier>>('/tiers?limit=200')
  const customers = useApi<Page<Customer>>('/customers?limit=200')
  const [near, setNear] = useState<NearCap[]>()
  const [error, setError] = useState<unknown>(null)

  useEffect(() => {
    const used = { month: ofMonth.data?.data, day: ofDay.data?.data }
    if (!used.month || !used.day || !tiers.data || !customers.data) return
    const byId = new Map(customers.data.data.map((customer) => [customer.id, customer]))
    const caps = new Map(tiers.data.data.map((tier) => [tier.id, tier.usage_caps]))
    const candidates = new Map<string, number>()
    for (const period of ['month', 'day'] as const) {
      for (const row of used[period] ?? []) {
        const customer = byId.get(row.customer?.id ?? '')
        const cap = customer?.tier ? caps.get(customer.tier.id)?.[row.meter.slug] : undefined
        if (!customer || !cap || cap.period !== period) continue
        const share = Number(row.used) / Number(cap.limit)
        if (share >= CANDIDATE) candidates.set(customer.id, Math.max(share, candidates.get(customer.id) ?? 0))
      }
    }
    const asked = [...candidates]
      .sort((a, b) => b[1] - a[1])
      .slice(0, MOST_ASKED)
      .flatMap(([id]) => byId.get(id) ?? [])
    let stale = false
    Promise.all(
      asked.map(async (customer) => {
        const { usage } = await api<{ usage: Line[] }>(`/customers/${customer.id}/entitlements`)
        return usage.flatMap((line) =>
          line.percent !== null && line.percent >= NEAR ? [{ customer, line, percent: line.percent }] : [],
        )
      }),
    ).then(
      (found) => {
        if (stale) return
        setError(null)
        setNear(found.flat().sort((a, b) => b.percent - a.percent))
      },
      (problem: unknown) => {
        if (!stale) setError(problem)
      },
    )
    return () => {
      stale = true
    }
  }, [api, ofMonth.data, ofDay.data, tiers.data, customers.data])

  return { near, error: error ?? ofMonth.error ?? ofDay.error ?? tiers.error ?? customers.error }
}
