import { renderToStaticMarkup } from 'react-dom/server'
import { expect, test } from 'vitest'
import { ListTable } from '@/libs/ui/list-table'
import { Time } from '@/libs/ui/time'

type Row = { id: string; name: string }

const draw = (next_cursor: string | null, hasPrevious: boolean) =>
  renderToStaticMarkup(
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
    />,
  )
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
