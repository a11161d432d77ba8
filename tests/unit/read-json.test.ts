// Input: size before parse, depth, NUL and lone surrogates refused, unknown fields named, never anything but a 4xx.
import { gzipSync } from 'node:zlib'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { z } from 'zod'
import { parseInput, parseJson, readBody, readJson, readQuery } from '@/libs/api-utils/read-json'
import { AppError, ERROR_STATUS } from '@/libs/errors'

const anything = z.unknown()
const post = (body: BodyInit | null, headers: Record<string, string> = { 'content-type': 'application/json' }) =>
  new Request('http://localhost/x', {
    method: 'POST',
    body,
    headers,
    ...(body instanceof ReadableStream ? { duplex: 'half' } : {}),
  })

async function codeOf(work: () => unknown): Promise<string> {
  try {
    await work()
    return 'ok'
  } catch (error) {
    if (error instanceof AppError) return error.code
    throw error
  }
}

describe('size', () => {
  test('a body over the limit is refused, by its declared length or while it is read', async () => {
    const big = JSON.stringify('x'.repeat(2_000))
    expect(await codeOf(() => readJson(post(big), anything, { maxBytes: 1_000 }))).toBe('payload_too_large')
    let pulled = 0
    const endless = new ReadableStream({
      pull(controller) {
        pulled += 1
        controller.enqueue(new Uint8Array(1_000))
      },
    })
    expect(await codeOf(() => readBody(post(endless), 5_000))).toBe('payload_too_large')
    expect(pulled).toBeLessThan(10)
    expect(
      await codeOf(() => readBody(post('[1]', { 'content-type': 'application/json', 'content-length': '999999999' }))),
    ).toBe('payload_too_large')
  })

  test('a body that breaks off is the fault of its sender', async () => {
    const broken = new ReadableStream({
      start(controller) {
        controller.enqueue(new Uint8Array(10))
      },
      pull(controller) {
        controller.error(new Error('aborted'))
      },
    })
    expect(await codeOf(() => readBody(post(broken)))).toBe('bad_request')
  })

  test('exactly the limit is allowed', async () => {
    expect(await readJson(post('"abcdefgh"'), anything, { maxBytes: 10 })).toBe('abcdefgh')
    expect(await codeOf(() => readJson(post('"abcdefghi"'), anything, { maxBytes: 10 }))).toBe('payload_too_large')
  })

  test('gzip is understood, and a bomb is stopped at the size of what it unpacks to', async () => {
    const gzip = { 'content-type': 'application/json', 'content-encoding': 'gzip' }
    expect(await readJson(post(gzipSync('{"a":1}'), gzip), anything)).toEqual({ a: 1 })
    const bomb = gzipSync(Buffer.alloc(50_000_000))
    expect(bomb.length).toBeLessThan(60_000)
    expect(await codeOf(() => readJson(post(bomb, gzip), anything))).toBe('payload_too_large')
    expect(await codeOf(() => readJson(post('{"a":1}', gzip), anything))).toBe('bad_request')
    expect(await codeOf(() => readJson(post(gzipSync('{"a":1}').subarray(0, 12), gzip), anything))).toBe('bad_request')
    expect(await codeOf(() => readBody(post('x', { 'content-encoding': 'br' })))).toBe('unsupported_media_type')
  })
})

