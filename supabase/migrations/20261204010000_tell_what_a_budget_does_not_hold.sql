-- A budget that does not hold the next item is not always used up: often nothing of it is spent. The sentence is said once,
-- for both ways of writing.
create function public.pause_at_budget(p_job public.batch_jobs, p_counts public.batch_counts, p_next numeric)
returns jsonb language plpgsql set search_path = '' as $$
declare
  v_spent numeric := p_counts.spent_usd + p_counts.possible_usd;
begin
  update public.batch_jobs set status = 'paused', pause_reason = format(
    'The budget of $%s does not hold the next item, which may cost $%s: %s.',
    case when p_job.budget_usd = round(p_job.budget_usd, 2) then round(p_job.budget_usd, 2)
      else trim_scale(p_job.budget_usd) end,
    round(p_next, 4),
    case when v_spent = 0 then 'nothing is spent yet'
      else format('$%s of it is spent or may have been', round(v_spent, 4)) end)
  where id = p_job.id and status in ('queued', 'processing');
  perform public.log_job(p_job.id, null, 'warning', 'Batch job paused: the budget does not hold the next item');
  return jsonb_build_object('outcome', 'paused', 'job', public.job_view(p_job.id));
end $$;

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
        return public.pause_at_budget(v_job, v_counts, v_reserve);
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

create or replace function public.open_part(p_job uuid, p_worker text, p_most integer, p_lease_seconds double precision)
returns jsonb language plpgsql set search_path = '' as $$
declare
  v_job public.batch_jobs;
  v_counts public.batch_counts;
  v_part uuid := gen_random_uuid();
  v_token uuid := gen_random_uuid();
  v_now timestamptz;
  v_room numeric;
  v_next numeric;
  v_items uuid[];
  v_reserves numeric[];
  v_reserved numeric;
begin
  select * into v_job from public.batch_jobs where id = p_job for no key update;
  if not found then
    return jsonb_build_object('outcome', 'missing');
  end if;
  if v_job.status = 'queued' then
    update public.batch_jobs set status = 'processing', started_at = coalesce(started_at, clock_timestamp())
    where id = p_job;
    v_job.status := 'processing';
  end if;
  v_now := clock_timestamp();
  if v_job.status = 'paused' then
    return jsonb_build_object('outcome', 'paused', 'job', public.job_view(p_job));
  elsif v_job.status <> 'processing' or v_job.next_attempt_at > v_now then
    return public.nothing_to_claim(p_job);
  elsif not exists (select 1 from public.batch_items where job_id = p_job and status = 'queued') then
    return public.nothing_to_claim(p_job); -- before the counters are locked: who ends the last item locks the job
  end if;
  select * into v_counts from public.batch_counts where job_id = p_job for no key update;
  v_room := v_job.budget_usd - v_counts.spent_usd - v_counts.possible_usd - v_counts.reserved_usd;
  select array_agg(s.id order by s.position), array_agg(s.reserve order by s.position), sum(s.reserve)
  into v_items, v_reserves, v_reserved from (
    select q.*, sum(q.reserve) over (order by q.position) as total
    from (
      select i.id, i.position, case when i.attempts - i.refunds >= v_job.max_attempts
        or (i.attempts > 0 and public.is_answered(i)) then 0
        else round(i.reserve_usd * v_job.price_share, 6) end as reserve
      from public.batch_items i
      where i.job_id = p_job and i.status = 'queued' and (i.next_attempt_at is null or i.next_attempt_at <= v_now)
      order by i.position limit p_most for no key update skip locked) q) s
  where v_room is null or s.reserve = 0 or s.total <= v_room;
  if v_items is null then
    select reserve_usd * v_job.price_share into v_next from public.batch_items
    where job_id = p_job and status = 'queued' and (next_attempt_at is null or next_attempt_at <= v_now)
    order by position limit 1;
    if v_next is null or v_counts.processing > 0 then
      return public.nothing_to_claim(p_job);
    end if;
    return public.pause_at_budget(v_job, v_counts, v_next);
  end if;

  insert into public.batch_parts (id, job_id, number, size, token, lease_until)
  values (v_part, p_job, (select count(*) + 1 from public.batch_parts where job_id = p_job),
    cardinality(v_items), v_token, v_now + make_interval(secs => p_lease_seconds));
  update public.batch_items i set status = 'processing', token = v_part, worker = p_worker,
    lease_until = v_now + interval '10 years', attempts = i.attempts + 1, claimed_at = v_now,
    next_attempt_at = null
  where i.id = any (v_items);
  insert into public.attempts (item_id, job_id, number, token, worker, model, outcome, reserved_usd)
  select i.id, p_job, i.attempts, v_part, p_worker, v_job.model,
    case when i.attempts - 1 - i.refunds < v_job.max_attempts then 'started' else 'skipped' end, o.reserve
  from unnest(v_items, v_reserves) as o(id, reserve) join public.batch_items i on i.id = o.id;
  perform public.add_money(p_job, 0, 0, v_reserved);
  return jsonb_build_object('outcome', 'opened', 'part', public.part_view(v_part, v_token),
    'claims', public.part_claims(v_part), 'job', public.job_view(p_job));
end $$;

revoke execute on function public.pause_at_budget(public.batch_jobs, public.batch_counts, numeric)
  from public, anon, authenticated;
grant execute on function public.pause_at_budget(public.batch_jobs, public.batch_counts, numeric) to service_role;
