-- Customers: whom a tenant sells to, and whose usage is metered.

-- tables --------------------------------------------------------------------------------------------

create table public.customers (
  tenant_id uuid not null default app.tenant_id(),
  id uuid not null,
  external_id text not null check (length(external_id) between 1 and 255 and external_id !~ '[[:cntrl:]]'),
  name text check (length(name) between 1 and 200),
  email text check (length(email) <= 320),
  metadata jsonb not null default '{}' check (jsonb_typeof(metadata) = 'object'),
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now(),
  archived_at timestamptz,
  primary key (tenant_id, id)
);
comment on table public.customers is '@tenant The tenant''s own customers. Never deleted, because usage refers to them; archived instead.';
comment on column public.customers.external_id is 'The user_id of usage calls: the tenant''s own name for this customer. Never changes.';
comment on column public.customers.archived_at is 'Since when its usage is refused; null while it may be used.';

-- indexes -------------------------------------------------------------------------------------------

create unique index customers_external_id_key on public.customers (tenant_id, external_id) include (id);
comment on index public.customers_external_id_key is 'Every usage event is led to its customer through here.';
create index customers_created_idx on public.customers (tenant_id, created_at, id);

-- triggers ------------------------------------------------------------------------------------------

create trigger customers_audit after insert or update or delete on public.customers for each row execute function app.audit_row('customer');
comment on trigger customers_audit on public.customers is '@move-safe';

-- grants and policies -------------------------------------------------------------------------------

alter table public.customers enable row level security;
alter table public.customers force row level security;
grant select, insert on public.customers to app_tenant;
grant update (name, email, metadata, updated_at, archived_at) on public.customers to app_tenant;
create policy customers_isolation on public.customers as restrictive for all to app_tenant
  using (tenant_id = (select app.tenant_id())) with check (tenant_id = (select app.tenant_id()));
-- Usage finds its customers, or makes them at first sight; a customer who is signed in sees itself.
create policy customers_select on public.customers for select to app_tenant
  using ((select app.can_any('{customers:read,usage:read,usage:write}'))
    or id = (select app.customer_id()));
create policy customers_insert on public.customers for insert to app_tenant
  with check ((select app.can_any('{customers:write,usage:write}')));
create policy customers_update on public.customers for update to app_tenant
  using ((select app.can('customers:write'))) with check ((select app.can('customers:write')));

revoke all on all functions in schema app from public;
