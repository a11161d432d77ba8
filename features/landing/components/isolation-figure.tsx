import { DatabaseZap, Lock, LockOpen } from 'lucide-react'
import { CodeSnippet } from '@/libs/ui/code-snippet'
import { t } from '@/libs/ui/messages'

/** As it stands in the migrations, on this table and, with its name, on every other one that holds rows of tenants. */
const POLICY = `create policy customers_isolation on customers
  as restrictive for all to app_tenant
  using (tenant_id = (select app.tenant_id()))
  with check (tenant_id = (select app.tenant_id()));`

const CASES = [
  { key: 'acme', icon: <LockOpen /> },
  { key: 'globex', icon: <LockOpen /> },
  { key: 'nobody', icon: <Lock /> },
] as const

/** The wall itself: the policy that is on every table, and what a query that forgets its condition finds behind it. */
export function IsolationFigure() {
  return (
    <figure className="min-w-0 rounded-2xl border bg-surface p-2.5 shadow-card">
      <CodeSnippet
        label={t('landing.wall.policy')}
        snippets={[{ label: t('landing.wall.policy'), code: POLICY, language: 'sql' }]}
      />
      <div className="px-3 pt-4 pb-2.5">
        <figcaption className="flex flex-wrap items-center gap-x-2 gap-y-1 text-mute text-sm">
          <DatabaseZap aria-hidden="true" className="size-4 text-accent-text" />
          {t('landing.wall.query')}
          <code className="rounded-sm bg-sunken px-1.5 py-0.5 font-mono text-ink text-xs">select * from customers</code>
        </figcaption>
        <dl className="mt-3 divide-y divide-line">
          {CASES.map(({ key, icon }) => (
            <div key={key} className="flex flex-wrap items-center justify-between gap-x-4 gap-y-0.5 py-2 text-sm">
              <dt className="flex items-center gap-2 text-mute">
                <span aria-hidden="true" className="text-faint [&_svg]:size-4">
                  {icon}
                </span>
                {t(`landing.wall.${key}.in`)}
              </dt>
              <dd className="font-medium max-sm:pl-6">{t(`landing.wall.${key}.finds`)}</dd>
            </div>
          ))}
        </dl>
      </div>
    </figure>
  )
}
