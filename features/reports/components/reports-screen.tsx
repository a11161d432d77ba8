'use client'

import { Download, FileChartColumn, Printer } from 'lucide-react'
import { parseAsString, useQueryStates } from 'nuqs'
import { type FormEvent, useEffect, useState } from 'react'
import { MonthReportView } from '@/features/reports/components/month-report-view'
import type { MonthReport } from '@/features/reports/schema'
import { apiUrl, toQuery } from '@/libs/ui/api-client'
import { Button, buttonClass } from '@/libs/ui/button'
import { Field } from '@/libs/ui/field'
import { formatDate } from '@/libs/ui/format'
import { Input } from '@/libs/ui/input'
import { t } from '@/libs/ui/messages'
import { PageHeader } from '@/libs/ui/page-header'
import { Loading, Skeleton } from '@/libs/ui/skeleton'
import { EmptyState, ErrorState } from '@/libs/ui/states'
import { useNow, useTimeZone } from '@/libs/ui/time'
import { useApi, useApiPath } from '@/libs/ui/use-api'

/** Paper is white: what is dark on the screen is printed light. */
function usePrintInLight(): void {
  useEffect(() => {
    const root = document.documentElement
    let dark = false
    const before = () => {
      dark = root.classList.contains('dark')
      root.classList.remove('dark')
    }
    const after = () => {
      if (dark) root.classList.add('dark')
    }
    window.addEventListener('beforeprint', before)
    window.addEventListener('afterprint', after)
    return () => {
      window.removeEventListener('beforeprint', before)
      window.removeEventListener('afterprint', after)
    }
  }, [])
}

/** The report of a month, of the tenant or of one customer; both are in the address. `running` is the month of today. */
export function ReportsScreen({
  tenantName,
  running,
  customersHref,
}: {
  tenantName: string
  running: string
  customersHref?: string
}) {
  const now = useNow()
  const zone = useTimeZone()
  const toPath = useApiPath()
  const [{ month: chosen, customer }, setState] = useQueryStates({ month: parseAsString, customer: parseAsString })
  const month = chosen ?? running
  const query = toQuery({ month, customer })
  const report = useApi<MonthReport>(`/usage/reports${query}`)
  const [typed, setTyped] = useState(customer ?? '')
  usePrintInLight()

  function apply(event: FormEvent) {
    event.preventDefault()
    void setState({ customer: typed.trim() || null })
  }

  return (
    <>
      <PageHeader
        title={t('reports.title')}
        description={t('reports.description')}
        className="print:hidden"
        actions={
          <>
            {report.error ? null : (
              <a
                href={apiUrl(toPath(`/usage/reports${toQuery({ month, customer, format: 'csv' })}`))}
                download={`usage-${month}.csv`}
                className={buttonClass()}
              >
                <Download aria-hidden="true" />
                {t('reports.download')}
              </a>
            )}
            <Button icon={<Printer />} disabled={!report.data} onClick={() => window.print()}>
              {t('reports.print')}
            </Button>
          </>
        }
      />
      <form method="dialog" onSubmit={apply} className="mb-6 flex flex-wrap items-end gap-x-4 gap-y-3 print:hidden">
        <Field label={t('reports.month')} className="w-44">
          <Input
            type="month"
            value={month}
            max={running}
            onChange={(event) => {
              const { value } = event.target
              if (/^\d{4}-\d{2}$/.test(value)) void setState({ month: value === running ? null : value })
            }}
          />
        </Field>
        <Field label={t('reports.customer')} className="w-64">
          <Input
            value={typed}
            placeholder={t('reports.everyone')}
            onChange={(event) => setTyped(event.target.value)}
            autoComplete="off"
            spellCheck={false}
          />
        </Field>
        <Button type="submit">{t('reports.apply')}</Button>
      </form>
      {report.error ? (
        report.error.status === 404 ? (
          <EmptyState
            icon={<FileChartColumn />}
            title={t('reports.no_customer')}
            description={t('reports.empty.description')}
          />
        ) : (
          <ErrorState error={report.error} onRetry={report.reload} />
        )
      ) : report.loading || !report.data ? (
        <Loading className="flex flex-col gap-4">
          <Skeleton className="h-8 w-72" />
          <Skeleton className="h-48 w-full" />
          <Skeleton className="h-72 w-full" />
        </Loading>
      ) : report.data.meters.length === 0 ? (
        <EmptyState
          icon={<FileChartColumn />}
          title={t('reports.empty.title')}
          description={t('reports.empty.description')}
        />
      ) : (
        <>
          {/* On paper nothing else says whose figures these are, and of when. */}
          <p className="mb-2 hidden text-mute text-sm print:block">
            {t('reports.printed', { tenant: tenantName, at: formatDate(now, 'exact', zone) })}
          </p>
          <MonthReportView report={report.data} {...(customersHref ? { customersHref } : {})} />
        </>
      )}
    </>
  )
}
