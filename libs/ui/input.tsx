'use client'

import { Eye, EyeOff, Search, X } from 'lucide-react'
import { type ComponentProps, type ReactNode, useEffect, useRef, useState } from 'react'
import { cx } from '@/libs/ui/cx'
import { useFieldControl } from '@/libs/ui/field'
import { t } from '@/libs/ui/messages'

/** The look shared by everything one types into or chooses from. */
export const controlClass =
  'control-text w-full min-w-0 rounded-md border border-control bg-surface px-3 text-ink shadow-card transition-colors ' +
  'placeholder:text-faint disabled:placeholder:text-transparent hover:not-disabled:border-faint focus-visible:border-focus focus-visible:outline-offset-0 ' +
  'aria-invalid:border-danger disabled:cursor-not-allowed disabled:bg-sunken disabled:text-faint [&[readonly]]:bg-sunken'

export type InputProps = ComponentProps<'input'> & {
  /** Fixed text after the value, such as `.example.com`. */
  suffix?: ReactNode
}

/**
 * One line of text; wires itself to the Field around it.
 * @example <Field label="Name"><Input {...register('name')} autoComplete="organization" /></Field>
 */
export function Input({ suffix, className, ...props }: InputProps) {
  const { labelId: _, ...aria } = useFieldControl()
  if (!suffix) {
    return <input {...aria} {...props} className={cx(controlClass, 'h-8.5 pointer-coarse:h-10', className)} />
  }
  return (
    <div
      className={cx(
        'flex h-8.5 items-stretch overflow-hidden rounded-md border border-control bg-surface shadow-card pointer-coarse:h-10',
        'focus-within:border-focus focus-within:outline-2 focus-within:outline-focus has-aria-invalid:border-danger',
        className,
      )}
    >
      <input
        {...aria}
        {...props}
        className="control-text min-w-0 flex-1 bg-transparent px-3 text-ink outline-none disabled:bg-sunken disabled:text-faint"
      />
      <span className="flex items-center whitespace-nowrap border-l bg-sunken px-2.5 text-faint text-sm">{suffix}</span>
    </div>
  )
}

/** Several lines of text. */
export function Textarea({ className, rows = 4, ...props }: ComponentProps<'textarea'>) {
  const { labelId: _, ...aria } = useFieldControl()
  return <textarea {...aria} rows={rows} {...props} className={cx(controlClass, 'py-2', className)} />
}

/** A password with a button to show it; pasting is allowed, as everywhere. */
export function PasswordInput(props: ComponentProps<'input'>) {
  const { labelId: _, ...aria } = useFieldControl()
  const [shown, setShown] = useState(false)
  return (
    <div className="relative">
      <input
        {...aria}
        {...props}
        type={shown ? 'text' : 'password'}
        className={cx(controlClass, 'h-8.5 pr-10 pointer-coarse:h-10')}
      />
      <button
        type="button"
        aria-label={shown ? t('ui.password.hide') : t('ui.password.show')}
        aria-pressed={shown}
        onClick={() => setShown(!shown)}
        className="absolute inset-y-0.5 right-0.5 flex w-8 items-center justify-center rounded-md text-faint hover:text-ink pointer-coarse:w-10"
      >
        {shown ? <EyeOff className="size-4" /> : <Eye className="size-4" />}
      </button>
    </div>
  )
}

/** A search field with a magnifying glass and a button that clears it. */
export function SearchInput({
  label,
  value,
  onValueChange,
  className,
  ...props
}: Omit<ComponentProps<'input'>, 'value' | 'onChange' | 'type'> & {
  /** The accessible name; also the placeholder unless one is given. */
  label: string
  value: string
  onValueChange: (value: string) => void
}) {
  const field = useRef<HTMLInputElement>(null)
  // What was typed before the page was alive counts: the next change would put back what the server wrote.
  // biome-ignore lint/correctness/useExhaustiveDependencies: once, when it comes alive
  useEffect(() => {
    const typed = field.current?.value ?? value
    if (typed !== value) onValueChange(typed)
  }, [])
  return (
    <div className={cx('relative', className)}>
      <Search
        aria-hidden="true"
        className="pointer-events-none absolute top-1/2 left-2.5 size-4 -translate-y-1/2 text-faint"
      />
      <input
        ref={field}
        type="search"
        aria-label={label}
        placeholder={label}
        spellCheck={false}
        autoComplete="off"
        {...props}
        value={value}
        onChange={(event) => onValueChange(event.target.value)}
        className={cx(controlClass, 'h-8.5 pr-8 pl-8.5 pointer-coarse:h-10 [&::-webkit-search-cancel-button]:hidden')}
      />
      {value ? (
        <button
          type="button"
          aria-label={t('ui.search.clear')}
          onClick={() => onValueChange('')}
          className="absolute top-1/2 right-1 flex size-6.5 -translate-y-1/2 items-center justify-center rounded-sm text-faint hover:text-ink"
        >
          <X className="size-3.5" />
        </button>
      ) : null}
    </div>
  )
}
