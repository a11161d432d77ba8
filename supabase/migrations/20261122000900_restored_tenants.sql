-- What comes back from deletion is as it was: a tenant that was past due or read-only came back open.

-- tables --------------------------------------------------------------------------------------------

alter table public.tenants
  add column deleted_from public.tenant_status check (deleted_from <> 'deleted');
comment on column public.tenants.deleted_from is 'The state it was deleted in, which it comes back to; null unless it is deleted, or was before this was kept.';

-- grants --------------------------------------------------------------------------------------------

grant update (deleted_from) on public.tenants to app_platform;
