-- What insight says of the score and of reviewers is kept too, so that its pages open as fast over a million decisions as
-- over a thousand. No decision waits for it: it only notes whose figures have changed, and the next who looks counts them.

-- Seconds since the reviewer's decision before, whichever that was; null where there was none for five minutes. It is
-- known when a decision is made, and nothing that happens later changes it. Tenths are rounded up: none takes no time.
alter table public.reviews add column pause numeric(4, 1);
create index reviews_reviewer_idx on public.reviews (reviewer, created_at desc);

create function private.pause_of(p_seconds numeric) returns numeric
language sql immutable set search_path = '' as $$
  select case when p_seconds between 0 and 300 then ceil(p_seconds * 10) / 10 end
$$;

alter table public.reviews disable trigger reviews_append_only;
update public.reviews r set pause = private.pause_of(p.seconds)
from (
  select id, extract(epoch from created_at - lag(created_at) over (partition by reviewer order by created_at, entry))
    as seconds
  from public.reviews
) p where p.id = r.id and p.seconds between 0 and 300;
alter table public.reviews enable trigger reviews_append_only;

create function private.note_pause() returns trigger
language plpgsql security definer set search_path = '' as $$
begin
  new.pause := private.pause_of(extract(epoch from new.created_at - (
    select r.created_at from public.reviews r where r.reviewer = new.reviewer order by r.created_at desc limit 1)));
  return new;
end $$;
create trigger reviews_note_pause before insert on public.reviews
for each row execute function private.note_pause();

-- What conversations come to, added up: `figure` says what of it, and each uses the columns that it needs. No table refers
-- to another here, and none is moved: what is empty is counted from the beginning.
--   score: which `value` was decided how (`said`), and whether in bulk
--   decision: who (`first`) decided how on which day, and whether in bulk
--   pause: how many seconds (`value`) somebody (`first`) took for a decision on one conversation
--   couple: what two people (`first`, `second`) said of one text
-- Each is there for the days of UTC on which conversations were written, and once for all of them together (null).
create table private.figures (
  written_on date,
  figure text not null,
  writer text not null,
  first text,
  second text,
  said text,
  said_second text,
  value numeric,
  day date,
  in_bulk boolean,
  number bigint not null,
  constraint figures_key
    unique nulls not distinct (written_on, figure, writer, first, second, said, said_second, value, day, in_bulk)
);
-- What each conversation has put into them.
create table private.told_figures (
  conversation_id uuid not null,
  written_on date not null,
  figure text not null,
  writer text not null,
  first text,
  second text,
  said text,
  said_second text,
  value numeric,
  day date,
  in_bulk boolean
);
create index told_figures_conversation_idx on private.told_figures (conversation_id);
-- Whose figures have changed since. Rows are only added, so that no decision waits for another.
create table private.figure_changes (conversation_id uuid not null);
revoke all on private.figures, private.told_figures, private.figure_changes from public, anon, authenticated;
grant select on private.figures to authenticated, service_role;
alter table private.figures enable row level security;
create policy people_select on private.figures for select to authenticated
using ((select private.require_role('viewer', 'select figures')));

-- The decisions on some conversations that stand: no undoing, nothing undone (unless its undoing was undone), nothing sent
-- back to the queue; `in_bulk` where one deed decided on several conversations.
create function public.standing_reviews(p_ids uuid[]) returns table (id uuid, conversation_id uuid, version integer,
  decision text, reviewer text, created_at timestamptz, pause numeric, in_bulk boolean)
