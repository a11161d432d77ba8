'use client'

import { t } from '@/libs/ui/messages'
import './globals.css'

/** The last resort, when even the root layout failed: it stands on nothing but the style sheet. */
export default function GlobalError({ error, retry }: { error: unknown; retry: () => void }) {
  const digest = error instanceof Error && 'digest' in error ? String(error.digest) : null
  return (
    <html lang="en">
      <body>
        <title>{t('ui.error.page')}</title>
        <main className="mx-auto flex min-h-dvh max-w-lg flex-col items-center justify-center px-6 text-center">
          <h1 className="font-semibold text-2xl tracking-tight">{t('ui.error.page')}</h1>
          <p className="mt-2 text-mute">{t('ui.error.pageDescription')}</p>
          <button
            type="button"
            onClick={retry}
            className="mt-5 h-9 rounded-md bg-accent px-4 font-medium text-accent-ink text-sm"
          >
            {t('ui.retry')}
          </button>
          {digest ? (
            <p className="mt-5 text-faint text-sm">
              {t('ui.error.digestLabel')} <code>{digest}</code>
            </p>
          ) : null}
        </main>
      </body>
    </html>
  )
}
