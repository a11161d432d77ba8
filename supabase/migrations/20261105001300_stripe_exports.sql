-- Billing through Stripe: a tenant's own account, which of its meters go there, and each increment of usage that went. What is to be
-- sent is written down in the transaction that moves the cut, so that a repeat sends the same and never more.

-- tables --------------------------------------------------------------------------------------------

create table public.stripe_exports (
  tenant_id uuid not null default app.tenant_id(),
  id uuid not null,
  status text not null default 'checking' check (status in ('checking', 'connected', 'refused', 'disconnected')),
  enabled boolean not null default true,
  mode text not null check (mode in ('test', 'live')),
  secret text check (length(secret) <= 2000),
  last_four text not null check (length(last_four) = 4),
  account_id text check (length(account_id) between 1 and 255),
  account_name text check (length(account_name) <= 500),
  last_error text check (length(last_error) <= 1000),
  cut_asked boolean not null default false,
  due_at timestamptz not null default now(),
  paused_until timestamptz,
  checked_at timestamptz,
  pushed_at timestamptz,
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now(),
  disconnected_at timestamptz,
  primary key (tenant_id, id),
  check ((status = 'disconnected') = (secret is null))
);
comment on table public.stripe_exports is '@tenant The tenant''s own account at Stripe, to which customers and usage are pushed. One at a time; former ones stay as a record without their key.';
comment on column public.stripe_exports.status is 'checking: the worker is about to try the key; refused: Stripe does not take it, nothing is sent until it is replaced.';
comment on column public.stripe_exports.secret is 'Key of the account, sealed (libs/crypto/secret-box.ts); null once disconnected. Never leaves the server.';
comment on column public.stripe_exports.cut_asked is 'Somebody wants what came in pushed now instead of after the hour.';
comment on column public.stripe_exports.due_at is 'When the worker is to look again. Moved ahead by whoever looks, so that one looks at a time.';
comment on column public.stripe_exports.paused_until is 'Stripe asked to wait so long.';
comment on column public.stripe_exports.pushed_at is 'When Stripe last took something.';

create table public.stripe_meters (
  tenant_id uuid not null default app.tenant_id(),
  id uuid not null,
  stripe_export_id uuid not null,
  meter_id uuid not null,
  event_name text not null check (length(event_name) between 1 and 100),
  enabled boolean not null default true,
  cut_at timestamptz not null,
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now(),
  primary key (tenant_id, id),
  foreign key (tenant_id, stripe_export_id) references public.stripe_exports (tenant_id, id),
  foreign key (tenant_id, meter_id) references public.meters (tenant_id, id)
);
comment on table public.stripe_meters is '@tenant Which meters are pushed, and the event_name of the meter at Stripe that takes them.';
comment on column public.stripe_meters.cut_at is 'Usage received before is in deliveries (or lies before the beginning); usage received since is not.';
comment on column public.stripe_meters.enabled is 'False holds it back: the cut stays, and nothing is lost.';

create table public.stripe_customers (
  tenant_id uuid not null default app.tenant_id(),
  account_id text not null check (length(account_id) between 1 and 255),
  mode text not null check (mode in ('test', 'live')),
  customer_id uuid not null,
  stripe_customer_id text not null check (length(stripe_customer_id) between 1 and 255),
  linked boolean not null default false,
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now(),
  primary key (tenant_id, account_id, mode, customer_id),
  foreign key (tenant_id, customer_id) references public.customers (tenant_id, id)
);
comment on table public.stripe_customers is '@tenant Which customer of an account at Stripe a customer is.';
comment on column public.stripe_customers.mode is 'An account has the same id in both modes, but not the same customers.';
comment on column public.stripe_customers.linked is 'Named by a person; otherwise the worker made it there.';

create table public.stripe_remainders (
  tenant_id uuid not null default app.tenant_id(),
  stripe_export_id uuid not null,
  meter_id uuid not null,
  customer_id uuid not null,
  remainder numeric not null check (remainder >= 0 and remainder < 1),
  primary key (tenant_id, stripe_export_id, meter_id, customer_id),
  foreign key (tenant_id, stripe_export_id) references public.stripe_exports (tenant_id, id),
  foreign key (tenant_id, customer_id) references public.customers (tenant_id, id),
  foreign key (tenant_id, meter_id) references public.meters (tenant_id, id)
);
comment on table public.stripe_remainders is
  '@tenant Stripe takes whole numbers: the fraction of a customer''s usage that waits for the next increment. Deliveries and remainder together are the usage.';

