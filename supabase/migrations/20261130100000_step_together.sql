-- Steps that come together are one statement each where they are alike: a claim of items nobody had before, an end of
-- items that became conversations. What is not so, or is not so for one of them, goes item by item, as before.

-- What each of several endings took counts, not only the last one's.
create or replace function public.count_changed_items() returns trigger
language plpgsql set search_path = '' as $$
declare
  v_one record;
begin
  if (select count(*) from new_items) = 1 then
    select n.job_id, n.status, n.error_code, o.status as was, e.ended_at,
      extract(epoch from e.ended_at - n.claimed_at)::double precision as took
    into v_one
    from new_items n cross join old_items o
    left join lateral (
      select n.ended_at where n.status in ('completed', 'failed') and o.status = 'processing') e on true;
    if v_one.status = v_one.was then
      return null;
    end if;
    update public.batch_counts c set
      queued = c.queued + (v_one.status = 'queued')::integer - (v_one.was = 'queued')::integer,
      processing = c.processing + (v_one.status = 'processing')::integer - (v_one.was = 'processing')::integer,
      completed = c.completed + (v_one.status = 'completed')::integer - (v_one.was = 'completed')::integer,
      failed = c.failed + (v_one.status = 'failed')::integer - (v_one.was = 'failed')::integer,
      cancelled = c.cancelled + (v_one.status = 'cancelled')::integer - (v_one.was = 'cancelled')::integer,
      failures_in_a_row = case v_one.status when 'completed' then 0
        when 'failed' then c.failures_in_a_row + 1 else c.failures_in_a_row end,
      refusals_in_a_row = case when v_one.status = 'completed' then 0
        when v_one.status <> 'failed' then c.refusals_in_a_row
        when v_one.error_code = 'refusal' then c.refusals_in_a_row + 1 else 0 end,
      last_ended_at = coalesce(v_one.ended_at, c.last_ended_at),
      pace_seconds = case when v_one.ended_at is null then c.pace_seconds else
        0.9 * coalesce(c.pace_seconds, v_one.took) + 0.1 * greatest(0, least(v_one.took,
          coalesce(extract(epoch from v_one.ended_at - c.last_ended_at), v_one.took))) end
    where c.job_id = v_one.job_id;
    return null;
  end if;

  update public.batch_counts c set
    queued = c.queued + d.queued,
    processing = c.processing + d.processing,
    completed = c.completed + d.completed,
    failed = c.failed + d.failed,
    cancelled = c.cancelled + d.cancelled,
    failures_in_a_row = case when d.completed > 0 then 0 else c.failures_in_a_row + greatest(0, d.failed) end,
    refusals_in_a_row = case when d.completed > 0 or d.failed > 0 then 0 else c.refusals_in_a_row end,
    last_ended_at = case when d.ended > 0 then coalesce(d.ended_at, c.last_ended_at) else c.last_ended_at end,
    -- Each has its share of the gap to the ending before, but never more than it took itself: a pause is not work.
    pace_seconds = case when d.ended_at is null or d.ended = 0 then c.pace_seconds else
      power(0.9, d.ended) * coalesce(c.pace_seconds, d.took) + (1 - power(0.9, d.ended)) * greatest(0, least(d.took,
        coalesce(extract(epoch from d.ended_at - c.last_ended_at)::double precision / d.ended, d.took))) end
  from (
    select job_id,
      coalesce(sum(step) filter (where status = 'queued'), 0) as queued,
      coalesce(sum(step) filter (where status = 'processing'), 0) as processing,
      coalesce(sum(step) filter (where status = 'completed'), 0) as completed,
      coalesce(sum(step) filter (where status = 'failed'), 0) as failed,
      coalesce(sum(step) filter (where status = 'cancelled'), 0) as cancelled,
      -- Those that had ended before are no endings: a price that goes up changes them too.
      greatest(0, coalesce(sum(step) filter (where status in ('completed', 'failed')), 0))::double precision as ended,
      max(ended_at) filter (where step = 1 and status in ('completed', 'failed')) as ended_at,
      max(extract(epoch from ended_at - claimed_at)::double precision)
        filter (where step = 1 and status in ('completed', 'failed')) as took
    from (
      select job_id, status, 1 as step, ended_at, claimed_at from new_items
      union all
      select job_id, status, -1, null, null from old_items
    ) s group by job_id
  ) d
  where c.job_id = d.job_id;
  return null;
