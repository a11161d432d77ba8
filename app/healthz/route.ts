/** Alive: the process answers. Says nothing of what it stands on; see /readyz. */
export function GET(): Response {
  return Response.json({ status: 'ok' }, { headers: { 'cache-control': 'no-store' } })
}
