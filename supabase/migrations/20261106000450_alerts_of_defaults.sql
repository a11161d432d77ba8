-- Another default tier, or another version of it, changes the caps of everybody without a subscription: whoever watches is asked again.

-- triggers ------------------------------------------------------------------------------------------

create trigger tiers_alerts after update of is_default, version on public.tiers
  for each statement execute function app.ask_for_alerts();
comment on trigger tiers_alerts on public.tiers is '@move-safe';
