'use client'

import { ChevronLeft, ChevronRight } from 'lucide-react'
import { Button } from '@/libs/ui/button'
import type { ListState } from '@/libs/ui/list-state'
import { t } from '@/libs/ui/messages'
import { useTimeZone } from '@/libs/ui/time'

/**
 * Previous and next of a list with cursors; nothing when there is one page.
 * @example <CursorPager list={list} nextCursor={page.data?.next_cursor ?? null} shown={page.data?.data.length ?? 0} />
 */
export function CursorPager({
  list,
  nextCursor,
  shown,
  busy = false,
}: {
  list: Pick<ListState, 'hasPrevious' | 'previous' | 'next'>
  nextCursor: string | null
  /** How many rows are on this page. */
  shown: number
  busy?: boolean
}) {
  const zone = useTimeZone()
  const count = (
    <p className="text-faint text-sm">
      {t('ui.pager.shown', { count: shown })}
      {/* Only under rows that say a time of day. */}
      <span className="hidden group-has-[time[data-clock]]/table:inline"> · {t('ui.pager.zone', { zone })}</span>
    </p>
  )
  if (!list.hasPrevious && nextCursor === null) return count
  return (
    <nav aria-label={t('ui.pager.label')} className="flex items-center justify-between gap-4">
      {count}
      <div className="flex gap-2 print:hidden">
        <Button size="sm" icon={<ChevronLeft />} disabled={!list.hasPrevious || busy} onClick={list.previous}>
          {t('ui.pager.previous')}
        </Button>
        <Button
          size="sm"
          disabled={nextCursor === null || busy}
          onClick={() => {
            if (nextCursor !== null) list.next(nextCursor)
          }}
        >
          {t('ui.pager.next')}
          <ChevronRight />
        </Button>
      </div>
    </nav>
  )
}
