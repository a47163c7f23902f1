-- Figures about everything are added up in one look at the rows, into as many groups as there are kinds of them, and only
-- the groups are looked at again, by several of the server's processes where it has them. What they say is as before.

alter function public.insight_label(text, text) parallel safe;

create or replace function public.insight_decisions(p_scope jsonb) returns jsonb
language plpgsql stable set search_path = '' set work_mem = '32MB' set plan_cache_mode = force_custom_plan as $$
declare
  v_job uuid := (p_scope ->> 'job_id')::uuid;
  v_writer text := p_scope ->> 'writer';
  v_since timestamptz := (p_scope ->> 'since')::date::timestamp at time zone 'UTC';
  v_until timestamptz := ((p_scope ->> 'until')::date + 1)::timestamp at time zone 'UTC';
begin
  return (with scoped as materialized (
    select c.template_version_id, c.persona_key, c.arc_key, c.topic_key, c.model, c.writer, c.status,
      case when c.status = 'rejected' then left(c.review_reason, 120) end as given, count(*) as number
    from public.conversations c
    where (v_job is null or c.job_id = v_job) and (v_writer is null or c.writer = v_writer)
      and (v_since is null or c.created_at >= v_since) and (v_until is null or c.created_at < v_until)
    group by 1, 2, 3, 4, 5, 6, 7, 8
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
        order by k.decided desc, k.first, k.second, k.first_value, k.second_value), '[]') from kept k)));
end $$;

create or replace function public.insight_costs(p_scope jsonb) returns jsonb
language plpgsql stable set search_path = '' set work_mem = '32MB' set plan_cache_mode = force_custom_plan as $$
declare
  v_job uuid := (p_scope ->> 'job_id')::uuid;
  v_writer text := p_scope ->> 'writer';
  v_since timestamptz := (p_scope ->> 'since')::date::timestamp at time zone 'UTC';
  v_until timestamptz := ((p_scope ->> 'until')::date + 1)::timestamp at time zone 'UTC';
begin
  return (with items as not materialized (
    select i.id, i.template_version_id, j.model, j.writer, c.status
    from public.batch_items i
    join public.batch_jobs j on j.id = i.job_id
    left join public.conversations c on c.id = i.conversation_id
    where j.kind = 'write' and (v_job is null or i.job_id = v_job) and (v_writer is null or j.writer = v_writer)
      and (v_since is null or coalesce(c.created_at, j.created_at) >= v_since)
      and (v_until is null or coalesce(c.created_at, j.created_at) < v_until)
  ), counted as (
    select template_version_id, model, writer, status, count(*) as number from items i
    where exists (select from public.attempts a where a.item_id = i.id and a.outcome <> 'skipped')
    group by 1, 2, 3, 4
  ), summed as (
    select i.template_version_id, i.model, i.writer, sum(a.cost_usd) as spent_usd,
      sum(a.possible_usd) as possible_usd
    from items i join public.attempts a on a.item_id = i.id and a.outcome <> 'skipped'
    group by 1, 2, 3
  ), lines as (
    select c.template_version_id, c.model, c.writer, sum(c.number)::bigint as items,
      coalesce(sum(c.number) filter (where c.status is not null), 0)::bigint as written,
      coalesce(sum(c.number) filter (where c.status = 'approved'), 0)::bigint as approved,
      coalesce(sum(c.number) filter (where c.status in ('approved', 'rejected', 'needs_revision')), 0)::bigint
        as decided,
      min(s.spent_usd) as spent_usd, min(s.possible_usd) as possible_usd
    from counted c join summed s on s.model = c.model and s.writer = c.writer
      and s.template_version_id is not distinct from c.template_version_id
    group by 1, 2, 3
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
    'writers', (select coalesce(jsonb_agg(to_jsonb(w) order by w.writer), '[]') from writers w)));
end $$;

-- As the view was that it takes the place of; a template's own versions alone where one is named.
drop view public.version_costs;
create function public.costs_by_version(p_template uuid default null) returns jsonb
language plpgsql stable set search_path = '' set work_mem = '32MB' set plan_cache_mode = force_custom_plan as $$
declare
  v_versions uuid[] := array(
    select v.id from public.template_versions v where p_template is null or v.template_id = p_template);
begin
  return (with counted as (
    select i.template_version_id, j.model, j.writer, count(*) as items,
      count(*) filter (where i.status = 'completed') as completed,
      count(*) filter (where k.status = 'approved') as approved,
      count(*) filter (where k.status = 'rejected') as rejected
    from public.batch_items i
    join public.batch_jobs j on j.id = i.job_id
    left join public.conversations k on k.id = i.conversation_id
    where i.template_version_id = any (v_versions)
    group by 1, 2, 3
  ), summed as (
    select i.template_version_id, j.model, j.writer, count(*) filter (where x.outcome <> 'skipped') as calls,
      count(*) filter (where x.outcome = 'unknown') as unknown_calls, sum(x.cost_usd) as spent_usd,
      sum(x.possible_usd) as possible_usd
    from public.attempts x
    join public.batch_items i on i.id = x.item_id
    join public.batch_jobs j on j.id = i.job_id
    where i.template_version_id = any (v_versions)
    group by 1, 2, 3
  ), found as (
    select c.template_version_id, c.model, c.writer, v.template_id, t.template_key, t.name as template_name,
      v.version, c.items, c.completed, c.approved, c.rejected, coalesce(s.calls, 0) as calls,
      coalesce(s.unknown_calls, 0) as unknown_calls, coalesce(s.spent_usd, 0) as spent_usd,
      coalesce(s.possible_usd, 0) as possible_usd
    from counted c
    left join summed s
      on s.template_version_id = c.template_version_id and s.model = c.model and s.writer = c.writer
    join public.template_versions v on v.id = c.template_version_id
    join public.templates t on t.id = v.template_id
  )
  select coalesce(jsonb_agg(to_jsonb(f)
    order by f.spent_usd desc, f.template_key, f.version, f.model, f.writer), '[]') from found f);
end $$;
revoke execute on function public.costs_by_version(uuid) from public, anon;
grant execute on function public.costs_by_version(uuid) to authenticated, service_role;
