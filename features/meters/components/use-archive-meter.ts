'use client'

import type { Meter } from '@/features/meters/components/meter-form-values'
import { t } from '@/libs/ui/messages'
import { toast } from '@/libs/ui/toast'
import { useApiFetch, useMutation } from '@/libs/ui/use-api'

/** Archives a meter, with the way back in the toast, or brings it back; `onChanged` is told each time. */
export function useArchiveMeter(onChanged: () => void): (meter: Meter, archived: boolean) => void {
  const api = useApiFetch()
  const archive = useMutation(
    ({ meter, archived }: { meter: Meter; archived: boolean }, options) =>
      api<Meter>(`/meters/${meter.id}`, { method: 'PATCH', body: { archived }, ...options }),
    {
      onSuccess: (_, { meter, archived }) => {
        onChanged()
        const { name } = meter
        if (archived) toast.undo(t('meters.archived', { name }), () => void archive.run({ meter, archived: false }))
        else toast.success(t('meters.restored', { name }))
      },
      onError: (problem) => toast.problem(problem),
    },
  )
  return (meter, archived) => void archive.run({ meter, archived })
}
