import { connect } from 'node:net'

export type RawAnswer = {
  /** Status lines in the order in which they came. */
  statuses: number[]
  /** Of the last answer. */
  headers: Record<string, string>
  body: string
  /** Whether the server ended the connection. */
  ended: boolean
}

/**
 * Writes bytes to a port as they are, one piece after the other, and gives what comes back until the server ends the
 * connection, nothing has come for `quiet` milliseconds, or that many `answers` are there in whole.
 */
export function sendRaw(
  port: number,
  pieces: string | readonly string[],
  { quiet = 20_000, pause = 0, answers = Number.POSITIVE_INFINITY } = {},
): Promise<RawAnswer> {
  return new Promise((resolve) => {
    const socket = connect({ port, host: '127.0.0.1' })
    let text = ''
    const finish = (ended: boolean) => {
      socket.destroy()
      resolve({ ...readAnswers(text), ended })
    }
    socket.on('data', (chunk) => {
      text += String(chunk)
      const answer = readAnswers(text)
      if (isWhole(answer) && answer.statuses.length >= answers) finish(false)
    })
    socket.on('end', () => finish(true))
    socket.on('error', () => finish(true))
    socket.setTimeout(quiet, () => finish(false))
    const list = typeof pieces === 'string' ? [pieces] : pieces
    for (const [at, piece] of list.entries()) setTimeout(() => socket.write(Buffer.from(piece, 'latin1')), at * pause)
  })
}

function isWhole({ headers, body }: Omit<RawAnswer, 'ended'>): boolean {
  return headers['transfer-encoding'] === 'chunked'
    ? /(?:^|\r\n)0\r\n\r\n$/.test(body)
    : headers['content-length'] === String(Buffer.byteLength(body))
}

function readAnswers(text: string): Omit<RawAnswer, 'ended'> {
  const statuses = [...text.matchAll(/HTTP\/1\.1 (\d{3}) /g)].map(([, status]) => Number(status))
  const last = text.slice(Math.max(0, text.lastIndexOf('HTTP/1.1 ')))
  const [head = '', body = ''] = last.split(/\r\n\r\n(.*)/s)
  const headers = head
    .split('\r\n')
    .slice(1)
    .map((line) => [line.slice(0, line.indexOf(':')).toLowerCase(), line.slice(line.indexOf(':') + 1).trim()])
  return { statuses, headers: Object.fromEntries(headers), body }
}
