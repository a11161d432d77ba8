import { newId } from '@/libs/ids'
import type { Page } from './page'
import { problemResponse } from './problem'

type FileAnswer = { file_name: string; content_type: string; body: ReadableStream<Uint8Array> | string | null }
type Options = { status?: number; headers?: Record<string, string> }

function json(data: unknown, status: number, headers: Record<string, string> = {}): Response {
  const text = JSON.stringify(data)
  const length = String(Buffer.byteLength(text))
  return new Response(text, {
    status,
    headers: { 'content-type': 'application/json', 'content-length': length, ...headers },
  })
}

/** Answers of handlers. Data goes out as it is: an object for one thing, `{data, next_cursor}` for a list. */
export const ApiResponse = Object.freeze({
  /** 200 with `data` as JSON. */
  success: (data: unknown, { status = 200, headers }: Options = {}): Response => json(data, status, headers),
  /** 201 with the created thing. */
  created: (data: unknown, location?: string): Response => json(data, 201, location ? { location } : {}),
  /** 202: accepted, a job does the rest. */
  accepted: (data: unknown): Response => json(data, 202),
  /** 200 with one page of a list. */
  page: ({ data, next_cursor }: Page<unknown>): Response => json({ data, next_cursor }, 200),
  /** 200 with something to be kept as a file. */
  file: ({ file_name, content_type, body }: FileAnswer): Response =>
    new Response(body, {
      headers: { 'content-type': content_type, 'content-disposition': `attachment; filename="${file_name}"` },
    }),
  /** 204 without a body. */
  noContent: (): Response => new Response(null, { status: 204 }),
  /** The problem document of an error. */
  problem: (error: unknown, requestId: string = newId()): Response => problemResponse(error, requestId),
})
