import type { Metadata } from 'next'
import { ERROR_STATUS, type ErrorCode } from '@/libs/errors'
import { CodeSnippet } from '@/libs/ui/code-snippet'
import { t } from '@/libs/ui/messages'

export const metadata: Metadata = { title: t('docs.errors.title') }

const CODES = Object.entries(ERROR_STATUS) as [ErrorCode, number][]

const EXAMPLE = {
  type: 'https://app.example.com/docs/errors#invalid_input',
  title: t('docs.errors.codes.invalid_input.title'),
  status: ERROR_STATUS.invalid_input,
  detail: 'The input is not valid.',
  code: 'invalid_input',
  request_id: '0198c0de-0000-7000-8000-000000000001',
  errors: [{ pointer: '/name', detail: 'must not be empty' }],
}

/** What each error code means and what to do; the `type` of a problem document leads here, to the section of its code. */
export default function ErrorsPage() {
  return (
    <div className="mx-auto max-w-3xl px-4 py-10 sm:px-6">
      <h1 className="font-semibold text-2xl tracking-tight">{t('docs.errors.title')}</h1>
      <p className="mt-2 text-mute">{t('docs.errors.intro')}</p>
      <CodeSnippet
        className="mt-6"
        label={t('docs.errors.shape')}
        snippets={[{ label: 'JSON', language: 'json', code: JSON.stringify(EXAMPLE, null, 2) }]}
      />
      {CODES.map(([code, status]) => (
        <section
          key={code}
          id={code}
          aria-labelledby={`${code}-title`}
          className="scroll-mt-20 border-t py-7 first-of-type:mt-10"
        >
          <h2 id={`${code}-title`} className="font-semibold text-lg tracking-tight">
            <a href={`#${code}`} className="rounded-sm hover:underline">
              {t(`docs.errors.codes.${code}.title`)}
            </a>
          </h2>
          <p className="mt-1 font-mono text-mute text-sm">
            {status} {code}
          </p>
          <h3 className="mt-4 font-medium text-sm">{t('docs.errors.meaning')}</h3>
          <p className="mt-1 text-mute">{t(`docs.errors.codes.${code}.meaning`)}</p>
          <h3 className="mt-4 font-medium text-sm">{t('docs.errors.action')}</h3>
          <p className="mt-1 text-mute">{t(`docs.errors.codes.${code}.action`)}</p>
        </section>
      ))}
    </div>
  )
}
