-- A call that was turned away for the rate holds back every open job of its model, not only its own.
create or replace function public.settle_item(p_item uuid, p_token uuid, p_disposition text, p_attempt jsonb,
  p_delay_seconds double precision default 0, p_refund boolean default false,
  p_slow_down boolean default false, p_reason text default null) returns jsonb
language plpgsql set search_path = '' as $$
declare
  v_item public.batch_items;
  v_job public.batch_jobs;
  v_next text := p_disposition;
  v_spent integer;
  v_finished boolean;
  v_now timestamptz := clock_timestamp();
  v_due timestamptz;
  v_reason text := coalesce(p_reason, p_attempt ->> 'error_message');
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

  if v_job.status = 'cancelled' and (v_next in ('retry', 'pause') or p_attempt ->> 'error_code' = 'crashed') then
    -- Nothing of a cancelled job is tried again; what was paid for can still be read again.
    v_next := case p_attempt ->> 'outcome' when 'stored' then 'failed' else 'cancelled' end;
  elsif v_next = 'retry' and not p_refund then
    -- What was or may have been paid for is bought again less often than what was not.
    select count(*) into v_spent from public.attempts
    where item_id = p_item and number > v_item.earlier_attempts
      and case when p_attempt ->> 'outcome' = 'unknown' then outcome = 'unknown'
        else judged and error_code = p_attempt ->> 'error_code' end;
    if v_item.attempts - v_item.refunds >= v_job.max_attempts
      or (p_attempt ->> 'outcome' = 'unknown' and v_spent > 2)
      or ((p_attempt ->> 'judged')::boolean and v_spent > 1) then
      v_next := 'failed';
      v_reason := format('%s Given up after %s attempts; retry later.', v_reason, v_item.attempts);
    end if;
  end if;

  v_due := case when v_next = 'retry' then v_now + make_interval(secs => p_delay_seconds) end;
  if p_slow_down and v_next = 'retry' then
    update public.batch_jobs set next_attempt_at = greatest(next_attempt_at, v_due) where id = v_job.id;
    -- The limit is the model's: its other jobs wait too, a minute at most, unless they are being changed just now.
    update public.batch_jobs set next_attempt_at = greatest(next_attempt_at, least(v_due, v_now + interval '1 minute'))
    where id in (
      select id from public.batch_jobs
      where id <> v_job.id and status in ('queued', 'processing') and writer = v_job.writer and model = v_job.model
      for no key update skip locked);
  end if;
  update public.batch_items set token = null, lease_until = null, worker = null,
    status = case v_next when 'retry' then 'queued' when 'pause' then 'queued' else v_next end,
    refunds = refunds + case when p_refund or v_next = 'pause' then 1 else 0 end,
    next_attempt_at = v_due, error_code = p_attempt ->> 'error_code', error_message = v_reason,
    cost_usd = cost_usd + coalesce((p_attempt ->> 'cost_usd')::numeric, 0),
    ended_at = case when v_next in ('failed', 'cancelled') then clock_timestamp() end
  where id = p_item;
  perform public.log_job(v_item.job_id, p_item, case when v_next = 'failed' then 'error' else 'warning' end,
    format('Item %s... %s: %s', left(p_item::text, 8), case v_next
      when 'retry' then format('will be tried again in %s s', round(p_delay_seconds::numeric, 1))
      when 'pause' then 'was put back' else v_next end, v_reason));

  if v_next = 'pause' or (v_next = 'failed' and v_job.stop_on_error) then
    update public.batch_jobs set status = 'paused', pause_reason = case when v_next = 'pause' then v_reason
      else format('An item failed and the job stops on errors: %s', v_reason) end
    where id = v_item.job_id and status in ('queued', 'processing');
    if found then
      perform public.log_job(v_item.job_id, null, 'warning', format('Batch job paused: %s', v_reason));
    end if;
  elsif v_next = 'failed' then
    perform public.pause_after_failures(v_item.job_id, v_reason);
  end if;
  v_finished := public.finish_job(v_item.job_id);
  return jsonb_build_object('outcome', v_next, 'finished', v_finished, 'job', public.job_view(v_item.job_id));
end $$;
