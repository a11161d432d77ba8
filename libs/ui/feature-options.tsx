'use client'

import type { Page } from '@/libs/ui/api-client'
import { useApi } from '@/libs/ui/use-api'

/**
 * The features of the tenant for an input to offer while one types their key.
 * @example <Input list={id} /><FeatureOptions id={id} />
 */
export function FeatureOptions({ id }: { id: string }) {
  const page = useApi<Page<{ id: string; key: string; name: string }>>('/features?limit=200', { whole: true })
  return (
    <datalist id={id}>
      {page.data?.data.map((feature) => (
        <option key={feature.id} value={feature.key}>
          {feature.name}
        </option>
      ))}
    </datalist>
  )
}
