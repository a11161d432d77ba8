'use client'

import { Check, Copy } from 'lucide-react'
import { useEffect, useId, useRef, useState } from 'react'
import { announce } from '@/libs/ui/announcer'
import { Button, type ButtonSize, type ButtonVariant, IconButton } from '@/libs/ui/button'
import { cx } from '@/libs/ui/cx'
import { controlClass } from '@/libs/ui/input'
import { t } from '@/libs/ui/messages'

/** Writes to the clipboard; without the right to (plain http), by a selected text field. False when nothing worked. */
export async function copyText(value: string): Promise<boolean> {
  try {
    await navigator.clipboard.writeText(value)
    return true
  } catch {
    const area = document.createElement('textarea')
    area.value = value
    area.setAttribute('readonly', '')
    area.className = 'sr-only'
    // Inside an open dialog the focus may not leave it.
    const host = document.activeElement?.closest('[role="dialog"],[role="alertdialog"]') ?? document.body
    host.append(area)
    area.select()
    const done = document.execCommand('copy')
    area.remove()
    return done
  }
}

/** Copies and says so for two seconds; also to screen readers. */
function useCopy(): { copied: boolean; copy: (value: string) => void } {
  const [copied, setCopied] = useState(false)
  const timer = useRef<number | undefined>(undefined)
  useEffect(() => () => window.clearTimeout(timer.current), [])
  function copy(value: string) {
    void copyText(value).then((done) => {
      announce(done ? t('ui.copied') : t('ui.copyFailed'))
      if (!done) return
      setCopied(true)
      window.clearTimeout(timer.current)
      timer.current = window.setTimeout(() => setCopied(false), 2_000)
    })
  }
  return { copied, copy }
}

/**
 * A button that copies: an icon, unless its label is to be shown.
 * @example <CopyButton value={curl} label="Copy command" />
 */
export function CopyButton({
  value,
  label = t('ui.copy'),
  showLabel = false,
  variant = 'ghost',
  size = 'sm',
}: {
  value: string
  /** The accessible name; visible with `showLabel`. */
  label?: string
  showLabel?: boolean
  variant?: ButtonVariant
  size?: ButtonSize
}) {
  const { copied, copy } = useCopy()
  const icon = copied ? <Check className="size-4 text-success-text" /> : <Copy />
  const shown = copied ? t('ui.copied') : label
  if (!showLabel) {
    return <IconButton label={shown} icon={icon} variant={variant} size={size} onClick={() => copy(value)} />
  }
  return (
    <Button variant={variant} size={size} icon={icon} onClick={() => copy(value)}>
      {shown}
    </Button>
  )
}

/** An id or address in the text, with its copy button. */
export function CopyText({ value, className }: { value: string; className?: string }) {
  return (
    <span className={cx('inline-flex max-w-full items-center gap-0.5', className)}>
      <code className="truncate rounded-sm font-mono text-[0.92em]">{value}</code>
      <CopyButton value={value} label={t('ui.copyValue', { value })} />
    </span>
  )
}

/** A value to take away, with a large copy button: keys, DNS records, addresses. */
export function CopyField({ label, value }: { label: string; value: string }) {
  const id = useId()
  return (
    <div className="flex min-w-0 flex-col gap-1.5">
      <label htmlFor={id} className="font-medium text-sm">
        {label}
      </label>
      <div className="flex items-stretch gap-2">
        <input
          readOnly
          id={id}
          value={value}
          onFocus={(event) => event.target.select()}
          className={cx(controlClass, 'h-8.5 flex-1 font-mono text-sm pointer-coarse:h-10')}
        />
        <CopyButton value={value} showLabel variant="secondary" size="md" />
      </div>
    </div>
  )
}
