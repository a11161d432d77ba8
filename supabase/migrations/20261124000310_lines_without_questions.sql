-- A line of a closed period is written without asking for its customer and its meter, which its events name already, as counters are: of
-- many lines that was a sixth of the work. Nobody may delete a customer or a meter, and the index was there for that alone.

-- tables --------------------------------------------------------------------------------------------

alter table public.billing_lines drop constraint billing_lines_tenant_id_customer_id_fkey, drop constraint billing_lines_tenant_id_meter_id_fkey;
drop index public.billing_lines_meter_idx;
