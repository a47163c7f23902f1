-- One item that changes its status is the rule, and need not pay for what many at once need.

create or replace function public.count_changed_items() returns trigger
language plpgsql set search_path = '' as $$
declare
  v_one record;
begin
  if (select count(*) from new_items) = 1 then
    select n.job_id, n.status, o.status as was, e.ended_at,
      extract(epoch from e.ended_at - n.claimed_at)::double precision as took
    into v_one
    from new_items n cross join old_items o
    left join lateral (select n.ended_at where n.status in ('completed', 'failed')) e on true;
    if v_one.status = v_one.was then
      return null;
    end if;
    update public.batch_counts c set
      queued = c.queued + (v_one.status = 'queued')::integer - (v_one.was = 'queued')::integer,
      processing = c.processing + (v_one.status = 'processing')::integer - (v_one.was = 'processing')::integer,
      completed = c.completed + (v_one.status = 'completed')::integer - (v_one.was = 'completed')::integer,
      failed = c.failed + (v_one.status = 'failed')::integer - (v_one.was = 'failed')::integer,
      cancelled = c.cancelled + (v_one.status = 'cancelled')::integer - (v_one.was = 'cancelled')::integer,
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

-- One check instead of five, read anew at every step.
alter table public.batch_counts
  drop constraint batch_counts_queued_check,
  drop constraint batch_counts_processing_check,
  drop constraint batch_counts_completed_check,
  drop constraint batch_counts_failed_check,
  drop constraint batch_counts_cancelled_check,
  add constraint batch_counts_not_negative
    check (least(queued, processing, completed, failed, cancelled) >= 0);
