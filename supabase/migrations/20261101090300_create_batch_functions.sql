-- Every step of a batch that must be atomic. Time is always the database's own clock.
-- Lock order in all of them: job row, then items, then counters; so no two can wait for each other.
-- Locks leave the keys alone (no key update), because every log line takes a key share of its job.

create function public.log_job(p_job uuid, p_item uuid, p_level text, p_message text) returns void
language sql set search_path = '' as $$
  insert into public.job_log (job_id, item_id, level, message) values (p_job, p_item, p_level, p_message);
$$;

-- One job with its counters and its pace, at a cost that does not grow with the job.
create function public.job_view(p_job uuid) returns jsonb
language sql stable set search_path = '' as $$
  select to_jsonb(j) || to_jsonb(c) || jsonb_build_object(
    'seconds_left', c.pace_seconds * (c.queued + c.processing),
    'rate_per_minute', 60 / nullif(c.pace_seconds, 0))
  from public.batch_jobs j join public.batch_counts c on c.job_id = j.id where j.id = p_job;
$$;

-- A job and all its items, or nothing.
create function public.create_job(p_job jsonb, p_items jsonb) returns jsonb
language plpgsql set search_path = '' as $$
declare
  v_job uuid := coalesce((p_job ->> 'id')::uuid, gen_random_uuid());
begin
  insert into public.batch_jobs (id, name, template_id, writer, model, max_tokens, turns, seed,
    stop_on_error, budget_usd, max_attempts, total_items, created_by)
  values (v_job, p_job ->> 'name', (p_job ->> 'template_id')::uuid, p_job ->> 'writer', p_job ->> 'model',
    (p_job ->> 'max_tokens')::integer, (p_job ->> 'turns')::integer, coalesce((p_job ->> 'seed')::bigint, 0),
    coalesce((p_job ->> 'stop_on_error')::boolean, false), (p_job ->> 'budget_usd')::numeric,
    coalesce((p_job ->> 'max_attempts')::integer, 5), jsonb_array_length(p_items), p_job ->> 'created_by');

  insert into public.batch_items
    (job_id, position, parameters, fingerprint, template_version_id, template_choice, reserve_usd)
  select v_job, i.position, i.parameters, i.fingerprint, i.template_version_id,
    coalesce(i.template_choice, ''), coalesce(i.reserve_usd, 0)
  from jsonb_to_recordset(p_items) as i(position integer, parameters jsonb, fingerprint text,
    template_version_id uuid, template_choice text, reserve_usd numeric);

  update public.templates t set usage_count = t.usage_count + u.uses
  from (
    select v.template_id, count(*) as uses
    from public.batch_items i join public.template_versions v on v.id = i.template_version_id
    where i.job_id = v_job group by v.template_id
  ) u where t.id = u.template_id;

  perform public.log_job(v_job, null, 'info', format('Batch job created by %s: %s items, writer %s, model %s',
    p_job ->> 'created_by', jsonb_array_length(p_items), p_job ->> 'writer', p_job ->> 'model'));
  return public.job_view(v_job);
end $$;

-- Ends a job in which nothing is queued or processing. The caller's own change has locked the counters,
-- so that of two last items exactly one sees zero.
create function public.finish_job(p_job uuid) returns boolean
language plpgsql set search_path = '' as $$
declare
  v_counts public.batch_counts;
begin
  select * into v_counts from public.batch_counts where job_id = p_job;
  if v_counts.queued > 0 or v_counts.processing > 0 then
    return false;
  end if;
  update public.batch_jobs set
    status = case when v_counts.completed > 0 then 'completed' else 'failed' end,
    pause_reason = null, completed_at = clock_timestamp()
  where id = p_job and status in ('queued', 'processing', 'paused');
  if found then
    perform public.log_job(p_job, null, 'info', format('Batch job complete - %s successful, %s failed',
      v_counts.completed, v_counts.failed));
  end if;
  return found;
end $$;

-- Items whose worker vanished go back to the queue; their calls may have been paid for and are listed so.
create function public.reclaim_items(p_job uuid) returns integer
language plpgsql set search_path = '' as $$
declare
  v_item record;
  v_count integer := 0;
  v_max integer;
  v_possible numeric;
