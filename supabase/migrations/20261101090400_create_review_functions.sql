-- Deciding, undoing and freezing: each one step, whole or not at all.

-- The one meaning of a filter, for counting, deciding and freezing alike.
create function public.matching_conversations(p_filter jsonb) returns setof public.conversations
language sql stable set search_path = '' as $$
  select c.* from public.conversations c
  where (p_filter ->> 'status' is null or c.status = p_filter ->> 'status')
    and (p_filter ->> 'job_id' is null or c.job_id = (p_filter ->> 'job_id')::uuid)
    and (p_filter ->> 'writer' is null or c.writer = p_filter ->> 'writer')
    and (p_filter ->> 'tier' is null or c.tier = p_filter ->> 'tier')
    and (p_filter ->> 'persona_key' is null or c.persona_key = p_filter ->> 'persona_key')
    and (p_filter ->> 'arc_key' is null or c.arc_key = p_filter ->> 'arc_key')
    and (p_filter ->> 'topic_key' is null or c.topic_key = p_filter ->> 'topic_key')
    and (p_filter ->> 'min_score' is null or c.quality_score >= (p_filter ->> 'min_score')::numeric)
    and (p_filter ->> 'max_score' is null or c.quality_score <= (p_filter ->> 'max_score')::numeric)
$$;

-- Decides on the rows a reviewer saw: [{"id", "row_version"}]. A row changed since is left alone and named.
create function public.decide_conversations(p_rows jsonb, p_decision text, p_reason text, p_note text,
  p_reviewer text, p_operation uuid) returns jsonb
language plpgsql set search_path = '' as $$
declare
  v_decided jsonb;
  v_refused jsonb;
begin
  -- Locked in one order, so that two reviewers with overlapping selections cannot wait for each other.
  perform 1 from public.conversations c
  where c.id in (select (r ->> 'id')::uuid from jsonb_array_elements(p_rows) r) order by c.id for update;

  with seen as (
    select (r ->> 'id')::uuid as id, (r ->> 'row_version')::integer as row_version
    from jsonb_array_elements(p_rows) r
  ), before as (
    select c.id, c.version, c.status from public.conversations c join seen s on s.id = c.id
    where c.row_version = s.row_version and not (p_decision = 'approved' and c.has_blockers)
  ), changed as (
    update public.conversations c set status = p_decision, row_version = c.row_version + 1,
      reviewed_by = p_reviewer, reviewed_at = clock_timestamp(), review_reason = p_reason,
      updated_at = clock_timestamp()
    from before b where c.id = b.id returning c.id, c.row_version
  ), kept as (
    insert into public.reviews (conversation_id, version, decision, previous_status, reason, note, reviewer,
      operation_id)
    select id, version, p_decision, status, p_reason, p_note, p_reviewer, p_operation from before
  )
  select coalesce(jsonb_agg(to_jsonb(changed)), '[]') into v_decided from changed;

  select coalesce(jsonb_agg(jsonb_build_object('id', s.id, 'cause',
    case when c.id is null then 'missing' when c.row_version <> s.row_version then 'changed' else 'blocked' end,
    'status', c.status, 'by', c.reviewed_by, 'at', c.reviewed_at)), '[]') into v_refused
  from (select (r ->> 'id')::uuid as id, (r ->> 'row_version')::integer as row_version
    from jsonb_array_elements(p_rows) r) s
  left join public.conversations c on c.id = s.id
  where not exists (select 1 from jsonb_array_elements(v_decided) d where (d ->> 'id')::uuid = s.id);
  return jsonb_build_object('operation_id', p_operation, 'decided', v_decided, 'refused', v_refused);
end $$;

-- Decides on everything that matches a filter, without loading it; blocked rows are never approved.
create function public.decide_matching(p_filter jsonb, p_decision text, p_reason text, p_note text,
  p_reviewer text, p_operation uuid) returns jsonb
language plpgsql set search_path = '' as $$
declare
  v_decided integer;
  v_blocked integer;
begin
  perform 1 from public.matching_conversations(p_filter) m
  join public.conversations c on c.id = m.id order by c.id for update of c;
  select count(*) into v_blocked from public.matching_conversations(p_filter)
  where p_decision = 'approved' and has_blockers;

  with before as (
    select id, version, status from public.matching_conversations(p_filter)
    where status <> p_decision and not (p_decision = 'approved' and has_blockers)
  ), changed as (
    update public.conversations c set status = p_decision, row_version = c.row_version + 1,
      reviewed_by = p_reviewer, reviewed_at = clock_timestamp(), review_reason = p_reason,
      updated_at = clock_timestamp()
    from before b where c.id = b.id returning c.id
  )
  insert into public.reviews (conversation_id, version, decision, previous_status, reason, note, reviewer,
    operation_id)
  select b.id, b.version, p_decision, b.status, p_reason, p_note, p_reviewer, p_operation
  from before b join changed using (id);
  get diagnostics v_decided = row_count;
  return jsonb_build_object('operation_id', p_operation, 'decided', v_decided, 'blocked', v_blocked);
