-- What insight and templates say about everything is kept, so that these pages too open as fast over a million
-- conversations as over a thousand. No step waits for it: a change only puts a row at the end of a table.

-- How many conversations there are of each template version, scenario, model, writer and decision: the sum of `number`.
-- A change adds rows; when a job ends they are folded into one row a kind.
create table public.decision_kinds (
  template_version_id uuid,
  persona_key text,
  arc_key text,
  topic_key text,
  model text not null,
  writer text not null,
  status text not null,
  given text, -- why it was rejected
  number bigint not null,
  is_folded boolean not null default false
) with (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 1000);
create unique index decision_kinds_key on public.decision_kinds (template_version_id, persona_key, arc_key,
  topic_key, model, writer, status, given) nulls not distinct where is_folded;
alter table public.decision_kinds enable row level security;
alter table public.decision_kinds force row level security;
grant select, insert, update, delete on public.decision_kinds to service_role;
select private.open_table('decision_kinds', 'viewer', null, null, null);

-- What each job comes to by template version, as it was when its counters and its decisions last changed before it was
-- added up: `counters` is the transaction that had changed the counters. No table refers to another here: what is kept of
-- jobs holds nothing of theirs back, and goes when others are added up.
create table private.job_totals (
  job_id uuid not null,
  template_version_id uuid,
  items bigint not null,
  called bigint not null, -- items for which a call was made
  completed bigint not null,
  written bigint not null,
  approved bigint not null,
  rejected bigint not null,
  decided bigint not null,
  calls bigint not null,
  unknown_calls bigint not null,
  spent_usd numeric not null,
  possible_usd numeric not null,
  counters xid not null
);
create index job_totals_job_idx on private.job_totals (job_id);
-- Jobs whose conversations were decided on since. Rows are only added, so that no decision waits for another.
create table private.job_changes (job_id uuid not null);
revoke all on private.job_totals, private.job_changes from public, anon, authenticated;
-- Which job came to what says nothing by itself: the jobs it is joined with are guarded as ever.
grant select on private.job_totals, private.job_changes to authenticated, service_role;

-- Whoever may change a conversation changes the figures with it, and nobody may change the figures alone.
create function private.count_decisions() returns trigger
language plpgsql security definer set search_path = '' as $$
begin
  if tg_op = 'TRUNCATE' then
    delete from public.decision_kinds;
    delete from private.job_totals;
  elsif tg_op = 'INSERT' then
    insert into public.decision_kinds
    select n.template_version_id, n.persona_key, n.arc_key, n.topic_key, n.model, n.writer, n.status,
      case when n.status = 'rejected' then left(n.review_reason, 120) end, 1 from new_rows n;
  elsif tg_op = 'DELETE' then
    insert into public.decision_kinds
    select o.template_version_id, o.persona_key, o.arc_key, o.topic_key, o.model, o.writer, o.status,
      case when o.status = 'rejected' then left(o.review_reason, 120) end, -1 from old_rows o;
    insert into private.job_changes select distinct o.job_id from old_rows o where o.job_id is not null;
  else
    insert into public.decision_kinds
    select s.template_version_id, s.persona_key, s.arc_key, s.topic_key, s.model, s.writer, s.status, s.given,
      sum(s.step)
    from (
      select n.template_version_id, n.persona_key, n.arc_key, n.topic_key, n.model, n.writer, n.status,
        case when n.status = 'rejected' then left(n.review_reason, 120) end as given, 1 as step from new_rows n
      union all
      select o.template_version_id, o.persona_key, o.arc_key, o.topic_key, o.model, o.writer, o.status,
        case when o.status = 'rejected' then left(o.review_reason, 120) end, -1 from old_rows o
    ) s group by 1, 2, 3, 4, 5, 6, 7, 8 having sum(s.step) <> 0;
    insert into private.job_changes
    select distinct n.job_id from new_rows n join old_rows o on o.id = n.id
    where n.job_id is not null and n.status <> o.status;
  end if;
  return null;
end $$;

create trigger conversations_decisions_inserted after insert on public.conversations
referencing new table as new_rows for each statement execute function private.count_decisions();
create trigger conversations_decisions_changed after update on public.conversations
referencing old table as old_rows new table as new_rows for each statement execute function private.count_decisions();
create trigger conversations_decisions_deleted after delete on public.conversations
referencing old table as old_rows for each statement execute function private.count_decisions();
create trigger conversations_decisions_truncated after truncate on public.conversations
for each statement execute function private.count_decisions();

