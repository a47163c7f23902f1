-- What decisions say about templates, scenarios, the score, the money and the reviewers. Each function takes a
-- scope {"job_id", "writer", "since", "until"} (days of UTC, both included) and answers with a bounded number
-- of rows, however much was written. All are read by a person who waits a moment for them, so that no index is
-- kept for them: no step of a batch and no decision pays. The working memory keeps sorts off the disk.

-- The conversations a scope means. Planned anew each time, so that what is not asked for costs nothing.
create function public.insight_conversations(p_scope jsonb) returns table (id uuid, status text,
  quality_score numeric, writer text, model text, template_version_id uuid, persona_key text, arc_key text,
  topic_key text)
language plpgsql stable set search_path = '' set plan_cache_mode = force_custom_plan as $$
begin
  return query select c.id, c.status, c.quality_score, c.writer, c.model, c.template_version_id,
    c.persona_key, c.arc_key, c.topic_key
  from public.conversations c
  where (p_scope ->> 'job_id' is null or c.job_id = (p_scope ->> 'job_id')::uuid)
    and (p_scope ->> 'writer' is null or c.writer = p_scope ->> 'writer')
    and (p_scope ->> 'since' is null
      or c.created_at >= (p_scope ->> 'since')::date::timestamp at time zone 'UTC')
    and (p_scope ->> 'until' is null
      or c.created_at < ((p_scope ->> 'until')::date + 1)::timestamp at time zone 'UTC');
end $$;

-- The items a scope means: an item belongs to the day its conversation was written, else to its job's.
create function public.insight_items(p_scope jsonb) returns table (id uuid, status text, writer text,
  model text, template_version_id uuid, persona_key text, arc_key text, topic_key text,
  conversation_status text)
language plpgsql stable set search_path = '' set plan_cache_mode = force_custom_plan as $$
begin
  return query select i.id, i.status, j.writer, j.model, i.template_version_id,
    i.parameters ->> 'persona_key', i.parameters ->> 'arc_key', i.parameters ->> 'topic_key',
    c.status
  from public.batch_items i
  join public.batch_jobs j on j.id = i.job_id
  left join public.conversations c on c.id = i.conversation_id
  where (p_scope ->> 'job_id' is null or i.job_id = (p_scope ->> 'job_id')::uuid)
    and (p_scope ->> 'writer' is null or j.writer = p_scope ->> 'writer')
    and (p_scope ->> 'since' is null or coalesce(c.created_at, j.created_at)
      >= (p_scope ->> 'since')::date::timestamp at time zone 'UTC')
    and (p_scope ->> 'until' is null or coalesce(c.created_at, j.created_at)
      < ((p_scope ->> 'until')::date + 1)::timestamp at time zone 'UTC');
end $$;

-- What a person reads instead of a key; null where it is gone.
create function public.insight_label(p_dimension text, p_value text) returns text
language sql stable set search_path = '' as $$
  select case p_dimension
    when 'template' then (select t.name || ' v' || v.version from public.template_versions v
      join public.templates t on t.id = v.template_id where v.id = p_value::uuid)
    when 'persona' then (select name from public.personas where persona_key = p_value)
    when 'arc' then (select name from public.emotional_arcs where arc_key = p_value)
    when 'topic' then (select name from public.training_topics where topic_key = p_value)
    else p_value end
$$;

