import type { IncomingMessage, ServerResponse } from 'node:http'
import { problemResponse } from '@/libs/api-utils/problem'
import { AppError } from '@/libs/errors'
import { newId } from '@/libs/ids'
import { log } from '@/libs/log'
import { SECURITY_HEADERS } from '@/libs/tenancy/security-headers'

/** The methods that anything answers at all; others break Next before it has found a route. */
export const METHODS: ReadonlySet<string> = new Set(['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS'])

/** Writes an answer of ours in the place of one of Next's. */
export async function send(response: ServerResponse, answer: Response): Promise<void> {
  response.writeHead(answer.status, {
    ...Object.fromEntries(answer.headers),
    'cache-control': 'private, no-store',
    ...SECURITY_HEADERS,
  })
  response.end(await answer.text())
}

/** 405 with the methods there are. */
export function methodNotAllowed(allow: string): Response {
  const answer = problemResponse(new AppError('method_not_allowed', `This address takes ${allow}.`), newId())
  answer.headers.set('allow', allow)
  return answer
}

/** The methods there are, for whoever asks with OPTIONS. */
export function tellMethods(allow: string): Response {
  return new Response(null, { status: 204, headers: { allow } })
}

/** The methods of a route, as it says itself when it is asked with OPTIONS where this request came in. */
async function askMethods({ socket, url, headers }: IncomingMessage): Promise<string> {
  const { localAddress = '127.0.0.1', localPort } = socket
  const address = localAddress.includes(':') ? `[${localAddress}]` : localAddress
  try {
    const answer = await fetch(`http://${address}:${localPort}${url}`, {
      method: 'OPTIONS',
      headers: { host: headers.host ?? address },
      signal: AbortSignal.timeout(5_000),
    })
    return answer.headers.get('allow') ?? 'GET'
  } catch (error) {
    log.error({ err: error }, 'the methods of a route are not known')
    return 'GET'
  }
}

/**
 * Makes a whole answer of the 405 without headers or body that Next has for a method which a route of the API does not
 * know: a problem document that names those it does.
 */
export function explainMethods(request: IncomingMessage, response: ServerResponse): void {
  const { writeHead, flushHeaders, write, end } = response
  let taken = false
  const takeOver = (status = response.statusCode): boolean => {
    if (taken || response.headersSent || status !== 405 || response.hasHeader('content-type')) return taken
    taken = true
    void askMethods(request).then((allow) => {
      // Whatever else was put around them meanwhile, such as compression, has no part in this answer.
      Object.assign(response, { writeHead, flushHeaders, write, end })
      response.removeHeader('x-middleware-rewrite')
      return send(response, methodNotAllowed(allow))
    })
    return true
  }
  Object.assign(response, {
    writeHead: (...head: Parameters<typeof writeHead>) => {
      if (takeOver(head[0])) return response
      // Where a path leads inside is nobody's business, and as long as what was asked.
      response.removeHeader('x-middleware-rewrite')
      return writeHead.apply(response, head)
    },
    flushHeaders: () => takeOver() || flushHeaders.call(response),
    write: (...content: Parameters<typeof write>) => takeOver() || write.apply(response, content),
    end: (...content: Parameters<typeof end>) => (takeOver() ? response : end.apply(response, content)),
  })
}