begin
  if not exists (select 1 from public.batch_items
    where job_id = p_job and status = 'processing' and lease_until < clock_timestamp()) then
    return 0;
  end if;
  select max_attempts into v_max from public.batch_jobs where id = p_job and status <> 'cancelled';
  if not found then
    return 0; -- of a cancelled job, claim_item hands them out one by one to look for a stored answer
  end if;
  for v_item in
    select id, crashes from public.batch_items
    where job_id = p_job and status = 'processing' and lease_until < clock_timestamp()
    order by position for no key update skip locked
  loop
    update public.attempts set outcome = 'unknown', possible_usd = reserved_usd, reserved_usd = 0,
      error_code = 'worker_vanished', error_message = 'The worker vanished during this attempt.',
      ended_at = clock_timestamp()
    where item_id = v_item.id and outcome = 'started' returning possible_usd into v_possible;
    if found then
      perform public.add_money(p_job, 0, v_possible, -v_possible);
    end if;
    if v_item.crashes + 1 >= 2 * v_max then
      update public.batch_items set status = 'failed', crashes = crashes + 1, token = null, worker = null,
        lease_until = null, error_code = 'crashed', ended_at = clock_timestamp(),
        error_message = format('Its worker vanished %s times.', v_item.crashes + 1)
      where id = v_item.id;
    else
      update public.batch_items set status = 'queued', crashes = crashes + 1, token = null, worker = null,
        lease_until = null, next_attempt_at = null
      where id = v_item.id;
    end if;
    perform public.log_job(p_job, v_item.id, 'warning',
      format('Item %s... was taken back: its worker vanished', left(v_item.id::text, 8)));
    v_count := v_count + 1;
  end loop;
  perform public.finish_job(p_job);
  return v_count;
end $$;

create function public.pause_job(p_job uuid, p_reason text, p_actor text) returns jsonb
language plpgsql set search_path = '' as $$
declare
  v_status text;
begin
  select status into v_status from public.batch_jobs where id = p_job for no key update;
  if not found then
    return jsonb_build_object('outcome', 'missing');
  elsif v_status = 'paused' then
    return jsonb_build_object('outcome', 'already', 'job', public.job_view(p_job));
  elsif v_status not in ('queued', 'processing') then
    return jsonb_build_object('outcome', 'refused', 'status', v_status, 'job', public.job_view(p_job));
  end if;
  update public.batch_jobs set status = 'paused', pause_reason = p_reason where id = p_job;
  perform public.log_job(p_job, null, 'warning', format('Batch job paused by %s: %s', p_actor, p_reason));
  return jsonb_build_object('outcome', 'ok', 'job', public.job_view(p_job));
end $$;

create function public.resume_job(p_job uuid, p_actor text) returns jsonb
language plpgsql set search_path = '' as $$
declare
  v_job public.batch_jobs;
begin
  select * into v_job from public.batch_jobs where id = p_job for no key update;
  if not found then
    return jsonb_build_object('outcome', 'missing');
  elsif v_job.status in ('queued', 'processing') then
    return jsonb_build_object('outcome', 'already', 'job', public.job_view(p_job));
  elsif v_job.status <> 'paused' then
    return jsonb_build_object('outcome', 'refused', 'status', v_job.status, 'job', public.job_view(p_job));
  end if;
  update public.batch_jobs set pause_reason = null,
    status = case when started_at is null then 'queued' else 'processing' end where id = p_job;
  update public.batch_items set next_attempt_at = null
  where job_id = p_job and status = 'queued' and next_attempt_at is not null;
  perform public.log_job(p_job, null, 'info', format('Batch job resumed by %s', p_actor));
  perform public.finish_job(p_job);
  return jsonb_build_object('outcome', 'ok', 'job', public.job_view(p_job));
end $$;

-- What is in flight was paid for and will be kept; everything that waits is cancelled.
create function public.cancel_job(p_job uuid, p_actor text) returns jsonb
language plpgsql set search_path = '' as $$
declare
  v_status text;
  v_cancelled integer;
