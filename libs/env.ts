import { z } from 'zod'

const flag = (fallback: boolean) =>
  z
    .enum(['true', 'false', '1', '0'], 'must be true or false')
    .optional()
    .transform((text) => (text === undefined ? fallback : text === 'true' || text === '1'))
const text = z.string().optional()
const integer = (fallback: number, min: number, max: number) =>
  z
    .string()
    .regex(/^\d+$/, 'must be a whole number')
    .optional()
    .transform((value) => (value ? Number(value) : fallback))
    .refine((value) => value >= min && value <= max, `must be from ${min} to ${max}`)
const url = (protocols: string[]) =>
  text.refine((value) => value === undefined || protocols.some((protocol) => value.startsWith(`${protocol}:`)), {
    error: `must start with ${protocols.map((protocol) => `${protocol}:`).join(' or ')}`,
  })

const schema = z.object({
  NODE_ENV: z.string().default('development'),
  DATABASE_URL: url(['postgres', 'postgresql']).default('postgres://app_server@127.0.0.1:3003/holdfast'),
  OPERATOR_DATABASE_URL: url(['postgres', 'postgresql']).default('postgres://app_operator@127.0.0.1:3003/holdfast'),
  DATABASE_POOL_SIZE: integer(10, 1, 500),
  DATABASE_PREPARED_STATEMENTS: flag(true),
  SUPABASE_URL: url(['http', 'https']).default('http://127.0.0.1:3002'),
  SUPABASE_PUBLISHABLE_KEY: text,
  SUPABASE_JWT_SECRET: text,
  ROOT_DOMAIN: z
    .string()
    .regex(/^[a-z0-9.-]+(:\d{1,5})?$/i, 'must be a host name with an optional port')
    .default('localhost:3000'),
  DEFAULT_TENANT_SLUG: text,
  TENANT_SUBDOMAIN_ENABLED: flag(true),
  TENANT_HEADER_NAME: z
    .string()
    .regex(/^[a-z0-9-]+$/i, 'must be a header name')
    .default('x-tenant-id')
    .transform((name) => name.toLowerCase()),
  TENANT_PARAMETER_ROUTING: flag(false),
  ONBOARDING_AUTO_ACTIVATE: flag(true),
  INVITATION_EXPIRY_DAYS: integer(7, 1, 90),
  MAX_TENANTS_PER_USER: integer(5, 1, 10_000),
  USAGE_RETENTION_MONTHS: integer(25, 0, 1_200).refine((months) => months !== 1, {
    error: 'must be 0 (keep all) or at least 2',
  }),
  ENCRYPTION_KEYS: z
    .string()
    .default('')
    .transform((keys) => keys.split(',').flatMap((key) => key.trim() || []))
    .refine((keys) => keys.every((key) => Buffer.from(key, 'base64').length === 32), {
      error: 'must be keys of 32 bytes in base64, separated by commas, the one in use first',
    }),
  POSTHOG_KEY: text,
  POSTHOG_HOST: url(['http', 'https']).default('https://us.i.posthog.com'),
  SMTP_URL: url(['smtp', 'smtps']),
  MAIL_FROM: z.string().default('Holdfast <no-reply@localhost>'),
  MAIL_DIR: z.string().default('.data/mail'),
  MAIL_PAGE: flag(false),
  DATA_DIR: z.string().default('.data'),
  STRIPE_API_BASE: url(['http', 'https']).default('https://api.stripe.com'),
  RATE_LIMIT_STORE: z.enum(['memory', 'postgres'], 'must be memory or postgres').default('memory'),
  TRUSTED_PROXY_HOPS: integer(0, 0, 10),
  PORT: integer(3000, 0, 65_535),
  INGEST_PORT: integer(3001, 0, 65_535),
  INGEST_URL: url(['http', 'https']),
  LOG_LEVEL: z
    .enum(
      ['trace', 'debug', 'info', 'warn', 'error', 'fatal', 'silent'],
      'must be trace, debug, info, warn, error, fatal or silent',
    )
    .default('info'),
})

export type Env = z.infer<typeof schema>

let parsed: Env | undefined

/** A variable that is set to nothing is not set. */
const withoutEmpty = (values: NodeJS.ProcessEnv) =>
  Object.fromEntries(Object.entries(values).filter(([, value]) => value !== ''))

/** What is wrong with an environment, a line for each variable; none when it can be used. */
export function findEnvironmentErrors(values: NodeJS.ProcessEnv): string[] {
  const { error } = schema.safeParse(withoutEmpty(values))
  return (error?.issues ?? []).map((issue) => `  ${issue.path.join('.')}: ${issue.message}`)
}

/**
 * The environment, validated once.
 * @throws Error that lists every variable that is wrong, so that one start shows all of them.
 */
export function env(): Env {
  if (!parsed) {
    const result = schema.safeParse(withoutEmpty(process.env))
    if (!result.success)
      throw new Error(`The environment is not usable:\n${findEnvironmentErrors(process.env).join('\n')}`)
    parsed = result.data
  }
  return parsed
}

/** Reads the environment again at the next use; for tests that change it. */
export function forgetEnv(): void {
  parsed = undefined
}
