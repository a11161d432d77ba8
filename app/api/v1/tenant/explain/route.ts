import { explainTenant } from '@/features/tenants/services/explain-service'
import { ApiResponse } from '@/libs/api-utils/api-response'
import { answer } from '@/libs/api-utils/route-handler'
import { readCaller } from '@/libs/auth/credentials'
import { unauthenticated } from '@/libs/errors'

/** Which tenant a request is about, and why. Not wrapped by withTenantAuth: it explains the requests that one refuses. */
export function GET(request: Request): Promise<Response> {
  return answer(request, async () => {
    const caller = await readCaller(request, { cached: false })
    if (!caller) throw unauthenticated()
    return ApiResponse.success(await explainTenant(request, caller))
  })
}
