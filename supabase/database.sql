-- Privileges on one database of the product. Run by a superuser in that database, after it was made with holdfast_owner as
-- its owner and before its first migration; again after cloning it, because a clone takes over no privileges on itself.

do $database$
begin
  execute format('revoke all on database %I from public', current_database());
  execute format('grant connect on database %I to app_server, app_operator', current_database());
end
$database$;

revoke all on schema public from public;
alter schema public owner to holdfast_owner;
