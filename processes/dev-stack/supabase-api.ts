import { AsyncLocalStorage } from 'node:async_hooks'
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import { setTimeout as sleep } from 'node:timers/promises'
import { App } from '@supabase/lite'
import { createPostgresConnection } from '@supabase/lite/postgres'
import { parseJson } from '@/libs/api-utils/read-json'
import { isAllowedRedirect } from './redirects'
import { inRepository } from './repository'

export type SupabaseApiOptions = {
  /** Database of the auth server; the product's tables are never in it. */
  database_url: string
  port: number
  /** Secret (HS256) that signs the access tokens. */
  jwt_secret: string
  publishable_key: string
  secret_key: string
  /** Where links in mails lead when a request names no allowed redirect, e.g. `http://app.localhost:3000/auth/confirm`. */
  site_url: string
  /** Globs of further allowed redirects; `*` stops at `.` and `/`, `**` does not. */
  redirect_urls: string[]
  /** Whether signing up needs a click in a mail before the first sign-in. */
  confirm_email: boolean
  sendMail: (mail: { to: string; subject: string; text: string; html: string }) => Promise<unknown>
}

export type SupabaseApi = { url: string; stop: () => Promise<void> }

const ACCESS_TOKEN_SECONDS = 3_600
const CLOSE_PATIENCE_MS = 3_000
/** The redirect that the request being answered asked for; mails are sent while it is answered. */
const askedRedirect = new AsyncLocalStorage<string | null>()

const MAIL_KINDS = ['confirmation', 'recovery', 'magic_link', 'email_change', 'invite'] as const
const SUBJECTS: Record<(typeof MAIL_KINDS)[number], string> = {
  confirmation: 'Confirm your e-mail address',
  recovery: 'Reset your password',
  magic_link: 'Your sign-in link',
  email_change: 'Confirm your new e-mail address',
  invite: 'You have been invited',
}

/**
 * The Supabase Auth API (`/auth/v1`) on a Postgres database, in this process. Nothing else of Supabase is served: the Data
 * API would be one more way to data, and the product does not use it.
 */
export async function startSupabaseApi(options: SupabaseApiOptions): Promise<SupabaseApi> {
  const connection = createPostgresConnection({ url: options.database_url, postgresOptions: { onnotice: () => {} } })
  const app = new App({
    connection,
    auth: {
      enabled: true,
      jwt_secret: options.jwt_secret,
      jwt_expiry: ACCESS_TOKEN_SECONDS,
      publishable_key: options.publishable_key,
      secret_key: options.secret_key,
      site_url: options.site_url,
      additional_redirect_urls: options.redirect_urls,
      enable_signup: true,
      enable_refresh_token_rotation: true,
      minimum_password_length: 8,
      email: {
        enable_signup: true,
        enable_confirmations: options.confirm_email,
        double_confirm_changes: true,
        otp_expiry: 3_600,
        template: Object.fromEntries(
          MAIL_KINDS.map((kind) => [
            kind,
            { subject: SUBJECTS[kind], content_path: inRepository('supabase', 'templates', `${kind}.html`) },
          ]),
        ),
      },
    },
    options: {
      server: { admin: false },
      drivers: {
        email: {
          send: async (mail: { to: string; subject: string; html?: string }) => {
            const html = leadTo(askedRedirect.getStore(), mail.html ?? '', options)
            await options.sendMail({ to: mail.to, subject: mail.subject, html, text: plainText(html) })
          },
        },
      },
    },
  })
  await app.ensureSystemSchema()
  await app.init()

  const server = createServer((request, response) => {
    answer(request, response, (incoming) => app.fetch(incoming, { peerAddress: request.socket.remoteAddress ?? null }))
  })
  await listen(server, options.port)
  return {
    url: `http://127.0.0.1:${options.port}`,
    stop: async () => {
      await new Promise((resolve) => {
        server.close(resolve)
        server.closeAllConnections()
      })
      // A statement that does not come to its end must not hold up ours: Postgres takes it back when the connection goes.
      await Promise.race([connection.close(), sleep(CLOSE_PATIENCE_MS, undefined, { ref: false })])
    },
  }
}

