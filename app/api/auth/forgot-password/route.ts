import { forgotPasswordInput } from '@/features/auth/schema'
import { withVisitor } from '@/features/auth/services/auth-route'
import { forgotPassword } from '@/features/auth/services/auth-service'
import { ApiResponse } from '@/libs/api-utils/api-response'
import { readJson } from '@/libs/api-utils/read-json'

export const POST = withVisitor(async (request, context) => {
  const { email } = await readJson(request, forgotPasswordInput, { maxBytes: 16_384 })
  await forgotPassword(email, context)
  return ApiResponse.success({ status: 'check_mail' })
})
