-- A job's counters are one row that every step of it changes, so steps that run at the same time wait for each other from
-- the change to the commit. They are changed last, and what does not need them is done by then.

create or replace function public.claim_item(p_job uuid, p_worker text, p_lease_seconds double precision)
returns jsonb language plpgsql set search_path = '' as $$
declare
  v_job public.batch_jobs;
  v_item public.batch_items;
  v_paid public.batch_items;
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
    perform public.give_up_attempt(p_job, v_item.id);
  elsif v_job.status = 'paused' then
    return jsonb_build_object('outcome', 'paused', 'job', public.job_view(p_job));
  elsif v_job.status = 'processing' and coalesce(v_job.next_attempt_at <= v_now, true)
    and (v_job.delivery = 'direct' or v_job.preview is not null) then
    -- A preview is only ever made longer or ended, so one that was read before its lock hands out too little.
    select * into v_item from public.batch_items
    where job_id = p_job and status = 'queued' and (next_attempt_at is null or next_attempt_at <= v_now)
      and (v_job.preview is null or position <= v_job.preview)
    order by position limit 1 for no key update skip locked;
  end if;
  if v_item.id is null then
    return case when v_job.preview is not null and v_job.status = 'processing'
      then public.hold_preview(p_job) else public.nothing_to_claim(p_job) end;
  end if;

  v_may_call := v_job.status <> 'cancelled' and v_item.attempts - v_item.refunds < v_job.max_attempts;
  v_reserve := case when v_may_call and (v_item.attempts = 0 or not public.is_answered(v_item))
    then v_item.reserve_usd else 0 end;
  if v_job.budget_usd is not null and v_reserve > 0 then
    select * into v_counts from public.batch_counts where job_id = p_job for no key update;
    if v_counts.spent_usd + v_counts.possible_usd + v_counts.reserved_usd + v_reserve > v_job.budget_usd then
      -- What is paid for already goes on, whatever is left.
      select * into v_paid from public.batch_items i
      where job_id = p_job and status = 'queued' and (next_attempt_at is null or next_attempt_at <= v_now)
        and attempts > earlier_attempts and public.is_answered(i)
        and (v_job.preview is null or position <= v_job.preview)
      order by position limit 1 for no key update skip locked;
      if v_paid.id is not null then
        v_item := v_paid;
        v_may_call := v_item.attempts - v_item.refunds < v_job.max_attempts;
        v_reserve := 0;
      elsif v_counts.processing > 0 then
        return jsonb_build_object('outcome', 'wait', 'seconds', 1, 'job', public.job_view(p_job));
      else
        update public.batch_jobs set status = 'paused', pause_reason = format(
          'The budget of $%s is used up: $%s is spent or may have been, and the next item may cost $%s.',
          round(v_job.budget_usd, 2), round(v_counts.spent_usd + v_counts.possible_usd, 4), round(v_reserve, 4))
        where id = p_job and status in ('queued', 'processing');
        perform public.log_job(p_job, null, 'warning', 'Batch job paused: the budget is used up');
        return jsonb_build_object('outcome', 'paused', 'job', public.job_view(p_job));
      end if;
    end if;
  end if;

  insert into public.attempts (item_id, job_id, number, token, worker, model, outcome, reserved_usd)
  values (v_item.id, p_job, v_item.attempts + 1, v_token, p_worker, v_job.model,
    case when v_may_call then 'started' else 'skipped' end, v_reserve)
  returning id into v_attempt;
  -- Of what every step of a job changes, its counters, last: from here on the others wait for this commit.
  update public.batch_items set status = 'processing', token = v_token, worker = p_worker,
    lease_until = v_now + make_interval(secs => p_lease_seconds), attempts = attempts + 1,
    claimed_at = v_now, next_attempt_at = null
  where id = v_item.id;
  perform public.add_money(p_job, 0, 0, v_reserve);
  return jsonb_build_object('outcome', 'claimed', 'item_id', v_item.id, 'job_id', p_job,
    'position', v_item.position, 'token', v_token, 'attempt_id', v_attempt, 'attempt', v_item.attempts + 1,
    'claimed_at', v_now, 'tries', v_item.attempts + 1 - v_item.earlier_attempts, 'crashes', v_item.crashes,
    'may_call', v_may_call, 'parameters', v_item.parameters,
    'template_version_id', v_item.template_version_id, 'writer', v_job.writer, 'model', v_job.model,
    'max_tokens', v_job.max_tokens, 'turns', v_job.turns, 'seed', v_job.seed, 'retry_cut', v_job.retry_cut,
    -- Earlier attempts whose answer may be stored, or is known to be, newest first.
    'answers', case when v_item.attempts > 0 then (
      select coalesce(jsonb_agg(jsonb_build_object('number', number, 'worker', worker,
        'is_stored', outcome = 'stored' and number > v_item.earlier_attempts) order by number desc), '[]')
      from public.attempts
      where item_id = v_item.id and outcome in ('stored', 'unknown', 'started') and not judged
        and number <= v_item.attempts) else '[]' end);
