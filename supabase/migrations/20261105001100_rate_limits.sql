-- Rate limits: exceptions a tenant makes, and windows that several processes share when they are told to.

-- tables --------------------------------------------------------------------------------------------

create table public.rate_limit_overrides (
  tenant_id uuid not null default app.tenant_id(),
  id uuid not null,
  namespace text not null check (length(namespace) between 1 and 255),
  identifier text not null check (length(identifier) between 1 and 255),
  call_limit bigint not null check (call_limit between 0 and 1000000000),
  duration_ms bigint not null check (duration_ms between 1 and 31622400000),
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now(),
  primary key (tenant_id, id)
);
comment on table public.rate_limit_overrides is '@tenant Other limits for some: an exact identifier before a pattern with *, a pattern before what the caller asked for.';
comment on column public.rate_limit_overrides.call_limit is 'How much may be used in any span of duration_ms; 0 bans.';

create table public.rate_limit_windows (
  tenant_id uuid not null default app.tenant_id(),
  namespace text not null check (length(namespace) between 1 and 255),
  identifier text not null check (length(identifier) between 1 and 255),
  duration_ms bigint not null,
  started_ms bigint not null,
  used bigint not null,
  used_before bigint not null,
  stale_at timestamptz not null,
  primary key (tenant_id, namespace, identifier, duration_ms)
) with (fillfactor = 50);
comment on table public.rate_limit_windows is '@tenant Two cells of a sliding window for whoever is limited, where processes share them. Of no use once both have passed.';
comment on column public.rate_limit_windows.started_ms is 'When the present cell began, in milliseconds since 1970; 0 before anything was counted.';
comment on column public.rate_limit_windows.stale_at is 'End of the cell after the present one. Changes with the cell, not with what is counted.';

-- indexes -------------------------------------------------------------------------------------------

create unique index rate_limit_overrides_identifier_key on public.rate_limit_overrides (tenant_id, namespace, identifier);
create index rate_limit_windows_stale_idx on public.rate_limit_windows (tenant_id, stale_at);

-- functions -----------------------------------------------------------------------------------------

create function app.take_rate_limits(
  p_tenant uuid, p_epoch bigint, p_actor jsonb, p_namespaces text[], p_identifiers text[], p_durations bigint[],
  p_window integer[], p_call integer[], p_limits bigint[], p_costs bigint[]
) returns jsonb
  language plpgsql volatile set search_path = '' set plan_cache_mode = force_generic_plan set enable_seqscan = off
  set enable_hashjoin = off set enable_mergejoin = off
  as $$
    declare
      v_now bigint;
      v_row record;
      v_started bigint[] := '{}';
      v_used bigint[] := '{}';
      v_before bigint[] := '{}';
      v_changed boolean[] := array_fill(false, array[cardinality(p_namespaces)]);
      v_kept bigint[];
      v_answers jsonb[] := '{}';
      v_from integer := 1;
      v_to integer;
      v_fits boolean;
      v_passes boolean[] := '{}';
      v_estimate bigint;
      w integer;
    begin
      perform app.begin_tenant(p_tenant, p_epoch, p_actor);
      -- The caller sends windows sorted: locks are taken in one order by everybody.
      for i in 1 .. cardinality(p_namespaces) loop
        for attempt in 1 .. 2 loop
          select x.started_ms, x.used, x.used_before into v_row from public.rate_limit_windows x
            where x.tenant_id = p_tenant and x.namespace = p_namespaces[i] and x.identifier = p_identifiers[i] and x.duration_ms = p_durations[i]
            for update;
          exit when found;
          insert into public.rate_limit_windows (tenant_id, namespace, identifier, duration_ms, started_ms, used, used_before, stale_at)
            values (p_tenant, p_namespaces[i], p_identifiers[i], p_durations[i], 0, 0, 0, statement_timestamp() + interval '1 minute')
            on conflict (tenant_id, namespace, identifier, duration_ms) do nothing;
        end loop;
        v_started[i] := v_row.started_ms;
        v_used[i] := v_row.used;
        v_before[i] := v_row.used_before;
      end loop;
      v_now := floor(extract(epoch from clock_timestamp()) * 1000);
      for i in 1 .. cardinality(p_namespaces) loop
        -- Another process' clock is the same clock: this one.
        if v_now >= v_started[i] + 2 * p_durations[i] then
          v_started[i] := v_now;
          v_used[i] := 0;
          v_before[i] := 0;
        elsif v_now >= v_started[i] + p_durations[i] then
          v_started[i] := v_started[i] + p_durations[i];
          v_before[i] := v_used[i];
          v_used[i] := 0;
        end if;
      end loop;
      while v_from <= cardinality(p_call) loop
        v_to := v_from;
        while v_to < cardinality(p_call) and p_call[v_to + 1] = p_call[v_from] loop
          v_to := v_to + 1;
        end loop;
        v_kept := v_used;
        v_fits := true;
        for j in v_from .. v_to loop
          w := p_window[j];
          v_estimate := floor(v_before[w]::float8 * (p_durations[w] - (v_now - v_started[w])) / p_durations[w])::bigint + v_used[w];
          v_passes[j] := v_estimate + p_costs[j] <= p_limits[j];
          v_fits := v_fits and v_passes[j];
          v_used[w] := v_used[w] + p_costs[j];
        end loop;
        if not v_fits then
          v_used := v_kept;
        end if;
        for j in v_from .. v_to loop
          w := p_window[j];
          v_changed[w] := v_changed[w] or (v_fits and p_costs[j] > 0);
          v_answers[j] := jsonb_build_array(v_passes[j], v_started[w], v_used[w], v_before[w]);
        end loop;
        v_from := v_to + 1;
      end loop;
      update public.rate_limit_windows x
        set started_ms = s.started, used = s.used, used_before = s.before, stale_at = to_timestamp((s.started + 2 * s.duration) / 1000.0)
        from unnest(p_namespaces, p_identifiers, p_durations, v_started, v_used, v_before, v_changed) s (namespace, identifier, duration, started, used, before, changed)
        where s.changed and x.tenant_id = p_tenant and x.namespace = s.namespace and x.identifier = s.identifier and x.duration_ms = s.duration;
      return jsonb_build_object('now', v_now, 'limits', to_jsonb(v_answers));
    end
  $$;
