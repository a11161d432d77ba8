-- A change that changes nothing leaves no trace: what is asked to be what it is was said to have been changed just now.

-- functions -----------------------------------------------------------------------------------------

create function app.keep_updated_at() returns trigger
  language plpgsql volatile set search_path = ''
  as $$
    begin
      if to_jsonb(new) - 'updated_at' = to_jsonb(old) - 'updated_at' then
        new.updated_at := old.updated_at;
      end if;
      return new;
    end
  $$;
comment on function app.keep_updated_at() is 'A row that is written as it was keeps the moment of its last change.';

-- triggers ------------------------------------------------------------------------------------------

create trigger tenants_unchanged before update of updated_at on public.tenants for each row execute function app.keep_updated_at();
create trigger brandings_unchanged before update of updated_at on public.brandings for each row execute function app.keep_updated_at();
create trigger memberships_unchanged before update of updated_at on public.memberships for each row execute function app.keep_updated_at();
create trigger customers_unchanged before update of updated_at on public.customers for each row execute function app.keep_updated_at();
create trigger meters_unchanged before update of updated_at on public.meters for each row execute function app.keep_updated_at();
create trigger tiers_unchanged before update of updated_at on public.tiers for each row execute function app.keep_updated_at();
create trigger alert_rules_unchanged before update of updated_at on public.alert_rules for each row execute function app.keep_updated_at();
create trigger customer_keys_unchanged before update of updated_at on public.customer_keys for each row execute function app.keep_updated_at();
create trigger customer_key_roles_unchanged before update of updated_at on public.customer_key_roles
  for each row execute function app.keep_updated_at();
create trigger rate_limit_overrides_unchanged before update of updated_at on public.rate_limit_overrides
  for each row execute function app.keep_updated_at();
create trigger stripe_exports_unchanged before update of updated_at on public.stripe_exports
  for each row execute function app.keep_updated_at();
create trigger compat_records_unchanged before update of updated_at on public.compat_records
  for each row execute function app.keep_updated_at();
comment on trigger tenants_unchanged on public.tenants is '@move-safe';
comment on trigger brandings_unchanged on public.brandings is '@move-safe';
comment on trigger memberships_unchanged on public.memberships is '@move-safe';
comment on trigger customers_unchanged on public.customers is '@move-safe';
comment on trigger meters_unchanged on public.meters is '@move-safe';
comment on trigger tiers_unchanged on public.tiers is '@move-safe';
comment on trigger alert_rules_unchanged on public.alert_rules is '@move-safe';
comment on trigger customer_keys_unchanged on public.customer_keys is '@move-safe';
comment on trigger customer_key_roles_unchanged on public.customer_key_roles is '@move-safe';
comment on trigger rate_limit_overrides_unchanged on public.rate_limit_overrides is '@move-safe';
comment on trigger stripe_exports_unchanged on public.stripe_exports is '@move-safe';
comment on trigger compat_records_unchanged on public.compat_records is '@move-safe';

-- grants --------------------------------------------------------------------------------------------

revoke all on function app.keep_updated_at() from public;
