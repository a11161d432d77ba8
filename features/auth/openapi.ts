import { operation } from '@/libs/api-utils/openapi'
import {
  forgotPasswordInput,
  mailAnswer,
  resetPasswordInput,
  signedIn,
  signedOut,
  signInInput,
  signUpAnswer,
  signUpInput,
} from './schema'

const tag = 'Sign-in'
const description = 'For pages of this host alone: asks for `Origin` or `Sec-Fetch-Site` of the same origin.'

export const paths = {
  '/api/auth/sign-in': {
    post: operation({
      summary: 'Sign in with e-mail and password',
      tag,
      auth: 'public',
      description: `${description} The session is a host-only cookie.`,
      refusals: { '401': 'E-mail address or password is wrong' },
      body: signInInput,
      example: { email: 'ann@example.com', password: 'a long password' },
      limited: true,
      success: [200, signedIn],
    }),
  },
  '/api/auth/sign-up': {
    post: operation({
      summary: 'Make an account',
      tag,
      auth: 'public',
      description,
      body: signUpInput,
      example: { email: 'ann@example.com', password: 'a long password' },
      limited: true,
      success: [200, signUpAnswer],
    }),
  },
  '/api/auth/sign-out': {
    post: operation({ summary: 'End the session', tag, auth: 'public', description, success: [200, signedOut] }),
  },
  '/api/auth/forgot-password': {
    post: operation({
      summary: 'Ask for a mail to set a new password',
      tag,
      auth: 'public',
      description: `${description} The answer is the same whether or not there is such an account.`,
      body: forgotPasswordInput,
      example: { email: 'ann@example.com' },
      limited: true,
      success: [200, mailAnswer],
    }),
  },
  '/api/auth/reset-password': {
    post: operation({
      summary: 'Set a new password after following the link in the mail',
      tag,
      auth: 'public',
      description,
      refusals: { '401': 'The link was used before or is too old' },
      body: resetPasswordInput,
      example: { password: 'a long password' },
      limited: true,
      success: [200, signedIn],
    }),
  },
}
