import { mkdtempSync, readdirSync, rmSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { forgetEnv } from '@/libs/env'
import { sendMail } from '@/libs/mail/send-mail'

const before = { ...process.env }
let directory = ''
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'holdfast-mails-'))
  process.env = { ...before, MAIL_DIR: directory, SMTP_URL: '' }
  forgetEnv()
})
afterEach(() => {
  process.env = { ...before }
  forgetEnv()
  rmSync(directory, { recursive: true, force: true })
})

test('a mail in a file is its owner’s alone to read: its links open accounts', async () => {
  const mail = { to: 'somebody@example.test', subject: 'Reset your password', text: 'link', html: '<p>link</p>' }
  await sendMail(mail)
  const files = readdirSync(directory)
  expect(files.map((name) => statSync(join(directory, name)).mode & 0o777)).toEqual([0o600])
  expect(files.filter((name) => !name.endsWith('.eml'))).toEqual([])
})
