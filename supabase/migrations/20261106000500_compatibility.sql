-- What the clients of other products need beside our own nouns: a customer who goes by several names in events, what their wire says
-- of a thing and we have no field for, and a balance that begins anew within its period.

-- tables --------------------------------------------------------------------------------------------

create table public.customer_subjects (
  tenant_id uuid not null default app.tenant_id(),
  subject text not null check (length(subject) between 1 and 255 and subject !~ '[[:cntrl:]]'),
  customer_id uuid not null,
  place smallint check (place >= 0),
  created_at timestamptz not null default now(),
  primary key (tenant_id, subject),
  foreign key (tenant_id, customer_id) references public.customers (tenant_id, id)
);
comment on table public.customer_subjects is
  '@tenant Other names of a customer in events that name a type. Who has none goes by its external id alone; that one always works.';
comment on column public.customer_subjects.place is 'Order in which the names were given; null for a name that only finds the customer.';

create table public.compat_records (
  tenant_id uuid not null default app.tenant_id(),
  kind text not null check (kind ~ '^[a-z_]{1,40}$'),
  key text not null check (length(key) between 1 and 255 and key !~ '[[:cntrl:]]'),
  data jsonb not null check (jsonb_typeof(data) = 'object' and length(data::text) <= 32768),
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now(),
  primary key (tenant_id, kind, key)
);
comment on table public.compat_records is
  '@tenant What the wire of another product says of a thing and nothing of ours depends on: given back as it came.';
comment on column public.compat_records.kind is 'What it is about, such as meter, entitlement, api; key is the id of that.';

alter table public.balances drop constraint balances_carried_check;
comment on column public.balances.carried is
  'Overage of the period before that counts as used in this one, less what a reset within the period forgot.';

-- indexes -------------------------------------------------------------------------------------------

create index customer_subjects_customer_idx on public.customer_subjects (tenant_id, customer_id);
create index customer_keys_api_idx on public.customer_keys (tenant_id, api_id, id) where api_id is not null;

-- functions -----------------------------------------------------------------------------------------

create function app.customers_of_subjects(p_tenant uuid, p_epoch bigint, p_actor jsonb, p_subjects text[]) returns jsonb
  language plpgsql volatile set search_path = ''
  as $$
    begin
      perform app.begin_tenant(p_tenant, p_epoch, p_actor);
      return (
        select coalesce(jsonb_object_agg(s.subject, c.external_id), '{}')
        from public.customer_subjects s
        join public.customers c on c.tenant_id = p_tenant and c.id = s.customer_id
        where s.tenant_id = p_tenant and s.subject = any (p_subjects) and c.external_id <> s.subject
      );
    end
  $$;
comment on function app.customers_of_subjects(uuid, bigint, jsonb, text[]) is
  'External ids of the customers these subjects are other names of; subjects that are nobody''s other name are left out.';

create function app.reset_balance(
  p_tenant uuid, p_customer uuid, p_meter uuid, p_now timestamptz, p_time_zone text, p_preserve_overage boolean, p_used_since numeric
) returns void
  language plpgsql volatile set search_path = ''
  as $$
    declare
      b public.balances;
      v_was public.balances;
      c record;
      v_burnt record;
      v_grants public.grants[];
      v_grants_were public.grants[];
      v_entries public.balance_entries[] := '{}';
      v_amount numeric;
      v_again numeric;
    begin
      perform app.hold_usage(p_tenant);
      perform app.open_balance(p_tenant, p_customer, p_meter, p_now, p_time_zone);
      b := app.settle_balance(p_tenant, p_customer, p_meter, p_now, p_time_zone);
      if b.tenant_id is null then
        return;
      end if;
      select * into c from app.balance_cap(p_tenant, p_customer, p_meter);
      v_was := b;
      v_grants := app.open_grants(p_tenant, p_customer, p_meter);
      v_grants_were := v_grants;
      b.as_of := greatest(b.as_of, p_now);
      v_amount := b.granted + b.overage - b.used;
      v_again := p_used_since + case when p_preserve_overage then b.overage else 0 end;
      -- What the counter of the period holds stays counted there, and is no longer held against the balance.
      b.carried := v_again + b.carried - b.used;
      b.used := 0;
      b.overage := 0;
      v_entries := v_entries || app.balance_entry(b, null, 'reset', -v_amount, 0);
      v_amount := least(c.rollover_max, greatest(b.allowance_left, c.rollover_min));
      b.granted := v_amount;
      if v_amount > 0 then
        v_entries := v_entries || app.balance_entry(b, null, 'rollover', v_amount, b.granted);
      end if;
      for i in 1 .. coalesce(cardinality(v_grants), 0) loop
        continue when v_grants[i].issues = 0;
        if v_grants[i].recurrence is null then
          v_grants[i].remaining := least(v_grants[i].rollover_max, greatest(v_grants[i].remaining, v_grants[i].rollover_min));
        end if;
        v_grants[i].opening := v_grants[i].remaining;
        b.granted := b.granted + v_grants[i].remaining;
        if v_grants[i].remaining > 0 then
          v_entries := v_entries || app.balance_entry(b, v_grants[i].id, 'rollover', v_grants[i].remaining, b.granted);
        end if;
      end loop;
      b.allowance := coalesce(c.cap_limit, 0);
      b.opening := v_amount + b.allowance;
      b.allowance_left := b.opening;
      b.granted := b.granted + b.allowance;
      if b.allowance > 0 then
        v_entries := v_entries || app.balance_entry(b, null, 'allowance', b.allowance, b.granted);
      end if;
      if v_again <> 0 then
        select * into v_burnt from app.burn_sources(b, v_grants, v_again);
        b := v_burnt.p_balance;
        v_grants := v_burnt.p_grants;
        v_entries := v_entries || app.balance_entry(b, null, 'rollover', b.overage - v_again, b.granted + b.overage - b.used);
      end if;
      v_entries[cardinality(v_entries)].granted := b.granted;
      v_entries[cardinality(v_entries)].allowance := b.allowance;
      v_entries[cardinality(v_entries)].opening := b.opening;
      perform app.keep_balance(v_was, b, v_grants_were, v_grants, v_entries);
    end
  $$;
