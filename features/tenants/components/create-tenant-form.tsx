'use client'

import { zodResolver } from '@hookform/resolvers/zod'
import { useEffect, useId, useState } from 'react'
import { useForm } from 'react-hook-form'
import { z } from 'zod'
import { toSlug } from '@/libs/tenancy/slug'
import { apiFetch } from '@/libs/ui/api-client'
import { Button } from '@/libs/ui/button'
import { Form, TextField } from '@/libs/ui/form'
import { leaveFor } from '@/libs/ui/leave-for'
import { t } from '@/libs/ui/messages'

const schema = z.object({
  name: z.string().trim().min(1, t('tenants.create.name_missing')).max(120),
  slug: z
    .string()
    .trim()
    .toLowerCase()
    .min(2, t('tenants.create.slug_wrong'))
    .max(48, t('tenants.create.slug_wrong'))
    .regex(/^[a-z0-9]+(?:-[a-z0-9]+)*$/, t('tenants.create.slug_wrong')),
  time_zone: z.string().trim().min(1, t('tenants.create.time_zone_wrong')),
})

/** Name, address and time zone of a new tenant; goes to its dashboard, where the first steps wait. */
export function CreateTenantForm({ rootDomain }: { rootDomain: string }) {
  const form = useForm({ resolver: zodResolver(schema), defaultValues: { name: '', slug: '', time_zone: 'UTC' } })
  const [touched, setTouched] = useState(false)
  const listId = useId()
  const [zones, setZones] = useState<string[]>([])
  const slug = form.watch('slug')
  const name = form.watch('name')
  const { isSubmitted } = form.formState

  useEffect(() => {
    setZones(['UTC', ...Intl.supportedValuesOf('timeZone')])
    form.setValue('time_zone', Intl.DateTimeFormat().resolvedOptions().timeZone || 'UTC')
  }, [form])

  // The address follows the name until somebody writes their own.
  useEffect(() => {
    const follows = name.trim() ? toSlug(name) : ''
    if (!touched && form.getValues('slug') !== follows) form.setValue('slug', follows, { shouldValidate: isSubmitted })
  }, [form, name, touched, isSubmitted])

  return (
    <Form
      form={form}
      onSubmit={async (values, options) => {
        const tenant = await apiFetch<{ slug: string }>('/tenants', { method: 'POST', body: values, ...options })
        await leaveFor(`/${tenant.slug}`)
      }}
    >
      <TextField
        form={form}
        name="name"
        label={t('tenants.create.name')}
        hint={t('tenants.create.name_hint')}
        autoComplete="organization"
        maxLength={120}
        required
      />
      <TextField
        form={form}
        name="slug"
        label={t('tenants.create.slug')}
        hint={t('tenants.create.slug_hint', { address: `${slug || t('tenants.create.slug_example')}.${rootDomain}` })}
        suffix={`.${rootDomain}`}
        autoComplete="off"
        autoCapitalize="none"
        spellCheck={false}
        maxLength={48}
        onInput={() => setTouched(true)}
        required
      />
      <TextField
        form={form}
        name="time_zone"
        label={t('tenants.create.time_zone')}
        hint={t('tenants.create.time_zone_hint')}
        list={listId}
        autoComplete="off"
        spellCheck={false}
        required
      />
      <datalist id={listId}>
        {zones.map((zone) => (
          <option key={zone} value={zone} />
        ))}
      </datalist>
      <Button type="submit" variant="primary" size="lg" loading={form.formState.isSubmitting}>
        {t('tenants.create.submit')}
      </Button>
    </Form>
  )
}
