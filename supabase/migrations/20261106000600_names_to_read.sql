-- Whoever reads something reads by which name people call it: customers that of the features they have or may have, and who reads
-- what was billed that of the meters it was billed of.

-- policies ------------------------------------------------------------------------------------------

alter policy features_select on public.features
  using ((select current_setting('app.permissions', true))
    like any ('{% tiers:read %,% customers:read %,% customers:write %,% portal:read %}'));
alter policy meters_select on public.meters
  using ((select current_setting('app.permissions', true))
    like any ('{% meters:read %,% usage:read %,% usage:write %,% tiers:read %,% portal:read %,% customers:read %,% billing-periods:read %}'));

revoke all on all functions in schema app from public;
