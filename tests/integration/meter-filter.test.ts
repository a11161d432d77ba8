// A filter means the same to the database, which decides, and to the model the tests compare it with.
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { parseInput } from '@/libs/api-utils/read-json'
import { FILTER_OPERATORS, type FilterCondition, type MeterFilter, meterFilter } from '@/libs/metering/meter-filter'
import { passesFilter } from '../support/filter-model'
import { asSuperuser } from '../support/world'

const scalar = fc.oneof(
  fc.constantFrom<string | number | boolean | null>(
    '',
    '5',
    '5.0',
    '+5',
    '-5',
    '05',
    '1e3',
    ' 5',
    'eu',
    'Eu',
    'é',
    '😀',
    '\uffff',
    true,
    false,
    null,
  ),
  fc.constantFrom(5, 5.5, -5, 0, 1e-7, 1e21, 1e30, 123456789012345680000),
)
const pattern = fc
  .array(fc.constantFrom('e', 'u', '%', '_', '\\%', '\\\\', '.', '5', 'é', '😀'), { maxLength: 5 })
  .map((parts) => parts.join(''))
const condition: fc.Arbitrary<FilterCondition> = fc.constantFrom(...FILTER_OPERATORS).chain((operator) =>
  fc.record({
    property: fc.constantFrom('a', 'b', 'missing'),
    operator: fc.constant(operator),
    value:
      operator === 'in'
        ? fc.array(scalar, { minLength: 1, maxLength: 4 })
        : operator === 'like'
          ? pattern
          : operator === 'eq' || operator === 'ne'
            ? scalar
            : scalar.filter((value) => typeof value === 'string' || typeof value === 'number'),
  }),
)
const filter: fc.Arbitrary<MeterFilter> = fc.letrec<{ filter: MeterFilter }>((tie) => ({
  filter: fc.oneof(
    { maxDepth: 2, withCrossShrink: true },
    condition,
    fc.array(tie('filter'), { minLength: 1, maxLength: 3 }).map((and) => ({ and })),
    fc.array(tie('filter'), { minLength: 1, maxLength: 3 }).map((or) => ({ or })),
  ),
})).filter
const properties = fc.record({ a: scalar, b: scalar }, { requiredKeys: [] })

test('both give the same answer', async () => {
  const cases = fc.sample(fc.tuple(filter, properties), { numRuns: 4_000, seed: 5 })
  const rows = await asSuperuser<{ passes: boolean }>(
    `select app.passes_filter(f, p) as passes from unnest($1::jsonb[], $2::jsonb[]) with ordinality c (f, p, place) order by place`,
    [cases.map(([one]) => JSON.stringify(one)), cases.map(([, one]) => JSON.stringify(one))],
  )
  const different = cases.flatMap(([one, have], index) =>
    passesFilter(one, have) === rows[index]?.passes
      ? []
      : [{ filter: one, properties: have, database: rows[index]?.passes }],
  )
  expect(different.slice(0, 3)).toEqual([])
  expect(rows.filter(({ passes }) => passes).length).toBeGreaterThan(500)
  expect(rows.filter(({ passes }) => !passes).length).toBeGreaterThan(500)
})

test('what is made of conditions as they should be is accepted', () => {
  fc.assert(
    fc.property(filter, (one) => {
      expect(parseInput(meterFilter, structuredClone(one))).toEqual(one)
    }),
    { numRuns: 300 },
  )
})