begin
  select status into v_status from public.batch_jobs where id = p_job for no key update;
  if not found then
    return jsonb_build_object('outcome', 'missing');
  elsif v_status = 'cancelled' then
    return jsonb_build_object('outcome', 'already', 'job', public.job_view(p_job));
  elsif v_status in ('completed', 'failed') then
    return jsonb_build_object('outcome', 'refused', 'status', v_status, 'job', public.job_view(p_job));
  end if;
  update public.batch_jobs set status = 'cancelled', pause_reason = null, completed_at = clock_timestamp()
  where id = p_job;
  update public.batch_items set status = 'cancelled', next_attempt_at = null
  where job_id = p_job and status = 'queued';
  get diagnostics v_cancelled = row_count;
  perform public.log_job(p_job, null, 'warning',
    format('Batch job cancelled by %s: %s items were not written', p_actor, v_cancelled));
  return jsonb_build_object('outcome', 'ok', 'cancelled', v_cancelled, 'job', public.job_view(p_job));
end $$;

-- Failed items start again with fresh attempts; answers already judged useless are not looked at again.
create function public.retry_failed(p_job uuid, p_actor text) returns jsonb
language plpgsql set search_path = '' as $$
declare
  v_status text;
  v_retried integer;
begin
  select status into v_status from public.batch_jobs where id = p_job for no key update;
  if not found then
    return jsonb_build_object('outcome', 'missing');
  elsif v_status = 'cancelled' then
    return jsonb_build_object('outcome', 'refused', 'status', v_status, 'job', public.job_view(p_job));
  end if;
  update public.batch_items set status = 'queued', refunds = attempts, crashes = 0, error_code = null,
    error_message = null, next_attempt_at = null, ended_at = null, claimed_at = null
  where job_id = p_job and status = 'failed';
  get diagnostics v_retried = row_count;
  if v_retried > 0 then
    update public.batch_jobs set status = 'queued', completed_at = null
    where id = p_job and status in ('completed', 'failed');
    perform public.log_job(p_job, null, 'info', format('%s failed items queued again by %s', v_retried, p_actor));
  end if;
  return jsonb_build_object('outcome', 'ok', 'retried', v_retried, 'job', public.job_view(p_job));
end $$;

-- Leases one item. Outcomes: claimed, wait, paused, done, missing.
create function public.claim_item(p_job uuid, p_worker text, p_lease_seconds double precision) returns jsonb
language plpgsql set search_path = '' as $$
declare
  v_job public.batch_jobs;
  v_item public.batch_items;
  v_counts public.batch_counts;
  v_token uuid := gen_random_uuid();
  v_attempt uuid;
  v_now timestamptz;
  v_may_call boolean;
  v_reserve numeric;
