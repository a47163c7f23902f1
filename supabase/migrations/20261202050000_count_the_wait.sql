-- How fast a batch goes is what a person waits for: a page looks every third of a second, and an item that takes a
-- hundredth of one is not ended a hundred times as often. Up to a second between two items counts, a pause does not.
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
        0.9 * coalesce(c.pace_seconds, v_one.took) + 0.1 * greatest(0, least(v_one.took + 1,
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
    last_ended_at = case when d.ended > 0 then coalesce(d.ended_at, c.last_ended_at) else c.last_ended_at end,
    -- Each has its share of the gap to the ending before, but never much more than it took itself: a pause is not work.
    pace_seconds = case when d.ended_at is null or d.ended = 0 then c.pace_seconds else
      power(0.9, d.ended) * coalesce(c.pace_seconds, d.took) + (1 - power(0.9, d.ended)) * greatest(0, least(d.took + 1,
        coalesce(extract(epoch from d.ended_at - c.last_ended_at)::double precision / d.ended, d.took))) end
  from (
    select job_id,
      coalesce(sum(step) filter (where status = 'queued'), 0) as queued,
      coalesce(sum(step) filter (where status = 'processing'), 0) as processing,
      coalesce(sum(step) filter (where status = 'completed'), 0) as completed,
      coalesce(sum(step) filter (where status = 'failed'), 0) as failed,
      coalesce(sum(step) filter (where status = 'cancelled'), 0) as cancelled,
      -- Those that had ended before are no endings: a price that goes up changes them too.
      greatest(0, coalesce(sum(step) filter (where status in ('completed', 'failed')), 0))::double precision as ended,
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

-- A batch that nobody has at hand has no time left that could be told: the last of its tabs was closed.
create or replace function public.job_view(p_job uuid) returns jsonb
language sql stable set search_path = '' as $$
  select to_jsonb(j) || to_jsonb(c) || case when j.delivery = 'direct' then jsonb_build_object(
    'seconds_left', case when j.status in ('queued', 'processing') and (c.processing > 0
      or greatest(j.next_attempt_at, c.last_ended_at, j.started_at) > clock_timestamp() - interval '15 seconds')
      then c.pace_seconds * (c.queued + c.processing) end,
    'rate_per_minute', 60 / nullif(c.pace_seconds, 0))
  else jsonb_build_object('parts_out', (
    select count(*) from public.batch_parts p where p.job_id = j.id and p.status <> 'closed')) end
  from public.batch_jobs j join public.batch_counts c on c.job_id = j.id where j.id = p_job;
$$;

drop view public.batch_overview;
create view public.batch_overview with (security_invoker = true) as
select j.*, c.queued, c.processing, c.completed, c.failed, c.cancelled, c.spent_usd, c.possible_usd,
  c.reserved_usd,
  -- How long a part is out says nothing about the next one.
  case when j.delivery = 'direct' and j.status in ('queued', 'processing') and (c.processing > 0
    or greatest(j.next_attempt_at, c.last_ended_at, j.started_at) > clock_timestamp() - interval '15 seconds')
    then c.pace_seconds * (c.queued + c.processing) end as seconds_left,
  case when j.delivery = 'direct' then 60 / nullif(c.pace_seconds, 0) end as rate_per_minute,
  case when j.delivery = 'overnight' then (select count(*) from public.batch_parts p
    where p.job_id = j.id and p.status <> 'closed') else 0 end as parts_out
from public.batch_jobs j join public.batch_counts c on c.job_id = j.id;
revoke all on public.batch_overview from public, anon, authenticated;
grant select on public.batch_overview to authenticated, service_role;
