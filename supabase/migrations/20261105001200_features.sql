-- Features: names for what customers are entitled to, each with the meter that counts it, if one does; and how events that
-- name a type instead of a meter find the meters that count them.

-- tables --------------------------------------------------------------------------------------------

create table public.features (
  tenant_id uuid not null default app.tenant_id(),
  id uuid not null,
  key text not null check (length(key) <= 64 and key ~ '^[a-z0-9]+([._-][a-z0-9]+)*$'
    and key !~ '^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$'),
  name text not null check (length(btrim(name)) between 1 and 200),
  meter_id uuid,
  metadata jsonb not null default '{}' check (jsonb_typeof(metadata) = 'object'),
  created_at timestamptz not null default now(),
  archived_at timestamptz,
  primary key (tenant_id, id),
  foreign key (tenant_id, meter_id) references public.meters (tenant_id, id)
);
comment on table public.features is
  '@tenant What customers can be entitled to, by name. Tiers and entitlements may use keys that are not listed here; one that is listed brings its meter.';
comment on column public.features.key is 'Name in calls; never changes. An archived feature gives its key free.';
comment on column public.features.meter_id is 'Counts the use of the feature; null when it is not counted. Never changes.';

alter table public.meters add column property_paths jsonb check (jsonb_typeof(property_paths) = 'object');
comment on column public.meters.property_paths is
  'Where events that name a type have the properties of group_by, when not by their own name: {"region": "request.region"}. Never changes.';

-- indexes -------------------------------------------------------------------------------------------

create unique index features_key_key on public.features (tenant_id, key) where archived_at is null;
create index features_meter_idx on public.features (tenant_id, meter_id) where meter_id is not null;

-- functions -----------------------------------------------------------------------------------------

create function app.meters_of_types(p_tenant uuid, p_epoch bigint, p_actor jsonb, p_types text[]) returns jsonb
  language plpgsql volatile set search_path = ''
  as $$
    begin
      perform app.begin_tenant(p_tenant, p_epoch, p_actor);
      return (
        select coalesce(jsonb_agg(jsonb_build_object('slug', m.slug, 'type', coalesce(m.event_type, m.slug), 'aggregation', m.aggregation,
            'value_property', m.value_property, 'group_by', m.group_by, 'property_paths', m.property_paths, 'filter', m.filter,
            'archived', m.archived_at is not null) order by m.created_at, m.id), '[]')
        from public.meters m
        where m.tenant_id = p_tenant and (m.event_type = any (p_types) or (m.event_type is null and m.slug = any (p_types)))
      );
    end
  $$;
comment on function app.meters_of_types(uuid, bigint, jsonb, text[]) is
  'Meters that count events of these types, the oldest first, archived ones included so that the order never changes.';

-- triggers ------------------------------------------------------------------------------------------

create trigger features_audit after insert or update or delete on public.features for each row execute function app.audit_row('feature');
comment on trigger features_audit on public.features is '@move-safe';

-- grants and policies -------------------------------------------------------------------------------

alter table public.features enable row level security;
alter table public.features force row level security;
grant select, insert on public.features to app_tenant;
grant update (archived_at) on public.features to app_tenant;
create policy features_isolation on public.features as restrictive for all to app_tenant
  using (tenant_id = (select app.tenant_id())) with check (tenant_id = (select app.tenant_id()));
-- Whoever entitles customers looks features up by their key.
create policy features_select on public.features for select to app_tenant
  using ((select current_setting('app.permissions', true)) like any ('{% tiers:read %,% customers:read %,% customers:write %}'));
create policy features_insert on public.features for insert to app_tenant
  with check ((select strpos((select current_setting('app.permissions', true)), ' tiers:write ') > 0));
create policy features_update on public.features for update to app_tenant
  using ((select strpos((select current_setting('app.permissions', true)), ' tiers:write ') > 0)) with check ((select strpos((select current_setting('app.permissions', true)), ' tiers:write ') > 0));

revoke all on all functions in schema app from public;
grant execute on function app.meters_of_types(uuid, bigint, jsonb, text[]) to app_tenant;
