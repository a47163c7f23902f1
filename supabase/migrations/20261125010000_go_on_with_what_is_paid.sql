-- An item whose answer is stored is never called for again, so it needs nothing of a budget: it goes on although
-- the budget is used up, and a job that has such an item can be resumed.

create function public.is_answered(p_item public.batch_items) returns boolean
language sql stable set search_path = '' as $$
  select p_item.attempts > p_item.earlier_attempts and exists (
    select 1 from public.attempts
    where item_id = p_item.id and outcome = 'stored' and not judged and number > p_item.earlier_attempts);
$$;

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
  elsif v_job.status = 'processing' and coalesce(v_job.next_attempt_at <= v_now, true) then
    select * into v_item from public.batch_items
    where job_id = p_job and status = 'queued' and (next_attempt_at is null or next_attempt_at <= v_now)
    order by position limit 1 for no key update skip locked;
  end if;
  if v_item.id is null then
    return public.nothing_to_claim(p_job);
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

-- `next_usd` and `worst_usd` are of calls: what waits with its answer stored needs none.
create or replace function public.budget_outlook(p_job uuid) returns jsonb
language sql stable set search_path = '' as $$
  with waiting as (
    select i.position, i.reserve_usd, public.is_answered(i) as answered
    from public.batch_items i where i.job_id = p_job and i.status = 'queued'
  )
  select jsonb_build_object(
    'status', j.status, 'budget_usd', j.budget_usd, 'spent_usd', c.spent_usd,
    'possible_usd', c.possible_usd, 'reserved_usd', c.reserved_usd,
    'left_usd', j.budget_usd - c.spent_usd - c.possible_usd - c.reserved_usd,
    'waiting', c.queued, 'processing', c.processing,
    'answered', (select count(*) from waiting where answered),
    'next_usd', coalesce((select reserve_usd from waiting where not answered order by position limit 1), 0),
    'worst_usd', coalesce((select sum(reserve_usd) from waiting where not answered), 0),
    'ended', c.completed + c.failed)
  from public.batch_jobs j join public.batch_counts c on c.job_id = j.id where j.id = p_job
$$;

revoke execute on function public.is_answered(public.batch_items) from public, anon, authenticated;
grant execute on function public.is_answered(public.batch_items) to service_role;
