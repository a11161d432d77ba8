'use client'

import type { Meter } from '@/features/meters/components/meter-form-values'
import { t } from '@/libs/ui/messages'
import { useArchive } from '@/libs/ui/use-archive'

/** Archives a meter, with the way back in the toast, or brings it back; `onChanged` is told each time. */
export function useArchiveMeter(onChanged: () => void): (meter: Meter, archived: boolean) => void {
  return useArchive<Meter>(
    '/meters',
    (meter, archived) => t(archived ? 'meters.archived' : 'meters.restored', { name: meter.name }),
    onChanged,
  )
}
