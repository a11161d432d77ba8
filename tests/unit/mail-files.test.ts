import { mkdtempSync, readdirSync, rmSync, statSync } from 'node:fs'
import { type AddressInfo, createServer, type Socket } from 'node:net'
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

test('a mail server that says nothing is given up, and the error says why', async () => {
  const open = new Set<Socket>()
  const server = createServer((socket) => open.add(socket.on('error', () => open.delete(socket))))
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  process.env.SMTP_URL = `smtp://127.0.0.1:${(server.address() as AddressInfo).port}`
  forgetEnv()
  const mail = { to: 'somebody@example.test', subject: 'Hello', text: 'hello', html: '<p>hello</p>' }
  await expect(sendMail(mail, 500)).rejects.toThrow('The mail server took longer than 0.5 seconds.')
  for (const socket of open) socket.destroy()
  await new Promise((resolve) => server.close(resolve))
})
