-- One meaning of a filter for lists, counts, decisions and datasets, and indexes that keep it fast.

-- The words of the turns stand apart: a decision rewrites the conversation's row, never its words. Taking a text
-- apart costs twenty times what storing the conversation does, so storing only notes that it is due, and
-- whoever searches or imports sees to it.
create table public.conversation_texts (
  conversation_id uuid primary key references public.conversations (id) on delete cascade,
  words tsvector not null
);
create index conversation_texts_words_idx on public.conversation_texts using gin (words);
create table public.conversation_texts_due (
  conversation_id uuid primary key, -- no foreign key: its check would cost more than the row
  since timestamptz not null default clock_timestamp()
);

-- No language is assumed: words as they stand. The cut keeps any text below the most a tsvector may hold.
create function public.words_of(p_turns jsonb) returns tsvector
language sql immutable set search_path = '' as $$
  select to_tsvector('pg_catalog.simple', coalesce(
    left((select string_agg(t ->> 'content', ' ') from jsonb_array_elements(p_turns) t), 200000), ''))
$$;

-- A row that is due already is locked all the same: nobody takes it off the list before this change is there.
create function public.note_conversation_text() returns trigger
language plpgsql set search_path = '' as $$
begin
  insert into public.conversation_texts_due (conversation_id) values (new.id)
  on conflict (conversation_id) do update set since = excluded.since;
  return null;
end $$;
create trigger conversations_note_text after insert or update of turns on public.conversations
for each row execute function public.note_conversation_text();
insert into public.conversation_texts_due (conversation_id) select id from public.conversations;

-- Takes apart some of the texts that are due; returns how many. Two at once take different ones.
create function public.index_conversation_texts(p_limit integer) returns integer
language plpgsql set search_path = '' as $$
declare
  v_number integer;
begin
  with due as (
    select conversation_id from public.conversation_texts_due limit p_limit for update skip locked
  ), taken as (
    delete from public.conversation_texts_due d using due where d.conversation_id = due.conversation_id
    returning d.conversation_id
  )
  insert into public.conversation_texts (conversation_id, words)
  select c.id, public.words_of(c.turns) from taken t join public.conversations c on c.id = t.conversation_id
  on conflict (conversation_id) do update set words = excluded.words;
  get diagnostics v_number = row_count;
  return v_number;
end $$;

do $$
declare
  v_table text;
begin
  foreach v_table in array array['conversation_texts', 'conversation_texts_due'] loop
    execute format('alter table public.%I enable row level security', v_table);
    execute format('alter table public.%I force row level security', v_table);
    execute format('revoke all on public.%I from public, anon, authenticated', v_table);
    execute format('grant select, insert, update, delete on public.%I to service_role', v_table);
  end loop;
end $$;

create index conversations_score_idx on public.conversations (quality_score desc, id);
create index conversations_words_idx on public.conversations (word_count desc, id);
-- What a count under any filter but words needs, without a look at the rows themselves.
create index conversations_facets_idx on public.conversations (status, persona_key, arc_key, topic_key, tier)
include (writer, model, template_version_id, quality_score, word_count, turn_count, created_at, flags, has_blockers,
  job_id, import_id, id);

-- A filter as a condition on `c`; every value is quoted, and a key nobody knows is refused, never skipped.
create function public.filter_condition(p_filter jsonb) returns text
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
        || 'select d.conversation_id from public.conversation_texts_due d join public.conversations y '
        || 'on y.id = d.conversation_id where public.words_of(y.turns) '
        || '@@ websearch_to_tsquery(''pg_catalog.simple'', %1$L))'
    end;
    if v_form is null then
      raise exception 'A filter knows no %', v_key using errcode = 'invalid_parameter_value';
    end if;
    v_all := v_all || ' and ' || format(v_form, v_value);
  end loop;
  return v_all;
end $$;

create or replace function public.matching_conversations(p_filter jsonb) returns setof public.conversations
language plpgsql stable set search_path = '' as $$
begin
  return query execute 'select c.* from public.conversations c where ' || public.filter_condition(p_filter);
end $$;

create function public.count_conversations(p_filter jsonb) returns bigint
language plpgsql stable set search_path = '' as $$
declare
  v_count bigint;
begin
  execute 'select count(*) from public.conversations c where ' || public.filter_condition(p_filter) into v_count;
  return v_count;
end $$;

