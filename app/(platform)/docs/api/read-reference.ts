import { headers } from 'next/headers'
import { cache } from 'react'
import { GET as getOpenApi } from '@/app/api/openapi.json/route'
import { listOperations, type OpenApiDocument, type OperationGroup, readDocument } from './openapi-document'

type Reference = { document: OpenApiDocument; groups: OperationGroup[] }

/** What was read last, which is the same for everybody who comes by the same scheme. */
let known: { text: string; reference: Reference } | undefined

/** The document at /api/openapi.json as this request sees it, and its operations; read once per request. */
export const readReference = cache(async (): Promise<Reference> => {
  const list = await headers()
  const answer = getOpenApi(new Request('http://page/api/openapi.json', { headers: new Headers([...list]) }))
  const text = await answer.text()
  if (known?.text === text) return known.reference
  const document = readDocument(JSON.parse(text))
  const reference = { document, groups: listOperations(document) }
  known = { text, reference }
  return reference
})
