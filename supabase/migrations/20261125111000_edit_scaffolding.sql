-- Personas, emotional arcs and topics as people edit them: many at once or none, and never deleted while used.

create function public.save_scaffolding(p_kind text, p_rows jsonb) returns integer
language plpgsql set search_path = '' as $$
declare
  v_saved integer;
begin
  if p_kind = 'persona' then
    insert into public.personas as t (persona_key, name, archetype, age_range, occupation, income_range,
      demographics, financial_background, financial_situation, communication_style, emotional_baseline,
      typical_questions, common_concerns, language_patterns, is_active)
    select persona_key, name, archetype, age_range, occupation, income_range, demographics,
      financial_background, financial_situation, communication_style, emotional_baseline, typical_questions,
      common_concerns, language_patterns, is_active
    from jsonb_populate_recordset(null::public.personas, p_rows)
    on conflict (persona_key) do update set name = excluded.name, archetype = excluded.archetype,
      age_range = excluded.age_range, occupation = excluded.occupation, income_range = excluded.income_range,
      demographics = excluded.demographics, financial_background = excluded.financial_background,
      financial_situation = excluded.financial_situation, communication_style = excluded.communication_style,
      emotional_baseline = excluded.emotional_baseline, typical_questions = excluded.typical_questions,
      common_concerns = excluded.common_concerns, language_patterns = excluded.language_patterns,
      is_active = excluded.is_active, updated_at = clock_timestamp();
  elsif p_kind = 'arc' then
    insert into public.emotional_arcs as t (arc_key, name, category, tier, starting_emotion,
      starting_intensity_min, starting_intensity_max, ending_emotion, ending_intensity_min,
      ending_intensity_max, arc_strategy, key_principles, characteristic_phrases, response_techniques,
      avoid_tactics, typical_turn_count_min, typical_turn_count_max, suitable_personas, suitable_topics,
      is_active)
    select arc_key, name, category, tier, starting_emotion, starting_intensity_min, starting_intensity_max,
      ending_emotion, ending_intensity_min, ending_intensity_max, arc_strategy, key_principles,
      characteristic_phrases, response_techniques, avoid_tactics, typical_turn_count_min,
      typical_turn_count_max, suitable_personas, suitable_topics, is_active
    from jsonb_populate_recordset(null::public.emotional_arcs, p_rows)
    on conflict (arc_key) do update set name = excluded.name, category = excluded.category,
      tier = excluded.tier, starting_emotion = excluded.starting_emotion,
      starting_intensity_min = excluded.starting_intensity_min,
      starting_intensity_max = excluded.starting_intensity_max, ending_emotion = excluded.ending_emotion,
      ending_intensity_min = excluded.ending_intensity_min,
      ending_intensity_max = excluded.ending_intensity_max, arc_strategy = excluded.arc_strategy,
      key_principles = excluded.key_principles, characteristic_phrases = excluded.characteristic_phrases,
      response_techniques = excluded.response_techniques, avoid_tactics = excluded.avoid_tactics,
      typical_turn_count_min = excluded.typical_turn_count_min,
      typical_turn_count_max = excluded.typical_turn_count_max,
      suitable_personas = excluded.suitable_personas, suitable_topics = excluded.suitable_topics,
      is_active = excluded.is_active, updated_at = clock_timestamp();
  else
    insert into public.training_topics as t (topic_key, name, category, description, complexity_level,
      typical_question_examples, key_concepts, suitable_personas, suitable_emotional_arcs, is_active)
    select topic_key, name, category, description, complexity_level, typical_question_examples, key_concepts,
      suitable_personas, suitable_emotional_arcs, is_active
    from jsonb_populate_recordset(null::public.training_topics, p_rows)
    on conflict (topic_key) do update set name = excluded.name, category = excluded.category,
      description = excluded.description, complexity_level = excluded.complexity_level,
      typical_question_examples = excluded.typical_question_examples, key_concepts = excluded.key_concepts,
      suitable_personas = excluded.suitable_personas,
      suitable_emotional_arcs = excluded.suitable_emotional_arcs, is_active = excluded.is_active,
      updated_at = clock_timestamp();
  end if;
  get diagnostics v_saved = row_count;
  return v_saved;
end $$;

-- How often each key of a kind is used: by items (conversations come of them), imported conversations, and
-- templates or other scaffolding that name it.
create function public.scaffolding_uses(p_kind text) returns jsonb
language sql stable set search_path = '' as $$
  with used as (
    select parameters ->> (p_kind || '_key') as key from public.batch_items
    union all
    select case p_kind when 'persona' then persona_key when 'arc' then arc_key else topic_key end
    from public.conversations where item_id is null
    union all
    select case p_kind when 'arc' then arc_key end from public.templates
    union all
    select unnest(case p_kind when 'persona' then suitable_personas when 'topic' then suitable_topics end)
    from public.templates
    union all
    select unnest(case p_kind when 'persona' then suitable_personas when 'topic' then suitable_topics end)
    from public.emotional_arcs
    union all
    select unnest(case p_kind when 'persona' then suitable_personas when 'arc' then suitable_emotional_arcs end)
    from public.training_topics
  )
  select coalesce(jsonb_object_agg(key, uses), '{}')
  from (select key, count(*) as uses from used where key is not null group by key) u
$$;

-- Takes one away where nothing uses it; else it is only not offered any more.
create function public.remove_scaffolding(p_kind text, p_key text) returns jsonb
language plpgsql set search_path = '' as $$
declare
  v_table text := case p_kind when 'persona' then 'personas' when 'arc' then 'emotional_arcs'
    else 'training_topics' end;
  v_uses bigint;
  v_rows integer;
begin
  execute format('select 1 from public.%I where %I = $1 for update', v_table, p_kind || '_key') using p_key;
  get diagnostics v_rows = row_count;
  if v_rows = 0 then
    return jsonb_build_object('outcome', 'missing');
  end if;
  v_uses := coalesce((public.scaffolding_uses(p_kind) ->> p_key)::bigint, 0);
  if v_uses > 0 then
    execute format('update public.%I set is_active = false, updated_at = clock_timestamp() where %I = $1',
      v_table, p_kind || '_key') using p_key;
    return jsonb_build_object('outcome', 'deactivated', 'uses', v_uses);
  end if;
  execute format('delete from public.%I where %I = $1', v_table, p_kind || '_key') using p_key;
  return jsonb_build_object('outcome', 'removed', 'uses', 0);
end $$;

revoke execute on function public.save_scaffolding(text, jsonb), public.scaffolding_uses(text),
  public.remove_scaffolding(text, text) from public, anon, authenticated;
grant execute on function public.save_scaffolding(text, jsonb), public.scaffolding_uses(text),
  public.remove_scaffolding(text, text) to service_role;
