import { headers } from 'next/headers'
import { cache } from 'react'
import { GET as getOpenApi } from '@/app/api/openapi.json/route'
import { listOperations, type OpenApiDocument, type OperationGroup, readDocument } from './openapi-document'

/** The document at /api/openapi.json as this request sees it, and its operations; read once per request. */
export const readReference = cache(async (): Promise<{ document: OpenApiDocument; groups: OperationGroup[] }> => {
  const list = await headers()
  const answer = getOpenApi(new Request('http://page/api/openapi.json', { headers: new Headers([...list]) }))
  const document = readDocument(await answer.json())
  return { document, groups: listOperations(document) }
})
