import { Mail, RotateCw } from 'lucide-react'
import { notFound } from 'next/navigation'
import { isMailPageOpen, listStoredMails } from '@/libs/mail/mail-directory'
import { LinkButton } from '@/libs/ui/button'
import { Card } from '@/libs/ui/card'
import { PageHeader } from '@/libs/ui/page-header'
import { EmptyState } from '@/libs/ui/states'
import { Time } from '@/libs/ui/time'
import texts from '@/messages/en/mail.json'

export default async function MailListPage() {
  if (!isMailPageOpen()) notFound()
  const mails = await listStoredMails()
  return (
    <>
      <PageHeader
        title={texts.title}
        description={texts.description}
        actions={
          <LinkButton href="/dev/mail" prefetch={false} icon={<RotateCw />}>
            {texts.refresh}
          </LinkButton>
        }
      />
      <Card padded={false}>
        {mails.length === 0 ? (
          <EmptyState icon={<Mail />} title={texts.empty.title} description={texts.empty.description} />
        ) : (
          <ul aria-label={texts.list} className="divide-y">
            {mails.map((mail) => (
              <li key={mail.id} className="relative px-4 py-3 hover:bg-hover sm:px-5">
                <div className="flex flex-wrap items-baseline justify-between gap-x-4 gap-y-0.5">
                  <a
                    href={`/dev/mail/${mail.id}`}
                    className="min-w-0 break-words font-medium after:absolute after:inset-0"
                  >
                    {mail.subject || texts.no_subject}
                  </a>
                  <Time
                    value={mail.date?.toISOString() ?? null}
                    mode="relative"
                    className="relative text-faint text-sm"
                  />
                </div>
                <p className="mt-0.5 break-all text-mute text-sm">
                  {texts.to} {mail.to}
                </p>
              </li>
            ))}
          </ul>
        )}
      </Card>
    </>
  )
}
