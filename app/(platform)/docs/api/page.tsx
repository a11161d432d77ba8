import type { Metadata } from 'next'
import { headers } from 'next/headers'
import { GET as getOpenApi } from '@/app/api/openapi.json/route'
import { t } from '@/libs/ui/messages'
import { listOperations, readDocument } from './openapi-document'
import { OperationNav } from './operation-nav'
import { OperationSection } from './operation-section'
import { RichText } from './rich-text'

export const metadata: Metadata = { title: t('docs.api.title') }

/** The API reference, rendered on the server from the document at /api/openapi.json: the same schemas the routes check. */
export default async function ApiReferencePage() {
  const list = await headers()
  const answer = getOpenApi(new Request('http://page/api/openapi.json', { headers: new Headers([...list]) }))
  const document = readDocument(await answer.json())
  const groups = listOperations(document)
  const links = groups.map(({ tag, id, operations }) => ({
    tag,
    id,
    operations: operations.map(({ id: anchor, method, path, summary }) => ({ id: anchor, method, path, summary })),
  }))
  return (
    <div className="mx-auto max-w-6xl gap-10 px-4 py-10 sm:px-6 lg:grid lg:grid-cols-[15rem_minmax(0,1fr)]">
      <div className="scrollbar-thin -mx-2 mb-10 max-h-80 overflow-y-auto px-2 py-1 lg:sticky lg:top-14 lg:max-h-[calc(100dvh-3.5rem)] lg:self-start">
        <OperationNav groups={links} />
      </div>
      <div className="min-w-0">
        <h1 className="font-semibold text-2xl tracking-tight">{t('docs.api.title')}</h1>
        <RichText text={document.info.description ?? ''} />
        <p className="mt-2 text-mute">
          {t('docs.api.version', { version: document.info.version })}{' '}
          <a href="/api/openapi.json" className="rounded-sm font-medium text-accent-text underline underline-offset-3">
            {t('docs.api.document')}
          </a>
        </p>
        {groups.map((group) => (
          <section key={group.id} aria-labelledby={group.id} className="mt-12">
            <h2 id={group.id} className="scroll-mt-20 font-semibold text-xl tracking-tight">
              {group.tag}
            </h2>
            {group.operations.map((operation) => (
              <OperationSection key={operation.id} document={document} operation={operation} />
            ))}
          </section>
        ))}
      </div>
    </div>
  )
}