-- How often each value of a dimension was approved and why it was rejected, and pairs of values with enough
-- decisions to be compared. At most 50 values a dimension, 13 reasons and 1,000 pairs.
create function public.insight_decisions(p_scope jsonb) returns jsonb
language sql stable set search_path = '' set work_mem = '32MB' as $$
  with scoped as materialized (
    select * from public.insight_conversations(p_scope)
  ), tallies as (
    select case when grouping(template_version_id) = 0 then 'template' when grouping(persona_key) = 0
        then 'persona' when grouping(arc_key) = 0 then 'arc' when grouping(topic_key) = 0 then 'topic'
        when grouping(model) = 0 then 'model' when grouping(writer) = 0 then 'writer' else 'all' end as dimension,
      coalesce(template_version_id::text, persona_key, arc_key, topic_key, model, writer) as value,
      count(*) as written, count(*) filter (where status = 'approved') as approved,
      count(*) filter (where status = 'rejected') as rejected,
      count(*) filter (where status = 'needs_revision') as revision
    from scoped
    group by grouping sets ((template_version_id), (persona_key), (arc_key), (topic_key), (model), (writer), ())
  ), ranked as (
    select *, row_number() over (partition by dimension
      order by approved + rejected + revision desc, written desc, value) as place
    from tallies
  ), rejections as materialized (
    select s.*, left(c.review_reason, 120) as given
    from scoped s join public.conversations c on c.id = s.id where s.status = 'rejected'
  ), named as (
    select given from rejections where given is not null group by given order by count(*) desc, given limit 12
  ), reasoned as (
    select r.template_version_id, r.persona_key, r.arc_key, r.topic_key, r.model, r.writer,
      case when r.given is null then '' else coalesce(n.given, 'Other words') end as reason
    from rejections r left join named n on n.given = r.given
  ), reasons as (
    select case when grouping(template_version_id) = 0 then 'template' when grouping(persona_key) = 0
        then 'persona' when grouping(arc_key) = 0 then 'arc' when grouping(topic_key) = 0 then 'topic'
        when grouping(model) = 0 then 'model' when grouping(writer) = 0 then 'writer' else 'all' end as dimension,
      coalesce(template_version_id::text, persona_key, arc_key, topic_key, model, writer) as value,
      reason, count(*) as times
    from reasoned
    group by grouping sets ((reason, template_version_id), (reason, persona_key), (reason, arc_key),
      (reason, topic_key), (reason, model), (reason, writer), (reason))
  ), pairs as (
    select case when grouping(topic_key) = 1 then 'persona' when grouping(arc_key) = 1 then 'persona'
        else 'arc' end as first,
      case when grouping(topic_key) = 1 then 'arc' else 'topic' end as second,
      case when grouping(persona_key) = 1 then arc_key else persona_key end as first_value,
      case when grouping(topic_key) = 1 then arc_key else topic_key end as second_value,
      count(*) as decided, count(*) filter (where status = 'rejected') as rejected
    from scoped where status in ('approved', 'rejected', 'needs_revision')
    group by grouping sets ((persona_key, arc_key), (persona_key, topic_key), (arc_key, topic_key))
    having count(*) >= 10
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

-- The decisions that stand: no undoing, nothing undone (unless its undoing was undone), nothing sent back to
-- the queue; `in_bulk` where one deed decided on several conversations.
create view public.counted_reviews with (security_invoker = true) as
with recursive chain (conversation_id, root, operation_id, depth) as (
  select r.conversation_id, r.operation_id, u.operation_id, 1
  from public.reviews u
  join public.reviews r on r.conversation_id = u.conversation_id and r.operation_id = u.undoes
  where u.undoes is not null and r.undoes is null
  union all
  select d.conversation_id, d.root, u.operation_id, d.depth + 1
  from chain d
  join public.reviews u on u.conversation_id = d.conversation_id and u.undoes = d.operation_id
), undone as (
  select conversation_id, root from chain group by conversation_id, root having max(depth) % 2 = 1
), sizes as (
  select operation_id, count(*) > 1 as in_bulk from public.reviews group by operation_id
)
select r.id, r.conversation_id, r.version, r.decision, r.reviewer, r.operation_id, r.created_at, s.in_bulk
from public.reviews r
join sizes s on s.operation_id = r.operation_id
left join undone u on u.conversation_id = r.conversation_id and u.root = r.operation_id
where r.undoes is null and r.decision <> 'pending_review' and u.root is null;

-- Scores by decision: a score has one digit after the point, so there are never more than 606 rows.
create function public.insight_scores(p_scope jsonb) returns jsonb
language sql stable set search_path = '' set work_mem = '32MB' set enable_nestloop = off as $$
  with latest as (
    select distinct on (conversation_id) conversation_id, in_bulk
    from public.counted_reviews order by conversation_id, created_at desc, id
  ), tallies as (
    select c.quality_score as score, c.status, coalesce(l.in_bulk, false) as in_bulk, count(*) as times
    from public.insight_conversations(p_scope) c
    left join latest l on l.conversation_id = c.id
    where c.status in ('approved', 'rejected', 'needs_revision')
    group by 1, 2, 3
  )
  select coalesce(jsonb_agg(to_jsonb(t) order by t.score, t.status, t.in_bulk), '[]') from tallies t
$$;

-- What was paid by template version, model and writer, failed items included; the 200 dearest.
create function public.insight_costs(p_scope jsonb) returns jsonb
language sql stable set search_path = '' set work_mem = '32MB' as $$
  with items as (
    select i.id, i.template_version_id, i.model, i.writer, i.conversation_status as status,
      sum(a.cost_usd) as spent_usd, sum(a.possible_usd) as possible_usd
    from public.insight_items(p_scope) i
    join public.attempts a on a.item_id = i.id and a.outcome <> 'skipped'
    group by i.id, i.template_version_id, i.model, i.writer, i.conversation_status
  ), lines as (
    select template_version_id, model, writer, count(*) as items, count(status) as written,
      count(*) filter (where status = 'approved') as approved,
      count(*) filter (where status in ('approved', 'rejected', 'needs_revision')) as decided,
      sum(spent_usd) as spent_usd, sum(possible_usd) as possible_usd
    from items group by grouping sets ((template_version_id, model, writer), (writer))
  ), kept as (
    select * from lines where template_version_id is not null
    order by spent_usd desc, items desc, template_version_id, model limit 200
  )
  select jsonb_build_object(
    'lines', (
      select coalesce(jsonb_agg(to_jsonb(k) || jsonb_build_object('label',
        public.insight_label('template', k.template_version_id::text))
        order by k.spent_usd desc, k.items desc, k.template_version_id, k.model), '[]') from kept k),
    'writers', (
      select coalesce(jsonb_agg(to_jsonb(l) - 'template_version_id' - 'model' order by l.writer), '[]')
      from lines l where l.template_version_id is null))
$$;

-- Who decided how much and how fast, and how often two people said the same of the same version. Both are
-- taken from decisions on one conversation at a time: a sweep over a filter has no pace, and it passes over what
-- was decided alike before. Pauses of more than five minutes are left out of the pace.
create function public.insight_reviewers(p_scope jsonb) returns jsonb
language sql stable set search_path = '' set work_mem = '32MB' set enable_nestloop = off as $$
  with counted as materialized (
    select r.* from public.counted_reviews r
    join public.insight_conversations(p_scope) c on c.id = r.conversation_id
  ), single as materialized (
    select * from counted where not in_bulk
  ), paced as (
    select reviewer, extract(epoch from created_at - lag(created_at)
      over (partition by reviewer order by created_at, id)) as seconds
    from single
  ), paces as (
    select reviewer, count(*) as timed,
      percentile_cont(0.5) within group (order by seconds::double precision) as median_seconds
    from paced where seconds <= 300 group by reviewer
  ), people as (
    select c.reviewer, count(*) as decisions, count(*) filter (where decision = 'approved') as approved,
      count(*) filter (where decision = 'rejected') as rejected,
      count(*) filter (where decision = 'needs_revision') as revision,
      count(*) filter (where in_bulk) as in_bulk,
      count(distinct (created_at at time zone 'UTC')::date) as days
    from counted c group by c.reviewer order by count(*) desc, c.reviewer limit 50
  ), last as (
    select distinct on (conversation_id, version, reviewer) conversation_id, version, reviewer, decision
    from single order by conversation_id, version, reviewer, created_at desc, id
  ), shared as (
    -- Side by side in arrays: a join of decisions with decisions is planned badly where few rows are shared.
    select array_agg(reviewer order by reviewer) as who, array_agg(decision order by reviewer) as said
    from last group by conversation_id, version having count(*) > 1
  ), twice as (
    select who[a] as first, who[b] as second, said[a] as first_said, said[b] as second_said, count(*) as times
    from shared cross join lateral generate_subscripts(who, 1) a cross join lateral generate_subscripts(who, 1) b
    where a < b group by 1, 2, 3, 4
  ), couples as (
    select first, second, sum(times) as rows, jsonb_agg(jsonb_build_object('first', first_said, 'second',
      second_said, 'times', times) order by first_said, second_said) as said
    from twice group by first, second order by sum(times) desc, first, second limit 50
  )
  select jsonb_build_object(
    'people', (
      select coalesce(jsonb_agg(to_jsonb(p) || jsonb_build_object('timed', coalesce(t.timed, 0),
        'median_seconds', t.median_seconds) order by p.decisions desc, p.reviewer), '[]')
      from people p left join paces t on t.reviewer = p.reviewer),
    'couples', (select coalesce(jsonb_agg(to_jsonb(c) order by c.rows desc, c.first, c.second), '[]')
      from couples c))
$$;

-- How often each combination was planned (what was cancelled is not), written and approved; the 5,000 most
-- planned.
create function public.insight_coverage(p_scope jsonb) returns jsonb
language sql stable set search_path = '' set work_mem = '32MB' as $$
  with cells as (
    select persona_key, arc_key, topic_key, sum(planned)::bigint as planned, sum(written)::bigint as written,
      sum(approved)::bigint as approved
    from (
      select persona_key, arc_key, topic_key, count(*) as planned, 0 as written, 0 as approved
      from public.insight_items(p_scope) where status <> 'cancelled' group by 1, 2, 3
      union all
      select persona_key, arc_key, topic_key, 0, count(*), count(*) filter (where status = 'approved')
      from public.insight_conversations(p_scope) group by 1, 2, 3
    ) s group by 1, 2, 3
  ), kept as (
    select * from cells order by planned + written desc, persona_key, arc_key, topic_key limit 5000
  )
  select jsonb_build_object(
    'cells', (select coalesce(jsonb_agg(to_jsonb(k)), '[]') from kept k),
    'left_out', greatest((select count(*) from cells) - 5000, 0))
$$;

revoke all on public.counted_reviews from public, anon, authenticated;
grant select on public.counted_reviews to service_role;
revoke execute on function public.insight_conversations(jsonb), public.insight_items(jsonb),
  public.insight_label(text, text), public.insight_decisions(jsonb), public.insight_scores(jsonb),
  public.insight_costs(jsonb), public.insight_reviewers(jsonb), public.insight_coverage(jsonb)
from public, anon, authenticated;
grant execute on function public.insight_conversations(jsonb), public.insight_items(jsonb),
  public.insight_label(text, text), public.insight_decisions(jsonb), public.insight_scores(jsonb),
  public.insight_costs(jsonb), public.insight_reviewers(jsonb), public.insight_coverage(jsonb)
to service_role;
