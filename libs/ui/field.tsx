'use client'

import { CircleAlert } from 'lucide-react'
import { createContext, type ReactNode, useContext, useId, useMemo } from 'react'
import { cx } from '@/libs/ui/cx'
import { t } from '@/libs/ui/messages'

type FieldContext = {
  id: string
  labelId: string
  describedBy: string | undefined
  invalid: boolean
  required: boolean
}

const Context = createContext<FieldContext | null>(null)

export type FieldProps = {
  label: ReactNode
  /** Says what is expected, before it is got wrong. */
  hint?: ReactNode
  /** The problem, in words; marks the control as invalid. */
  error?: string | undefined
  required?: boolean
  /** Says "optional" beside the label. */
  optional?: boolean
  /** The label is for screen readers only. */
  hideLabel?: boolean
  /** Something small at the right of the label, such as a link. */
  aside?: ReactNode
  className?: string
  children: ReactNode
}

/**
 * Label, hint and error around one control, with the ARIA wiring. The control inside (Input, Select, …) picks it up.
 * @example <Field label="Slug" hint="Part of the address" error={errors.slug?.message}><Input {...register('slug')} /></Field>
 */
export function Field({ label, hint, error, required, optional, hideLabel, aside, className, children }: FieldProps) {
  const id = useId()
  const hintId = hint ? `${id}-hint` : ''
  const errorId = error ? `${id}-error` : ''
  const value = useMemo<FieldContext>(
    () => ({
      id,
      labelId: `${id}-label`,
      describedBy: [errorId, hintId].filter(Boolean).join(' ') || undefined,
      invalid: Boolean(error),
      required: Boolean(required),
    }),
    [id, hintId, errorId, error, required],
  )
  return (
    <Context value={value}>
      <div className={cx('flex min-w-0 flex-col gap-1.5', className)}>
        <div className={cx('flex items-baseline justify-between gap-3', hideLabel && 'sr-only')}>
          <label id={value.labelId} htmlFor={id} className="font-medium text-ink text-sm">
            {label}
            {optional ? <span className="ml-1.5 font-normal text-faint text-xs"> {t('ui.field.optional')}</span> : null}
          </label>
          {aside ? <span className="text-xs">{aside}</span> : null}
        </div>
        {children}
        {error ? (
          <p id={errorId} className="flex items-start gap-1.5 text-danger-text text-xs">
            <CircleAlert aria-hidden="true" className="mt-0.5 size-3.5 shrink-0" />
            <span>{error}</span>
          </p>
        ) : null}
        {hint ? (
          <p id={hintId} className="text-faint text-xs">
            {hint}
          </p>
        ) : null}
      </div>
    </Context>
  )
}

export type ControlAria = {
  id: string | undefined
  'aria-describedby': string | undefined
  'aria-invalid': true | undefined
  'aria-required': true | undefined
}

/** What a control takes from the Field around it; nothing outside of one. */
export function useFieldControl(): ControlAria & { labelId: string | undefined } {
  const field = useContext(Context)
  return {
    id: field?.id,
    'aria-describedby': field?.describedBy,
    'aria-invalid': field?.invalid || undefined,
    'aria-required': field?.required || undefined,
    labelId: field?.labelId,
  }
}

/** A group of controls under one legend, such as radio buttons or permissions. */
export function FieldGroup({
  legend,
  hint,
  error,
  children,
}: {
  legend: ReactNode
  hint?: ReactNode
  error?: string | undefined
  children: ReactNode
}) {
  const id = useId()
  return (
    <fieldset
      className="flex min-w-0 flex-col gap-2"
      aria-describedby={error ? `${id}-error` : hint ? `${id}-hint` : undefined}
    >
      <legend className="mb-2 font-medium text-ink text-sm">{legend}</legend>
      {hint ? (
        <p id={`${id}-hint`} className="-mt-1.5 text-faint text-xs">
          {hint}
        </p>
      ) : null}
      {children}
      {error ? (
        <p id={`${id}-error`} className="flex items-start gap-1.5 text-danger-text text-xs">
          <CircleAlert aria-hidden="true" className="mt-0.5 size-3.5 shrink-0" />
          <span>{error}</span>
        </p>
      ) : null}
    </fieldset>
  )
}
