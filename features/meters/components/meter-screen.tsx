'use client'

import { Archive, ArchiveRestore, Pencil } from 'lucide-react'
import { type ReactNode, useState } from 'react'
import { describeFilter } from '@/features/meters/components/filter-text'
import { MeterDialog } from '@/features/meters/components/meter-dialog'
import { type Meter, takesNegative } from '@/features/meters/components/meter-form-values'
import { useArchiveMeter } from '@/features/meters/components/use-archive-meter'
import { Badge } from '@/libs/ui/badge'
import { Banner } from '@/libs/ui/banner'
import { Button } from '@/libs/ui/button'
import { Card, KeyValueList } from '@/libs/ui/card'
import { CodeSnippet } from '@/libs/ui/code-snippet'
import { CopyText } from '@/libs/ui/copy-button'
import { httpSnippets } from '@/libs/ui/http-snippets'
import { t } from '@/libs/ui/messages'
import { PageHeader } from '@/libs/ui/page-header'
import { Loading, Skeleton } from '@/libs/ui/skeleton'
import { ErrorState } from '@/libs/ui/states'
import { Time } from '@/libs/ui/time'
import { useApi } from '@/libs/ui/use-api'

/** One meter: its chart and events (handed in by the page), how to send to it, and what it is. */
export function MeterScreen({
  slug,
  base,
  trackUrl,
  canWrite,
  chart,
  events,
}: {
  slug: string
  base: string
  trackUrl: string
  canWrite: boolean
  chart?: ReactNode
  events?: ReactNode
}) {
  const state = useApi<Meter>(`/meters/${encodeURIComponent(slug)}`)
  const [editing, setEditing] = useState(false)
  const archive = useArchiveMeter(state.reload)
  const meter = state.data
  const crumbs = [{ label: t('meters.title'), href: base }, { label: meter?.name ?? slug }]

  if (state.error && !meter) {
    return (
      <>
        <PageHeader title={slug} breadcrumbs={crumbs} />
        <Card>
          <ErrorState
            error={state.error}
            {...(state.error.status === 404 ? { title: t('meters.detail.not_found') } : { onRetry: state.reload })}
          />
        </Card>
      </>
    )
  }
  return (
    <>
      <PageHeader
        title={meter?.name ?? slug}
        description={meter?.description || undefined}
        breadcrumbs={crumbs}
        badge={meter?.archived_at ? <Badge>{t('meters.is_archived')}</Badge> : null}
        actions={
          canWrite && meter ? (
            meter.archived_at ? (
              <Button icon={<ArchiveRestore />} onClick={() => archive(meter, false)}>
                {t('meters.restore')}
              </Button>
            ) : (
              <>
                <Button icon={<Archive />} onClick={() => archive(meter, true)}>
                  {t('meters.archive')}
                </Button>
                <Button icon={<Pencil />} onClick={() => setEditing(true)}>
                  {t('meters.edit')}
                </Button>
              </>
            )
          ) : null
        }
      />
      <div className="flex flex-col gap-6">
        {meter?.archived_at ? (
          <Banner tone="warning" title={t('meters.is_archived')}>
            {t('meters.archived_hint')}
          </Banner>
        ) : null}
        {chart}
        <div className="grid grid-cols-1 gap-6 lg:grid-cols-[minmax(0,3fr)_minmax(0,2fr)]">
          <Card title={t('meters.detail.send')} description={t('meters.detail.send_hint')}>
            <CodeSnippet
              label={t('meters.detail.send')}
              snippets={httpSnippets({
                method: 'POST',
                url: trackUrl,
                body: { meter_id: meter?.slug ?? slug, user_id: 'customer-1', event_value: 1 },
              })}
            />
          </Card>
          <Card title={t('meters.detail.facts')}>
            {meter ? (
              <KeyValueList
                className="grid-cols-1"
                items={[
                  { label: t('meters.detail.slug'), value: <CopyText value={meter.slug} /> },
                  { label: t('meters.detail.aggregation'), value: t(`meters.aggregation.${meter.aggregation}`) },
                  ...countingFacts(meter),
                  {
                    label: t('meters.detail.unit'),
                    value: meter.unit || <span className="text-faint">{t('meters.detail.no_unit')}</span>,
                  },
                  { label: t('meters.detail.created'), value: <Time value={meter.created_at} /> },
                  { label: t('meters.detail.id'), value: <CopyText value={meter.id} /> },
                ]}
              />
            ) : (
              <Loading className="flex flex-col gap-3">
                <Skeleton className="h-5" />
                <Skeleton className="h-5 w-2/3" />
                <Skeleton className="h-5" />
                <Skeleton className="h-5 w-3/4" />
              </Loading>
            )}
          </Card>
        </div>
        {events ? (
          <section className="min-w-0">
            <h2 className="mb-3 font-semibold text-base tracking-tight">{t('meters.detail.events')}</h2>
            {events}
          </section>
        ) : null}
      </div>
      {meter ? (
        <MeterDialog
          open={editing}
          meter={meter}
          onOpenChange={setEditing}
          onSaved={(next) => {
            setEditing(false)
            state.setData(() => next)
          }}
        />
      ) : null}
    </>
  )
}

/** What only some meters have: a property of their own, a filter, groups, a name for events and where its properties are. */
function countingFacts(meter: Meter): { label: string; value: ReactNode }[] {
  const { value_property, filter, group_by, event_type } = meter
  const paths = Object.entries(meter.property_paths ?? {})
  const code = (text: string) => <code className="break-words font-mono text-xs">{text}</code>
  return [
    ...(value_property ? [{ label: t('meters.detail.value_property'), value: code(value_property) }] : []),
    ...(filter ? [{ label: t('meters.detail.filter'), value: code(describeFilter(filter)) }] : []),
    ...(group_by.length > 0 ? [{ label: t('meters.detail.group_by'), value: code(group_by.join(', ')) }] : []),
    ...(event_type ? [{ label: t('meters.detail.event_type'), value: code(event_type) }] : []),
    ...(paths.length > 0
      ? [
          {
            label: t('meters.detail.property_paths'),
            value: (
              <ul>
                {paths.map(([key, path]) => (
                  <li key={key}>{code(t('meters.detail.property_path', { key, path }))}</li>
                ))}
              </ul>
            ),
          },
        ]
      : []),
    ...(takesNegative(meter.aggregation)
      ? [
          {
            label: t('meters.detail.negative'),
            value: t(meter.allows_negative ? 'meters.detail.negative_taken' : 'meters.detail.negative_refused'),
          },
        ]
      : []),
  ]
}
