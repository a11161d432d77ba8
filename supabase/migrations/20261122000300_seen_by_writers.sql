-- Who sees a row in order to answer: whoever may change something sees what is changed, and whoever may read something sees whose it
-- is. With `meters:write` alone a key could make no meter, and with `alerts:read` alone there were no alerts. What may be asked for is
-- decided by the routes; a list here that is too short answers with less than there is, and says nothing of it.

-- policies ------------------------------------------------------------------------------------------

alter policy customers_select on public.customers using ((select (select current_setting('app.permissions', true)) like any ('{% usage:write %,% usage:read %,% customers:read %,% customers:write %,% tiers:read %,% tiers:write %,% alerts:read %,% alerts:write %,% customer-keys:read %,% customer-keys:write %,% stripe-exports:read %,% stripe-exports:write %}'))
  or id = nullif((select current_setting('app.customer', true)), '')::uuid);
alter policy meters_select on public.meters using ((select current_setting('app.permissions', true)) like any ('{% usage:write %,% usage:read %,% meters:read %,% meters:write %,% tiers:read %,% tiers:write %,% portal:read %,% customers:read %,% customers:write %,% billing-periods:read %,% billing-periods:write %,% alerts:read %,% alerts:write %,% stripe-exports:read %,% stripe-exports:write %}'));
alter policy tiers_select on public.tiers using ((select current_setting('app.permissions', true)) like any ('{% usage:write %,% usage:read %,% tiers:read %,% tiers:write %,% customers:read %,% customers:write %,% portal:read %,% alerts:write %}'));
alter policy tier_versions_select on public.tier_versions using ((select current_setting('app.permissions', true)) like any ('{% usage:write %,% usage:read %,% tiers:read %,% tiers:write %,% customers:read %,% customers:write %,% portal:read %,% alerts:write %}'));
alter policy tier_caps_select on public.tier_caps using ((select current_setting('app.permissions', true)) like any ('{% usage:write %,% usage:read %,% tiers:read %,% tiers:write %,% customers:read %,% customers:write %,% portal:read %,% alerts:write %}'));
alter policy tier_features_select on public.tier_features using ((select current_setting('app.permissions', true)) like any ('{% usage:write %,% usage:read %,% tiers:read %,% tiers:write %,% customers:read %,% customers:write %,% portal:read %,% alerts:write %}'));
alter policy features_select on public.features using ((select current_setting('app.permissions', true)) like any ('{% tiers:read %,% tiers:write %,% customers:read %,% customers:write %,% portal:read %}'));
alter policy subscriptions_select on public.subscriptions using ((select (select current_setting('app.permissions', true)) like any ('{% usage:write %,% usage:read %,% customers:read %,% customers:write %,% tiers:read %,% tiers:write %}'))
  or customer_id = nullif((select current_setting('app.customer', true)), '')::uuid);
alter policy entitlements_select on public.entitlements using ((select (select current_setting('app.permissions', true)) like any ('{% usage:write %,% usage:read %,% customers:read %,% customers:write %,% tiers:read %,% tiers:write %,% alerts:write %}'))
  or customer_id = nullif((select current_setting('app.customer', true)), '')::uuid);
alter policy grants_select on public.grants using ((select (select current_setting('app.permissions', true)) like any ('{% usage:write %,% usage:read %,% customers:read %,% customers:write %}'))
  or customer_id = nullif((select current_setting('app.customer', true)), '')::uuid);
alter policy balances_select on public.balances using ((select (select current_setting('app.permissions', true)) like any ('{% usage:write %,% usage:read %,% customers:read %,% customers:write %,% tiers:read %,% tiers:write %}'))
  or customer_id = nullif((select current_setting('app.customer', true)), '')::uuid);
alter policy balance_entries_select on public.balance_entries using ((select (select current_setting('app.permissions', true)) like any ('{% usage:write %,% usage:read %,% customers:read %,% customers:write %}'))
  or customer_id = nullif((select current_setting('app.customer', true)), '')::uuid);
alter policy reservations_select on public.reservations using ((select (select current_setting('app.permissions', true)) like any ('{% usage:write %,% usage:read %,% customers:read %,% customers:write %}'))
  or customer_id = nullif((select current_setting('app.customer', true)), '')::uuid);
alter policy upgrade_requests_select on public.upgrade_requests using ((select (select current_setting('app.permissions', true)) like any ('{% customers:read %,% customers:write %}'))
  or customer_id = nullif((select current_setting('app.customer', true)), '')::uuid);
alter policy customer_logins_select on public.customer_logins using ((select (select current_setting('app.permissions', true)) like any ('{% customers:read %,% customers:write %}'))
  or customer_id = nullif((select current_setting('app.customer', true)), '')::uuid);
alter policy customer_keys_select on public.customer_keys using ((select current_setting('app.permissions', true)) like any ('{% usage:write %,% customer-keys:read %,% customer-keys:write %}'));
alter policy rate_limit_overrides_select on public.rate_limit_overrides using ((select current_setting('app.permissions', true)) like any ('{% usage:write %,% rate-limits:read %,% rate-limits:write %}'));

revoke all on all functions in schema app from public;
