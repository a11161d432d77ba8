-- The record: one row for every change and every access that matters, written in the transaction it speaks of.

create table public.audit_logs (
  tenant_id uuid not null default app.tenant_id(),
  id uuid not null,
  created_at timestamptz not null,
  action text not null check (action ~ '^[a-z_]+\.[a-z_]+$'),
  outcome text not null check (outcome in ('success', 'denied', 'failure')),
  actor_kind text not null check (actor_kind in ('user', 'customer', 'api_key', 'operator', 'job', 'system')),
  actor_id text,
  on_behalf_of text,
  target_type text not null,
  target_id text,
  request_id text,
  details_hash bytea not null,
  primary key (tenant_id, id)
);
comment on table public.audit_logs is '@tenant Append-only record of what was done, by whom, to what. Ordered by id (UUIDv7).';
comment on column public.audit_logs.details_hash is 'SHA-256 of the row in audit_details, so that an erased detail is told from a changed one.';

create table public.audit_details (
  tenant_id uuid not null default app.tenant_id(),
  id uuid not null,
  actor_label text,
  ip inet,
  user_agent text,
  before jsonb,
  after jsonb,
  metadata jsonb not null default '{}',
  primary key (tenant_id, id)
);
comment on table public.audit_details is
  '@tenant The part of an audit row that may hold personal data, apart from it, so that erasure leaves the record whole. '
  'Only app.record_audit writes it, with its row of audit_logs; a foreign key would cost more than the row itself.';

create index audit_logs_action_idx on public.audit_logs (tenant_id, action, id);
create index audit_logs_actor_idx on public.audit_logs (tenant_id, actor_id, id);
create index audit_logs_target_idx on public.audit_logs (tenant_id, target_type, target_id, id);
create index audit_logs_created_idx on public.audit_logs (tenant_id, created_at, id);

create function app.record_audit(
  p_tenant uuid, p_action text, p_target_type text, p_target_id text, p_outcome text,
  p_before jsonb, p_after jsonb, p_metadata jsonb
) returns uuid
  language plpgsql volatile security definer set search_path = ''
  as $$
    declare
      v_actor jsonb := coalesce(app.actor(), '{"kind": "system"}');
      v_id uuid := app.uuid_v7();
      v_metadata jsonb := coalesce(p_metadata, '{}');
      v_label text := v_actor ->> 'label';
      v_ip inet := (v_actor ->> 'ip')::inet;
      v_agent text := left(v_actor ->> 'user_agent', 512);
    begin
      insert into public.audit_logs (tenant_id, id, created_at, action, outcome, actor_kind, actor_id, on_behalf_of,
          target_type, target_id, request_id, details_hash)
        values (p_tenant, v_id, clock_timestamp(), p_action, p_outcome, v_actor ->> 'kind', v_actor ->> 'id', v_actor ->> 'on_behalf_of',
          p_target_type, p_target_id, v_actor ->> 'request_id',
          sha256(convert_to(jsonb_build_array(v_label, v_ip, v_agent, p_before, p_after, v_metadata)::text, 'UTF8')));
      insert into public.audit_details (tenant_id, id, actor_label, ip, user_agent, before, after, metadata)
        values (p_tenant, v_id, v_label, v_ip, v_agent, p_before, p_after, v_metadata);
      return v_id;
    end
  $$;
comment on function app.record_audit(uuid, text, text, text, text, jsonb, jsonb, jsonb) is
  'Writes one audit row for a tenant with the actor of this transaction. Definer: nobody may insert into the record directly.';

create function app.log_audit(
  p_action text, p_target_type text, p_target_id text, p_outcome text, p_before jsonb, p_after jsonb, p_metadata jsonb
) returns uuid
  language plpgsql volatile security definer set search_path = ''
  as $$
    begin
      if app.tenant_id() is null then
        raise exception using errcode = '42501', message = 'an audit row needs a tenant';
      end if;
      return app.record_audit(app.tenant_id(), p_action, p_target_type, p_target_id, p_outcome, p_before, p_after, p_metadata);
    end
  $$;
comment on function app.log_audit(text, text, text, text, jsonb, jsonb, jsonb) is
  'What a trigger cannot see (sign-ins, denials, exports, reads): an audit row for the current tenant and actor. Definer: see record_audit.';

