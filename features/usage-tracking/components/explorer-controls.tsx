'use client'

import { ListFilter, Split, X } from 'lucide-react'
import { type FormEvent, useId, useMemo, useState } from 'react'
import {
  type ExplorerState,
  type ExplorerWindow,
  fits,
  fittingWindow,
  windows,
} from '@/features/usage-tracking/components/explorer-state'
import { listTimeZones } from '@/features/usage-tracking/components/time-zones'
import { readList, writeList } from '@/libs/metering/value-list'
import { Button } from '@/libs/ui/button'
import { Field } from '@/libs/ui/field'
import { Input } from '@/libs/ui/input'
import { Menu } from '@/libs/ui/menu'
import { t } from '@/libs/ui/messages'
import { Popover } from '@/libs/ui/popover'
import { Select } from '@/libs/ui/select'

const AUTO = 'auto'

/** Size of the windows: what fits the range, or one of one's own. */
export function WindowSelect({ explorer, days }: { explorer: ExplorerState; days: number }) {
  return (
    <div className="w-34">
      <Select<ExplorerWindow | typeof AUTO>
        aria-label={t('usage.explorer.window')}
        options={[
          { value: AUTO, label: t('usage.explorer.auto', { window: t(`usage.window.${fittingWindow(days)}`) }) },
          ...windows.map((value) => ({ value, label: t(`usage.window.${value}`), disabled: !fits(value, days) })),
        ]}
        value={explorer.window ?? AUTO}
        onValueChange={(value) => explorer.set({ window: value === AUTO ? null : value })}
      />
    </div>
  )
}

/** The time zone of the windows: the tenant's own while it is empty, or any other. */
export function ZoneInput({ explorer, own }: { explorer: ExplorerState; own: string }) {
  const listId = useId()
  const zones = useMemo(() => ['UTC', ...listTimeZones()], [])
  const [text, setText] = useState(explorer.zone ?? '')

  function change(value: string) {
    setText(value)
    // Only a zone there is goes into the address; what is half typed waits.
    const zone = value.trim()
    if (zone === '' || zone === own) explorer.set({ zone: null })
    else if (zones.includes(zone)) explorer.set({ zone })
  }

  return (
    <div className="w-34">
      <Input
        aria-label={t('usage.explorer.zone')}
        list={listId}
        placeholder={own}
        value={text}
        spellCheck={false}
        autoCapitalize="none"
        autoComplete="off"
        onChange={(event) => change(event.target.value)}
        onBlur={() => setText(explorer.zone ?? '')}
      />
      <datalist id={listId}>
        {zones.map((zone) => (
          <option key={zone} value={zone} />
        ))}
      </datalist>
    </div>
  )
}

/** What usage is split by: customers, and the properties of the meter. */
export function GroupMenu({ explorer, choices }: { explorer: ExplorerState; choices: readonly string[] }) {
  const name = (key: string) => (key === 'customer' ? t('usage.customer') : key)
  const chosen = explorer.groups.filter((key) => choices.includes(key))
  return (
    <Menu
      align="start"
      trigger={
        <Button icon={<Split />}>
          {t('usage.group')}: {chosen.length > 0 ? chosen.map(name).join(', ') : t('usage.explorer.nothing')}
        </Button>
      }
      entries={choices.map((key) => ({
        label: name(key),
        checked: chosen.includes(key),
        onSelect: () =>
          explorer.set({ groups: chosen.includes(key) ? chosen.filter((each) => each !== key) : [...chosen, key] }),
      }))}
    />
  )
}

/** Which customers, and which values of the meter's properties; each is a list with commas. */
export function FilterPopover({
  explorer,
  properties,
  fixedCustomer,
}: {
  explorer: ExplorerState
  properties: readonly string[]
  fixedCustomer: boolean
}) {
  const [open, setOpen] = useState(false)
  const [texts, setTexts] = useState<Record<string, string>>({})
  const count = explorer.filters.length + (explorer.customers.length > 0 && !fixedCustomer ? 1 : 0)
  const key = (property: string) => `property ${property}`

  function changeOpen(next: boolean) {
    if (next) {
      const known = explorer.filters.map(({ property, values }) => [key(property), writeList(values)])
      setTexts({ ...Object.fromEntries(known), customer: writeList(explorer.customers) })
    }
    setOpen(next)
  }

  function apply(event: FormEvent) {
    event.preventDefault()
    const filters = properties.flatMap((property) => {
      const values = readList(texts[key(property)] ?? '')
      return values.length > 0 ? [{ property, values }] : []
    })
    explorer.set({ filters, ...(fixedCustomer ? {} : { customers: readList(texts.customer ?? '') }) })
    setOpen(false)
  }

  if (fixedCustomer && properties.length === 0) return null
  return (
    <Popover
      label={t('usage.explorer.filter')}
      open={open}
      onOpenChange={changeOpen}
      className="w-80"
      trigger={
        <Button icon={<ListFilter />}>
          {count > 0 ? t('usage.explorer.filtered', { count }) : t('usage.explorer.filter')}
        </Button>
      }
    >
      <form method="dialog" onSubmit={apply} className="flex flex-col gap-3">
        {fixedCustomer ? null : (
          <Field label={t('usage.explorer.customers')} hint={t('usage.explorer.customers_hint')}>
            <Input
              value={texts.customer ?? ''}
              spellCheck={false}
              autoCapitalize="none"
              onChange={(event) => setTexts({ ...texts, customer: event.target.value })}
            />
          </Field>
        )}
        {properties.map((property) => (
          <Field key={property} label={property} hint={t('usage.explorer.values_hint')}>
            <Input
              value={texts[key(property)] ?? ''}
              spellCheck={false}
              autoCapitalize="none"
              onChange={(event) => setTexts({ ...texts, [key(property)]: event.target.value })}
            />
          </Field>
        ))}
        <Button type="submit" size="sm" variant="primary">
          {t('usage.explorer.apply')}
        </Button>
      </form>
    </Popover>
  )
}

/** The filters that hold, each with a way to take it off. */
export function FilterChips({ explorer, fixedCustomer }: { explorer: ExplorerState; fixedCustomer: boolean }) {
  const chips = [
    ...(explorer.customers.length > 0 && !fixedCustomer
      ? [
          {
            label: `${t('usage.customer')}: ${explorer.customers.join(', ')}`,
            remove: () => explorer.set({ customers: [] }),
          },
        ]
      : []),
    ...explorer.filters.map(({ property, values }) => ({
      label: `${property}: ${values.join(', ')}`,
      remove: () => explorer.set({ filters: explorer.filters.filter((each) => each.property !== property) }),
    })),
  ]
  return chips.map(({ label, remove }) => (
    <Button key={label} variant="ghost" icon={<X />} onClick={remove}>
      <span className="sr-only">{t('usage.explorer.remove')} </span>
      <span className="max-w-56 truncate">{label}</span>
    </Button>
  ))
}
