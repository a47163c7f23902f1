-- How many conversations there are of a kind is kept, so that lists, counts and filter values take as long with a million
-- as with a thousand. A kind has a row for each of the server's processes that had to do with it, whose sum counts: no
-- two that run at the same time ever change the same row, so none waits for another.
create table public.conversation_kinds (
  status text not null,
  writer text not null,
  model text not null,
  template_version_id uuid,
  flags text[] not null,
  backend integer not null,
  number bigint not null,
  constraint conversation_kinds_key
    unique nulls not distinct (status, writer, model, template_version_id, flags, backend)
) with (fillfactor = 50, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 1000);
alter table public.conversation_kinds enable row level security;
alter table public.conversation_kinds force row level security;
revoke all on public.conversation_kinds from public, anon, authenticated;
grant select, insert, update, delete on public.conversation_kinds to service_role;
select private.open_table('conversation_kinds', 'viewer', null, null, null);

-- Whoever may change a conversation changes the counts with it, and nobody may change the counts alone.
create function private.count_kinds() returns trigger
language plpgsql security definer set search_path = '' as $$
begin
  if tg_op = 'TRUNCATE' then
    delete from public.conversation_kinds;
  elsif tg_op = 'INSERT' then
    insert into public.conversation_kinds as k (status, writer, model, template_version_id, flags, backend, number)
    select n.status, n.writer, n.model, n.template_version_id, n.flags, pg_backend_pid(), count(*)
    from new_rows n group by n.status, n.writer, n.model, n.template_version_id, n.flags
    order by 1, 2, 3, 4, 5
    on conflict on constraint conversation_kinds_key do update set number = k.number + excluded.number;
  elsif tg_op = 'DELETE' then
    insert into public.conversation_kinds as k (status, writer, model, template_version_id, flags, backend, number)
    select o.status, o.writer, o.model, o.template_version_id, o.flags, pg_backend_pid(), -count(*)
    from old_rows o group by o.status, o.writer, o.model, o.template_version_id, o.flags
    order by 1, 2, 3, 4, 5
    on conflict on constraint conversation_kinds_key do update set number = k.number + excluded.number;
  else
    insert into public.conversation_kinds as k (status, writer, model, template_version_id, flags, backend, number)
    select s.status, s.writer, s.model, s.template_version_id, s.flags, pg_backend_pid(), sum(s.step)
    from (
      select n.status, n.writer, n.model, n.template_version_id, n.flags, 1 as step from new_rows n
      union all
      select o.status, o.writer, o.model, o.template_version_id, o.flags, -1 from old_rows o
    ) s group by s.status, s.writer, s.model, s.template_version_id, s.flags having sum(s.step) <> 0
    order by 1, 2, 3, 4, 5
    on conflict on constraint conversation_kinds_key do update set number = k.number + excluded.number;
  end if;
  return null;
end $$;
revoke execute on function private.count_kinds() from public, anon, authenticated;

create trigger conversations_count_inserted after insert on public.conversations
referencing new table as new_rows for each statement execute function private.count_kinds();
create trigger conversations_count_changed after update on public.conversations
referencing old table as old_rows new table as new_rows for each statement execute function private.count_kinds();
create trigger conversations_count_deleted after delete on public.conversations
referencing old table as old_rows for each statement execute function private.count_kinds();
create trigger conversations_count_truncated after truncate on public.conversations
for each statement execute function private.count_kinds();

insert into public.conversation_kinds (status, writer, model, template_version_id, flags, backend, number)
select c.status, c.writer, c.model, c.template_version_id, c.flags, 0, count(*)
from public.conversations c group by 1, 2, 3, 4, 5;

-- What the processes have counted is added up when a job ends: those who have gone leave nothing behind.
create function private.fold_kinds() returns void
language sql security definer set search_path = '' as $$
  with taken as (
    delete from public.conversation_kinds where ctid = any (array(
      select ctid from public.conversation_kinds where backend <> 0 for update skip locked))
    returning *
  )
  insert into public.conversation_kinds as k (status, writer, model, template_version_id, flags, backend, number)
  select t.status, t.writer, t.model, t.template_version_id, t.flags, 0, sum(t.number)
  from taken t group by t.status, t.writer, t.model, t.template_version_id, t.flags having sum(t.number) <> 0
  order by 1, 2, 3, 4, 5
  on conflict on constraint conversation_kinds_key do update set number = k.number + excluded.number
$$;
revoke execute on function private.fold_kinds() from public, anon;
grant execute on function private.fold_kinds() to authenticated, service_role;

create or replace function public.finish_job(p_job uuid) returns boolean
language plpgsql set search_path = '' as $$
declare
  v_counts public.batch_counts;
begin
  select * into v_counts from public.batch_counts where job_id = p_job;
  if v_counts.queued > 0 or v_counts.processing > 0 then
    return false;
  end if;
  update public.batch_jobs set
    status = case when v_counts.completed > 0 then 'completed' else 'failed' end,
    pause_reason = null, completed_at = clock_timestamp()
  where id = p_job and status in ('queued', 'processing', 'paused');
  if not found then
    return false;
  end if;
  perform public.log_job(p_job, null, 'info', format('Batch job complete - %s successful, %s failed',
    v_counts.completed, v_counts.failed));
  perform private.fold_kinds();
  return true;
end $$;

-- Where to count what a filter names: what is kept says as much as the conversations where it names nothing else.
create function public.counted_in(p_filter jsonb) returns text
language sql immutable set search_path = '' as $$
  select case when exists (
      select from jsonb_each(p_filter) f
      where f.key not in ('status', 'writer', 'model', 'template_version_id', 'flag') and f.value <> 'null')
    then '(select x.*, 1 as number from public.conversations x) c' else 'public.conversation_kinds c' end
$$;

create or replace function public.count_conversations(p_filter jsonb) returns bigint
language plpgsql stable set search_path = '' as $$
declare
  v_count bigint;
begin
  execute format('select coalesce(sum(c.number), 0)::bigint from %s where %s', public.counted_in(p_filter),
    public.filter_condition(p_filter)) into v_count;
  return v_count;
end $$;

create or replace function public.count_conversation_statuses(p_filter jsonb) returns jsonb
language plpgsql stable set search_path = '' as $$
declare
  v_counts jsonb;
begin
  execute format('select coalesce(jsonb_object_agg(status, number), ''{}'') from (select c.status, '
    || 'sum(c.number)::bigint as number from %s where %s group by c.status having sum(c.number) > 0) s',
    public.counted_in(p_filter), public.filter_condition(p_filter)) into v_counts;
  return v_counts;
end $$;

create or replace function public.conversation_facets() returns jsonb
language sql stable set search_path = '' as $$
  with kinds as (
    select writer, model, template_version_id, flags from public.conversation_kinds
    group by writer, model, template_version_id, flags having sum(number) > 0
  )
  select jsonb_build_object(
    'models', (select coalesce(jsonb_agg(distinct model), '[]') from kinds),
    'writers', (select coalesce(jsonb_agg(distinct writer), '[]') from kinds),
    'flags', (select coalesce(jsonb_agg(distinct f), '[]') from kinds, unnest(flags) f),
    'templates', (
      select coalesce(jsonb_agg(jsonb_build_object('id', v.id, 'name', t.name, 'version', v.version)
        order by t.name, v.version), '[]')
      from public.template_versions v join public.templates t on t.id = v.template_id
      where v.id in (select template_version_id from kinds)))
$$;

revoke execute on function public.counted_in(jsonb) from public, anon;
grant execute on function public.counted_in(jsonb) to authenticated, service_role;