comment on function app.take_rate_limits(uuid, bigint, jsonb, text[], text[], bigint[], integer[], integer[], bigint[], bigint[]) is
  'Judges calls one after the other, each against one or several limits, all or nothing; what is refused is not counted. Per limit '
  '[whether it had room, start of its cell, used in it, used in the one before], after the call. The sliding window of libs/rate-limit.';

create function app.tenants_with_stale_windows(p_limit integer) returns table (tenant_id uuid)
  language sql stable security definer set search_path = ''
  as $$
    select s.tenant_id from public.tenant_states s
    where exists (select 1 from public.rate_limit_windows w where w.tenant_id = s.tenant_id and w.stale_at < now())
    limit p_limit
  $$;
comment on function app.tenants_with_stale_windows(integer) is
  'Tenants with windows that have passed. Definer: shows ids across tenants, nothing of their content.';

-- triggers ------------------------------------------------------------------------------------------

create trigger rate_limit_overrides_audit after insert or update or delete on public.rate_limit_overrides
  for each row execute function app.audit_row('rate_limit_override');
create trigger rate_limit_overrides_notify after insert or update or delete on public.rate_limit_overrides
  for each row execute function app.notify_registry();
comment on trigger rate_limit_overrides_audit on public.rate_limit_overrides is '@move-safe';
comment on trigger rate_limit_overrides_notify on public.rate_limit_overrides is '@move-safe';

-- grants and policies -------------------------------------------------------------------------------

alter table public.rate_limit_overrides enable row level security;
alter table public.rate_limit_overrides force row level security;
grant select, insert, delete on public.rate_limit_overrides to app_tenant;
grant update (call_limit, duration_ms, updated_at) on public.rate_limit_overrides to app_tenant;
create policy rate_limit_overrides_isolation on public.rate_limit_overrides as restrictive for all to app_tenant
  using (tenant_id = (select app.tenant_id())) with check (tenant_id = (select app.tenant_id()));
create policy rate_limit_overrides_select on public.rate_limit_overrides for select to app_tenant
  using ((select current_setting('app.permissions', true)) like any ('{% rate-limits:read %,% usage:write %}'));
create policy rate_limit_overrides_insert on public.rate_limit_overrides for insert to app_tenant
  with check ((select strpos((select current_setting('app.permissions', true)), ' rate-limits:write ') > 0));
create policy rate_limit_overrides_update on public.rate_limit_overrides for update to app_tenant
  using (strpos((select current_setting('app.permissions', true)), ' rate-limits:write ') > 0) with check ((select strpos((select current_setting('app.permissions', true)), ' rate-limits:write ') > 0));
create policy rate_limit_overrides_delete on public.rate_limit_overrides for delete to app_tenant
  using (strpos((select current_setting('app.permissions', true)), ' rate-limits:write ') > 0);

alter table public.rate_limit_windows enable row level security;
alter table public.rate_limit_windows force row level security;
grant select, insert, delete on public.rate_limit_windows to app_tenant;
grant update (started_ms, used, used_before, stale_at) on public.rate_limit_windows to app_tenant;
grant select (tenant_id, stale_at) on public.rate_limit_windows to app_kernel;
create policy rate_limit_windows_isolation on public.rate_limit_windows as restrictive for all to app_tenant
  using (tenant_id = (select app.tenant_id())) with check (tenant_id = (select app.tenant_id()));
create policy rate_limit_windows_select on public.rate_limit_windows for select to app_tenant
  using ((select current_setting('app.permissions', true)) like any ('{% usage:write %,% outbox:write %}'));
create policy rate_limit_windows_insert on public.rate_limit_windows for insert to app_tenant
  with check ((select strpos((select current_setting('app.permissions', true)), ' usage:write ') > 0));
create policy rate_limit_windows_update on public.rate_limit_windows for update to app_tenant
  using (strpos((select current_setting('app.permissions', true)), ' usage:write ') > 0) with check ((select strpos((select current_setting('app.permissions', true)), ' usage:write ') > 0));
-- Only jobs hold outbox:write.
create policy rate_limit_windows_delete on public.rate_limit_windows for delete to app_tenant
  using (strpos((select current_setting('app.permissions', true)), ' outbox:write ') > 0);
create policy rate_limit_windows_kernel on public.rate_limit_windows for select to app_kernel using (true);

revoke all on all functions in schema app from public;
grant execute on function app.take_rate_limits(uuid, bigint, jsonb, text[], text[], bigint[], integer[], integer[], bigint[], bigint[]) to app_tenant;
grant execute on function app.tenants_with_stale_windows(integer) to app_tenant;
alter function app.tenants_with_stale_windows(integer) owner to app_kernel;
