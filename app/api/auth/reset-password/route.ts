import { resetPasswordInput } from '@/features/auth/schema'
import { withVisitor } from '@/features/auth/services/auth-route'
import { resetPassword } from '@/features/auth/services/auth-service'
import { readMailCookie, setMailCookie } from '@/features/auth/services/mail-cookies'
import { ApiResponse } from '@/libs/api-utils/api-response'
import { readJson } from '@/libs/api-utils/read-json'

export const POST = withVisitor(async (request, context) => {
  const { password } = await readJson(request, resetPasswordInput, { maxBytes: 16_384 })
  const [token, next] = [readMailCookie(request, 'recovery'), readMailCookie(request, 'next')]
  const response = ApiResponse.success(await resetPassword(password, token, next, context))
  response.headers.append('set-cookie', setMailCookie(request, 'recovery', null))
  response.headers.append('set-cookie', setMailCookie(request, 'next', null))
  return response
})
