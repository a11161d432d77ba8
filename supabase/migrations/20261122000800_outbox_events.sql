-- Messages of the outbox in their order, past all that was delivered within the week, waits under other topics or is set aside.

drop index public.outbox_waiting_idx;
create index outbox_waiting_idx on public.outbox (tenant_id, topic, id)
  where delivered_at is null and available_at < 'infinity';
create index outbox_events_idx on public.outbox (tenant_id, id)
  where delivered_at is null and available_at < 'infinity' and topic like '%.%';