end $$;

create or replace function public.complete_item(p_item uuid, p_token uuid, p_attempt jsonb, p_conversation jsonb)
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
  if v_item.status = 'completed' and exists (select 1 from public.attempts
    where item_id = p_item and token = p_token and number = v_item.attempts) then
    -- Done already: the answer to the same step was lost on its way, and it is told again.
    return jsonb_build_object('outcome', 'completed', 'conversation_id', v_item.conversation_id,
      'finished', (select status = 'completed' from public.batch_jobs where id = v_item.job_id),
      'job', public.job_view(v_item.job_id));
  end if;
  if v_item.status <> 'processing' or v_item.token <> p_token then
    perform public.record_attempt(p_item, p_token, p_attempt);
    perform public.log_job(v_item.job_id, p_item, 'warning',
      format('Item %s... was answered late; the answer is kept beside the other', left(p_item::text, 8)));
    return jsonb_build_object('outcome', 'fenced', 'job', public.job_view(v_item.job_id));
  end if;
  select * into v_job from public.batch_jobs where id = v_item.job_id;

  v_conversation := case when v_job.kind = 'judge' then public.record_verdict(v_item, p_conversation)
    else public.insert_conversation(v_item, v_job.writer, p_conversation) end;
  insert into public.job_log (job_id, item_id, message) values (v_item.job_id, p_item,
    format('Item %s... completed (conversation: %s...)', left(p_item::text, 8), left(v_conversation::text, 8)));
  perform public.record_attempt(p_item, p_token, p_attempt); -- which changes the counters, as the item's end does
  update public.batch_items set status = 'completed',
    conversation_id = case when v_job.kind = 'write' then v_conversation end, token = null,
    lease_until = null, worker = null, error_code = null, error_message = null,
    cost_usd = (select sum(a.cost_usd) from public.attempts a where a.item_id = p_item),
    ended_at = clock_timestamp()
  where id = p_item;
  v_finished := public.finish_job(v_item.job_id);
  return jsonb_build_object('outcome', 'completed', 'conversation_id', v_conversation,
    'finished', v_finished, 'job', public.job_view(v_item.job_id));
end $$;

-- Steps that come at the same time are one transaction: one commit, one wait for the counters.
create function public.claim_items(p_job uuid, p_workers text[], p_lease_seconds double precision) returns jsonb
language plpgsql set search_path = '' as $$
declare
  v_worker text;
  v_answer jsonb;
  v_answers jsonb := '[]';
begin
  perform from public.batch_jobs where id = p_job for no key update; -- before any counter, whatever a claim meets
  foreach v_worker in array p_workers loop
    v_answer := public.claim_item(p_job, v_worker, p_lease_seconds);
    v_answers := v_answers || jsonb_build_array(v_answer);
    exit when v_answer ->> 'outcome' <> 'claimed';
  end loop;
  return v_answers;
end $$;

create function public.complete_items(p_steps jsonb) returns jsonb
language plpgsql set search_path = '' as $$
declare
  v_step jsonb;
  v_answers jsonb := '[]';
begin
  -- Every item before the counters, as one step alone does, so that no two wait for each other.
  perform 1 from public.batch_items
  where id in (select (s ->> 'item')::uuid from jsonb_array_elements(p_steps) s) order by id for no key update;
  for v_step in select s from jsonb_array_elements(p_steps) s loop
    v_answers := v_answers || jsonb_build_array(public.complete_item((v_step ->> 'item')::uuid,
      (v_step ->> 'token')::uuid, v_step -> 'attempt', v_step -> 'conversation'));
  end loop;
  return v_answers;
end $$;

revoke execute on function public.claim_items(uuid, text[], double precision), public.complete_items(jsonb)
from public, anon, authenticated;
grant execute on function public.claim_items(uuid, text[], double precision), public.complete_items(jsonb) to service_role;