begin
  perform public.reclaim_items(p_job);
  select * into v_job from public.batch_jobs where id = p_job;
  if not found then
    return jsonb_build_object('outcome', 'missing');
  end if;
  -- Whatever may change the job locks it before any item: its start here, a used-up budget below.
  if v_job.budget_usd is not null then
    select * into v_job from public.batch_jobs where id = p_job for no key update;
  end if;
  if v_job.status = 'queued' then
    update public.batch_jobs set status = 'processing',
      started_at = coalesce(started_at, clock_timestamp())
    where id = p_job and status = 'queued';
    select * into v_job from public.batch_jobs where id = p_job;
  end if;
  v_now := clock_timestamp();
  if v_job.status = 'cancelled' then
    -- Only items left behind by a vanished worker: their answer may be stored and must be kept.
    select * into v_item from public.batch_items
    where job_id = p_job and status = 'processing' and lease_until < v_now
    order by position limit 1 for no key update skip locked;
  elsif v_job.status = 'paused' then
    return jsonb_build_object('outcome', 'paused', 'job', public.job_view(p_job));
  elsif v_job.status = 'processing' then
    select * into v_item from public.batch_items
    where job_id = p_job and status = 'queued' and (next_attempt_at is null or next_attempt_at <= v_now)
    order by position limit 1 for no key update skip locked;
  end if;
  if v_item.id is null then
    return public.nothing_to_claim(p_job);
  end if;

  v_may_call := v_job.status <> 'cancelled' and v_item.attempts - v_item.refunds < v_job.max_attempts;
  v_reserve := case when v_may_call then v_item.reserve_usd else 0 end;
  if v_job.budget_usd is not null and v_reserve > 0 then
    select * into v_counts from public.batch_counts where job_id = p_job for no key update;
    if v_counts.spent_usd + v_counts.possible_usd + v_counts.reserved_usd + v_reserve > v_job.budget_usd then
      if v_counts.processing > 0 then
        return jsonb_build_object('outcome', 'wait', 'seconds', 1, 'job', public.job_view(p_job));
      end if;
      update public.batch_jobs set status = 'paused', pause_reason = format(
        'The budget of $%s is used up: $%s is spent or may have been, and the next item may cost $%s.',
        round(v_job.budget_usd, 2), round(v_counts.spent_usd + v_counts.possible_usd, 4), round(v_reserve, 4))
      where id = p_job and status in ('queued', 'processing');
      perform public.log_job(p_job, null, 'warning', 'Batch job paused: the budget is used up');
      return jsonb_build_object('outcome', 'paused', 'job', public.job_view(p_job));
    end if;
  end if;

  update public.batch_items set status = 'processing', token = v_token, worker = p_worker,
    lease_until = v_now + make_interval(secs => p_lease_seconds), attempts = attempts + 1,
    claimed_at = v_now, next_attempt_at = null
  where id = v_item.id;
  insert into public.attempts (item_id, job_id, number, token, worker, model, outcome, reserved_usd)
  values (v_item.id, p_job, v_item.attempts + 1, v_token, p_worker, v_job.model,
    case when v_may_call then 'started' else 'skipped' end, v_reserve)
  returning id into v_attempt;
  perform public.add_money(p_job, 0, 0, v_reserve);
  return jsonb_build_object('outcome', 'claimed', 'item_id', v_item.id, 'job_id', p_job,
    'position', v_item.position, 'token', v_token, 'attempt_id', v_attempt, 'attempt', v_item.attempts + 1,
    'may_call', v_may_call, 'parameters', v_item.parameters,
    'template_version_id', v_item.template_version_id, 'writer', v_job.writer, 'model', v_job.model,
    'max_tokens', v_job.max_tokens, 'turns', v_job.turns, 'seed', v_job.seed,
    'judged', case when v_item.attempts > 0 then (
      select coalesce(jsonb_agg(number), '[]') from public.attempts
      where item_id = v_item.id and outcome = 'stored' and error_code is not null) else '[]' end);
end $$;

-- Why there is nothing to claim: held elsewhere, not yet due, or at an end.
create function public.nothing_to_claim(p_job uuid) returns jsonb
language plpgsql set search_path = '' as $$
declare
  v_due timestamptz;
  v_status text;
begin
  perform public.finish_job(p_job);
  select status into v_status from public.batch_jobs where id = p_job;
  if v_status in ('completed', 'failed')
    or (v_status = 'cancelled' and not exists (
      select 1 from public.batch_items where job_id = p_job and status = 'processing')) then
    return jsonb_build_object('outcome', 'done', 'job', public.job_view(p_job));
  end if;
  select min(due) into v_due from (
    (select lease_until as due from public.batch_items
      where job_id = p_job and status = 'processing' order by lease_until limit 1)
    union all
    (select min(next_attempt_at) from public.batch_items where job_id = p_job and status = 'queued')
  ) d;
  return jsonb_build_object('outcome', 'wait',
    'seconds', greatest(0.1, least(5, coalesce(extract(epoch from v_due - clock_timestamp()), 1))),
    'job', public.job_view(p_job));
end $$;

-- The ledger's entry for the answer an item went on from: what it used and cost.
create function public.record_attempt(p_item uuid, p_token uuid, p_attempt jsonb) returns void
language plpgsql set search_path = '' as $$
declare
  v_old public.attempts;
  v_new public.attempts;
