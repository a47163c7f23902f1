-- Searching reads no text but those that are due, and what there is to choose from is read in one pass.

-- About a millisecond: a plan that takes it for the price of a comparison reads every text there is.
alter function public.words_of(jsonb) cost 5000;

-- A filter as a condition on `c`; every value is quoted, and a key nobody knows is refused, never skipped.
create or replace function public.filter_condition(p_filter jsonb) returns text
language plpgsql stable set search_path = '' as $$
declare
  v_all text := 'true';
  v_key text;
  v_value text;
  v_form text;
begin
  for v_key, v_value in select key, value from jsonb_each_text(p_filter) where value is not null loop
    v_form := case
      when v_key in ('status', 'writer', 'model', 'tier', 'persona_key', 'arc_key', 'topic_key')
        then format('c.%I = %%L', v_key)
      when v_key in ('job_id', 'import_id', 'template_version_id') then format('c.%I = %%L::uuid', v_key)
      when v_key = 'min_score' then 'c.quality_score >= %L::numeric'
      when v_key = 'max_score' then 'c.quality_score <= %L::numeric'
      when v_key = 'min_turns' then 'c.turn_count >= %L::integer'
      when v_key = 'max_turns' then 'c.turn_count <= %L::integer'
      when v_key = 'min_words' then 'c.word_count >= %L::integer'
      when v_key = 'max_words' then 'c.word_count <= %L::integer'
      when v_key = 'since' then 'c.created_at >= %L::date'
      when v_key = 'until' then 'c.created_at < %L::date + 1'
      when v_key = 'flag' then 'c.flags @> array[%L]'
      when v_key = 'blocked' then 'c.has_blockers = %L::boolean'
      -- What is due is read as it stands, so that a search misses nothing.
      when v_key = 'text' then 'c.id in (select x.conversation_id from public.conversation_texts x where '
        || 'x.words @@ websearch_to_tsquery(''pg_catalog.simple'', %1$L) and not exists (select from '
        || 'public.conversation_texts_due d where d.conversation_id = x.conversation_id) union all '
        || 'select d.conversation_id from public.conversation_texts_due d cross join lateral (select n.turns '
        || 'from public.conversations n where n.id = d.conversation_id offset 0) y where public.words_of(y.turns) '
        || '@@ websearch_to_tsquery(''pg_catalog.simple'', %1$L))'
    end;
    if v_form is null then
      raise exception 'A filter knows no %', v_key using errcode = 'invalid_parameter_value';
    end if;
    v_all := v_all || ' and ' || format(v_form, v_value);
  end loop;
  return v_all;
end $$;

-- What there is to choose from.
create or replace function public.conversation_facets() returns jsonb
language sql stable set search_path = '' as $$
  with kinds as (
    select distinct writer, model, template_version_id, flags from public.conversations
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
