import { findOpenMeterRoute } from '@/app/compat/openmeter/paths'

const PREFIX = '/compat/openmeter/api/'

function answer(request: Request): Promise<Response> {
  return findOpenMeterRoute(request.method, new URL(request.url).pathname.slice(PREFIX.length))(request)
}

export const GET = answer
export const POST = answer
export const PUT = answer
export const DELETE = answer
