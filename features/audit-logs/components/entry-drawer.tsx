'use client'

import { asFields, describeActor, targetName } from '@/features/audit-logs/components/describe-entry'
import type { AuditLogRow } from '@/features/audit-logs/schema'
import { StatusPill } from '@/libs/ui/badge'
import { Button } from '@/libs/ui/button'
import { KeyValueList } from '@/libs/ui/card'
import { CopyText } from '@/libs/ui/copy-button'
import { DiffView } from '@/libs/ui/diff-view'
import { JsonView } from '@/libs/ui/json-view'
import { t } from '@/libs/ui/messages'
import { RowDrawer } from '@/libs/ui/row-drawer'
import { ExactTime } from '@/libs/ui/time'
import { toWords } from '@/libs/ui/words'

export type Narrow = { key: 'request_id' | 'actor_id' | 'target_id'; value: string }

/** One entry of the record in full: who, what, from where, before and after. */
export function EntryDrawer({
  id,
  entries,
  onOpen,
  onNarrow,
}: {
  /** Open while it is not null; one that is not on this page is fetched. */
  id: string | null
  entries: readonly AuditLogRow[]
  onOpen: (id: string | null) => void
  onNarrow: (filter: Narrow) => void
}) {
  return (
    <RowDrawer
      id={id}
      rows={entries}
      path="/audit-logs"
      words={{
        title: t('audit-logs.entry.title'),
        newer: t('audit-logs.entry.newer'),
        older: t('audit-logs.entry.older'),
        not_found: t('audit-logs.entry.not_found'),
      }}
      title={({ action }) => toWords(action)}
      description={({ action, outcome }) => (
        <span className="flex flex-wrap items-center gap-x-3 gap-y-1">
          <code className="font-mono text-xs">{action}</code>
          <StatusPill status={outcome} />
        </span>
      )}
      onOpen={onOpen}
    >
      {(entry) => <EntryDetails entry={entry} onNarrow={onNarrow} />}
    </RowDrawer>
  )
}

function EntryDetails({ entry, onNarrow }: { entry: AuditLogRow; onNarrow: (filter: Narrow) => void }) {
  const { actor, target } = entry
  const before = asFields(entry.before)
  const after = asFields(entry.after)
  const more = (filter: Narrow, label: string) => (
    <Button variant="link" size="sm" onClick={() => onNarrow(filter)}>
      {label}
    </Button>
  )
  return (
    <div className="flex flex-col gap-6">
      <section aria-label={t('audit-logs.entry.changes')}>
        <h3 className="mb-2 font-medium text-sm">{t('audit-logs.entry.changes')}</h3>
        {before || after ? (
          <DiffView before={before} after={after} />
        ) : (
          <p className="text-faint text-sm">{t('audit-logs.entry.no_change')}</p>
        )}
      </section>
      <section aria-label={t('audit-logs.entry.facts')}>
        <h3 className="mb-1 font-medium text-sm">{t('audit-logs.entry.facts')}</h3>
        <KeyValueList
          className="grid-cols-1"
          items={[
            {
              label: t('audit-logs.column.time'),
              value: <ExactTime value={entry.created_at} />,
            },
            {
              label: t('audit-logs.column.actor'),
              value: (
                <div className="flex flex-col items-start gap-0.5">
                  <span>
                    {describeActor(actor)}{' '}
                    <span className="text-faint">{t(`audit-logs.actor_kind.${actor.kind}`)}</span>
                  </span>
                  {actor.id ? <CopyText value={actor.id} className="text-faint text-xs" /> : null}
                  {actor.id ? more({ key: 'actor_id', value: actor.id }, t('audit-logs.entry.by_actor')) : null}
                </div>
              ),
            },
            ...(entry.on_behalf_of
              ? [{ label: t('audit-logs.entry.on_behalf_of'), value: <CopyText value={entry.on_behalf_of} /> }]
              : []),
            {
              label: t('audit-logs.column.target'),
              value: (
                <div className="flex flex-col items-start gap-0.5">
                  <span>
                    <span className="text-mute">{toWords(target.type)}</span> {targetName(entry)}
                  </span>
                  {target.id ? <CopyText value={target.id} className="text-faint text-xs" /> : null}
                  {target.id ? more({ key: 'target_id', value: target.id }, t('audit-logs.entry.by_target')) : null}
                </div>
              ),
            },
            { label: t('audit-logs.entry.ip'), value: entry.ip ? <CopyText value={entry.ip} /> : '–' },
            {
              label: t('audit-logs.entry.user_agent'),
              value: entry.user_agent ? <span className="break-all text-mute">{entry.user_agent}</span> : '–',
            },
            {
              label: t('audit-logs.entry.request_id'),
              value: entry.request_id ? (
                <div className="flex flex-col items-start gap-0.5">
                  <CopyText value={entry.request_id} />
                  {more({ key: 'request_id', value: entry.request_id }, t('audit-logs.entry.by_request'))}
                </div>
              ) : (
                '–'
              ),
            },
            { label: t('audit-logs.entry.id'), value: <CopyText value={entry.id} /> },
            {
              label: t('audit-logs.entry.hash'),
              value: <code className="break-all font-mono text-faint text-xs">{entry.details_hash}</code>,
            },
          ]}
        />
      </section>
      {Object.keys(entry.metadata).length > 0 ? (
        <JsonView label={t('audit-logs.entry.metadata')} value={entry.metadata} />
      ) : null}
    </div>
  )
}
