-- Meters: what is counted, and how.

-- tables --------------------------------------------------------------------------------------------

create table public.meters (
  tenant_id uuid not null default app.tenant_id(),
  id uuid not null,
  slug text not null check (length(slug) <= 64 and slug ~ '^[a-z0-9]+([_-][a-z0-9]+)*$'
    and slug !~ '^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$'),
  name text not null check (length(btrim(name)) between 1 and 120),
  description text not null default '' check (length(description) <= 2000),
  unit text not null default '' check (length(unit) <= 32),
  aggregation text not null default 'SUM' check (aggregation in ('SUM', 'COUNT')),
  allows_negative boolean not null default false,
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now(),
  archived_at timestamptz,
  primary key (tenant_id, id)
);
comment on table public.meters is '@tenant What a tenant counts. Never deleted, because usage refers to it; archived instead.';
comment on column public.meters.slug is 'Name in calls and tiers. Never changes, and never looks like an id.';
comment on column public.meters.aggregation is 'SUM adds the values of events, COUNT the events themselves. Never changes: counters depend on it.';
comment on column public.meters.allows_negative is 'Whether an event may lower the sum.';

-- indexes -------------------------------------------------------------------------------------------

create unique index meters_slug_key on public.meters (tenant_id, slug);
create index meters_created_idx on public.meters (tenant_id, created_at, id);

-- triggers ------------------------------------------------------------------------------------------

create trigger meters_audit after insert or update or delete on public.meters for each row execute function app.audit_row('meter');
comment on trigger meters_audit on public.meters is '@move-safe';

-- grants and policies -------------------------------------------------------------------------------

alter table public.meters enable row level security;
alter table public.meters force row level security;
grant select, insert on public.meters to app_tenant;
grant update (name, description, unit, allows_negative, updated_at, archived_at) on public.meters to app_tenant;
create policy meters_isolation on public.meters as restrictive for all to app_tenant
  using (tenant_id = (select app.tenant_id())) with check (tenant_id = (select app.tenant_id()));
-- Usage is counted by meters and tiers cap them, so whoever may do either sees them; so does a customer, by name and unit.
create policy meters_select on public.meters for select to app_tenant
  using ((select app.can_any('{meters:read,usage:read,usage:write,tiers:read,portal:read}')));
-- A tier may name a meter that does not exist yet.
create policy meters_insert on public.meters for insert to app_tenant
  with check ((select app.can_any('{meters:write,tiers:write}')));
create policy meters_update on public.meters for update to app_tenant
  using ((select app.can('meters:write'))) with check ((select app.can('meters:write')));