insert into public.decision_kinds
select c.template_version_id, c.persona_key, c.arc_key, c.topic_key, c.model, c.writer, c.status,
  case when c.status = 'rejected' then left(c.review_reason, 120) end, count(*), true
from public.conversations c group by 1, 2, 3, 4, 5, 6, 7, 8;

-- As before, and the figures of decisions with it.
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
$$;

-- How many conversations a scope means, by everything that decisions are told apart by; from the figures that are
-- kept where it names neither a job nor days.
create function public.count_decisions(p_scope jsonb) returns table (template_version_id uuid, persona_key text,
  arc_key text, topic_key text, model text, writer text, status text, given text, number bigint)
language plpgsql stable set search_path = '' set work_mem = '32MB' set plan_cache_mode = force_custom_plan as $$
declare
  v_job uuid := (p_scope ->> 'job_id')::uuid;
  v_writer text := p_scope ->> 'writer';
  v_since timestamptz := (p_scope ->> 'since')::date::timestamp at time zone 'UTC';
  v_until timestamptz := ((p_scope ->> 'until')::date + 1)::timestamp at time zone 'UTC';
begin
  if coalesce(v_job::text, v_since::text, v_until::text) is null then
    return query select k.template_version_id, k.persona_key, k.arc_key, k.topic_key, k.model, k.writer, k.status,
      k.given, sum(k.number)::bigint
    from public.decision_kinds k where v_writer is null or k.writer = v_writer
    group by 1, 2, 3, 4, 5, 6, 7, 8 having sum(k.number) <> 0;
  else
    return query select c.template_version_id, c.persona_key, c.arc_key, c.topic_key, c.model, c.writer, c.status,
      case when c.status = 'rejected' then left(c.review_reason, 120) end, count(*)
    from public.conversations c
    where (v_job is null or c.job_id = v_job) and (v_writer is null or c.writer = v_writer)
      and (v_since is null or c.created_at >= v_since) and (v_until is null or c.created_at < v_until)
    group by 1, 2, 3, 4, 5, 6, 7, 8;
  end if;
end $$;

-- As before, from what count_decisions says.
create or replace function public.insight_decisions(p_scope jsonb) returns jsonb
language sql stable set search_path = '' set work_mem = '32MB' as $$
  with scoped as materialized (
    select * from public.count_decisions(p_scope)
  ), tallies as (
    select case when grouping(template_version_id) = 0 then 'template' when grouping(persona_key) = 0
        then 'persona' when grouping(arc_key) = 0 then 'arc' when grouping(topic_key) = 0 then 'topic'
        when grouping(model) = 0 then 'model' when grouping(writer) = 0 then 'writer' else 'all' end as dimension,
      coalesce(template_version_id::text, persona_key, arc_key, topic_key, model, writer) as value,
      coalesce(sum(number), 0)::bigint as written,
      coalesce(sum(number) filter (where status = 'approved'), 0)::bigint as approved,
      coalesce(sum(number) filter (where status = 'rejected'), 0)::bigint as rejected,
      coalesce(sum(number) filter (where status = 'needs_revision'), 0)::bigint as revision
    from scoped
    group by grouping sets ((template_version_id), (persona_key), (arc_key), (topic_key), (model), (writer), ())
  ), ranked as (
    select *, row_number() over (partition by dimension
      order by approved + rejected + revision desc, written desc, value) as place
    from tallies
  ), rejections as (
    select * from scoped where status = 'rejected'
  ), named as (
    select given from rejections where given is not null group by given order by sum(number) desc, given limit 12
  ), reasoned as (
    select r.template_version_id, r.persona_key, r.arc_key, r.topic_key, r.model, r.writer, r.number,
      case when r.given is null then '' else coalesce(n.given, 'Other words') end as reason
    from rejections r left join named n on n.given = r.given
  ), reasons as (
    select case when grouping(template_version_id) = 0 then 'template' when grouping(persona_key) = 0
        then 'persona' when grouping(arc_key) = 0 then 'arc' when grouping(topic_key) = 0 then 'topic'
        when grouping(model) = 0 then 'model' when grouping(writer) = 0 then 'writer' else 'all' end as dimension,
      coalesce(template_version_id::text, persona_key, arc_key, topic_key, model, writer) as value,
      reason, sum(number)::bigint as times
    from reasoned
    group by grouping sets ((reason, template_version_id), (reason, persona_key), (reason, arc_key),
      (reason, topic_key), (reason, model), (reason, writer), (reason))
  ), pairs as (
    select case when grouping(topic_key) = 1 then 'persona' when grouping(arc_key) = 1 then 'persona'
        else 'arc' end as first,
      case when grouping(topic_key) = 1 then 'arc' else 'topic' end as second,
      case when grouping(persona_key) = 1 then arc_key else persona_key end as first_value,
      case when grouping(topic_key) = 1 then arc_key else topic_key end as second_value,
      sum(number)::bigint as decided,
      coalesce(sum(number) filter (where status = 'rejected'), 0)::bigint as rejected
    from scoped where status in ('approved', 'rejected', 'needs_revision')
    group by grouping sets ((persona_key, arc_key), (persona_key, topic_key), (arc_key, topic_key))
    having sum(number) >= 10
  ), kept as (
    select * from pairs where first_value is not null and second_value is not null
    order by decided desc, first, second, first_value, second_value limit 1000
  )
  select jsonb_build_object(
    'groups', (
      select coalesce(jsonb_agg(jsonb_build_object('dimension', r.dimension, 'value', r.value,
        'label', public.insight_label(r.dimension, r.value), 'written', r.written, 'approved', r.approved,
        'rejected', r.rejected, 'revision', r.revision, 'reasons', (
          select coalesce(jsonb_object_agg(x.reason, x.times), '{}') from reasons x
          where x.dimension = r.dimension and x.value is not distinct from r.value)
        ) order by r.dimension, r.place), '[]')
      from ranked r where r.place <= 50),
    'left_out', (
      select coalesce(jsonb_object_agg(dimension, many), '{}')
      from (select dimension, count(*) as many from ranked where place > 50 group by dimension) l),
    'pairs', (
      select coalesce(jsonb_agg(to_jsonb(k) || jsonb_build_object(
        'first_label', public.insight_label(k.first, k.first_value),
        'second_label', public.insight_label(k.second, k.second_value))
        order by k.decided desc, k.first, k.second, k.first_value, k.second_value), '[]') from kept k))
