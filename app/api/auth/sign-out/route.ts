import { withVisitor } from '@/features/auth/services/auth-route'
import { signOut } from '@/features/auth/services/auth-service'
import { ApiResponse } from '@/libs/api-utils/api-response'
import { verifyAccessToken } from '@/libs/auth/access-token'
import { readSessionToken } from '@/libs/auth/session-cookie'

export const POST = withVisitor(async (request, context) => {
  const token = await readSessionToken(request)
  await signOut(token ? await verifyAccessToken(token) : null, context)
  return ApiResponse.success({ status: 'signed_out' })
})
