'use client'

import { useRouter } from 'next/navigation'
import { type ReactNode, useId, useMemo, useState } from 'react'
import type { z } from 'zod'
import type { TenantChange, tenant } from '@/features/tenants/schema'
import { StatusPill, TierBadge } from '@/libs/ui/badge'
import { Card, KeyValueList } from '@/libs/ui/card'
import { CopyText } from '@/libs/ui/copy-button'
import { Field } from '@/libs/ui/field'
import { formatDate } from '@/libs/ui/format'
import { Input, Textarea } from '@/libs/ui/input'
import { t } from '@/libs/ui/messages'
import { AwaitedSettings, SettingCard, useDraft } from '@/libs/ui/setting-card'
import { Time, useNow } from '@/libs/ui/time'
import { toast } from '@/libs/ui/toast'
import { useApi, useApiFetch, useMutation } from '@/libs/ui/use-api'
import { toWords } from '@/libs/ui/words'

type Tenant = z.infer<typeof tenant>
type TextName = 'name' | 'description' | 'time_zone' | 'billing_email'

/** Name, description, time zone and billing address of the tenant, one card each. */
export function TenantSettings({ portalUrl, canWrite }: { portalUrl: string | null; canWrite: boolean }) {
  const state = useApi<Tenant>('')
  if (!state.data) return <AwaitedSettings {...state} heights={['h-48', 'h-52', 'h-52']} />
  const saved = state.data
  const card = { saved, readOnly: !canWrite, onSaved: (next: Tenant) => state.setData(() => next) }
  return (
    <div className="flex flex-col gap-6">
      <TextCard
        {...card}
        name="name"
        note={t('settings.general.name_note')}
        check={(value) => (value.trim() === '' ? t('settings.general.name_required') : undefined)}
        toChange={(value) => ({ name: value.trim() })}
      >
        {(control) => <Input {...control} maxLength={120} autoComplete="organization" />}
      </TextCard>
      <TextCard
        {...card}
        name="description"
        note={t('settings.general.description_note')}
        toChange={(value) => ({ description: value.trim() })}
      >
        {(control) => <Textarea {...control} rows={3} maxLength={2000} />}
      </TextCard>
      <ZoneCard {...card} />
      <TextCard
        {...card}
        name="billing_email"
        note={t('settings.general.billing_email_note')}
        toChange={(value) => ({ billing_email: value.trim() === '' ? null : value.trim() })}
      >
        {(control) => <Input {...control} type="email" autoComplete="email" maxLength={320} />}
      </TextCard>
      <Card title={t('settings.general.identity')} description={t('settings.general.identity_description')}>
        <KeyValueList
          className="grid-cols-1"
          items={[
            { label: t('settings.general.id'), value: <CopyText value={saved.id} /> },
            { label: t('settings.general.slug'), value: <CopyText value={saved.slug} /> },
            ...(portalUrl ? [{ label: t('settings.general.portal'), value: <CopyText value={portalUrl} /> }] : []),
            {
              label: t('settings.general.plan'),
              value: <TierBadge name={toWords(saved.plan_id)} />,
            },
            { label: t('settings.general.status'), value: <StatusPill status={saved.status} /> },
            { label: t('settings.general.created'), value: <Time value={saved.created_at} /> },
          ]}
        />
      </Card>
    </div>
  )
}

type CardProps = { saved: Tenant; readOnly: boolean; onSaved: (next: Tenant) => void }
type Control = {
  value: string
  disabled: boolean
  onChange: (event: { target: { value: string } }) => void
  list?: string
}

function TextCard({
  saved,
  readOnly,
  onSaved,
  name,
  note,
  check,
  toChange,
  children,
}: CardProps & {
  name: TextName
  note: string
  check?: (value: string) => string | undefined
  toChange: (value: string) => TenantChange
  children: (control: Control) => ReactNode
}) {
  const api = useApiFetch()
  const router = useRouter()
  const draft = useDraft(saved[name] ?? '')
  const [wrong, setWrong] = useState<string>()
  const change = useMutation((body: TenantChange, options) => api<Tenant>('', { method: 'PATCH', body, ...options }), {
    onSuccess: (next) => {
      onSaved(next)
      toast.success(t('settings.saved'))
      // Name and zone are also in the frame around the page.
      router.refresh()
    },
  })

  async function save() {
    const complaint = check?.(draft.value)
    setWrong(complaint)
    if (complaint) change.reset()
    else if (await change.run(toChange(draft.value))) draft.settle(draft.value)
  }

  return (
    <SettingCard
      title={t(`settings.general.${name}`)}
      description={t(`settings.general.${name}_description`)}
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
      <Field label={t(`settings.general.${name}`)} hideLabel error={wrong ?? change.error?.errors[0]?.detail}>
        {children({
          value: draft.value,
          disabled: readOnly,
          onChange: (event) => draft.setValue(event.target.value),
        })}
      </Field>
    </SettingCard>
  )
}

function ZoneCard(props: CardProps) {
  const listId = useId()
  const now = useNow()
  const zones = useMemo(() => ['UTC', ...Intl.supportedValuesOf('timeZone')], [])
  return (
    <TextCard
      {...props}
      name="time_zone"
      note={
        now === 0
          ? ''
          : t('settings.general.time_zone_now', { time: formatDate(now, 'datetime', props.saved.time_zone) })
      }
      check={(value) => (zones.includes(value.trim()) ? undefined : t('settings.general.time_zone_wrong'))}
      toChange={(value) => ({ time_zone: value.trim() })}
    >
      {(control) => (
        <>
          <Input {...control} list={listId} spellCheck={false} autoComplete="off" />
          <datalist id={listId}>
            {zones.map((zone) => (
              <option key={zone} value={zone} />
            ))}
          </datalist>
        </>
      )}
    </TextCard>
  )
}
