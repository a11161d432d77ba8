// Arrays in binary format arrive as what they were.
import { expect, test } from 'vitest'
import { int4Array, jsonbArray, textArray, uuidArray } from '@/libs/db/array-parameters'
import { newId } from '@/libs/ids'
import { withClient } from '@/processes/dev-stack/roles'
import { requireVariable } from '../support/variables'

const roundTrip = (type: string, value: Buffer): Promise<unknown> =>
  withClient(requireVariable('DATABASE_URL'), async (client) => {
    const { rows } = await client.query<{ value: unknown }>(`select to_jsonb($1::${type}[]) as value`, [value])
    return rows[0]?.value
  })

test.each([
  ['integer', [1, -2_147_483_648, 2_147_483_647, 0], int4Array],
  ['text', ['', 'a "b" \\c {,} null', 'NULL', null, 'żółw 🐢 漢字', 'x'.repeat(10_000)], textArray],
  ['jsonb', ['{"a": "\\"q\\" \\\\ ü 🐢", "b": 1.50}', null, '{}'], jsonbArray],
] as const)('%s', async (type, list, encode) => {
  const expected = type === 'jsonb' ? list.map((text) => (text === null ? null : JSON.parse(text))) : list
  expect(await roundTrip(type, (encode as (values: readonly unknown[]) => Buffer)(list))).toEqual(expected)
  expect(await roundTrip(type, (encode as (values: readonly unknown[]) => Buffer)([]))).toEqual([])
})

test('uuid, with hyphens and without', async () => {
  const ids = [newId(), newId()]
  expect(await roundTrip('uuid', uuidArray([ids[0] ?? '', (ids[1] ?? '').replaceAll('-', '')]))).toEqual(ids)
})
