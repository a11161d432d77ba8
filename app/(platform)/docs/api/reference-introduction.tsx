import { CodeSnippet } from '@/libs/ui/code-snippet'
import { httpSnippets } from '@/libs/ui/http-snippets'
import { t } from '@/libs/ui/messages'
import type { OpenApiDocument, OperationGroup } from './openapi-document'
import { OperationIndex } from './operation-index'
import { ReferenceFrame } from './reference-frame'
import { RichText } from './rich-text'

const TOPICS = ['authentication', 'addresses', 'lists', 'errors', 'idempotency', 'limits'] as const
const linkClass = 'rounded-sm font-medium text-accent-text underline underline-offset-3'

/** What holds for every operation, then the index of all of them. */
export function ReferenceIntroduction({ document, groups }: { document: OpenApiDocument; groups: OperationGroup[] }) {
  const index = groups.map(({ tag, id, operations }) => ({
    tag,
    id,
    operations: operations.map(({ id: anchor, method, path, summary }) => ({ id: anchor, method, path, summary })),
  }))
  return (
    <ReferenceFrame groups={groups}>
      <h1 className="font-semibold text-2xl tracking-tight">{t('docs.api.title')}</h1>
      <RichText text={t('docs.api.lead')} />
      <p className="mt-2 text-mute">
        {t('docs.api.version', { version: document.info.version })}{' '}
        <a href="/api/openapi.json" className={linkClass}>
          {t('docs.api.document')}
        </a>
      </p>
      <CodeSnippet
        className="mt-6"
        label={t('docs.api.firstCall')}
        snippets={httpSnippets({ method: 'GET', url: `${document.servers?.[0]?.url ?? ''}/api/v1/meters` })}
      />
      {TOPICS.map((topic) => (
        <section key={topic} aria-labelledby={`about-${topic}`} className="mt-8">
          <h2 id={`about-${topic}`} className="scroll-mt-20 font-semibold text-lg tracking-tight">
            {t(`docs.api.about.${topic}.title`)}
          </h2>
          <RichText text={t(`docs.api.about.${topic}.text`)} />
          {topic === 'errors' ? (
            <p className="mt-2">
              <a href="/docs/errors" className={linkClass}>
                {t('docs.api.allErrors')}
              </a>
            </p>
          ) : null}
        </section>
      ))}
      <section aria-labelledby="operations" className="mt-10">
        <h2 id="operations" className="scroll-mt-20 font-semibold text-lg tracking-tight">
          {t('docs.api.operations')}
        </h2>
        <OperationIndex groups={index} />
      </section>
    </ReferenceFrame>
  )
}
