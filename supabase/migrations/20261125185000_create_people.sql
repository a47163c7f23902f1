-- Who may do what, decided by the database for whoever it knows by name. The server's own role (the step, the
-- shell) passes all of it; a person's statement runs as `authenticated` with claims of Bright Run's own making.

create schema if not exists private; -- not exposed by PostgREST
grant usage on schema private to authenticated, service_role;

create table public.role_changes (
  id uuid primary key default gen_random_uuid(),
  email text not null,
  before text,
  after text,
  changed_by text not null,
  changed_at timestamptz not null default clock_timestamp()
);
create trigger role_changes_append_only before update or delete on public.role_changes
for each row execute function public.refuse_change();
alter table public.role_changes enable row level security;
alter table public.role_changes force row level security;
revoke all on public.role_changes from public, anon, authenticated;
grant select, insert on public.role_changes to service_role;

create index app_roles_user_idx on public.app_roles (user_id);
alter table public.app_users add constraint app_users_email check (email = lower(btrim(email)) and email like '%_@_%');

-- A token that anybody can get from a project by signing up has no such claim, whatever address it names.
create function private.acting_person() returns text language sql stable set search_path = '' as $$
  select case when auth.jwt() ->> 'made_by' = 'brightrun' then lower(auth.jwt() ->> 'email') end
$$;

create function private.rank(p_role text) returns integer language sql immutable set search_path = '' as $$
  select coalesce(array_position(array['viewer', 'reviewer', 'author', 'admin'], p_role), 0)
$$;

create function private.acting_role() returns text language sql stable security definer set search_path = '' as $$
  select r.role from public.app_users u join public.app_roles r on r.user_id = u.id
  where u.email = private.acting_person() and u.is_active order by private.rank(r.role) desc limit 1
$$;

-- Raises instead of hiding: a check that is missing in the app is heard of, not seen as an empty list.
create function private.require_role(p_lowest text, p_deed text) returns boolean
language plpgsql stable set search_path = '' as $$
declare
  v_role text := private.acting_role();
begin
  if private.rank(v_role) >= private.rank(p_lowest) then
    return true;
  end if;
  raise exception using errcode = '42501',
    message = format('%s may not %s.', coalesce(initcap(v_role), 'Somebody who is not on the list of people'), p_deed),
    hint = format('It takes the role %s; an admin gives it.', p_lowest);
end $$;

-- Names the lowest role for each operation on a table; none is given where it is null. Every table is opened
-- once, by the migration that makes it. In `p_person` an insert or update may name the acting person alone.
create function private.open_table(p_table text, p_select text, p_insert text, p_update text, p_delete text,
  p_person text default null) returns void
language plpgsql set search_path = '' as $$
declare
  v_own text := case when p_person is not null then format(' and %I = (select private.acting_person())', p_person)
    else '' end;
  v_operation text;
  v_lowest text;
  v_check text;
begin
  execute format('revoke all on public.%I from public, anon, authenticated', p_table);
  foreach v_operation in array array['select', 'insert', 'update', 'delete'] loop
    execute format('drop policy if exists %I on public.%I', 'people_' || v_operation, p_table);
    v_lowest := case v_operation when 'select' then p_select when 'insert' then p_insert
      when 'update' then p_update else p_delete end;
    continue when v_lowest is null;
    v_check := format('(select private.require_role(%L, %L))', v_lowest, format('%s %s', v_operation, p_table));
    execute format('grant %s on public.%I to authenticated', v_operation, p_table);
    execute format('create policy %I on public.%I for %s to authenticated ', 'people_' || v_operation, p_table,
      v_operation) || case v_operation
        when 'insert' then format('with check (%s%s)', v_check, v_own)
        when 'update' then format('using (%s) with check (%s%s)', v_check, v_check, v_own)
        else format('using (%s)', v_check) end;
  end loop;
end $$;

-- What people may call runs with their own rights; the rest belongs to the step and to the server alone.
create function private.open_functions(p_but text[]) returns void language plpgsql set search_path = '' as $$
declare
  v_function record;
begin
  for v_function in select p.oid::regprocedure as named, p.proname from pg_catalog.pg_proc p
    where p.pronamespace = 'public'::regnamespace and p.prokind = 'f'
      and p.prorettype <> 'trigger'::regtype loop
    if v_function.proname = any (p_but) then
      execute format('revoke execute on function %s from public, anon, authenticated', v_function.named);
    else
      execute format('grant execute on function %s to authenticated', v_function.named);
    end if;
  end loop;
end $$;

create function public.set_person(p_email text, p_name text, p_role text, p_actor text) returns text
language plpgsql set search_path = '' as $$
declare
  v_id uuid;
  v_before text;
