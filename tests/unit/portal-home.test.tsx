import { renderToStaticMarkup } from 'react-dom/server'
import { expect, test } from 'vitest'
import { PortalCards } from '@/features/portal/components/portal-home'
import type { PortalOverview, PortalUsage } from '@/features/portal/components/portal-overview'
import { t } from '@/libs/ui/messages'

const usageOf = (meter: string, more: Partial<PortalUsage> = {}): PortalUsage => ({
  meter,
  name: meter,
  unit: '',
  used: 0,
  limit: null,
  behaviour: null,
  reset_at: '2026-12-01T00:00:00Z',
  ...more,
})

const draw = (overview: Partial<PortalOverview>) =>
  renderToStaticMarkup(
    <PortalCards
      overview={{
        customer: { id: 'c', external_id: 'c', name: null, email: null },
        tier: null,
        usage: [],
        features: [],
        upgrade: null,
        ...overview,
      }}
      name="Acme"
      supportUrl={null}
    />,
  )

test('usage without caps is no empty period', () => {
  expect(draw({})).toContain(t('portal.home.no_usage'))
  const counted = draw({ usage: [usageOf('calls', { used: 85 })] })
  expect(counted).not.toContain(t('portal.home.no_usage'))
  expect(counted).toContain('85')
})

test('a meter without a cap is shown to who used it, one with a cap to everybody who has it', () => {
  const page = draw({
    usage: [
      usageOf('Internal'),
      usageOf('Level', { used: '-3' }),
      usageOf('Capped', { limit: 5, behaviour: 'reject' }),
    ],
  })
  expect(page).not.toContain('Internal')
  for (const name of ['Level', 'Capped']) expect(page).toContain(name)
  expect(draw({ usage: [usageOf('Internal')] })).toContain(t('portal.home.no_usage'))
})

test('meters and features stand in the order people count in', () => {
  const page = draw({
    usage: ['Meter 10', 'Meter 9', 'Meter 1'].map((meter) => usageOf(meter, { limit: 100, behaviour: 'reject' })),
    features: ['Seat 10', 'Seat 2'].map((name) => ({ key: name, name })),
  })
  const places = ['Meter 1<', 'Meter 9<', 'Meter 10<', 'Seat 2<', 'Seat 10<'].map((name) => page.indexOf(name))
  expect(places).not.toContain(-1)
  expect(places).toEqual([...places].sort((a, b) => a - b))
})

test('what a tier gives none of is not said to be used up', () => {
  const upgrade = { meter: 'calls', name: 'calls', percent: 100, next_tiers: [] }
  const words = (limit: number) =>
    draw({ usage: [usageOf('calls', { limit, used: limit, behaviour: 'reject' })], upgrade })
  expect(words(0)).toContain(t('portal.upgrade.not_included', { meter: 'calls' }))
  expect(words(0)).not.toContain(t('portal.upgrade.reached_refused'))
  expect(words(5)).toContain(t('portal.upgrade.reached', { meter: 'calls' }))
})

test('the prompt and the bar below it say the same percentage', () => {
  const page = draw({
    usage: [usageOf('calls', { used: 8_396, limit: 10_000, behaviour: 'reject' })],
    upgrade: { meter: 'calls', name: 'calls', percent: 83.96, next_tiers: [] },
  })
  expect(page).toContain(t('portal.upgrade.near', { meter: 'calls', percent: '83%' }))
  expect(page).toContain(t('ui.usage.near', { percent: '83%' }))
})

test('who used nothing of what is not included reached no cap', () => {
  const bar = (limit: number, used: number, behaviour: PortalUsage['behaviour'] = 'reject') =>
    draw({ usage: [usageOf('calls', { limit, used, behaviour })] })
  expect(bar(0, 0)).toContain(t('ui.usage.excluded'))
  expect(bar(0, 0)).not.toContain(t('ui.usage.reached'))
  expect(bar(0, 0, 'overflow')).toContain(t('ui.usage.excludedOverflow'))
  expect(bar(5, 5)).toContain(t('ui.usage.reached'))
})

test('a figure that no double holds is shown to the last digit', () => {
  expect(draw({ usage: [usageOf('calls', { used: '12345678901234567891' })] })).toContain('12,345,678,901,234,567,891')
})

test('what other tiers give is written in the unit of the meter, to the last digit', () => {
  const offer = (unit: string, limit: number | string) =>
    draw({
      upgrade: {
        meter: 'm',
        name: 'M',
        percent: 90,
        next_tiers: [{ id: 't', name: 'T', price_minor: 0, currency: 'USD', billing_interval: 'month', limit }],
      },
      usage: [usageOf('m', { unit, used: 9, limit: 10, behaviour: 'reject' })],
    })
  expect(offer('bytes', 10_737_418_240)).toContain('10 GB')
  expect(offer('calls', '12345678901234567891')).toContain('12,345,678,901,234,567,891 calls')
})

test('what a cap that is reached means is said as it is', () => {
  const upgrade = { meter: 'calls', name: 'Calls', percent: 100, next_tiers: [] }
  const reached = (behaviour: PortalUsage['behaviour']) =>
    draw({ upgrade, usage: [usageOf('calls', { used: 5, limit: 5, behaviour })] })
  expect(reached('reject')).toContain(t('portal.upgrade.reached_refused'))
  expect(reached('cap')).toContain(t('portal.upgrade.reached_refused'))
  expect(reached('overflow')).toContain(t('portal.upgrade.reached_overage'))
})