end $$;

-- A text that is new is due as one of many; one that changes, as before.
create function public.note_new_texts() returns trigger
language plpgsql set search_path = '' as $$
begin
  insert into public.conversation_texts_due (conversation_id) select n.id from new_rows n
  on conflict (conversation_id) do update set since = excluded.since;
  return null;
end $$;
drop trigger conversations_note_text on public.conversations;
create trigger conversations_note_text after update of turns on public.conversations
for each row execute function public.note_conversation_text();
create trigger conversations_note_new after insert on public.conversations
referencing new table as new_rows for each statement execute function public.note_new_texts();

-- Does for several attempts of one job, given as [{"id", "attempt"}], what record_attempt does for one: a statement
-- for all costs less than one for each, and more than one for one. The same of insert_conversations below.
create function public.close_attempts(p_job uuid, p_closed jsonb) returns void
language plpgsql set search_path = '' as $$
declare
  -- Here and below: where rows are named by an array, they are looked up, however large their table is.
  v_ids uuid[] := array(select (g ->> 'id')::uuid from jsonb_array_elements(p_closed) g);
  v_spent numeric;
  v_possible numeric;
  v_reserved numeric;
begin
  with closed as (
    update public.attempts a set
      outcome = g.attempt ->> 'outcome', reserved_usd = 0,
      cost_usd = coalesce((g.attempt ->> 'cost_usd')::numeric, 0),
      -- An answer that does not say what it used may have cost all that was reserved.
      possible_usd = case when g.attempt ->> 'outcome' = 'unknown'
          or (g.attempt ->> 'outcome' = 'stored' and g.attempt ->> 'cost_usd' is null)
        then greatest(a.reserved_usd, a.possible_usd) else 0 end,
      input_tokens = coalesce((g.attempt ->> 'input_tokens')::integer, 0),
      output_tokens = coalesce((g.attempt ->> 'output_tokens')::integer, 0),
      cache_read_tokens = coalesce((g.attempt ->> 'cache_read_tokens')::integer, 0),
      cache_write_tokens = coalesce((g.attempt ->> 'cache_write_tokens')::integer, 0),
      request = coalesce(g.attempt -> 'request', a.request),
      request_id = coalesce(g.attempt ->> 'request_id', a.request_id),
      stop_reason = g.attempt ->> 'stop_reason', raw_path = g.attempt ->> 'raw_path',
      error_code = g.attempt ->> 'error_code', error_message = g.attempt ->> 'error_message',
      refusal_category = g.attempt ->> 'refusal_category',
      refusal_explanation = g.attempt ->> 'refusal_explanation',
      judged = coalesce((g.attempt ->> 'judged')::boolean, false),
      ended_at = clock_timestamp()
    from jsonb_to_recordset(p_closed) g (id uuid, attempt jsonb), public.attempts o
    where o.id = g.id and a.id = g.id and o.id = any (v_ids) and a.id = any (v_ids)
    returning a.cost_usd - o.cost_usd as spent, a.possible_usd - o.possible_usd as possible,
      a.reserved_usd - o.reserved_usd as reserved
  )
  select sum(c.spent), sum(c.possible), sum(c.reserved) into v_spent, v_possible, v_reserved from closed c;
  perform public.add_money(p_job, v_spent, v_possible, v_reserved);
end $$;

-- Makes the conversations of items, given as [{"item", "conversation"}]; one that is there stays as it is.
create function public.insert_conversations(p_writer text, p_written jsonb) returns void
language plpgsql set search_path = '' as $$
declare
  v_items uuid[] := array(select (g ->> 'item')::uuid from jsonb_array_elements(p_written) g);