create table public.stripe_deliveries (
  tenant_id uuid not null default app.tenant_id(),
  id uuid not null,
  stripe_export_id uuid not null,
  customer_id uuid not null,
  meter_id uuid not null,
  event_name text not null,
  hour timestamptz not null,
  happened_at timestamptz not null,
  cut_at timestamptz not null,
  amount numeric not null check (amount = trunc(amount) and amount <> 0),
  events bigint not null,
  identifier text not null check (length(identifier) <= 100),
  status text not null default 'pending' check (status in ('pending', 'sent', 'failed', 'skipped')),
  attempts integer not null default 0 check (attempts >= 0),
  answers integer not null default 0 check (answers >= 0),
  last_error text check (length(last_error) <= 1000),
  next_attempt_at timestamptz not null default now(),
  uncertain_since timestamptz,
  sent_at timestamptz,
  created_at timestamptz not null default now(),
  primary key (tenant_id, id),
  foreign key (tenant_id, stripe_export_id) references public.stripe_exports (tenant_id, id),
  foreign key (tenant_id, customer_id) references public.customers (tenant_id, id),
  foreign key (tenant_id, meter_id) references public.meters (tenant_id, id)
);
comment on table public.stripe_deliveries is '@tenant Increments of usage that went or are to go to Stripe: one per customer, meter, hour of usage and cut.';
comment on column public.stripe_deliveries.hour is 'Hour of UTC the usage happened in.';
comment on column public.stripe_deliveries.happened_at is 'The time Stripe is told: the end of the hour, within the bounds Stripe accepts.';
comment on column public.stripe_deliveries.cut_at is 'Received before; received since the cut before.';
comment on column public.stripe_deliveries.amount is 'Whole units; below zero where more was corrected than came in.';
comment on column public.stripe_deliveries.identifier is 'By which Stripe recognises a repeat: SHA-256 of tenant, connection, customer, meter, hour and cut.';
comment on column public.stripe_deliveries.answers is
  'How often Stripe said no. Part of the Idempotency-Key, under which Stripe repeats an answer and not the act; the identifier stays.';
comment on column public.stripe_deliveries.uncertain_since is 'First attempt that Stripe has not answered for certain. Stripe recognises repeats for 24 hours only.';

-- indexes -------------------------------------------------------------------------------------------

create unique index stripe_exports_one_key on public.stripe_exports (tenant_id) where status in ('checking', 'connected', 'refused');
comment on index public.stripe_exports_one_key is 'One account at a time.';
create unique index stripe_meters_meter_key on public.stripe_meters (tenant_id, stripe_export_id, meter_id);
create unique index stripe_meters_name_key on public.stripe_meters (tenant_id, stripe_export_id, event_name);
comment on index public.stripe_meters_name_key is 'Two meters under one name would be added up.';
create index stripe_meters_all_idx on public.stripe_meters (tenant_id, meter_id);
create unique index stripe_customers_stripe_key on public.stripe_customers (tenant_id, account_id, mode, stripe_customer_id);
create index stripe_customers_customer_idx on public.stripe_customers (tenant_id, customer_id);
create index stripe_remainders_customer_idx on public.stripe_remainders (tenant_id, customer_id);
create index stripe_remainders_meter_idx on public.stripe_remainders (tenant_id, meter_id);
create unique index stripe_deliveries_identifier_key on public.stripe_deliveries (tenant_id, identifier);
create index stripe_deliveries_list_idx on public.stripe_deliveries (tenant_id, stripe_export_id, id);
create index stripe_deliveries_due_idx on public.stripe_deliveries (tenant_id, stripe_export_id, next_attempt_at) where status = 'pending';
create index stripe_deliveries_failed_idx on public.stripe_deliveries (tenant_id, stripe_export_id, id) where status = 'failed';
create index stripe_deliveries_customer_idx on public.stripe_deliveries (tenant_id, customer_id);
create index stripe_deliveries_meter_idx on public.stripe_deliveries (tenant_id, meter_id);

-- functions -----------------------------------------------------------------------------------------

