import { METHODS, unknownMethod } from '@/app/compat/unkey/methods'
import { type RouteArguments, readParams } from '@/libs/api-utils/route-handler'

export async function POST(request: Request, route?: RouteArguments): Promise<Response> {
  const { method = '' } = await readParams(route)
  return (METHODS.get(method) ?? unknownMethod)(request)
}
