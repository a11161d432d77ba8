'use client'

import { type ReactNode, useState } from 'react'
import { type OperatorTenant, PLANS, type Plan } from '@/features/operator/components/operator-tenant'
import { actsOf, type TenantAct, TenantActDialogs } from '@/features/operator/components/tenant-acts'
import { apiFetch } from '@/libs/ui/api-client'
import { StatusPill, TierBadge } from '@/libs/ui/badge'
import { Banner } from '@/libs/ui/banner'
import { Button } from '@/libs/ui/button'
import { Card, KeyValueList } from '@/libs/ui/card'
import { CopyText } from '@/libs/ui/copy-button'
import { Field } from '@/libs/ui/field'
import { formatDate, formatNumber } from '@/libs/ui/format'
import { t } from '@/libs/ui/messages'
import { PageHeader } from '@/libs/ui/page-header'
import { Select } from '@/libs/ui/select'
import { SettingCard } from '@/libs/ui/setting-card'
import { Loading, Skeleton } from '@/libs/ui/skeleton'
import { ErrorState } from '@/libs/ui/states'
import { Time } from '@/libs/ui/time'
import { toast } from '@/libs/ui/toast'
import { useApi, useMutation } from '@/libs/ui/use-api'
import { toWords } from '@/libs/ui/words'

/** One tenant as the platform's staff sees it: facts, plan, and what closes or opens it. */
export function TenantScreen({ id, canWrite, rootDomain }: { id: string; canWrite: boolean; rootDomain: string }) {
  const state = useApi<OperatorTenant>(`/tenants/${id}`)
  const [act, setAct] = useState<TenantAct | null>(null)
  const breadcrumbs = [{ label: t('operator.tenants.title'), href: '/operator' }]
  const tenant = state.data
  if (state.error && !tenant)
    return (
      <>
        <PageHeader title={t('operator.tenants.column.name')} breadcrumbs={breadcrumbs} />
        <Card>
          <ErrorState error={state.error} onRetry={state.reload} />
        </Card>
      </>
    )
  if (!tenant)
    return (
      <Loading className="flex flex-col gap-6">
        <Skeleton className="h-14" />
        <Skeleton className="h-72" />
        <Skeleton className="h-40" />
      </Loading>
    )
  const update = (next: OperatorTenant) => state.setData(() => next)
  return (
    <>
      <PageHeader
        title={tenant.name}
        description={tenant.description || undefined}
        breadcrumbs={[...breadcrumbs, { label: tenant.name }]}
        badge={<StatusPill status={tenant.status} />}
      />
      <div className="flex flex-col gap-6">
        <StateBanner tenant={tenant} />
        {canWrite ? null : <Banner tone="info" title={t('operator.tenant.read_only')} />}
        <Facts tenant={tenant} rootDomain={rootDomain} />
        {canWrite && tenant.status !== 'deleted' ? (
          <PlanCard key={tenant.plan_id} tenant={tenant} onSaved={update} />
        ) : null}
        {canWrite ? <DangerZone tenant={tenant} onAct={setAct} /> : null}
      </div>
      <TenantActDialogs asked={act ? { act, tenant } : null} onClose={() => setAct(null)} onDone={update} />
    </>
  )
}

function StateBanner({ tenant }: { tenant: OperatorTenant }) {
  if (tenant.status === 'suspended')
    return (
      <Banner tone="danger" title={t('operator.tenant.suspended_title')}>
        {t('operator.tenant.suspended', {
          time: tenant.suspended_at ? formatDate(tenant.suspended_at, 'exact', 'UTC') : t('operator.tenant.not_yet'),
        })}{' '}
        {tenant.suspended_reason ? t('operator.tenant.suspended_reason', { reason: tenant.suspended_reason }) : null}
      </Banner>
    )
  if (tenant.status === 'deleted' && tenant.purge_after)
    return (
      <Banner tone="warning" title={t('operator.tenant.deleted_title')}>
        {t('operator.tenant.deleted', { time: formatDate(tenant.purge_after, 'exact', 'UTC') })}
      </Banner>
    )
  return null
}

