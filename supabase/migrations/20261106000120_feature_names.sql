-- A feature may be called otherwise. What it is known by in calls, its key and its meter, stays as it is.

-- grants --------------------------------------------------------------------------------------------

grant update (name, metadata) on public.features to app_tenant;

-- comments ------------------------------------------------------------------------------------------

comment on column public.features.name is 'What people call it; may change at any time.';
comment on column public.features.metadata is 'What the tenant''s own product notes about it; may change at any time.';

revoke all on all functions in schema app from public;