create function app.audit_row() returns trigger
  language plpgsql volatile security definer set search_path = ''
  as $$
    declare
      v_noun text := tg_argv[0];
      v_hidden text[] := coalesce(string_to_array(tg_argv[1], ','), '{}') || '{updated_at}'::text[];
      v_old jsonb := case when tg_op <> 'INSERT' then to_jsonb(old) - v_hidden end;
      v_new jsonb := case when tg_op <> 'DELETE' then to_jsonb(new) - v_hidden end;
      v_row jsonb := coalesce(v_new, v_old);
      v_verb text := case tg_op when 'INSERT' then 'created' when 'UPDATE' then 'updated' else 'deleted' end;
    begin
      if tg_op = 'UPDATE' then
        if v_old = v_new then
          return null;
        end if;
        v_verb := case
          when v_old ->> 'status' is distinct from v_new ->> 'status' then
            case when v_new ->> 'status' = 'active' and v_old ->> 'status' = 'deleted' then 'restored'
              when v_new ->> 'status' = 'active' then 'activated' else v_new ->> 'status' end
          when v_old ->> 'revoked_at' is null and v_new ->> 'revoked_at' is not null then 'revoked'
          when v_old ->> 'archived_at' is null and v_new ->> 'archived_at' is not null then 'archived'
          when v_old ->> 'archived_at' is not null and v_new ->> 'archived_at' is null then 'restored'
          else 'updated'
        end;
        select jsonb_object_agg(key, value) into v_old from jsonb_each(v_old) where value is distinct from v_new -> key;
        select jsonb_object_agg(n.key, n.value) into v_new from jsonb_each(v_new) n
          where n.value is distinct from (to_jsonb(old) -> n.key);
      end if;
      perform app.record_audit(
        coalesce(v_row ->> 'tenant_id', v_row ->> 'id')::uuid, v_noun || '.' || v_verb, v_noun,
        coalesce(v_row ->> 'id', v_row ->> 'user_id', v_row ->> 'tenant_id'), 'success', v_old, v_new, null);
      return null;
    end
  $$;
comment on function app.audit_row() is
  'After-row trigger: audit_row(noun, hidden columns) writes noun.created|updated|deleted, or the verb of a lifecycle column, with what changed. '
  'Definer: see record_audit.';

create function app.refuse_change() returns trigger
  language plpgsql volatile set search_path = ''
  as $$
    begin
      raise exception using errcode = '42501', message = format('%s is append-only', tg_table_name);
    end
  $$;
comment on function app.refuse_change() is 'Guard of append-only tables: nobody changes, deletes or truncates, the owner included.';

create trigger audit_logs_append_only before update or delete on public.audit_logs for each row execute function app.refuse_change();
create trigger audit_logs_no_truncate before truncate on public.audit_logs for each statement execute function app.refuse_change();
alter table public.audit_logs enable always trigger audit_logs_append_only;
alter table public.audit_logs enable always trigger audit_logs_no_truncate;
comment on trigger audit_logs_append_only on public.audit_logs is '@move-safe @append-only';
comment on trigger audit_logs_no_truncate on public.audit_logs is '@move-safe @append-only';
create trigger audit_details_append_only before update on public.audit_details for each row execute function app.refuse_change();
create trigger audit_details_no_truncate before truncate on public.audit_details for each statement execute function app.refuse_change();
alter table public.audit_details enable always trigger audit_details_append_only;
alter table public.audit_details enable always trigger audit_details_no_truncate;
comment on trigger audit_details_append_only on public.audit_details is '@move-safe @append-only';
comment on trigger audit_details_no_truncate on public.audit_details is '@move-safe @append-only';

alter table public.audit_logs enable row level security;
alter table public.audit_logs force row level security;
alter table public.audit_details enable row level security;
alter table public.audit_details force row level security;
grant select on public.audit_logs, public.audit_details to app_tenant;
grant insert on public.audit_logs, public.audit_details to app_kernel;
create policy audit_logs_isolation on public.audit_logs as restrictive for all to app_tenant
  using (tenant_id = (select app.tenant_id())) with check (tenant_id = (select app.tenant_id()));
create policy audit_logs_select on public.audit_logs for select to app_tenant using ((select app.can('audit-logs:read')));
create policy audit_logs_kernel on public.audit_logs for insert to app_kernel with check (true);
create policy audit_details_isolation on public.audit_details as restrictive for all to app_tenant
  using (tenant_id = (select app.tenant_id())) with check (tenant_id = (select app.tenant_id()));
create policy audit_details_select on public.audit_details for select to app_tenant using ((select app.can('audit-logs:read')));
create policy audit_details_kernel on public.audit_details for insert to app_kernel with check (true);

revoke all on all functions in schema app from public;
grant execute on function app.log_audit(text, text, text, text, jsonb, jsonb, jsonb) to app_tenant;
grant execute on function app.record_audit(uuid, text, text, text, text, jsonb, jsonb, jsonb) to app_kernel;
alter function app.record_audit(uuid, text, text, text, text, jsonb, jsonb, jsonb) owner to app_kernel;
alter function app.log_audit(text, text, text, text, jsonb, jsonb, jsonb) owner to app_kernel;
alter function app.audit_row() owner to app_kernel;
