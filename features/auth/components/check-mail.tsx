'use client'

import { MailCheck } from 'lucide-react'
import { useEffect, useRef } from 'react'
import { Button } from '@/libs/ui/button'
import { t } from '@/libs/ui/messages'

/** What takes the place of a form once a mail is on its way, and the way back to it; the focus goes here, so that it is read out. */
export function CheckMail({ text, onAgain }: { text: string; onAgain: () => void }) {
  const heading = useRef<HTMLHeadingElement>(null)
  useEffect(() => heading.current?.focus(), [])
  return (
    <div className="flex flex-col gap-3">
      <h2 ref={heading} tabIndex={-1} className="flex items-center gap-2 font-semibold text-lg outline-none">
        <MailCheck aria-hidden="true" className="size-5 text-success-text" />
        {t('auth.check_mail.title')}
      </h2>
      <p className="break-words text-mute text-sm">{text}</p>
      <p className="text-faint text-sm">{t('auth.check_mail.nothing')}</p>
      <Button onClick={onAgain}>{t('auth.check_mail.again')}</Button>
    </div>
  )
}