function Facts({ tenant, rootDomain }: { tenant: OperatorTenant; rootDomain: string }) {
  const none = <span className="text-faint">{t('operator.tenant.none')}</span>
  const { placement, domains } = tenant
  return (
    <Card title={t('operator.tenant.facts')}>
      <KeyValueList
        className="grid-cols-1"
        columns={2}
        items={[
          { label: t('operator.tenant.id'), value: <CopyText value={tenant.id} /> },
          { label: t('operator.tenant.slug'), value: <CopyText value={tenant.slug} /> },
          { label: t('operator.tenant.portal'), value: <CopyText value={`${tenant.slug}.${rootDomain}`} /> },
          {
            label: t('operator.tenant.domains'),
            value:
              domains.length === 0
                ? none
                : domains.map((domain) => (
                    <span key={domain.hostname} className="flex flex-wrap items-center gap-2">
                      {domain.hostname} <StatusPill status={domain.status} />
                    </span>
                  )),
          },
          { label: t('operator.tenant.owner'), value: tenant.owner_email ?? none },
          { label: t('operator.tenant.members'), value: formatNumber(tenant.members) },
          { label: t('operator.tenant.plan'), value: <TierBadge name={toWords(tenant.plan_id)} /> },
          {
            label: t('operator.tenant.placement'),
            value: t('operator.tenants.placement', { kind: placement.kind, database: placement.database }),
          },
          { label: t('operator.tenant.time_zone'), value: tenant.time_zone },
          { label: t('operator.tenant.billing_email'), value: tenant.billing_email ?? none },
          { label: t('operator.tenant.created'), value: <Time value={tenant.created_at} /> },
          {
            label: t('operator.tenant.activated'),
            value: <Time value={tenant.activated_at} fallback={t('operator.tenant.not_yet')} />,
          },
        ]}
      />
    </Card>
  )
}

function PlanCard({ tenant, onSaved }: { tenant: OperatorTenant; onSaved: (next: OperatorTenant) => void }) {
  const [plan, setPlan] = useState<Plan | null>(PLANS.find((known) => known === tenant.plan_id) ?? null)
  const save = useMutation(
    (_: null, options) =>
      apiFetch<OperatorTenant>(`/tenants/${tenant.id}`, { method: 'PATCH', body: { plan }, ...options }),
    {
      onSuccess: (next) => {
        toast.success(t('operator.tenant.plan_saved', { name: next.name, plan: toWords(next.plan_id) }))
        onSaved(next)
      },
    },
  )
  return (
    <SettingCard
      title={t('operator.tenant.plan_title')}
      description={t('operator.tenant.plan_description')}
      dirty={plan !== tenant.plan_id}
      saving={save.pending}
      problem={save.error}
      onSave={() => save.run(null)}
      onReset={() => setPlan(PLANS.find((known) => known === tenant.plan_id) ?? null)}
    >
      <Field label={t('operator.tenant.plan')} hideLabel>
        <Select
          options={PLANS.map((value) => ({ value, label: toWords(value) }))}
          value={plan}
          onValueChange={setPlan}
          className="max-w-60"
        />
      </Field>
    </SettingCard>
  )
}

function DangerZone({ tenant, onAct }: { tenant: OperatorTenant; onAct: (act: TenantAct) => void }) {
  const rows: ReactNode[] = actsOf(tenant.status).map((act) => (
    <li key={act} className="flex flex-wrap items-center justify-between gap-x-6 gap-y-2 py-3 first:pt-0 last:pb-0">
      <span className="min-w-0 flex-1 basis-64">
        <span className="block font-medium">{t(`operator.act.${act}`)}</span>
        <span className="block text-mute text-sm">{t(`operator.danger.${act}_description`)}</span>
      </span>
      <Button variant={act === 'delete' || act === 'suspend' ? 'danger-quiet' : 'secondary'} onClick={() => onAct(act)}>
        {t(`operator.act.${act}`)}
      </Button>
    </li>
  ))
  return (
    <Card title={t('operator.danger.title')}>
      <ul className="divide-y divide-line">{rows}</ul>
    </Card>
  )
}
