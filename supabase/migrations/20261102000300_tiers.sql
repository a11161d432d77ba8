-- Tiers: what a tenant sells to its customers; and which customer has which.

-- tables --------------------------------------------------------------------------------------------

create table public.tiers (
  tenant_id uuid not null default app.tenant_id(),
  id uuid not null,
  slug text not null check (length(slug) <= 64 and slug ~ '^[a-z0-9]+([_-][a-z0-9]+)*$'
    and slug !~ '^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$'),
  name text not null check (length(btrim(name)) between 1 and 120),
  description text not null default '' check (length(description) <= 2000),
  price_minor bigint not null default 0 check (price_minor between 0 and 1000000000000),
  currency text not null default 'USD' check (currency ~ '^[A-Z]{3}$'),
  billing_interval text not null default 'month' check (billing_interval in ('month', 'year')),
  is_default boolean not null default false,
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now(),
  archived_at timestamptz,
  primary key (tenant_id, id)
);
comment on table public.tiers is '@tenant What a tenant sells: a price, caps on meters and features. Archived, not deleted, and not while it is used.';
comment on column public.tiers.slug is 'Name in calls. Never changes.';
comment on column public.tiers.price_minor is 'Price of one interval in the smallest unit of the currency.';
comment on column public.tiers.is_default is 'Holds for customers without a subscription; at most one tier of a tenant.';

create table public.tier_caps (
  tenant_id uuid not null default app.tenant_id(),
  id uuid not null,
  tier_id uuid not null,
  meter_id uuid not null,
  cap_limit numeric not null check (cap_limit >= 0 and cap_limit < 1e30),
  behaviour text not null default 'reject' check (behaviour in ('reject', 'overflow')),
  period text not null default 'month' check (period in ('day', 'month')),
  primary key (tenant_id, id),
  foreign key (tenant_id, tier_id) references public.tiers (tenant_id, id),
  foreign key (tenant_id, meter_id) references public.meters (tenant_id, id)
);
comment on table public.tier_caps is '@tenant How much of a meter a tier allows in a period.';
comment on column public.tier_caps.period is
  'How long a counter runs: a day or a month of the calendar in the tenant''s time zone. Text, because row security keeps an enum out of index conditions.';
comment on column public.tier_caps.behaviour is 'Past the limit: reject refuses the event (hard), overflow counts it as overage (soft).';

create table public.tier_features (
  tenant_id uuid not null default app.tenant_id(),
  id uuid not null,
  tier_id uuid not null,
  key text not null check (length(key) <= 64 and key ~ '^[a-z0-9]+([._-][a-z0-9]+)*$'),
  config jsonb,
  primary key (tenant_id, id),
  foreign key (tenant_id, tier_id) references public.tiers (tenant_id, id)
);
comment on table public.tier_features is '@tenant The features a tier entitles to.';
comment on column public.tier_features.config is 'What the feature means on this tier, for the tenant''s own product to read; null when having it is all.';

create table public.subscriptions (
  tenant_id uuid not null default app.tenant_id(),
  id uuid not null,
  customer_id uuid not null,
  tier_id uuid not null,
  anchor_day smallint not null default 1 check (anchor_day between 1 and 31),
  started_at timestamptz not null default now(),
  canceled_at timestamptz,
  primary key (tenant_id, id),
  foreign key (tenant_id, customer_id) references public.customers (tenant_id, id),
  foreign key (tenant_id, tier_id) references public.tiers (tenant_id, id)
);
comment on table public.subscriptions is '@tenant Which customer has which tier, now and before.';
comment on column public.subscriptions.anchor_day is
  'Day of the month its periods begin; 1 is the calendar month, 29 to 31 fall on the last day of months that are shorter.';

-- indexes -------------------------------------------------------------------------------------------

create unique index tiers_slug_key on public.tiers (tenant_id, slug);
create unique index tiers_default_key on public.tiers (tenant_id) where is_default;
create index tiers_created_idx on public.tiers (tenant_id, created_at, id);
create unique index tier_caps_meter_key on public.tier_caps (tenant_id, tier_id, meter_id);
create index tier_caps_meter_idx on public.tier_caps (tenant_id, meter_id);
create unique index tier_features_key on public.tier_features (tenant_id, tier_id, key);
create unique index subscriptions_active_key on public.subscriptions (tenant_id, customer_id) include (tier_id, anchor_day) where canceled_at is null;
comment on index public.subscriptions_active_key is 'One tier per customer at a time.';
create index subscriptions_customer_idx on public.subscriptions (tenant_id, customer_id, started_at);
create index subscriptions_tier_idx on public.subscriptions (tenant_id, tier_id, canceled_at);

