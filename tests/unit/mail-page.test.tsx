import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { renderToStaticMarkup } from 'react-dom/server'
import { afterAll, beforeEach, describe, expect, test } from 'vitest'
import MailPage from '@/app/(platform)/dev/mail/[id]/page'
import MailListPage from '@/app/(platform)/dev/mail/page'
import { forgetEnv } from '@/libs/env'
import { isMailPageOpen } from '@/libs/mail/mail-directory'
import { sendMail } from '@/libs/mail/send-mail'
import texts from '@/messages/en/mail.json'

const directory = await mkdtemp(join(tmpdir(), 'holdfast-mail-'))
afterAll(() => rm(directory, { recursive: true, force: true }))

function setVariables(values: Record<string, string | undefined>): void {
  for (const [name, value] of Object.entries(values)) {
    if (value === undefined) delete process.env[name]
    else process.env[name] = value
  }
  forgetEnv()
}
beforeEach(() => setVariables({ MAIL_DIR: directory, NODE_ENV: 'test', MAIL_PAGE: undefined, SMTP_URL: undefined }))

const showOne = async (id: string) => renderToStaticMarkup(await MailPage({ params: Promise.resolve({ id }) }))

describe('the page of mails', () => {
  test('without mails says what will be here', async () => {
    expect(renderToStaticMarkup(await MailListPage())).toContain(texts.empty.title)
  })

  test('lists them, newest first, and shows one with links to follow', async () => {
    const mail = {
      subject: 'First',
      text: 'Open http://acme.localhost:3000/join?token=a&b=1',
      html: '<a href="https://x.test">x</a>',
    }
    const first = await sendMail({ ...mail, to: 'ann@example.test' })
    await new Promise((resolve) => setTimeout(resolve, 5))
    await sendMail({ ...mail, subject: '<script>alert(1)</script>', to: 'bob@example.test' })
    await writeFile(join(directory, '.half.partial'), 'Subject: half')
    const list = renderToStaticMarkup(await MailListPage())
    expect(list.indexOf('bob@example.test')).toBeLessThan(list.indexOf('ann@example.test'))
    expect(list).not.toMatch(/<script>|half/)
    const one = await showOne(first.response.replace('.eml', ''))
    expect(one).toContain('href="http://acme.localhost:3000/join?token=a&amp;b=1"')
    expect(one).toContain('href="https://x.test"')
  })

  test('what is not there is not found, and no path leads out of the directory', async () => {
    for (const id of ['nothing', '../mail', '..%2Fmail', ''])
      await expect(showOne(id)).rejects.toThrow(/NEXT_HTTP_ERROR_FALLBACK;404/)
  })

  test('is closed in production and wherever mails really go out', async () => {
    for (const values of [
      { NODE_ENV: 'production' },
      { SMTP_URL: 'smtp://localhost:25' },
      { SMTP_URL: 'smtp://localhost:25', MAIL_PAGE: 'true' },
    ]) {
      setVariables({ NODE_ENV: 'test', SMTP_URL: undefined, MAIL_PAGE: undefined, ...values })
      await expect(MailListPage()).rejects.toThrow(/404/)
      await expect(showOne('x')).rejects.toThrow(/404/)
    }
    setVariables({ NODE_ENV: 'production', SMTP_URL: undefined, MAIL_PAGE: 'true' })
    expect(isMailPageOpen()).toBe(true)
  })
})
