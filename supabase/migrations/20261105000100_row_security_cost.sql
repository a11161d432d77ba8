-- What row security costs. A policy that calls app.can, app.can_any or app.customer_id calls a function with a search_path of its
-- own in every statement, which is dearer than an indexed read of the row it guards. A setting read by the policy itself is not:
-- the context leaves the permissions in force behind as one text, app.permissions, and the customer signed in as app.customer.

-- functions -----------------------------------------------------------------------------------------

create or replace function app.customer_id() returns uuid
  language plpgsql stable parallel safe set search_path = ''
  as $$ begin return nullif(current_setting('app.customer', true), '')::uuid; end $$;

create or replace function app.can(permission text) returns boolean
  language plpgsql stable parallel safe set search_path = ''
  as $$ begin return coalesce(strpos(current_setting('app.permissions', true), ' ' || permission || ' ') > 0, false); end $$;
comment on function app.can(text) is
  'Whether the actor of this transaction holds a permission, as "noun:read" or "noun:write". For functions and triggers; policies read the setting.';

create or replace function app.can_any(permissions text[]) returns boolean
  language plpgsql stable parallel safe set search_path = ''
  as $$
    declare v_permission text;
    begin
      foreach v_permission in array coalesce(permissions, '{}') loop
        if strpos(current_setting('app.permissions', true), ' ' || v_permission || ' ') > 0 then
          return true;
        end if;
      end loop;
      return false;
    end
  $$;
comment on function app.can_any(text[]) is
  'Whether the actor of this transaction holds one of several permissions. For functions and triggers; policies read the setting.';

