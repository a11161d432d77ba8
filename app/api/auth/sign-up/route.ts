import { signUpInput } from '@/features/auth/schema'
import { withVisitor } from '@/features/auth/services/auth-route'
import { signUp } from '@/features/auth/services/auth-service'
import { setMailCookie } from '@/features/auth/services/mail-cookies'
import { ApiResponse } from '@/libs/api-utils/api-response'
import { readJson } from '@/libs/api-utils/read-json'

export const POST = withVisitor(async (request, context) => {
  const input = await readJson(request, signUpInput, { maxBytes: 16_384 })
  const answer = await signUp(input, context)
  const response = ApiResponse.success(answer)
  if (answer.status === 'check_mail')
    response.headers.append('set-cookie', setMailCookie(request, 'next', input.next ?? null))
  return response
})
