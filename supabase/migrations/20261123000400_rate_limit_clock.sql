-- A clock that is put back by more than the duration of a limit left its callers waiting until it was that late again: their windows lay
-- in the future. They begin anew now, as those in memory do.

create or replace function app.take_rate_limits(
  p_tenant uuid, p_epoch bigint, p_actor jsonb, p_namespaces text[], p_identifiers text[], p_durations bigint[],
  p_window integer[], p_call integer[], p_limits bigint[], p_costs bigint[]
) returns jsonb
  language plpgsql volatile set search_path = '' set plan_cache_mode = force_generic_plan set enable_seqscan = off
  set enable_hashjoin = off set enable_mergejoin = off
  as $$
    declare
      v_now bigint;
      v_row record;
      v_started bigint[] := '{}';
      v_used bigint[] := '{}';
      v_before bigint[] := '{}';
      v_changed boolean[] := array_fill(false, array[cardinality(p_namespaces)]);
      v_kept bigint[];
      v_answers jsonb[] := '{}';
      v_from integer := 1;
      v_to integer;
      v_fits boolean;
      v_passes boolean[] := '{}';
      v_estimate bigint;
      w integer;
    begin
      perform app.begin_tenant(p_tenant, p_epoch, p_actor);
      -- The caller sends windows sorted: locks are taken in one order by everybody.
      for i in 1 .. cardinality(p_namespaces) loop
        for attempt in 1 .. 2 loop
          select x.started_ms, x.used, x.used_before into v_row from public.rate_limit_windows x
            where x.tenant_id = p_tenant and x.namespace = p_namespaces[i] and x.identifier = p_identifiers[i] and x.duration_ms = p_durations[i]
            for update;
          exit when found;
          insert into public.rate_limit_windows (tenant_id, namespace, identifier, duration_ms, started_ms, used, used_before, stale_at)
            values (p_tenant, p_namespaces[i], p_identifiers[i], p_durations[i], 0, 0, 0, statement_timestamp() + interval '1 minute')
            on conflict (tenant_id, namespace, identifier, duration_ms) do nothing;
        end loop;
        v_started[i] := v_row.started_ms;
        v_used[i] := v_row.used;
        v_before[i] := v_row.used_before;
      end loop;
      v_now := floor(extract(epoch from clock_timestamp()) * 1000);
      for i in 1 .. cardinality(p_namespaces) loop
        -- Another process' clock is the same clock: this one. A cell that begins a whole duration later was begun before it was put back.
        if v_now >= v_started[i] + 2 * p_durations[i] or v_now < v_started[i] - p_durations[i] then
          v_started[i] := v_now;
          v_used[i] := 0;
          v_before[i] := 0;
        elsif v_now >= v_started[i] + p_durations[i] then
          v_started[i] := v_started[i] + p_durations[i];
          v_before[i] := v_used[i];
          v_used[i] := 0;
        end if;
      end loop;
      while v_from <= cardinality(p_call) loop
        v_to := v_from;
        while v_to < cardinality(p_call) and p_call[v_to + 1] = p_call[v_from] loop
          v_to := v_to + 1;
        end loop;
        v_kept := v_used;
        v_fits := true;
        for j in v_from .. v_to loop
          w := p_window[j];
          v_estimate := floor(v_before[w]::float8 * (p_durations[w] - (v_now - v_started[w])) / p_durations[w])::bigint + v_used[w];
          v_passes[j] := v_estimate + p_costs[j] <= p_limits[j];
          v_fits := v_fits and v_passes[j];
          v_used[w] := v_used[w] + p_costs[j];
        end loop;
        if not v_fits then
          v_used := v_kept;
        end if;
        for j in v_from .. v_to loop
          w := p_window[j];
          v_changed[w] := v_changed[w] or (v_fits and p_costs[j] > 0);
          v_answers[j] := jsonb_build_array(v_passes[j], v_started[w], v_used[w], v_before[w]);
        end loop;
        v_from := v_to + 1;
      end loop;
      update public.rate_limit_windows x
        set started_ms = s.started, used = s.used, used_before = s.before, stale_at = to_timestamp((s.started + 2 * s.duration) / 1000.0)
        from unnest(p_namespaces, p_identifiers, p_durations, v_started, v_used, v_before, v_changed) s (namespace, identifier, duration, started, used, before, changed)
        where s.changed and x.tenant_id = p_tenant and x.namespace = s.namespace and x.identifier = s.identifier and x.duration_ms = s.duration;
      return jsonb_build_object('now', v_now, 'limits', to_jsonb(v_answers));
    end
  $$;

revoke all on all functions in schema app from public;