create function app.cut_stripe_usage(p_tenant uuid, p_export uuid) returns integer
  language plpgsql volatile set search_path = '' set plan_cache_mode = force_custom_plan
  as $$
    declare
      v_cut timestamptz;
      v_from timestamptz;
      v_written integer;
    begin
      -- Whoever does not see all of it would move the cut past usage that was never written down.
      if not (app.can('stripe-exports:write') and app.can('usage:read') and app.can('customers:read') and app.can('meters:read')) then
        raise exception using errcode = '42501', message = 'stripe-exports:write and reading usage, customers and meters are needed';
      end if;
      perform 1 from public.stripe_exports x
        where x.tenant_id = p_tenant and x.id = p_export and x.status = 'connected' and x.enabled for update;
      if not found then
        return 0;
      end if;
      v_cut := clock_timestamp();
      perform app.await_usage_writers(p_tenant);
      select min(s.cut_at) into v_from from public.stripe_meters s where s.tenant_id = p_tenant and s.stripe_export_id = p_export and s.enabled;
      with meters as materialized (
        select s.meter_id, s.event_name, s.cut_at, m.aggregation
        from public.stripe_meters s
        join public.meters m on m.tenant_id = p_tenant and m.id = s.meter_id and m.aggregation in ('SUM', 'COUNT')
        where s.tenant_id = p_tenant and s.stripe_export_id = p_export and s.enabled
      ),
      received as materialized (
        select e.customer_id, e.meter_id, date_trunc('hour', e.occurred_at, 'UTC') as hour,
          sum(e.weight * app.event_amount(m.aggregation, e.value, e.counted)) as amount, sum(e.weight)::bigint as events
        from public.usage_events e
        join meters m on m.meter_id = e.meter_id
        where e.tenant_id = p_tenant and e.received_at >= v_from and e.received_at < v_cut and e.received_at >= m.cut_at and e.weight <> 0
          and e.received_month >= date_trunc('month', v_from at time zone 'UTC')::date
          and e.received_month <= date_trunc('month', v_cut at time zone 'UTC')::date
        group by 1, 2, 3
      ),
      -- Rounded down along the hours, so that the whole numbers add up and only one fraction is ever left over.
      running as materialized (
        select r.customer_id, r.meter_id, r.hour, r.events, r.amount,
          coalesce(l.remainder, 0) + sum(r.amount) over w as total,
          row_number() over (partition by r.customer_id, r.meter_id order by r.hour desc) as from_last
        from received r
        left join public.stripe_remainders l on l.tenant_id = p_tenant and l.stripe_export_id = p_export and l.meter_id = r.meter_id
          and l.customer_id = r.customer_id
        window w as (partition by r.customer_id, r.meter_id order by r.hour)
      ),
      kept as (
        insert into public.stripe_remainders (tenant_id, stripe_export_id, meter_id, customer_id, remainder)
          select p_tenant, p_export, r.meter_id, r.customer_id, r.total - floor(r.total) from running r where r.from_last = 1
          order by r.meter_id, r.customer_id
          on conflict (tenant_id, stripe_export_id, meter_id, customer_id) do update set remainder = excluded.remainder
          where stripe_remainders.remainder <> excluded.remainder
      )
      insert into public.stripe_deliveries (tenant_id, id, stripe_export_id, customer_id, meter_id, event_name, hour, happened_at, cut_at, amount,
          events, identifier)
        select p_tenant, app.uuid_v7(), p_export, r.customer_id, r.meter_id, m.event_name, r.hour,
          least(greatest(r.hour + interval '3599 seconds', v_cut - interval '34 days'), v_cut), v_cut,
          floor(r.total) - floor(r.total - r.amount), r.events,
          'hf_' || encode(sha256(convert_to(concat_ws('/', p_tenant, p_export, r.customer_id, r.meter_id, extract(epoch from r.hour),
            extract(epoch from v_cut)), 'UTF8')), 'hex')
        from running r join meters m on m.meter_id = r.meter_id
        where floor(r.total) <> floor(r.total - r.amount)
        order by r.hour, r.customer_id, r.meter_id;
      get diagnostics v_written = row_count;
      update public.stripe_meters s set cut_at = v_cut
        where s.tenant_id = p_tenant and s.stripe_export_id = p_export and s.enabled and s.cut_at < v_cut;
      update public.stripe_exports x set cut_asked = false where x.tenant_id = p_tenant and x.id = p_export;
      return v_written;
    end
  $$;
