-- Preview before paying: the first items of a job are written and read before the rest is. While a job has a
-- preview, nothing behind it is handed out to anybody; only start_rest, a person's word, ends that.

alter table public.batch_jobs
  add column preview integer check (preview >= 1); -- only the first so many are handed out; null: all

drop view public.batch_overview;
create view public.batch_overview with (security_invoker = true) as
select j.*, c.queued, c.processing, c.completed, c.failed, c.cancelled, c.spent_usd, c.possible_usd,
  c.reserved_usd, c.pace_seconds * (c.queued + c.processing) as seconds_left,
  60 / nullif(c.pace_seconds, 0) as rate_per_minute
from public.batch_jobs j join public.batch_counts c on c.job_id = j.id;
revoke all on public.batch_overview from anon, authenticated;
grant select on public.batch_overview to service_role;

create or replace function public.create_job(p_job jsonb, p_items jsonb) returns jsonb
language plpgsql set search_path = '' as $$
declare
  v_job uuid := coalesce((p_job ->> 'id')::uuid, gen_random_uuid());
  v_preview integer := (p_job ->> 'preview')::integer;
begin
  if v_preview >= jsonb_array_length(p_items) then
    v_preview := null; -- there is no rest to wait for
  end if;
  insert into public.batch_jobs (id, name, template_id, writer, model, max_tokens, turns, seed,
    stop_on_error, retry_cut, budget_usd, max_attempts, pause_after_failures, pause_after_refusals,
    total_items, created_by, preview)
  values (v_job, p_job ->> 'name', (p_job ->> 'template_id')::uuid, p_job ->> 'writer', p_job ->> 'model',
    (p_job ->> 'max_tokens')::integer, (p_job ->> 'turns')::integer, coalesce((p_job ->> 'seed')::bigint, 0),
    coalesce((p_job ->> 'stop_on_error')::boolean, false), coalesce((p_job ->> 'retry_cut')::boolean, false),
    (p_job ->> 'budget_usd')::numeric, coalesce((p_job ->> 'max_attempts')::integer, 5),
    coalesce((p_job ->> 'pause_after_failures')::integer, 5),
    coalesce((p_job ->> 'pause_after_refusals')::integer, 3), jsonb_array_length(p_items),
    p_job ->> 'created_by', v_preview);

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

  perform public.log_job(v_job, null, 'info', format('Batch job created by %s: %s items, writer %s, model %s%s',
    p_job ->> 'created_by', jsonb_array_length(p_items), p_job ->> 'writer', p_job ->> 'model',
    case when v_preview is null then '' else format(', preview of %s', v_preview) end));
  return public.job_view(v_job);
end $$;

-- Whether anything of a job's preview is still to be written.
create function public.preview_goes_on(p_job uuid, p_preview integer) returns boolean
language sql stable set search_path = '' as $$
  select exists (select 1 from public.batch_items
    where job_id = p_job and status in ('queued', 'processing') and position <= p_preview);
$$;

-- Nothing of a preview can be claimed: it is waited for, or it is over and the job pauses for a person.
create function public.hold_preview(p_job uuid) returns jsonb
language plpgsql set search_path = '' as $$
declare
  v_job public.batch_jobs;
  v_written integer;
  v_failed integer;
begin
  select * into v_job from public.batch_jobs where id = p_job for no key update;
  if v_job.status = 'paused' then
    return jsonb_build_object('outcome', 'paused', 'job', public.job_view(p_job));
  elsif v_job.preview is null or v_job.status <> 'processing'
    or public.preview_goes_on(p_job, v_job.preview) then
    return public.nothing_to_claim(p_job);
  end if;
  select count(*) filter (where status = 'completed'), count(*) filter (where status = 'failed')
  into v_written, v_failed from public.batch_items where job_id = p_job and position <= v_job.preview;
  update public.batch_jobs set status = 'paused', pause_reason = format(
    'The preview is there: %s written%s. Read it, then start the rest.', v_written,
    case when v_failed > 0 then format(', %s failed', v_failed) else '' end)
  where id = p_job;
  perform public.log_job(p_job, null, 'info', format('Preview complete - %s successful, %s failed',
    v_written, v_failed));
  return jsonb_build_object('outcome', 'paused', 'job', public.job_view(p_job));
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
  elsif v_job.status = 'processing' and coalesce(v_job.next_attempt_at <= v_now, true) then
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

-- A person has looked: the rows of failures are over, and nobody waits any longer. A preview that is over
-- stays paused: going on with what is behind it is another wish.
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
  elsif v_job.preview is not null and not public.preview_goes_on(p_job, v_job.preview) then
    return jsonb_build_object('outcome', 'preview', 'job', public.job_view(p_job));
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

-- Goes on behind the preview: with p_more further items of it, or with everything.
create function public.start_rest(p_job uuid, p_more integer, p_actor text) returns jsonb
language plpgsql set search_path = '' as $$
declare
  v_job public.batch_jobs;
  v_preview integer;
