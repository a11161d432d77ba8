import { paths as apiKeys } from '@/features/api-keys/openapi'
import { paths as branding } from '@/features/branding/openapi'
import { createOpenApi } from '@/libs/api-utils/openapi'
import { env } from '@/libs/env'
import { version } from '@/package.json'

/** The OpenAPI document, generated from the schemas the routes check their input with. */
export function GET(request: Request): Response {
  const secure = request.headers.get('x-forwarded-proto') === 'https'
  const document = createOpenApi(
    { ...apiKeys, ...branding },
    version,
    `${secure ? 'https' : 'http'}://${env().ROOT_DOMAIN}`,
  )
  return Response.json(document, { headers: { 'cache-control': 'public, max-age=60' } })
}
