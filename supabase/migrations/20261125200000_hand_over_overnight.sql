-- Overnight: a job may be written through Message Batches, which take up to a day and cost less. Its items are
-- handed over in parts. An item of a part is leased by the part, whose id is its token, until the part is closed:
-- no worker has to live for it, and no lease runs out under a batch that is out.

alter table public.batch_jobs
  add column delivery text not null default 'direct' check (delivery in ('direct', 'overnight')),
  add column price_share numeric(6, 4) not null default 1 check (price_share > 0 and price_share <= 1);

create table public.batch_parts (
  id uuid primary key default gen_random_uuid(),
  job_id uuid not null references public.batch_jobs (id) on delete cascade,
  number integer not null check (number >= 1),
  status text not null default 'preparing' check (status in ('preparing', 'lost', 'sent', 'closed')),
  size integer not null default 0 check (size >= 0), -- items that were handed over with it
  remote_id text unique,
  cancel_asked boolean not null default false,
  ends_by timestamptz,
  token uuid, -- of whoever is at it
  lease_until timestamptz,
  next_look_at timestamptz,
  faults integer not null default 0, -- looks in a row that told nothing
  fault text,
  created_at timestamptz not null default clock_timestamp(),
  sent_at timestamptz,
  closed_at timestamptz,
  constraint batch_parts_number unique (job_id, number),
  constraint batch_parts_sent check (status <> 'sent' or remote_id is not null)
);
create index batch_parts_open_idx on public.batch_parts (job_id, next_look_at) where status <> 'closed';
create index batch_items_token_idx on public.batch_items (token) where token is not null;
alter table public.batch_parts enable row level security;
alter table public.batch_parts force row level security;
revoke all on public.batch_parts from public, anon, authenticated;
grant select, insert, update, delete on public.batch_parts to service_role;
select private.open_table('batch_parts', 'viewer', null, null, null);

drop view public.batch_overview; -- made again, so that it has the columns that jobs have got since
create view public.batch_overview with (security_invoker = true) as
select j.*, c.queued, c.processing, c.completed, c.failed, c.cancelled, c.spent_usd, c.possible_usd,
  c.reserved_usd,
  -- How long a part is out says nothing about the next one.
  case when j.delivery = 'direct' then c.pace_seconds * (c.queued + c.processing) end as seconds_left,
  case when j.delivery = 'direct' then 60 / nullif(c.pace_seconds, 0) end as rate_per_minute,
  case when j.delivery = 'overnight' then (select count(*) from public.batch_parts p
    where p.job_id = j.id and p.status <> 'closed') else 0 end as parts_out
from public.batch_jobs j join public.batch_counts c on c.job_id = j.id;
revoke all on public.batch_overview from public, anon, authenticated;
grant select on public.batch_overview to authenticated, service_role;

create or replace function public.job_view(p_job uuid) returns jsonb
language sql stable set search_path = '' as $$
  select to_jsonb(j) || to_jsonb(c) || case when j.delivery = 'direct' then jsonb_build_object(
    'seconds_left', c.pace_seconds * (c.queued + c.processing),
    'rate_per_minute', 60 / nullif(c.pace_seconds, 0))
  else jsonb_build_object('parts_out', (
    select count(*) from public.batch_parts p where p.job_id = j.id and p.status <> 'closed')) end
  from public.batch_jobs j join public.batch_counts c on c.job_id = j.id where j.id = p_job;
$$;

create view public.part_rows with (security_invoker = true) as
select p.id, p.job_id, p.number, p.status, p.size, p.remote_id, p.cancel_asked, p.ends_by, p.faults, p.fault,
  p.created_at, p.sent_at, p.closed_at,
  case when p.next_look_at is not null then greatest(0, extract(epoch from p.next_look_at - clock_timestamp()))
    end::double precision as look_seconds
from public.batch_parts p;
revoke all on public.part_rows from public, anon, authenticated;
grant select on public.part_rows to authenticated, service_role;

-- How a job's answers come, and what they cost of the usual price: said once, when it is made.
create function public.create_overnight_job(p_job jsonb, p_items jsonb, p_estimate jsonb, p_mark bigint)
returns jsonb language plpgsql set search_path = '' as $$
declare
  v_job jsonb := public.create_priced_job(p_job, p_items, p_estimate, p_mark);
begin
  if v_job is null then
    return null;
  end if;
  update public.batch_jobs set delivery = 'overnight', price_share = (p_job ->> 'price_share')::numeric
  where id = (v_job ->> 'id')::uuid;
  perform public.log_job((v_job ->> 'id')::uuid, null, 'info',
    format('It is written overnight, at %s of the usual price', p_job ->> 'price_share'));
  return public.job_view((v_job ->> 'id')::uuid);
end $$;

