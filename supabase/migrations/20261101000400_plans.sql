-- Plans as data: what the platform sells to a tenant.

create table public.plans (
  id text not null check (id ~ '^[a-z][a-z0-9_-]{1,30}$'),
  name text not null,
  rank integer not null,
  limits jsonb not null,
  features jsonb not null,
  defaults jsonb not null,
  primary key (id)
);
comment on table public.plans is '@reference Plans: limits (null means unlimited), features and default configuration.';
comment on column public.plans.limits is 'users, storage_bytes, api_requests_per_day, communications_per_month, api_rate_per_minute.';
comment on column public.plans.defaults is 'Default configuration of a tenant on this plan, by configuration key.';

create table public.plan_aliases (
  alias text not null,
  plan_id text not null references public.plans (id),
  primary key (alias)
);
comment on table public.plan_aliases is '@reference Other names a plan is known by.';
create index plan_aliases_plan_idx on public.plan_aliases (plan_id);

create function app.plan_defaults(min_length integer, special boolean, timeout_s integer, upload_bytes bigint, rate integer) returns jsonb
  language sql immutable parallel safe set search_path = ''
  as $$
    select jsonb_build_object(
      'security.password_policy', jsonb_build_object('minLength', min_length, 'requireUppercase', true, 'requireLowercase', true,
        'requireNumbers', true, 'requireSpecialChars', special),
      'session.timeout', timeout_s, 'file_upload.max_size', upload_bytes, 'api.rate_limit', rate)
  $$;

insert into public.plans (id, name, rank, limits, features, defaults) values
  ('free', 'Free', 0,
    '{"users": 5, "storage_bytes": 1073741824, "api_requests_per_day": 100, "communications_per_month": 100, "api_rate_per_minute": 60}',
    '{"biometric_auth": false, "ai_verification": false, "advanced_analytics": false, "custom_branding": false, "priority_support": false, "custom_domain": false, "dedicated_database": false}',
    app.plan_defaults(8, false, 3600, 1073741824, 60)),
  ('basic', 'Basic', 1,
    '{"users": 100, "storage_bytes": 10737418240, "api_requests_per_day": 1000, "communications_per_month": 1000, "api_rate_per_minute": 1000}',
    '{"biometric_auth": false, "ai_verification": false, "advanced_analytics": false, "custom_branding": false, "priority_support": false, "custom_domain": false, "dedicated_database": false}',
    app.plan_defaults(8, false, 3600, 10737418240, 1000)),
  ('premium', 'Premium', 2,
    '{"users": 1000, "storage_bytes": 107374182400, "api_requests_per_day": 10000, "communications_per_month": 10000, "api_rate_per_minute": 10000}',
    '{"biometric_auth": true, "ai_verification": false, "advanced_analytics": false, "custom_branding": true, "priority_support": false, "custom_domain": true, "dedicated_database": false}',
    app.plan_defaults(10, true, 7200, 107374182400, 10000) || '{"features.biometric_auth": true}'),
  ('enterprise', 'Enterprise', 3,
    '{"users": 10000, "storage_bytes": 1099511627776, "api_requests_per_day": 100000, "communications_per_month": 100000, "api_rate_per_minute": 100000}',
    '{"biometric_auth": true, "ai_verification": true, "advanced_analytics": true, "custom_branding": true, "priority_support": true, "custom_domain": true, "dedicated_database": true}',
    app.plan_defaults(12, true, 14400, 1073741824000, 100000)
      || '{"features.biometric_auth": true, "features.ai_verification": true, "features.advanced_analytics": true}'),
  ('custom', 'Custom', 4,
    '{"users": null, "storage_bytes": null, "api_requests_per_day": null, "communications_per_month": null, "api_rate_per_minute": null}',
    '{"biometric_auth": true, "ai_verification": true, "advanced_analytics": true, "custom_branding": true, "priority_support": true, "custom_domain": true, "dedicated_database": true}',
    app.plan_defaults(12, true, 14400, 1073741824000, 100000)
      || '{"features.biometric_auth": true, "features.ai_verification": true, "features.advanced_analytics": true}');
insert into public.plan_aliases (alias, plan_id) values ('starter', 'basic'), ('pro', 'premium');
drop function app.plan_defaults(integer, boolean, integer, bigint, integer);

alter table public.plans enable row level security;
alter table public.plans force row level security;
alter table public.plan_aliases enable row level security;
alter table public.plan_aliases force row level security;
grant select on public.plans, public.plan_aliases to app_tenant, app_platform, app_kernel;
create policy plans_select on public.plans for select to app_tenant, app_platform, app_kernel using (true);
create policy plan_aliases_select on public.plan_aliases for select to app_tenant, app_platform, app_kernel using (true);
