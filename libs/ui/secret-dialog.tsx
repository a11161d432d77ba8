'use client'

import { KeyRound } from 'lucide-react'
import { type ReactNode, useEffect, useState } from 'react'
import { Button } from '@/libs/ui/button'
import { Checkbox } from '@/libs/ui/checkbox'
import { CopyField } from '@/libs/ui/copy-button'
import { Dialog } from '@/libs/ui/dialog'
import { t } from '@/libs/ui/messages'
import { useUnsavedGuard } from '@/libs/ui/unsaved'

/**
 * Shows a secret that nobody can see again; closes only after “I have stored it”, and until then the page is not left without a question.
 * @example <SecretDialog secret={key?.secret ?? null} title="Your API key" onDone={() => setKey(null)}><CodeSnippet … /></SecretDialog>
 */
export function SecretDialog({
  secret,
  title,
  description = t('ui.secret.description'),
  label = t('ui.secret.label'),
  onDone,
  children,
}: {
  /** Open while it is not null. */
  secret: string | null
  title: ReactNode
  description?: ReactNode
  label?: string
  onDone: () => void
  /** What comes next, such as a snippet with the secret in it. */
  children?: ReactNode
}) {
  const [stored, setStored] = useState(false)
  useEffect(() => {
    if (secret) setStored(false)
  }, [secret])
  useUnsavedGuard(secret !== null && !stored)
  return (
    <Dialog
      open={secret !== null}
      onOpenChange={(open) => {
        if (!open && stored) onDone()
      }}
      dismissible={false}
      size="lg"
      title={
        <span className="flex items-center gap-2.5">
          <KeyRound aria-hidden="true" className="size-4.5 text-accent-text" />
          {title}
        </span>
      }
      description={description}
      footer={
        <>
          <Checkbox
            checked={stored}
            onCheckedChange={setStored}
            label={t('ui.secret.stored')}
            className="mr-auto items-center self-center max-sm:order-last"
          />
          <Button variant="primary" disabled={!stored} onClick={onDone}>
            {t('ui.done')}
          </Button>
        </>
      }
    >
      <div className="flex flex-col gap-4">
        {secret ? <CopyField label={label} value={secret} /> : null}
        {children}
      </div>
    </Dialog>
  )
}
