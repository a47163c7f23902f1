-- A budget that is used up, and what raising it needs.

-- What a job may still spend, what its next call must be able to cost, and what all that waits may cost.
create function public.budget_outlook(p_job uuid) returns jsonb
language sql stable set search_path = '' as $$
  select jsonb_build_object(
    'status', j.status, 'budget_usd', j.budget_usd, 'spent_usd', c.spent_usd,
    'possible_usd', c.possible_usd, 'reserved_usd', c.reserved_usd,
    'left_usd', j.budget_usd - c.spent_usd - c.possible_usd - c.reserved_usd,
    'waiting', c.queued, 'processing', c.processing,
    'next_usd', coalesce((select i.reserve_usd from public.batch_items i
      where i.job_id = p_job and i.status = 'queued' order by i.position limit 1), 0),
    'worst_usd', coalesce((select sum(i.reserve_usd) from public.batch_items i
      where i.job_id = p_job and i.status = 'queued'), 0),
    'ended', c.completed + c.failed)
  from public.batch_jobs j join public.batch_counts c on c.job_id = j.id where j.id = p_job
$$;

-- Sets what a job may cost in all and lets it go on. Nothing below what is spent, may be, or is reserved.
create function public.set_budget(p_job uuid, p_budget numeric, p_actor text) returns jsonb
language plpgsql set search_path = '' as $$
declare
  v_job public.batch_jobs;
  v_bound numeric;
begin
  select * into v_job from public.batch_jobs where id = p_job for no key update;
  if not found then
    return jsonb_build_object('outcome', 'missing');
  elsif v_job.status not in ('queued', 'processing', 'paused') then
    return jsonb_build_object('outcome', 'refused', 'job', public.job_view(p_job));
  elsif v_job.budget_usd is null and v_job.status = 'processing' then
    -- A claim that has just read "no budget" would not know of this one.
    return jsonb_build_object('outcome', 'running', 'job', public.job_view(p_job));
  end if;
  select spent_usd + possible_usd + reserved_usd into v_bound
  from public.batch_counts where job_id = p_job for no key update;
  if p_budget < v_bound or p_budget <= 0 then
    return jsonb_build_object('outcome', 'too_low', 'bound_usd', v_bound, 'job', public.job_view(p_job));
  end if;
  update public.batch_jobs set budget_usd = p_budget where id = p_job;
  perform public.log_job(p_job, null, 'info', format('Budget set from %s to $%s by %s',
    coalesce('$' || round(v_job.budget_usd, 2), 'none'), round(p_budget, 2), p_actor));
  if v_job.status = 'paused' then
    return public.resume_job(p_job, p_actor);
  end if;
  return jsonb_build_object('outcome', 'ok', 'job', public.job_view(p_job));
end $$;

revoke execute on function public.budget_outlook(uuid), public.set_budget(uuid, numeric, text)
  from public, anon, authenticated;
grant execute on function public.budget_outlook(uuid), public.set_budget(uuid, numeric, text) to service_role;
