'use client'

import { type ReactNode, useState } from 'react'
import type { UsageSettings as Settings, UsageSettingsInput } from '@/features/usage-tracking/schema'
import { Checkbox } from '@/libs/ui/checkbox'
import { Field } from '@/libs/ui/field'
import { formatNumber } from '@/libs/ui/format'
import { Input } from '@/libs/ui/input'
import { t } from '@/libs/ui/messages'
import { AwaitedSettings, SettingCard, useDraft } from '@/libs/ui/setting-card'
import { toast } from '@/libs/ui/toast'
import { useApi, useApiFetch, useMutation } from '@/libs/ui/use-api'

/** What usage the tenant takes in: of whom, how late and how early, one card each. */
export function UsageSettings({ canWrite }: { canWrite: boolean }) {
  const state = useApi<Settings>('/usage/settings')
  if (!state.data) return <AwaitedSettings {...state} heights={['h-44', 'h-48', 'h-48']} />
  const card = { saved: state.data, readOnly: !canWrite, onSaved: (next: Settings) => state.setData(() => next) }
  return (
    <div className="flex flex-col gap-6">
      <SettingOf
        {...card}
        name="creates_customers"
        toText={(settings) => String(settings.creates_customers)}
        toChange={(text) => ({ creates_customers: text === 'true' })}
      >
        {({ text, onText }) => (
          <Checkbox
            label={t('settings.usage.creates_customers_label')}
            checked={text === 'true'}
            disabled={!canWrite}
            onCheckedChange={(checked) => onText(String(checked))}
          />
        )}
      </SettingOf>
      <NumberSetting {...card} name="accepts_late_days" min={35} max={400} />
      <NumberSetting {...card} name="accepts_early_seconds" min={0} max={86_400} />
    </div>
  )
}

type CardProps = { saved: Settings; readOnly: boolean; onSaved: (next: Settings) => void }
type Control = { text: string; onText: (text: string) => void; error: string | undefined }

function NumberSetting({
  name,
  min,
  max,
  ...card
}: CardProps & { name: 'accepts_late_days' | 'accepts_early_seconds'; min: number; max: number }) {
  const isRight = (text: string) => /^\d{1,6}$/.test(text.trim()) && Number(text) >= min && Number(text) <= max
  const limits = t('settings.usage.limits', { min: formatNumber(min), max: formatNumber(max) })
  return (
    <SettingOf
      {...card}
      name={name}
      note={limits}
      toText={(settings) => String(settings[name])}
      check={(text) => (isRight(text) ? undefined : limits)}
      toChange={(text) => ({ [name]: Number(text) })}
    >
      {({ text, onText, error }) => (
        <Field label={t(`settings.usage.${name}`)} hideLabel error={error}>
          <Input
            value={text}
            inputMode="numeric"
            autoComplete="off"
            disabled={card.readOnly}
            suffix={t(`settings.usage.${name}_unit`)}
            onChange={(event) => onText(event.target.value)}
          />
        </Field>
      )}
    </SettingOf>
  )
}

function SettingOf({
  saved,
  readOnly,
  onSaved,
  name,
  note,
  toText,
  check,
  toChange,
  children,
}: CardProps & {
  name: keyof Settings
  note?: string
  toText: (settings: Settings) => string
  check?: (text: string) => string | undefined
  toChange: (text: string) => UsageSettingsInput
  children: (control: Control) => ReactNode
}) {
  const api = useApiFetch()
  const draft = useDraft(toText(saved))
  const [wrong, setWrong] = useState<string>()
  const change = useMutation(
    (body: UsageSettingsInput, options) => api<Settings>('/usage/settings', { method: 'PATCH', body, ...options }),
    {
      onSuccess: (next) => {
        onSaved(next)
        toast.success(t('settings.saved'))
      },
    },
  )

  async function save() {
    const complaint = check?.(draft.value)
    setWrong(complaint)
    if (complaint) change.reset()
    else if (await change.run(toChange(draft.value))) draft.settle(draft.value)
  }

  return (
    <SettingCard
      title={t(`settings.usage.${name}`)}
      description={t(`settings.usage.${name}_description`)}
      note={readOnly ? t('settings.read_only') : note}
      readOnly={readOnly}
      dirty={!readOnly && draft.dirty}
      saving={change.pending}
      problem={change.error}
      onSave={save}
      onReset={() => {
        draft.reset()
        setWrong(undefined)
        change.reset()
      }}
    >
      {children({ text: draft.value, onText: draft.setValue, error: wrong ?? change.error?.errors[0]?.detail })}
    </SettingCard>
  )
}
