import { resetPasswordInput } from '@/features/auth/schema'
import { withVisitor } from '@/features/auth/services/auth-route'
import { resetPassword } from '@/features/auth/services/auth-service'
import { readNextCookie, setNextCookie } from '@/features/auth/services/next-cookie'
import { readRecoveryCookie, setRecoveryCookie } from '@/features/auth/services/recovery-cookie'
import { ApiResponse } from '@/libs/api-utils/api-response'
import { readJson } from '@/libs/api-utils/read-json'

export const POST = withVisitor(async (request, context) => {
  const { password } = await readJson(request, resetPasswordInput, { maxBytes: 16_384 })
  const response = ApiResponse.success(
    await resetPassword(password, readRecoveryCookie(request), readNextCookie(request), context),
  )
  response.headers.append('set-cookie', setRecoveryCookie(request, null))
  response.headers.append('set-cookie', setNextCookie(request, null))
  return response
})
