'use client'

import { zodResolver } from '@hookform/resolvers/zod'
import { useForm } from 'react-hook-form'
import { z } from 'zod'
import { Form, TextField } from '@/libs/ui/form'
import { FormDialog } from '@/libs/ui/form-dialog'
import { t } from '@/libs/ui/messages'

export type TextQuestion = {
  title: string
  label: string
  hint: string
  /** Name of the value in the API, so that what is wrong with it is shown at the field. */
  name: 'secret_key' | 'event_name' | 'stripe_customer_id'
  value: string
  /** What the button says. */
  act: string
  send: (value: string, options: { idempotencyKey: string }) => Promise<unknown>
}

/** Asks for one text and sends it; open while there is a question. A secret is not shown while it is typed. */
export function TextDialog({ question, onClose }: { question: TextQuestion | null; onClose: (sent: boolean) => void }) {
  return (
    <FormDialog
      open={question !== null}
      onOpenChange={(open) => !open && onClose(false)}
      title={question?.title ?? ''}
      submit={question?.act ?? ''}
    >
      {(form) => (question ? <TextForm {...form} question={question} onSent={() => onClose(true)} /> : null)}
    </FormDialog>
  )
}

function TextForm({
  id,
  question,
  onSending,
  onSent,
}: {
  id: string
  question: TextQuestion
  onSending: (sending: boolean) => void
  onSent: () => void
}) {
  const { name, label, hint, value, send } = question
  const form = useForm<Record<string, string>>({
    resolver: zodResolver(
      z.object({
        [name]: z
          .string()
          .trim()
          .min(1, { error: () => t('stripe-exports.form.required') }),
      }),
    ),
    defaultValues: { [name]: value },
  })
  return (
    <Form
      id={id}
      form={form}
      onSubmit={async (values, options) => {
        onSending(true)
        try {
          await send(values[name] ?? '', options)
          onSent()
        } finally {
          onSending(false)
        }
      }}
    >
      <TextField
        form={form}
        name={name}
        label={label}
        hint={hint}
        type={name === 'secret_key' ? 'password' : 'text'}
        autoComplete="off"
        spellCheck={false}
        maxLength={500}
        required
      />
    </Form>
  )
}
