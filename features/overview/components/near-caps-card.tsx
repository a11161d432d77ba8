import { ShieldCheck } from 'lucide-react'
import Link from 'next/link'
import type { NearCaps } from '@/features/overview/components/use-near-caps'
import { LinkButton } from '@/libs/ui/button'
import { Card } from '@/libs/ui/card'
import { t } from '@/libs/ui/messages'
import { Loading, Skeleton } from '@/libs/ui/skeleton'
import { ErrorState } from '@/libs/ui/states'
import { UsageBar } from '@/libs/ui/usage-bar'

const SHOWN = 5

/** The customers nearest to their caps, each with its bar and the way to it. */
export function NearCapsCard({ near, customersHref }: { near: NearCaps; customersHref: string | undefined }) {
  const { customers, error } = near
  const lines = customers?.flatMap(({ customer, caps }) => caps.map((line) => ({ customer, line })))
  return (
    <section className="min-w-0">
      <div className="mb-3 flex min-h-7 items-center justify-between gap-3">
        <h2 className="font-semibold text-base tracking-tight">{t('overview.near.title')}</h2>
        {customersHref && lines && lines.length > SHOWN ? (
          <LinkButton href={`${customersHref}?show=near`} variant="ghost" size="sm">
            {t('overview.near.all')}
          </LinkButton>
        ) : null}
      </div>
      <Card>
        {lines ? (
          lines.length > 0 ? (
            <ul className="flex flex-col gap-5">
              {lines.slice(0, SHOWN).map(({ customer, line }) => (
                <li key={`${customer.id} ${line.meter_id}`}>
                  <UsageBar
                    label={
                      <>
                        {customersHref ? (
                          <Link
                            href={`${customersHref}/${customer.id}`}
                            className="rounded-sm hover:underline hover:underline-offset-3"
                          >
                            {customer.name ?? customer.external_id}
                          </Link>
                        ) : (
                          (customer.name ?? customer.external_id)
                        )}{' '}
                        <span className="font-normal text-faint">{line.name}</span>
                      </>
                    }
                    used={line.used}
                    cap={line.limit}
                    {...(line.unit ? { unit: line.unit } : {})}
                    resetsAt={line.reset_at}
                    overflow={line.behaviour === 'overflow'}
                  />
                </li>
              ))}
            </ul>
          ) : (
            <p className="flex items-center justify-center gap-2 py-8 text-faint text-sm">
              <ShieldCheck aria-hidden="true" className="size-4 text-success-text" />
              {t('overview.near.none')}
            </p>
          )
        ) : error ? (
          <ErrorState error={error} className="py-6" />
        ) : (
          <Loading className="flex flex-col gap-6">
            <Skeleton className="h-12" />
            <Skeleton className="h-12" />
            <Skeleton className="h-12" />
          </Loading>
        )}
      </Card>
    </section>
  )
}
