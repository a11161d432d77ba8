-- What a customer may write in its portal it writes by a permission like everybody else: a tenant that is read-only takes
-- permissions away, and with them went only what members and keys may write.

-- policies ------------------------------------------------------------------------------------------

alter policy upgrade_requests_insert on public.upgrade_requests
  with check ((select strpos((select current_setting('app.permissions', true)), ' customers:write ') > 0)
    or ((select strpos((select current_setting('app.permissions', true)), ' portal:write ') > 0)
      and customer_id = nullif((select current_setting('app.customer', true)), '')::uuid and status = 'open'));
alter policy upgrade_requests_update on public.upgrade_requests
  using ((select strpos((select current_setting('app.permissions', true)), ' customers:write ') > 0)
    or ((select strpos((select current_setting('app.permissions', true)), ' portal:write ') > 0)
      and customer_id = nullif((select current_setting('app.customer', true)), '')::uuid))
  with check ((select strpos((select current_setting('app.permissions', true)), ' customers:write ') > 0)
    or ((select strpos((select current_setting('app.permissions', true)), ' portal:write ') > 0)
      and customer_id = nullif((select current_setting('app.customer', true)), '')::uuid and status = 'withdrawn'));
