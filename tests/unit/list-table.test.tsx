import { renderToStaticMarkup } from 'react-dom/server'
import { expect, test } from 'vitest'
import { TierCaps } from '@/features/tiers/components/tier-details'
import { ListTable } from '@/libs/ui/list-table'
import { Time, TimeZoneProvider } from '@/libs/ui/time'

type Row = { id: string; name: string }

const list = (next_cursor: string | null, hasPrevious: boolean) => (
  <ListTable<Row>
    label="Names"
    list={{ hasPrevious, previous: () => undefined, next: () => undefined }}
    page={{
      data: { data: [{ id: '1', name: 'Ada' }], next_cursor },
      loading: false,
      refreshing: false,
      error: null,
      reload: () => undefined,
    }}
    columns={[
      { key: 'name', header: 'Name', cell: (row) => row.name, sortValue: (row) => row.name },
      { key: 'time', header: 'Made', cell: () => <Time value="2026-11-01T00:00:00Z" /> },
    ]}
    rowKey={(row) => row.id}
    rowLabel={(row) => row.name}
    empty={null}
  />
)
const draw = (next_cursor: string | null, hasPrevious: boolean) => renderToStaticMarkup(list(next_cursor, hasPrevious))
const sorts = (page: string) => /<th[^>]*><button/.test(page)

test('a list sorts while one page holds all of it, and does not pretend to beyond', () => {
  expect(sorts(draw(null, false))).toBe(true)
  expect(sorts(draw('next', false))).toBe(false)
  expect(sorts(draw(null, true))).toBe(false)
  expect(draw('next', false)).toContain('Name')
})

test('a time is a stop for the keyboard on its own, and none in rows', () => {
  const stop = /<time[^>]*tabindex="0"/i
  expect(renderToStaticMarkup(<Time value="2026-11-01T00:00:00Z" />)).toMatch(stop)
  const rows = draw(null, false)
  expect(rows).toContain('<time')
  expect(rows).not.toMatch(stop)
})

test('below rows with a time of day stands the zone of it, and not below days alone', () => {
  const zoned = renderToStaticMarkup(<TimeZoneProvider timeZone="Europe/Berlin">{list(null, false)}</TimeZoneProvider>)
  expect(zoned).toContain('times in Europe/Berlin')
  const clock = (mode: 'datetime' | 'date') =>
    renderToStaticMarkup(<Time value="2026-11-01T00:00:00Z" mode={mode} />).includes('data-clock')
  expect([clock('datetime'), clock('date')]).toEqual([true, false])
})

test('caps in bytes read as sizes, others as numbers', () => {
  const cap = { period: 'month', behaviour: 'reject', preserve_overage: false } as const
  const page = renderToStaticMarkup(
    <TierCaps
      caps={{
        traffic: { ...cap, limit: 5_368_709_120, rollover: { min: 0, max: 1_073_741_824 } },
        calls: { ...cap, limit: 5_000, rollover: null },
      }}
      meterOf={(slug) => ({ name: slug, unit: slug === 'traffic' ? 'bytes' : 'calls' })}
    />,
  )
  for (const text of ['5 GB', '1 GB', '5,000']) expect(page).toContain(text)
  expect(page).not.toContain('5,368')
})
