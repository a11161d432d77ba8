'use client'

import { cx } from '@/libs/ui/cx'
import { Field } from '@/libs/ui/field'
import { Input } from '@/libs/ui/input'
import { t } from '@/libs/ui/messages'

const HEX = /^#[0-9a-f]{6}$/i

/** A colour by hand (`#rrggbb`) or by the picker of the browser. */
export function ColorField({
  label,
  hint,
  value,
  error,
  disabled,
  onChange,
}: {
  label: string
  hint: string
  value: string
  error: string | undefined
  disabled: boolean
  onChange: (value: string) => void
}) {
  return (
    <div className="flex items-start gap-2.5">
      <Field label={label} hint={hint} error={error} className="flex-1">
        <Input
          value={value}
          onChange={(event) => onChange(event.target.value)}
          disabled={disabled}
          spellCheck={false}
          autoComplete="off"
          className="font-mono"
        />
      </Field>
      <input
        type="color"
        aria-label={t('settings.branding.pick', { name: label })}
        value={HEX.test(value) ? value : '#000000'}
        disabled={disabled}
        onChange={(event) => onChange(event.target.value)}
        className={cx(
          'mt-6.5 h-8.5 w-12 shrink-0 cursor-pointer rounded-md border border-control bg-surface p-1 pointer-coarse:h-10',
          'disabled:cursor-not-allowed disabled:opacity-60',
        )}
      />
    </div>
  )
}

/** Whether a text is a colour as the API takes it. */
export function isHexColor(value: string): boolean {
  return HEX.test(value.trim())
}
