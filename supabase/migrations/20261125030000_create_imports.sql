-- Conversations that came from a file: every entry of it accounted for, and none taken twice.

create table public.imports (
  id uuid primary key default gen_random_uuid(),
  name text not null check (length(name) between 1 and 255),
  file_name text not null,
  file_digest text not null, -- SHA-256 of the file as it was given
  status text not null default 'processing' check (status in ('processing', 'completed')),
  entries integer not null default 0 check (entries >= 0), -- read so far: where a broken import goes on
  imported integer not null default 0,
  refused integer not null default 0,
  duplicates integer not null default 0,
  blank integer not null default 0,
  created_by text not null,
  created_at timestamptz not null default clock_timestamp(),
  completed_at timestamptz,
  constraint imports_accounted check (entries = imported + refused + duplicates + blank)
);
create index imports_newest_idx on public.imports (created_at desc, id);
create unique index imports_open_idx on public.imports (file_digest, name) where status = 'processing';

alter table public.conversations
  add column import_id uuid references public.imports (id),
  add column import_line integer, -- where the entry begins in its file
  add column content_digest text; -- of an imported conversation's messages
create index conversations_import_idx on public.conversations (import_id, import_line) where import_id is not null;
create unique index conversations_content_idx on public.conversations (content_digest)
  where content_digest is not null;

create table public.import_lines (
  import_id uuid not null references public.imports (id) on delete cascade,
  entry integer not null check (entry >= 1),
  line integer not null check (line >= 1),
  outcome text not null check (outcome in ('imported', 'refused', 'duplicate', 'blank')),
  reason text,
  conversation_id uuid references public.conversations (id) on delete set null, -- a duplicate's first
  primary key (import_id, entry)
);
create index import_lines_conversation_idx on public.import_lines (conversation_id)
  where conversation_id is not null;
create index import_lines_unused_idx on public.import_lines (import_id, entry)
  where outcome in ('refused', 'duplicate');

-- Opens an import, or goes on with one of the same file and name that was broken off.
create function public.open_import(p_name text, p_file_name text, p_digest text, p_actor text) returns jsonb
language plpgsql set search_path = '' as $$
declare
  v_import public.imports;
begin
  insert into public.imports (name, file_name, file_digest, created_by)
  values (p_name, p_file_name, p_digest, p_actor)
  on conflict (file_digest, name) where status = 'processing' do nothing;
  select * into strict v_import from public.imports
  where file_digest = p_digest and name = p_name and status = 'processing';
  return to_jsonb(v_import);
end $$;

-- Which of these messages are here already, and where they came from.
create function public.known_contents(p_digests jsonb) returns jsonb
language sql stable set search_path = '' as $$
  select coalesce(jsonb_object_agg(c.content_digest, jsonb_build_object('id', c.id, 'line', c.import_line,
    'import_id', c.import_id, 'name', i.name)), '{}')
  from public.conversations c join public.imports i on i.id = c.import_id
  where c.content_digest in (select jsonb_array_elements_text(p_digests))
$$;

-- Takes the next entries of a file, all or none. `p_after` is how many were taken before: whoever comes
-- second with the same entries changes nothing and learns how far the import is.
create function public.take_import_entries(p_import uuid, p_after integer, p_entries jsonb) returns jsonb
language plpgsql set search_path = '' as $$
declare
  v_import public.imports;
  v_taken jsonb;
