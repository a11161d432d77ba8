'use client'

import { DoorOpen, UserPlus } from 'lucide-react'
import { useState } from 'react'
import { InviteLoginDialog } from '@/features/customer-logins/components/invite-login-dialog'
import { type CustomerLogin, LoginRow } from '@/features/customer-logins/components/login-row'
import { type Page, toQuery } from '@/libs/ui/api-client'
import { Button } from '@/libs/ui/button'
import { Card } from '@/libs/ui/card'
import { ConfirmDialog } from '@/libs/ui/confirm-dialog'
import { t } from '@/libs/ui/messages'
import { Loading, Skeleton } from '@/libs/ui/skeleton'
import { EmptyState, ErrorState } from '@/libs/ui/states'
import { toast } from '@/libs/ui/toast'
import { useApi, useApiFetch, useMutation } from '@/libs/ui/use-api'

const STEP = 10
const MOST = 200

/**
 * Who may sign in to the portal as a customer: invite by e-mail, invite again, end access. `customerId` is the customer's
 * id or external id.
 */
export function PortalAccessCard({ customerId: ref, canWrite }: { customerId: string; canWrite: boolean }) {
  const [limit, setLimit] = useState(STEP)
  const customer = useApi<{ id: string }>(`/customers/${encodeURIComponent(ref)}`)
  const customerId = customer.data?.id ?? null
  const logins = useApi<Page<CustomerLogin>>(
    customerId === null ? null : `/customer-logins${toQuery({ customer_id: customerId, limit })}`,
  )
  const api = useApiFetch()
  const [inviting, setInviting] = useState(false)
  const [ending, setEnding] = useState<CustomerLogin | null>(null)
  const again = useMutation(
    ({ email }: CustomerLogin, options) =>
      api<CustomerLogin>('/customer-logins', { method: 'POST', body: { customer_id: customerId, email }, ...options }),
    {
      onSuccess: ({ email }) => {
        toast.success(t('customer-logins.invited', { email }))
        logins.reload()
      },
      onError: (problem) => {
        toast.problem(problem)
        logins.reload()
      },
      rows: true,
    },
  )
  const rows = logins.data?.data
  const failed = customer.error ? customer : logins
  const accepted = ending?.status === 'accepted'
  const email = ending?.email ?? ''

  async function end(login: CustomerLogin) {
    await api(`/customer-logins/${login.id}`, { method: 'DELETE' })
    toast.success(t('customer-logins.ended', { email: login.email }))
    logins.reload()
  }

  return (
    <Card
      title={t('customer-logins.title')}
      description={t('customer-logins.description')}
      padded={false}
      actions={
        canWrite && customerId ? (
          <Button size="sm" icon={<UserPlus />} onClick={() => setInviting(true)}>
            {t('customer-logins.invite')}
          </Button>
        ) : null
      }
    >
      {!rows && failed.error ? (
        <ErrorState error={failed.error} onRetry={failed.reload} className="py-6!" />
      ) : !rows ? (
        <Loading className="flex flex-col gap-3 px-4 pb-4 sm:px-5">
          <Skeleton className="h-5 w-2/3" />
          <Skeleton className="h-5 w-1/2" />
        </Loading>
      ) : rows.length === 0 ? (
        <EmptyState
          icon={<DoorOpen />}
          title={t('customer-logins.empty.title')}
          description={t('customer-logins.empty.description')}
          className="py-6!"
        />
      ) : (
        <>
          <ul aria-label={t('customer-logins.list')} className="border-t">
            {rows.map((login) => (
              <LoginRow
                key={login.id}
                login={login}
                canWrite={canWrite}
                onInviteAgain={() => void again.run(login)}
                onEnd={() => setEnding(login)}
              />
            ))}
          </ul>
          {logins.data?.next_cursor && limit < MOST ? (
            <div className="border-t px-4 py-2 sm:px-5">
              <Button
                variant="ghost"
                size="sm"
                loading={logins.refreshing}
                onClick={() => setLimit(Math.min(MOST, limit * 5))}
              >
                {t('customer-logins.more')}
              </Button>
            </div>
          ) : null}
        </>
      )}
      {customerId ? (
        <InviteLoginDialog
          customerId={customerId}
          open={inviting}
          onOpenChange={setInviting}
          onInvited={(login) => {
            setInviting(false)
            toast.success(t('customer-logins.invited', { email: login.email }))
            logins.reload()
          }}
        />
      ) : null}
      <ConfirmDialog
        open={ending !== null}
        onOpenChange={(open) => !open && setEnding(null)}
        tone="danger"
        title={t(accepted ? 'customer-logins.confirm.end_title' : 'customer-logins.confirm.withdraw_title', { email })}
        description={t(
          accepted ? 'customer-logins.confirm.end_description' : 'customer-logins.confirm.withdraw_description',
        )}
        confirmLabel={t(accepted ? 'customer-logins.end' : 'customer-logins.withdraw')}
        onConfirm={async () => ending && end(ending)}
      />
    </Card>
  )
}