describe('content', () => {
  test.each([
    'text/plain',
    'application/x-www-form-urlencoded',
    'multipart/form-data; boundary=x',
    'text/json',
    'application/jsonp',
  ])('%s is not JSON', async (type) =>
    expect(await codeOf(() => readBody(post('{}', { 'content-type': type })))).toBe('unsupported_media_type'),
  )
  test.each([
    'application/json',
    'application/json; charset=utf-8',
    'APPLICATION/JSON',
    'application/cloudevents+json',
  ])('%s is', async (type) => expect(await readBody(post('{}', { 'content-type': type }))).toBe('{}'))

  test.each([
    '',
    ' ',
    '{',
    '[1,]',
    '{"a":1,}',
    "{'a':1}",
    'NaN',
    'undefined',
    '01',
    '1 2',
    '"\t"',
    '{"a":}',
    '\ufeff\ufeff1',
    '/**/1',
  ])('%j is refused as not JSON', async (text) =>
    expect(await codeOf(() => readJson(post(text), anything))).toBe('bad_request'),
  )

  test.each([
    ['a NUL in a value', '{"a":"x\\u0000"}'],
    ['a NUL in a key', '{"a\\u0000":1}'],
    ['a NUL deep inside', '[[[{"a":["\\u0000"]}]]]'],
    ['a lone high surrogate', '"\\ud800"'],
    ['a lone low surrogate', '{"a":"\\udc00x"}'],
    ['surrogates the wrong way round', '"\\udc00\\ud800"'],
    ['a NUL byte', '"\0"'],
  ])('%s is refused', async (_, text) => expect(await codeOf(() => readJson(post(text), anything))).toBe('bad_request'))

  test('bytes that are not UTF-8 are refused', async () => {
    for (const bytes of [
      [0x22, 0xff, 0x22],
      [0x22, 0xc0, 0x80, 0x22],
      [0x22, 0xed, 0xa0, 0x80, 0x22],
    ])
      expect(await codeOf(() => readJson(post(Uint8Array.from(bytes)), anything))).toBe('bad_request')
  })

  test('a proper pair of surrogates is a character', async () => {
    expect(await readJson(post('"\\ud83d\\ude00"'), anything)).toBe('😀')
  })

  test('nesting ends at 32 levels, and 100,000 levels do not break the parser', async () => {
    const nested = (depth: number) => '['.repeat(depth) + ']'.repeat(depth)
    expect(await codeOf(() => readJson(post(nested(33)), anything))).toBe('ok')
    expect(await codeOf(() => readJson(post(nested(34)), anything))).toBe('bad_request')
    expect(await codeOf(() => readJson(post(nested(100_000)), anything))).toBe('bad_request')
    expect(await codeOf(() => readJson(post('{"a":'.repeat(50_000)), anything))).toBe('bad_request')
    // Where entries fail one by one, what is deeper is left out of one.
    expect(parseJson(nested(34), { lenient: true })).toEqual(JSON.parse(`${'['.repeat(33)}null${']'.repeat(33)}`))
  })

  test('prototypes stay as they are', async () => {
    const value = parseJson('{"__proto__":{"polluted":true},"constructor":{"prototype":{"polluted":true}}}')
    expect(({} as Record<string, unknown>).polluted).toBeUndefined()
    expect(Object.getPrototypeOf(value)).toBe(Object.prototype)
  })

  test.each([
    ['1e400', ''],
    ['{"a":[1,-1e400]}', '/a/1'],
    [`{"metadata":{"a":${'9'.repeat(400)}}}`, '/metadata/a'],
    ['{"a":{"__proto__":1}}', '/a/__proto__'],
    ['[{"\\u005f_proto__":{}}]', '/0/__proto__'],
  ])('%.40s cannot be kept, and is refused at %j', async (text, pointer) => {
    await expect(readJson(post(text), anything)).rejects.toMatchObject({
      code: 'invalid_input',
      details: { errors: [{ pointer }] },
    })
  })
})

