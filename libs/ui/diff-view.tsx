import { Minus, PencilLine, Plus } from 'lucide-react'
import { Badge } from '@/libs/ui/badge'
import { cx } from '@/libs/ui/cx'
import { t } from '@/libs/ui/messages'

type Json = Record<string, unknown> | null | undefined

export type FieldChange = { field: string; kind: 'added' | 'removed' | 'changed'; before: unknown; after: unknown }

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

/**
 * The fields that differ, nested ones by their path (`limits.calls`), in the order of before and then after. Of what was made
 * or deleted as a whole, the fields that were never given are left out.
 */
export function diffFields(before: Json, after: Json, prefix = ''): FieldChange[] {
  const old = before ?? {}
  const fresh = after ?? {}
  const changes: FieldChange[] = []
  for (const key of new Set([...Object.keys(old), ...Object.keys(fresh)])) {
    const field = `${prefix}${key}`
    const a = old[key]
    const b = fresh[key]
    if (isObject(a) && isObject(b)) changes.push(...diffFields(a, b, `${field}.`))
    else if (!(before && after) && (a ?? b ?? null) === null) continue
    else if (!Object.hasOwn(old, key)) changes.push({ field, kind: 'added', before: undefined, after: b })
    else if (!Object.hasOwn(fresh, key)) changes.push({ field, kind: 'removed', before: a, after: undefined })
    else if (JSON.stringify(a) !== JSON.stringify(b)) changes.push({ field, kind: 'changed', before: a, after: b })
  }
  return changes
}

function write(value: unknown): string {
  if (typeof value === 'string') return value === '' ? '""' : value
  return JSON.stringify(value, null, 2) ?? 'null'
}

const kinds = {
  added: ['success', Plus],
  removed: ['danger', Minus],
  changed: ['info', PencilLine],
} as const

function Value({ side, value }: { side: 'before' | 'after'; value: unknown }) {
  return (
    <div className="flex items-start gap-2">
      <span className="w-12 shrink-0 text-faint text-xs leading-5">{t(`ui.diff.${side}`)}</span>
      <pre
        className={cx(
          'min-w-0 flex-1 whitespace-pre-wrap break-words rounded-sm px-1.5 font-mono text-xs leading-5',
          side === 'before' ? 'bg-danger-soft text-danger-text' : 'bg-success-soft text-success-text',
        )}
      >
        {write(value)}
      </pre>
    </div>
  )
}

/**
 * Before and after of a change, field by field; one side may be missing (created, deleted).
 * @example <DiffView before={entry.before} after={entry.after} />
 */
export function DiffView({ before, after }: { before: Json; after: Json }) {
  const changes = diffFields(before, after)
  if (changes.length === 0) return <p className="text-faint text-sm">{t('ui.diff.none')}</p>
  return (
    <ul className="divide-y divide-line overflow-hidden rounded-lg border bg-surface">
      {changes.map((change) => {
        const [tone, Icon] = kinds[change.kind]
        return (
          <li key={change.field} className="flex flex-col gap-1.5 px-3.5 py-2.5">
            <div className="flex items-center justify-between gap-3">
              <code className="min-w-0 break-all font-medium font-mono text-xs">{change.field}</code>
              <Badge tone={tone} icon={<Icon aria-hidden="true" />}>
                {t(`ui.diff.${change.kind}`)}
              </Badge>
            </div>
            {change.kind === 'added' ? null : <Value side="before" value={change.before} />}
            {change.kind === 'removed' ? null : <Value side="after" value={change.after} />}
          </li>
        )
      })}
    </ul>
  )
}
