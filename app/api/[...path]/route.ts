import { type RouteHandler, answer as respond } from '@/libs/api-utils/route-handler'
import { notFound } from '@/libs/errors'

/** What has no route of its own: clients of an API are told so in its own words, not with a page. */
const answer: RouteHandler = (request) =>
  respond(request, async () => {
    throw notFound()
  })

export const GET = answer
export const POST = answer
export const PUT = answer
export const PATCH = answer
export const DELETE = answer
