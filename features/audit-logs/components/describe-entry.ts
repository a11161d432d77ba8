import type { AuditLogRow } from '@/features/audit-logs/schema'
import { t } from '@/libs/ui/messages'

/** Who acted, by the name they acted under, else by kind. */
export function describeActor(actor: AuditLogRow['actor']): string {
  return actor.label ?? t(`audit-logs.actor_kind.${actor.kind}`)
}

type Fields = Record<string, unknown>

/** A side of a change as fields; anything else that was recorded stands under one name. */
export function asFields(value: unknown): Fields | null {
  if (value === null || value === undefined) return null
  if (typeof value === 'object' && !Array.isArray(value)) return value as Fields
  return { value }
}

/** The name of the target: the one in the record of the change, else what it is called now. */
export function targetName(entry: Pick<AuditLogRow, 'before' | 'after' | 'target'>): string | null {
  for (const side of [asFields(entry.after), asFields(entry.before)]) {
    for (const key of ['name', 'display_name', 'slug', 'external_id', 'key', 'email', 'hostname']) {
      const value = side?.[key]
      if (typeof value === 'string' && value !== '') return value
    }
  }
  return entry.target.name
}
