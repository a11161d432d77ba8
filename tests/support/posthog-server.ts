import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { gunzipSync } from 'node:zlib'

export type CapturedEvent = {
  uuid: string
  event: string
  distinct_id: string
  timestamp: string
  properties: Record<string, unknown> & { $groups?: Record<string, string> }
}
type Batch = { api_key: string; batch: CapturedEvent[] }

/** What the server answers to a batch; `hang` never answers. */
type Answer = number | 'hang' | { status: number; retry_after: string }

/** A server that takes batches as PostHog does and remembers them. `answer` may be changed at any time. */
export async function startPostHogServer() {
  const batches: Batch[] = []
  const state = {
    /** Events of batches that were accepted, in order. */
    accepted: [] as CapturedEvent[],
    batches,
    answer: (_batch: Batch): Answer | Promise<Answer> => 200,
    url: '',
    stop: () =>
      new Promise<void>((resolve) => {
        server.closeAllConnections()
        server.close(() => resolve())
      }),
  }
  const server = createServer(async (request, response) => {
    const chunks: Buffer[] = []
    for await (const chunk of request) chunks.push(chunk as Buffer)
    const body = Buffer.concat(chunks)
    const text = request.headers['content-encoding'] === 'gzip' ? gunzipSync(body).toString() : body.toString()
    const batch = JSON.parse(text) as Batch
    batches.push(batch)
    const answer = await state.answer(batch)
    if (answer === 'hang') return
    if (answer === 200) state.accepted.push(...batch.batch)
    const { status, retry_after = undefined } = typeof answer === 'number' ? { status: answer } : answer
    const headers = { 'content-type': 'application/json', ...(retry_after ? { 'retry-after': retry_after } : {}) }
    response.writeHead(status, headers).end('{"status":1}')
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  state.url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  return state
}