$$;

-- What jobs come to by template version, counted now.
create function public.count_jobs(p_jobs uuid[]) returns table (job_id uuid, template_version_id uuid, items bigint,
  called bigint, completed bigint, written bigint, approved bigint, rejected bigint, decided bigint, calls bigint,
  unknown_calls bigint, spent_usd numeric, possible_usd numeric)
language sql stable set search_path = '' set work_mem = '32MB' as $$
  with found as (
    select i.job_id, i.template_version_id, count(*) as items, count(*) filter (where exists (
        select from public.attempts a where a.item_id = i.id and a.outcome <> 'skipped')) as called,
      count(*) filter (where i.status = 'completed') as completed, count(c.id) as written,
      count(*) filter (where c.status = 'approved') as approved,
      count(*) filter (where c.status = 'rejected') as rejected,
      count(*) filter (where c.status in ('approved', 'rejected', 'needs_revision')) as decided
    from public.batch_items i left join public.conversations c on c.id = i.conversation_id
    where i.job_id = any (p_jobs) group by 1, 2
  ), summed as (
    select i.job_id, i.template_version_id, count(*) as calls,
      count(*) filter (where a.outcome = 'unknown') as unknown_calls, sum(a.cost_usd) as spent_usd,
      sum(a.possible_usd) as possible_usd
    from public.attempts a join public.batch_items i on i.id = a.item_id
    where a.job_id = any (p_jobs) and i.job_id = any (p_jobs) and a.outcome <> 'skipped' group by 1, 2
  )
  select f.*, coalesce(s.calls, 0), coalesce(s.unknown_calls, 0), coalesce(s.spent_usd, 0),
    coalesce(s.possible_usd, 0)
  from found f left join summed s
    on s.job_id = f.job_id and s.template_version_id is not distinct from f.template_version_id
$$;

-- Jobs whose totals are kept and nothing has changed since.
create function private.kept_jobs() returns setof uuid
language sql stable set search_path = '' as $$
  select distinct t.job_id from private.job_totals t
  join public.batch_counts c on c.job_id = t.job_id and c.xmin = t.counters
  where not exists (select from private.job_changes x where x.job_id = t.job_id)
$$;

-- Adds up the jobs that have ended and are not kept, a thousand at a time; where another does so, or nothing may be
-- written, nothing happens. One at a time, each looking after the one before has ended: what was counted last stays.
create function private.keep_totals() returns void
language plpgsql security definer set search_path = '' as $$
declare
  v_jobs uuid[];
