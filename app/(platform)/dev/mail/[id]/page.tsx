import { notFound } from 'next/navigation'
import { findStoredMail, isMailPageOpen, listLinks } from '@/libs/mail/mail-directory'
import { Card, KeyValueList } from '@/libs/ui/card'
import { PageHeader } from '@/libs/ui/page-header'
import { Time } from '@/libs/ui/time'
import texts from '@/messages/en/mail.json'

/** One mail as text, with its links to follow: plain links, because fetching one ahead of time would use it up. */
export default async function MailPage({ params }: { params: Promise<{ id: string }> }) {
  if (!isMailPageOpen()) notFound()
  const mail = await findStoredMail((await params).id)
  if (!mail) notFound()
  const links = listLinks(mail)
  return (
    <>
      <PageHeader
        title={mail.subject || texts.no_subject}
        breadcrumbs={[{ label: texts.title, href: '/dev/mail' }, { label: mail.subject || texts.no_subject }]}
      />
      <div className="flex flex-col gap-4">
        <Card>
          <KeyValueList
            items={[
              { label: texts.from, value: mail.from },
              { label: texts.to, value: mail.to },
              { label: texts.date, value: <Time value={mail.date?.toISOString() ?? null} /> },
            ]}
          />
        </Card>
        {links.length > 0 ? (
          <Card title={texts.links}>
            <ul className="flex flex-col gap-2">
              {links.map((address) => (
                <li key={address}>
                  <a href={address} rel="noreferrer" className="break-all text-accent-text text-sm underline">
                    {address}
                  </a>
                </li>
              ))}
            </ul>
          </Card>
        ) : null}
        <Card title={texts.text}>
          <div className="whitespace-pre-wrap break-words text-sm">{mail.text?.trim() || texts.no_text}</div>
        </Card>
      </div>
    </>
  )
}
