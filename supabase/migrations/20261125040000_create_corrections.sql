-- What people changed in conversations, turn by turn: the turn as it was and as it is. A corrected answer and
-- the one the writer gave are a preference pair; an answer read anew by a better parser is none.

create table public.corrections (
  id uuid primary key default gen_random_uuid(),
  conversation_id uuid not null references public.conversations (id) on delete cascade,
  version integer not null check (version >= 2), -- the one it made
  turn integer not null check (turn >= 1),
  before jsonb not null,
  after jsonb not null,
  note text,
  corrector text not null,
  operation_id uuid not null, -- the entry of the history that tells it
  created_at timestamptz not null default clock_timestamp(),
  constraint corrections_once unique (conversation_id, version)
);
create index corrections_newest_idx on public.corrections (created_at desc);
alter table public.corrections enable row level security;
alter table public.corrections force row level security;
revoke all on public.corrections from public, anon, authenticated;
grant select, insert, delete on public.corrections to service_role;
create trigger corrections_append_only before update or delete on public.corrections
for each row when (pg_trigger_depth() = 0) execute function public.refuse_change();

-- Changes one turn of a conversation as its corrector saw it: a new version, assessed anew by the caller,
-- that waits for a decision, because nobody has decided on it yet. Both the correction and the history keep
-- who did it; an entry of the history also keeps an earlier decision from being undone onto the new text.
-- Outcomes: corrected, same, changed (with who was first, when, and what they did), missing.
create function public.correct_turn(p_id uuid, p_row_version integer, p_turn integer, p_conversation jsonb,
  p_reason text, p_note text, p_actor text, p_operation uuid) returns jsonb
language plpgsql set search_path = '' as $$
declare
  v_old public.conversations;
  v_new public.conversations := jsonb_populate_record(null::public.conversations, p_conversation);
  v_last public.reviews;
begin
  select * into v_old from public.conversations where id = p_id for update;
  if not found then
    return jsonb_build_object('outcome', 'missing');
  elsif v_old.row_version <> p_row_version then
    select * into v_last from public.reviews where conversation_id = p_id order by created_at desc limit 1;
    return jsonb_build_object('outcome', 'changed', 'status', v_old.status, 'by', v_last.reviewer,
      'at', v_last.created_at, 'turn',
      (select turn from public.corrections where operation_id = v_last.operation_id));
  elsif v_old.turns -> (p_turn - 1) is not distinct from v_new.turns -> (p_turn - 1) then
    return jsonb_build_object('outcome', 'same');
  end if;
  update public.conversations set turns = jsonb_set(v_old.turns, array[(p_turn - 1)::text],
      v_new.turns -> (p_turn - 1), false),
    turn_count = v_new.turn_count, word_count = v_new.word_count, first_words = v_new.first_words,
    quality_score = v_new.quality_score, quality = v_new.quality, validation = v_new.validation,
    flags = v_new.flags, has_blockers = v_new.has_blockers, enrichment_status = 'not_started',
    status = 'pending_review', reviewed_by = p_actor, reviewed_at = clock_timestamp(), review_reason = null,
    updated_at = clock_timestamp()
  where id = p_id returning * into v_new;
  insert into public.corrections (conversation_id, version, turn, before, after, note, corrector, operation_id)
  values (p_id, v_new.version, p_turn, v_old.turns -> (p_turn - 1), v_new.turns -> (p_turn - 1), p_note, p_actor,
    p_operation);
  insert into public.reviews (conversation_id, version, decision, previous_status, reason, note, reviewer,
    operation_id)
  values (p_id, v_new.version, 'pending_review', v_old.status, p_reason, p_note, p_actor, p_operation);
  return jsonb_build_object('outcome', 'corrected', 'version', v_new.version, 'row_version', v_new.row_version,
    'previous_status', v_old.status);
end $$;

-- A conversation read from its answer again: as it stands now, unless a person has decided on it or corrected
-- it, or it changed meanwhile. Outcomes: rescored, same, decided, corrected, changed, missing.
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
  elsif (v_old.turns, v_old.quality_score, v_old.quality, v_old.validation, v_old.flags, v_old.has_blockers)
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

-- What a dataset holds; `first_turns` is the version that people began to correct, where they did.
create or replace view public.dataset_contents with (security_invoker = true) as
select r.dataset_id, r.position, r.decision, r.split, r.split_group, r.version, c.id, c.conversation_id, k.writer,
  k.model, k.tier, k.persona_key, k.arc_key, k.topic_key, k.parameters, k.system_text, k.turns,
  o.turns as first_turns, r.quality_score, r.flags, r.reviewed_by, r.reviewed_at, r.review_reason, r.cost_usd,
  c.job_id, c.created_at, t.template_key, v.version as template_version
from public.dataset_rows r
join public.conversations c on c.id = r.conversation_id
cross join lateral (
  select c.writer, c.model, c.tier, c.persona_key, c.arc_key, c.topic_key, c.parameters, c.system_text, c.turns
  where c.version = r.version
  union all
  select w.writer, w.model, w.tier, w.persona_key, w.arc_key, w.topic_key, w.parameters, w.system_text, w.turns
  from public.conversation_versions w
  where w.conversation_id = r.conversation_id and w.version = r.version and c.version <> r.version
) k
left join public.conversation_versions o
  on o.conversation_id = r.conversation_id and r.version > 1 and o.version = (
    select min(x.version) - 1 from public.corrections x
    where x.conversation_id = r.conversation_id and x.version <= r.version)
left join public.template_versions v on v.id = c.template_version_id
left join public.templates t on t.id = v.template_id;
revoke all on public.dataset_contents from public, anon, authenticated;
grant select on public.dataset_contents to service_role;

revoke execute on function public.correct_turn(uuid, integer, integer, jsonb, text, text, text, uuid),
  public.rescore_conversation(uuid, integer, jsonb)
from public, anon, authenticated;
grant execute on function public.correct_turn(uuid, integer, integer, jsonb, text, text, text, uuid),
  public.rescore_conversation(uuid, integer, jsonb)
to service_role;
