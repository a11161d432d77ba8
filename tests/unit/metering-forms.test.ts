// What the forms of metering send: nothing is dropped unseen, and digits that no number holds stay as they are.
import { describe, expect, test } from 'vitest'
import {
  EMPTY_FILTER,
  type FilterDraft,
  readFilter,
  toJsonDraft,
  toRowsDraft,
} from '@/features/meters/components/filter-values'
import { meterFormValues, newMeterBody, suggestSlug } from '@/features/meters/components/meter-form-values'
import { type Tier, tierBody, tierChange, tierFormValues } from '@/features/tiers/components/tier-form-values'
import { ApiProblem } from '@/libs/ui/api-client'
import { changedFields } from '@/libs/ui/changed-fields'
import { pointProblem } from '@/libs/ui/point-problem'

const draft = (...rows: [property: string, operator: 'eq' | 'in' | 'gt' | 'like', value: string][]): FilterDraft => ({
  ...EMPTY_FILTER,
  rows: rows.map(([property, operator, value], key) => ({ key, property, operator, value })),
})

describe('a filter', () => {
  test('is nothing, one condition, or several', () => {
    expect(readFilter(EMPTY_FILTER)).toEqual({ filter: null })
    expect(readFilter(draft(['plan', 'in', 'pro, true']))).toEqual({
      filter: { property: 'plan', operator: 'in', value: ['pro', true] },
    })
    expect(readFilter({ ...draft(['a', 'eq', '1'], ['b', 'gt', '2']), join: 'or' })).toEqual({
      filter: {
        or: [
          { property: 'a', operator: 'eq', value: '1' },
          { property: 'b', operator: 'gt', value: '2' },
        ],
      },
    })
  })
  test('with a condition that names no property, or cannot be compared, is wrong in that row', () => {
    expect(readFilter(draft(['a', 'eq', '1'], [' ', 'eq', '2']))).toMatchObject({ faults: [{ row: 1 }] })
    expect(readFilter(draft(['a', 'like', 'x\\']))).toMatchObject({ faults: [{ row: 0 }] })
    expect(readFilter(draft(['a', 'eq', '1'], ['b', 'gt', 'true']))).toMatchObject({ faults: [{ row: 1 }] })
  })
  test('goes to JSON and back, but for what rows cannot say', () => {
    const rows = { ...draft(['a', 'eq', '1'], ['b', 'in', 'x, y']), join: 'or' as const }
    const json = toJsonDraft(rows)
    expect(readFilter(json)).toEqual(readFilter(rows))
    const back = toRowsDraft(json)
    expect(back && readFilter(back)).toEqual(readFilter(rows))
    const nested = { ...json, json: '{"and": [{"or": [{"property": "a", "operator": "eq", "value": 1}]}]}' }
    expect(readFilter(nested)).toMatchObject({ filter: { and: [{ or: [{ property: 'a' }] }] } })
    expect(toRowsDraft(nested)).toBeNull()
    for (const value of ['null', '"true"', '"a, b"'])
      expect(
        toRowsDraft({ ...json, json: `{"property": "a", "operator": "in", "value": [${value}]}` }),
        value,
      ).toBeNull()
    expect(toRowsDraft({ ...json, json: '{"property": "a", "operator": "eq", "value": 5}' })).not.toBeNull()
    expect(readFilter({ ...json, json: '{' })).toMatchObject({ faults: [{ row: null }] })
    expect(readFilter({ ...json, json: '{"property": "a"}' })).toMatchObject({
      faults: [{ row: null, message: expect.stringMatching(/^\/operator: /) }],
    })
  })
})

test('a meter is sent with paths of its own groups alone', () => {
  const values = { ...meterFormValues(null), name: 'Requests', slug: 'requests', group_by: 'region, plan' }
  expect(newMeterBody(values, null, { region: ' request.region ', plan: 'plan', gone: 'x.y' })).toMatchObject({
    group_by: ['region', 'plan'],
    property_paths: { region: 'request.region' },
  })
  expect(newMeterBody(values, null, {})).not.toHaveProperty('property_paths')
  expect(
    newMeterBody({ ...values, aggregation: 'COUNT', value_property: 'x', allows_negative: true }, null, {}),
  ).toMatchObject({
    value_property: null,
    allows_negative: false,
  })
  expect(suggestSlug('Straße & Größe (HD) ')).toBe('strasse_grosse_hd')
})

test('caps of a tier keep the digits that a number would lose', () => {
  const cap = { period: 'month', behaviour: 'reject', preserve_overage: false } as const
  const tier = {
    name: 'T',
    description: '',
    price_minor: 100,
    currency: 'USD',
    billing_interval: 'month',
    is_default: false,
    self_service: false,
    usage_caps: {
      tokens: { ...cap, limit: '12345678901234567890.5', rollover: { min: 0, max: '98765432109876543210' } },
    },
    feature_entitlements: [],
  } as unknown as Tier
  const values = tierFormValues(tier)
  expect(tierBody(values, tier).usage_caps).toMatchObject(tier.usage_caps)
  const [first] = values.caps
  const changed = { ...values, caps: first ? [{ ...first, limit: 5 }] : [] }
  expect(tierBody(changed, tier).usage_caps).toMatchObject({
    tokens: { limit: 5, rollover: { max: '98765432109876543210' } },
  })
  // Only what was changed is sent, and with what makes a new version the one it was written for.
  expect(tierChange(values, { ...tier, version: 3 })).toEqual({})
  expect(tierChange({ ...values, name: 'Pro' }, { ...tier, version: 3 })).toEqual({ name: 'Pro' })
  expect(tierChange({ ...values, price: 100, currency: 'JPY' }, { ...tier, version: 3 })).toEqual({
    price_minor: 100,
    currency: 'JPY',
    if_version: 3,
  })
  const { usage_caps, ...rest } = tierChange(changed, { ...tier, version: 3 })
  expect(rest).toEqual({ if_version: 3 })
  expect(usage_caps).toMatchObject({ tokens: { limit: 5 } })
})

test('a form that edits sends what it changed, and nothing else', () => {
  const row = { id: 'x', name: 'Pro', unit: '', metadata: { a: 1 }, email: null }
  expect(changedFields({ name: 'Pro', unit: '', metadata: { a: 1 }, email: null }, row)).toEqual({})
  expect(changedFields({ name: 'Pro', unit: 's', metadata: { a: 2 }, email: null }, row)).toEqual({
    unit: 's',
    metadata: { a: 2 },
  })
  expect(changedFields({ email: 'a@b.test' }, row)).toEqual({ email: 'a@b.test' })
})

test('a conflict is said at the field it is about; everything else stays', () => {
  const taken = new ApiProblem(409, { code: 'conflict', detail: 'A meter with the slug x exists already.' })
  expect(pointProblem(taken, 'conflict', '/slug')).toMatchObject({
    status: 409,
    errors: [{ pointer: '/slug', detail: 'A meter with the slug x exists already.' }],
  })
  const other = new ApiProblem(422, { code: 'invalid_input', errors: [{ pointer: '/name', detail: 'is needed' }] })
  expect(pointProblem(other, 'conflict', '/slug')).toBe(other)
  expect(pointProblem('lost', 'conflict', '/slug')).toBe('lost')
})
