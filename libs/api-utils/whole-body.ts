import { readBytes, type WholeBody } from './read-json'

/**
 * A request whose body has arrived, up to the 1 MiB that any route takes. Before a transaction is opened: who sends slowly
 * would hold a connection of the database meanwhile, and a few of them all there are.
 * @throws AppError payload_too_large, bad_request.
 */
export async function takeWholeBody(request: Request): Promise<Request> {
  const body = request.body as Request['body'] | WholeBody
  if (!body || 'whole' in body) return request
  const bytes = new Uint8Array(await readBytes(request))
  const { url, method, headers, signal } = request
  return new Request(url, { method, headers, signal, body: bytes })
}
