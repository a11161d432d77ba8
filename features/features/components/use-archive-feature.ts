'use client'

import type { z } from 'zod'
import type { feature } from '@/features/features/schema'
import { t } from '@/libs/ui/messages'
import { toast } from '@/libs/ui/toast'
import { useApiFetch, useMutation } from '@/libs/ui/use-api'

export type Feature = z.infer<typeof feature>

/** Archives a feature, with the way back in the toast, or brings it back; `onChanged` is told each time. */
export function useArchiveFeature(onChanged: () => void): (feature: Feature, archived: boolean) => void {
  const api = useApiFetch()
  const archive = useMutation(
    ({ feature, archived }: { feature: Feature; archived: boolean }, options) =>
      api<Feature>(`/features/${feature.id}`, { method: 'PATCH', body: { archived }, ...options }),
    {
      onSuccess: (_, { feature, archived }) => {
        onChanged()
        const { name } = feature
        if (archived) toast.undo(t('features.archived', { name }), () => void archive.run({ feature, archived: false }))
        else toast.success(t('features.restored', { name }))
      },
      onError: (problem) => toast.problem(problem),
    },
  )
  return (feature, archived) => void archive.run({ feature, archived })
}