comment on function app.cut_stripe_usage(uuid, uuid) is
  'Writes down what the mapped meters of the current tenant took in since their last cuts, per customer and hour of usage, in whole numbers, and '
  'moves the cuts: all in the caller''s transaction. Returns how many deliveries it made; none unless the connection is connected and enabled.';

create function app.tenants_with_stripe_exports(p_limit integer) returns table (tenant_id uuid)
  language sql stable security definer set search_path = ''
  as $$
    select x.tenant_id from public.stripe_exports x
    join public.tenant_states s on s.tenant_id = x.tenant_id
    where (x.status = 'checking' or x.status = 'connected' and x.enabled) and x.due_at <= now()
      and app.entrance_access(s.status, 'job') = 'write' and not s.fenced
    order by x.due_at
    limit p_limit
  $$;
comment on function app.tenants_with_stripe_exports(integer) is
  'Tenants whose account at Stripe is due to be looked at, and that a job may write to. Definer: shows ids across tenants, nothing of their content.';

-- triggers ------------------------------------------------------------------------------------------

create trigger stripe_exports_audit after insert or update or delete on public.stripe_exports
  for each row execute function app.audit_row('stripe_export', 'secret,cut_asked,due_at,paused_until,checked_at,pushed_at');
create trigger stripe_meters_audit after insert or update or delete on public.stripe_meters
  for each row execute function app.audit_row('stripe_meter', 'cut_at');
create trigger stripe_customers_audit after insert or update on public.stripe_customers
  for each row when (new.linked) execute function app.audit_row('stripe_customer');
comment on trigger stripe_customers_audit on public.stripe_customers is '@move-safe';
comment on trigger stripe_exports_audit on public.stripe_exports is '@move-safe';
comment on trigger stripe_meters_audit on public.stripe_meters is '@move-safe';

-- grants and policies -------------------------------------------------------------------------------

alter table public.stripe_exports enable row level security;
alter table public.stripe_exports force row level security;
grant select, insert on public.stripe_exports to app_tenant;
grant update (status, enabled, mode, secret, last_four, account_id, account_name, last_error, cut_asked, due_at, paused_until, checked_at, pushed_at,
  updated_at, disconnected_at) on public.stripe_exports to app_tenant;
grant select (tenant_id, status, enabled, due_at) on public.stripe_exports to app_kernel;
create policy stripe_exports_isolation on public.stripe_exports as restrictive for all to app_tenant
  using (tenant_id = (select app.tenant_id())) with check (tenant_id = (select app.tenant_id()));
create policy stripe_exports_select on public.stripe_exports for select to app_tenant
  using ((select current_setting('app.permissions', true)) like any ('{% stripe-exports:read %,% stripe-exports:write %}'));
create policy stripe_exports_insert on public.stripe_exports for insert to app_tenant with check ((select strpos((select current_setting('app.permissions', true)), ' stripe-exports:write ') > 0));
create policy stripe_exports_update on public.stripe_exports for update to app_tenant
  using (strpos((select current_setting('app.permissions', true)), ' stripe-exports:write ') > 0) with check ((select strpos((select current_setting('app.permissions', true)), ' stripe-exports:write ') > 0));
create policy stripe_exports_kernel on public.stripe_exports for select to app_kernel using (true);

alter table public.stripe_meters enable row level security;
alter table public.stripe_meters force row level security;
grant select, insert, delete on public.stripe_meters to app_tenant;
grant update (event_name, enabled, cut_at, updated_at) on public.stripe_meters to app_tenant;
create policy stripe_meters_isolation on public.stripe_meters as restrictive for all to app_tenant
  using (tenant_id = (select app.tenant_id())) with check (tenant_id = (select app.tenant_id()));
create policy stripe_meters_select on public.stripe_meters for select to app_tenant
  using ((select current_setting('app.permissions', true)) like any ('{% stripe-exports:read %,% stripe-exports:write %}'));
