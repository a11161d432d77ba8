import { tenantQuery } from '@/libs/db/tenant-db'
import { env } from '@/libs/env'
import { AppError } from '@/libs/errors'
import type { TenantRouting } from '@/libs/tenancy/resolve-tenant'
import { currentContext } from '@/libs/tenancy/tenant-context'
import type { CompleteStepInput, OnboardingChange, StepKey } from '../schema'

/** The first steps in their order, with the page of the dashboard each is done on. */
const STEPS: readonly { key: StepKey; title: string; page: string }[] = [
  { key: 'create_meter', title: 'Create a meter', page: '/meters' },
  { key: 'create_tier', title: 'Create a tier', page: '/tiers' },
  { key: 'create_api_key', title: 'Create an API key', page: '/api-keys' },
  { key: 'send_first_event', title: 'Send the first usage event', page: '/usage' },
  { key: 'add_customer', title: 'Get your first customer', page: '/customers' },
  { key: 'brand_portal', title: 'Brand the portal', page: '/settings/branding' },
]

export type OnboardingStatus = {
  completed: number
  total: number
  dismissed: boolean
  activated: boolean
  steps: { key: StepKey; title: string; done: boolean; skipped: boolean; done_at: Date | null; href: string }[]
}

type Facts = Record<StepKey, Date | null> & {
  status: string
  skipped_steps: string[] | null
  dismissed_at: Date | null
}

/** What really happened, and when; each is one short index read. */
async function readFacts(): Promise<Facts> {
  const [facts] = await tenantQuery<Facts>(
    `select t.status,
       (select m.created_at from meters m where m.tenant_id = t.id order by m.created_at limit 1) as create_meter,
       (select i.created_at from tiers i where i.tenant_id = t.id order by i.created_at limit 1) as create_tier,
       app.first_api_key_at() as create_api_key,
       (select e.received_at from usage_events e where e.tenant_id = t.id order by e.received_at limit 1) as send_first_event,
       (select c.created_at from customers c where c.tenant_id = t.id order by c.created_at limit 1) as add_customer,
       (select b.updated_at from brandings b where b.tenant_id = t.id and b.updated_at > t.created_at) as brand_portal,
       o.skipped_steps, o.dismissed_at
     from tenants t left join onboarding_progress o on o.tenant_id = t.id where t.id = $1`,
    [currentContext().tenantId],
  )
  if (!facts) throw new Error('The current tenant has no row.')
  return facts
}

/**
 * The first steps of the current tenant, ticked by what really happened. A pending tenant whose first event has arrived
 * is opened by this, where ONBOARDING_AUTO_ACTIVATE says so.
 */
export async function getOnboardingStatus(tenant: TenantRouting): Promise<OnboardingStatus> {
  const facts = await readFacts()
  let activated = facts.status !== 'pending'
  if (!activated && facts.send_first_event && env().ONBOARDING_AUTO_ACTIVATE) {
    await tenantQuery('select app.activate_pending_tenant()')
    activated = true
  }
  const skippedSteps = new Set(facts.skipped_steps ?? [])
  const steps = STEPS.map(({ key, title, page }) => ({
    key,
    title,
    done: facts[key] !== null,
    skipped: facts[key] === null && skippedSteps.has(key),
    done_at: facts[key],
    href: `/${tenant.slug}${page}`,
  }))
  return {
    completed: steps.filter((step) => step.done).length,
    total: steps.filter((step) => !step.skipped).length,
    dismissed: facts.dismissed_at !== null,
    activated,
    steps,
  }
}

/** Starts, or takes up again, the first steps: the list is shown, nothing is put aside. */
export async function startOnboarding(tenant: TenantRouting): Promise<OnboardingStatus> {
  return changeOnboarding(tenant, { dismissed: false, skipped_steps: [] })
}

/** Puts steps aside, or the whole list out of sight; or brings them back. */
export async function changeOnboarding(tenant: TenantRouting, change: OnboardingChange): Promise<OnboardingStatus> {
  const { dismissed, skipped_steps } = change
  if (dismissed === undefined && skipped_steps === undefined) return getOnboardingStatus(tenant)
  await tenantQuery(
    `insert into onboarding_progress (tenant_id, skipped_steps, dismissed_at)
     values ((select app.tenant_id()), coalesce($1::text[], '{}'), case when $2::boolean then now() end)
     on conflict (tenant_id) do update set
       skipped_steps = coalesce($1::text[], onboarding_progress.skipped_steps),
       dismissed_at = case when $2::boolean is null then onboarding_progress.dismissed_at
         when $2::boolean then coalesce(onboarding_progress.dismissed_at, now()) end,
       updated_at = now()`,
    [skipped_steps ? [...new Set(skipped_steps)] : null, dismissed ?? null],
  )
  return getOnboardingStatus(tenant)
}

/**
 * Ticks a step that is really done, or puts one aside with `skip`.
 * @throws AppError conflict for a step whose event has not happened: steps are not ticked by saying so.
 */
export async function completeStep(
  tenant: TenantRouting,
  { step, skip }: CompleteStepInput,
): Promise<OnboardingStatus> {
  const status = await getOnboardingStatus(tenant)
  const present = status.steps.find(({ key }) => key === step)
  if (present?.done) return status
  if (!skip)
    throw new AppError(
      'conflict',
      `${present?.title ?? step} has not happened yet; it is ticked by itself as soon as it does.`,
    )
  // Added to what is there at this moment: two who put steps aside at once put both aside.
  await tenantQuery(
    `insert into onboarding_progress (tenant_id, skipped_steps) values ((select app.tenant_id()), array[$1::text])
     on conflict (tenant_id) do update
       set skipped_steps = array_remove(onboarding_progress.skipped_steps, $1::text) || $1::text, updated_at = now()`,
    [step],
  )
  return getOnboardingStatus(tenant)
}
