import { withVisitor } from '@/features/auth/services/auth-route'
import { signOut } from '@/features/auth/services/auth-service'
import { ApiResponse } from '@/libs/api-utils/api-response'
import { readSessionToken } from '@/libs/auth/session-cookie'
import { findUserToSignOut } from '@/libs/auth/sessions'

/** Where nobody can sign in any more, everybody can still sign out: the portal may open again. */
export const POST = withVisitor(
  async (request, context) => {
    const token = await readSessionToken(request)
    await signOut(token ? await findUserToSignOut(token) : null, context)
    return ApiResponse.success({ status: 'signed_out' })
  },
  { orClosed: true },
)
