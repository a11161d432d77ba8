import {
  Activity,
  BellRing,
  FileClock,
  Gauge,
  Globe,
  KeyRound,
  Layers,
  ListChecks,
  ReceiptText,
  ShieldCheck,
  Terminal,
  Users,
} from 'lucide-react'
import type { ReactNode } from 'react'
import { IsolationFigure } from '@/features/landing/components/isolation-figure'
import { LinkButton, TextLink } from '@/libs/ui/button'
import { CodeSnippet } from '@/libs/ui/code-snippet'
import { httpSnippets } from '@/libs/ui/http-snippets'
import { t } from '@/libs/ui/messages'

const FACTS = [
  { key: 'apart', icon: <ShieldCheck /> },
  { key: 'counted', icon: <Activity /> },
  { key: 'recorded', icon: <FileClock /> },
] as const

const PARTS = [
  { key: 'portal', icon: <Globe /> },
  { key: 'roles', icon: <Users /> },
  { key: 'tiers', icon: <Layers /> },
  { key: 'meters', icon: <Gauge /> },
  { key: 'alerts', icon: <BellRing /> },
  { key: 'billing', icon: <ReceiptText /> },
  { key: 'keys', icon: <KeyRound /> },
  { key: 'audit', icon: <FileClock /> },
  { key: 'operators', icon: <ListChecks /> },
  { key: 'openapi', icon: <Terminal /> },
] as const

/** The answer of `POST /usage/track` to the first event of somebody whom nothing caps. */
function answerTo(event: { meter_id: string; user_id: string; event_value: number }, resetAt: string): string {
  const usage = {
    meter: event.meter_id,
    user_id: event.user_id,
    limit: null,
    used: event.event_value,
    period: 'month',
    reset_at: resetAt,
    remaining: null,
    overage: 0,
  }
  return JSON.stringify({ inserted: 1, duplicates: 0, rejected: [], usage: [usage] }, null, 2)
}

const EVENT = { meter_id: 'api_calls', user_id: 'bluebird', event_value: 1 }

