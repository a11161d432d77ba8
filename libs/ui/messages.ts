import alerts from '@/messages/en/alerts.json'
import analyticsEvents from '@/messages/en/analytics-events.json'
import apiKeys from '@/messages/en/api-keys.json'
import auditLogs from '@/messages/en/audit-logs.json'
import auth from '@/messages/en/auth.json'
import billingPeriods from '@/messages/en/billing-periods.json'
import connectorEvents from '@/messages/en/connector-events.json'
import customerKeys from '@/messages/en/customer-keys.json'
import customerLogins from '@/messages/en/customer-logins.json'
import customers from '@/messages/en/customers.json'
import docs from '@/messages/en/docs.json'
import entitlements from '@/messages/en/entitlements.json'
import events from '@/messages/en/events.json'
import features from '@/messages/en/features.json'
import keys from '@/messages/en/keys.json'
import landing from '@/messages/en/landing.json'
import mail from '@/messages/en/mail.json'
import meters from '@/messages/en/meters.json'
import metrics from '@/messages/en/metrics.json'
import onboarding from '@/messages/en/onboarding.json'
import operator from '@/messages/en/operator.json'
import overview from '@/messages/en/overview.json'
import portal from '@/messages/en/portal.json'
import rateLimits from '@/messages/en/rate-limits.json'
import reconciliations from '@/messages/en/reconciliations.json'
import reports from '@/messages/en/reports.json'
import settings from '@/messages/en/settings.json'
import stripeExports from '@/messages/en/stripe-exports.json'
import tenants from '@/messages/en/tenants.json'
import tiers from '@/messages/en/tiers.json'
import ui from '@/messages/en/ui.json'
import upgradeRequests from '@/messages/en/upgrade-requests.json'
import usage from '@/messages/en/usage.json'

/** One file of texts per noun; the file's name is the first part of the key. */
const messages = {
  alerts,
  'analytics-events': analyticsEvents,
  'api-keys': apiKeys,
  'audit-logs': auditLogs,
  auth,
  'billing-periods': billingPeriods,
  'connector-events': connectorEvents,
  'customer-keys': customerKeys,
  'customer-logins': customerLogins,
  customers,
  docs,
  entitlements,
  events,
  features,
  keys,
  landing,
  mail,
  meters,
  metrics,
  onboarding,
  operator,
  overview,
  portal,
  reports,
  'rate-limits': rateLimits,
  reconciliations,
  settings,
  'stripe-exports': stripeExports,
  tenants,
  tiers,
  ui,
  'upgrade-requests': upgradeRequests,
  usage,
}

type Leaves<T, Prefix extends string = ''> = {
  [K in keyof T & string]: T[K] extends string ? `${Prefix}${K}` : Leaves<T[K], `${Prefix}${K}.`>
}[keyof T & string]

/** Every key that exists in `messages/en/*.json`, such as `customers.empty.title`. */
export type MessageKey = Leaves<typeof messages>

export type MessageParams = Readonly<Record<string, string | number>>

const numbers = new Intl.NumberFormat('en')
const plurals = new Intl.PluralRules('en')

function findText(key: string): string {
  let node: unknown = messages
  for (const part of key.split('.')) {
    node = typeof node === 'object' && node !== null ? (node as Record<string, unknown>)[part] : undefined
  }
  if (typeof node !== 'string') throw new Error(`No text for the key ${key}`)
  return node
}

function choosePlural(options: string, value: number): string {
  const branches = new Map<string, string>()
  for (const match of options.matchAll(/(=\d+|zero|one|two|few|many|other)\s*\{((?:[^{}]|\{\w+\})*)\}/g)) {
    branches.set(match[1] ?? '', match[2] ?? '')
  }
  const branch = branches.get(`=${value}`) ?? branches.get(plurals.select(value)) ?? branches.get('other') ?? ''
  return branch.replaceAll('#', numbers.format(value))
}

const PLURAL = /\{(\w+),\s*plural,((?:[^{}]|\{(?:[^{}]|\{\w+\})*\})*)\}/g

/**
 * Fills a text: `{name}` is replaced by the parameter (numbers get thousands separators), and
 * `{count, plural, =0 {none} one {# row of {name}} other {# rows of {name}}}` chooses by number. Throws when a parameter
 * is missing.
 */
export function formatMessage(text: string, params: MessageParams = {}): string {
  const read = (name: string): string | number => {
    const value = params[name]
    if (value === undefined) throw new Error(`The text “${text}” needs the parameter ${name}`)
    return value
  }
  return text
    .replaceAll(PLURAL, (_, name: string, options: string) => choosePlural(options, Number(read(name))))
    .replaceAll(/\{(\w+)\}/g, (_, name: string) => {
      const value = read(name)
      return typeof value === 'number' ? numbers.format(value) : value
    })
}

/**
 * The text of a key, filled with its parameters.
 * @example t('customers.count', { count: 3 })
 */
export function t(key: MessageKey, params?: MessageParams): string {
  return formatMessage(findText(key), params)
}
