import { findStripeRoute } from '@/app/compat/stripe/paths'

const PREFIX = '/compat/stripe/'

function answer(request: Request): Promise<Response> {
  return findStripeRoute(request.method, new URL(request.url).pathname.slice(PREFIX.length))(request)
}

export const GET = answer
export const POST = answer
export const DELETE = answer
