'use client'

import { useMemo } from 'react'
import type { Page } from '@/libs/ui/api-client'
import { useApi } from '@/libs/ui/use-api'

type MeterName = { name: string; unit: string }

/**
 * What people call the meters of the tenant and count in them, by slug, archived ones included; the slug itself, without a
 * unit, while that is not known. For those who may read meters; `enabled` false asks nothing.
 */
export function useMeterNames(enabled = true): (slug: string) => MeterName {
  const page = useApi<Page<MeterName & { slug: string }>>(enabled ? '/meters?archived=all&limit=200' : null, {
    whole: true,
  })
  return useMemo(() => {
    const meters = new Map(page.data?.data.map((meter) => [meter.slug, meter]))
    return (slug: string) => meters.get(slug) ?? { name: slug, unit: '' }
  }, [page.data])
}

/** What people call the features of the tenant, by key; null for a key without a name. For those who may read tiers. */
export function useFeatureNames(): (key: string) => string | null {
  const page = useApi<Page<{ key: string; name: string }>>('/features?limit=200', { whole: true })
  return useMemo(() => {
    const names = new Map(page.data?.data.map(({ key, name }) => [key, name]))
    return (key: string) => names.get(key) ?? null
  }, [page.data])
}