begin
  select * into v_old from public.attempts
  where item_id = p_item and number = (p_attempt ->> 'number')::integer
    and (token = p_token or outcome in ('unknown', 'started'));
  if found then
    update public.attempts set
      outcome = p_attempt ->> 'outcome', reserved_usd = 0,
      cost_usd = coalesce((p_attempt ->> 'cost_usd')::numeric, 0),
      possible_usd = case when p_attempt ->> 'outcome' = 'unknown'
        then greatest(reserved_usd, possible_usd) else 0 end,
      input_tokens = coalesce((p_attempt ->> 'input_tokens')::integer, 0),
      output_tokens = coalesce((p_attempt ->> 'output_tokens')::integer, 0),
      cache_read_tokens = coalesce((p_attempt ->> 'cache_read_tokens')::integer, 0),
      cache_write_tokens = coalesce((p_attempt ->> 'cache_write_tokens')::integer, 0),
      request = coalesce(p_attempt -> 'request', request),
      request_id = coalesce(p_attempt ->> 'request_id', request_id),
      stop_reason = p_attempt ->> 'stop_reason', raw_path = p_attempt ->> 'raw_path',
      error_code = p_attempt ->> 'error_code', error_message = p_attempt ->> 'error_message',
      ended_at = clock_timestamp()
    where id = v_old.id returning * into v_new;
    perform public.add_money(v_old.job_id, v_new.cost_usd - v_old.cost_usd,
      v_new.possible_usd - v_old.possible_usd, v_new.reserved_usd - v_old.reserved_usd);
  end if;
  if v_old.token is distinct from p_token then
    -- An attempt that went on from an earlier answer made no call of its own.
    select * into v_old from public.attempts where item_id = p_item and token = p_token;
    if found then
      update public.attempts set outcome = 'skipped', reserved_usd = 0, ended_at = clock_timestamp()
      where id = v_old.id;
      perform public.add_money(v_old.job_id, 0, 0, -v_old.reserved_usd);
    end if;
  end if;
end $$;

-- The conversation, the item and the ledger in one step, guarded by the fencing token.
create function public.complete_item(p_item uuid, p_token uuid, p_attempt jsonb, p_conversation jsonb)
returns jsonb language plpgsql set search_path = '' as $$
declare
  v_item public.batch_items;
  v_job public.batch_jobs;
  v_conversation uuid;
  v_finished boolean;
begin
  select * into v_item from public.batch_items where id = p_item for no key update;
  if not found then
    return jsonb_build_object('outcome', 'missing');
  end if;
  perform public.record_attempt(p_item, p_token, p_attempt);
  if v_item.status <> 'processing' or v_item.token <> p_token then
    perform public.log_job(v_item.job_id, p_item, 'warning',
      format('Item %s... was answered late; the answer is kept beside the other', left(p_item::text, 8)));
    return jsonb_build_object('outcome', 'fenced', 'job', public.job_view(v_item.job_id));
  end if;
  select * into v_job from public.batch_jobs where id = v_item.job_id;

  insert into public.conversations (conversation_id, item_id, job_id, template_version_id, name, writer,
    model, tier, persona_key, arc_key, topic_key, parameters, system_text, turns, turn_count, word_count,
    first_words, quality_score, quality, validation, flags, has_blockers, enrichment_status,
    enrichment_error, raw_path, final_path, enriched_path, cost_usd)
  select c.conversation_id, p_item, v_item.job_id, v_item.template_version_id, c.name, v_job.writer,
    c.model, c.tier, c.persona_key, c.arc_key, c.topic_key, c.parameters, c.system_text, c.turns,
    c.turn_count, c.word_count, c.first_words, c.quality_score, c.quality, c.validation, c.flags,
    c.has_blockers, c.enrichment_status, c.enrichment_error, c.raw_path, c.final_path, c.enriched_path,
    coalesce(c.cost_usd, 0)
  from jsonb_populate_record(null::public.conversations, p_conversation) c
  on conflict (item_id) do nothing
  returning id into v_conversation;
  if v_conversation is null then
    select id into v_conversation from public.conversations where item_id = p_item;
  end if;

  update public.batch_items set status = 'completed', conversation_id = v_conversation, token = null,
    lease_until = null, worker = null, error_code = null, error_message = null,
    cost_usd = cost_usd + coalesce((p_attempt ->> 'cost_usd')::numeric, 0), ended_at = clock_timestamp()
  where id = p_item;
  insert into public.job_log (job_id, item_id, message) values (v_item.job_id, p_item,
    format('Item %s... completed (conversation: %s...)', left(p_item::text, 8), left(v_conversation::text, 8)));
  v_finished := public.finish_job(v_item.job_id);
  return jsonb_build_object('outcome', 'completed', 'conversation_id', v_conversation,
    'finished', v_finished, 'job', public.job_view(v_item.job_id));