create or replace function app.begin_tenant(p_tenant uuid, p_epoch bigint, p_actor jsonb) returns void
  language plpgsql volatile security definer set search_path = ''
  as $$
    declare
      v_status public.tenant_status;
      v_epoch bigint;
      v_fenced boolean;
      v_access text;
      v_actor jsonb := p_actor;
      v_permissions text;
      v_set text;
    begin
      perform pg_advisory_xact_lock_shared(hashtextextended(p_tenant::text, 0));
      select s.status, s.epoch, s.fenced into v_status, v_epoch, v_fenced from public.tenant_states s where s.tenant_id = p_tenant;
      if not found then
        raise exception using errcode = 'TM004', message = 'no such tenant here';
      end if;
      if v_epoch <> p_epoch or v_fenced then
        raise exception using errcode = 'TM001', message = 'stale routing';
      end if;
      -- An active tenant answers at every entrance.
      if v_status <> 'active' then
        v_access := app.entrance_access(v_status, coalesce(p_actor ->> 'entrance', p_actor ->> 'kind'));
        if v_access = 'none' then
          raise exception using errcode = case v_status when 'suspended' then 'TM002' when 'pending' then 'TM003' else 'TM004' end,
            message = 'tenant does not answer in this state';
        end if;
        if v_access = 'read' then
          v_actor := jsonb_set(p_actor, '{permissions}', coalesce(
            (select jsonb_agg(p) from jsonb_array_elements(p_actor -> 'permissions') p where p #>> '{}' like '%:read'), '[]'));
        end if;
      end if;
      -- ["a:read", "b:read"] becomes | a:read || b:read |, each name between spaces; a name that holds one is none.
      v_permissions := v_actor ->> 'permissions';
      if strpos(v_permissions, '\') > 0 then
        raise exception using errcode = '22023', message = 'a permission has the form noun:verb';
      end if;
      v_set := set_config('app.current_tenant', p_tenant::text, true);
      v_set := set_config('app.actor', v_actor::text, true);
      v_set := set_config('app.permissions', coalesce(translate(v_permissions, '[], "', '|||| '), ''), true);
      v_set := set_config('app.customer', coalesce(v_actor ->> 'customer_id', ''), true);
    end
  $$;
comment on function app.begin_tenant(uuid, bigint, jsonb) is
  'First statement of every tenant transaction: checks state and epoch, then sets app.current_tenant, app.actor, app.permissions and '
  'app.customer until its end. TM001 stale routing, TM002 suspended, TM003 not open yet, TM004 no such tenant. '
  'Definer: reads tenant_states before there is a context.';

create or replace function app.begin_operator(p_actor jsonb) returns void
  language plpgsql volatile security definer set search_path = ''
  as $$
    declare
      v_role text;
      v_permissions text := p_actor ->> 'permissions';
      v_set text;
    begin
      select role into v_role from public.operators where user_id = (p_actor ->> 'id')::uuid;
      if not found then
        raise exception using errcode = 'TM005', message = 'not an operator';
      end if;
      if strpos(v_permissions, '\') > 0 then
        raise exception using errcode = '22023', message = 'a permission has the form noun:verb';
      end if;
      if v_role = 'support' then
        execute 'set local transaction_read_only = on';
      end if;
      v_set := set_config('app.actor', (p_actor || jsonb_build_object('kind', 'operator'))::text, true);
      v_set := set_config('app.permissions', coalesce(translate(v_permissions, '[], "', '|||| '), ''), true);
      v_set := set_config('app.customer', coalesce(p_actor ->> 'customer_id', ''), true);
    end
  $$;

-- policies ------------------------------------------------------------------------------------------
-- One permission: strpos in app.permissions. Several: like any. Where a policy is asked row by row (with check, or beside own
-- rows) one more (select ...) makes it answer once per statement. Without a context the setting is null or empty: nothing is allowed.

alter policy audit_logs_select on public.audit_logs using (strpos((select current_setting('app.permissions', true)), ' audit-logs:read ') > 0);
alter policy audit_details_select on public.audit_details using (strpos((select current_setting('app.permissions', true)), ' audit-logs:read ') > 0);
alter policy outbox_select on public.outbox using (strpos((select current_setting('app.permissions', true)), ' outbox:read ') > 0);
alter policy outbox_update on public.outbox using (strpos((select current_setting('app.permissions', true)), ' outbox:write ') > 0) with check ((select strpos((select current_setting('app.permissions', true)), ' outbox:write ') > 0));
alter policy outbox_delete on public.outbox using (strpos((select current_setting('app.permissions', true)), ' outbox:write ') > 0);
alter policy tenants_update on public.tenants using (strpos((select current_setting('app.permissions', true)), ' tenants:write ') > 0) with check ((select strpos((select current_setting('app.permissions', true)), ' tenants:write ') > 0));
alter policy brandings_update on public.brandings using (strpos((select current_setting('app.permissions', true)), ' branding:write ') > 0) with check ((select strpos((select current_setting('app.permissions', true)), ' branding:write ') > 0));
alter policy domains_select on public.domains using (strpos((select current_setting('app.permissions', true)), ' domains:read ') > 0);
alter policy memberships_select on public.memberships using (strpos((select current_setting('app.permissions', true)), ' members:read ') > 0);
alter policy memberships_insert on public.memberships with check ((select strpos((select current_setting('app.permissions', true)), ' members:write ') > 0));
alter policy memberships_update on public.memberships using (strpos((select current_setting('app.permissions', true)), ' members:write ') > 0) with check ((select strpos((select current_setting('app.permissions', true)), ' members:write ') > 0));
alter policy memberships_delete on public.memberships using ((select strpos((select current_setting('app.permissions', true)), ' members:write ') > 0) or user_id::text = (select app.actor_id()));
alter policy customer_logins_select on public.customer_logins using ((select strpos((select current_setting('app.permissions', true)), ' customers:read ') > 0) or customer_id = nullif((select current_setting('app.customer', true)), '')::uuid);
alter policy customer_logins_insert on public.customer_logins with check ((select strpos((select current_setting('app.permissions', true)), ' customers:write ') > 0));
alter policy customer_logins_update on public.customer_logins using (strpos((select current_setting('app.permissions', true)), ' customers:write ') > 0) with check ((select strpos((select current_setting('app.permissions', true)), ' customers:write ') > 0));
alter policy customer_logins_delete on public.customer_logins using (strpos((select current_setting('app.permissions', true)), ' customers:write ') > 0);
alter policy api_keys_select on public.api_keys using (strpos((select current_setting('app.permissions', true)), ' api-keys:read ') > 0);
alter policy api_keys_insert on public.api_keys with check ((select strpos((select current_setting('app.permissions', true)), ' api-keys:write ') > 0));
alter policy api_keys_update on public.api_keys using (strpos((select current_setting('app.permissions', true)), ' api-keys:write ') > 0) with check ((select strpos((select current_setting('app.permissions', true)), ' api-keys:write ') > 0));
alter policy idempotency_keys_select on public.idempotency_keys using (actor_id = (select app.actor_id()) or (select strpos((select current_setting('app.permissions', true)), ' outbox:write ') > 0));
alter policy idempotency_keys_delete on public.idempotency_keys using (actor_id = (select app.actor_id()) or (select strpos((select current_setting('app.permissions', true)), ' outbox:write ') > 0));
alter policy customers_select on public.customers using ((select (select current_setting('app.permissions', true)) like any ('{% customers:read %,% usage:read %,% usage:write %}')) or id = nullif((select current_setting('app.customer', true)), '')::uuid);
alter policy customers_insert on public.customers with check ((select (select current_setting('app.permissions', true)) like any ('{% customers:write %,% usage:write %}')));
alter policy customers_update on public.customers using (strpos((select current_setting('app.permissions', true)), ' customers:write ') > 0) with check ((select strpos((select current_setting('app.permissions', true)), ' customers:write ') > 0));
alter policy meters_select on public.meters using ((select current_setting('app.permissions', true)) like any ('{% meters:read %,% usage:read %,% usage:write %,% tiers:read %,% portal:read %}'));
alter policy meters_insert on public.meters with check ((select (select current_setting('app.permissions', true)) like any ('{% meters:write %,% tiers:write %}')));
alter policy meters_update on public.meters using (strpos((select current_setting('app.permissions', true)), ' meters:write ') > 0) with check ((select strpos((select current_setting('app.permissions', true)), ' meters:write ') > 0));
alter policy tiers_select on public.tiers using ((select current_setting('app.permissions', true)) like any ('{% tiers:read %,% customers:read %,% usage:read %,% usage:write %,% portal:read %}'));
alter policy tiers_insert on public.tiers with check ((select strpos((select current_setting('app.permissions', true)), ' tiers:write ') > 0));
alter policy tiers_update on public.tiers using (strpos((select current_setting('app.permissions', true)), ' tiers:write ') > 0) with check ((select strpos((select current_setting('app.permissions', true)), ' tiers:write ') > 0));
alter policy tier_caps_select on public.tier_caps using ((select current_setting('app.permissions', true)) like any ('{% tiers:read %,% customers:read %,% usage:read %,% usage:write %,% portal:read %}'));
alter policy tier_caps_insert on public.tier_caps with check ((select strpos((select current_setting('app.permissions', true)), ' tiers:write ') > 0));
alter policy tier_caps_update on public.tier_caps using (strpos((select current_setting('app.permissions', true)), ' tiers:write ') > 0) with check ((select strpos((select current_setting('app.permissions', true)), ' tiers:write ') > 0));
alter policy tier_caps_delete on public.tier_caps using (strpos((select current_setting('app.permissions', true)), ' tiers:write ') > 0);
alter policy tier_features_select on public.tier_features using ((select current_setting('app.permissions', true)) like any ('{% tiers:read %,% customers:read %,% usage:read %,% usage:write %,% portal:read %}'));
alter policy tier_features_insert on public.tier_features with check ((select strpos((select current_setting('app.permissions', true)), ' tiers:write ') > 0));
alter policy tier_features_update on public.tier_features using (strpos((select current_setting('app.permissions', true)), ' tiers:write ') > 0) with check ((select strpos((select current_setting('app.permissions', true)), ' tiers:write ') > 0));
alter policy tier_features_delete on public.tier_features using (strpos((select current_setting('app.permissions', true)), ' tiers:write ') > 0);
alter policy subscriptions_select on public.subscriptions using ((select (select current_setting('app.permissions', true)) like any ('{% customers:read %,% tiers:read %,% usage:read %,% usage:write %}')) or customer_id = nullif((select current_setting('app.customer', true)), '')::uuid);
alter policy subscriptions_insert on public.subscriptions with check ((select strpos((select current_setting('app.permissions', true)), ' customers:write ') > 0));
alter policy subscriptions_update on public.subscriptions using (strpos((select current_setting('app.permissions', true)), ' customers:write ') > 0) with check ((select strpos((select current_setting('app.permissions', true)), ' customers:write ') > 0));
alter policy usage_settings_select on public.usage_settings using ((select current_setting('app.permissions', true)) like any ('{% usage:read %,% usage:write %}'));
alter policy usage_settings_insert on public.usage_settings with check ((select strpos((select current_setting('app.permissions', true)), ' meters:write ') > 0));
alter policy usage_settings_update on public.usage_settings using (strpos((select current_setting('app.permissions', true)), ' meters:write ') > 0) with check ((select strpos((select current_setting('app.permissions', true)), ' meters:write ') > 0));
alter policy usage_events_select on public.usage_events using ((select current_setting('app.permissions', true)) like any ('{% usage:read %,% usage:write %}'));
alter policy usage_events_insert on public.usage_events with check ((select strpos((select current_setting('app.permissions', true)), ' usage:write ') > 0));
alter policy usage_counters_select on public.usage_counters using ((select (select current_setting('app.permissions', true)) like any ('{% usage:read %,% usage:write %}')) or customer_id = nullif((select current_setting('app.customer', true)), '')::uuid);
alter policy usage_counters_insert on public.usage_counters with check ((select (select current_setting('app.permissions', true)) like any ('{% usage:write %,% customers:write %}')));
alter policy usage_counters_update on public.usage_counters using ((select current_setting('app.permissions', true)) like any ('{% usage:write %,% customers:write %}')) with check ((select (select current_setting('app.permissions', true)) like any ('{% usage:write %,% customers:write %}')));
alter policy usage_totals_select on public.usage_totals using ((select current_setting('app.permissions', true)) like any ('{% usage:read %,% usage:write %}'));
alter policy usage_totals_insert on public.usage_totals with check ((select strpos((select current_setting('app.permissions', true)), ' usage:write ') > 0));
alter policy usage_totals_update on public.usage_totals using (strpos((select current_setting('app.permissions', true)), ' usage:write ') > 0) with check ((select strpos((select current_setting('app.permissions', true)), ' usage:write ') > 0));
alter policy usage_rejections_select on public.usage_rejections using ((select current_setting('app.permissions', true)) like any ('{% usage:read %,% usage:write %}'));
alter policy usage_rejections_insert on public.usage_rejections with check ((select strpos((select current_setting('app.permissions', true)), ' usage:write ') > 0));
alter policy usage_rejections_delete on public.usage_rejections using (strpos((select current_setting('app.permissions', true)), ' usage:write ') > 0);
alter policy connector_events_select on public.connector_events using (strpos((select current_setting('app.permissions', true)), ' connector-events:read ') > 0);
alter policy connector_events_update on public.connector_events using (strpos((select current_setting('app.permissions', true)), ' connector-events:write ') > 0) with check ((select strpos((select current_setting('app.permissions', true)), ' connector-events:write ') > 0));
alter policy analytics_events_select on public.analytics_events using (strpos((select current_setting('app.permissions', true)), ' analytics-events:read ') > 0);
alter policy analytics_events_update on public.analytics_events using (strpos((select current_setting('app.permissions', true)), ' analytics-events:write ') > 0) with check ((select strpos((select current_setting('app.permissions', true)), ' analytics-events:write ') > 0));
alter policy domains_insert on public.domains with check ((select strpos((select current_setting('app.permissions', true)), ' domains:write ') > 0));
alter policy onboarding_progress_select on public.onboarding_progress using (strpos((select current_setting('app.permissions', true)), ' onboarding:read ') > 0);
alter policy onboarding_progress_insert on public.onboarding_progress with check ((select strpos((select current_setting('app.permissions', true)), ' onboarding:write ') > 0));
alter policy onboarding_progress_update on public.onboarding_progress using (strpos((select current_setting('app.permissions', true)), ' onboarding:write ') > 0) with check ((select strpos((select current_setting('app.permissions', true)), ' onboarding:write ') > 0));

revoke all on all functions in schema app from public;