begin
  if current_setting('transaction_read_only')::boolean
    or current_setting('transaction_isolation') <> 'read committed'
    or not pg_try_advisory_xact_lock(hashtext('private.job_totals')) then
    return;
  end if;
  v_jobs := array(
    select j.id from public.batch_jobs j
    where j.status in ('completed', 'failed', 'cancelled') and j.id not in (select private.kept_jobs())
    order by j.created_at limit 1000);
  if v_jobs = '{}' then
    return;
  end if;
  delete from private.job_totals t
  where t.job_id = any (v_jobs) or not exists (select from public.batch_jobs j where j.id = t.job_id);
  -- In one statement, so that a change is either counted here or still noted afterwards.
  with noted as (
    delete from private.job_changes x
    where x.job_id = any (v_jobs) or not exists (select from public.batch_jobs j where j.id = x.job_id)
  )
  insert into private.job_totals
  select n.*, c.xmin from public.count_jobs(v_jobs) n join public.batch_counts c on c.job_id = n.job_id;
end $$;

-- Here nothing bounds the time it takes, however much there is.
do $$ begin
  for v_thousand in 0..(select count(*) / 1000 from public.batch_jobs) loop
    perform private.keep_totals();
  end loop;
end $$;

-- What every job comes to by template version: as it is kept, and counted where it is not.
create function public.total_jobs() returns table (job_id uuid, template_version_id uuid, items bigint,
  called bigint, completed bigint, written bigint, approved bigint, rejected bigint, decided bigint, calls bigint,
  unknown_calls bigint, spent_usd numeric, possible_usd numeric)
language plpgsql set search_path = '' as $$
begin
  perform private.keep_totals();
  return query with kept as materialized (
    select k.id from private.kept_jobs() k (id)
  )
  select t.job_id, t.template_version_id, t.items, t.called, t.completed, t.written, t.approved, t.rejected, t.decided,
    t.calls, t.unknown_calls, t.spent_usd, t.possible_usd
  from private.job_totals t join kept k on k.id = t.job_id
  union all
  select n.* from public.count_jobs(array(
    select j.id from public.batch_jobs j where j.id not in (select k.id from kept k))) n;
end $$;

-- The ledger of a scope by template version, model and writer; from what jobs come to where it names no days.
create function public.scoped_ledger(p_scope jsonb) returns table (template_version_id uuid, model text, writer text,
  items bigint, written bigint, approved bigint, decided bigint, spent_usd numeric, possible_usd numeric)
language plpgsql set search_path = '' set work_mem = '32MB' set plan_cache_mode = force_custom_plan as $$
declare
  v_job uuid := (p_scope ->> 'job_id')::uuid;
  v_writer text := p_scope ->> 'writer';
  v_since timestamptz := (p_scope ->> 'since')::date::timestamp at time zone 'UTC';
  v_until timestamptz := ((p_scope ->> 'until')::date + 1)::timestamp at time zone 'UTC';
begin
  if v_since is null and v_until is null then
    return query select t.template_version_id, j.model, j.writer, sum(t.called)::bigint, sum(t.written)::bigint,
      sum(t.approved)::bigint, sum(t.decided)::bigint, sum(t.spent_usd), sum(t.possible_usd)
    from public.total_jobs() t join public.batch_jobs j on j.id = t.job_id
    where j.kind = 'write' and t.called > 0 and (v_job is null or j.id = v_job)
      and (v_writer is null or j.writer = v_writer)
    group by 1, 2, 3;
    return;
  end if;
  return query with items as not materialized (
    select i.id, i.template_version_id, j.model, j.writer, c.status
    from public.batch_items i
    join public.batch_jobs j on j.id = i.job_id
    left join public.conversations c on c.id = i.conversation_id
    where j.kind = 'write' and (v_job is null or i.job_id = v_job) and (v_writer is null or j.writer = v_writer)
      and (v_since is null or coalesce(c.created_at, j.created_at) >= v_since)
      and (v_until is null or coalesce(c.created_at, j.created_at) < v_until)
  ), counted as (
    select i.template_version_id, i.model, i.writer, count(*) as items, count(i.status) as written,
      count(*) filter (where i.status = 'approved') as approved,
      count(*) filter (where i.status in ('approved', 'rejected', 'needs_revision')) as decided
    from items i
    where exists (select from public.attempts a where a.item_id = i.id and a.outcome <> 'skipped')
    group by 1, 2, 3
  ), summed as (
    select i.template_version_id, i.model, i.writer, sum(a.cost_usd) as spent_usd,
      sum(a.possible_usd) as possible_usd
    from items i join public.attempts a on a.item_id = i.id and a.outcome <> 'skipped'
    group by 1, 2, 3
  )
  select c.*, s.spent_usd, s.possible_usd from counted c join summed s on s.model = c.model
    and s.writer = c.writer and s.template_version_id is not distinct from c.template_version_id;
