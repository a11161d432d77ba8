import Link from 'next/link'
import { cx } from '@/libs/ui/cx'
import { t } from '@/libs/ui/messages'
import { groupPath } from './group-path'
import type { OperationGroup } from './openapi-document'

const rowClass = '-mx-2 block rounded-md px-2 py-1 text-sm hover:bg-hover hover:text-ink'

/** The pages of the reference; below the present one, its operations. */
export function ReferenceNav({ groups, current }: { groups: OperationGroup[]; current?: OperationGroup }) {
  const pageLink = (href: string, label: string, here: boolean) => (
    <Link
      href={href}
      prefetch={false}
      aria-current={here ? 'page' : undefined}
      className={cx(rowClass, here ? 'font-medium text-ink' : 'text-mute')}
    >
      {label}
    </Link>
  )
  return (
    <nav aria-label={t('docs.api.pages')} className="print:hidden">
      <ul>
        <li>{pageLink('/docs/api', t('docs.api.introduction'), !current)}</li>
        {groups.map((group) => (
          <li key={group.id}>
            {pageLink(groupPath(group), group.tag, group.id === current?.id)}
            {group.id === current?.id ? (
              <ul className="mt-0.5 mb-2 ml-1 border-l pl-4">
                {group.operations.map((one) => (
                  <li key={one.id}>
                    <a href={`#${one.id}`} className={cx(rowClass, 'text-mute')}>
                      {one.summary}
                    </a>
                  </li>
                ))}
              </ul>
            ) : null}
          </li>
        ))}
      </ul>
    </nav>
  )
}
