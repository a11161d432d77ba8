import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { env } from '@/libs/env'
import { type ReadMail, readMail } from './read-mail'

/** A mail in MAIL_DIR; `id` is its file name without `.eml`. */
export type StoredMail = ReadMail & { id: string }

const NAME = /^[\w-]{1,200}$/

/**
 * Whether mails are files that a page may show: only without a mail server, and only in development or where MAIL_PAGE
 * says so, because they hold links that sign people in.
 */
export function isMailPageOpen(): boolean {
  const { SMTP_URL, NODE_ENV, MAIL_PAGE } = env()
  return !SMTP_URL && (NODE_ENV !== 'production' || MAIL_PAGE)
}

/** The newest hundred mails, newest first. An absent directory holds none. */
export async function listStoredMails(): Promise<StoredMail[]> {
  const names = await readdir(env().MAIL_DIR).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return []
    throw error
  })
  const newest = names
    .filter((name) => name.endsWith('.eml') && NAME.test(name.slice(0, -4)))
    .sort()
    .reverse()
    .slice(0, 100)
  const mails = await Promise.all(newest.map((name) => findStoredMail(name.slice(0, -4))))
  return mails.filter((mail) => mail !== null)
}

/** One mail, null when there is none of this id. */
export async function findStoredMail(id: string): Promise<StoredMail | null> {
  if (!NAME.test(id)) return null
  try {
    return { id, ...readMail(await readFile(join(env().MAIL_DIR, `${id}.eml`))) }
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return null
    throw error
  }
}

/** The addresses a mail links to, each once: those of its text, then further ones of its HTML. */
export function listLinks({ text, html }: Pick<ReadMail, 'text' | 'html'>): string[] {
  const inText = (text ?? '').match(/https?:\/\/[^\s<>"')\]]+/g) ?? []
  const inHtml = [...(html ?? '').matchAll(/href\s*=\s*(?:"([^"]*)"|'([^']*)')/gi)].map((match) =>
    unescapeHtml(match[1] ?? match[2] ?? ''),
  )
  return [...new Set([...inText, ...inHtml])].filter(
    (address) => /^https?:\/\//i.test(address) && URL.canParse(address),
  )
}

function unescapeHtml(text: string): string {
  return text
    .replaceAll(/&quot;/g, '"')
    .replaceAll(/&#0?39;|&#x27;/gi, "'")
    .replaceAll(/&lt;/g, '<')
    .replaceAll(/&gt;/g, '>')
    .replaceAll(/&#x3d;/gi, '=')
    .replaceAll(/&amp;/g, '&')
}