begin
  select * into v_import from public.imports where id = p_import for update;
  if v_import.id is null or v_import.status <> 'processing' or v_import.entries <> p_after then
    return jsonb_build_object('outcome', 'elsewhere', 'import', to_jsonb(v_import));
  end if;
  with given as (
    select (e ->> 'line')::integer as line, p_after + n::integer as entry, e ->> 'outcome' as outcome,
      e ->> 'reason' as reason, e -> 'conversation' as row
    from jsonb_array_elements(p_entries) with ordinality as x(e, n)
  ), made as (
    insert into public.conversations (conversation_id, name, writer, model, tier, persona_key, arc_key,
      topic_key, parameters, system_text, turns, turn_count, word_count, first_words, quality_score, quality,
      validation, flags, has_blockers, enrichment_status, raw_path, final_path, enriched_path, import_id,
      import_line, content_digest)
    select r.conversation_id, r.name, r.writer, r.model, r.tier, r.persona_key, r.arc_key, r.topic_key,
      r.parameters, r.system_text, r.turns, r.turn_count, r.word_count, r.first_words, r.quality_score,
      r.quality, r.validation, r.flags, r.has_blockers, r.enrichment_status, r.raw_path, r.final_path,
      r.enriched_path, p_import, g.line, r.content_digest
    from given g cross join lateral jsonb_populate_record(null::public.conversations, g.row) r
    where g.outcome = 'imported' order by g.entry
    on conflict (content_digest) where content_digest is not null do nothing
    returning id, conversation_id, content_digest
  )
  select coalesce(jsonb_object_agg(conversation_id, id), '{}') into v_taken from made;

  insert into public.import_lines (import_id, entry, line, outcome, reason, conversation_id)
  select p_import, p_after + x.n::integer, (x.e ->> 'line')::integer,
    case when x.e ->> 'outcome' = 'imported' and mine.id is null then 'duplicate' else x.e ->> 'outcome' end,
    case when x.e ->> 'outcome' in ('imported', 'duplicate') and mine.id is null then
      'The same conversation is line ' || coalesce(first.import_line::text, '?') || ' of '
        || case when first.import_id = p_import then 'this file.'
          else 'the import “' || coalesce(source.name, '?') || '”.' end
      else x.e ->> 'reason' end,
    coalesce(mine.id, first.id)
  from jsonb_array_elements(p_entries) with ordinality as x(e, n)
  left join lateral (select (v_taken ->> (x.e #>> '{conversation,conversation_id}'))::uuid as id) mine on true
  left join public.conversations first on first.content_digest = x.e #>> '{conversation,content_digest}'
  left join public.imports source on source.id = first.import_id;

  update public.imports i set entries = i.entries + d.entries, imported = i.imported + d.imported,
    refused = i.refused + d.refused, duplicates = i.duplicates + d.duplicates, blank = i.blank + d.blank
  from (
    select count(*) as entries, count(*) filter (where outcome = 'imported') as imported,
      count(*) filter (where outcome = 'refused') as refused,
      count(*) filter (where outcome = 'duplicate') as duplicates,
      count(*) filter (where outcome = 'blank') as blank
    from public.import_lines where import_id = p_import and entry > p_after
  ) d where i.id = p_import returning i.* into v_import;
  return jsonb_build_object('outcome', 'taken', 'import', to_jsonb(v_import), 'conversations', v_taken);
end $$;

-- Ends an import whose last entry was taken.
create function public.complete_import(p_import uuid) returns jsonb
language plpgsql set search_path = '' as $$
declare
  v_import public.imports;
begin
  update public.imports set status = 'completed', completed_at = coalesce(completed_at, clock_timestamp())
  where id = p_import returning * into v_import;
  return to_jsonb(v_import);
end $$;

do $$
declare
  v_table text;
begin
  foreach v_table in array array['imports', 'import_lines'] loop
    execute format('alter table public.%I enable row level security', v_table);
    execute format('alter table public.%I force row level security', v_table);
    execute format('revoke all on public.%I from public, anon, authenticated', v_table);
    execute format('grant select, insert, update, delete on public.%I to service_role', v_table);
  end loop;
end $$;
revoke execute on function public.open_import(text, text, text, text), public.known_contents(jsonb),
  public.take_import_entries(uuid, integer, jsonb), public.complete_import(uuid)
from public, anon, authenticated;
grant execute on function public.open_import(text, text, text, text), public.known_contents(jsonb),
  public.take_import_entries(uuid, integer, jsonb), public.complete_import(uuid)
to service_role;
