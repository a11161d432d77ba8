-- Metering in full: what the eight aggregations keep beside a running total, corrections, versions of tiers, entitlements of
-- single customers with grants and a balance, and reservations. The statement that writes usage is in the next chapter.

-- tables --------------------------------------------------------------------------------------------

alter table public.meters
  drop constraint meters_aggregation_check,
  add constraint meters_aggregation_check
    check (aggregation in ('SUM', 'COUNT', 'UNIQUE_COUNT', 'MIN', 'MAX', 'AVG', 'LATEST', 'WEIGHTED_SUM')),
  add column value_property text check (length(value_property) between 1 and 128),
  add column group_by text[] not null default '{}' check (cardinality(group_by) <= 5),
  add column filter jsonb check (jsonb_typeof(filter) = 'object'),
  add column event_type text check (length(event_type) between 1 and 255),
  add column individual boolean not null default false,
  add constraint meters_unique_needs_property check (aggregation <> 'UNIQUE_COUNT' or value_property is not null);
comment on column public.meters.aggregation is
  'SUM adds values, COUNT events; UNIQUE_COUNT counts different values of value_property; MIN, MAX, AVG and LATEST are of values; '
  'WEIGHTED_SUM takes values as changes of a level and averages the level over the period. Never changes: counters depend on it.';
comment on column public.meters.value_property is 'Property the value is taken from instead of event_value. Never changes.';
comment on column public.meters.group_by is 'Properties usage is also kept by, so that it can be shown by them. Never changes.';
comment on column public.meters.filter is
  'Which events count: {"and": [...]}, {"or": [...]} or {"property", "operator": eq|ne|gt|gte|lt|lte|in|like, "value"}; null counts all. Never changes.';
comment on column public.meters.individual is
  'True once a customer had an entitlement, a balance or a reservation of its own for it: only then are those looked for.';
comment on column public.meters.event_type is 'Name other meters'' clients send events by; null is the slug. Several meters may count one type.';

alter table public.usage_events
  add column weight smallint not null default 1 check (weight in (-1, 0, 1)),
  add column counted numeric,
  add column corrects uuid;
comment on column public.usage_events.weight is
  '1 counts; 0 was sent but does not pass the meter''s filter; -1 takes back the event that corrects names, whose other columns it repeats.';
comment on column public.usage_events.counted is
  'What it adds where that is not value: the part a cap with behaviour "cap" left.';
comment on column public.usage_events.corrects is 'Event this row takes back (weight -1) or replaces (weight 1).';

alter table public.usage_counters
  add column moment numeric,
  add column last_at timestamptz,
  add column last_received_at timestamptz;
comment on column public.usage_counters.used is
  'By aggregation: sum, number of events, number of different values, least, greatest, sum (AVG), latest, or sum of changes (WEIGHTED_SUM).';
comment on column public.usage_counters.moment is
  'WEIGHTED_SUM: sum of change x epoch seconds of each event, from which the average level up to any moment follows.';
comment on column public.usage_counters.last_at is 'LATEST: when the event happened whose value it is; of several at one moment the last received.';

create table public.usage_hours (
  tenant_id uuid not null default app.tenant_id(),
  meter_id uuid not null,
  hour timestamptz not null,
  used numeric not null,
  events bigint not null,
  moment numeric,
  last_at timestamptz,
  last_received_at timestamptz,
  primary key (tenant_id, meter_id, hour)
) with (fillfactor = 50);
comment on table public.usage_hours is
  '@tenant Running totals over all customers, per meter and hour of UTC, for series by the hour. Not kept for UNIQUE_COUNT.';

alter table public.usage_totals
  add column moment numeric,
  add column last_at timestamptz,
  add column last_received_at timestamptz;
comment on column public.usage_totals.used is 'As in usage_counters; for UNIQUE_COUNT the number of different values of all customers.';

