-- Taking credits costs the same however many keys a tenant has.

-- functions -----------------------------------------------------------------------------------------

create or replace function app.spend_customer_keys(p_tenant uuid, p_epoch bigint, p_actor jsonb, p_keys uuid[], p_key integer[], p_costs bigint[])
  returns jsonb
  language plpgsql volatile set search_path = '' set plan_cache_mode = force_generic_plan set enable_seqscan = off
  set enable_hashjoin = off set enable_mergejoin = off
  as $$
    declare
      v_accounts uuid[];
      v_distinct uuid[];
      v_before bigint[];
      v_left bigint[];
      v_due bigint[];
      v_filled bigint;
      v_answers jsonb[] := '{}';
      v_at integer;
    begin
      perform app.begin_tenant(p_tenant, p_epoch, p_actor);
      select array_agg(coalesce(k.succeeded_by, r.id) order by r.n), array_agg(distinct coalesce(k.succeeded_by, r.id))
        into v_accounts, v_distinct
        from unnest(p_keys) with ordinality r (id, n)
        left join lateral (
          select x.succeeded_by from public.customer_keys x where x.tenant_id = p_tenant and x.id = r.id limit 1
        ) k on true;
      -- Locked one by one in the order of ids, which array_agg(distinct) gives, so that two batches never wait for each other.
      select array_agg(k.remaining order by d.n), array_agg(k.due order by d.n)
        into v_before, v_due
        from unnest(v_distinct) with ordinality d (id, n)
        left join lateral (
          select x.remaining,
            case when x.refill_amount is not null and x.remaining is not null
              and app.refill_start(x.refill_interval, x.refill_day) > x.refilled_on then x.refill_amount end as due
          from public.customer_keys x where x.tenant_id = p_tenant and x.id = d.id for update
        ) k on true;
      v_left := v_before;
      for i in 1 .. cardinality(v_distinct) loop
        if v_due[i] is not null then
          update public.customer_keys k
            set remaining = greatest(k.remaining, v_due[i]), refilled_on = app.refill_start(k.refill_interval, k.refill_day)
            where k.tenant_id = p_tenant and k.id = v_distinct[i]
            returning k.remaining into v_filled;
          v_left[i] := v_filled;
          v_before[i] := v_filled;
        end if;
      end loop;
      for i in 1 .. cardinality(p_key) loop
        v_at := array_position(v_distinct, v_accounts[p_key[i]]);
        if v_left[v_at] is null then
          v_answers[i] := jsonb_build_array(true, null);
        elsif v_left[v_at] >= p_costs[i] then
          v_left[v_at] := v_left[v_at] - p_costs[i];
          v_answers[i] := jsonb_build_array(true, v_left[v_at]);
        else
          v_answers[i] := jsonb_build_array(false, v_left[v_at]);
        end if;
      end loop;
      -- By a list of ids, not by a join: whatever is known of the table when this is planned, rows are found by their key.
      update public.customer_keys k set remaining = v_left[array_position(v_distinct, k.id)]
        where k.tenant_id = p_tenant and k.id = any (
          array(select s.id from unnest(v_distinct, v_before, v_left) s (id, had, left_over) where s.had is distinct from s.left_over));
      return to_jsonb(v_answers);
    end
  $$;
