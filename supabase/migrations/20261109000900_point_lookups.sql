-- Where a customer stands is looked up by key whatever the statistics say. While a tenant's tables are small the planner took a walk
-- over all its customers for as cheap as one of them, and plans are kept (32 -> 22 µs for each check). Not for the logins as a whole
-- (random_page_cost): reading very many events through a bitmap is twice as fast as by an index. Nor for functions that take many
-- keys at once: they want the bitmap (credits of 400 keys: 12,500/s with it, 1,500/s without).

-- indexes -------------------------------------------------------------------------------------------

-- All rules by meter are in one index; those in force need none of their own.
drop index public.alert_rules_meter_idx;

-- functions -----------------------------------------------------------------------------------------

alter function app.read_usage(uuid, text, text[], text[], numeric[]) set enable_bitmapscan = off;
alter function app.record_one(uuid, text, text, text, numeric, uuid, text, text, jsonb, boolean, boolean) set enable_bitmapscan = off;

-- Policies read settings; what asked for one of several permissions asks nobody any more.
drop function app.can_any(text[]);
