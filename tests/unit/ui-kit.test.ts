import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { ApiProblem, describeProblem, readWhole, toQuery } from '@/libs/ui/api-client'
import { initialsOf } from '@/libs/ui/avatar'
import { bucketsToCsv, describeBucket, summarizeBuckets, toBuckets } from '@/libs/ui/chart-data'
import { diffFields } from '@/libs/ui/diff-view'
import { pointerToPath } from '@/libs/ui/form-problem'
import {
  formatBytes,
  formatCompact,
  formatDate,
  formatEstimate,
  formatExact,
  formatMoney,
  formatNumber,
  formatQuantity,
  formatRelative,
  toDecimalText,
} from '@/libs/ui/format'
import { httpSnippets } from '@/libs/ui/http-snippets'
import { formatMessage, t } from '@/libs/ui/messages'
import { usageLevel } from '@/libs/ui/usage-bar'

test('what is chosen from is read to its end, page by page', async () => {
  const asked: string[] = []
  const rows = Array.from({ length: 450 }, (_, index) => index)
  const whole = await readWhole('/meters?limit=200', async (path) => {
    asked.push(path)
    const start = Number(new URLSearchParams(path.split('?')[1]).get('cursor') ?? 0)
    return { data: rows.slice(start, start + 200), next_cursor: start + 200 < 450 ? String(start + 200) : null }
  })
  expect(whole).toEqual({ data: rows, next_cursor: null })
  expect(asked).toEqual(['/meters?limit=200', '/meters?limit=200&cursor=200', '/meters?limit=200&cursor=400'])
})

describe('messages', () => {
  test('fill names and choose plurals', () => {
    expect(formatMessage('Hello {name}', { name: 'Ada' })).toBe('Hello Ada')
    expect(formatMessage('{n} rows', { n: 12345 })).toBe('12,345 rows')
    const rows = '{n, plural, =0 {no rows} one {# row} other {# rows}} found'
    expect(formatMessage(rows, { n: 0 })).toBe('no rows found')
    expect(formatMessage(rows, { n: 1 })).toBe('1 row found')
    expect(formatMessage(rows, { n: 2000 })).toBe('2,000 rows found')
  })

  test('parameters are filled inside a plural as well', () => {
    const text = '{n, plural, one {# row of {name}} other {# rows of {name}, {most} at most}} shown'
    expect(formatMessage(text, { n: 1, name: 'Acme' })).toBe('1 row of Acme shown')
    expect(formatMessage(text, { n: 2, name: '{n}', most: 5_000 })).toBe('2 rows of {n}, 5,000 at most shown')
    expect(() => formatMessage(text, { n: 2, name: 'Acme' })).toThrow('most')
  })

  test('a value with braces stays a value', () => {
    expect(formatMessage('{a} {b}', { a: '{b}', b: '$&' })).toBe('{b} $&')
  })

  test('a missing parameter or key is an error, not a hole', () => {
    expect(() => formatMessage('Hello {name}')).toThrow('name')
    expect(() => t('ui.no.such.key' as never)).toThrow('ui.no.such.key')
  })
})

describe('format', () => {
  test('bytes, money, quantities', () => {
    expect(formatBytes(0)).toBe('0 B')
    expect(formatBytes(1536)).toBe('1.5 KB')
    expect(formatBytes(10 * 1024 ** 3)).toBe('10 GB')
    expect(formatMoney(4900, 'USD')).toBe('$49.00')
    expect(formatMoney(4900, 'JPY')).toBe('¥4,900')
    expect(formatQuantity(1024, 'bytes')).toBe('1 KB')
    expect(formatQuantity(12_345, 'calls')).toBe('12,345 calls')
    expect(formatCompact(9_999)).toBe('9,999')
    expect(formatCompact(1_284_331)).toBe('1.3M')
  })

  test('what counts never reads as zero', () => {
    expect(formatNumber(1234567.891)).toBe('1,234,567.89')
    expect(formatNumber(0.0000001)).toBe('0.0000001')
    expect(formatNumber('0.000000012345')).toBe('0.000000012')
    expect(formatQuantity(-0.00012, 'GB')).toBe('-0.00012 GB')
    expect(formatBytes(0.25)).toBe('0.25 B')
  })

  test('digits that no double holds are shown as they came', () => {
    const long = '123456789012345678901234567890'
    expect(formatNumber(long)).toBe('123,456,789,012,345,678,901,234,567,890')
    expect(formatQuantity(long, 'calls')).toBe('123,456,789,012,345,678,901,234,567,890 calls')
    expect(formatExact(`${long}.00000000000000000001`)).toBe(
      '123,456,789,012,345,678,901,234,567,890.00000000000000000001',
    )
    expect(formatExact(1.5e-8)).toBe('0.000000015')
    expect(toDecimalText(1.5e-8)).toBe('0.000000015')
    expect(toDecimalText(`-${long}.5`)).toBe(`-${long}.5`)
    expect(formatBytes(1.2345e29)).toBe('102,115 YB')
    expect(formatCompact(1.2345e29)).toBe('1.2E29')
  })

  test('small amounts are told apart, on an axis and when they are foretold', () => {
    expect(formatCompact(0.0000015)).toBe('1.5E-6')
    expect(formatCompact(0.0005)).toBe('0.0005')
    expect(formatCompact(0)).toBe('0')
    expect(formatEstimate(0.00000312, 'GB')).toBe('0.0000031 GB')
    expect(formatEstimate(12.345)).toBe('12.35')
    expect(formatEstimate(1234.56, 'calls')).toBe('1,235 calls')
  })

  test('times in the zone of the tenant', () => {
    expect(formatDate('2026-11-21T23:30:00Z', 'datetime', 'Europe/Berlin')).toBe('22 Nov 2026, 00:30')
    expect(formatDate('2026-11-21T23:30:00Z', 'date')).toBe('21 Nov 2026')
    expect(formatDate('2026-11-21T23:30:05Z', 'exact')).toBe('21 Nov 2026, 23:30:05 UTC')
  })

  test('relative times', () => {
    const now = Date.parse('2026-11-21T12:00:00Z')
    expect(formatRelative('2026-11-21T11:59:50Z', now)).toBe('now')
    expect(formatRelative('2026-11-21T11:57:00Z', now)).toBe('3 minutes ago')
    expect(formatRelative('2026-11-23T12:00:00Z', now)).toBe('in 2 days')
  })
})