describe('names', () => {
  test('what is wrong is pointed at under the name that was sent', async () => {
    const schema = z.strictObject({
      meter_id: z.string(),
      usage_list: z.array(z.strictObject({ event_value: z.number() })).optional(),
      properties: z.record(z.string(), z.string()).optional(),
    })
    const pointersOf = async (work: () => unknown) => {
      try {
        await work()
      } catch (error) {
        if (error instanceof AppError) return error.details.errors?.map(({ pointer }) => pointer)
      }
      return 'nothing was wrong'
    }
    const sent = (body: object) => pointersOf(() => readJson(post(JSON.stringify(body)), schema))
    expect(await sent({ meterId: 5 })).toEqual(['/meterId'])
    expect(await sent({ meter_id: 5 })).toEqual(['/meter_id'])
    expect(await sent({})).toEqual(['/meter_id'])
    expect(await sent({ meterId: 'a', usageList: [{ event_value: 1 }, { eventValue: 'b' }], oddField: 1 })).toEqual([
      '/usageList/1/eventValue',
      '/oddField',
    ])
    expect(await sent({ meterId: 'a', properties: { camelCase: 1 } })).toEqual(['/properties/camelCase'])
    const query = z.strictObject({ meter_id: z.string().max(3), window: z.string().optional() })
    const asked = (search: string) => pointersOf(() => readQuery(new Request(`http://localhost/x?${search}`), query))
    expect(await asked('meterId=long')).toEqual(['/meterId'])
    expect(await asked('meter_id=long&oddOne=1')).toEqual(['/meter_id', '/oddOne'])
    expect(await asked('meter_id=a&meterId=b')).toEqual(['/meterId'])
  })

  test('camelCase is read as snake_case, but what belongs to the caller stays as it is', () => {
    expect(
      parseJson('{"usageCaps":{"myMeter":{"preserveOverage":true,"limit":5},"other":7},"featureEntitlements":[]}'),
    ).toEqual({ usage_caps: { myMeter: { preserve_overage: true, limit: 5 }, other: 7 }, feature_entitlements: [] })
    const read = parseJson(
      '{"meterId":"m","eventValue":1,"list":[{"userId":"u"}],"properties":{"myKey":{"innerKey":1}}}',
    )
    expect(read).toEqual({
      meter_id: 'm',
      event_value: 1,
      list: [{ user_id: 'u' }],
      properties: { myKey: { innerKey: 1 } },
    })
  })

  test('the same field in two spellings is refused', () => {
    expect(() => parseJson('{"meterId":1,"meter_id":2}')).toThrow(AppError)
  })

  test('reading is stable: snake_case input comes out as it went in', () => {
    const key = fc.stringMatching(/^[a-z][a-z0-9]*(_[a-z][a-z0-9]*)*$/)
    const { tree } = fc.letrec((tie) => ({
      tree: fc.oneof({ depthSize: 'small' }, fc.integer(), fc.boolean(), fc.constant(null), tie('record')),
      record: fc.dictionary(key, tie('tree')),
    }))
    fc.assert(
      fc.property(tree, (value) => {
        expect(parseJson(JSON.stringify(value))).toEqual(JSON.parse(JSON.stringify(value)))
      }),
    )
  })

  test('every unknown field is named by a JSON pointer, with the characters that need it escaped', () => {
    const schema = z.strictObject({ name: z.string(), caps: z.strictObject({ limit: z.number() }) })
    try {
      parseInput(schema, { name: 1, 'a/b~c': 1, caps: { limit: 'x', more: 1 } })
      expect.unreachable()
    } catch (error) {
      expect(error).toMatchObject({ code: 'invalid_input' })
      const pointers = (error as AppError).details.errors?.map(({ pointer }) => pointer).sort()
      expect(pointers).toEqual(['/a~1b~0c', '/caps/limit', '/caps/more', '/name'])
    }
  })
})

