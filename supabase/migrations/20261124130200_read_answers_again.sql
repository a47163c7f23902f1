-- Stored answers read again, for nothing: after the parser or a rule has improved.

-- Every answer that is stored or may be, of an item that has ended: of a completed one only the answer its
-- conversation came from. Newest first within an item.
create view public.answer_rows with (security_invoker = true) as
select a.item_id, a.job_id, i.position, i.status, i.attempts, i.parameters, i.template_version_id, a.number,
  a.raw_path, a.error_code, a.started_at, k.id as conversation_id, k.row_version,
  k.status as conversation_status, k.created_at
from public.attempts a
join public.batch_items i on i.id = a.item_id
left join public.conversations k on k.item_id = i.id
where a.outcome in ('stored', 'unknown')
  and ((i.status = 'failed' and k.id is null) or (i.status = 'completed' and a.raw_path = k.raw_path));
revoke all on public.answer_rows from public, anon, authenticated;
grant select on public.answer_rows to service_role;

create function public.insert_conversation(p_item public.batch_items, p_writer text, p_conversation jsonb)
returns uuid language plpgsql set search_path = '' as $$
declare
  v_conversation uuid;
begin
  insert into public.conversations (conversation_id, item_id, job_id, template_version_id, name, writer,
    model, tier, persona_key, arc_key, topic_key, parameters, system_text, turns, turn_count, word_count,
    first_words, quality_score, quality, validation, flags, has_blockers, enrichment_status,
    enrichment_error, raw_path, final_path, enriched_path, cost_usd)
  select c.conversation_id, p_item.id, p_item.job_id, p_item.template_version_id, c.name, p_writer,
    c.model, c.tier, c.persona_key, c.arc_key, c.topic_key, c.parameters, c.system_text, c.turns,
    c.turn_count, c.word_count, c.first_words, c.quality_score, c.quality, c.validation, c.flags,
    c.has_blockers, c.enrichment_status, c.enrichment_error, c.raw_path, c.final_path, c.enriched_path,
    coalesce(c.cost_usd, 0)
  from jsonb_populate_record(null::public.conversations, p_conversation) c
  on conflict (item_id) do nothing
  returning id into v_conversation;
  if v_conversation is null then
    select id into v_conversation from public.conversations where item_id = p_item.id;
  end if;
  return v_conversation;
end $$;

-- A failed item whose stored answer has become readable. Nothing was called: the ledger's entry of that
-- answer is corrected, and the item ends as it would have. Outcomes: completed, changed, missing.
create function public.reparse_item(p_item uuid, p_attempts integer, p_attempt jsonb, p_conversation jsonb)
returns jsonb language plpgsql set search_path = '' as $$
declare
  v_item public.batch_items;
  v_job public.batch_jobs;
  v_old public.attempts;
  v_conversation uuid;
begin
  select j.* into v_job from public.batch_jobs j join public.batch_items i on i.job_id = j.id
  where i.id = p_item for no key update of j;
  select * into v_item from public.batch_items where id = p_item for no key update;
  if not found then
    return jsonb_build_object('outcome', 'missing');
  elsif v_item.status <> 'failed' or v_item.attempts <> p_attempts then
    return jsonb_build_object('outcome', 'changed'); -- somebody retries it
  end if;
  select * into strict v_old from public.attempts
  where item_id = p_item and number = (p_attempt ->> 'number')::integer;
  perform public.record_attempt(p_item, v_old.token, p_attempt);
  v_conversation := public.insert_conversation(v_item, v_job.writer, p_conversation);
  update public.batch_items set status = 'completed', conversation_id = v_conversation, error_code = null,
    error_message = null, cost_usd = cost_usd + coalesce((p_attempt ->> 'cost_usd')::numeric, 0) - v_old.cost_usd
  where id = p_item;
  update public.batch_jobs set status = 'completed' where id = v_job.id and status = 'failed';
  perform public.log_job(v_job.id, p_item, 'info', format(
    'Item %s... completed from its stored answer (conversation: %s...)', left(p_item::text, 8),
    left(v_conversation::text, 8)));
  return jsonb_build_object('outcome', 'completed', 'conversation_id', v_conversation);
end $$;

-- A conversation read from its answer again: as it stands now, unless a person has decided on it or it
-- changed meanwhile. Outcomes: rescored, same, decided, changed, missing.
create function public.rescore_conversation(p_id uuid, p_row_version integer, p_conversation jsonb)
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

revoke execute on function public.insert_conversation(public.batch_items, text, jsonb),
  public.reparse_item(uuid, integer, jsonb, jsonb), public.rescore_conversation(uuid, integer, jsonb)
  from public, anon, authenticated;
grant execute on function public.insert_conversation(public.batch_items, text, jsonb),
  public.reparse_item(uuid, integer, jsonb, jsonb), public.rescore_conversation(uuid, integer, jsonb)
  to service_role;
