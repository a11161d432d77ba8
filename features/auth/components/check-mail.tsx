'use client'

import { MailCheck } from 'lucide-react'
import { useEffect, useRef } from 'react'
import { t } from '@/libs/ui/messages'

/** What takes the place of a form once a mail is on its way; the focus goes to it, so that it is read out. */
export function CheckMail({ text }: { text: string }) {
  const heading = useRef<HTMLHeadingElement>(null)
  useEffect(() => heading.current?.focus(), [])
  return (
    <div className="flex flex-col gap-3">
      <h2 ref={heading} tabIndex={-1} className="flex items-center gap-2 font-semibold text-lg outline-none">
        <MailCheck aria-hidden="true" className="size-5 text-success-text" />
        {t('auth.check_mail.title')}
      </h2>
      <p className="break-words text-mute text-sm">{text}</p>
      <p className="text-faint text-sm">{t('auth.check_mail.again')}</p>
    </div>
  )
}