begin
  lock table public.app_roles in share row exclusive mode;
  select u.id, r.role into v_id, v_before from public.app_users u
  left join public.app_roles r on r.user_id = u.id where u.email = p_email;
  if v_before = 'admin' and p_role is distinct from 'admin' and not exists (
    select from public.app_roles r join public.app_users u on u.id = r.user_id
    where r.role = 'admin' and u.is_active and u.email <> p_email) then
    return 'last_admin';
  end if;
  if v_id is null and p_role is null then
    return 'missing';
  end if;
  insert into public.app_users (email, display_name, is_active) values (p_email, p_name, p_role is not null)
  on conflict (email) do update set is_active = excluded.is_active,
    display_name = case when excluded.display_name = '' then app_users.display_name else excluded.display_name end
  returning id into v_id;
  delete from public.app_roles where user_id = v_id;
  if p_role is not null then
    insert into public.app_roles (user_id, role, granted_by) values (v_id, p_role, p_actor);
  end if;
  if v_before is distinct from p_role then
    insert into public.role_changes (email, before, after, changed_by) values (p_email, v_before, p_role, p_actor);
  end if;
  return 'ok';
end $$;

create view public.people with (security_invoker = true) as
select u.email, u.display_name, r.role, r.granted_by, r.granted_at, u.created_at
from public.app_users u join public.app_roles r on r.user_id = u.id where u.is_active;

do $$
declare
  v_view text;
  v_row text[];
  v_rows text[][] := array[
    -- table, select, insert, update, delete, the column that names who acts
    ['app_users', 'admin', 'admin', 'admin', null, null],
    ['app_roles', 'admin', 'admin', null, 'admin', 'granted_by'],
    ['role_changes', 'admin', 'admin', null, null, 'changed_by'],
    ['personas', 'viewer', 'author', 'author', 'author', null],
    ['emotional_arcs', 'viewer', 'author', 'author', 'author', null],
    ['training_topics', 'viewer', 'author', 'author', 'author', null],
    ['templates', 'viewer', 'author', 'author', null, null],
    ['template_versions', 'viewer', 'author', null, null, 'created_by'],
    ['prices', 'viewer', 'admin', 'admin', 'admin', null],
    ['price_changes', 'viewer', 'admin', null, null, null],
    ['batch_jobs', 'viewer', 'author', 'author', null, null],
    ['batch_items', 'viewer', 'author', 'author', null, null],
    ['batch_counts', 'viewer', 'author', 'author', null, null],
    ['batch_errors', 'viewer', 'author', 'author', null, null],
    ['batch_progress', 'viewer', 'author', 'author', null, null],
    ['job_estimates', 'viewer', 'author', null, null, null],
    ['job_log', 'viewer', 'author', null, null, null],
    ['attempts', 'viewer', 'author', 'author', null, null],
    ['imports', 'viewer', 'author', 'author', null, null],
    ['import_lines', 'viewer', 'author', 'author', null, null],
    ['conversations', 'viewer', 'author', 'reviewer', null, null],
    ['conversation_versions', 'viewer', 'reviewer', null, null, null],
    ['conversation_texts', 'viewer', 'author', 'author', null, null],
    ['conversation_texts_due', 'viewer', 'reviewer', 'reviewer', 'author', null],
    ['corrections', 'viewer', 'reviewer', null, null, 'corrector'],
    ['reviews', 'viewer', 'reviewer', null, null, 'reviewer'],
    ['reject_reasons', 'viewer', 'admin', 'admin', 'admin', null],
    ['saved_views', 'viewer', 'reviewer', 'reviewer', 'reviewer', 'saved_by'],
    ['list_columns', 'viewer', 'viewer', 'viewer', null, 'person'],
    ['datasets', 'viewer', 'author', 'author', 'author', null],
    ['dataset_rows', 'viewer', 'author', null, null, null],
    ['split_anchors', 'viewer', 'author', null, null, null],
    ['verdicts', 'viewer', null, null, null, null]]; -- rate_limits is the step's alone
begin
  foreach v_row slice 1 in array v_rows loop
    perform private.open_table(v_row[1], v_row[2], v_row[3], v_row[4], v_row[5], v_row[6]);
  end loop;
  for v_view in select viewname from pg_catalog.pg_views where schemaname = 'public' loop
    execute format('revoke all on public.%I from public, anon, authenticated', v_view);
    execute format('grant select on public.%I to authenticated, service_role', v_view);
  end loop;
end $$;
revoke execute on function public.set_person(text, text, text, text) from public, anon, authenticated;
grant execute on function public.set_person(text, text, text, text) to service_role;
select private.open_functions(array['claim_item', 'record_attempt', 'settle_item', 'complete_item', 'add_money',
  'pause_after_failures', 'reclaim_items', 'take_turn',
  'record_verdict', 'describe_project']);

revoke execute on all functions in schema private from public, anon, authenticated;
grant execute on function private.acting_person(), private.acting_role(), private.rank(text),
  private.require_role(text, text) to authenticated, service_role;