create table public.usage_groups (
  tenant_id uuid not null default app.tenant_id(),
  meter_id uuid not null,
  day date not null,
  group_hash uuid not null,
  customer_id uuid not null,
  group_values jsonb not null,
  used numeric not null,
  events bigint not null,
  moment numeric,
  last_at timestamptz,
  last_received_at timestamptz,
  primary key (tenant_id, meter_id, day, group_hash, customer_id)
) with (fillfactor = 60);
comment on table public.usage_groups is
  '@tenant Running totals per day by the group_by properties of a meter, only for meters that have any. Not kept for UNIQUE_COUNT.';
comment on column public.usage_groups.group_values is 'Each group_by property with its value as text; null where an event lacks it.';
comment on column public.usage_groups.group_hash is 'md5 of the text of group_values.';

create table public.usage_uniques (
  tenant_id uuid not null default app.tenant_id(),
  meter_id uuid not null,
  period text not null check (period in ('day', 'month', 'total')),
  starts_on date not null,
  customer_id uuid not null,
  value_hash uuid not null,
  events bigint not null,
  primary key (tenant_id, meter_id, period, starts_on, customer_id, value_hash)
);
comment on table public.usage_uniques is '@tenant UNIQUE_COUNT: the different values seen, and how many events hold each, so that one can be taken back.';
comment on column public.usage_uniques.period is 'day and month of a customer, or total: the day of all customers together, with the nil UUID as customer.';
comment on column public.usage_uniques.value_hash is 'md5 of the value as text.';

-- Versions of tiers: what is sold changes, what was sold does not.
create table public.tier_versions (
  tenant_id uuid not null default app.tenant_id(),
  tier_id uuid not null,
  version integer not null check (version >= 1),
  price_minor bigint not null check (price_minor between 0 and 1000000000000),
  currency text not null check (currency ~ '^[A-Z]{3}$'),
  billing_interval text not null check (billing_interval in ('month', 'year')),
  created_at timestamptz not null default now(),
  primary key (tenant_id, tier_id, version),
  foreign key (tenant_id, tier_id) references public.tiers (tenant_id, id)
);
comment on table public.tier_versions is '@tenant What a tier cost in each of its versions. Written once.';

alter table public.tiers add column version integer not null default 1 check (version >= 1);
comment on column public.tiers.version is 'Newest version: what new subscriptions get, and customers without a subscription when it is the default.';
alter table public.tier_caps
  drop constraint tier_caps_behaviour_check,
  add constraint tier_caps_behaviour_check check (behaviour in ('reject', 'overflow', 'cap')),
  add column version integer not null default 1 check (version >= 1),
  add column rollover_min numeric not null default 0 check (rollover_min >= 0 and rollover_min < 1e30),
  add column rollover_max numeric not null default 0 check (rollover_max >= 0 and rollover_max < 1e30),
  add column preserve_overage boolean not null default false;
comment on column public.tier_caps.behaviour is
  'Past the limit: reject refuses the event (hard), overflow counts it as overage (soft), cap counts the part that is left.';
comment on column public.tier_caps.rollover_max is 'What is left at a reset carries over as min(rollover_max, max(left, rollover_min)); 0 carries nothing.';
comment on column public.tier_caps.preserve_overage is 'Whether overage is used from the next period''s allowance.';
alter table public.tier_features add column version integer not null default 1 check (version >= 1);
alter table public.subscriptions add column tier_version integer not null default 1 check (tier_version >= 1);
comment on column public.subscriptions.tier_version is 'Version it was made with or moved to.';

create table public.entitlements (
  tenant_id uuid not null default app.tenant_id(),
  id uuid not null,
  customer_id uuid not null,
  kind text not null check (kind in ('boolean', 'static', 'metered')),
  feature_key text not null check (length(feature_key) <= 64 and feature_key ~ '^[a-z0-9]+([._-][a-z0-9]+)*$'),
  meter_id uuid,
  config jsonb,
  cap_limit numeric check (cap_limit >= 0 and cap_limit < 1e30),
  behaviour text not null default 'reject' check (behaviour in ('reject', 'overflow', 'cap')),
  period text not null default 'month' check (period in ('day', 'month')),
  rollover_min numeric not null default 0 check (rollover_min >= 0 and rollover_min < 1e30),
  rollover_max numeric not null default 0 check (rollover_max >= 0 and rollover_max < 1e30),
  preserve_overage boolean not null default false,
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now(),
  canceled_at timestamptz,
  primary key (tenant_id, id),
  check ((kind = 'metered') = (meter_id is not null)),
  foreign key (tenant_id, customer_id) references public.customers (tenant_id, id),
  foreign key (tenant_id, meter_id) references public.meters (tenant_id, id)
);
comment on table public.entitlements is '@tenant What a single customer may use beside or instead of what its tier holds; the tier''s own entitlements have no row here.';
comment on column public.entitlements.feature_key is 'Name of the feature; for a metered one usually the slug of its meter.';
comment on column public.entitlements.cap_limit is 'Metered: allowance of each period, in place of the tier''s; null is 0, so that only grants count.';

