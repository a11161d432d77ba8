type Init = { status?: number; headers?: Iterable<readonly [string, string]> | Record<string, string> }

type SmallResponse = {
  status: number
  ok: boolean
  headers: Map<string, string>
  body: string | null
  text: () => string
  clone: () => SmallResponse
}

const isPairs = (headers: Init['headers']): headers is Iterable<readonly [string, string]> =>
  headers !== undefined && Symbol.iterator in headers

/**
 * What handlers and the wrapper use of a Response: a text, a status, headers. The real one turns a text into a stream and
 * back again, which costs a tenth of what a small request costs in all.
 */
function createResponse(content: unknown, { status = 200, headers }: Init = {}): SmallResponse {
  const text = typeof content === 'string' ? content : ''
  const response: SmallResponse = {
    status,
    ok: status >= 200 && status < 300,
    // Names are written in lower case throughout; a Map keeps them as a Headers would.
    headers: new Map(isPairs(headers) ? headers : Object.entries(headers ?? {})),
    body: text === '' ? null : text,
    text: () => text,
    // A text can be read as often as one likes.
    clone: () => response,
  }
  return response
}

/** Puts the small response in the place of the global one, for a process that does nothing but answer with JSON. */
export function installSmallResponse(): void {
  function SmallResponse(content: unknown, init?: Init) {
    return createResponse(content, init)
  }
  SmallResponse.json = (data: unknown, init: Init = {}) => {
    const response = createResponse(JSON.stringify(data), init)
    response.headers.set('content-type', 'application/json')
    return response
  }
  globalThis.Response = SmallResponse as unknown as typeof Response
}