language plpgsql stable set search_path = '' set work_mem = '32MB' set plan_cache_mode = force_custom_plan as $$
begin
  return query with recursive given as materialized (
    select r.* from public.reviews r where r.conversation_id = any (p_ids)
  ), chain (conversation_id, root, operation_id, depth) as (
    select r.conversation_id, r.operation_id, u.operation_id, 1
    from given u join given r on r.conversation_id = u.conversation_id and r.operation_id = u.undoes
    where u.undoes is not null and r.undoes is null
    union all
    select d.conversation_id, d.root, u.operation_id, d.depth + 1
    from chain d join given u on u.conversation_id = d.conversation_id and u.undoes = d.operation_id
  ), undone as (
    select d.conversation_id, d.root from chain d group by 1, 2 having max(d.depth) % 2 = 1
  ), bulk as (
    select distinct g.operation_id from given g
    where exists (select from public.reviews o where o.operation_id = g.operation_id and o.id <> g.id)
  )
  select g.id, g.conversation_id, g.version, g.decision, g.reviewer, g.created_at, g.pause, b.operation_id is not null
  from given g
  left join bulk b on b.operation_id = g.operation_id
  left join undone u on u.conversation_id = g.conversation_id and u.root = g.operation_id
  where g.undoes is null and g.decision <> 'pending_review' and u.root is null;
end $$;

-- What some conversations come to, counted now.
create function public.count_figures(p_ids uuid[]) returns table (conversation_id uuid, written_on date, figure text,
  writer text, first text, second text, said text, said_second text, value numeric, day date, in_bulk boolean)
language plpgsql stable set search_path = '' set work_mem = '32MB' set plan_cache_mode = force_custom_plan as $$
begin
  return query with chosen as materialized (
    select c.id, (c.created_at at time zone 'UTC')::date as written_on, c.writer, c.status, c.quality_score
    from public.conversations c where c.id = any (p_ids)
  ), standing as materialized (
    select s.written_on, s.writer, r.* from public.standing_reviews(p_ids) r join chosen s on s.id = r.conversation_id
  ), latest as (
    select distinct on (r.conversation_id) r.conversation_id, r.in_bulk
    from standing r order by r.conversation_id, r.created_at desc, r.id
  ), last as (
    select distinct on (r.conversation_id, r.version, r.reviewer) r.conversation_id, r.written_on, r.writer,
      r.version, r.reviewer, r.decision
    from standing r where not r.in_bulk order by r.conversation_id, r.version, r.reviewer, r.created_at desc, r.id
  ), shared as (
    -- Side by side in arrays: a join of decisions with decisions is planned badly where few rows are shared.
    select l.conversation_id, l.written_on, l.writer, array_agg(l.reviewer order by l.reviewer) as who,
      array_agg(l.decision order by l.reviewer) as said
    from last l group by l.conversation_id, l.written_on, l.writer, l.version having count(*) > 1
  )
  select s.id, s.written_on, 'score', s.writer, null::text, null::text, s.status, null::text, s.quality_score, null::date,
    coalesce(l.in_bulk, false)
  from chosen s left join latest l on l.conversation_id = s.id
  where s.status in ('approved', 'rejected', 'needs_revision')
  union all
  select r.conversation_id, r.written_on, 'decision', r.writer, r.reviewer, null, r.decision, null, null,
    (r.created_at at time zone 'UTC')::date, r.in_bulk
  from standing r
  union all
  select r.conversation_id, r.written_on, 'pause', r.writer, r.reviewer, null, null, null, r.pause, null, null
  from standing r where not r.in_bulk and r.pause is not null
  union all
  select h.conversation_id, h.written_on, 'couple', h.writer, h.who[a], h.who[b], h.said[a], h.said[b], null, null, null
  from shared h cross join lateral generate_subscripts(h.who, 1) a cross join lateral generate_subscripts(h.who, 1) b
  where a < b;
end $$;

create function private.note_figures() returns trigger
language plpgsql security definer set search_path = '' as $$
begin
  if tg_op = 'TRUNCATE' then
    delete from private.figures;
    delete from private.told_figures;
    delete from private.figure_changes;
  elsif tg_table_name = 'reviews' then
    insert into private.figure_changes values (new.conversation_id);
  else
    insert into private.figure_changes values (coalesce(new.id, old.id));
  end if;
  return null;
end $$;

create trigger reviews_figures_inserted after insert on public.reviews
for each row execute function private.note_figures();
create trigger conversations_figures_inserted after insert on public.conversations
for each row when (new.status in ('approved', 'rejected', 'needs_revision')) execute function private.note_figures();
create trigger conversations_figures_changed after update of status, quality_score, writer on public.conversations
for each row when ((old.status, old.quality_score, old.writer) is distinct from
  (new.status, new.quality_score, new.writer))
