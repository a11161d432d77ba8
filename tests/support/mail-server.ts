import type { AddressInfo } from 'node:net'
import { SMTPServer } from 'smtp-server'
import { type ReadMail, readMail } from '@/libs/mail/read-mail'

export type ReceivedMail = ReadMail & { recipients: string[]; raw: string }

/** What the server says to a recipient: an SMTP status with a text, or nothing to accept. */
type Verdict = { status: number; text: string } | null

/** A mail server that keeps what it is sent. `judge` and `beforeAccept` may be changed at any time. */
export async function startMailServer() {
  const state = {
    received: [] as ReceivedMail[],
    judge: (_recipient: string): Verdict => null,
    /** Runs when a whole mail is there and not yet accepted. */
    beforeAccept: (_mail: ReceivedMail): Promise<void> => Promise.resolve(),
    url: '',
    stop: () => new Promise<void>((resolve) => server.close(() => resolve())),
  }
  const server = new SMTPServer({
    authOptional: true,
    disabledCommands: ['AUTH', 'STARTTLS'],
    logger: false,
    onRcptTo: ({ address }, _session, callback) => {
      const verdict = state.judge(address)
      callback(verdict ? Object.assign(new Error(verdict.text), { responseCode: verdict.status }) : null)
    },
    onData: (stream, session, callback) => {
      const chunks: Buffer[] = []
      stream.on('data', (chunk: Buffer) => chunks.push(chunk))
      stream.on('end', () => {
        const raw = Buffer.concat(chunks)
        const recipients = session.envelope.rcptTo.map(({ address }) => address)
        const mail = { ...readMail(raw), recipients, raw: raw.toString() }
        void state.beforeAccept(mail).then(() => {
          state.received.push(mail)
          callback()
        })
      })
    },
  })
  // A client that is killed cuts its connection; that is the case to be tested, not a fault of the server.
  server.on('error', () => undefined)
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  state.url = `smtp://127.0.0.1:${(server.server.address() as AddressInfo).port}`
  return state
}