begin
  select * into v_job from public.batch_jobs where id = p_job for no key update;
  if not found then
    return jsonb_build_object('outcome', 'missing');
  elsif v_job.status not in ('queued', 'processing', 'paused') then
    return jsonb_build_object('outcome', 'refused', 'status', v_job.status, 'job', public.job_view(p_job));
  elsif v_job.preview is null then
    return jsonb_build_object('outcome', 'already', 'job', public.job_view(p_job));
  end if;
  v_preview := v_job.preview + p_more;
  if v_preview >= v_job.total_items then
    v_preview := null;
  end if;
  update public.batch_jobs set preview = v_preview where id = p_job;
  perform public.log_job(p_job, null, 'info', case when v_preview is null
    then format('The rest was started by %s', p_actor)
    else format('Preview extended to %s items by %s', v_preview, p_actor) end);
  if v_job.status = 'paused' then
    perform public.resume_job(p_job, p_actor);
  end if;
  return jsonb_build_object('outcome', 'ok', 'job', public.job_view(p_job));
end $$;

-- Gives what a job in preview has not begun another template version or other parameters, all of it or
-- nothing; items that have an answer, or may have, keep what they were asked with. Null when prices have
-- changed since p_mark.
create function public.adjust_rest(p_job uuid, p_items jsonb, p_estimate jsonb, p_mark bigint, p_actor text)
returns jsonb language plpgsql set search_path = '' as $$
declare
  v_job public.batch_jobs;
  v_adjusted integer;
begin
  perform pg_advisory_xact_lock_shared(hashtextextended('prices', 0));
  if p_mark <> public.price_mark() then
    return null;
  end if;
  select * into v_job from public.batch_jobs where id = p_job for no key update;
  if not found then
    return jsonb_build_object('outcome', 'missing');
  elsif v_job.preview is null or v_job.status not in ('queued', 'processing', 'paused') then
    return jsonb_build_object('outcome', 'refused', 'status', v_job.status, 'job', public.job_view(p_job));
  end if;
  with given as (
    select * from jsonb_to_recordset(p_items) as i(position integer, parameters jsonb, fingerprint text,
      template_version_id uuid, template_choice text, reserve_usd numeric)
  ), before as (
    select i.id, i.template_version_id as old_version, g.*
    from public.batch_items i join given g on g.position = i.position
    where i.job_id = p_job and i.status = 'queued' and not exists (
      select 1 from public.attempts a
      where a.item_id = i.id and a.outcome in ('stored', 'unknown', 'started') and not a.judged)
    for no key update of i
  ), changed as (
    update public.batch_items i set parameters = b.parameters, fingerprint = b.fingerprint,
      template_version_id = b.template_version_id, template_choice = coalesce(b.template_choice, ''),
      reserve_usd = coalesce(b.reserve_usd, 0)
    from before b where i.id = b.id
    returning b.old_version, b.template_version_id as new_version
  ), uses as (
    select v.template_id, sum(u.step) as uses from (
      select new_version as version_id, 1 as step from changed
      union all
      select old_version, -1 from changed
    ) u join public.template_versions v on v.id = u.version_id group by v.template_id
  ), counted as (
    update public.templates t set usage_count = greatest(0, t.usage_count + u.uses)
    from uses u where t.id = u.template_id and u.uses <> 0
  )
  select count(*) into v_adjusted from changed;
  if (select count(distinct v.template_id) from public.batch_items i
      join public.template_versions v on v.id = i.template_version_id where i.job_id = p_job) > 1 then
    update public.batch_jobs set template_id = '00000000-0000-0000-0000-000000000000' where id = p_job;
  end if;

  -- What is written already stays in the estimate as what it was; a bound only ever grows.
  update public.job_estimates e set
    input_tokens = done.input_tokens + n.input_tokens, output_tokens = done.output_tokens + n.output_tokens,
    expected_usd = done.usd + n.expected_usd, high_usd = done.usd + n.high_usd,
    worst_usd = done.usd + n.worst_usd, basis = coalesce(n.basis, ''),
    terms = e.terms || (
      select coalesce(jsonb_object_agg(t.key, t.value || jsonb_build_object('input_bound',
        greatest((t.value ->> 'input_bound')::bigint, (e.terms -> t.key ->> 'input_bound')::bigint))), '{}')
      from jsonb_each(n.terms) t)
  from jsonb_populate_record(null::public.job_estimates, p_estimate) n,
    (select coalesce(sum(a.input_tokens), 0) as input_tokens, coalesce(sum(a.output_tokens), 0) as output_tokens,
      coalesce(sum(a.cost_usd + a.possible_usd), 0) as usd
     from public.attempts a where a.job_id = p_job) done
  where e.job_id = p_job;
  perform public.log_job(p_job, null, 'info', format('%s waiting items adjusted by %s', v_adjusted, p_actor));
  return jsonb_build_object('outcome', 'ok', 'adjusted', v_adjusted, 'job', public.job_view(p_job));
end $$;

revoke execute on function public.preview_goes_on(uuid, integer), public.hold_preview(uuid),
  public.start_rest(uuid, integer, text), public.adjust_rest(uuid, jsonb, jsonb, bigint, text)
  from public, anon, authenticated;
grant execute on function public.preview_goes_on(uuid, integer), public.hold_preview(uuid),
  public.start_rest(uuid, integer, text), public.adjust_rest(uuid, jsonb, jsonb, bigint, text) to service_role;