create policy stripe_meters_insert on public.stripe_meters for insert to app_tenant with check ((select strpos((select current_setting('app.permissions', true)), ' stripe-exports:write ') > 0));
create policy stripe_meters_update on public.stripe_meters for update to app_tenant
  using (strpos((select current_setting('app.permissions', true)), ' stripe-exports:write ') > 0) with check ((select strpos((select current_setting('app.permissions', true)), ' stripe-exports:write ') > 0));
create policy stripe_meters_delete on public.stripe_meters for delete to app_tenant
  using (strpos((select current_setting('app.permissions', true)), ' stripe-exports:write ') > 0);

alter table public.stripe_customers enable row level security;
alter table public.stripe_customers force row level security;
grant select, insert on public.stripe_customers to app_tenant;
grant update (stripe_customer_id, linked, updated_at) on public.stripe_customers to app_tenant;
create policy stripe_customers_isolation on public.stripe_customers as restrictive for all to app_tenant
  using (tenant_id = (select app.tenant_id())) with check (tenant_id = (select app.tenant_id()));
create policy stripe_customers_select on public.stripe_customers for select to app_tenant
  using ((select current_setting('app.permissions', true)) like any ('{% stripe-exports:read %,% stripe-exports:write %}'));
create policy stripe_customers_insert on public.stripe_customers for insert to app_tenant with check ((select strpos((select current_setting('app.permissions', true)), ' stripe-exports:write ') > 0));
create policy stripe_customers_update on public.stripe_customers for update to app_tenant
  using (strpos((select current_setting('app.permissions', true)), ' stripe-exports:write ') > 0) with check ((select strpos((select current_setting('app.permissions', true)), ' stripe-exports:write ') > 0));

alter table public.stripe_remainders enable row level security;
alter table public.stripe_remainders force row level security;
grant select, insert on public.stripe_remainders to app_tenant;
grant update (remainder) on public.stripe_remainders to app_tenant;
create policy stripe_remainders_isolation on public.stripe_remainders as restrictive for all to app_tenant
  using (tenant_id = (select app.tenant_id())) with check (tenant_id = (select app.tenant_id()));
create policy stripe_remainders_select on public.stripe_remainders for select to app_tenant
  using ((select current_setting('app.permissions', true)) like any ('{% stripe-exports:read %,% stripe-exports:write %}'));
create policy stripe_remainders_insert on public.stripe_remainders for insert to app_tenant with check ((select strpos((select current_setting('app.permissions', true)), ' stripe-exports:write ') > 0));
create policy stripe_remainders_update on public.stripe_remainders for update to app_tenant
  using (strpos((select current_setting('app.permissions', true)), ' stripe-exports:write ') > 0) with check ((select strpos((select current_setting('app.permissions', true)), ' stripe-exports:write ') > 0));

alter table public.stripe_deliveries enable row level security;
alter table public.stripe_deliveries force row level security;
grant select, insert, delete on public.stripe_deliveries to app_tenant;
grant update (status, attempts, answers, last_error, next_attempt_at, uncertain_since, sent_at) on public.stripe_deliveries to app_tenant;
create policy stripe_deliveries_isolation on public.stripe_deliveries as restrictive for all to app_tenant
  using (tenant_id = (select app.tenant_id())) with check (tenant_id = (select app.tenant_id()));
create policy stripe_deliveries_select on public.stripe_deliveries for select to app_tenant
  using ((select current_setting('app.permissions', true)) like any ('{% stripe-exports:read %,% stripe-exports:write %}'));
create policy stripe_deliveries_insert on public.stripe_deliveries for insert to app_tenant with check ((select strpos((select current_setting('app.permissions', true)), ' stripe-exports:write ') > 0));
create policy stripe_deliveries_update on public.stripe_deliveries for update to app_tenant
  using (strpos((select current_setting('app.permissions', true)), ' stripe-exports:write ') > 0) with check ((select strpos((select current_setting('app.permissions', true)), ' stripe-exports:write ') > 0));
create policy stripe_deliveries_delete on public.stripe_deliveries for delete to app_tenant
  using (strpos((select current_setting('app.permissions', true)), ' stripe-exports:write ') > 0);

revoke all on all functions in schema app from public;
grant execute on function app.cut_stripe_usage(uuid, uuid), app.tenants_with_stripe_exports(integer) to app_tenant;
alter function app.tenants_with_stripe_exports(integer) owner to app_kernel;