create or replace view public.conversation_rows with (security_invoker = true) as
select c.id, c.conversation_id, c.name, c.status, c.quality_score, c.writer, c.model, c.tier, c.persona_key,
  c.arc_key, c.topic_key, c.turn_count, c.word_count, c.first_words, c.flags, c.has_blockers,
  c.enrichment_status, c.job_id, c.row_version, c.version, c.reviewed_by, c.reviewed_at, c.review_reason,
  c.cost_usd, c.created_at, t.name as template_name, v.version as template_version, c.template_version_id,
  c.import_id
from public.conversations c
left join public.template_versions v on v.id = c.template_version_id
left join public.templates t on t.id = v.template_id;

-- One page of a list of `p_total`. From the nearer end, and by the index alone as far as it is skipped.
create function public.page_conversations(p_filter jsonb, p_sort text, p_limit integer, p_offset bigint,
  p_total bigint) returns setof public.conversation_rows
language plpgsql stable set search_path = '' as $$
declare
  v_column text := case p_sort when 'newest' then 'created_at' when 'oldest' then 'created_at'
    when 'best' then 'quality_score' when 'worst' then 'quality_score'
    when 'longest' then 'word_count' when 'shortest' then 'word_count' end;
  v_down boolean := p_sort in ('newest', 'best', 'longest');
  v_limit bigint := least(p_limit, greatest(p_total - p_offset, 0));
  v_back boolean := p_offset > p_total / 2;
  v_order text;
begin
  if v_column is null then
    raise exception 'There is no order %', p_sort using errcode = 'invalid_parameter_value';
  end if;
  v_order := format('c.%I %s, c.id %s', v_column,
    case when v_down <> v_back then 'desc' else 'asc' end, case when v_down <> v_back then 'asc' else 'desc' end);
  return query execute format(
    'select r.* from (select c.id, row_number() over (order by %1$s) as place from public.conversations c
       where %2$s order by %1$s limit %3$s offset %4$s) p
     join public.conversation_rows r on r.id = p.id order by p.place %5$s',
    v_order, public.filter_condition(p_filter), v_limit,
    case when v_back then greatest(p_total - p_offset - v_limit, 0) else p_offset end,
    case when v_back then 'desc' else 'asc' end);
end $$;

-- What there is to choose from.
create function public.conversation_facets() returns jsonb
language sql stable set search_path = '' as $$
  select jsonb_build_object(
    'models', (select coalesce(jsonb_agg(distinct model), '[]') from public.conversations),
    'writers', (select coalesce(jsonb_agg(distinct writer), '[]') from public.conversations),
    'flags', (select coalesce(jsonb_agg(distinct f), '[]') from public.conversations, unnest(flags) f),
    'templates', (
      select coalesce(jsonb_agg(jsonb_build_object('id', v.id, 'name', t.name, 'version', v.version)
        order by t.name, v.version), '[]')
      from (select distinct template_version_id from public.conversations) c
      join public.template_versions v on v.id = c.template_version_id
      join public.templates t on t.id = v.template_id))
$$;

-- Decides on everything that matches a filter, without loading it; blocked rows are never approved.
create or replace function public.decide_matching(p_filter jsonb, p_decision text, p_reason text, p_note text,
  p_reviewer text, p_operation uuid) returns jsonb
language plpgsql set search_path = '' as $$
declare
  v_ids uuid[];
  v_decided integer;
  v_blocked integer;
begin
  -- Locked in one order; what somebody else changed meanwhile is held against the filter again.
  execute 'select array_agg(l.id) from (select c.id from public.conversations c where '
    || public.filter_condition(p_filter) || ' order by c.id for update) l' into v_ids;
  select count(*) into v_blocked from public.conversations c
  where c.id = any (v_ids) and p_decision = 'approved' and c.has_blockers;
  with before as (
    select c.id, c.version, c.status from public.conversations c
    where c.id = any (v_ids) and c.status <> p_decision and not (p_decision = 'approved' and c.has_blockers)
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

revoke execute on function public.words_of(jsonb), public.note_conversation_text(),
  public.index_conversation_texts(integer), public.filter_condition(jsonb), public.matching_conversations(jsonb),
  public.count_conversations(jsonb), public.conversation_facets(),
  public.page_conversations(jsonb, text, integer, bigint, bigint),
  public.decide_matching(jsonb, text, text, text, text, uuid)
from public, anon, authenticated;
grant execute on function public.words_of(jsonb), public.note_conversation_text(),
  public.index_conversation_texts(integer), public.filter_condition(jsonb), public.matching_conversations(jsonb),
  public.count_conversations(jsonb), public.conversation_facets(),
  public.page_conversations(jsonb, text, integer, bigint, bigint),
  public.decide_matching(jsonb, text, text, text, text, uuid)
to service_role;
