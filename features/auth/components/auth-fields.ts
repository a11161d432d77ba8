import { z } from 'zod'
import { t } from '@/libs/ui/messages'

/** Checks of the sign-in forms in the browser, in words for people; the API checks again. */
export const emailField = z
  .string()
  .trim()
  .pipe(z.email(t('auth.email_wrong')))
export const passwordField = z.string().min(1, t('auth.password_missing'))
export const newPasswordField = z
  .string()
  .min(8, t('auth.password_short'))
  .refine((text) => new TextEncoder().encode(text).length <= 72, t('auth.password_long'))