async function answer(
  request: IncomingMessage,
  response: ServerResponse,
  handle: (request: Request) => Response | Promise<Response>,
): Promise<void> {
  try {
    const url = readUrl(request)
    const given = url?.pathname.startsWith('/auth/v1/')
      ? await askedRedirect.run(url.searchParams.get('redirect_to'), async () => handle(await webRequest(request, url)))
      : notServed()
    // What it has no route for, the library answers with a page of its own.
    const result = given.headers.get('content-type')?.startsWith('text/html') ? notServed() : given
    response.writeHead(result.status, Object.fromEntries(result.headers))
    response.end(Buffer.from(await result.arrayBuffer()))
  } catch (error) {
    const { status, message } = error instanceof BodyRefused ? error : INTERNAL
    if (status === 500) process.stderr.write(`${error instanceof Error ? error.stack : String(error)}\n`)
    if (!response.headersSent) response.writeHead(status, { 'content-type': 'application/json', connection: 'close' })
    response.end(
      JSON.stringify({ code: status, error_code: status === 400 ? 'bad_json' : undefined, msg: message, message }),
    )
  }
}

function notServed(): Response {
  return Response.json({ message: 'Only /auth/v1 is served here.' }, { status: 404 })
}

/** The address that is asked for; null where it, or the Host header, is none. */
function readUrl({ url = '/', headers }: IncomingMessage): URL | null {
  const base = `http://${headers.host ?? '127.0.0.1'}`
  return URL.canParse(url, base) ? new URL(url, base) : null
}

const MAX_BODY_BYTES = 1_048_576

/** What the library takes as it comes, and fails on where it is none. */
const TEXTS = ['email', 'phone', 'password', 'type', 'token', 'token_hash', 'refresh_token', 'nonce', 'auth_code']
const INTERNAL = { status: 500, message: 'Internal error' }

class BodyRefused extends Error {
  readonly status: number

  constructor(status: number, message: string) {
    super(message)
    this.status = status
  }
}

/** Refuses what is no object of JSON, or holds what no text of the database can: with the library that is a fault of the server. */
function checkBody(text: string): void {
  if (text === '') return
  let body: unknown
  try {
    body = parseJson(text, { verbatim: true })
  } catch (error) {
    throw new BodyRefused(400, error instanceof Error ? error.message : 'The body cannot be read.')
  }
  if (typeof body !== 'object' || body === null || Array.isArray(body))
    throw new BodyRefused(400, 'The body is not an object of JSON.')
  const wrong = Object.entries(body).find(([name, value]) => TEXTS.includes(name) && typeof value !== 'string')?.[0]
  if (wrong) throw new BodyRefused(400, `${wrong} is not a text.`)
}

async function webRequest(request: IncomingMessage, url: URL): Promise<Request> {
  const headers = new Headers()
  for (const [name, value] of Object.entries(request.headers)) {
    if (value !== undefined) headers.set(name, Array.isArray(value) ? value.join(', ') : value)
  }
  const method = request.method ?? 'GET'
  if (method === 'GET' || method === 'HEAD') return new Request(url, { method, headers })
  const chunks: Buffer[] = []
  let size = 0
  for await (const chunk of request) {
    size += chunk.length
    if (size > MAX_BODY_BYTES) throw new BodyRefused(413, 'The request body is too large.')
    chunks.push(chunk)
  }
  const body = Buffer.concat(chunks)
  checkBody(body.toString())
  return new Request(url, { method, headers, body })
}

function listen(server: Server, port: number): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', reject)
    server.listen(port, '127.0.0.1', resolve)
  })
}

/** The links of a mail, which the library points at the site, led to the host that asked for it where that is allowed. */
function leadTo(redirect: string | null | undefined, html: string, options: SupabaseApiOptions): string {
  if (!redirect || !isAllowedRedirect(redirect, options.site_url, options.redirect_urls)) return html
  const { origin, pathname } = new URL(redirect)
  return html.replaceAll(`href="${options.site_url}?`, () => `href="${origin}${pathname}?`)
}

/** The words of a mail with its links written out, for readers without HTML. */
function plainText(html: string): string {
  return html
    .replace(/<(style|head)[\s\S]*?<\/\1>/g, '')
    .replace(/<a [^>]*href="([^"]+)"[^>]*>[\s\S]*?<\/a>/g, '$1')
    .replace(/<[^>]+>/g, '')
    .replaceAll('&amp;', '&')
    .split('\n')
    .map((line) => line.trim())
    .join('\n')
    .replace(/\n{3,}/g, '\n\n')
    .trim()
}