create table public.grants (
  tenant_id uuid not null default app.tenant_id(),
  id uuid not null,
  customer_id uuid not null,
  meter_id uuid not null,
  amount numeric not null check (amount > 0 and amount < 1e30),
  priority smallint not null default 1 check (priority between 0 and 255),
  effective_at timestamptz not null,
  expires_at timestamptz,
  recurrence text check (recurrence in ('day', 'week', 'month', 'year')),
  rollover_min numeric not null default 0 check (rollover_min >= 0 and rollover_min < 1e30),
  rollover_max numeric not null check (rollover_max >= 0 and rollover_max < 1e30),
  remaining numeric not null default 0 check (remaining >= 0),
  issued_at timestamptz,
  issues integer not null default 0,
  closed_at timestamptz,
  metadata jsonb,
  created_at timestamptz not null default now(),
  voided_at timestamptz,
  primary key (tenant_id, id),
  check (expires_at > effective_at),
  foreign key (tenant_id, customer_id) references public.customers (tenant_id, id),
  foreign key (tenant_id, meter_id) references public.meters (tenant_id, id)
);
comment on table public.grants is '@tenant Amounts of a meter given to a customer on top of its allowance. Burnt down by priority (lower first), then earliest expiry, then age.';
comment on column public.grants.remaining is 'What is left as of the balance''s as_of.';
comment on column public.grants.issued_at is 'When it was last issued; null before it took effect.';
comment on column public.grants.issues is 'How often it was issued: its effective time and recurrence say when the next one is due.';
comment on column public.grants.closed_at is 'When it expired or was voided; nothing is left from then on.';

create table public.balances (
  tenant_id uuid not null default app.tenant_id(),
  customer_id uuid not null,
  meter_id uuid not null,
  starts_on date not null,
  allowance numeric not null,
  allowance_left numeric not null check (allowance_left >= 0),
  granted numeric not null,
  carried numeric not null default 0 check (carried >= 0),
  used numeric not null default 0,
  overage numeric not null default 0 check (overage >= 0),
  as_of timestamptz not null,
  primary key (tenant_id, customer_id, meter_id)
);
comment on table public.balances is
  '@tenant Where a customer with grants, rollover or preserved overage stands with a meter: used + balance - overage = granted, always. '
  'Customers without a row have a plain allowance, and their counter says it all.';
comment on column public.balances.starts_on is 'First day of the present period.';
comment on column public.balances.granted is 'Everything available in this period so far: allowance, rollover and grants, less what expired unused.';
comment on column public.balances.carried is 'Overage of the period before that counts as used in this one.';
comment on column public.balances.used is 'Used in this period, carried overage included.';
comment on column public.balances.as_of is 'Moment up to which grants were issued, expired and reset.';

create table public.balance_entries (
  tenant_id uuid not null default app.tenant_id(),
  id uuid not null,
  customer_id uuid not null,
  meter_id uuid not null,
  grant_id uuid,
  kind text not null check (kind in ('allowance', 'issued', 'expired', 'voided', 'reset', 'rollover')),
  amount numeric not null,
  balance numeric not null,
  occurred_at timestamptz not null,
  primary key (tenant_id, id)
);
comment on table public.balance_entries is '@tenant History of a balance beside its usage: what was issued, expired, carried over. Written once.';
comment on column public.balance_entries.balance is 'Balance after it.';

