import { Fragment, type ReactNode } from 'react'
import { Badge, type Tone } from '@/libs/ui/badge'
import { CodeSnippet } from '@/libs/ui/code-snippet'
import { httpSnippets } from '@/libs/ui/http-snippets'
import { t } from '@/libs/ui/messages'
import { exampleOf, type ListedOperation, type Method, type OpenApiDocument } from './openapi-document'
import { RichText } from './rich-text'
import { Field, SchemaFields } from './schema-fields'

const TONES: Record<Method, Tone> = { get: 'info', post: 'success', put: 'warning', patch: 'warning', delete: 'danger' }

/** The method of a call; the word says it, the colour repeats it. */
function MethodBadge({ method }: { method: Method }) {
  return (
    <Badge tone={TONES[method]} className="font-mono uppercase">
      {method}
    </Badge>
  )
}

const CREDENTIALS = {
  key: t('docs.api.credential.key'),
  token: t('docs.api.credential.token'),
  session: t('docs.api.credential.session'),
}

function describeCredentials(names: string[]): string {
  if (names.length === 0) return t('docs.api.credential.none')
  return t('docs.api.credential.some', {
    list: names.map((name) => CREDENTIALS[name as keyof typeof CREDENTIALS] ?? name).join(', '),
  })
}

/** One operation: what it does, who may call it, what goes in and comes out, and a call to copy. */
export function OperationSection({ document, operation }: { document: OpenApiDocument; operation: ListedOperation }) {
  const { id, method, path, summary, description, parameters, body, success, failures } = operation
  const heading = `${id}-title`
  return (
    <article
      aria-labelledby={heading}
      id={id}
      className="scroll-mt-20 border-t py-8 first-of-type:border-t-0 first-of-type:pt-6"
    >
      <h2 id={heading} className="font-semibold text-lg tracking-tight">
        <a href={`#${id}`} className="rounded-sm hover:underline">
          {summary}
        </a>
      </h2>
      <p className="mt-2 flex flex-wrap items-center gap-2">
        <MethodBadge method={method} />
        <code className="break-all font-mono text-sm">{path}</code>
      </p>
      {description ? <RichText text={description} /> : null}
      <p className="mt-2 text-mute">{describeCredentials(operation.credentials)}</p>
      <div className="mt-4 grid gap-6 xl:grid-cols-2">
        <div className="min-w-0">
          {parameters.length > 0 ? (
            <Part title={t('docs.api.parameters')}>
              <ul className="mt-2 divide-y rounded-lg border bg-surface">
                {parameters.map((parameter) => (
                  <Field
                    key={`${parameter.in} ${parameter.name}`}
                    document={document}
                    name={parameter.in === 'path' ? `{${parameter.name}}` : parameter.name}
                    schema={parameter.schema ?? {}}
                    required={parameter.required ?? false}
                    marksRequired
                    description={parameter.description ?? parameter.schema?.description}
                  />
                ))}
              </ul>
            </Part>
          ) : null}
          {body ? (
            <Part title={t('docs.api.body')}>
              <SchemaFields document={document} schema={body} marksRequired />
            </Part>
          ) : null}
          <Part title={t('docs.api.answer', { status: success.status })}>
            {success.schema ? (
              <>
                {success.mediaType && success.mediaType !== 'application/json' ? (
                  <p className="mt-2 font-mono text-mute text-sm">{success.mediaType}</p>
                ) : null}
                <SchemaFields document={document} schema={success.schema} marksRequired={false} />
              </>
            ) : (
              <p className="mt-2 text-mute text-sm">{t('docs.api.empty')}</p>
            )}
          </Part>
        </div>
        <div className="min-w-0">
          <CodeSnippet label={`${method.toUpperCase()} ${path}`} snippets={snippetsOf(document, operation)} />
          <Part title={t('docs.api.failures')}>
            <dl className="mt-2 grid grid-cols-[auto_1fr] gap-x-3 gap-y-1 text-mute text-sm">
              {failures.map((failure) => (
                <Fragment key={failure.status}>
                  <dt className="font-mono">{failure.status}</dt>
                  <dd>{failure.description.replaceAll('`', '')}</dd>
                </Fragment>
              ))}
            </dl>
          </Part>
        </div>
      </div>
    </article>
  )
}

function Part({ title, children }: { title: string; children: ReactNode }) {
  return (
    <div className="mt-5 first:mt-0">
      <h3 className="font-medium text-sm">{title}</h3>
      {children}
    </div>
  )
}

/** The call as curl and TypeScript, with the credential this operation takes. */
function snippetsOf(document: OpenApiDocument, operation: ListedOperation) {
  const { method, path, parameters, body, example, credentials, success } = operation
  const filled = path.replaceAll(/\{(\w+)\}/g, (_, name: string) => {
    const parameter = parameters.find((one) => one.in === 'path' && one.name === name)
    return String(exampleOf(document, parameter?.schema ?? { type: 'string' }))
  })
  const query = parameters
    .filter((one) => one.in === 'query' && one.required)
    .map(({ name, schema = {} }) => `${name}=${encodeURIComponent(String(exampleOf(document, schema)))}`)
  const [curl, script] = httpSnippets({
    method: method.toUpperCase() as Uppercase<Method>,
    url: `${document.servers?.[0]?.url ?? ''}${filled}${query.length > 0 ? `?${query.join('&')}` : ''}`,
    answer: success.schema === null ? 'none' : success.mediaType === 'application/json' ? 'json' : 'text',
    ...(credentials.includes('key') ? {} : { key: t('docs.api.yourToken') }),
    ...(body ? { body: example ?? exampleOf(document, body) } : {}),
  })
  if (credentials.length > 0) return [curl, script] as const
  return [
    { ...curl, code: curl.code.replace(/ \\\n {2}-H 'Authorization:[^']*'/, '') },
    { ...script, code: script.code.replace(/ {4}authorization: .*\n/, '').replace(' {\n  headers: {\n  },\n}', ' {}') },
  ] as const
}
