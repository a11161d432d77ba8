'use client'

import type { AuditLogFacets } from '@/features/audit-logs/schema'
import { FilterChip } from '@/libs/ui/filter-bar'
import type { ListState } from '@/libs/ui/list-state'
import { t } from '@/libs/ui/messages'
import { Select, type SelectOption } from '@/libs/ui/select'
import { toWords } from '@/libs/ui/words'

/** The filters of the record, each with one value, by their names in the URL and in the API. */
export const AUDIT_FILTERS = ['action', 'actor_id', 'target_type', 'target_id', 'outcome', 'request_id'] as const

const ANY = 'any'

function Choice({
  list,
  name,
  label,
  any,
  options,
}: {
  list: ListState
  name: (typeof AUDIT_FILTERS)[number]
  label: string
  any: string
  options: readonly SelectOption[]
}) {
  const value = list.facets[name]?.[0]
  const known = value === undefined || options.some((option) => option.value === value)
  return (
    <div className="w-40 max-sm:flex-1 max-sm:basis-36">
      <Select
        aria-label={label}
        options={[{ value: ANY, label: any }, ...(known ? [] : [{ value, label: value }]), ...options]}
        value={value ?? ANY}
        onValueChange={(next) => list.setFacet(name, next === ANY ? [] : [next])}
        className={value ? 'border-accent' : ''}
      />
    </div>
  )
}

/** Narrows the record by what is in it: actions, actors, kinds of target, outcome. */
export function AuditFilters({ list, facets }: { list: ListState; facets: AuditLogFacets | undefined }) {
  return (
    <>
      <Choice
        list={list}
        name="action"
        label={t('audit-logs.column.action')}
        any={t('audit-logs.filter.any_action')}
        options={actionOptions(facets?.actions ?? [])}
      />
      <Choice
        list={list}
        name="actor_id"
        label={t('audit-logs.column.actor')}
        any={t('audit-logs.filter.any_actor')}
        options={(facets?.actors ?? []).map((actor) => ({
          value: actor.id,
          label: actor.label ?? actor.id,
          description: t(`audit-logs.actor_kind.${actor.kind}`),
        }))}
      />
      <Choice
        list={list}
        name="target_type"
        label={t('audit-logs.column.target')}
        any={t('audit-logs.filter.any_target')}
        options={(facets?.target_types ?? []).map((type) => ({ value: type, label: toWords(type) }))}
      />
      <Choice
        list={list}
        name="outcome"
        label={t('audit-logs.column.outcome')}
        any={t('audit-logs.filter.any_outcome')}
        options={(['success', 'denied', 'failure'] as const).map((value) => ({
          value,
          label: t(`ui.status.${value}`),
        }))}
      />
      <FilterChip list={list} name="target_id" label={t('audit-logs.filter.target_id')} />
      <FilterChip list={list} name="request_id" label={t('audit-logs.filter.request_id')} />
    </>
  )
}

/** Every noun as a whole, then each of its actions. */
function actionOptions(actions: readonly string[]): SelectOption[] {
  const nouns = Map.groupBy(actions, (action) => action.split('.')[0] ?? '')
  return [...nouns].flatMap(([noun, own]) => [
    ...(own.length > 1 ? [{ value: `${noun}.`, label: t('audit-logs.filter.all_of', { noun: toWords(noun) }) }] : []),
    ...own.map((action) => ({ value: action, label: toWords(action) })),
  ])
}
