'use client'

import { CircleCheck } from 'lucide-react'
import { parseAsString, useQueryStates } from 'nuqs'
import { useRef, useState } from 'react'
import type { z } from 'zod'
import type { rejectionCounts, usageRejection } from '@/features/usage-tracking/services/event-schema'
import { type Page, toQuery } from '@/libs/ui/api-client'
import { Badge } from '@/libs/ui/badge'
import { Button } from '@/libs/ui/button'
import { KeyValueList } from '@/libs/ui/card'
import { CopyText } from '@/libs/ui/copy-button'
import type { Column } from '@/libs/ui/data-table'
import { formatNumber } from '@/libs/ui/format'
import { JsonView } from '@/libs/ui/json-view'
import { ListTable } from '@/libs/ui/list-table'
import { t } from '@/libs/ui/messages'
import { Drawer } from '@/libs/ui/sheet'
import { EmptyState } from '@/libs/ui/states'
import { Time } from '@/libs/ui/time'
import { useApi } from '@/libs/ui/use-api'
import { toWords } from '@/libs/ui/words'

type Rejection = z.infer<typeof usageRejection>
type Counts = z.infer<typeof rejectionCounts>

const REFRESH_MS = 5_000
const HINTS = [
  'unknown_meter',
  'meter_archived',
  'unknown_customer',
  'customer_archived',
  'timestamp_too_old',
  'timestamp_in_future',
  'negative_value',
  'usage_exceeded',
  'conflict',
  'invalid_property',
] as const

/** Events that were refused, by reason, with what to do about it. */
export function RefusedEvents() {
  const [{ reason, refused: cursor }, set] = useQueryStates({ reason: parseAsString, refused: parseAsString })
  const trail = useRef<(string | null)[]>([])
  const [open, setOpen] = useState<Rejection | null>(null)
  const counts = useApi<Counts>('/usage/rejections/counts', { refreshMs: REFRESH_MS })
  const page = useApi<Page<Rejection>>(
    `/usage/rejections${toQuery({ code: reason, cursor, limit: 50 })}`,
    cursor === null ? { refreshMs: REFRESH_MS } : {},
  )
  const choose = (code: string | null) => {
    trail.current = []
    void set({ reason: code, refused: null })
  }
  return (
    <>
      {counts.data && counts.data.data.length > 0 ? (
        // biome-ignore lint/a11y/useSemanticElements: buttons that narrow the list below, no form
        <div role="group" aria-label={t('events.refused.reason')} className="mb-4 flex flex-wrap gap-2">
          <Button
            size="sm"
            variant={reason === null ? 'selected' : 'secondary'}
            aria-pressed={reason === null}
            onClick={() => choose(null)}
          >
            {t('events.refused.all')}
          </Button>
          {counts.data.data.map(({ code, count }) => (
            <Button
              key={code}
              size="sm"
              variant={reason === code ? 'selected' : 'secondary'}
              aria-pressed={reason === code}
              onClick={() => choose(code)}
            >
              {toWords(code)} <span className="tabular text-mute">{formatNumber(count)}</span>
            </Button>
          ))}
        </div>
      ) : null}
      <ListTable
        label={t('events.refused.list')}
        list={{
          hasPrevious: cursor !== null,
          next: (to) => {
            trail.current.push(cursor)
            void set({ refused: to })
          },
          previous: () => void set({ refused: trail.current.pop() ?? null }),
        }}
        page={page}
        live
        columns={COLUMNS}
        rowKey={(row) => row.id}
        rowLabel={(row) => toWords(row.code)}
        onRowOpen={setOpen}
        filtered={reason !== null}
        onClearFilters={() => choose(null)}
        empty={
          <EmptyState
            icon={<CircleCheck />}
            title={t('events.refused.empty')}
            description={t('events.refused.empty_hint')}
          />
        }
      />
      <Drawer
        open={open !== null}
        onOpenChange={(next) => !next && setOpen(null)}
        title={t('events.refused.title')}
        description={open ? <Badge tone="danger">{toWords(open.code)}</Badge> : null}
      >
        {open ? (
          <div className="flex flex-col gap-6">
            <p>{open.detail}</p>
            <section aria-label={t('events.refused.retry')}>
              <h3 className="mb-1 font-medium text-sm">{t('events.refused.retry')}</h3>
              <p className="text-mute text-sm">{hintOf(open.code)}</p>
            </section>
            <KeyValueList
              items={[
                { label: t('events.refused.received'), value: <Time value={open.received_at} /> },
                {
                  label: t('events.refused.request_id'),
                  value: open.request_id ? <CopyText value={open.request_id} /> : '–',
                },
              ]}
            />
            <JsonView label={t('events.refused.event')} value={open.event} />
          </div>
        ) : null}
      </Drawer>
    </>
  )
}

function hintOf(code: string): string {
  const known = HINTS.find((name) => name === code)
  return t(`events.refused.hint.${known ?? 'other'}`)
}

const COLUMNS: ReadonlyArray<Column<Rejection>> = [
  { key: 'reason', header: t('events.refused.reason'), cell: (row) => toWords(row.code) },
  { key: 'detail', header: t('events.refused.detail'), cell: (row) => <span className="text-mute">{row.detail}</span> },
  {
    key: 'event',
    header: t('events.refused.event'),
    hideOnCard: true,
    cell: (row) => (
      <span className="block max-w-64 truncate font-mono text-faint text-xs">{JSON.stringify(row.event)}</span>
    ),
  },
  {
    key: 'received',
    header: t('events.refused.received'),
    align: 'right',
    cell: (row) => <Time value={row.received_at} mode="relative" />,
  },
]
