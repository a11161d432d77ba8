-- The login of the operator console is nobody by itself: without app.begin_operator it sees and changes nothing of the registry.

-- functions -----------------------------------------------------------------------------------------

create function app.is_operator() returns boolean
  language plpgsql stable parallel safe set search_path = ''
  as $$ begin return coalesce(nullif(current_setting('app.actor', true), '')::jsonb ->> 'kind' = 'operator', false); end $$;
comment on function app.is_operator() is 'Whether this transaction is an operator''s.';

create function app.lacks_operators() returns boolean
  language plpgsql stable security definer set search_path = ''
  as $$ begin return not exists (select from public.operators); end $$;
comment on function app.lacks_operators() is
  'Whether the platform has no operator yet: the first one is nobody''s to appoint. Definer: asked before there is a context.';

-- grants and policies -------------------------------------------------------------------------------

alter policy tenants_platform_select on public.tenants using ((select app.is_operator()));
alter policy tenants_platform_update on public.tenants using ((select app.is_operator())) with check ((select app.is_operator()));
alter policy placements_platform on public.placements using ((select app.is_operator()));
alter policy brandings_platform on public.brandings using ((select app.is_operator()));
alter policy domains_platform_select on public.domains using ((select app.is_operator()));
alter policy domains_platform_insert on public.domains with check ((select app.is_operator()));
alter policy domains_platform_update on public.domains using ((select app.is_operator())) with check ((select app.is_operator()));
alter policy memberships_platform_select on public.memberships using ((select app.is_operator()));
alter policy memberships_platform_insert on public.memberships with check ((select app.is_operator()));
alter policy operators_select on public.operators using ((select app.is_operator()));
alter policy operators_insert on public.operators with check ((select app.is_operator()) or (select app.lacks_operators()));

revoke all on all functions in schema app from public;
grant execute on function app.is_operator(), app.lacks_operators() to app_platform;
alter function app.lacks_operators() owner to app_kernel;
