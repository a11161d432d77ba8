import { cx } from '@/libs/ui/cx'
import { t } from '@/libs/ui/messages'
import { UsageBar } from '@/libs/ui/usage-bar'

const WORLDS = [
  {
    name: t('landing.example.acme'),
    mark: 'A',
    color: 'bg-danger text-danger-ink',
    tier: t('landing.example.tier_growth'),
    calls: [8_500, 10_000],
    mails: [412, 2_000],
  },
  {
    name: t('landing.example.globex'),
    mark: 'G',
    color: 'bg-info text-surface',
    tier: t('landing.example.tier_starter'),
    calls: [1_730, 5_000],
    mails: [96, 500],
  },
] as const

/** Two portals side by side: what the same customer sees at two tenants. */
export function PortalExample() {
  return (
    <figure aria-label={t('landing.example.label')} className="flex flex-col gap-3">
      <div className="grid gap-4 sm:grid-cols-2 lg:grid-cols-1 xl:grid-cols-2">
        {WORLDS.map(({ name, mark, color, tier, calls, mails }, index) => (
          <div
            key={name}
            className={cx('overflow-hidden rounded-xl border bg-surface shadow-card', index === 1 && 'xl:mt-10')}
          >
            <div className="flex items-center gap-2.5 border-b px-4 py-3">
              <span
                aria-hidden="true"
                className={cx('flex size-7 items-center justify-center rounded-md font-semibold text-sm', color)}
              >
                {mark}
              </span>
              <span className="font-semibold">{name}</span>
              <span className="ml-auto rounded-full bg-hover px-2 py-0.5 text-mute text-xs">{tier}</span>
            </div>
            <div className="flex flex-col gap-4 px-4 py-4">
              <p className="text-mute text-sm">{t('landing.example.customer')}</p>
              <UsageBar label={t('landing.example.calls')} used={calls[0]} cap={calls[1]} />
              <UsageBar label={t('landing.example.mails')} used={mails[0]} cap={mails[1]} />
            </div>
          </div>
        ))}
      </div>
      <figcaption className="text-faint text-sm">{t('landing.example.note')}</figcaption>
    </figure>
  )
}
