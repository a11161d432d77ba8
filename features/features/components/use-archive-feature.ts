'use client'

import type { z } from 'zod'
import type { feature } from '@/features/features/schema'
import { t } from '@/libs/ui/messages'
import { useArchive } from '@/libs/ui/use-archive'

export type Feature = z.infer<typeof feature>

/** Archives a feature, with the way back in the toast, or brings it back; `onChanged` is told each time. */
export function useArchiveFeature(onChanged: () => void): (feature: Feature, archived: boolean) => void {
  return useArchive<Feature>(
    '/features',
    (feature, archived) => t(archived ? 'features.archived' : 'features.restored', { name: feature.name }),
    onChanged,
  )
}
