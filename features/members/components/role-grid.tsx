import { Check, Eye, Minus } from 'lucide-react'
import { type MemberRole, NOUNS, type Noun, ROLE_PERMISSIONS } from '@/libs/auth/permissions'
import { t } from '@/libs/ui/messages'

const ROLES: readonly MemberRole[] = ['owner', 'admin', 'member', 'compliance']

function level(role: MemberRole, noun: Noun): 'write' | 'read' | 'none' {
  if (ROLE_PERMISSIONS[role].includes(`${noun}:write`)) return 'write'
  return ROLE_PERMISSIONS[role].includes(`${noun}:read`) ? 'read' : 'none'
}

/** What each role may do, by area: the grid the server itself goes by. */
export function RoleGrid() {
  const nouns = NOUNS.filter((noun) => ROLES.some((role) => level(role, noun) !== 'none'))
  return (
    <section
      aria-label={t('settings.members.roles')}
      // biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls must be reachable by keyboard
      tabIndex={0}
      className="scrollbar-thin relative overflow-x-auto focus-visible:-outline-offset-2"
    >
      <table className="w-full min-w-lg text-sm">
        <caption className="sr-only">{t('settings.members.roles')}</caption>
        <thead>
          <tr className="text-faint text-xs">
            <th scope="col" className="px-4 py-2 text-left font-medium sm:px-5">
              {t('settings.members.roles_area')}
            </th>
            {ROLES.map((role) => (
              <th key={role} scope="col" className="px-3 py-2 text-left font-medium">
                {t(`settings.role.${role}`)}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {nouns.map((noun) => (
            <tr key={noun} className="border-t">
              <th scope="row" className="whitespace-nowrap px-4 py-2 text-left font-normal sm:px-5">
                {t(`api-keys.noun.${noun}`)}
              </th>
              {ROLES.map((role) => (
                <td key={role} className="px-3 py-2">
                  <Level level={level(role, noun)} />
                </td>
              ))}
            </tr>
          ))}
        </tbody>
      </table>
    </section>
  )
}

function Level({ level }: { level: 'write' | 'read' | 'none' }) {
  if (level === 'write') {
    return (
      <span className="flex items-center gap-1.5 whitespace-nowrap text-success-text">
        <Check aria-hidden="true" className="size-3.5" />
        {t('settings.members.roles_write')}
      </span>
    )
  }
  if (level === 'read') {
    return (
      <span className="flex items-center gap-1.5 text-mute">
        <Eye aria-hidden="true" className="size-3.5" />
        {t('settings.members.roles_read')}
      </span>
    )
  }
  return (
    <span className="text-faint">
      <Minus aria-hidden="true" className="size-3.5" />
      <span className="sr-only">{t('settings.members.roles_none')}</span>
    </span>
  )
}
