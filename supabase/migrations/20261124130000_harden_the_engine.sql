-- What a job remembers of its faults: how long all of it waits, how many items failed in a row,
-- which answers were read and found useless, and why a model declined.

alter table public.batch_jobs
  add column next_attempt_at timestamptz, -- nothing of the job is called before: the API asked to slow down
  add column retry_cut boolean not null default false, -- an answer cut at the limit is bought once more
  add column pause_after_failures integer not null default 5 check (pause_after_failures >= 1),
  add column pause_after_refusals integer not null default 3 check (pause_after_refusals >= 1);

alter table public.batch_counts
  add column failures_in_a_row integer not null default 0,
  add column refusals_in_a_row integer not null default 0;

alter table public.batch_items
  add column earlier_attempts integer not null default 0; -- those before it was last retried by hand

alter table public.attempts
  add column judged boolean not null default false, -- its answer was read and is of no use
  add column if not exists refusal_category text,
  add column if not exists refusal_explanation text;
update public.attempts set judged = true
where outcome = 'stored' and error_code is not null and error_code not in ('storage', 'internal_error');

create or replace function public.create_job(p_job jsonb, p_items jsonb) returns jsonb
language plpgsql set search_path = '' as $$
declare
  v_job uuid := coalesce((p_job ->> 'id')::uuid, gen_random_uuid());
begin
  insert into public.batch_jobs (id, name, template_id, writer, model, max_tokens, turns, seed,
    stop_on_error, retry_cut, budget_usd, max_attempts, pause_after_failures, pause_after_refusals,
    total_items, created_by)
  values (v_job, p_job ->> 'name', (p_job ->> 'template_id')::uuid, p_job ->> 'writer', p_job ->> 'model',
    (p_job ->> 'max_tokens')::integer, (p_job ->> 'turns')::integer, coalesce((p_job ->> 'seed')::bigint, 0),
    coalesce((p_job ->> 'stop_on_error')::boolean, false), coalesce((p_job ->> 'retry_cut')::boolean, false),
    (p_job ->> 'budget_usd')::numeric, coalesce((p_job ->> 'max_attempts')::integer, 5),
    coalesce((p_job ->> 'pause_after_failures')::integer, 5),
    coalesce((p_job ->> 'pause_after_refusals')::integer, 3), jsonb_array_length(p_items),
    p_job ->> 'created_by');

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

