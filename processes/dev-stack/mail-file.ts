import { randomUUID } from 'node:crypto'
import { mkdir, rename, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import nodemailer from 'nodemailer'

export type Mail = { to: string; subject: string; text: string; html: string }

/**
 * Sends a mail by SMTP when `smtpUrl` is set, else writes it to `directory` as `<time>-<id>.eml`. A file appears under its
 * name only when it is complete, and only for us: links in it open accounts.
 */
export async function deliverMail(
  mail: Mail,
  from: string,
  directory: string,
  smtpUrl: string | undefined,
): Promise<void> {
  const message = { from, ...mail, textEncoding: 'quoted-printable' as const }
  if (smtpUrl) {
    await nodemailer.createTransport(smtpUrl).sendMail(message)
    return
  }
  const { message: raw } = await nodemailer.createTransport({ streamTransport: true, buffer: true }).sendMail(message)
  await mkdir(directory, { recursive: true })
  const name = `${new Date().toISOString().replace(/[:.]/g, '-')}-${randomUUID()}`
  await writeFile(join(directory, `.${name}.partial`), raw, { mode: 0o600 })
  await rename(join(directory, `.${name}.partial`), join(directory, `${name}.eml`))
}
