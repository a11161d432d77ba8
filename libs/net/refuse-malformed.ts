import { type IncomingMessage, type Server, type ServerResponse, STATUS_CODES } from 'node:http'
import type { Duplex } from 'node:stream'
import { problemResponse } from '@/libs/api-utils/problem'
import { AppError } from '@/libs/errors'
import { newId } from '@/libs/ids'
import { log } from '@/libs/log'

/** How long a client that goes on sending is listened to, so that it can read the answer before the connection is cut. */
const LINGER_MS = 1_000
const METHODS = 'GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS'

type ParserError = Error & { code?: string }

/** What is wrong with bytes that the HTTP parser does not take. */
function explain({ code = '' }: ParserError): AppError {
  switch (code) {
    case 'HPE_HEADER_OVERFLOW':
      return new AppError('headers_too_large', 'The request line and the headers are too large.')
    case 'ERR_HTTP_REQUEST_TIMEOUT':
      return new AppError('request_timeout', 'The request did not arrive in time.')
    case 'HPE_CHUNK_EXTENSIONS_OVERFLOW':
      return new AppError('payload_too_large', 'The extensions of the chunks are too large.')
    case 'HPE_INVALID_METHOD':
      return new AppError('bad_request', 'The method of the request is not one of HTTP.')
    case 'HPE_INVALID_VERSION':
      return new AppError('bad_request', 'The version of HTTP is not one that is spoken here.')
    default:
      return new AppError('bad_request', 'The request is not valid HTTP.')
  }
}

/** A problem document as the bytes of an answer after which the connection ends. */
async function writeProblem(socket: Duplex, error: AppError, more: Record<string, string> = {}): Promise<void> {
  const answer = problemResponse(error, newId())
  const text = await answer.text()
  const headers = {
    ...Object.fromEntries(answer.headers),
    'cache-control': 'private, no-store',
    'x-content-type-options': 'nosniff',
    'content-length': String(Buffer.byteLength(text)),
    connection: 'close',
    ...more,
  }
  const head = Object.entries(headers).map(([name, value]) => `${name}: ${value}\r\n`)
  if (socket.writable)
    socket.end(`HTTP/1.1 ${answer.status} ${STATUS_CODES[answer.status]}\r\n${head.join('')}\r\n${text}`)
  // What is still unread when a connection is closed makes the other side lose the answer: it is read for a moment.
  setTimeout(() => socket.destroy(), LINGER_MS).unref()
}

/** The answer that Node is about to give over a connection. Not part of what it documents; without it none is waited for. */
function answerUnderWay(socket: Duplex): ServerResponse | null {
  const { _httpMessage: response } = socket as Duplex & { _httpMessage?: ServerResponse | null }
  return response ?? null
}

const refused = new WeakSet<Duplex>()

function refuse(error: ParserError, socket: Duplex): void {
  if (refused.has(socket)) return
  refused.add(socket)
  if (error.code === 'ECONNRESET') socket.destroy()
  else answerLast(error, socket)
}

/** What was asked before and is being done gets its own answers first, for what is done is done. */
function answerLast(error: ParserError, socket: Duplex): void {
  const response = answerUnderWay(socket)
  if (!socket.writable) socket.destroy()
  else if (response?.req.complete && !response.destroyed) response.once('close', () => answerLast(error, socket))
  // Half a request is answered here and not by its handler, unless that has begun.
  else if (response?.headersSent) socket.destroy()
  else writeProblem(socket, explain(error)).catch(fail(socket))
}

const fail = (socket: Duplex) => (error: unknown) => {
  log.error({ err: error }, 'a malformed request was not answered')
  socket.destroy()
}

/** Whether a request does not say whom it asks, which from HTTP/1.1 on is an error; servers must leave that to this. */
export function isWithoutHost({ headers, httpVersion }: IncomingMessage): boolean {
  return headers.host === undefined && httpVersion !== '1.0'
}

/**
 * Answers what never becomes a request as everything else that is wrong: with a problem document, 431 for headers that
 * are too large, 408 for what does not arrive in time, 405 for CONNECT, 400 for the rest; then the connection ends.
 */
export function refuseMalformed(server: Server): void {
  server.on('clientError', refuse)
  server.on('connect', (_request: IncomingMessage, socket: Duplex) => {
    socket.on('error', (error) => log.debug({ err: error }, 'a connection that asked for a tunnel broke'))
    socket.resume()
    const error = new AppError('method_not_allowed', 'This server is no proxy.')
    writeProblem(socket, error, { allow: METHODS }).catch(fail(socket))
  })
  // Whoever expects more than 100-continue gets the answer to what they ask for, as others do.
  server.on('checkExpectation', (request: IncomingMessage, response: ServerResponse) => {
    server.emit('request', request, response)
  })
}
