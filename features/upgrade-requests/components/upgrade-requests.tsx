'use client'

import { ArrowUpRight } from 'lucide-react'
import type { z } from 'zod'
import type { upgradeRequest } from '@/features/upgrade-requests/schema'
import { type Page, toQuery } from '@/libs/ui/api-client'
import { Button, TextLink } from '@/libs/ui/button'
import { Card } from '@/libs/ui/card'
import { t } from '@/libs/ui/messages'
import { Time } from '@/libs/ui/time'
import { toast } from '@/libs/ui/toast'
import { useApi, useApiFetch, useMutation } from '@/libs/ui/use-api'

type Request = z.infer<typeof upgradeRequest>

/**
 * What customers asked for and is not decided yet, with the decision beside it; nothing at all when there is nothing. `base` is the
 * address of the customers; `customer` fixes whose it is.
 */
export function UpgradeRequests({ base, customer, canWrite }: { base: string; customer?: string; canWrite: boolean }) {
  const open = useApi<Page<Request>>(`/upgrade-requests${toQuery({ status: 'open', customer })}`, { refreshMs: 30_000 })
  const api = useApiFetch()
  const decide = useMutation(
    ({ id, status }: { id: string; status: 'accepted' | 'declined' }, options) =>
      api<Request>(`/upgrade-requests/${id}`, { method: 'PATCH', body: { status }, ...options }),
    {
      onSuccess: (request, { status }) => {
        toast.success(t(`upgrade-requests.${status}`, { customer: nameOf(request), tier: request.tier.name }))
        open.reload()
      },
      onError: (problem) => {
        toast.problem(problem)
        open.reload()
      },
    },
  )
  const rows = open.data?.data ?? []
  if (rows.length === 0) return null
  return (
    <Card title={t('upgrade-requests.title')} description={t('upgrade-requests.description')} className="mb-6">
      <ul className="divide-y">
        {rows.map((row) => (
          <li key={row.id} className="flex flex-wrap items-start gap-x-4 gap-y-2 py-3 first:pt-0 last:pb-0">
            <ArrowUpRight aria-hidden="true" className="mt-0.5 size-4 text-accent-text" />
            <div className="min-w-0 flex-1 basis-56">
              <p className="font-medium text-sm">
                {customer ? (
                  t('upgrade-requests.asks', { customer: nameOf(row), tier: row.tier.name })
                ) : (
                  <TextLink href={`${base}/${row.customer.id}`}>
                    {t('upgrade-requests.asks', { customer: nameOf(row), tier: row.tier.name })}
                  </TextLink>
                )}
              </p>
              {row.note ? (
                <p className="mt-0.5 break-words text-sm">{t('upgrade-requests.note', { note: row.note })}</p>
              ) : null}
              <p className="mt-0.5 text-faint text-xs">
                {row.requested_by ? `${t('upgrade-requests.asked_by', { who: row.requested_by })} · ` : ''}
                <Time value={row.created_at} mode="relative" />
              </p>
            </div>
            {canWrite ? (
              <div className="flex gap-2">
                <Button
                  size="sm"
                  disabled={decide.pending}
                  onClick={() => void decide.run({ id: row.id, status: 'declined' })}
                >
                  {t('upgrade-requests.decline')}
                </Button>
                <Button
                  size="sm"
                  variant="primary"
                  disabled={decide.pending}
                  onClick={() => void decide.run({ id: row.id, status: 'accepted' })}
                >
                  {t('upgrade-requests.accept')}
                </Button>
              </div>
            ) : null}
          </li>
        ))}
      </ul>
    </Card>
  )
}

const nameOf = ({ customer }: Request) => customer.name ?? customer.external_id
