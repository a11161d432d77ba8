'use client'

import { ExternalLink } from 'lucide-react'
import type { z } from 'zod'
import { BrandPreview } from '@/features/branding/components/brand-preview'
import { ColorField, isHexColor } from '@/features/branding/components/color-field'
import type { BrandingInput, branding } from '@/features/branding/schema'
import { changedFields } from '@/libs/ui/changed-fields'
import { Field } from '@/libs/ui/field'
import { Input } from '@/libs/ui/input'
import { t } from '@/libs/ui/messages'
import { AwaitedSettings, SettingCard, useDraft } from '@/libs/ui/setting-card'
import { toast } from '@/libs/ui/toast'
import { useApi, useApiFetch, useMutation } from '@/libs/ui/use-api'

type Branding = z.infer<typeof branding>
type CardProps = { saved: Branding; tenantName: string; readOnly: boolean; onSaved: (next: Branding) => void }

/** The tenant's brand on its portal: one card per setting, each saved on its own. */
export function BrandingSettings({
  tenantName,
  portalUrl,
  canWrite,
}: {
  tenantName: string
  /** Null where the portal has no address. */
  portalUrl: string | null
  canWrite: boolean
}) {
  const state = useApi<Branding>('/branding')
  if (!state.data) return <AwaitedSettings {...state} heights={['h-52', 'h-96', 'h-52']} />
  const card = {
    saved: state.data,
    tenantName,
    readOnly: !canWrite,
    onSaved: (next: Branding) => state.setData(() => next),
  }
  return (
    <div className="flex flex-col gap-6">
      <p className="text-mute text-sm">
        {t('settings.branding.intro')}{' '}
        {portalUrl ? (
          <a
            href={portalUrl}
            target="_blank"
            rel="noreferrer"
            className="inline-flex items-center gap-1 rounded-sm font-medium text-accent-text underline underline-offset-3"
          >
            {t('settings.branding.open_portal')}
            <ExternalLink aria-hidden="true" className="size-3.5" />
          </a>
        ) : null}
      </p>
      <NameCard {...card} />
      <ColorCard {...card} />
      <SupportCard {...card} />
    </div>
  )
}

function useSaveBranding(onSaved: (next: Branding) => void) {
  const api = useApiFetch()
  const { run, pending, error, reset } = useMutation(
    (input: BrandingInput, options) => api<Branding>('/branding', { method: 'PUT', body: input, ...options }),
    {
      onSuccess: (next) => {
        onSaved(next)
        toast.success(t('settings.saved'))
      },
    },
  )
  const errorOf = (field: string) => error?.errors.find(({ pointer }) => pointer === `/${field}`)?.detail
  return { card: { saving: pending, problem: error }, save: run, errorOf, reset }
}

function NameCard({ saved, tenantName, readOnly, onSaved }: CardProps) {
  const name = useDraft(saved.display_name ?? '')
  const { card, save, errorOf, reset } = useSaveBranding(onSaved)
  return (
    <SettingCard
      title={t('settings.branding.name')}
      description={t('settings.branding.name_description')}
      note={readOnly ? t('settings.read_only') : t('settings.branding.name_note', { name: tenantName })}
      readOnly={readOnly}
      dirty={!readOnly && name.dirty}
      {...card}
      onSave={async () => (await save({ display_name: name.value.trim() || null })) && name.settle(name.value)}
      onReset={() => {
        name.reset()
        reset()
      }}
    >
      <Field label={t('settings.branding.name')} error={errorOf('display_name')}>
        <Input
          value={name.value}
          placeholder={tenantName}
          maxLength={120}
          disabled={readOnly}
          onChange={(event) => name.setValue(event.target.value)}
        />
      </Field>
    </SettingCard>
  )
}

function ColorCard({ saved, tenantName, readOnly, onSaved }: CardProps) {
  const primaryDraft = useDraft(saved.primary_color)
  const accentDraft = useDraft(saved.accent_color)
  const primary = primaryDraft.value
  const accent = accentDraft.value
  const { card, save, errorOf, reset } = useSaveBranding(onSaved)
  const wrong = (value: string) => (isHexColor(value) ? undefined : t('settings.branding.color_wrong'))
  const primaryError = wrong(primary) ?? errorOf('primary_color')
  const accentError = wrong(accent) ?? errorOf('accent_color')
  const changed = changedFields({ primary_color: primary.toLowerCase(), accent_color: accent.toLowerCase() }, saved)
  return (
    <SettingCard
      title={t('settings.branding.colors')}
      description={t('settings.branding.colors_description')}
      note={readOnly ? t('settings.read_only') : undefined}
      readOnly={readOnly}
      dirty={!readOnly && Object.keys(changed).length > 0}
      {...card}
      onSave={async () => {
        if (!isHexColor(primary) || !isHexColor(accent) || !(await save(changed))) return
        primaryDraft.settle(primary)
        accentDraft.settle(accent)
      }}
      onReset={() => {
        primaryDraft.reset()
        accentDraft.reset()
        reset()
      }}
    >
      <div className="grid gap-4 sm:grid-cols-2">
        <ColorField
          label={t('settings.branding.primary')}
          hint={t('settings.branding.primary_hint')}
          value={primary}
          error={primaryError}
          disabled={readOnly}
          onChange={primaryDraft.setValue}
        />
        <ColorField
          label={t('settings.branding.accent')}
          hint={t('settings.branding.accent_hint')}
          value={accent}
          error={accentError}
          disabled={readOnly}
          onChange={accentDraft.setValue}
        />
      </div>
      <BrandPreview
        name={saved.display_name ?? tenantName}
        primary={isHexColor(primary) ? primary : saved.primary_color}
        accent={isHexColor(accent) ? accent : saved.accent_color}
      />
    </SettingCard>
  )
}

function SupportCard({ saved, readOnly, onSaved }: CardProps) {
  const link = useDraft(saved.support_url ?? '')
  const { card, save, errorOf, reset } = useSaveBranding(onSaved)
  return (
    <SettingCard
      title={t('settings.branding.support')}
      description={t('settings.branding.support_description')}
      note={readOnly ? t('settings.read_only') : t('settings.branding.support_note')}
      readOnly={readOnly}
      dirty={!readOnly && link.dirty}
      {...card}
      onSave={async () => (await save({ support_url: link.value.trim() || null })) && link.settle(link.value)}
      onReset={() => {
        link.reset()
        reset()
      }}
    >
      <Field label={t('settings.branding.support')} error={errorOf('support_url')}>
        <Input
          type="url"
          inputMode="url"
          value={link.value}
          placeholder="https://help.example.com"
          disabled={readOnly}
          spellCheck={false}
          onChange={(event) => link.setValue(event.target.value)}
        />
      </Field>
    </SettingCard>
  )
}
