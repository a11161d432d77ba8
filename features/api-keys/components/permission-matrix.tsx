'use client'

import { PERMISSION_ROWS, togglePermission } from '@/features/api-keys/components/key-permissions'
import type { Permission } from '@/libs/auth/permissions'
import { Checkbox } from '@/libs/ui/checkbox'
import { t } from '@/libs/ui/messages'

function Cell({
  permission,
  label,
  chosen,
  onChange,
}: {
  permission: Permission | null
  label: string
  chosen: readonly Permission[]
  onChange: (permissions: Permission[]) => void
}) {
  if (permission === null) return <span className="text-faint">–</span>
  return (
    <Checkbox
      hideLabel
      label={label}
      checked={chosen.includes(permission)}
      onCheckedChange={(on) => onChange(togglePermission(chosen, permission, on))}
      className="justify-center"
    />
  )
}

/** Rights by area as a grid of boxes to tick. */
export function PermissionMatrix({
  chosen,
  onChange,
}: {
  chosen: readonly Permission[]
  onChange: (permissions: Permission[]) => void
}) {
  return (
    <div className="overflow-hidden rounded-lg border">
      <table className="w-full text-sm">
        <caption className="sr-only">{t('api-keys.form.matrix_caption')}</caption>
        <thead>
          <tr className="bg-sunken text-faint text-xs">
            <th scope="col" className="h-8 px-3 text-left font-medium">
              {t('api-keys.form.area')}
            </th>
            <th scope="col" className="w-20 px-3 font-medium">
              {t('api-keys.form.read')}
            </th>
            <th scope="col" className="w-20 px-3 font-medium">
              {t('api-keys.form.write')}
            </th>
          </tr>
        </thead>
        <tbody>
          {PERMISSION_ROWS.map((row) => {
            const name = t(`api-keys.noun.${row.noun}`)
            return (
              <tr key={row.noun} className="border-t hover:bg-sunken">
                <th scope="row" className="px-3 py-1.5 text-left font-normal">
                  {name}
                </th>
                <td className="px-3 py-1.5 text-center">
                  <Cell
                    permission={row.read}
                    label={`${name}: ${t('api-keys.form.read')}`}
                    chosen={chosen}
                    onChange={onChange}
                  />
                </td>
                <td className="px-3 py-1.5 text-center">
                  <Cell
                    permission={row.write}
                    label={`${name}: ${t('api-keys.form.write')}`}
                    chosen={chosen}
                    onChange={onChange}
                  />
                </td>
              </tr>
            )
          })}
        </tbody>
      </table>
    </div>
  )
}
