-- What is known of a conversation only beside others or by a judge: marks, each a finding of its own kind. Rules
-- write flags whenever a text is assessed; marks are about one text, go with it, and their codes stand among
-- the flags so that one filter finds both. Setting a mark is no change of the conversation: whoever reads it
-- decides as before.

alter table public.conversations add column marks jsonb not null default '[]'
  check (jsonb_typeof(marks) = 'array');

create function public.mark_codes() returns text[]
language sql immutable set search_path = '' as $$
  select array['NEAR_DUPLICATE', 'JUDGED_LOW', 'EVIDENCE_NOT_FOUND']
$$;

-- The flags that rules set.
create function public.rule_flags(p_flags text[]) returns text[]
language sql immutable set search_path = '' as $$
  select coalesce(array_agg(f order by n), '{}') from unnest(p_flags) with ordinality u(f, n)
  where f <> all (public.mark_codes())
$$;

create function public.carry_marks() returns trigger
language plpgsql set search_path = '' as $$
begin
  if new.turns is distinct from old.turns then
    new.marks := '[]';
  end if;
  new.flags := public.rule_flags(new.flags)
    || array(select distinct m ->> 'code' from jsonb_array_elements(new.marks) m order by 1);
  return new;
end $$;
create trigger conversations_marks before update of turns, flags, marks on public.conversations
for each row execute function public.carry_marks();

-- Sets the marks of some codes on conversations, given as [{"id", "version", "marks"}]; what was marked so before
-- goes, and a text that has changed meanwhile is left alone. Returns how many conversations have such a mark now.
create function public.mark_conversations(p_codes text[], p_rows jsonb) returns integer
language plpgsql set search_path = '' as $$
declare
  v_marked integer;
begin
  perform from public.conversations
  where id in (select (r ->> 'id')::uuid from jsonb_array_elements(p_rows) r) order by id for no key update;
  with given as (
    select (r ->> 'id')::uuid as id, (r ->> 'version')::integer as version, r -> 'marks' as marks
    from jsonb_array_elements(p_rows) r
  ), due as (
    select c.id, c.marks as old_marks, g.marks || coalesce((select jsonb_agg(m) from jsonb_array_elements(c.marks) m
      where m ->> 'code' <> all (p_codes)), '[]') as new_marks, g.marks <> '[]' as is_marked
    from given g join public.conversations c on c.id = g.id and c.version = g.version
  ), changed as (
    update public.conversations c set marks = d.new_marks from due d
    where c.id = d.id and d.new_marks <> d.old_marks
  )
  select count(*) filter (where is_marked) into v_marked from due;
  return v_marked;
end $$;

-- As before, but what a mark adds to the flags is no difference.
create or replace function public.rescore_conversation(p_id uuid, p_row_version integer, p_conversation jsonb)
returns text language plpgsql set search_path = '' as $$
declare
  v_old public.conversations;
  v_new public.conversations := jsonb_populate_record(null::public.conversations, p_conversation);
begin
  select * into v_old from public.conversations where id = p_id for no key update;
  if not found then
    return 'missing';
  elsif v_old.status <> 'pending_review' then
    return 'decided';
  elsif exists (select 1 from public.corrections where conversation_id = p_id) then
    return 'corrected';
  elsif v_old.row_version <> p_row_version then
    return 'changed';
  elsif (v_old.turns, v_old.quality_score, v_old.quality, v_old.validation, public.rule_flags(v_old.flags),
      v_old.has_blockers)
    is not distinct from
    (v_new.turns, v_new.quality_score, v_new.quality, v_new.validation, v_new.flags, v_new.has_blockers) then
    return 'same';
  end if;
  update public.conversations set turns = v_new.turns, turn_count = v_new.turn_count,
    word_count = v_new.word_count, first_words = v_new.first_words, quality_score = v_new.quality_score,
    quality = v_new.quality, validation = v_new.validation, flags = v_new.flags,
    has_blockers = v_new.has_blockers, enrichment_status = 'not_started', row_version = row_version + 1,
    updated_at = clock_timestamp()
  where id = p_id;
  return 'rescored';
end $$;

revoke execute on function public.mark_codes(), public.rule_flags(text[]), public.carry_marks(),
  public.mark_conversations(text[], jsonb), public.rescore_conversation(uuid, integer, jsonb)
from public, anon, authenticated;
grant execute on function public.mark_codes(), public.rule_flags(text[]), public.carry_marks(),
  public.mark_conversations(text[], jsonb), public.rescore_conversation(uuid, integer, jsonb)
to service_role;