end $$;

-- Takes one operation back, row by row where nobody has decided since.
create function public.undo_decision(p_operation uuid, p_reviewer text) returns jsonb
language plpgsql set search_path = '' as $$
declare
  v_undone integer;
  v_total integer;
  v_new uuid := gen_random_uuid();
begin
  select count(*) into v_total from public.reviews where operation_id = p_operation;
  perform 1 from public.conversations c
  where c.id in (select conversation_id from public.reviews where operation_id = p_operation)
  order by c.id for update;
  with latest as (
    select distinct on (r.conversation_id) r.* from public.reviews r
    where r.conversation_id in (select conversation_id from public.reviews where operation_id = p_operation)
    order by r.conversation_id, r.created_at desc
  ), mine as (
    select * from latest where operation_id = p_operation
  ), changed as (
    update public.conversations c set status = m.previous_status, row_version = c.row_version + 1,
      reviewed_by = case when m.previous_status = 'pending_review' then null else p_reviewer end,
      reviewed_at = case when m.previous_status = 'pending_review' then null else clock_timestamp() end,
      review_reason = null, updated_at = clock_timestamp()
    from mine m where c.id = m.conversation_id returning c.id
  )
  insert into public.reviews (conversation_id, version, decision, previous_status, reviewer, operation_id,
    undoes)
  select m.conversation_id, m.version, m.previous_status, m.decision, p_reviewer, v_new, p_operation
  from mine m join changed on changed.id = m.conversation_id;
  get diagnostics v_undone = row_count;
  return jsonb_build_object('operation_id', v_new, 'undone', v_undone, 'kept', v_total - v_undone);
end $$;

-- Freezes what is approved and matches, as a numbered list of conversation versions.
create function public.freeze_dataset(p_name text, p_filter jsonb, p_actor text) returns jsonb
language plpgsql set search_path = '' as $$
declare
  v_dataset public.datasets;
  v_rows integer;
begin
  perform pg_advisory_xact_lock(hashtextextended('dataset ' || p_name, 0));
  insert into public.datasets (name, version, filter, created_by)
  values (p_name, 1 + coalesce((select max(version) from public.datasets where name = p_name), 0),
    p_filter, p_actor)
  returning * into v_dataset;
  insert into public.dataset_rows (dataset_id, position, conversation_id, version, quality_score, flags,
    reviewed_by, reviewed_at, review_reason)
  select v_dataset.id, row_number() over (order by c.created_at, c.id), c.id, c.version, c.quality_score,
    c.flags, c.reviewed_by, c.reviewed_at, c.review_reason
  from public.matching_conversations(p_filter || jsonb_build_object('status', 'approved')) c;
  get diagnostics v_rows = row_count;
  if v_rows = 0 then
    delete from public.datasets where id = v_dataset.id;
    return jsonb_build_object('outcome', 'empty');
  end if;
  update public.datasets set row_count = v_rows, demo_count = (
    select count(*) from public.dataset_rows r join public.conversations c on c.id = r.conversation_id
    where r.dataset_id = v_dataset.id and c.writer = 'demo')
  where id = v_dataset.id returning * into v_dataset;
  return jsonb_build_object('outcome', 'ok', 'dataset', to_jsonb(v_dataset));
end $$;

-- A template and its next version; the version before stays as it was.
create function public.publish_template(p_template jsonb, p_actor text) returns jsonb
language plpgsql set search_path = '' as $$
declare
  v_template public.templates;
  v_version public.template_versions;
begin
  insert into public.templates as t (template_key, name, description, category, tier, arc_key,
    suitable_personas, suitable_topics, rating, is_active, current_version)
  select i.template_key, i.name, coalesce(i.description, ''), coalesce(i.category, ''), i.tier, i.arc_key,
    coalesce(i.suitable_personas, '{}'), coalesce(i.suitable_topics, '{}'), coalesce(i.rating, 5),
    coalesce(i.is_active, true), 1
  from jsonb_populate_record(null::public.templates, p_template) i
  on conflict (template_key) do update set name = excluded.name, description = excluded.description,
    category = excluded.category, tier = excluded.tier, arc_key = excluded.arc_key,
    suitable_personas = excluded.suitable_personas, suitable_topics = excluded.suitable_topics,
    rating = excluded.rating, is_active = excluded.is_active,
    current_version = t.current_version + 1, updated_at = clock_timestamp()
  returning * into v_template;
  insert into public.template_versions (template_id, version, system_text, user_text, dataset_system_text,
    required, optional, words_min, words_max, created_by)
  select v_template.id, v_template.current_version, i.system_text, i.user_text,
    coalesce(i.dataset_system_text, ''), coalesce(i.required, '{}'), coalesce(i.optional, '{}'),
    coalesce(i.words_min, 60), coalesce(i.words_max, 180), p_actor
  from jsonb_populate_record(null::public.template_versions, p_template) i
  returning * into v_version;
  return jsonb_build_object('template_id', v_template.id, 'version_id', v_version.id,
    'version', v_version.version);
end $$;
