-- Events of the outbox in their order, past all that waits under other topics or was delivered within the week.

create index outbox_events_idx on public.outbox (tenant_id, id) where delivered_at is null and topic like '%.%';
