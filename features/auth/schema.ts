import { z } from 'zod'

const email = z
  .string()
  .trim()
  .toLowerCase()
  .max(320)
  .pipe(z.email('must be an e-mail address'))
  .meta({ format: 'email', example: 'ada@example.com' })

/** A new password: as long as the auth server can take, and no composition rules. */
const newPassword = z
  .string()
  .min(8, 'must have at least 8 characters')
  .refine((text) => new TextEncoder().encode(text).length <= 72, 'may have at most 72 bytes')

const next = z
  .string()
  .max(2_000)
  .optional()
  .meta({ description: 'Path on this host to go to afterwards; anything but a relative path is ignored' })

export const signInInput = z.strictObject({ email, password: z.string().min(1).max(1_000), next })
export const signUpInput = z.strictObject({ email, password: newPassword, next })
export const forgotPasswordInput = z.strictObject({ email })
export const resetPasswordInput = z.strictObject({ password: newPassword })

export type SignInInput = z.infer<typeof signInInput>
export type SignUpInput = z.infer<typeof signUpInput>

const user = z.object({ id: z.uuid(), email: z.string() })

/** What a sign-in answers; the session itself is in the cookie. */
export const signedIn = z.object({ status: z.literal('signed_in'), user, redirect_to: z.string() })
export const signUpAnswer = z.union([signedIn, z.object({ status: z.literal('check_mail') })])
export const mailAnswer = z.object({ status: z.literal('check_mail') })
export const signedOut = z.object({ status: z.literal('signed_out') })

export type SignedIn = z.infer<typeof signedIn>
export type SignUpAnswer = z.infer<typeof signUpAnswer>