describe('usage', () => {
  test('warns from 80 % and stops at 100 %', () => {
    expect(usageLevel(79, 100)).toBe('ok')
    expect(usageLevel(80, 100)).toBe('near')
    expect(usageLevel(100, 100)).toBe('reached')
    expect(usageLevel(1, 0)).toBe('reached')
    expect(usageLevel(1e9, null)).toBe('ok')
  })

  test('who used nothing of what is not included has reached nothing', () => {
    expect(usageLevel(0, 0)).toBe('excluded')
    expect(usageLevel(-3, 0)).toBe('excluded')
    expect(usageLevel(-3, 10)).toBe('ok')
  })
})

describe('chart data', () => {
  const series = [
    {
      key: 'a',
      label: 'A',
      points: [
        { at: '2026-11-02', value: 2 },
        { at: '2026-11-01', value: 1 },
      ],
    },
    { key: 'b', label: '=cmd()', points: [{ at: '2026-11-02', value: 5 }] },
  ]

  test('buckets are in order of time, gaps are zero, the sum is kept', () => {
    const buckets = toBuckets(series, [{ at: '2026-10-31', value: 4 }], true)
    expect(buckets).toEqual([
      { at: '2026-11-01', values: [1, 0], total: 1, previous: 4, partial: false },
      { at: '2026-11-02', values: [2, 5], total: 7, previous: null, partial: true },
    ])
  })

  test('the text says what the drawing shows', () => {
    const text = summarizeBuckets(toBuckets(series, undefined, true), { interval: 'day', timeZone: 'UTC' })
    expect(text).toBe(
      '8 in total, from 1 Nov 2026 to 2 Nov 2026. Highest: 7 (2 Nov 2026). Lowest: 1 (1 Nov 2026). The last bucket, 2 Nov 2026, is still filling.',
    )
  })

  test('a bucket alone says what is shown beside the pointer', () => {
    const words = (bucket: number, sums = true) => {
      const buckets = toBuckets(series, [{ at: '2026-10-31', value: 4 }], true, !sums)
      const options = { interval: 'day', timeZone: 'UTC', unit: 'calls', sums } as const
      return buckets[bucket] && describeBucket(buckets[bucket], series, options)
    }
    expect(words(0)).toBe('1 Nov 2026: A 1 calls, =cmd() 0 calls, Total 1 calls, Period before 4 calls')
    expect(words(1)).toBe('2 Nov 2026, still filling: A 2 calls, =cmd() 5 calls, Total 7 calls')
    expect(words(0, false)).toBe('1 Nov 2026: A 1 calls, =cmd() –, Period before 4 calls')
  })

  test('beyond what a double holds the text says about how much, and no digit that is not so', () => {
    const points = [
      { at: '2026-11-01', value: Number('9007199254740993') },
      { at: '2026-11-02', value: 7 },
    ]
    const text = summarizeBuckets(toBuckets([{ key: 'a', label: 'A', points }], undefined, false), {
      interval: 'day',
      timeZone: 'UTC',
      unit: 'calls',
    })
    expect(text).toBe(
      'about 9,007,199,254,741,000 calls in total, from 1 Nov 2026 to 2 Nov 2026. Highest: about 9,007,199,254,740,990 calls (1 Nov 2026). Lowest: 7 calls (2 Nov 2026).',
    )
  })

  test('CSV cannot hold a formula', () => {
    expect(bucketsToCsv(toBuckets(series, undefined, false), series)).toBe(
      "bucket,A,'=cmd(),total\r\n2026-11-01,1,0,1\r\n2026-11-02,2,5,7\r\n",
    )
  })

  test('CSV has no exponents', () => {
    const points = [
      { at: '2026-11-01', value: 1e-7 },
      { at: '2026-11-02', value: 1e21 },
    ]
    const one = [{ key: 'a', label: 'A', points }]
    expect(bucketsToCsv(toBuckets(one, undefined, false), one)).toBe(
      'bucket,A\r\n2026-11-01,0.0000001\r\n2026-11-02,1000000000000000000000\r\n',
    )
  })
})