begin
  insert into public.conversations (conversation_id, item_id, job_id, template_version_id, name, writer,
    model, tier, persona_key, arc_key, topic_key, parameters, system_text, turns, turn_count, word_count,
    first_words, quality_score, quality, validation, flags, has_blockers, enrichment_status,
    enrichment_error, raw_path, final_path, enriched_path, cost_usd)
  select c.conversation_id, i.id, i.job_id, i.template_version_id, c.name, p_writer,
    c.model, c.tier, c.persona_key, c.arc_key, c.topic_key, c.parameters, c.system_text, c.turns,
    c.turn_count, c.word_count, c.first_words, c.quality_score, c.quality, c.validation, c.flags,
    c.has_blockers, c.enrichment_status, c.enrichment_error, c.raw_path, c.final_path, c.enriched_path,
    coalesce(c.cost_usd, 0)
  from jsonb_to_recordset(p_written) g (item uuid, conversation jsonb)
  join public.batch_items i on i.id = g.item
  cross join lateral jsonb_populate_record(null::public.conversations, g.conversation) c
  where i.id = any (v_items)
  order by i.id
  on conflict (item_id) do nothing;
end $$;

create or replace function public.complete_items(p_steps jsonb) returns jsonb
language plpgsql set search_path = '' as $$
declare
  v_job public.batch_jobs;
  v_items uuid[] := array(select (s ->> 'item')::uuid from jsonb_array_elements(p_steps) s);
  v_own jsonb;
  v_step jsonb;
  v_view jsonb;
  v_finished boolean;
  v_answers jsonb := '[]';
begin
  -- Every item before the counters, as one step alone does, so that no two wait for each other.
  perform 1 from public.batch_items where id = any (v_items) order by id for no key update;
  select j.* into v_job from public.batch_items i join public.batch_jobs j on j.id = i.job_id
  where i.id = v_items[1];
  -- Those who still have their item, each with an answer of its own and not an earlier one's.
  select jsonb_agg(jsonb_build_object('id', a.id, 'attempt', s.attempt)) into v_own
  from jsonb_to_recordset(p_steps) s (item uuid, token uuid, attempt jsonb)
  join public.batch_items i on i.id = s.item and i.token = s.token and i.status = 'processing'
  join public.attempts a on a.item_id = s.item and a.token = s.token and a.number = (s.attempt ->> 'number')::integer
  where i.id = any (v_items) and a.item_id = any (v_items) and i.job_id = v_job.id;
  if v_job.kind is distinct from 'write' or jsonb_array_length(v_own) is distinct from cardinality(v_items) then
    for v_step in select s from jsonb_array_elements(p_steps) s loop
      v_answers := v_answers || jsonb_build_array(public.complete_item((v_step ->> 'item')::uuid,
        (v_step ->> 'token')::uuid, v_step -> 'attempt', v_step -> 'conversation'));
    end loop;
    return v_answers;
  end if;

  perform public.insert_conversations(v_job.writer, p_steps);
  insert into public.job_log (job_id, item_id, message)
  select v_job.id, c.item_id,
    format('Item %s... completed (conversation: %s...)', left(c.item_id::text, 8), left(c.id::text, 8))
  from public.conversations c where c.item_id = any (v_items) order by array_position(v_items, c.item_id);
  perform public.close_attempts(v_job.id, v_own); -- which changes the counters, as the items' ends do
  update public.batch_items i set status = 'completed', conversation_id = c.id, token = null,
    lease_until = null, worker = null, error_code = null, error_message = null,
    cost_usd = (select sum(a.cost_usd) from public.attempts a where a.item_id = i.id),
    ended_at = clock_timestamp()
  from public.conversations c where c.item_id = i.id and c.item_id = any (v_items) and i.id = any (v_items);
  v_finished := public.finish_job(v_job.id);
  v_view := public.job_view(v_job.id);
  return (
    select jsonb_agg(jsonb_build_object('outcome', 'completed', 'conversation_id', c.id,
      'finished', v_finished and s.n = cardinality(v_items), 'job', v_view) order by s.n)
    from unnest(v_items) with ordinality s (item, n) join public.conversations c on c.item_id = s.item
    where c.item_id = any (v_items));