create table public.reservations (
  tenant_id uuid not null default app.tenant_id(),
  id uuid not null,
  customer_id uuid not null,
  meter_id uuid not null,
  amount numeric not null check (amount > 0 and amount < 1e30),
  settled numeric check (settled >= 0),
  status text not null default 'held' check (status in ('held', 'settled', 'released')),
  expires_at timestamptz not null,
  created_at timestamptz not null default now(),
  closed_at timestamptz,
  primary key (tenant_id, id),
  foreign key (tenant_id, customer_id) references public.customers (tenant_id, id),
  foreign key (tenant_id, meter_id) references public.meters (tenant_id, id)
);
comment on table public.reservations is '@tenant Amounts held back for a customer until they are settled, released, or past expires_at; held ones count against what is left.';

-- indexes -------------------------------------------------------------------------------------------

create index meters_event_type_idx on public.meters (tenant_id, event_type) where event_type is not null;
create index usage_events_corrections_idx on public.usage_events (tenant_id, meter_id, customer_id, occurred_at) where weight = -1;
drop index public.tier_caps_meter_key;
create unique index tier_caps_meter_key on public.tier_caps (tenant_id, tier_id, version, meter_id);
drop index public.tier_features_key;
create unique index tier_features_key on public.tier_features (tenant_id, tier_id, version, key);
drop index public.subscriptions_active_key;
create unique index subscriptions_active_key on public.subscriptions (tenant_id, customer_id) include (tier_id, tier_version, anchor_day)
  where canceled_at is null;
comment on index public.subscriptions_active_key is 'One tier per customer at a time.';
create unique index entitlements_feature_key on public.entitlements (tenant_id, customer_id, feature_key) where canceled_at is null;
create unique index entitlements_meter_key on public.entitlements (tenant_id, customer_id, meter_id) where canceled_at is null and meter_id is not null;
create index entitlements_customer_idx on public.entitlements (tenant_id, customer_id, id);
create index entitlements_meter_idx on public.entitlements (tenant_id, meter_id);
create index grants_customer_idx on public.grants (tenant_id, customer_id, meter_id, id);
create index grants_open_idx on public.grants (tenant_id, customer_id, meter_id, priority, expires_at) where closed_at is null;
create index grants_meter_idx on public.grants (tenant_id, meter_id);
create index balance_entries_customer_idx on public.balance_entries (tenant_id, customer_id, meter_id, occurred_at);
create index reservations_held_idx on public.reservations (tenant_id, customer_id, meter_id) include (amount, expires_at) where status = 'held';
create index reservations_customer_idx on public.reservations (tenant_id, customer_id, id);
create index reservations_meter_idx on public.reservations (tenant_id, meter_id) where status = 'held';
create index balances_meter_idx on public.balances (tenant_id, meter_id);

