import type { Metadata } from 'next'
import type { ReactNode } from 'react'
import { OperatorFrame } from '@/features/operator/components/operator-frame'
import { requirePageOperator } from '@/libs/auth/page-access'
import { t } from '@/libs/ui/messages'

export const metadata: Metadata = {
  title: { default: t('ui.shell.operator'), template: `%s · ${t('ui.shell.operator')}` },
}

export default async function OperatorLayout({ children }: { children: ReactNode }) {
  const { user, role } = await requirePageOperator()
  return (
    <OperatorFrame role={role} email={user.email}>
      {children}
    </OperatorFrame>
  )
}