end $$;

create or replace function public.claim_items(p_job uuid, p_workers text[], p_lease_seconds double precision) returns jsonb
language plpgsql set search_path = '' as $$
declare
  v_job public.batch_jobs;
  v_now timestamptz;
  v_items uuid[];
  v_are_new boolean;
  v_reserve numeric;
  v_worker text;
  v_answer jsonb;
  v_answers jsonb := '[]';
begin
  perform from public.batch_jobs where id = p_job for no key update; -- before any counter, whatever a claim meets
  perform public.reclaim_items(p_job);
  select * into v_job from public.batch_jobs where id = p_job;
  v_now := clock_timestamp();
  if v_job.status = 'processing' and v_job.budget_usd is null and v_job.preview is null
    and v_job.delivery = 'direct' and coalesce(v_job.next_attempt_at <= v_now, true) then
    select array_agg(i.id order by i.position), bool_and(i.attempts = 0) into v_items, v_are_new
    from (
      select id, position, attempts from public.batch_items
      where job_id = p_job and status = 'queued' and (next_attempt_at is null or next_attempt_at <= v_now)
      order by position limit cardinality(p_workers) for no key update skip locked
    ) i;
  end if;
  if v_are_new then
    with given as (
      select u.n, u.item, u.worker, gen_random_uuid() as token
      from rows from (unnest(v_items), unnest(p_workers)) with ordinality u (item, worker, n)
      where u.item is not null
    ), made as (
      insert into public.attempts (item_id, job_id, number, token, worker, model, outcome, reserved_usd)
      select g.item, p_job, 1, g.token, g.worker, v_job.model, 'started', i.reserve_usd
      from given g join public.batch_items i on i.id = g.item
      where i.id = any (v_items)
      returning id, item_id, reserved_usd
    ), leased as (
      update public.batch_items i set status = 'processing', token = g.token, worker = g.worker,
        lease_until = v_now + make_interval(secs => p_lease_seconds), attempts = 1,
        claimed_at = v_now, next_attempt_at = null
      from given g where i.id = g.item and i.id = any (v_items)
      returning g.n, i.id, i.position, i.token, i.parameters, i.template_version_id, i.earlier_attempts, i.crashes
    )
    select sum(m.reserved_usd), jsonb_agg(jsonb_build_object('outcome', 'claimed', 'item_id', l.id, 'job_id', p_job,
      'position', l.position, 'token', l.token, 'attempt_id', m.id, 'attempt', 1, 'claimed_at', v_now,
      'tries', 1 - l.earlier_attempts, 'crashes', l.crashes, 'may_call', true, 'parameters', l.parameters,
      'template_version_id', l.template_version_id, 'writer', v_job.writer, 'model', v_job.model,
      'max_tokens', v_job.max_tokens, 'turns', v_job.turns, 'seed', v_job.seed, 'retry_cut', v_job.retry_cut,
      'answers', '[]'::jsonb) order by l.n)
    into v_reserve, v_answers
    from leased l join made m on m.item_id = l.id;
    perform public.add_money(p_job, 0, 0, v_reserve);
  end if;
  foreach v_worker in array p_workers[jsonb_array_length(v_answers) + 1:] loop
    v_answer := public.claim_item(p_job, v_worker, p_lease_seconds);
    v_answers := v_answers || jsonb_build_array(v_answer);
    exit when v_answer ->> 'outcome' <> 'claimed';
  end loop;
  return v_answers;
end $$;

revoke execute on function public.note_new_texts(), public.close_attempts(uuid, jsonb),
  public.insert_conversations(text, jsonb) from public, anon, authenticated;
grant execute on function public.note_new_texts(), public.close_attempts(uuid, jsonb),
  public.insert_conversations(text, jsonb) to service_role;