-- triggers ------------------------------------------------------------------------------------------

create trigger tiers_audit after insert or update or delete on public.tiers for each row execute function app.audit_row('tier');
create trigger tier_caps_audit after insert or update or delete on public.tier_caps for each row execute function app.audit_row('tier_cap');
create trigger tier_features_audit after insert or update or delete on public.tier_features
  for each row execute function app.audit_row('tier_feature');
create trigger subscriptions_audit after insert or update or delete on public.subscriptions
  for each row execute function app.audit_row('subscription');
comment on trigger tiers_audit on public.tiers is '@move-safe';
comment on trigger tier_caps_audit on public.tier_caps is '@move-safe';
comment on trigger tier_features_audit on public.tier_features is '@move-safe';
comment on trigger subscriptions_audit on public.subscriptions is '@move-safe';

-- grants and policies -------------------------------------------------------------------------------
-- What a tier holds is no secret within the tenant: usage is checked against it, and customers see what they may buy.

alter table public.tiers enable row level security;
alter table public.tiers force row level security;
grant select, insert on public.tiers to app_tenant;
grant update (name, description, price_minor, currency, billing_interval, is_default, updated_at, archived_at) on public.tiers to app_tenant;
create policy tiers_isolation on public.tiers as restrictive for all to app_tenant
  using (tenant_id = (select app.tenant_id())) with check (tenant_id = (select app.tenant_id()));
create policy tiers_select on public.tiers for select to app_tenant
  using ((select app.can_any('{tiers:read,customers:read,usage:read,usage:write,portal:read}')));
create policy tiers_insert on public.tiers for insert to app_tenant with check ((select app.can('tiers:write')));
create policy tiers_update on public.tiers for update to app_tenant
  using ((select app.can('tiers:write'))) with check ((select app.can('tiers:write')));

alter table public.tier_caps enable row level security;
alter table public.tier_caps force row level security;
grant select, insert, delete on public.tier_caps to app_tenant;
grant update (cap_limit, behaviour, period) on public.tier_caps to app_tenant;
create policy tier_caps_isolation on public.tier_caps as restrictive for all to app_tenant
  using (tenant_id = (select app.tenant_id())) with check (tenant_id = (select app.tenant_id()));
create policy tier_caps_select on public.tier_caps for select to app_tenant
  using ((select app.can_any('{tiers:read,customers:read,usage:read,usage:write,portal:read}')));
create policy tier_caps_insert on public.tier_caps for insert to app_tenant with check ((select app.can('tiers:write')));
create policy tier_caps_update on public.tier_caps for update to app_tenant
  using ((select app.can('tiers:write'))) with check ((select app.can('tiers:write')));
create policy tier_caps_delete on public.tier_caps for delete to app_tenant using ((select app.can('tiers:write')));

alter table public.tier_features enable row level security;
alter table public.tier_features force row level security;
grant select, insert, delete on public.tier_features to app_tenant;
grant update (config) on public.tier_features to app_tenant;
create policy tier_features_isolation on public.tier_features as restrictive for all to app_tenant
  using (tenant_id = (select app.tenant_id())) with check (tenant_id = (select app.tenant_id()));
create policy tier_features_select on public.tier_features for select to app_tenant
  using ((select app.can_any('{tiers:read,customers:read,usage:read,usage:write,portal:read}')));
create policy tier_features_insert on public.tier_features for insert to app_tenant with check ((select app.can('tiers:write')));
create policy tier_features_update on public.tier_features for update to app_tenant
  using ((select app.can('tiers:write'))) with check ((select app.can('tiers:write')));
create policy tier_features_delete on public.tier_features for delete to app_tenant using ((select app.can('tiers:write')));

alter table public.subscriptions enable row level security;
alter table public.subscriptions force row level security;
grant select, insert on public.subscriptions to app_tenant;
grant update (canceled_at) on public.subscriptions to app_tenant;
create policy subscriptions_isolation on public.subscriptions as restrictive for all to app_tenant
  using (tenant_id = (select app.tenant_id())) with check (tenant_id = (select app.tenant_id()));
create policy subscriptions_select on public.subscriptions for select to app_tenant
  using ((select app.can_any('{customers:read,tiers:read,usage:read,usage:write}'))
    or customer_id = (select app.customer_id()));
create policy subscriptions_insert on public.subscriptions for insert to app_tenant with check ((select app.can('customers:write')));
create policy subscriptions_update on public.subscriptions for update to app_tenant
  using ((select app.can('customers:write'))) with check ((select app.can('customers:write')));