-- What a worker needs to know of each item of a part that has no end yet: what claim_item tells of one.
create function public.part_claims(p_part uuid) returns jsonb
language sql stable set search_path = '' as $$
  select coalesce(jsonb_agg(jsonb_build_object('outcome', 'claimed', 'item_id', i.id, 'job_id', i.job_id,
    'position', i.position, 'token', i.token, 'attempt_id', a.id, 'attempt', i.attempts,
    'claimed_at', i.claimed_at, 'tries', i.attempts - i.earlier_attempts, 'crashes', i.crashes,
    'may_call', a.outcome = 'started', 'parameters', i.parameters,
    'template_version_id', i.template_version_id, 'writer', j.writer, 'model', j.model,
    'max_tokens', j.max_tokens, 'turns', j.turns, 'seed', j.seed, 'retry_cut', j.retry_cut,
    'delivery', j.delivery, 'price_share', j.price_share,
    'answers', case when i.attempts > 1 then (
      select coalesce(jsonb_agg(jsonb_build_object('number', e.number, 'worker', e.worker,
        'is_stored', e.outcome = 'stored' and e.number > i.earlier_attempts) order by e.number desc), '[]')
      from public.attempts e
      where e.item_id = i.id and e.outcome in ('stored', 'unknown', 'started') and not e.judged
        and e.number < i.attempts) else '[]' end) order by i.position), '[]')
  from public.batch_items i
  join public.batch_jobs j on j.id = i.job_id
  join public.attempts a on a.item_id = i.id and a.number = i.attempts
  where i.token = p_part and i.status = 'processing'
$$;

-- Makes a part of as many waiting items as are asked for and as the budget allows.
create function public.open_part(p_job uuid, p_worker text, p_most integer, p_lease_seconds double precision)
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
    select round(reserve_usd * v_job.price_share, 4) into v_next from public.batch_items
    where job_id = p_job and status = 'queued' and (next_attempt_at is null or next_attempt_at <= v_now)
    order by position limit 1;
    if v_next is null or v_counts.processing > 0 then
      return public.nothing_to_claim(p_job);
    end if;
    update public.batch_jobs set status = 'paused', pause_reason = format(
      'The budget of $%s is used up: $%s is spent or may have been, and the next item may cost $%s.',
      round(v_job.budget_usd, 2), round(v_counts.spent_usd + v_counts.possible_usd, 4), v_next)
    where id = p_job;
    perform public.log_job(p_job, null, 'warning', 'Batch job paused: the budget is used up');
    return jsonb_build_object('outcome', 'paused', 'job', public.job_view(p_job));
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

create function public.part_view(p_part uuid, p_token uuid) returns jsonb
language sql stable set search_path = '' as $$
  select to_jsonb(p) || jsonb_build_object('token', p_token) from public.part_rows p where id = p_part
$$;

-- Lends the part of a job that is due to be looked at; null where none is.
create function public.take_part(p_job uuid, p_lease_seconds double precision) returns jsonb
language plpgsql set search_path = '' as $$
declare
  v_part public.batch_parts;
  v_token uuid := gen_random_uuid();
  v_now timestamptz := clock_timestamp();
  v_is_cancelled boolean;
begin
  select status = 'cancelled' into v_is_cancelled from public.batch_jobs where id = p_job;
  select * into v_part from public.batch_parts
  where job_id = p_job and status <> 'closed' and (lease_until is null or lease_until < v_now)
    and (next_look_at is null or next_look_at <= v_now or (v_is_cancelled and not cancel_asked and faults = 0))
  order by next_look_at nulls first, number limit 1 for no key update skip locked;
  if not found then
    return null;
  end if;
  update public.batch_parts set token = v_token, lease_until = v_now + make_interval(secs => p_lease_seconds),
    -- Whoever was to send it is gone: nobody knows yet whether it left.
    status = case v_part.status when 'preparing' then 'lost' else v_part.status end
  where id = v_part.id;
  if v_part.status = 'preparing' then
    perform public.log_job(p_job, null, 'warning',
      format('Part %s: its worker vanished; Claude is asked whether it was handed over', v_part.number));
  end if;
  return public.part_view(v_part.id, v_token);
end $$;

-- Notes what is about to be asked for each item of a part. False where another has taken over.
create function public.prepare_part(p_part uuid, p_token uuid, p_requests jsonb) returns boolean
language plpgsql set search_path = '' as $$
begin
  perform 1 from public.batch_parts
  where id = p_part and token = p_token and status = 'preparing' for no key update;
  if not found then
    return false;
  end if;
  update public.attempts a set request = r.value
  from jsonb_each(p_requests) r where a.item_id = r.key::uuid and a.token = p_part;
  return true;
end $$;

-- Notes that a part is at Claude. False where another has taken over.
create function public.send_part(p_part uuid, p_token uuid, p_remote_id text, p_ends_by timestamptz,
  p_look_seconds double precision) returns boolean
language plpgsql set search_path = '' as $$
declare
  v_part public.batch_parts;
begin
  update public.batch_parts set status = 'sent', remote_id = p_remote_id, ends_by = p_ends_by,
    size = (select count(*) from public.batch_items where token = p_part), token = null, lease_until = null,
    next_look_at = clock_timestamp() + make_interval(secs => p_look_seconds), sent_at = clock_timestamp(),
    faults = 0, fault = null
  where id = p_part and token = p_token and status in ('preparing', 'lost') returning * into v_part;
  if not found then
    return false;
  end if;
  perform public.log_job(v_part.job_id, null, 'info',
    format('Part %s: %s items are at Claude as %s', v_part.number, v_part.size, p_remote_id));
  return true;
