'use client'

import { ListFilter, X } from 'lucide-react'
import { type ReactNode, useEffect, useRef, useState } from 'react'
import { Button } from '@/libs/ui/button'
import { SearchInput } from '@/libs/ui/input'
import type { ListState } from '@/libs/ui/list-state'
import { t } from '@/libs/ui/messages'
import { Popover } from '@/libs/ui/popover'
import { RadioGroup } from '@/libs/ui/radio-group'

export type Facet = {
  /** Key in the URL and of the API. */
  key: string
  label: string
  options: ReadonlyArray<{ value: string; label: string }>
}

/**
 * Search and facets of a list; everything in the URL. `children` stand at the right (export, create).
 * @example <FilterBar list={list} search="Search customers" facets={[{ key: 'status', label: 'Status', options }]} />
 */
export function FilterBar({
  list,
  search,
  facets = [],
  children,
}: {
  list: ListState
  /** The label of the search field; without it there is none. */
  search?: string
  facets?: readonly Facet[]
  children?: ReactNode
}) {
  return (
    <search className="mb-3 flex flex-wrap items-center gap-2">
      {search ? <DebouncedSearch label={search} value={list.q} onCommit={list.setQ} /> : null}
      {facets.map((facet) => (
        <FacetFilter
          key={facet.key}
          facet={facet}
          chosen={list.facets[facet.key] ?? []}
          onChange={(values) => list.setFacet(facet.key, values)}
        />
      ))}
      {list.filtered ? (
        <Button variant="ghost" icon={<X />} onClick={list.clear}>
          {t('ui.filters.clear')}
        </Button>
      ) : null}
      {children ? <div className="flex flex-wrap items-center gap-2 sm:ml-auto">{children}</div> : null}
    </search>
  )
}

/** A filter that came from a row, in short, with the way to remove it; nothing while it is not set. */
export function FilterChip({ list, name, label }: { list: ListState; name: string; label: string }) {
  const value = list.facets[name]?.[0]
  if (!value) return null
  return (
    <Button variant="selected" onClick={() => list.setFacet(name, [])}>
      {label} <code className="max-w-28 truncate font-mono text-xs">{value}</code>
      <X />
      <span className="sr-only">{t('ui.filters.remove')}</span>
    </Button>
  )
}

/** Waits for a pause of 250 ms before it searches; Enter does not wait. */
function DebouncedSearch({
  label,
  value,
  onCommit,
}: {
  label: string
  value: string
  onCommit: (value: string) => void
}) {
  const [draft, setDraft] = useState(value)
  const sent = useRef(value)
  useEffect(() => {
    // The URL changed by other means (back, clear): follow it.
    if (value !== sent.current) {
      sent.current = value
      setDraft(value)
    }
  }, [value])
  useEffect(() => {
    if (draft === sent.current) return
    const timer = setTimeout(() => {
      sent.current = draft
      onCommit(draft)
    }, 250)
    return () => clearTimeout(timer)
  }, [draft, onCommit])
  return (
    <SearchInput
      label={label}
      value={draft}
      onValueChange={setDraft}
      onKeyDown={(event) => {
        if (event.key !== 'Enter') return
        sent.current = draft
        onCommit(draft)
      }}
      data-list-search=""
      className="w-full sm:w-64"
    />
  )
}

function FacetFilter({
  facet,
  chosen,
  onChange,
}: {
  facet: Facet
  chosen: readonly string[]
  onChange: (values: string[]) => void
}) {
  const [open, setOpen] = useState(false)
  const names = facet.options.filter((option) => chosen.includes(option.value)).map((option) => option.label)
  return (
    <Popover
      label={facet.label}
      open={open}
      onOpenChange={setOpen}
      className="w-56 p-1.5"
      trigger={
        <Button icon={<ListFilter />} variant={chosen.length ? 'selected' : 'secondary'}>
          {facet.label}
          {names.length ? (
            <span className="max-w-36 truncate border-line-strong border-l pl-2 font-normal text-accent-text">
              {names.join(', ')}
            </span>
          ) : null}
        </Button>
      }
    >
      <RadioGroup
        label={facet.label}
        value={chosen[0] ?? null}
        onValueChange={(value) => {
          onChange([value])
          setOpen(false)
        }}
        options={facet.options.map(({ value, label }) => ({
          value,
          label: <span className="font-normal">{label}</span>,
        }))}
        className="gap-0! [&>label]:rounded-md [&>label]:px-2 [&>label]:py-1.5 [&>label]:hover:bg-hover"
      />
      {chosen.length ? (
        <Button
          variant="ghost"
          size="sm"
          className="mt-1 w-full"
          onClick={() => {
            onChange([])
            setOpen(false)
          }}
        >
          {t('ui.filters.clearOne', { name: facet.label })}
        </Button>
      ) : null}
    </Popover>
  )
}
