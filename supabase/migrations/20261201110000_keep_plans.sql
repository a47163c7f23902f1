-- What was planned is kept as what was decided is, so that coverage opens as fast over a million items as over a thousand.

-- How many items that are not cancelled there are of each writer and scenario: the sum of `number`. A change adds rows;
-- when a job ends they are folded into one row a kind. What a step changes of its item changes none of this.
create table public.plan_kinds (
  writer text not null,
  persona_key text,
  arc_key text,
  topic_key text,
  number bigint not null,
  is_folded boolean not null default false
) with (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 1000);
create unique index plan_kinds_key on public.plan_kinds (writer, persona_key, arc_key, topic_key)
  nulls not distinct where is_folded;
alter table public.plan_kinds enable row level security;
alter table public.plan_kinds force row level security;
grant select, insert, update, delete on public.plan_kinds to service_role;
select private.open_table('plan_kinds', 'viewer', null, null, null);

-- Whoever may change an item changes the figures with it, and nobody may change the figures alone. A job that is deleted
-- takes its items along after it has gone, which is why it says so before.
create function private.count_plans() returns trigger
language plpgsql security definer set search_path = '' as $$
begin
  if tg_op = 'TRUNCATE' then
    delete from public.plan_kinds;
  elsif tg_op = 'INSERT' then
    insert into public.plan_kinds
    select j.writer, n.parameters ->> 'persona_key', n.parameters ->> 'arc_key', n.parameters ->> 'topic_key', count(*)
    from new_rows n join public.batch_jobs j on j.id = n.job_id
    where j.kind = 'write' and n.status <> 'cancelled' group by 1, 2, 3, 4;
  elsif tg_op = 'DELETE' then
    insert into public.plan_kinds
    select j.writer, o.parameters ->> 'persona_key', o.parameters ->> 'arc_key', o.parameters ->> 'topic_key', -count(*)
    from old_rows o join public.batch_jobs j on j.id = o.job_id
    where j.kind = 'write' and o.status <> 'cancelled' group by 1, 2, 3, 4;
  end if;
  return null;
end $$;

create function private.count_changed_plan() returns trigger
language plpgsql security definer set search_path = '' as $$
begin
  insert into public.plan_kinds
  select j.writer, s.parameters ->> 'persona_key', s.parameters ->> 'arc_key', s.parameters ->> 'topic_key', s.step
  from (values (old.parameters, old.status, -1), (new.parameters, new.status, 1)) s (parameters, status, step)
  join public.batch_jobs j on j.id = new.job_id
  where j.kind = 'write' and s.status <> 'cancelled';
  return null;
end $$;

create function private.uncount_plans() returns trigger
language plpgsql security definer set search_path = '' as $$
begin
  if old.kind = 'write' then
    insert into public.plan_kinds
    select old.writer, i.parameters ->> 'persona_key', i.parameters ->> 'arc_key', i.parameters ->> 'topic_key', -count(*)
    from public.batch_items i where i.job_id = old.id and i.status <> 'cancelled' group by 1, 2, 3, 4;
  end if;
  return old;
end $$;
revoke execute on function private.count_plans(), private.count_changed_plan(), private.uncount_plans()
  from public, anon, authenticated;

create trigger batch_items_plans_inserted after insert on public.batch_items
referencing new table as new_rows for each statement execute function private.count_plans();
create trigger batch_items_plans_changed after update of parameters, status on public.batch_items
for each row when (old.parameters is distinct from new.parameters
  or (old.status = 'cancelled') <> (new.status = 'cancelled'))
execute function private.count_changed_plan();
create trigger batch_items_plans_deleted after delete on public.batch_items
referencing old table as old_rows for each statement execute function private.count_plans();
create trigger batch_items_plans_truncated after truncate on public.batch_items
for each statement execute function private.count_plans();
create trigger batch_jobs_plans_deleted before delete on public.batch_jobs
for each row execute function private.uncount_plans();

insert into public.plan_kinds
select j.writer, i.parameters ->> 'persona_key', i.parameters ->> 'arc_key', i.parameters ->> 'topic_key', count(*), true
from public.batch_items i join public.batch_jobs j on j.id = i.job_id
where j.kind = 'write' and i.status <> 'cancelled' group by 1, 2, 3, 4;

-- As before, and the figures of plans with it.
create or replace function private.fold_kinds() returns void
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
  on conflict on constraint conversation_kinds_key do update set number = k.number + excluded.number;

  with taken as (
    delete from public.decision_kinds where ctid = any (array(
      select ctid from public.decision_kinds where not is_folded for update skip locked))
    returning *
  )
  insert into public.decision_kinds as k
  select t.template_version_id, t.persona_key, t.arc_key, t.topic_key, t.model, t.writer, t.status, t.given,
    sum(t.number), true
  from taken t group by 1, 2, 3, 4, 5, 6, 7, 8 having sum(t.number) <> 0
  order by 1, 2, 3, 4, 5, 6, 7, 8
  on conflict (template_version_id, persona_key, arc_key, topic_key, model, writer, status, given)
    where is_folded do update set number = k.number + excluded.number;

  with taken as (
    delete from public.plan_kinds where ctid = any (array(
      select ctid from public.plan_kinds where not is_folded for update skip locked))
    returning *
  )
  insert into public.plan_kinds as k
  select t.writer, t.persona_key, t.arc_key, t.topic_key, sum(t.number), true
  from taken t group by 1, 2, 3, 4 having sum(t.number) <> 0
  order by 1, 2, 3, 4
  on conflict (writer, persona_key, arc_key, topic_key)
    where is_folded do update set number = k.number + excluded.number;
$$;

-- How many items of a scope were planned and not cancelled, by scenario; from what is kept where it names neither a job
-- nor days.
create function public.count_plans(p_scope jsonb) returns table (persona_key text, arc_key text, topic_key text,
  number bigint)
language plpgsql stable set search_path = '' set work_mem = '32MB' as $$
begin
  if coalesce(p_scope ->> 'job_id', p_scope ->> 'since', p_scope ->> 'until') is null then
    return query select k.persona_key, k.arc_key, k.topic_key, sum(k.number)::bigint
    from public.plan_kinds k where p_scope ->> 'writer' is null or k.writer = p_scope ->> 'writer'
    group by 1, 2, 3 having sum(k.number) <> 0;
  else
    return query select i.persona_key, i.arc_key, i.topic_key, count(*)
    from public.insight_items(p_scope) i where i.status <> 'cancelled' group by 1, 2, 3;
  end if;
end $$;

-- As before, from what count_plans and count_decisions say.
create or replace function public.insight_coverage(p_scope jsonb) returns jsonb
language sql stable set search_path = '' set work_mem = '32MB' as $$
  with cells as (
    select persona_key, arc_key, topic_key, sum(planned)::bigint as planned, sum(written)::bigint as written,
      sum(approved)::bigint as approved
    from (
      select persona_key, arc_key, topic_key, number as planned, 0 as written, 0 as approved
      from public.count_plans(p_scope)
      union all
      select persona_key, arc_key, topic_key, 0, number, case when status = 'approved' then number else 0 end
      from public.count_decisions(p_scope)
    ) s group by 1, 2, 3
  ), kept as (
    select * from cells order by planned + written desc, persona_key, arc_key, topic_key limit 5000
  )
  select jsonb_build_object(
    'cells', (select coalesce(jsonb_agg(to_jsonb(k)), '[]') from kept k),
    'left_out', greatest((select count(*) from cells) - 5000, 0))
$$;

revoke execute on function public.count_plans(jsonb) from public, anon;
grant execute on function public.count_plans(jsonb) to authenticated, service_role;
