-- Upgrades: what a customer may ask for in the portal, or take by itself where the tenant lets it.

-- tables --------------------------------------------------------------------------------------------

alter table public.tiers add column self_service boolean not null default false;
comment on column public.tiers.self_service is 'Whether customers may take the tier by themselves in the portal; otherwise they ask for it.';

create table public.upgrade_requests (
  tenant_id uuid not null default app.tenant_id(),
  id uuid not null,
  customer_id uuid not null,
  tier_id uuid not null,
  status text not null default 'open' check (status in ('open', 'accepted', 'declined', 'withdrawn')),
  requested_by text check (length(requested_by) <= 320),
  note text check (length(note) <= 1000),
  told text check (told in ('open', 'accepted', 'declined')),
  created_at timestamptz not null default now(),
  decided_at timestamptz,
  primary key (tenant_id, id),
  check ((status = 'open') = (decided_at is null)),
  foreign key (tenant_id, customer_id) references public.customers (tenant_id, id),
  foreign key (tenant_id, tier_id) references public.tiers (tenant_id, id)
);
comment on table public.upgrade_requests is '@tenant Customers who asked for another tier, or took it, and what became of it.';
comment on column public.upgrade_requests.status is
  'open until the tenant accepts or declines it or the customer withdraws it; a tier that customers may take by themselves is accepted at once.';
comment on column public.upgrade_requests.told is 'Status that was last told by mail: to the admins that there is one, to the customer what became of it.';
comment on column public.upgrade_requests.requested_by is 'E-mail address of the person who asked.';

-- indexes -------------------------------------------------------------------------------------------

create unique index upgrade_requests_open_key on public.upgrade_requests (tenant_id, customer_id) where status = 'open';
comment on index public.upgrade_requests_open_key is 'One open request of a customer at a time.';
create index upgrade_requests_status_idx on public.upgrade_requests (tenant_id, status, id);
create index upgrade_requests_customer_idx on public.upgrade_requests (tenant_id, customer_id, id);
create index upgrade_requests_tier_idx on public.upgrade_requests (tenant_id, tier_id);

-- triggers ------------------------------------------------------------------------------------------

create trigger upgrade_requests_audit after insert or update or delete on public.upgrade_requests
  for each row execute function app.audit_row('upgrade_request');
comment on trigger upgrade_requests_audit on public.upgrade_requests is '@move-safe';

-- grants and policies -------------------------------------------------------------------------------
-- A customer sees and makes its own requests, and may only withdraw them.

grant update (self_service) on public.tiers to app_tenant;

alter table public.upgrade_requests enable row level security;
alter table public.upgrade_requests force row level security;
grant select, insert on public.upgrade_requests to app_tenant;
grant update (status, decided_at, told) on public.upgrade_requests to app_tenant;
create policy upgrade_requests_isolation on public.upgrade_requests as restrictive for all to app_tenant
  using (tenant_id = (select app.tenant_id())) with check (tenant_id = (select app.tenant_id()));
create policy upgrade_requests_select on public.upgrade_requests for select to app_tenant
  using ((select strpos((select current_setting('app.permissions', true)), ' customers:read ') > 0) or customer_id = nullif((select current_setting('app.customer', true)), '')::uuid);
create policy upgrade_requests_insert on public.upgrade_requests for insert to app_tenant
  with check ((select strpos((select current_setting('app.permissions', true)), ' customers:write ') > 0) or (customer_id = nullif((select current_setting('app.customer', true)), '')::uuid and status = 'open'));
create policy upgrade_requests_update on public.upgrade_requests for update to app_tenant
  using ((select strpos((select current_setting('app.permissions', true)), ' customers:write ') > 0) or customer_id = nullif((select current_setting('app.customer', true)), '')::uuid)
  with check ((select strpos((select current_setting('app.permissions', true)), ' customers:write ') > 0) or (customer_id = nullif((select current_setting('app.customer', true)), '')::uuid and status = 'withdrawn'));
