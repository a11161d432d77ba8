-- Onboarding: which first steps a tenant has put aside. What is done is read from the facts themselves, never kept here.

create table public.onboarding_progress (
  tenant_id uuid not null default app.tenant_id(),
  skipped_steps text[] not null default '{}' check (cardinality(skipped_steps) <= 20),
  dismissed_at timestamptz,
  started_at timestamptz not null default now(),
  updated_at timestamptz not null default now(),
  primary key (tenant_id)
);
comment on table public.onboarding_progress is '@tenant What a tenant decided about its first steps: put aside one by one, or the whole list.';
comment on column public.onboarding_progress.dismissed_at is 'Since when the list is out of sight; null while it is shown.';

create trigger onboarding_progress_audit after insert or update or delete on public.onboarding_progress
  for each row execute function app.audit_row('onboarding');
comment on trigger onboarding_progress_audit on public.onboarding_progress is '@move-safe';

alter table public.onboarding_progress enable row level security;
alter table public.onboarding_progress force row level security;
grant select, insert on public.onboarding_progress to app_tenant;
grant update (skipped_steps, dismissed_at, updated_at) on public.onboarding_progress to app_tenant;
create policy onboarding_progress_isolation on public.onboarding_progress as restrictive for all to app_tenant
  using (tenant_id = (select app.tenant_id())) with check (tenant_id = (select app.tenant_id()));
create policy onboarding_progress_select on public.onboarding_progress for select to app_tenant using ((select app.can('onboarding:read')));
create policy onboarding_progress_insert on public.onboarding_progress for insert to app_tenant
  with check ((select app.can('onboarding:write')));
create policy onboarding_progress_update on public.onboarding_progress for update to app_tenant
  using ((select app.can('onboarding:write'))) with check ((select app.can('onboarding:write')));
