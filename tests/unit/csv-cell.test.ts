import { expect, test } from 'vitest'
import { escapeFormula, quantityCell } from '@/libs/csv-cell'
import { toCsv } from '@/libs/csv-file'

test('text that a spreadsheet would take for a formula is kept as text, also behind a line of its own', () => {
  for (const text of ['=1', '+1', '-1', '@x', '\t=1', '\r=1', '\n=1', '＝1', '＋1', '－1', '＠x'])
    expect(escapeFormula(text)).toBe(`'${text}`)
  for (const text of ['', 'a=1', ' =1', '1-1']) expect(escapeFormula(text)).toBe(text)
})

test('an amount is a plain decimal, whatever a double would look like', () => {
  expect([1e-7, -1e-7, 1e24, 12.5, 0, '0.30000000000000001', null].map(quantityCell)).toEqual([
    '0.0000001',
    '-0.0000001',
    '1000000000000000000000000',
    '12.5',
    '0',
    '0.30000000000000001',
    '',
  ])
})

test('a line break of any kind within a cell is quoted, so that a row stays one row', () => {
  const row = ['a\nb', 'c\rd', 'e\r\nf', 'g']
  expect(toCsv([row])).toBe('"a\nb","c\rd","e\r\nf",g\r\n')
  expect(toCsv([row], { record_delimiter: 'unix' })).toBe('"a\nb","c\rd","e\r\nf",g\n')
})
