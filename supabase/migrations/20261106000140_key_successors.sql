-- A key is rotated once: whoever rotates it again during its grace would make another live key, not a successor.

-- tables --------------------------------------------------------------------------------------------

alter table public.api_keys add column succeeded_by uuid;
comment on column public.api_keys.succeeded_by is 'The key that was made when this one was rotated. Only that one can be rotated on.';

-- grants --------------------------------------------------------------------------------------------

grant update (succeeded_by) on public.api_keys to app_tenant;

revoke all on all functions in schema app from public;
