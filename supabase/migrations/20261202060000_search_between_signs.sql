-- Words are found whatever stands around them. PostgreSQL's parser takes what looks like a tag, an address, a path, a
-- number with its sign for one word, or for none: `script` was not found in `<script>`, nor `or` in `and/or`, nor 15 in
-- 10-15. Those signs are spaces now, in the texts and in what is asked alike.
create or replace function public.words_of(p_turns jsonb) returns tsvector
language sql immutable set search_path = '' cost 5000 as $$
  select to_tsvector('pg_catalog.simple', translate(coalesce(
    left((select string_agg(t ->> 'content', ' ') from jsonb_array_elements(p_turns) t), 200000), ''),
    '<>&/@.+-', '        '))
$$;

-- A minus before a word excludes it; within one it is a sign like others.
create function public.words_asked(p_text text) returns tsquery
language sql immutable set search_path = '' as $$
  select websearch_to_tsquery('pg_catalog.simple',
    translate(regexp_replace(p_text, '(\w)-(?=\w)', '\1 ', 'g'), '<>&/@.+', '       '))
$$;
revoke execute on function public.words_asked(text) from public, anon, authenticated;
grant execute on function public.words_asked(text) to authenticated, service_role;

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
        || 'x.words @@ public.words_asked(%1$L) and not exists (select from '
        || 'public.conversation_texts_due d where d.conversation_id = x.conversation_id) union all '
        || 'select d.conversation_id from public.conversation_texts_due d cross join lateral (select n.turns '
        || 'from public.conversations n where n.id = d.conversation_id offset 0) y where public.words_of(y.turns) '
        || '@@ public.words_asked(%1$L))'
    end;
    if v_form is null then
      raise exception 'A filter knows no %', v_key using errcode = 'invalid_parameter_value';
    end if;
    v_all := v_all || ' and ' || format(v_form, v_value);
  end loop;
  return v_all;
end $$;

-- Only what such signs stand in is taken apart again.
insert into public.conversation_texts_due (conversation_id)
select id from public.conversations where turns::text ~ '[<>&/@+]|[[:alnum:]][.][[:alnum:]]|[0-9]-[0-9]'
on conflict do nothing;