describe('differences', () => {
  test('are named by their path', () => {
    expect(diffFields({ a: 1, n: { x: 1, y: 2 }, gone: true }, { a: 1, n: { x: 2, y: 2 }, fresh: null })).toEqual([
      { field: 'n.x', kind: 'changed', before: 1, after: 2 },
      { field: 'gone', kind: 'removed', before: true, after: undefined },
      { field: 'fresh', kind: 'added', before: undefined, after: null },
    ])
  })

  test('of a record that was made or deleted, what it never had is none', () => {
    const record = { name: 'Ada', email: null, limits: { calls: null } }
    expect(diffFields(null, record).map(({ field }) => field)).toEqual(['name', 'limits'])
    expect(diffFields(record, null).map(({ field }) => field)).toEqual(['name', 'limits'])
    expect(diffFields({ email: 'a@b' }, { email: null })).toHaveLength(1)
  })

  test('a value has none with itself', () => {
    fc.assert(
      fc.property(fc.dictionary(fc.string(), fc.jsonValue()), (value) => {
        expect(diffFields(value, structuredClone(value))).toEqual([])
      }),
    )
  })
})

describe('api client', () => {
  test('query strings leave out what is empty', () => {
    expect(toQuery({ q: 'a b', status: ['x', 'y'], cursor: null, none: [], empty: '', limit: 20 })).toBe(
      '?q=a+b&status=x%2Cy&limit=20',
    )
    expect(toQuery({ cursor: undefined })).toBe('')
  })

  test('pointers become paths of form fields', () => {
    expect(pointerToPath('/usage_caps/0/limit')).toBe('usage_caps.0.limit')
    expect(pointerToPath('#/name')).toBe('name')
    expect(pointerToPath('/a~1b')).toBe('a/b')
    expect(pointerToPath('')).toBe('')
  })

  test('a problem keeps what a person needs', () => {
    const problem = new ApiProblem(
      429,
      { code: 'rate_limited', title: 'Too many requests', detail: 'Slow down.', request_id: 'r1' },
      new Headers({ 'retry-after': '7' }),
    )
    expect(problem).toMatchObject({ status: 429, code: 'rate_limited', request_id: 'r1', retry_after: 7, errors: [] })
    expect(describeProblem(problem)).toBe('Slow down.')
    expect(new ApiProblem(502, {}, new Headers({ 'x-request-id': 'r2' }))).toMatchObject({
      code: 'http_502',
      request_id: 'r2',
      retry_after: null,
    })
  })

  test('initials', () => {
    expect(initialsOf('Ada King Lovelace')).toBe('AL')
    expect(initialsOf('ada@acme.test')).toBe('A')
    expect(initialsOf('')).toBe('?')
    expect(initialsOf('(old) Acme')).toBe('OA')
    expect(initialsOf('"Ada" & Sons')).toBe('AS')
    expect(initialsOf('“ada@acme.test”')).toBe('A')
    expect(initialsOf('🚀')).toBe('🚀')
    expect(initialsOf('李 小龍')).toBe('李小')
  })
})

describe('snippets', () => {
  test('survive quotes in the body, in a shell and in a script', () => {
    const [curl, script] = httpSnippets({
      method: 'POST',
      url: 'http://x.test/a',
      key: 'hf_1',
      body: { name: "O'Hara" },
    })
    expect(curl.code).toContain(`-d '{"name":"O'\\''Hara"}'`)
    expect(curl.code).toContain("-H 'Authorization: Bearer hf_1'")
    expect(script.code).toContain("name: 'O\\'Hara',")
  })

  test('without a key they say where it belongs', () => {
    const [curl, script] = httpSnippets({ method: 'GET', url: 'http://x.test/a' })
    expect(curl.code).toBe(`curl 'http://x.test/a' \\\n  -H "Authorization: Bearer $HOLDFAST_API_KEY"`)
    expect(script.code).toContain("const key = 'hf_live_…'")
  })

  test.each([
    [undefined, 'response.json()'],
    ['text', 'response.text()'],
    ['none', null],
  ] as const)('read what is answered: %s', (answer, expected) => {
    const [, script] = httpSnippets({ method: 'DELETE', url: 'http://x.test/a', ...(answer ? { answer } : {}) })
    if (expected) expect(script.code).toContain(`const answer = await ${expected}`)
    else expect(script.code).toMatch(/\n\}\)$/)
  })
})
