'use client'

import { Combobox } from '@base-ui/react/combobox'
import { Check, ChevronsUpDown, Plus, Search } from 'lucide-react'
import Link from 'next/link'
import { usePathname, useRouter } from 'next/navigation'
import { useRef, useState } from 'react'
import { Avatar } from '@/libs/ui/avatar'
import { StatusPill } from '@/libs/ui/badge'
import { cx } from '@/libs/ui/cx'
import { t } from '@/libs/ui/messages'
import { popupClass, popupItemClass } from '@/libs/ui/popup'
import { mayLeave } from '@/libs/ui/unsaved'

export type SwitcherTenant = {
  slug: string
  name: string
  role: string
  plan: string
  status?: string
}

/**
 * Which tenant one is in, and the way to the others: search, role and plan; keeps the sub-page (`/acme/tiers` →
 * `/globex/tiers`). "New tenant" is inside.
 */
export function TenantSwitcher({
  current,
  tenants,
  createHref,
}: {
  current: SwitcherTenant
  tenants: readonly SwitcherTenant[]
  createHref: string
}) {
  const [open, setOpen] = useState(false)
  const pathname = usePathname()
  const router = useRouter()
  const trigger = useRef<HTMLButtonElement>(null)

  function go(tenant: SwitcherTenant) {
    setOpen(false)
    if (tenant.slug === current.slug || !mayLeave()) return
    // The noun of the page exists in every tenant; an id below it (`/acme/customers/…`) does not.
    const segment = pathname.startsWith(`/${current.slug}/`) ? pathname.split('/')[2] : undefined
    router.push(segment ? `/${tenant.slug}/${segment}` : `/${tenant.slug}`)
  }

  return (
    <Combobox.Root
      items={tenants as SwitcherTenant[]}
      value={current}
      open={open}
      onOpenChange={(next) => setOpen(next)}
      onValueChange={(tenant) => {
        if (tenant) go(tenant)
      }}
      itemToStringLabel={(tenant: SwitcherTenant) => `${tenant.name} ${tenant.slug}`}
      isItemEqualToValue={(a: SwitcherTenant, b: SwitcherTenant) => a.slug === b.slug}
    >
      <Combobox.Trigger
        ref={trigger}
        aria-label={t('ui.shell.switchTenant', { name: current.name, plan: current.plan, role: current.role })}
        className="flex w-full items-center gap-2.5 rounded-md px-2 py-1.5 text-left hover:bg-sidebar-hover data-popup-open:bg-sidebar-hover"
      >
        <Avatar name={current.name} shape="square" />
        <span className="min-w-0 flex-1">
          <span className="block truncate font-semibold text-sidebar-ink text-sm">{current.name}</span>
          <span className="block truncate text-sidebar-faint text-xs">{`${current.plan} · ${current.role}`}</span>
        </span>
        <ChevronsUpDown aria-hidden="true" className="size-3.5 shrink-0 text-sidebar-faint" />
      </Combobox.Trigger>
      <Combobox.Portal>
        <Combobox.Positioner align="start" sideOffset={4} collisionPadding={8} className="z-50 outline-none">
          <Combobox.Popup aria-label={t('ui.shell.tenants')} className={cx(popupClass, 'w-72 max-w-[92vw]')}>
            <div className="flex items-center gap-2 border-b px-3">
              <Search aria-hidden="true" className="size-4 shrink-0 text-faint" />
              <Combobox.Input
                aria-label={t('ui.shell.findTenant')}
                placeholder={t('ui.shell.findTenant')}
                className="control-text h-10 w-full bg-transparent outline-none"
              />
            </div>
            <Combobox.Empty>
              <div className="px-3 py-5 text-center text-mute text-sm">{t('ui.shell.noTenant')}</div>
            </Combobox.Empty>
            <Combobox.List className="scrollbar-thin max-h-72 overflow-y-auto p-1 empty:p-0">
              {(tenant: SwitcherTenant) => (
                <Combobox.Item key={tenant.slug} value={tenant} className={popupItemClass}>
                  <Avatar name={tenant.name} shape="square" size="sm" />
                  <span className="min-w-0 flex-1">
                    <span className="block truncate font-medium">{tenant.name}</span>
                    <span className="block truncate text-faint text-xs">{`${tenant.plan} · ${tenant.role}`}</span>
                  </span>
                  {tenant.status && tenant.status !== 'active' ? <StatusPill status={tenant.status} /> : null}
                  <Combobox.ItemIndicator className="text-accent-text">
                    <Check />
                  </Combobox.ItemIndicator>
                </Combobox.Item>
              )}
            </Combobox.List>
            <div className="border-t p-1">
              <Link
                href={createHref}
                onClick={() => setOpen(false)}
                className={cx(popupItemClass, 'hover:bg-hover focus-visible:outline-2')}
              >
                <Plus />
                {t('ui.shell.newTenant')}
              </Link>
            </div>
          </Combobox.Popup>
        </Combobox.Positioner>
      </Combobox.Portal>
    </Combobox.Root>
  )
}
