'use client'

import { CircleAlert } from 'lucide-react'
import { type ReactNode, useEffect, useRef, useState } from 'react'
import {
  Controller,
  type ControllerRenderProps,
  type FieldPath,
  type FieldValues,
  type UseFormReturn,
} from 'react-hook-form'
import { type ApiProblem, SIGNED_OUT, toProblem } from '@/libs/ui/api-client'
import { cx } from '@/libs/ui/cx'
import { Field } from '@/libs/ui/field'
import { applyProblem } from '@/libs/ui/form-problem'
import { Input, type InputProps, PasswordInput, Textarea } from '@/libs/ui/input'
import { t } from '@/libs/ui/messages'
import { signInPath } from '@/libs/ui/sign-in-path'
import { useTypedForm } from '@/libs/ui/unsaved'
import { type ActOptions, useOnce } from '@/libs/ui/use-api'

/** The message of a field by its path. */
export function fieldError<Values extends FieldValues>(
  form: UseFormReturn<Values>,
  name: FieldPath<Values>,
): string | undefined {
  const error = form.getFieldState(name, form.formState).error
  if (!error) return undefined
  return error.message || t('ui.field.invalid')
}

function listWords(words: readonly string[]): string {
  return new Intl.ListFormat('en', { type: 'disjunction' }).format(words)
}

/** A problem above a form or in place of it, brought into sight: the sentence, the plans that would do, and the request id. */
export function ProblemNotice({
  problem,
  extra,
  className,
}: {
  problem: ApiProblem
  extra?: string[]
  className?: string
}) {
  const upgrade = problem.upgrade
  const notice = useRef<HTMLDivElement>(null)
  // The button that was pressed may be a screen below.
  useEffect(() => {
    // In new browsers it returns a promise, which is no way to clean up.
    notice.current?.scrollIntoView({ block: 'nearest' })
  }, [])
  return (
    <div
      ref={notice}
      role="alert"
      className={cx(
        'flex scroll-mt-20 items-start gap-2.5 rounded-md bg-danger-soft px-3 py-2.5 text-danger-text text-sm',
        className,
      )}
    >
      <CircleAlert aria-hidden="true" className="mt-0.5 size-4 shrink-0" />
      <div className="min-w-0">
        <p>{problem.detail}</p>
        {problem.code === SIGNED_OUT ? (
          <p className="mt-0.5">
            {t('ui.error.keptHere')}{' '}
            <a href={signInPath()} target="_blank" rel="noopener" className="font-medium underline underline-offset-3">
              {t('ui.error.signInBeside')}
            </a>
          </p>
        ) : null}
        {extra?.length ? (
          <ul className="mt-1 list-disc pl-4">
            {extra.map((line) => (
              <li key={line}>{line}</li>
            ))}
          </ul>
        ) : null}
        {upgrade?.plans.length ? (
          <p className="mt-0.5">{t('ui.upgrade', { plans: listWords(upgrade.plans) })}</p>
        ) : null}
        {problem.request_id ? (
          <p className="mt-1 break-all text-xs opacity-90">{t('ui.error.requestId', { id: problem.request_id })}</p>
        ) : null}
      </div>
    </div>
  )
}

/**
 * A form that sends to the API. When `onSubmit` throws an ApiProblem, its errors go to the fields, the first one gets
 * the focus, the rest is shown above; what was typed is kept. A repeated try after a lost answer has the same key.
 * @example <Form form={form} onSubmit={(values, o) => api('/tiers', { method: 'POST', body: values, ...o })}>…<SubmitButton/></Form>
 */
export function Form<Values extends FieldValues>({
  form,
  onSubmit,
  id,
  typed = false,
  className,
  children,
}: {
  form: UseFormReturn<Values>
  onSubmit: (values: Values, options: ActOptions) => Promise<unknown>
  id?: string
  /** Something was typed that the form does not know of. */
  typed?: boolean
  className?: string
  children: ReactNode
}) {
  const [problem, setProblem] = useState<{ problem: ApiProblem; extra: string[] } | null>(null)
  const once = useOnce()
  const sending = useRef(false)
  const submit = form.handleSubmit(async (values) => {
    setProblem(null)
    try {
      await once(values, (options) => onSubmit(values, options))
    } catch (error) {
      const caught = toProblem(error)
      const extra = applyProblem(form, caught)
      if (caught.errors.length === 0 || extra.length > 0) setProblem({ problem: caught, extra })
    }
  })
  return (
    // A form of a dialog goes nowhere by itself: sent before the page is alive, what was typed stays where it is.
    <form
      id={id}
      method="dialog"
      {...useTypedForm(form.formState.isDirty || typed)}
      noValidate
      onSubmit={(event) => {
        event.stopPropagation()
        event.preventDefault()
        // Enter twice, before the button is drawn as busy, is meant once.
        if (sending.current) return
        sending.current = true
        void submit(event).finally(() => {
          sending.current = false
        })
      }}
      className={cx('flex flex-col gap-4', className)}
    >
      {problem ? <ProblemNotice problem={problem.problem} extra={problem.extra} /> : null}
      {children}
    </form>
  )
}

type NamedField<Values extends FieldValues> = {
  form: UseFormReturn<Values>
  name: FieldPath<Values>
  label: ReactNode
  hint?: ReactNode
  required?: boolean
  optional?: boolean
  aside?: ReactNode
  className?: string
}

/**
 * A text field bound to the form; `kind` chooses between one line, several lines and a password.
 * @example <TextField form={form} name="email" label="E-mail" type="email" autoComplete="email" required />
 */
export function TextField<Values extends FieldValues>({
  form,
  name,
  label,
  hint,
  required,
  optional,
  aside,
  className,
  kind = 'line',
  rows,
  ...input
}: NamedField<Values> &
  Omit<InputProps, 'form' | 'name' | 'className'> & { kind?: 'line' | 'text' | 'password'; rows?: number }) {
  const register = form.register(name)
  return (
    <Field
      label={label}
      hint={hint}
      error={fieldError(form, name)}
      required={required}
      optional={optional}
      aside={aside}
      className={className}
    >
      {kind === 'text' ? (
        <Textarea
          {...register}
          rows={rows}
          placeholder={input.placeholder}
          maxLength={input.maxLength}
          disabled={input.disabled}
        />
      ) : kind === 'password' ? (
        <PasswordInput {...input} {...register} />
      ) : (
        <Input {...input} {...register} />
      )}
    </Field>
  )
}

/**
 * A control that is not an input (Select, Switch, NumberField, …) bound to the form.
 * @example <ControlledField form={form} name="role" label="Role">{(f) => <Select options={roles} value={f.value} onValueChange={f.onChange} onBlur={f.onBlur} ref={f.ref} />}</ControlledField>
 */
export function ControlledField<Values extends FieldValues, Name extends FieldPath<Values>>({
  form,
  name,
  label,
  hint,
  required,
  className,
  children,
}: Omit<NamedField<Values>, 'name' | 'optional' | 'aside'> & {
  name: Name
  children: (field: ControllerRenderProps<Values, Name>) => ReactNode
}) {
  return (
    <Field label={label} hint={hint} error={fieldError(form, name)} required={required} className={className}>
      <Controller control={form.control} name={name} render={({ field }) => <>{children(field)}</>} />
    </Field>
  )
}
