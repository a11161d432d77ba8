import { signInInput } from '@/features/auth/schema'
import { withVisitor } from '@/features/auth/services/auth-route'
import { signIn } from '@/features/auth/services/auth-service'
import { ApiResponse } from '@/libs/api-utils/api-response'
import { readJson } from '@/libs/api-utils/read-json'

export const POST = withVisitor(async (request, context) =>
  ApiResponse.success(await signIn(await readJson(request, signInInput, { maxBytes: 16_384 }), context)),
)