/** What Holdfast is, on one page; every statement on it can be tried. */
export function LandingScreen({
  signedIn,
  rootDomain,
  subdomains,
  usageOrigin,
  resetAt,
}: {
  signedIn: boolean
  /** The root of this installation, such as `localhost:3000`. */
  rootDomain: string
  /** Whether tenants have addresses below it. */
  subdomains: boolean
  /** Where programs send usage to, absolute. */
  usageOrigin: string
  /** When the present month of the calendar ends, in UTC. */
  resetAt: string
}) {
  const snippets = httpSnippets({
    method: 'POST',
    url: `${usageOrigin}/api/v1/usage/track`,
    body: EVENT,
  })
  const addresses = [
    { key: 'dashboard', host: `app.${rootDomain}` },
    ...(subdomains ? [{ key: 'portal' as const, host: t('landing.addresses.portal_host', { root: rootDomain }) }] : []),
    { key: subdomains ? ('domain' as const) : ('portal' as const), host: t('landing.addresses.domain_host') },
    { key: 'api', host: `${rootDomain}/api/v1` },
  ] as const
  return (
    <div className="mx-auto flex max-w-6xl flex-col gap-20 px-4 pt-14 pb-20 sm:px-6 lg:pt-20">
      <section className="grid items-center gap-x-14 gap-y-12 lg:grid-cols-[1.1fr_1fr]">
        <div>
          <h1 tabIndex={-1} className="font-semibold text-4xl tracking-tight sm:text-5xl">
            {t('landing.headline')
              .split(/(?<=\.) /)
              .map((sentence) => (
                <span key={sentence} className="block">
                  {sentence}
                </span>
              ))}
          </h1>
          <p className="mt-5 max-w-xl text-lg text-mute">{t('landing.lead')}</p>
          <div className="mt-8 flex flex-wrap items-center gap-3">
            {signedIn ? (
              <LinkButton href="/tenants" variant="primary" size="lg">
                {t('landing.dashboard')}
              </LinkButton>
            ) : (
              <>
                <LinkButton href="/sign-up" variant="primary" size="lg">
                  {t('landing.start')}
                </LinkButton>
                <LinkButton href="/sign-in" size="lg">
                  {t('landing.sign_in')}
                </LinkButton>
              </>
            )}
            <TextLink href="/docs/api" className="px-1">
              {t('landing.read')}
            </TextLink>
          </div>
        </div>
        <IsolationFigure />
      </section>

      <section aria-labelledby="facts">
        <SectionTitle id="facts">{t('landing.facts.title')}</SectionTitle>
        <div className="mt-6 grid gap-4 md:grid-cols-3">
          {FACTS.map(({ key, icon }) => (
            <div key={key} className="rounded-xl border bg-surface px-5 py-5">
              <span
                aria-hidden="true"
                className="flex size-9 items-center justify-center rounded-lg bg-accent-soft text-accent-text [&_svg]:size-5"
              >
                {icon}
              </span>
              <h3 className="mt-4 font-semibold text-lg tracking-tight">{t(`landing.facts.${key}.title`)}</h3>
              <p className="mt-1.5 text-mute">{t(`landing.facts.${key}.text`)}</p>
            </div>
          ))}
        </div>
      </section>

      <section aria-labelledby="addresses" className="grid items-start gap-x-14 gap-y-6 lg:grid-cols-[1fr_1.4fr]">
        <div>
          <SectionTitle id="addresses">{t('landing.addresses.title')}</SectionTitle>
          <p className="mt-3 max-w-md text-mute">{t('landing.addresses.text')}</p>
        </div>
        <dl className="min-w-0 divide-y divide-line overflow-hidden rounded-xl border bg-surface">
          {addresses.map(({ key, host }) => (
            <div key={key} className="grid gap-x-6 gap-y-1 px-5 py-3.5 sm:grid-cols-[minmax(0,2fr)_minmax(0,3fr)]">
              <dt className="min-w-0">
                <code className="break-words font-mono text-accent-text text-sm">{host}</code>
              </dt>
              <dd className="text-mute text-sm">{t(`landing.addresses.${key}`)}</dd>
            </div>
          ))}
        </dl>
      </section>

      <section aria-labelledby="proof" className="grid items-start gap-x-14 gap-y-6 lg:grid-cols-[1fr_1.4fr]">
        <div>
          <SectionTitle id="proof">{t('landing.proof.title')}</SectionTitle>
          <p className="mt-3 max-w-md text-mute">{t('landing.proof.text')}</p>
        </div>
        <div className="flex min-w-0 flex-col gap-3">
          <CodeSnippet label={t('landing.proof.request')} snippets={snippets} />
          <CodeSnippet
            label={t('landing.proof.answer')}
            snippets={[{ label: t('landing.proof.answer'), code: answerTo(EVENT, resetAt), language: 'json' }]}
          />
        </div>
      </section>

      <section aria-labelledby="parts" className="grid gap-x-14 gap-y-8 lg:grid-cols-[1.4fr_1fr]">
        <div>
          <SectionTitle id="parts">{t('landing.parts.title')}</SectionTitle>
          <ul className="mt-5 grid gap-x-8 gap-y-3 sm:grid-cols-2">
            {PARTS.map(({ key, icon }) => (
              <li key={key} className="flex items-start gap-3 text-mute">
                <span aria-hidden="true" className="mt-1 text-accent-text [&_svg]:size-4">
                  {icon}
                </span>
                {t(`landing.parts.${key}`)}
              </li>
            ))}
          </ul>
        </div>
        <div className="self-start rounded-xl border bg-surface px-6 py-6">
          <h2 className="font-semibold text-lg tracking-tight">{t('landing.own.title')}</h2>
          <p className="mt-2 text-mute">{t('landing.own.text')}</p>
        </div>
      </section>
    </div>
  )
}

function SectionTitle({ id, children }: { id: string; children: ReactNode }) {
  return (
    <h2 id={id} className="font-semibold text-2xl tracking-tight">
      {children}
    </h2>
  )
}
