-- Versions of tiers at work: a tier's row and its versions never disagree, a subscription is to a version that exists, and
-- what an upgrade prompt offers is the newest version of each tier.

-- functions -----------------------------------------------------------------------------------------

create function app.keep_tier_version() returns trigger
  language plpgsql volatile set search_path = ''
  as $$
    begin
      insert into public.tier_versions (tenant_id, tier_id, version, price_minor, currency, billing_interval)
        values (new.tenant_id, new.id, new.version, new.price_minor, new.currency, new.billing_interval);
      return null;
    end
  $$;
comment on function app.keep_tier_version() is 'Writes down what the new version of a tier costs.';

create or replace function app.next_tiers(p_tenant uuid, p_meter uuid, p_limit numeric) returns jsonb
  language plpgsql stable set search_path = ''
  as $$
    begin
      return (
        select coalesce(jsonb_agg(to_jsonb(n)), '[]') from (
          select t.id, t.slug, t.name, t.price_minor, t.currency, t.billing_interval, c.cap_limit::text as limit
          from public.tiers t
          left join public.tier_caps c on c.tenant_id = p_tenant and c.tier_id = t.id and c.version = t.version and c.meter_id = p_meter
          where t.tenant_id = p_tenant and t.archived_at is null and (c.id is null or c.cap_limit > p_limit)
          order by t.price_minor, t.slug
          limit 3
        ) n);
    end
  $$;

-- triggers ------------------------------------------------------------------------------------------

create trigger tiers_keep_version after insert or update of version on public.tiers
  for each row execute function app.keep_tier_version();
comment on trigger tiers_keep_version on public.tiers is '@move-safe';

-- tables --------------------------------------------------------------------------------------------

alter table public.tier_caps
  add constraint tier_caps_version_fkey foreign key (tenant_id, tier_id, version) references public.tier_versions (tenant_id, tier_id, version);
alter table public.tier_features
  add constraint tier_features_version_fkey foreign key (tenant_id, tier_id, version) references public.tier_versions (tenant_id, tier_id, version);
alter table public.subscriptions
  add constraint subscriptions_version_fkey foreign key (tenant_id, tier_id, tier_version) references public.tier_versions (tenant_id, tier_id, version);

-- indexes -------------------------------------------------------------------------------------------

create index subscriptions_version_idx on public.subscriptions (tenant_id, tier_id, tier_version) where canceled_at is null;
comment on index public.subscriptions_version_idx is 'Who is on which version of a tier: moves, previews and the count of customers of each.';

revoke all on all functions in schema app from public;
