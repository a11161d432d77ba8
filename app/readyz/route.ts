import { checkReadiness } from '@/libs/health/readiness'

/** Ready: database and auth server answer. 503 with the parts that do not. */
export async function GET(): Promise<Response> {
  const readiness = await checkReadiness()
  return Response.json(readiness, {
    status: readiness.status === 'ready' ? 200 : 503,
    headers: { 'cache-control': 'no-store' },
  })
}