execute function private.note_figures();
create trigger conversations_figures_deleted after delete on public.conversations
for each row execute function private.note_figures();
create trigger conversations_figures_truncated after truncate on public.conversations
for each statement execute function private.note_figures();

-- Counts what has changed, of at most so many conversations at a time; returns whether what is kept says everything.
-- One at a time, and whoever finds another at it counts for themselves, as those do who may not write.
create function private.keep_figures() returns boolean
language plpgsql security definer set search_path = '' as $$
declare
  v_most constant integer := 20000;
  v_rows bigint;
begin
  if current_setting('transaction_read_only')::boolean
    or current_setting('transaction_isolation') <> 'read committed' then
    return exists (select from private.figures) and not exists (select from private.figure_changes);
  end if;
  if not pg_try_advisory_xact_lock(hashtext('private.figures')) then
    return false;
  end if;
  if not exists (select from private.figures) then
    delete from private.figure_changes;
    insert into private.figure_changes
    select id from public.conversations where status in ('approved', 'rejected', 'needs_revision')
    union select conversation_id from public.reviews;
  end if;
  -- In one statement, so that a change is either counted here or still noted afterwards.
  with noted as (
    delete from private.figure_changes where ctid = any (array(select ctid from private.figure_changes limit v_most))
    returning conversation_id
  ), ids as materialized (
    select coalesce(array_agg(distinct conversation_id), '{}') as those from noted
  ), told as (
    delete from private.told_figures t where t.conversation_id = any ((select those from ids)::uuid[]) returning t.*
  ), counted as materialized (
    select f.* from ids cross join lateral public.count_figures(ids.those) f
  ), kept as (
    insert into private.told_figures select * from counted
  ), added as (
    insert into private.figures as k
    select d.written_on, s.figure, s.writer, s.first, s.second, s.said, s.said_second, s.value, s.day, s.in_bulk,
      sum(s.step)
    from (select c.*, 1 as step from counted c union all select t.*, -1 from told t) s
    cross join lateral (values (s.written_on), (null)) d (written_on)
    group by 1, 2, 3, 4, 5, 6, 7, 8, 9, 10 having sum(s.step) <> 0
    on conflict on constraint figures_key do update set number = k.number + excluded.number
  )
  select count(*) into v_rows from noted;
  return v_rows < v_most;
end $$;

-- Here nothing bounds the time it takes, however much there is.
do $$ begin
  while not private.keep_figures() loop
  end loop;
end $$;

-- What the conversations of a scope come to; from what is kept where it names no job.
create function public.scoped_figures(p_scope jsonb) returns table (figure text, first text, second text, said text,
  said_second text, value numeric, day date, in_bulk boolean, number bigint)
language plpgsql set search_path = '' set work_mem = '32MB' set plan_cache_mode = force_custom_plan as $$
declare
  v_writer text := p_scope ->> 'writer';
  v_since date := p_scope ->> 'since';
  v_until date := p_scope ->> 'until';
begin
  if p_scope ->> 'job_id' is not null or not private.keep_figures() then
    return query select f.figure, f.first, f.second, f.said, f.said_second, f.value, f.day, f.in_bulk, count(*)
    from public.count_figures(array(select c.id from public.insight_conversations(p_scope) c)) f
    group by 1, 2, 3, 4, 5, 6, 7, 8;
  else
    return query select f.figure, f.first, f.second, f.said, f.said_second, f.value, f.day, f.in_bulk,
      sum(f.number)::bigint
    from private.figures f
    where (f.written_on is null) = (v_since is null and v_until is null)
      and (v_since is null or f.written_on >= v_since) and (v_until is null or f.written_on <= v_until)
      and (v_writer is null or f.writer = v_writer)
    group by 1, 2, 3, 4, 5, 6, 7, 8 having sum(f.number) <> 0;
  end if;
end $$;

-- As before, from what scoped_figures says.
create or replace function public.insight_scores(p_scope jsonb) returns jsonb
language sql set search_path = '' as $$
  select coalesce(jsonb_agg(jsonb_build_object('score', f.value, 'status', f.said, 'in_bulk', f.in_bulk,
    'times', f.number) order by f.value, f.said, f.in_bulk), '[]')
  from public.scoped_figures(p_scope) f where f.figure = 'score'