end $$;

-- Puts a part off to the next look; one that could not be looked at tells why. False where another has taken over.
create function public.put_part_off(p_part uuid, p_token uuid, p_seconds double precision, p_fault text,
  p_status text, p_cancel_asked boolean, p_ends_by timestamptz) returns boolean
language plpgsql set search_path = '' as $$
declare
  v_part public.batch_parts;
begin
  update public.batch_parts set token = null, lease_until = null,
    next_look_at = clock_timestamp() + make_interval(secs => p_seconds),
    status = case when status = 'preparing' and p_status = 'lost' then 'lost' else status end,
    fault = p_fault, faults = case when p_fault is null then 0 else faults + 1 end,
    cancel_asked = cancel_asked or p_cancel_asked, ends_by = coalesce(p_ends_by, ends_by)
  where id = p_part and token = p_token and status <> 'closed' returning * into v_part;
  if found and p_fault is not null and v_part.faults = 1 then
    perform public.log_job(v_part.job_id, null, 'warning', format('Part %s: %s', v_part.number, p_fault));
  end if;
  return found;
end $$;

-- Ends a part: what has no end yet goes back into the queue, or ends with the reason. `p_attempt` is what becomes
-- of each open attempt, `p_disposition` (retry, pause, failed) of each item.
create function public.close_part(p_part uuid, p_token uuid, p_disposition text, p_attempt jsonb,
  p_delay_seconds double precision) returns jsonb
language plpgsql set search_path = '' as $$
declare
  v_part public.batch_parts;
  v_job public.batch_jobs;
  v_item record;
  v_finished boolean;
begin
  select j.* into v_job from public.batch_jobs j join public.batch_parts p on p.job_id = j.id
  where p.id = p_part for no key update of j;
  select * into v_part from public.batch_parts
  where id = p_part and token = p_token and status <> 'closed' for no key update;
  if not found then
    return jsonb_build_object('outcome', 'fenced', 'job', public.job_view(v_job.id));
  end if;
  for v_item in select id, attempts from public.batch_items
    where token = p_part and status = 'processing' order by position loop
    perform public.settle_item(v_item.id, p_part, p_disposition,
      p_attempt || jsonb_build_object('number', v_item.attempts), p_delay_seconds,
      p_disposition <> 'failed' and p_attempt ->> 'outcome' <> 'unknown');
  end loop;
  update public.batch_parts set status = 'closed', token = null, lease_until = null, next_look_at = null,
    closed_at = clock_timestamp(), fault = p_attempt ->> 'error_message'
  where id = p_part;
  perform public.log_job(v_job.id, null, 'info', format('Part %s is closed', v_part.number));
  v_finished := public.finish_job(v_job.id);
  return jsonb_build_object('outcome', 'closed', 'finished', v_finished, 'job', public.job_view(v_job.id));
end $$;

-- As before, and those of which a part is still out, whatever became of them: what comes back is kept.
create or replace function public.open_jobs() returns jsonb
language sql stable set search_path = '' as $$
  select coalesce(jsonb_agg(jsonb_build_object('id', id, 'priority', priority) order by priority desc, created_at, id),
    '[]') from public.batch_jobs j where status in ('queued', 'processing')
    or exists (select from public.batch_parts p where p.job_id = j.id and p.status <> 'closed')
$$;

-- As before, but an overnight job hands out nothing but its preview: the rest goes in parts.
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

-- As before, at what a job pays of the usual price; its preview is written directly.
create or replace function public.budget_outlook(p_job uuid) returns jsonb
language sql stable set search_path = '' as $$
  with waiting as (
    select i.position, i.reserve_usd * case when j.preview is null or i.position > j.preview then j.price_share
      else 1 end as reserve_usd, public.is_answered(i) as answered
    from public.batch_items i join public.batch_jobs j on j.id = i.job_id
    where i.job_id = p_job and i.status = 'queued'
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

revoke execute on function public.create_overnight_job(jsonb, jsonb, jsonb, bigint), public.part_claims(uuid),
  public.open_part(uuid, text, integer, double precision), public.part_view(uuid, uuid),
  public.take_part(uuid, double precision),
  public.prepare_part(uuid, uuid, jsonb),
  public.send_part(uuid, uuid, text, timestamptz, double precision),
  public.put_part_off(uuid, uuid, double precision, text, text, boolean, timestamptz),
  public.close_part(uuid, uuid, text, jsonb, double precision) from public, anon, authenticated;
grant execute on function public.create_overnight_job(jsonb, jsonb, jsonb, bigint) to authenticated, service_role;
grant execute on function public.part_claims(uuid),
  public.open_part(uuid, text, integer, double precision), public.part_view(uuid, uuid),
  public.take_part(uuid, double precision),
  public.prepare_part(uuid, uuid, jsonb),
  public.send_part(uuid, uuid, text, timestamptz, double precision),
  public.put_part_off(uuid, uuid, double precision, text, text, boolean, timestamptz),
  public.close_part(uuid, uuid, text, jsonb, double precision) to service_role;