-- rows ----------------------------------------------------------------------------------------------
-- Tiers that are there already are their own first version. (The owner is under row security like everybody: this adds rows only on
-- a database where the tables may be read, which a migration's own policy grants for its duration.)

create policy tiers_migration on public.tiers for select to current_user using (true);
create policy tier_versions_migration on public.tier_versions for insert to current_user with check (true);
alter table public.tier_versions enable row level security;
alter table public.tier_versions force row level security;
insert into public.tier_versions (tenant_id, tier_id, version, price_minor, currency, billing_interval, created_at)
  select tenant_id, id, 1, price_minor, currency, billing_interval, created_at from public.tiers;
drop policy tiers_migration on public.tiers;
drop policy tier_versions_migration on public.tier_versions;

-- What was counted before is kept by the hour as well.
create policy usage_events_migration on public.usage_events for select to current_user using (true);
create policy meters_migration on public.meters for select to current_user using (true);
create policy usage_hours_migration on public.usage_hours for insert to current_user with check (true);
alter table public.usage_hours enable row level security;
alter table public.usage_hours force row level security;
insert into public.usage_hours (tenant_id, meter_id, hour, used, events)
  select e.tenant_id, e.meter_id, date_trunc('hour', e.occurred_at, 'UTC'), case when m.aggregation = 'COUNT' then count(*) else sum(e.value) end, count(*)
  from public.usage_events e join public.meters m on m.tenant_id = e.tenant_id and m.id = e.meter_id
  group by 1, 2, 3, m.aggregation;
drop policy usage_events_migration on public.usage_events;
drop policy meters_migration on public.meters;
drop policy usage_hours_migration on public.usage_hours;

-- functions -----------------------------------------------------------------------------------------

create function app.mark_meter_individual() returns trigger
  language plpgsql security definer set search_path = ''
  as $$
    begin
      update public.meters m set individual = true where m.tenant_id = new.tenant_id and m.id = new.meter_id and not m.individual;
      return null;
    end
  $$;
comment on function app.mark_meter_individual() is
  'Notes on a meter that customers have rows of their own for it. Definer: whoever makes such a row need not be allowed to change meters.';

-- triggers ------------------------------------------------------------------------------------------

-- What the database notes for itself is no change of a meter.
drop trigger meters_audit on public.meters;
create trigger meters_audit after insert or delete or update of name, description, unit, allows_negative, archived_at on public.meters
  for each row execute function app.audit_row('meter');
create trigger entitlements_individual after insert on public.entitlements
  for each row when (new.meter_id is not null) execute function app.mark_meter_individual();
create trigger balances_individual after insert on public.balances for each row execute function app.mark_meter_individual();
create trigger reservations_individual after insert on public.reservations for each row execute function app.mark_meter_individual();
comment on trigger meters_audit on public.meters is '@move-safe';
comment on trigger entitlements_individual on public.entitlements is '@move-safe';
comment on trigger balances_individual on public.balances is '@move-safe';
comment on trigger reservations_individual on public.reservations is '@move-safe';

create trigger tier_versions_audit after insert or update or delete on public.tier_versions
  for each row execute function app.audit_row('tier_version');
create trigger entitlements_audit after insert or update or delete on public.entitlements
  for each row execute function app.audit_row('entitlement');
create trigger grants_audit after insert or update of amount, priority, expires_at, voided_at, metadata or delete on public.grants
  for each row execute function app.audit_row('grant');
comment on trigger tier_versions_audit on public.tier_versions is '@move-safe';
comment on trigger entitlements_audit on public.entitlements is '@move-safe';
comment on trigger grants_audit on public.grants is '@move-safe';

-- grants and policies -------------------------------------------------------------------------------
-- Usage is decided by these rows, so whoever writes usage reads them and moves balances; customers see their own.

grant select (tenant_id, id, individual), update (individual) on public.meters to app_kernel;
-- Of whatever tenant the row is: a cap must not be overlooked because the row was made without a context, as by a restore.
create policy meters_kernel on public.meters for all to app_kernel using (true) with check (true);
grant update (moment, last_at, last_received_at) on public.usage_counters to app_tenant;
grant update (moment, last_at, last_received_at) on public.usage_totals to app_tenant;
grant update (version) on public.tiers to app_tenant;
grant update (rollover_min, rollover_max, preserve_overage) on public.tier_caps to app_tenant;
grant update (tier_id, tier_version) on public.subscriptions to app_tenant;

alter table public.usage_hours enable row level security;
alter table public.usage_hours force row level security;
grant select, insert on public.usage_hours to app_tenant;
grant update (used, events, moment, last_at, last_received_at) on public.usage_hours to app_tenant;
create policy usage_hours_isolation on public.usage_hours as restrictive for all to app_tenant
  using (tenant_id = (select app.tenant_id())) with check (tenant_id = (select app.tenant_id()));
create policy usage_hours_select on public.usage_hours for select to app_tenant
  using ((select current_setting('app.permissions', true)) like any ('{% usage:read %,% usage:write %}'));
create policy usage_hours_insert on public.usage_hours for insert to app_tenant with check ((select strpos((select current_setting('app.permissions', true)), ' usage:write ') > 0));
create policy usage_hours_update on public.usage_hours for update to app_tenant
  using (strpos((select current_setting('app.permissions', true)), ' usage:write ') > 0) with check ((select strpos((select current_setting('app.permissions', true)), ' usage:write ') > 0));

alter table public.usage_groups enable row level security;
alter table public.usage_groups force row level security;
grant select, insert on public.usage_groups to app_tenant;
grant update (used, events, moment, last_at, last_received_at) on public.usage_groups to app_tenant;
create policy usage_groups_isolation on public.usage_groups as restrictive for all to app_tenant
  using (tenant_id = (select app.tenant_id())) with check (tenant_id = (select app.tenant_id()));
create policy usage_groups_select on public.usage_groups for select to app_tenant
  using ((select current_setting('app.permissions', true)) like any ('{% usage:read %,% usage:write %}'));
create policy usage_groups_insert on public.usage_groups for insert to app_tenant with check ((select strpos((select current_setting('app.permissions', true)), ' usage:write ') > 0));
create policy usage_groups_update on public.usage_groups for update to app_tenant
  using (strpos((select current_setting('app.permissions', true)), ' usage:write ') > 0) with check ((select strpos((select current_setting('app.permissions', true)), ' usage:write ') > 0));

alter table public.usage_uniques enable row level security;
alter table public.usage_uniques force row level security;
grant select, insert on public.usage_uniques to app_tenant;
grant update (events) on public.usage_uniques to app_tenant;
create policy usage_uniques_isolation on public.usage_uniques as restrictive for all to app_tenant
  using (tenant_id = (select app.tenant_id())) with check (tenant_id = (select app.tenant_id()));
create policy usage_uniques_select on public.usage_uniques for select to app_tenant
  using ((select current_setting('app.permissions', true)) like any ('{% usage:read %,% usage:write %}'));
create policy usage_uniques_insert on public.usage_uniques for insert to app_tenant with check ((select (select current_setting('app.permissions', true)) like any ('{% usage:write %,% customers:write %}')));
create policy usage_uniques_update on public.usage_uniques for update to app_tenant
  using ((select current_setting('app.permissions', true)) like any ('{% usage:write %,% customers:write %}')) with check ((select (select current_setting('app.permissions', true)) like any ('{% usage:write %,% customers:write %}')));

alter table public.tier_versions enable row level security;
alter table public.tier_versions force row level security;
grant select, insert on public.tier_versions to app_tenant;
create policy tier_versions_isolation on public.tier_versions as restrictive for all to app_tenant
  using (tenant_id = (select app.tenant_id())) with check (tenant_id = (select app.tenant_id()));
create policy tier_versions_select on public.tier_versions for select to app_tenant
  using ((select current_setting('app.permissions', true)) like any ('{% tiers:read %,% customers:read %,% usage:read %,% usage:write %,% portal:read %}'));
create policy tier_versions_insert on public.tier_versions for insert to app_tenant with check ((select strpos((select current_setting('app.permissions', true)), ' tiers:write ') > 0));

alter table public.entitlements enable row level security;
alter table public.entitlements force row level security;
grant select, insert on public.entitlements to app_tenant;
grant update (config, cap_limit, behaviour, period, rollover_min, rollover_max, preserve_overage, updated_at, canceled_at) on public.entitlements to app_tenant;
create policy entitlements_isolation on public.entitlements as restrictive for all to app_tenant
  using (tenant_id = (select app.tenant_id())) with check (tenant_id = (select app.tenant_id()));
create policy entitlements_select on public.entitlements for select to app_tenant
  using ((select (select current_setting('app.permissions', true)) like any ('{% customers:read %,% usage:read %,% usage:write %}'))
    or customer_id = nullif((select current_setting('app.customer', true)), '')::uuid);
create policy entitlements_insert on public.entitlements for insert to app_tenant with check ((select strpos((select current_setting('app.permissions', true)), ' customers:write ') > 0));
create policy entitlements_update on public.entitlements for update to app_tenant
  using (strpos((select current_setting('app.permissions', true)), ' customers:write ') > 0) with check ((select strpos((select current_setting('app.permissions', true)), ' customers:write ') > 0));

alter table public.grants enable row level security;
alter table public.grants force row level security;
grant select, insert on public.grants to app_tenant;
grant update (amount, priority, expires_at, remaining, issued_at, issues, closed_at, metadata, voided_at) on public.grants to app_tenant;
create policy grants_isolation on public.grants as restrictive for all to app_tenant
  using (tenant_id = (select app.tenant_id())) with check (tenant_id = (select app.tenant_id()));
create policy grants_select on public.grants for select to app_tenant
  using ((select (select current_setting('app.permissions', true)) like any ('{% customers:read %,% usage:read %,% usage:write %}'))
    or customer_id = nullif((select current_setting('app.customer', true)), '')::uuid);
create policy grants_insert on public.grants for insert to app_tenant with check ((select strpos((select current_setting('app.permissions', true)), ' customers:write ') > 0));
create policy grants_update on public.grants for update to app_tenant
  using ((select current_setting('app.permissions', true)) like any ('{% customers:write %,% usage:write %}')) with check ((select (select current_setting('app.permissions', true)) like any ('{% customers:write %,% usage:write %}')));

alter table public.balances enable row level security;
alter table public.balances force row level security;
grant select, insert on public.balances to app_tenant;
grant update (starts_on, allowance, allowance_left, granted, carried, used, overage, as_of) on public.balances to app_tenant;
create policy balances_isolation on public.balances as restrictive for all to app_tenant
  using (tenant_id = (select app.tenant_id())) with check (tenant_id = (select app.tenant_id()));
create policy balances_select on public.balances for select to app_tenant
  using ((select (select current_setting('app.permissions', true)) like any ('{% customers:read %,% usage:read %,% usage:write %}'))
    or customer_id = nullif((select current_setting('app.customer', true)), '')::uuid);
create policy balances_insert on public.balances for insert to app_tenant with check ((select (select current_setting('app.permissions', true)) like any ('{% customers:write %,% usage:write %}')));
create policy balances_update on public.balances for update to app_tenant
  using ((select current_setting('app.permissions', true)) like any ('{% customers:write %,% usage:write %}')) with check ((select (select current_setting('app.permissions', true)) like any ('{% customers:write %,% usage:write %}')));

alter table public.balance_entries enable row level security;
alter table public.balance_entries force row level security;
grant select, insert on public.balance_entries to app_tenant;
create policy balance_entries_isolation on public.balance_entries as restrictive for all to app_tenant
  using (tenant_id = (select app.tenant_id())) with check (tenant_id = (select app.tenant_id()));
create policy balance_entries_select on public.balance_entries for select to app_tenant
  using ((select (select current_setting('app.permissions', true)) like any ('{% customers:read %,% usage:read %,% usage:write %}'))
    or customer_id = nullif((select current_setting('app.customer', true)), '')::uuid);
create policy balance_entries_insert on public.balance_entries for insert to app_tenant with check ((select (select current_setting('app.permissions', true)) like any ('{% customers:write %,% usage:write %}')));

alter table public.reservations enable row level security;
alter table public.reservations force row level security;
grant select, insert on public.reservations to app_tenant;
grant update (settled, status, closed_at) on public.reservations to app_tenant;
create policy reservations_isolation on public.reservations as restrictive for all to app_tenant
  using (tenant_id = (select app.tenant_id())) with check (tenant_id = (select app.tenant_id()));
create policy reservations_select on public.reservations for select to app_tenant
  using ((select (select current_setting('app.permissions', true)) like any ('{% customers:read %,% usage:read %,% usage:write %}'))
    or customer_id = nullif((select current_setting('app.customer', true)), '')::uuid);
create policy reservations_insert on public.reservations for insert to app_tenant with check ((select strpos((select current_setting('app.permissions', true)), ' usage:write ') > 0));
create policy reservations_update on public.reservations for update to app_tenant
  using (strpos((select current_setting('app.permissions', true)), ' usage:write ') > 0) with check ((select strpos((select current_setting('app.permissions', true)), ' usage:write ') > 0));

revoke all on all functions in schema app from public;
alter function app.mark_meter_individual() owner to app_kernel;
