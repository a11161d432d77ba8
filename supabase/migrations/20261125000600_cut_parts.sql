-- The parts that a cut of usage is made in, beside what makes it.

-- functions: billing --------------------------------------------------------------------------------

-- At least 500 customers each and at most 16 in all, for each part looks through everything that was received.
create function app.cut_parts(p_tenant uuid) returns table (since uuid, until uuid)
  language sql stable rows 16 set search_path = ''
  as $$
    select p.id, lead(p.id) over (order by p.id)
    from (
      select c.id, row_number() over (order by c.id) - 1 as place, count(*) over () as customers from public.customers c where c.tenant_id = p_tenant
    ) p
    where p.place % greatest(500, ceil(p.customers::numeric / 16)) = 0
    order by p.id
  $$;
comment on function app.cut_parts(uuid) is 'Ranges of customers, for app.cut_usage to go through one after the other: the lines of the first are there before the next is looked at.';

-- grants --------------------------------------------------------------------------------------------

revoke all on all functions in schema app from public;
grant execute on function app.cut_parts(uuid) to app_tenant;
