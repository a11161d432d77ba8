'use client'

import { Download } from 'lucide-react'
import { useRef, useState } from 'react'
import { announce } from '@/libs/ui/announcer'
import { ApiProblem, apiUrl } from '@/libs/ui/api-client'
import { Button } from '@/libs/ui/button'
import { Dialog } from '@/libs/ui/dialog'
import { saveFile } from '@/libs/ui/download'
import { formatNumber } from '@/libs/ui/format'
import { Menu } from '@/libs/ui/menu'
import { t } from '@/libs/ui/messages'
import { ProgressBar } from '@/libs/ui/progress'
import { toast } from '@/libs/ui/toast'
import { useApiPath } from '@/libs/ui/use-api'

type Format = 'csv' | 'jsonl'

const types: Record<Format, string> = { csv: 'text/csv', jsonl: 'application/x-ndjson' }

/** Takes the record away as a file, with the filters of the page; shows how many rows came so far and can be cancelled. */
export function AuditExport({ query, narrowed }: { query: string; narrowed: boolean }) {
  const toPath = useApiPath()
  const [rows, setRows] = useState<number | null>(null)
  const abort = useRef<AbortController | null>(null)

  async function run(format: Format) {
    const controller = new AbortController()
    abort.current = controller
    setRows(0)
    try {
      const address = apiUrl(toPath(`/audit-logs/export${query}${query ? '&' : '?'}format=${format}`))
      const text = await readRows(address, controller.signal, setRows)
      const count = Math.max(0, text.rows - (format === 'csv' ? 1 : 0))
      saveFile(`audit-log-${new Date().toISOString().slice(0, 10)}.${format}`, text.body, types[format])
      toast.success(t('audit-logs.export.done', { count }))
      announce(t('audit-logs.export.done', { count }))
    } catch (error) {
      if (!controller.signal.aborted) toast.problem(error, t('audit-logs.export.failed'))
    } finally {
      setRows(null)
    }
  }

  return (
    <>
      <Menu
        trigger={<Button icon={<Download />}>{t('audit-logs.export.action')}</Button>}
        entries={[
          { heading: t(narrowed ? 'audit-logs.export.filtered' : 'audit-logs.export.all') },
          { label: t('audit-logs.export.csv'), hint: t('audit-logs.export.csv_hint'), onSelect: () => void run('csv') },
          {
            label: t('audit-logs.export.jsonl'),
            hint: t('audit-logs.export.jsonl_hint'),
            onSelect: () => void run('jsonl'),
          },
        ]}
      />
      <Dialog
        open={rows !== null}
        onOpenChange={(open) => !open && abort.current?.abort()}
        size="sm"
        title={t('audit-logs.export.running')}
        description={t('audit-logs.export.recorded')}
        footer={<Button onClick={() => abort.current?.abort()}>{t('ui.cancel')}</Button>}
      >
        <ProgressBar
          label={t('audit-logs.export.rows', { count: formatNumber(rows ?? 0) })}
          value={rows ?? 0}
          max={null}
        />
      </Dialog>
    </>
  )
}

/** Reads an answer line by line as it comes. @throws ApiProblem when it is not a success. */
async function readRows(
  address: string,
  signal: AbortSignal,
  onRows: (rows: number) => void,
): Promise<{ body: string; rows: number }> {
  const response = await fetch(address, { credentials: 'same-origin', cache: 'no-store', signal })
  if (!response.ok || !response.body) {
    const problem: unknown = await response.json().catch(() => ({}))
    throw new ApiProblem(response.status, typeof problem === 'object' && problem ? problem : {}, response.headers)
  }
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader()
  const parts: string[] = []
  let rows = 0
  for (;;) {
    const { done, value } = await reader.read()
    if (done) break
    parts.push(value)
    rows += value.split('\n').length - 1
    onRows(rows)
  }
  return { body: parts.join(''), rows }
}
