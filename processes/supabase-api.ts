// The Supabase Auth API of the embedded stack as a process of its own. Started by the dev stack and by the test harness,
// which hand it everything by the environment; SIGTERM ends it.
import { sendMail } from '@/libs/mail/send-mail'
import { startSupabaseApi } from './dev-stack/supabase-api'

function required(name: string): string {
  const value = process.env[name]
  if (!value) throw new Error(`${name} is not set; this process is started by npm start.`)
  return value
}

const api = await startSupabaseApi({
  database_url: required('SUPABASE_DATABASE_URL'),
  port: Number(required('SUPABASE_PORT')),
  jwt_secret: required('SUPABASE_JWT_SECRET'),
  publishable_key: required('SUPABASE_PUBLISHABLE_KEY'),
  secret_key: required('SUPABASE_SECRET_KEY'),
  site_url: required('AUTH_SITE_URL'),
  redirect_urls: (process.env.AUTH_REDIRECT_URLS ?? '').split(',').filter(Boolean),
  confirm_email: process.env.SUPABASE_CONFIRM_EMAIL === 'true',
  sendMail,
})

for (const signal of ['SIGTERM', 'SIGINT'] as const) {
  process.once(signal, () => {
    api.stop().finally(() => process.exit(0))
  })
}
