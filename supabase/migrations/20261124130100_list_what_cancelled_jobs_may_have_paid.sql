-- A worker that vanished with an item of a cancelled job may have paid as well: its attempt is listed so.

create function public.give_up_attempt(p_job uuid, p_item uuid) returns void
language plpgsql set search_path = '' as $$
declare
  v_possible numeric;
begin
  update public.attempts set outcome = 'unknown', possible_usd = reserved_usd, reserved_usd = 0,
    error_code = 'worker_vanished', error_message = 'The worker vanished during this attempt.',
    ended_at = clock_timestamp()
  where item_id = p_item and outcome = 'started' returning possible_usd into v_possible;
  if found then
    perform public.add_money(p_job, 0, v_possible, -v_possible);
  end if;
end $$;

revoke execute on function public.give_up_attempt(uuid, uuid) from public, anon, authenticated;
grant execute on function public.give_up_attempt(uuid, uuid) to service_role;

create or replace function public.reclaim_items(p_job uuid) returns integer
language plpgsql set search_path = '' as $$
declare
  v_item record;
  v_count integer := 0;
  v_max integer;
  v_stop boolean;
  v_reason text;
begin
  if not exists (select 1 from public.batch_items
    where job_id = p_job and status = 'processing' and lease_until < clock_timestamp()) then
    return 0;
  end if;
  -- Poison items end here, which may pause or end the job: its row is locked before the items'.
  select max_attempts, stop_on_error into v_max, v_stop from public.batch_jobs
  where id = p_job and status <> 'cancelled' for no key update;
  if not found then
    return 0; -- of a cancelled job, claim_item hands them out one by one to look for a stored answer
  end if;
  for v_item in
    select id, crashes from public.batch_items
    where job_id = p_job and status = 'processing' and lease_until < clock_timestamp()
    order by position for no key update skip locked
  loop
    perform public.give_up_attempt(p_job, v_item.id);
    perform public.log_job(p_job, v_item.id, 'warning',
      format('Item %s... was taken back: its worker vanished', left(v_item.id::text, 8)));
    if v_item.crashes + 1 >= 2 * v_max then
      v_reason := format('Its worker vanished %s times.', v_item.crashes + 1);
      update public.batch_items set status = 'failed', crashes = crashes + 1, token = null, worker = null,
        lease_until = null, error_code = 'crashed', ended_at = clock_timestamp(), error_message = v_reason
      where id = v_item.id;
      if v_stop then
        update public.batch_jobs set status = 'paused',
          pause_reason = format('An item failed and the job stops on errors: %s', v_reason)
        where id = p_job and status in ('queued', 'processing');
      end if;
      perform public.pause_after_failures(p_job, v_reason);
    else
      update public.batch_items set status = 'queued', crashes = crashes + 1, token = null, worker = null,
        lease_until = null, next_attempt_at = null
      where id = v_item.id;
    end if;
    v_count := v_count + 1;
  end loop;
  perform public.finish_job(p_job);
  return v_count;
end $$;

create or replace function public.claim_item(p_job uuid, p_worker text, p_lease_seconds double precision)
returns jsonb language plpgsql set search_path = '' as $$
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