describe('what is wrong is said once for each place, in words that say what is expected', () => {
  const amount = z.union([z.number().min(0), z.string().regex(/^\d+$/, 'must be digits')])
  const schema = z.strictObject({
    name: z
      .string()
      .min(1)
      .max(5)
      .regex(/^[a-z]*$/, 'must be letters')
      .optional(),
    keys: z.array(z.string().min(1)).max(2).optional(),
    count: z.int().max(10).optional(),
    level: z.number().lt(1e30).optional(),
    kind: z.enum(['a', 'b']).optional(),
    amount: amount.optional(),
    cap: z.union([amount, z.strictObject({ limit: amount })]).optional(),
    from: z.union([z.iso.date(), z.iso.datetime()]).optional(),
    by: z.record(z.string().max(3), z.boolean()).optional(),
    own: z.union([z.string(), z.number()], { error: 'is ours' }).optional(),
    id: z.uuid().optional(),
  })
  const errorsOf = (value: unknown) => {
    try {
      parseInput(z.strictObject({ needed: z.string() }).extend(schema.shape), value)
      return []
    } catch (error) {
      return (error as AppError).details.errors?.map(({ pointer, detail }) => `${pointer} ${detail}`)
    }
  }
  test.each<[unknown, string[]]>([
    [{}, ['/needed is needed']],
    [[], [' must be an object']],
    [{ needed: [] }, ['/needed must be text']],
    [{ needed: '', name: [] }, ['/name must be text']],
    [{ needed: '', name: '' }, ['/name must not be empty']],
    [{ needed: '', name: '123456' }, ['/name may have at most 5 characters']],
    [{ needed: '', keys: 'x'.repeat(9) }, ['/keys must be a list']],
    [{ needed: '', keys: ['a', '', 'c'] }, ['/keys may have at most 2 entries']],
    [{ needed: '', keys: ['a', ''] }, ['/keys/1 must not be empty']],
    [{ needed: '', count: 1e300 }, ['/count must be at most 10']],
    [{ needed: '', count: 1.5 }, ['/count must be a whole number']],
    [{ needed: '', level: 1e30 }, ['/level must be less than 1e+30']],
    [{ needed: '', kind: 'c' }, ['/kind must be one of a, b']],
    [{ needed: '', amount: null }, ['/amount must be a number or text']],
    [{ needed: '', amount: -1 }, ['/amount must be at least 0']],
    [{ needed: '', amount: 'x' }, ['/amount must be digits']],
    [{ needed: '', cap: true }, ['/cap must be a number, text or an object']],
    [{ needed: '', cap: -1 }, ['/cap must be at least 0']],
    [{ needed: '', cap: {} }, ['/cap/limit is needed']],
    [{ needed: '', cap: { limit: null } }, ['/cap/limit must be a number or text']],
    [
      { needed: '', by: { long_name: true } },
      ['/by/long_name is no name that can be used here: it may have at most 3 characters'],
    ],
    [{ needed: '', own: null }, ['/own is ours']],
    [{ needed: '', id: 'x' }, ['/id must be a UUID']],
    [{ needed: '', other: 1 }, ['/other is not a known field']],
  ])('%j', (value, errors) => expect(errorsOf(value)).toEqual(errors))

  test('either form of a moment', () => {
    expect(errorsOf({ needed: '', from: 'x' })).toEqual([
      '/from must be a date that exists, such as 2026-11-21 or must be RFC 3339 with a zone, such as 2026-11-21T09:30:00Z',
    ])
  })
})

describe('query', () => {
  const schema = z.strictObject({ time_range: z.string().optional(), limit: z.coerce.number().int().optional() })
  const query = (search: string) => readQuery(new Request(`http://localhost/x?${search}`), schema)

  test('is read in both spellings', () => {
    expect(query('timeRange=30d&limit=5')).toEqual({ time_range: '30d', limit: 5 })
    expect(query('tenant=acme')).toEqual({})
  })
  test.each(['limit=x', 'limit=1.5', 'other=1', 'limit=1e999'])('%s is invalid', async (search) =>
    expect(await codeOf(() => query(search))).toBe('invalid_input'),
  )
  test('a name that is there twice is refused, in whichever spelling', () => {
    for (const search of ['limit=1&limit=1', 'time_range=7d&timeRange=30d'])
      expect(() => query(search)).toThrow(expect.objectContaining({ code: 'invalid_input' }))
  })
  test('a NUL is refused', async () => expect(await codeOf(() => query('time_range=%00'))).toBe('bad_request'))
})

test('whatever is sent, the answer is a 4xx or the value: never a fault of ours', async () => {
  const schema = z.strictObject({ name: z.string().max(50), size: z.number() })
  const body = fc.oneof(
    fc.string({ unit: 'binary' }),
    fc.json(),
    fc.json().map((text) => text.replace(/"/g, "'")),
    fc.uint8Array({ maxLength: 200 }).map((bytes) => Buffer.from(bytes)),
    fc.record({ name: fc.string({ unit: 'binary' }), size: fc.double() }).map((value) => JSON.stringify(value)),
  )
  await fc.assert(
    fc.asyncProperty(body, async (content) => {
      const code = await codeOf(() => readJson(post(content as BodyInit), schema))
      if (code !== 'ok') expect(ERROR_STATUS[code as keyof typeof ERROR_STATUS]).toBeLessThan(500)
    }),
    { numRuns: 1_000 },
  )
})
