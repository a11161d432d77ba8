import { mkdir, rename, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import nodemailer, { type SendMailOptions } from 'nodemailer'
import { env } from '@/libs/env'
import { newId } from '@/libs/ids'

export type Mail = {
  to: string
  subject: string
  text: string
  html: string
  /** Name beside the address of MAIL_FROM; the name in MAIL_FROM when left out. */
  from_name?: string
  /** Names the mail for good: sending it twice under one id makes a copy that can be told. A UUID. */
  id?: string
}

export type SentMail = { id: string; via: 'smtp' | 'file'; response: string }

const PATIENCE_MS = 20_000

/** MAIL_FROM as address and name: `Holdfast <no-reply@example.com>` or an address alone. */
function readSender(): { name: string; address: string } {
  const match = /^\s*"?([^"<]*?)"?\s*<([^<>]+)>\s*$/.exec(env().MAIL_FROM)
  return match ? { name: match[1] ?? '', address: match[2] ?? '' } : { name: '', address: env().MAIL_FROM.trim() }
}

/**
 * Sends one mail by SMTP_URL, within `patienceMs` (twenty seconds); without it writes the mail to MAIL_DIR as `<time>-<id>.eml`, where a
 * file appears under its name only when it is whole.
 * @throws Error of the mail server or of the file system; see isPermanentMailError.
 */
export async function sendMail(mail: Mail, patienceMs = PATIENCE_MS): Promise<SentMail> {
  const id = mail.id ?? newId()
  const sender = readSender()
  const domain = sender.address.split('@').at(-1) || 'localhost'
  const message: SendMailOptions & { signal: AbortSignal } = {
    from: { name: mail.from_name ?? sender.name, address: sender.address },
    // As an object: a text would be read as a list of recipients.
    to: { name: '', address: mail.to },
    subject: mail.subject,
    text: mail.text,
    html: mail.html,
    messageId: `<${id}@${domain}>`,
    headers: { 'Auto-Submitted': 'auto-generated' },
    textEncoding: 'quoted-printable',
    // Nothing in a mail may make us open a file or fetch an address.
    disableFileAccess: true,
    disableUrlAccess: true,
    signal: AbortSignal.timeout(patienceMs),
  }
  const { SMTP_URL, MAIL_DIR } = env()
  if (SMTP_URL) {
    const { response } = await nodemailer
      .createTransport(SMTP_URL)
      .sendMail(message)
      .catch((error: Error) => {
        if (!message.signal.aborted) throw error
        throw new Error(`The mail server took longer than ${patienceMs / 1_000} seconds.`, { cause: error })
      })
    return { id, via: 'smtp', response }
  }
  const { message: raw } = await nodemailer.createTransport({ streamTransport: true, buffer: true }).sendMail(message)
  const name = `${new Date().toISOString().replaceAll(/[:.]/g, '-')}-${id}`
  await mkdir(MAIL_DIR, { recursive: true })
  await writeFile(join(MAIL_DIR, `.${name}.partial`), raw as Buffer, { mode: 0o600 })
  await rename(join(MAIL_DIR, `.${name}.partial`), join(MAIL_DIR, `${name}.eml`))
  return { id, via: 'file', response: `${name}.eml` }
}

/** Whether trying again is of no use: the mail server said no for good (5xx), or there is no valid recipient. */
export function isPermanentMailError(error: unknown): boolean {
  if (!(error instanceof Error)) return false
  const { responseCode, code } = error as Error & { responseCode?: number; code?: string }
  // A refused log-in is our configuration, not the mail: it is put right and then everything goes out.
  if (code === 'EAUTH') return false
  return (responseCode !== undefined && responseCode >= 500) || (code === 'EENVELOPE' && responseCode === undefined)
}