$$;

-- As before, from what scoped_figures says; what a decision took is the pause before it.
create or replace function public.insight_reviewers(p_scope jsonb) returns jsonb
language sql set search_path = '' as $$
  with found as materialized (
    select * from public.scoped_figures(p_scope)
  ), placed as (
    select first as reviewer, value, sum(number) over (partition by first) as timed,
      sum(number) over (partition by first order by value) as reached
    from found where figure = 'pause'
  ), paces as (
    -- The mean of the two in the middle, which of an odd number are the same.
    select reviewer, max(timed) as timed, (min(value) filter (where reached >= floor((timed + 1) / 2))
      + min(value) filter (where reached >= floor(timed / 2) + 1)) / 2 as median_seconds
    from placed group by reviewer
  ), people as (
    select first as reviewer, sum(number)::bigint as decisions,
      coalesce(sum(number) filter (where said = 'approved'), 0)::bigint as approved,
      coalesce(sum(number) filter (where said = 'rejected'), 0)::bigint as rejected,
      coalesce(sum(number) filter (where said = 'needs_revision'), 0)::bigint as revision,
      coalesce(sum(number) filter (where in_bulk), 0)::bigint as in_bulk, count(distinct day) as days
    from found where figure = 'decision' group by first order by sum(number) desc, first limit 50
  ), couples as (
    select first, second, sum(number)::bigint as rows, jsonb_agg(jsonb_build_object('first', said, 'second', said_second,
      'times', number) order by said, said_second) as said
    from found where figure = 'couple' group by first, second order by sum(number) desc, first, second limit 50
  )
  select jsonb_build_object(
    'people', (
      select coalesce(jsonb_agg(to_jsonb(p) || jsonb_build_object('timed', coalesce(t.timed, 0),
        'median_seconds', t.median_seconds) order by p.decisions desc, p.reviewer), '[]')
      from people p left join paces t on t.reviewer = p.reviewer),
    'couples', (select coalesce(jsonb_agg(to_jsonb(c) order by c.rows desc, c.first, c.second), '[]')
      from couples c))
$$;

-- As before, from the decisions on what was judged alone.
create or replace function public.judge_calibration(p_scope jsonb) returns jsonb
language sql stable set search_path = '' set work_mem = '32MB' as $$
  with told as materialized (
    select distinct on (v.conversation_id, v.version) v.conversation_id, v.version, v.scores, v.lowest,
      v.is_doubtful
    from public.verdicts v join public.insight_conversations(p_scope) c on c.id = v.conversation_id
    order by v.conversation_id, v.version, v.created_at desc, v.id
  ), decided as (
    select distinct on (conversation_id, version) conversation_id, version, decision
    from public.standing_reviews(array(select distinct conversation_id from told))
    order by conversation_id, version, created_at desc, id
  ), both_said as (
    select t.*, d.decision = 'approved' as is_approved from told t join decided d using (conversation_id, version)
  ), counts as (
    select 'all' as dimension, lowest as score, is_approved, count(*) as times from both_said group by 1, 2, 3
    union all
    select s ->> 'dimension', (s ->> 'score')::integer, is_approved, count(*)
    from both_said, jsonb_array_elements(scores) s group by 1, 2, 3
  )
  select jsonb_build_object('verdicts', (select count(*) from told),
    'doubtful', (select count(*) from told where is_doubtful),
    'counts', (select coalesce(jsonb_agg(to_jsonb(c) order by dimension, score, is_approved), '[]') from counts c))
$$;
drop view public.counted_reviews;

revoke execute on function private.pause_of(numeric), private.note_pause(), private.note_figures(), private.keep_figures(),
  public.standing_reviews(uuid[]), public.count_figures(uuid[]), public.scoped_figures(jsonb) from public, anon;
grant execute on function private.keep_figures(), public.standing_reviews(uuid[]), public.count_figures(uuid[]),
  public.scoped_figures(jsonb) to authenticated, service_role;