end $$;

create or replace function public.insight_costs(p_scope jsonb) returns jsonb
language sql set search_path = '' as $$
  with lines as materialized (
    select * from public.scoped_ledger(p_scope)
  ), kept as (
    select * from lines where template_version_id is not null
    order by spent_usd desc, items desc, template_version_id, model limit 200
  ), writers as (
    select writer, sum(items)::bigint as items, sum(written)::bigint as written, sum(approved)::bigint as approved,
      sum(decided)::bigint as decided, sum(spent_usd) as spent_usd, sum(possible_usd) as possible_usd
    from lines group by 1
  )
  select jsonb_build_object(
    'lines', (
      select coalesce(jsonb_agg(to_jsonb(k) || jsonb_build_object('label',
        public.insight_label('template', k.template_version_id::text))
        order by k.spent_usd desc, k.items desc, k.template_version_id, k.model), '[]') from kept k),
    'writers', (select coalesce(jsonb_agg(to_jsonb(w) order by w.writer), '[]') from writers w))
$$;

create or replace function public.costs_by_version(p_template uuid default null) returns jsonb
language sql set search_path = '' as $$
  with found as (
    select t.template_version_id, j.model, j.writer, v.template_id, p.template_key, p.name as template_name, v.version,
      sum(t.items)::bigint as items, sum(t.completed)::bigint as completed, sum(t.approved)::bigint as approved,
      sum(t.rejected)::bigint as rejected, sum(t.calls)::bigint as calls,
      sum(t.unknown_calls)::bigint as unknown_calls, sum(t.spent_usd) as spent_usd,
      sum(t.possible_usd) as possible_usd
    from public.total_jobs() t
    join public.batch_jobs j on j.id = t.job_id
    join public.template_versions v on v.id = t.template_version_id
    join public.templates p on p.id = v.template_id
    where p_template is null or v.template_id = p_template
    group by 1, 2, 3, 4, 5, 6, 7
  )
  select coalesce(jsonb_agg(to_jsonb(f)
    order by f.spent_usd desc, f.template_key, f.version, f.model, f.writer), '[]') from found f
$$;

-- As before, without a number for every row that is passed over: half the time in the middle of a long list.
create or replace function public.page_conversations(p_filter jsonb, p_sort text, p_limit integer, p_offset bigint,
  p_total bigint) returns setof public.conversation_rows
language plpgsql stable set search_path = '' as $$
declare
  v_column text := case p_sort when 'newest' then 'created_at' when 'oldest' then 'created_at'
    when 'best' then 'quality_score' when 'worst' then 'quality_score'
    when 'longest' then 'word_count' when 'shortest' then 'word_count' end;
  v_down boolean := p_sort in ('newest', 'best', 'longest');
  v_limit bigint := least(p_limit, greatest(p_total - p_offset, 0));
  v_back boolean := p_offset > p_total / 2;
begin
  if v_column is null then
    raise exception 'There is no order %', p_sort using errcode = 'invalid_parameter_value';
  end if;
  return query execute format(
    'select r.* from (select c.id from public.conversations c where %1$s order by c.%2$I %3$s, c.id %4$s
       limit %5$s offset %6$s) p
     join public.conversation_rows r on r.id = p.id order by r.%2$I %7$s, r.id %8$s',
    public.filter_condition(p_filter), v_column, case when v_down <> v_back then 'desc' else 'asc' end,
    case when v_down <> v_back then 'asc' else 'desc' end, v_limit,
    case when v_back then greatest(p_total - p_offset - v_limit, 0) else p_offset end,
    case when v_down then 'desc' else 'asc' end, case when v_down then 'asc' else 'desc' end);
end $$;

revoke execute on function private.count_decisions(), private.kept_jobs(),
  private.keep_totals(), public.count_decisions(jsonb), public.count_jobs(uuid[]), public.total_jobs(),
  public.scoped_ledger(jsonb) from public, anon;
grant execute on function private.kept_jobs(), private.keep_totals(),
  public.count_decisions(jsonb), public.count_jobs(uuid[]), public.total_jobs(), public.scoped_ledger(jsonb)
to authenticated, service_role;
