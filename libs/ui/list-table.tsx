'use client'

import { Undo2 } from 'lucide-react'
import { useMemo } from 'react'
import type { Page } from '@/libs/ui/api-client'
import { Button } from '@/libs/ui/button'
import { CursorPager } from '@/libs/ui/cursor-pager'
import { type Column, DataTable, type DataTableProps } from '@/libs/ui/data-table'
import type { ListState } from '@/libs/ui/list-state'
import { t } from '@/libs/ui/messages'
import { EmptyState } from '@/libs/ui/states'
import type { ApiState } from '@/libs/ui/use-api'

type FromList = 'rows' | 'loading' | 'refreshing' | 'error' | 'onRetry' | 'footer'

/**
 * The table of a list of the API: the rows of the present page, its loading and error, what the filters of `list` leave,
 * and the pager below. A page that is not there any more leads back instead of saying that there is nothing. Columns sort
 * while one page holds all there is: the order of one page among several would pass for that of the list.
 * @example <ListTable label="Customers" list={list} page={page} columns={columns} rowKey={(c) => c.id} rowLabel={(c) => c.name} empty={<EmptyState … />} />
 */
export function ListTable<Row>({
  list,
  page,
  live = false,
  filtered = list.filtered ?? false,
  onClearFilters = list.clear,
  empty,
  columns,
  ...table
}: Omit<DataTableProps<Row>, FromList> & {
  list: Pick<ListState, 'hasPrevious' | 'previous' | 'next'> & Partial<Pick<ListState, 'filtered' | 'clear'>>
  page: Pick<ApiState<Page<Row>>, 'data' | 'loading' | 'refreshing' | 'error' | 'reload'>
  /** The first page asks again by itself, and is not dimmed for that. */
  live?: boolean
}) {
  const refreshing = page.refreshing && (!live || list.hasPrevious)
  const rows = page.data?.data
  // A cursor of yesterday, or one whose rows are gone.
  const gone =
    list.hasPrevious && (page.error?.status === 400 || (!page.error && rows?.length === 0 && !page.data?.next_cursor))
  const whole = !list.hasPrevious && !page.data?.next_cursor
  const shownColumns = useMemo(() => (whole ? columns : columns.map(withoutSorting)), [whole, columns])
  return (
    <DataTable
      {...table}
      columns={shownColumns}
      rows={gone ? [] : rows}
      loading={page.loading}
      refreshing={refreshing}
      error={gone ? null : page.error}
      onRetry={page.reload}
      filtered={filtered && !gone}
      {...(onClearFilters ? { onClearFilters } : {})}
      empty={
        gone ? (
          <EmptyState
            title={t('ui.pager.gone')}
            description={t('ui.pager.goneText')}
            action={
              <Button icon={<Undo2 />} onClick={list.previous}>
                {t('ui.pager.back')}
              </Button>
            }
          />
        ) : (
          empty
        )
      }
      footer={
        <CursorPager
          list={list}
          nextCursor={page.data?.next_cursor ?? null}
          shown={rows?.length ?? 0}
          busy={refreshing}
        />
      }
    />
  )
}

function withoutSorting<Row>({ sortValue: _, ...column }: Column<Row>): Column<Row> {
  return column
}
