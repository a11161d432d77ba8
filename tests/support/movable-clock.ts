// A clock that stands still until it is moved: the functions of the database of one test file read it instead of the time of day.
import { asSuperuser } from './world'

/** What time does to usage, balances and billing. What sees to credentials and jobs goes by the time of day as ever. */
const READERS = [
  'record_usage',
  'record_one',
  'ingest_usage_once',
  'read_usage',
  'check_usage',
  'customer_usage',
  'usage_event_pieces',
  'correct_usage',
  'reserve_usage',
  'settle_reservation',
  'release_reservation',
  'close_billing_period',
  'month_overage',
  'find_clock_drift',
  'repair_usage',
  'repair_clocks',
  'settle_customers',
  'recount_usage',
]

/** Has usage go by a clock that only `moveClock` moves, in the database of this test file. */
export async function stopClock(): Promise<void> {
  await asSuperuser('create sequence if not exists app.stopped_clock minvalue 0')
  await asSuperuser('grant select on sequence app.stopped_clock to app_tenant, app_kernel')
  await asSuperuser(
    `create or replace function app.stopped_now() returns timestamptz language sql volatile set search_path = ''
       as $$ select timestamptz 'epoch' + (select c.last_value from app.stopped_clock c) * interval '1 microsecond' $$`,
  )
  await asSuperuser('grant execute on function app.stopped_now() to app_tenant, app_kernel')
  const changed = await asSuperuser<{ name: string; definition: string }>(
    `select p.proname as name,
       regexp_replace(pg_get_functiondef(p.oid), '\\m(clock_timestamp|statement_timestamp|now)\\(\\)', 'app.stopped_now()', 'g') as definition
     from pg_proc p where p.pronamespace = 'app'::regnamespace and p.proname = any ($1)`,
    [READERS],
  )
  for (const { definition } of changed) await asSuperuser(definition)
}

/** Sets the stopped clock, in milliseconds. */
export async function moveClock(to: number): Promise<void> {
  await asSuperuser("select setval('app.stopped_clock', $1::bigint * 1000)", [String(to)])
}