end $$;

-- An attempt that gave no conversation. Dispositions: failed, retry, pause, cancelled.
create function public.settle_item(p_item uuid, p_token uuid, p_disposition text, p_attempt jsonb,
  p_delay_seconds double precision default 0, p_refund boolean default false,
  p_pause_reason text default null) returns jsonb
language plpgsql set search_path = '' as $$
declare
  v_item public.batch_items;
  v_job public.batch_jobs;
  v_next text := p_disposition;
  v_unknown integer;
  v_finished boolean;
  v_reason text := p_attempt ->> 'error_message';
begin
  -- A pause changes the job: its row is locked before the item's, as everywhere.
  select j.* into v_job from public.batch_jobs j join public.batch_items i on i.job_id = j.id
  where i.id = p_item for no key update of j;
  select * into v_item from public.batch_items where id = p_item for no key update;
  if not found then
    return jsonb_build_object('outcome', 'missing');
  end if;
  perform public.record_attempt(p_item, p_token, p_attempt);
  if v_item.status <> 'processing' or v_item.token <> p_token then
    return jsonb_build_object('outcome', 'fenced', 'job', public.job_view(v_item.job_id));
  end if;

  select count(*) into v_unknown from public.attempts where item_id = p_item and outcome = 'unknown';
  if v_job.status = 'cancelled' and (v_next in ('retry', 'pause') or p_attempt ->> 'outcome' = 'skipped') then
    v_next := 'cancelled';
  elsif v_next = 'retry' and not p_refund and (
    v_item.attempts - v_item.refunds >= v_job.max_attempts
    or (p_attempt ->> 'outcome' = 'unknown' and v_unknown > 2)) then
    v_next := 'failed';
    v_reason := format('%s Given up after %s attempts; retry later.', v_reason, v_item.attempts);
  end if;

  update public.batch_items set token = null, lease_until = null, worker = null,
    status = case v_next when 'retry' then 'queued' when 'pause' then 'queued' else v_next end,
    refunds = refunds + case when p_refund or v_next = 'pause' then 1 else 0 end,
    next_attempt_at = case when v_next = 'retry'
      then clock_timestamp() + make_interval(secs => p_delay_seconds) end,
    error_code = p_attempt ->> 'error_code', error_message = v_reason,
    cost_usd = cost_usd + coalesce((p_attempt ->> 'cost_usd')::numeric, 0),
    ended_at = case when v_next in ('failed', 'cancelled') then clock_timestamp() end
  where id = p_item;
  perform public.log_job(v_item.job_id, p_item, case when v_next = 'failed' then 'error' else 'warning' end,
    format('Item %s... %s: %s', left(p_item::text, 8), case v_next
      when 'retry' then format('will be tried again in %s s', round(p_delay_seconds::numeric, 1))
      when 'pause' then 'was put back' else v_next end, v_reason));

  if v_next = 'pause' or (v_next = 'failed' and v_job.stop_on_error) then
    update public.batch_jobs set status = 'paused', pause_reason = coalesce(p_pause_reason,
      format('An item failed and the job stops on errors: %s', v_reason))
    where id = v_item.job_id and status in ('queued', 'processing');
    if found then
      perform public.log_job(v_item.job_id, null, 'warning',
        format('Batch job paused: %s', coalesce(p_pause_reason, v_reason)));
    end if;
  end if;
  v_finished := public.finish_job(v_item.job_id);
  return jsonb_build_object('outcome', v_next, 'finished', v_finished, 'job', public.job_view(v_item.job_id));
end $$;
