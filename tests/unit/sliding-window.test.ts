// The sliding window against a plain model: what was used in the span before, counted call by call.
import fc from 'fast-check'
import { beforeEach, describe, expect, test } from 'vitest'
import { limitHeaders } from '@/libs/rate-limit/limit-headers'
import { forgetWindows, type RateLimit, takeInMemory } from '@/libs/rate-limit/memory-store'
import { matches } from '@/libs/rate-limit/overrides'

beforeEach(() => forgetWindows())
const START = 1_800_000_000_000
const limitOf = (over: Partial<RateLimit> = {}): RateLimit => ({
  namespace: 'n',
  identifier: 'i',
  limit: 5,
  duration_ms: 1_000,
  cost: 1,
  ...over,
})
const take = (at: number, ...limits: RateLimit[]) => takeInMemory('t', limits, START + at)
const passed = (at: number, ...limits: RateLimit[]) => take(at, ...limits).every((verdict) => verdict.passed)

describe('one limit', () => {
  test('lets through what it says at once, and tells what is left', () => {
    const verdicts = Array.from({ length: 6 }, () => take(0, limitOf())[0])
    expect(verdicts.map((verdict) => verdict?.passed)).toEqual([true, true, true, true, true, false])
    expect(verdicts.map((verdict) => verdict?.remaining)).toEqual([4, 3, 2, 1, 0, 0])
  })

  test('a limit of one is one in each span, not one in two', () => {
    const one = limitOf({ limit: 1 })
    expect([0, 999, 1_001, 1_500, 2_002].map((at) => passed(at, one))).toEqual([true, false, true, false, true])
  })

  test('what is refused makes nobody wait longer', () => {
    for (let call = 0; call < 5; call += 1) take(0, limitOf())
    const told = take(1, limitOf())[0]?.reset ?? 0
    for (let at = 2; at < 1_000; at += 10) take(at, limitOf())
    expect(take(told - START, limitOf())[0]?.passed).toBe(true)
  })

  test('a cost of 0 looks, and a limit of 0 lets nobody through', () => {
    expect(take(0, limitOf({ cost: 0 }))[0]).toMatchObject({ passed: true, remaining: 5 })
    expect(take(0, limitOf({ limit: 0 }))[0]).toMatchObject({ passed: false, remaining: 0 })
  })

  test('at the time a refused call was told, it passes; before, it does not', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 40 }),
        fc.integer({ min: 10, max: 5_000 }),
        fc.array(fc.tuple(fc.integer({ min: 0, max: 3_000 }), fc.integer({ min: 1, max: 5 })), { maxLength: 60 }),
        (limit, duration_ms, calls) => {
          forgetWindows()
          let at = 0
          for (const [pause, cost] of calls) {
            at += pause
            const call = limitOf({ limit, duration_ms, cost })
            const [verdict] = take(at, call)
            if (!verdict || verdict.passed || cost > limit) continue
            const told = verdict.reset - START
            expect(told).toBeGreaterThan(at)
            expect(take(told - 1, limitOf({ limit, duration_ms, cost: 0 }))[0]?.remaining).toBeLessThan(cost)
            expect(passed(told, call)).toBe(true)
            at = told
          }
        },
      ),
    )
  })

  test('a clock that is put back leaves nobody waiting until it was that late again', () => {
    const hour = 3_600_000
    for (let n = 0; n < 5; n += 1) expect(passed(hour, limitOf())).toBe(true)
    // By a little: what was used stays used.
    expect(passed(hour - 5, limitOf())).toBe(false)
    expect(passed(0, limitOf())).toBe(true)
  })

  test('never more than the limit in the cell, never more than twice of it in any span', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 30 }),
        fc.array(fc.tuple(fc.integer({ min: 0, max: 900 }), fc.integer({ min: 1, max: 4 })), { maxLength: 150 }),
        (limit, calls) => {
          forgetWindows()
          const let_through: { at: number; cost: number }[] = []
          let at = 0
          for (const [pause, cost] of calls) {
            at += pause
            if (!passed(at, limitOf({ limit, cost }))) continue
            let_through.push({ at, cost })
            const within = let_through.filter((call) => call.at > at - 1_000)
            const used = within.reduce((sum, call) => sum + call.cost, 0)
            expect(used).toBeLessThanOrEqual(2 * limit)
          }
        },
      ),
    )
  })
})

