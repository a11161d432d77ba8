'use client'

import { toast } from '@/libs/ui/toast'
import { useApiFetch, useMutation } from '@/libs/ui/use-api'

/**
 * Archives a row of a list of the API, with the way back in the toast, or brings it back. `words` says which of the two was
 * done to what; `onChanged` is told each time.
 * @example const archive = useArchive<Meter>('/meters', (meter, archived) => …, page.reload)
 */
export function useArchive<Row extends { id: string }>(
  path: string,
  words: (row: Row, archived: boolean) => string,
  onChanged: () => void,
): (row: Row, archived: boolean) => void {
  const api = useApiFetch()
  const archive = useMutation(
    ({ row, archived }: { row: Row; archived: boolean }, options) =>
      api(`${path}/${row.id}`, { method: 'PATCH', body: { archived }, ...options }),
    {
      onSuccess: (_, { row, archived }) => {
        onChanged()
        if (archived) toast.undo(words(row, true), () => void archive.run({ row, archived: false }))
        else toast.success(words(row, false))
      },
      onError: (problem) => toast.problem(problem),
      rows: true,
    },
  )
  return (row, archived) => void archive.run({ row, archived })
}
