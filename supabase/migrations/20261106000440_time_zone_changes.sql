-- Another time zone for a tenant: its days and months are other ones, so every running total is made anew from the events. What was billed
-- or sealed by the days of the zone before cannot be made anew: then the zone stays.

-- functions -----------------------------------------------------------------------------------------

create function app.change_time_zone() returns trigger
  language plpgsql volatile security definer set search_path = ''
  as $$
    begin
      if not exists (select 1 from public.usage_events e where e.tenant_id = new.id) and not exists (
          select 1 from public.usage_seals l where l.tenant_id = new.id) then
        return null;
      end if;
      if exists (select 1 from public.billing_periods b where b.tenant_id = new.id)
        or exists (select 1 from public.usage_seals l where l.tenant_id = new.id) then
        raise exception using errcode = 'TM026', message = 'days were billed or sealed in the time zone there is';
      end if;
      -- Whoever knows the old zone has stale routing from here on.
      update public.placements p set epoch = p.epoch + 1 where p.tenant_id = new.id;
      update public.tenant_states s set epoch = s.epoch + 1 where s.tenant_id = new.id;
      insert into public.outbox (tenant_id, id, topic, payload)
        values (new.id, app.uuid_v7(), 'usage_time_zone', jsonb_build_object('time_zone', new.time_zone));
      return null;
    end
  $$;
comment on function app.change_time_zone() is
  'Has the worker make the running totals of a tenant anew when its time zone changes after usage was counted; TM026 when days were billed or '
  'sealed already. Definer: the registry''s roles hold nothing on tenant tables.';

create function app.recount_usage(p_tenant uuid, p_time_zone text) returns bigint
  language plpgsql volatile set search_path = '' set lock_timeout = '5s'
  as $$
    begin
      if not app.can('usage:write') then
        raise exception using errcode = '42501', message = 'usage:write is needed';
      end if;
      -- Held for no time, and shared by every transaction of the tenant: whoever began with the zone before has ended when this is granted.
      perform pg_advisory_lock(hashtextextended(p_tenant::text, 0));
      perform pg_advisory_unlock(hashtextextended(p_tenant::text, 0));
      return app.repair_usage(p_tenant, p_time_zone, null, null);
    end
  $$;
comment on function app.recount_usage(uuid, text) is
  'Makes every running total of the current tenant what its events come to by the days of a time zone, after all who counted by another one '
  'have ended; gives how many differed. Gives up after five seconds of waiting (55P03), to be tried again.';

-- triggers ------------------------------------------------------------------------------------------

create trigger tenants_time_zone after update of time_zone on public.tenants
  for each row when (old.time_zone is distinct from new.time_zone) execute function app.change_time_zone();
comment on trigger tenants_time_zone on public.tenants is '@move-safe';

-- grants and policies -------------------------------------------------------------------------------

grant update (epoch) on public.placements to app_kernel;
grant insert on public.outbox to app_kernel;
create policy outbox_kernel_insert on public.outbox for insert to app_kernel with check (true);

revoke all on all functions in schema app from public;
grant execute on function app.recount_usage(uuid, text) to app_tenant;
grant execute on function app.uuid_v7() to app_kernel;
alter function app.change_time_zone() owner to app_kernel;