comment on function app.reset_balance(uuid, uuid, uuid, timestamptz, text, boolean, numeric) is
  'Begins the balance of a customer anew within its period, as the end of the period would: allowance and grants roll over by their terms, and what was used '
  'is forgotten but for p_used_since and, where asked, the overage. Holds off the writers of the tenant. Nothing where a balance cannot be: a meter that does not add up.';

-- triggers ------------------------------------------------------------------------------------------

create trigger customer_subjects_audit after insert or update or delete on public.customer_subjects
  for each row execute function app.audit_row('customer_subject');
create trigger compat_records_audit after insert or update or delete on public.compat_records
  for each row execute function app.audit_row('compat_record');
comment on trigger customer_subjects_audit on public.customer_subjects is '@move-safe';
comment on trigger compat_records_audit on public.compat_records is '@move-safe';

-- grants and policies -------------------------------------------------------------------------------

alter table public.customer_subjects enable row level security;
alter table public.customer_subjects force row level security;
grant select, insert, delete on public.customer_subjects to app_tenant;
create policy customer_subjects_isolation on public.customer_subjects as restrictive for all to app_tenant
  using (tenant_id = (select app.tenant_id())) with check (tenant_id = (select app.tenant_id()));
create policy customer_subjects_select on public.customer_subjects for select to app_tenant
  using ((select current_setting('app.permissions', true)) like any ('{% customers:read %,% customers:write %,% usage:read %,% usage:write %}'));
create policy customer_subjects_insert on public.customer_subjects for insert to app_tenant
  with check ((select strpos((select current_setting('app.permissions', true)), ' customers:write ') > 0));
create policy customer_subjects_delete on public.customer_subjects for delete to app_tenant
  using ((select strpos((select current_setting('app.permissions', true)), ' customers:write ') > 0));

-- Whoever may change what a record is about may write it; nothing of it decides anything.
alter table public.compat_records enable row level security;
alter table public.compat_records force row level security;
grant select, insert, delete on public.compat_records to app_tenant;
grant update (data, updated_at) on public.compat_records to app_tenant;
create policy compat_records_isolation on public.compat_records as restrictive for all to app_tenant
  using (tenant_id = (select app.tenant_id())) with check (tenant_id = (select app.tenant_id()));
create policy compat_records_select on public.compat_records for select to app_tenant
  using ((select current_setting('app.permissions', true))
    like any ('{% meters:read %,% tiers:read %,% customers:read %,% customer-keys:read %,% meters:write %,% tiers:write %,% customers:write %,% customer-keys:write %}'));
create policy compat_records_insert on public.compat_records for insert to app_tenant
  with check ((select current_setting('app.permissions', true)) like any ('{% meters:write %,% tiers:write %,% customers:write %,% customer-keys:write %}'));
create policy compat_records_update on public.compat_records for update to app_tenant
  using ((select current_setting('app.permissions', true)) like any ('{% meters:write %,% tiers:write %,% customers:write %,% customer-keys:write %}'))
  with check ((select (select current_setting('app.permissions', true)) like any ('{% meters:write %,% tiers:write %,% customers:write %,% customer-keys:write %}')));
create policy compat_records_delete on public.compat_records for delete to app_tenant
  using ((select current_setting('app.permissions', true)) like any ('{% meters:write %,% tiers:write %,% customers:write %,% customer-keys:write %}'));

revoke all on all functions in schema app from public;
grant execute on function app.customers_of_subjects(uuid, bigint, jsonb, text[]),
  app.reset_balance(uuid, uuid, uuid, timestamptz, text, boolean, numeric) to app_tenant;
