'use client'

import { ArrowRight } from 'lucide-react'
import { useEffect, useState } from 'react'
import type { Tier, TierPreview } from '@/features/tiers/components/tier-form-values'
import { ApiProblem, describeProblem, toQuery } from '@/libs/ui/api-client'
import { Badge } from '@/libs/ui/badge'
import { Button } from '@/libs/ui/button'
import { Card } from '@/libs/ui/card'
import { type Column, DataTable } from '@/libs/ui/data-table'
import { formatQuantity } from '@/libs/ui/format'
import { t } from '@/libs/ui/messages'
import { RadioGroup } from '@/libs/ui/radio-group'
import { Skeleton } from '@/libs/ui/skeleton'
import { toast } from '@/libs/ui/toast'
import { type Mutation, useApiFetch, useMutation } from '@/libs/ui/use-api'

const SETTLES_MS = 500
const PAGE = 10

type State = { preview: TierPreview | null; error: string | null; busy: boolean }
const EMPTY: State = { preview: null, error: null, busy: true }

/**
 * Who a change of a tier would concern, asked as it is written; and, when it makes a new version, whether those who have the tier are
 * moved to it. `body` is what would be saved, null while it is not valid.
 */
export function TierPreviewCard({
  tier,
  body,
  moves,
  onMovesChange,
}: {
  tier: Tier
  body: unknown
  moves: boolean
  onMovesChange: (moves: boolean) => void
}) {
  const api = useApiFetch()
  const [{ preview, error, busy }, setState] = useState<State>(EMPTY)
  const text = body === null ? null : JSON.stringify(body)

  useEffect(() => {
    if (text === null) return
    const abort = new AbortController()
    setState((old) => ({ ...old, busy: true }))
    const timer = setTimeout(() => {
      api<TierPreview>(`/tiers/${tier.id}/preview?limit=${PAGE}`, {
        method: 'POST',
        body: JSON.parse(text),
        signal: abort.signal,
      }).then(
        (answer) => !abort.signal.aborted && setState({ preview: answer, error: null, busy: false }),
        (problem: unknown) => {
          if (abort.signal.aborted) return
          const wrong = problem instanceof ApiProblem && problem.status === 422
          setState({ preview: null, error: wrong ? null : describeProblem(problem), busy: false })
        },
      )
    }, SETTLES_MS)
    return () => {
      clearTimeout(timer)
      abort.abort()
    }
  }, [api, tier.id, text])

  const more = useMutation(
    (cursor: string) =>
      api<TierPreview>(`/tiers/${tier.id}/preview${toQuery({ limit: PAGE, cursor })}`, { method: 'POST', body }),
    {
      onSuccess: (next) =>
        setState((old) => ({ ...old, preview: old.preview && { ...next, over: [...old.preview.over, ...next.over] } })),
      onError: (problem) => toast.problem(problem),
    },
  )

  return (
    <Card title={t('tiers.preview.title')} description={t('tiers.preview.description')} aria-busy={busy}>
      <div aria-live="polite" className="flex flex-col gap-4">
        {text === null ? (
          <p className="text-mute text-sm">{t('tiers.preview.wrong')}</p>
        ) : preview ? (
          <Findings tier={tier} preview={preview} more={more} />
        ) : error ? (
          <p role="alert" className="text-danger-text text-sm">
            {t('tiers.preview.failed')} {error}
          </p>
        ) : busy ? (
          <Skeleton className="h-12" />
        ) : (
          <p className="text-mute text-sm">{t('tiers.preview.wrong')}</p>
        )}
      </div>
      {preview?.new_version && tier.customers > 0 ? (
        <RadioGroup
          cards
          className="mt-4"
          label={t('tiers.preview.who')}
          options={[
            {
              value: 'new',
              label: t('tiers.preview.only_new'),
              description: t('tiers.preview.only_new_hint', { count: tier.customers }),
            },
            {
              value: 'everybody',
              label: t('tiers.preview.everybody'),
              description: t('tiers.preview.everybody_hint'),
            },
          ]}
          value={moves ? 'everybody' : 'new'}
          onValueChange={(value) => onMovesChange(value === 'everybody')}
        />
      ) : null}
    </Card>
  )
}

function Findings({ tier, preview, more }: { tier: Tier; preview: TierPreview; more: Mutation<string, TierPreview> }) {
  const { new_version, customers, by_default, over_count, newly_over_count, newly_within_count, next_cursor } = preview
  if (!new_version) return <p className="text-mute text-sm">{t('tiers.preview.no_version')}</p>
  const sentences = [
    t('tiers.preview.new_version', { version: tier.newest_version + 1 }),
    ...(by_default > 0 ? [t('tiers.preview.by_default', { count: by_default })] : []),
    customers === 0
      ? t('tiers.preview.nobody')
      : over_count === 0
        ? t('tiers.preview.none_over')
        : t('tiers.preview.over', { count: over_count, total: customers }),
    ...(over_count > 0 ? [t('tiers.preview.newly_over', { count: newly_over_count })] : []),
    ...(newly_within_count > 0 ? [t('tiers.preview.newly_within', { count: newly_within_count })] : []),
  ]
  return (
    <>
      <p className="text-sm">{sentences.join(' ')}</p>
      {preview.over.length > 0 ? (
        <DataTable
          label={t('tiers.preview.table')}
          columns={COLUMNS}
          rows={preview.over}
          rowKey={(row) => `${row.customer.id} ${row.meter}`}
          rowLabel={(row) => row.customer.name ?? row.customer.external_id}
        />
      ) : null}
      {next_cursor ? (
        <Button
          size="sm"
          icon={<ArrowRight />}
          loading={more.pending}
          className="self-start"
          onClick={() => void more.run(next_cursor)}
        >
          {t('tiers.preview.more')}
        </Button>
      ) : null}
    </>
  )
}

type Standing = TierPreview['over'][number]

const limitOf = (limit: Standing['limit_now'], unit: string) =>
  limit === null ? t('tiers.preview.no_limit') : formatQuantity(limit, unit)

const COLUMNS: ReadonlyArray<Column<Standing>> = [
  {
    key: 'customer',
    header: t('tiers.preview.customer'),
    cell: (row) => (
      <span className="inline-flex flex-wrap items-center gap-2">
        {row.customer.name ?? row.customer.external_id}
        {row.over_now ? <Badge>{t('tiers.preview.already')}</Badge> : null}
      </span>
    ),
  },
  { key: 'meter', header: t('tiers.preview.meter'), cell: (row) => row.name },
  {
    key: 'used',
    header: t('tiers.preview.used'),
    align: 'right',
    cell: (row) => formatQuantity(row.used, row.unit),
  },
  { key: 'now', header: t('tiers.preview.now'), align: 'right', cell: (row) => limitOf(row.limit_now, row.unit) },
  { key: 'then', header: t('tiers.preview.then'), align: 'right', cell: (row) => limitOf(row.limit_then, row.unit) },
]