-- One item that changes its status is the rule, and need not pay for what many at once need.
-- What failed in a row is counted too: a completed item breaks the row.
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
    last_ended_at = coalesce(d.ended_at, c.last_ended_at),
    -- The gap to the ending before, but never more than the item itself took: a pause is not work.
    pace_seconds = case when d.ended_at is null then c.pace_seconds else
      0.9 * coalesce(c.pace_seconds, d.took) + 0.1 * greatest(0, least(d.took,
        coalesce(extract(epoch from d.ended_at - c.last_ended_at), d.took))) end
  from (
    select job_id,
      coalesce(sum(step) filter (where status = 'queued'), 0) as queued,
      coalesce(sum(step) filter (where status = 'processing'), 0) as processing,
      coalesce(sum(step) filter (where status = 'completed'), 0) as completed,
      coalesce(sum(step) filter (where status = 'failed'), 0) as failed,
      coalesce(sum(step) filter (where status = 'cancelled'), 0) as cancelled,
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

-- The circuit breaker: when too many items in a row ended without a conversation, whatever waits is
-- kept from the same end, and the message names what they ended in. Returns whether it broke.
create function public.pause_after_failures(p_job uuid, p_reason text) returns boolean
language plpgsql set search_path = '' as $$
declare
  v_job public.batch_jobs;
  v_counts public.batch_counts;
  v_reason text;
begin
  select * into v_counts from public.batch_counts where job_id = p_job;
  select * into v_job from public.batch_jobs where id = p_job;
  if v_counts.queued = 0 or v_job.status not in ('queued', 'processing') then
    return false;
  elsif v_counts.refusals_in_a_row >= v_job.pause_after_refusals then
    v_reason := format('The model declined %s items in a row, the last one so: %s',
      v_counts.refusals_in_a_row, p_reason);
  elsif v_counts.failures_in_a_row >= v_job.pause_after_failures then
    v_reason := format('%s items failed in a row, the last one so: %s', v_counts.failures_in_a_row, p_reason);
  else
    return false;
  end if;
  update public.batch_jobs set status = 'paused', pause_reason = v_reason where id = p_job;
  perform public.log_job(p_job, null, 'warning', format('Batch job paused: %s', v_reason));
  return true;
end $$;

-- A person has looked: the rows of failures are over, and nobody waits any longer.
create or replace function public.resume_job(p_job uuid, p_actor text) returns jsonb
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
  update public.batch_jobs set pause_reason = null, next_attempt_at = null,
    status = case when started_at is null then 'queued' else 'processing' end where id = p_job;
  update public.batch_items set next_attempt_at = null
  where job_id = p_job and status = 'queued' and next_attempt_at is not null;
  update public.batch_counts set failures_in_a_row = 0, refusals_in_a_row = 0 where job_id = p_job;
  perform public.log_job(p_job, null, 'info', format('Batch job resumed by %s', p_actor));
  perform public.finish_job(p_job);
  return jsonb_build_object('outcome', 'ok', 'job', public.job_view(p_job));
end $$;

create or replace function public.retry_failed(p_job uuid, p_actor text) returns jsonb
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
  update public.batch_items set status = 'queued', refunds = attempts, earlier_attempts = attempts,
    crashes = 0, error_code = null, error_message = null, next_attempt_at = null, ended_at = null,
    claimed_at = null
  where job_id = p_job and status = 'failed';
  get diagnostics v_retried = row_count;
  if v_retried > 0 then
    update public.batch_jobs set status = 'queued', completed_at = null
    where id = p_job and status in ('completed', 'failed');
    update public.batch_counts set failures_in_a_row = 0, refusals_in_a_row = 0 where job_id = p_job;
    perform public.log_job(p_job, null, 'info', format('%s failed items queued again by %s', v_retried, p_actor));
  end if;
  return jsonb_build_object('outcome', 'ok', 'retried', v_retried, 'job', public.job_view(p_job));
end $$;

create or replace function public.nothing_to_claim(p_job uuid) returns jsonb
language plpgsql set search_path = '' as $$
declare
  v_due timestamptz;
  v_job public.batch_jobs;
begin
  perform public.finish_job(p_job);
  select * into v_job from public.batch_jobs where id = p_job;
  if v_job.status in ('completed', 'failed')
    or (v_job.status = 'cancelled' and not exists (
      select 1 from public.batch_items where job_id = p_job and status = 'processing')) then
    return jsonb_build_object('outcome', 'done', 'job', public.job_view(p_job));
  end if;
  select min(due) into v_due from (
    (select lease_until as due from public.batch_items
      where job_id = p_job and status = 'processing' order by lease_until limit 1)
    union all
    (select min(next_attempt_at) from public.batch_items where job_id = p_job and status = 'queued')
  ) d;
  if v_job.next_attempt_at > clock_timestamp() then
    -- Not all at the same moment, when many workers wait.
    v_due := greatest(v_due, v_job.next_attempt_at + make_interval(secs => random() / 2));
  end if;
  return jsonb_build_object('outcome', 'wait',
    'seconds', greatest(0.1, least(5, coalesce(extract(epoch from v_due - clock_timestamp()), 1))),
    'job', public.job_view(p_job));
end $$;

create or replace function public.record_attempt(p_item uuid, p_token uuid, p_attempt jsonb) returns void
language plpgsql set search_path = '' as $$
declare
  v_old public.attempts;
  v_new public.attempts;
begin
  -- Its own attempt, or an earlier one whose answer it went on from.
  select * into v_old from public.attempts
  where item_id = p_item and number = (p_attempt ->> 'number')::integer
    and (token = p_token or outcome in ('unknown', 'started') or (outcome = 'stored' and not judged));
  if found then
    update public.attempts set
      outcome = p_attempt ->> 'outcome', reserved_usd = 0,
      cost_usd = coalesce((p_attempt ->> 'cost_usd')::numeric, 0),
      -- An answer that does not say what it used may have cost all that was reserved.
      possible_usd = case when p_attempt ->> 'outcome' = 'unknown'
          or (p_attempt ->> 'outcome' = 'stored' and p_attempt ->> 'cost_usd' is null)
        then greatest(reserved_usd, possible_usd) else 0 end,
      input_tokens = coalesce((p_attempt ->> 'input_tokens')::integer, 0),
      output_tokens = coalesce((p_attempt ->> 'output_tokens')::integer, 0),
      cache_read_tokens = coalesce((p_attempt ->> 'cache_read_tokens')::integer, 0),
      cache_write_tokens = coalesce((p_attempt ->> 'cache_write_tokens')::integer, 0),
      request = coalesce(p_attempt -> 'request', request),
      request_id = coalesce(p_attempt ->> 'request_id', request_id),
      stop_reason = p_attempt ->> 'stop_reason', raw_path = p_attempt ->> 'raw_path',
      error_code = p_attempt ->> 'error_code', error_message = p_attempt ->> 'error_message',
      refusal_category = p_attempt ->> 'refusal_category',
      refusal_explanation = p_attempt ->> 'refusal_explanation',
      judged = coalesce((p_attempt ->> 'judged')::boolean, false),
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

-- An attempt that gave no conversation. Dispositions: failed, retry, pause, cancelled.
drop function public.settle_item(uuid, uuid, text, jsonb, double precision, boolean, text);
create function public.settle_item(p_item uuid, p_token uuid, p_disposition text, p_attempt jsonb,
  p_delay_seconds double precision default 0, p_refund boolean default false,
  p_slow_down boolean default false, p_reason text default null) returns jsonb
language plpgsql set search_path = '' as $$
declare
  v_item public.batch_items;
  v_job public.batch_jobs;
  v_next text := p_disposition;
  v_spent integer;
  v_finished boolean;
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

  v_due := case when v_next = 'retry' then clock_timestamp() + make_interval(secs => p_delay_seconds) end;
  if p_slow_down and v_next = 'retry' then
    update public.batch_jobs set next_attempt_at = greatest(next_attempt_at, v_due) where id = v_job.id;
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

revoke execute on function public.pause_after_failures(uuid, text),
  public.settle_item(uuid, uuid, text, jsonb, double precision, boolean, boolean, text)
  from public, anon, authenticated;
grant execute on function public.pause_after_failures(uuid, text),
  public.settle_item(uuid, uuid, text, jsonb, double precision, boolean, boolean, text) to service_role;
