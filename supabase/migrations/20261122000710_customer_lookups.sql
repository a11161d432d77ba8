-- What one customer has of one meter is looked up by both, whichever index is taken: of a table without statistics, or one of many small
-- tenants and a large one, the planner took the meter's alone and read all its customers for each (1,000 new customers of a tier that
-- rolls over took up to half a minute). And who may change the day a customer's months begin on sees what they are counted anew from.

-- indexes -------------------------------------------------------------------------------------------

drop index public.balances_meter_idx;
create index balances_meter_idx on public.balances (tenant_id, meter_id, customer_id);
drop index public.grants_meter_idx;
create index grants_meter_idx on public.grants (tenant_id, meter_id, customer_id);
drop index public.entitlements_meter_idx;
create index entitlements_meter_idx on public.entitlements (tenant_id, meter_id, customer_id);

-- policies ------------------------------------------------------------------------------------------

alter policy usage_uniques_select on public.usage_uniques
  using ((select (select current_setting('app.permissions', true)) like any ('{% usage:read %,% usage:write %,% customers:write %}')));