describe('several limits', () => {
  test('are all or nothing', () => {
    const wide = limitOf({ identifier: 'wide', limit: 10 })
    const narrow = limitOf({ identifier: 'narrow', limit: 1 })
    expect(passed(0, wide, narrow)).toBe(true)
    expect(take(0, wide, narrow).map((verdict) => verdict.passed)).toEqual([true, false])
    expect(take(0, { ...wide, cost: 0 })[0]?.remaining).toBe(9)
  })
  test('of one window in one call count together', () => {
    expect(passed(0, limitOf({ cost: 3 }), limitOf({ cost: 3 }))).toBe(false)
    expect(passed(0, limitOf({ cost: 3 }), limitOf({ cost: 2 }))).toBe(true)
    expect(passed(0, limitOf())).toBe(false)
  })
  test('of one window in one call are told when the whole call would pass', () => {
    const twice = [limitOf(), limitOf()]
    expect(passed(0, limitOf({ cost: 4 }))).toBe(true)
    const told = take(100, ...twice).map(({ reset }) => reset - START)
    expect(told[1]).toBeGreaterThan(1_000)
    expect(passed((told[1] ?? 0) - 1, ...twice)).toBe(false)
    expect(passed(told[1] ?? 0, ...twice)).toBe(true)
  })
  test('of tenants, namespaces, identifiers and spans are apart', () => {
    const one = limitOf({ limit: 1 })
    expect(passed(0, one)).toBe(true)
    for (const other of [{ namespace: 'm' }, { identifier: 'j' }, { duration_ms: 999 }])
      expect(passed(0, { ...one, ...other })).toBe(true)
    expect(takeInMemory('u', [one], START)[0]?.passed).toBe(true)
    expect(passed(0, one)).toBe(false)
  })
})

test('a pattern matches what an expression with .* would', () => {
  fc.assert(
    fc.property(fc.stringMatching(/^[ab*]{0,8}$/), fc.stringMatching(/^[ab]{0,10}$/), (pattern, text) => {
      const expression = new RegExp(`^${pattern.replaceAll('*', '.*')}$`)
      expect(matches(pattern, text)).toBe(expression.test(text))
    }),
  )
  // Slow for expressions, not for this.
  expect(matches(`${'*a'.repeat(100)}b`, 'a'.repeat(255))).toBe(false)
})

describe('headers', () => {
  const verdict = {
    name: 'exports',
    passed: true,
    limit: 100,
    remaining: 40,
    reset: START + 30_500,
    duration_ms: 60_000,
    override_id: null,
  }
  test('say the policy, what is left, and when it is more, in seconds', () => {
    expect(limitHeaders([verdict], START)).toEqual({
      'ratelimit-policy': '"exports";q=100;w=60',
      ratelimit: '"exports";r=40;t=31',
      'x-ratelimit-limit': '100',
      'x-ratelimit-remaining': '40',
      'x-ratelimit-reset': '31',
    })
  })
  test('a refused call is told when to come again in whole seconds, never 0 and never milliseconds', () => {
    const soon = { ...verdict, passed: false, remaining: 0, reset: START + 20 }
    expect(limitHeaders([verdict, soon], START)).toMatchObject({ 'retry-after': '1', 'x-ratelimit-remaining': '0' })
    expect(limitHeaders([{ ...soon, reset: START + 1_001 }], START)['retry-after']).toBe('2')
  })
  test('names that are no ASCII, or hold quotes, stay one name', () => {
    const same = limitHeaders(
      ['a', 'a', 'é', 'ß'].map((name) => ({ ...verdict, name })),
      START,
    )['ratelimit-policy']
    expect(same?.match(/"[^"]*"/g)).toEqual(['"a"', '"a (2)"', '"?"', '"? (2)"'])
    const { ratelimit } = limitHeaders([{ ...verdict, name: 'a"b\\cé' }], START)
    expect(ratelimit).toMatch(/^"a\\"b\\\\c\?";r=40/)
  })
})

test('a tenant with identifiers without end makes this process forget its own windows, not those of others', () => {
  const one = limitOf({ limit: 1, duration_ms: 3_600_000 })
  const other = (identifier: string) => takeInMemory('other', [{ ...one, identifier }], START)[0]?.passed
  expect([passed(0, one), passed(1, one)]).toEqual([true, false])
  for (let index = 0; index < 210_000; index += 1) other(`caller-${index}`)
  expect(passed(2, one)).toBe(false)
  // The least used of its own are forgotten, the last ones are not.
  expect([other('caller-0'), other('caller-209999')]).toEqual([true, false])
})
